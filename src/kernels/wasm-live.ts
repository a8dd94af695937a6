/** Rooms of engine wasm's products over live columns (assembly/live.ts), and their rows in pieces that fit. */
import type { Arena, Tensor } from "../core/arena.ts";
import type { LiveCalls } from "./by-address-live.ts";
import type { WasmExports } from "./wasm-exports.ts";

/** Columns of a panel; rows that a thread's room for one holds. */
const PANEL = 32;
const TILE = 256;
/** Rows whose live columns are packed at once, at most: dW gains little by more (`node lab/live.mjs`). */
const MOST_ROWS = 1024;

/**
 * Time of a product over live columns beside the dense one's, where all columns live: half of them live, W1's, W2's and
 * W4's shapes (`node lab/live.mjs`), twice what was found.
 */
export const LIVE_COST = { nn: 1.25, tn: 1.1 };

/** Room for what a product packs, planned with the weights that meet live columns. Float32. */
export class LiveRoom {
  #tiles: Tensor | undefined; // (threads, TILE, PANEL)
  #packed: Tensor | undefined; // grows while planning, as the next does
  #turned: Tensor | undefined; // (threads, K + 1, PANEL)
  readonly #arena: Arena;
  readonly #threads: number;
  readonly #widths = new Set<number>();

  constructor(arena: Arena, threads: number) {
    this.#arena = arena;
    this.#threads = threads;
  }

  /** For a gradient made of so many rows at once with K columns, where a weight had them planned before. */
  planTN(rows: number, K: number): void {
    if (this.#widths.has(K)) this.plan(rows, K);
  }

  /** For products of a weight with rows whose K columns partly live. */
  plan(rows: number, K: number): void {
    const arena = this.#arena;
    const packed = Math.min(rows, MOST_ROWS) * (K + 1);
    const turned = (K + 1) * PANEL;
    this.#widths.add(K);
    this.#tiles ??= arena.tensor("wasm.liveTiles", [this.#threads, TILE, PANEL], "workspace");
    if (packed > (this.#packed?.length ?? 0))
      this.#packed = arena.tensor(`wasm.livePacked.${packed}`, [packed], "workspace");
    if (turned > (this.#turned?.rowLength ?? 0))
      this.#turned = arena.tensor(`wasm.liveTurned.${turned}`, [this.#threads, turned], "workspace");
  }

  /** `call`, gPanel: address of each thread's panel, and scratch: once the arena is allocated. */
  calls(call: WasmExports, gPanel: number, scratch: number): LiveCalls {
    const packed = this.#packed as Tensor;
    const tiles = (this.#tiles as Tensor).ptr;
    const turned = this.#turned as Tensor;
    /** Whole times together, or rows of one. */
    const inPieces = (
      times: number,
      rows: number,
      width: number,
      f: (t: number, some: number, row: number, height: number) => number,
    ): number => {
      const height = Math.min(rows, TILE);
      const together = height < rows ? 1 : Math.max(1, Math.floor(packed.length / (rows * width)));
      let macs = 0;
      for (let t = 0; t < times; t += together)
        for (let r = 0; r < rows; r += height)
          macs += f(t, Math.min(together, times - t), t * rows + r, Math.min(height, rows - r));
      return macs;
    };
    return {
      liveProduct: (times, rows, N, K, a, panels, list, counts, out) =>
        inPieces(times, rows, K, (t, some, row, height) =>
          call.liveProduct(
            some,
            height,
            N,
            K,
            a + 4 * row * K,
            panels,
            list + 4 * t * K,
            counts + 4 * t,
            out + 4 * row * N,
            packed.ptr,
            gPanel,
            scratch,
          ),
        ),
      liveProductNN: (times, rows, N, K, g, panels, list, counts, out) =>
        inPieces(times, rows, K, (t, some, row, height) =>
          call.liveProductNN(
            some,
            height,
            N,
            K,
            g + 4 * row * N,
            panels,
            list + 4 * t * K,
            counts + 4 * t,
            out + 4 * row * K,
            gPanel,
            tiles,
            scratch,
          ),
        ),
      liveProductTN: (times, rows, N, K, g, x, list, counts, out) =>
        inPieces(times, rows, K + 1, (t, some, row, height) =>
          call.liveProductTN(
            some,
            height,
            N,
            K,
            g + 4 * row * N,
            x + 4 * row * K,
            list + 4 * t * K,
            counts + 4 * t,
            out,
            packed.ptr,
            gPanel,
            turned.ptr,
            4 * turned.rowLength,
          ),
        ),
      maskRows: call.maskRows,
    };
  }
}
