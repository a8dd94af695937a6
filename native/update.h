// Optimizer updates over flat ranges, with PyTorch's formulas as src/kernels/js.ts has them.
#pragma once

/// Sum of squares; products and sums in float64, in pieces that do not depend on the threads.
static double sumSquares(Team& team, const float* x, Size length) {
  const Size parts = least(1024, ceilDiv(length, CHUNK));
  if (parts == 0) return 0;
  const Size part = ceilDiv(ceilDiv(length, parts), W) * W;
  parallel(team, parts, 0.1 * length, [=, &team](Size task, int) {
    const Size first = least(length, task * part);
    D a = {}, b = {};
    eachVector(least(part, length - first), [&](Size i, auto lanes) {
      const V v = load(x + first + i, lanes);
      const D low = lowHalf(v), high = highHalf(v);
      a += low * low;
      b += high * high;
    });
    team.partials[task] = total(a + b);
  });
  double sum = 0;
  for (Size task = 0; task < parts; task++) sum += team.partials[task];
  return sum;
}

/// buffer null: no momentum.
static void sgd(Team& team, float* value, const float* gradient, float* buffer, Size length, float gradientScale,
                float weightDecay, float momentum, float learningRate) {
  eachChunk(team, length, 0.2, [=](Size first, Size n) {
    eachVector(n, [&](Size i, auto lanes) {
      const Size at = first + i;
      const V w = load(value + at, lanes);
      V g = load(gradient + at, lanes) * gradientScale + w * weightDecay;
      if (buffer) {
        g = load(buffer + at, lanes) * momentum + g;
        store(buffer + at, g, lanes);
      }
      store(value + at, w - learningRate * g, lanes);
    });
  });
}

static void rmsprop(Team& team, float* value, const float* gradient, float* square, Size length, float gradientScale,
                    float weightDecay, float alpha, float rest, float learningRate, float epsilon) {
  eachChunk(team, length, 0.4, [=](Size first, Size n) {
    eachVector(n, [&](Size i, auto lanes) {
      const Size at = first + i;
      const V w = load(value + at, lanes);
      const V g = load(gradient + at, lanes) * gradientScale + w * weightDecay;
      const V v = load(square + at, lanes) * alpha + rest * g * g;
      store(square + at, v, lanes);
      store(value + at, w - learningRate * g / (squareRoot(v) + epsilon), lanes);
    });
  });
}

/// stepSize = learning rate / (1 - beta1^t); correction = sqrt(1 - beta2^t); rest = 1 - beta.
/// shrink multiplies the value first (AdamW); weightDecay joins the gradient (Adam).
static void adam(Team& team, float* value, const float* gradient, float* mean, float* square, Size length,
                 float gradientScale, float weightDecay, float shrink, float beta1, float rest1, float beta2,
                 float rest2, float stepSize, float correction, float epsilon) {
  eachChunk(team, length, 0.5, [=](Size first, Size n) {
    eachVector(n, [&](Size i, auto lanes) {
      const Size at = first + i;
      const V w = load(value + at, lanes);
      const V g = load(gradient + at, lanes) * gradientScale + w * weightDecay;
      const V m = load(mean + at, lanes) * beta1 + g * rest1;
      const V v = load(square + at, lanes) * beta2 + g * rest2 * g;
      store(mean + at, m, lanes);
      store(square + at, v, lanes);
      store(value + at, w * shrink - stepSize * m / (squareRoot(v) / correction + epsilon), lanes);
    });
  });
}
