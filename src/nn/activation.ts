/**
 * Pointwise activations between linear layers: torch.nn.ReLU and torch.nn.GELU (the exact one, by erf).
 *
 *   relu   y = max(0, x)                dx = dy where y > 0, else 0: exact zeros, which the books count as natural
 *   gelu   y = x F(x),  F the normal distribution function     dx = dy (F(x) + x F'(x))
 *
 * What they read is overwritten: relu's output takes its place, gelu leaves its slope there for backward.
 */
import type { LayerKernels } from "../kernels/kernels.ts";
import { type Input, type Module, OneHot, type Pass, type Planner, type Pointwise, Rows } from "./module.ts";

export const ACTIVATIONS = ["relu", "gelu"] as const;
export type ActivationName = (typeof ACTIVATIONS)[number];

export interface ActivationOptions {
  readonly name: string;
  readonly kind: ActivationName;
  /** What it reads: the output of the layer below, which nobody else wants. */
  readonly input: Rows;
  /** Where dx goes: the gradient of the layer below. */
  readonly gradient: Rows;
}

export class Activation implements Module {
  readonly name: string;
  readonly parameters = [];
  readonly weights = [];
  readonly sites = [];
  readonly macs = [];
  readonly kind: ActivationName;
  readonly pointwise: readonly Pointwise[];
  readonly output: Rows; // (T*B, width)
  readonly #kernels: LayerKernels;
  readonly #input: Rows;
  readonly #gradient: Rows;

  constructor({ arena, kernels, T, B }: Planner, { name, kind, input, gradient }: ActivationOptions) {
    this.name = name;
    this.kind = kind;
    this.#kernels = kernels.layers;
    this.pointwise = [{ layer: name, kind, rows: 1, width: input.tensor.rowLength }];
    this.#input = input;
    this.#gradient = gradient;
    this.output =
      kind === "relu" ? input : new Rows(arena.tensor(`${name}.y`, [T * B, input.tensor.rowLength], "activations"));
  }

  initialize(): void {}

  forward(x: Input, { T, B }: Pass): Rows {
    if (x instanceof OneHot || x.tensor !== this.#input.tensor)
      throw new Error(`${this.name}: the input must be the rows it was planned for`);
    if (this.kind === "relu") this.#kernels.relu(x.tensor, T * B);
    else this.#kernels.gelu(this.output.tensor, x.tensor, T * B);
    return this.output;
  }

  backward(dy: Rows, { T, B }: Pass): Rows {
    const kept = this.#input.tensor;
    if (this.kind === "relu") this.#kernels.reluGradient(this.#gradient.tensor, dy.tensor, dy.row, kept, T * B);
    else this.#kernels.multiply(this.#gradient.tensor, dy.tensor, dy.row, kept, T * B);
    return this.#gradient;
  }
}
