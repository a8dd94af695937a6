// The time loop of a layer as one call: what src/nn/time-loop.ts does step by step with the other kernels, to the same
// bits. Forward, the cell follows on the units whose products were just made. Backward, a row goes through dh += dy,
// the cell, the rule and the lists while it is in the first-level cache. What is a cell's own stands in a struct:
// LstmStep, GruStep, RnnStep, MingruStep.
#pragma once

/// The products of units [first, first + 64) of one step, all gates. a: rows of h[t-1], of `depth` each.
static void unitProducts(const RegisterTiles& by, Size rows, Size gates, Size H, Size first, Size depth,
                         const float* a, const float* panels, float* out) {
  const Size n = gates * H;
  const bool far = n * depth * static_cast<Size>(sizeof(float)) > NEAR_BYTES;
  for (Size row = 0; row < rows; row += DENSE_ROWS)
    for (Size gate = 0; gate < gates; gate++) {
      const Size j = gate * H + first;
      const Size next = gate + 1 < gates ? j + H : first + PANEL < H ? first + PANEL : 0;
      panelProduct(by, least(DENSE_ROWS, rows - row), PANEL, depth, a + row * depth, depth, 1, panels + j * depth,
                   out + row * n + j, n, far ? panels + next * depth : nullptr);
    }
}

/// For t up: out[t] += h[t-1] U^T, then the cell on some units: units(t, first, width). out: rows of all gates. `pairs`:
/// the panels are pairs of bf16.
template <class Units>
INLINE void forwardLoop(Team& team, Size steps, Size rows, Size gates, Size H, const float* panels, Size pairs,
                        float* h, float* out, double cellNs, const Units& units) {
  const Size n = gates * H;
  const Size ranges = H / PANEL;
  const Size depth = pairs ? ceilDiv(H, 2) : H;
  const RegisterTiles& by = pairs ? pairTiles : registerTiles;
  // With a gate in whole panels and a range of units for every thread, one task makes a range from end to end.
  const bool together = H % PANEL == 0 && ranges >= team.threads && (!pairs || rows <= pairRows(H));
  const double nanoseconds = 2.0 * rows * n * H / (pairs ? PAIR_FLOPS_PER_NS : DENSE_FLOPS_PER_NS);
  for (Size t = 0; t < steps; t++, out += rows * n, h += rows * H) {
    if (!together) {
      if (pairs)
        productPairs(team, rows, n, H, h, panels, out);
      else
        product(team, rows, n, H, h, panels, out);
      parallel(team, ceilDiv(H, UNIT_COLUMNS), cellNs * rows * H * 16 / W, [=, &units](Size task, int) {
        units(t, task * UNIT_COLUMNS, least(UNIT_COLUMNS, H - task * UNIT_COLUMNS));
      });
      continue;
    }
    const float* a = pairs ? pairsOf(team, rows, H, h) : h;
    parallel(team, ranges, nanoseconds, [=, &by, &units](Size range, int) {
      unitProducts(by, rows, gates, H, range * PANEL, depth, a, panels, out);
      units(t, range * PANEL, PANEL);
    });
  }
}

/// Row blocks of `rows`; c, h: of t-1 of the first step.
static void lstmForwardLoop(Team& team, Size steps, Size rows, Size H, float* gates, const float* panels, Size pairs,
                            float* c, float* h, float* tanhC) {
  const Size block = rows * H;
  forwardLoop(team, steps, rows, 4, H, panels, pairs, h, gates, 1.2, [=](Size t, Size first, Size width) {
    forwardUnits(rows, H, first, width, gates + 4 * t * block, c + t * block, c + (t + 1) * block,
                 h + (t + 1) * block, tanhC + t * block);
  });
}

/// Row blocks of `rows`; h: of t-1 of the first step.
static void gruForwardLoop(Team& team, Size steps, Size rows, Size H, float* gates, float* hidden, const float* panels,
                           Size pairs, float* h, float* kept) {
  const Size block = rows * H;
  forwardLoop(team, steps, rows, 3, H, panels, pairs, h, hidden, 1.0, [=](Size t, Size first, Size width) {
    gruForwardUnits(rows, H, first, width, gates + 3 * t * block, hidden + 3 * t * block, h + t * block,
                    h + (t + 1) * block, kept + t * block);
  });
}

/// Row blocks of `rows`; h: of t-1 of the first step.
static void rnnForwardLoop(Team& team, Size steps, Size rows, Size H, float* gates, const float* panels, Size pairs,
                           float* h) {
  const Size block = rows * H;
  forwardLoop(team, steps, rows, 1, H, panels, pairs, h, gates, 0.25, [=](Size t, Size first, Size width) {
    rnnForwardUnits(rows, H, first, width, gates + t * block, h + (t + 1) * block);
  });
}

/// Row blocks of `rows`; h: of t-1 of the first step. There is no product in it, so threads do not meet.
static void mingruForwardLoop(Team& team, Size steps, Size rows, Size H, float* gates, float* h) {
  const Size block = rows * H;
  eachUnits(team, H, 0.3 * steps * block * 16 / W, [=](Size first, Size width) {
    for (Size t = 0; t < steps; t++)
      mingruForwardUnits(rows, H, first, width, gates + 2 * t * block, h + t * block, h + (t + 1) * block);
  });
}

/// Tables of a thread for a row's counts: two for each gate, whose elements take turns.
constexpr Size TABLES_EACH = 2;

/// Counts |g| of a row of gate gradients (GATES, H) into a thread's tables, as countBins does for a group.
template <Size GATES>
static void countRow(int32_t* tables, const float* g, Size H) {
  Size i = 0;
  for (; i + 2 <= H; i += 2)
    for (Size gate = 0; gate < GATES; gate++) {
      uint64_t two;
      __builtin_memcpy(&two, g + gate * H + i, 8);
      int32_t* table = tables + gate * TABLES_EACH * HISTOGRAM_BINS;
      table[binOf(two)]++;
      table[HISTOGRAM_BINS + binOf(two >> 32)]++;
    }
  if (i < H)
    for (Size gate = 0; gate < GATES; gate++) {
      uint32_t one;
      __builtin_memcpy(&one, g + gate * H + i, 4);
      tables[gate * TABLES_EACH * HISTOGRAM_BINS + binOf(one)]++;
    }
}

/// The LSTM's part in a step; pointers at its first row.
struct LstmStep {
  static constexpr Size GATES = 4;
  const float *c, *tanhC;
  float* dc;

  /// As it stands for a task that begins `rows` rows further down.
  MEMBER LstmStep from(Size) const { return *this; }
  /// Gate gradients of row r, whose gates and dh these are; dh becomes what flows on beside the product.
  MEMBER void backward(Size H, Size r, float* gates, float* dh, const float* dy) const {
    eachVector(H, [&](Size n, auto lanes) {
      const V complete = load(dh + n, lanes) + load(dy + n, lanes);
      store(dh + n, V{}, lanes);
      backwardVector(lanes, H, gates + n, c + r * H + n, tanhC + r * H + n, complete, dc + r * H + n);
    });
  }
  /// After the rule, in the order of rows: U sees the same.
  MEMBER void left(Size, Size, const float*, bool) {}
  /// Where columns were chosen, for all rows: their form has begun.
  MEMBER void live(const float*, Size) {}
};

/// The plain recurrent net's part in a step.
struct RnnStep {
  static constexpr Size GATES = 1;

  MEMBER RnnStep from(Size) const { return *this; }
  MEMBER void backward(Size H, Size, float* gates, float* dh, const float* dy) const {
    eachVector(H, [&](Size n, auto lanes) {
      const V complete = load(dh + n, lanes) + load(dy + n, lanes);
      store(dh + n, V{}, lanes);
      rnnBackwardVector(lanes, gates + n, complete);
    });
  }
  MEMBER void left(Size, Size, const float*, bool) {}
  MEMBER void live(const float*, Size) {}
};

/// minGRU's part in a step; the pointer at its first row.
struct MingruStep {
  static constexpr Size GATES = 2;
  const float* before;

  MEMBER MingruStep from(Size) const { return *this; }
  MEMBER void backward(Size H, Size r, float* gates, float* dh, const float* dy) const {
    eachVector(H, [&](Size n, auto lanes) {
      const V complete = load(dh + n, lanes) + load(dy + n, lanes);
      mingruBackwardVector(lanes, H, gates + n, before + r * H + n, complete, dh + n);
    });
  }
  MEMBER void left(Size, Size, const float*, bool) {}
  MEMBER void live(const float*, Size) {}
};

constexpr float NOTHING_DROPPED[3] = {-1, -1, -1};

/// The GRU's part in a step; pointers at its first row.
struct GruStep {
  static constexpr Size GATES = 3;
  const float *before, *kept;
  Sweep hidden;  // over the gate gradients that U sees
  float* base;   // of them, at the step's first row
  Size count = -1;  // of live columns, in column form

  MEMBER GruStep from(Size rows) const {
    GruStep step = *this;
    step.hidden = sweepFrom(hidden, rows, ceilDiv(hidden.cols, 32), ceilDiv(hidden.cols, TILE) + 1);
    if (count >= 0) step.hidden.at = hidden.at + static_cast<uint32_t>(rows * (count + LIST_SLACK));
    return step;
  }
  MEMBER void live(const float* factors, Size at) {
    hidden.factors = factors;
    count = listLive(factors, hidden.cols, at, hidden.starts, hidden.offsets);
  }
  MEMBER void backward(Size H, Size r, float* gates, float* dh, const float* dy) const {
    const float* products = base + r * 3 * H;
    eachVector(H, [&](Size n, auto lanes) {
      const V complete = load(dh + n, lanes) + load(dy + n, lanes);
      gruBackwardVector(lanes, H, gates + n, products + n, before + r * H + n, complete, dh + n);
    });
  }
  MEMBER void left(Size H, Size r, const float* gates, bool listed) {
    gruHiddenRow(H, 0, H, gates, kept + r * H, base + r * 3 * H);
    if (!listed) return;
    GroupSums unused[GATES] = {};
    if (count >= 0)
      sweepRow<LIVE_COLUMNS, true, true>(hidden, unused);
    else
      sweepRow<TAU, true, true>(hidden, unused);
  }
};

/// What one step of the backward loop works on; pointers at its first row.
template <class Cell>
struct BackwardStep {
  Size rows, H;
  float* gates;
  const float* dy;
  float* dh;
  Cell cell;
  Size siteRow;
  Sweep sweep;
  const Rule& rule;
  Size flags;
  double* partials;
};

/// Gate gradients of row r, and their counts.
template <class Cell>
INLINE void backwardRow(const BackwardStep<Cell>& s, const Cell& cell, Size r, int32_t* tables) {
  const Size H = s.H;
  float* gates = s.gates + r * Cell::GATES * H;
  cell.backward(H, r, gates, s.dh + r * H, s.dy + r * H);
  if (s.flags && (s.siteRow + r) % HISTOGRAM_ROW_STRIDE == 0) countRow<Cell::GATES>(tables, gates, H);
}

/// Rows [row, row + height) of a step: gate gradients and counts, unless they are `made`; dropped and listed. part: their
/// sums.
template <class Cell>
static void backwardPart(const BackwardStep<Cell>& s, Cell& cell, Sweep& sweep, SweepRow sweepRow, bool made, Size row,
                         Size height, Scratch& scratch, double* part) {
  constexpr Size GATES = Cell::GATES;
  GroupSums sums[GATES];
  for (GroupSums& sum : sums) sum = GroupSums{};
  for (Size r = row; r < row + height; r++) {
    if (!made) backwardRow(s, cell, r, scratch.bins);
    if (s.flags) {
      chooseRow(s.rule, sweep, r, s.siteRow + r, scratch);
      sweepRow(sweep, sums);
    }
    cell.left(s.H, r, s.gates + r * GATES * s.H, s.flags & LISTS);
  }
  if (s.flags) writePart(sums, GATES, height * s.H, part);
}

/// All rows of a step: threads share parts of SWEEP_ROWS rows, whose sums are added in their order.
template <class Cell>
static void backwardStep(Team& team, const BackwardStep<Cell>& step, double* sums) {
  constexpr Size GATES = Cell::GATES;
  const Size rows = step.rows, H = step.H, cols = GATES * H;
  const Size words = ceilDiv(cols, 32), startsRow = ceilDiv(cols, TILE) + 1;
  BackwardStep<Cell> s = step;
  Size live = 0;
  // Lines are chosen when all rows are there.
  const bool made = s.flags && choosesLines(s.rule.kind);
  if (made) {
    const Size parts = ceilDiv(rows, SWEEP_ROWS);
    parallel(team, parts, 8.0 * rows * H / W, [=, &s, &team](Size part, int thread) {
      for (Size r = part * SWEEP_ROWS; r < least(rows, (part + 1) * SWEEP_ROWS); r++)
        backwardRow(s, s.cell, r, team.scratch[thread].bins);
    });
    chooseLines(team, s.rule, s.gates, rows, cols, s.siteRow);
    if (s.flags & COLUMN_FORM) {
      live = listLive(s.rule.choice.factors, cols, s.sweep.at, s.sweep.starts, s.sweep.offsets);
      s.cell.live(s.rule.choice.factors, s.sweep.at);
    }
  }
  const SweepRow sweepRow = sweepRowFor(s.rule.kind, s.flags);
  for (Size r0 = 0; r0 < rows; r0 += SWEEP_BLOCK) {
    const Size block = least(SWEEP_BLOCK, rows - r0);
    const Size parts = ceilDiv(block, SWEEP_ROWS);
    const double nanoseconds = (s.flags ? made ? 8.0 : 16.0 : 8.0) * block * H / W;
    const Size tasks = listTasks(team, parts, nanoseconds);
    parallel(team, tasks, nanoseconds, [=, &s, &team](Size task, int thread) {
      const Size firstPart = parts * task / tasks;
      const Size from = r0 + firstPart * SWEEP_ROWS;
      Sweep sweep = sweepFrom(s.sweep, from, words, startsRow);
      if (s.flags & COLUMN_FORM) sweep.at = s.sweep.at + static_cast<uint32_t>(from * (live + LIST_SLACK));
      Cell cell = s.cell.from(from);
      for (Size part = firstPart; part < parts * (task + 1) / tasks; part++) {
        const Size row = part * SWEEP_ROWS;
        backwardPart(s, cell, sweep, sweepRow, made, r0 + row, least(SWEEP_ROWS, block - row), team.scratch[thread],
                     s.partials + part * GATES * PART_COLUMNS);
      }
    });
    if (s.flags) addParts(s.partials, parts, GATES, s.flags, sums);
  }
  if (s.flags)
    for (Size gate = 0; gate < GATES; gate++)
      sums[gate * SUM_COLUMNS + TOTAL] += static_cast<double>(rows * H);
}

static void clearTables(Team& team) {
  for (int thread = 0; thread < team.threads; thread++)
    memset(team.scratch[thread].bins, 0, sizeof team.scratch[thread].bins);
}

static void addTables(const Team& team, Size gates, int32_t* histogram) {
  for (int thread = 0; thread < team.threads; thread++)
    for (Size table = 0; table < gates * TABLES_EACH; table++)
      for (Size bin = 0; bin < HISTOGRAM_BINS; bin++)
        histogram[table / TABLES_EACH * HISTOGRAM_BINS + bin] +=
            team.scratch[thread].bins[table * HISTOGRAM_BINS + bin];
}

/// Where the gate gradients of a time loop go, and the product that spends them.
struct LoopBack {
  Size steps, rows, H, row, siteRow;
  float *gates, *dh;
  const float* dy;
  Size dhBefore, kind;
  const float* tau;
  uint32_t key;
  double* sums;
  int32_t* histogram;
  Size flags;
  uint32_t* bitmap;
  int32_t* rowCounts;
  float* values;
  uint16_t* offsets;
  uint32_t* starts;
  double* partials;
  double* choice;
  int32_t* blocks;
  const float* panels;  // none: there is no product
  double full;
};

/// For t down: dh += dy[t], the cell, the rule (flags 0: none, nothing counted), dh = dGates[t] U; that last product
/// before the first step only if `dhBefore`. gates and all like it stand at the first step; row and siteRow are its
/// rows among those with room for lists and in the site. cell(r): its part in the step at row r. Returns the
/// multiply-accumulates of dh where they are sparse.
template <class Cell, class Make>
static double backwardLoop(Team& team, const LoopBack& s, const Make& cell) {
  constexpr Size GATES = Cell::GATES;
  const Size H = s.H, rows = s.rows, n = GATES * H;
  const Rule rule = {s.kind, s.tau, s.key, Choice(s.choice), s.blocks};
  const Size words = ceilDiv(n, 32), startsRow = ceilDiv(n, TILE) + 1;
  if (s.flags) clearTables(team);
  const Sweep first = {s.gates, n, GATES, s.tau, s.key, static_cast<uint32_t>(s.siteRow * n), s.bitmap, s.rowCounts,
                       s.values, s.offsets, s.starts, static_cast<uint32_t>(s.row * (n + LIST_SLACK)),
                       s.choice ? s.choice + CHOICE_LIMITS : nullptr};
  double macs = 0;
  for (Size t = s.steps - 1; t >= 0; t--) {
    const Size r = t * rows;
    const BackwardStep<Cell> step = {rows, H, s.gates + r * n, s.dy + r * H, s.dh, cell(r), s.siteRow + r,
                                     sweepFrom(first, r, words, startsRow), rule, s.flags, s.partials};
    backwardStep(team, step, s.sums);
    if (!s.panels || (t == 0 && !s.dhBefore)) continue;
    if (s.flags & COLUMN_FORM)
      macs += columnProduct(team, 1, rows, n, H, s.starts + r * startsRow, s.values, s.offsets, s.panels, s.dh);
    else if (s.flags & LISTS)
      macs += sparseProduct(team, rows, n, H, s.gates + r * n, s.rowCounts + r, s.starts + r * startsRow, s.values,
                            s.offsets, s.panels, s.dh, s.full);
    else
      product(team, rows, H, n, s.gates + r * n, s.panels, s.dh);
  }
  if (s.flags) addTables(team, GATES, s.histogram);
  return macs;
}

static double lstmBackwardLoop(Team& team, Size steps, Size rows, Size H, Size row, Size siteRow, float* gates,
                               const float* c, const float* tanhC, float* dh, float* dc, const float* dy,
                               Size dhBefore, Size kind, const float* tau, uint32_t key, double* sums,
                               int32_t* histogram, Size flags, uint32_t* bitmap, int32_t* rowCounts, float* values,
                               uint16_t* offsets, uint32_t* starts, double* partials, double* choice,
                               int32_t* blocks, const float* panels, double full) {
  const LoopBack loop = {steps, rows, H, row, siteRow, gates, dh, dy, dhBefore, kind, tau, key, sums, histogram, flags,
                         bitmap, rowCounts, values, offsets, starts, partials, choice, blocks, panels, full};
  return backwardLoop<LstmStep>(team, loop, [=](Size r) { return LstmStep{c + r * H, tanhC + r * H, dc}; });
}

static double rnnBackwardLoop(Team& team, Size steps, Size rows, Size H, Size row, Size siteRow, float* gates,
                              float* dh, const float* dy, Size dhBefore, Size kind, const float* tau, uint32_t key,
                              double* sums, int32_t* histogram, Size flags, uint32_t* bitmap, int32_t* rowCounts,
                              float* values, uint16_t* offsets, uint32_t* starts, double* partials, double* choice,
                              int32_t* blocks, const float* panels, double full) {
  const LoopBack loop = {steps, rows, H, row, siteRow, gates, dh, dy, dhBefore, kind, tau, key, sums, histogram, flags,
                         bitmap, rowCounts, values, offsets, starts, partials, choice, blocks, panels, full};
  return backwardLoop<RnnStep>(team, loop, [](Size) { return RnnStep{}; });
}

/// h: of t-1 of the first step.
static void mingruBackwardLoop(Team& team, Size steps, Size rows, Size H, Size row, Size siteRow, float* gates,
                               const float* h, float* dh, const float* dy, Size kind, const float* tau, uint32_t key,
                               double* sums, int32_t* histogram, Size flags, uint32_t* bitmap, int32_t* rowCounts,
                               float* values, uint16_t* offsets, uint32_t* starts, double* partials, double* choice,
                               int32_t* blocks) {
  const LoopBack loop = {steps, rows, H, row, siteRow, gates, dh, dy, 0, kind, tau, key, sums, histogram, flags,
                         bitmap, rowCounts, values, offsets, starts, partials, choice, blocks, nullptr, 0};
  backwardLoop<MingruStep>(team, loop, [=](Size r) { return MingruStep{h + r * H}; });
}

/// As backwardLoop, of a GRU: U sees other gate gradients. h: of t-1 of the first step; hidden: h[t-1] U^T + b in, the
/// gate gradients that U sees out, with their own bitmap, counts and lists (hidden...).
static double gruBackwardLoop(Team& team, Size steps, Size rows, Size H, Size row, Size siteRow, float* gates,
                              float* hidden, const float* h, const float* kept, float* dh, const float* dy,
                              Size dhBefore, Size kind, const float* tau, uint32_t key, double* sums,
                              int32_t* histogram, Size flags, uint32_t* bitmap, int32_t* rowCounts, float* values,
                              uint16_t* offsets, uint32_t* starts, double* partials, double* choice, int32_t* blocks,
                              uint32_t* hiddenBitmap, int32_t* hiddenCounts, float* hiddenValues,
                              uint16_t* hiddenOffsets, uint32_t* hiddenStarts, const float* panels, double full) {
  const Size n = 3 * H;
  const Rule rule = {kind, tau, key, Choice(choice), blocks};
  const Size words = ceilDiv(n, 32), startsRow = ceilDiv(n, TILE) + 1;
  if (flags) clearTables(team);
  const uint32_t at = static_cast<uint32_t>(row * (n + LIST_SLACK));
  const Sweep first = {gates, n, 3, tau, key, static_cast<uint32_t>(siteRow * n), bitmap, rowCounts, values, offsets,
                       starts, at, choice ? choice + CHOICE_LIMITS : nullptr};
  const Sweep firstHidden = {hidden, n, 3, NOTHING_DROPPED, 0, 0, hiddenBitmap, hiddenCounts, hiddenValues,
                             hiddenOffsets, hiddenStarts, at};
  double macs = 0;
  for (Size t = steps - 1; t >= 0; t--) {
    const Size r = t * rows;
    const GruStep cell = {h + r * H, kept + r * H, sweepFrom(firstHidden, r, words, startsRow), hidden + r * n};
    const BackwardStep<GruStep> step = {rows, H, gates + r * n, dy + r * H, dh, cell, siteRow + r,
                                        sweepFrom(first, r, words, startsRow), rule, flags, partials};
    backwardStep(team, step, sums);
    if (t == 0 && !dhBefore) break;
    if (flags & COLUMN_FORM)
      macs += columnProduct(team, 1, rows, n, H, hiddenStarts + r * startsRow, hiddenValues, hiddenOffsets, panels, dh);
    else if (flags & LISTS)
      macs += sparseProduct(team, rows, n, H, hidden + r * n, hiddenCounts + r, hiddenStarts + r * startsRow,
                            hiddenValues, hiddenOffsets, panels, dh, full);
    else
      product(team, rows, H, n, hidden + r * n, panels, dh);
  }
  if (flags) addTables(team, 3, histogram);
  return macs;
}
