/**
 * Sequences of different length in one batch, padded on the right, with the semantics of PyTorch's packed sequences.
 * Past its end a lane's states stay as they are, so that the last position holds those of its true end; its gate
 * gradients are exactly zero, and it is in no count. What flows into its states flows on to its end unchanged.
 *
 * The time loops call this at each t; where all lanes are there it does nothing.
 */
import type { Arena, Tensor } from "../core/arena.ts";
import { check } from "../core/check.ts";
import type { CellStep } from "../kernels/kernels.ts";
import type { Pattern } from "../sparse/pattern.ts";
import type { DropRule } from "../sparse/rule.ts";
import { type SiteStatistics, uncountRow } from "../sparse/statistics.ts";
import type { Pass } from "./module.ts";

/** Lengths of 1 to T; above T: the whole pass. */
export function checkLengths({ lengths, B }: Pass): void {
  if (!lengths) return;
  for (let b = 0; b < B; b++)
    check(
      (lengths[b] as number) >= 1,
      () => `length ${lengths[b]} in lane ${b} of a batch; sequences have at least 1 position.`,
    );
}

/** Positions of times [from, from + steps) that are padding. */
export function paddedPositions({ lengths, B }: Pass, from: number, steps: number): number {
  let count = 0;
  if (lengths) for (let b = 0; b < B; b++) count += Math.min(steps, Math.max(0, from + steps - (lengths[b] as number)));
  return count;
}

export class Padding {
  readonly #held: readonly Tensor[]; // (B, H): dh, and dLoss/dstate of each further state, past a lane's end
  #pass: Pass | undefined;
  #full = 0;

  constructor(arena: Arena, name: string, states: readonly string[], B: number, H: number) {
    this.#held = ["h", ...states].map((state) => arena.tensor(`${name}.held${state}`, [B, H], "workspace"));
  }

  /** To the lanes of this pass. */
  begin(pass: Pass): void {
    const { T, B, lengths } = pass;
    let full = T;
    if (lengths) for (let b = 0; b < B; b++) full = Math.min(full, lengths[b] as number);
    this.#pass = pass;
    this.#full = full;
  }

  /** All lanes are there before this time. */
  get full(): number {
    return this.#full;
  }

  /** Rows of times [from, from + steps) that are padding. */
  rows(from: number, steps: number): number {
    return from + steps <= this.#full ? 0 : paddedPositions(this.#pass as Pass, from, steps);
  }

  #isPadding(time: number, lane: number): boolean {
    return time >= ((this.#pass as Pass).lengths as Int32Array)[lane]!;
  }

  /** After the cell's forward of `step`, at `time`: states past the end stay. */
  freeze({ hRow, stateRow, rows, h, states }: CellStep, time: number): void {
    if (time < this.#full) return;
    for (let b = 0; b < rows; b++) {
      if (!this.#isPadding(time, b)) continue;
      copyRow(h, hRow + rows + b, h, hRow + b);
      for (let s = 0; s < states.length; s++) copyRow(states[s]!, stateRow + rows + b, states[s]!, stateRow + b);
    }
  }

  /** Before the cell's backward, dh complete: holds what flows through. */
  hold({ rows, dh, dStates }: CellStep, time: number): void {
    if (time < this.#full) return;
    for (let b = 0; b < rows; b++) {
      if (!this.#isPadding(time, b)) continue;
      copyRow(this.#held[0]!, b, dh, b);
      for (let s = 0; s < dStates.length; s++) copyRow(this.#held[s + 1]!, b, dStates[s]!, b);
    }
  }

  /** After the cell's backward, before the rule: no gate gradients, and nothing to come back to in a residue. */
  silence({ row, rows, gates, dStates }: CellStep, time: number, rule: DropRule): void {
    if (time < this.#full) return;
    for (let b = 0; b < rows; b++) {
      if (!this.#isPadding(time, b)) continue;
      clearRow(gates, row + b);
      if (rule.residue) clearRow(rule.residue, time * rows + b);
      for (let s = 0; s < dStates.length; s++) copyRow(dStates[s]!, b, this.#held[s + 1]!, b);
    }
  }

  /** After a sweep of `step`'s rows: takes padding out of its counts. */
  uncount({ site }: Pattern, statistics: SiteStatistics, { rows }: CellStep, time: number): void {
    if (time < this.#full) return;
    for (let b = 0; b < rows; b++) if (this.#isPadding(time, b)) uncountRow(statistics, site, time * rows + b);
  }

  /** After dh of t-1 was made: past the end it is dh of t. */
  release({ rows, dh }: CellStep, time: number): void {
    if (time < this.#full) return;
    for (let b = 0; b < rows; b++) if (this.#isPadding(time, b)) copyRow(dh, b, this.#held[0]!, b);
  }
}

function copyRow(to: Tensor, toRow: number, from: Tensor, fromRow: number): void {
  const width = to.rowLength;
  for (let i = 0; i < width; i++) to.data[toRow * width + i] = from.data[fromRow * width + i] as number;
}

function clearRow(tensor: Tensor, row: number): void {
  const width = tensor.rowLength;
  tensor.data.fill(0, row * width, (row + 1) * width);
}
