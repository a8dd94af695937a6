/** Scores over classes from a table of what was taken for what: accuracy, and recall, precision and F1 of each class. */
import type { RealArray } from "../core/arena.ts";
import type { ScoreRow, Scorer } from "./task.ts";

export class ClassScorer implements Scorer {
  readonly #classes: readonly string[];
  /** (class, 3): how many there are, how many were found, how often it was said. */
  readonly #counts: Float64Array;

  constructor(classes: readonly string[]) {
    this.#classes = classes;
    this.#counts = new Float64Array(classes.length * 3);
  }

  /** Positions with target -1 do not count. */
  add(outputs: RealArray, { targets }: { readonly targets: ArrayLike<number> }, positions: number): void {
    const counts = this.#counts;
    const size = this.#classes.length;
    for (let p = 0; p < positions; p++) {
      const target = targets[p] as number;
      if (target < 0) continue;
      const said = largest(outputs, p * size, size);
      counts[target * 3]!++;
      counts[said * 3 + 2]!++;
      if (said === target) counts[target * 3 + 1]!++;
    }
  }

  /** Means over the classes that there are, each counting alike. */
  scores(): Record<string, number> {
    const rows = this.table().filter(({ count }) => (count as number) > 0);
    const mean = (key: string) => rows.reduce((sum, row) => sum + (row[key] as number), 0) / rows.length;
    return { macroRecall: mean("recall"), macroF1: mean("f1") };
  }

  table(): ScoreRow[] {
    return this.#classes.map((name, index) => {
      const [count, found, said] = this.#counts.subarray(index * 3, index * 3 + 3) as unknown as [
        number,
        number,
        number,
      ];
      const share = (of: number) => (of > 0 ? found / of : 0);
      return {
        class: name,
        count,
        recall: share(count),
        precision: share(said),
        f1: (2 * found) / (count + said || 1),
      };
    });
  }
}

/** Index, from `start`, of the largest of `length` numbers; the first of equal ones. */
export function largest(data: ArrayLike<number>, start: number, length: number): number {
  let best = 0;
  for (let i = 1; i < length; i++) if ((data[start + i] as number) > (data[start + best] as number)) best = i;
  return best;
}

/** Probabilities of one position: softmax of `length` logits from `start`. */
export function softmax(logits: ArrayLike<number>, start: number, length: number): number[] {
  const top = logits[start + largest(logits, start, length)] as number;
  const weights = Array.from({ length }, (_, i) => Math.exp((logits[start + i] as number) - top));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return weights.map((weight) => weight / total);
}
