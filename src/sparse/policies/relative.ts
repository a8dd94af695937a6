/** relative:K keeps abs(g) > K times the root mean square of that gate's gradients: scale-free. */
import { formatNumber } from "../../core/check.ts";
import type { PolicyEntry } from "../policy.ts";
import { rootMeanSquare, steered } from "./steered.ts";

export const relative: PolicyEntry = {
  summary: "keep abs(g) > K x rms of the gate's gradients",
  argument: { name: "K", default: 0.1, atLeast: 0, atMost: 1e6 },
  create: (K) =>
    steered(`relative:${formatNumber(K)}`, "threshold", (statistics, group) => K * rootMeanSquare(statistics, group)),
};
