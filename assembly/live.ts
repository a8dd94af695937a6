/**
 * Products with a left factor whose columns are zero in all rows of a time step (structured dropout): only the live ones
 * are met. list (times, k): a time's live columns, ascending, counts (times) of them. Rows come in blocks of `rows`, one
 * for each time.
 */
import { DEPTH, listedProduct } from "./columns";
import { packPanels, PANEL_BYTES, product, tile2x16 } from "./gemm";

/** Multiply-accumulates of the live columns with `width` numbers for each row. */
export function liveMacs(times: i32, rows: i32, counts: usize, width: i32): f64 {
  let sum: f64 = 0;
  for (let t = 0; t < times; t++) sum += <f64>load<i32>(counts + <usize>t * 4);
  return sum * <f64>rows * <f64>width;
}

/** Live values of times [from, from + times) of a (rows, k): rows one behind the other, a time's at to + t rows k. */
export function packRowsOf(
  from: i32, times: i32, rows: i32, k: i32, a: usize, list: usize, counts: usize, to: usize,
): void {
  const row = <usize>k * 4;
  for (let t = <usize>from; t < <usize>(from + times); t++) {
    const begin = list + t * row;
    const end = begin + <usize>load<i32>(counts + t * 4) * 4;
    let source = a + t * <usize>rows * row;
    let target = to + t * <usize>rows * row;
    for (let r = 0; r < rows; r++) {
      for (let p = begin; p < end; p += 4) {
        store<f32>(target, load<f32>(source + <usize>load<i32>(p) * 4));
        target += 4;
      }
      source += row;
    }
  }
}

/** The same as [pair of live columns][row][2], a time's at to + t rows (k + 1); the last of an odd number twice. */
export function packPairs(
  from: i32, times: i32, rows: i32, k: i32, a: usize, list: usize, counts: usize, to: usize,
): void {
  const row = <usize>k * 4;
  for (let t = <usize>from; t < <usize>(from + times); t++) {
    const begin = list + t * row;
    const end = begin + <usize>load<i32>(counts + t * 4) * 4;
    let target = to + t * <usize>rows * (row + 4);
    for (let p = begin; p < end; p += 8) {
      let x = a + t * <usize>rows * row + <usize>load<i32>(p) * 4;
      const step = p + 4 < end ? <usize>(load<i32>(p, 4) - load<i32>(p)) * 4 : 0;
      for (let r = 0; r < rows; r++) {
        store<f32>(target, load<f32>(x));
        store<f32>(target, load<f32>(x + step), 4);
        target += 8;
        x += row;
      }
    }
  }
}

/** out (times * rows, n) += a b, b (k, n) in panels; values: a as packRowsOf leaves it. gPanel: a thread's room. */
export function liveNT(
  times: i32, rows: i32, n: i32, k: i32, values: usize, list: usize, counts: usize, panels: usize, out: usize,
  outRow: usize, gPanel: usize, scratch: usize,
): void {
  const row = <usize>k * 4;
  for (let j = 0; j < n; j += 32)
    for (let t = <usize>0; t < <usize>times; t++)
      listedProduct(
        rows, min(32, n - j), load<i32>(counts + t * 4), values + t * <usize>rows * row, list + t * row,
        panels + <usize>j * row, out + t * <usize>rows * outRow + <usize>j * 4, outRow, gPanel, scratch,
      );
}

/** A panel (depth, 32) whose column q is column list[q] of w, rows [x, x + depth), from panels over rows of w. */
function gatherColumns(live: i32, x: i32, depth: i32, k: i32, list: usize, panels: usize, to: usize): void {
  for (let i = x; i < x + depth; i += 32, to += 32 * PANEL_BYTES) {
    const panel = panels + <usize>i * <usize>k * 4;
    for (let q = 0; q < live; q += 4) {
      // A column beyond the last reads it again; nobody reads what is made of it.
      let a = panel + <usize>load<i32>(list + <usize>q * 4) * PANEL_BYTES;
      let b = panel + <usize>load<i32>(list + <usize>min(q + 1, live - 1) * 4) * PANEL_BYTES;
      let c = panel + <usize>load<i32>(list + <usize>min(q + 2, live - 1) * 4) * PANEL_BYTES;
      let d = panel + <usize>load<i32>(list + <usize>min(q + 3, live - 1) * 4) * PANEL_BYTES;
      let target = to + <usize>q * 4;
      for (const end = a + PANEL_BYTES; a < end; a += 16) {
        const x0 = v128.load(a);
        const x1 = v128.load(b);
        const x2 = v128.load(c);
        const x3 = v128.load(d);
        const low01 = i32x4.shuffle(x0, x1, 0, 4, 1, 5);
        const high01 = i32x4.shuffle(x0, x1, 2, 6, 3, 7);
        const low23 = i32x4.shuffle(x2, x3, 0, 4, 1, 5);
        const high23 = i32x4.shuffle(x2, x3, 2, 6, 3, 7);
        v128.store(target, i64x2.shuffle(low01, low23, 0, 2));
        v128.store(target, i64x2.shuffle(low01, low23, 1, 3), PANEL_BYTES);
        v128.store(target, i64x2.shuffle(high01, high23, 0, 2), 2 * PANEL_BYTES);
        v128.store(target, i64x2.shuffle(high01, high23, 1, 3), 3 * PANEL_BYTES);
        b += 16;
        c += 16;
        d += 16;
        target += 4 * PANEL_BYTES;
      }
    }
  }
}

/**
 * One time's columns list[from .. to) of out (rows, k) += g (rows, n) w, w in panels over its rows [n / 32][k][32].
 * rows: at most 256. gPanel, tile: a thread's room for 256 rows of a panel each.
 */
export function liveNN(
  rows: i32, n: i32, k: i32, g: usize, panels: usize, list: usize, from: i32, to: i32, out: usize, gPanel: usize,
  tile: usize, scratch: usize,
): void {
  for (let first = from; first < to; first += 32) {
    const live = min(32, to - first);
    const own = list + <usize>first * 4;
    const end = tile + <usize>rows * PANEL_BYTES;
    for (let p = tile; p < end; p += 16) v128.store(p, i32x4.splat(0));
    for (let x = 0; x < n; x += DEPTH) {
      const depth = min(DEPTH, n - x);
      gatherColumns(live, x, depth, k, own, panels, gPanel);
      product(rows, live, depth, g + <usize>x * 4, <usize>n * 4, 4, gPanel, 0, tile, PANEL_BYTES, scratch);
    }
    let row = out;
    for (let p = tile; p < end; p += PANEL_BYTES) {
      for (let q: usize = 0; q < <usize>live * 4; q += 4) {
        const at = row + <usize>load<i32>(own + q) * 4;
        store<f32>(at, load<f32>(at) + load<f32>(p + q));
      }
      row += <usize>k * 4;
    }
  }
}

/**
 * Rows [from, to) of out (n, k) += g^T x, g (times * rows, n), rows at most 256; pairs: x as packPairs leaves it. 32 rows of
 * the result are made with a row for each column of x, so that the live ones are whole vectors, and turned at the end.
 * turned: a thread's room for k + 1 rows of a panel, the last of them for what belongs nowhere. `from`: of whole panels.
 */
export function liveTN(
  times: i32, rows: i32, n: i32, k: i32, from: i32, to: i32, g: usize, pairs: usize, list: usize, counts: usize,
  out: usize, turned: usize, gPanel: usize,
): void {
  const row = <usize>k * 4;
  for (let j = from; j < to; j += 32) {
    const width = min(32, to - j);
    const end = turned + <usize>k * PANEL_BYTES;
    for (let p = turned; p < end; p += 16) v128.store(p, i32x4.splat(0));
    for (let t = <usize>0; t < <usize>times; t++) {
      packPanels(rows, width, g + (t * <usize>rows * <usize>n + <usize>j) * 4, <usize>n * 4, gPanel);
      let pair = pairs + t * <usize>rows * (row + 4);
      const begin = list + t * row;
      const stop = begin + <usize>load<i32>(counts + t * 4) * 4;
      for (let p = begin; p < stop; p += 8) {
        const c = turned + <usize>load<i32>(p) * PANEL_BYTES;
        const next = (p + 4 < stop ? turned + <usize>load<i32>(p, 4) * PANEL_BYTES : end) - c;
        tile2x16(rows, pair, 4, 8, gPanel, c, next);
        if (width > 16) tile2x16(rows, pair, 4, 8, gPanel + 64, c + 64, next);
        pair += <usize>rows * 8;
      }
    }
    addTurned(k, width, turned, out + <usize>j * row);
  }
}

/** out (cols, rows) += from (rows, cols) transposed, rows of a panel. */
function addTurned(rows: i32, cols: i32, from: usize, out: usize): void {
  const row = <usize>rows * 4;
  const rows4 = rows & ~3;
  for (let c = 0; c < cols; c++) {
    let p = from + <usize>c * 4;
    let to = out + <usize>c * row;
    for (let r = 0; r < rows4; r += 4) {
      const x = f32x4(load<f32>(p), load<f32>(p, 128), load<f32>(p, 256), load<f32>(p, 384));
      v128.store(to, f32x4.add(v128.load(to), x));
      p += 4 * PANEL_BYTES;
      to += 16;
    }
    for (let r = rows4; r < rows; r++) {
      store<f32>(to, load<f32>(to) + load<f32>(p));
      p += PANEL_BYTES;
      to += 4;
    }
  }
}

/** out (times * rows, cols) = a, each row with the factors of its time; exactly 0 where a factor is. */
export function maskRows(out: usize, a: usize, factors: usize, times: i32, rows: i32, cols: i32): void {
  const cols4 = cols & ~3;
  for (let t = 0; t < times; t++) {
    for (let r = 0; r < rows; r++) {
      for (let c: usize = 0; c < <usize>cols4 * 4; c += 16) {
        const factor = v128.load(factors + c);
        const lives = f32x4.ne(factor, f32x4.splat(0));
        v128.store(out + c, v128.and(f32x4.mul(v128.load(a + c), factor), lives));
      }
      for (let c = <usize>cols4 * 4; c < <usize>cols * 4; c += 4) {
        const factor = load<f32>(factors + c);
        store<f32>(out + c, factor == 0 ? 0 : load<f32>(a + c) * factor);
      }
      out += <usize>cols * 4;
      a += <usize>cols * 4;
    }
    factors += <usize>cols * 4;
  }
}
