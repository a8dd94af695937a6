// Calls every kernel of one instruction set on odd shapes, in heap buffers of exactly the size the
// contract gives, so that AddressSanitizer sees a read or write one element too far.
// scripts/sanitize-native.mjs compiles and runs it.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vector>

#include "kernels.h"

extern const Kernels ISA_TABLE;
static const Kernels& K = ISA_TABLE;
static int failures = 0;

/// A buffer on the heap, filled with numbers in (-1, 1). The memory right behind it is poisoned.
template <class T>
struct Buffer {
  T* data;
  Size length;
  explicit Buffer(Size n, uint32_t seed = 0) : data(static_cast<T*>(malloc(static_cast<size_t>(n) * sizeof(T)))), length(n) {
    for (Size i = 0; i < n; i++) data[i] = seed ? static_cast<T>(random(seed)) : T{};
  }
  Buffer(const Buffer& other) : Buffer(other.length) { memcpy(data, other.data, static_cast<size_t>(length) * sizeof(T)); }
  ~Buffer() { free(data); }
  operator T*() { return data; }
  static float random(uint32_t& s) {
    s = s * 1664525u + 1013904223u;
    return static_cast<float>(static_cast<int32_t>(s)) / 2147483648.0f;
  }
};
using Floats = Buffer<float>;

static Size panels(Size n) { return (n + PANEL - 1) / PANEL * PANEL; }

static void expectClose(const char* what, Size rows, Size n, Size k, const float* got, const std::vector<double>& wanted,
                        double bound) {
  for (size_t i = 0; i < wanted.size(); i++) {
    const double error = static_cast<double>(got[i]) - wanted[i];
    if (error <= bound && error >= -bound) continue;
    printf("%s %s (%ld, %ld, %ld): element %zu is %g, expected %g\n", K.isa, what, long(rows), long(n), long(k), i,
           static_cast<double>(got[i]), wanted[i]);
    failures++;
    return;
  }
}

static void products(Team& team, Size rows, Size n, Size k) {
  Floats w(n * k, 1), x(rows * k, 2), g(rows * n, 3), outN(rows * n), outK(rows * k), outNK(n * k);
  Floats nt(panels(n) * k), nn(panels(k) * n), columns(n * k);
  K.packTransposedPanels(team, n, k, w, nt);
  K.packPanels(team, n, k, w, nn);
  K.transpose(team, n, k, w, columns);
  const double bound = 2e-6 * static_cast<double>(n + k + rows);
  std::vector<double> wantN(static_cast<size_t>(rows * n)), wantK(static_cast<size_t>(rows * k)), wantNK(static_cast<size_t>(n * k));
  const auto reference = [&] {
    for (auto* all : {&wantN, &wantK, &wantNK}) all->assign(all->size(), 0.0);
    for (Size r = 0; r < rows; r++)
      for (Size i = 0; i < n; i++)
        for (Size j = 0; j < k; j++) {
          wantN[static_cast<size_t>(r * n + i)] += double(x[r * k + j]) * w[i * k + j];
          wantK[static_cast<size_t>(r * k + j)] += double(g[r * n + i]) * w[i * k + j];
          wantNK[static_cast<size_t>(i * k + j)] += double(g[r * n + i]) * x[r * k + j];
        }
  };
  reference();
  K.product(team, rows, n, k, x, nt, outN);
  K.product(team, rows, k, n, g, nn, outK);
  K.productTN(team, rows, n, k, g, x, outNK);
  expectClose("product nt", rows, n, k, outN, wantN, bound);
  expectClose("product nn", rows, n, k, outK, wantK, bound);
  expectClose("product tn", rows, n, k, outNK, wantNK, bound);

  // Sparse: one group, then as many as divide n.
  const Size room = n + LIST_SLACK, words = (n + 31) / 32, starts = (n + TILE - 1) / TILE + 1;
  for (const Size groups : {Size{1}, n % 4 == 0 ? Size{4} : Size{1}})
    for (const Size kind : {THRESHOLD, STOCHASTIC})
      for (const float tau : {-1.0f, 0.3f, 0.9f, 2.0f})
        for (const double full : {0.5, 2.0}) {
          Buffer<uint32_t> bitmap(rows * words), pieces(rows * starts);
          Buffer<int32_t> counts(rows), histogram(groups * 1024);
          Floats values(rows * room), taus(groups);
          Buffer<uint16_t> offsets((rows * room + 1) / 2 * 2);
          Buffer<double> sums(groups * 5), partials(64 * groups * 4);
          for (Size i = 0; i < groups; i++) taus[i] = tau;
          Floats copy(g);
          for (const Size flags : {BEFORE, AFTER | INDEX, BEFORE | AFTER | INDEX | LISTS})
            K.compress(team, g, rows, n, groups, 0, kind, taus, 7, sums, histogram, flags, bitmap, counts, values,
                       offsets, pieces, partials);
          reference();
          memset(outK, 0, static_cast<size_t>(rows * k) * sizeof(float));
          memset(outNK, 0, static_cast<size_t>(n * k) * sizeof(float));
          K.sparseProduct(team, rows, n, k, g, counts, pieces, values, offsets, nn, outK, full);
          K.sparseProductTN(team, rows, n, k, g, counts, pieces, values, offsets, x, outNK, full);
          expectClose("sparse nn", rows, n, k, outK, wantK, bound);
          expectClose("sparse tn", rows, n, k, outNK, wantNK, bound);
          memcpy(g, copy, static_cast<size_t>(rows * n) * sizeof(float));
        }
}

static void rowKernels(Team& team, Size rows, Size cols) {
  const Size limit = 5;
  Floats out(rows * cols, 1), a(rows * cols, 2), bias(cols, 3), bias2(cols, 4), table(limit * cols, 5), w(cols * limit, 6);
  Floats sums(limit * cols);
  Buffer<int32_t> index(rows), touched(limit);
  for (Size r = 0; r < rows; r++) index[r] = static_cast<int32_t>(r * 3 % limit);
  K.addInto(team, out, a, rows * cols);
  K.setRows(team, out, rows, cols, bias, bias2);
  K.setRows(team, out, rows, cols, bias, nullptr);
  K.addColumnSums(team, bias, a, rows, cols);
  K.gatherRows(team, out, table, index, rows, cols, limit);
  K.scatterRows(team, table, index, a, rows, cols, limit);
  K.lookupGradient(team, w, index, a, rows, cols, limit, sums, touched);
  K.dropout(team, out, a, rows * cols, 1u << 31, 2, 9);
  for (Size r = 0; r < rows; r++) index[r] = static_cast<int32_t>(r % cols);
  K.softmaxCrossEntropy(team, out, index, rows, cols, 0);
  K.softmaxCrossEntropy(team, out, index, rows, cols, 1);
  K.squaredError(team, out, a, rows * cols, 1);
  index[rows - 1] = static_cast<int32_t>(limit);
  K.gatherRows(team, out, table, index, rows, cols, limit);
  K.scatterRows(team, table, index, a, rows, cols, limit);
  K.lookupGradient(team, w, index, a, rows, cols, limit, sums, touched);
  index[rows - 1] = -1;
  K.softmaxCrossEntropy(team, out, index, rows, cols, 1);
  if (team.badRow != rows - 1) printf("an index out of range went unseen\n"), failures++;
  team.badRow = -1;

  const Size n = rows * cols;
  Floats value(n, 7), gradient(n, 8), m(n), v(n);
  K.sgd(team, value, gradient, nullptr, n, 1, 0.1f, 0, 0.1f);
  K.sgd(team, value, gradient, m, n, 1, 0.1f, 0.9f, 0.1f);
  K.rmsprop(team, value, gradient, v, n, 1, 0.1f, 0.9f, 0.1f, 0.1f, 1e-8f);
  K.adam(team, value, gradient, m, v, n, 1, 0.1f, 1, 0.9f, 0.1f, 0.99f, 0.01f, 0.1f, 0.5f, 1e-8f);
  if (!(K.sumSquares(team, value, n) > 0)) printf("sumSquares\n"), failures++;
}

static void lstm(Team& team, Size rows, Size hidden) {
  Floats gates(rows * 4 * hidden, 1), before(rows * hidden, 2), c(rows * hidden), h(rows * hidden), tanhC(rows * hidden);
  Floats dh(rows * hidden, 3), dc(rows * hidden, 4);
  for (Size i = 0; i < gates.length; i++) gates[i] *= 40;
  K.lstmForward(team, rows, hidden, gates, before, c, h, tanhC);
  K.lstmBackward(team, rows, hidden, gates, before, tanhC, dh, dc);
}

int main() {
  for (const int threads : {1, 3}) {
    Team team;
    team.threads = threads;
    team.scratch = static_cast<Scratch*>(aligned_alloc(64, static_cast<size_t>(threads) * sizeof(Scratch)));
    team.xPanels = static_cast<float*>(aligned_alloc(64, X_FLOATS * sizeof(float)));
    const Size shapes[][3] = {{1, 1, 1},    {3, 5, 7},      {16, 16, 16},  {32, 512, 128}, {260, 300, 37},
                              {7, 129, 65}, {129, 131, 70}, {13, 96, 600}, {50, 256, 63},  {5, 1000, 33}};
    for (const auto& [rows, n, k] : shapes) products(team, rows, n, k);
    for (Size width = 1; width <= 17; width++) products(team, width, 18 - width, width), products(team, 3, width, 5);
    products(team, 300, 10, 4100);  // wider than the panels of x hold
    for (Size cols = 1; cols <= 33; cols++) rowKernels(team, 9, cols), lstm(team, 3, cols);
    rowKernels(team, 700, 130), rowKernels(team, 2, 40000), lstm(team, 50, 130);
    free(team.scratch), free(team.xPanels);
  }
  printf("%s: %s\n", K.isa, failures ? "FAILED" : "no finding");
  return failures ? 1 : 0;
}
