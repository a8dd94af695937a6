/** LayerKernels of the engines over the arena's bytes: `wasm` and `native` have the same functions. */
import type { Arena, Tensor } from "../core/arena.ts";
import { at } from "./by-address.ts";
import type { AttentionShape, LayerKernels, NormTensors } from "./kernels.ts";
import type { WasmExports } from "./wasm-exports.ts";

export type LayerCalls = Pick<
  WasmExports,
  | "attention"
  | "attentionGradient"
  | "gelu"
  | "layerNorm"
  | "layerNormGradient"
  | "multiply"
  | "relu"
  | "reluGradient"
  | "softmaxGradientRows"
  | "softmaxRows"
  | "tanhGradient"
  | "tanhOf"
>;

const LINE_FLOATS = 16; // threads' rooms begin on lines of their own
const TILE_FLOATS = 32; // for tiles that stick out: assembly/parallel.ts

export class AddressLayers implements LayerKernels {
  readonly #call: () => LayerCalls;
  readonly #arena: Arena;
  readonly #threads: number;
  readonly #panel: number;
  /** (threads, room): a square of shares, the panels of one factor, a tile. */
  #attention: Tensor | undefined;

  /** `call`: once the arena is allocated; `panel`: columns of the engine's panels. */
  constructor(call: () => LayerCalls, arena: Arena, threads: number, panel: number) {
    this.#call = call;
    this.#arena = arena;
    this.#threads = threads;
    this.#panel = panel;
  }

  relu(x: Tensor, rows: number): void {
    this.#call().relu(x.ptr, rows * x.rowLength);
  }

  reluGradient(out: Tensor, g: Tensor, gRow: number, y: Tensor, rows: number): void {
    this.#call().reluGradient(out.ptr, at(g, gRow, g.rowLength), y.ptr, rows * out.rowLength);
  }

  gelu(y: Tensor, x: Tensor, rows: number): void {
    this.#call().gelu(y.ptr, x.ptr, rows * x.rowLength);
  }

  multiply(out: Tensor, a: Tensor, aRow: number, b: Tensor, rows: number): void {
    this.#call().multiply(out.ptr, at(a, aRow, a.rowLength), b.ptr, rows * out.rowLength);
  }

  tanh(out: Tensor, x: Tensor, rows: number): void {
    this.#call().tanhOf(out.ptr, x.ptr, rows * x.rowLength);
  }

  tanhGradient(out: Tensor, g: Tensor, gRow: number, y: Tensor, rows: number): void {
    this.#call().tanhGradient(out.ptr, at(g, gRow, g.rowLength), y.ptr, rows * out.rowLength);
  }

  softmax(x: Tensor, row: number, rows: number, length: number): void {
    this.#call().softmaxRows(at(x, row, x.rowLength), rows, x.rowLength, length);
  }

  softmaxGradient(g: Tensor, p: Tensor, row: number, rows: number): void {
    const N = g.rowLength;
    this.#call().softmaxGradientRows(at(g, row, N), at(p, row, N), rows, N);
  }

  layerNorm(out: Tensor, x: Tensor, xRow: number, rows: number, norm: NormTensors): void {
    const N = x.rowLength;
    this.#call().layerNorm(
      out.ptr,
      at(x, xRow, N),
      rows,
      N,
      norm.weight.ptr,
      norm.bias.ptr,
      norm.mean.ptr,
      norm.inverse.ptr,
      norm.eps,
    );
  }

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
    this.#call().layerNormGradient(
      dx.ptr,
      at(dy, dyRow, N),
      at(x, xRow, N),
      rows,
      N,
      norm.weight.ptr,
      norm.mean.ptr,
      norm.inverse.ptr,
      norm.dWeight.ptr,
      norm.dBias.ptr,
    );
  }

  planAttention(steps: number, size: number): void {
    const whole = (columns: number) => Math.ceil(columns / this.#panel) * this.#panel;
    const floats = steps * steps + Math.max(whole(steps) * size, whole(size) * steps);
    const room = Math.ceil(floats / LINE_FLOATS) * LINE_FLOATS + TILE_FLOATS;
    if (room > (this.#attention?.rowLength ?? 0))
      this.#attention = this.#arena.tensor(`attention.room.${room}`, [this.#threads, room], "workspace");
  }

  attention(out: Tensor, shares: Tensor, x: Tensor, xRow: number, { T, B, heads, steps }: AttentionShape): void {
    const width = out.rowLength;
    const { ptr, rowLength } = this.#attention as Tensor;
    const from = at(x, xRow, 3 * width);
    this.#call().attention(out.ptr, shares.ptr, from, T, B, heads, width, steps, ptr, rowLength);
  }

  attentionGradient(
    dx: Tensor,
    dy: Tensor,
    dyRow: number,
    shares: Tensor,
    x: Tensor,
    xRow: number,
    { T, B, heads, steps }: AttentionShape,
  ): void {
    const width = dy.rowLength;
    const { ptr, rowLength } = this.#attention as Tensor;
    const from = at(x, xRow, 3 * width);
    const g = at(dy, dyRow, width);
    this.#call().attentionGradient(dx.ptr, g, shares.ptr, from, T, B, heads, width, steps, ptr, rowLength);
  }
}
