/** Cells of engine native: their pointwise parts (native/lstm.h, gru.h) and whole time loops (native/loop.h). */
import type { Tensor } from "../core/arena.ts";
import { isSweep } from "../sparse/rule.ts";
import { at, planned } from "./by-address.ts";
import type { CellKernel, RecurrentKernel, TimeLoop, Weight } from "./kernels.ts";
import {
  AFTER,
  BEFORE,
  INDEX,
  LISTS,
  type NativePattern,
  type NativeWeight,
  panelsNN,
  STOCHASTIC,
  setTau,
  THRESHOLD,
} from "./native-buffers.ts";
import type { NativeCalls } from "./native-calls.ts";

interface NativeCells {
  readonly cells: Readonly<Record<string, CellKernel>>;
  readonly recurrent: Readonly<Record<string, RecurrentKernel>>;
}

/** `calls`: once the arena is allocated; `full`: the share of nonzeros above which dh of so many columns runs dense. */
export function nativeCells(calls: () => NativeCalls, full: (columns: number) => number): NativeCells {
  return {
    cells: { lstm: lstmCell(calls), gru: gruCell(calls) },
    recurrent: { lstm: lstmLoop(calls, full), gru: gruLoop(calls, full) },
  };
}

function lstmCell(calls: () => NativeCalls): CellKernel {
  return {
    forward({ row, hRow, rows, hidden: H, gates, h, states, keeps }) {
      const c = states[0] as Tensor;
      calls().lstmForward(
        rows,
        H,
        at(gates, row, 4 * H),
        at(c, row, H),
        at(c, row + rows, H),
        at(h, hRow + rows, H),
        at(keeps[0] as Tensor, row, H),
      );
    },
    backward({ row, rows, hidden: H, gates, states, keeps, dh, dStates }) {
      calls().lstmBackward(
        rows,
        H,
        at(gates, row, 4 * H),
        at(states[0] as Tensor, row, H),
        at(keeps[0] as Tensor, row, H),
        dh.ptr,
        (dStates[0] as Tensor).ptr,
      );
    },
  };
}

function gruCell(calls: () => NativeCalls): CellKernel {
  return {
    forward({ row, hRow, rows, hidden: H, gates, hiddenGates, h, keeps }) {
      calls().gruForward(
        rows,
        H,
        at(gates, row, 3 * H),
        at(hiddenGates as Tensor, row, 3 * H),
        at(h, hRow, H),
        at(h, hRow + rows, H),
        at(keeps[0] as Tensor, row, H),
      );
    },
    backward({ row, hRow, rows, hidden: H, gates, hiddenGates, h, dh }) {
      const products = at(hiddenGates as Tensor, row, 3 * H);
      calls().gruBackward(rows, H, at(gates, row, 3 * H), products, at(h, hRow, H), dh.ptr);
    },
    dHidden({ row, rows, hidden: H, keeps }, left, leftRow, out, outRow) {
      const kept = at(keeps[0] as Tensor, row, H);
      calls().gruHidden(rows, H, at(left, leftRow, 3 * H), kept, at(out, outRow, 3 * H));
    },
  };
}

function lstmLoop(calls: () => NativeCalls, full: (columns: number) => number): RecurrentKernel {
  return {
    forward({ step, steps, U }) {
      const { row, hRow, rows, hidden: H, gates, h, states, keeps } = step;
      calls().lstmForwardLoop(
        steps,
        rows,
        H,
        at(gates, row, 4 * H),
        hiddenPanels(U),
        U?.uses.nt === "bf16" ? 1 : 0,
        at(states[0] as Tensor, row, H),
        at(h, hRow, H),
        at(keeps[0] as Tensor, row, H),
      );
    },
    backward(loop) {
      if (!startLists(loop)) return undefined;
      const { step, steps, U, rule, statistics, dy, dyRow } = loop;
      const { row, rows, hidden: H, gates, states, keeps, dh, dStates } = step;
      const pattern = loop.pattern as NativePattern;
      const { firstRow, listFirst, bitmap, rowCounts, wordsPerRow, values, offsets, starts } = pattern;
      return calls().lstmBackwardLoop(
        steps,
        rows,
        H,
        row - listFirst,
        firstRow + row,
        at(gates, row, 4 * H),
        at(states[0] as Tensor, row, H),
        at(keeps[0] as Tensor, row, H),
        dh.ptr,
        (dStates[0] as Tensor).ptr,
        at(dy, dyRow, H),
        loop.dhBefore ? 1 : 0,
        rule.kind === "stochastic" ? STOCHASTIC : THRESHOLD,
        pattern.tau.ptr,
        rule.key,
        statistics.sums.ptr,
        statistics.histogram.ptr,
        flagsOf(loop),
        at(bitmap, row, wordsPerRow),
        at(rowCounts, row, 1),
        values.ptr,
        offsets.ptr,
        at(starts, row - listFirst, starts.rowLength),
        pattern.partials.ptr,
        panelsNN(U as Weight, calls()),
        full(H),
      );
    },
  };
}

function gruLoop(calls: () => NativeCalls, full: (columns: number) => number): RecurrentKernel {
  return {
    forward({ step, steps, U }) {
      const { row, hRow, rows, hidden: H, gates, hiddenGates, h, keeps } = step;
      calls().gruForwardLoop(
        steps,
        rows,
        H,
        at(gates, row, 3 * H),
        at(hiddenGates as Tensor, row, 3 * H),
        hiddenPanels(U),
        U?.uses.nt === "bf16" ? 1 : 0,
        at(h, hRow, H),
        at(keeps[0] as Tensor, row, H),
      );
    },
    backward(loop) {
      if (!startLists(loop)) return undefined;
      const { step, steps, U, rule, statistics, dy, dyRow } = loop;
      const { row, hRow, rows, hidden: H, gates, h, keeps, dh } = step;
      const pattern = loop.pattern as NativePattern;
      const { firstRow, listFirst, bitmap, rowCounts, wordsPerRow, values, offsets, starts } = pattern;
      const hidden = loop.hiddenPattern as NativePattern;
      return calls().gruBackwardLoop(
        steps,
        rows,
        H,
        row - listFirst,
        firstRow + row,
        at(gates, row, 3 * H),
        at(hidden.dense, row, 3 * H),
        at(h, hRow, H),
        at(keeps[0] as Tensor, row, H),
        dh.ptr,
        at(dy, dyRow, H),
        loop.dhBefore ? 1 : 0,
        rule.kind === "stochastic" ? STOCHASTIC : THRESHOLD,
        pattern.tau.ptr,
        rule.key,
        statistics.sums.ptr,
        statistics.histogram.ptr,
        flagsOf(loop),
        at(bitmap, row, wordsPerRow),
        at(rowCounts, row, 1),
        values.ptr,
        offsets.ptr,
        at(starts, row - listFirst, starts.rowLength),
        pattern.partials.ptr,
        at(hidden.bitmap, row, wordsPerRow),
        at(hidden.rowCounts, row, 1),
        hidden.values.ptr,
        hidden.offsets.ptr,
        at(hidden.starts, row - listFirst, starts.rowLength),
        panelsNN(U as Weight, calls()),
        full(H),
      );
    },
  };
}

/** Tells the loop's patterns of the lists to come; false, with nothing done, where the loop does not know the rule. */
function startLists(loop: TimeLoop): boolean {
  const { step, steps, rule } = loop;
  const pattern = loop.pattern as NativePattern;
  const hidden = loop.hiddenPattern as NativePattern | undefined;
  const rows = steps * step.rows;
  const sparse = rule.kind !== "keep";
  const fits = pattern.listing.fits(pattern, step.row, rows);
  if (!isSweep(rule) || (sparse && (rule.residue || !fits))) return false;
  setTau(pattern, rule);
  if (fits) pattern.listing.mark(pattern, step.row, rows, sparse);
  if (fits && hidden) hidden.listing.mark(hidden, step.row, rows, sparse);
  return true;
}

function flagsOf({ rule, watched }: TimeLoop): number {
  if (rule.kind !== "keep") return BEFORE | AFTER | INDEX | LISTS;
  return watched ? BEFORE | AFTER | INDEX : 0;
}

/** Address of the panels of a time loop's U for the product forward. */
function hiddenPanels(U: Weight | undefined): number {
  return planned((U as NativeWeight).nt, U as NativeWeight, "nt").ptr;
}
