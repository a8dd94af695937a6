// The layer of src/nn/recurrent.ts over the native kernels, behind the plain C interface of capi.h. The loops over
// time are kernels; here is what stands around them: pieces of rows, products over many rows at once, counts.
#include "capi.h"

#include <stdlib.h>
#include <string.h>

#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include "kernels.h"

namespace {

constexpr Size GATES = 4, PART_COLUMNS = 4;
constexpr int MOST_THREADS = 64;

/// Rows that backward goes over at once and that have room for lists, by the size of a weight's gradient. The measured
/// constants of src/nn/pieces.ts.
constexpr Size NEAR_GRADIENT = Size{1} << 18, NEAR_ROWS = 256, FAR_ROWS = 1280;

/// Shares of nonzeros above which products run dense: for dh and dx, for dW and dU, and up to NARROW columns. The
/// measured constants of src/kernels/native.ts.
struct Full {
  const char* isa;
  double nn, tn, narrow;
};
constexpr Full FULL[] = {
    {"avx512", 0.48, 0.58, 0.38}, {"avx2", 0.68, 0.72, 0.55}, {"plain", 0.9, 0.9, 0.75}, {"neon", 0.5, 0.5, 0.4}};
constexpr Size NARROW = 32;

Size panelFloats(Size rows, Size cols) { return (cols + PANEL - 1) / PANEL * PANEL * rows; }

/// Memory that grows to the most that was asked for.
struct Room {
  char* data = nullptr;
  size_t size = 0;

  bool reserve(size_t bytes) {
    if (bytes <= size) return true;
    free(data);
    data = nullptr, size = 0;
    constexpr size_t LARGE = size_t{2} << 20;
    void* block = nullptr;
    if (posix_memalign(&block, bytes >= LARGE ? LARGE : 64, bytes) != 0) return false;
#if defined(__linux__)
    // Panels are walked from end to end at every time step: large pages spare the processor its tables.
    if (bytes >= LARGE) madvise(block, bytes, MADV_HUGEPAGE);
#endif
    data = static_cast<char*>(block), size = bytes;
    return true;
  }
  ~Room() { free(data); }
};

/// Takes pieces of a block, or, without one, only counts them.
struct Pieces {
  char* base;
  size_t used = 0;
  template <class T>
  T* take(Size count) {
    used = (used + 63) & ~size_t{63};
    T* piece = base ? reinterpret_cast<T*>(base + used) : nullptr;
    used += static_cast<size_t>(count) * sizeof(T);
    return piece;
  }
};

void clearFloats(float* x, Size length) { memset(x, 0, static_cast<size_t>(length) * sizeof(float)); }

void copyOrClear(float* to, const float* from, Size length) {
  if (from)
    memcpy(to, from, static_cast<size_t>(length) * sizeof(float));
  else
    clearFloats(to, length);
}

/// Where the one 1 of each row of x (rows, cols) is; false if a row is anything else.
bool findOnes(const float* x, Size rows, Size cols, int32_t* index) {
  for (Size r = 0; r < rows; r++) {
    Size one = -1;
    for (Size i = 0; i < cols; i++) {
      const float value = x[r * cols + i];
      if (value == 0) continue;
      if (value != 1 || one >= 0) return false;
      one = i;
    }
    if (one < 0) return false;
    index[r] = static_cast<int32_t>(one);
  }
  return true;
}

}  // namespace

struct GatesieveTeam {
  const Kernels* kernels = nullptr;
  const Full* full = nullptr;
  Team team;
  Room threads, work;

  /// The share for a product with so many columns in its result.
  double fullOf(double wide, Size columns) const { return columns > NARROW ? wide : full->narrow; }

  /// Lays out a plan twice: to count, and to hand out memory.
  template <class Plan>
  bool lay(Plan& plan) {
    Pieces count{nullptr};
    plan.lay(count);
    if (!work.reserve(count.used)) return false;
    Pieces pieces{work.data};
    plan.lay(pieces);
    return true;
  }
};

namespace {

/// A layer's sizes and where its parts lie in `kept`.
struct Layer {
  Size T, B, I, H, cols, rows;
  float *gates, *c, *tanhC;
  explicit Layer(const GatesieveLstm& l)
      : T(l.T), B(l.B), I(l.I), H(l.H), cols(GATES * H), rows(T * B), gates(l.kept), c(gates + rows * cols),
        tanhC(c + (rows + B) * H) {}
};

bool valid(const GatesieveLstm* l) {
  // Draws and lists are counted in 32 bits, as they are in a memory of 4 GiB.
  constexpr double MOST_ELEMENTS = 4294967296.0;
  return l && l->T > 0 && l->B > 0 && l->I > 0 && l->H > 0 &&
         static_cast<double>(l->T) * static_cast<double>(l->B) * 4.0 * static_cast<double>(l->H) < MOST_ELEMENTS &&
         static_cast<double>(l->I) < MOST_ELEMENTS && l->x && l->w_ih && l->w_hh && l->h && l->kept;
}

struct ForwardPlan {
  const Layer& layer;
  float *W = nullptr, *U = nullptr, *zeros = nullptr;
  int32_t* index = nullptr;
  void lay(Pieces& pieces) {
    index = pieces.take<int32_t>(layer.rows);
    W = pieces.take<float>(panelFloats(layer.I, layer.cols));
    U = pieces.take<float>(panelFloats(layer.H, layer.cols));
    zeros = pieces.take<float>(layer.cols);
  }
};

/// out (rows, cols) += x W^T, in the plan's room. One-hot x, which loops make of tokens, is a look-up of W's columns: the
/// same bits, unless W is not finite, which then shows in the rows that read it alone.
template <class Plan>
void addInputProduct(GatesieveTeam& g, const Plan& plan, const float* x, const float* w, float* out) {
  const Kernels& k = *g.kernels;
  const Size rows = plan.layer.rows, I = plan.layer.I, cols = plan.layer.cols;
  if (!findOnes(x, rows, I, plan.index)) {
    k.packTransposedPanels(g.team, cols, I, w, plan.W);
    k.product(g.team, rows, cols, I, x, plan.W, out);
    return;
  }
  for (Size c = 0; c < cols; c++)
    for (Size i = 0; i < I; i++) plan.W[i * cols + c] = w[c * I + i];
  k.gatherRows(g.team, out, plan.W, plan.index, rows, cols, I);
}

struct BackwardPlan {
  const Layer& layer;
  bool wantsDx;
  Size listRows;
  float *U = nullptr, *W = nullptr, *dh = nullptr, *dc = nullptr, *zeros = nullptr, *values = nullptr;
  uint16_t* offsets = nullptr;
  uint32_t *starts = nullptr, *bitmap = nullptr;
  int32_t* counts = nullptr;
  double* partials = nullptr;

  static Size words(Size cols) { return (cols + 31) / 32; }
  static Size tiles(Size cols) { return (cols + TILE - 1) / TILE; }

  void lay(Pieces& pieces) {
    const auto& [T, B, I, H, cols, rows, gates, c, tanhC] = layer;
    const Size room = cols + LIST_SLACK;
    U = pieces.take<float>(panelFloats(cols, H));
    W = pieces.take<float>(wantsDx ? panelFloats(cols, I) : 0);
    dh = pieces.take<float>(B * H);
    dc = pieces.take<float>(B * H);
    zeros = pieces.take<float>(listRows * H);  // in place of a dy that is not there
    values = pieces.take<float>(listRows * room);
    offsets = pieces.take<uint16_t>(listRows * room);
    starts = pieces.take<uint32_t>(listRows * (tiles(cols) + 1));
    bitmap = pieces.take<uint32_t>(listRows * words(cols));
    counts = pieces.take<int32_t>(listRows);
    partials = pieces.take<double>(SWEEP_BLOCK / SWEEP_ROWS * GATES * PART_COLUMNS);
  }
};

/// Adds a product of `elements` gate gradients, `kept` of them nonzero, with rows of `width`.
void countProduct(GatesieveLstmBackward& b, int product, Size elements, Size kept, Size width, double executed) {
  b.dense[product] += static_cast<double>(elements * width);
  b.skipped[product] += static_cast<double>((elements - kept) * width);
  b.executed[product] += executed;
}

Size sumOf(const int32_t* counts, Size rows) {
  Size sum = 0;
  for (Size r = 0; r < rows; r++) sum += counts[r];
  return sum;
}

/// Backward over time steps [first, first + steps), whose rows have room for lists.
void backwardPiece(GatesieveTeam& g, const GatesieveLstm& l, const Layer& layer, const BackwardPlan& plan,
                   GatesieveLstmBackward& b, Size first, Size steps) {
  const auto& [T, B, I, H, cols, allRows, gates, c, tanhC] = layer;
  const Kernels& k = *g.kernels;
  Team& team = g.team;
  const Size row = first * B, rows = steps * B;
  const bool dhBefore = first > 0 || b.dh0;
  const bool sparse = b.rule != GATESIEVE_KEEP;
  float* const dGates = gates + row * cols;
  const double executedDh = k.lstmBackwardLoop(
      team, steps, B, H, 0, row, dGates, c + row * H, tanhC + row * H, plan.dh, plan.dc,
      b.dy ? b.dy + row * H : plan.zeros, dhBefore, b.rule == GATESIEVE_STOCHASTIC ? STOCHASTIC : THRESHOLD, b.tau,
      b.key, b.sums, b.histogram, sparse ? BEFORE | AFTER | INDEX | LISTS : BEFORE | AFTER | INDEX, plan.bitmap,
      plan.counts, plan.values, plan.offsets, plan.starts, plan.partials, nullptr, nullptr, plan.U, g.fullOf(g.full->nn, H));

  const Size start = dhBefore ? 0 : B;  // rows that no dh is made from
  const Size kept = sumOf(plan.counts, rows);
  const auto count = [&](int product, Size from, Size width, double executed) {
    const Size elements = (rows - from) * cols;
    countProduct(b, product, elements, kept - sumOf(plan.counts, from), width,
                 sparse ? executed : static_cast<double>(elements * width));
  };
  count(GATESIEVE_DH, start, H, executedDh);

  const auto weightGradient = [&](int product, float* gradient, const float* x, Size width) {
    if (!gradient) return;
    double executed = 0;
    if (sparse)
      executed = k.sparseProductTN(team, rows, cols, width, dGates, plan.counts, plan.starts, plan.values,
                                   plan.offsets, x, gradient, g.fullOf(g.full->tn, width));
    else
      k.productTN(team, rows, cols, width, dGates, x, gradient);
    count(product, 0, width, executed);
  };
  weightGradient(GATESIEVE_DU, b.dw_hh, l.h + row * H, H);
  weightGradient(GATESIEVE_DW, b.dw_ih, l.x + row * I, I);
  if (b.db) k.addColumnSums(team, b.db, dGates, rows, cols);

  if (!b.dx) return;
  double executed = 0;
  if (sparse)
    executed = k.sparseProduct(team, rows, cols, I, dGates, plan.counts, plan.starts, plan.values, plan.offsets,
                               plan.W, b.dx + row * I, g.fullOf(g.full->nn, I));
  else
    k.product(team, rows, I, cols, dGates, plan.W, b.dx + row * I);
  count(GATESIEVE_DX, 0, I, executed);
}

// ---- GRU: src/nn/cells/gru.ts; what U sees of the gate gradients is a matrix of its own (src/nn/hidden.ts)

constexpr Size GRU_GATES = 3;

struct GruLayer {
  Size T, B, I, H, cols, rows;
  float *gates, *hidden, *r;
  explicit GruLayer(const GatesieveGru& l)
      : T(l.T), B(l.B), I(l.I), H(l.H), cols(GRU_GATES * H), rows(T * B), gates(l.kept), hidden(gates + rows * cols),
        r(hidden + rows * cols) {}
};

bool valid(const GatesieveGru* l) {
  constexpr double MOST_ELEMENTS = 4294967296.0;
  return l && l->T > 0 && l->B > 0 && l->I > 0 && l->H > 0 &&
         static_cast<double>(l->T) * static_cast<double>(l->B) * 3.0 * static_cast<double>(l->H) < MOST_ELEMENTS &&
         static_cast<double>(l->I) < MOST_ELEMENTS && l->x && l->w_ih && l->w_hh && l->h && l->kept;
}

struct GruForwardPlan {
  const GruLayer& layer;
  float *W = nullptr, *U = nullptr, *zeros = nullptr;
  int32_t* index = nullptr;
  void lay(Pieces& pieces) {
    index = pieces.take<int32_t>(layer.rows);
    W = pieces.take<float>(panelFloats(layer.I, layer.cols));
    U = pieces.take<float>(panelFloats(layer.H, layer.cols));
    zeros = pieces.take<float>(layer.cols);
  }
};

/// Lists of nonzeros of so many rows, for sparse products.
struct Lists {
  float* values = nullptr;
  uint16_t* offsets = nullptr;
  uint32_t *starts = nullptr, *bitmap = nullptr;
  int32_t* counts = nullptr;
  void lay(Pieces& pieces, Size rows, Size cols) {
    const Size room = cols + LIST_SLACK;
    values = pieces.take<float>(rows * room);
    offsets = pieces.take<uint16_t>(rows * room);
    starts = pieces.take<uint32_t>(rows * (BackwardPlan::tiles(cols) + 1));
    bitmap = pieces.take<uint32_t>(rows * BackwardPlan::words(cols));
    counts = pieces.take<int32_t>(rows);
  }
};

struct GruBackwardPlan {
  const GruLayer& layer;
  bool wantsDx;
  Size listRows;
  float *U = nullptr, *W = nullptr, *dh = nullptr, *zeros = nullptr;
  double* partials = nullptr;
  Lists own = {}, hidden = {};

  void lay(Pieces& pieces) {
    const auto& [T, B, I, H, cols, rows, gates, products, r] = layer;
    U = pieces.take<float>(panelFloats(cols, H));
    W = pieces.take<float>(wantsDx ? panelFloats(cols, I) : 0);
    dh = pieces.take<float>(B * H);
    zeros = pieces.take<float>(listRows * H);
    partials = pieces.take<double>(SWEEP_BLOCK / SWEEP_ROWS * GRU_GATES * PART_COLUMNS);
    own.lay(pieces, listRows, cols);
    hidden.lay(pieces, listRows, cols);
  }
};

/// Backward over time steps [first, first + steps), whose rows have room for lists.
void backwardPiece(GatesieveTeam& g, const GatesieveGru& l, const GruLayer& layer, const GruBackwardPlan& plan,
                   GatesieveGruBackward& b, Size first, Size steps) {
  const auto& [T, B, I, H, cols, allRows, gates, products, r] = layer;
  const Kernels& k = *g.kernels;
  Team& team = g.team;
  const Size row = first * B, rows = steps * B;
  const bool dhBefore = first > 0 || b.dh0;
  const bool sparse = b.rule != GATESIEVE_KEEP;
  float *const dGates = gates + row * cols, *const dHidden = products + row * cols;
  const Lists &own = plan.own, &hidden = plan.hidden;
  const double executedDh = k.gruBackwardLoop(
      team, steps, B, H, 0, row, dGates, dHidden, l.h + row * H, r + row * H, plan.dh,
      b.dy ? b.dy + row * H : plan.zeros, dhBefore, b.rule == GATESIEVE_STOCHASTIC ? STOCHASTIC : THRESHOLD, b.tau,
      b.key, b.sums, b.histogram, sparse ? BEFORE | AFTER | INDEX | LISTS : BEFORE | AFTER | INDEX, own.bitmap,
      own.counts, own.values, own.offsets, own.starts, plan.partials, nullptr, nullptr, hidden.bitmap, hidden.counts, hidden.values,
      hidden.offsets, hidden.starts, plan.U, g.fullOf(g.full->nn, H));

  const Size start = dhBefore ? 0 : B;  // rows that no dh is made from
  const Size kept = sumOf(own.counts, rows);
  const auto count = [&](int product, Size from, Size width, double executed) {
    const double elements = static_cast<double>((rows - from) * cols * width);
    b.dense[product] += elements;
    b.skipped[product] += elements - static_cast<double>((kept - sumOf(own.counts, from)) * width);
    b.executed[product] += sparse ? executed : elements;
  };
  count(GATESIEVE_DH, start, H, executedDh);

  const auto weightGradient = [&](int product, float* gradient, const float* d, const Lists& lists, const float* x,
                                  Size width) {
    if (!gradient) return;
    double executed = 0;
    if (sparse)
      executed = k.sparseProductTN(team, rows, cols, width, d, lists.counts, lists.starts, lists.values, lists.offsets,
                                   x, gradient, g.fullOf(g.full->tn, width));
    else
      k.productTN(team, rows, cols, width, d, x, gradient);
    count(product, 0, width, executed);
  };
  weightGradient(GATESIEVE_DU, b.dw_hh, dHidden, hidden, l.h + row * H, H);
  weightGradient(GATESIEVE_DW, b.dw_ih, dGates, own, l.x + row * I, I);
  if (b.db_ih) k.addColumnSums(team, b.db_ih, dGates, rows, cols);
  if (b.db_hh) k.addColumnSums(team, b.db_hh, dHidden, rows, cols);

  if (!b.dx) return;
  double executed = 0;
  if (sparse)
    executed = k.sparseProduct(team, rows, cols, I, dGates, own.counts, own.starts, own.values, own.offsets, plan.W,
                               b.dx + row * I, g.fullOf(g.full->nn, I));
  else
    k.product(team, rows, I, cols, dGates, plan.W, b.dx + row * I);
  count(GATESIEVE_DX, 0, I, executed);
}

}  // namespace

extern "C" {

int32_t gatesieve_abi(void) { return GATESIEVE_ABI; }

const char* gatesieve_isas(void) {
  static char names[64] = "";
  if (names[0]) return names;
  char list[sizeof names] = "";
  for (const Kernels* const* table = availableKernels(); *table; table++) {
    if (list[0]) strcat(list, ",");
    strcat(list, (*table)->isa);
  }
  memcpy(names, list, sizeof names);
  return names;
}

GatesieveTeam* gatesieve_open(int32_t threads, const char* isa) {
  if (threads < 1 || threads > MOST_THREADS) return nullptr;
  const Kernels* const* table = availableKernels();
  while (isa && *table && strcmp((*table)->isa, isa) != 0) table++;
  if (!*table) return nullptr;
  // malloc, not new: the library then needs nothing of the C++ library.
  void* memory = malloc(sizeof(GatesieveTeam));
  if (!memory) return nullptr;
  GatesieveTeam* g = new (memory) GatesieveTeam{};
  g->kernels = *table;
  g->full = FULL;
  while (strcmp(g->full->isa, g->kernels->isa) != 0) g->full++;
  if (!g->threads.reserve(static_cast<size_t>(threads) * sizeof(Scratch) + X_FLOATS * sizeof(float))) {
    gatesieve_close(g);
    return nullptr;
  }
  g->team.threads = threads;
  g->team.scratch = reinterpret_cast<Scratch*>(g->threads.data);
  g->team.xPanels = reinterpret_cast<float*>(g->team.scratch + threads);
  return g;
}

void gatesieve_close(GatesieveTeam* g) {
  if (!g) return;
  g->~GatesieveTeam();
  free(g);
}

int64_t gatesieve_lstm_kept(int64_t T, int64_t B, int64_t H) { return T * B * 4 * H + (T + 1) * B * H + T * B * H; }

int32_t gatesieve_lstm_forward(GatesieveTeam* g, const GatesieveLstm* l) {
  if (!g || !valid(l)) return GATESIEVE_BAD_ARGUMENT;
  const Layer layer(*l);
  const auto& [T, B, I, H, cols, rows, gates, c, tanhC] = layer;
  ForwardPlan plan{layer};
  if (!g->lay(plan)) return GATESIEVE_NO_MEMORY;
  const Kernels& k = *g->kernels;
  k.packTransposedPanels(g->team, cols, H, l->w_hh, plan.U);
  copyOrClear(l->h, l->h0, B * H);
  copyOrClear(c, l->c0, B * H);
  clearFloats(plan.zeros, cols);
  k.setRows(g->team, gates, rows, cols, l->b_ih ? l->b_ih : plan.zeros, l->b_hh);
  addInputProduct(*g, plan, l->x, l->w_ih, gates);
  k.lstmForwardLoop(g->team, T, B, H, gates, plan.U, 0, c, l->h, tanhC);
  if (l->cn) copyOrClear(l->cn, c + rows * H, B * H);
  return GATESIEVE_OK;
}

int32_t gatesieve_lstm_backward(GatesieveTeam* g, const GatesieveLstm* l, GatesieveLstmBackward* b) {
  if (!g || !valid(l) || !b || !b->sums || !b->histogram) return GATESIEVE_BAD_ARGUMENT;
  if (b->rule < GATESIEVE_KEEP || b->rule > GATESIEVE_STOCHASTIC) return GATESIEVE_BAD_ARGUMENT;
  const Layer layer(*l);
  const auto& [T, B, I, H, cols, rows, gates, c, tanhC] = layer;
  const Size most = cols * (H > I ? H : I) <= NEAR_GRADIENT ? NEAR_ROWS : FAR_ROWS;
  const Size wanted = most / B > 1 ? most / B : 1;
  const Size piece = wanted < T ? wanted : T;  // time steps
  BackwardPlan plan{layer, b->dx != nullptr, piece * B};
  if (!g->lay(plan)) return GATESIEVE_NO_MEMORY;
  const Kernels& k = *g->kernels;

  GatesieveLstmBackward& to = *b;
  memset(to.sums, 0, GATES * GATESIEVE_SUMS * sizeof *to.sums);
  memset(to.histogram, 0, GATES * GATESIEVE_BINS * sizeof *to.histogram);
  for (int i = 0; i < GATESIEVE_PRODUCTS; i++) to.dense[i] = to.skipped[i] = to.executed[i] = 0;
  if (to.rule == GATESIEVE_KEEP)
    for (float& tau : to.tau) tau = -1;  // which no magnitude is
  if (to.dw_ih) clearFloats(to.dw_ih, cols * I);
  if (to.dw_hh) clearFloats(to.dw_hh, cols * H);
  if (to.db) clearFloats(to.db, cols);
  if (to.dx) clearFloats(to.dx, rows * I);
  if (!to.dy) clearFloats(plan.zeros, piece * B * H);
  copyOrClear(plan.dh, to.dhn, B * H);
  copyOrClear(plan.dc, to.dcn, B * H);
  k.packPanels(g->team, cols, H, l->w_hh, plan.U);
  if (to.dx) k.packPanels(g->team, cols, I, l->w_ih, plan.W);

  for (Size first = (T - 1) / piece * piece; first >= 0; first -= piece)
    backwardPiece(*g, *l, layer, plan, to, first, T - first < piece ? T - first : piece);
  if (to.dh0) copyOrClear(to.dh0, plan.dh, B * H);
  if (to.dc0) copyOrClear(to.dc0, plan.dc, B * H);
  return GATESIEVE_OK;
}

int64_t gatesieve_gru_kept(int64_t T, int64_t B, int64_t H) { return T * B * 7 * H; }

int32_t gatesieve_gru_forward(GatesieveTeam* g, const GatesieveGru* l) {
  if (!g || !valid(l)) return GATESIEVE_BAD_ARGUMENT;
  const GruLayer layer(*l);
  const auto& [T, B, I, H, cols, rows, gates, products, r] = layer;
  GruForwardPlan plan{layer};
  if (!g->lay(plan)) return GATESIEVE_NO_MEMORY;
  const Kernels& k = *g->kernels;
  k.packTransposedPanels(g->team, cols, H, l->w_hh, plan.U);
  copyOrClear(l->h, l->h0, B * H);
  clearFloats(plan.zeros, cols);
  k.setRows(g->team, gates, rows, cols, l->b_ih ? l->b_ih : plan.zeros, nullptr);
  k.setRows(g->team, products, rows, cols, l->b_hh ? l->b_hh : plan.zeros, nullptr);
  addInputProduct(*g, plan, l->x, l->w_ih, gates);
  k.gruForwardLoop(g->team, T, B, H, gates, products, plan.U, 0, l->h, r);
  return GATESIEVE_OK;
}

int32_t gatesieve_gru_backward(GatesieveTeam* g, const GatesieveGru* l, GatesieveGruBackward* b) {
  if (!g || !valid(l) || !b || !b->sums || !b->histogram) return GATESIEVE_BAD_ARGUMENT;
  if (b->rule < GATESIEVE_KEEP || b->rule > GATESIEVE_STOCHASTIC) return GATESIEVE_BAD_ARGUMENT;
  const GruLayer layer(*l);
  const auto& [T, B, I, H, cols, rows, gates, products, r] = layer;
  const Size most = cols * (H > I ? H : I) <= NEAR_GRADIENT ? NEAR_ROWS : FAR_ROWS;
  const Size wanted = most / B > 1 ? most / B : 1;
  const Size piece = wanted < T ? wanted : T;  // time steps
  GruBackwardPlan plan{layer, b->dx != nullptr, piece * B};
  if (!g->lay(plan)) return GATESIEVE_NO_MEMORY;
  const Kernels& k = *g->kernels;

  GatesieveGruBackward& to = *b;
  memset(to.sums, 0, GRU_GATES * GATESIEVE_SUMS * sizeof *to.sums);
  memset(to.histogram, 0, GRU_GATES * GATESIEVE_BINS * sizeof *to.histogram);
  for (int i = 0; i < GATESIEVE_PRODUCTS; i++) to.dense[i] = to.skipped[i] = to.executed[i] = 0;
  if (to.rule == GATESIEVE_KEEP)
    for (float& tau : to.tau) tau = -1;  // which no magnitude is
  if (to.dw_ih) clearFloats(to.dw_ih, cols * I);
  if (to.dw_hh) clearFloats(to.dw_hh, cols * H);
  if (to.db_ih) clearFloats(to.db_ih, cols);
  if (to.db_hh) clearFloats(to.db_hh, cols);
  if (to.dx) clearFloats(to.dx, rows * I);
  if (!to.dy) clearFloats(plan.zeros, piece * B * H);
  copyOrClear(plan.dh, to.dhn, B * H);
  k.packPanels(g->team, cols, H, l->w_hh, plan.U);
  if (to.dx) k.packPanels(g->team, cols, I, l->w_ih, plan.W);

  for (Size first = (T - 1) / piece * piece; first >= 0; first -= piece)
    backwardPiece(*g, *l, layer, plan, to, first, T - first < piece ? T - first : piece);
  if (to.dh0) copyOrClear(to.dh0, plan.dh, B * H);
  return GATESIEVE_OK;
}

}  // extern "C"
