/** Which examples are held back from training: a share of each class, in a draw that is always the same. */
import { RandomStream } from "../core/random.ts";

/**
 * Part of each example: 0 trains, 1 to `parts` are held back. One in `every` of each class goes to each of those parts
 * (of a class too small for half an example none does). The draw does not depend on a run's seed: runs are to be
 * compared.
 */
export function holdBack(classes: readonly string[], every: number, parts: number): Int8Array {
  const random = new RandomStream(0, "split");
  const byClass = new Map<string, number[]>();
  for (const [index, name] of classes.entries()) {
    const members = byClass.get(name);
    if (members) members.push(index);
    else byClass.set(name, [index]);
  }
  const part = new Int8Array(classes.length);
  for (const members of byClass.values()) {
    for (let i = members.length - 1; i > 0; i--) {
      const j = random.below(i + 1);
      [members[i], members[j]] = [members[j] as number, members[i] as number];
    }
    const held = Math.round(members.length / every);
    for (let i = 0; i < held; i++)
      for (let p = 0; p < parts; p++) {
        const member = members[p * held + i];
        if (member !== undefined) part[member] = p + 1;
      }
  }
  return part;
}
