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
    return new PiecedCalls(call, {
      packed: packed.ptr,
      packedFloats: packed.length,
      tiles: (this.#tiles as Tensor).ptr,
      turned: turned.ptr,
      turnedBytes: 4 * turned.rowLength,
      gPanel,
      scratch,
    });
  }
}

/** Addresses, and how much there is behind two of them. */
interface Room {
  readonly packed: number;
  readonly packedFloats: number;
  readonly tiles: number;
  readonly turned: number;
  readonly turnedBytes: number;
  readonly gPanel: number;
  readonly scratch: number;
}

/** Products in pieces whose packed rows have room: whole times together, or 256 rows of one. Nothing is allocated. */
class PiecedCalls implements LiveCalls {
  readonly #call: WasmExports;
  readonly #room: Room;

  constructor(call: WasmExports, room: Room) {
    this.#call = call;
    this.#room = room;
  }

  liveProduct(
    times: number,
    rows: number,
    N: number,
    K: number,
    a: number,
    panels: number,
    list: number,
    counts: number,
    out: number,
  ): number {
    const { packed, gPanel, scratch } = this.#room;
    const height = Math.min(rows, TILE);
    const together = this.#together(rows, height, K);
    let macs = 0;
    for (let t = 0; t < times; t += together)
      for (let r = 0; r < rows; r += height) {
        const row = t * rows + r;
        macs += this.#call.liveProduct(
          Math.min(together, times - t),
          Math.min(height, rows - r),
          N,
          K,
          a + 4 * row * K,
          panels,
          list + 4 * t * K,
          counts + 4 * t,
          out + 4 * row * N,
          packed,
          gPanel,
          scratch,
        );
      }
    return macs;
  }

  liveProductNN(
    times: number,
    rows: number,
    N: number,
    K: number,
    g: number,
    panels: number,
    list: number,
    counts: number,
    out: number,
  ): number {
    const { tiles, gPanel, scratch } = this.#room;
    const height = Math.min(rows, TILE);
    const together = height < rows ? 1 : times; // nothing is packed
    let macs = 0;
    for (let t = 0; t < times; t += together)
      for (let r = 0; r < rows; r += height) {
        const row = t * rows + r;
        macs += this.#call.liveProductNN(
          Math.min(together, times - t),
          Math.min(height, rows - r),
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
        );
      }
    return macs;
  }

  liveProductTN(
    times: number,
    rows: number,
    N: number,
    K: number,
    g: number,
    x: number,
    list: number,
    counts: number,
    out: number,
  ): number {
    const { packed, turned, turnedBytes, gPanel } = this.#room;
    const height = Math.min(rows, TILE);
    const together = this.#together(rows, height, K + 1);
    let macs = 0;
    for (let t = 0; t < times; t += together)
      for (let r = 0; r < rows; r += height) {
        const row = t * rows + r;
        macs += this.#call.liveProductTN(
          Math.min(together, times - t),
          Math.min(height, rows - r),
          N,
          K,
          g + 4 * row * N,
          x + 4 * row * K,
          list + 4 * t * K,
          counts + 4 * t,
          out,
          packed,
          gPanel,
          turned,
          turnedBytes,
        );
      }
    return macs;
  }

  maskRows(out: number, a: number, factors: number, times: number, rows: number, cols: number): void {
    this.#call.maskRows(out, a, factors, times, rows, cols);
  }

  /** Times of a piece, `width` numbers packed of each row. */
  #together(rows: number, height: number, width: number): number {
    return height < rows ? 1 : Math.max(1, Math.floor(this.#room.packedFloats / (rows * width)));
  }
}
