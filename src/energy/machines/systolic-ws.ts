import type { Machine } from "../machine.ts";
import { COMMON } from "./common.ts";

export const systolicWs: Machine = {
  ...COMMON,
  name: "systolic-ws",
  summary: "dense 32 x 32 array, weights stay: what the others are compared with",
  design: { kind: "systolic", rows: 32, cols: 32, stationary: "weight", gating: false, gather: "none" },
  sources: [
    "N. Jouppi et al., In-Datacenter Performance Analysis of a Tensor Processing Unit, ISCA 2017: the kind of array; size and memory are ours",
  ],
};
