/** Which rows of a pattern an engine has compressed: it has room for some at a time. See Pattern.listFirst. */
import type { Pattern } from "../sparse/pattern.ts";

export class Listing {
  /** Rows that have room. */
  readonly room: number;
  /** The row compressed in each place, counted from 1; 0 where there is none. */
  readonly #rows: Int32Array;

  constructor(room: number) {
    this.room = room;
    this.#rows = new Int32Array(room);
  }

  /** Whether rows [row, row + rows) have a place. */
  fits({ listFirst }: Pattern, row: number, rows: number): boolean {
    return row >= listFirst && row + rows <= listFirst + this.room;
  }

  /** Says of rows, which have a place, whether they have just been compressed. */
  mark({ listFirst }: Pattern, row: number, rows: number, compressed: boolean): void {
    for (let r = row; r < row + rows; r++) this.#rows[r - listFirst] = compressed ? r + 1 : 0;
  }

  /**
   * The share of nonzeros above which products over these rows run dense: `full`, or one below any where rows
   * without lists are among them.
   */
  fullShare({ listFirst }: Pattern, row: number, rows: number, full: number): number {
    for (let r = row; r < row + rows; r++) if (this.#rows[r - listFirst] !== r + 1) return -1;
    return full;
  }
}
