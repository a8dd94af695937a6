/** Learning-rate schedules: a factor of the base rate as a function of the step. */
export const SCHEDULES = {
  constant: () => 1,
  /** To 0 at the last step. */
  linear: (progress: number) => 1 - progress,
  cosine: (progress: number) => (1 + Math.cos(Math.PI * progress)) / 2,
  /** A thousandth at the last step. */
  exponential: (progress: number) => 10 ** (-3 * progress),
  /** Halved at 50 %, 70 % and 90 %. */
  step: (progress: number) => 0.5 ** [0.5, 0.7, 0.9].filter((mark) => progress >= mark).length,
} satisfies Record<string, (progress: number) => number>;

export type ScheduleName = keyof typeof SCHEDULES;
/** A schedule that needs more than the progress: the factor at a 0-based step. */
export type Schedule = (step: number) => number;

/**
 * The full rate for `decayAfterEpoch` epochs, then `decayFactor` times the epoch before's, epoch by epoch
 * (Zaremba, Sutskever and Vinyals 2014: halved after each epoch from the fourth on).
 */
export function epochDecay(batchesPerEpoch: number, decayAfterEpoch: number, decayFactor: number): Schedule {
  return (step) => decayFactor ** Math.max(0, Math.floor(step / batchesPerEpoch) + 1 - decayAfterEpoch);
}

/** Factor at a 0-based step of maxSteps, with a linear warm-up over the first `warmupSteps`. */
export function scheduleFactor(
  schedule: ScheduleName | Schedule,
  step: number,
  maxSteps: number,
  warmupSteps: number,
): number {
  if (step < warmupSteps) return (step + 1) / (warmupSteps + 1);
  if (typeof schedule === "function") return schedule(step);
  return SCHEDULES[schedule](Math.min(1, (step - warmupSteps) / Math.max(1, maxSteps - warmupSteps)));
}
