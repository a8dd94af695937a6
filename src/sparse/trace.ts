/**
 * A trace: where the gate gradients of a few training steps were zero, and what the step multiplied.
 *
 * It is what hardware is judged by (src/energy): all sites' bitmaps, whole, and every product with its shape, so that
 * the cycles, words and picojoules of the step can be counted without the net. Its file: docs/traces.md.
 *
 * A product has the shape (m, n, k): m rows and n columns of the gradient or pre-activation, k of the other operand,
 * m n k multiply-accumulates.
 *
 *   xW, hU    forward    out (m, n) = a (m, k) w^T        w (n, k)
 *   dh, dx    backward   out (m, k) = g (m, n) w          zeros of g are skipped along its rows
 *   dW, dU    backward   out (n, k) = g^T x (m, k)        zeros of g are skipped along its columns
 */
import type { Paths, RuleKind } from "./rule.ts";

/** What one group (gate) had; see statistics.ts. */
export interface TraceGroup {
  readonly group: string;
  /** null where the rule had none. */
  readonly tau: number | null;
  readonly total: number;
  readonly naturalZeros: number;
  readonly kept: number;
  readonly squares: number;
  readonly keptSquares: number;
}

export interface TraceSite {
  readonly name: string;
  readonly groups: readonly TraceGroup[];
  readonly rule: RuleKind;
  readonly paths: Paths;
  /** T*B of a layer, row t*B + b; positions of the head; of attention's scores row b*T + t. */
  readonly rows: number;
  /** Those of padding, all of whose gradients are zero. */
  readonly padded: number;
  /** G*H, or V. */
  readonly cols: number;
  /** Bit c%32 of word c>>5 of a row is set where the gradient is not exactly zero. (rows, ceil(cols/32)) */
  readonly bitmap: Uint32Array;
}

export type ProductForm = "NT" | "NN" | "TN";

export interface TraceProduct {
  readonly layer: string;
  readonly product: string;
  readonly direction: "forward" | "backward";
  readonly form: ProductForm;
  readonly m: number;
  readonly n: number;
  readonly k: number;
  /** Rows that must be finished before the next may begin: B in the time loop (hU, dh); m where all are there at once. */
  readonly block: number;
  /** The site whose bitmap it sees; null: dense. */
  readonly site: string | null;
  /** The site's row that row 0 is: dh has none for the first time step. */
  readonly firstRow: number;
  /** What the training counted as redundant: what the bitmap must give again. */
  readonly skipped: number;
}

/** Pointwise work: elements of a layer's states, or logits. */
export interface TracePointwise {
  readonly layer: string;
  /** The cell's name, or "softmax". */
  readonly kind: string;
  /** Positions. */
  readonly rows: number;
  /** H, or V. */
  readonly width: number;
  /** Gates of a cell; 1 for softmax. */
  readonly gates: number;
}

export interface TraceStep {
  /** Number of the update, from 1. */
  readonly step: number;
  readonly loss: number;
  readonly sites: readonly TraceSite[];
  readonly products: readonly TraceProduct[];
  readonly pointwise: readonly TracePointwise[];
}

export interface TraceRun {
  readonly task: string;
  readonly cell: string;
  readonly numLayers: number;
  readonly hiddenSize: number;
  readonly sequenceLength: number;
  readonly batchSize: number;
  readonly policy: string;
  readonly headPolicy: string;
  readonly optimizer: string;
  /** Numbers of optimizer state per parameter. */
  readonly optimizerStates: number;
  readonly parameters: number;
  readonly engine: string;
  readonly seed: number;
  readonly maxSteps: number;
}

export interface Trace {
  /** Of Gatesieve, that made it. */
  readonly generator: string;
  readonly run: TraceRun;
  readonly steps: readonly TraceStep[];
}

export function wordsOf(cols: number): number {
  return Math.ceil(cols / 32);
}

/** Bits set in a word. */
export function popcount(word: number): number {
  let x = word - ((word >>> 1) & 0x55555555);
  x = (x & 0x33333333) + ((x >>> 2) & 0x33333333);
  return Math.imul((x + (x >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

export function countBits(words: Uint32Array): number {
  let sum = 0;
  for (let i = 0; i < words.length; i++) sum += popcount(words[i] as number);
  return sum;
}

/** Kept / all. */
export function densityOf({ rows, cols, bitmap }: Pick<TraceSite, "rows" | "cols" | "bitmap">): number {
  return rows * cols > 0 ? countBits(bitmap) / (rows * cols) : 0;
}
