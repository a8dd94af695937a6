// The pointwise part of a GRU, gate order r, z, n, reset after the product. Equations: src/nn/cells/gru.ts. Rows of
// gates (x W^T + b) and hidden (h' U^T + b) are 3 H long, those of the others H. kept: r, for what U sees.
#pragma once

template <class Lanes>
INLINE void gruForwardVector(Lanes lanes, Size H, float* gates, const float* hidden, const float* before, float* h,
                             float* kept) {
  const V r = sigmoid(load(gates, lanes) + load(hidden, lanes));
  const V z = sigmoid(load(gates + H, lanes) + load(hidden + H, lanes));
  const V n = tanh(load(gates + 2 * H, lanes) + r * load(hidden + 2 * H, lanes));
  store(h, (1 - z) * n + z * load(before, lanes), lanes);
  store(gates, r, lanes);
  store(gates + H, z, lanes);
  store(gates + 2 * H, n, lanes);
  store(kept, r, lanes);
}

/// dh becomes what flows on beside the product.
template <class Lanes>
INLINE void gruBackwardVector(Lanes lanes, Size H, float* gates, const float* hidden, const float* before, V complete,
                              float* dh) {
  const V r = load(gates, lanes), z = load(gates + H, lanes), n = load(gates + 2 * H, lanes);
  const V dn = complete * (1 - z) * (1 - n * n);
  store(gates, dn * load(hidden + 2 * H, lanes) * r * (1 - r), lanes);
  store(gates + H, complete * (load(before, lanes) - n) * z * (1 - z), lanes);
  store(gates + 2 * H, dn, lanes);
  store(dh, complete * z, lanes);
}

/// One row of the gate gradients that U sees, units [first, first + width); pointers at the row's unit 0.
INLINE void gruHiddenRow(Size H, Size first, Size width, const float* left, const float* kept, float* out) {
  eachVector(width, [&](Size i, auto lanes) {
    const Size n = first + i;
    store(out + n, load(left + n, lanes), lanes);
    store(out + H + n, load(left + H + n, lanes), lanes);
    store(out + 2 * H + n, load(left + 2 * H + n, lanes) * load(kept + n, lanes), lanes);
  });
}

/// Units [first, first + width) of all rows.
static void gruForwardUnits(Size rows, Size H, Size first, Size width, float* gates, const float* hidden,
                            const float* before, float* h, float* kept) {
  for (Size r = 0; r < rows; r++)
    eachVector(width, [&](Size i, auto lanes) {
      const Size n = first + i;
      gruForwardVector(lanes, H, gates + r * 3 * H + n, hidden + r * 3 * H + n, before + r * H + n, h + r * H + n,
                       kept + r * H + n);
    });
}

static void gruForward(Team& team, Size rows, Size H, float* gates, const float* hidden, const float* before, float* h,
                       float* kept) {
  parallel(team, ceilDiv(H, UNIT_COLUMNS), 1.0 * rows * H * 16 / W, [=](Size task, int) {
    const Size first = task * UNIT_COLUMNS;
    gruForwardUnits(rows, H, first, least(UNIT_COLUMNS, H - first), gates, hidden, before, h, kept);
  });
}

static void gruBackward(Team& team, Size rows, Size H, float* gates, const float* hidden, const float* before,
                        float* dh) {
  parallel(team, ceilDiv(H, UNIT_COLUMNS), 0.5 * rows * H * 16 / W, [=](Size task, int) {
    const Size first = task * UNIT_COLUMNS;
    for (Size r = 0; r < rows; r++)
      eachVector(least(UNIT_COLUMNS, H - first), [&](Size i, auto lanes) {
        const Size n = first + i;
        float* d = dh + r * H + n;
        gruBackwardVector(lanes, H, gates + r * 3 * H + n, hidden + r * 3 * H + n, before + r * H + n, load(d, lanes),
                          d);
      });
  });
}

/// out (rows, 3 H) = what U sees of the gate gradients `left` for W.
static void gruHidden(Team& team, Size rows, Size H, const float* left, const float* kept, float* out) {
  parallel(team, ceilDiv(H, UNIT_COLUMNS), 0.3 * rows * H * 16 / W, [=](Size task, int) {
    const Size first = task * UNIT_COLUMNS;
    for (Size r = 0; r < rows; r++)
      gruHiddenRow(H, first, least(UNIT_COLUMNS, H - first), left + r * 3 * H, kept + r * H, out + r * 3 * H);
  });
}
