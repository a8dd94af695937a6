// Dense products. A matrix that many rows are multiplied with is packed in panels of 64 columns,
// [column panel][row][64], zero beyond the last column; the sparse products walk the same panels. The
// micro kernel keeps a block of the result in registers.
#pragma once

/// Vectors of a register tile, and how many of them one tile may hold.
#if defined(__AVX512F__)
constexpr int TILE_VECTORS = 4, TILE_REGISTERS = 24;
#elif defined(__aarch64__)
constexpr int TILE_VECTORS = 4, TILE_REGISTERS = 24;
#else
constexpr int TILE_VECTORS = 2, TILE_REGISTERS = 12;
#endif
constexpr int TILE_COLUMNS = TILE_VECTORS * W;
constexpr int TILE_ROWS = TILE_REGISTERS / TILE_VECTORS;
constexpr int MOST_ROWS = 12;
/// Depth of one sweep: a panel of 128 rows is 32 KB.
constexpr Size DEPTH = 128;
/// Rows of `a` that meet all panels before the next rows come: they stay in the second-level cache.
constexpr Size DENSE_ROWS = 240;
constexpr double DENSE_FLOPS_PER_NS = 12.5 * W;

/// The result is read at the end of a tile; by then it is there.
template <int M, int NV>
INLINE void fetchResult(const float* c, Size cRow) {
#pragma GCC unroll 16
  for (int m = 0; m < M; m++)
#pragma GCC unroll 16
    for (int v = 0; v < NV; v++) __builtin_prefetch(c + m * cRow + v * W, 1);
}

/// c (M, n) += a (M, depth) b (depth, n); n = (NV - 1) W + last. Element (i, x) of a stands at i aRow + x aStep.
/// `ahead`: a line of each row of a tile to fetch meanwhile; `aheadStep`: bytes from one to the next.
template <int M, int NV>
static void registerTile(Size depth, const float* a, Size aRow, Size aStep, const float* b, float* c, Size cRow,
                         int last, const char* ahead, Size aheadStep) {
  fetchResult<M, NV>(c, cRow);
  V sum[M][NV] = {};
  for (Size x = 0; x < depth; x++) {
    __builtin_prefetch(ahead);
    ahead += aheadStep;
    V row[NV];
#pragma GCC unroll 16
    for (int v = 0; v < NV; v++) row[v] = load(b + v * W);
#pragma GCC unroll 16
    for (int m = 0; m < M; m++) {
      const V factor = splat(a[m * aRow]);
#pragma GCC unroll 16
      for (int v = 0; v < NV; v++) sum[m][v] += factor * row[v];
    }
    a += aStep;
    b += PANEL;
  }
#pragma GCC unroll 16
  for (int m = 0; m < M; m++) {
    float* to = c + m * cRow;
#pragma GCC unroll 16
    for (int v = 0; v + 1 < NV; v++) store(to + v * W, load(to + v * W) + sum[m][v]);
    float* end = to + (NV - 1) * W;
    if (last == W)
      store(end, load(end) + sum[m][NV - 1]);
    else
      store(end, load(end, Some{last}) + sum[m][NV - 1], Some{last});
  }
}

using RegisterTile = void (*)(Size, const float*, Size, Size, const float*, float*, Size, int, const char*, Size);

template <int M, int NV>
constexpr RegisterTile tileFor() {
  if constexpr (M * NV <= TILE_REGISTERS && M <= MOST_ROWS && NV <= TILE_VECTORS)
    return registerTile<M, NV>;
  else
    return nullptr;
}
/// By rows and vectors, each counted from 1.
struct RegisterTiles {
  RegisterTile of[MOST_ROWS][4];
};
#define TILES(M) {tileFor<M, 1>(), tileFor<M, 2>(), tileFor<M, 3>(), tileFor<M, 4>()}
static const RegisterTiles registerTiles = {{TILES(1), TILES(2), TILES(3), TILES(4), TILES(5), TILES(6), TILES(7),
                                             TILES(8), TILES(9), TILES(10), TILES(11), TILES(12)}};
#undef TILES

/// Floats of a cache line, and lines of a panel's row.
constexpr Size LINE = 16, PANEL_LINES = PANEL / LINE;
/// Weights up to this size stay in the second-level cache from one time step to the next.
constexpr Size NEAR_BYTES = 512 << 10;

/// One panel: c (m, width) += a (m, k) panel (k, width), width <= 64. `after`: the panel that comes next; then each
/// tile is fetched while the rows meet the one before it.
static void panelProduct(const RegisterTiles& by, Size m, Size width, Size k, const float* a, Size aRow, Size aStep,
                         const float* panel, float* c, Size cRow, const float* after = nullptr) {
  for (Size x = 0; x < k; x += DEPTH) {
    const Size depth = least(DEPTH, k - x);
    const float* next = x + DEPTH < k ? panel + (x + DEPTH) * PANEL : after;
    for (Size j = 0; j < width; j += TILE_COLUMNS) {
      const Size columns = least(TILE_COLUMNS, width - j);
      const int vectors = static_cast<int>(ceilDiv(columns, W));
      const int last = static_cast<int>(columns - (vectors - 1) * W);
      // Rows in tiles of nearly equal height.
      const Size highest = least(MOST_ROWS, TILE_REGISTERS / vectors);
      const Size tiles = ceilDiv(m, highest);
      for (Size t = 0, row = 0; t < tiles; t++) {
        const Size end = m * (t + 1) / tiles;
        const float* tile = panel + x * PANEL + j;
        const bool fetch = after && t < PANEL_LINES && j == 0;
        by.of[end - row - 1][vectors - 1](
            depth, a + row * aRow + x * aStep, aRow, aStep, tile, c + row * cRow + j, cRow, last,
            reinterpret_cast<const char*>(fetch ? next + t * LINE : tile), fetch ? PANEL * sizeof(float) : 0);
        row = end;
      }
    }
  }
}

/// c (m, n) += a (m, k) b (k, n), b in panels, for rows that meet all panels one after the other.
static void blockProduct(Team& team, const RegisterTiles& by, Size m, Size n, Size k, const float* a, const float* b,
                         float* c, double nanoseconds) {
  const bool far = n * k * static_cast<Size>(sizeof(float)) > NEAR_BYTES;
  parallel(team, ceilDiv(n, PANEL), nanoseconds, [=, &by](Size panel, int) {
    const Size j = panel * PANEL;
    const float* after = far ? b + (j + PANEL < n ? j + PANEL : 0) * k : nullptr;
    panelProduct(by, m, least(PANEL, n - j), k, a, k, 1, b + j * k, c + j, n, after);
  });
}

/// c (m, n) += a (m, k) b (k, n), b in panels.
static void product(Team& team, Size m, Size n, Size k, const float* a, const float* b, float* c) {
  for (Size row = 0; row < m; row += DENSE_ROWS) {
    const Size height = least(DENSE_ROWS, m - row);
    blockProduct(team, registerTiles, height, n, k, a + row * k, b, c + row * n,
                 2.0 * height * n * k / DENSE_FLOPS_PER_NS);
  }
}

/// Panels [cols / 64][rows][64] of columns [0, cols) of a matrix with rows of `fromRow`.
static void packColumns(Size rows, Size cols, const float* from, Size fromRow, float* to) {
  for (Size j = 0; j < cols; j += PANEL) {
    const Size width = least(PANEL, cols - j);
    for (Size r = 0; r < rows; r++) {
      const float* source = from + r * fromRow + j;
      if (width == PANEL) {
#pragma GCC unroll 16
        for (int v = 0; v < PANEL; v += W) store(to + v, load(source + v));
      } else {
        memset(to, 0, PANEL * sizeof(float));
        memcpy(to, source, static_cast<size_t>(width) * sizeof(float));
      }
      to += PANEL;
    }
  }
}

static void packPanels(Team& team, Size rows, Size cols, const float* from, float* to) {
  parallel(team, ceilDiv(cols, PANEL), 0.1 * rows * cols, [=](Size panel, int) {
    packColumns(rows, least(PANEL, cols - panel * PANEL), from + panel * PANEL, cols, to + panel * PANEL * rows);
  });
}

/// Columns ahead of those being turned that are fetched meanwhile, to the second-level cache: of so many rows no processor
/// follows the ends, and rows apart by powers of two share the sets of the first.
constexpr Size TURN_AHEAD = 32;

/// to (cols, rows) = from (rows, cols) transposed, rows of fromRow and toRow.
static void transposeBlock(Size rows, Size cols, const float* from, Size fromRow, float* to, Size toRow) {
  const Size wholeRows = rows - rows % W;
  const Size wholeCols = cols - cols % W;
  for (Size c = 0; c < wholeCols; c += W)
    for (Size r = 0; r < wholeRows; r += W) {
      V tile[W];
#pragma GCC unroll 16
      for (int i = 0; i < W; i++) {
        tile[i] = load(from + (r + i) * fromRow + c);
        __builtin_prefetch(from + (r + i) * fromRow + c + TURN_AHEAD, 0, 2);
      }
      transposeTile(tile);
#pragma GCC unroll 16
      for (int i = 0; i < W; i++) store(to + (c + i) * toRow + r, tile[i]);
    }
  for (Size r = 0; r < rows; r++)
    for (Size c = r < wholeRows ? wholeCols : 0; c < cols; c++) to[c * toRow + r] = from[r * fromRow + c];
}

/// Panels [rows / 64][cols][64] of the transpose of a (rows, cols) matrix; the padding stays as it was.
static void packTransposedPanels(Team& team, Size rows, Size cols, const float* from, float* to) {
  parallel(team, ceilDiv(rows, PANEL), 0.15 * rows * cols, [=](Size panel, int) {
    const Size row = panel * PANEL;
    transposeBlock(least(PANEL, rows - row), cols, from + row * cols, cols, to + row * cols, PANEL);
  });
}

static void transpose(Team& team, Size rows, Size cols, const float* from, float* to) {
  parallel(team, ceilDiv(rows, PANEL), 0.15 * rows * cols, [=](Size panel, int) {
    const Size row = panel * PANEL;
    transposeBlock(least(PANEL, rows - row), cols, from + row * cols, cols, to + row, rows);
  });
}

/// Columns [0, width) of g, transposed for register tiles: [column / TILE_ROWS][row][TILE_ROWS].
static void packForTiles(Size rows, Size width, const float* g, Size gRow, float* to) {
  for (Size i = 0; i < width; i += TILE_ROWS) {
    const Size height = least(TILE_ROWS, width - i);
    const float* from = g + i;
    if (height == TILE_ROWS) {
      for (Size r = 0; r < rows; r++)
        __builtin_memcpy(to + r * TILE_ROWS, from + r * gRow, TILE_ROWS * sizeof(float));
    } else {
      for (Size r = 0; r < rows; r++)
        for (Size q = 0; q < height; q++) to[r * TILE_ROWS + q] = from[r * gRow + q];
    }
    to += rows * TILE_ROWS;
  }
}

/// Rows of x that fit in the team's panels, in whole tiles.
INLINE Size packedRows(Size k) { return most(TILE, X_FLOATS / (ceilDiv(k, PANEL) * PANEL) / TILE * TILE); }

/// Columns of x that are packed at once: all, unless a tile of rows is too much.
INLINE Size packedColumns(Size k) { return least(ceilDiv(k, PANEL) * PANEL, X_FLOATS / TILE / PANEL * PANEL); }

/// Rows of x, in tiles of 128 rows of panels: [row tile][column panel][128][64]; the last tile may be lower.
static void packX(Team& team, Size rows, Size columns, const float* x, Size xRow) {
  const Size width = ceilDiv(columns, PANEL) * PANEL;
  parallel(team, ceilDiv(rows, TILE), 0.1 * rows * columns, [=, &team](Size tile, int) {
    const Size r = tile * TILE;
    packColumns(least(TILE, rows - r), columns, x + r * xRow, xRow, team.xPanels + r * width);
  });
}

/// f(row, rows, column, columns) over pieces of x (rows, k), each packed when f is called.
template <class F>
INLINE void eachPackedPiece(Team& team, Size rows, Size k, const float* x, const F& f) {
  const Size columns = packedColumns(k);
  const Size height = packedRows(columns);
  for (Size r = 0; r < rows; r += height)
    for (Size j = 0; j < k; j += columns) {
      packX(team, least(height, rows - r), least(columns, k - j), x + r * k + j, k);
      f(r, least(height, rows - r), j, least(columns, k - j));
    }
}

/// One tile of rows: c rows [first, end) += g^T x, x in panels, `columns` of them. Rows of g and c: n and k.
static void tileTN(Scratch& scratch, Size rows, Size n, Size k, const float* g, const float* panels, Size columns,
                   float* c, Size first, Size end) {
  for (Size i0 = first; i0 < end; i0 += G_COLUMNS) {
    const Size width = least(G_COLUMNS, end - i0);
    packForTiles(rows, width, g + i0, n, scratch.gPanel);
    for (Size j = 0; j < columns; j += PANEL)
      for (Size i = 0; i < width; i += TILE_ROWS)
        panelProduct(registerTiles, least(TILE_ROWS, width - i), least(PANEL, columns - j), rows,
                     scratch.gPanel + i * rows, 1, TILE_ROWS, panels + j * rows, c + (i0 + i) * k + j, k);
  }
}

/// Columns of g, rows of the result, of a task: what it adds to stays in the second-level cache.
constexpr Size TN_COLUMNS = 5 * G_COLUMNS;

/// out (n, k) += g^T x. Threads own rows of out.
static void productTN(Team& team, Size rows, Size n, Size k, const float* g, const float* x, float* out) {
  eachPackedPiece(team, rows, k, x, [=, &team](Size r, Size height, Size j, Size columns) {
    const Size width = ceilDiv(columns, PANEL) * PANEL;
    const double nanoseconds = 2.0 * height * n * columns / DENSE_FLOPS_PER_NS;
    parallel(team, ceilDiv(n, TN_COLUMNS), nanoseconds, [=, &team](Size task, int thread) {
      for (Size tile = 0; tile < height; tile += TILE)
        tileTN(team.scratch[thread], least(TILE, height - tile), n, k, g + (r + tile) * n,
               team.xPanels + tile * width, columns, out + j, task * TN_COLUMNS, least(n, (task + 1) * TN_COLUMNS));
    });
  });
}
