/** Losses with their gradients. Sums are made in float64. */
import { expNegative, log } from "./math";

/**
 * Summed cross-entropy in nats of softmax(logits (rows, cols)); unless scale is 0, logits become
 * (p - onehot) * scale. A NaN or +Infinity among the logits gives NaN. A row with target -1 has no loss and no gradient.
 */
export function softmaxCrossEntropy(logits: usize, targets: usize, rows: i32, cols: i32, scale: f32): f64 {
  let loss = 0.0;
  const bytes = <usize>cols * 4;
  for (let r = 0; r < rows; r++) {
    if (load<i32>(targets) < 0) {
      if (scale != 0) memory.fill(logits, 0, bytes);
      logits += bytes;
      targets += 4;
      continue;
    }
    const max = largest(logits, cols);
    const targetAt = logits + <usize>load<u32>(targets) * 4;
    const logit = <f64>load<f32>(targetAt);
    const sum = scale == 0 ? sumExp(logits, cols, max) : setExp(logits, cols, max);
    loss += log(sum) + <f64>max - logit;
    if (scale != 0) {
      // p - 1 at the target as minus the other terms: it is small where the net is right.
      const others = sum - <f64>load<f32>(targetAt);
      scaleBy(logits, cols, <f32>(<f64>scale / sum));
      store<f32>(targetAt, <f32>((-others / sum) * <f64>scale));
    }
    logits += bytes;
    targets += 4;
  }
  return loss;
}

export function largest(x: usize, length: i32): f32 {
  let maxima = f32x4.splat(-Infinity);
  for (let n = length >> 2; n > 0; n--) {
    maxima = f32x4.pmax(maxima, v128.load(x));
    x += 16;
  }
  let max = Mathf.max(
    Mathf.max(f32x4.extract_lane(maxima, 0), f32x4.extract_lane(maxima, 1)),
    Mathf.max(f32x4.extract_lane(maxima, 2), f32x4.extract_lane(maxima, 3)),
  );
  for (let n = length & 3; n > 0; n--) {
    max = Mathf.max(max, load<f32>(x));
    x += 4;
  }
  return max;
}

// @ts-ignore: decorator
@inline
export function addDouble(sum: v128, x: v128): v128 {
  const high = f64x2.promote_low_f32x4(i64x2.shuffle(x, x, 1, 0));
  return f64x2.add(sum, f64x2.add(f64x2.promote_low_f32x4(x), high));
}

function sumExp(x: usize, length: i32, max: f32): f64 {
  const shift = f32x4.splat(max);
  let sum = f64x2.splat(0);
  for (let n = length >> 2; n > 0; n--) {
    sum = addDouble(sum, expNegative(f32x4.sub(v128.load(x), shift)));
    x += 16;
  }
  let total = f64x2.extract_lane(sum, 0) + f64x2.extract_lane(sum, 1);
  for (let n = length & 3; n > 0; n--) {
    total += <f64>f32x4.extract_lane(expNegative(f32x4.splat(load<f32>(x) - max)), 0);
    x += 4;
  }
  return total;
}

/** As sumExp, and leaves the exponentials in x. */
export function setExp(x: usize, length: i32, max: f32): f64 {
  const shift = f32x4.splat(max);
  let sum = f64x2.splat(0);
  for (let n = length >> 2; n > 0; n--) {
    const e = expNegative(f32x4.sub(v128.load(x), shift));
    v128.store(x, e);
    sum = addDouble(sum, e);
    x += 16;
  }
  let total = f64x2.extract_lane(sum, 0) + f64x2.extract_lane(sum, 1);
  for (let n = length & 3; n > 0; n--) {
    const e = f32x4.extract_lane(expNegative(f32x4.splat(load<f32>(x) - max)), 0);
    store<f32>(x, e);
    total += <f64>e;
    x += 4;
  }
  return total;
}

export function scaleBy(x: usize, length: i32, factor: f32): void {
  const factors = f32x4.splat(factor);
  for (let n = length >> 2; n > 0; n--) {
    v128.store(x, f32x4.mul(v128.load(x), factors));
    x += 16;
  }
  for (let n = length & 3; n > 0; n--) {
    store<f32>(x, load<f32>(x) * factor);
    x += 4;
  }
}

/** Sum of (y - target)^2; unless scale is 0, y becomes 2 (y - target) scale. */
export function squaredError(y: usize, targets: usize, length: i32, scale: f32): f64 {
  let sum = 0.0;
  for (let n = length; n > 0; n--) {
    const difference = load<f32>(y) - load<f32>(targets);
    sum += <f64>difference * <f64>difference;
    if (scale != 0) store<f32>(y, 2 * difference * scale);
    y += 4;
    targets += 4;
  }
  return sum;
}
