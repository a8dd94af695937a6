/**
 * The kernels as they are called: each does its work alone, or cuts it into tasks for a team. A cut
 * falls where the tiles and vectors of the whole would begin as well, and sums are made in the order of
 * the whole, so that the bits are the same either way.
 */
import * as attentionOf from "./attention";
import * as choose from "./choose";
import * as columnsOf from "./columns";
import * as gemm from "./gemm";
import * as gru from "./gru";
import * as layers from "./layers";
import * as liveOf from "./live";
import * as loss from "./loss";
import * as lstm from "./lstm";
import * as rnn from "./rnn";
import * as rowsOf from "./rows";
import * as sparse from "./sparse";
import * as updates from "./update";
import {
  addResults,
  address,
  awaitJob,
  closeJob,
  double,
  enterJob,
  float,
  followTeam,
  int,
  isAlone,
  jobsSoFar,
  kernel,
  leaveJob,
  me,
  MOST_RESULTS,
  openJob,
  set,
  setResult,
  takeTask,
  team,
} from "./team";

const PRODUCT_COLUMNS: i32 = 0;
const PRODUCT_ROWS: i32 = 1;
const PACK_PANELS: i32 = 2;
const PACK_TRANSPOSED: i32 = 3;
const TRANSPOSE: i32 = 4;
const TN_SWEEP: i32 = 5;
const SWEEP_GROUPS: i32 = 6;
const INDEX_ROWS: i32 = 7;
const SPARSE_COLUMNS: i32 = 8;
const SPARSE_TN: i32 = 9;
const LSTM_FORWARD: i32 = 10;
const LSTM_BACKWARD: i32 = 11;
const ADD_INTO: i32 = 12;
const COLUMN_SUMS: i32 = 13;
const SET_ROWS: i32 = 14;
const GATHER: i32 = 15;
const SCATTER: i32 = 16;
const DROPOUT: i32 = 17;
const SOFTMAX: i32 = 18;
const SUM_SQUARES: i32 = 19;
const SGD: i32 = 20;
const RMSPROP: i32 = 21;
const ADAM: i32 = 22;
const CLEAR: i32 = 23;
const SUM_ROWS: i32 = 24;
const GRU_FORWARD: i32 = 25;
const GRU_BACKWARD: i32 = 26;
const GRU_HIDDEN: i32 = 27;
const RNN_FORWARD: i32 = 28;
const MINGRU_FORWARD: i32 = 29;
const MINGRU_BACKWARD: i32 = 30;
const RELU_GRADIENT: i32 = 31;
const GELU: i32 = 32;
const MULTIPLY: i32 = 33;
const TANH: i32 = 34;
const TANH_GRADIENT: i32 = 35;
const SOFTMAX_ROWS: i32 = 36;
const SOFTMAX_GRADIENT: i32 = 37;
const LAYER_NORM: i32 = 38;
const LAYER_NORM_ROWS: i32 = 39;
const LAYER_NORM_COLUMNS: i32 = 40;
const ATTENTION: i32 = 41;
const SCORE_COLUMNS: i32 = 42;
const SCORE_ROWS: i32 = 43;
const PACK_LIVE: i32 = 44;
const LIVE_COLUMNS: i32 = 45;
const LIVE_TN: i32 = 46;
const DROPPED_ROWS: i32 = 47;
const DROPPED_PAIRS: i32 = 48;
const DROPPED_NT: i32 = 49;
const DROPPED_NN: i32 = 50;
const DROPPED_TN: i32 = 51;
const MASK: i32 = 52;

/** Work, in vectors of 4 multiplied and added (or as long as that takes), from which on a team is called. */
const FORK: f64 = 16000;
/** Tasks of a job, about: enough to even out. */
const TASKS: i32 = 16;
/** Floats of a task of a flat kernel. */
const FLAT: i32 = 16384;
/** Floats whose squares are summed apart. */
const SUM_FLOATS: i32 = 65536;
/** Bytes of a thread's scratch memory. */
const SCRATCH: usize = 128;
const G_PANEL: usize = 256 * 128;
const COLUMNS: usize = <usize>sparse.TILE * sparse.COLUMN_BYTES;
const CURSORS: usize = <usize>sparse.TILE * 4;

// @ts-ignore: decorator
@inline
function small(work: f64): bool {
  return isAlone() || work < FORK;
}

/** Units of a task where there are `units`, in multiples of `grain`. */
function cut(units: i32, grain: i32): i32 {
  const step = (units + TASKS - 1) / TASKS;
  return ((step + grain - 1) / grain) * grain;
}

function fork(kernel: i32, units: i32, step: i32): i32 {
  set<i32>(22, units);
  set<i32>(23, step);
  const tasks = (units + step - 1) / step;
  openJob(kernel, tasks);
  work();
  closeJob();
  return tasks;
}

/** A worker's life in this memory: jobs until it is told to leave. */
export function serve(control: usize, number: i32): void {
  followTeam(control, number);
  let seen = jobsSoFar();
  for (;;) {
    if (enterJob()) work();
    leaveJob();
    seen = awaitJob(seen);
    if (seen == -1) return;
  }
}

function work(): void {
  const id = kernel();
  const all = team();
  for (let other = 0; other < all; other++) {
    const owner = (me() + other) % all;
    for (let task = takeTask(owner); task >= 0; task = takeTask(owner)) run(id, task);
  }
}

function run(id: i32, task: i32): void {
  const step = int(23);
  const from = task * step;
  const count = min(step, int(22) - from);
  switch (id) {
    case PRODUCT_COLUMNS: return productColumns(from, count);
    case PRODUCT_ROWS: return productRows(from, count);
    case PACK_PANELS: return packSome(from, count);
    case PACK_TRANSPOSED: return packTransposedSome(from, count);
    case TRANSPOSE: return transposeSome(from, count);
    case TN_SWEEP: return sweepSome(from, count);
    case SWEEP_GROUPS: return compressGroups(from, count);
    case INDEX_ROWS: return indexRows(from, count);
    case SPARSE_COLUMNS: return sparseColumns(task, from, count);
    case SPARSE_TN: return sparseTiles(from, count);
    case LSTM_FORWARD: return forwardRows(from, count);
    case LSTM_BACKWARD: return backwardRows(from, count);
    case GRU_FORWARD: return gruForwardRows(from, count);
    case GRU_BACKWARD: return gruBackwardRows(from, count);
    case GRU_HIDDEN: return gruHiddenRows(from, count);
    case RNN_FORWARD: return rnn.rnnForward(count, address(0) + bytes(from), address(1) + bytes(from));
    case MINGRU_FORWARD: return mingruForwardRows(from, count);
    case MINGRU_BACKWARD: return mingruBackwardRows(from, count);
    case RELU_GRADIENT:
      return layers.reluGradient(address(0) + bytes(from), address(1) + bytes(from), address(2) + bytes(from), count);
    case GELU: return geluSome(from, count);
    case MULTIPLY:
      return lstm.multiplyRow(address(0) + bytes(from), address(1) + bytes(from), address(2) + bytes(from), count);
    case TANH: return tanhSome(address(0) + bytes(from), address(1) + bytes(from), count);
    case TANH_GRADIENT:
      return layers.tanhGradient(address(0) + bytes(from), address(1) + bytes(from), address(2) + bytes(from), count);
    case SOFTMAX_ROWS: return softmaxSome(address(0), int(1), int(2), from, count);
    case SOFTMAX_GRADIENT: return softmaxGradientSome(address(0), address(1), int(2), from, count);
    case LAYER_NORM: return layerNormSome(from, count);
    case LAYER_NORM_ROWS: return layerNormGradientSome(from, count);
    case LAYER_NORM_COLUMNS: return layerNormColumnsSome(from, count);
    case ATTENTION: return headsSome(from, count);
    case ADD_INTO: return rowsOf.addInto(address(0) + bytes(from), address(1) + bytes(from), count);
    case COLUMN_SUMS:
      return rowsOf.addColumnSums(address(0) + bytes(from), address(1) + bytes(from), int(2), count, address(3));
    case SET_ROWS: return rowsOf.setRows(address(0) + bytes(from * int(1)), count, int(1), address(2), address(3));
    case GATHER:
      return rowsOf.gatherRows(address(0) + bytes(from * int(3)), address(1), address(2) + bytes(from), count, int(3));
    case SCATTER:
      return rowsOf.scatterRows(address(0) + bytes(from), address(1), address(2) + bytes(from), int(3), count, address(4));
    case DROPOUT:
      return rowsOf.dropout(
        address(0) + bytes(from), address(1) + bytes(from), count, <u32>int(2), float(3), int(4), from,
      );
    case SOFTMAX: return crossEntropyRows(from, count);
    case SUM_SQUARES: return setResult(task, updates.sumSquares(address(0) + bytes(from), count));
    case SGD: return sgdSome(from, count);
    case RMSPROP: return rmspropSome(from, count);
    case ADAM: return adamSome(from, count);
    case CLEAR: return clearSome(from, count);
    case SCORE_COLUMNS: return scoreSome(from, count);
    case SCORE_ROWS: return choose.scoreRows(address(0), int(1), address(2), from, count);
    case PACK_LIVE: return packLiveRows(from, count);
    case LIVE_COLUMNS: return liveColumns(from, count);
    case LIVE_TN: return liveTiles(from, count);
    case DROPPED_ROWS:
      return liveOf.packRowsOf(from, count, int(0), int(1), address(2), address(3), address(4), address(5));
    case DROPPED_PAIRS:
      return liveOf.packPairs(from, count, int(0), int(1), address(2), address(3), address(4), address(5));
    case DROPPED_NT: return droppedNT(from, count);
    case DROPPED_NN: return droppedNN(from, count);
    case DROPPED_TN: return droppedTN(from, count);
    case MASK: return maskSome(from, count);
    case SUM_ROWS: return squareRows(address(0), int(1), address(2), address(3), from, count);
  }
}

// @ts-ignore: decorator
@inline
function bytes(floats: i32): usize {
  return <usize>floats * 4;
}

// ---- dense products

export function product(
  m: i32, n: i32, k: i32, a: usize, aRow: usize, aStep: usize, b: usize, bPanel: usize, c: usize, cRow: usize,
  scratch: usize,
): void {
  if (small(<f64>m * <f64>n * <f64>k * 0.25)) return gemm.product(m, n, k, a, aRow, aStep, b, bPanel, c, cRow, scratch);
  set<i32>(0, m);
  set<i32>(1, n);
  set<i32>(2, k);
  set<usize>(3, a);
  set<usize>(4, aRow);
  set<usize>(5, aStep);
  set<usize>(6, b);
  set<usize>(7, bPanel);
  set<usize>(8, c);
  set<usize>(9, cRow);
  set<usize>(10, scratch);
  // A multiple of 4 rows begins with a whole tile.
  if (n < 256 && m >= 64) fork(PRODUCT_ROWS, m, cut(m, 4));
  else fork(PRODUCT_COLUMNS, n, cut(n, 32));
}

function productColumns(from: i32, count: i32): void {
  const b = address(6) + <usize>(from >> 5) * address(7);
  gemm.product(
    int(0), count, int(2), address(3), address(4), address(5), b, address(7), address(8) + bytes(from), address(9),
    address(10) + <usize>me() * SCRATCH,
  );
}

function productRows(from: i32, count: i32): void {
  gemm.product(
    count, int(1), int(2), address(3) + <usize>from * address(4), address(4), address(5), address(6), address(7),
    address(8) + <usize>from * address(9), address(9), address(10) + <usize>me() * SCRATCH,
  );
}

export function packPanels(rows: i32, cols: i32, from: usize, fromRow: usize, to: usize): void {
  if (small(<f64>rows * <f64>cols * 0.5)) return gemm.packPanels(rows, cols, from, fromRow, to);
  set<i32>(0, rows);
  set<usize>(1, from);
  set<usize>(2, fromRow);
  set<usize>(3, to);
  fork(PACK_PANELS, cols, cut(cols, 32));
}

function packSome(from: i32, count: i32): void {
  const rows = int(0);
  gemm.packPanels(rows, count, address(1) + bytes(from), address(2), address(3) + bytes(from) * <usize>rows);
}

export function packTransposedPanels(rows: i32, cols: i32, from: usize, fromRow: usize, to: usize): void {
  if (small(<f64>rows * <f64>cols * 0.5)) return gemm.packTransposedPanels(rows, cols, from, fromRow, to);
  set<i32>(0, cols);
  set<usize>(1, from);
  set<usize>(2, fromRow);
  set<usize>(3, to);
  fork(PACK_TRANSPOSED, rows, cut(rows, 32));
}

function packTransposedSome(from: i32, count: i32): void {
  const cols = int(0);
  gemm.packTransposedPanels(
    count, cols, address(1) + <usize>from * address(2), address(2), address(3) + bytes(from) * <usize>cols,
  );
}

export function transpose(rows: i32, cols: i32, from: usize, fromRow: usize, to: usize, toRow: usize): void {
  if (small(<f64>rows * <f64>cols * 0.5)) return gemm.transpose(rows, cols, from, fromRow, to, toRow);
  set<i32>(0, rows);
  set<usize>(1, from);
  set<usize>(2, fromRow);
  set<usize>(3, to);
  set<usize>(4, toRow);
  fork(TRANSPOSE, cols, cut(cols, 16));
}

function transposeSome(from: i32, count: i32): void {
  gemm.transpose(
    int(0), count, address(1) + bytes(from), address(2), address(3) + <usize>from * address(4), address(4),
  );
}

/**
 * out (n, k) += g^T x, g (rows, n), x (rows, k), 256 rows at a time. `xPanels` holds 256 rows of x in
 * panels, `gPanel` one panel of g for each thread.
 */
export function productTN(
  rows: i32, n: i32, k: i32, g: usize, x: usize, out: usize, xPanels: usize, gPanel: usize, scratch: usize,
): void {
  for (let r = 0; r < rows; r += sparse.TILE) {
    const depth = min(sparse.TILE, rows - r);
    packPanels(depth, k, x + bytes(r * k), bytes(k), xPanels);
    sweepTN(depth, n, k, g + bytes(r * n), out, xPanels, gPanel, scratch);
  }
}

function sweepTN(
  depth: i32, n: i32, k: i32, g: usize, out: usize, xPanels: usize, gPanel: usize, scratch: usize,
): void {
  if (small(<f64>depth * <f64>n * <f64>k * 0.25))
    return gemm.productTNSweep(depth, n, k, 0, n, g, out, xPanels, gPanel, scratch);
  set<i32>(0, depth);
  set<i32>(1, n);
  set<i32>(2, k);
  set<usize>(3, g);
  set<usize>(4, out);
  set<usize>(5, xPanels);
  set<usize>(6, gPanel);
  set<usize>(7, scratch);
  fork(TN_SWEEP, n, cut(n, 32));
}

function sweepSome(from: i32, count: i32): void {
  const thread = <usize>me();
  gemm.productTNSweep(
    int(0), int(1), int(2), from, from + count, address(3), address(4), address(5), address(6) + thread * G_PANEL,
    address(7) + thread * SCRATCH,
  );
}

// ---- the seam

/** `columns`: room of each thread, for a row's factors. */
export function compressSweep(
  g: usize, rows: i32, cols: i32, groups: i32, row: i32, kind: i32, tau: usize, key: i32,
  sums: usize, histogram: usize, before: bool, after: bool, choice: usize, blocks: usize, columns: usize,
): void {
  const together = kind == choose.TOP_IN_ROW && choose.partsOf(choice) == 1;
  if (groups == 1 || together || small(<f64>rows * <f64>cols * 0.75))
    return sparse.compressSweep(
      g, rows, cols, groups, 0, groups, row, kind, tau, key, sums, histogram, before, after, choice, blocks, columns,
    );
  set<usize>(0, g);
  set<i32>(1, rows);
  set<i32>(2, cols);
  set<i32>(3, row);
  set<i32>(4, kind);
  set<usize>(5, tau);
  set<i32>(6, key);
  set<usize>(7, sums);
  set<usize>(8, histogram);
  set<i32>(9, i32(before));
  set<i32>(10, i32(after));
  set<usize>(11, choice);
  set<usize>(12, blocks);
  set<usize>(13, columns);
  fork(SWEEP_GROUPS, groups, 1);
}

function compressGroups(from: i32, count: i32): void {
  sparse.compressSweep(
    address(0), int(1), int(2), int(22), from, from + count, int(3), int(4), address(5), int(6), address(7), address(8),
    int(9) != 0, int(10) != 0, address(11), address(12), address(13) + <usize>me() * COLUMNS,
  );
}

/** Columns of a part that are scored together. */
const STRIP: i32 = 64;

/** Factors of the lines that rules of kinds from TOP_COLUMNS on choose among. row: the site's of g. */
export function chooseLines(g: usize, rows: i32, cols: i32, row: i32, kind: i32, key: i32, choice: usize): void {
  const alone = small(<f64>rows * <f64>cols * 0.75);
  if (!alone) {
    set<usize>(0, g);
    set<i32>(1, cols);
    set<usize>(2, choice);
    set<i32>(3, rows);
    set<i32>(4, kind);
  }
  if (kind >= choose.ROWS) {
    if (alone) choose.scoreRows(g, cols, choice, 0, rows);
    else fork(SCORE_ROWS, rows, cut(rows, 1));
    return choose.chooseRows(rows, cols, kind, key, row * cols, choice);
  }
  const strips = (cols / choose.partsOf(choice) + STRIP - 1) / STRIP * choose.partsOf(choice);
  if (alone) scoreStrips(g, cols, choice, rows, kind, 0, strips);
  else fork(SCORE_COLUMNS, strips, cut(strips, 1));
  choose.chooseColumns(cols, kind, key, row * cols, choice);
}

function scoreSome(from: i32, count: i32): void {
  scoreStrips(address(0), int(1), address(2), int(3), int(4), from, count);
}

function scoreStrips(g: usize, cols: i32, choice: usize, rows: i32, kind: i32, from: i32, count: i32): void {
  const width = cols / choose.partsOf(choice);
  const strips = (width + STRIP - 1) / STRIP;
  for (let task = from; task < from + count; task++) {
    const c = (task % strips) * STRIP;
    choose.scoreColumns(g, rows, cols, kind, choice, task / strips, c, min(STRIP, width - c));
  }
}

/** The column form of g (rows, cols), pruned by columns: columns.ts. at: room for the block's pairs. */
export function columnForm(g: usize, rows: i32, cols: i32, choice: usize, at: usize, starts: usize): void {
  const count = columnsOf.listLive(choose.factorsOf(choice), rows, cols, at, starts);
  const list = at + bytes(rows * cols);
  if (small(<f64>rows * <f64>count)) return columnsOf.packLive(g, cols, list, count, 0, rows, at);
  set<usize>(0, g);
  set<i32>(1, cols);
  set<usize>(2, list);
  set<i32>(3, count);
  set<usize>(4, at);
  fork(PACK_LIVE, rows, cut(rows, 1));
}

function packLiveRows(from: i32, count: i32): void {
  columnsOf.packLive(address(0) + bytes(from * int(1)), int(1), address(2), int(3), from, count, address(4));
}

/** out (times * rows, k) += g w, g (times blocks of rows, n) in column form. Returns the multiply-accumulates. */
export function columnProduct(
  times: i32, rows: i32, n: i32, k: i32, starts: usize, panels: usize, out: usize, gPanel: usize, scratch: usize,
): f64 {
  const tiles = (n + sparse.TILE - 1) / sparse.TILE;
  const macs = columnsOf.liveMacs(times, rows, tiles, starts, k);
  if (k <= 32 || small(macs * 0.25)) {
    columnsOf.columnProduct(times, rows, n, k, tiles, starts, panels, out, bytes(k), gPanel, scratch);
    return macs;
  }
  set<i32>(0, times);
  set<i32>(1, rows);
  set<i32>(2, n);
  set<usize>(3, starts);
  set<usize>(4, panels);
  set<usize>(5, out);
  set<usize>(6, gPanel);
  set<usize>(7, scratch);
  fork(LIVE_COLUMNS, k, cut(k, 32));
  return macs;
}

function liveColumns(from: i32, count: i32): void {
  const thread = <usize>me();
  const n = int(2);
  columnsOf.columnProduct(
    int(0), int(1), n, count, (n + sparse.TILE - 1) / sparse.TILE, address(3), address(4) + bytes(from) * <usize>n,
    address(5) + bytes(from), bytes(int(22)), address(6) + thread * G_PANEL, address(7) + thread * SCRATCH,
  );
}

/** out (n, k) += g^T x, g as in columnProduct, x (times * rows, k). Returns the multiply-accumulates. */
export function columnProductTN(
  times: i32, rows: i32, n: i32, k: i32, starts: usize, x: usize, out: usize, xPanels: usize, gPanel: usize,
  scratch: usize,
): f64 {
  const tiles = (n + sparse.TILE - 1) / sparse.TILE;
  const macs = columnsOf.liveMacs(times, rows, tiles, starts, k);
  const alone = tiles == 1 || small(macs / <f64>times * 0.25);
  for (let t = 0; t < times; t++) {
    const block = starts + bytes(t * rows * (tiles + 1));
    for (let r = 0; r < rows; r += sparse.TILE) {
      const height = min(sparse.TILE, rows - r);
      packPanels(height, k, x + bytes((t * rows + r) * k), bytes(k), xPanels);
      if (alone) {
        columnsOf.columnTN(block, rows, r, height, n, k, 0, n, out, xPanels, gPanel, scratch);
        continue;
      }
      set<usize>(0, block);
      set<i32>(1, rows);
      set<i32>(2, r);
      set<i32>(3, height);
      set<i32>(4, n);
      set<i32>(5, k);
      set<usize>(6, out);
      set<usize>(7, xPanels);
      set<usize>(8, gPanel);
      set<usize>(9, scratch);
      fork(LIVE_TN, tiles, 1);
    }
  }
  return macs;
}

function liveTiles(from: i32, count: i32): void {
  const thread = <usize>me();
  columnsOf.columnTN(
    address(0), int(1), int(2), int(3), int(4), int(5), from * sparse.TILE, min(int(4), (from + count) * sparse.TILE),
    address(6), address(7), address(8) + thread * G_PANEL, address(9) + thread * SCRATCH,
  );
}

export function compressIndex(
  g: usize, rows: i32, cols: i32, bitmap: usize, rowCounts: usize, lists: bool, pairs: usize, starts: usize,
): void {
  if (small(<f64>rows * <f64>cols * 0.5))
    return sparse.compressIndex(g, rows, cols, bitmap, rowCounts, lists, pairs, starts);
  set<usize>(0, g);
  set<i32>(1, cols);
  set<usize>(2, bitmap);
  set<usize>(3, rowCounts);
  set<i32>(4, i32(lists));
  set<usize>(5, pairs);
  set<usize>(6, starts);
  fork(INDEX_ROWS, rows, cut(rows, 1));
}

/** A task's lists begin where they would if all rows before it were full. */
function indexRows(from: i32, count: i32): void {
  const cols = int(1);
  const words = (cols + 31) >> 5;
  const starts = (cols + sparse.TILE - 1) / sparse.TILE + 1;
  sparse.compressIndex(
    address(0) + bytes(from * cols), count, cols, address(2) + bytes(from * words), address(3) + bytes(from),
    int(4) != 0, address(5) + 2 * bytes(from * cols), address(6) + bytes(from * starts),
  );
}

export function sparseProduct(
  rows: i32, n: i32, k: i32, g: usize, rowCounts: usize, starts: usize, panels: usize, out: usize, full: f64,
  scratch: usize,
): f64 {
  if (k <= 32 || small(<f64>sparse.countNonzeros(rowCounts, rows) * <f64>k * 0.25))
    return sparse.sparseProduct(rows, n, k, g, rowCounts, starts, panels, out, bytes(k), full, scratch);
  set<i32>(0, rows);
  set<i32>(1, n);
  set<usize>(2, g);
  set<usize>(3, rowCounts);
  set<usize>(4, starts);
  set<usize>(5, panels);
  set<usize>(6, out);
  set<f64>(7, full);
  set<usize>(8, scratch);
  return addResults(0, fork(SPARSE_COLUMNS, k, cut(k, 32)));
}

function sparseColumns(task: i32, from: i32, count: i32): void {
  const n = int(1);
  const macs = sparse.sparseProduct(
    int(0), n, count, address(2), address(3), address(4), address(5) + bytes(from) * <usize>n, address(6) + bytes(from),
    bytes(int(22)), double(7), address(8) + <usize>me() * SCRATCH,
  );
  setResult(task, macs);
}

/**
 * out (n, k) += pruned g^T x, g (rows, n), x (rows, k). Blocks of 256 rows with more than `full` of their
 * elements left go dense. `xPanels`: 256 rows of x in panels; `columns`, `cursors`, `gPanel`: room of
 * each thread. Returns the multiply-accumulates executed.
 */
export function sparseProductTN(
  rows: i32, n: i32, k: i32, g: usize, rowCounts: usize, starts: usize, x: usize, out: usize, full: f64,
  xPanels: usize, columns: usize, cursors: usize, gPanel: usize, scratch: usize,
): f64 {
  const tiles = (n + sparse.TILE - 1) / sparse.TILE;
  let macs = 0.0;
  for (let r = 0; r < rows; r += sparse.TILE) {
    const block = min(sparse.TILE, rows - r);
    const count = sparse.countNonzeros(rowCounts + bytes(r), block);
    if (count == 0) continue;
    packPanels(block, k, x + bytes(r * k), bytes(k), xPanels);
    const elements = <f64>block * <f64>n;
    if (<f64>count > full * elements) {
      sweepTN(block, n, k, g + bytes(r * n), out, xPanels, gPanel, scratch);
      macs += elements * <f64>k;
      continue;
    }
    macs += <f64>count * <f64>k;
    const from = starts + bytes(r * (tiles + 1));
    if (tiles == 1 || small(<f64>count * <f64>k * 0.25)) {
      for (let t = 0; t < tiles; t++) sparse.sparseTNTile(block, n, k, t, from, out, xPanels, columns, cursors, scratch);
      continue;
    }
    set<i32>(0, block);
    set<i32>(1, n);
    set<i32>(2, k);
    set<usize>(3, from);
    set<usize>(4, out);
    set<usize>(5, xPanels);
    set<usize>(6, columns);
    set<usize>(7, cursors);
    set<usize>(8, scratch);
    fork(SPARSE_TN, tiles, 1);
  }
  return macs;
}

function sparseTiles(from: i32, count: i32): void {
  const thread = <usize>me();
  for (let t = from; t < from + count; t++)
    sparse.sparseTNTile(
      int(0), int(1), int(2), t, address(3), address(4), address(5), address(6) + thread * COLUMNS,
      address(7) + thread * CURSORS, address(8) + thread * SCRATCH,
    );
}

// ---- live columns of what structured dropout zeroed

/** out (times * rows, n) += a b, b (k, n) in panels. packed: room for a. Returns the multiply-accumulates. */
export function liveProduct(
  times: i32, rows: i32, n: i32, k: i32, a: usize, panels: usize, list: usize, counts: usize, out: usize, packed: usize,
  gPanel: usize, scratch: usize,
): f64 {
  const macs = liveOf.liveMacs(times, rows, counts, n);
  packLiveTimes(DROPPED_ROWS, times, rows, k, a, list, counts, packed);
  if (small(macs * 0.25)) {
    liveOf.liveNT(times, rows, n, k, packed, list, counts, panels, out, bytes(n), gPanel, scratch);
    return macs;
  }
  set<i32>(0, times);
  set<i32>(1, rows);
  set<i32>(2, k);
  set<usize>(3, packed);
  set<usize>(4, list);
  set<usize>(5, counts);
  set<usize>(6, panels);
  set<usize>(7, out);
  set<usize>(8, gPanel);
  set<usize>(9, scratch);
  fork(DROPPED_NT, n, cut(n, 32));
  return macs;
}

function droppedNT(from: i32, count: i32): void {
  const thread = <usize>me();
  const k = int(2);
  liveOf.liveNT(
    int(0), int(1), count, k, address(3), address(4), address(5), address(6) + bytes(from) * <usize>k,
    address(7) + bytes(from), bytes(int(22)), address(8) + thread * G_PANEL, address(9) + thread * SCRATCH,
  );
}

function packLiveTimes(
  kind: i32, times: i32, rows: i32, k: i32, a: usize, list: usize, counts: usize, to: usize,
): void {
  if (small(<f64>times * <f64>rows * <f64>k * 0.25)) {
    if (kind == DROPPED_ROWS) liveOf.packRowsOf(0, times, rows, k, a, list, counts, to);
    else liveOf.packPairs(0, times, rows, k, a, list, counts, to);
    return;
  }
  set<i32>(0, rows);
  set<i32>(1, k);
  set<usize>(2, a);
  set<usize>(3, list);
  set<usize>(4, counts);
  set<usize>(5, to);
  fork(kind, times, cut(times, 1));
}

/**
 * Live columns of out (times * rows, k) += g w, g (times * rows, n), w in panels over its rows; at most 256 rows. tiles:
 * room of each thread for so many rows of a panel. Returns the multiply-accumulates.
 */
export function liveProductNN(
  times: i32, rows: i32, n: i32, k: i32, g: usize, panels: usize, list: usize, counts: usize, out: usize, gPanel: usize,
  tiles: usize, scratch: usize,
): f64 {
  for (let t = 0; t < times; t++) {
    const own = list + bytes(t * k);
    const count = load<i32>(counts + bytes(t));
    const from = g + bytes(t * rows) * <usize>n;
    const to = out + bytes(t * rows) * <usize>k;
    if (small(<f64>rows * <f64>count * <f64>n * 0.25)) {
      liveOf.liveNN(rows, n, k, from, panels, own, 0, count, to, gPanel, tiles, scratch);
      continue;
    }
    set<i32>(0, rows);
    set<i32>(1, n);
    set<i32>(2, k);
    set<usize>(3, from);
    set<usize>(4, panels);
    set<usize>(5, own);
    set<usize>(6, to);
    set<usize>(7, gPanel);
    set<usize>(8, tiles);
    set<usize>(9, scratch);
    fork(DROPPED_NN, count, cut(count, 32));
  }
  return liveOf.liveMacs(times, rows, counts, n);
}

function droppedNN(from: i32, count: i32): void {
  const thread = <usize>me();
  liveOf.liveNN(
    int(0), int(1), int(2), address(3), address(4), address(5), from, from + count, address(6),
    address(7) + thread * G_PANEL, address(8) + thread * G_PANEL, address(9) + thread * SCRATCH,
  );
}

/**
 * out (n, k) += g^T x, x (times * rows, k), at most 256 rows. packed: room for rows of x one longer; turned: of each thread,
 * `room` bytes. Returns the multiply-accumulates.
 */
export function liveProductTN(
  times: i32, rows: i32, n: i32, k: i32, g: usize, x: usize, list: usize, counts: usize, out: usize, packed: usize,
  gPanel: usize, turned: usize, room: usize,
): f64 {
  const macs = liveOf.liveMacs(times, rows, counts, n);
  packLiveTimes(DROPPED_PAIRS, times, rows, k, x, list, counts, packed);
  if (small(macs * 0.25)) {
    liveOf.liveTN(times, rows, n, k, 0, n, g, packed, list, counts, out, turned, gPanel);
    return macs;
  }
  set<i32>(0, times);
  set<i32>(1, rows);
  set<i32>(2, n);
  set<i32>(3, k);
  set<usize>(4, g);
  set<usize>(5, packed);
  set<usize>(6, list);
  set<usize>(7, counts);
  set<usize>(8, out);
  set<usize>(9, turned);
  set<usize>(10, gPanel);
  set<usize>(11, room);
  fork(DROPPED_TN, n, cut(n, 32));
  return macs;
}

function droppedTN(from: i32, count: i32): void {
  const thread = <usize>me();
  liveOf.liveTN(
    int(0), int(1), int(2), int(3), from, from + count, address(4), address(5), address(6), address(7), address(8),
    address(9) + thread * address(11), address(10) + thread * G_PANEL,
  );
}

export function maskRows(out: usize, a: usize, factors: usize, times: i32, rows: i32, cols: i32): void {
  if (small(<f64>times * <f64>rows * <f64>cols * 0.5)) return liveOf.maskRows(out, a, factors, times, rows, cols);
  set<usize>(0, out);
  set<usize>(1, a);
  set<usize>(2, factors);
  set<i32>(3, rows);
  set<i32>(4, cols);
  fork(MASK, times, cut(times, 1));
}

function maskSome(from: i32, count: i32): void {
  const rows = int(3);
  const cols = int(4);
  const first = bytes(from * rows) * <usize>cols;
  liveOf.maskRows(address(0) + first, address(1) + first, address(2) + bytes(from * cols), count, rows, cols);
}

// ---- cells

export function lstmForward(
  rows: i32, hidden: i32, gates: usize, before: usize, c: usize, h: usize, tanhC: usize,
): void {
  if (small(<f64>rows * <f64>hidden * 12)) return lstm.lstmForward(rows, hidden, gates, before, c, h, tanhC);
  set<i32>(0, hidden);
  set<usize>(1, gates);
  set<usize>(2, before);
  set<usize>(3, c);
  set<usize>(4, h);
  set<usize>(5, tanhC);
  fork(LSTM_FORWARD, rows, cut(rows, 1));
}

function forwardRows(from: i32, count: i32): void {
  const hidden = int(0);
  const offset = bytes(from * hidden);
  lstm.lstmForward(
    count, hidden, address(1) + 4 * offset, address(2) + offset, address(3) + offset, address(4) + offset,
    address(5) + offset,
  );
}

export function lstmBackward(
  rows: i32, hidden: i32, gates: usize, before: usize, tanhC: usize, dh: usize, dc: usize, scratch: usize,
): void {
  if (small(<f64>rows * <f64>hidden * 4)) return lstm.lstmBackward(rows, hidden, gates, before, tanhC, dh, dc, scratch);
  set<i32>(0, hidden);
  set<usize>(1, gates);
  set<usize>(2, before);
  set<usize>(3, tanhC);
  set<usize>(4, dh);
  set<usize>(5, dc);
  set<usize>(6, scratch);
  fork(LSTM_BACKWARD, rows, cut(rows, 1));
}

function backwardRows(from: i32, count: i32): void {
  const hidden = int(0);
  const offset = bytes(from * hidden);
  lstm.lstmBackward(
    count, hidden, address(1) + 4 * offset, address(2) + offset, address(3) + offset, address(4) + offset,
    address(5) + offset, address(6) + <usize>me() * SCRATCH,
  );
}

export function gruForward(
  rows: i32, hidden: i32, gates: usize, products: usize, before: usize, h: usize, kept: usize,
): void {
  if (small(<f64>rows * <f64>hidden * 9)) return gru.gruForward(rows, hidden, gates, products, before, h, kept);
  set<i32>(0, hidden);
  set<usize>(1, gates);
  set<usize>(2, products);
  set<usize>(3, before);
  set<usize>(4, h);
  set<usize>(5, kept);
  fork(GRU_FORWARD, rows, cut(rows, 1));
}

function gruForwardRows(from: i32, count: i32): void {
  const hidden = int(0);
  const offset = bytes(from * hidden);
  gru.gruForward(
    count, hidden, address(1) + 3 * offset, address(2) + 3 * offset, address(3) + offset, address(4) + offset,
    address(5) + offset,
  );
}

export function gruBackward(
  rows: i32, hidden: i32, gates: usize, products: usize, before: usize, dh: usize,
): void {
  if (small(<f64>rows * <f64>hidden * 3)) return gru.gruBackward(rows, hidden, gates, products, before, dh);
  set<i32>(0, hidden);
  set<usize>(1, gates);
  set<usize>(2, products);
  set<usize>(3, before);
  set<usize>(4, dh);
  fork(GRU_BACKWARD, rows, cut(rows, 1));
}

function gruBackwardRows(from: i32, count: i32): void {
  const hidden = int(0);
  const offset = bytes(from * hidden);
  gru.gruBackward(
    count, hidden, address(1) + 3 * offset, address(2) + 3 * offset, address(3) + offset, address(4) + offset,
  );
}

export function gruHidden(rows: i32, hidden: i32, left: usize, kept: usize, out: usize): void {
  if (small(<f64>rows * <f64>hidden * 1.5)) return gru.gruHidden(rows, hidden, left, kept, out);
  set<i32>(0, hidden);
  set<usize>(1, left);
  set<usize>(2, kept);
  set<usize>(3, out);
  fork(GRU_HIDDEN, rows, cut(rows, 1));
}

function gruHiddenRows(from: i32, count: i32): void {
  const hidden = int(0);
  const offset = bytes(from * hidden);
  gru.gruHidden(count, hidden, address(1) + 3 * offset, address(2) + offset, address(3) + 3 * offset);
}

// ---- rows

export function addInto(to: usize, from: usize, length: i32): void {
  if (small(<f64>length * 0.5)) return rowsOf.addInto(to, from, length);
  set<usize>(0, to);
  set<usize>(1, from);
  fork(ADD_INTO, length, FLAT);
}

export function addColumnSums(out: usize, g: usize, rows: i32, cols: i32): void {
  if (small(<f64>rows * <f64>cols * 0.5)) return rowsOf.addColumnSums(out, g, rows, cols, bytes(cols));
  set<usize>(0, out);
  set<usize>(1, g);
  set<i32>(2, rows);
  set<usize>(3, bytes(cols));
  fork(COLUMN_SUMS, cols, cut(cols, 32));
}

export function setRows(out: usize, rows: i32, cols: i32, a: usize, b: usize): void {
  if (small(<f64>rows * <f64>cols * 0.5)) return rowsOf.setRows(out, rows, cols, a, b);
  set<usize>(0, out);
  set<i32>(1, cols);
  set<usize>(2, a);
  set<usize>(3, b);
  fork(SET_ROWS, rows, cut(rows, 1));
}

export function gatherRows(out: usize, table: usize, index: usize, rows: i32, cols: i32): void {
  if (small(<f64>rows * <f64>cols * 0.5)) return rowsOf.gatherRows(out, table, index, rows, cols);
  set<usize>(0, out);
  set<usize>(1, table);
  set<usize>(2, index);
  set<i32>(3, cols);
  fork(GATHER, rows, cut(rows, 1));
}

/** Rows may be the same, columns are not. */
export function scatterRows(table: usize, index: usize, g: usize, rows: i32, cols: i32): void {
  if (small(<f64>rows * <f64>cols * 0.5)) return rowsOf.scatterRows(table, index, g, rows, cols, bytes(cols));
  set<usize>(0, table);
  set<usize>(1, index);
  set<usize>(2, g);
  set<i32>(3, rows);
  set<usize>(4, bytes(cols));
  fork(SCATTER, cols, cut(cols, 16));
}

/**
 * Column index[r] of out (n, k) += row r of g (rows, n). The sums are made in rows of `sums` (k, n),
 * which is zero before and after; touched (k): zero before and after.
 */
export function lookupGradient(
  out: usize, index: usize, g: usize, rows: i32, n: i32, k: i32, sums: usize, touched: usize,
): void {
  scatterRows(sums, index, g, rows, n);
  rowsOf.addTouched(out, index, rows, n, k, sums, touched);
}

export function dropout(out: usize, a: usize, length: i32, limit: u32, scale: f32, key: i32): void {
  if (small(<f64>length)) return rowsOf.dropout(out, a, length, limit, scale, key, 0);
  set<usize>(0, out);
  set<usize>(1, a);
  set<u32>(2, limit);
  set<f32>(3, scale);
  set<i32>(4, key);
  fork(DROPOUT, length, FLAT);
}

// ---- layers that are not recurrent

export function rnnForward(rows: i32, hidden: i32, gates: usize, h: usize): void {
  const length = rows * hidden;
  if (small(<f64>length * 2.5)) return rnn.rnnForward(length, gates, h);
  set<usize>(0, gates);
  set<usize>(1, h);
  fork(RNN_FORWARD, length, cut(length, 16));
}

export function rnnBackward(rows: i32, hidden: i32, gates: usize, dh: usize): void {
  tanhGradient(gates, dh, gates, rows * hidden);
}

export function mingruForward(rows: i32, hidden: i32, gates: usize, before: usize, h: usize): void {
  if (small(<f64>rows * <f64>hidden * 3)) return rnn.mingruForward(rows, hidden, gates, before, h);
  set<i32>(0, hidden);
  set<usize>(1, gates);
  set<usize>(2, before);
  set<usize>(3, h);
  fork(MINGRU_FORWARD, rows, cut(rows, 1));
}

function mingruForwardRows(from: i32, count: i32): void {
  const offset = bytes(from * int(0));
  rnn.mingruForward(count, int(0), address(1) + 2 * offset, address(2) + offset, address(3) + offset);
}

export function mingruBackward(rows: i32, hidden: i32, gates: usize, before: usize, dh: usize): void {
  if (small(<f64>rows * <f64>hidden * 1.5)) return rnn.mingruBackward(rows, hidden, gates, before, dh);
  set<i32>(0, hidden);
  set<usize>(1, gates);
  set<usize>(2, before);
  set<usize>(3, dh);
  fork(MINGRU_BACKWARD, rows, cut(rows, 1));
}

function mingruBackwardRows(from: i32, count: i32): void {
  const offset = bytes(from * int(0));
  rnn.mingruBackward(count, int(0), address(1) + 2 * offset, address(2) + offset, address(3) + offset);
}

export function relu(x: usize, length: i32): void {
  reluGradient(x, x, x, length);
}

export function reluGradient(out: usize, g: usize, y: usize, length: i32): void {
  if (small(<f64>length * 0.5)) return layers.reluGradient(out, g, y, length);
  set<usize>(0, out);
  set<usize>(1, g);
  set<usize>(2, y);
  fork(RELU_GRADIENT, length, FLAT);
}

export function gelu(y: usize, x: usize, length: i32): void {
  if (small(<f64>length * 3)) return layers.gelu(y, x, length);
  set<usize>(0, y);
  set<usize>(1, x);
  fork(GELU, length, FLAT);
}

function geluSome(from: i32, count: i32): void {
  layers.gelu(address(0) + bytes(from), address(1) + bytes(from), count);
}

export function multiply(out: usize, a: usize, b: usize, length: i32): void {
  if (small(<f64>length * 0.5)) return lstm.multiplyRow(out, a, b, length);
  set<usize>(0, out);
  set<usize>(1, a);
  set<usize>(2, b);
  fork(MULTIPLY, length, FLAT);
}

export function tanhOf(out: usize, x: usize, length: i32): void {
  if (small(<f64>length * 2.5)) return tanhSome(out, x, length);
  set<usize>(0, out);
  set<usize>(1, x);
  fork(TANH, length, FLAT);
}

function tanhSome(out: usize, x: usize, length: i32): void {
  memory.copy(out, x, bytes(length));
  lstm.tanhRow(out, length);
}

export function tanhGradient(out: usize, g: usize, y: usize, length: i32): void {
  if (small(<f64>length * 0.5)) return layers.tanhGradient(out, g, y, length);
  set<usize>(0, out);
  set<usize>(1, g);
  set<usize>(2, y);
  fork(TANH_GRADIENT, length, FLAT);
}

/** In place: rows of `cols`, of which the first `length` have a share. */
export function softmaxRows(x: usize, rows: i32, cols: i32, length: i32): void {
  if (small(<f64>rows * <f64>length * 6)) return softmaxSome(x, cols, length, 0, rows);
  set<usize>(0, x);
  set<i32>(1, cols);
  set<i32>(2, length);
  fork(SOFTMAX_ROWS, rows, cut(rows, 1));
}

function softmaxSome(x: usize, cols: i32, length: i32, from: i32, count: i32): void {
  for (let r = from; r < from + count; r++) layers.softmaxRow(x + bytes(r * cols), length, cols, 1);
}

export function softmaxGradientRows(g: usize, p: usize, rows: i32, cols: i32): void {
  if (small(<f64>rows * <f64>cols)) return softmaxGradientSome(g, p, cols, 0, rows);
  set<usize>(0, g);
  set<usize>(1, p);
  set<i32>(2, cols);
  fork(SOFTMAX_GRADIENT, rows, cut(rows, 1));
}

function softmaxGradientSome(g: usize, p: usize, cols: i32, from: i32, count: i32): void {
  for (let r = from; r < from + count; r++)
    layers.softmaxGradientRow(g + bytes(r * cols), p + bytes(r * cols), cols, cols, 1);
}

export function layerNorm(
  out: usize, x: usize, rows: i32, cols: i32, weight: usize, bias: usize, means: usize, inverses: usize, eps: f64,
): void {
  if (small(<f64>rows * <f64>cols * 2)) return layers.layerNorm(out, x, rows, cols, weight, bias, means, inverses, eps);
  set<usize>(0, out);
  set<usize>(1, x);
  set<i32>(2, cols);
  set<usize>(3, weight);
  set<usize>(4, bias);
  set<usize>(5, means);
  set<usize>(6, inverses);
  set<f64>(7, eps);
  fork(LAYER_NORM, rows, cut(rows, 1));
}

function layerNormSome(from: i32, count: i32): void {
  const at = bytes(from * int(2));
  layers.layerNorm(
    address(0) + at, address(1) + at, count, int(2), address(3), address(4), address(5) + bytes(from),
    address(6) + bytes(from), double(7),
  );
}

/** Threads own rows of dx, then columns of the sums over rows. */
export function layerNormGradient(
  dx: usize, dy: usize, x: usize, rows: i32, cols: i32, weight: usize, means: usize, inverses: usize, dWeight: usize,
  dBias: usize,
): void {
  if (small(<f64>rows * <f64>cols * 2)) {
    layers.layerNormRows(dx, dy, x, rows, cols, weight, means, inverses);
    layers.layerNormColumns(dy, x, rows, cols, bytes(cols), means, inverses, dWeight, dBias);
    return;
  }
  set<usize>(0, dx);
  set<usize>(1, dy);
  set<usize>(2, x);
  set<i32>(3, cols);
  set<usize>(4, weight);
  set<usize>(5, means);
  set<usize>(6, inverses);
  fork(LAYER_NORM_ROWS, rows, cut(rows, 1));
  set<usize>(0, dy);
  set<usize>(1, x);
  set<i32>(2, rows);
  set<i32>(3, cols);
  set<usize>(4, means);
  set<usize>(5, inverses);
  set<usize>(6, dWeight);
  set<usize>(7, dBias);
  fork(LAYER_NORM_COLUMNS, cols, cut(cols, 16));
}

function layerNormGradientSome(from: i32, count: i32): void {
  const at = bytes(from * int(3));
  layers.layerNormRows(
    address(0) + at, address(1) + at, address(2) + at, count, int(3), address(4), address(5) + bytes(from),
    address(6) + bytes(from),
  );
}

function layerNormColumnsSome(from: i32, count: i32): void {
  const at = bytes(from);
  layers.layerNormColumns(
    address(0) + at, address(1) + at, int(2), count, bytes(int(3)), address(4), address(5), address(6) + at,
    address(7) + at,
  );
}

/**
 * scratch: `room` floats for each thread: a square of `steps`, the panels of one factor, and 32 floats for tiles that stick
 * out.
 */
export function attention(
  out: usize, shares: usize, x: usize, T: i32, B: i32, heads: i32, width: i32, steps: i32, scratch: usize, room: i32,
): void {
  attentionGradient(0, out, shares, x, T, B, heads, width, steps, scratch, room);
}

/** dx from dy; or, where dx is 0, forward into dy. */
export function attentionGradient(
  dx: usize, dy: usize, shares: usize, x: usize, T: i32, B: i32, heads: i32, width: i32, steps: i32, scratch: usize,
  room: i32,
): void {
  const all = B * heads;
  if (small(<f64>all * <f64>T * <f64>T * <f64>(width / heads)))
    return headsOf(dx, dy, shares, x, T, B, heads, width, steps, scratch, room, 0, all);
  set<usize>(0, dx);
  set<usize>(1, dy);
  set<usize>(2, shares);
  set<usize>(3, x);
  set<i32>(4, T);
  set<i32>(5, B);
  set<i32>(6, heads);
  set<i32>(7, width);
  set<i32>(8, steps);
  set<usize>(9, scratch);
  set<i32>(10, room);
  fork(ATTENTION, all, cut(all, 1));
}

function headsSome(from: i32, count: i32): void {
  headsOf(
    address(0), address(1), address(2), address(3), int(4), int(5), int(6), int(7), int(8),
    address(9) + <usize>me() * bytes(int(10)), int(10), from, count,
  );
}

/** Lane by lane, head by head: of them [from, from + count). */
function headsOf(
  dx: usize, dy: usize, shares: usize, x: usize, T: i32, B: i32, heads: i32, width: i32, steps: i32, scratch: usize,
  room: i32, from: i32, count: i32,
): void {
  const d = width / heads;
  const square = bytes(steps);
  for (let i = from; i < from + count; i++) {
    const lane = i / heads;
    const column = (i % heads) * d;
    const at = bytes(lane * 3 * width + column);
    const p = shares + <usize>i * <usize>steps * square;
    const out = dy + bytes(lane * width + column);
    const panels = scratch + <usize>steps * square;
    const tile = scratch + bytes(room) - SCRATCH;
    const row = bytes(B * width);
    if (dx == 0) attentionOf.headForward(T, d, x + at, 3 * row, bytes(width), p, square, out, row, panels, tile);
    else
      attentionOf.headBackward(
        T, d, x + at, 3 * row, bytes(width), p, square, out, row, dx + at, scratch, panels, tile,
      );
  }
}

// ---- losses and updates

export function softmaxCrossEntropy(logits: usize, targets: usize, rows: i32, cols: i32, scale: f32): f64 {
  if (small(<f64>rows * <f64>cols * 6) || rows > MOST_RESULTS)
    return loss.softmaxCrossEntropy(logits, targets, rows, cols, scale);
  set<usize>(0, logits);
  set<usize>(1, targets);
  set<i32>(2, cols);
  set<f32>(3, scale);
  fork(SOFTMAX, rows, cut(rows, 1));
  return addResults(0, rows);
}

function crossEntropyRows(from: i32, count: i32): void {
  const cols = int(2);
  for (let r = from; r < from + count; r++)
    setResult(r, loss.softmaxCrossEntropy(address(0) + bytes(r * cols), address(1) + bytes(r), 1, cols, float(3)));
}

/** The sums of 65536 elements each, added in their order. */
export function sumSquares(x: usize, length: i32): f64 {
  const parts = (length + SUM_FLOATS - 1) / SUM_FLOATS;
  if (small(<f64>length * 0.5) || parts > MOST_RESULTS) {
    let sum = 0.0;
    for (let from = 0; from < length; from += SUM_FLOATS)
      sum += updates.sumSquares(x + bytes(from), min(SUM_FLOATS, length - from));
    return sum;
  }
  set<usize>(0, x);
  return addResults(0, fork(SUM_SQUARES, length, SUM_FLOATS));
}

/** Sum of squares of the rows in the list, or of the first `count`: row by row. sums: room for `count` f64. */
export function sumSquaresOfRows(x: usize, cols: i32, list: usize, count: i32, sums: usize): f64 {
  if (small(<f64>count * <f64>cols * 0.5)) {
    squareRows(x, cols, list, sums, 0, count);
  } else {
    set<usize>(0, x);
    set<i32>(1, cols);
    set<usize>(2, list);
    set<usize>(3, sums);
    fork(SUM_ROWS, count, cut(count, 1));
  }
  let sum = 0.0;
  for (let i = 0; i < count; i++) sum += load<f64>(sums + (<usize>i << 3));
  return sum;
}

function squareRows(x: usize, cols: i32, list: usize, sums: usize, from: i32, count: i32): void {
  for (let i = from; i < from + count; i++) {
    const row = list == 0 ? <usize>i : <usize>load<u32>(list + bytes(i));
    store<f64>(sums + (<usize>i << 3), updates.sumSquares(x + row * bytes(cols), cols));
  }
}

// An update visits one piece of `length` where `list` is 0 and count 1, or `count` rows of `length` with the
// numbers in `list`. A task is a part of the piece, or some of the rows.

/** Byte offset of piece i. */
// @ts-ignore: decorator
@inline
function pieceAt(list: usize, i: i32, length: i32): usize {
  return list == 0 ? 0 : <usize>load<u32>(list + bytes(i)) * bytes(length);
}

function forkUpdate(kernel: i32, length: i32, list: usize, count: i32): void {
  set<i32>(20, length);
  set<usize>(21, list);
  if (list == 0) fork(kernel, length, FLAT);
  else fork(kernel, count, cut(count, 1));
}

/** Pieces of a task of `count` units, their length, and the byte offset of one of them. */
// @ts-ignore: decorator
@inline
function taskPieces(count: i32): i32 {
  return address(21) == 0 ? 1 : count;
}
// @ts-ignore: decorator
@inline
function taskLength(count: i32): i32 {
  return address(21) == 0 ? count : int(20);
}
// @ts-ignore: decorator
@inline
function taskPieceAt(from: i32, i: i32): usize {
  return address(21) == 0 ? bytes(from) : pieceAt(address(21), from + i, int(20));
}

export function clear(x: usize, length: i32, list: usize, count: i32): void {
  if (small(<f64>length * <f64>count * 0.25)) {
    for (let i = 0; i < count; i++) updates.clear(x + pieceAt(list, i, length), length);
    return;
  }
  set<usize>(0, x);
  forkUpdate(CLEAR, length, list, count);
}

function clearSome(from: i32, count: i32): void {
  for (let i = 0; i < taskPieces(count); i++) updates.clear(address(0) + taskPieceAt(from, i), taskLength(count));
}

export function sgd(
  value: usize, gradient: usize, buffer: usize, length: i32, list: usize, count: i32, gradientScale: f32,
  weightDecay: f32, momentum: f32, learningRate: f32,
): void {
  if (small(<f64>length * <f64>count)) {
    for (let i = 0; i < count; i++) {
      const at = pieceAt(list, i, length);
      updates.sgd(
        value + at, gradient + at, buffer == 0 ? 0 : buffer + at, length, gradientScale, weightDecay, momentum,
        learningRate,
      );
    }
    return;
  }
  set<usize>(0, value);
  set<usize>(1, gradient);
  set<usize>(2, buffer);
  set<f32>(3, gradientScale);
  set<f32>(4, weightDecay);
  set<f32>(5, momentum);
  set<f32>(6, learningRate);
  forkUpdate(SGD, length, list, count);
}

function sgdSome(from: i32, count: i32): void {
  const buffer = address(2);
  for (let i = 0; i < taskPieces(count); i++) {
    const at = taskPieceAt(from, i);
    updates.sgd(
      address(0) + at, address(1) + at, buffer == 0 ? 0 : buffer + at, taskLength(count), float(3), float(4), float(5),
      float(6),
    );
  }
}

export function rmsprop(
  value: usize, gradient: usize, square: usize, length: i32, list: usize, count: i32, gradientScale: f32,
  weightDecay: f32, alpha: f32, rest: f32, learningRate: f32, epsilon: f32,
): void {
  if (small(<f64>length * <f64>count)) {
    for (let i = 0; i < count; i++) {
      const at = pieceAt(list, i, length);
      updates.rmsprop(
        value + at, gradient + at, square + at, length, gradientScale, weightDecay, alpha, rest, learningRate, epsilon,
      );
    }
    return;
  }
  set<usize>(0, value);
  set<usize>(1, gradient);
  set<usize>(2, square);
  set<f32>(3, gradientScale);
  set<f32>(4, weightDecay);
  set<f32>(5, alpha);
  set<f32>(6, rest);
  set<f32>(7, learningRate);
  set<f32>(8, epsilon);
  forkUpdate(RMSPROP, length, list, count);
}

function rmspropSome(from: i32, count: i32): void {
  for (let i = 0; i < taskPieces(count); i++) {
    const at = taskPieceAt(from, i);
    updates.rmsprop(
      address(0) + at, address(1) + at, address(2) + at, taskLength(count), float(3), float(4), float(5), float(6),
      float(7), float(8),
    );
  }
}

export function adam(
  value: usize, gradient: usize, mean: usize, square: usize, length: i32, list: usize, count: i32, gradientScale: f32,
  weightDecay: f32, shrink: f32, beta1: f32, rest1: f32, beta2: f32, rest2: f32, stepSize: f32, correction: f32,
  epsilon: f32,
): void {
  if (small(<f64>length * <f64>count)) {
    for (let i = 0; i < count; i++) {
      const at = pieceAt(list, i, length);
      updates.adam(
        value + at, gradient + at, mean + at, square + at, length, gradientScale, weightDecay, shrink, beta1, rest1,
        beta2, rest2, stepSize, correction, epsilon,
      );
    }
    return;
  }
  set<usize>(0, value);
  set<usize>(1, gradient);
  set<usize>(2, mean);
  set<usize>(3, square);
  set<f32>(4, gradientScale);
  set<f32>(5, weightDecay);
  set<f32>(6, shrink);
  set<f32>(7, beta1);
  set<f32>(8, rest1);
  set<f32>(9, beta2);
  set<f32>(10, rest2);
  set<f32>(11, stepSize);
  set<f32>(12, correction);
  set<f32>(13, epsilon);
  forkUpdate(ADAM, length, list, count);
}

function adamSome(from: i32, count: i32): void {
  for (let i = 0; i < taskPieces(count); i++) {
    const at = taskPieceAt(from, i);
    updates.adam(
      address(0) + at, address(1) + at, address(2) + at, address(3) + at, taskLength(count), float(4), float(5),
      float(6), float(7), float(8), float(9), float(10), float(11), float(12), float(13),
    );
  }
}
