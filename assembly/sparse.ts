/**
 * The seam: dropping, indexing, and the products with what is left.
 *
 * A row's nonzeros are a list of pairs (f32 value, u32 column * 128): the offset of row `column`
 * in a panel of 32 columns. Lists are cut at every 256 columns, so that the part of a panel one
 * piece refers to is 32 KB and stays in the first-level cache.
 */
import * as choose from "./choose";
import { counterHash } from "./choose";
import { PANEL_BYTES, product } from "./gemm";

/** Columns (and rows, for the transposed product) of a tile. */
export const TILE: i32 = 256;
const PAIR_BYTES: usize = 8;
/** Room for a column's list; a cache line more than needed, so that lists do not fall on the same sets. */
export const COLUMN_BYTES: usize = <usize>TILE * PAIR_BYTES + 64;
/** Rows that share one look at a panel tile. */
const ROW_BLOCK: i32 = 256;

const HISTOGRAM_BINS: usize = 1024;
const TOTAL: usize = 0;
const NATURAL_ZEROS: usize = 8;
const KEPT: usize = 16;
const SQUARES: usize = 24;
const KEPT_SQUARES: usize = 32;
const SUM_BYTES: usize = 40;

/**
 * Applies the rule to g (rows, cols) in place and adds to the statistics. A sweep of kind KEEP drops
 * nothing and adds those of before the rule if `before`, those of after it if `after`. tau: f32 per
 * group. `row` is the site's row of g. Takes the groups [from, to) of `groups`: their sums are apart.
 * `choice`: of rules that draw or choose; lines are chosen before. factors: a thread's room for a row. `blocks`: 0, or
 * the counts of blocks.
 */
export function compressSweep(
  g: usize, rows: i32, cols: i32, groups: i32, from: i32, to: i32, row: i32, kind: i32, tau: usize, key: i32,
  sums: usize, histogram: usize, before: bool, after: bool, choice: usize, blocks: usize, factors: usize,
): void {
  const width = cols / groups;
  const others = <usize>(groups - (to - from)) * <usize>width * 4;
  const lines = choose.factorsOf(choice);
  g += <usize>(from * width) * 4;
  for (let r = row; r < row + rows; r++) {
    if (kind == choose.TOP_IN_ROW) keepInRow(g, width, from, to, choice, factors);
    if (kind >= choose.ROWS) fillFloats(factors, width, load<f32>(lines + <usize>(r - row) * 4));
    for (let group = from; group < to; group++) {
      const sum = sums + <usize>group * SUM_BYTES;
      const limit = load<f32>(tau + <usize>group * 4);
      if (before && (r & 7) == 0) countBins(g, width, histogram + <usize>group * HISTOGRAM_BINS * 4);
      if (kind == choose.KEEP) surveyGroup(g, width, sum, before, after);
      else if (kind == choose.STOCHASTIC) sweepStochastic(g, width, limit, key, r * cols + group * width, sum);
      else if (kind == choose.RANDOM) {
        const most = choose.budgetOf(choice, group);
        sweepRandom(g, width, most, <f32>choose.countOf(choice, group), key, r * cols + group * width, sum);
      } else if (kind == choose.BLOCKS) {
        const bins = blocks != 0 && (r & 7) == 0 ? blocks + <usize>group * HISTOGRAM_BINS * 4 : 0;
        choose.keepBlocks(g, width, choice, limit, factors, bins);
        sweepFactors(g, width, factors, sum);
      } else if (kind == choose.TOP_IN_ROW) sweepFactors(g, width, factors + <usize>((group - from) * width) * 4, sum);
      else if (kind >= choose.ROWS) sweepFactors(g, width, factors, sum);
      else if (kind >= choose.TOP_COLUMNS) sweepFactors(g, width, lines + <usize>(group * width) * 4, sum);
      else sweepThreshold(g, width, limit, sum);
      g += <usize>width * 4;
    }
    g += others;
  }
}

/** Factors of a row's elements of groups [from, to), or of all where all are chosen among together. */
function keepInRow(g: usize, width: i32, from: i32, to: i32, choice: usize, factors: usize): void {
  const n = choose.partsOf(choice) == 1 ? (to - from) * width : width;
  for (let part = 0; part * n < (to - from) * width; part++) {
    const at = <usize>(part * n) * 4;
    choose.keepLargestElements(g + at, n, <i32>choose.countOf(choice, n == width ? from + part : 0), factors + at);
  }
}

function fillFloats(to: usize, count: i32, value: f32): void {
  const x = f32x4.splat(value);
  for (; count >= 4; count -= 4) {
    v128.store(to, x);
    to += 16;
  }
  for (; count > 0; count--) {
    store<f32>(to, value);
    to += 4;
  }
}

/** Each element times its factor; 0 drops it. */
function sweepFactors(g: usize, width: i32, factors: usize, sum: usize): void {
  const zero = f32x4.splat(0);
  let zeros = i32x4.splat(0);
  let dropped = i32x4.splat(0);
  let squares = zero;
  let keptSquares = zero;
  for (let n = width >> 2; n > 0; n--) {
    const x = v128.load(g);
    const factor = v128.load(factors);
    const left = v128.andnot(f32x4.mul(x, factor), f32x4.eq(factor, zero));
    v128.store(g, left);
    zeros = i32x4.sub(zeros, f32x4.eq(x, zero));
    dropped = i32x4.sub(dropped, f32x4.eq(left, zero));
    squares = f32x4.add(squares, f32x4.mul(x, x));
    keptSquares = f32x4.add(keptSquares, f32x4.mul(left, left));
    g += 16;
    factors += 16;
  }
  let zeroCount = total(zeros);
  let dropCount = total(dropped);
  let squareSum = totalFloat(squares);
  let keptSum = totalFloat(keptSquares);
  for (let n = width & 3; n > 0; n--) {
    const x = load<f32>(g);
    const factor = load<f32>(factors);
    const left: f32 = factor == 0 ? 0 : x * factor;
    store<f32>(g, left);
    zeroCount += i32(x == 0);
    dropCount += i32(left == 0);
    squareSum += <f64>(x * x);
    keptSum += <f64>(left * left);
    g += 4;
    factors += 4;
  }
  addBefore(sum, width, zeroCount, squareSum);
  addAfter(sum, width - dropCount, keptSum);
}

/** Kept where the hash is at most `most`, then times `scale`; what is not finite stays. */
function sweepRandom(g: usize, width: i32, most: f64, scale: f32, key: i32, position: i32, sum: usize): void {
  const zero = f32x4.splat(0);
  const limit = i32x4.splat(<i32>(most < 0 ? 0 : <u32>most));
  const scales = f32x4.splat(most < 0 ? 0 : scale);
  const none = most < 0;
  const magnitude = i32x4.splat(0x7fffffff);
  const infinite = f32x4.splat(<f32>Infinity);
  let counter = i32x4.add(i32x4.splat(position), i32x4(0, 1, 2, 3));
  let zeros = i32x4.splat(0);
  let dropped = i32x4.splat(0);
  let squares = zero;
  let keptSquares = zero;
  for (let n = width >> 2; n > 0; n--) {
    const x = v128.load(g);
    const kept = none ? zero : i32x4.le_u(hashes(key, counter), limit);
    const finite = f32x4.lt(v128.and(x, magnitude), infinite);
    const left = v128.bitselect(v128.and(kept, f32x4.mul(x, scales)), x, finite);
    v128.store(g, left);
    zeros = i32x4.sub(zeros, f32x4.eq(x, zero));
    dropped = i32x4.sub(dropped, f32x4.eq(left, zero));
    squares = f32x4.add(squares, f32x4.mul(x, x));
    keptSquares = f32x4.add(keptSquares, f32x4.mul(left, left));
    counter = i32x4.add(counter, i32x4.splat(4));
    g += 16;
  }
  let zeroCount = total(zeros);
  let dropCount = total(dropped);
  let squareSum = totalFloat(squares);
  let keptSum = totalFloat(keptSquares);
  for (let i = width & ~3; i < width; i++) {
    const x = load<f32>(g);
    let left = x;
    if (abs(x) < <f32>Infinity) {
      left = !none && counterHash(key, position + i) <= <u32>most ? x * scale : 0;
      store<f32>(g, left);
    }
    zeroCount += i32(x == 0);
    dropCount += i32(left == 0);
    squareSum += <f64>(x * x);
    keptSum += <f64>(left * left);
    g += 4;
  }
  addBefore(sum, width, zeroCount, squareSum);
  addAfter(sum, width - dropCount, keptSum);
}

function countBins(g: usize, width: i32, bins: usize): void {
  for (const end = g + <usize>width * 4; g < end; g += 4) {
    const bin = bins + ((load<u32>(g) & 0x7fffffff) >>> 21) * 4;
    store<i32>(bin, load<i32>(bin) + 1);
  }
}

/** Rule keep: what stood before is what is left. */
function surveyGroup(g: usize, width: i32, sum: usize, before: bool, after: bool): void {
  const zero = f32x4.splat(0);
  let zeros = i32x4.splat(0);
  let squares = zero;
  for (let n = width >> 2; n > 0; n--) {
    const x = v128.load(g);
    zeros = i32x4.sub(zeros, f32x4.eq(x, zero));
    squares = f32x4.add(squares, f32x4.mul(x, x));
    g += 16;
  }
  let zeroCount = total(zeros);
  let squareSum = totalFloat(squares);
  for (let n = width & 3; n > 0; n--) {
    const x = load<f32>(g);
    zeroCount += i32(x == 0);
    squareSum += <f64>(x * x);
    g += 4;
  }
  if (before) addBefore(sum, width, zeroCount, squareSum);
  if (after) addAfter(sum, width - zeroCount, squareSum);
}

function sweepThreshold(g: usize, width: i32, tau: f32, sum: usize): void {
  const limit = f32x4.splat(tau);
  const zero = f32x4.splat(0);
  const magnitude = i32x4.splat(0x7fffffff);
  let zeros = i32x4.splat(0);
  let dropped = i32x4.splat(0);
  let squares = zero;
  let keptSquares = zero;
  for (let n = width >> 2; n > 0; n--) {
    const x = v128.load(g);
    const drop = f32x4.le(v128.and(x, magnitude), limit);
    const left = v128.andnot(x, drop);
    v128.store(g, left);
    zeros = i32x4.sub(zeros, f32x4.eq(x, zero));
    dropped = i32x4.sub(dropped, drop);
    squares = f32x4.add(squares, f32x4.mul(x, x));
    keptSquares = f32x4.add(keptSquares, f32x4.mul(left, left));
    g += 16;
  }
  let zeroCount = total(zeros);
  let dropCount = total(dropped);
  let squareSum = totalFloat(squares);
  let keptSum = totalFloat(keptSquares);
  for (let n = width & 3; n > 0; n--) {
    const x = load<f32>(g);
    const drop = abs(x) <= tau;
    const left: f32 = drop ? 0 : x;
    store<f32>(g, left);
    zeroCount += i32(x == 0);
    dropCount += i32(drop);
    squareSum += <f64>(x * x);
    keptSum += <f64>(left * left);
    g += 4;
  }
  addBefore(sum, width, zeroCount, squareSum);
  // A threshold drops the zeros too; one that is negative or NaN drops nothing.
  addAfter(sum, width - max(dropCount, zeroCount), keptSum);
}

/** Draws 24 bits an element; the product is rounded to float32, as the definition rounds it: same bits in every engine. */
function sweepStochastic(g: usize, width: i32, tau: f32, key: i32, position: i32, sum: usize): void {
  const limit = f32x4.splat(tau);
  const zero = f32x4.splat(0);
  const magnitude = i32x4.splat(0x7fffffff);
  let counter = i32x4.add(i32x4.splat(position), i32x4(0, 1, 2, 3));
  let zeros = i32x4.splat(0);
  let dropped = i32x4.splat(0);
  let squares = zero;
  let keptSquares = zero;
  for (let n = width >> 2; n > 0; n--) {
    const x = v128.load(g);
    const size = v128.and(x, magnitude);
    const drawn = f32x4.mul(f32x4.convert_i32x4_s(i32x4.shr_u(hashes(key, counter), 8)), limit);
    const kept = f32x4.lt(drawn, f32x4.mul(size, f32x4.splat(16777216)));
    const rounded = v128.and(kept, v128.or(limit, v128.andnot(x, magnitude)));
    const left = v128.bitselect(rounded, x, f32x4.lt(size, limit));
    v128.store(g, left);
    zeros = i32x4.sub(zeros, f32x4.eq(x, zero));
    dropped = i32x4.sub(dropped, f32x4.eq(left, zero));
    squares = f32x4.add(squares, f32x4.mul(x, x));
    keptSquares = f32x4.add(keptSquares, f32x4.mul(left, left));
    counter = i32x4.add(counter, i32x4.splat(4));
    g += 16;
  }
  let zeroCount = total(zeros);
  let dropCount = total(dropped);
  let squareSum = totalFloat(squares);
  let keptSum = totalFloat(keptSquares);
  for (let i = width & ~3; i < width; i++) {
    const x = load<f32>(g);
    const size = abs(x);
    let left = x;
    if (size < tau) {
      const keep = <f32>(counterHash(key, position + i) >>> 8) * tau < size * 16777216;
      left = keep ? (x < 0 ? -tau : tau) : 0;
      store<f32>(g, left);
    }
    zeroCount += i32(x == 0);
    dropCount += i32(left == 0);
    squareSum += <f64>(x * x);
    keptSum += <f64>(left * left);
    g += 4;
  }
  addBefore(sum, width, zeroCount, squareSum);
  addAfter(sum, width - dropCount, keptSum);
}

/** counterHash of four positions. */
// @ts-ignore: decorator
@inline
function hashes(key: i32, positions: v128): v128 {
  let z = i32x4.add(i32x4.mul(positions, i32x4.splat(0x9e3779b9)), i32x4.splat(key));
  z = v128.xor(z, i32x4.shr_u(z, 16));
  z = i32x4.mul(z, i32x4.splat(0x21f0aaad));
  z = v128.xor(z, i32x4.shr_u(z, 15));
  z = i32x4.mul(z, i32x4.splat(0x735a2d97));
  return v128.xor(z, i32x4.shr_u(z, 15));
}

function addBefore(sum: usize, width: i32, zeros: i32, squares: f64): void {
  store<f64>(sum + TOTAL, load<f64>(sum + TOTAL) + <f64>width);
  store<f64>(sum + NATURAL_ZEROS, load<f64>(sum + NATURAL_ZEROS) + <f64>zeros);
  store<f64>(sum + SQUARES, load<f64>(sum + SQUARES) + squares);
}

function addAfter(sum: usize, kept: i32, squares: f64): void {
  store<f64>(sum + KEPT, load<f64>(sum + KEPT) + <f64>kept);
  store<f64>(sum + KEPT_SQUARES, load<f64>(sum + KEPT_SQUARES) + squares);
}

function total(x: v128): i32 {
  return i32x4.extract_lane(x, 0) + i32x4.extract_lane(x, 1) + i32x4.extract_lane(x, 2) + i32x4.extract_lane(x, 3);
}

function totalFloat(x: v128): f64 {
  const sum = f64x2.add(
    f64x2.promote_low_f32x4(x),
    f64x2.promote_low_f32x4(i64x2.shuffle(x, x, 1, 0)),
  );
  return f64x2.extract_lane(sum, 0) + f64x2.extract_lane(sum, 1);
}

/**
 * Bitmap and counts of g (rows, cols) after the rule; with `lists`, also each row's pairs from
 * `pairs` on and, in starts (rows, tiles + 1), where each tile's piece begins.
 */
export function compressIndex(
  g: usize, rows: i32, cols: i32, bitmap: usize, rowCounts: usize, lists: bool, pairs: usize, starts: usize,
): void {
  for (let r = 0; r < rows; r++) {
    let count = 0;
    for (let c = 0; c < cols; c += 32) {
      if (lists && (c & (TILE - 1)) == 0) {
        store<u32>(starts, <u32>pairs);
        starts += 4;
      }
      let bits = cols - c >= 32 ? nonzero32(g) : nonzeroTail(g, cols - c);
      store<u32>(bitmap, bits);
      bitmap += 4;
      count += popcnt(bits);
      if (lists) {
        const offset = <u32>c * <u32>PANEL_BYTES;
        while (bits != 0) {
          const i = ctz(bits);
          bits &= bits - 1;
          store<u32>(pairs, load<u32>(g + <usize>i * 4));
          store<u32>(pairs, offset + i * <u32>PANEL_BYTES, 4);
          pairs += PAIR_BYTES;
        }
      }
      g += <usize>min(32, cols - c) * 4;
    }
    if (lists) {
      store<u32>(starts, <u32>pairs);
      starts += 4;
    }
    store<i32>(rowCounts, count);
    rowCounts += 4;
  }
}

function nonzero32(g: usize): u32 {
  return nonzero16(g) | (nonzero16(g + 64) << 16);
}

// @ts-ignore: decorator
@inline
function nonzero16(g: usize): u32 {
  const zero = f32x4.splat(0);
  const m0 = f32x4.ne(v128.load(g), zero);
  const m1 = f32x4.ne(v128.load(g, 16), zero);
  const m2 = f32x4.ne(v128.load(g, 32), zero);
  const m3 = f32x4.ne(v128.load(g, 48), zero);
  return i8x16.bitmask(i8x16.narrow_i16x8_s(i16x8.narrow_i32x4_s(m0, m1), i16x8.narrow_i32x4_s(m2, m3)));
}

function nonzeroTail(g: usize, width: i32): u32 {
  let bits: u32 = 0;
  for (let i = 0; i < width; i++) bits |= u32(load<f32>(g + <usize>i * 4) != 0) << i;
  return bits;
}

/** c (32) += sum of value * (row of 32 at offset) over a list. */
function walk32(p: usize, end: usize, panel: usize, c: usize): void {
  let c0 = v128.load(c);
  let c1 = v128.load(c, 16);
  let c2 = v128.load(c, 32);
  let c3 = v128.load(c, 48);
  let c4 = v128.load(c, 64);
  let c5 = v128.load(c, 80);
  let c6 = v128.load(c, 96);
  let c7 = v128.load(c, 112);
  while (p < end) {
    const x = v128.load32_splat(p);
    const row = panel + <usize>load<u32>(p, 4);
    c0 = f32x4.add(c0, f32x4.mul(x, v128.load(row)));
    c1 = f32x4.add(c1, f32x4.mul(x, v128.load(row, 16)));
    c2 = f32x4.add(c2, f32x4.mul(x, v128.load(row, 32)));
    c3 = f32x4.add(c3, f32x4.mul(x, v128.load(row, 48)));
    // Never taken: it ends a basic block, or V8 loads all eight vectors first and spills the sums.
    if (p > end) break;
    c4 = f32x4.add(c4, f32x4.mul(x, v128.load(row, 64)));
    c5 = f32x4.add(c5, f32x4.mul(x, v128.load(row, 80)));
    c6 = f32x4.add(c6, f32x4.mul(x, v128.load(row, 96)));
    c7 = f32x4.add(c7, f32x4.mul(x, v128.load(row, 112)));
    p += PAIR_BYTES;
  }
  v128.store(c, c0);
  v128.store(c, c1, 16);
  v128.store(c, c2, 32);
  v128.store(c, c3, 48);
  v128.store(c, c4, 64);
  v128.store(c, c5, 80);
  v128.store(c, c6, 96);
  v128.store(c, c7, 112);
}

function walk16(p: usize, end: usize, panel: usize, c: usize): void {
  let c0 = v128.load(c);
  let c1 = v128.load(c, 16);
  let c2 = v128.load(c, 32);
  let c3 = v128.load(c, 48);
  while (p < end) {
    const x = v128.load32_splat(p);
    const row = panel + <usize>load<u32>(p, 4);
    c0 = f32x4.add(c0, f32x4.mul(x, v128.load(row)));
    c1 = f32x4.add(c1, f32x4.mul(x, v128.load(row, 16)));
    c2 = f32x4.add(c2, f32x4.mul(x, v128.load(row, 32)));
    c3 = f32x4.add(c3, f32x4.mul(x, v128.load(row, 48)));
    p += PAIR_BYTES;
  }
  v128.store(c, c0);
  v128.store(c, c1, 16);
  v128.store(c, c2, 32);
  v128.store(c, c3, 48);
}

function walk4(p: usize, end: usize, panel: usize, c: usize): void {
  let c0 = v128.load(c);
  while (p < end) {
    c0 = f32x4.add(c0, f32x4.mul(v128.load32_splat(p), v128.load(panel + <usize>load<u32>(p, 4))));
    p += PAIR_BYTES;
  }
  v128.store(c, c0);
}

/** The last panel: its columns in pieces of 16, 4 and, through `scratch`, fewer. */
function walkNarrow(p: usize, end: usize, panel: usize, c: usize, width: i32, scratch: usize): void {
  if (width >= 16) {
    walk16(p, end, panel, c);
    panel += 64;
    c += 64;
    width -= 16;
  }
  for (; width >= 4; width -= 4) {
    walk4(p, end, panel, c);
    panel += 16;
    c += 16;
  }
  if (width == 0) return;
  v128.store(scratch, f32x4.splat(0));
  walk4(p, end, panel, scratch);
  for (let i: usize = 0; i < <usize>width * 4; i += 4) store<f32>(c + i, load<f32>(c + i) + load<f32>(scratch + i));
}

export function countNonzeros(rowCounts: usize, rows: i32): i32 {
  let count = 0;
  for (let r = 0; r < rows; r++) count += load<i32>(rowCounts + <usize>r * 4);
  return count;
}

/**
 * out (rows, k) += pruned g (rows, n) w, w (n, k) in panels. Blocks of 256 rows with more than
 * `full` of their elements left go dense. Returns the multiply-accumulates executed. Rows of out are
 * `outRow` bytes apart.
 */
export function sparseProduct(
  rows: i32, n: i32, k: i32, g: usize, rowCounts: usize, starts: usize, panels: usize, out: usize, outRow: usize,
  full: f64, scratch: usize,
): f64 {
  const tiles = (n + TILE - 1) / TILE;
  const startsRow = <usize>(tiles + 1) * 4;
  const panelBytes = <usize>n * PANEL_BYTES;
  let macs = 0.0;
  for (let r0 = 0; r0 < rows; r0 += ROW_BLOCK) {
    const block = min(ROW_BLOCK, rows - r0);
    const blockOut = out + <usize>r0 * outRow;
    const count = countNonzeros(rowCounts + <usize>r0 * 4, block);
    const elements = <f64>block * <f64>n;
    if (<f64>count > full * elements) {
      product(block, k, n, g + <usize>r0 * <usize>n * 4, <usize>n * 4, 4, panels, panelBytes, blockOut, outRow, scratch);
      macs += elements * <f64>k;
      continue;
    }
    macs += <f64>count * <f64>k;
    for (let j = 0; j < k; j += 32) {
      const panel = panels + <usize>(j >> 5) * panelBytes;
      const width = min(32, k - j);
      for (let t = 0; t < tiles; t++) {
        let s = starts + <usize>r0 * startsRow + <usize>t * 4;
        let c = blockOut + <usize>j * 4;
        for (let r = 0; r < block; r++) {
          const from = <usize>load<u32>(s);
          const to = <usize>load<u32>(s, 4);
          if (width == 32) walk32(from, to, panel, c);
          else walkNarrow(from, to, panel, c, width, scratch);
          s += startsRow;
          c += outRow;
        }
      }
    }
  }
  return macs;
}

/**
 * Tile t of out (n, k) += pruned g^T x for at most 256 rows, x already in panels. `starts`: those of the
 * first row; `columns`: 256 lists of COLUMN_BYTES; `cursors`: 256 ends of lists.
 */
export function sparseTNTile(
  rows: i32, n: i32, k: i32, t: i32, starts: usize, out: usize, xPanels: usize, columns: usize, cursors: usize,
  scratch: usize,
): void {
  const startsRow = <usize>((n + TILE - 1) / TILE + 1) * 4;
  const outRow = <usize>k * 4;
  const first = t * TILE;
  const width = min(TILE, n - first);
  listColumns(rows, starts + <usize>t * 4, startsRow, first, width, columns, cursors);
  for (let j = 0; j < k; j += 32) {
    const panel = xPanels + <usize>(j >> 5) * <usize>rows * PANEL_BYTES;
    const panelWidth = min(32, k - j);
    let list = columns;
    let c = out + <usize>first * outRow + <usize>j * 4;
    for (let i = 0; i < width; i++) {
      const end = <usize>load<u32>(cursors + <usize>i * 4);
      if (panelWidth == 32) walk32(list, end, panel, c);
      else walkNarrow(list, end, panel, c, panelWidth, scratch);
      list += COLUMN_BYTES;
      c += outRow;
    }
  }
}

/** The column form of one tile: list i holds (value, row * 128) of column first + i. */
function listColumns(
  rows: i32, starts: usize, startsRow: usize, first: i32, width: i32, columns: usize, cursors: usize,
): void {
  for (let i = 0; i < width; i++) store<u32>(cursors + <usize>i * 4, <u32>(columns + <usize>i * COLUMN_BYTES));
  // A pair's offset is column * 128; a cursor's is column * 4.
  const cursor0 = cursors - <usize>first * 4;
  for (let r = 0; r < rows; r++) {
    const end = <usize>load<u32>(starts, 4);
    for (let p = <usize>load<u32>(starts); p < end; p += PAIR_BYTES) {
      const cursor = cursor0 + (<usize>load<u32>(p, 4) >>> 5);
      const list = <usize>load<u32>(cursor);
      store<u32>(list, load<u32>(p));
      store<u32>(list, <u32>r * <u32>PANEL_BYTES, 4);
      store<u32>(cursor, <u32>(list + PAIR_BYTES));
    }
    starts += startsRow;
  }
}
