/**
 * Gradients of which whole columns were dropped, in all rows of a time step, and their products: dense products over the
 * columns that live. Their form stands where a block of rows has room for pairs: rows of the live columns' values, one
 * behind the other, and, from the middle of that room on, one list of these columns.
 * starts of the block's first row: where its values begin, and their number in a row.
 */
import { PANEL_BYTES, product } from "./gemm";

/** Live columns whose weights are gathered at once: a thread has room for 256 rows of a panel. */
export const DEPTH: i32 = 256;

/** Begins the form of a block of `rows` rows, `at` its room. Returns the number of live columns, those with a factor. */
export function listLive(factors: usize, rows: i32, cols: i32, at: usize, starts: usize): i32 {
  const list = at + <usize>rows * <usize>cols * 4;
  let count = 0;
  for (let c = 0; c < cols; c++) {
    store<i32>(list + <usize>count * 4, c);
    count += i32(load<f32>(factors + <usize>c * 4) != 0);
  }
  store<u32>(starts, <u32>at);
  store<i32>(starts, count, 4);
  return count;
}

/** Live values of rows [from, from + rows) of the block, g (rows, cols) at the first of them. */
export function packLive(g: usize, cols: i32, list: usize, count: i32, from: i32, rows: i32, at: usize): void {
  let to = at + <usize>from * <usize>count * 4;
  const end = list + <usize>count * 4;
  for (let r = 0; r < rows; r++) {
    for (let p = list; p < end; p += 4) {
      store<f32>(to, load<f32>(g + <usize>load<i32>(p) * 4));
      to += 4;
    }
    g += <usize>cols * 4;
  }
}

/** Rows of a weight that live in a panel, one behind the other. */
function gather(panel: usize, list: usize, count: i32, to: usize): void {
  for (let i = 0; i < count; i++) {
    const from = panel + <usize>load<i32>(list) * PANEL_BYTES;
    for (let j: usize = 0; j < PANEL_BYTES; j += 32) {
      v128.store(to + j, v128.load(from + j));
      v128.store(to + j, v128.load(from + j, 16), 16);
    }
    list += 4;
    to += PANEL_BYTES;
  }
}

/**
 * c (rows, width) += values (rows, count) times the rows of a panel that the list names, which are gathered. gPanel: a
 * thread's room.
 */
export function listedProduct(
  rows: i32, width: i32, count: i32, values: usize, list: usize, panel: usize, c: usize, cRow: usize, gPanel: usize,
  scratch: usize,
): void {
  for (let x = 0; x < count; x += DEPTH) {
    const depth = min(DEPTH, count - x);
    gather(panel, list + <usize>x * 4, depth, gPanel);
    product(rows, width, depth, values + <usize>x * 4, <usize>count * 4, 4, gPanel, 0, c, cRow, scratch);
  }
}

/** Bytes from one block's starts to the next's, of `rows` rows. */
function stepOf(rows: i32, tiles: i32): usize {
  return <usize>(rows * (tiles + 1)) * 4;
}

/** Multiply-accumulates of `times` blocks with `width` numbers for each of their values. */
export function liveMacs(times: i32, rows: i32, tiles: i32, starts: usize, width: i32): f64 {
  let sum: f64 = 0;
  for (let t = 0; t < times; t++) sum += <f64>load<i32>(starts + <usize>t * stepOf(rows, tiles), 4);
  return sum * <f64>rows * <f64>width;
}

/** out (times * rows, k) += g w, w (n, k) in panels. Rows of out are `outRow` bytes apart. gPanel: a thread's room. */
export function columnProduct(
  times: i32, rows: i32, n: i32, k: i32, tiles: i32, starts: usize, panels: usize, out: usize, outRow: usize, gPanel: usize,
  scratch: usize,
): void {
  for (let j = 0; j < k; j += 32) {
    const panel = panels + <usize>j * <usize>n * 4;
    const width = min(32, k - j);
    for (let t = 0; t < times; t++) {
      const block = starts + <usize>t * stepOf(rows, tiles);
      const values = <usize>load<u32>(block);
      const count = load<i32>(block, 4);
      const list = values + <usize>rows * <usize>n * 4;
      const c = out + <usize>(t * rows) * outRow + <usize>j * 4;
      listedProduct(rows, width, count, values, list, panel, c, outRow, gPanel, scratch);
    }
  }
}

/** The first position of a list of `count` columns that is not below `column`. */
function liveFrom(list: usize, count: i32, column: i32): i32 {
  let low = 0;
  while (low < count) {
    const middle = (low + count) >> 1;
    if (load<i32>(list + <usize>middle * 4) < column) low = middle + 1;
    else count = middle;
  }
  return low;
}

/**
 * Rows [from, to) of out (n, k) += g^T x of one block's rows [row, row + height), height at most 256, x of these in panels.
 * tile: a thread's room for 32 x 32.
 */
export function columnTN(
  block: usize, rows: i32, row: i32, height: i32, n: i32, k: i32, from: i32, to: i32, out: usize, xPanels: usize,
  tile: usize, scratch: usize,
): void {
  const values = <usize>load<u32>(block);
  const count = load<i32>(block, 4);
  const list = values + <usize>rows * <usize>n * 4;
  const end = liveFrom(list, count, to);
  const valuesRow = <usize>count * 4;
  for (let first = liveFrom(list, count, from); first < end; first += 32) {
    const live = min(32, end - first);
    const a = values + <usize>row * valuesRow + <usize>first * 4;
    for (let j = 0; j < k; j += 32) {
      const width = min(32, k - j);
      for (let i: usize = 0; i < <usize>live * PANEL_BYTES; i += 16) v128.store(tile + i, i32x4.splat(0));
      product(
        live, width, height, a, 4, valuesRow, xPanels + <usize>j * <usize>height * 4, 0, tile, PANEL_BYTES, scratch,
      );
      for (let i = 0; i < live; i++) {
        const c = out + <usize>load<i32>(list + <usize>(first + i) * 4) * <usize>k * 4 + <usize>j * 4;
        addRow(c, tile + <usize>i * PANEL_BYTES, width);
      }
    }
  }
}

function addRow(to: usize, from: usize, width: i32): void {
  for (; width >= 4; width -= 4) {
    v128.store(to, f32x4.add(v128.load(to), v128.load(from)));
    to += 16;
    from += 16;
  }
  for (; width > 0; width--) {
    store<f32>(to, load<f32>(to) + load<f32>(from));
    to += 4;
    from += 4;
  }
}
