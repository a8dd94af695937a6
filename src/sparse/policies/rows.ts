/**
 * rows:SHARE keeps at each time step whole rows (one sample, all gates) of largest norm; `unbiased`, with
 * probability in proportion to the norm and scaled by its inverse: the sampling of data and tokens of
 * VCAS (Wang, Chen, Zhu, ICLR 2024, arXiv 2402.17227), with a share that does not adapt.
 */
import type { PolicyEntry } from "../policy.ts";
import { drawn } from "./drawn.ts";
import { stateless } from "./stateless.ts";

export const rows: PolicyEntry = {
  summary: "keep whole rows (samples) at each time step, the share SHARE of largest norm (unbiased: at random by norm)",
  argument: { name: "SHARE", default: 0.2, atLeast: 0, atMost: 1, perGate: false },
  options: ["unbiased"],
  start: (context) =>
    stateless((step, out) => {
      out.kind = "rows";
      out.share.set(context.budgets);
      out.unbiased = context.options.unbiased;
      out.key = drawn(context, step);
    }),
};
