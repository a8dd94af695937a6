// Products with gradients of which whole columns were dropped, in all rows of a time step: dense products over the
// columns that live. listLive (sparse.h) begins their form: rows of the live columns' values, one behind the other, and
// one list of these columns for the whole block of rows.
#pragma once

/// A block of rows in column form.
struct LiveBlock {
  const float* values;  // (rows, count), rows of `row`
  const int32_t* list;
  Size count, row;
};
INLINE LiveBlock liveBlock(const uint32_t* starts, const float* values, const uint16_t* offsets) {
  return {values + starts[0], liveList(offsets, starts[0]), static_cast<Size>(starts[1]),
          static_cast<Size>(starts[1]) + LIST_SLACK};
}

static double columnMacs(Size times, Size rows, const uint32_t* starts, Size step, Size width) {
  double sum = 0;
  for (Size t = 0; t < times; t++) sum += starts[t * step + 1];
  return sum * static_cast<double>(rows * width);
}

/// out (times * rows, k) += g w, g (times blocks of rows, n) in column form, w (n, k) in panels. Returns the
/// multiply-accumulates.
static double columnProduct(Team& team, Size times, Size rows, Size n, Size k, const uint32_t* starts,
                            const float* values, const uint16_t* offsets, const float* panels, float* out) {
  const Size step = rows * (ceilDiv(n, TILE) + 1);
  const double macs = columnMacs(times, rows, starts, step, k);
  parallel(team, ceilDiv(k, PANEL), 2 * macs / DENSE_FLOPS_PER_NS, [=](Size panel, int) {
    const Size j = panel * PANEL;
    for (Size t = 0; t < times; t++) {
      const LiveBlock g = liveBlock(starts + t * step, values, offsets);
      livePanel(rows, k, g.row, g.values, panels + j * n, g.list, g.count, out + t * rows * k + j,
                least(PANEL, k - j));
    }
  });
  return macs;
}

/// Rows list[m] of out += a^T b, a (depth, M) in rows of aRow, b (depth, columns) a panel, columns = (NV - 1) W + last.
template <int M, int NV>
static void columnTile(Size depth, const float* a, Size aRow, const float* b, float* out, Size outRow,
                       const int32_t* list, int last) {
  float* to[M];
#pragma GCC unroll 16
  for (int m = 0; m < M; m++) {
    to[m] = out + list[m] * outRow;
#pragma GCC unroll 4
    for (int line = 0; line < NV * W; line += LINE) __builtin_prefetch(to[m] + line, 1);
  }
  V sum[M][NV] = {};
  for (Size x = 0; x < depth; x++, a += aRow, b += PANEL) {
    V row[NV];
#pragma GCC unroll 16
    for (int v = 0; v < NV; v++) row[v] = load(b + v * W);
#pragma GCC unroll 16
    for (int m = 0; m < M; m++) {
      const V factor = splat(a[m]);
#pragma GCC unroll 16
      for (int v = 0; v < NV; v++) sum[m][v] += factor * row[v];
    }
  }
#pragma GCC unroll 16
  for (int m = 0; m < M; m++) {
#pragma GCC unroll 16
    for (int v = 0; v + 1 < NV; v++) store(to[m] + v * W, load(to[m] + v * W) + sum[m][v]);
    float* end = to[m] + (NV - 1) * W;
    if (last == W)
      store(end, load(end) + sum[m][NV - 1]);
    else
      store(end, load(end, Some{last}) + sum[m][NV - 1], Some{last});
  }
}

using ColumnTile = void (*)(Size, const float*, Size, const float*, float*, Size, const int32_t*, int);
template <int M, int NV>
constexpr ColumnTile columnTileFor() {
  if constexpr (M * NV <= TILE_REGISTERS && NV <= TILE_VECTORS)
    return columnTile<M, NV>;
  else
    return nullptr;
}
struct ColumnTiles {
  ColumnTile of[MOST_ROWS][4];
};
#define TILES(M) {columnTileFor<M, 1>(), columnTileFor<M, 2>(), columnTileFor<M, 3>(), columnTileFor<M, 4>()}
static const ColumnTiles columnTiles = {{TILES(1), TILES(2), TILES(3), TILES(4), TILES(5), TILES(6), TILES(7), TILES(8),
                                         TILES(9), TILES(10), TILES(11), TILES(12)}};
#undef TILES

/// Rows list[0 .. count) of out, columns [0, width) of a panel's, += a^T b.
static void columnPanel(Size depth, const float* a, Size aRow, const int32_t* list, Size count, const float* b,
                        float* out, Size outRow, Size width) {
  for (Size j = 0; j < width; j += TILE_COLUMNS) {
    const Size columns = least(TILE_COLUMNS, width - j);
    const int vectors = static_cast<int>(ceilDiv(columns, W));
    const int last = static_cast<int>(columns - (vectors - 1) * W);
    const Size tiles = ceilDiv(count, least(MOST_ROWS, TILE_REGISTERS / vectors));
    for (Size tile = 0, m = 0; tile < tiles; tile++) {
      const Size end = count * (tile + 1) / tiles;
      columnTiles.of[end - m - 1][vectors - 1](depth, a + m, aRow, b + j, out + j, outRow, list + m, last);
      m = end;
    }
  }
}

/// Rows of a time that meet at once: with a panel they stay in the first-level cache.
constexpr Size COLUMN_DEPTH = 128;

/// out (n, k) += g^T x, g as in columnProduct, x (times * rows, k). Threads own rows of out. Returns the
/// multiply-accumulates.
static double columnProductTN(Team& team, Size times, Size rows, Size n, Size k, const uint32_t* starts,
                              const float* values, const uint16_t* offsets, const float* x, float* out) {
  const Size step = rows * (ceilDiv(n, TILE) + 1);
  const Size width = ceilDiv(k, PANEL) * PANEL;
  eachLivePiece(times, rows, LIVE_ROWS, 1, width, [=, &team](Size t0, Size some, Size r0, Size height) {
    // [time][piece of rows][panel][row][64]
    parallel(team, some, 0.1 * some * height * k, [=, &team](Size t, int) {
      for (Size r = 0; r < height; r += COLUMN_DEPTH)
        packColumns(least(COLUMN_DEPTH, height - r), k, x + ((t0 + t) * rows + r0 + r) * k, k,
                    team.xPanels + (t * height + r) * width);
    });
    const double macs = columnMacs(some, height, starts + t0 * step, step, k);
    parallel(team, ceilDiv(n, TN_COLUMNS), 2 * macs / DENSE_FLOPS_PER_NS, [=, &team](Size task, int) {
      for (Size near = 0; near < k; near += NEAR_COLUMNS)
        for (Size t = 0; t < some; t++) {
          const LiveBlock g = liveBlock(starts + (t0 + t) * step, values, offsets);
          const Size first = liveFrom(g.list, g.count, task * TN_COLUMNS);
          const Size count = liveFrom(g.list, g.count, (task + 1) * TN_COLUMNS) - first;
          for (Size r = 0; r < height; r += COLUMN_DEPTH) {
            const Size depth = least(COLUMN_DEPTH, height - r);
            const float* panels = team.xPanels + (t * height + r) * width;
            for (Size j = near; j < least(k, near + NEAR_COLUMNS); j += PANEL)
              columnPanel(depth, g.values + (r0 + r) * g.row + first, g.row, g.list + first, count,
                          panels + j * depth, out + j, k, least(PANEL, k - j));
          }
        }
    });
  });
  return columnMacs(times, rows, starts, step, k);
}
