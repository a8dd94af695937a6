// The pointwise parts of the cells without gates between h and itself: the plain recurrent net (equations:
// src/nn/cells/rnn.ts), whose one gate is h, and minGRU, gate order z, h~ (mingru.ts), whose rows of gates are 2 H long.
#pragma once

template <class Lanes>
INLINE void rnnForwardVector(Lanes lanes, float* gates, float* h) {
  const V y = tanh(load(gates, lanes));
  store(gates, y, lanes);
  store(h, y, lanes);
}

template <class Lanes>
INLINE void rnnBackwardVector(Lanes lanes, float* gates, V dh) {
  const V y = load(gates, lanes);
  store(gates, dh * (1 - y * y), lanes);
}

template <class Lanes>
INLINE void mingruForwardVector(Lanes lanes, Size H, float* gates, const float* before, float* h) {
  const V z = sigmoid(load(gates, lanes));
  store(h, (1 - z) * load(before, lanes) + z * load(gates + H, lanes), lanes);
  store(gates, z, lanes);
}

/// dh becomes what flows on into t-1.
template <class Lanes>
INLINE void mingruBackwardVector(Lanes lanes, Size H, float* gates, const float* before, V complete, float* dh) {
  const V z = load(gates, lanes);
  store(gates, complete * (load(gates + H, lanes) - load(before, lanes)) * z * (1 - z), lanes);
  store(gates + H, complete * z, lanes);
  store(dh, complete * (1 - z), lanes);
}

/// Units [first, first + width) of all rows.
static void rnnForwardUnits(Size rows, Size H, Size first, Size width, float* gates, float* h) {
  for (Size r = 0; r < rows; r++)
    eachVector(width, [&](Size i, auto lanes) {
      const Size n = r * H + first + i;
      rnnForwardVector(lanes, gates + n, h + n);
    });
}

static void mingruForwardUnits(Size rows, Size H, Size first, Size width, float* gates, const float* before, float* h) {
  for (Size r = 0; r < rows; r++)
    eachVector(width, [&](Size i, auto lanes) {
      const Size n = first + i;
      mingruForwardVector(lanes, H, gates + r * 2 * H + n, before + r * H + n, h + r * H + n);
    });
}

/// f(first, width) over ranges of hidden units.
template <class F>
INLINE void eachUnits(Team& team, Size H, double nanoseconds, const F& f) {
  parallel(team, ceilDiv(H, UNIT_COLUMNS), nanoseconds, [=, &f](Size task, int) {
    f(task * UNIT_COLUMNS, least(UNIT_COLUMNS, H - task * UNIT_COLUMNS));
  });
}

static void rnnForward(Team& team, Size rows, Size H, float* gates, float* h) {
  eachUnits(team, H, 0.25 * rows * H * 16 / W,
            [=](Size first, Size width) { rnnForwardUnits(rows, H, first, width, gates, h); });
}

static void rnnBackward(Team& team, Size rows, Size H, float* gates, const float* dh) {
  eachUnits(team, H, 0.1 * rows * H * 16 / W, [=](Size first, Size width) {
    for (Size r = 0; r < rows; r++)
      eachVector(width, [&](Size i, auto lanes) {
        const Size n = r * H + first + i;
        rnnBackwardVector(lanes, gates + n, load(dh + n, lanes));
      });
  });
}

static void mingruForward(Team& team, Size rows, Size H, float* gates, const float* before, float* h) {
  eachUnits(team, H, 0.3 * rows * H * 16 / W,
            [=](Size first, Size width) { mingruForwardUnits(rows, H, first, width, gates, before, h); });
}

static void mingruBackward(Team& team, Size rows, Size H, float* gates, const float* before, float* dh) {
  eachUnits(team, H, 0.2 * rows * H * 16 / W, [=](Size first, Size width) {
    for (Size r = 0; r < rows; r++)
      eachVector(width, [&](Size i, auto lanes) {
        const Size n = first + i;
        float* d = dh + r * H + n;
        mingruBackwardVector(lanes, H, gates + r * 2 * H + n, before + r * H + n, load(d, lanes), d);
      });
  });
}
