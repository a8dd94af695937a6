// Times the products of one instruction set: GFLOP/s of the dense ones, and how much faster the sparse
// ones are at several densities, with and without compression.
//
//   node lab/native/run.mjs [ISA] [H,B,T ...]
//
// Time is that of the thread, not of the clock: other processes disturb it less. Medians.
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <algorithm>
#include <vector>

#include "../../native/kernels.h"

extern const Kernels ISA_TABLE;
static const Kernels& K = ISA_TABLE;
static Team team;

static double threadTime() {
  timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

/// Median milliseconds of run(), each after prepare().
template <class P, class F>
static double median(P prepare, F run, double budget = 0.6) {
  std::vector<double> times;
  double spent = 0;
  prepare(), run();
  while (times.size() < 5 || (spent < budget && times.size() < 200)) {
    prepare();
    const double began = threadTime();
    run();
    times.push_back((threadTime() - began) * 1e3);
    spent += times.back() / 1e3;
  }
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

template <class T>
static T* make(Size n) {
  return static_cast<T*>(aligned_alloc(4096, (static_cast<size_t>(n) * sizeof(T) + 4096) / 4096 * 4096));
}

static float* randoms(Size n, uint32_t seed = 1) {
  float* x = make<float>(n);
  uint32_t s = seed * 2654435761u + 12345;
  for (Size i = 0; i < n; i++) {
    s ^= s << 13, s ^= s >> 17, s ^= s << 5;
    x[i] = static_cast<float>(s) / 2147483648.0f - 1;
  }
  return x;
}

static void shape(Size H, Size B, Size T) {
  const Size N = 4 * H, rows = T * B, slack = N + LIST_SLACK, tiles = (N + TILE - 1) / TILE;
  const auto panels = [](Size n) { return (n + PANEL - 1) / PANEL * PANEL; };
  float *w = randoms(N * H), *x = randoms(rows * H, 2), *g = randoms(rows * N, 3), *kept = randoms(rows * N, 3);
  float *nt = make<float>(panels(N) * H), *nn = make<float>(panels(H) * N);
  float *gates = make<float>(rows * N), *dh = make<float>(rows * H), *dW = make<float>(N * H);
  std::fill(gates, gates + rows * N, 0.f), std::fill(dh, dh + rows * H, 0.f), std::fill(dW, dW + N * H, 0.f);
  const auto nothing = [] {};
  const double pack = median(nothing, [&] { K.packTransposedPanels(team, N, H, w, nt), K.packPanels(team, N, H, w, nn); }, 0.1);
  const double gflop = 2e-9 * static_cast<double>(rows * N * H);
  const auto steps = [&](auto f) { for (Size t = T - 1; t >= 0; t--) f(t * B); };
  const double fwd = median(nothing, [&] { steps([&](Size r) { K.product(team, B, N, H, x + r * H, nt, gates + r * N); }); });
  const double xw = median(nothing, [&] { K.product(team, rows, N, H, x, nt, gates); });
  const double dhDense = median(nothing, [&] { steps([&](Size r) { K.product(team, B, H, N, g + r * N, nn, dh); }); });
  const double dxDense = median(nothing, [&] { K.product(team, rows, H, N, g, nn, dh); });
  const double tnDense = median(nothing, [&] { K.productTN(team, rows, N, H, g, x, dW); });
  printf("%s H %ld B %ld T %ld  GFLOP/s: h U^T %.0f  x W^T %.0f  dh %.0f  dx %.0f  dW %.0f;  pack %.2f ms\n", K.isa, long(H),
         long(B), long(T), gflop / fwd * 1e3, gflop / xw * 1e3, gflop / dhDense * 1e3, gflop / dxDense * 1e3,
         gflop / tnDense * 1e3, pack);

  uint32_t* bitmap = make<uint32_t>(rows * (N + 31) / 32 + rows);
  int32_t* counts = make<int32_t>(rows);
  float* values = make<float>(rows * slack);
  uint16_t* offsets = make<uint16_t>(rows * slack);
  uint32_t* starts = make<uint32_t>(rows * (tiles + 1));
  double sums[20] = {}, *partials = make<double>(64 * 16);
  int32_t* histogram = make<int32_t>(4096);
  for (const double density : {0.6, 0.5, 0.4, 0.2, 0.1, 0.05, 0.01}) {
    const float t = static_cast<float>(1 - density), tau[4] = {t, t, t, t};
    const auto compress = [&](Size r) {
      K.compress(team, g + r * N, B, N, 4, r, r, THRESHOLD, tau, 0, sums, histogram, BEFORE | AFTER | INDEX | LISTS,
                 bitmap + r * ((N + 31) / 32), counts + r, values, offsets, starts + r * (tiles + 1), partials, nullptr, nullptr);
    };
    const auto product = [&](Size r) {
      K.sparseProduct(team, B, N, H, g + r * N, counts + r, starts + r * (tiles + 1), values, offsets, nn, dh, 2);
    };
    const auto restoreBlock = [&](Size r) { std::copy(kept + r * N, kept + (r + B) * N, g + r * N); };
    const double copying = median(nothing, [&] { steps(restoreBlock); }, 0.2);
    const double c = median(nothing, [&] { steps([&](Size r) { restoreBlock(r), compress(r); }); }, 0.3) - copying;
    const double d = median(nothing, [&] { steps(product); }, 0.3);
    const double both = c + d;
    const double dx = median(nothing, [&] { K.sparseProduct(team, rows, N, H, g, counts, starts, values, offsets, nn, dh, 2); }, 0.3);
    const double dw = median(nothing, [&] { K.sparseProductTN(team, rows, N, H, g, counts, starts, values, offsets, x, dW, 2); }, 0.3);
    printf("  %4.0f %%: compress %6.2f ms  dh %6.2f (%.2fx, with compress %.2fx)  dx %6.2f (%.2fx)  dW %6.2f (%.2fx)\n",
           100 * density, c, d, dhDense / d, dhDense / both, dx, dxDense / dx, dw, tnDense / dw);
  }
  for (void* p : {(void*)w, (void*)x, (void*)g, (void*)kept, (void*)nt, (void*)nn, (void*)gates, (void*)dh, (void*)dW,
                  (void*)bitmap, (void*)counts, (void*)values, (void*)offsets, (void*)starts, (void*)partials, (void*)histogram})
    free(p);
}

int main(int argc, char** argv) {
  team.scratch = static_cast<Scratch*>(aligned_alloc(64, sizeof(Scratch)));
  team.xPanels = make<float>(X_FLOATS);
  for (int i = 1; i < argc; i++) {
    long H, B, T;
    if (sscanf(argv[i], "%ld,%ld,%ld", &H, &B, &T) == 3) shape(H, B, T);
  }
}
