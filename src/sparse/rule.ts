/**
 * A rule says what is dropped at one site in one backward pass. Policies write it, kernels execute it.
 *
 * keep        nothing is dropped; products run dense
 * threshold   drop where abs(g) <= tau of its group
 * stochastic  where 0 < abs(g) < tau: sign(g) tau with probability abs(g)/tau, else dropped (unbiased)
 * custom      `apply` zeroes what it drops in the rows it is given (slow, and correct on every engine)
 *
 * The test is `abs(g) <= tau`, so NaN and infinities survive every rule and reach the guard.
 * tau is in units of dLoss/d(pre-activation), the loss averaged over counted positions, before clipping.
 */
export type RuleKind = "keep" | "threshold" | "stochastic" | "custom";

/** One mutable rule per site, filled in place before each backward pass. */
export interface DropRule {
  kind: RuleKind;
  /** Per group. Kernels compare in the precision of the gradients (float32: tau is rounded to it). */
  readonly tau: Float64Array;
  /** Seeds `counterHash(key, row*cols + col)` for stochastic rules. */
  key: number;
  apply: ((g: Float32Array | Float64Array, row: number, rows: number, cols: number) => void) | undefined;
}

export function dropRule(groups: number): DropRule {
  return { kind: "keep", tau: new Float64Array(groups), key: 0, apply: undefined };
}
