// The pointwise part of an LSTM, gate order i, f, g, o. Equations: src/nn/cells/lstm.ts. Rows of
// gates are 4 H long, those of the others H. Threads own ranges of hidden units, as in the products.
#pragma once

/// c of t. Made again from what was stored (restateRow), it has the same bits: one expression for both.
INLINE V nextState(V i, V f, V g, V before) { return f * before + i * g; }

template <class Lanes>
INLINE void forwardVector(Lanes lanes, Size H, float* gates, const float* before, float* c, float* h, float* tanhC) {
  const V i = sigmoid(load(gates, lanes));
  const V f = sigmoid(load(gates + H, lanes));
  const V g = tanh(load(gates + 2 * H, lanes));
  const V o = sigmoid(load(gates + 3 * H, lanes));
  const V next = nextState(i, f, g, load(before, lanes));
  const V squashed = tanh(next);
  store(gates, i, lanes);
  store(gates + H, f, lanes);
  store(gates + 2 * H, g, lanes);
  store(gates + 3 * H, o, lanes);
  store(c, next, lanes);
  store(tanhC, squashed, lanes);
  store(h, o * squashed, lanes);
}

template <class Lanes>
INLINE void backwardVector(Lanes lanes, Size H, float* gates, const float* before, const float* tanhC,
                           V dh, float* dcs) {
  const V o = load(gates + 3 * H, lanes);
  const V y = load(tanhC, lanes);
  const V dho = dh * o;
  const V dc = load(dcs, lanes) + dho * (1 - y * y);
  const V i = load(gates, lanes);
  const V g = load(gates + 2 * H, lanes);
  const V f = load(gates + H, lanes);
  const V dci = dc * i;
  const V dcf = dc * f;
  store(gates + 3 * H, dho * y * (1 - o), lanes);
  store(gates, dci * g * (1 - i), lanes);
  store(gates + 2 * H, dci * (1 - g * g), lanes);
  store(gates + H, dcf * load(before, lanes) * (1 - f), lanes);
  store(dcs, dcf, lanes);
}

/// One row of the cell, units [first, first + width); all pointers at the row's unit 0.
INLINE void forwardRow(Size H, Size first, Size width, float* gates, const float* before, float* c, float* h,
                       float* tanhC) {
  eachVector(width, [&](Size i, auto lanes) {
    const Size n = first + i;
    forwardVector(lanes, H, gates + n, before + n, c + n, h + n, tanhC + n);
  });
}

INLINE void backwardRow(Size H, Size first, Size width, float* gates, const float* before, const float* tanhC,
                        const float* dh, float* dc) {
  eachVector(width, [&](Size i, auto lanes) {
    const Size n = first + i;
    backwardVector(lanes, H, gates + n, before + n, tanhC + n, load(dh + n, lanes), dc + n);
  });
}

constexpr Size UNIT_COLUMNS = 64;

/// Units [first, first + width) of all rows.
static void forwardUnits(Size rows, Size H, Size first, Size width, float* gates, const float* before, float* c,
                         float* h, float* tanhC) {
  for (Size r = 0; r < rows; r++)
    forwardRow(H, first, width, gates + r * 4 * H, before + r * H, c + r * H, h + r * H, tanhC + r * H);
}

static void lstmForward(Team& team, Size rows, Size H, float* gates, const float* before, float* c, float* h,
                        float* tanhC) {
  parallel(team, ceilDiv(H, UNIT_COLUMNS), 1.2 * rows * H * 16 / W, [=](Size task, int) {
    const Size first = task * UNIT_COLUMNS;
    forwardUnits(rows, H, first, least(UNIT_COLUMNS, H - first), gates, before, c, h, tanhC);
  });
}

/// For t up: c of t and its tanh once more, from activations in gates and c of t-1. Pointers at the first step, c at t-1's.
static void lstmRestate(Team& team, Size steps, Size rows, Size H, const float* gates, float* c, float* tanhC) {
  // A thread's rows go through all time steps by themselves, and leave the last one's near, where backward begins.
  const double nanoseconds = 0.5 * steps * rows * H * 16 / W;
  const Size parts = shares(team, rows, nanoseconds);
  parallel(team, parts, nanoseconds, [=](Size part, int) {
    for (Size t = 0; t < steps; t++)
      for (Size r = t * rows + rows * part / parts; r < t * rows + rows * (part + 1) / parts; r++) {
        const float* gate = gates + r * 4 * H;
        const float* before = c + r * H;
        float* next = c + (r + rows) * H;
        float* squashed = tanhC + r * H;
        eachVector(H, [&](Size n, auto lanes) {
          const V state = nextState(load(gate + n, lanes), load(gate + H + n, lanes), load(gate + 2 * H + n, lanes),
                                    load(before + n, lanes));
          store(next + n, state, lanes);
          store(squashed + n, tanh(state), lanes);
        });
      }
  });
}

static void lstmBackward(Team& team, Size rows, Size H, float* gates, const float* before, const float* tanhC,
                         const float* dh, float* dc) {
  parallel(team, ceilDiv(H, UNIT_COLUMNS), 0.5 * rows * H * 16 / W, [=](Size task, int) {
    const Size first = task * UNIT_COLUMNS;
    const Size width = least(UNIT_COLUMNS, H - first);
    for (Size r = 0; r < rows; r++)
      backwardRow(H, first, width, gates + r * 4 * H, before + r * H, tanhC + r * H, dh + r * H, dc + r * H);
  });
}
