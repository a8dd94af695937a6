/**
 * Layer normalization of each row, PyTorch's nn.LayerNorm: epsilon 1e-5, a weight and a bias for each column.
 *
 *   forward    n = (x - mean) r,  r = 1 / sqrt(var + eps),  y = n weight + bias      mean and var of the row, over K
 *   backward   g = dy weight,  dx = r (g - mean(g) - n mean(g n));  dWeight += sum dy n,  dBias += sum dy
 *
 * One definition for all engines; sums in float64.
 */
import type { DoubleTensor } from "../core/arena.ts";
import type { RandomStream } from "../core/random.ts";
import {
  type Input,
  type Module,
  OneHot,
  type Parameter,
  type Pass,
  type Planner,
  planParameter,
  Rows,
} from "./module.ts";

const EPSILON = 1e-5;

export class LayerNorm implements Module {
  readonly name: string;
  readonly parameters: readonly Parameter[];
  readonly weights = [];
  readonly sites = [];
  readonly macs = [];
  readonly output: Rows; // (T*B, K)
  readonly #weight: Parameter; // (K)
  readonly #bias: Parameter; // (K)
  readonly #normalized: Rows; // n (T*B, K)
  readonly #scale: DoubleTensor; // r (T*B)
  readonly #sums: DoubleTensor; // dWeight and dBias of a pass (2, K)
  readonly #dx: Rows; // (T*B, K)

  constructor({ arena, T, B }: Planner, name: string, width: number) {
    const rows = (label: string, purpose: "activations" | "workspace") =>
      new Rows(arena.tensor(`${name}.${label}`, [T * B, width], purpose));
    this.name = name;
    this.#weight = planParameter(arena, `${name}.weight`, [width]);
    this.#bias = planParameter(arena, `${name}.bias`, [width]);
    this.parameters = [this.#weight, this.#bias];
    this.output = rows("y", "activations");
    this.#normalized = rows("normalized", "activations");
    this.#scale = arena.doubles(`${name}.scale`, [T * B], "activations");
    this.#sums = arena.doubles(`${name}.sums`, [2, width], "workspace");
    this.#dx = rows("dx", "workspace");
  }

  /** PyTorch's: weight 1, bias 0, whatever the scale of other parameters. */
  initialize(_random: RandomStream, _scale?: number): void {
    this.#weight.value.data.fill(1);
    this.#bias.value.data.fill(0);
  }

  forward(x: Input, { T, B }: Pass): Rows {
    if (x instanceof OneHot) throw new Error("layer norm: the input must be real rows");
    const K = x.tensor.rowLength;
    const weight = this.#weight.value.data;
    const bias = this.#bias.value.data;
    const normalized = this.#normalized.tensor.data;
    const y = this.output.tensor.data;
    const from = x.tensor.data;
    for (let r = 0; r < T * B; r++) {
      const start = (x.row + r) * K;
      let sum = 0;
      for (let c = 0; c < K; c++) sum += from[start + c]!;
      const mean = sum / K;
      let squares = 0;
      for (let c = 0; c < K; c++) squares += (from[start + c]! - mean) ** 2;
      const scale = 1 / Math.sqrt(squares / K + EPSILON);
      this.#scale.data[r] = scale;
      for (let c = 0; c < K; c++) {
        const n = (from[start + c]! - mean) * scale;
        normalized[r * K + c] = n;
        y[r * K + c] = n * weight[c]! + bias[c]!;
      }
    }
    return this.output;
  }

  backward(dy: Rows, { T, B }: Pass): Rows {
    const K = this.output.tensor.rowLength;
    const weight = this.#weight.value.data;
    const normalized = this.#normalized.tensor.data;
    const sums = this.#sums.data;
    const g = dy.tensor.data;
    const dx = this.#dx.tensor.data;
    sums.fill(0);
    for (let r = 0; r < T * B; r++) {
      const start = (dy.row + r) * K;
      let mean = 0;
      let along = 0;
      for (let c = 0; c < K; c++) {
        const d = g[start + c]!;
        const n = normalized[r * K + c]!;
        sums[c]! += d * n;
        sums[K + c]! += d;
        mean += d * weight[c]!;
        along += d * weight[c]! * n;
      }
      mean /= K;
      along /= K;
      const scale = this.#scale.data[r]!;
      for (let c = 0; c < K; c++)
        dx[r * K + c] = scale * (g[start + c]! * weight[c]! - mean - normalized[r * K + c]! * along);
    }
    const dWeight = this.#weight.gradient.data;
    const dBias = this.#bias.gradient.data;
    for (let c = 0; c < K; c++) {
      dWeight[c]! += sums[c]!;
      dBias[c]! += sums[K + c]!;
    }
    return this.#dx;
  }
}
