import type { Machine } from "../machine.ts";
import { systolicOs } from "./systolic-os.ts";

export const systolicOsGated: Machine = {
  ...systolicOs,
  name: "systolic-os-gated",
  summary: "the same; a zero gradient switches its multiplier off",
  design: { kind: "systolic", rows: 32, cols: 32, stationary: "output", gating: true, gather: "none" },
  sources: ["Y.-H. Chen et al., Eyeriss, ISSCC 2016: zero gating; the array is systolic-os"],
};
