/** Batch cursors that tasks share: windows of one long sequence, and fresh sequences from a seed. */
import { UsageError } from "../core/check.ts";
import { RandomStream } from "../core/random.ts";
import type { BatchBuffers, BatchCursor, BatchShape, Split } from "./task.ts";

/**
 * Contiguous windows of one long sequence of tokens, each predicting the next token.
 *
 * The sequence is cut into B lanes of equal length; batch w holds window w of every lane, so that
 * carried states flow from a lane's window to its next one. What is left over at the end is not read.
 */
export class WindowCursor implements BatchCursor {
  readonly T: number;
  readonly B: number;
  readonly batchesPerEpoch: number;
  position = 0;
  readonly #sequence: Int32Array;
  readonly #lane: number; // tokens from a lane's start to the next one's

  constructor(sequence: Int32Array, T: number, B: number) {
    this.T = T;
    this.B = B;
    this.#sequence = sequence;
    this.#lane = Math.floor((sequence.length - 1) / B); // the last token is only a target
    this.batchesPerEpoch = Math.floor(this.#lane / T);
  }

  next({ tokens, targets, lengths }: BatchBuffers): boolean {
    const { T, B } = this;
    lengths.fill(T, 0, B);
    const window = this.position % this.batchesPerEpoch;
    for (let b = 0; b < B; b++) {
      let from = b * this.#lane + window * T;
      for (let t = 0; t < T; t++, from++) {
        (tokens as Int32Array)[t * B + b] = this.#sequence[from] as number;
        targets[t * B + b] = this.#sequence[from + 1] as number;
      }
    }
    this.position++;
    return window === 0;
  }

  save(): number[] {
    return [this.position];
  }

  load([position = 0]: readonly number[]): void {
    this.position = position;
  }
}

/** Where the train and the valid split of one text end: 90 % and 95 % of it. */
export function boundaries(count: number): { train: number; valid: number } {
  return { train: Math.floor(count * 0.9), valid: Math.floor(count * 0.95) };
}

export function splitRange(split: Split, count: number): [start: number, end: number] {
  const { train, valid } = boundaries(count);
  return { train: [0, train], valid: [train, valid], test: [valid, count] }[split] as [number, number];
}

/** What to say of a text that is too short: it has a length of its own or, in parts, each part has one. */
export interface TextNames {
  readonly name: string;
  readonly unit: "characters" | "words";
  /** Length of the whole text, of which the sequence is a split. */
  readonly count?: number;
  /** Or the part that the sequence is. */
  readonly part?: Split;
}

/** Windows over a split of a text; an evaluation split that is short gets fewer lanes. */
export function textCursor(sequence: Int32Array, split: Split, { T, B }: BatchShape, names: TextNames): WindowCursor {
  const lanes = split === "train" ? B : Math.min(B, Math.floor((sequence.length - 1) / T));
  if (lanes < 1 || sequence.length < lanes * T + 1) throw tooShort(sequence.length, split, T, B, names);
  return new WindowCursor(sequence, T, lanes);
}

function tooShort(
  length: number,
  split: Split,
  T: number,
  B: number,
  { name, unit, count, part }: TextNames,
): UsageError {
  const enough = (n: number) => {
    const { train, valid } = boundaries(n);
    return train > B * T && valid - train > T && n - valid > T;
  };
  let needed = (split === "train" ? B : 1) * T + 1;
  if (count !== undefined) while (!enough(needed)) needed++;
  const what = part === undefined ? `text "${name}"` : `the ${part} part of text "${name}"`;
  return new UsageError(
    `${what} has ${count ?? length} ${unit}; train.batchSize ${B} and train.sequenceLength ${T} need at least ${needed}. ` +
      "Give a longer text, or make train.batchSize or train.sequenceLength smaller.",
  );
}

/** Batches in an epoch of generated training sequences: they never repeat, so it is only a unit. */
const TRAIN_BATCHES = 100;
/** Generated sequences in each of valid and test, at least; the last batch is filled up. */
const EVALUATION_SEQUENCES = 1000;

/** Writes one generated sequence into lane b of a batch; its length, where that is not T. */
export type FillLane = (into: BatchBuffers, T: number, B: number, b: number, random: RandomStream) => void;

/**
 * Unrelated sequences drawn from a stream of the split's own: endless fresh ones for training, the
 * same set at every epoch for valid and test. States are zeroed before every batch.
 */
export class SequenceCursor implements BatchCursor {
  readonly T: number;
  readonly B: number;
  readonly batchesPerEpoch: number;
  position = 0;
  readonly #fill: FillLane;
  readonly #random: RandomStream;
  readonly #start: readonly number[];
  readonly #repeats: boolean;

  constructor(task: string, split: Split, { T, B, seed }: BatchShape, fill: FillLane) {
    this.T = T;
    this.#repeats = split !== "train";
    this.B = this.#repeats ? Math.min(B, EVALUATION_SEQUENCES) : B;
    this.batchesPerEpoch = this.#repeats ? Math.ceil(EVALUATION_SEQUENCES / this.B) : TRAIN_BATCHES;
    this.#fill = fill;
    this.#random = new RandomStream(seed, `data.${task}.${split}`);
    this.#start = this.#random.save();
  }

  next(into: BatchBuffers): boolean {
    if (this.#repeats && this.position % this.batchesPerEpoch === 0) this.#random.load(this.#start);
    into.lengths.fill(this.T, 0, this.B);
    for (let b = 0; b < this.B; b++) this.#fill(into, this.T, this.B, b, this.#random);
    this.position++;
    return true;
  }

  save(): number[] {
    return [this.position, ...this.#random.save()];
  }

  load([position = 0, ...random]: readonly number[]): void {
    this.position = position;
    this.#random.load(random);
  }
}
