// What the engine `native` consists of: a team of threads, and one table of kernels per instruction
// set. Every kernel is compiled from the same source (kernels.cpp) once per set; the addon takes the
// best table the processor runs. What the kernels compute is defined by src/kernels/js.ts.
#pragma once
#include <stddef.h>
#include <stdint.h>

using Size = int64_t;

/// Floats of the right factor of a transposed product that are packed at once, 2 MB.
constexpr Size X_FLOATS = 512 << 10;
/// Columns of a packed panel.
constexpr Size PANEL = 64;
/// Gate columns of a list tile: a panel tile of TILE rows is 32 KB and stays in the first-level cache.
constexpr Size TILE = 128;
/// Columns of g that are transposed at once for the dense transposed product.
constexpr Size G_COLUMNS = 48;
/// Distance of two columns' lists; no power of two, so that lists do not fall on the same cache sets.
constexpr Size COLUMN_ROOM = TILE + 16;
/// Rows that meet one tile of a panel before the next comes, in the sparse product.
constexpr Size ROW_BLOCK = 256;
/// Room behind the list of a row: a vector may be stored past its end.
constexpr Size LIST_SLACK = 16;
/// Rows a compress task sweeps; its partial sums are added in order.
constexpr Size SWEEP_ROWS = 4;
constexpr Size SWEEP_BLOCK = 256;
/// Numbers of a thread's part of a transposed result: 1024 columns of the left factor with a panel.
constexpr Size LIVE_FLOATS = 1024 * PANEL;
/// Groups a site may have.
constexpr Size MOST_GROUPS = 16;
/// The histogram of magnitudes; see src/sparse/statistics.ts.
constexpr Size HISTOGRAM_BINS = 1024, HISTOGRAM_SHIFT = 21, HISTOGRAM_ROW_STRIDE = 8;
/// What a rule that chooses is told, in doubles: parts that are chosen among apart, columns of a block, length of the
/// room for scores, then two numbers for each part: its lines as a share is, and as a whole number; of a random rule the
/// largest hash that is kept, and what it is scaled by. Behind this head lie the scores, then the factors in floats.
constexpr Size CHOICE_HEAD = 40, CHOICE_LIMITS = 3;
/// Columns a rule may have that chooses among a row's elements or blocks: twice as many have room in Scratch::turned.
constexpr Size MOST_CHOICE_COLUMNS = LIVE_FLOATS / 2 - 64;

/// A thread's scratch memory.
struct Scratch {
  alignas(64) float gPanel[G_COLUMNS * TILE + 64];
  // The column form of a tile: a list per column, and where it begins and ends.
  alignas(64) float values[TILE * COLUMN_ROOM];
  alignas(64) uint16_t offsets[TILE * COLUMN_ROOM];
  alignas(64) uint32_t ranges[TILE * 2];
  alignas(64) int32_t bins[8 * 1024];  // tables of the histogram
  alignas(64) float turned[LIVE_FLOATS];
};

/// Threads that share one kernel call, and their scratch. Tasks write to disjoint, fixed ranges, so
/// that the result does not depend on who runs them.
struct Team {
  using Task = void (*)(void* context, Size task, int thread);
  int threads = 1;
  Scratch* scratch = nullptr;  // one per thread
  float* xPanels = nullptr;    // X_FLOATS, of all threads
  /// Row of an index out of range, or -1; the addon turns it into an error.
  Size badRow = -1;
  int32_t badIndex = 0;
  /// Partial sums of reductions.
  double partials[1024];

  /// Runs task 0 .. count-1, each once, on this thread and those of the pool.
  void run(Size count, Task task, void* context);
};

/// Addresses are of rows where the work begins; matrices are row-major without gaps. Kernels of pairs need hasPairs().
struct Kernels {
  const char* isa;
  bool pairs;  // products of bf16 pairs are in it
  void (*packPanels)(Team&, Size rows, Size cols, const float* from, float* to);
  void (*packTransposedPanels)(Team&, Size rows, Size cols, const float* from, float* to);
  void (*packRows)(Team&, Size n, Size k, const float* from, float* nt, float* nn, const int32_t* list, Size count);
  void (*packTransposedPairs)(Team&, Size rows, Size cols, const float* from, float* to);
  void (*packPairRows)(Team&, Size k, const float* from, float* to, const int32_t* list, Size count);
  void (*transpose)(Team&, Size rows, Size cols, const float* from, float* to);
  void (*product)(Team&, Size m, Size n, Size k, const float* a, const float* b, float* c);
  void (*productPairs)(Team&, Size m, Size n, Size k, const float* a, const float* b, float* c);
  void (*productTN)(Team&, Size rows, Size n, Size k, const float* g, const float* x, float* out);
  double (*liveProduct)(Team&, Size times, Size rows, Size n, Size k, const float* a, const float* panels,
                        const int32_t* list, const int32_t* counts, float* c);
  double (*liveProductNN)(Team&, Size times, Size rows, Size n, Size k, const float* g, const float* panels,
                          const int32_t* list, const int32_t* counts, float* out);
  double (*liveProductTN)(Team&, Size times, Size rows, Size n, Size k, const float* g, const float* x,
                          const int32_t* list, const int32_t* counts, float* out);
  void (*maskRows)(Team&, float* out, const float* a, const float* factors, Size times, Size rows, Size cols);
  void (*compress)(Team&, float* g, Size rows, Size cols, Size groups, Size row, Size siteRow, Size kind,
                   const float* tau, uint32_t key, double* sums, int32_t* histogram, Size flags, uint32_t* bitmap,
                   int32_t* rowCounts, float* values, uint16_t* offsets, uint32_t* starts, double* partials,
                   double* choice, int32_t* blocks);
  double (*sparseProduct)(Team&, Size rows, Size n, Size k, const float* g, const int32_t* rowCounts,
                          const uint32_t* starts, const float* values, const uint16_t* offsets, const float* panels,
                          float* out, double full);
  double (*sparseProductTN)(Team&, Size rows, Size n, Size k, const float* g, const int32_t* rowCounts,
                            const uint32_t* starts, const float* values, const uint16_t* offsets, const float* x,
                            float* out, double full);
  double (*fewProduct)(Team&, Size rows, Size n, Size k, const int32_t* rowCounts, const uint32_t* starts,
                       const float* values, const uint16_t* offsets, const float* w, float* out);
  double (*fewProductTN)(Team&, Size rows, Size n, Size k, const int32_t* rowCounts, const uint32_t* starts,
                         const float* values, const uint16_t* offsets, const float* x, float* out);
  double (*columnProduct)(Team&, Size times, Size rows, Size n, Size k, const uint32_t* starts, const float* values,
                          const uint16_t* offsets, const float* panels, float* out);
  double (*columnProductTN)(Team&, Size times, Size rows, Size n, Size k, const uint32_t* starts, const float* values,
                            const uint16_t* offsets, const float* x, float* out);
  void (*lstmForward)(Team&, Size rows, Size hidden, float* gates, const float* before, float* c, float* h,
                      float* tanhC);
  void (*lstmBackward)(Team&, Size rows, Size hidden, float* gates, const float* before, const float* tanhC,
                       const float* dh, float* dc);
  void (*lstmRestate)(Team&, Size steps, Size rows, Size hidden, const float* gates, float* c, float* tanhC);
  void (*lstmForwardLoop)(Team&, Size steps, Size rows, Size hidden, float* gates, const float* panels, Size pairs,
                          float* c, float* h, float* tanhC);
  double (*lstmBackwardLoop)(Team&, Size steps, Size rows, Size hidden, Size row, Size siteRow, float* gates,
                             const float* c, const float* tanhC, float* dh, float* dc, const float* dy, Size dhBefore,
                             Size kind, const float* tau, uint32_t key, double* sums, int32_t* histogram, Size flags,
                             uint32_t* bitmap, int32_t* rowCounts, float* values, uint16_t* offsets, uint32_t* starts,
                             double* partials, double* choice, int32_t* blocks, const float* panels, double full);
  void (*gruForward)(Team&, Size rows, Size hidden, float* gates, const float* products, const float* before, float* h,
                     float* kept);
  void (*gruBackward)(Team&, Size rows, Size hidden, float* gates, const float* products, const float* before,
                      float* dh);
  void (*gruHidden)(Team&, Size rows, Size hidden, const float* left, const float* kept, float* out);
  void (*gruForwardLoop)(Team&, Size steps, Size rows, Size hidden, float* gates, float* products, const float* panels,
                         Size pairs, float* h, float* kept);
  double (*gruBackwardLoop)(Team&, Size steps, Size rows, Size hidden, Size row, Size siteRow, float* gates,
                            float* products, const float* h, const float* kept, float* dh, const float* dy,
                            Size dhBefore, Size kind, const float* tau, uint32_t key, double* sums, int32_t* histogram,
                            Size flags, uint32_t* bitmap, int32_t* rowCounts, float* values, uint16_t* offsets,
                            uint32_t* starts, double* partials, double* choice, int32_t* blocks,
                            uint32_t* hiddenBitmap, int32_t* hiddenCounts, float* hiddenValues,
                            uint16_t* hiddenOffsets, uint32_t* hiddenStarts, const float* panels, double full);
  void (*rnnForward)(Team&, Size rows, Size hidden, float* gates, float* h);
  void (*rnnBackward)(Team&, Size rows, Size hidden, float* gates, const float* dh);
  void (*rnnForwardLoop)(Team&, Size steps, Size rows, Size hidden, float* gates, const float* panels, Size pairs,
                         float* h);
  double (*rnnBackwardLoop)(Team&, Size steps, Size rows, Size hidden, Size row, Size siteRow, float* gates, float* dh,
                            const float* dy, Size dhBefore, Size kind, const float* tau, uint32_t key, double* sums,
                            int32_t* histogram, Size flags, uint32_t* bitmap, int32_t* rowCounts, float* values,
                            uint16_t* offsets, uint32_t* starts, double* partials, double* choice, int32_t* blocks,
                            const float* panels, double full);
  void (*mingruForward)(Team&, Size rows, Size hidden, float* gates, const float* before, float* h);
  void (*mingruBackward)(Team&, Size rows, Size hidden, float* gates, const float* before, float* dh);
  void (*mingruForwardLoop)(Team&, Size steps, Size rows, Size hidden, float* gates, float* h);
  void (*mingruBackwardLoop)(Team&, Size steps, Size rows, Size hidden, Size row, Size siteRow, float* gates,
                             const float* h, float* dh, const float* dy, Size kind, const float* tau, uint32_t key,
                             double* sums, int32_t* histogram, Size flags, uint32_t* bitmap, int32_t* rowCounts,
                             float* values, uint16_t* offsets, uint32_t* starts, double* partials, double* choice,
                             int32_t* blocks);
  void (*addInto)(Team&, float* to, const float* from, Size length);
  void (*addColumnSums)(Team&, float* out, const float* g, Size rows, Size cols);
  void (*setRows)(Team&, float* out, Size rows, Size cols, const float* a, const float* b);
  void (*gatherRows)(Team&, float* out, const float* table, const int32_t* index, Size rows, Size cols, Size limit);
  void (*scatterRows)(Team&, float* table, const int32_t* index, const float* g, Size rows, Size cols, Size limit);
  void (*lookupGradient)(Team&, float* out, const int32_t* index, const float* g, Size rows, Size n, Size k,
                         float* sums, int32_t* touched);
  void (*dropout)(Team&, float* out, const float* a, Size length, uint32_t limit, float scale, uint32_t key);
  double (*softmaxCrossEntropy)(Team&, float* logits, const int32_t* targets, Size rows, Size cols, float scale);
  double (*squaredError)(Team&, float* y, const float* targets, Size length, float scale);
  void (*relu)(Team&, float* x, Size length);
  void (*reluGradient)(Team&, float* out, const float* g, const float* y, Size length);
  void (*gelu)(Team&, float* y, float* x, Size length);
  void (*multiply)(Team&, float* out, const float* a, const float* b, Size length);
  void (*tanhOf)(Team&, float* out, const float* x, Size length);
  void (*tanhGradient)(Team&, float* out, const float* g, const float* y, Size length);
  void (*softmaxRows)(Team&, float* x, Size rows, Size cols, Size length);
  void (*softmaxGradientRows)(Team&, float* g, const float* p, Size rows, Size cols);
  void (*layerNorm)(Team&, float* out, const float* x, Size rows, Size cols, const float* weight, const float* bias,
                    float* means, float* inverses, double eps);
  void (*layerNormGradient)(Team&, float* dx, const float* dy, const float* x, Size rows, Size cols,
                            const float* weight, const float* means, const float* inverses, float* dWeight,
                            float* dBias);
  void (*attention)(Team&, float* out, float* shares, const float* x, Size T, Size B, Size heads, Size width,
                    Size steps, float* scratch, Size room);
  void (*attentionGradient)(Team&, float* dx, const float* dy, const float* shares, const float* x, Size T, Size B,
                            Size heads, Size width, Size steps, float* scratch, Size room);
  void (*clear)(Team&, float* x, Size length, const int32_t* list, Size count);
  double (*sumSquares)(Team&, const float* x, Size length);
  double (*sumSquaresOfRows)(Team&, const float* x, Size cols, const int32_t* list, Size count, double* sums);
  void (*sgd)(Team&, float* value, const float* gradient, float* buffer, Size length, const int32_t* list, Size count,
              float gradientScale, float weightDecay, float momentum, float learningRate);
  void (*rmsprop)(Team&, float* value, const float* gradient, float* square, Size length, const int32_t* list,
                  Size count, float gradientScale, float weightDecay, float alpha, float rest, float learningRate,
                  float epsilon);
  void (*adam)(Team&, float* value, const float* gradient, float* mean, float* square, Size length,
               const int32_t* list, Size count, float gradientScale, float weightDecay, float shrink, float beta1,
               float rest1, float beta2, float rest2, float stepSize, float correction, float epsilon);
};

/// The tables this processor runs, best first; ends with null.
const Kernels* const* availableKernels();

/// Whether this processor has the products of pairs of bf16 that the table `isa` brings.
bool hasPairs(const Kernels& isa);

/// Kinds of rules, as src/kernels/choice.ts counts them; from TOP_IN_ROW on they choose (see CHOICE_HEAD).
constexpr Size THRESHOLD = 1, STOCHASTIC = 2, RANDOM = 3;
constexpr Size TOP_IN_ROW = 4, BLOCKS = 5, TOP_COLUMNS = 6, COLUMNS = 7, DRAWN_COLUMNS = 8, ROWS = 9, DRAWN_ROWS = 10;
constexpr Size CHOSEN_COLUMNS = 11;  // drops nothing: the columns are those of a choice that was made
/// Flags of `compress`. COLUMN_FORM, with LISTS, where columns were chosen: what is left goes to columns.h's form.
constexpr Size BEFORE = 1, AFTER = 2, INDEX = 4, LISTS = 8, COLUMN_FORM = 16;

#if defined(__x86_64__)
extern const Kernels kernelsAvx512, kernelsAvx2, kernelsPlain;
#elif defined(__aarch64__)
extern const Kernels kernelsNeon;
#else
extern const Kernels kernelsPlain;
#endif
