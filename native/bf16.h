// Forward products on operands rounded to bf16 (8 bits of mantissa), summed in float32, where the processor has
// AVX512-BF16. Two neighbours along k make a pair of 4 bytes, so panels and rows of pairs are laid out as those of
// floats are, with half the depth; only the multiply-add differs (vdpbf16ps).
#pragma once

#if defined(__AVX512F__)

#define BF16 __attribute__((target("avx512bf16")))

/// registerTile on pairs: c (M, n) += a (M, 2 depth) b (2 depth, n).
template <int M, int NV>
BF16 static void pairTile(Size depth, const float* a, Size aRow, Size aStep, const float* b, float* c, Size cRow,
                          int last, const char* ahead, Size aheadStep) {
  fetchResult<M, NV>(c, cRow);
  __m512 sum[M][NV];
#pragma GCC unroll 16
  for (int m = 0; m < M; m++)
#pragma GCC unroll 16
    for (int v = 0; v < NV; v++) sum[m][v] = _mm512_setzero_ps();
  for (Size x = 0; x < depth; x++) {
    __builtin_prefetch(ahead);
    ahead += aheadStep;
    __m512bh row[NV];
#pragma GCC unroll 16
    for (int v = 0; v < NV; v++) row[v] = (__m512bh)_mm512_loadu_ps(b + v * W);
#pragma GCC unroll 16
    for (int m = 0; m < M; m++) {
      const __m512bh factor = (__m512bh)_mm512_set1_ps(a[m * aRow]);
#pragma GCC unroll 16
      for (int v = 0; v < NV; v++) sum[m][v] = _mm512_dpbf16_ps(sum[m][v], factor, row[v]);
    }
    a += aStep;
    b += PANEL;
  }
#pragma GCC unroll 16
  for (int m = 0; m < M; m++) {
    float* to = c + m * cRow;
#pragma GCC unroll 16
    for (int v = 0; v + 1 < NV; v++) store(to + v * W, load(to + v * W) + V(sum[m][v]));
    float* end = to + (NV - 1) * W;
    if (last == W)
      store(end, load(end) + V(sum[m][NV - 1]));
    else
      store(end, load(end, Some{last}) + V(sum[m][NV - 1]), Some{last});
  }
}

template <int M, int NV>
constexpr RegisterTile pairTileFor() {
  if constexpr (M * NV <= TILE_REGISTERS && M <= MOST_ROWS && NV <= TILE_VECTORS)
    return pairTile<M, NV>;
  else
    return nullptr;
}
#define TILES(M) {pairTileFor<M, 1>(), pairTileFor<M, 2>(), pairTileFor<M, 3>(), pairTileFor<M, 4>()}
static const RegisterTiles pairTiles = {{TILES(1), TILES(2), TILES(3), TILES(4), TILES(5), TILES(6), TILES(7), TILES(8),
                                         TILES(9), TILES(10), TILES(11), TILES(12)}};
#undef TILES

/// A row of k floats as ceil(k / 2) pairs, rounded to the nearest, ties to even; the second of an odd last one is 0.
BF16 static void toPairs(Size k, const float* from, float* to) {
  for (Size i = 0; i < k; i += 2 * W) {
    const Size left = k - i;
    if (left >= 2 * W) {
      const __m512bh pairs = _mm512_cvtne2ps_pbh(_mm512_loadu_ps(from + i + W), _mm512_loadu_ps(from + i));
      _mm512_storeu_ps(to + i / 2, (__m512)pairs);
      continue;
    }
    const __m512 low = _mm512_maskz_loadu_ps(lanes(static_cast<int>(least(W, left))), from + i);
    const __m512 high =
        left > W ? _mm512_maskz_loadu_ps(lanes(static_cast<int>(left - W)), from + i + W) : _mm512_setzero_ps();
    _mm512_mask_storeu_ps(to + i / 2, lanes(static_cast<int>(ceilDiv(left, 2))),
                          (__m512)_mm512_cvtne2ps_pbh(high, low));
  }
}

/// Pairs of a thread's block of a weight, in its lists' room.
constexpr Size PAIR_COLUMNS = 256;
static_assert(PANEL * PAIR_COLUMNS <= TILE * COLUMN_ROOM, "a block of pairs lies where lists do");

/// Panels [rows / 64][ceil(cols / 2)][64] of pairs of the transpose of a (rows, cols) matrix; padding stays as it was.
static void packTransposedPairs(Team& team, Size rows, Size cols, const float* from, float* to) {
  const Size pairs = ceilDiv(cols, 2);
  parallel(team, ceilDiv(rows, PANEL), 0.2 * rows * cols, [=, &team](Size panel, int thread) {
    float* block = team.scratch[thread].values;
    const Size row = panel * PANEL;
    const Size height = least(PANEL, rows - row);
    for (Size p = 0; p < pairs; p += PAIR_COLUMNS) {
      const Size width = least(PAIR_COLUMNS, pairs - p);
      for (Size r = 0; r < height; r++)
        toPairs(least(2 * width, cols - 2 * p), from + (row + r) * cols + 2 * p, block + r * width);
      transposeBlock(height, width, block, width, to + row * pairs + p * PANEL, PANEL);
    }
  });
}

/// The rows of w (n, k) in the list into its panels of pairs again, [n / 64][ceil(k / 2)][64].
static void packPairRows(Team& team, Size k, const float* from, float* to, const int32_t* list, Size count) {
  constexpr Size ROWS = 8;  // of a task
  const Size pairs = ceilDiv(k, 2);
  parallel(team, ceilDiv(count, ROWS), 0.8 * count * k, [=, &team](Size task, int thread) {
    float* block = team.scratch[thread].values;
    for (Size i = task * ROWS; i < least(count, (task + 1) * ROWS); i++) {
      const Size row = list[i];
      for (Size p = 0; p < pairs; p += PAIR_COLUMNS) {
        const Size width = least(PAIR_COLUMNS, pairs - p);
        toPairs(least(2 * width, k - 2 * p), from + row * k + 2 * p, block);
        float* column = to + row / PANEL * PANEL * pairs + p * PANEL + row % PANEL;
        for (Size q = 0; q < width; q++) column[q * PANEL] = block[q];
      }
    }
  });
}

/// vdpbf16ps does twice the multiply-adds of a float's.
constexpr double PAIR_FLOPS_PER_NS = 2 * DENSE_FLOPS_PER_NS;

/// Rows of `a` whose pairs fit in the team's panels at once.
INLINE Size pairRows(Size k) { return most(1, least(DENSE_ROWS, X_FLOATS / ceilDiv(k, 2))); }

/// rows of a (k) as pairs, in the team's panels, which no forward product needs.
static const float* pairsOf(Team& team, Size rows, Size k, const float* a) {
  const Size pairs = ceilDiv(k, 2);
  for (Size r = 0; r < rows; r++) toPairs(k, a + r * k, team.xPanels + r * pairs);
  return team.xPanels;
}

/// c (m, n) += a (m, k) b (k, n), both rounded to bf16; b in panels of pairs.
static void productPairs(Team& team, Size m, Size n, Size k, const float* a, const float* b, float* c) {
  const Size block = pairRows(k);
  for (Size row = 0; row < m; row += block) {
    const Size height = least(block, m - row);
    blockProduct(team, pairTiles, height, n, ceilDiv(k, 2), pairsOf(team, height, k, a + row * k), b, c + row * n,
                 2.0 * height * n * k / PAIR_FLOPS_PER_NS);
  }
}

#undef BF16
constexpr bool HAVE_PAIRS = true;
#else
static const RegisterTiles& pairTiles = registerTiles;  // never used
static void packTransposedPairs(Team&, Size, Size, const float*, float*) {}
static void productPairs(Team&, Size, Size, Size, const float*, const float*, float*) {}
static void packPairRows(Team&, Size, const float*, float*, const int32_t*, Size) {}
INLINE Size pairRows(Size) { return 0; }
static const float* pairsOf(Team&, Size, Size, const float*) { return nullptr; }
constexpr double PAIR_FLOPS_PER_NS = 1;
constexpr bool HAVE_PAIRS = false;
#endif
