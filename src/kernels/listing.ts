/** Which rows of a pattern an engine has compressed: it has room for some at a time. See Pattern.listFirst. */
import type { Pattern } from "../sparse/pattern.ts";

/** What an engine has of rows: nothing, lists of their nonzeros, or the live columns of a block of rows. */
export type Form = "none" | "lists" | "columns";

export class Listing {
  /** Rows that have room. */
  readonly room: number;
  /** The row listed in each place, counted from 1; 0 where there is none. */
  readonly #rows: Int32Array;
  /** Of rows in column form: the first row of their block, counted from 1, and the block's rows. */
  readonly #blocks: Int32Array;
  readonly #heights: Int32Array;

  constructor(room: number) {
    this.room = room;
    this.#rows = new Int32Array(room);
    this.#blocks = new Int32Array(room);
    this.#heights = new Int32Array(room);
  }

  /** Whether rows [row, row + rows) have a place. */
  fits({ listFirst }: Pattern, row: number, rows: number): boolean {
    return row >= listFirst && row + rows <= listFirst + this.room;
  }

  /** Says of rows, which have a place, what has just been made of them. `height`: rows of a block. */
  mark({ listFirst }: Pattern, row: number, rows: number, form: Form, height = rows): void {
    for (let r = row; r < row + rows; r++) {
      const place = r - listFirst;
      this.#rows[place] = form === "lists" ? r + 1 : 0;
      this.#blocks[place] = form === "columns" ? r - ((r - row) % height) + 1 : 0;
      this.#heights[place] = form === "columns" ? height : 0;
    }
  }

  /**
   * The share of nonzeros above which products over these rows run dense: `full`, or one below any where rows
   * without lists are among them.
   */
  fullShare({ listFirst }: Pattern, row: number, rows: number, full: number): number {
    for (let r = row; r < row + rows; r++) if (this.#rows[r - listFirst] !== r + 1) return -1;
    return full;
  }

  /** Rows of a block, where these rows are whole blocks of one height in column form; else 0. */
  columnBlocks({ listFirst }: Pattern, row: number, rows: number): number {
    const height = row >= listFirst && rows > 0 ? (this.#heights[row - listFirst] ?? 0) : 0;
    if (height === 0 || rows % height !== 0) return 0;
    for (let r = row; r < row + rows; r++) {
      const place = r - listFirst;
      if (this.#heights[place] !== height || this.#blocks[place] !== r - ((r - row) % height) + 1) return 0;
    }
    return height;
  }
}
