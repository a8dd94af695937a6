/**
 * The time loops of a recurrent layer: the definition of RecurrentKernel, which an engine may have in one call, and
 * the only ones that know of padding.
 */
import type { CellKernel, Kernels, TimeLoop } from "../kernels/kernels.ts";
import { clearRows, type DropSite, type PassWatcher } from "./module.ts";
import type { Padding } from "./padding.ts";

export interface LoopParts {
  readonly kernels: Kernels;
  readonly pointwise: CellKernel;
  readonly drop: DropSite;
  readonly padding: Padding;
}

/** For t up: gates[t] += h[t-1] U^T; the cell. */
export function forwardLoop({ kernels, pointwise, padding }: LoopParts, { step, steps, U }: TimeLoop): void {
  const { row, hRow, rows: B } = step;
  for (let t = 0; t < steps; t++) {
    step.row = row + t * B;
    step.hRow = hRow + t * B;
    kernels.gemmNT(step.gates, step.row, step.h, step.hRow, U, B);
    pointwise.forward(step);
    padding.freeze(step, step.hRow / B);
  }
}

/** For t down: dh += dy[t]; the cell; compress; dh = dGates[t] U. Returns the multiply-accumulates of dh, 0 where dense. */
export function backwardLoop(
  { kernels, pointwise, drop, padding }: LoopParts,
  loop: TimeLoop,
  watcher: PassWatcher | undefined,
): number {
  const { step, steps, U, pattern, rule, statistics, watched, dy, dyRow, dhBefore } = loop;
  const { row, hRow, rows: B } = step;
  const sparse = rule.kind !== "keep";
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
    if (t === 0 && !dhBefore) break;
    clearRows(step.dh, B);
    if (sparse) executed += kernels.spmmNN(step.dh, 0, pattern, step.row, U, B);
    else kernels.gemmNN(step.dh, 0, step.gates, step.row, U, B);
    padding.release(step, time);
  }
  return executed;
}
