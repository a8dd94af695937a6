/**
 * Pointwise activations between linear layers: torch.nn.ReLU and torch.nn.GELU (the exact one, by erf).
 *
 *   relu   y = max(0, x)                dx = dy where y > 0, else 0: exact zeros, which the books count as natural
 *   gelu   y = x F(x),  F the normal distribution function     dx = dy (F(x) + x F'(x))
 *
 * What they read is overwritten: relu's output takes its place, gelu leaves its slope there for backward.
 */
import type { RealArray } from "../core/arena.ts";
import { erfc } from "./erf.ts";
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
  readonly #input: Rows;
  readonly #gradient: Rows;

  constructor({ arena, T, B }: Planner, { name, kind, input, gradient }: ActivationOptions) {
    this.name = name;
    this.kind = kind;
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
    const count = T * B * x.tensor.rowLength;
    if (this.kind === "relu") relu(x.tensor.data, count);
    else gelu(this.output.tensor.data, x.tensor.data, count);
    return this.output;
  }

  backward(dy: Rows, { T, B }: Pass): Rows {
    const width = dy.tensor.rowLength;
    const count = T * B * width;
    const start = dy.row * width;
    const from = dy.tensor.data;
    const to = this.#gradient.tensor.data;
    const kept = this.#input.tensor.data;
    if (this.kind === "relu") for (let i = 0; i < count; i++) to[i] = from[start + i]! * +(kept[i]! > 0) + 0;
    else for (let i = 0; i < count; i++) to[i] = from[start + i]! * kept[i]!;
    return this.#gradient;
  }
}

/**
 * In place; NaN stays, to reach the guard. Without a branch, which would be guessed wrong half of the time (a million
 * elements: 1.4 ms against 5.6), nor Math.max (6.0); + 0 turns -0 into 0.
 */
function relu(x: RealArray, count: number): void {
  for (let i = 0; i < count; i++) x[i] = x[i]! * +(x[i]! > 0) + 0;
}

const TO_DENSITY = 1 / Math.sqrt(2 * Math.PI);

/** x becomes the slope. */
function gelu(y: RealArray, x: RealArray, count: number): void {
  for (let i = 0; i < count; i++) {
    const value = x[i]!;
    const below = 0.5 * erfc(-value * Math.SQRT1_2);
    y[i] = value * below;
    x[i] = below + value * TO_DENSITY * Math.exp(-0.5 * value * value);
  }
}
