/**
 * Observations: what was kept, what was zero by itself and what a rule dropped, per site and group.
 * Copies of bounded aggregates, never views of the arena.
 *
 * sparsity      exact zeros after the rule / all elements, natural zeros included
 * naturalZeros  exact zeros before the rule / all elements
 * dropped       sparsity - naturalZeros: what the rule added, the headline
 * energy        realised local energy: squares kept / squares before the rule
 */
import type { Site } from "./site.ts";
import { KEPT, KEPT_SQUARES, NATURAL_ZEROS, type SiteStatistics, SQUARES, SUM_COLUMNS, TOTAL } from "./statistics.ts";

export interface Sparsity {
  readonly sparsity: number;
  readonly naturalZeros: number;
  readonly dropped: number;
  readonly energy: number;
}

export interface SiteObservation extends Sparsity {
  readonly site: string;
  readonly groups: readonly (Sparsity & { readonly group: string })[];
}

/** Sums statistics over steps. State is plain numbers, for checkpoints. */
export class SparsityTally {
  readonly #sites: readonly Site[];
  readonly #sums: Float64Array[];

  constructor(sites: readonly Site[]) {
    this.#sites = sites;
    this.#sums = sites.map((site) => new Float64Array(site.groups.length * SUM_COLUMNS));
  }

  add(index: number, statistics: SiteStatistics): void {
    const sums = this.#sums[index] as Float64Array;
    const seen = statistics.sums.data;
    for (let i = 0; i < sums.length; i++) sums[i] = (sums[i] as number) + (seen[i] as number);
  }

  clear(): void {
    for (const sums of this.#sums) sums.fill(0);
  }

  /** Over the first `count` sites together: the gate sites come first, the head's after them. */
  overall(count = this.#sums.length): Sparsity {
    const total = new Float64Array(SUM_COLUMNS);
    for (const sums of this.#sums.slice(0, count))
      for (let i = 0; i < sums.length; i++) total[i % SUM_COLUMNS]! += sums[i]!;
    return shares(total, 0);
  }

  sites(): SiteObservation[] {
    return this.#sites.map((site, index) => {
      const sums = this.#sums[index] as Float64Array;
      const total = new Float64Array(SUM_COLUMNS);
      for (let i = 0; i < sums.length; i++) total[i % SUM_COLUMNS]! += sums[i]!;
      const groups = site.groups.map((group, g) => ({ group, ...shares(sums, g) }));
      return { site: site.name, ...shares(total, 0), groups };
    });
  }

  save(): number[][] {
    return this.#sums.map((sums) => [...sums]);
  }

  load(state: readonly (readonly number[])[]): void {
    for (const [index, sums] of this.#sums.entries()) sums.set(state[index] as number[]);
  }
}

/** Of row `group` of a (groups, SUM_COLUMNS) table of sums. */
export function shares(sums: Float64Array, group: number): Sparsity {
  const at = (column: number) => sums[group * SUM_COLUMNS + column] as number;
  const total = at(TOTAL);
  const sparsity = total ? 1 - at(KEPT) / total : 0;
  const naturalZeros = total ? at(NATURAL_ZEROS) / total : 0;
  const energy = at(SQUARES) > 0 ? at(KEPT_SQUARES) / at(SQUARES) : 1;
  const dropped = total ? (total - at(KEPT) - at(NATURAL_ZEROS)) / total : 0;
  return { sparsity, naturalZeros, dropped, energy };
}
