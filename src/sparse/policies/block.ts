/**
 * block:SHARE keeps blocks: `size` adjacent hidden units of one gate in one row, where their root mean
 * square is above tau. tau is a quantile, such that a share SHARE of each gate's blocks is kept; the sweep
 * counts the blocks' root mean squares into a histogram of their own, on every eighth row.
 *
 * Structured sparsity in gate gradients is after Structurally Sparsified Backward Propagation (arXiv
 * 1806.00512), whose blocks could not be looked up: this definition is ours.
 */
import type { PolicyEntry } from "../policy.ts";
import { HISTOGRAM_BINS } from "../statistics.ts";
import { binQuantile, steered } from "./steered.ts";

export const block: PolicyEntry = {
  summary: "keep blocks of `size` adjacent units of a gate, a share SHARE of them, by root mean square",
  argument: { name: "SHARE", default: 0.2, atLeast: 0, atMost: 1, perGate: true },
  options: ["size", "pooled"],
  start(context) {
    const { site, arena, options } = context;
    const blocks = arena.ints(`${site.name}.blocks`, [site.groups.length, HISTOGRAM_BINS], "statistics");
    const policy = steered(context, "block", (_statistics, groups, share) =>
      share === 1 ? 0 : binQuantile(blocks, groups, 1 - share),
    );
    return {
      ...policy,
      plan(step, out) {
        policy.plan(step, out);
        out.size = options.size;
        out.blocks = blocks;
        blocks.data.fill(0);
        out.kind = "block"; // also while nothing is dropped, for only this rule counts blocks
      },
    };
  },
};
