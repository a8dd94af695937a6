// Checks every kernel of one instruction set against plain loops in float64, on odd shapes, with the
// bounds of src/kernels/engines.contract.test.ts, and that one thread and three give the same bits.
//
//   harness [heap|end|start ...]     where buffers lie; all three without
//
// Buffers have exactly the size the contract gives. On the heap AddressSanitizer sees an access one
// element too far. Between two pages that may not be touched, at their end or at their start, the
// processor itself does, in any build.
//
// scripts/sanitize-native.mjs and scripts/neon-native.mjs compile and run it.
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <vector>

#include "kernels.h"

extern const Kernels ISA_TABLE;
static const Kernels& K = ISA_TABLE;
using Doubles = std::vector<double>;

constexpr double EPSILON = 1.0 / (1 << 23);
constexpr Size SUMS = 5, BINS = 1024;  // of a group: columns of its sums, bins of its histogram

static const char* placement = "heap";
static char where[64];      // shape and number of threads of what is being checked
static uint64_t allBits;    // of every result so far
static int failures = 0;

static void fail(const char* what, const char* text) {
  if (failures++ < 20) printf("%s, buffers at %s: %s %s: %s\n", K.isa, placement, where, what, text);
}
static void expectTrue(const char* what, bool good, const char* text) {
  if (!good) fail(what, text);
}

#if !defined(__SANITIZE_ADDRESS__)  // which says more
/// Only async-signal-safe calls: no printf.
static void outOfBounds(int) {
  const char* const line[] = {K.isa, ", buffers at ", placement, ": ", where, " a kernel left its buffers\n"};
  for (const char* text : line)
    if (write(STDERR_FILENO, text, strlen(text)) < 0) break;
  _exit(1);
}
#endif

/// Memory of so many bytes, 64-aligned at the start of pages or of the heap's block; zero.
struct Memory {
  char* data;
  char* map = nullptr;
  size_t mapped = 0;
  explicit Memory(size_t bytes) {
    if (strcmp(placement, "heap") == 0) {
      void* block = nullptr;
      if (posix_memalign(&block, 64, bytes) != 0) abort();
      data = static_cast<char*>(memset(block, 0, bytes));
      return;
    }
    const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    const size_t whole = (bytes + page - 1) / page * page;
    mapped = whole + 2 * page;
    void* pages = mmap(nullptr, mapped, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED) abort();
    map = static_cast<char*>(pages);
    if (mprotect(map + page, whole, PROT_READ | PROT_WRITE) != 0) abort();
    data = map + page + (strcmp(placement, "end") == 0 ? whole - bytes : 0);
  }
  ~Memory() {
    if (map)
      munmap(map, mapped);
    else
      free(data);
  }
  Memory(const Memory&) = delete;
};

/// `length` elements: zeros, or floats in (-1, 1) from a seed.
template <class T>
struct Buffer {
  Memory memory;
  T* data;
  Size length;
  explicit Buffer(Size n)
      : memory(static_cast<size_t>(n) * sizeof(T)), data(reinterpret_cast<T*>(memory.data)), length(n) {}
  Buffer(Size n, uint32_t seed) : Buffer(n) { fill(seed); }
  Buffer(const Buffer& other) : Buffer(other.length) { *this = other; }
  Buffer& operator=(const Buffer& other) {
    memcpy(data, other.data, static_cast<size_t>(length) * sizeof(T));
    return *this;
  }
  operator T*() { return data; }
  void fill(uint32_t seed) {
    uint32_t s = seed * 2654435761u + 12345;
    for (Size i = 0; i < length; i++) {
      s ^= s << 13, s ^= s >> 17, s ^= s << 5;
      data[i] = static_cast<T>(static_cast<float>(static_cast<int32_t>(s)) / 2147483648.0f);
    }
  }
};
using Floats = Buffer<float>;

template <class T>
static void addBits(const T* x, size_t length) {
  for (size_t i = 0; i < length; i++) {
    uint64_t bits = 0;
    memcpy(&bits, x + i, sizeof(T));
    allBits = (allBits ^ bits) * 0x100000001b3u;
  }
}

static void expectClose(const char* what, const float* got, const Doubles& wanted, const Doubles& bound) {
  addBits(got, wanted.size());
  for (size_t i = 0; i < wanted.size(); i++) {
    if (fabs(static_cast<double>(got[i]) - wanted[i]) <= bound[i]) continue;
    char text[128];
    snprintf(text, sizeof text, "element %zu is %.9g, expected %.9g within %.2g", i, static_cast<double>(got[i]),
             wanted[i], bound[i]);
    return fail(what, text);
  }
}

/// So many units of 2^-23 of each value, at least those of `floor`.
static Doubles around(const Doubles& wanted, double units, double floor = 0) {
  Doubles bound;
  for (const double x : wanted) bound.push_back(units * EPSILON * fmax(fabs(x), floor));
  return bound;
}

static void expectNumber(const char* what, double got, double wanted, double bound) {
  addBits(&got, 1);
  if (fabs(got - wanted) <= bound) return;
  char text[96];
  snprintf(text, sizeof text, "got %.12g, expected %.12g", got, wanted);
  fail(what, text);
}

/// What a buffer becomes by adding products to it, and what rounding may do:
/// (terms + 1) 2^-23 (what was there + sum |a b|), in any order of summation.
struct Sum {
  Doubles value, size;
  explicit Sum(const Floats& start) : value(start.data, start.data + start.length) {
    for (const double x : value) size.push_back(fabs(x));
  }
  void add(Size at, double a, double b = 1) {
    value[static_cast<size_t>(at)] += a * b;
    size[static_cast<size_t>(at)] += fabs(a * b);
  }
  void expect(const char* what, const Floats& got, Size terms) const {
    Doubles bound;
    for (const double x : size) bound.push_back(static_cast<double>(terms + 1) * EPSILON * x);
    expectClose(what, got.data, value, bound);
  }
};

static uint32_t counterHash(uint32_t key, uint32_t position) {
  uint32_t z = position * 0x9e3779b9u + key;
  z = (z ^ z >> 16) * 0x21f0aaadu;
  z = (z ^ z >> 15) * 0x735a2d97u;
  return z ^ z >> 15;
}

constexpr uint32_t KEY = 7;

/// What a rule leaves of an element.
static float ruled(Size kind, float x, float tau, uint32_t position) {
  const float size = fabsf(x);
  if (kind == THRESHOLD) return size <= tau ? 0 : x;
  if (!(size < tau)) return x;
  const double chance = static_cast<double>(size) / static_cast<double>(tau) * 4294967296.0;
  return size > 0 && counterHash(KEY, position) < chance ? copysignf(tau, x) : 0;
}

/// A rule, and the sweeps that apply it: `keep` makes no lists, `custom` counts before it drops.
struct Rule {
  Size kind;
  float tau;
  Size sweeps[2];
};
constexpr Size ALL = BEFORE | AFTER | INDEX | LISTS;
constexpr Rule rules[] = {{THRESHOLD, 0.3f, {ALL, 0}},
                          {STOCHASTIC, 0.9f, {ALL, 0}},
                          {THRESHOLD, -1, {BEFORE | AFTER | INDEX, 0}},
                          {THRESHOLD, -1, {BEFORE, AFTER | INDEX | LISTS}},
                          {THRESHOLD, 0.9f, {ALL, 0}},
                          {THRESHOLD, 2, {ALL, 0}},
                          {STOCHASTIC, 0.3f, {ALL, 0}}};

/// Gate gradients (rows, cols), and what `compress` knows of them.
struct Site {
  Size rows, cols, groups, room, words, tiles;
  Floats g;
  Buffer<uint32_t> bitmap, starts;
  Buffer<int32_t> counts, histogram;
  Floats values, tau;
  Buffer<uint16_t> offsets;
  Buffer<double> sums, partials;
  Size left = 0;

  Site(Size rows, Size cols, Size groups)
      : rows(rows), cols(cols), groups(groups), room(cols + LIST_SLACK), words((cols + 31) / 32),
        tiles((cols + TILE - 1) / TILE), g(rows * cols, 3), bitmap(rows * words), starts(rows * (tiles + 1)),
        counts(rows), histogram(groups * BINS), values(rows * room), tau(groups), offsets((rows * room + 1) / 2 * 2),
        sums(groups * SUMS), partials(SWEEP_BLOCK / SWEEP_ROWS * groups * 4) {}

  void sweep(Team& team, Size kind, Size row, Size count, Size flags) {
    K.compress(team, g + row * cols, count, cols, groups, row, row, kind, tau, KEY, sums, histogram, flags,
               bitmap + row * words, counts + row, values, offsets, starts + row * (tiles + 1), partials, nullptr, nullptr);
  }

  /// Sweeps in two calls, the later rows first, and compares everything.
  void compress(Team& team, const Rule& rule) {
    for (Size i = 0; i < groups; i++) tau[i] = i % 2 ? rule.tau * 0.5f : rule.tau;
    for (Size i = 0; i < g.length; i++) {
      if (i % 11 == 0) g[i] = i % 2 ? 0.0f : -0.0f;
      if (i % 7 == 3 && rule.tau > 0) g[i] = i % 2 ? rule.tau : -rule.tau;
    }
    Doubles wanted, sum(static_cast<size_t>(groups * SUMS));
    std::vector<int32_t> bins(static_cast<size_t>(groups * BINS));
    const Size width = cols / groups;
    for (Size i = 0; i < g.length; i++) {
      const Size group = i % cols / width;
      const float x = g[i], size = fabsf(x), after = ruled(rule.kind, x, tau[group], static_cast<uint32_t>(i));
      wanted.push_back(static_cast<double>(after));
      uint32_t bits;
      memcpy(&bits, &size, 4);
      if (i / cols % 8 == 0) bins[static_cast<size_t>(group * BINS) + (bits >> 21)]++;
      double* to = sum.data() + group * SUMS;
      to[0] += 1, to[1] += x == 0, to[2] += after != 0;
      to[3] += static_cast<double>(x) * static_cast<double>(x);
      to[4] += static_cast<double>(after) * static_cast<double>(after);
    }
    const Size split = rows / 3;
    for (const Size flags : rule.sweeps)
      if (flags) {
        sweep(team, rule.kind, split, rows - split, flags);
        if (split > 0) sweep(team, rule.kind, 0, split, flags);
      }
    expectClose("compress, gradients", g, wanted, around(wanted, 0));
    expectTrue("compress", memcmp(histogram, bins.data(), bins.size() * 4) == 0, "the histogram differs");
    for (Size i = 0; i < groups * SUMS; i++)
      expectNumber("compress, sums", sums[i], sum[static_cast<size_t>(i)],
                   i % SUMS < 3 ? 0 : 1e-5 * sum[static_cast<size_t>(i)]);
    expectPattern((rule.sweeps[0] | rule.sweeps[1]) & LISTS);
  }

  /// Bitmap, counts and lists say where g is not zero.
  void expectPattern(bool listed) {
    left = 0;
    bool good = true;
    for (Size r = 0; r < rows; r++) {
      Size count = 0;
      const uint32_t* start = starts + r * (tiles + 1);
      for (Size c = 0; c < cols; c++) {
        const float x = g[r * cols + c];
        good &= (bitmap[r * words + c / 32] >> c % 32 & 1) == (x != 0);
        if (x == 0) continue;
        count++;
        if (!listed) continue;
        // Pieces lie one behind the other, so the row's first start and its count give the place.
        const Size at = start[0] + count - 1;
        good &= at >= start[c / TILE] && at < start[c / TILE + 1] && values[at] == x &&
                offsets[at] == c % TILE * PANEL * 4;
      }
      good &= counts[r] == count && (!listed || start[tiles] == start[0] + count);
      left += count;
    }
    expectTrue("compress", good, "the pattern is not that of the gradients");
  }
};

/// Nearest bf16 of a float that is no denormal, ties to even.
static double rounded(float x) {
  uint32_t bits;
  memcpy(&bits, &x, 4);
  bits = (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000;
  memcpy(&x, &bits, 4);
  return static_cast<double>(x);
}

static Size panels(Size n) { return (n + PANEL - 1) / PANEL * PANEL; }

/// Dense and sparse products, and compress, with the first `most` rules.
static void products(Team& team, Size rows, Size n, Size k, size_t most = sizeof rules / sizeof *rules) {
  snprintf(where, sizeof where, "(%d, %d, %d), %d threads,", int(rows), int(n), int(k), team.threads);
  Floats w(n * k, 1), x(rows * k, 2), g(rows * n, 3), startN(rows * n, 4), startK(rows * k, 5), startNK(n * k, 6);
  Floats nt(panels(n) * k), nn(panels(k) * n), columns(n * k), outN(startN), outK(startK), outNK(startNK);
  K.packTransposedPanels(team, n, k, w, nt);
  K.packPanels(team, n, k, w, nn);
  {
    // Every third row is packed from another matrix, and back.
    Floats other(n * k, 3), someNt(nt), someNn(nn);
    Buffer<int32_t> list((n + 2) / 3);
    for (Size i = 0; i < list.length; i++) list[i] = static_cast<int32_t>(3 * i);
    K.packRows(team, n, k, other, someNt, someNn, list, list.length);
    bool moved = someNt[0] == other[0] && someNn[0] == other[0];
    K.packRows(team, n, k, w, someNt, someNn, list, list.length);
    for (Size i = 0; i < nt.length; i++) moved &= someNt[i] == nt[i];
    for (Size i = 0; i < nn.length; i++) moved &= someNn[i] == nn[i];
    expectTrue("packRows", moved, "a row stands elsewhere");
  }
  K.transpose(team, n, k, w, columns);
  bool transposed = true;
  for (Size i = 0; i < n * k; i++) transposed &= columns[i % k * n + i / k] == w[i];
  expectTrue("transpose", transposed, "an element stands elsewhere");

  const auto expectBackward = [&](const char* nameK, const char* nameNK, Floats& g) {
    Sum sumK(startK), sumNK(startNK);
    for (Size r = 0; r < rows; r++)
      for (Size i = 0; i < n; i++) {
        const double factor = g[r * n + i];
        if (factor == 0) continue;
        for (Size j = 0; j < k; j++) sumK.add(r * k + j, factor, w[i * k + j]), sumNK.add(i * k + j, factor, x[r * k + j]);
      }
    return [=, &outK, &outNK] { sumK.expect(nameK, outK, n), sumNK.expect(nameNK, outNK, rows); };
  };
  Sum sumN(startN);
  for (Size r = 0; r < rows; r++)
    for (Size i = 0; i < n; i++)
      for (Size j = 0; j < k; j++) sumN.add(r * n + i, x[r * k + j], w[i * k + j]);
  K.product(team, rows, n, k, x, nt, outN);
  sumN.expect("product nt", outN, k);
  if (hasPairs(K)) {
    Floats pairs(panels(n) * ((k + 1) / 2)), out(startN);
    Sum sum(startN);
    for (Size r = 0; r < rows; r++)
      for (Size i = 0; i < n; i++)
        for (Size j = 0; j < k; j++) sum.add(r * n + i, rounded(x[r * k + j]), rounded(w[i * k + j]));
    K.packTransposedPairs(team, n, k, w, pairs);
    K.productPairs(team, rows, n, k, x, pairs, out);
    sum.expect("product of pairs", out, k);
    // Every third row is packed from another matrix, and back.
    Floats other(n * k, 3), some(pairs);
    Buffer<int32_t> list((n + 2) / 3);
    for (Size i = 0; i < list.length; i++) list[i] = static_cast<int32_t>(3 * i);
    K.packPairRows(team, k, other, some, list, list.length);
    bool moved = memcmp(some.data, pairs.data, 4) != 0;
    K.packPairRows(team, k, w, some, list, list.length);
    moved &= memcmp(some.data, pairs.data, static_cast<size_t>(pairs.length) * 4) == 0;
    expectTrue("packPairRows", moved, "a row stands elsewhere");
  }
  K.product(team, rows, k, n, g, nn, outK);
  K.productTN(team, rows, n, k, g, x, outNK);
  expectBackward("product nn", "product tn", g)();

  for (const Size groups : {Size{1}, Size{4}}) {
    if (n % groups != 0) continue;
    for (size_t i = 0; i < most; i++) {
      Site s(rows, n, groups);
      s.compress(team, rules[i]);
      const bool listed = (rules[i].sweeps[0] | rules[i].sweeps[1]) & LISTS;
      const auto expect = expectBackward("sparse nn", "sparse tn", s.g);
      for (const double full : {-1.0, 0.45, 2.0}) {
        if (full < 0 ? listed : !listed) continue;  // without lists everything goes dense
        outK = startK, outNK = startNK;
        const double macs[] = {
            K.sparseProduct(team, rows, n, k, s.g, s.counts, s.starts, s.values, s.offsets, nn, outK, full),
            K.sparseProductTN(team, rows, n, k, s.g, s.counts, s.starts, s.values, s.offsets, x, outNK, full)};
        expect();
        const double least = static_cast<double>(s.left * k), dense = static_cast<double>(rows * n * k);
        for (const double executed : macs)
          expectTrue("sparse", full < 0 ? executed == dense || s.left == 0 : executed >= least && executed <= dense,
                     "impossible count of multiply-accumulates");
        if (full != 2) continue;
        expectTrue("sparse", macs[0] == least && macs[1] == least, "more work than nonzeros");
        Floats fewK(startK), fewNK(startNK);
        const double few = K.fewProduct(team, rows, n, k, s.counts, s.starts, s.values, s.offsets, w, fewK) +
                           K.fewProductTN(team, rows, n, k, s.counts, s.starts, s.values, s.offsets, x, fewNK);
        const bool same = memcmp(fewK.data, outK.data, static_cast<size_t>(outK.length) * 4) == 0 &&
                          memcmp(fewNK.data, outNK.data, static_cast<size_t>(outNK.length) * 4) == 0;
        expectTrue("few", same && few == 2 * least, "not the bits of the sparse products, or other work");
      }
    }
  }
}

/// Rules that choose and draw, over `times` blocks of rows, with room that ends where it must; then the products with what
/// is left. Which lines are chosen is checked elsewhere (src/kernels/engines.contract.test.ts); here that nothing else is.
static void choosing(Team& team, Size times, Size rows, Size n, Size k) {
  snprintf(where, sizeof where, "(%d, %d, %d, %d), %d threads,", int(times), int(rows), int(n), int(k), team.threads);
  constexpr Size LANES = 16;
  const Size all = times * rows, groups = n % 4 == 0 ? 4 : 1;
  Floats w(n * k, 1), x(all * k, 2), startK(all * k, 5), startNK(n * k, 6), nn(panels(k) * n);
  K.packPanels(team, n, k, w, nn);
  for (Size kind = RANDOM; kind <= DRAWN_ROWS; kind++) {
    Site s(all, n, groups);
    const Floats before(s.g);
    const Size most = n + groups * LANES > rows ? n + groups * LANES : rows;
    const Size room = ((most + LANES - 1) / LANES + 1) * LANES;
    Buffer<double> choice(CHOICE_HEAD + room + room / 2);
    Buffer<int32_t> blocks(groups * BINS);
    for (Size i = 0; i < groups; i++) s.tau[i] = 0.5f;
    choice[0] = static_cast<double>(groups), choice[1] = 3, choice[2] = static_cast<double>(room);
    const Size lines = kind >= ROWS ? rows : n / groups;
    for (Size i = 0; i < groups; i++) {
      choice[CHOICE_LIMITS + 2 * i] = kind == RANDOM ? 1e9 : 0.3 * static_cast<double>(lines);
      choice[CHOICE_LIMITS + 2 * i + 1] = kind == RANDOM ? 4 : static_cast<double>((lines + 2) / 3);
    }
    const bool columns = kind >= TOP_COLUMNS && kind <= DRAWN_COLUMNS && rows > 1;
    for (Size t = times - 1; t >= 0; t--) {
      const Size r = t * rows;
      K.compress(team, s.g + r * n, rows, n, groups, r, r, kind, s.tau, KEY, s.sums, s.histogram,
                 columns ? ALL | COLUMN_FORM : ALL, s.bitmap + r * s.words, s.counts + r, s.values, s.offsets,
                 s.starts + r * (s.tiles + 1), s.partials, choice, blocks);
    }
    addBits(s.g.data, static_cast<size_t>(s.g.length));
    bool good = true;
    for (Size i = 0; i < s.g.length; i++) good &= s.g[i] == 0 || fabsf(s.g[i]) >= fabsf(before.data[i]);
    expectTrue("choosing", good, "an element is smaller than it was, and not dropped");
    if (!columns) s.expectPattern(true);
    Sum sumK(startK), sumNK(startNK);
    for (Size r = 0; r < all; r++)
      for (Size i = 0; i < n; i++) {
        const double factor = s.g[r * n + i];
        if (factor == 0) continue;
        for (Size j = 0; j < k; j++) sumK.add(r * k + j, factor, w[i * k + j]), sumNK.add(i * k + j, factor, x[r * k + j]);
      }
    Floats outK(startK), outNK(startNK);
    if (columns) {
      K.columnProduct(team, times, rows, n, k, s.starts, s.values, s.offsets, nn, outK);
      K.columnProductTN(team, times, rows, n, k, s.starts, s.values, s.offsets, x, outNK);
    } else {
      K.sparseProduct(team, all, n, k, s.g, s.counts, s.starts, s.values, s.offsets, nn, outK, 2);
      K.sparseProductTN(team, all, n, k, s.g, s.counts, s.starts, s.values, s.offsets, x, outNK, 2);
    }
    sumK.expect("columns nn", outK, n), sumNK.expect("columns tn", outNK, all);
  }
}

/// Products over live columns: every third one dead, others at each time; at the last time all of them.
static void liveProducts(Team& team, Size times, Size rows, Size n, Size k) {
  snprintf(where, sizeof where, "(%d, %d, %d, %d), %d threads,", int(times), int(rows), int(n), int(k), team.threads);
  Floats w(n * k, 1), x(times * rows * k, 2), g(times * rows * n, 3);
  Floats startN(times * rows * n, 4), startK(times * rows * k, 5), startNK(n * k, 6), factors(times * k);
  Floats outN(startN), outK(startK), outNK(startNK), nt(panels(n) * k);
  Buffer<int32_t> list(times * k), counts(times);
  K.packTransposedPanels(team, n, k, w, nt);
  Sum sumN(startN), sumK(startK), sumNK(startNK);
  Floats masked(x);
  for (Size t = 0; t < times; t++)
    for (Size j = 0; j < k; j++) {
      const bool lives = (t * 7 + j) % 3 != 0 && (t + 1 < times || times == 1);
      factors[t * k + j] = lives ? 2 : 0;
      if (lives) list[t * k + counts[t]++] = static_cast<int32_t>(j);
      for (Size r = t * rows; r < (t + 1) * rows; r++) {
        masked[r * k + j] = lives ? 2 * x[r * k + j] : 0;
        if (!lives) continue;
        for (Size i = 0; i < n; i++) {
          sumN.add(r * n + i, x[r * k + j], w[i * k + j]);
          sumK.add(r * k + j, g[r * n + i], w[i * k + j]);
          sumNK.add(i * k + j, g[r * n + i], x[r * k + j]);
        }
      }
    }
  K.liveProduct(team, times, rows, n, k, x, nt, list, counts, outN);
  sumN.expect("live product nt", outN, k);
  K.liveProductNN(team, times, rows, n, k, g, nt, list, counts, outK);
  sumK.expect("live product nn", outK, n);
  K.liveProductTN(team, times, rows, n, k, g, x, list, counts, outNK);
  sumNK.expect("live product tn", outNK, times * rows);
  K.maskRows(team, x, x, factors, times, rows, k);
  bool same = true;
  for (Size i = 0; i < x.length; i++) same &= x[i] == masked[i];
  expectTrue("mask", same, "not the rows times their factors");
}

/// NaN and infinities pass both rules.
static void oddGradients(Team& team) {
  snprintf(where, sizeof where, "NaN and infinities, %d threads,", team.threads);
  for (const Size kind : {THRESHOLD, STOCHASTIC}) {
    Site s(2, 36, 4);
    for (Size i = 0; i < 4; i++) s.tau[i] = 1e30f;
    const float odd[] = {NAN, INFINITY, -INFINITY};
    const Size places[] = {2, 17, 35, 36, 53, 71};
    for (Size i = 0; i < 6; i++) s.g[places[i]] = odd[i % 3];
    s.sweep(team, kind, 0, 2, ALL);
    bool good = true;
    for (Size i = 0; i < 6; i++) {
      const float x = s.g[places[i]], was = odd[i % 3];
      good &= was != was ? x != x : x == was;
    }
    expectTrue("compress", good, "one was dropped");
    s.expectPattern(false);
  }
}

static void rowKernels(Team& team, Size rows, Size cols) {
  snprintf(where, sizeof where, "(%d, %d), %d threads,", int(rows), int(cols), team.threads);
  const Size limit = 5;
  Floats out(rows * cols, 1), a(rows * cols, 2), bias(cols, 3), bias2(cols, 4), table(limit * cols, 5), w(cols * limit, 6);
  Floats sums(limit * cols);
  Buffer<int32_t> index(rows), touched(limit);
  for (Size r = 0; r < rows; r++) index[r] = static_cast<int32_t>(r * 3 % limit);
  const auto each = [&](auto f) {
    for (Size r = 0; r < rows; r++)
      for (Size c = 0; c < cols; c++) f(r, c, r * cols + c);
  };

  Sum added(out), columnSums(bias), gathered(out), scattered(table), looked(w);
  each([&](Size r, Size c, Size i) {
    added.add(i, a[i]), columnSums.add(c, a[i]), gathered.add(i, table[index[r] * cols + c]);
    scattered.add(index[r] * cols + c, a[i]), looked.add(c * limit + index[r], a[i]);
  });
  Floats start(out);
  K.addInto(team, out, a, rows * cols);
  added.expect("addInto", out, 1);
  out = start;
  K.gatherRows(team, out, table, index, rows, cols, limit);
  gathered.expect("gatherRows", out, 1);
  K.lookupGradient(team, w, index, a, rows, cols, limit, sums, touched);
  looked.expect("lookupGradient", w, rows);
  bool clean = true;
  for (Size i = 0; i < sums.length; i++) clean &= sums[i] == 0;
  for (Size i = 0; i < limit; i++) clean &= touched[i] == 0;
  expectTrue("lookupGradient", clean, "the scratch memory is not clean");
  K.scatterRows(team, table, index, a, rows, cols, limit);
  scattered.expect("scatterRows", table, rows);
  Floats twoBiases(rows * cols);
  Sum set(twoBiases);
  each([&](Size, Size c, Size i) { set.add(i, bias[c]), set.add(i, bias2[c]); });
  K.setRows(team, out, rows, cols, bias, bias2);
  set.expect("setRows", out, 1);
  K.setRows(team, out, rows, cols, bias, nullptr);
  bool copied = true;
  each([&](Size, Size c, Size i) { copied &= out[i] == bias[c]; });
  expectTrue("setRows", copied, "one bias: not copied");
  K.addColumnSums(team, bias, a, rows, cols);
  columnSums.expect("addColumnSums", bias, rows);
  K.dropout(team, out, a, rows * cols, 1u << 31, 2, KEY);
  bool dropped = true;
  each([&](Size, Size, Size i) {
    dropped &= out[i] == (counterHash(KEY, static_cast<uint32_t>(i)) >= 1u << 31 ? a[i] * 2 : 0);
  });
  expectTrue("dropout", dropped, "another mask");

  index[rows - 1] = static_cast<int32_t>(limit);
  const auto expectRefused = [&](const char* what) {
    expectTrue(what, team.badRow == rows - 1, "an index out of range went unseen");
    team.badRow = -1;
  };
  K.gatherRows(team, out, table, index, rows, cols, limit), expectRefused("gatherRows");
  K.scatterRows(team, table, index, a, rows, cols, limit), expectRefused("scatterRows");
  K.lookupGradient(team, w, index, a, rows, cols, limit, sums, touched), expectRefused("lookupGradient");
  for (Size r = 0; r < rows; r++) index[r] = r + 1 < rows ? 0 : -2;
  K.softmaxCrossEntropy(team, out, index, rows, cols, 1), expectRefused("softmaxCrossEntropy");
}

static void losses(Team& team, Size rows, Size cols) {
  snprintf(where, sizeof where, "(%d, %d), %d threads,", int(rows), int(cols), team.threads);
  Floats logits(rows * cols, 11), targets(rows * cols, 12), y(rows * cols, 13);
  Buffer<int32_t> index(rows);
  for (Size i = 0; i < logits.length; i++) logits[i] *= 12;
  for (Size r = 0; r < rows; r++) index[r] = static_cast<int32_t>(r * 5 % cols);
  double loss = 0;
  const float scale = 1.0f / 50;
  Doubles gradient(static_cast<size_t>(rows * cols)), before(logits.data, logits.data + logits.length);
  for (Size r = 0; r < rows; r++) {
    const float* row = logits + r * cols;
    double sum = 0, others = 0;
    for (Size c = 0; c < cols; c++) sum += exp(double(row[c])), others += c == index[r] ? 0 : exp(double(row[c]));
    loss += log(sum) - row[index[r]];
    for (Size c = 0; c < cols; c++)
      gradient[static_cast<size_t>(r * cols + c)] = (c == index[r] ? -others : exp(double(row[c]))) / sum * scale;
  }
  const double bound = 4e-6 * fmax(1, loss);
  expectNumber("loss", K.softmaxCrossEntropy(team, logits, index, rows, cols, 0), loss, bound);
  expectClose("loss without gradients", logits, before, around(before, 0));
  expectNumber("loss", K.softmaxCrossEntropy(team, logits, index, rows, cols, scale), loss, bound);
  expectClose("gradients of the loss", logits, gradient, around(gradient, 40));
  for (const float odd : {NAN, INFINITY}) {
    const Size at = (rows * 7 + cols / 2) % cols;
    logits.fill(11);
    logits[at] = odd;
    expectTrue("loss", !isfinite(K.softmaxCrossEntropy(team, logits, index, rows, cols, 0)), "finite in spite of its input");
  }

  double squares = 0;
  Doubles slopes;
  for (Size i = 0; i < y.length; i++) {
    const double difference = double(y[i]) - targets[i];
    squares += difference * difference;
    slopes.push_back(2 * difference * 0.125);
  }
  expectNumber("squaredError", K.squaredError(team, y, targets, rows * cols, 0), squares, 1e-6 * squares);
  expectNumber("squaredError", K.squaredError(team, y, targets, rows * cols, 0.125f), squares, 1e-6 * squares);
  expectClose("slopes of squaredError", y, slopes, around(slopes, 2, 1));
}

static void updates(Team& team, Size n) {
  snprintf(where, sizeof where, "(%d), %d threads,", int(n), team.threads);
  const Floats start(n, 7), m0(n, 9);
  Floats gradient(n, 8), value(n), m(n), v(n);
  double squares = 0;
  for (Size i = 0; i < n; i++) squares += double(gradient[i]) * gradient[i];
  expectNumber("sumSquares", K.sumSquares(team, gradient, n), squares, 1e-9 * squares);

  /// Runs an update on the same state, and `f(value, m, v, gradient)` in float64 on each element.
  const auto check = [&](const char* what, auto run, auto f) {
    value = start, m = m0;
    for (Size i = 0; i < n; i++) v[i] = fabsf(m0.data[i]) + 0.01f;
    Doubles wanted[3];
    for (Size i = 0; i < n; i++) {
      double state[] = {value[i], m[i], v[i]};
      f(state[0], state[1], state[2], 0.5 * gradient[i]);
      for (int part = 0; part < 3; part++) wanted[part].push_back(state[part]);
    }
    run();
    const float* got[] = {value, m, v};
    for (int part = 0; part < 3; part++) expectClose(what, got[part], wanted[part], around(wanted[part], 12, 0.05));
  };
  check("sgd", [&] { K.sgd(team, value, gradient, nullptr, n, nullptr, 1, 0.5f, 0.125f, 0, 0.0625f); },
        [](double& w, double&, double&, double g) { w -= 0.0625 * (g + 0.125 * w); });
  check("sgd, momentum", [&] { K.sgd(team, value, gradient, m, n, nullptr, 1, 0.5f, 0.125f, 0.75f, 0.0625f); },
        [](double& w, double& m, double&, double g) { m = 0.75 * m + g + 0.125 * w, w -= 0.0625 * m; });
  check("rmsprop", [&] { K.rmsprop(team, value, gradient, v, n, nullptr, 1, 0.5f, 0.125f, 0.75f, 0.25f, 0.0625f, 0x1p-20f); },
        [](double& w, double&, double& v, double g) {
          g += 0.125 * w, v = 0.75 * v + 0.25 * g * g, w -= 0.0625 * g / (sqrt(v) + 0x1p-20);
        });
  check("adam",
        [&] {
          K.adam(team, value, gradient, m, v, n, nullptr, 1, 0.5f, 0.125f, 0.875f, 0.75f, 0.25f, 0.9375f, 0.0625f,
                 0.0625f, 0.5f, 0x1p-20f);
        },
        [](double& w, double& m, double& v, double g) {
          g += 0.125 * w, m = 0.75 * m + 0.25 * g, v = 0.9375 * v + 0.0625 * g * g;
          w = 0.875 * w - 0.0625 * m / (sqrt(v) / 0.5 + 0x1p-20);
        });
  value = start;
  K.clear(team, value, n, nullptr, 1);
  for (Size i = 0; i < n; i++) expectTrue("clear", value[i] == 0, "left something");
}

/// Every third row of a matrix, by its number: the same bits as an update of all, and no other row is touched.
static void rowUpdates(Team& team, Size count, Size cols) {
  snprintf(where, sizeof where, "(%d of %d), %d threads,", int(count), int(cols), team.threads);
  const Size rows = 3 * count, n = rows * cols;
  const Floats start(n, 7), m0(n, 9), gradient(n, 8);
  Floats value(n), m(n), v(n), all(n), allM(n), allV(n);
  Buffer<int32_t> list(count);
  Buffer<double> sums(rows);
  for (Size i = 0; i < count; i++) list[i] = static_cast<int32_t>(3 * i + 1);
  const auto check = [&](const char* what, auto run) {
    value = start, all = start, m = m0, allM = m0;
    for (Size i = 0; i < n; i++) v[i] = allV[i] = fabsf(m0.data[i]) + 0.01f;
    run(value, m, v, cols, list.data, count);
    run(all, allM, allV, n, static_cast<const int32_t*>(nullptr), 1);
    for (Size i = 0; i < n; i++) {
      const bool listed = i / cols % 3 == 1;
      expectTrue(what, value[i] == (listed ? all[i] : start.data[i]), "is not the update of all");
      expectTrue(what, m[i] == (listed ? allM[i] : m0.data[i]), "is not the update of all");
      expectTrue(what, listed ? v[i] == allV[i] : v[i] == fabsf(m0.data[i]) + 0.01f, "is not the update of all");
    }
  };
  const float* g = gradient.data;
  check("sgd of rows", [&](float* w, float* m, float*, Size n, const int32_t* list, Size count) {
    K.sgd(team, w, g, m, n, list, count, 0.5f, 0.125f, 0.75f, 0.0625f);
  });
  check("rmsprop of rows", [&](float* w, float*, float* v, Size n, const int32_t* list, Size count) {
    K.rmsprop(team, w, g, v, n, list, count, 0.5f, 0.125f, 0.75f, 0.25f, 0.0625f, 0x1p-20f);
  });
  check("adam of rows", [&](float* w, float* m, float* v, Size n, const int32_t* list, Size count) {
    K.adam(team, w, g, m, v, n, list, count, 0.5f, 0.125f, 0.875f, 0.75f, 0.25f, 0.9375f, 0.0625f, 0.0625f, 0.5f,
           0x1p-20f);
  });
  double squares = 0, listed = 0;
  for (Size i = 0; i < n; i++) {
    const double square = double(g[i]) * g[i];
    squares += square;
    if (i / cols % 3 == 1) listed += square;
  }
  expectNumber("sumSquaresOfRows", K.sumSquaresOfRows(team, g, cols, nullptr, rows, sums), squares, 1e-9 * squares);
  const double got = K.sumSquaresOfRows(team, g, cols, list, count, sums);
  expectNumber("sumSquaresOfRows, listed", got, listed, 1e-9 * listed);
  value = start;
  for (Size i = 0; i < n; i++)
    if (i / cols % 3 != 1) value[i] = 0;
  expectTrue("sumSquaresOfRows", K.sumSquaresOfRows(team, value, cols, nullptr, rows, sums) ==
             K.sumSquaresOfRows(team, value, cols, list, count, sums), "depends on rows of zeros");
  K.clear(team, value, cols, list, count);
  for (Size i = 0; i < n; i++) expectTrue("clear of rows", value[i] == 0, "left something, or cleared too much");
}

static double sigmoidOf(double x) { return x < 0 ? exp(x) / (1 + exp(x)) : 1 / (1 + exp(-x)); }

static void lstm(Team& team, Size rows, Size H) {
  snprintf(where, sizeof where, "(%d, %d), %d threads,", int(rows), int(H), team.threads);
  Floats gates(rows * 4 * H, 1), before(rows * H, 2), c(rows * H), h(rows * H), tanhC(rows * H);
  Floats dh(rows * H, 3), dc(rows * H, 4);
  for (Size i = 0; i < gates.length; i++) gates[i] *= 4;
  const size_t units = static_cast<size_t>(rows * H);
  Doubles wantC(units), wantTanh(units), wantH(units), wantDc(units), slopes(4 * units);
  for (Size at = 0; at < rows * H; at++) {
    const Size net = at / H * 4 * H + at % H;
    const double i = sigmoidOf(gates[net]), f = sigmoidOf(gates[net + H]), g = tanh(double(gates[net + 2 * H]));
    const double o = sigmoidOf(gates[net + 3 * H]), next = f * before[at] + i * g, y = tanh(next);
    const double d = dc[at] + dh[at] * o * (1 - y * y);
    const size_t u = static_cast<size_t>(at), s = static_cast<size_t>(net), step = static_cast<size_t>(H);
    wantC[u] = next, wantTanh[u] = y, wantH[u] = o * y, wantDc[u] = d * f;
    slopes[s] = d * g * i * (1 - i), slopes[s + step] = d * before[at] * f * (1 - f);
    slopes[s + 2 * step] = d * i * (1 - g * g), slopes[s + 3 * step] = dh[at] * y * o * (1 - o);
  }
  K.lstmForward(team, rows, H, gates, before, c, h, tanhC);
  expectClose("lstm c", c, wantC, around(wantC, 8, 0.25));
  expectClose("lstm tanh c", tanhC, wantTanh, around(wantTanh, 8, 0.25));
  expectClose("lstm h", h, wantH, around(wantH, 8, 0.25));
  K.lstmBackward(team, rows, H, gates, before, tanhC, dh, dc);
  expectClose("lstm gate gradients", gates, slopes, around(slopes, 8, 0.25));
  expectClose("lstm dc", dc, wantDc, around(wantDc, 8, 0.25));
}

/// Distance in units of the last place of float32 at the exact value.
static double ulps(float got, double exact) {
  const int exponent = exact == 0 ? -126 : ilogb(exact);
  return fabs(static_cast<double>(got) - exact) / ldexp(1, (exponent < -126 ? -126 : exponent) - 23);
}

/// sigmoid and tanh through the gates of one row: 3 and 2 ulp, 1 ulp beyond 5, saturated where float32 is.
static void activations(Team& team) {
  snprintf(where, sizeof where, "%d threads,", team.threads);
  const Size n = 60001;
  Floats gates(4 * n), before(n), c(n), h(n), tanhC(n);
  const auto x = [](Size i) { return -30 + static_cast<float>(i) / 1000; };
  for (Size i = 0; i < 4 * n; i++) gates[i] = x(i % n);
  K.lstmForward(team, 1, n, gates, before, c, h, tanhC);
  double worst[4] = {};
  for (Size i = 0; i < n; i++) {
    const double errors[] = {ulps(gates[i], sigmoidOf(x(i))), ulps(gates[2 * n + i], tanh(double(x(i))))};
    worst[0] = fmax(worst[0], errors[0]), worst[1] = fmax(worst[1], errors[1]);
    if (x(i) > 5) worst[2] = fmax(worst[2], errors[0]);
    if (fabsf(x(i)) > 5) worst[3] = fmax(worst[3], errors[1]);
  }
  char text[96];
  snprintf(text, sizeof text, "%.2f and %.2f ulp, beyond 5 %.2f and %.2f", worst[0], worst[1], worst[2], worst[3]);
  expectTrue("sigmoid and tanh", worst[0] <= 3 && worst[1] <= 2 && worst[2] <= 1 && worst[3] <= 1, text);

  const float points[] = {9.02f, 17.35f, 100, INFINITY, -110, -INFINITY, NAN};
  const double sigmoids[] = {-1, 1, 1, 1, 0, 0, NAN}, tanhs[] = {1, 1, 1, 1, -1, -1, NAN};
  const Size few = 7;
  for (Size i = 0; i < 4 * few; i++) gates[i] = points[i % few];
  K.lstmForward(team, 1, few, gates, before, c, h, tanhC);
  const auto same = [](double got, double wanted) { return wanted != wanted ? got != got : got == wanted; };
  for (Size i = 0; i < few; i++)
    expectTrue("sigmoid and tanh", (sigmoids[i] < 0 || same(gates[i], sigmoids[i])) && same(gates[2 * few + i], tanhs[i]),
               "not saturated as float32 is");
  expectTrue("lstm", tanhC[few - 1] != tanhC[few - 1], "a NaN did not reach tanh c");
}

/// All that one layer's time loops work on.
struct Layer {
  Size steps, rows, H;
  bool pairs;
  Site site;
  Floats w, nt, nn, c, h, tanhC, dy, dh, dc;
  double macs = 0;

  Layer(Team& team, Size steps, Size rows, Size H, bool pairs)
      : steps(steps), rows(rows), H(H), pairs(pairs), site(steps * rows, 4 * H, 4), w(4 * H * H, 31),
        nt(panels(4 * H) * (pairs ? (H + 1) / 2 : H)), nn(panels(H) * 4 * H), c((steps + 1) * rows * H, 32), h((steps + 1) * rows * H, 33), tanhC(steps * rows * H),
        dy(steps * rows * H, 34), dh(rows * H, 35), dc(rows * H, 36) {
    (pairs ? K.packTransposedPairs : K.packTransposedPanels)(team, 4 * H, H, w, nt);
    K.packPanels(team, 4 * H, H, w, nn);
  }

  void stepByStep(Team& team, Size kind, Size flags, double full) {
    const Size block = rows * H;
    for (Size t = 0; t < steps; t++) {
      (pairs ? K.productPairs : K.product)(team, rows, 4 * H, H, h + t * block, nt, site.g + 4 * t * block);
      K.lstmForward(team, rows, H, site.g + 4 * t * block, c + t * block, c + (t + 1) * block, h + (t + 1) * block,
                    tanhC + t * block);
    }
    for (Size t = steps - 1; t >= 0; t--) {
      float* g = site.g + 4 * t * block;
      K.addInto(team, dh, dy + t * block, block);
      K.lstmBackward(team, rows, H, g, c + t * block, tanhC + t * block, dh, dc);
      if (flags) site.sweep(team, kind, t * rows, rows, flags);
      memset(dh, 0, static_cast<size_t>(block) * 4);
      if (!(flags & LISTS)) {
        K.product(team, rows, H, 4 * H, g, nn, dh);
        macs += static_cast<double>(rows * 4 * H * H);
      } else
        macs += K.sparseProduct(team, rows, 4 * H, H, g, site.counts + t * rows, site.starts + t * rows * (site.tiles + 1),
                                site.values, site.offsets, nn, dh, full);
    }
  }
  void whole(Team& team, Size kind, Size flags, double full) {
    K.lstmForwardLoop(team, steps, rows, H, site.g, nt, pairs, c, h, tanhC);
    K.lstmRestate(team, steps, rows, H, site.g, c, tanhC);  // over themselves, to the same bits
    macs = K.lstmBackwardLoop(team, steps, rows, H, 0, 0, site.g, c, tanhC, dh, dc, dy, 1, kind, site.tau, KEY,
                              site.sums, site.histogram, flags, site.bitmap, site.counts, site.values, site.offsets,
                              site.starts, site.partials, nullptr, nullptr, nn, full);
  }
};

/// Whole time loops give the bits of their steps.
static void timeLoops(Team& team, Size steps, Size rows, Size H, bool pairs = false) {
  if (!pairs && hasPairs(K)) timeLoops(team, steps, rows, H, true);
  snprintf(where, sizeof where, "(%d, %d, %d), %d threads,", int(steps), int(rows), int(H), team.threads);
  for (const Rule& rule : rules) {
    if (rule.sweeps[1]) continue;
    for (const Size flags : {rule.sweeps[0], Size{0}}) {
      Layer a(team, steps, rows, H, pairs), b(team, steps, rows, H, pairs);
      for (Size i = 0; i < 4; i++) a.site.tau[i] = b.site.tau[i] = rule.tau * 0.03f;
      a.stepByStep(team, rule.kind, flags, 0.45), b.whole(team, rule.kind, flags, 0.45);
      const auto expectSame = [](const char* what, const auto& x, const auto& y) {
        addBits(x.data, static_cast<size_t>(x.length));
        expectTrue(what, memcmp(x.data, y.data, static_cast<size_t>(x.length) * sizeof *x.data) == 0,
                   "the whole loop has other bits");
      };
      expectSame("h", a.h, b.h), expectSame("c", a.c, b.c), expectSame("tanh c", a.tanhC, b.tanhC);
      expectSame("gate gradients", a.site.g, b.site.g), expectSame("dh", a.dh, b.dh), expectSame("dc", a.dc, b.dc);
      expectSame("sums", a.site.sums, b.site.sums), expectSame("histogram", a.site.histogram, b.site.histogram);
      expectSame("bitmap", a.site.bitmap, b.site.bitmap), expectSame("counts", a.site.counts, b.site.counts);
      if (flags) b.site.expectPattern(flags & LISTS);
      expectNumber("multiply-accumulates of dh", a.macs, b.macs, 0);
    }
  }
}

#include "harness-layers.h"

static void everything(int threads) {
  Buffer<Scratch> scratch(threads);
  Floats xPanels(X_FLOATS);
  Team team;
  team.threads = threads;
  team.scratch = scratch;
  team.xPanels = xPanels;
  const Size shapes[][3] = {{1, 1, 1},    {3, 5, 7},      {16, 16, 16},  {32, 512, 128}, {260, 300, 37},
                            {7, 129, 65}, {129, 131, 70}, {13, 96, 600}, {50, 256, 63},  {5, 1000, 33}};
  for (const auto& [rows, n, k] : shapes) products(team, rows, n, k);
  for (Size width = 1; width <= 17; width++) products(team, width, 18 - width, width), products(team, 3, width, 5);
  products(team, 300, 10, 4100, 2);  // wider than the panels of x hold
  for (const auto& [rows, n, k] : shapes) liveProducts(team, 3, rows % 40, n, k);
  for (Size width = 1; width <= 17; width++) liveProducts(team, 2, width, 18 - width, width);
  liveProducts(team, 1, 1100, 20, 9), liveProducts(team, 2, 130, 5, 1060), liveProducts(team, 2, 3, 66000, 2);
  for (const auto& [rows, n, k] : shapes) choosing(team, 2, rows % 140, n, k);
  for (Size width = 1; width <= 17; width++) choosing(team, 3, 18 - width, 4 * width, width);
  choosing(team, 1, 1100, 20, 9), choosing(team, 1, 3, 30, 2100), choosing(team, 2, 9, 20000, 2);
  oddGradients(team);
  for (Size cols = 1; cols <= 33; cols++)
    rowKernels(team, 9, cols), losses(team, 7, cols), lstm(team, 3, cols), updates(team, cols), rowUpdates(team, 5, cols);
  rowKernels(team, 700, 130), rowKernels(team, 2, 40000), losses(team, 90, 1000), losses(team, 1100, 3);
  lstm(team, 50, 130), updates(team, 100003), rowUpdates(team, 40, 1500);
  for (Size H = 1; H <= 17; H++) timeLoops(team, 2, 3, H);
  timeLoops(team, 3, 50, 64), timeLoops(team, 2, 9, 130), timeLoops(team, 1, 270, 64), timeLoops(team, 2, 20, 192);
  activations(team);
  layers(team);
}

int main(int argc, char** argv) {
#if !defined(__SANITIZE_ADDRESS__)
  signal(SIGSEGV, outOfBounds), signal(SIGBUS, outOfBounds);
#endif
  const char* all[] = {argv[0], "heap", "end", "start"};
  if (argc < 2) argv = const_cast<char**>(all), argc = 4;
  uint64_t first = 0;
  for (int i = 1; i < argc; i++) {
    placement = argv[i];
    if (strcmp(placement, "heap") && strcmp(placement, "end") && strcmp(placement, "start")) {
      printf("unknown place of buffers %s: heap, end or start\n", placement);
      return 2;
    }
    for (const int threads : {1, 3}) {
      allBits = 0xcbf29ce484222325u;
      everything(threads);
      if (first == 0) first = allBits;
      if (allBits != first) fail("all results", "other bits than with one thread and the first place of buffers");
    }
    printf("%s, buffers at %s: %s\n", K.isa, placement, failures ? "FAILED" : "no finding");
    fflush(stdout);
  }
  return failures ? 1 : 0;
}
