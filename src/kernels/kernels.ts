/**
 * THE CONTRACT between nets and engines.
 *
 * An engine is a set of kernels over one arena. `js` is the definition, a loop a reader checks
 * against the paper; `wasm` and `native` are checked against it by engines.contract.test.ts.
 *
 * Conventions
 * - Matrices are row-major and dense; a kernel works on rows [row, row + rows) of each.
 * - Products ADD to `out`; whoever owns a buffer clears it. Kernels named set... overwrite.
 * - Shapes are (rows, columns). T time, B batch, H hidden, G gates, I inputs, V vocabulary.
 * - Kernels never allocate. What they need is planned before the arena is allocated.
 * - The same call on the same bits gives the same bits.
 */
import type { Arena, IntTensor, Tensor } from "../core/arena.ts";
import type { RowSet } from "../core/row-set.ts";
import type { Pattern } from "../sparse/pattern.ts";
import type { DropRule } from "../sparse/rule.ts";
import type { Site } from "../sparse/site.ts";
import type { SiteStatistics } from "../sparse/statistics.ts";

export type EngineName = "js" | "wasm" | "native";

export interface Engine {
  readonly name: EngineName;
  /** Instruction set in use, for example "simd128"; "scalar" for js. */
  readonly isa: string;
  /** Binds to an arena before it is allocated. */
  attach(arena: Arena): Kernels;
}

/** How a weight (N, K) is used; engines plan packed copies accordingly. */
export interface WeightUses {
  /** Largest number of rows of any product with this weight. */
  readonly rows: number;
  /** out (rows, N) += a (rows, K) w^T: the forward product; "bf16": on operands rounded to bf16, where engines can. */
  readonly nt?: boolean | "bf16";
  /** out (rows, K) += g (rows, N) w: dh and dx, dense and sparse. */
  readonly nn?: boolean;
  /** out (rows, N) += column index[r] of w: the product with a one-hot input. */
  readonly lookup?: boolean;
  /** nt and nn also over live columns; engines without LiveKernels plan nothing for it. */
  readonly live?: boolean;
  /**
   * nt and nn take turns many times within a pass. Without it, a pass has all its nt products before all its nn
   * products, and an engine may have room for one of the two packed copies: it makes each where it is wanted.
   */
  readonly inTurns?: boolean;
  /**
   * A group of weights of which a pass finishes with one, nt or nn, before it comes to the next: an engine may have room for
   * the packed copies of one of them.
   */
  readonly group?: string;
}

/** A weight together with an engine's packed copies of it. */
export interface Weight {
  /** (N, K), PyTorch's layout. */
  readonly tensor: Tensor;
  readonly uses: WeightUses;
}

/** One time step of a cell, mutated in place by the time loop. Row blocks are B rows. */
export interface CellStep {
  /** First row of time t in gates, states and keeps: t*B, t from where their rows begin (all of time, or a segment). */
  row: number;
  /** The same in h, which has rows for all of time. */
  hRow: number;
  /** The same in states and keeps: `row`, unless the cell's kernel has `restate`, which lets them have fewer rows. */
  stateRow: number;
  /** B. */
  rows: number;
  readonly hidden: number;
  /** (S*B, G*H): pre-activations in, activations out; backward: activations in, gate gradients out. */
  readonly gates: Tensor;
  /**
   * (S*B, G*H), of cells that take the hidden product apart from the input's: h[t-1] U^T + b_hh in; backward: as it was
   * in, then, by `dHidden`, the gate gradients that U sees.
   */
  readonly hiddenGates: Tensor | undefined;
  /** ((T+1)*B, H): h of t-1 at `hRow`, h of t at `hRow + rows`. */
  readonly h: Tensor;
  /** Further states, each ((S+1)*B, H): that of t-1 at `stateRow`, that of t at `stateRow + rows`. LSTM: c. */
  readonly states: readonly Tensor[];
  /** What forward keeps for backward, each (S*B, H), that of t at `stateRow`. LSTM: tanh(c). */
  readonly keeps: readonly Tensor[];
  /** (B, H), backward: dLoss/dh of t, complete; a cell that carries h overwrites it with what flows into t-1 beside U. */
  readonly dh: Tensor;
  /** (B, H) each, backward: dLoss/dstate flowing from t+1 into t; overwritten with what flows into t-1. */
  readonly dStates: readonly Tensor[];
}

/** A cell's pointwise part. The reference stands in nn/cells; an engine may bring a faster one. */
export interface CellKernel {
  forward(step: CellStep): void;
  backward(step: CellStep): void;
  /**
   * Of cells with `hiddenGates`: rows of `out` (from outRow) = the gate gradients that U sees of time t, from those
   * that the rule left for W in rows of `left` (from leftRow).
   */
  dHidden?(step: CellStep, left: Tensor, leftRow: number, out: Tensor, outRow: number): void;
  /**
   * For `steps` steps from `step` on, t up: states of t and what forward keeps once more, to the same bits, from the
   * activations in `gates` and the states of t-1.
   */
  restate?(step: CellStep, steps: number): void;
}

/** A stretch of time of a recurrent layer, mutated in place by the layer. */
export interface TimeLoop {
  /** `row` and `hRow` are those of the stretch's first time step. */
  readonly step: CellStep;
  /** Time steps. */
  steps: number;
  /** (G*H, H); none where the cell has no hidden product. */
  readonly U: Weight | undefined;
  readonly pattern: Pattern;
  /** Of the gate gradients that U sees, where they are not those of `pattern`: its dense is `hiddenGates`. */
  readonly hiddenPattern: Pattern | undefined;
  readonly rule: DropRule;
  readonly statistics: SiteStatistics;
  /** Off: a `keep` rule counts nothing. */
  watched: boolean;
  /** dLoss/dh from above, that of the first time step at `dyRow`. */
  dy: Tensor;
  dyRow: number;
  /** Whether dh is wanted before the stretch's first time step. */
  dhBefore: boolean;
}

/**
 * A layer's time loop with its products in one call, where an engine has that: the loops of nn/recurrent.ts, over
 * the engine's other kernels, to the same bits. Threads meet less often, and nothing is called once a time step.
 */
export interface RecurrentKernel {
  /** For t up: gates (or hiddenGates) += h[t-1] U^T; the cell. */
  forward(loop: TimeLoop): void;
  /**
   * For t down: dh += dy[t]; the cell; compress; dHidden; dh = dGates[t] U. Returns the multiply-accumulates of dh that were
   * executed, 0 under `keep`; or undefined, with nothing done, where it does not know the rule.
   */
  backward(loop: TimeLoop): number | undefined;
}

/**
 * The live columns of a matrix (T*B, K) whose other columns are zero in all B rows of a time step, as structured dropout
 * leaves it.
 */
export interface LiveColumns {
  /** (T, K): a time's live columns, ascending; so many of them as its count. */
  readonly list: IntTensor;
  /** (T) */
  readonly counts: IntTensor;
}

/**
 * Products that meet live columns only, of `times` blocks of `rows` rows from time `time` on. They compute what the
 * dense products compute over the zeroed matrix; each returns the multiply-accumulates executed.
 */
export interface LiveKernels {
  /** Rows of a time step from which on these products pay; of fewer the dense ones run. */
  readonly leastRows: number;
  /** out += a w^T; a has live columns. w was planned with use `live`. */
  gemmNT(out: Tensor, outRow: number, a: Tensor, aRow: number, w: Weight, live: LiveRows): number;
  /** Live columns of out += g w; the others stay as they were. w was planned with use `live`. */
  gemmNN(out: Tensor, outRow: number, g: Tensor, gRow: number, w: Weight, live: LiveRows): number;
  /** out += g^T x; x has live columns. */
  gemmTN(out: Tensor, g: Tensor, gRow: number, x: Tensor, xRow: number, live: LiveRows): number;
  /**
   * Whether gemmNN ("nn") or gemmTN ("tn") over the live columns is faster than the sparse product, which meets all
   * columns, where a rule left this share of the gradients.
   */
  pays(product: "nn" | "tn", density: number, live: LiveRows): boolean;
  /** out = a, each row times the factors (T, K) of its time; exactly 0 where a factor is. */
  mask(out: Tensor, outRow: number, a: Tensor, aRow: number, factors: Tensor, live: LiveRows): void;
}

/** `times` blocks of `rows` rows, the first of them time `time`; mutated in place by whoever multiplies. */
export interface LiveRows {
  readonly columns: LiveColumns;
  time: number;
  times: number;
  rows: number;
}

/** A layer norm: its parameters (cols) with their gradients, and what forward keeps of each row. */
export interface NormTensors {
  readonly weight: Tensor;
  readonly bias: Tensor;
  readonly dWeight: Tensor;
  readonly dBias: Tensor;
  /** (rows) */
  readonly mean: Tensor;
  /** (rows): 1 / sqrt(variance + eps), the variance without Bessel's correction. */
  readonly inverse: Tensor;
  readonly eps: number;
}

/** Causal attention: T positions of B lanes, row t*B + b; mutated in place by whoever calls. */
export interface AttentionShape {
  T: number;
  B: number;
  readonly heads: number;
  /** T as planned. */
  readonly steps: number;
}

/**
 * Pointwise parts, softmax and norm of layers that are not recurrent. They overwrite. Rows of `out` and of what has no row
 * number begin at 0; sums over a row are taken in float64.
 */
export interface LayerKernels {
  /** x = max(0, x) in place; a NaN stays, to reach the guard, and so does -Infinity, as one. */
  relu(x: Tensor, rows: number): void;
  /** out = g where y > 0, else 0. */
  reluGradient(out: Tensor, g: Tensor, gRow: number, y: Tensor, rows: number): void;
  /** y = x F(x), F the normal distribution function; x becomes the slope F(x) + x F'(x). */
  gelu(y: Tensor, x: Tensor, rows: number): void;
  /** out = a b, element by element. */
  multiply(out: Tensor, a: Tensor, aRow: number, b: Tensor, rows: number): void;
  tanh(out: Tensor, x: Tensor, rows: number): void;
  /** out = g (1 - y^2). */
  tanhGradient(out: Tensor, g: Tensor, gRow: number, y: Tensor, rows: number): void;
  /** Softmax over the first `length` columns, at least 1, in place; the other columns become 0. */
  softmax(x: Tensor, row: number, rows: number, length: number): void;
  /** In place, rows of g and of the softmax p alike: g = p (g - sum of p g). */
  softmaxGradient(g: Tensor, p: Tensor, row: number, rows: number): void;
  /** out = (x - mean) inverse weight + bias; sets mean and inverse. */
  layerNorm(out: Tensor, x: Tensor, xRow: number, rows: number, norm: NormTensors): void;
  /** dx from dy and the x of forward; adds to dWeight and dBias. */
  layerNormGradient(
    dx: Tensor,
    dy: Tensor,
    dyRow: number,
    x: Tensor,
    xRow: number,
    rows: number,
    norm: NormTensors,
  ): void;
  /** Plans what attention over `steps` positions with heads of `size` columns needs. */
  planAttention(steps: number, size: number): void;
  /**
   * For each lane and head, with Q, K, V (T, d) its columns of x (T*B, 3 heads d): P = softmax(Q K^T / sqrt(d)) over keys no
   * later than the query, 0 beyond; its columns of out (T*B, heads d) = P V. P of query q is row (b heads + head) steps + q of
   * `shares` (B heads steps, steps).
   */
  attention(out: Tensor, shares: Tensor, x: Tensor, xRow: number, shape: AttentionShape): void;
  /** dx (T*B, 3 heads d) from dy, and from x and the shares of forward. */
  attentionGradient(
    dx: Tensor,
    dy: Tensor,
    dyRow: number,
    shares: Tensor,
    x: Tensor,
    xRow: number,
    shape: AttentionShape,
  ): void;
}

/** Hyper-parameters of one optimizer update, mutated in place. */
export interface UpdateSettings {
  learningRate: number;
  /** Multiplies every gradient first (gradient clipping). */
  gradientScale: number;
  /** 1-based number of this update. */
  step: number;
  weightDecay: number;
  momentum: number;
  beta1: number;
  beta2: number;
  epsilon: number;
  /** RMSprop's smoothing constant. */
  alpha: number;
}

export interface Kernels {
  readonly engine: Engine;

  // ---- planning, before the arena is allocated
  planWeight(tensor: Tensor, uses: WeightUses): Weight;
  /**
   * `listRows`: rows whose compressed form is wanted at once; without it all rows of `dense`. See Pattern.listFirst.
   * `group`: patterns of which a pass has no product left, of the rows it last compressed, when it comes to the next one's
   * rows: an engine may have room for the compressed form of one of them.
   */
  planPattern(site: Site, dense: Tensor, listRows?: number, group?: string): Pattern;
  /** Tells the engine of a gemmTN/spmmTN it will meet, so that it can plan its scratch memory. */
  planTN(rows: number, outRows: number, outCols: number): void;

  // ---- weights
  /**
   * After the weight has changed, in all rows or in these alone: its packed copies are made anew, now or where one is
   * wanted. Until then its values must stay.
   */
  pack(weight: Weight, rows?: RowSet): void;

  // ---- dense products
  /** out (rows, N) += a (rows, K) w^T, w (N, K); both rounded to bf16 first where the weight was planned so. */
  gemmNT(out: Tensor, outRow: number, a: Tensor, aRow: number, w: Weight, rows: number): void;
  /** out (rows, K) += g (rows, N) w, w (N, K). */
  gemmNN(out: Tensor, outRow: number, g: Tensor, gRow: number, w: Weight, rows: number): void;
  /** out (N, K) += g^T (N, rows) x (rows, K): dW and dU. */
  gemmTN(out: Tensor, g: Tensor, gRow: number, x: Tensor, xRow: number, rows: number): void;

  // ---- products with one-hot rows: look-ups, no multiplications
  /** out (rows, N) += column index[indexRow + r] of w (N, K). */
  lookup(out: Tensor, outRow: number, index: IntTensor, indexRow: number, w: Weight, rows: number): void;
  /** Column index[indexRow + r] of out (N, K) += row r of g (rows, N). */
  lookupGradient(
    out: Tensor,
    index: IntTensor,
    indexRow: number,
    g: Tensor,
    gRow: number,
    w: Weight,
    rows: number,
  ): void;
  /** out (rows, E) += row index[indexRow + r] of table (V, E). */
  gather(out: Tensor, outRow: number, table: Tensor, index: IntTensor, indexRow: number, rows: number): void;
  /** Row index[indexRow + r] of table (V, E) += row r of g (rows, E). */
  scatterAdd(table: Tensor, index: IntTensor, indexRow: number, g: Tensor, gRow: number, rows: number): void;

  // ---- the seam: gate gradients
  /**
   * Applies `rule` to pattern.dense in place, indexes what is left, adds to `statistics`. One sweep. Rows are compressed
   * again in the same blocks, or in blocks that contain them: engines may pack a block's lists together.
   */
  compress(pattern: Pattern, row: number, rows: number, rule: DropRule, statistics: SiteStatistics): void;
  /**
   * out (rows, K) += pruned g (rows, N) w. Returns the multiply-accumulates executed
   * (more than the pattern's where the engine found it too full and went dense).
   */
  spmmNN(out: Tensor, outRow: number, pattern: Pattern, row: number, w: Weight, rows: number): number;
  /** out (N, K) += pruned g^T x. Returns the multiply-accumulates executed. */
  spmmTN(out: Tensor, pattern: Pattern, row: number, x: Tensor, xRow: number, rows: number): number;

  // ---- pointwise and reductions
  /** out rows = bias (+ bias2). */
  setBias(out: Tensor, outRow: number, rows: number, bias: Tensor, bias2?: Tensor): void;
  /** out (cols) += column sums of g (rows, cols). */
  sumRows(out: Tensor, g: Tensor, gRow: number, rows: number): void;
  /** out[outRow...] += a[aRow...], rows of equal length. */
  addRows(out: Tensor, outRow: number, a: Tensor, aRow: number, rows: number): void;
  /** Pointwise parts of cells, by cell name; missing ones run the cell's own reference. */
  readonly cells: Readonly<Record<string, CellKernel | undefined>>;
  /** Of layers that are not recurrent. */
  readonly layers: LayerKernels;
  /** Products over live columns; without them the dense ones run over the zeroed matrix. */
  readonly live?: LiveKernels;
  /** Whole time loops, by cell name; without one the layer runs its own. */
  readonly recurrent?: Readonly<Record<string, RecurrentKernel | undefined>>;
  /**
   * out = a * mask / (1 - p), the mask drawn from counterHash(key, element): kept where hash >= p 2^32.
   * With out = a it works in place; backward calls it again with the same key.
   */
  dropout(out: Tensor, outRow: number, a: Tensor, aRow: number, rows: number, p: number, key: number): void;
  /**
   * Softmax cross-entropy of logits (rows, V) against targets: returns the summed loss in nats.
   * If scale is not 0, overwrites the logits with (p - onehot) * scale. A row with target -1 has no loss, and no gradient.
   */
  softmaxCrossEntropy(logits: Tensor, targets: IntTensor, targetRow: number, rows: number, scale: number): number;
  /** Sum of (y - target)^2; if scale is not 0, overwrites y with 2 (y - target) * scale. */
  squaredError(y: Tensor, targets: Tensor, targetRow: number, rows: number, scale: number): number;

  // ---- the update, over flat ranges; with `rows`, of matrices, over those rows alone
  /** Zeroes x. */
  clear(x: Tensor, rows?: RowSet): void;
  /** With `rows`: the sums of rows, added in order, so that rows of zeros change no bit whether they are in or not. */
  sumSquares(x: Tensor, rows?: RowSet): number;
  /** m, v: optimizer state like `value`. Formulas are PyTorch's; see train/optimizers.ts. */
  sgd(value: Tensor, gradient: Tensor, momentum: Tensor | undefined, settings: UpdateSettings, rows?: RowSet): void;
  rmsprop(value: Tensor, gradient: Tensor, square: Tensor, settings: UpdateSettings, rows?: RowSet): void;
  /** Adam; `decoupled` weight decay makes it AdamW. */
  adam(
    value: Tensor,
    gradient: Tensor,
    m: Tensor,
    v: Tensor,
    settings: UpdateSettings,
    decoupled: boolean,
    rows?: RowSet,
  ): void;
}
