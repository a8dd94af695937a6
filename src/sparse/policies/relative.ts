/** relative:K keeps abs(g) > K times the root mean square of that gate's gradients: scale-free. */
import type { PolicyEntry } from "../policy.ts";
import { rootMeanSquare, steered } from "./steered.ts";

export const relative: PolicyEntry = {
  summary: "keep abs(g) > K x rms of the gate's gradients",
  argument: { name: "K", default: 0.1, atLeast: 0, atMost: 1e6, perGate: true },
  options: ["pooled"],
  start: (context) => steered(context, "threshold", (statistics, groups, K) => K * rootMeanSquare(statistics, groups)),
};
