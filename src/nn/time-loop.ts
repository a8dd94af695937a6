/**
 * The time loops of a recurrent layer: the definition of RecurrentKernel, which an engine may have in one call, and
 * the only ones that know of padding.
 */
import type { CellKernel, Kernels, TimeLoop } from "../kernels/kernels.ts";
import type { Cell } from "./cell.ts";
import type { HiddenGates } from "./hidden.ts";
import { clearRows, type DropSite, type PassWatcher } from "./module.ts";
import type { Padding } from "./padding.ts";

export interface LoopParts {
  readonly kernels: Kernels;
  readonly cell: Cell;
  readonly pointwise: CellKernel;
  readonly drop: DropSite;
  readonly padding: Padding;
  /** Where the hidden product stands apart. */
  readonly hidden: HiddenGates | undefined;
}

/** For t up: gates[t] += h[t-1] U^T; the cell. */
export function forwardLoop({ kernels, pointwise, padding }: LoopParts, { step, steps, U }: TimeLoop): void {
  const { row, hRow, rows: B } = step;
  for (let t = 0; t < steps; t++) {
    step.row = row + t * B;
    step.hRow = hRow + t * B;
    if (U) kernels.gemmNT(step.hiddenGates ?? step.gates, step.row, step.h, step.hRow, U, B);
    pointwise.forward(step);
    padding.freeze(step, step.hRow / B);
  }
}

/** For t down: dh += dy[t]; the cell; compress; dh = dGates[t] U. Returns the multiply-accumulates of dh, 0 where dense. */
export function backwardLoop(parts: LoopParts, loop: TimeLoop, watcher: PassWatcher | undefined): number {
  const { kernels, cell, pointwise, drop, padding, hidden } = parts;
  const { step, steps, U, pattern, rule, statistics, watched, dy, dyRow, dhBefore } = loop;
  const { row, hRow, rows: B } = step;
  const sparse = rule.kind !== "keep";
  const seen = hidden?.pattern ?? pattern; // by U
  let executed = 0;
  for (let t = steps - 1; t >= 0; t--) {
    step.row = row + t * B;
    step.hRow = hRow + t * B;
    const time = step.hRow / B;
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
    if (U && sparse) executed += kernels.spmmNN(step.dh, 0, seen, step.row, U, B);
    else if (U) kernels.gemmNN(step.dh, 0, seen.dense, step.row, U, B);
    padding.release(step, time);
  }
  return executed;
}
