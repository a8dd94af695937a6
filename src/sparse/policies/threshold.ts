/**
 * threshold:TAU keeps abs(g) > TAU: the paper's rule, one static global threshold
 * (Zhu, Rhu, Clemons, Keckler, Xie 2017). TAU is in units of the loss averaged over counted
 * positions: it means nothing without that, and doubling the batch halves every gradient.
 */
import type { PolicyEntry } from "../policy.ts";
import { stateless } from "./stateless.ts";

export const threshold: PolicyEntry = {
  summary: "keep abs(g) > TAU, one static threshold (the paper's; its values are 1e-8 to 1e-5)",
  argument: { name: "TAU", default: 1e-6, atLeast: 0, atMost: Number.MAX_VALUE, perGate: true },
  start: ({ budgets }) =>
    stateless((_step, out) => {
      out.kind = "threshold";
      out.tau.set(budgets);
    }),
};
