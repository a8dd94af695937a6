/** density:P steers tau so that a share P of each gate's gradients is kept (a quantile). */
import type { PolicyEntry } from "../policy.ts";
import { quantile, steered } from "./steered.ts";

export const density: PolicyEntry = {
  summary: "keep a share P of the gradients of each gate",
  argument: { name: "P", default: 0.1, atLeast: 0, atMost: 1, perGate: true },
  options: ["pooled"],
  start: (context) => steered(context, "threshold", (statistics, groups, P) => quantile(statistics, groups, 1 - P)),
};
