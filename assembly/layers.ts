/**
 * Pointwise parts of layers that are not recurrent: activations, layer norm, softmax of rows. Definitions:
 * src/kernels/js-layers.ts. Lengths in floats. Sums over a row are made in float64.
 */
import { addDouble, largest, scaleBy, setExp } from "./loss";
import { expSum } from "./math";

/** 1 where x > 0, else 0: times a NaN or an infinity it still tells. */
// @ts-ignore: decorator
@inline
function isPositive(x: v128): v128 {
  return v128.and(f32x4.gt(x, f32x4.splat(0)), f32x4.splat(1));
}

/** out = g where y > 0, else 0; in place with all three the same it is relu. */
export function reluGradient(out: usize, g: usize, y: usize, length: i32): void {
  for (let n = length >> 2; n > 0; n--) {
    const kept = f32x4.mul(v128.load(g), isPositive(v128.load(y)));
    v128.store(out, f32x4.add(kept, f32x4.splat(0)));
    out += 16;
    g += 16;
    y += 16;
  }
  for (let n = length & 3; n > 0; n--) {
    store<f32>(out, load<f32>(g) * (load<f32>(y) > 0 ? <f32>1 : <f32>0) + 0);
    out += 4;
    g += 4;
    y += 4;
  }
}

/** out = g (1 - y^2). */
export function tanhGradient(out: usize, g: usize, y: usize, length: i32): void {
  for (let n = length >> 2; n > 0; n--) {
    const v = v128.load(y);
    v128.store(out, f32x4.mul(v128.load(g), f32x4.sub(f32x4.splat(1), f32x4.mul(v, v))));
    out += 16;
    g += 16;
    y += 16;
  }
  for (let n = length & 3; n > 0; n--) {
    const v = load<f32>(y);
    store<f32>(out, load<f32>(g) * (1 - v * v));
    out += 4;
    g += 4;
    y += 4;
  }
}

/** y = x F(x), F the normal distribution function; x becomes the slope. */
export function gelu(y: usize, x: usize, length: i32): void {
  while (length > 0) {
    // The last 1 to 3 one by one, through the same code: a second copy of it is a kilobyte of the module.
    const whole = length >= 4;
    const value = whole ? v128.load(x) : v128.load32_splat(x);
    const size = within14(value);
    const e = normalExp(size);
    const below = sideOf(value, f32x4.mul(normalRatio(size), e));
    const result = f32x4.mul(value, below);
    const slope = f32x4.add(below, slopeTerm(value, e));
    if (whole) {
      v128.store(y, result);
      v128.store(x, slope);
      y += 16;
      x += 16;
      length -= 4;
    } else {
      store<f32>(y, f32x4.extract_lane(result, 0));
      store<f32>(x, f32x4.extract_lane(slope, 0));
      y += 4;
      x += 4;
      length--;
    }
  }
}

/** exp(-x^2 / 2) is 0 from 14 on; a NaN stays. */
// @ts-ignore: decorator
@inline
function within14(x: v128): v128 {
  return f32x4.pmin(f32x4.abs(x), f32x4.splat(14));
}

/**
 * exp(-x^2 / 2), x^2 in two parts, of which the first is exact: a rounding of x^2 / 2 would be one of up to 50 times that in
 * the result.
 */
// @ts-ignore: decorator
@inline
function normalExp(x: v128): v128 {
  const high = v128.and(x, i32x4.splat(~0xfff));
  const half = f32x4.splat(-0.5);
  const rest = f32x4.mul(f32x4.mul(f32x4.sub(x, high), f32x4.add(x, high)), half);
  return expSum(f32x4.mul(f32x4.mul(high, high), half), rest);
}

/** R(x) of F(-x) = R(x) exp(-x^2 / 2), for x in [0, 14]: the polynomial of lab/gelu.py, error below 2 ulp. */
// @ts-ignore: decorator
@inline
function normalRatio(x: v128): v128 {
  const upper = f32x4.add(x, f32x4.splat(1));
  const shifted = f32x4.add(x, f32x4.splat(3.5));
  const inverse = f32x4.div(f32x4.splat(1), f32x4.mul(shifted, upper));
  const t = f32x4.mul(f32x4.mul(f32x4.sub(x, f32x4.splat(3.5)), upper), inverse);
  let p = f32x4.add(f32x4.mul(t, f32x4.splat(1.454357698e-4)), f32x4.splat(9.088523075e-5));
  p = f32x4.add(f32x4.mul(p, t), f32x4.splat(-1.389585668e-3));
  p = f32x4.add(f32x4.mul(p, t), f32x4.splat(2.965257154e-4));
  p = f32x4.add(f32x4.mul(p, t), f32x4.splat(1.037303545e-2));
  p = f32x4.add(f32x4.mul(p, t), f32x4.splat(-3.026345000e-2));
  p = f32x4.add(f32x4.mul(p, t), f32x4.splat(3.804824129e-2));
  p = f32x4.add(f32x4.mul(p, t), f32x4.splat(7.873851573e-4));
  p = f32x4.add(f32x4.mul(p, t), f32x4.splat(-9.771259129e-2));
  p = f32x4.add(f32x4.mul(p, t), f32x4.splat(4.785531759e-1));
  return f32x4.mul(f32x4.mul(p, shifted), inverse);
}

/** F(x), from what is beyond abs(x). */
// @ts-ignore: decorator
@inline
function sideOf(x: v128, beyond: v128): v128 {
  return v128.bitselect(beyond, f32x4.sub(f32x4.splat(1), beyond), f32x4.lt(x, f32x4.splat(0)));
}

// @ts-ignore: decorator
@inline
function slopeTerm(x: v128, e: v128): v128 {
  return f32x4.mul(x, f32x4.mul(e, f32x4.splat(0.398942280401432678)));
}

/** softmax(scale x) over the first `length` of `width` elements; the others become 0. */
export function softmaxRow(x: usize, length: i32, width: i32, scale: f32): void {
  if (scale != 1) scaleBy(x, length, scale);
  const sum = setExp(x, length, largest(x, length));
  scaleBy(x, length, <f32>(1 / sum));
  memory.fill(x + <usize>length * 4, 0, <usize>(width - length) * 4);
}

/** g = scale p (g - sum of p g) over the first `length` of `width` elements; the others become 0. */
export function softmaxGradientRow(g: usize, p: usize, length: i32, width: i32, scale: f32): void {
  const full = <usize>(length & ~3) * 4;
  const end = <usize>length * 4;
  let sums = f64x2.splat(0);
  let at: usize = 0;
  for (; at < full; at += 16) sums = addDouble(sums, f32x4.mul(v128.load(g + at), v128.load(p + at)));
  let total = f64x2.extract_lane(sums, 0) + f64x2.extract_lane(sums, 1);
  for (; at < end; at += 4) total += <f64>(load<f32>(g + at) * load<f32>(p + at));
  const mean = <f32>total;
  for (at = 0; at < full; at += 16) {
    const difference = f32x4.sub(v128.load(g + at), f32x4.splat(mean));
    v128.store(g + at, f32x4.mul(f32x4.mul(v128.load(p + at), difference), f32x4.splat(scale)));
  }
  for (; at < end; at += 4) store<f32>(g + at, load<f32>(p + at) * (load<f32>(g + at) - mean) * scale);
  memory.fill(g + end, 0, <usize>(width - length) * 4);
}

/** out = (x - mean) / sqrt(variance + eps) weight + bias, row by row. */
export function layerNorm(
  out: usize, x: usize, rows: i32, cols: i32, weight: usize, bias: usize, means: usize, inverses: usize, eps: f64,
): void {
  const full = <usize>(cols & ~3) * 4;
  const end = <usize>cols * 4;
  for (let r = 0; r < rows; r++) {
    let sums = f64x2.splat(0);
    let at: usize = 0;
    for (; at < full; at += 16) sums = addDouble(sums, v128.load(x + at));
    let total = f64x2.extract_lane(sums, 0) + f64x2.extract_lane(sums, 1);
    for (; at < end; at += 4) total += <f64>load<f32>(x + at);
    const mean = total / <f64>cols;
    // The mean in two floats, so that a row far from 0 loses nothing.
    const high = <f32>mean;
    const low = <f32>(mean - <f64>high);
    let squares = f64x2.splat(0);
    for (at = 0; at < full; at += 16) {
      const centred = f32x4.sub(f32x4.sub(v128.load(x + at), f32x4.splat(high)), f32x4.splat(low));
      const left = f64x2.promote_low_f32x4(centred);
      const right = f64x2.promote_low_f32x4(i64x2.shuffle(centred, centred, 1, 0));
      squares = f64x2.add(squares, f64x2.add(f64x2.mul(left, left), f64x2.mul(right, right)));
    }
    total = f64x2.extract_lane(squares, 0) + f64x2.extract_lane(squares, 1);
    for (; at < end; at += 4) {
      const centred = <f64>(load<f32>(x + at) - high - low);
      total += centred * centred;
    }
    const inverse = <f32>(1 / Math.sqrt(total / <f64>cols + eps));
    store<f32>(means, high);
    store<f32>(inverses, inverse);
    for (at = 0; at < full; at += 16) {
      const centred = f32x4.sub(f32x4.sub(v128.load(x + at), f32x4.splat(high)), f32x4.splat(low));
      const scaled = f32x4.mul(f32x4.mul(centred, f32x4.splat(inverse)), v128.load(weight + at));
      v128.store(out + at, f32x4.add(scaled, v128.load(bias + at)));
    }
    for (; at < end; at += 4) {
      const centred = load<f32>(x + at) - high - low;
      store<f32>(out + at, centred * inverse * load<f32>(weight + at) + load<f32>(bias + at));
    }
    out += end;
    x += end;
    means += 4;
    inverses += 4;
  }
}

/** Rows of dx = inverse (g - mean(g) - xhat mean(g xhat)), g = dy weight. */
export function layerNormRows(
  dx: usize, dy: usize, x: usize, rows: i32, cols: i32, weight: usize, means: usize, inverses: usize,
): void {
  const full = <usize>(cols & ~3) * 4;
  const end = <usize>cols * 4;
  for (let r = 0; r < rows; r++) {
    const mean = load<f32>(means);
    const inverse = load<f32>(inverses);
    let sums = f64x2.splat(0);
    let alongs = f64x2.splat(0);
    let at: usize = 0;
    for (; at < full; at += 16) {
      const g = f32x4.mul(v128.load(dy + at), v128.load(weight + at));
      const xhat = f32x4.mul(f32x4.sub(v128.load(x + at), f32x4.splat(mean)), f32x4.splat(inverse));
      sums = addDouble(sums, g);
      alongs = addDouble(alongs, f32x4.mul(g, xhat));
    }
    let total = f64x2.extract_lane(sums, 0) + f64x2.extract_lane(sums, 1);
    let totalAlong = f64x2.extract_lane(alongs, 0) + f64x2.extract_lane(alongs, 1);
    for (; at < end; at += 4) {
      const g = load<f32>(dy + at) * load<f32>(weight + at);
      total += <f64>g;
      totalAlong += <f64>(g * ((load<f32>(x + at) - mean) * inverse));
    }
    const sum = <f32>(total / <f64>cols);
    const along = <f32>(totalAlong / <f64>cols);
    for (at = 0; at < full; at += 16) {
      const g = f32x4.mul(v128.load(dy + at), v128.load(weight + at));
      const xhat = f32x4.mul(f32x4.sub(v128.load(x + at), f32x4.splat(mean)), f32x4.splat(inverse));
      const left = f32x4.sub(f32x4.sub(g, f32x4.splat(sum)), f32x4.mul(xhat, f32x4.splat(along)));
      v128.store(dx + at, f32x4.mul(left, f32x4.splat(inverse)));
    }
    for (; at < end; at += 4) {
      const g = load<f32>(dy + at) * load<f32>(weight + at);
      const xhat = (load<f32>(x + at) - mean) * inverse;
      store<f32>(dx + at, (g - sum - xhat * along) * inverse);
    }
    dx += end;
    dy += end;
    x += end;
    means += 4;
    inverses += 4;
  }
}

/** Rows whose sums are made before they are added, as in addColumnSums. */
const NORM_ROWS: i32 = 8;

/** dWeight += sum of dy xhat, dBias += sum of dy, over `cols` columns of matrices whose rows are `row` bytes. */
export function layerNormColumns(
  dy: usize, x: usize, rows: i32, cols: i32, row: usize, means: usize, inverses: usize, dWeight: usize, dBias: usize,
): void {
  const full = <usize>(cols & ~3) * 4;
  const end = <usize>cols * 4;
  for (; rows > 0; rows -= NORM_ROWS) {
    const height = min(rows, NORM_ROWS);
    let at: usize = 0;
    for (; at < full; at += 16) {
      let scaled = f32x4.splat(0);
      let plain = f32x4.splat(0);
      for (let r = 0; r < height; r++) {
        const g = v128.load(dy + <usize>r * row + at);
        const i = <usize>r * 4;
        const centred = f32x4.sub(v128.load(x + <usize>r * row + at), v128.load32_splat(means + i));
        scaled = f32x4.add(scaled, f32x4.mul(g, f32x4.mul(centred, v128.load32_splat(inverses + i))));
        plain = f32x4.add(plain, g);
      }
      v128.store(dWeight + at, f32x4.add(v128.load(dWeight + at), scaled));
      v128.store(dBias + at, f32x4.add(v128.load(dBias + at), plain));
    }
    for (; at < end; at += 4) {
      let scaled: f32 = 0;
      let plain: f32 = 0;
      for (let r = 0; r < height; r++) {
        const g = load<f32>(dy + <usize>r * row + at);
        const i = <usize>r * 4;
        scaled += g * ((load<f32>(x + <usize>r * row + at) - load<f32>(means + i)) * load<f32>(inverses + i));
        plain += g;
      }
      store<f32>(dWeight + at, load<f32>(dWeight + at) + scaled);
      store<f32>(dBias + at, load<f32>(dBias + at) + plain);
    }
    dy += <usize>height * row;
    x += <usize>height * row;
    means += <usize>height * 4;
    inverses += <usize>height * 4;
  }
}
