// Choosing among lines (columns, rows, elements, blocks) as src/sparse/choose.ts and apply.ts do, to the same bits: scores
// in double, in sums of SUM_LANES parts where they run along lines, exact selection, draws by the counter hash. What
// comes out is a factor for each line: 0 dropped, 1 kept, 1/p kept at random with probability p.
#pragma once

/// Parts of a long sum; as LANES of src/sparse/choose.ts.
constexpr Size SUM_LANES = 16;
constexpr int HALF = W / 2;  // doubles of a vector
constexpr int SUM_VECTORS = SUM_LANES / HALF;
constexpr int64_t INFINITE = 0x7ff0000000000000;

typedef float HalfV __attribute__((vector_size(4 * HALF), aligned(4), may_alias));
typedef uint32_t HalfN __attribute__((vector_size(4 * HALF)));
typedef double UnalignedD __attribute__((vector_size(8 * HALF), aligned(8), may_alias));

INLINE D loadD(const double* p) { return *reinterpret_cast<const UnalignedD*>(p); }
INLINE void storeD(double* p, D x) { *reinterpret_cast<UnalignedD*>(p) = x; }
INLINE D splatD(double x) { return x - D{}; }

/// The sum of a long sum's parts, by halves.
INLINE double sumOfParts(const D (&parts)[SUM_VECTORS]) {
  double x[SUM_LANES];
#pragma GCC unroll 8
  for (int v = 0; v < SUM_VECTORS; v++) storeD(x + v * HALF, parts[v]);
  for (Size half = SUM_LANES / 2; half > 0; half /= 2)
    for (Size i = 0; i < half; i++) x[i] += x[i + half];
  return x[0];
}

/// What a rule that chooses is told, and the room it chooses in.
struct Choice {
  Size parts, size;
  const double* limits;            // of each part: lines as a share is, and as a whole number
  double* scores;                  // a part's begin at a whole vector
  float* factors;

  explicit Choice(double* memory)
      : parts(memory ? static_cast<Size>(memory[0]) : 1), size(memory ? static_cast<Size>(memory[1]) : 1),
        limits(memory ? memory + CHOICE_LIMITS : nullptr), scores(memory ? memory + CHOICE_HEAD : nullptr),
        factors(memory ? reinterpret_cast<float*>(scores + static_cast<Size>(memory[2])) : nullptr) {}
  MEMBER double budget(Size part) const { return limits[2 * part]; }
  MEMBER Size count(Size part) const { return static_cast<Size>(limits[2 * part + 1]); }
};

/// Bits of scores that are not negative, in the order of the scores; what is not finite is above `INF`.
template <class Int>
struct Ordered;
template <>
struct Ordered<int64_t> {
  using Vector = L;
  static constexpr int LANES = HALF;
  static constexpr int64_t INF = INFINITE;
};
template <>
struct Ordered<int32_t> {
  using Vector = I;
  static constexpr int LANES = W;
  static constexpr int32_t INF = 0x7f800000;
};

/// What is kept of scores: those above `smallest`, and of those equal to it the first `equal`.
template <class Int>
struct Kept {
  Int smallest;
  Size equal;
};

/// Bits of score i.
template <class Int>
INLINE Int bitsOf(const void* scores, Size i) {
  Int bits;
  __builtin_memcpy(&bits, static_cast<const char*>(scores) + i * static_cast<Size>(sizeof(Int)), sizeof(Int));
  return bits;
}

/// The largest `count` of n finite scores. Behind them, up to a whole vector, lie negative ones.
template <class Int>
static Kept<Int> largest(const void* scores, Size n, Size count) {
  using Vector = typename Ordered<Int>::Vector;
  constexpr int LANES = Ordered<Int>::LANES;
  constexpr Int INF = Ordered<Int>::INF;
  if (count == 0) return {INF - 1, 0};
  const auto load = [=](Size i) {
    Vector x;
    __builtin_memcpy(&x, static_cast<const char*>(scores) + i * static_cast<Size>(sizeof(Int)), sizeof x);
    return x;
  };
  // Bounds of what is finite.
  Vector finite = {}, least = Vector{} + INF, most = Vector{} - 1;
  for (Size i = 0; i < n; i += LANES) {
    const Vector x = load(i);
    const Vector is = Vector(x < INF) & Vector(x >= 0);
    finite -= is;
    least = (Vector(x >= 0) & Vector(x < least)) != 0 ? x : least;
    most = (Vector(x < INF) & Vector(x > most)) != 0 ? x : most;
  }
  Size all = 0;
  Int low = INF, high = -1;
  for (int i = 0; i < LANES; i++) {
    all += finite[i];
    low = least[i] < low ? least[i] : low;
    high = most[i] > high ? most[i] : high;
  }
  if (count >= all) return {-1, 0};
  // At least `count` are `low` or more, fewer are `high` or more.
  high++;
  while (high - low > 1) {
    const Int middle = low + (high - low) / 2;
    Vector more = {};
    for (Size i = 0; i < n; i += LANES) {
      const Vector x = load(i);
      more -= Vector(x >= middle) & Vector(x < INF);
    }
    Size number = 0;
    for (int i = 0; i < LANES; i++) number += more[i];
    if (number == count) return {middle - 1, 0};
    (number > count ? low : high) = middle;
  }
  Size above = 0;
  for (Size i = 0; i < n; i++) above += bitsOf<Int>(scores, i) > low && bitsOf<Int>(scores, i) < INF;
  return {low, count - above};
}

/// factors (n) of the kept: 1, else 0. What is not finite is kept.
template <class Int>
static void keepThese(const void* scores, Size n, Kept<Int> kept, float* factors) {
  for (Size i = 0; i < n; i++) factors[i] = bitsOf<Int>(scores, i) > kept.smallest ? 1.0f : 0.0f;
  for (Size i = 0; i < n && kept.equal > 0; i++)
    if (bitsOf<Int>(scores, i) == kept.smallest) factors[i] = 1, kept.equal--;
}

/// The largest `count` of n scores; destroys what lies behind them up to a whole vector.
static void keepLargest(double* scores, Size n, Size count, float* factors) {
  for (Size i = n; i < ceilDiv(n, HALF) * HALF; i++) scores[i] = -1;
  for (Size i = 0; i < n; i++)
    if (scores[i] != scores[i]) scores[i] = __builtin_inf();  // a NaN may have a sign
  keepThese(scores, n, largest<int64_t>(scores, n, count), factors);
}

/// Chooses among n lines at random: kept with probability min(1, c score), c such that these add up to `budget`, by the draw of
/// position + i * stride. Destroys scores and, up to SUM_LANES more, what lies behind them and behind the factors.
static void chooseByNorm(double* scores, Size n, double budget, uint32_t key, uint32_t position, uint32_t stride,
                         float* factors) {
  const Size room = ceilDiv(n, SUM_LANES) * SUM_LANES;
  for (Size i = n; i < room; i++) scores[i] = 0;
  const D certain = splatD(-1);  // in place of a score
  double c = 0;
  bool again = true;
  // Water filling: lines that would get more than 1 are given 1, and the others share what remains.
  for (bool first = true; again; first = false) {
    D parts[SUM_VECTORS] = {};
    L marked = {};
    for (Size i = 0; i < room; i += SUM_LANES)
#pragma GCC unroll 8
      for (int v = 0; v < SUM_VECTORS; v++) {
        D x = loadD(scores + i + v * HALF);
        const L full = first ? L(!(x < splatD(__builtin_inf()))) : L(x * c >= 1) & L(x >= 0);
        x = full ? certain : x;
        storeD(scores + i + v * HALF, x);
        marked += full;
        parts[v] += x < 0 ? D{} : x;
      }
    Size number = 0;
    for (int i = 0; i < HALF; i++) number -= marked[i];
    again = first || number > 0;
    if (!first) budget -= static_cast<double>(number);
    if (!again) break;
    const double sum = sumOfParts(parts);
    c = sum > 0 ? budget / sum : 0;
  }
  HalfN at;
  for (uint32_t i = 0; i < HALF; i++) at[i] = position + i * stride;
  for (Size i = 0; i < room; i += HALF, at += stride * HALF) {
    const D x = loadD(scores + i);
    const D p = x * c;
    const D drawn = __builtin_convertvector(mixBits(at * GOLDEN + key), D);
    const D factor = drawn < p * 4294967296.0 ? 1 / p : D{};
    *reinterpret_cast<HalfV*>(factors + i) = __builtin_convertvector(x < 0 ? splatD(1) : factor, HalfV);
  }
}

/// Scores of columns [0, width) of g (rows, width), rows of gRow: their norms, or the sums of magnitudes.
template <bool SQUARES>
static void scoreColumns(const float* g, Size rows, Size gRow, Size width, double* scores) {
  const auto strip = [=](Size c, auto lanes) {
    D low = {}, high = {};
    const float* p = g + c;
    for (Size r = 0; r < rows; r++, p += gRow) {
      const V x = magnitude(load(p, lanes));
      const D a = lowHalf(x), b = highHalf(x);
      low += SQUARES ? a * a : a;
      high += SQUARES ? b * b : b;
    }
    storeD(scores + c, low);
    storeD(scores + c + HALF, high);
  };
  constexpr int STRIPS = 4;  // cover the latency of a sum
  Size c = 0;
  for (; c + STRIPS * W <= width; c += STRIPS * W) {
    D low[STRIPS] = {}, high[STRIPS] = {};
    const float* p = g + c;
    for (Size r = 0; r < rows; r++, p += gRow)
#pragma GCC unroll 4
      for (int s = 0; s < STRIPS; s++) {
        const V x = magnitude(load(p + s * W));
        const D a = lowHalf(x), b = highHalf(x);
        low[s] += SQUARES ? a * a : a;
        high[s] += SQUARES ? b * b : b;
      }
#pragma GCC unroll 4
    for (int s = 0; s < STRIPS; s++) {
      storeD(scores + c + s * W, low[s]);
      storeD(scores + c + s * W + HALF, high[s]);
    }
  }
  eachVector(width - c, [=](Size i, auto lanes) { strip(c + i, lanes); });
  if (SQUARES)
    for (Size i = 0; i < width; i++) scores[i] = __builtin_sqrt(scores[i]);
}

/// Factors of the columns of g (rows, cols); `position`: of its first element, for draws.
static void chooseColumns(Team& team, const Choice& choice, Size kind, const float* g, Size rows, Size cols,
                          uint32_t key, uint32_t position) {
  constexpr Size STRIP = 8 * PANEL;
  const Size width = cols / choice.parts;
  const Size room = ceilDiv(width, SUM_LANES) * SUM_LANES;  // a part's scores, in whole vectors
  const Size strips = ceilDiv(width, STRIP);
  parallel(team, choice.parts * strips, 0.8 * rows * cols / W, [=, &choice](Size task, int) {
    const Size part = task / strips, c = task % strips * STRIP, columns = least(STRIP, width - c);
    if (kind == TOP_COLUMNS)
      scoreColumns<false>(g + part * width + c, rows, cols, columns, choice.scores + part * room + c);
    else
      scoreColumns<true>(g + part * width + c, rows, cols, columns, choice.scores + part * room + c);
  });
  // In this order: what lies behind a part's factors is destroyed.
  for (Size part = 0; part < choice.parts; part++) {
    double* scores = choice.scores + part * room;
    float* factors = choice.factors + part * width;
    if (kind == DRAWN_COLUMNS)
      chooseByNorm(scores, width, choice.budget(part), key, position + static_cast<uint32_t>(part * width), 1,
                   factors);
    else
      keepLargest(scores, width, choice.count(part), factors);
  }
}

/// Factors of the rows of g (rows, cols), by their norms.
static void chooseRows(Team& team, const Choice& choice, Size kind, const float* g, Size rows, Size cols, uint32_t key,
                       uint32_t position) {
  parallel(team, rows, 0.5 * rows * cols / W, [=, &choice](Size r, int) {
    const float* p = g + r * cols;
    D parts[SUM_VECTORS] = {};
    const Size whole = cols / SUM_LANES * SUM_LANES;
    for (Size c = 0; c < whole; c += SUM_LANES)
#pragma GCC unroll 4
      for (int v = 0; v < SUM_LANES / W; v++) {
        const V x = load(p + c + v * W);
        const D a = lowHalf(x), b = highHalf(x);
        parts[2 * v] += a * a;
        parts[2 * v + 1] += b * b;
      }
    for (Size c = whole; c < cols; c++)
      parts[(c - whole) / HALF][(c - whole) % HALF] += static_cast<double>(p[c]) * static_cast<double>(p[c]);
    choice.scores[r] = __builtin_sqrt(sumOfParts(parts));
  });
  if (kind == DRAWN_ROWS)
    chooseByNorm(choice.scores, rows, choice.budget(0), key, position, static_cast<uint32_t>(cols), choice.factors);
  else
    keepLargest(choice.scores, rows, choice.count(0), choice.factors);
}

/// Factors of one row's elements: of each part the largest. bits: room for a row and a vector.
static void chooseInRow(const Choice& choice, const float* g, Size cols, int32_t* bits, float* factors) {
  const Size width = cols / choice.parts;
  for (Size part = 0; part < choice.parts; part++, g += width, factors += width) {
    const I none = I{} - 1;
    __builtin_memcpy(bits + width / W * W, &none, sizeof none);
    eachVector(width, [=](Size i, auto lanes) {
      store(reinterpret_cast<float*>(bits) + i, magnitude(load(g + i, lanes)), lanes);
    });
    keepThese(bits, width, largest<int32_t>(bits, width, choice.count(part)), factors);
  }
}

/// Factors of one row's blocks: those whose root mean square is above tau. Counts them, unless blocks is null.
static void chooseBlocks(const Choice& choice, const float* tau, const float* g, Size cols, Size groups, float* factors,
                         int32_t* blocks) {
  const Size width = cols / groups;
  for (Size group = 0; group < groups; group++, g += width, factors += width)
    for (Size c = 0; c < width; c += choice.size) {
      const Size length = least(choice.size, width - c);
      double squares = 0;
      for (Size i = c; i < c + length; i++) squares += static_cast<double>(g[i]) * static_cast<double>(g[i]);
      const double norm = __builtin_sqrt(squares / static_cast<double>(length));
      if (blocks) {
        const float rounded = static_cast<float>(norm);
        uint32_t bits;
        __builtin_memcpy(&bits, &rounded, 4);
        // Threads count into one table, and whole numbers do not tell in which order.
        __atomic_fetch_add(blocks + group * HISTOGRAM_BINS + (bits >> HISTOGRAM_SHIFT & (HISTOGRAM_BINS - 1)), 1,
                           __ATOMIC_RELAXED);
      }
      const float factor = norm <= static_cast<double>(tau[group]) ? 0.0f : 1.0f;
      for (Size i = c; i < c + length; i++) factors[i] = factor;
    }
}
