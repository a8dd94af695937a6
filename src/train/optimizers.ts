/**
 * Optimizers, PyTorch's formulas. Parameters, gradients and state are flat ranges of the arena, cut only at
 * matrices that keep account of their gradient's nonzero rows (embedding, head): so clearing, norm and
 * update are a few kernel calls each, and visit of such a matrix what they must.
 *
 *   sgd      buf = momentum buf + g;  w -= lr buf
 *   rmsprop  v = alpha v + (1 - alpha) g^2;  w -= lr g / (sqrt(v) + epsilon)
 *   adam     m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g^2
 *            w -= lr / (1 - beta1^t) m / (sqrt(v) / sqrt(1 - beta2^t) + epsilon)
 *   adamw    adam, with w -= lr weightDecay w first; the others add weightDecay w to g
 *
 * A row whose gradient is zero is not changed by plain descent (sgd without momentum and weight decay):
 * leaving it out gives the same bits. Every other update would change it, by momentum or decay, and visits
 * it, unless `lazyRows`: then a row without gradient keeps its value and its state as they are, as in
 * torch.optim.SparseAdam; t counts updates, not those of a row.
 */
import { type Arena, Tensor } from "../core/arena.ts";
import { check } from "../core/check.ts";
import type { RowSet } from "../core/row-set.ts";
import type { Kernels, UpdateSettings } from "../kernels/kernels.ts";

export const OPTIMIZERS = ["sgd", "rmsprop", "adam", "adamw"] as const;
export type OptimizerName = (typeof OPTIMIZERS)[number];

export interface OptimizerOptions {
  readonly optimizer?: OptimizerName;
  readonly learningRate?: number;
  readonly weightDecay?: number;
  /** SGD. */
  readonly momentum?: number;
  /** Adam. */
  readonly beta1?: number;
  readonly beta2?: number;
  readonly epsilon?: number;
  /** RMSprop. */
  readonly alpha?: number;
  /** Rows of an embedding or head without a gradient keep value and state: faster, and another function. */
  readonly lazyRows?: boolean;
}

/** What the optimizer needs of a parameter. */
export interface TrainedParameter {
  readonly value: Tensor;
  readonly gradient: Tensor;
  readonly rows?: RowSet;
}

/** A matrix with an account of its gradient's rows, or what lies between two of them. */
interface Part extends TrainedParameter {
  readonly state: readonly Tensor[];
}

export class Optimizer {
  readonly name: OptimizerName;
  readonly settings: UpdateSettings;
  /** Flat state tensors, for checkpoints. */
  readonly state: readonly Tensor[];
  readonly #kernels: Kernels;
  /** Rows that a parameter's account leaves out keep their values. */
  readonly leavesRows: boolean;
  #value!: Tensor;
  #gradient!: Tensor;
  #parts!: readonly Part[];

  /** Declares its state: call it after all parameters are declared and before the arena is allocated. */
  constructor(arena: Arena, kernels: Kernels, options: OptimizerOptions, parameters: readonly TrainedParameter[]) {
    const { optimizer = "adam", learningRate = 2e-3, weightDecay = optimizer === "adamw" ? 0.01 : 0 } = options;
    const { momentum = 0, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, alpha = 0.99, lazyRows = false } = options;
    check(
      learningRate >= 0 && Number.isFinite(learningRate),
      `learningRate is ${learningRate}; give a finite number of at least 0, for example 0.002.`,
    );
    this.name = optimizer;
    this.#kernels = kernels;
    this.leavesRows = lazyRows || (optimizer === "sgd" && momentum === 0 && weightDecay === 0);
    this.settings = { learningRate, gradientScale: 1, step: 0, weightDecay, momentum, beta1, beta2, epsilon, alpha };
    const bytesPer = arena.real === "f32" ? 4 : 8;
    const declare = (name: string) => arena.tensor(name, [arena.bytes("weights") / bytesPer], "optimizer");
    const names = { sgd: momentum > 0 ? ["momentum"] : [], rmsprop: ["square"], adam: ["m", "v"], adamw: ["m", "v"] };
    this.state = names[optimizer].map((name) => declare(`optimizer.${name}`));
    arena.whenAllocated(() => {
      this.#value = arena.range("weights");
      this.#gradient = arena.range("gradients");
      this.#parts = cut(this.#value, this.#gradient, this.state, parameters);
    });
  }

  get value(): Tensor {
    return this.#value;
  }

  get gradient(): Tensor {
    return this.#gradient;
  }

  clearGradients(): void {
    for (const { gradient, rows } of this.#parts) {
      this.#kernels.clear(gradient, rows);
      rows?.clear();
    }
  }

  /** Sum of squares of all gradients. */
  sumSquares(): number {
    let sum = 0;
    for (const { gradient, rows } of this.#parts) sum += this.#kernels.sumSquares(gradient, rows);
    return sum;
  }

  /** One update with the gradients multiplied by `gradientScale`. */
  update(learningRate: number, gradientScale: number): void {
    const { settings } = this;
    const kernels = this.#kernels;
    settings.learningRate = learningRate;
    settings.gradientScale = gradientScale;
    settings.step++;
    for (const { value, gradient, state, rows } of this.#parts) {
      const visited = this.leavesRows ? rows : undefined;
      if (this.name === "sgd") kernels.sgd(value, gradient, state[0], settings, visited);
      else if (this.name === "rmsprop") kernels.rmsprop(value, gradient, state[0]!, settings, visited);
      else kernels.adam(value, gradient, state[0]!, state[1]!, settings, this.name === "adamw", visited);
    }
  }
}

/** The flat ranges cut at parameters with an account of rows, which become parts of their own. */
function cut(
  value: Tensor,
  gradient: Tensor,
  state: readonly Tensor[],
  parameters: readonly TrainedParameter[],
): readonly Part[] {
  const bytesPer = value.data.BYTES_PER_ELEMENT;
  const parts: Part[] = [];
  const add = (first: number, shape: readonly number[], rows?: RowSet) => {
    const view = (of: Tensor) => {
      const tensor = new Tensor(of.name, shape, of.dtype, of.purpose);
      tensor.place(of.data.buffer, of.ptr + first * bytesPer);
      return tensor;
    };
    const part = { value: view(value), gradient: view(gradient), state: state.map(view) };
    parts.push(rows ? { ...part, rows } : part);
  };
  let start: number | undefined = 0; // of the range not cut yet
  for (const { value: matrix, rows } of [...parameters].sort((a, b) => a.value.ptr - b.value.ptr)) {
    const here = (matrix.ptr - value.ptr) / bytesPer;
    if (!rows) start ??= here;
    else {
      if (start !== undefined && start < here) add(start, [here - start]);
      add(here, matrix.shape, rows);
      start = undefined; // the padding behind it is no part of anything
    }
  }
  if (start !== undefined) add(start, [value.length - start]);
  return parts;
}
