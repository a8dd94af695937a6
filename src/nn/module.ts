/**
 * THE CONTRACT of a module. Modules declare every tensor in their constructor, so that the arena
 * can be allocated once; forward and backward are explicit and only fill.
 */
import type { Arena, IntTensor, Purpose, Tensor } from "../core/arena.ts";
import type { RandomStream } from "../core/random.ts";
import { RowSet } from "../core/row-set.ts";
import type { CellStep, Kernels, LiveColumns, Weight } from "../kernels/kernels.ts";
import type { ProductMacs } from "../sparse/macs.ts";
import type { Pattern } from "../sparse/pattern.ts";
import type { DropRule, Paths } from "../sparse/rule.ts";
import type { Site } from "../sparse/site.ts";
import type { SiteStatistics } from "../sparse/statistics.ts";

/** Where modules declare their tensors; T and B are the largest a pass may have. */
export interface Planner {
  readonly arena: Arena;
  readonly kernels: Kernels;
  readonly T: number;
  readonly B: number;
  /** WeightUses.nt of forward products. */
  readonly nt: true | "bf16";
}

/** One pass over T positions of B lanes; T and B are at most the planned ones. */
export interface Pass {
  T: number;
  B: number;
  /** (B), at least 1: positions of each lane that are there, right padded (padding.ts). Without it all T. */
  lengths?: Int32Array | undefined;
  /** Dropout draws and MACs are counted only in training. */
  training: boolean;
  /** With `seed`, keys the dropout masks of this pass. */
  step: number;
  seed: number;
  /** On the few passes that telemetry looks into. */
  watcher?: PassWatcher | undefined;
}

/** Looks into a training pass and changes nothing of it. */
export interface PassWatcher {
  /**
   * Before the backward pass of times [from, from + steps): `step`'s buffers hold their activations, from its rows on;
   * `lengths`: of its pass.
   */
  beforeBackward(layer: string, step: Readonly<CellStep>, from: number, steps: number, lengths: Pass["lengths"]): void;
  /**
   * After the gate gradients of time t were compressed: the site's sums now reach from T-1 down to t, and its row t*B
   * is row t*B - firstRow of the pattern.
   */
  afterSweep(drop: DropSite, t: number, pattern: Pattern): void;
  /**
   * After rows [start, start + rows) of so many were, of a site without time, the head's or those of attention's scores:
   * they are row `from` (0) and on of its pattern.
   */
  afterChunk?(drop: DropSite, start: number, rows: number, positions: number, from?: number): void;
}

export interface Parameter {
  /** PyTorch's name, for example "lstm.weight_hh_l0". */
  readonly name: string;
  readonly value: Tensor;
  readonly gradient: Tensor;
  /**
   * Of a matrix most of whose gradient's rows are zero: those that may not be, since the gradient was last
   * cleared. Whoever adds to the gradient adds to it, whoever clears the one clears the other.
   */
  readonly rows?: RowSet;
}

/** Rows [row, row + T*B) of a time-major buffer. `row` may move with the pass. */
export class Rows {
  readonly tensor: Tensor;
  row = 0;
  /** Where structured dropout left them: all other columns are zero. */
  live: LiveColumns | undefined = undefined;

  constructor(tensor: Tensor) {
    this.tensor = tensor;
  }
}

/** T*B token numbers standing for one-hot rows. */
export class OneHot {
  readonly index: IntTensor;
  readonly size: number;

  constructor(index: IntTensor, size: number) {
    this.index = index;
    this.size = size;
  }
}

export type Input = Rows | OneHot;

/** Element-wise work of a module, for models of accelerators: `rows` for each row of the pass. */
export interface Pointwise {
  readonly layer: string;
  /** "relu", "gelu", "layer norm" or "softmax". */
  readonly kind: string;
  readonly rows: number;
  readonly width: number;
}

/** A site with all that belongs to it in one backward pass. */
export interface DropSite {
  readonly site: Site;
  /** The weights whose gradient is made from this site's gradients. */
  readonly weights: readonly Parameter[];
  readonly pattern: Pattern;
  readonly statistics: SiteStatistics;
  /** Filled by the site's policy before each backward pass. */
  readonly rule: DropRule;
  /** Off only to measure what watching costs: without it a `keep` rule counts nothing. */
  watched: boolean;
  /** Declares what rules with these `paths` need; before the arena is allocated. */
  planPaths(paths: Paths): void;
}

export interface Module {
  readonly name: string;
  /** What forward returns: rows [row, row + T*B), the same object in every pass. Dropout outside training: its input. */
  readonly output: Rows;
  readonly parameters: readonly Parameter[];
  /** Weights with packed copies to refresh at the start of each step. */
  readonly weights: readonly Weight[];
  readonly sites: readonly DropSite[];
  /** Products of the last training pass, counted. */
  readonly macs: readonly ProductMacs[];
  /** Multiply-accumulates of a dense training pass over T*B rows; layers with a time loop are counted elsewhere. */
  denseMacs?(rows: number): number;
  /** Beside products; of layers with a time loop their cell tells. */
  readonly pointwise?: readonly Pointwise[];
  /** Draws initial values, once, after the arena is allocated; uniform in +-scale if one is given. */
  initialize(random: RandomStream, scale?: number): void;
  forward(x: Input, pass: Pass): Rows;
  /** Adds to parameter gradients; returns dLoss/dx where x needs one. */
  backward(dy: Rows, pass: Pass): Rows | undefined;
}

export function planParameter(arena: Arena, name: string, shape: readonly number[]): Parameter {
  const real = (suffix: string, purpose: Purpose) => arena.tensor(name + suffix, shape, purpose);
  return { name, value: real("", "weights"), gradient: real(".gradient", "gradients") };
}

/** A matrix whose gradient has rows of zeros, and keeps account of the others. */
export function planRowParameter(arena: Arena, name: string, shape: readonly [number, number]): RowParameter {
  return { ...planParameter(arena, name, shape), rows: new RowSet(arena, name, shape[0]) };
}

export type RowParameter = Parameter & { readonly rows: RowSet };

/** Uniform in [-bound, bound]. */
export function fillUniform(tensor: Tensor, bound: number, random: RandomStream): void {
  for (let i = 0; i < tensor.length; i++) tensor.data[i] = (2 * random.uniform() - 1) * bound;
}

/** Zeroes rows [row, row + rows) of a buffer. */
export function clearRows(tensor: Tensor, rows: number, row = 0): void {
  tensor.data.fill(0, row * tensor.rowLength, (row + rows) * tensor.rowLength);
}

/** Copies rows between buffers of equal row length. */
export function copyBlock(to: Tensor, toRow: number, from: Tensor, fromRow: number, rows: number): void {
  const width = to.rowLength;
  const target = to.data;
  const source = from.data;
  for (let i = 0; i < rows * width; i++) target[toRow * width + i] = source[fromRow * width + i] as number;
}
