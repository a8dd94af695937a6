// Kernels over rows: sums, copies, look-ups, dropout.
#pragma once

constexpr Size CHUNK = 16384;  // elements of a task in flat kernels

INLINE void addRow(float* to, const float* from, Size length) {
  eachVector(length, [&](Size i, auto lanes) { store(to + i, load(to + i, lanes) + load(from + i, lanes), lanes); });
}

/// f(first, length) over pieces of a flat range.
template <class F>
INLINE void eachChunk(Team& team, Size length, double nanosecondsEach, const F& f) {
  parallel(team, ceilDiv(length, CHUNK), nanosecondsEach * length,
           [=](Size task, int) { f(task * CHUNK, least(CHUNK, length - task * CHUNK)); });
}

/// f(first, width) over pieces of `cols` columns, for kernels in which rows meet.
template <class F>
INLINE void eachColumnRange(Team& team, Size cols, double nanoseconds, const F& f) {
  const Size units = ceilDiv(cols, PANEL);
  const Size parts = shares(team, units, nanoseconds);
  parallel(team, parts, nanoseconds, [=](Size part, int) {
    const Size first = units * part / parts * PANEL;
    f(first, least(cols, units * (part + 1) / parts * PANEL) - first);
  });
}

static bool validIndex(Team& team, const int32_t* index, Size rows, Size limit, int32_t first = 0) {
  for (Size r = 0; r < rows; r++)
    if (index[r] < first || index[r] >= limit) {
      team.badRow = r;
      team.badIndex = index[r];
      return false;
    }
  return true;
}

/// to += from.
static void addInto(Team& team, float* to, const float* from, Size length) {
  eachChunk(team, length, 0.1, [=](Size first, Size n) { addRow(to + first, from + first, n); });
}

/// Each of `rows` rows = a, or a + b unless b is null.
static void setRows(Team& team, float* out, Size rows, Size cols, const float* a, const float* b) {
  eachColumnRange(team, cols, 0.1 * rows * cols, [=](Size first, Size width) {
    for (Size r = 0; r < rows; r++) {
      float* to = out + r * cols + first;
      eachVector(width, [&](Size i, auto lanes) {
        const V x = load(a + first + i, lanes);
        store(to + i, b ? x + load(b + first + i, lanes) : x, lanes);
      });
    }
  });
}

/// out (cols) += column sums of g (rows, cols), four rows at a time.
static void addColumnSums(Team& team, float* out, const float* g, Size rows, Size cols) {
  eachColumnRange(team, cols, 0.1 * rows * cols, [=](Size first, Size width) {
    float* to = out + first;
    Size r = 0;
    for (; r + 4 <= rows; r += 4) {
      const float* from = g + r * cols + first;
      eachVector(width, [&](Size i, auto lanes) {
        const V two = load(from + i, lanes) + load(from + i + cols, lanes);
        const V four = two + (load(from + i + 2 * cols, lanes) + load(from + i + 3 * cols, lanes));
        store(to + i, load(to + i, lanes) + four, lanes);
      });
    }
    for (; r < rows; r++) addRow(to, g + r * cols + first, width);
  });
}

/// Row r of out += row index[r] of table.
static void gatherRows(Team& team, float* out, const float* table, const int32_t* index, Size rows, Size cols,
                       Size limit) {
  if (!validIndex(team, index, rows, limit)) return;
  constexpr Size ROWS = 8;
  parallel(team, ceilDiv(rows, ROWS), 0.2 * rows * cols, [=](Size task, int) {
    for (Size r = task * ROWS; r < least(rows, (task + 1) * ROWS); r++)
      addRow(out + r * cols, table + index[r] * cols, cols);
  });
}

/// Row index[r] of table += row r of g. Threads own columns: rows may meet.
static void scatterRows(Team& team, float* table, const int32_t* index, const float* g, Size rows, Size cols,
                        Size limit) {
  if (!validIndex(team, index, rows, limit)) return;
  eachColumnRange(team, cols, 0.2 * rows * cols, [=](Size first, Size width) {
    for (Size r = 0; r < rows; r++) addRow(table + index[r] * cols + first, g + r * cols + first, width);
  });
}

/// Column index[r] of out (n, k) += row r of g (rows, n). The sums are made in rows of `sums` (k, n),
/// which is zero before and after; touched (k): zero before and after.
static void lookupGradient(Team& team, float* out, const int32_t* index, const float* g, Size rows, Size n, Size k,
                           float* sums, int32_t* touched) {
  if (!validIndex(team, index, rows, k)) return;
  for (Size r = 0; r < rows; r++) touched[index[r]] = 1;
  eachColumnRange(team, n, 0.2 * rows * n, [=](Size first, Size width) {
    for (Size r = 0; r < rows; r++) addRow(sums + index[r] * n + first, g + r * n + first, width);
    // 16 rows of out at a time: they stay in cache while all columns pass.
    for (Size i = first; i < first + width; i += 16) {
      const Size height = least(16, first + width - i);
      for (Size column = 0; column < k; column++) {
        if (!touched[column]) continue;
        float* sum = sums + column * n + i;
        float* to = out + i * k + column;
        for (Size q = 0; q < height; q++) {
          to[q * k] += sum[q];
          sum[q] = 0;
        }
      }
    }
  });
  memset(touched, 0, static_cast<size_t>(k) * sizeof(int32_t));
}

/// out = a * scale where counterHash(key, element) >= limit, else 0.
static void dropout(Team& team, float* out, const float* a, Size length, uint32_t limit, float scale, uint32_t key) {
  eachChunk(team, length, 0.3, [=](Size first, Size n) {
    eachVector(n, [&](Size i, auto lanes) {
      const N position = N(laneNumbers()) + static_cast<uint32_t>(first + i);
      const N hash = mixBits(position * GOLDEN + key);
      store(out + first + i, hash >= limit ? load(a + first + i, lanes) * scale : V{}, lanes);
    });
  });
}
