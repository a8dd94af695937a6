/**
 * From gaps in a training in small to what a whole training will show. Pure functions of numbers; the derivation and
 * where the constants come from: docs/choosing-a-threshold.md.
 *
 * A gap is a validation loss relative to dense of the same seed, 0.01 = one per cent worse. With n steps under the
 * policy in small and N in the whole training, R seeds, d the mean gap:
 *
 *   predicted   d
 *   chance      s^2 / R + v^2                        s from the spread of gaps between seeds, v from validation batches
 *   model       (ln(N / n))^2 (c0^2 + (c1 d)^2)      that a small training is not the whole one
 *   interval    d -+ t sqrt(chance + model)          t: Student's 97.5 % quantile at the freedom s has
 */
import { mean, studentQuantile } from "../runs/paired.ts";

/**
 * Spread of gaps between seeds that is believed before any is seen, and how many degrees of freedom that is worth: with
 * few seeds a spread found small by luck must not make an interval short. Branches that leave a trunk late stay near
 * each other; those that differ from the first step on leave the plateau at another step, and each seed tells another tale.
 */
export const PRIOR_SPREAD = { late: 0.002, early: 0.008 } as const;
export const PRIOR_FREEDOM = 2;

/** How far gaps move, for each factor e between n and N: a part of their own, and one in proportion to the gap. */
export const MODEL_ERROR = { own: 0.0025, relative: 0.3 } as const;

export interface Spread {
  /** Standard deviation of an arm's gap from seed to seed. */
  readonly deviation: number;
  readonly freedom: number;
}

export interface Estimate {
  readonly mean: number;
  readonly low: number;
  readonly high: number;
}

/** Of arms tried with several seeds, around their own means; together with what was believed before. */
export function spreadOf(arms: readonly (readonly number[])[], start: keyof typeof PRIOR_SPREAD): Spread {
  const several = arms.filter((gaps) => gaps.length > 1);
  let [squares, plain] = [0, 0];
  for (const gaps of several) {
    const middle = mean(gaps);
    for (const gap of gaps) squares += (gap - middle) ** 2;
    plain += gaps.length - 1;
  }
  // All gaps of a seed share its dense loss: gaps of two arms are correlated by about 1/2, their squares by 1/4.
  const freedom = several.length > 0 ? plain / (1 + (several.length - 1) / 4) : 0;
  const found = plain > 0 ? squares / plain : 0;
  return {
    deviation: Math.sqrt((PRIOR_FREEDOM * PRIOR_SPREAD[start] ** 2 + freedom * found) / (PRIOR_FREEDOM + freedom)),
    freedom: PRIOR_FREEDOM + freedom,
  };
}

/** Steps under the policy, dense ones before them left out: of the small training and of the whole one. */
export interface Lengths {
  readonly small: number;
  readonly whole: number;
}

/** `batchErrors`: of each gap, the standard error of its mean over validation batches. */
export function estimate(
  gaps: readonly number[],
  batchErrors: readonly number[],
  { deviation, freedom }: Spread,
  { small, whole }: Lengths,
): Estimate {
  const predicted = mean(gaps);
  const chance = deviation ** 2 / gaps.length + mean(batchErrors.map((error) => error ** 2));
  const longer = Math.log(Math.max(1, whole / small));
  const model = longer ** 2 * (MODEL_ERROR.own ** 2 + (MODEL_ERROR.relative * predicted) ** 2);
  const half = studentQuantile(0.975, freedom) * Math.sqrt(chance + model);
  return { mean: predicted, low: predicted - half, high: predicted + half };
}

/** Validation losses batch by batch, of the same batches: the relative difference and its standard error. */
export function gapOf(losses: readonly number[], reference: readonly number[]): { gap: number; error: number } {
  const base = mean(reference);
  const gap = mean(losses) / base - 1;
  if (!Number.isFinite(gap) || losses.length < 2) return { gap, error: 0 };
  const differences = losses.map((loss, batch) => loss - (reference[batch] as number));
  const middle = mean(differences);
  const squares = differences.reduce((sum, difference) => sum + (difference - middle) ** 2, 0);
  return { gap, error: Math.sqrt(squares / (losses.length - 1) / losses.length) / base };
}

export type Verdict = "within" | "perhaps" | "beyond";

/** Seeds without which nothing is called within: the one that made a candidate look best is no evidence for it. */
const LEAST_SEEDS = 2;

/** within: the whole interval lies below the margin; perhaps: its middle does, or one seed says so; beyond: not even that. */
export function verdictOf({ mean, high }: Estimate, maxLoss: number, seeds: number): Verdict {
  if (high < maxLoss && seeds >= LEAST_SEEDS) return "within";
  return mean < maxLoss ? "perhaps" : "beyond";
}
