/**
 * topk:K keeps in each row (one sample at one time) the share K of each gate's gradients of largest
 * magnitude; `unified`, the same columns for all rows of a time step, those with the largest sum of
 * magnitudes: meProp (Sun, Ren, Ma, Wang, ICML 2017), which gives K as a number of units.
 */
import type { PolicyEntry } from "../policy.ts";
import { stateless } from "./stateless.ts";

export const topk: PolicyEntry = {
  summary: "keep the share K of largest magnitude in each row; unified: the same columns for all rows (meProp)",
  argument: { name: "K", default: 0.1, atLeast: 0, atMost: 1, perGate: true },
  options: ["unified", "pooled"],
  start: ({ budgets, options }) =>
    stateless((_step, out) => {
      out.kind = "topk";
      out.share.set(budgets);
      out.unified = options.unified;
      out.pooled = options.pooled;
    }),
};
