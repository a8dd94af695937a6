/**
 * Layer norm: each row to mean 0 and variance 1, then times a weight, plus a bias. torch.nn.LayerNorm's names and formula.
 *
 *   forward    xhat = (x - mean(x)) r,  r = 1 / sqrt(var(x) + eps),  var without Bessel's correction;  y = xhat w + b
 *   backward   dw += sum of dy xhat over rows,  db += sum of dy
 *              g = dy w;  dx = r (g - mean(g) - xhat mean(g xhat))
 *
 * Means are taken in float64. It has no site: no matrix product reads its output's gradient before it is spent here, and
 * dx is dense whatever dy is. Rows of padding have dy = 0, so dx = 0.
 */
import type { Tensor } from "../core/arena.ts";
import type { Kernels } from "../kernels/kernels.ts";
import {
  type Input,
  type Module,
  OneHot,
  type Parameter,
  type Pass,
  type Planner,
  type Pointwise,
  planParameter,
  Rows,
} from "./module.ts";

export const LAYER_NORM_EPS = 1e-5; // PyTorch's default

export class LayerNorm implements Module {
  readonly name: string;
  readonly parameters: readonly Parameter[];
  readonly weights = [];
  readonly sites = [];
  readonly macs = [];
  readonly pointwise: readonly Pointwise[];
  readonly output: Rows; // (T*B, width)
  readonly #kernels: Kernels;
  readonly #weight: Parameter; // (width)
  readonly #bias: Parameter; // (width)
  readonly #dx: Rows; // (T*B, width)
  readonly #mean: Tensor; // (T*B)
  readonly #inverse: Tensor; // (T*B), r
  #x!: Tensor; // what the last forward read: it must stay until backward
  #xRow = 0;

  /** `name` is the module's in PyTorch, for example "transformer.layers.0.norm1"; `width` that of the rows it is given. */
  constructor({ arena, kernels, T, B }: Planner, name: string, width: number) {
    this.name = name;
    this.#kernels = kernels;
    this.pointwise = [{ layer: name, kind: "layer norm", rows: 1, width }];
    this.#weight = planParameter(arena, `${name}.weight`, [width]);
    this.#bias = planParameter(arena, `${name}.bias`, [width]);
    this.parameters = [this.#weight, this.#bias];
    this.output = new Rows(arena.tensor(`${name}.y`, [T * B, width], "activations"));
    this.#dx = new Rows(arena.tensor(`${name}.dx`, [T * B, width], "workspace"));
    this.#mean = arena.tensor(`${name}.mean`, [T * B], "activations");
    this.#inverse = arena.tensor(`${name}.inverse`, [T * B], "activations");
  }

  /** PyTorch's, whatever the scale of other parameters: weight 1, bias 0. */
  initialize(): void {
    this.#weight.value.data.fill(1);
    this.#bias.value.data.fill(0);
  }

  forward(x: Input, { T, B }: Pass): Rows {
    if (x instanceof OneHot) throw new Error("layer norm: the input must be real rows");
    this.#x = x.tensor;
    this.#xRow = x.row;
    const width = x.tensor.rowLength;
    const from = x.tensor.data;
    const to = this.output.tensor.data;
    const weight = this.#weight.value.data;
    const bias = this.#bias.value.data;
    for (let r = 0; r < T * B; r++) {
      const start = (x.row + r) * width;
      let sum = 0;
      for (let i = 0; i < width; i++) sum += from[start + i]!;
      const mean = sum / width;
      let squares = 0;
      for (let i = 0; i < width; i++) squares += (from[start + i]! - mean) ** 2;
      const inverse = 1 / Math.sqrt(squares / width + LAYER_NORM_EPS);
      this.#mean.data[r] = mean;
      this.#inverse.data[r] = inverse;
      for (let i = 0; i < width; i++) to[r * width + i] = (from[start + i]! - mean) * inverse * weight[i]! + bias[i]!;
    }
    return this.output;
  }

  backward(dy: Rows, { T, B }: Pass): Rows {
    const width = this.#x.rowLength;
    const x = this.#x.data;
    const g = dy.tensor.data;
    const dx = this.#dx.tensor.data;
    const weight = this.#weight.value.data;
    const dWeight = this.#weight.gradient.data;
    for (let r = 0; r < T * B; r++) {
      const mean = this.#mean.data[r]!;
      const inverse = this.#inverse.data[r]!;
      const xAt = (this.#xRow + r) * width;
      const gAt = (dy.row + r) * width;
      let sum = 0;
      let along = 0;
      for (let i = 0; i < width; i++) {
        const xhat = (x[xAt + i]! - mean) * inverse;
        const own = g[gAt + i]! * weight[i]!;
        dWeight[i]! += g[gAt + i]! * xhat;
        sum += own;
        along += own * xhat;
      }
      sum /= width;
      along /= width;
      for (let i = 0; i < width; i++)
        dx[r * width + i] = inverse * (g[gAt + i]! * weight[i]! - sum - (x[xAt + i]! - mean) * inverse * along);
    }
    this.#kernels.sumRows(this.#bias.gradient, dy.tensor, dy.row, T * B);
    return this.#dx;
  }
}
