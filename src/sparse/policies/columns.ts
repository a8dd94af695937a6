/**
 * columns:SHARE keeps at each time step the columns (one gate of one unit, for all samples) of largest
 * norm; `unbiased`, with probability in proportion to the norm and scaled by its inverse: the column-row
 * sampling of Adelman, Levy, Hakimi and Silberstein (NeurIPS 2021, arXiv 1805.08079).
 */
import type { PolicyEntry } from "../policy.ts";
import { drawn } from "./drawn.ts";
import { stateless } from "./stateless.ts";

export const columns: PolicyEntry = {
  summary: "keep whole columns at each time step, the share SHARE of largest norm (unbiased: at random by norm)",
  argument: { name: "SHARE", default: 0.2, atLeast: 0, atMost: 1, perGate: true },
  options: ["unbiased", "pooled"],
  start: (context) =>
    stateless((step, out) => {
      out.kind = "columns";
      out.share.set(context.budgets);
      out.unbiased = context.options.unbiased;
      out.pooled = context.options.pooled;
      out.key = drawn(context, step);
    }),
};
