/**
 * The time loop under a rule that prunes one path alone, or leaves the biases dense.
 *
 *   dW    dh and dx from everything, as without a rule; then compress, t by t;  dW, dU from what is left
 *   dh    for each t a copy is compressed;  dh and then dx from what is left of it;  dW, dU from everything
 *   both  as in time-loop.ts
 *
 * db is summed from what dW sees, or, with bias "dense", before the rule.
 */
import { check } from "../core/check.ts";
import type { TimeLoop } from "../kernels/kernels.ts";
import { countRows, type Pattern } from "../sparse/pattern.ts";
import { nonzerosBefore } from "../sparse/statistics.ts";
import { clearRows, copyBlock, type PassWatcher } from "./module.ts";
import type { LayerProducts } from "./products.ts";
import { addHiddenGradient, type LoopParts } from "./time-loop.ts";

/** Of a recurrent layer. */
export interface ApartParts extends LoopParts {
  readonly products: LayerProducts;
  /** The copy of a piece, for rules on dh alone. (rows of a piece, G*H) */
  scratch: Pattern | undefined;
}

/** What came of a segment: nonzeros that each path saw, and multiply-accumulates (0 where a path ran dense). */
export interface ApartCounts {
  dhKept: number;
  dxKept: number;
  dWKept: number;
  dhExecuted: number;
  dxExecuted: number;
}

/** The loop's time steps, backwards: all but dW and dU. */
export function backwardApart(
  parts: ApartParts,
  loop: TimeLoop,
  counts: ApartCounts,
  watcher: PassWatcher | undefined,
): void {
  const { kernels, cell, drop, padding, states, hidden, products, scratch } = parts;
  const { step, steps, U, pattern, rule, statistics, dy, dyRow, dhBefore } = loop;
  const { row: row0, hRow, rows: B, gates } = step;
  const { W, dx } = products;
  const rows = steps * B;
  const prunedH = rule.paths !== "dW";
  const prunedW = rule.paths !== "dh";
  const copy = prunedW ? undefined : scratch;
  check(
    prunedW || copy,
    `site ${drop.site.name}: a rule on path dh was not planned for. Give its policy the property paths: "dh".`,
  );
  const view = copy ?? pattern; // what the rule works on
  const hiddenView = copy ? hidden?.copy : hidden?.pattern;
  const seen = hiddenView ?? view; // by U
  const hiddenPattern = hidden?.pattern ?? pattern;
  const biasFirst = rule.bias === "dense" && prunedW;
  const before = nonzerosBefore(statistics);
  let beforeFirst = before; // without time 0, whose dh nobody wants
  let [kept, keptFirst] = [0, 0];
  counts.dhExecuted = counts.dxExecuted = 0;
  if (copy) copy.firstRow = hRow;

  for (let t = steps - 1; t >= 0; t--) {
    const first = t === 0 && !dhBefore;
    step.row = row0 + t * B;
    step.hRow = hRow + t * B;
    const time = step.hRow / B;
    states.ready(step, time);
    kernels.addRows(step.dh, 0, dy, dyRow + t * B, B);
    padding.hold(step, time);
    parts.pointwise.backward(step);
    padding.silence(step, time, rule);
    const row = copy ? t * B : step.row;
    // What U sees of everything: for dU, for the biases or for dh, whichever is not pruned.
    if (!prunedH || copy || biasFirst) hidden?.make(step, gates, step.row, hiddenPattern, step.row, false);
    if (prunedH) {
      if (biasFirst) products.sumBiases(gates, hiddenPattern.dense, step.row, B);
      if (copy) copyBlock(copy.dense, row, gates, step.row, B);
      if (first) beforeFirst = nonzerosBefore(statistics);
      kernels.compress(view, row, B, rule, statistics);
      padding.uncount(view, statistics, step, time);
      watcher?.afterSweep(drop, time, view);
      keptFirst = countRows(view, row, B);
      kept += keptFirst;
      if (hiddenView) hidden?.make(step, view.dense, row, hiddenView, row, true);
    }
    if (first) break;
    if (!cell.carriesH) clearRows(step.dh, B);
    if (U) counts.dhExecuted += addHiddenGradient(parts, step, seen, row, U, prunedH);
    padding.release(step, time);
  }

  products.clearInputGradient(hRow, rows);
  if (prunedH && dx) counts.dxExecuted = kernels.spmmNN(dx.tensor, hRow, view, copy ? 0 : row0, W, rows);
  if (!prunedH) {
    if (dx) kernels.gemmNN(dx.tensor, hRow, gates, row0, W, rows);
    if (biasFirst) products.sumBiases(gates, hiddenPattern.dense, row0, rows);
    for (let t = steps - 1; t >= 0; t--) {
      if (t === 0 && !dhBefore) beforeFirst = nonzerosBefore(statistics);
      step.row = row0 + t * B;
      kernels.compress(pattern, step.row, B, rule, statistics);
      padding.uncount(pattern, statistics, step, hRow / B + t);
      watcher?.afterSweep(drop, hRow / B + t, pattern);
      hidden?.make(step, gates, step.row, hiddenPattern, step.row, true);
    }
    kept = countRows(pattern, row0, rows);
  }
  if (!biasFirst) products.sumBiases(gates, hiddenPattern.dense, row0, rows);

  const all = nonzerosBefore(statistics) - before;
  const allFirst = dhBefore ? 0 : nonzerosBefore(statistics) - beforeFirst;
  counts.dWKept = prunedW ? kept : all;
  counts.dxKept = prunedH ? kept : all;
  counts.dhKept = prunedH ? kept - (dhBefore ? 0 : keptFirst) : all - allFirst;
}
