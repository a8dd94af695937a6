/** Rooms of engine wasm's products over live columns (assembly/live.ts), and their rows in pieces that fit. */
import type { Arena, Tensor } from "../core/arena.ts";
import type { LiveCalls } from "./by-address-live.ts";
import type { LiveExport, WasmExports } from "./wasm-exports.ts";

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

/**
 * Rows of a time step from which on copying what lives pays: with 4 the products are 0.86 to 1.2 times as fast as the
 * dense ones, with 8 1.2 to 1.6 (the same program; half of the columns live).
 */
export const LIVE_ROWS = 5;

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
    const turned = this.#turned as Tensor;
    const tiles = (this.#tiles as Tensor).ptr;
    /** In pieces whose packed rows have room: whole times together, or 256 rows of one. Steps: numbers of a row. */
    const pieces = (
      product: LiveExport,
      times: number,
      rows: number,
      N: number,
      K: number,
      left: number,
      leftStep: number,
      right: number,
      rightStep: number,
      list: number,
      counts: number,
      out: number,
      outStep: number,
      room: number,
      last: number,
    ): number => {
      const height = Math.min(rows, TILE);
      const together = height < rows ? 1 : Math.max(1, Math.floor(packed.length / (rows * (K + 1))));
      let macs = 0;
      for (let t = 0; t < times; t += together)
        for (let r = 0; r < rows; r += height) {
          const row = 4 * (t * rows + r);
          macs += product(
            Math.min(together, times - t),
            Math.min(height, rows - r),
            N,
            K,
            left + row * leftStep,
            right + row * rightStep,
            list + 4 * t * K,
            counts + 4 * t,
            out + row * outStep,
            packed.ptr,
            gPanel,
            room,
            last,
          );
        }
      return macs;
    };
    const { liveProduct, liveProductNN, liveProductTN } = call;
    return {
      liveProduct: (times, rows, N, K, a, panels, list, counts, out) =>
        pieces(liveProduct, times, rows, N, K, a, K, panels, 0, list, counts, out, N, 0, scratch),
      liveProductNN: (times, rows, N, K, g, panels, list, counts, out) =>
        pieces(liveProductNN, times, rows, N, K, g, N, panels, 0, list, counts, out, K, tiles, scratch),
      liveProductTN: (times, rows, N, K, g, x, list, counts, out) =>
        pieces(liveProductTN, times, rows, N, K, g, N, x, K, list, counts, out, 0, turned.ptr, 4 * turned.rowLength),
      maskRows: call.maskRows,
    };
  }
}
