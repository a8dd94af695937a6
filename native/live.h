// Products with a left factor whose columns are zero in all rows of a time step (structured dropout): only the live
// columns are met. list (times, k): a time's live columns, ascending, counts[t] of them. Rows come in blocks of `rows`,
// one for each time. What they compute is what the dense products compute over the zeroed factor.
#pragma once

/// Columns of the left factor whose transposed result a thread holds at once.
constexpr Size LIVE_BLOCK = LIVE_FLOATS / PANEL;
/// Rows that are packed at once, at most.
constexpr Size LIVE_ROWS = 1024;

/// So many rows of a panel ahead are fetched while the first tile of rows meets it: no processor guesses a list.
constexpr Size AHEAD = 24;

/// c (M, n) += a (M, depth) b, whose row x is row list[x] of a panel; n = (NV - 1) W + last. Rows of a: of aRow. The
/// list goes on up to `end`; if that is not 0, rows are fetched ahead.
template <int M, int NV>
static void listedTile(Size depth, const float* a, Size aRow, const int32_t* list, Size end, const float* panel,
                       float* c, Size cRow, int last) {
  V sum[M][NV] = {};
  for (Size x = 0; x < depth; x++) {
    const float* b = panel + static_cast<Size>(list[x]) * PANEL;
    if (end > 0) {
      const float* next = panel + static_cast<Size>(list[least(x + AHEAD, end - 1)]) * PANEL;
#pragma GCC unroll 4
      for (int line = 0; line < NV * W; line += LINE) __builtin_prefetch(next + line);
    }
    V row[NV];
#pragma GCC unroll 16
    for (int v = 0; v < NV; v++) row[v] = load(b + v * W);
#pragma GCC unroll 16
    for (int m = 0; m < M; m++) {
      const V factor = splat(a[m * aRow + x]);
#pragma GCC unroll 16
      for (int v = 0; v < NV; v++) sum[m][v] += factor * row[v];
    }
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

using ListedTile = void (*)(Size, const float*, Size, const int32_t*, Size, const float*, float*, Size, int);
template <int M, int NV>
constexpr ListedTile listedTileFor() {
  if constexpr (M * NV <= TILE_REGISTERS && M <= MOST_ROWS && NV <= TILE_VECTORS)
    return listedTile<M, NV>;
  else
    return nullptr;
}
struct ListedTiles {
  ListedTile of[MOST_ROWS][4];
};
#define TILES(M) {listedTileFor<M, 1>(), listedTileFor<M, 2>(), listedTileFor<M, 3>(), listedTileFor<M, 4>()}
static const ListedTiles listedTiles = {{TILES(1), TILES(2), TILES(3), TILES(4), TILES(5), TILES(6), TILES(7), TILES(8),
                                         TILES(9), TILES(10), TILES(11), TILES(12)}};
#undef TILES

/// Multiply-accumulates of the live columns with `width` numbers for each row.
static double liveMacs(Size times, Size rows, const int32_t* counts, Size width) {
  double sum = 0;
  for (Size t = 0; t < times; t++) sum += counts[t];
  return sum * static_cast<double>(rows * width);
}

/// The first position of a list of `count` columns that is not below `column`.
INLINE Size liveFrom(const int32_t* list, Size count, Size column) {
  Size low = 0;
  while (low < count) {
    const Size middle = (low + count) / 2;
    if (list[middle] < column)
      low = middle + 1;
    else
      count = middle;
  }
  return low;
}

/// f(first time, times, first row, rows) over pieces of no more than `room` rows, of which no more than X_FLOATS numbers,
/// of `width` for every tile of `tile` rows, are packed at once: some times whole, or some tiles of one.
template <class F>
INLINE void eachLivePiece(Size times, Size rows, Size room, Size tile, Size width, const F& f) {
  const Size height = least(rows, tile * least(room / tile, most(1, X_FLOATS / width)));
  const Size tiles = ceilDiv(rows, tile);
  const Size together = height < rows ? 1 : most(1, least(X_FLOATS / (tiles * width), room / (tiles * tile)));
  for (Size t = 0; t < times; t += together)
    for (Size r = 0; r < rows; r += height) f(t, least(together, times - t), r, least(height, rows - r));
}

/// One time, one panel: c (rows, width) += the live columns of a, packed, with a panel (k, 64) of b.
static void livePanel(Size rows, Size n, Size k, const float* packed, const float* panel, const int32_t* list,
                      Size count, float* c, Size width) {
  for (Size x = 0; x < count; x += DEPTH) {
    const Size depth = least(DEPTH, count - x);
    for (Size j = 0; j < width; j += TILE_COLUMNS) {
      const Size columns = least(TILE_COLUMNS, width - j);
      const int vectors = static_cast<int>(ceilDiv(columns, W));
      const int last = static_cast<int>(columns - (vectors - 1) * W);
      const Size tiles = ceilDiv(rows, least(MOST_ROWS, TILE_REGISTERS / vectors));
      for (Size tile = 0, row = 0; tile < tiles; tile++) {
        const Size end = rows * (tile + 1) / tiles;
        listedTiles.of[end - row - 1][vectors - 1](depth, packed + row * k + x, k, list + x,
                                                   row == 0 ? count - x : 0, panel + j, c + row * n + j, n, last);
        row = end;
      }
    }
  }
}

/// c (times * rows, n) += a (times * rows, k) b (k, n), b in panels. Returns the multiply-accumulates.
static double liveProduct(Team& team, Size times, Size rows, Size n, Size k, const float* a, const float* panels,
                          const int32_t* list, const int32_t* counts, float* c) {
  eachLivePiece(times, rows, LIVE_ROWS, 1, k, [=, &team](Size t0, Size some, Size r0, Size height) {
    float* const packed = team.xPanels;
    const double macs = liveMacs(some, height, counts + t0, n);
    parallel(team, some, 0.5 * some * height * k, [=](Size t, int) {
      const int32_t* own = list + (t0 + t) * k;
      const Size count = counts[t0 + t];
      for (Size r = 0; r < height; r++) {
        const float* from = a + ((t0 + t) * rows + r0 + r) * k;
        float* to = packed + (t * height + r) * k;
        for (Size x = 0; x < count; x++) to[x] = from[own[x]];
      }
    });
    parallel(team, ceilDiv(n, PANEL), 2 * macs / DENSE_FLOPS_PER_NS, [=](Size panel, int) {
      const Size j = panel * PANEL;
      for (Size t = 0; t < some; t++)
        livePanel(height, n, k, packed + t * height * k, panels + j * k, list + (t0 + t) * k, counts[t0 + t],
                  c + ((t0 + t) * rows + r0) * n + j, least(PANEL, n - j));
    });
  });
  return liveMacs(times, rows, counts, n);
}

/// Rows list[m] of c (k, 64) += a^T (M, depth) b (depth, 64); a packed [depth][TILE_ROWS].
template <int M>
static void scatterTile(Size depth, const float* a, const float* b, float* c, const int32_t* list, Size column) {
  for (Size j = 0; j < PANEL; j += TILE_COLUMNS, b += TILE_COLUMNS, c += TILE_COLUMNS) {
    V sum[M][TILE_VECTORS];
#pragma GCC unroll 16
    for (int m = 0; m < M; m++)
#pragma GCC unroll 16
      for (int v = 0; v < TILE_VECTORS; v++) sum[m][v] = load(c + (list[m] - column) * PANEL + v * W);
    for (Size x = 0; x < depth; x++) {
      V row[TILE_VECTORS];
#pragma GCC unroll 16
      for (int v = 0; v < TILE_VECTORS; v++) row[v] = load(b + x * PANEL + v * W);
#pragma GCC unroll 16
      for (int m = 0; m < M; m++) {
        const V factor = splat(a[x * TILE_ROWS + m]);
#pragma GCC unroll 16
        for (int v = 0; v < TILE_VECTORS; v++) sum[m][v] += factor * row[v];
      }
    }
#pragma GCC unroll 16
    for (int m = 0; m < M; m++)
#pragma GCC unroll 16
      for (int v = 0; v < TILE_VECTORS; v++) store(c + (list[m] - column) * PANEL + v * W, sum[m][v]);
  }
}

using ScatterTile = void (*)(Size, const float*, const float*, float*, const int32_t*, Size);
template <int M>
constexpr ScatterTile scatterTileFor() {
  if constexpr (M <= TILE_ROWS)
    return scatterTile<M>;
  else
    return nullptr;
}
static const ScatterTile scatterTiles[6] = {scatterTileFor<1>(), scatterTileFor<2>(), scatterTileFor<3>(),
                                            scatterTileFor<4>(), scatterTileFor<5>(), scatterTileFor<6>()};
static_assert(TILE_ROWS <= 6, "a tile for every height");

/// to (cols, rows), rows of toRow, += from (rows, cols) transposed, rows of PANEL.
static void addTransposed(Size rows, Size cols, const float* from, float* to, Size toRow) {
  const Size wholeRows = rows - rows % W;
  const Size wholeCols = cols - cols % W;
  for (Size c = 0; c < wholeCols; c += W)
    for (Size r = 0; r < wholeRows; r += W) {
      V tile[W];
#pragma GCC unroll 16
      for (int i = 0; i < W; i++) tile[i] = load(from + (r + i) * PANEL + c);
      transposeTile(tile);
#pragma GCC unroll 16
      for (int i = 0; i < W; i++) {
        float* at = to + (c + i) * toRow + r;
        store(at, load(at) + tile[i]);
      }
    }
  for (Size r = 0; r < rows; r++)
    for (Size c = r < wholeRows ? wholeCols : 0; c < cols; c++) to[c * toRow + r] += from[r * PANEL + c];
}

/// Rows of g that are packed at once for scatterTile.
constexpr Size SCATTER_ROWS = G_COLUMNS * TILE / PANEL;

/// out (n, k) += g^T x, g (times * rows, n), x (times * rows, k). A thread's part of the result is made with a row
/// for each column of x, so that the live ones are whole vectors, and turned at the end.
static double liveProductTN(Team& team, Size times, Size rows, Size n, Size k, const float* g, const float* x,
                            const int32_t* list, const int32_t* counts, float* out) {
  for (Size k0 = 0; k0 < k; k0 += LIVE_BLOCK) {
    const Size block = least(LIVE_BLOCK, k - k0);
    const Size room = block + TILE_ROWS;
    eachLivePiece(times, rows, LIVE_ROWS, 1, room, [=, &team](Size t0, Size some, Size r0, Size height) {
      float* const packed = team.xPanels;
      // [tile of live columns][row][TILE_ROWS], one time behind the other.
      parallel(team, some, 0.5 * some * height * block, [=](Size t, int) {
        const int32_t* own = list + (t0 + t) * k;
        const Size first = liveFrom(own, counts[t0 + t], k0), end = liveFrom(own, counts[t0 + t], k0 + block);
        float* to = packed + t * height * room;
        for (Size i = first; i < end; i += TILE_ROWS) {
          const Size m = least(TILE_ROWS, end - i);
          for (Size r = 0; r < height; r++, to += TILE_ROWS) {
            const float* from = x + ((t0 + t) * rows + r0 + r) * k;
            for (Size q = 0; q < m; q++) to[q] = from[own[i + q]];
          }
        }
      });
      const double nanoseconds = 2 * liveMacs(some, height, counts + t0, n) / DENSE_FLOPS_PER_NS;
      parallel(team, ceilDiv(n, PANEL), nanoseconds, [=, &team](Size panel, int thread) {
        Scratch& scratch = team.scratch[thread];
        float* const turned = scratch.turned;
        const Size j = panel * PANEL;
        const Size width = least(PANEL, n - j);
        memset(turned, 0, static_cast<size_t>(block) * PANEL * sizeof(float));
        for (Size t = 0; t < some; t++) {
          const int32_t* own = list + (t0 + t) * k;
          const Size first = liveFrom(own, counts[t0 + t], k0), end = liveFrom(own, counts[t0 + t], k0 + block);
          for (Size r = 0; r < height; r += SCATTER_ROWS) {
            const Size deep = least(SCATTER_ROWS, height - r);
            packColumns(deep, width, g + ((t0 + t) * rows + r0 + r) * n + j, n, scratch.gPanel);
            const float* tile = packed + t * height * room + r * TILE_ROWS;
            for (Size i = first; i < end; i += TILE_ROWS, tile += height * TILE_ROWS)
              scatterTiles[least(TILE_ROWS, end - i) - 1](deep, tile, scratch.gPanel, turned, own + i, k0);
          }
        }
        addTransposed(block, width, turned, out + j * k + k0, k);
      });
    });
  }
  return liveMacs(times, rows, counts, n);
}

/// Rows of g and live columns whose dot products are made together.
constexpr Size DOT_ROWS = W == 16 ? 4 : 2, DOT_COLUMNS = 4, DOTS = DOT_ROWS * DOT_COLUMNS;
static_assert(DOTS % W == 0, "sums fill vectors");
/// Columns of g that meet at once: DOT_TILES tiles' part of the weights and a tile's of g fit in the first-level cache.
constexpr Size DOT_DEPTH = 4 * PANEL, DOT_TILES = 8;
/// Columns of the result of a task, at most: their part of the weights stays in the second-level cache, and g is read
/// once for all of them.
constexpr Size DOT_BLOCK = 256;
/// Rows whose sums with a block have room.
constexpr Size DOT_SUM_ROWS = LIVE_FLOATS / DOT_BLOCK;
/// Columns of g that are packed at once, at most: all rows whose sums have room have room as well, so that as many times
/// as can meet the weights when they come from far away.
constexpr Size DOT_MOST = X_FLOATS / DOT_SUM_ROWS;
static_assert(DOT_MOST % PANEL == 0 && PANEL % W == 0, "pieces are whole panels, panels whole vectors");

/// Lane i: the sum of x[i].
INLINE V sumEach(V (&x)[W]) {
  I even, odd;
  for (int i = 0; i < W; i++) {
    even[i] = 2 * i;
    odd[i] = 2 * i + 1;
  }
#pragma GCC unroll 4
  for (int count = W / 2; count > 0; count /= 2)
#pragma GCC unroll 8
    for (int i = 0; i < count; i++)
      x[i] = __builtin_shuffle(x[2 * i], x[2 * i + 1], even) + __builtin_shuffle(x[2 * i], x[2 * i + 1], odd);
  return x[0];
}

/// m rows of g (depth) as vectors in turns, [vector][DOT_ROWS][W]; zero where there is no row or column.
static void packForDots(Size m, Size depth, const float* g, Size gRow, float* to) {
  eachVector(depth, [&](Size x, auto lanes) {
    for (Size i = 0; i < DOT_ROWS; i++)
      store(to + x * DOT_ROWS + i * W, i < m ? load(g + i * gRow + x, lanes) : V{});
  });
}

/// sums (DOT_ROWS, DOT_COLUMNS) += rows of g, packed, times rows list[q] of panels (k, 64), `columns` of them; `depth`,
/// whole vectors, goes over as many panels as it takes. `ahead`: so many columns further on the list, whose rows of the
/// panels are fetched meanwhile, or 0.
static void dotTile(Size columns, Size depth, const float* g, const int32_t* list, Size ahead, const float* panel, Size k,
                    float* sums) {
  Size at[DOT_COLUMNS];
  for (Size q = 0; q < DOT_COLUMNS; q++) at[q] = static_cast<Size>(list[least(q, columns - 1)]) * PANEL;
  V sum[DOTS] = {};
  const auto vectors = [&](Size width) {
    for (Size x = 0; x < width; x += W) {
      V factor[DOT_COLUMNS];
#pragma GCC unroll 4
      for (Size q = 0; q < DOT_COLUMNS; q++) factor[q] = load(panel + at[q] + x);
#pragma GCC unroll 4
      for (Size i = 0; i < DOT_ROWS; i++) {
        const V a = load(g + x * DOT_ROWS + i * W);
#pragma GCC unroll 4
        for (Size q = 0; q < DOT_COLUMNS; q++) sum[i * DOT_COLUMNS + q] += a * factor[q];
      }
    }
  };
  for (Size x = 0; x < depth; x += PANEL, panel += k * PANEL, g += PANEL * DOT_ROWS) {
    for (Size q = 0; q < ahead; q++) {
      const float* next = panel + static_cast<Size>(list[columns + q]) * PANEL;
      for (Size line = 0; line < PANEL; line += LINE) __builtin_prefetch(next + line);
    }
    if (depth - x >= PANEL)
      vectors(PANEL);
    else
      vectors(depth - x);
  }
#pragma GCC unroll 2
  for (Size from = 0; from < DOTS; from += W) {
    V lanes[W];
#pragma GCC unroll 16
    for (int i = 0; i < W; i++) lanes[i] = sum[from + i];
    store(sums + from, load(sums + from) + sumEach(lanes));
  }
}

/// Columns [j, j + part) of g, packed, `depth` long, times list[0 .. count) of the columns of w, in panels over its rows.
static void liveDots(Size rows, Size depth, Size j, Size part, const float* g, const float* panels, Size k,
                     const int32_t* list, Size count, float* sums) {
  const Size rowTiles = ceilDiv(rows, DOT_ROWS);
  for (Size i = 0; i < count; i += DOT_TILES * DOT_COLUMNS)
    for (Size r = 0; r < rowTiles; r++)
      for (Size q = i; q < least(count, i + DOT_TILES * DOT_COLUMNS); q += DOT_COLUMNS) {
        const Size columns = least(DOT_COLUMNS, count - q);
        dotTile(columns, part, g + (r * depth + j) * DOT_ROWS, list + q,
                r == 0 ? least(DOT_COLUMNS, count - q - columns) : 0, panels + j * k, k,
                sums + (q / DOT_COLUMNS * rowTiles + r) * DOTS);
      }
}

/// Live columns of out (rows, k) += the sums of liveDots.
static void addDots(Size rows, Size k, const float* sums, const int32_t* list, Size count, float* out) {
  const Size rowTiles = ceilDiv(rows, DOT_ROWS);
  for (Size r = 0; r < rows; r++, out += k) {
    const float* sum = sums + r / DOT_ROWS * DOTS + r % DOT_ROWS * DOT_COLUMNS;
    Size q = 0;
    for (; q + DOT_COLUMNS <= count; q += DOT_COLUMNS, sum += rowTiles * DOTS)
#pragma GCC unroll 4
      for (Size i = 0; i < DOT_COLUMNS; i++) out[list[q + i]] += sum[i];
    for (Size i = 0; q + i < count; i++) out[list[q + i]] += sum[i];
  }
}

/// Columns [0, width) of g and rows of w, of n.
static void liveProductPart(Team& team, Size times, Size rows, Size width, Size n, Size k, const float* g,
                            const float* panels, const int32_t* list, const int32_t* counts, float* out) {
  const Size depth = ceilDiv(width, W) * W;
  eachLivePiece(times, rows, DOT_SUM_ROWS, DOT_ROWS, depth * DOT_ROWS, [=, &team](Size t0, Size some, Size r0, Size height) {
    float* const packed = team.xPanels;
    const Size rowTiles = ceilDiv(height, DOT_ROWS);
    parallel(team, some * rowTiles, 0.1 * some * height * width, [=](Size tile, int) {
      const Size t = tile / rowTiles, r = tile % rowTiles * DOT_ROWS;
      packForDots(least(DOT_ROWS, height - r), width, g + ((t0 + t) * rows + r0 + r) * n, n,
                  packed + tile * DOT_ROWS * depth);
    });
    const double nanoseconds = 2 * liveMacs(some, height, counts + t0, width) / DENSE_FLOPS_PER_NS;
    // Which columns a task makes changes no bit: threads may have blocks of their own.
    const Size block = least(DOT_BLOCK, ceilDiv(ceilDiv(k, team.threads), LINE) * LINE);
    parallel(team, ceilDiv(k, block), nanoseconds, [=, &team](Size task, int thread) {
      float* const sums = team.scratch[thread].turned;
      const Size room = rowTiles * DOT_ROWS * block;  // of a time
      memset(sums, 0, static_cast<size_t>(some * room) * sizeof(float));
      const auto eachTime = [=](const auto& f) {
        for (Size t = 0; t < some; t++) {
          const int32_t* own = list + (t0 + t) * k;
          const Size first = liveFrom(own, counts[t0 + t], task * block);
          f(t, own + first, liveFrom(own, counts[t0 + t], (task + 1) * block) - first, sums + t * room);
        }
      };
      // A part of the weights stays near while all times meet it.
      for (Size j = 0; j < depth; j += DOT_DEPTH)
        eachTime([=](Size t, const int32_t* own, Size count, float* sum) {
          liveDots(height, depth, j, least(DOT_DEPTH, depth - j), packed + t * rowTiles * DOT_ROWS * depth, panels, k,
                   own, count, sum);
        });
      eachTime([=](Size t, const int32_t* own, Size count, float* sum) {
        addDots(height, k, sum, own, count, out + ((t0 + t) * rows + r0) * k);
      });
    });
  });
}

/// Live columns of out (times * rows, k) += g (times * rows, n) w, w in panels over its rows as the forward product has
/// it; the others stay as they were.
static double liveProductNN(Team& team, Size times, Size rows, Size n, Size k, const float* g, const float* panels,
                            const int32_t* list, const int32_t* counts, float* out) {
  for (Size j = 0; j < n; j += DOT_MOST)
    liveProductPart(team, times, rows, least(DOT_MOST, n - j), n, k, g + j, panels + j * k, list, counts, out);
  return liveMacs(times, rows, counts, n);
}

/// out (times * rows, cols) = a, each row with the factors of its time; exactly 0 where a factor is.
static void maskRows(Team& team, float* out, const float* a, const float* factors, Size times, Size rows, Size cols) {
  parallel(team, times, 0.2 * times * rows * cols, [=](Size t, int) {
    for (Size r = t * rows; r < (t + 1) * rows; r++)
      eachVector(cols, [&](Size i, auto lanes) {
        const V factor = load(factors + t * cols + i, lanes);
        store(out + r * cols + i, V(I(load(a + r * cols + i, lanes) * factor) & I(factor != V{})), lanes);
      });
  });
}
