// Optimizer updates, with PyTorch's formulas as src/kernels/js.ts has them: over one flat range of `length`
// (list null), or over `count` rows of `length` with the numbers in `list`.
#pragma once

/// f(first, length) over pieces of what an update visits. The same f for both: the same bits.
template <class F>
INLINE void eachUpdate(Team& team, Size length, const int32_t* list, Size count, double nanosecondsEach, const F& f) {
  if (!list) return eachChunk(team, length, nanosecondsEach, f);
  const Size rows = ceilDiv(CHUNK, length);  // of a task
  parallel(team, ceilDiv(count, rows), nanosecondsEach * length * count, [=](Size task, int) {
    for (Size i = task * rows; i < least(count, (task + 1) * rows); i++) f(list[i] * length, length);
  });
}

static void clear(Team& team, float* x, Size length, const int32_t* list, Size count) {
  eachUpdate(team, length, list, count, 0.05, [=](Size first, Size n) {
    memset(x + first, 0, static_cast<size_t>(n) * sizeof(float));
  });
}

INLINE double squaresOf(const float* x, Size length) {
  D a = {}, b = {};
  eachVector(length, [&](Size i, auto lanes) {
    const V v = load(x + i, lanes);
    const D low = lowHalf(v), high = highHalf(v);
    a += low * low;
    b += high * high;
  });
  return total(a + b);
}

/// Sum of squares; products and sums in float64, in pieces that do not depend on the threads.
static double sumSquares(Team& team, const float* x, Size length) {
  const Size parts = least(1024, ceilDiv(length, CHUNK));
  if (parts == 0) return 0;
  const Size part = ceilDiv(ceilDiv(length, parts), W) * W;
  parallel(team, parts, 0.1 * length, [=, &team](Size task, int) {
    const Size first = least(length, task * part);
    team.partials[task] = squaresOf(x + first, least(part, length - first));
  });
  double sum = 0;
  for (Size task = 0; task < parts; task++) sum += team.partials[task];
  return sum;
}

/// Sum of squares of the rows in the list, or of the first `count`: row by row, so that rows of zeros change nothing.
/// sums: room for `count` numbers.
static double sumSquaresOfRows(Team& team, const float* x, Size cols, const int32_t* list, Size count, double* sums) {
  const Size rows = ceilDiv(CHUNK, cols);  // of a task
  parallel(team, ceilDiv(count, rows), 0.1 * cols * count, [=](Size task, int) {
    for (Size i = task * rows; i < least(count, (task + 1) * rows); i++)
      sums[i] = squaresOf(x + (list ? list[i] : i) * cols, cols);
  });
  double sum = 0;
  for (Size i = 0; i < count; i++) sum += sums[i];
  return sum;
}

/// buffer null: no momentum.
static void sgd(Team& team, float* value, const float* gradient, float* buffer, Size length, const int32_t* list,
                Size count, float gradientScale, float weightDecay, float momentum, float learningRate) {
  eachUpdate(team, length, list, count, 0.2, [=](Size first, Size n) {
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

/// The rows of w (n, k) in the list into its panels again: nt [n / 64][k][64] of w^T, nn [k / 64][n][64]; null: none.
static void packRows(Team& team, Size n, Size k, const float* from, float* nt, float* nn, const int32_t* list,
                     Size count) {
  constexpr Size ROWS = 8;  // of a task
  parallel(team, ceilDiv(count, ROWS), 2.0 * count * k, [=](Size task, int) {
    for (Size i = task * ROWS; i < least(count, (task + 1) * ROWS); i++) {
      const Size row = list[i];
      const float* x = from + row * k;
      if (nn)
        for (Size j = 0; j < k; j += PANEL)
          memcpy(nn + j * n + row * PANEL, x + j, static_cast<size_t>(least(PANEL, k - j)) * sizeof(float));
      if (nt) {
        float* to = nt + row / PANEL * PANEL * k + row % PANEL;
        for (Size j = 0; j < k; j++) to[j * PANEL] = x[j];
      }
    }
  });
}

static void rmsprop(Team& team, float* value, const float* gradient, float* square, Size length,
                    const int32_t* list, Size count, float gradientScale, float weightDecay, float alpha, float rest,
                    float learningRate, float epsilon) {
  eachUpdate(team, length, list, count, 0.4, [=](Size first, Size n) {
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
                 const int32_t* list, Size count, float gradientScale, float weightDecay, float shrink, float beta1,
                 float rest1, float beta2, float rest2, float stepSize, float correction, float epsilon) {
  eachUpdate(team, length, list, count, 0.5, [=](Size first, Size n) {
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
