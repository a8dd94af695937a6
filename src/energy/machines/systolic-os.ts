import type { Machine } from "../machine.ts";
import { COMMON } from "./common.ts";

export const systolicOs: Machine = {
  ...COMMON,
  name: "systolic-os",
  summary: "dense 32 x 32 array, sums stay",
  design: { kind: "systolic", rows: 32, cols: 32, stationary: "output", gating: false, gather: "none" },
  sources: ["A. Samajdar et al., SCALE-Sim, arXiv 1811.02883: dataflow and cycles; size and memory as systolic-ws"],
};
