/** How long what is left of a sweep will take, from what is done of it. */

export interface Work {
  /** Name of the arm. */
  readonly arm: string;
  readonly steps: number;
}

export interface DoneWork extends Work {
  readonly wallSeconds: number;
}

/** Wall-clock seconds of what is left, `processes` at a time; null while nothing is known of any arm. */
export function estimateSeconds(left: readonly Work[], done: readonly DoneWork[], processes: number): number | null {
  const rate = (some: readonly DoneWork[]) => {
    const steps = some.reduce((sum, work) => sum + work.steps, 0);
    return steps > 0 ? some.reduce((sum, work) => sum + work.wallSeconds, 0) / steps : undefined;
  };
  const overall = rate(done);
  if (overall === undefined) return null;
  const rates = new Map<string, number>();
  for (const arm of new Set(done.map((work) => work.arm)))
    rates.set(arm, rate(done.filter((work) => work.arm === arm)) ?? overall);
  const seconds = left.map(({ arm, steps }) => steps * (rates.get(arm) ?? overall));
  // No member is shared: with one left, more processes do not help.
  return Math.max(0, ...seconds, seconds.reduce((sum, each) => sum + each, 0) / processes);
}
