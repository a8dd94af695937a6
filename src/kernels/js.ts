/**
 * Engine `js`: the definition. Every kernel is the loop a reader would write from the formula; the
 * fast engines are tested against it. It runs in float32 and, for gradient checks, in float64.
 */
import type { Arena, IntTensor, Tensor } from "../core/arena.ts";
import { counterHash } from "../core/random.ts";
import type { RowSet } from "../core/row-set.ts";
import { applyRule, recallDropped, rememberDropped } from "../sparse/apply.ts";
import { type Pattern, planPattern } from "../sparse/pattern.ts";
import type { DropRule } from "../sparse/rule.ts";
import type { Site } from "../sparse/site.ts";
import {
  binOf,
  HISTOGRAM_BINS,
  HISTOGRAM_ROW_STRIDE,
  KEPT,
  KEPT_SQUARES,
  NATURAL_ZEROS,
  type SiteStatistics,
  SQUARES,
  SUM_COLUMNS,
  TOTAL,
} from "../sparse/statistics.ts";
import { toBf16 } from "./bf16.ts";
import { JsLayers } from "./js-layers.ts";
import type { Engine, Kernels, LayerKernels, UpdateSettings, Weight, WeightUses } from "./kernels.ts";

export const jsEngine: Engine = {
  name: "js",
  isa: "scalar",
  attach: (arena) => new JsKernels(arena),
};

class JsKernels implements Kernels {
  readonly engine = jsEngine;
  readonly cells = {};
  readonly layers: LayerKernels;
  readonly #arena: Arena;

  constructor(arena: Arena) {
    this.#arena = arena;
    this.layers = new JsLayers(arena);
  }

  planWeight(tensor: Tensor, uses: WeightUses): Weight {
    return { tensor, uses };
  }

  planPattern(site: Site, dense: Tensor): Pattern {
    return planPattern(this.#arena, site, dense);
  }

  planTN(): void {}

  pack(): void {}

  gemmNT(out: Tensor, outRow: number, a: Tensor, aRow: number, w: Weight, rows: number): void {
    const [N, K] = w.tensor.shape as [number, number];
    const [o, x, m] = [out.data, a.data, w.tensor.data];
    const rounded = w.uses.nt === "bf16" ? toBf16 : (value: number) => value;
    for (let r = 0; r < rows; r++)
      for (let n = 0; n < N; n++) {
        let sum = 0;
        for (let k = 0; k < K; k++) sum += rounded(x[(aRow + r) * K + k]!) * rounded(m[n * K + k]!);
        o[(outRow + r) * N + n]! += sum;
      }
  }

  gemmNN(out: Tensor, outRow: number, g: Tensor, gRow: number, w: Weight, rows: number): void {
    const [N, K] = w.tensor.shape as [number, number];
    const [o, y, m] = [out.data, g.data, w.tensor.data];
    for (let r = 0; r < rows; r++)
      for (let n = 0; n < N; n++) {
        const value = y[(gRow + r) * N + n]!;
        for (let k = 0; k < K; k++) o[(outRow + r) * K + k]! += value * m[n * K + k]!;
      }
  }

  gemmTN(out: Tensor, g: Tensor, gRow: number, x: Tensor, xRow: number, rows: number): void {
    const [N, K] = out.shape as [number, number];
    const [o, y, a] = [out.data, g.data, x.data];
    for (let r = 0; r < rows; r++)
      for (let n = 0; n < N; n++) {
        const value = y[(gRow + r) * N + n]!;
        for (let k = 0; k < K; k++) o[n * K + k]! += value * a[(xRow + r) * K + k]!;
      }
  }

  lookup(out: Tensor, outRow: number, index: IntTensor, indexRow: number, w: Weight, rows: number): void {
    const [N, K] = w.tensor.shape as [number, number];
    const [o, m] = [out.data, w.tensor.data];
    for (let r = 0; r < rows; r++) {
      const k = index.data[indexRow + r]!;
      for (let n = 0; n < N; n++) o[(outRow + r) * N + n]! += m[n * K + k]!;
    }
  }

  lookupGradient(
    out: Tensor,
    index: IntTensor,
    indexRow: number,
    g: Tensor,
    gRow: number,
    _w: Weight,
    rows: number,
  ): void {
    const [N, K] = out.shape as [number, number];
    const [o, y] = [out.data, g.data];
    for (let r = 0; r < rows; r++) {
      const k = index.data[indexRow + r]!;
      for (let n = 0; n < N; n++) o[n * K + k]! += y[(gRow + r) * N + n]!;
    }
  }

  gather(out: Tensor, outRow: number, table: Tensor, index: IntTensor, indexRow: number, rows: number): void {
    const E = table.rowLength;
    for (let r = 0; r < rows; r++) {
      const v = index.data[indexRow + r]!;
      for (let e = 0; e < E; e++) out.data[(outRow + r) * E + e]! += table.data[v * E + e]!;
    }
  }

  scatterAdd(table: Tensor, index: IntTensor, indexRow: number, g: Tensor, gRow: number, rows: number): void {
    const E = table.rowLength;
    for (let r = 0; r < rows; r++) {
      const v = index.data[indexRow + r]!;
      for (let e = 0; e < E; e++) table.data[v * E + e]! += g.data[(gRow + r) * E + e]!;
    }
  }

  compress(pattern: Pattern, row: number, rows: number, rule: DropRule, statistics: SiteStatistics): void {
    recallDropped(rule, pattern, row, rows);
    countBefore(pattern, row, rows, statistics);
    applyRule(rule, pattern, row, rows);
    indexAfter(pattern, row, rows, statistics);
    rememberDropped(rule, pattern, row, rows);
  }

  spmmNN(out: Tensor, outRow: number, pattern: Pattern, row: number, w: Weight, rows: number): number {
    const [N, K] = w.tensor.shape as [number, number];
    const [o, y, m] = [out.data, pattern.dense.data, w.tensor.data];
    let executed = 0;
    for (let r = 0; r < rows; r++)
      for (let n = 0; n < N; n++) {
        const value = y[(row + r) * N + n]!;
        if (value === 0) continue;
        for (let k = 0; k < K; k++) o[(outRow + r) * K + k]! += value * m[n * K + k]!;
        executed += K;
      }
    return executed;
  }

  spmmTN(out: Tensor, pattern: Pattern, row: number, x: Tensor, xRow: number, rows: number): number {
    const [N, K] = out.shape as [number, number];
    const [o, y, a] = [out.data, pattern.dense.data, x.data];
    let executed = 0;
    for (let r = 0; r < rows; r++)
      for (let n = 0; n < N; n++) {
        const value = y[(row + r) * N + n]!;
        if (value === 0) continue;
        for (let k = 0; k < K; k++) o[n * K + k]! += value * a[(xRow + r) * K + k]!;
        executed += K;
      }
    return executed;
  }

  setBias(out: Tensor, outRow: number, rows: number, bias: Tensor, bias2?: Tensor): void {
    const N = bias.length;
    for (let r = 0; r < rows; r++)
      for (let n = 0; n < N; n++) out.data[(outRow + r) * N + n] = bias.data[n]! + (bias2 ? bias2.data[n]! : 0);
  }

  sumRows(out: Tensor, g: Tensor, gRow: number, rows: number): void {
    const N = out.length;
    for (let r = 0; r < rows; r++) for (let n = 0; n < N; n++) out.data[n]! += g.data[(gRow + r) * N + n]!;
  }

  addRows(out: Tensor, outRow: number, a: Tensor, aRow: number, rows: number): void {
    const N = out.rowLength;
    for (let i = 0; i < rows * N; i++) out.data[outRow * N + i]! += a.data[aRow * N + i]!;
  }

  dropout(out: Tensor, outRow: number, a: Tensor, aRow: number, rows: number, p: number, key: number): void {
    const N = out.rowLength;
    const limit = p * 2 ** 32;
    const scale = out.data instanceof Float32Array ? Math.fround(1 / (1 - p)) : 1 / (1 - p);
    for (let i = 0; i < rows * N; i++)
      out.data[outRow * N + i] = counterHash(key, i) >= limit ? a.data[aRow * N + i]! * scale : 0;
  }

  softmaxCrossEntropy(logits: Tensor, targets: IntTensor, targetRow: number, rows: number, scale: number): number {
    const V = logits.rowLength;
    const x = logits.data;
    let loss = 0;
    for (let r = 0; r < rows; r++) {
      const target = targets.data[targetRow + r]!;
      if (target === -1) {
        if (scale !== 0) x.fill(0, r * V, (r + 1) * V);
        continue;
      }
      let max = Number.NEGATIVE_INFINITY;
      for (let v = 0; v < V; v++) max = Math.max(max, x[r * V + v]!);
      let sum = 0;
      for (let v = 0; v < V; v++) sum += Math.exp(x[r * V + v]! - max);
      loss += Math.log(sum) + max - x[r * V + target]!;
      if (scale === 0) continue;
      for (let v = 0; v < V; v++) {
        const p = Math.exp(x[r * V + v]! - max) / sum;
        x[r * V + v] = (p - (v === target ? 1 : 0)) * scale;
      }
    }
    return loss;
  }

  squaredError(y: Tensor, targets: Tensor, targetRow: number, rows: number, scale: number): number {
    const N = y.rowLength;
    let sum = 0;
    for (let i = 0; i < rows * N; i++) {
      const difference = y.data[i]! - targets.data[targetRow * N + i]!;
      sum += difference * difference;
      if (scale !== 0) y.data[i] = 2 * difference * scale;
    }
    return sum;
  }

  clear(x: Tensor, rows?: RowSet): void {
    for (let p = 0; p < pieces(rows); p++) {
      const first = firstOf(x, rows, p);
      x.data.fill(0, first, first + lengthOf(x, rows));
    }
  }

  sumSquares(x: Tensor, rows?: RowSet): number {
    let sum = 0;
    for (let p = 0; p < pieces(rows); p++) {
      const first = firstOf(x, rows, p);
      for (let i = first; i < first + lengthOf(x, rows); i++) sum += x.data[i]! * x.data[i]!;
    }
    return sum;
  }

  sgd(value: Tensor, gradient: Tensor, momentum: Tensor | undefined, s: UpdateSettings, rows?: RowSet): void {
    const [w, grad] = [value.data, gradient.data];
    for (let p = 0; p < pieces(rows); p++) {
      const first = firstOf(value, rows, p);
      for (let i = first; i < first + lengthOf(value, rows); i++) {
        let g = grad[i]! * s.gradientScale + s.weightDecay * w[i]!;
        if (momentum) {
          momentum.data[i] = s.momentum * momentum.data[i]! + g;
          g = momentum.data[i]!;
        }
        w[i]! -= s.learningRate * g;
      }
    }
  }

  rmsprop(value: Tensor, gradient: Tensor, square: Tensor, s: UpdateSettings, rows?: RowSet): void {
    const [w, grad, v] = [value.data, gradient.data, square.data];
    for (let p = 0; p < pieces(rows); p++) {
      const first = firstOf(value, rows, p);
      for (let i = first; i < first + lengthOf(value, rows); i++) {
        const g = grad[i]! * s.gradientScale + s.weightDecay * w[i]!;
        v[i] = s.alpha * v[i]! + (1 - s.alpha) * g * g;
        w[i]! -= (s.learningRate * g) / (Math.sqrt(v[i]!) + s.epsilon);
      }
    }
  }

  adam(
    value: Tensor,
    gradient: Tensor,
    mean: Tensor,
    square: Tensor,
    s: UpdateSettings,
    decoupled: boolean,
    rows?: RowSet,
  ): void {
    const [w, grad, m, v] = [value.data, gradient.data, mean.data, square.data];
    const stepSize = s.learningRate / (1 - s.beta1 ** s.step);
    const correction = Math.sqrt(1 - s.beta2 ** s.step);
    for (let p = 0; p < pieces(rows); p++) {
      const first = firstOf(value, rows, p);
      for (let i = first; i < first + lengthOf(value, rows); i++) {
        let g = grad[i]! * s.gradientScale;
        if (decoupled) w[i]! -= s.learningRate * s.weightDecay * w[i]!;
        else g += s.weightDecay * w[i]!;
        m[i] = s.beta1 * m[i]! + (1 - s.beta1) * g;
        v[i] = s.beta2 * v[i]! + (1 - s.beta2) * g * g;
        w[i]! -= (stepSize * m[i]!) / (Math.sqrt(v[i]!) / correction + s.epsilon);
      }
    }
  }
}

/** What a kernel with `rows` visits, piece by piece: the rows in the list, or everything at once. */
function pieces(rows: RowSet | undefined): number {
  return rows && !rows.all ? rows.count : 1;
}

function firstOf(x: Tensor, rows: RowSet | undefined, piece: number): number {
  return rows && !rows.all ? rows.list.data[piece]! * x.rowLength : 0;
}

function lengthOf(x: Tensor, rows: RowSet | undefined): number {
  return rows && !rows.all ? x.rowLength : x.length;
}

/** What rows [row, row + rows) are before the rule: zeros, squares, and the histogram of every eighth row. */
function countBefore({ site, dense, firstRow }: Pattern, row: number, rows: number, statistics: SiteStatistics): void {
  const { cols, groups } = site;
  const width = cols / groups.length;
  const g = dense.data;
  const sums = statistics.sums.data;
  const histogram = statistics.histogram.data;
  for (let r = row; r < row + rows; r++) {
    for (let c = 0; c < cols; c++) {
      const group = Math.floor(c / width);
      const value = g[r * cols + c]!;
      if (value === 0) sums[group * SUM_COLUMNS + NATURAL_ZEROS]!++;
      sums[group * SUM_COLUMNS + SQUARES]! += value * value;
      if ((firstRow + r) % HISTOGRAM_ROW_STRIDE === 0) histogram[group * HISTOGRAM_BINS + binOf(value)]!++;
    }
    for (let group = 0; group < groups.length; group++) sums[group * SUM_COLUMNS + TOTAL]! += width;
  }
}

/** Where rows [row, row + rows) are not zero after the rule: bitmap, counts and squares. */
function indexAfter(pattern: Pattern, row: number, rows: number, statistics: SiteStatistics): void {
  const { site, wordsPerRow } = pattern;
  const { cols, groups } = site;
  const width = cols / groups.length;
  const g = pattern.dense.data;
  const bitmap = pattern.bitmap.data;
  const sums = statistics.sums.data;
  for (let r = row; r < row + rows; r++) {
    bitmap.fill(0, r * wordsPerRow, (r + 1) * wordsPerRow);
    let rowCount = 0;
    for (let c = 0; c < cols; c++) {
      const left = g[r * cols + c]!;
      if (left === 0) continue;
      const at = Math.floor(c / width) * SUM_COLUMNS;
      rowCount++;
      bitmap[r * wordsPerRow + (c >> 5)]! |= 1 << (c & 31);
      sums[at + KEPT]!++;
      sums[at + KEPT_SQUARES]! += left * left;
    }
    pattern.rowCounts.data[r] = rowCount;
  }
}
