// Products where hardly anything is left of the gradients: for each nonzero a whole row of the other factor is added, from
// where it lies, so that nothing is packed and no tile is fetched for nothing. They add in the order of the walks of
// sparse.h: the same bits.

/// Vectors of the result in registers.
constexpr int FEW_VECTORS = W == 16 ? 16 : 8;
/// Rows whose numbers are made ready at once.
constexpr Size FEW_ROWS = 1024;
/// Nanoseconds of one nonzero against 64 columns: rows come from the second- or third-level cache.
constexpr double FEW_NS = 4;

/// to (k) += sum of value * row (k) of `from`, rows by their numbers; (NV - 1) W + last columns of them.
template <int NV>
static void addRowsPart(Size count, const float* values, const int32_t* index, const float* from, Size k, float* to,
                        int last) {
  V sum[NV];
#pragma GCC unroll 16
  for (int v = 0; v + 1 < NV; v++) sum[v] = load(to + v * W);
  float* end = to + (NV - 1) * W;
  sum[NV - 1] = last == W ? load(end) : load(end, Some{last});
  for (Size p = 0; p < count; p++) {
    const float* row = from + index[p] * k;
    const float* next = from + index[p + 1 < count ? p + 1 : p] * k;
#pragma GCC unroll 16
    for (int v = 0; v < NV; v++)
      if (v * W % LINE == 0) __builtin_prefetch(next + v * W);
    const V factor = splat(values[p]);
#pragma GCC unroll 16
    for (int v = 0; v + 1 < NV; v++) sum[v] += factor * load(row + v * W);
    sum[NV - 1] += factor * (last == W ? load(row + (NV - 1) * W) : load(row + (NV - 1) * W, Some{last}));
  }
#pragma GCC unroll 16
  for (int v = 0; v + 1 < NV; v++) store(to + v * W, sum[v]);
  if (last == W)
    store(end, sum[NV - 1]);
  else
    store(end, sum[NV - 1], Some{last});
}

using AddRowsPart = void (*)(Size, const float*, const int32_t*, const float*, Size, float*, int);
template <int NV>
constexpr AddRowsPart addRowsPartFor() {
  if constexpr (NV <= FEW_VECTORS)
    return addRowsPart<NV>;
  else
    return nullptr;
}
static const AddRowsPart addRowsParts[16] = {
    addRowsPartFor<1>(),  addRowsPartFor<2>(),  addRowsPartFor<3>(),  addRowsPartFor<4>(),
    addRowsPartFor<5>(),  addRowsPartFor<6>(),  addRowsPartFor<7>(),  addRowsPartFor<8>(),
    addRowsPartFor<9>(),  addRowsPartFor<10>(), addRowsPartFor<11>(), addRowsPartFor<12>(),
    addRowsPartFor<13>(), addRowsPartFor<14>(), addRowsPartFor<15>(), addRowsPartFor<16>()};

/// to (k) += sum of value * row (k) of `from`.
static void addRowsOf(Size count, const float* values, const int32_t* index, const float* from, Size k, float* to) {
  for (Size j = 0; j < k; j += FEW_VECTORS * W) {
    const Size columns = least(FEW_VECTORS * W, k - j);
    const Size vectors = ceilDiv(columns, W);
    addRowsParts[vectors - 1](count, values, index, from + j, k, to + j, static_cast<int>(columns - (vectors - 1) * W));
  }
}

/// out (rows, k) += pruned g (rows, n) w, w (n, k) as it is. Threads own rows. Returns the multiply-accumulates.
static double fewProduct(Team& team, Size rows, Size n, Size k, const int32_t* rowCounts, const uint32_t* starts,
                         const float* values, const uint16_t* offsets, const float* w, float* out) {
  const Size tiles = ceilDiv(n, TILE);
  const double macs = static_cast<double>(countNonzeros(rowCounts, rows)) * static_cast<double>(k);
  parallel(team, rows, FEW_NS / PANEL * macs, [=, &team](Size r, int thread) {
    int32_t* const index = team.scratch[thread].bins;
    const uint32_t* start = starts + r * (tiles + 1);
    uint32_t first = start[0];
    Size count = 0;
    for (Size t = 0; t < tiles; t++)
      for (uint32_t p = start[t]; p < start[t + 1]; p++) {
        index[count++] = static_cast<int32_t>(t * TILE + offsets[p] / ROW_BYTES);
        if (count < FEW_ROWS) continue;
        addRowsOf(count, values + first, index, w, k, out + r * k);
        first = p + 1;
        count = 0;
      }
    if (count > 0) addRowsOf(count, values + first, index, w, k, out + r * k);
  });
  return macs;
}

/// The first list from i on that is not empty.
INLINE Size nextList(const Lists& lists, Size i) {
  while (i < lists.count && lists.starts[2 * i] == lists.starts[2 * i + 1]) i++;
  return i;
}

/// out (n, k) += pruned g^T x, g (rows, n), x (rows, k) as it is. Threads own rows of out. Returns the multiply-accumulates.
static double fewProductTN(Team& team, Size rows, Size n, Size k, const int32_t* rowCounts, const uint32_t* starts,
                           const float* values, const uint16_t* offsets, const float* x, float* out) {
  const Size tiles = ceilDiv(n, TILE);
  const double macs = static_cast<double>(countNonzeros(rowCounts, rows)) * static_cast<double>(k);
  parallel(team, tiles, FEW_NS / PANEL * macs, [=, &team](Size tile, int thread) {
    Scratch& scratch = team.scratch[thread];
    const Size columns = least(TILE, n - tile * TILE);
    for (Size r = 0; r < rows; r += TILE) {
      const Lists lists = listColumns(scratch, least(TILE, rows - r), columns, starts + r * (tiles + 1) + tile, tiles + 1,
                                      values, offsets);
      Size next = nextList(lists, 0);
      for (Size i = next; i < columns; i = next) {
        const uint32_t first = lists.starts[2 * i], end = lists.starts[2 * i + 1];
        next = nextList(lists, i + 1);
        // Which row of the result comes next no processor guesses.
        for (Size j = 0; next < columns && j < k; j += LINE) __builtin_prefetch(out + (tile * TILE + next) * k + j, 1);
        for (uint32_t p = first; p < end; p++) scratch.bins[p - first] = lists.offsets[p] / ROW_BYTES;
        addRowsOf(end - first, lists.values + first, scratch.bins, x + r * k, k, out + (tile * TILE + i) * k);
      }
    }
  });
  return macs;
}
