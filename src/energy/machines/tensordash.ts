import type { Machine } from "../machine.ts";
import { COMMON } from "./common.ts";

export const tensordash: Machine = {
  ...COMMON,
  name: "tensordash",
  summary: "4 x 16 units of 16 multipliers with a window of three rows: TensorDash-like",
  design: { kind: "lookahead", rows: 4, cols: 16, depth: 3 },
  overhead: {
    value: 0.05,
    low: 0.02,
    high: 0.09,
    source: "M. Mahmoud et al., TensorDash, MICRO 2020: less than 5 % of area on a Tensorcore-like accelerator",
    standing: "cited",
  },
  sources: [
    "M. Mahmoud et al., TensorDash, MICRO 2020, arXiv 2009.00748: units of 16, eight choices, window of three, tiles of 4 x 4, here four side by side; ties of the scheduler broken otherwise",
  ],
};
