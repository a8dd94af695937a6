/** Batches from a finite set of unrelated sequences: shuffled anew at each epoch for training, in order for evaluation. */
import { check } from "../core/check.ts";
import { RandomStream } from "../core/random.ts";
import type { BatchBuffers, BatchCursor, BatchShape, Split } from "./task.ts";

/** Sequences by index: nothing of one is copied before a batch wants it. */
export interface ExampleSet {
  readonly count: number;
  /** Writes example `index` into lane b of B: inputs, targets, its length. */
  fill(index: number, into: BatchBuffers, T: number, B: number, b: number): void;
  /** Where it is given, batches of training gather examples of like size: the less of them is padding. */
  sizeOf?(index: number): number;
}

/** Batches within which examples are sorted by size. */
const POOL = 32;

/**
 * An epoch of training is floor(count / B) full batches of a fresh order, as of PyTorch's DataLoader with shuffle and
 * drop_last; with fewer than B examples, one batch that repeats some. An epoch of evaluation is all of them once: its
 * last batch has fewer lanes.
 */
export class ExampleCursor implements BatchCursor {
  readonly T: number;
  readonly B: number;
  readonly batchesPerEpoch: number;
  position = 0;
  lanes: number;
  readonly #set: ExampleSet;
  readonly #shuffles: boolean;
  readonly #order: Int32Array;
  readonly #random: RandomStream;
  #epochState: readonly number[]; // of the stream, before the present order was drawn

  constructor(task: string, split: Split, { T, B, seed }: BatchShape, set: ExampleSet) {
    check(T >= 1, `task ${task}: train.sequenceLength is ${T}; give a whole number of at least 1.`);
    check(set.count > 0, `task ${task}: the ${split} split has no examples; give more data, or a split of your own.`);
    this.T = T;
    this.#set = set;
    this.#shuffles = split === "train";
    this.B = this.#shuffles ? B : Math.min(B, set.count);
    this.lanes = this.B;
    this.batchesPerEpoch = this.#shuffles ? Math.max(1, Math.floor(set.count / B)) : Math.ceil(set.count / this.B);
    this.#order = new Int32Array(this.#shuffles ? set.count : 0);
    this.#random = new RandomStream(seed, `data.${task}.${split}`);
    this.#epochState = this.#random.save();
  }

  next(into: BatchBuffers): boolean {
    const { T, B, batchesPerEpoch } = this;
    const { count } = this.#set;
    const batch = this.position % batchesPerEpoch;
    if (batch === 0) this.#begin();
    this.lanes = this.#shuffles ? B : Math.min(B, count - batch * B);
    for (let b = 0; b < this.lanes; b++) {
      const place = (batch * B + b) % count;
      this.#set.fill(this.#shuffles ? (this.#order[place] as number) : place, into, T, this.lanes, b);
    }
    this.position++;
    return true;
  }

  /** Draws an epoch's order. */
  #begin(): void {
    if (!this.#shuffles) return;
    this.#epochState = this.#random.save();
    const order = this.#order;
    for (let i = 0; i < order.length; i++) order[i] = i;
    for (let i = order.length - 1; i > 0; i--) {
      const j = this.#random.below(i + 1);
      const kept = order[i] as number;
      order[i] = order[j] as number;
      order[j] = kept;
    }
    if (this.#set.sizeOf) this.#gather(this.#set.sizeOf);
  }

  /** By size within pools; the batches then in an order of their own. */
  #gather(sizeOf: (index: number) => number): void {
    const { B, batchesPerEpoch } = this;
    const order = [...this.#order];
    for (let from = 0; from < order.length; from += POOL * B)
      this.#order.set(
        order.slice(from, from + POOL * B).sort((a, b) => sizeOf(a) - sizeOf(b) || a - b),
        from,
      );
    if (batchesPerEpoch < 2) return;
    const sorted = this.#order.slice();
    for (let batch = batchesPerEpoch - 1; batch >= 0; batch--) {
      const other = this.#random.below(batch + 1);
      for (let b = 0; b < B; b++) {
        const kept = sorted[batch * B + b] as number;
        sorted[batch * B + b] = sorted[other * B + b] as number;
        sorted[other * B + b] = kept;
      }
    }
    this.#order.set(sorted);
  }

  save(): number[] {
    const within = this.position % this.batchesPerEpoch !== 0;
    return [this.position, ...(within ? this.#epochState : this.#random.save())];
  }

  load([position = 0, ...state]: readonly number[]): void {
    this.position = position;
    this.#random.load(state);
    if (position % this.batchesPerEpoch !== 0) this.#begin();
  }
}
