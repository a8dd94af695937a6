/**
 * Layer norm: each row to mean 0 and variance 1, then times a weight, plus a bias. torch.nn.LayerNorm's names and formula.
 *
 *   forward    xhat = (x - mean(x)) r,  r = 1 / sqrt(var(x) + eps),  var without Bessel's correction;  y = xhat w + b
 *   backward   dw += sum of dy xhat over rows,  db += sum of dy
 *              g = dy w;  dx = r (g - mean(g) - xhat mean(g xhat))
 *
 * The engine computes it (LayerKernels), with means in float64. It has no site: no matrix product reads its output's gradient before it is spent here, and
 * dx is dense whatever dy is. Rows of padding have dy = 0, so dx = 0.
 */
import type { Tensor } from "../core/arena.ts";
import type { LayerKernels, NormTensors } from "../kernels/kernels.ts";
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
  readonly #kernels: LayerKernels;
  readonly #norm: NormTensors;
  readonly #dx: Rows; // (T*B, width)
  #x!: Tensor; // what the last forward read: it must stay until backward
  #xRow = 0;

  /** `name` is the module's in PyTorch, for example "transformer.layers.0.norm1"; `width` that of the rows it is given. */
  constructor({ arena, kernels, T, B }: Planner, name: string, width: number) {
    this.name = name;
    this.#kernels = kernels.layers;
    this.pointwise = [{ layer: name, kind: "layer norm", rows: 1, width }];
    const weight = planParameter(arena, `${name}.weight`, [width]);
    const bias = planParameter(arena, `${name}.bias`, [width]);
    this.parameters = [weight, bias];
    this.output = new Rows(arena.tensor(`${name}.y`, [T * B, width], "activations"));
    this.#dx = new Rows(arena.tensor(`${name}.dx`, [T * B, width], "workspace"));
    this.#norm = {
      weight: weight.value,
      bias: bias.value,
      dWeight: weight.gradient,
      dBias: bias.gradient,
      mean: arena.tensor(`${name}.mean`, [T * B], "activations"),
      inverse: arena.tensor(`${name}.inverse`, [T * B], "activations"),
      eps: LAYER_NORM_EPS,
    };
  }

  /** PyTorch's, whatever the scale of other parameters: weight 1, bias 0. */
  initialize(): void {
    this.#norm.weight.data.fill(1);
    this.#norm.bias.data.fill(0);
  }

  forward(x: Input, { T, B }: Pass): Rows {
    if (x instanceof OneHot) throw new Error("layer norm: the input must be real rows");
    this.#x = x.tensor;
    this.#xRow = x.row;
    this.#kernels.layerNorm(this.output.tensor, x.tensor, x.row, T * B, this.#norm);
    return this.output;
  }

  backward(dy: Rows, { T, B }: Pass): Rows {
    this.#kernels.layerNormGradient(this.#dx.tensor, dy.tensor, dy.row, this.#x, this.#xRow, T * B, this.#norm);
    return this.#dx;
  }
}
