/** Optimizer updates over one piece each, with PyTorch's formulas as src/kernels/js.ts has them. */

/** Stores the first n lanes, all of them from 4 on. */
// @ts-ignore: decorator
@inline
function put(to: usize, x: v128, n: i32): void {
  if (n >= 4) {
    v128.store(to, x);
    return;
  }
  v128.store32_lane(to, x, 0);
  if (n > 1) v128.store32_lane(to, x, 1, 4);
  if (n > 2) v128.store32_lane(to, x, 2, 8);
}

/** The first n lanes, all of them from 4 on; zeros behind. */
// @ts-ignore: decorator
@inline
function get(from: usize, n: i32): v128 {
  if (n >= 4) return v128.load(from);
  if (n == 1) return v128.load32_zero(from);
  const two = v128.load64_zero(from);
  return n == 2 ? two : v128.load32_lane(from, two, 2, 8);
}

export function clear(x: usize, length: i32): void {
  for (let n = length; n > 0; n -= 4) {
    put(x, f32x4.splat(0), n);
    x += 16;
  }
}

/** Sum of squares; products and sums in float64. */
export function sumSquares(x: usize, length: i32): f64 {
  let a = f64x2.splat(0);
  let b = f64x2.splat(0);
  for (let n = length; n > 0; n -= 4) {
    const four = get(x, n);
    const low = f64x2.promote_low_f32x4(four);
    const high = f64x2.promote_low_f32x4(i64x2.shuffle(four, four, 1, 0));
    a = f64x2.add(a, f64x2.mul(low, low));
    b = f64x2.add(b, f64x2.mul(high, high));
    x += 16;
  }
  a = f64x2.add(a, b);
  return f64x2.extract_lane(a, 0) + f64x2.extract_lane(a, 1);
}

/** momentum = 0: plain descent; buffer 0: none. */
export function sgd(
  value: usize, gradient: usize, buffer: usize, length: i32, gradientScale: f32, weightDecay: f32, momentum: f32,
  learningRate: f32,
): void {
  for (let n = length; n > 0; n -= 4) {
    const w = get(value, n);
    let g = f32x4.add(
      f32x4.mul(get(gradient, n), f32x4.splat(gradientScale)),
      f32x4.mul(w, f32x4.splat(weightDecay)),
    );
    if (buffer != 0) {
      g = f32x4.add(f32x4.mul(get(buffer, n), f32x4.splat(momentum)), g);
      put(buffer, g, n);
      buffer += 16;
    }
    put(value, f32x4.sub(w, f32x4.mul(f32x4.splat(learningRate), g)), n);
    value += 16;
    gradient += 16;
  }
}

export function rmsprop(
  value: usize, gradient: usize, square: usize, length: i32, gradientScale: f32, weightDecay: f32, alpha: f32,
  rest: f32, learningRate: f32, epsilon: f32,
): void {
  for (let n = length; n > 0; n -= 4) {
    const w = get(value, n);
    const g = f32x4.add(
      f32x4.mul(get(gradient, n), f32x4.splat(gradientScale)),
      f32x4.mul(w, f32x4.splat(weightDecay)),
    );
    const v = f32x4.add(
      f32x4.mul(get(square, n), f32x4.splat(alpha)),
      f32x4.mul(f32x4.mul(f32x4.splat(rest), g), g),
    );
    put(square, v, n);
    const change = f32x4.div(
      f32x4.mul(f32x4.splat(learningRate), g),
      f32x4.add(f32x4.sqrt(v), f32x4.splat(epsilon)),
    );
    put(value, f32x4.sub(w, change), n);
    value += 16;
    gradient += 16;
    square += 16;
  }
}

/**
 * stepSize = learning rate / (1 - beta1^t); correction = sqrt(1 - beta2^t); rest = 1 - beta.
 * shrink multiplies the value first (AdamW); weightDecay joins the gradient (Adam).
 */
export function adam(
  value: usize, gradient: usize, mean: usize, square: usize, length: i32, gradientScale: f32, weightDecay: f32,
  shrink: f32, beta1: f32, rest1: f32, beta2: f32, rest2: f32, stepSize: f32, correction: f32, epsilon: f32,
): void {
  for (let n = length; n > 0; n -= 4) {
    let w = get(value, n);
    const g = f32x4.add(
      f32x4.mul(get(gradient, n), f32x4.splat(gradientScale)),
      f32x4.mul(w, f32x4.splat(weightDecay)),
    );
    w = f32x4.mul(w, f32x4.splat(shrink));
    const m = f32x4.add(f32x4.mul(get(mean, n), f32x4.splat(beta1)), f32x4.mul(g, f32x4.splat(rest1)));
    put(mean, m, n);
    const v = f32x4.add(
      f32x4.mul(get(square, n), f32x4.splat(beta2)),
      f32x4.mul(f32x4.mul(g, f32x4.splat(rest2)), g),
    );
    put(square, v, n);
    const denominator = f32x4.add(
      f32x4.div(f32x4.sqrt(v), f32x4.splat(correction)),
      f32x4.splat(epsilon),
    );
    put(value, f32x4.sub(w, f32x4.div(f32x4.mul(m, f32x4.splat(stepSize)), denominator)), n);
    value += 16;
    gradient += 16;
    mean += 16;
    square += 16;
  }
}
