/**
 * Causal multi-head self-attention between its projections: position q of a lane sees positions 0 to q of it.
 *
 * For each lane and head, with Q, K, V (T, d) the head's columns of the packed projection, s = 1 / sqrt(d):
 *
 *   forward    P = softmax(s Q K^T), 0 where k > q          O = P V
 *   backward   dV = P^T dO          dP = dO V^T
 *              dS[q] = s P[q] (dP[q] - sum over k of P[q] dP[q])
 *              dQ = dS K            dK = dS^T Q
 *
 * The engine computes it (LayerKernels), whose products may leave out what the mask does; all six are counted whole, (T, T).
 * No gradient is dropped in here; the sites are at the outputs of the projections below and above. Padding is on the right,
 * where no position that counts looks.
 */
import type { Tensor } from "../core/arena.ts";
import type { AttentionShape, LayerKernels } from "../kernels/kernels.ts";
import { type ProductMacs, productMacs, setMacs } from "../sparse/macs.ts";
import { type Input, type Module, OneHot, type Pass, type Planner, type Pointwise, Rows } from "./module.ts";

export interface AttentionOptions {
  /** "transformer.l0.attention" */
  readonly name: string;
  /** (T*B, 3 width): queries, keys, values, each of all heads. */
  readonly input: Rows;
  /** Where the gradient of `input` goes. */
  readonly gradient: Rows;
  readonly heads: number;
}

const PRODUCTS = ["qk", "pv", "dv", "dp", "dq", "dk"] as const;

export class CausalAttention implements Module {
  readonly name: string;
  readonly parameters = [];
  readonly weights = [];
  readonly sites = [];
  readonly macs: readonly ProductMacs[];
  readonly pointwise: readonly Pointwise[];
  readonly output: Rows; // (T*B, width)
  readonly #kernels: LayerKernels;
  readonly #qkv: Rows;
  readonly #gradient: Rows;
  readonly #shape: AttentionShape;
  readonly #width: number; // of all heads
  /** P of every lane and head, (B*heads*T, T). */
  readonly #shares: Tensor;

  constructor({ arena, kernels, T, B }: Planner, { name, input, gradient, heads }: AttentionOptions) {
    const width = input.tensor.rowLength / 3;
    const d = width / heads;
    this.name = name;
    this.#kernels = kernels.layers;
    this.#qkv = input;
    this.#gradient = gradient;
    this.#shape = { T, B, heads, steps: T };
    this.pointwise = [{ layer: name, kind: "softmax", rows: heads, width: T }];
    this.#width = width;
    this.output = new Rows(arena.tensor(`${name}.y`, [T * B, width], "activations"));
    this.#shares = arena.tensor(`${name}.shares`, [B * heads * T, T], "activations");
    this.#kernels.planAttention(T, d);
    this.macs = PRODUCTS.map((product) => ({
      ...productMacs(name, product, product === "qk" || product === "pv" ? "forward" : "backward", false),
      shape: product === "qk" || product === "dp" ? [T, d] : [d, T],
    }));
  }

  initialize(): void {}

  denseMacs(rows: number): number {
    return PRODUCTS.length * rows * this.#shape.steps * this.#width;
  }

  forward(x: Input, pass: Pass): Rows {
    if (x instanceof OneHot || x.tensor !== this.#qkv.tensor)
      throw new Error(`${this.name}: the input must be the rows it was planned for`);
    this.#kernels.attention(this.output.tensor, this.#shares, x.tensor, x.row, this.#shapeOf(pass));
    if (pass.training) this.#count("forward", pass);
    return this.output;
  }

  backward(dy: Rows, pass: Pass): Rows {
    const { tensor, row } = this.#qkv;
    const dx = this.#gradient;
    this.#kernels.attentionGradient(dx.tensor, dy.tensor, dy.row, this.#shares, tensor, row, this.#shapeOf(pass));
    this.#count("backward", pass);
    return dx;
  }

  #shapeOf({ T, B }: Pass): AttentionShape {
    this.#shape.T = T;
    this.#shape.B = B;
    return this.#shape;
  }

  #count(direction: ProductMacs["direction"], { T, B }: Pass): void {
    const all = B * T * T * this.#width;
    for (const macs of this.macs) if (macs.direction === direction) setMacs(macs, all, 0, all);
  }
}
