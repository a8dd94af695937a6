/**
 * Structured dropout (Sarma et al., arXiv 2106.12089): columns of a matrix (T*B, K) are zeroed with probability p, the
 * same for all B rows of a time step and drawn anew for each, the rest scaled by 1/(1-p). Products need not meet the
 * columns that are zero: LiveKernels, where an engine has them, or the dense ones over the zeroed matrix, which is the
 * definition.
 */
import type { Arena, Tensor } from "../core/arena.ts";
import { counterHash, streamKey } from "../core/random.ts";
import type { Kernels, LiveColumns, LiveRows, Weight } from "../kernels/kernels.ts";
import type { Pass, Rows } from "./module.ts";

export class ColumnMask {
  readonly columns: LiveColumns;
  readonly #name: string;
  readonly #p: number;
  readonly #kernels: Kernels;
  readonly #factors: Tensor; // (T, K): 0 or 1/(1-p)
  readonly #rows: LiveRows;

  constructor(arena: Arena, kernels: Kernels, name: string, { T, width, p }: { T: number; width: number; p: number }) {
    this.#name = name;
    this.#p = p;
    this.#kernels = kernels;
    this.columns = {
      list: arena.ints(`${name}.live`, [T, width], "workspace"),
      counts: arena.ints(`${name}.liveCounts`, [T], "workspace"),
    };
    this.#factors = arena.tensor(`${name}.factors`, [T, width], "workspace");
    this.#rows = { columns: this.columns, time: 0, times: 0, rows: 0 };
  }

  /** Of this pass: column c of time t lives where counterHash(key of (seed, name, step), t*K + c) >= p 2^32. */
  draw({ T, seed, step }: Pass): void {
    const { list, counts } = this.columns;
    const factors = this.#factors.data;
    const K = this.#factors.rowLength;
    const key = streamKey(seed, this.#name, step);
    const limit = this.#p * 2 ** 32;
    const scale = 1 / (1 - this.#p);
    for (let t = 0; t < T; t++) {
      let count = 0;
      for (let at = t * K; at < (t + 1) * K; at++) {
        const lives = counterHash(key, at) >= limit;
        factors[at] = lives ? scale : 0;
        if (lives) list.data[t * K + count++] = at - t * K;
      }
      counts.data[t] = count;
    }
  }

  /** Rows of out = those of x, masked: `times` blocks of B rows from time `time` on. */
  apply(out: Tensor, outRow: number, x: Tensor, xRow: number, B: number, time: number, times: number): void {
    const K = this.#factors.rowLength;
    const factors = this.#factors.data;
    const rows = this.#rows;
    rows.time = time;
    rows.times = times;
    rows.rows = B;
    if (this.#kernels.live) {
      this.#kernels.live.mask(out, outRow, x, xRow, this.#factors, rows);
      return;
    }
    for (let r = 0; r < times * B; r++) {
      const t = time + Math.floor(r / B);
      for (let c = 0; c < K; c++) {
        const factor = factors[t * K + c]!;
        out.data[(outRow + r) * K + c] = factor === 0 ? 0 : x.data[(xRow + r) * K + c]! * factor;
      }
    }
  }
}

/** Products with rows that may have live columns only. Rows are those of positions: row t*B is time t. */
export class InputProducts {
  readonly #kernels: Kernels;
  readonly #live: Omit<LiveRows, "columns"> & { columns: LiveColumns | undefined } = {
    columns: undefined,
    time: 0,
    times: 0,
    rows: 0,
  };

  constructor(kernels: Kernels) {
    this.#kernels = kernels;
  }

  /** Whether rows of x, B to a time step, meet a weight by their live columns. */
  isLive(x: Rows, w: Weight, B: number): boolean {
    const { live } = this.#kernels;
    const planned = w.uses.live === true && w.uses.nt === true;
    return x.live !== undefined && live !== undefined && B >= live.leastRows && planned;
  }

  /**
   * Whether a product of gradients of which a rule left `kept` is faster dense over the live columns of x than sparse:
   * gemmNN ("nn") or gemmTN ("tn").
   */
  pays(product: "nn" | "tn", x: Rows, row: number, w: Weight, rows: number, B: number, kept: number): boolean {
    const live = this.#liveOf(x, row, w, rows, B);
    return live !== undefined && this.#kernels.live!.pays(product, kept / (rows * w.tensor.shape[0]!), live);
  }

  /** out += x w^T. Returns the multiply-accumulates executed. */
  gemmNT(out: Tensor, outRow: number, x: Rows, row: number, w: Weight, rows: number, B: number): number {
    const live = this.#liveOf(x, row, w, rows, B);
    if (live) return this.#kernels.live!.gemmNT(out, outRow, x.tensor, x.row + row, w, live);
    this.#kernels.gemmNT(out, outRow, x.tensor, x.row + row, w, rows);
    return rows * w.tensor.length;
  }

  /** out += g w, where it is masked afterwards: the gradient of x. Returns the multiply-accumulates executed. */
  gemmNN(
    out: Tensor,
    outRow: number,
    g: Tensor,
    gRow: number,
    x: Rows,
    row: number,
    w: Weight,
    rows: number,
    B: number,
  ) {
    const live = this.#liveOf(x, row, w, rows, B);
    if (live) return this.#kernels.live!.gemmNN(out, outRow, g, gRow, w, live);
    this.#kernels.gemmNN(out, outRow, g, gRow, w, rows);
    return rows * w.tensor.length;
  }

  /** out += g^T x; out is the gradient of w. Returns the multiply-accumulates executed. */
  gemmTN(out: Tensor, g: Tensor, gRow: number, x: Rows, row: number, w: Weight, rows: number, B: number): number {
    const live = this.#liveOf(x, row, w, rows, B);
    if (live) return this.#kernels.live!.gemmTN(out, g, gRow, x.tensor, x.row + row, live);
    this.#kernels.gemmTN(out, g, gRow, x.tensor, x.row + row, rows);
    return rows * w.tensor.length;
  }

  #liveOf(x: Rows, row: number, w: Weight, rows: number, B: number): LiveRows | undefined {
    if (!this.isLive(x, w, B)) return undefined;
    const live = this.#live as LiveRows;
    this.#live.columns = x.live;
    live.time = row / B;
    live.times = rows / B;
    live.rows = B;
    return live;
  }
}

/**
 * Multiply-accumulates of dead columns: for each of `times` times from `time` on, `elements(t)` elements of the other
 * factor meet them.
 */
export function maskedMacs(
  { list, counts }: LiveColumns,
  time: number,
  times: number,
  elements: (t: number) => number,
) {
  let sum = 0;
  for (let t = time; t < time + times; t++) sum += elements(t) * (list.rowLength - counts.data[t]!);
  return sum;
}
