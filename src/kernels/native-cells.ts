/** Cells of engine native: their pointwise parts (native/lstm.h, gru.h, rnn.h) and whole time loops (native/loop.h). */
import type { Tensor } from "../core/arena.ts";
import { at, type PanelUse } from "./by-address.ts";
import { addressCells } from "./by-address-cells.ts";
import type { CellKernel, RecurrentKernel, TimeLoop, Weight } from "./kernels.ts";
import { AFTER, BEFORE, INDEX, LISTS, type NativePattern, type Told, tell } from "./native-buffers.ts";
import type { NativeCalls } from "./native-calls.ts";

interface NativeCells {
  readonly cells: Readonly<Record<string, CellKernel>>;
  readonly recurrent: Readonly<Record<string, RecurrentKernel>>;
}

/** Address of a weight's panels for a use. */
type Panels = (w: Weight, use: PanelUse) => number;

/** `calls`: once the arena is allocated; `full`: the share of nonzeros above which dh of so many columns runs dense. */
export function nativeCells(calls: () => NativeCalls, panels: Panels, full: (columns: number) => number): NativeCells {
  return {
    cells: { lstm: lstmCell(calls), gru: gruCell(calls), ...addressCells(calls) },
    recurrent: {
      lstm: lstmLoop(calls, panels, full),
      gru: gruLoop(calls, panels, full),
      rnn: rnnLoop(calls, panels, full),
      mingru: mingruLoop(calls),
    },
  };
}

function lstmCell(calls: () => NativeCalls): CellKernel {
  return {
    forward({ row, hRow, stateRow, rows, hidden: H, gates, h, states, keeps }) {
      const c = states[0] as Tensor;
      calls().lstmForward(
        rows,
        H,
        at(gates, row, 4 * H),
        at(c, stateRow, H),
        at(c, stateRow + rows, H),
        at(h, hRow + rows, H),
        at(keeps[0] as Tensor, stateRow, H),
      );
    },
    backward({ row, stateRow, rows, hidden: H, gates, states, keeps, dh, dStates }) {
      calls().lstmBackward(
        rows,
        H,
        at(gates, row, 4 * H),
        at(states[0] as Tensor, stateRow, H),
        at(keeps[0] as Tensor, stateRow, H),
        dh.ptr,
        (dStates[0] as Tensor).ptr,
      );
    },
    restate({ row, stateRow, rows, hidden: H, gates, states, keeps }, steps) {
      calls().lstmRestate(
        steps,
        rows,
        H,
        at(gates, row, 4 * H),
        at(states[0] as Tensor, stateRow, H),
        at(keeps[0] as Tensor, stateRow, H),
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

function lstmLoop(calls: () => NativeCalls, panels: Panels, full: (columns: number) => number): RecurrentKernel {
  return {
    forward({ step, steps, U }) {
      const { row, hRow, stateRow, rows, hidden: H, gates, h, states, keeps } = step;
      calls().lstmForwardLoop(
        steps,
        rows,
        H,
        at(gates, row, 4 * H),
        panels(U as Weight, "nt"),
        U?.uses.nt === "bf16" ? 1 : 0,
        at(states[0] as Tensor, stateRow, H),
        at(h, hRow, H),
        at(keeps[0] as Tensor, stateRow, H),
      );
    },
    backward(loop) {
      const told = startLists(loop);
      if (!told) return undefined;
      const { step, U, dy, dyRow } = loop;
      const { row, stateRow, hidden: H, gates, states, keeps, dh, dStates } = step;
      return calls().lstmBackwardLoop(
        ...placeOf(loop),
        at(gates, row, 4 * H),
        at(states[0] as Tensor, stateRow, H),
        at(keeps[0] as Tensor, stateRow, H),
        dh.ptr,
        (dStates[0] as Tensor).ptr,
        at(dy, dyRow, H),
        loop.dhBefore ? 1 : 0,
        ...sweepOf(loop, told),
        panels(U as Weight, "nn"),
        full(H),
      );
    },
  };
}

function gruLoop(calls: () => NativeCalls, panels: Panels, full: (columns: number) => number): RecurrentKernel {
  return {
    forward({ step, steps, U }) {
      const { row, hRow, rows, hidden: H, gates, hiddenGates, h, keeps } = step;
      calls().gruForwardLoop(
        steps,
        rows,
        H,
        at(gates, row, 3 * H),
        at(hiddenGates as Tensor, row, 3 * H),
        panels(U as Weight, "nt"),
        U?.uses.nt === "bf16" ? 1 : 0,
        at(h, hRow, H),
        at(keeps[0] as Tensor, row, H),
      );
    },
    backward(loop) {
      const told = startLists(loop);
      if (!told) return undefined;
      const { step, U, dy, dyRow } = loop;
      const { row, hRow, hidden: H, gates, h, keeps, dh } = step;
      const hidden = loop.hiddenPattern as NativePattern;
      const { listFirst, wordsPerRow, starts } = hidden;
      return calls().gruBackwardLoop(
        ...placeOf(loop),
        at(gates, row, 3 * H),
        at(hidden.dense, row, 3 * H),
        at(h, hRow, H),
        at(keeps[0] as Tensor, row, H),
        dh.ptr,
        at(dy, dyRow, H),
        loop.dhBefore ? 1 : 0,
        ...sweepOf(loop, told),
        at(hidden.bitmap, row, wordsPerRow),
        at(hidden.rowCounts, row, 1),
        hidden.values.ptr,
        hidden.offsets.ptr,
        at(starts, row - listFirst, starts.rowLength),
        panels(U as Weight, "nn"),
        full(H),
      );
    },
  };
}

function rnnLoop(calls: () => NativeCalls, panels: Panels, full: (columns: number) => number): RecurrentKernel {
  return {
    forward({ step, steps, U }) {
      const { row, hRow, rows, hidden: H, gates, h } = step;
      const pairs = U?.uses.nt === "bf16" ? 1 : 0;
      calls().rnnForwardLoop(steps, rows, H, at(gates, row, H), panels(U as Weight, "nt"), pairs, at(h, hRow, H));
    },
    backward(loop) {
      const told = startLists(loop);
      if (!told) return undefined;
      const { step, U, dy, dyRow } = loop;
      const { row, hidden: H, gates, dh } = step;
      return calls().rnnBackwardLoop(
        ...placeOf(loop),
        at(gates, row, H),
        dh.ptr,
        at(dy, dyRow, H),
        loop.dhBefore ? 1 : 0,
        ...sweepOf(loop, told),
        panels(U as Weight, "nn"),
        full(H),
      );
    },
  };
}

/** There is no U, so what flows on into t-1 has been made by the cell. */
function mingruLoop(calls: () => NativeCalls): RecurrentKernel {
  return {
    forward({ step, steps }) {
      const { row, hRow, rows, hidden: H, gates, h } = step;
      calls().mingruForwardLoop(steps, rows, H, at(gates, row, 2 * H), at(h, hRow, H));
    },
    backward(loop) {
      const told = startLists(loop);
      if (!told) return undefined;
      const { step, dy, dyRow } = loop;
      const { row, hRow, hidden: H, gates, h, dh } = step;
      calls().mingruBackwardLoop(
        ...placeOf(loop),
        at(gates, row, 2 * H),
        at(h, hRow, H),
        dh.ptr,
        at(dy, dyRow, H),
        ...sweepOf(loop, told),
      );
      return 0;
    },
  };
}

/** Tells the loop's patterns of the lists to come; undefined, with nothing done, where the loop does not know the rule. */
function startLists(loop: TimeLoop): Told | undefined {
  const { step, steps, rule } = loop;
  const pattern = loop.pattern as NativePattern;
  const hidden = loop.hiddenPattern as NativePattern | undefined;
  const rows = steps * step.rows;
  const sparse = rule.kind !== "keep";
  const fits = pattern.listing.fits(pattern, step.row, rows);
  if (sparse && (rule.residue || !fits)) return undefined;
  const told = tell(pattern, rule, step.rows);
  if (!told) return undefined;
  const form = !sparse ? "none" : told.form ? "columns" : pattern.small ? "none" : "lists";
  if (fits) pattern.listing.mark(pattern, step.row, rows, form, step.rows);
  if (fits && hidden) hidden.listing.mark(hidden, step.row, rows, form, step.rows);
  return told;
}

/** The first arguments of every backward loop: its size, and its first row among those with lists and in the site. */
function placeOf({ step: { row, rows, hidden }, steps, pattern }: TimeLoop): number[] {
  return [steps, rows, hidden, row - pattern.listFirst, pattern.firstRow + row];
}

/** What every backward loop's sweep is told, in the kernels' order: the rule, sums, lists, room to choose in. */
function sweepOf(loop: TimeLoop, told: Told): number[] {
  const { step, rule, statistics } = loop;
  const { row } = step;
  const pattern = loop.pattern as NativePattern;
  const { listFirst, bitmap, rowCounts, wordsPerRow, starts } = pattern;
  return [
    told.kind,
    pattern.tau.ptr,
    rule.key,
    statistics.sums.ptr,
    statistics.histogram.ptr,
    flagsOf(loop, told),
    at(bitmap, row, wordsPerRow),
    at(rowCounts, row, 1),
    pattern.values.ptr,
    pattern.offsets.ptr,
    at(starts, row - listFirst, starts.rowLength),
    pattern.partials.ptr,
    pattern.choice.ptr,
    rule.blocks?.ptr ?? 0,
  ];
}

function flagsOf({ rule, watched, pattern }: TimeLoop, { form }: Told): number {
  if (rule.kind !== "keep") return BEFORE | AFTER | INDEX | (pattern.small && !form ? 0 : LISTS) | form;
  return watched ? BEFORE | AFTER | INDEX : 0;
}
