// Pointwise parts of layers that are not recurrent: activations, layer norm, softmax of rows. Definitions:
// src/kernels/js-layers.ts. Sums over a row are made in float64.
#pragma once

/// f(i, lanes) over all of a flat range.
template <class F>
INLINE void eachElement(Team& team, Size length, double nanosecondsEach, const F& f) {
  eachChunk(team, length, nanosecondsEach, [=](Size first, Size n) {
    eachVector(n, [&](Size i, auto lanes) { f(first + i, lanes); });
  });
}

/// 1 where x > 0, else 0: times a NaN or an infinity it still tells.
INLINE V isPositive(V x) { return x > 0 ? splat(1) : V{}; }

static void relu(Team& team, float* x, Size length) {
  eachElement(team, length, 0.1, [=](Size i, auto lanes) {
    const V v = load(x + i, lanes);
    store(x + i, v * isPositive(v) + 0, lanes);
  });
}

static void reluGradient(Team& team, float* out, const float* g, const float* y, Size length) {
  eachElement(team, length, 0.1, [=](Size i, auto lanes) {
    store(out + i, load(g + i, lanes) * isPositive(load(y + i, lanes)) + 0, lanes);
  });
}

static void multiply(Team& team, float* out, const float* a, const float* b, Size length) {
  eachElement(team, length, 0.1,
              [=](Size i, auto lanes) { store(out + i, load(a + i, lanes) * load(b + i, lanes), lanes); });
}

static void tanhOf(Team& team, float* out, const float* x, Size length) {
  eachElement(team, length, 0.2 * 16 / W, [=](Size i, auto lanes) { store(out + i, tanh(load(x + i, lanes)), lanes); });
}

static void tanhGradient(Team& team, float* out, const float* g, const float* y, Size length) {
  eachElement(team, length, 0.1, [=](Size i, auto lanes) {
    const V v = load(y + i, lanes);
    store(out + i, load(g + i, lanes) * (1 - v * v), lanes);
  });
}

/// What is left of F(-x) = R(x) exp(-x^2 / 2) without the exponential, F the normal distribution function, for x in
/// [0, 14]. lab/gelu.py has the polynomial: error below 2 ulp.
INLINE V normalRatio(V x) {
  const V upper = x + 1, shifted = x + 3.5f;
  const V inverse = 1 / (shifted * upper);
  const V t = (x - 3.5f) * upper * inverse;
  V p = t * 1.454357698e-4f + 9.088523075e-5f;
  p = p * t + -1.389585668e-3f;
  p = p * t + 2.965257154e-4f;
  p = p * t + 1.037303545e-2f;
  p = p * t + -3.026345000e-2f;
  p = p * t + 3.804824129e-2f;
  p = p * t + 7.873851573e-4f;
  p = p * t + -9.771259129e-2f;
  p = p * t + 4.785531759e-1f;
  return p * shifted * inverse;
}

/// y = x F(x); x becomes the slope.
static void gelu(Team& team, float* y, float* x, Size length) {
  eachElement(team, length, 0.4 * 16 / W, [=](Size i, auto lanes) {
    const V value = load(x + i, lanes);
    V size = magnitude(value);
    size = size > 14 ? splat(14) : size;  // exp is 0 from there on; a NaN stays
    // x^2 in two parts, of which the first is exact: a rounding of x^2 / 2 would be one of up to 50 times that in exp.
    const V high = V(I(size) & ~0xfff);
    const V e = expNegative(high * high * -0.5f, (size - high) * (size + high) * -0.5f);
    const V beyond = normalRatio(size) * e;
    const V below = value < 0 ? beyond : 1 - beyond;
    store(y + i, value * below, lanes);
    store(x + i, below + value * (e * 0.398942280401432678f), lanes);
  });
}

/// Rows of `cols`: xhat = (x - mean) / sqrt(variance + eps), out = xhat weight + bias.
static void layerNorm(Team& team, float* out, const float* x, Size rows, Size cols, const float* weight,
                      const float* bias, float* means, float* inverses, double eps) {
  constexpr Size ROWS = 8;
  parallel(team, ceilDiv(rows, ROWS), 0.4 * rows * cols, [=](Size task, int) {
    for (Size r = task * ROWS; r < least(rows, (task + 1) * ROWS); r++) {
      const float* from = x + r * cols;
      float* to = out + r * cols;
      D a = {}, b = {};
      eachVector(cols, [&](Size i, auto lanes) {
        const V v = load(from + i, lanes);
        a += lowHalf(v);
        b += highHalf(v);
      });
      const double mean = total(a + b) / static_cast<double>(cols);
      // The mean in two floats, so that a row far from 0 loses nothing.
      const float high = static_cast<float>(mean), low = static_cast<float>(mean - high);
      D squares = {}, more = {};
      eachVector(cols, [&](Size i, auto lanes) {
        V centred = load(from + i, lanes) - high - low;
        if constexpr (!__is_same(decltype(lanes), All)) centred = laneNumbers() < lanes.n ? centred : V{};
        const D left = lowHalf(centred), right = highHalf(centred);
        squares += left * left;
        more += right * right;
      });
      const float inverse = inverseRoot(total(squares + more) / static_cast<double>(cols) + eps);
      means[r] = high;
      inverses[r] = inverse;
      eachVector(cols, [&](Size i, auto lanes) {
        const V xhat = (load(from + i, lanes) - high - low) * inverse;
        store(to + i, xhat * load(weight + i, lanes) + load(bias + i, lanes), lanes);
      });
    }
  });
}

/// One row: dx = r (g - mean(g) - xhat mean(g xhat)), g = dy weight.
static void layerNormRow(float* dx, const float* dy, const float* x, Size cols, const float* weight, float mean,
                         float inverse) {
  D a = {}, b = {}, c = {}, d = {};
  eachVector(cols, [&](Size i, auto lanes) {
    const V g = load(dy + i, lanes) * load(weight + i, lanes);
    V along = g * ((load(x + i, lanes) - mean) * inverse);
    if constexpr (!__is_same(decltype(lanes), All)) along = laneNumbers() < lanes.n ? along : V{};
    a += lowHalf(g);
    b += highHalf(g);
    c += lowHalf(along);
    d += highHalf(along);
  });
  const float sum = static_cast<float>(total(a + b) / static_cast<double>(cols));
  const float along = static_cast<float>(total(c + d) / static_cast<double>(cols));
  eachVector(cols, [&](Size i, auto lanes) {
    const V xhat = (load(x + i, lanes) - mean) * inverse;
    store(dx + i, (load(dy + i, lanes) * load(weight + i, lanes) - sum - xhat * along) * inverse, lanes);
  });
}

/// dx; dWeight += sum of dy xhat over rows, dBias += sum of dy. Threads own rows of dx, then columns of the sums.
static void layerNormGradient(Team& team, float* dx, const float* dy, const float* x, Size rows, Size cols,
                              const float* weight, const float* means, const float* inverses, float* dWeight,
                              float* dBias) {
  constexpr Size ROWS = 8;
  parallel(team, ceilDiv(rows, ROWS), 0.4 * rows * cols, [=](Size task, int) {
    for (Size r = task * ROWS; r < least(rows, (task + 1) * ROWS); r++)
      layerNormRow(dx + r * cols, dy + r * cols, x + r * cols, cols, weight, means[r], inverses[r]);
  });
  eachColumnRange(team, cols, 0.2 * rows * cols, [=](Size first, Size width) {
    for (Size r0 = 0; r0 < rows; r0 += ROWS) {
      const Size end = least(rows, r0 + ROWS);
      eachVector(width, [&](Size i, auto lanes) {
        V scaled = {}, plain = {};
        for (Size r = r0; r < end; r++) {
          const Size at = r * cols + first + i;
          const V g = load(dy + at, lanes);
          scaled += g * ((load(x + at, lanes) - means[r]) * inverses[r]);
          plain += g;
        }
        store(dWeight + first + i, load(dWeight + first + i, lanes) + scaled, lanes);
        store(dBias + first + i, load(dBias + first + i, lanes) + plain, lanes);
      });
    }
  });
}

/// softmax(scale x) over the first `length` of `width` columns; the others become 0. A NaN makes all of them NaN.
static void softmaxRow(float* x, Size length, Size width, float scale) {
  const float max = largestOf(x, length);
  D a = {}, b = {};
  eachVector(length, [&](Size i, auto lanes) {
    V e = expNegative((load(x + i, lanes) - max) * scale);
    store(x + i, e, lanes);
    if constexpr (!__is_same(decltype(lanes), All)) e = laneNumbers() < lanes.n ? e : V{};
    a += lowHalf(e);
    b += highHalf(e);
  });
  const float factor = static_cast<float>(1 / total(a + b));
  eachVector(length, [&](Size i, auto lanes) { store(x + i, load(x + i, lanes) * factor, lanes); });
  memset(x + length, 0, static_cast<size_t>(width - length) * sizeof(float));
}

/// g = scale p (g - sum of p g) over the first `length` of `width` columns; the others become 0.
static void softmaxGradientRow(float* g, const float* p, Size length, Size width, float scale) {
  D a = {}, b = {};
  eachVector(length, [&](Size i, auto lanes) {
    const V product = load(g + i, lanes) * load(p + i, lanes);
    a += lowHalf(product);
    b += highHalf(product);
  });
  const float mean = static_cast<float>(total(a + b));
  eachVector(length, [&](Size i, auto lanes) {
    store(g + i, load(p + i, lanes) * (load(g + i, lanes) - mean) * scale, lanes);
  });
  memset(g + length, 0, static_cast<size_t>(width - length) * sizeof(float));
}

static void softmaxRows(Team& team, float* x, Size rows, Size cols, Size length) {
  constexpr Size ROWS = 4;
  parallel(team, ceilDiv(rows, ROWS), 0.5 * rows * cols, [=](Size task, int) {
    for (Size r = task * ROWS; r < least(rows, (task + 1) * ROWS); r++) softmaxRow(x + r * cols, length, cols, 1);
  });
}

static void softmaxGradientRows(Team& team, float* g, const float* p, Size rows, Size cols) {
  constexpr Size ROWS = 8;
  parallel(team, ceilDiv(rows, ROWS), 0.3 * rows * cols, [=](Size task, int) {
    for (Size r = task * ROWS; r < least(rows, (task + 1) * ROWS); r++)
      softmaxGradientRow(g + r * cols, p + r * cols, cols, cols, 1);
  });
}
