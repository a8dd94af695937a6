/**
 * Gate gradients in memory: bytes by format against density, and where one format beats another.
 *
 *   dense          4 bytes an element
 *   bitmap         a bit an element, 4 bytes a nonzero
 *   coordinates    compressed rows: 4 bytes a row for its begin, 2 (4 beyond 65,536 columns) and 4 a nonzero
 *   run-length     a byte for the zeros before each value and 4 for the value; 255 zeros need a value of their own
 *
 * By rows they serve dh and dx; dW and dU want columns: the same bits turned, so a format with order stores twice, a
 * bitmap its values twice (docs/accelerator.md says how ours does without).
 */
import { countBits, wordsOf } from "../sparse/trace.ts";
import type { Bits } from "./patterns.ts";

export const FORMATS = ["dense", "bitmap", "coordinates", "run-length"] as const;
export type Format = (typeof FORMATS)[number];

const VALUE = 4;
const RUN = 255;

export interface Footprint {
  readonly format: Format;
  readonly bytes: number;
  /** With the second order that dW and dU read. */
  readonly bothOrders: number;
}

/** Of a site as it lies there: run-lengths are counted, not expected. */
export function footprints(site: Bits, turned: Bits): Footprint[] {
  const kept = countBits(site.bitmap);
  const { rows, cols } = site;
  return FORMATS.map((format): Footprint => {
    const bytes = bytesOf(format, rows, cols, kept, () => runValues(site));
    const other = bytesOf(format, cols, rows, kept, () => runValues(turned));
    return { format, bytes, bothOrders: format === "dense" ? bytes : bytes + other };
  });
}

/** Expected bytes at a density, nonzeros anywhere with the same probability. */
export function expectedBytes(format: Format, rows: number, cols: number, density: number): number {
  const all = rows * cols;
  const kept = all * density;
  // A value of its own for each full run of zeros that ends before a nonzero: geometric, (1 - d)^255 and its powers.
  const long = density > 0 ? (1 - density) ** (RUN + 1) : 1;
  return bytesOf(format, rows, cols, kept, () =>
    density > 0 ? kept / (1 - long) : rows * Math.floor(cols / (RUN + 1)),
  );
}

function bytesOf(format: Format, rows: number, cols: number, kept: number, values: () => number): number {
  switch (format) {
    case "dense":
      return VALUE * rows * cols;
    case "bitmap":
      return (rows * cols) / 8 + VALUE * kept;
    case "coordinates":
      return 4 * (rows + 1) + (VALUE + (cols > 65_536 ? 4 : 2)) * kept;
    case "run-length":
      return (VALUE + 1) * values();
  }
}

/** Density at which two formats take the same room, rows long enough not to count; null where one always wins. */
export function breakEven(a: Format, b: Format): number | null {
  const line = (format: Format): readonly [fixed: number, slope: number] =>
    format === "dense" ? [4, 0] : format === "bitmap" ? [1 / 8, 4] : format === "coordinates" ? [0, 6] : [0, 5];
  const [[fa, sa], [fb, sb]] = [line(a), line(b)];
  const at = (fb - fa) / (sa - sb);
  return Number.isFinite(at) && at > 0 && at <= 1 ? at : null;
}

/** Values a run-length code stores: nonzeros, and a zero wherever 255 zeros precede it. Rows begin anew. */
function runValues(site: Bits): number {
  let values = 0;
  let row = -1;
  let last = -1;
  forEachBit(site, (r, c) => {
    if (r !== row) [row, last] = [r, -1];
    values += 1 + Math.floor((c - last - 1) / (RUN + 1));
    last = c;
  });
  return values;
}

function forEachBit({ rows, cols, bitmap }: Bits, visit: (row: number, col: number) => void): void {
  const stride = wordsOf(cols);
  for (let r = 0; r < rows; r++)
    for (let w = 0; w < stride; w++) {
      let bits = bitmap[r * stride + w] as number;
      while (bits !== 0) {
        visit(r, w * 32 + 31 - Math.clz32(bits & -bits));
        bits &= bits - 1;
      }
    }
}
