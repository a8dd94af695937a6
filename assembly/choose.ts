/**
 * Choosing among lines (columns, rows, elements, blocks) as src/sparse/choose.ts and apply.ts do, to the same bits. What
 * comes out is a factor for each line: 0 dropped, 1 kept, 1/p kept at random with probability p.
 *
 * `choice` is the memory that src/kernels/choice.ts plans: a head, scores in f64, factors in f32.
 */

/** Kinds of rules; src/kernels/choice.ts counts them. From TOP_IN_ROW on they choose, from TOP_COLUMNS on among lines. */
export const KEEP: i32 = 0;
export const STOCHASTIC: i32 = 2;
export const RANDOM: i32 = 3;
export const TOP_IN_ROW: i32 = 4;
export const BLOCKS: i32 = 5;
export const TOP_COLUMNS: i32 = 6;
export const DRAWN_COLUMNS: i32 = 8;
export const ROWS: i32 = 9;
export const DRAWN_ROWS: i32 = 10;

const LIMITS: usize = 3 * 8;
const HEAD: usize = 40 * 8;
/** Parts of a long sum. */
const LANES: i32 = 16;
const INFINITE: i64 = 0x7ff0000000000000;
const INFINITE_FLOAT: i32 = 0x7f800000;
const CERTAIN: f64 = -1; // in place of a score

export function partsOf(choice: usize): i32 {
  return <i32>load<f64>(choice);
}

function scoresOf(choice: usize): usize {
  return choice + HEAD;
}

export function factorsOf(choice: usize): usize {
  return choice + HEAD + <usize>load<f64>(choice, 16) * 8;
}

/** A part's scores begin at a whole number of LANES. */
function roomOf(width: i32): i32 {
  return (width + LANES - 1) / LANES * LANES;
}

/** A part's lines as a share is; of a random rule the largest hash that is kept. */
export function budgetOf(choice: usize, part: i32): f64 {
  return load<f64>(choice + LIMITS + <usize>part * 16);
}

/** A part's lines as a whole number; of a random rule what is kept is scaled by it. */
export function countOf(choice: usize, part: i32): f64 {
  return load<f64>(choice + LIMITS + <usize>part * 16, 8);
}

/** Scores of columns [from, from + count) of `part`: norms, or sums of magnitudes. from: a multiple of 4. */
export function scoreColumns(
  g: usize, rows: i32, cols: i32, kind: i32, choice: usize, part: i32, from: i32, count: i32,
): void {
  const width = cols / partsOf(choice);
  const step = <usize>cols * 4;
  g += <usize>(part * width + from) * 4;
  let scores = scoresOf(choice) + <usize>(part * roomOf(width) + from) * 8;
  const magnitude = i32x4.splat(0x7fffffff);
  for (let n = count >> 2; n > 0; n--) {
    let low = f64x2.splat(0);
    let high = f64x2.splat(0);
    let p = g;
    for (let r = 0; r < rows; r++) {
      const x = v128.and(v128.load(p), magnitude);
      const a = f64x2.promote_low_f32x4(x);
      const b = f64x2.promote_low_f32x4(i64x2.shuffle(x, x, 1, 0));
      low = f64x2.add(low, kind == TOP_COLUMNS ? a : f64x2.mul(a, a));
      high = f64x2.add(high, kind == TOP_COLUMNS ? b : f64x2.mul(b, b));
      p += step;
    }
    v128.store(scores, kind == TOP_COLUMNS ? low : f64x2.sqrt(low));
    v128.store(scores, kind == TOP_COLUMNS ? high : f64x2.sqrt(high), 16);
    g += 16;
    scores += 32;
  }
  for (let n = count & 3; n > 0; n--) {
    let sum: f64 = 0;
    let p = g;
    for (let r = 0; r < rows; r++) {
      const x = <f64>abs(load<f32>(p));
      sum += kind == TOP_COLUMNS ? x : x * x;
      p += step;
    }
    store<f64>(scores, kind == TOP_COLUMNS ? sum : sqrt(sum));
    g += 4;
    scores += 8;
  }
}

/** Factors of the columns, whose scores are made. `position`: of the first element, for draws. */
export function chooseColumns(cols: i32, kind: i32, key: i32, position: i32, choice: usize): void {
  const parts = partsOf(choice);
  const width = cols / parts;
  const room = <usize>roomOf(width) * 8;
  // In this order: what lies behind a part's factors is destroyed.
  for (let part = 0; part < parts; part++) {
    const scores = scoresOf(choice) + <usize>part * room;
    const factors = factorsOf(choice) + <usize>(part * width) * 4;
    if (kind == DRAWN_COLUMNS)
      chooseByNorm(scores, width, budgetOf(choice, part), key, position + part * width, 1, factors);
    else keepLargest(scores, width, <i32>countOf(choice, part), factors);
  }
}

/** Scores of rows [from, from + count). */
export function scoreRows(g: usize, cols: i32, choice: usize, from: i32, count: i32): void {
  for (let r = from; r < from + count; r++)
    store<f64>(scoresOf(choice) + <usize>r * 8, sqrt(squaresOf(g + <usize>(r * cols) * 4, cols)));
}

export function chooseRows(rows: i32, cols: i32, kind: i32, key: i32, position: i32, choice: usize): void {
  const scores = scoresOf(choice);
  if (kind == DRAWN_ROWS) chooseByNorm(scores, rows, budgetOf(choice, 0), key, position, cols, factorsOf(choice));
  else keepLargest(scores, rows, <i32>countOf(choice, 0), factorsOf(choice));
}

/** The sum of 16 parts, by halves. */
// @ts-ignore: decorator
@inline
function sumOfParts(
  p0: v128, p1: v128, p2: v128, p3: v128, p4: v128, p5: v128, p6: v128, p7: v128,
): f64 {
  p0 = f64x2.add(p0, p4);
  p1 = f64x2.add(p1, p5);
  p2 = f64x2.add(p2, p6);
  p3 = f64x2.add(p3, p7);
  p0 = f64x2.add(f64x2.add(p0, p2), f64x2.add(p1, p3));
  return f64x2.extract_lane(p0, 0) + f64x2.extract_lane(p0, 1);
}

// @ts-ignore: decorator
@inline
function squareLow(x: v128): v128 {
  const a = f64x2.promote_low_f32x4(x);
  return f64x2.mul(a, a);
}

// @ts-ignore: decorator
@inline
function squareHigh(x: v128): v128 {
  const a = f64x2.promote_low_f32x4(i64x2.shuffle(x, x, 1, 0));
  return f64x2.mul(a, a);
}

/** The sum of n squares, term i in part i % 16. */
function squaresOf(g: usize, n: i32): f64 {
  const zero = f64x2.splat(0);
  let p0 = zero;
  let p1 = zero;
  let p2 = zero;
  let p3 = zero;
  let p4 = zero;
  let p5 = zero;
  let p6 = zero;
  let p7 = zero;
  for (; n > 0; n -= LANES) {
    const x0 = loadSome(g, n);
    const x1 = loadSome(g + 16, n - 4);
    p0 = f64x2.add(p0, squareLow(x0));
    p1 = f64x2.add(p1, squareHigh(x0));
    p2 = f64x2.add(p2, squareLow(x1));
    p3 = f64x2.add(p3, squareHigh(x1));
    const x2 = loadSome(g + 32, n - 8);
    const x3 = loadSome(g + 48, n - 12);
    p4 = f64x2.add(p4, squareLow(x2));
    p5 = f64x2.add(p5, squareHigh(x2));
    p6 = f64x2.add(p6, squareLow(x3));
    p7 = f64x2.add(p7, squareHigh(x3));
    g += 64;
  }
  return sumOfParts(p0, p1, p2, p3, p4, p5, p6, p7);
}

/** Four floats, or the first n of them and zeros. */
// @ts-ignore: decorator
@inline
function loadSome(g: usize, n: i32): v128 {
  if (n >= 4) return v128.load(g);
  let x = f32x4.splat(0);
  if (n > 0) x = f32x4.replace_lane(x, 0, load<f32>(g));
  if (n > 1) x = f32x4.replace_lane(x, 1, load<f32>(g, 4));
  if (n > 2) x = f32x4.replace_lane(x, 2, load<f32>(g, 8));
  return x;
}

/** The sum of n scores (a multiple of 16) that are not CERTAIN. */
function sumOfOpen(scores: usize, n: i32): f64 {
  const zero = f64x2.splat(0);
  let p0 = zero;
  let p1 = zero;
  let p2 = zero;
  let p3 = zero;
  let p4 = zero;
  let p5 = zero;
  let p6 = zero;
  let p7 = zero;
  for (; n > 0; n -= LANES) {
    p0 = f64x2.add(p0, f64x2.pmax(zero, v128.load(scores)));
    p1 = f64x2.add(p1, f64x2.pmax(zero, v128.load(scores, 16)));
    p2 = f64x2.add(p2, f64x2.pmax(zero, v128.load(scores, 32)));
    p3 = f64x2.add(p3, f64x2.pmax(zero, v128.load(scores, 48)));
    p4 = f64x2.add(p4, f64x2.pmax(zero, v128.load(scores, 64)));
    p5 = f64x2.add(p5, f64x2.pmax(zero, v128.load(scores, 80)));
    p6 = f64x2.add(p6, f64x2.pmax(zero, v128.load(scores, 96)));
    p7 = f64x2.add(p7, f64x2.pmax(zero, v128.load(scores, 112)));
    scores += 128;
  }
  return sumOfParts(p0, p1, p2, p3, p4, p5, p6, p7);
}

/**
 * Chooses among n lines at random: kept with probability min(1, c score), c such that these add up to `budget`, by the
 * draw of position + i * stride. Destroys scores, and what lies behind them up to LANES.
 */
function chooseByNorm(scores: usize, n: i32, budget: f64, key: i32, position: i32, stride: i32, factors: usize): void {
  const room = roomOf(n);
  const end = scores + <usize>n * 8;
  for (let p = scores; p < end; p += 8) if (!(load<f64>(p) < Infinity)) store<f64>(p, CERTAIN);
  for (let i = n; i < room; i++) store<f64>(scores + <usize>i * 8, 0);
  // Water filling: lines that would get more than 1 are given 1, and the others share what remains.
  let c: f64 = 0;
  for (let certain = 1; certain > 0; ) {
    const sum = sumOfOpen(scores, room);
    c = sum > 0 ? budget / sum : 0;
    certain = 0;
    for (let p = scores; p < end; p += 8) {
      const x = load<f64>(p);
      if (x >= 0 && x * c >= 1) {
        store<f64>(p, CERTAIN);
        certain++;
      }
    }
    budget -= <f64>certain;
  }
  for (let p = scores; p < end; p += 8) {
    const x = load<f64>(p);
    let factor: f64 = 1;
    if (!(x < 0)) {
      const chance = x * c;
      factor = <f64>counterHash(key, position) < chance * 4294967296.0 ? 1 / chance : 0;
    }
    store<f32>(factors, <f32>factor);
    factors += 4;
    position += stride;
  }
}

/** Factors of n lines: 1 of the `count` largest scores, of equal ones the first, and of what is not finite. */
function keepLargest(scores: usize, n: i32, count: i32, factors: usize): void {
  const end = scores + <usize>n * 8;
  let all = 0;
  let low = INFINITE;
  let high: i64 = -1;
  for (let p = scores; p < end; p += 8) {
    let x = load<i64>(p);
    if (load<f64>(p) != load<f64>(p)) {
      x = INFINITE; // a NaN may have a sign
      store<i64>(p, x);
    }
    if (x >= INFINITE) continue;
    all++;
    low = min(low, x);
    high = max(high, x);
  }
  let smallest: i64 = -1; // what is above it is kept
  let equal = 0;
  if (count == 0) smallest = INFINITE - 1;
  else if (count < all) {
    // At least `count` are `low` or more, fewer are `high` or more.
    high++;
    let found = false;
    while (high - low > 1 && !found) {
      const middle = low + (high - low) / 2;
      let number = 0;
      for (let p = scores; p < end; p += 8) number += i32(load<i64>(p) >= middle) - i32(load<i64>(p) >= INFINITE);
      if (number == count) {
        found = true;
        smallest = middle - 1;
      } else if (number > count) low = middle;
      else high = middle;
    }
    if (!found) {
      let above = 0;
      for (let p = scores; p < end; p += 8) above += i32(load<i64>(p) > low) - i32(load<i64>(p) >= INFINITE);
      smallest = low;
      equal = count - above;
    }
  }
  for (let p = scores; p < end; p += 8) {
    const x = load<i64>(p);
    let kept = x > smallest;
    if (x == smallest && equal > 0) {
      kept = true;
      equal--;
    }
    store<f32>(factors, <f32>i32(kept));
    factors += 4;
  }
}

/** Magnitudes of n floats that are `limit` or more, as bits. */
function numberFrom(g: usize, n: i32, limit: i32): i32 {
  const magnitude = i32x4.splat(0x7fffffff);
  const limits = i32x4.splat(limit);
  let numbers = i32x4.splat(0);
  for (let m = n >> 2; m > 0; m--) {
    numbers = i32x4.sub(numbers, i32x4.ge_s(v128.and(v128.load(g), magnitude), limits));
    g += 16;
  }
  let number =
    i32x4.extract_lane(numbers, 0) + i32x4.extract_lane(numbers, 1) +
    i32x4.extract_lane(numbers, 2) + i32x4.extract_lane(numbers, 3);
  for (let m = n & 3; m > 0; m--) {
    number += i32((load<i32>(g) & 0x7fffffff) >= limit);
    g += 4;
  }
  return number;
}

/** The same of n elements of a row by magnitude. */
export function keepLargestElements(g: usize, n: i32, count: i32, factors: usize): void {
  const infinite = numberFrom(g, n, INFINITE_FLOAT);
  let smallest: i32 = -1;
  let equal = 0;
  if (count == 0) smallest = INFINITE_FLOAT - 1;
  else if (count < n - infinite) {
    let low: i32 = 0;
    let high: i32 = INFINITE_FLOAT;
    let found = false;
    while (high - low > 1 && !found) {
      const middle = low + (high - low) / 2;
      const number = numberFrom(g, n, middle) - infinite;
      if (number == count) {
        found = true;
        smallest = middle - 1;
      } else if (number > count) low = middle;
      else high = middle;
    }
    if (!found) {
      smallest = low;
      equal = count - (numberFrom(g, n, low + 1) - infinite);
    }
  }
  for (let i = 0; i < n; i++) {
    const x = load<i32>(g) & 0x7fffffff;
    let kept = x > smallest;
    if (x == smallest && equal > 0) {
      kept = true;
      equal--;
    }
    store<f32>(factors, <f32>i32(kept));
    g += 4;
    factors += 4;
  }
}

/** Factors of the blocks of one group in one row: 1 where the root mean square is above tau. bins: 0, or counts them. */
export function keepBlocks(g: usize, width: i32, choice: usize, tau: f32, factors: usize, bins: usize): void {
  const size = <i32>load<f64>(choice, 8);
  for (let c = 0; c < width; c += size) {
    const length = min(size, width - c);
    let squares: f64 = 0;
    for (let i = 0; i < length; i++) {
      const x = <f64>load<f32>(g + <usize>i * 4);
      squares += x * x;
    }
    const norm = sqrt(squares / <f64>length);
    if (bins != 0) {
      const bin = bins + ((reinterpret<u32>(<f32>norm) & 0x7fffffff) >>> 21) * 4;
      store<i32>(bin, load<i32>(bin) + 1);
    }
    const factor: f32 = norm <= <f64>tau ? 0 : 1;
    for (let i = 0; i < length; i++) store<f32>(factors + <usize>i * 4, factor);
    g += <usize>length * 4;
    factors += <usize>length * 4;
  }
}

/** As in src/core/random.ts. */
export function counterHash(key: i32, position: i32): u32 {
  let z: u32 = position * 0x9e3779b9 + key;
  z ^= z >>> 16;
  z *= 0x21f0aaad;
  z ^= z >>> 15;
  z *= 0x735a2d97;
  return z ^ (z >>> 15);
}
