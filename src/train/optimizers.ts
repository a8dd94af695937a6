/**
 * Optimizers, PyTorch's formulas. State and parameters are flat ranges of the arena, so an update
 * is one kernel call.
 *
 *   sgd      buf = momentum buf + g;  w -= lr buf
 *   rmsprop  v = alpha v + (1 - alpha) g^2;  w -= lr g / (sqrt(v) + epsilon)
 *   adam     m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g^2
 *            w -= lr / (1 - beta1^t) m / (sqrt(v) / sqrt(1 - beta2^t) + epsilon)
 *   adamw    adam, with w -= lr weightDecay w first; the others add weightDecay w to g
 */
import type { Arena, Tensor } from "../core/arena.ts";
import { check } from "../core/check.ts";
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
}

export class Optimizer {
  readonly name: OptimizerName;
  readonly settings: UpdateSettings;
  /** Flat state tensors, for checkpoints. */
  readonly state: readonly Tensor[];
  readonly #kernels: Kernels;
  #value!: Tensor;
  #gradient!: Tensor;

  /** Declares its state: call it after all parameters are declared and before the arena is allocated. */
  constructor(arena: Arena, kernels: Kernels, options: OptimizerOptions) {
    const { optimizer = "adam", learningRate = 2e-3, weightDecay = optimizer === "adamw" ? 0.01 : 0 } = options;
    const { momentum = 0, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, alpha = 0.99 } = options;
    check(
      learningRate >= 0 && Number.isFinite(learningRate),
      `learningRate is ${learningRate}; give a finite number of at least 0, for example 0.002.`,
    );
    this.name = optimizer;
    this.#kernels = kernels;
    this.settings = { learningRate, gradientScale: 1, step: 0, weightDecay, momentum, beta1, beta2, epsilon, alpha };
    const bytesPer = arena.real === "f32" ? 4 : 8;
    const declare = (name: string) => arena.tensor(name, [arena.bytes("weights") / bytesPer], "optimizer");
    const names = { sgd: momentum > 0 ? ["momentum"] : [], rmsprop: ["square"], adam: ["m", "v"], adamw: ["m", "v"] };
    this.state = names[optimizer].map((name) => declare(`optimizer.${name}`));
    arena.whenAllocated(() => {
      this.#value = arena.range("weights");
      this.#gradient = arena.range("gradients");
    });
  }

  get value(): Tensor {
    return this.#value;
  }

  get gradient(): Tensor {
    return this.#gradient;
  }

  /** One update with the gradients multiplied by `gradientScale`. */
  update(learningRate: number, gradientScale: number): void {
    const { settings, state } = this;
    settings.learningRate = learningRate;
    settings.gradientScale = gradientScale;
    settings.step++;
    const [value, gradient] = [this.#value, this.#gradient];
    if (this.name === "sgd") this.#kernels.sgd(value, gradient, state[0], settings);
    else if (this.name === "rmsprop") this.#kernels.rmsprop(value, gradient, state[0] as Tensor, settings);
    else this.#kernels.adam(value, gradient, state[0] as Tensor, state[1] as Tensor, settings, this.name === "adamw");
  }
}
