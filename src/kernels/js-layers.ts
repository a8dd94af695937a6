/** Engine `js`, the definition: what layers that are not recurrent do beside products. */
import type { Arena, Tensor } from "../core/arena.ts";
import { erfc } from "../core/erf.ts";
import type { AttentionShape, LayerKernels, NormTensors } from "./kernels.ts";

const TO_DENSITY = 1 / Math.sqrt(2 * Math.PI);

export class JsLayers implements LayerKernels {
  readonly #arena: Arena;
  /** Of one query, (T): dP. */
  #shareGradients: Tensor | undefined;

  constructor(arena: Arena) {
    this.#arena = arena;
  }

  /**
   * Without a branch, which would be guessed wrong half of the time (a million elements: 1.4 ms against 5.6), nor Math.max
   * (6.0); + 0 turns -0 into 0.
   */
  relu({ data, rowLength }: Tensor, rows: number): void {
    for (let i = 0; i < rows * rowLength; i++) data[i] = data[i]! * +(data[i]! > 0) + 0;
  }

  reluGradient(out: Tensor, g: Tensor, gRow: number, y: Tensor, rows: number): void {
    const N = out.rowLength;
    for (let i = 0; i < rows * N; i++) out.data[i] = g.data[gRow * N + i]! * +(y.data[i]! > 0) + 0;
  }

  gelu(y: Tensor, x: Tensor, rows: number): void {
    for (let i = 0; i < rows * x.rowLength; i++) {
      const value = x.data[i]!;
      const below = 0.5 * erfc(-value * Math.SQRT1_2);
      y.data[i] = value * below;
      x.data[i] = below + value * TO_DENSITY * Math.exp(-0.5 * value * value);
    }
  }

  multiply(out: Tensor, a: Tensor, aRow: number, b: Tensor, rows: number): void {
    const N = out.rowLength;
    for (let i = 0; i < rows * N; i++) out.data[i] = a.data[aRow * N + i]! * b.data[i]!;
  }

  tanh(out: Tensor, x: Tensor, rows: number): void {
    for (let i = 0; i < rows * x.rowLength; i++) out.data[i] = Math.tanh(x.data[i]!);
  }

  tanhGradient(out: Tensor, g: Tensor, gRow: number, y: Tensor, rows: number): void {
    const N = out.rowLength;
    for (let i = 0; i < rows * N; i++) out.data[i] = g.data[gRow * N + i]! * (1 - y.data[i]! * y.data[i]!);
  }

  softmax(x: Tensor, row: number, rows: number, length: number): void {
    for (let r = row; r < row + rows; r++) softmaxRow(x, r * x.rowLength, length, x.rowLength, 1);
  }

  softmaxGradient(g: Tensor, p: Tensor, row: number, rows: number): void {
    const N = g.rowLength;
    for (let r = row; r < row + rows; r++) {
      let sum = 0;
      for (let i = r * N; i < (r + 1) * N; i++) sum += p.data[i]! * g.data[i]!;
      for (let i = r * N; i < (r + 1) * N; i++) g.data[i] = p.data[i]! * (g.data[i]! - sum);
    }
  }

  layerNorm(out: Tensor, x: Tensor, xRow: number, rows: number, norm: NormTensors): void {
    const N = x.rowLength;
    const [from, to, weight, bias] = [x.data, out.data, norm.weight.data, norm.bias.data];
    for (let r = 0; r < rows; r++) {
      const start = (xRow + r) * N;
      let sum = 0;
      for (let i = 0; i < N; i++) sum += from[start + i]!;
      const mean = sum / N;
      let squares = 0;
      for (let i = 0; i < N; i++) squares += (from[start + i]! - mean) ** 2;
      const inverse = 1 / Math.sqrt(squares / N + norm.eps);
      norm.mean.data[r] = mean;
      norm.inverse.data[r] = inverse;
      for (let i = 0; i < N; i++) to[r * N + i] = (from[start + i]! - mean) * inverse * weight[i]! + bias[i]!;
    }
  }

  /** With g = dy weight:  dx = inverse (g - mean(g) - xhat mean(g xhat)). */
  layerNormGradient(
    dx: Tensor,
    dy: Tensor,
    dyRow: number,
    x: Tensor,
    xRow: number,
    rows: number,
    norm: NormTensors,
  ): void {
    const N = dx.rowLength;
    const [from, g, to, weight] = [x.data, dy.data, dx.data, norm.weight.data];
    for (let r = 0; r < rows; r++) {
      const mean = norm.mean.data[r]!;
      const inverse = norm.inverse.data[r]!;
      const xAt = (xRow + r) * N;
      const gAt = (dyRow + r) * N;
      let sum = 0;
      let along = 0;
      for (let i = 0; i < N; i++) {
        const xhat = (from[xAt + i]! - mean) * inverse;
        const own = g[gAt + i]! * weight[i]!;
        norm.dWeight.data[i]! += g[gAt + i]! * xhat;
        norm.dBias.data[i]! += g[gAt + i]!;
        sum += own;
        along += own * xhat;
      }
      sum /= N;
      along /= N;
      for (let i = 0; i < N; i++)
        to[r * N + i] = inverse * (g[gAt + i]! * weight[i]! - sum - (from[xAt + i]! - mean) * inverse * along);
    }
  }

  planAttention(steps: number): void {
    if (steps > (this.#shareGradients?.length ?? 0))
      this.#shareGradients = this.#arena.tensor(`js.shareGradients.${steps}`, [steps], "workspace");
  }

  attention(out: Tensor, shares: Tensor, x: Tensor, xRow: number, shape: AttentionShape): void {
    const { T, B, heads, steps } = shape;
    const width = out.rowLength;
    const d = width / heads;
    const [o, p, qkv] = [out.data, shares.data, x.data];
    for (let b = 0; b < B; b++)
      for (let head = 0; head < heads; head++)
        for (let q = 0; q < T; q++) {
          const row = ((b * heads + head) * steps + q) * steps;
          const query = (xRow + q * B + b) * 3 * width + head * d;
          for (let k = 0; k <= q; k++) {
            const key = (xRow + k * B + b) * 3 * width + width + head * d;
            let sum = 0;
            for (let i = 0; i < d; i++) sum += qkv[query + i]! * qkv[key + i]!;
            p[row + k] = sum;
          }
          softmaxRow(shares, row, q + 1, T, 1 / Math.sqrt(d));
          for (let i = 0; i < d; i++) {
            let sum = 0;
            for (let k = 0; k <= q; k++)
              sum += p[row + k]! * qkv[(xRow + k * B + b) * 3 * width + 2 * width + head * d + i]!;
            o[(q * B + b) * width + head * d + i] = sum;
          }
        }
  }

  /** dV = P^T dO;  dP = dO V^T;  dS = P (dP - sum of P dP) / sqrt(d);  dQ = dS K;  dK = dS^T Q. */
  attentionGradient(
    dx: Tensor,
    dy: Tensor,
    dyRow: number,
    shares: Tensor,
    x: Tensor,
    xRow: number,
    shape: AttentionShape,
  ): void {
    const { T, B, heads, steps } = shape;
    const width = dy.rowLength;
    const d = width / heads;
    const [dQkv, dO, p, qkv, dP] = [dx.data, dy.data, shares.data, x.data, this.#shareGradients!.data];
    dQkv.fill(0, 0, T * B * 3 * width);
    for (let b = 0; b < B; b++)
      for (let head = 0; head < heads; head++)
        for (let q = 0; q < T; q++) {
          const row = ((b * heads + head) * steps + q) * steps;
          const from = (dyRow + q * B + b) * width + head * d;
          const query = (q * B + b) * 3 * width + head * d;
          let sum = 0;
          for (let k = 0; k <= q; k++) {
            const value = (k * B + b) * 3 * width + 2 * width + head * d;
            let product = 0;
            for (let i = 0; i < d; i++) {
              product += dO[from + i]! * qkv[xRow * 3 * width + value + i]!;
              dQkv[value + i]! += p[row + k]! * dO[from + i]!;
            }
            dP[k] = product;
            sum += p[row + k]! * product;
          }
          for (let k = 0; k <= q; k++) {
            const dS = (p[row + k]! * (dP[k]! - sum)) / Math.sqrt(d);
            const key = (k * B + b) * 3 * width + width + head * d;
            for (let i = 0; i < d; i++) {
              dQkv[query + i]! += dS * qkv[xRow * 3 * width + key + i]!;
              dQkv[key + i]! += dS * qkv[xRow * 3 * width + query + i]!;
            }
          }
        }
  }
}

/** softmax(scale x) over `length` of `width` elements from `start` on; the others become 0. */
function softmaxRow({ data }: Tensor, start: number, length: number, width: number, scale: number): void {
  let largest = Number.NEGATIVE_INFINITY;
  for (let i = start; i < start + length; i++) largest = Math.max(largest, data[i]!);
  let total = 0;
  for (let i = start; i < start + length; i++) {
    const weight = Math.exp(scale * (data[i]! - largest));
    data[i] = weight;
    total += weight;
  }
  for (let i = start; i < start + length; i++) data[i]! /= total;
  data.fill(0, start + length, start + width);
}
