/**
 * Where the nonzeros lie after a rule was applied: a canonical bitmap and counts, the same for
 * every engine, plus whatever an engine keeps for itself (compressed values, indices, columns).
 */
import type { Arena, BitTensor, IntTensor, Tensor } from "../core/arena.ts";
import type { Site } from "./site.ts";

export interface Pattern {
  readonly site: Site;
  /** The gate gradients themselves, pruned in place. (rows, cols): all of the site's, or room for a part of them. */
  readonly dense: Tensor;
  /** The site's row that row 0 is: draws and samples go by the site's rows. 0 where all have room. */
  firstRow: number;
  /**
   * An engine may have room for compressed forms of fewer rows than these: they are those from this row on, moved
   * by whoever goes over the rows in pieces. Products with other rows are dense.
   */
  listFirst: number;
  /**
   * A pattern of the same rows whose zeros are zeros here too, where these gradients are made from that one's: whoever
   * makes them says so, and an engine may use what it knows of that one.
   */
  follows: Pattern | undefined;
  /** Bit c%32 of word c>>5 of a row is set where the gradient is not exactly zero. (rows, wordsPerRow) */
  readonly bitmap: BitTensor;
  /** Nonzeros of each row. (rows) */
  readonly rowCounts: IntTensor;
  readonly wordsPerRow: number;
}

export function planPattern(arena: Arena, site: Site, dense: Tensor): Pattern {
  const wordsPerRow = Math.ceil(site.cols / 32);
  const rows = dense.shape[0] as number;
  return {
    site,
    dense,
    firstRow: 0,
    listFirst: 0,
    follows: undefined,
    bitmap: arena.bits(`${site.name}.bitmap`, [rows, wordsPerRow], "pattern"),
    rowCounts: arena.ints(`${site.name}.rowCounts`, [rows], "pattern"),
    wordsPerRow,
  };
}

/** Nonzeros in rows [row, row + rows). */
export function countRows(pattern: Pattern, row: number, rows: number): number {
  const counts = pattern.rowCounts.data;
  let sum = 0;
  for (let r = row; r < row + rows; r++) sum += counts[r] as number;
  return sum;
}
