/**
 * The time loops of a recurrent layer: the definition of RecurrentKernel, which an engine may have in one call, and
 * the only ones that know of padding.
 */
import type { CellKernel, CellStep, Kernels, TimeLoop, Weight } from "../kernels/kernels.ts";
import type { Pattern } from "../sparse/pattern.ts";
import type { Cell } from "./cell.ts";
import type { HiddenGates } from "./hidden.ts";
import type { HiddenDropout } from "./hidden-dropout.ts";
import { clearRows, type DropSite, type PassWatcher } from "./module.ts";
import type { Padding } from "./padding.ts";
import type { StateRoom } from "./state-room.ts";

export interface LoopParts {
  readonly kernels: Kernels;
  readonly cell: Cell;
  readonly pointwise: CellKernel;
  readonly drop: DropSite;
  readonly padding: Padding;
  readonly states: StateRoom;
  /** Where the hidden product stands apart. */
  readonly hidden: HiddenGates | undefined;
  readonly dropout: HiddenDropout | undefined;
}

/** For t up: gates[t] += h[t-1] U^T; the cell. */
export function forwardLoop({ kernels, pointwise, padding, dropout }: LoopParts, { step, steps, U }: TimeLoop): void {
  const { row, hRow, stateRow, rows: B } = step;
  for (let t = 0; t < steps; t++) {
    step.row = row + t * B;
    step.hRow = hRow + t * B;
    step.stateRow = stateRow + t * B;
    if (U && dropout?.active) dropout.forward(step, U);
    else if (U) kernels.gemmNT(step.hiddenGates ?? step.gates, step.row, step.h, step.hRow, U, B);
    pointwise.forward(step);
    padding.freeze(step, step.hRow / B);
  }
}

/** For t down: dh += dy[t]; the cell; compress; dh = dGates[t] U. Returns the multiply-accumulates of dh. */
export function backwardLoop(parts: LoopParts, loop: TimeLoop, watcher: PassWatcher | undefined): number {
  const { kernels, cell, pointwise, drop, padding, states, hidden } = parts;
  const { step, steps, U, pattern, rule, statistics, watched, dy, dyRow, dhBefore } = loop;
  const { row, hRow, rows: B } = step;
  const sparse = rule.kind !== "keep";
  const seen = hidden?.pattern ?? pattern; // by U
  let executed = 0;
  for (let t = steps - 1; t >= 0; t--) {
    step.row = row + t * B;
    step.hRow = hRow + t * B;
    const time = step.hRow / B;
    states.ready(step, time);
    kernels.addRows(step.dh, 0, dy, dyRow + t * B, B);
    padding.hold(step, time);
    pointwise.backward(step);
    padding.silence(step, time, rule);
    if (sparse || watched) {
      kernels.compress(pattern, step.row, B, rule, statistics);
      padding.uncount(pattern, statistics, step, time);
    }
    watcher?.afterSweep(drop, time, pattern);
    hidden?.make(step, step.gates, step.row, seen, step.row, sparse);
    if (t === 0 && !dhBefore) break;
    if (!cell.carriesH) clearRows(step.dh, B);
    if (U) executed += addHiddenGradient(parts, step, seen, step.row, U, sparse);
    padding.release(step, time);
  }
  return executed;
}

/** dh += what `seen` of the gate gradients brings through U. Returns the multiply-accumulates executed. */
export function addHiddenGradient(
  { kernels, dropout }: LoopParts,
  step: CellStep,
  seen: Pattern,
  seenRow: number,
  U: Weight,
  sparse: boolean,
): number {
  const { rows: B } = step;
  if (dropout?.active) return dropout.backward(step, seen, seenRow, U, sparse);
  if (sparse) return kernels.spmmNN(step.dh, 0, seen, seenRow, U, B);
  kernels.gemmNN(step.dh, 0, seen.dense, step.row, U, B);
  return B * U.tensor.length;
}
