// Losses with their gradients. Sums are made in float64.
#pragma once

/// The largest of x, or NaN if one is.
static float largestOf(const float* x, Size length) {
  V best = splat(-__builtin_inff());
  V odd = {};  // NaN where any was
  eachVector(length, [&](Size i, auto lanes) {
    V v = load(x + i, lanes);
    if constexpr (!__is_same(decltype(lanes), All)) v = laneNumbers() < lanes.n ? v : best;
    best = v > best ? v : best;
    odd += v - v;  // infinities give NaN as well; they are told apart below
  });
  float max = best[0];
  bool clean = true;
  for (int i = 0; i < W; i++) {
    max = best[i] > max ? best[i] : max;
    clean &= odd[i] == 0;
  }
  if (!clean)
    for (Size i = 0; i < length; i++)
      if (x[i] != x[i]) return __builtin_nanf("");
  return max;
}

/// Sum of exp(x - max); the exponentials stay in `to` unless it is null.
static double sumExp(const float* x, Size length, float max, float* to) {
  D a = {}, b = {};
  eachVector(length, [&](Size i, auto lanes) {
    V e = expNegative(load(x + i, lanes) - max);
    if (to) store(to + i, e, lanes);
    if constexpr (!__is_same(decltype(lanes), All)) e = laneNumbers() < lanes.n ? e : V{};
    a += lowHalf(e);
    b += highHalf(e);
  });
  return total(a + b);
}

/// One row: its loss; unless scale is 0, logits become (p - onehot) * scale. Target -1: neither.
static double crossEntropyRow(float* logits, int32_t target, Size cols, float scale) {
  if (target < 0) {
    if (scale != 0) memset(logits, 0, static_cast<size_t>(cols) * sizeof(float));
    return 0;
  }
  const float max = largestOf(logits, cols);
  const double logit = logits[target];
  const double sum = sumExp(logits, cols, max, scale == 0 ? nullptr : logits);
  if (scale != 0) {
    // p - 1 at the target as minus the other terms: it is small where the net is right.
    const double others = sum - logits[target];
    const float factor = static_cast<float>(scale / sum);
    eachVector(cols, [&](Size i, auto lanes) { store(logits + i, load(logits + i, lanes) * factor, lanes); });
    logits[target] = static_cast<float>(-others / sum * scale);
  }
  return logarithm(sum) + max - logit;
}

/// Summed cross-entropy in nats of softmax(logits (rows, cols)). A NaN or +Infinity among the logits gives NaN.
static double softmaxCrossEntropy(Team& team, float* logits, const int32_t* targets, Size rows, Size cols,
                                  float scale) {
  if (!validIndex(team, targets, rows, cols, -1)) return 0;
  const Size each = most(4, ceilDiv(rows, 1024));
  const Size parts = ceilDiv(rows, each);
  parallel(team, parts, 0.6 * rows * cols, [=, &team](Size task, int) {
    double loss = 0;
    for (Size r = task * each; r < least(rows, (task + 1) * each); r++)
      loss += crossEntropyRow(logits + r * cols, targets[r], cols, scale);
    team.partials[task] = loss;
  });
  double loss = 0;
  for (Size task = 0; task < parts; task++) loss += team.partials[task];
  return loss;
}

/// Sum of (y - target)^2; unless scale is 0, y becomes 2 (y - target) scale.
static double squaredError(Team&, float* y, const float* targets, Size length, float scale) {
  D a = {}, b = {};
  eachVector(length, [&](Size i, auto lanes) {
    const V difference = load(y + i, lanes) - load(targets + i, lanes);
    const D low = lowHalf(difference), high = highHalf(difference);
    a += low * low;
    b += high * high;
    if (scale != 0) store(y + i, 2 * difference * scale, lanes);
  });
  return total(a + b);
}
