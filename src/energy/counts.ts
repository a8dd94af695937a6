/**
 * What a traced step asks of any machine: multiply-accumulates done and to be skipped, words moved off-chip,
 * pointwise work and the update. Nothing here knows how a machine works.
 *
 * A product is seen as elements times a width: each nonzero of the matrix whose zeros count (gradients backward,
 * activations forward) is multiplied with `width` numbers of the other operand.
 *
 *   xW, hU   elements (m, k), all of them   width n
 *   dh, dx   elements (m, n)                width k
 *   dW, dU   elements (m, n)                width k
 */
import type { TracePointwise, TraceProduct, TraceStep } from "../sparse/trace.ts";
import { popcount, wordsOf } from "../sparse/trace.ts";

/** How often a machine does what, over some work. Words are 32 bits. */
export interface Actions {
  mac: number;
  /** Words in and out of registers and FIFOs. */
  register: number;
  /** Words in and out of memories beside the multipliers. */
  buffer: number;
  /** Words in and out of the large on-chip memory. */
  sram: number;
  /** Words from and to off-chip memory. */
  dram: number;
  /** Additions for prefix sums, offsets, addresses. */
  index: number;
  /** Comparisons with a threshold. */
  compare: number;
}

export function noActions(): Actions {
  return { mac: 0, register: 0, buffer: 0, sram: 0, dram: 0, index: 0, compare: 0 };
}

export function addActions(to: Actions, more: Readonly<Partial<Actions>>): void {
  for (const key of Object.keys(more) as (keyof Actions)[]) to[key] += more[key] ?? 0;
}

/** One product with what its pattern says. */
export interface Work {
  readonly product: TraceProduct;
  readonly macsDense: number;
  readonly macsSkipped: number;
  /** Elements that are not zero; all of them where the product sees no pattern. */
  readonly elements: number;
  /** Rows and columns of the matrix of elements. */
  readonly rows: number;
  readonly cols: number;
  /** What each element is multiplied with. */
  readonly width: number;
  /** Its gradients lie on-chip: a softmax's logits become gradients in place, by chunks of rows. */
  readonly onChip: boolean;
}

export function worksOf(step: TraceStep): Work[] {
  const chunked = new Set(step.pointwise.filter(({ kind }) => kind === "softmax").map(({ layer }) => layer));
  return step.products.map((product): Work => {
    const { m, n, k, form, layer } = product;
    const macsDense = m * n * k;
    const forward = form === "NT";
    const [rows, cols, width] = forward ? [m, k, n] : [m, n, k];
    const macsSkipped = skippedBy(step, product);
    const elements = rows * cols - macsSkipped / Math.max(1, width);
    return { product, macsDense, macsSkipped, elements, rows, cols, width, onChip: chunked.has(layer) };
  });
}

/** From the bitmap, as the machines see it; the trace's own count must be the same. */
export function skippedBy(step: TraceStep, { site, firstRow, m, n, k }: TraceProduct): number {
  if (site === null) return 0;
  const seen = step.sites.find(({ name }) => name === site);
  if (!seen) return 0;
  const words = wordsOf(seen.cols);
  let kept = 0;
  for (let i = firstRow * words; i < (firstRow + m) * words; i++) kept += popcount(seen.bitmap[i] as number);
  return (m * n - kept) * k;
}

// ---- gradients as they lie in memory

/** Words of a matrix of gradients in the memory format a machine reads. */
export type GradientWords = (rows: number, cols: number, kept: number) => number;

export const denseWords: GradientWords = (rows, cols) => rows * cols;
/** A bit an element and the values. */
export const bitmapWords: GradientWords = (rows, cols, kept) => (rows * cols) / 32 + kept;

/**
 * Off-chip words of a product on a machine with `sramBytes`, half of it for what stays. The weights of a time loop are
 * read once where they fit, else anew for every t as far as they do not. Other products keep a part of the weights (of
 * dW, of the result) and stream the rest once per part.
 */
export function dramWords(work: Work, gradients: GradientWords, sramBytes: number): number {
  const { product, onChip } = work;
  const { m, n, k, form, block } = product;
  const room = sramBytes / 2 / 4;
  const fixed = n * k;
  if (block < m) {
    const resident = Math.min(fixed, room);
    const blocks = Math.ceil(m / block);
    // hU reads what xW left and writes nothing: activations are the cell's. dh passes on-chip from t to t.
    return resident + (fixed - resident) * blocks + (form === "NT" ? m * n : 0);
  }
  const passes = Math.max(1, Math.ceil(fixed / room));
  const g = onChip ? 0 : gradients(m, n, work.elements);
  if (form === "NT") return fixed + m * k * passes + (onChip ? 0 : m * n);
  if (form === "NN") return fixed + Math.min(g * passes + m * k, g + m * k * (2 * passes - 1));
  return fixed + Math.min(g * passes + m * k, g + m * k * passes);
}

// ---- pointwise work

/** Operations of a vector unit per unit and position, by cell: counted from docs/backward.md, a transcendental as one. */
const OPERATIONS: Readonly<Record<string, readonly [forward: number, backward: number]>> = {
  lstm: [9, 21],
  gru: [10, 22],
  rnn: [2, 4],
  softmax: [4, 2],
};
const OTHER = [9, 21] as const;

export interface Pointwise {
  readonly layer: string;
  readonly forwardOperations: number;
  readonly backwardOperations: number;
  /** Off-chip words without gate gradients. */
  readonly forwardWords: number;
  readonly backwardWords: number;
  /** Gate gradients made. */
  readonly gradients: number;
}

export function pointwiseOf({ layer, kind, rows, width, gates }: TracePointwise): Pointwise {
  const [forward, backward] = OPERATIONS[kind] ?? OTHER;
  const units = rows * width;
  const chunked = kind === "softmax";
  return {
    layer,
    forwardOperations: units * forward,
    backwardOperations: units * backward,
    forwardWords: chunked ? 0 : units * (gates + 2), // activations, c or the like, h
    backwardWords: chunked ? 0 : units * (gates + 2), // activations, c, dy
    gradients: units * gates,
  };
}

/** Of the optimizer: gradient and weight read, weight written, each state read and written. */
export function updateWords(parameters: number, states: number): number {
  return parameters * (3 + 2 * states);
}

/** Operations: clip's norm, the update itself, two for each state. */
export function updateOperations(parameters: number, states: number): number {
  return parameters * (4 + 3 * states);
}
