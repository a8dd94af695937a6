// Causal attention of many heads, as src/kernels/js-layers.ts defines it. A task is one lane's head: its six products are
// the dense register tiles over panels in the thread's own room. Where the mask leaves nothing, blocks of PANEL rows and
// columns are left out.
#pragma once

/// One lane's head: rows are of positions 0 to T, `row` floats apart in x and its gradient, `outRow` in out and dy.
struct Head {
  Size T, d, steps, row, outRow;
  const float *q, *k, *v;
  float* square;  // (T, steps) while dP and dS are wanted
  float* panels;
};

/// c (T, steps), its block below the diagonal and on it, = a (T, d) b (T, d)^T.
static void headScores(const Head& s, const float* a, Size aRow, const float* b, Size bRow, float* c) {
  for (Size r = 0; r < s.T; r += PANEL)
    transposeBlock(least(PANEL, s.T - r), s.d, b + r * bRow, bRow, s.panels + r * s.d, PANEL);
  for (Size r = 0; r < s.T; r++) memset(c + r * s.steps, 0, static_cast<size_t>(s.T) * sizeof(float));
  for (Size j = 0; j < s.T; j += PANEL)
    panelProduct(registerTiles, s.T - j, least(PANEL, s.T - j), s.d, a + j * aRow, aRow, 1, s.panels + j * s.d,
                 c + j * s.steps + j, s.steps);
}

/// c (T, d) = p b, or p^T b: p (T, steps) is 0 above the diagonal.
static void headProduct(const Head& s, const float* p, bool turned, const float* b, Size bRow, float* c, Size cRow) {
  packColumns(s.T, s.d, b, bRow, s.panels);
  for (Size r = 0; r < s.T; r++) memset(c + r * cRow, 0, static_cast<size_t>(s.d) * sizeof(float));
  for (Size j = 0; j < s.d; j += PANEL)
    for (Size r = 0; r < s.T; r += PANEL) {
      const Size height = least(PANEL, s.T - r), width = least(PANEL, s.d - j);
      const float* panel = s.panels + j * s.T;
      if (turned)
        panelProduct(registerTiles, height, width, s.T - r, p + r * s.steps + r, 1, s.steps, panel + r * PANEL,
                     c + r * cRow + j, cRow);
      else
        panelProduct(registerTiles, height, width, r + height, p + r * s.steps, s.steps, 1, panel, c + r * cRow + j,
                     cRow);
    }
}

/// f(lane, head, head's numbers); scratch: `room` floats for each thread.
template <class F>
INLINE void eachHead(Team& team, const float* x, Size T, Size B, Size heads, Size width, Size steps, float* scratch,
                     Size room, double products, const F& f) {
  const Size d = width / heads;
  const double nanoseconds = products * 2.0 * B * heads * T * T * d / DENSE_FLOPS_PER_NS;
  parallel(team, B * heads, nanoseconds, [=, &f](Size task, int thread) {
    const Size lane = task / heads, head = task % heads;
    const float* q = x + lane * 3 * width + head * d;
    float* own = scratch + thread * room;
    f(lane, head, Head{T, d, steps, B * 3 * width, B * width, q, q + width, q + 2 * width, own, own + steps * steps});
  });
}

/// out (T B, width) = P V, P (B heads steps, steps) = softmax(Q K^T / sqrt(d)), 0 where a key is later than its query.
static void attention(Team& team, float* out, float* shares, const float* x, Size T, Size B, Size heads, Size width,
                      Size steps, float* scratch, Size room) {
  const float scale = inverseRoot(static_cast<double>(width / heads));
  eachHead(team, x, T, B, heads, width, steps, scratch, room, 2, [=](Size lane, Size head, const Head& s) {
    float* p = shares + (lane * heads + head) * steps * steps;
    headScores(s, s.q, s.row, s.k, s.row, p);
    for (Size r = 0; r < T; r++) softmaxRow(p + r * steps, r + 1, T, scale);
    headProduct(s, p, false, s.v, s.row, out + lane * width + head * s.d, s.outRow);
  });
}

/// dx (T B, 3 width) from dy (T B, width).
static void attentionGradient(Team& team, float* dx, const float* dy, const float* shares, const float* x, Size T,
                              Size B, Size heads, Size width, Size steps, float* scratch, Size room) {
  const float scale = inverseRoot(static_cast<double>(width / heads));
  eachHead(team, x, T, B, heads, width, steps, scratch, room, 4, [=](Size lane, Size head, const Head& s) {
    const float* p = shares + (lane * heads + head) * steps * steps;
    const float* dOut = dy + lane * width + head * s.d;
    float* dq = dx + lane * 3 * width + head * s.d;
    headProduct(s, p, true, dOut, s.outRow, dq + 2 * width, s.row);
    headScores(s, dOut, s.outRow, s.v, s.row, s.square);
    for (Size r = 0; r < T; r++) softmaxGradientRow(s.square + r * steps, p + r * steps, r + 1, T, scale);
    headProduct(s, s.square, false, s.k, s.row, dq, s.row);
    headProduct(s, s.square, true, s.q, s.row, dq + width, s.row);
  });
}
