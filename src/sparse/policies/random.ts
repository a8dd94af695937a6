/** random:P keeps each gradient with probability P, scaled by 1/P: unbiased, blind, the floor others are measured against. */
import type { PolicyEntry } from "../policy.ts";
import { drawn } from "./drawn.ts";
import { stateless } from "./stateless.ts";

export const random: PolicyEntry = {
  summary: "unbiased and blind, for comparison: keep each gradient with probability P, scaled by 1/P",
  argument: { name: "P", default: 0.1, atLeast: 0, atMost: 1, perGate: true },
  start: (context) =>
    stateless((step, out) => {
      out.kind = "random";
      out.share.set(context.budgets);
      out.key = drawn(context, step);
    }),
};
