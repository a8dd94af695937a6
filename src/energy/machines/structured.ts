import type { Machine } from "../machine.ts";
import { COMMON } from "./common.ts";

export const structured: Machine = {
  ...COMMON,
  name: "structured",
  summary: "systolic-ws behind a unit that leaves out columns that are zero for all samples of a position",
  design: { kind: "systolic", rows: 32, cols: 32, stationary: "weight", gating: false, gather: "columns" },
  overhead: {
    value: 0.02,
    low: 0.005,
    high: 0.05,
    source: "a gather unit of one comparison and one address a column: estimated, no published layout",
    standing: "assumption",
  },
  sources: [
    "M. Zhu et al., Structurally Sparsified Backward Propagation for Faster LSTM Training, arXiv 1806.00512: the idea; the array is systolic-ws",
  ],
};
