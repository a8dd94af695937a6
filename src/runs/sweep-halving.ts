/**
 * Successive halving (Jamieson and Talwalkar, 2016): all arms train up to a budget, the better part of
 * them goes on from there. Runs are paused, not begun again: a survivor's run is bit for bit the one it
 * would have been without halving.
 */
import type { Arm } from "./sweep-arms.ts";
import { valueAt } from "./sweep-arms.ts";
import type { Halving } from "./sweep-grid.ts";

/**
 * Arms that go on, in their order. `lossOf` is an arm's mean of the lowest validation losses so far, null
 * if any of its members failed. Whatever the ranks, the best of `referenceArms` stays: without it nothing
 * could be said of the others.
 */
export function survivors(
  arms: readonly Arm[],
  lossOf: (arm: Arm) => number | null,
  { keep, within = [] }: Pick<Halving, "keep" | "within">,
  referenceArms: readonly Arm[],
): Arm[] {
  const ranked = (some: readonly Arm[]) =>
    some
      .map((arm) => ({ arm, loss: lossOf(arm) }))
      .filter((entry): entry is { arm: Arm; loss: number } => entry.loss !== null && Number.isFinite(entry.loss))
      .sort((a, b) => a.loss - b.loss) // stable: of equals the first
      .map(({ arm }) => arm);
  const groups = new Map<string, Arm[]>();
  for (const arm of arms) {
    const group = JSON.stringify(within.map((key) => valueAt(arm.config, key)));
    groups.set(group, [...(groups.get(group) ?? []), arm]);
  }
  const kept = new Set([...groups.values()].flatMap((group) => ranked(group).slice(0, Math.ceil(keep * group.length))));
  const [reference] = ranked(arms.filter((arm) => referenceArms.includes(arm)));
  if (reference) kept.add(reference);
  return arms.filter((arm) => kept.has(arm));
}
