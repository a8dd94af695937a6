// The time loop of an LSTM layer as one call: what src/nn/recurrent.ts does step by step with the other
// kernels, to the same bits. Forward, the cell follows on the units whose products were just made. Backward,
// a row goes through dh += dy, the cell, the rule and the lists while it is in the first-level cache.
#pragma once

/// Units [first, first + 64) of one step: their products, then the cell on them. a: rows of h[t-1], of `depth` each.
static void forwardRange(const RegisterTiles& by, Size rows, Size H, Size first, Size depth, const float* a,
                         const float* panels, float* gates, const float* before, float* c, float* h, float* tanhC) {
  const Size n = 4 * H;
  const bool far = n * depth * static_cast<Size>(sizeof(float)) > NEAR_BYTES;
  for (Size row = 0; row < rows; row += DENSE_ROWS)
    for (Size gate = 0; gate < 4; gate++) {
      const Size j = gate * H + first;
      const Size next = gate < 3 ? j + H : first + PANEL < H ? first + PANEL : 0;
      panelProduct(by, least(DENSE_ROWS, rows - row), PANEL, depth, a + row * depth, depth, 1, panels + j * depth,
                   gates + row * n + j, n, far ? panels + next * depth : nullptr);
    }
  forwardUnits(rows, H, first, PANEL, gates, before, c, h, tanhC);
}

/// For t up: gates[t] += h[t-1] U^T, then the cell. Row blocks of `rows`; c, h: of t-1 of the first step. `pairs`: the
/// panels are pairs of bf16.
static void lstmForwardLoop(Team& team, Size steps, Size rows, Size H, float* gates, const float* panels, Size pairs,
                            float* c, float* h, float* tanhC) {
  const Size n = 4 * H;
  const Size block = rows * H;
  const Size ranges = H / PANEL;
  const Size depth = pairs ? ceilDiv(H, 2) : H;
  const RegisterTiles& by = pairs ? pairTiles : registerTiles;
  // With a gate in whole panels and a range of units for every thread, one task makes a range from end to end.
  const bool together = H % PANEL == 0 && ranges >= team.threads && (!pairs || rows <= pairRows(H));
  const double nanoseconds = 2.0 * rows * n * H / (pairs ? PAIR_FLOPS_PER_NS : DENSE_FLOPS_PER_NS);
  for (Size t = 0; t < steps; t++, gates += rows * n, c += block, h += block, tanhC += block) {
    if (!together) {
      if (pairs)
        productPairs(team, rows, n, H, h, panels, gates);
      else
        product(team, rows, n, H, h, panels, gates);
      lstmForward(team, rows, H, gates, c, c + block, h + block, tanhC);
      continue;
    }
    const float* a = pairs ? pairsOf(team, rows, H, h) : h;
    parallel(team, ranges, nanoseconds, [=, &by](Size range, int) {
      forwardRange(by, rows, H, range * PANEL, depth, a, panels, gates, c, c + block, h + block, tanhC);
    });
  }
}

/// Tables of a thread for a row's counts: two for each gate, whose elements take turns.
constexpr Size ROW_TABLES = 4 * 2;

/// Counts |g| of a row of gate gradients (4, H) into a thread's tables, as countBins does for a group.
static void countRow(int32_t* tables, const float* g, Size H) {
  Size i = 0;
  for (; i + 2 <= H; i += 2)
    for (Size gate = 0; gate < 4; gate++) {
      uint64_t two;
      __builtin_memcpy(&two, g + gate * H + i, 8);
      int32_t* table = tables + gate * 2 * HISTOGRAM_BINS;
      table[binOf(two)]++;
      table[HISTOGRAM_BINS + binOf(two >> 32)]++;
    }
  if (i < H)
    for (Size gate = 0; gate < 4; gate++) {
      uint32_t one;
      __builtin_memcpy(&one, g + gate * H + i, 4);
      tables[gate * 2 * HISTOGRAM_BINS + binOf(one)]++;
    }
}

/// What one step of the backward loop works on; pointers at its first row.
struct BackwardStep {
  Size rows, H;
  float* gates;
  const float *c, *tanhC, *dy;
  float *dh, *dc;
  Size siteRow;
  Sweep sweep;
  Size kind, flags;
  double* partials;
};

/// Rows [row, row + height) of a step: gate gradients, counted, dropped and listed. dh is left zero. part: their sums.
static void backwardPart(const BackwardStep& s, Sweep& sweep, Size row, Size height, int32_t* tables, double* part) {
  const Size H = s.H;
  GroupSums sums[4];
  for (GroupSums& sum : sums) sum = GroupSums{};
  for (Size r = row; r < row + height; r++) {
    float* gates = s.gates + r * 4 * H;
    float* dh = s.dh + r * H;
    eachVector(H, [&](Size n, auto lanes) {
      const V complete = load(dh + n, lanes) + load(s.dy + r * H + n, lanes);
      store(dh + n, V{}, lanes);
      backwardVector(lanes, H, gates + n, s.c + r * H + n, s.tanhC + r * H + n, complete, s.dc + r * H + n);
    });
    if (s.flags == 0) continue;
    if ((s.siteRow + r) % HISTOGRAM_ROW_STRIDE == 0) countRow(tables, gates, H);
    if (s.kind == STOCHASTIC)
      sweepRow<true, true, true>(sweep, sums);
    else if (s.flags & LISTS)
      sweepRow<false, true, true>(sweep, sums);
    else
      sweepRow<false, true, false>(sweep, sums);
  }
  if (s.flags) writePart(sums, 4, height * H, part);
}

/// All rows of a step: threads share parts of SWEEP_ROWS rows, whose sums are added in their order.
static void backwardStep(Team& team, const BackwardStep& s, double* sums) {
  const Size words = ceilDiv(4 * s.H, 32), startsRow = ceilDiv(4 * s.H, TILE) + 1;
  for (Size r0 = 0; r0 < s.rows; r0 += SWEEP_BLOCK) {
    const Size block = least(SWEEP_BLOCK, s.rows - r0);
    const Size parts = ceilDiv(block, SWEEP_ROWS);
    const double nanoseconds = (s.flags ? 16.0 : 8.0) * block * s.H / W;
    const Size tasks = listTasks(team, parts, nanoseconds);
    parallel(team, tasks, nanoseconds, [=, &s, &team](Size task, int thread) {
      const Size firstPart = parts * task / tasks;
      Sweep sweep = sweepFrom(s.sweep, r0 + firstPart * SWEEP_ROWS, words, startsRow);
      for (Size part = firstPart; part < parts * (task + 1) / tasks; part++) {
        const Size row = part * SWEEP_ROWS;
        backwardPart(s, sweep, r0 + row, least(SWEEP_ROWS, block - row), team.scratch[thread].bins,
                     s.partials + part * 4 * PART_COLUMNS);
      }
    });
    if (s.flags) addParts(s.partials, parts, 4, s.flags, sums);
  }
  if (s.flags)
    for (Size gate = 0; gate < 4; gate++)
      sums[gate * SUM_COLUMNS + TOTAL] += static_cast<double>(s.rows * s.H);
}

/// For t down: dh += dy[t], the cell, the rule (flags 0: none, nothing counted), dh = dGates[t] U; that last product
/// before the first step only if `dhBefore`. gates and all like it stand at the first step; row and siteRow are its
/// rows among those with room for lists and in the site. Returns the multiply-accumulates of dh where they are sparse.
static double lstmBackwardLoop(Team& team, Size steps, Size rows, Size H, Size row, Size siteRow, float* gates,
                               const float* c, const float* tanhC, float* dh, float* dc, const float* dy,
                               Size dhBefore, Size kind, const float* tau, uint32_t key, double* sums,
                               int32_t* histogram, Size flags, uint32_t* bitmap, int32_t* rowCounts, float* values,
                               uint16_t* offsets, uint32_t* starts, double* partials, const float* panels,
                               double full) {
  const Size n = 4 * H;
  const Size words = ceilDiv(n, 32), startsRow = ceilDiv(n, TILE) + 1;
  if (flags)
    for (int thread = 0; thread < team.threads; thread++)
      memset(team.scratch[thread].bins, 0, sizeof team.scratch[thread].bins);
  const Sweep first = {gates, n, 4, tau, key, static_cast<uint32_t>(siteRow * n), bitmap, rowCounts, values, offsets,
                       starts, static_cast<uint32_t>(row * (n + LIST_SLACK))};
  double macs = 0;
  for (Size t = steps - 1; t >= 0; t--) {
    const Size r = t * rows;
    const BackwardStep step = {rows, H, gates + r * n, c + r * H, tanhC + r * H, dy + r * H, dh, dc, siteRow + r,
                               sweepFrom(first, r, words, startsRow), kind, flags, partials};
    backwardStep(team, step, sums);
    if (t == 0 && !dhBefore) break;
    if (flags & LISTS)
      macs += sparseProduct(team, rows, n, H, gates + r * n, rowCounts + r, starts + r * startsRow, values, offsets,
                            panels, dh, full);
    else
      product(team, rows, H, n, gates + r * n, panels, dh);
  }
  if (flags)
    for (int thread = 0; thread < team.threads; thread++)
      for (Size table = 0; table < ROW_TABLES; table++)
        for (Size bin = 0; bin < HISTOGRAM_BINS; bin++)
          histogram[table / 2 * HISTOGRAM_BINS + bin] += team.scratch[thread].bins[table * HISTOGRAM_BINS + bin];
  return macs;
}
