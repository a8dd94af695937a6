import type { Machine } from "../machine.ts";
import { systolicWs } from "./systolic-ws.ts";

export const systolicWsGated: Machine = {
  ...systolicWs,
  name: "systolic-ws-gated",
  summary: "the same; a zero gradient switches its multiplier off",
  design: { kind: "systolic", rows: 32, cols: 32, stationary: "weight", gating: true, gather: "none" },
  sources: ["Y.-H. Chen et al., Eyeriss, ISSCC 2016: zero gating; the array is systolic-ws"],
};
