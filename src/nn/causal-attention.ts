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
 * The six products are the engine's gemmTN, out = g^T x, on copies of a lane's rows; softmax is a loop here. They are
 * computed whole, and counted so: (T, T), though the mask leaves half. No gradient is dropped in here; the sites are at the
 * outputs of the projections below and above. Padding is on the right, where no position that counts looks.
 */
import type { Tensor } from "../core/arena.ts";
import type { Kernels } from "../kernels/kernels.ts";
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
  readonly #kernels: Kernels;
  readonly #qkv: Rows;
  readonly #gradient: Rows;
  readonly #heads: number;
  readonly #width: number; // of all heads
  readonly #size: number; // d, of one
  readonly #steps: number; // T as planned: row length of square scratch
  /** P of every lane and head, (B*heads*T, T). */
  readonly #shares: Tensor;
  // Of one lane and head. (T, d):
  readonly #rows: Tensor; // K, Q, V or dO
  readonly #product: Tensor; // O, dV, dQ or dK
  // (d, T):
  readonly #left: Tensor;
  readonly #right: Tensor;
  // (T, T):
  readonly #square: Tensor; // s Q K^T, dP, then dS
  readonly #turned: Tensor; // P^T, dS^T

  constructor({ arena, kernels, T, B }: Planner, { name, input, gradient, heads }: AttentionOptions) {
    const width = input.tensor.rowLength / 3;
    const d = width / heads;
    this.name = name;
    this.#kernels = kernels;
    this.#qkv = input;
    this.#gradient = gradient;
    this.#heads = heads;
    this.pointwise = [{ layer: name, kind: "softmax", rows: heads, width: T }];
    this.#width = width;
    this.#size = d;
    this.#steps = T;
    this.output = new Rows(arena.tensor(`${name}.y`, [T * B, width], "activations"));
    this.#shares = arena.tensor(`${name}.shares`, [B * heads * T, T], "activations");
    const scratch = (part: string, rows: number, columns: number) =>
      arena.tensor(`${name}.${part}`, [rows, columns], "workspace");
    this.#rows = scratch("rows", T, d);
    this.#product = scratch("product", T, d);
    this.#left = scratch("left", d, T);
    this.#right = scratch("right", d, T);
    this.#square = scratch("square", T, T);
    this.#turned = scratch("turned", T, T);
    kernels.planTN(d, T, T);
    kernels.planTN(T, T, d);
    this.macs = PRODUCTS.map((product) => ({
      ...productMacs(name, product, product === "qk" || product === "pv" ? "forward" : "backward", false),
      shape: product === "qk" || product === "dp" ? [T, d] : [d, T],
    }));
  }

  initialize(): void {}

  denseMacs(rows: number): number {
    return PRODUCTS.length * rows * this.#steps * this.#width;
  }

  forward(x: Input, pass: Pass): Rows {
    if (x instanceof OneHot || x.tensor !== this.#qkv.tensor)
      throw new Error(`${this.name}: the input must be the rows it was planned for`);
    const { T, B, training } = pass;
    const width = this.#width;
    const d = this.#size;
    for (let b = 0; b < B; b++)
      for (let head = 0; head < this.#heads; head++) {
        const column = head * d;
        const first = (b * this.#heads + head) * this.#steps;
        this.#takeTurned(this.#left, x, column, b, pass);
        this.#takeTurned(this.#right, x, width + column, b, pass);
        this.#compare(d); // Q K^T
        this.#softmax(first, T);
        this.#take(x, 2 * width + column, b, pass);
        this.#multiply(this.#turned, 0, T); // O = P V
        this.#put(this.output, column, b, pass);
      }
    if (training) this.#count("forward", pass);
    return this.output;
  }

  backward(dy: Rows, pass: Pass): Rows {
    const { T, B } = pass;
    const width = this.#width;
    const d = this.#size;
    const x = this.#qkv;
    const dx = this.#gradient;
    for (let b = 0; b < B; b++)
      for (let head = 0; head < this.#heads; head++) {
        const column = head * d;
        const first = (b * this.#heads + head) * this.#steps;
        this.#take(dy, column, b, pass);
        this.#multiply(this.#shares, first, T); // dV = P^T dO
        this.#put(dx, 2 * width + column, b, pass);
        this.#takeTurned(this.#left, dy, column, b, pass);
        this.#takeTurned(this.#right, x, 2 * width + column, b, pass);
        this.#compare(d); // dP = dO V^T
        this.#softmaxBackward(first, T);
        this.#take(x, width + column, b, pass);
        this.#multiply(this.#turned, 0, T); // dQ = dS K
        this.#put(dx, column, b, pass);
        this.#take(x, column, b, pass);
        this.#multiply(this.#square, 0, T); // dK = dS^T Q
        this.#put(dx, width + column, b, pass);
      }
    this.#count("backward", pass);
    return dx;
  }

  /** square = left^T right. */
  #compare(d: number): void {
    this.#square.data.fill(0);
    this.#kernels.gemmTN(this.#square, this.#left, 0, this.#right, 0, d);
  }

  /** product = g^T rows, of rows [row, row + T) of g. */
  #multiply(g: Tensor, row: number, T: number): void {
    this.#product.data.fill(0);
    this.#kernels.gemmTN(this.#product, g, row, this.#rows, 0, T);
  }

  /** P from Q K^T in `square`, kept in rows [first, first + T) of `shares`, and turned. */
  #softmax(first: number, T: number): void {
    const steps = this.#steps;
    const scale = 1 / Math.sqrt(this.#size);
    const from = this.#square.data;
    const turned = this.#turned.data;
    const shares = this.#shares.data;
    for (let q = 0; q < T; q++) {
      const row = q * steps;
      const to = (first + q) * steps;
      let largest = from[row]!;
      for (let k = 1; k <= q; k++) if (from[row + k]! > largest) largest = from[row + k]!;
      let sum = 0;
      for (let k = 0; k <= q; k++) {
        const weight = Math.exp(scale * (from[row + k]! - largest));
        shares[to + k] = weight;
        sum += weight;
      }
      for (let k = 0; k <= q; k++) {
        shares[to + k] = shares[to + k]! / sum;
        turned[k * steps + q] = shares[to + k]!;
      }
      for (let k = q + 1; k < T; k++) {
        shares[to + k] = 0;
        turned[k * steps + q] = 0;
      }
    }
  }

  /** dS from dP in `square`, in its place, and turned. */
  #softmaxBackward(first: number, T: number): void {
    const steps = this.#steps;
    const scale = 1 / Math.sqrt(this.#size);
    const square = this.#square.data;
    const turned = this.#turned.data;
    const shares = this.#shares.data;
    for (let q = 0; q < T; q++) {
      const row = q * steps;
      const at = (first + q) * steps;
      let mean = 0;
      for (let k = 0; k <= q; k++) mean += shares[at + k]! * square[row + k]!;
      for (let k = 0; k < T; k++) {
        const g = k <= q ? scale * shares[at + k]! * (square[row + k]! - mean) : 0;
        square[row + k] = g;
        turned[k * steps + q] = g;
      }
    }
  }

  /** `rows` = a head's columns of lane b. */
  #take({ tensor, row }: Rows, column: number, b: number, { T, B }: Pass): void {
    const { data, rowLength } = tensor;
    const to = this.#rows.data;
    const d = this.#size;
    for (let t = 0; t < T; t++) {
      const start = (row + t * B + b) * rowLength + column;
      for (let i = 0; i < d; i++) to[t * d + i] = data[start + i]!;
    }
  }

  /** The same, turned: (d, T). */
  #takeTurned(out: Tensor, { tensor, row }: Rows, column: number, b: number, { T, B }: Pass): void {
    const { data, rowLength } = tensor;
    const to = out.data;
    const d = this.#size;
    const steps = this.#steps;
    for (let t = 0; t < T; t++) {
      const start = (row + t * B + b) * rowLength + column;
      for (let i = 0; i < d; i++) to[i * steps + t] = data[start + i]!;
    }
  }

  /** A head's columns of lane b = `product`. */
  #put({ tensor, row }: Rows, column: number, b: number, { T, B }: Pass): void {
    const { data, rowLength } = tensor;
    const from = this.#product.data;
    const d = this.#size;
    for (let t = 0; t < T; t++) {
      const start = (row + t * B + b) * rowLength + column;
      for (let i = 0; i < d; i++) data[start + i] = from[t * d + i]!;
    }
  }

  #count(direction: ProductMacs["direction"], { T, B }: Pass): void {
    const all = B * this.#heads * T * T * this.#size;
    for (const macs of this.macs) if (macs.direction === direction) setMacs(macs, all, 0, all);
  }
}
