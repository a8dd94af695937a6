/**
 * A rule says what is dropped at one site in one backward pass. Policies write it, kernels execute it.
 *
 * keep        nothing is dropped; products run dense
 * threshold   drop where abs(g) <= tau of its group
 * stochastic  where abs(g) < tau: sign(g) tau with probability abs(g)/tau, else dropped (unbiased); kept where
 *             (counterHash >>> 8) tau < abs(g) 2^24 in the precision of the gradients, so to one part in 2^24
 * random      keep with probability share, scaled by 1/share (unbiased)
 * topk        of each row keep the share of largest magnitude;
 *             unified: the same columns for all rows, those with the largest sum of magnitudes
 * columns     keep the share of columns of largest norm
 * rows        keep the share of rows of largest norm, always over all groups
 * block       `size` adjacent columns of one group in one row: drop where their root mean square <= tau
 * custom      `apply` zeroes what it drops in the rows it is given (slow, and correct on every engine)
 *
 * Rows and columns are compared within one call of `compress`: the B rows of one time step, or a chunk of
 * the head. A share is of each group's columns, or, `pooled`, of all columns together; it is rounded to a
 * whole number of lines, at least one. `unbiased` columns and rows: each is kept with a probability p
 * proportional to its norm, at most 1, so that the expected share is kept, and scaled by 1/p.
 *
 * The test is `abs(g) <= tau`, so NaN and infinities survive every rule and reach the guard: a row or column
 * with one of them is kept as it is, beside the share.
 * tau is in units of dLoss/d(pre-activation), the loss averaged over counted positions, before clipping.
 *
 * A rule may apply on one path only: `dh` is what flows to earlier times and layers (dh and dx), `dW` the
 * weight gradients (dW and dU); the other path then sees everything. Bias gradients are summed from what dW
 * sees, or, `dense`, from everything.
 *
 * With a `residue` what is dropped is not lost: gradients have `decay` times what was dropped in their place
 * of the site at the step before added before the rule sees them, and what is dropped then is put there.
 * Rule keep leaves the residue alone.
 *
 * apply.ts executes all kinds and is their definition; engines have faster sweeps for some.
 */
import type { IntTensor, Tensor } from "../core/arena.ts";

export type RuleKind =
  | "keep"
  | "threshold"
  | "stochastic"
  | "random"
  | "topk"
  | "columns"
  | "rows"
  | "block"
  | "custom";

export type Paths = "both" | "dh" | "dW";
export type Bias = "pruned" | "dense";

/** One mutable rule per site, filled in place before each backward pass. */
export interface DropRule {
  kind: RuleKind;
  /** threshold, stochastic, block: per group. Kernels compare in the precision of the gradients (float32: tau is rounded to it). */
  readonly tau: Float64Array;
  /** random, topk, columns: what is kept, per group; rows and `pooled`: share[0]. */
  readonly share: Float64Array;
  /** Seeds the draws of stochastic, random and unbiased rules: `counterHash(key, row*cols + col)`. */
  key: number;
  /** columns, rows. */
  unbiased: boolean;
  /** topk. */
  unified: boolean;
  /** topk, columns: choose among all groups together. */
  pooled: boolean;
  /** block: columns of a block; a group's last block is what remains. */
  size: number;
  /** block: counts root mean squares before the rule, as SiteStatistics.histogram counts magnitudes. (groups, HISTOGRAM_BINS) */
  blocks: IntTensor | undefined;
  /** What was dropped at the step before. (site.rows, site.cols) */
  residue: Tensor | undefined;
  decay: number;
  paths: Paths;
  bias: Bias;
  apply: ((g: Float32Array | Float64Array, row: number, rows: number, cols: number) => void) | undefined;
}

export function dropRule(groups: number): DropRule {
  return {
    kind: "keep",
    tau: new Float64Array(groups),
    share: new Float64Array(groups),
    key: 0,
    unbiased: false,
    unified: false,
    pooled: false,
    size: 1,
    blocks: undefined,
    residue: undefined,
    decay: 1,
    paths: "both",
    bias: "pruned",
    apply: undefined,
  };
}

/** Whether all products see the same gradients: what the rule left, or everything. */
export function isWhole({ kind, paths, bias }: DropRule): boolean {
  return kind === "keep" || (paths === "both" && bias === "pruned");
}
