// Structured dropout's products against the dense ones over the zeroed factor, at a share of 0.5 live: how much faster
// they are, and for the forward product two variants: an index list in the depth loop (`listed`, native/live.h), and
// copies of the live rows of a panel that the dense kernel then meets (`copied`).
//
//   node lab/native/run.mjs [ISA] --program live [N,K,B,T ...]
//
// Time is that of the thread, not of the clock: other processes disturb it less. Medians.
#include "../../native/kernels.cpp"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <algorithm>
#include <vector>

static const Kernels& K = ISA_TABLE;
static Team team;

static double threadTime() {
  timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

template <class F>
static double median(F run, double budget = 0.2) {
  std::vector<double> times;
  double spent = 0;
  run();
  while (times.size() < 5 || (spent < budget && times.size() < 200)) {
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
  T* x = static_cast<T*>(aligned_alloc(4096, (static_cast<size_t>(n) * sizeof(T) + 4096) / 4096 * 4096));
  memset(x, 0, static_cast<size_t>(n) * sizeof(T));
  return x;
}

static float* randoms(Size n, uint32_t seed) {
  float* x = make<float>(n);
  uint32_t s = seed * 2654435761u + 12345;
  for (Size i = 0; i < n; i++) {
    s ^= s << 13, s ^= s >> 17, s ^= s << 5;
    x[i] = static_cast<float>(s) / 2147483648.0f - 1;
  }
  return x;
}

/// The variant that lost: live rows of each panel are copied for every time.
static void copiedProduct(Size times, Size rows, Size n, Size k, const float* a, const float* panels,
                          const int32_t* list, const int32_t* counts, float* c) {
  float* packed = team.xPanels;
  float* panel = team.scratch[0].turned;
  for (Size t = 0; t < times; t++)
    for (Size r = 0; r < rows; r++)
      for (Size x = 0; x < counts[t]; x++) packed[(t * rows + r) * k + x] = a[(t * rows + r) * k + list[t * k + x]];
  for (Size j = 0; j < n; j += PANEL)
    for (Size t = 0; t < times; t++) {
      for (Size x = 0; x < counts[t]; x++)
        memcpy(panel + x * PANEL, panels + j * k + list[t * k + x] * PANEL, PANEL * sizeof(float));
      isa::panelProduct(isa::registerTiles, rows, std::min(PANEL, n - j), counts[t], packed + t * rows * k, k, 1, panel,
                        c + t * rows * n + j, n);
    }
}

static double worst(const float* a, const float* b, Size n) {
  double most = 0;
  for (Size i = 0; i < n; i++) most = std::max(most, static_cast<double>(fabsf(a[i] - b[i])));
  return most;
}

static void shape(Size N, Size D, Size B, Size T) {
  const Size rows = B * T;
  const auto panels = [](Size n) { return (n + PANEL - 1) / PANEL * PANEL; };
  float *x = randoms(rows * D, 1), *w = randoms(N * D, 2), *g = randoms(rows * N, 3);
  int32_t *list = make<int32_t>(T * D), *counts = make<int32_t>(T);
  for (Size t = 0; t < T; t++)
    for (Size q = 0; q < D; q++) {
      const bool kept = isa::mixBits(static_cast<uint32_t>(t * D + q)) & 1;
      if (kept) list[t * D + counts[t]++] = static_cast<int32_t>(q);
      for (Size b = 0; !kept && b < B; b++) x[(t * B + b) * D + q] = 0;
    }
  float *nt = make<float>(panels(N) * D), *nn = make<float>(panels(D) * N);
  K.packTransposedPanels(team, N, D, w, nt);
  K.packPanels(team, N, D, w, nn);
  float *outN = make<float>(rows * N), *outN2 = make<float>(rows * N), *outK = make<float>(rows * D),
        *outK2 = make<float>(rows * D), *dW = make<float>(N * D), *dW2 = make<float>(N * D);

  K.product(team, rows, N, D, x, nt, outN);
  K.liveProduct(team, T, B, N, D, x, nt, list, counts, outN2);
  const double forwardError = worst(outN, outN2, rows * N);
  K.product(team, rows, D, N, g, nn, outK);
  K.liveProductNN(team, T, B, N, D, g, nt, list, counts, outK2);
  double backwardError = 0;
  for (Size t = 0; t < T; t++)
    for (Size b = 0; b < B; b++)
      for (Size q = 0; q < counts[t]; q++) {
        const Size at = (t * B + b) * D + list[t * D + q];
        backwardError = std::max(backwardError, static_cast<double>(fabsf(outK[at] - outK2[at])));
      }
  K.productTN(team, rows, N, D, g, x, dW);
  K.liveProductTN(team, T, B, N, D, g, x, list, counts, dW2);
  printf("\n%s  N %d  K %d  B %d  T %d   largest differences: forward %.1e, dx %.1e, dW %.1e\n", K.isa, static_cast<int>(N),
         static_cast<int>(D), static_cast<int>(B), static_cast<int>(T), forwardError, backwardError,
         worst(dW, dW2, N * D));

  const auto row = [](const char* name, double dense, double live) {
    printf("%-18s dense %8.2f ms   live %8.2f ms   %5.2fx\n", name, dense, live, dense / live);
  };
  const double forward = median([&] { K.product(team, rows, N, D, x, nt, outN); });
  row("forward, listed", forward, median([&] { K.liveProduct(team, T, B, N, D, x, nt, list, counts, outN2); }));
  if (rows * D <= X_FLOATS)
    row("forward, copied", forward, median([&] { copiedProduct(T, B, N, D, x, nt, list, counts, outN2); }));
  row("dx", median([&] { K.product(team, rows, D, N, g, nn, outK); }),
      median([&] { K.liveProductNN(team, T, B, N, D, g, nt, list, counts, outK2); }));
  row("dW", median([&] { K.productTN(team, rows, N, D, g, x, dW); }),
      median([&] { K.liveProductTN(team, T, B, N, D, g, x, list, counts, dW2); }));
  row("hU, t by t", median([&] {
        for (Size t = 0; t < T; t++) K.product(team, B, N, D, x + t * B * D, nt, outN + t * B * N);
      }),
      median([&] {
        for (Size t = 0; t < T; t++)
          K.liveProduct(team, 1, B, N, D, x + t * B * D, nt, list + t * D, counts + t, outN2 + t * B * N);
      }));
  row("dh, t by t", median([&] {
        for (Size t = 0; t < T; t++) K.product(team, B, D, N, g + t * B * N, nn, outK + t * B * D);
      }),
      median([&] {
        for (Size t = 0; t < T; t++)
          K.liveProductNN(team, 1, B, N, D, g + t * B * N, nt, list + t * D, counts + t, outK2 + t * B * D);
      }));
}

int main(int count, char** shapes) {
  setvbuf(stdout, nullptr, _IOLBF, 0);
  team.scratch = make<Scratch>(1);
  team.xPanels = make<float>(X_FLOATS);
  for (int i = 1; i < count; i++) {
    int N, D, B, T;
    if (sscanf(shapes[i], "%d,%d,%d,%d", &N, &D, &B, &T) == 4) shape(N, D, B, T);
  }
}
