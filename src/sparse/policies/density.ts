/** density:P steers tau so that a share P of each gate's gradients is kept (a quantile). */
import { formatNumber } from "../../core/check.ts";
import type { PolicyEntry } from "../policy.ts";
import { quantile, steered } from "./steered.ts";

export const density: PolicyEntry = {
  summary: "keep a share P of the gradients of each gate",
  argument: { name: "P", default: 0.1, atLeast: 0, atMost: 1 },
  create: (P) =>
    steered(`density:${formatNumber(P)}`, "threshold", (statistics, group) => quantile(statistics, group, 1 - P)),
};
