// The seam: dropping, indexing, and the products with what is left.
//
// A row's nonzeros are two lists: values, and the byte offset of the row of a panel they multiply.
// Lists are cut at every 128 columns, so that the part of a panel one piece refers to is 32 KB and
// stays in the first-level cache.
#pragma once

/// Columns of a site's sums, and of a task's share of them.
enum { TOTAL, NATURAL_ZEROS, KEPT, SQUARES, KEPT_SQUARES, SUM_COLUMNS };
enum { PART_ZEROS, PART_KEPT, PART_SQUARES, PART_KEPT_SQUARES, PART_COLUMNS };
constexpr Size ROW_BYTES = PANEL * sizeof(float);
static_assert((TILE - 1) * ROW_BYTES < 65536, "offsets are 16 bits");

/// What is left of x.
INLINE V pruneThreshold(V x, V tau) { return magnitude(x) <= tau ? V{} : x; }

/// Keeps with probability |x| / tau, as sign(x) tau. Draws 24 bits; the product is rounded to float32, as the
/// definition rounds it: same bits everywhere.
INLINE V pruneStochastic(V x, V tau, uint32_t key, uint32_t position) {
  const V size = magnitude(x);
  const N hash = mixBits((N(laneNumbers()) + position) * GOLDEN + key);
  const V drawn = __builtin_convertvector(I(hash >> 8), V) * tau;
  const I kept = I(drawn < size * 16777216.0f);
  const V rounded = V((I(tau) | (I(x) & INT32_MIN)) & kept);
  return size < tau ? rounded : x;
}

/// Kept by the draw, times what makes up for the others; what is not finite stays.
INLINE V pruneRandom(V x, N most, V scale, uint32_t key, uint32_t position) {
  const N hash = mixBits((N(laneNumbers()) + position) * GOLDEN + key);
  const V kept = V(I(x * scale) & I(hash <= most));
  return magnitude(x) < __builtin_inff() ? kept : x;
}

/// Times the factor of its line: 0 drops it.
INLINE V pruneByFactor(V x, V factor) { return V(I(x * factor) & I(factor != 0)); }

/// Bin of |x|, the low 32 bits those of a float: its exponent and two bits more.
INLINE uint64_t binOf(uint64_t bits) { return bits >> HISTOGRAM_SHIFT & (HISTOGRAM_BINS - 1); }

/// Counts |g| of some rows of a group by exponent and two bits. Neighbours are of like size and would wait for
/// each other's count: they go to four tables in turn.
static void countBins(Scratch& scratch, const float* g, Size rows, Size rowStep, Size width, int32_t* bins) {
  int32_t* part = scratch.bins;
  memset(part, 0, 4 * HISTOGRAM_BINS * sizeof(int32_t));
  for (Size r = 0; r < rows; r++, g += rowStep) {
    Size i = 0;
    for (; i + 4 <= width; i += 4) {
      uint64_t two, next;
      __builtin_memcpy(&two, g + i, 8);
      __builtin_memcpy(&next, g + i + 2, 8);
      part[binOf(two)]++;
      part[HISTOGRAM_BINS + binOf(two >> 32)]++;
      part[2 * HISTOGRAM_BINS + binOf(next)]++;
      part[3 * HISTOGRAM_BINS + binOf(next >> 32)]++;
    }
    for (; i < width; i++) {
      uint32_t bits;
      __builtin_memcpy(&bits, g + i, 4);
      part[binOf(bits)]++;
    }
  }
  for (Size i = 0; i < HISTOGRAM_BINS; i++)
    bins[i] += part[i] + part[i + HISTOGRAM_BINS] + part[i + 2 * HISTOGRAM_BINS] + part[i + 3 * HISTOGRAM_BINS];
}

#if defined(__AVX2__) && !defined(__AVX512F__)
/// For each set of lanes: their numbers, in order.
struct LaneLists {
  uint64_t of[256];
  constexpr LaneLists() : of() {
    for (int set = 0; set < 256; set++)
      for (int lane = 7; lane >= 0; lane--)
        if (set >> lane & 1) of[set] = of[set] << 8 | static_cast<uint64_t>(lane);
  }
};
alignas(64) static constexpr LaneLists laneLists;
#endif

/// Appends the lanes in `set` to the lists; may write W elements of each. offset: of lane 0.
INLINE void appendLanes(V x, uint32_t set, uint32_t offset, float* values, uint16_t* offsets) {
#if defined(__AVX512F__)
  const __m512i numbers = __m512i(laneNumbers() * static_cast<int>(ROW_BYTES) + static_cast<int>(offset));
  const __mmask16 mask = static_cast<__mmask16>(set);
  store(values, V(_mm512_maskz_compress_ps(mask, __m512(x))));
  const __m512i rows = _mm512_maskz_compress_epi32(mask, numbers);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(offsets), _mm512_cvtepi32_epi16(rows));
#elif defined(__AVX2__)
  const __m128i list = _mm_cvtsi64_si128(static_cast<int64_t>(laneLists.of[set]));
  store(values, V(_mm256_permutevar8x32_ps(__m256(x), _mm256_cvtepu8_epi32(list))));
  const __m128i rows = _mm_slli_epi16(_mm_cvtepu8_epi16(list), 8);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(offsets),
                   _mm_add_epi16(rows, _mm_set1_epi16(static_cast<int16_t>(offset))));
#else
  for (int n = 0; set != 0; set &= set - 1, n++) {
    const int lane = __builtin_ctz(set);
    values[n] = x[lane];
    offsets[n] = static_cast<uint16_t>(offset + static_cast<uint32_t>(lane) * static_cast<uint32_t>(ROW_BYTES));
  }
#endif
}
static_assert(ROW_BYTES == 256, "appendLanes shifts by 8");

/// The values alone.
INLINE void appendValues(V x, uint32_t set, float* values) {
#if defined(__AVX512F__)
  store(values, V(_mm512_maskz_compress_ps(static_cast<__mmask16>(set), __m512(x))));
#elif defined(__AVX2__)
  const __m128i list = _mm_cvtsi64_si128(static_cast<int64_t>(laneLists.of[set]));
  store(values, V(_mm256_permutevar8x32_ps(__m256(x), _mm256_cvtepu8_epi32(list))));
#else
  for (; set != 0; set &= set - 1) *values++ = x[__builtin_ctz(set)];
#endif
}

/// What a sweep writes and where; pointers stand at the first row.
struct Sweep {
  float* g;
  Size cols, groups;
  const float* tau;
  uint32_t key, position;  // of the first element, for the stochastic rule
  uint32_t* bitmap;
  int32_t* rowCounts;
  float* values;
  uint16_t* offsets;
  uint32_t* starts;
  uint32_t at;  // where the lists go on
  const double* limits = nullptr;  // of a random rule, two for each group: see pruneRandom
  const float* factors = nullptr;  // of columns, where lines are chosen
};

/// What a sweep drops by: tau; draws; the factors of its row; and those of all rows alike, whose columns are kept whole:
/// COLUMN_FACTORS appends the live ones, LIVE_COLUMNS also drops none.
enum By { TAU, ROUNDING, DRAWS, FACTORS, COLUMN_FACTORS, LIVE_COLUMNS };

/// The sweep that begins `rows` rows further down. Lists of rows swept together lie one behind the other, from
/// where all of the first row's elements would lie.
INLINE Sweep sweepFrom(Sweep s, Size rows, Size words, Size startsRow) {
  s.g += rows * s.cols;
  s.position += static_cast<uint32_t>(rows * s.cols);
  s.bitmap += rows * words;
  s.rowCounts += rows;
  s.starts += rows * startsRow;
  s.at += static_cast<uint32_t>(rows * (s.cols + LIST_SLACK));
  return s;
}

/// Sums of one group in some rows.
struct GroupSums {
  D squares, keptSquares;
  Size nonzeros, kept;
};

/// Bits of a word of the bitmap, before and after the rule.
struct Words {
  uint32_t before, after;
};

/// A group's limits: tau, or those of its draws.
struct Limit {
  V tau;
  N most;
  V scale;
};
template <By BY>
INLINE Limit limitOf(const Sweep& s, Size group) {
  if constexpr (BY == TAU || BY == ROUNDING) return {splat(s.tau[group]), N{}, V{}};
  if constexpr (BY == DRAWS) {
    // The largest hash that is kept; below 0 none is.
    const double most = s.limits[2 * group];
    return {V{}, N{} + static_cast<uint32_t>(most < 0 ? 0 : most),
            splat(most < 0 ? 0 : static_cast<float>(s.limits[2 * group + 1]))};
  }
  return {V{}, N{}, V{}};
}

/// Drops from the vector p at column c, whose lanes are bits `bit` and up of `words`, and lists what is left.
template <By BY, bool LISTED, class Lanes>
INLINE void sweepVector(const Sweep& s, float* p, Size c, int bit, const Limit& limit, float* values,
                        uint16_t* offsets, uint32_t& at, V& square, V& keptSquare, Words& words, Lanes lanes) {
  const V x = load(p, lanes);
  V factor, left;
  if constexpr (BY == TAU) left = pruneThreshold(x, limit.tau);
  if constexpr (BY == ROUNDING) left = pruneStochastic(x, limit.tau, s.key, s.position + static_cast<uint32_t>(c));
  if constexpr (BY == DRAWS)
    left = pruneRandom(x, limit.most, limit.scale, s.key, s.position + static_cast<uint32_t>(c));
  if constexpr (BY >= FACTORS) factor = load(s.factors + c, lanes);
  if constexpr (BY == FACTORS || BY == COLUMN_FACTORS) left = pruneByFactor(x, factor);
  if constexpr (BY == LIVE_COLUMNS) left = x;
  store(p, left, lanes);
  square += x * x;
  keptSquare += left * left;
  words.before |= nonzeroBits(x) << bit;
  uint32_t set = nonzeroBits(left);
  words.after |= set << bit;
  if constexpr (LISTED && BY >= COLUMN_FACTORS) {
    set = nonzeroBits(factor);
    appendValues(left, set, values + at);
    at += static_cast<uint32_t>(__builtin_popcount(set));
  } else if constexpr (LISTED) {
    appendLanes(left, set, static_cast<uint32_t>((c & (TILE - 1)) * ROW_BYTES), values + at, offsets + at);
    at += static_cast<uint32_t>(__builtin_popcount(set));
  }
}

/// One sweep over a row: drops, counts, and, if INDEXED, writes bitmap and count, if LISTED the lists. sums: by group.
template <By BY, bool INDEXED, bool LISTED>
static void sweepRow(Sweep& s, GroupSums* sums) {
  const Size width = s.cols / s.groups;
  // Copies: stores of vectors might reach a member for all the compiler knows, and it would wait for each of them.
  float* const g = s.g;
  float* const values = s.values;
  uint16_t* const offsets = s.offsets;
  uint32_t* bitmap = s.bitmap;
  uint32_t* starts = s.starts;
  uint32_t at = s.at;
  uint32_t word = 0;
  Size rowCount = 0;
  for (Size group = 0; group < s.groups; group++) {
    const Limit limit = limitOf<BY>(s, group);
    V square = {}, keptSquare = {};
    Size nonzeros = 0, kept = 0;
    const Size groupEnd = (group + 1) * width;
    for (Size c = group * width, end; c < groupEnd; c = end) {
      // One word of the bitmap, or what the group has of it.
      end = least(groupEnd, (c | 31) + 1);
      if (LISTED && BY < COLUMN_FACTORS && (c & (TILE - 1)) == 0) *starts++ = at;
      Words words = {0, 0};
      if (end - c == 32) {
#pragma GCC unroll 8
        for (int i = 0; i < 32; i += W)
          sweepVector<BY, LISTED>(s, g + c + i, c + i, i, limit, values, offsets, at, square, keptSquare,
                                              words, All{});
      } else {
        eachVector(end - c, [&](Size i, auto lanes) {
          sweepVector<BY, LISTED>(s, g + c + i, c + i, static_cast<int>((c + i) & 31), limit, values,
                                              offsets, at, square, keptSquare, words, lanes);
        });
      }
      nonzeros += __builtin_popcount(words.before);
      kept += __builtin_popcount(words.after);
      word |= words.after;
      if (INDEXED && end % 32 == 0) {
        *bitmap++ = word;
        word = 0;
      }
    }
    sums[group].squares += lowHalf(square) + highHalf(square);
    sums[group].keptSquares += lowHalf(keptSquare) + highHalf(keptSquare);
    sums[group].nonzeros += nonzeros;
    sums[group].kept += kept;
    rowCount += kept;
  }
  if (INDEXED) {
    if (s.cols % 32 != 0) *bitmap++ = word;
    *s.rowCounts++ = static_cast<int32_t>(rowCount);
  }
  if (LISTED && BY < COLUMN_FACTORS) *starts++ = at;
  if (LISTED && BY >= COLUMN_FACTORS) at += LIST_SLACK;
  s.g += s.cols;
  s.position += static_cast<uint32_t>(s.cols);
  s.bitmap = bitmap;
  s.starts = starts;
  s.at = at;
}

using SweepRow = void (*)(Sweep&, GroupSums*);
template <By BY>
static SweepRow sweepRowBy(Size flags) {
  return flags & LISTS ? sweepRow<BY, true, true> : flags & INDEX ? sweepRow<BY, true, false> : sweepRow<BY, false, false>;
}
/// The sweep of a kind of rule.
static SweepRow sweepRowFor(Size kind, Size flags) {
  switch (kind) {
    case STOCHASTIC: return sweepRowBy<ROUNDING>(flags);
    case RANDOM: return sweepRowBy<DRAWS>(flags);
    case TOP_IN_ROW: case BLOCKS: case ROWS: case DRAWN_ROWS: return sweepRowBy<FACTORS>(flags);
    case TOP_COLUMNS: case COLUMNS: case DRAWN_COLUMNS:
      return flags & COLUMN_FORM ? sweepRowBy<COLUMN_FACTORS>(flags) : sweepRowBy<FACTORS>(flags);
    case CHOSEN_COLUMNS: return sweepRowBy<LIVE_COLUMNS>(flags);
    default: return sweepRowBy<TAU>(flags);
  }
}

/// A rule as a sweep meets it.
struct Rule {
  Size kind;
  const float* tau;
  uint32_t key;
  Choice choice;
  int32_t* blocks;
};

/// Whether all rows of a call are looked at before the first is dropped from.
INLINE bool choosesLines(Size kind) { return kind >= TOP_COLUMNS && kind < CHOSEN_COLUMNS; }

/// Chooses among the lines of g (rows, cols); siteRow: its row in the site.
static void chooseLines(Team& team, const Rule& rule, const float* g, Size rows, Size cols, Size siteRow) {
  const uint32_t position = static_cast<uint32_t>(siteRow * cols);
  if (rule.kind == ROWS || rule.kind == DRAWN_ROWS)
    chooseRows(team, rule.choice, rule.kind, g, rows, cols, rule.key, position);
  else
    chooseColumns(team, rule.choice, rule.kind, g, rows, cols, rule.key, position);
}

/// Gives a sweep the factors of its next row, row `r` of a call.
INLINE void chooseRow(const Rule& rule, Sweep& sweep, Size r, Size siteRow, Scratch& scratch) {
  if (rule.kind < TOP_IN_ROW) return;
  sweep.factors = rule.choice.factors;
  if (rule.kind == CHOSEN_COLUMNS || (choosesLines(rule.kind) && rule.kind < ROWS)) return;
  float* const factors = scratch.turned;
  sweep.factors = factors;
  if (rule.kind == TOP_IN_ROW)
    chooseInRow(rule.choice, sweep.g, sweep.cols, reinterpret_cast<int32_t*>(factors + LIVE_FLOATS / 2), factors);
  else if (rule.kind == BLOCKS)
    chooseBlocks(rule.choice, rule.tau, sweep.g, sweep.cols, sweep.groups, factors,
                 siteRow % HISTOGRAM_ROW_STRIDE == 0 ? rule.blocks : nullptr);
  else
    for (Size c = 0; c < sweep.cols; c++) factors[c] = rule.choice.factors[r];
}

static void writePart(const GroupSums* sums, Size groups, Size elements, double* part) {
  for (Size group = 0; group < groups; group++, part += PART_COLUMNS) {
    part[PART_ZEROS] = static_cast<double>(elements - sums[group].nonzeros);
    part[PART_KEPT] = static_cast<double>(sums[group].kept);
    part[PART_SQUARES] = total(sums[group].squares);
    part[PART_KEPT_SQUARES] = total(sums[group].keptSquares);
  }
}

/// Adds parts to the statistics in their order: threads do not show in the sums.
static void addParts(const double* from, Size parts, Size groups, Size flags, double* sums) {
  for (Size part = 0; part < parts; part++)
    for (Size group = 0; group < groups; group++, from += PART_COLUMNS) {
      double* to = sums + group * SUM_COLUMNS;
      if (flags & BEFORE) {
        to[NATURAL_ZEROS] += from[PART_ZEROS];
        to[SQUARES] += from[PART_SQUARES];
      }
      if (flags & AFTER) {
        to[KEPT] += from[PART_KEPT];
        to[KEPT_SQUARES] += from[PART_KEPT_SQUARES];
      }
    }
}

/// The list of live columns of a block whose values begin at `at`: see listLive.
INLINE int32_t* liveList(uint16_t* offsets, uint32_t at) {
  return reinterpret_cast<int32_t*>(offsets + (at + 1) / 2 * 2);
}
INLINE const int32_t* liveList(const uint16_t* offsets, uint32_t at) {
  return reinterpret_cast<const int32_t*>(offsets + (at + 1) / 2 * 2);
}

/// Begins the column form of a block of rows: its live columns, those with a factor. Returns how many.
///
/// starts of the block's first row: where its values begin, and their number in a row; rows lie one behind the other,
/// LIST_SLACK apart, since a row's last vector may be stored past its end while another thread makes the next one.
/// The list of live columns, ascending, stands where the offsets of the block's values would.
static Size listLive(const float* factors, Size cols, Size at, uint32_t* starts, uint16_t* offsets) {
  int32_t* const list = liveList(offsets, static_cast<uint32_t>(at));
  Size count = 0;
  for (Size c = 0; c < cols; c++) {
    list[count] = static_cast<int32_t>(c);
    count += factors[c] != 0;
  }
  starts[0] = static_cast<uint32_t>(at);
  starts[1] = static_cast<uint32_t>(count);
  return count;
}

/// Tasks of a sweep over `parts` parts: one, or some for each thread. The fewer, the closer together lie the lists:
/// with a tenth kept, every row's would else open pages of its own.
INLINE Size listTasks(const Team& team, Size parts, double nanoseconds) {
  return team.threads == 1 || nanoseconds < FORK_NS ? 1 : least(parts, 4 * team.threads);
}

/// Applies the rule to g (rows, cols) in place, adds to the statistics, and indexes what is left.
/// `row`: where g stands among the rows that values and offsets have room for; `siteRow`: its row in the site, which
/// draws and samples go by. partials: (64, groups, 4). choice, blocks: null unless the rule chooses.
static void compress(Team& team, float* g, Size rows, Size cols, Size groups, Size row, Size siteRow, Size kind,
                     const float* tau, uint32_t key, double* sums, int32_t* histogram, Size flags, uint32_t* bitmap,
                     int32_t* rowCounts, float* values, uint16_t* offsets, uint32_t* starts, double* partials,
                     double* choice, int32_t* blocks) {
  const Size width = cols / groups;
  const Size words = ceilDiv(cols, 32);
  const Size startsRow = ceilDiv(cols, TILE) + 1;
  if (flags & BEFORE) {
    const Size first = ceilDiv(siteRow, HISTOGRAM_ROW_STRIDE) * HISTOGRAM_ROW_STRIDE - siteRow;
    const Size sampled = first < rows ? ceilDiv(rows - first, HISTOGRAM_ROW_STRIDE) : 0;
    if (sampled > 0)
      parallel(team, groups, 0.5 * sampled * cols, [=, &team](Size group, int thread) {
        countBins(team.scratch[thread], g + first * cols + group * width, sampled, HISTOGRAM_ROW_STRIDE * cols, width,
                  histogram + group * HISTOGRAM_BINS);
      });
  }
  const Rule rule = {kind, tau, key, Choice(choice), blocks};
  const Size at = row * (cols + LIST_SLACK);
  if (choosesLines(kind)) chooseLines(team, rule, g, rows, cols, siteRow);
  const Size live = flags & COLUMN_FORM ? listLive(rule.choice.factors, cols, at, starts, offsets) : 0;
  const Sweep first = {g, cols, groups, tau, key, static_cast<uint32_t>(siteRow * cols), bitmap, rowCounts, values,
                       offsets, starts, static_cast<uint32_t>(at), choice ? choice + CHOICE_LIMITS : nullptr};
  const SweepRow sweepRow = sweepRowFor(kind, flags);
  for (Size r0 = 0; r0 < rows; r0 += SWEEP_BLOCK) {
    const Size block = least(SWEEP_BLOCK, rows - r0);
    const Size parts = ceilDiv(block, SWEEP_ROWS);
    const double nanoseconds = 2.0 * block * cols / W;
    const Size tasks = listTasks(team, parts, nanoseconds);
    parallel(team, tasks, nanoseconds, [=, &rule, &team](Size task, int thread) {
      const Size firstPart = parts * task / tasks;
      const Size from = r0 + firstPart * SWEEP_ROWS;
      Sweep sweep = sweepFrom(first, from, words, startsRow);
      if (flags & COLUMN_FORM) sweep.at = static_cast<uint32_t>(at + from * (live + LIST_SLACK));
      for (Size part = firstPart; part < parts * (task + 1) / tasks; part++) {
        const Size height = least(SWEEP_ROWS, block - part * SWEEP_ROWS);
        GroupSums sums[MOST_GROUPS];
        for (Size group = 0; group < groups; group++) sums[group] = GroupSums{};
        for (Size r = r0 + part * SWEEP_ROWS; r < r0 + part * SWEEP_ROWS + height; r++) {
          chooseRow(rule, sweep, r, siteRow + r, team.scratch[thread]);
          sweepRow(sweep, sums);
        }
        writePart(sums, groups, height * width, partials + part * groups * PART_COLUMNS);
      }
    });
    addParts(partials, parts, groups, flags, sums);
  }
  if (flags & BEFORE)
    for (Size group = 0; group < groups; group++) sums[group * SUM_COLUMNS + TOTAL] += static_cast<double>(rows * width);
}

/// Vectors of the result that a walk keeps in registers, and the columns they hold.
constexpr int WALK_VECTORS = PANEL / W < 8 ? PANEL / W : 8;
constexpr Size WALK_COLUMNS = WALK_VECTORS * W;

/// Lists of nonzeros: list i is [starts[i * step], starts[i * step + 1]) of values and offsets.
struct Lists {
  const uint32_t* starts;
  Size step, count;
  const float* values;
  const uint16_t* offsets;
};

/// For each list i: c (i, n) += sum of value * (row of n at offset); n = (NV - 1) W + last.
/// `ahead`: a tile to fetch meanwhile, or null.
template <int NV>
static void walkLists(const Lists& lists, const float* tile, float* c, Size cRow, int last, const char* ahead) {
  const uint32_t* start = lists.starts;
  const Size lines = ahead ? ceilDiv(TILE * ROW_BYTES / 64, lists.count) : 0;
  for (Size i = 0; i < lists.count; i++, start += lists.step, c += cRow) {
    for (Size line = 0; line < lines; line++, ahead += 64) __builtin_prefetch(ahead, 0, 2);
    if (i + 2 < lists.count) {
      // Pieces of rows lie too far apart for the processor to guess the next one.
      __builtin_prefetch(lists.values + start[2 * lists.step]);
      __builtin_prefetch(lists.offsets + start[2 * lists.step]);
    }
    if (start[0] == start[1]) continue;
    float* end = c + (NV - 1) * W;
    V sum[NV];
#pragma GCC unroll 8
    for (int v = 0; v + 1 < NV; v++) sum[v] = load(c + v * W);
    sum[NV - 1] = last == W ? load(end) : load(end, Some{last});
    for (uint32_t p = start[0]; p < start[1]; p++) {
      const V factor = splat(lists.values[p]);
      const float* row = reinterpret_cast<const float*>(reinterpret_cast<const char*>(tile) + lists.offsets[p]);
#pragma GCC unroll 8
      for (int v = 0; v < NV; v++) sum[v] += factor * load(row + v * W);
    }
#pragma GCC unroll 8
    for (int v = 0; v + 1 < NV; v++) store(c + v * W, sum[v]);
    if (last == W)
      store(end, sum[NV - 1]);
    else
      store(end, sum[NV - 1], Some{last});
  }
}

using Walk = void (*)(const Lists&, const float*, float*, Size, int, const char*);
template <int NV>
constexpr Walk walkFor() {
  if constexpr (NV <= WALK_VECTORS)
    return walkLists<NV>;
  else
    return nullptr;
}
static const Walk walks[8] = {walkFor<1>(), walkFor<2>(), walkFor<3>(), walkFor<4>(),
                              walkFor<5>(), walkFor<6>(), walkFor<7>(), walkFor<8>()};

/// All lists against one tile of a panel, `width` columns wide.
static void walkTile(const Lists& lists, const float* tile, float* c, Size cRow, Size width,
                     const char* ahead = nullptr) {
  for (Size j = 0; j < width; j += WALK_COLUMNS) {
    const Size columns = least(WALK_COLUMNS, width - j);
    const int vectors = static_cast<int>(ceilDiv(columns, W));
    walks[vectors - 1](lists, tile + j, c + j, cRow, static_cast<int>(columns - (vectors - 1) * W),
                       j == 0 ? ahead : nullptr);
  }
}

static Size countNonzeros(const int32_t* rowCounts, Size rows) {
  Size count = 0;
  for (Size r = 0; r < rows; r++) count += rowCounts[r];
  return count;
}

/// Weights larger than this come from far away at every time step: the next tile is fetched during a walk.
constexpr Size FAR_BYTES = 8 << 20;
/// Nanoseconds of one nonzero against 64 columns.
constexpr double WALK_NS = 1.2 * 16 / W;

/// out (rows, k) += pruned g (rows, n) w, w (n, k) in panels. Blocks of rows with more than `full`
/// of their elements left go dense. Returns the multiply-accumulates executed.
static double sparseProduct(Team& team, Size rows, Size n, Size k, const float* g, const int32_t* rowCounts,
                            const uint32_t* starts, const float* values, const uint16_t* offsets, const float* panels,
                            float* out, double full) {
  const Size tiles = ceilDiv(n, TILE);
  const bool far = n * k * static_cast<Size>(sizeof(float)) > FAR_BYTES;
  double macs = 0;
  for (Size r = 0; r < rows; r += ROW_BLOCK) {
    const Size block = least(ROW_BLOCK, rows - r);
    const double count = static_cast<double>(countNonzeros(rowCounts + r, block));
    const double elements = static_cast<double>(block * n);
    if (count > full * elements) {
      product(team, block, k, n, g + r * n, panels, out + r * k);
      macs += elements * static_cast<double>(k);
      continue;
    }
    if (count == 0) continue;
    macs += count * static_cast<double>(k);
    parallel(team, ceilDiv(k, PANEL), WALK_NS / PANEL * count * static_cast<double>(k), [=](Size panel, int) {
      const Size j = panel * PANEL;
      for (Size t = 0; t < tiles; t++) {
        const Lists lists = {starts + r * (tiles + 1) + t, tiles + 1, block, values, offsets};
        const float* panel = panels + j * n + t * TILE * PANEL;
        const bool fetch = far && (t + 1 < tiles || j + PANEL < k);
        walkTile(lists, panel, out + r * k + j, k, least(PANEL, k - j),
                 fetch ? reinterpret_cast<const char*>(panel + TILE * PANEL) : nullptr);
      }
    });
  }
  return macs;
}

/// The column form of a tile of g, from the elements: squares of W rows and columns are transposed in registers, and
/// each column's vector is compressed as a row's is. g: row 0, column 0 of the tile, rows of gRow.
static Lists transposeToColumns(Scratch& scratch, Size rows, Size columns, const float* g, Size gRow) {
  float* const values = scratch.values;
  uint16_t* const offsets = scratch.offsets;
  uint32_t* const ranges = scratch.ranges;
  const Size wholeColumns = columns - columns % W;
  for (Size c = 0; c < columns; c++) ranges[2 * c] = ranges[2 * c + 1] = static_cast<uint32_t>(c * COLUMN_ROOM);
  for (Size r = 0; r < rows; r += W) {
    const Size height = least(W, rows - r);
    const float* from = g + r * gRow;
    const auto append = [=](Size i, Size c) {
      uint32_t& at = ranges[c * 2 + 1];
      const float x = from[i * gRow + c];
      values[at] = x;
      offsets[at] = static_cast<uint16_t>((r + i) * ROW_BYTES);
      at += x != 0;
    };
    for (Size c = 0; c < wholeColumns; c += W) {
      if (height < W) {
        for (Size i = 0; i < height; i++)
          for (Size q = c; q < c + W; q++) append(i, q);
        continue;
      }
      V x[W];
#pragma GCC unroll 16
      for (int i = 0; i < W; i++) {
        x[i] = load(from + i * gRow + c);
        __builtin_prefetch(from + (i + W) * gRow + c);
      }
      transposeTile(x);
#pragma GCC unroll 16
      for (int i = 0; i < W; i++) {
        uint32_t& at = ranges[(c + i) * 2 + 1];
        const uint32_t set = nonzeroBits(x[i]);
        appendLanes(x[i], set, static_cast<uint32_t>(r * ROW_BYTES), values + at, offsets + at);
        at += static_cast<uint32_t>(__builtin_popcount(set));
      }
    }
    for (Size i = 0; i < height; i++)
      for (Size c = wholeColumns; c < columns; c++) append(i, c);
  }
  return {ranges, 2, columns, values, offsets};
}

/// The same from the rows' lists, for few nonzeros. starts: of row 0 and this tile.
static Lists listColumns(Scratch& scratch, Size rows, Size columns, const uint32_t* starts, Size startsRow,
                         const float* values, const uint16_t* offsets) {
  for (Size i = 0; i < columns; i++)
    scratch.ranges[2 * i] = scratch.ranges[2 * i + 1] = static_cast<uint32_t>(i * COLUMN_ROOM);
  for (Size r = 0; r < rows; r++, starts += startsRow) {
    const uint16_t here = static_cast<uint16_t>(r * ROW_BYTES);
    for (uint32_t p = starts[0]; p < starts[1]; p++) {
      const uint32_t to = scratch.ranges[offsets[p] / ROW_BYTES * 2 + 1]++;
      scratch.values[to] = values[p];
      scratch.offsets[to] = here;
    }
  }
  return {scratch.ranges, 2, columns, scratch.values, scratch.offsets};
}

/// Share of nonzeros from which columns are listed by transposing all elements, in sites of up to 1024 columns, whose
/// lists are near, and in wider ones: there both take as long (lab/native/run.mjs, layers' pieces of rows), and at 0.4
/// a dW gains 9 to 19 % with AVX-512. Without a compress in registers it always loses.
#if defined(__AVX2__)
constexpr double TRANSPOSED_NARROW = 0.2, TRANSPOSED_WIDE = 0.12;
#else
constexpr double TRANSPOSED_NARROW = 2, TRANSPOSED_WIDE = 2;
#endif

/// Columns of the result that stay in the second-level cache, with a tile's rows, while the rows of x pass.
constexpr Size NEAR_COLUMNS = 512;

/// out (n, k) += pruned g^T x, g (rows, n), x (rows, k). Tiles of rows with more than `full` of their
/// elements left go dense. Threads own rows of out.
static double sparseProductTN(Team& team, Size rows, Size n, Size k, const float* g, const int32_t* rowCounts,
                              const uint32_t* starts, const float* values, const uint16_t* offsets, const float* x,
                              float* out, double full) {
  const Size tiles = ceilDiv(n, TILE);
  const auto nonzeros = [=](Size r, Size height) {
    const double count = static_cast<double>(countNonzeros(rowCounts + r, height));
    const double elements = static_cast<double>(height * n);
    return count > full * elements ? elements : count;
  };
  double macs = 0;
  eachPackedPiece(team, rows, k, x, [=, &team, &macs](Size r0, Size height, Size j0, Size columns) {
    double executed = 0;
    for (Size r = 0; r < height; r += TILE) executed += nonzeros(r0 + r, least(TILE, height - r));
    executed *= static_cast<double>(columns);
    macs += executed;
    const Size width = ceilDiv(columns, PANEL) * PANEL;
    parallel(team, tiles, WALK_NS / PANEL * executed, [=, &team](Size tile, int thread) {
      Scratch& scratch = team.scratch[thread];
      const Size first = tile * TILE;
      const Size gColumns = least(TILE, n - first);
      for (Size near = 0; near < columns; near += NEAR_COLUMNS)
        for (Size r = 0; r < height; r += TILE) {
          const Size block = least(TILE, height - r);
          const float* panels = team.xPanels + r * width + near * block;
          const Size nearColumns = least(NEAR_COLUMNS, columns - near);
          float* c = out + j0 + near;
          const double left = nonzeros(r0 + r, block);
          if (left == 0) continue;
          if (left == static_cast<double>(block * n)) {
            tileTN(scratch, block, n, k, g + (r0 + r) * n, panels, nearColumns, c, first, first + gColumns);
            continue;
          }
          const Lists lists =
              left > (n <= 1024 ? TRANSPOSED_NARROW : TRANSPOSED_WIDE) * static_cast<double>(block * n)
                  ? transposeToColumns(scratch, block, gColumns, g + (r0 + r) * n + first, n)
                  : listColumns(scratch, block, gColumns, starts + (r0 + r) * (tiles + 1) + tile, tiles + 1, values,
                                offsets);
          for (Size j = 0; j < nearColumns; j += PANEL)
            walkTile(lists, panels + j * block, c + first * k + j, k, least(PANEL, nearColumns - j));
        }
    });
  });
  return macs;
}
