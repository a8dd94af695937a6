/**
 * THE CONTRACT of a task: what goes in, what comes out, where batches come from, how they score.
 * Tasks know nothing of nets.
 */
import type { RealArray } from "../core/arena.ts";

export type InputSpec =
  | { readonly kind: "tokens"; readonly vocabulary: number; readonly embedding?: number | undefined }
  | { readonly kind: "features"; readonly size: number };

/** Of tasks that read one sequence and write another: what is read, by an encoder. The input is then what was written so far. */
export type SourceSpec = InputSpec & {
  /** Positions of the longest that is read whole. */
  readonly length: number;
};

export interface OutputSpec {
  /** classes: softmax cross-entropy in nats. values: mean squared error. */
  readonly kind: "classes" | "values";
  readonly size: number;
  /** Which positions count: every t, or the last alone. */
  readonly positions: "all" | "last";
}

export const SPLITS = ["train", "valid", "test"] as const;
export type Split = (typeof SPLITS)[number];

/** Buffers for what an encoder reads, of S positions: element (s, b) at s*B + b. */
export interface SourceBuffers {
  /** (S*B) token numbers, or undefined for features. */
  readonly tokens: Int32Array | undefined;
  /** (S*B, size), or undefined for tokens. */
  readonly features: RealArray | undefined;
  /** (B), 1 to S. */
  readonly lengths: Int32Array;
}

/** A model's batch buffers; a cursor fills them in place, time-major: element (t, b) at t*B + b. */
export interface BatchBuffers {
  /** (T*B) token numbers, or undefined for features. */
  readonly tokens: Int32Array | undefined;
  /** (T*B, size), or undefined for tokens. */
  readonly features: RealArray | undefined;
  /** (positions) class numbers, -1 where a position does not count (padding); or (positions, size) values. */
  readonly targets: Int32Array | RealArray;
  /**
   * (B), 1 to T: how many positions of each lane are there. What follows is padding, with any valid token or finite
   * features; where every position counts, its targets are class -1 (values are left out by themselves). `last` is
   * the last position that is there. Lanes all as long as the batch have T.
   */
  readonly lengths: Int32Array;
  /** Of tasks with a source. */
  readonly source?: SourceBuffers | undefined;
}

export interface BatchShape {
  readonly T: number;
  readonly B: number;
  readonly seed: number;
}

/** A position in the stream of a split's batches. Endless for training: epochs follow each other. */
export interface BatchCursor {
  /** Shape of its batches: T as asked for; B at most as asked for (a short split has fewer lanes). */
  readonly T: number;
  readonly B: number;
  readonly batchesPerEpoch: number;
  /** Batches given so far. */
  readonly position: number;
  /** Lanes of the batch given last, where that may be fewer than B: element (t, b) is then at t*lanes + b. */
  readonly lanes?: number;
  /** Fills the next batch, lengths included; true if carried states must be zeroed first (a new epoch, unrelated sequences). */
  next(into: BatchBuffers): boolean;
  /** JSON state; `load` continues with the very batch that would have come next. */
  save(): number[];
  load(state: readonly number[]): void;
}

/** Sums over a split. */
export interface EvaluationSums {
  readonly lossSum: number;
  /** What the loss is averaged over: counted positions, padding left out. */
  readonly positions: number;
  /** Positions whose largest logit is the target; 0 for values. */
  readonly correct: number;
}

/** Scores that need the outputs themselves; one object for each evaluation of a split. */
export interface Scorer {
  /** Takes in a batch of the split, in their order: outputs (positions, size) and the targets in `batch`. */
  add(outputs: RealArray, batch: BatchBuffers, positions: number): void;
  scores(): Record<string, number>;
  /** A row for each class, tag or column. */
  table?(): ScoreRow[];
}

export type ScoreRow = Readonly<Record<string, string | number>>;

/** A sequence as a net reads it: token numbers, features (length, size) before normalisation, or grey values. */
export type Encoded = Int32Array | Float32Array | Uint8Array;

/** How a task reads a sequence without its target, and says what came out. */
export interface PredictionForm {
  /** A UsageError that begins with `where` says what is wrong with it. */
  encode(input: unknown, where: string): Encoded;
  lengthOf(encoded: Encoded): number;
  /** Writes its inputs into lane b of B, padded to T; returns the length. */
  fill(encoded: Encoded, into: BatchBuffers, T: number, B: number, b: number): number;
  /** JSON of what came out for one lane of `lanes`: outputs (positions, size), time-major. */
  decode(outputs: RealArray, lane: number, lanes: number, encoded: Encoded): Record<string, unknown>;
}

/** What of a source its task could not read as it is: kept beside the result. */
export type SourceRemarks = Readonly<Record<string, number>>;

/** How a task whose model writes one sequence for another reads, goes on from token to token, and scores. */
export interface WritingForm {
  /** Of a result: "translation". */
  readonly result: string;
  /** What a decoder reads first; what ends it; what it never writes. */
  readonly first: number;
  readonly end: number;
  readonly never: readonly number[];
  /** Sources of a split, in order, and what should be written for each. */
  count(split: Split): number;
  example(split: Split, index: number): { readonly source: Encoded; readonly reference: string };
  /** A UsageError that begins with `where` says what is wrong with an input. */
  encode(input: unknown, where: string): { readonly source: Encoded; readonly remarks: SourceRemarks };
  /** Into lane b of B; returns its length, at most the model's. */
  fill(source: Encoded, into: SourceBuffers, B: number, b: number): number;
  decode(tokens: readonly number[]): string;
  /** Of texts written against their references. */
  scores(written: readonly string[], references: readonly string[]): Record<string, number>;
  /** How they are defined, for whoever quotes them. */
  readonly signature: string;
}

/** How long a task's sequences are: what an automatic train.sequenceLength is, and whom a shorter one cuts. */
export interface SequenceLengths {
  /** Positions of the longest sequence, of all splits. */
  readonly longest: number;
  /** What to tell where sequences are longer than T; undefined where none is. */
  note(T: number): string | undefined;
}

/** How a task on text reads and writes it. Token 0 is `<unk>`, what the vocabulary lacks. */
export interface TextForm {
  /** What a token is, for messages. */
  readonly unit: "characters" | "words";
  /** What a sample without a beginning goes on from: the start of a line or sentence. */
  readonly first: number;
  encode(text: string): Int32Array;
  decode(tokens: Iterable<number>): string;
  /** What of a text the vocabulary lacks. */
  unknown(text: string): string[];
}

export interface Task {
  readonly name: string;
  readonly summary: string;
  readonly input: InputSpec;
  readonly output: OutputSpec;
  /** What an encoder reads, where one sequence is read and another written. */
  readonly source?: SourceSpec | undefined;
  /** For example "nats/char". */
  readonly lossUnit: string;
  /** Batches of a split. Throws a UsageError that says how much data is needed if there is too little. */
  batches(split: Split, shape: BatchShape): BatchCursor;
  /** Further scores of a split, for people: perplexity, bits per character, accuracy. */
  scores(sums: EvaluationSums): Record<string, number>;
  /** Text tasks: the vocabulary in token order, for checkpoints and samples. */
  readonly vocabulary?: readonly string[];
  /** Text tasks: between text and tokens. */
  readonly text?: TextForm;
  /** What was learnt of the training part besides weights, as JSON, where a vocabulary does not say it all. */
  readonly encoding?: object;
  /** Further scores of a split. */
  scorer?(split: Split, shape: { readonly T: number }): Scorer;
  /** Tasks that predict something for a sequence by itself. */
  readonly prediction?: PredictionForm;
  /** Tasks with a source. */
  readonly writing?: WritingForm;
  /** Tasks on sequences of many lengths. */
  readonly lengths?: SequenceLengths;
}
