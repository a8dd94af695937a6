/** Cells that engines bring themselves, against the definition in float64: forward, backward, and what U sees. */
import { describe, expect, test } from "vitest";
import { Arena, type Tensor } from "../core/arena.ts";
import { RandomStream } from "../core/random.ts";
import { loadEngine } from "../kernels/engines.ts";
import { jsEngine } from "../kernels/js.ts";
import type { CellStep, Engine } from "../kernels/kernels.ts";
import { hasNativeAddon, loadNativeAddon, loadNativeEngine } from "../runs/native-addon.ts";
import type { Cell } from "./cell.ts";
import { cells } from "./cells.ts";

const native = hasNativeAddon()
  ? await Promise.all(
      loadNativeAddon()
        .isas()
        .map((isa) => loadNativeEngine(1, isa)),
    )
  : [];
const engines: Engine[] = [await loadEngine("wasm"), ...native];
const own = engines.flatMap((engine) =>
  Object.keys(engine.attach(new Arena()).cells).map((name) => [`${engine.name} ${engine.isa}`, name, engine] as const),
);

function planStep(arena: Arena, { gates, states, keeps, hiddenProduct }: Cell, rows: number, hidden: number): CellStep {
  const tensor = (name: string, blocks: number, columns: number) =>
    arena.tensor(name, [blocks * rows, columns], "activations");
  return {
    row: rows,
    hRow: 3 * rows, // h reaches further back than the other buffers
    stateRow: rows,
    rows,
    hidden,
    gates: tensor("gates", 3, gates.length * hidden),
    hiddenGates: hiddenProduct === "apart" ? tensor("hiddenGates", 3, gates.length * hidden) : undefined,
    h: tensor("h", 6, hidden),
    states: states.map((name) => tensor(name, 4, hidden)),
    keeps: keeps.map((name) => tensor(`${name}Kept`, 3, hidden)),
    dh: tensor("dh", 1, hidden),
    dStates: states.map((name) => tensor(`d${name}`, 1, hidden)),
  };
}

function build(engine: Engine, cell: Cell, rows: number, hidden: number, real: "f32" | "f64") {
  const arena = new Arena(real);
  const kernels = engine.attach(arena);
  const step = planStep(arena, cell, rows, hidden);
  arena.allocate();
  const { gates, hiddenGates, h, states, keeps, dh, dStates } = step;
  const all = [gates, h, ...states, ...keeps, dh, ...dStates, ...(hiddenGates ? [hiddenGates] : [])];
  const random = new RandomStream(7, "cells");
  for (const { data } of all) for (let i = 0; i < data.length; i++) data[i] = Math.fround(2 * random.normal());
  return { kernels, step, all };
}

/** 8 roundings, at the size of the numbers that were added. */
function expectSame(what: string, got: readonly Tensor[], wanted: readonly Tensor[]): void {
  for (const [index, { name, data }] of wanted.entries())
    for (let i = 0; i < data.length; i++) {
      const difference = Math.abs(got[index]!.data[i]! - data[i]!);
      expect(difference, `${what}: ${name}[${i}]`).toBeLessThanOrEqual(16 * 2 ** -24 * Math.max(1, Math.abs(data[i]!)));
    }
}

describe.each(own)("engine %s, %s", (_, name, engine) => {
  const cell: Cell = cells[name as keyof typeof cells];

  test.each([...Array.from({ length: 17 }, (_, i) => i + 1), 128])("as defined, hidden size %i", (hidden) => {
    const rows = 3;
    const tested = build(engine, cell, rows, hidden, "f32");
    const exact = build(jsEngine, cell, rows, hidden, "f64");
    const kernel = tested.kernels.cells[name]!;
    kernel.forward(tested.step);
    cell.forward(exact.step);
    expectSame("forward", tested.all, exact.all);
    // Each part by itself, from the same numbers.
    for (const [index, { data }] of exact.all.entries()) data.set(tested.all[index]!.data);
    kernel.backward(tested.step);
    cell.backward(exact.step);
    expectSame("backward", tested.all, exact.all);
    if (!cell.dHidden) return;
    for (const [index, { data }] of exact.all.entries()) data.set(tested.all[index]!.data);
    for (const { step, run } of [
      { step: tested.step, run: kernel },
      { step: exact.step, run: cell },
    ])
      run.dHidden!(step, step.gates, step.row, step.hiddenGates!, 0);
    expectSame("dHidden", tested.all, exact.all);
  });

  test("a NaN goes through to h and to the gradients", () => {
    const { kernels, step } = build(engine, cell, 1, 6, "f32");
    const kernel = kernels.cells[name]!;
    step.gates.data[step.gates.rowLength + 2] = Number.NaN; // of column 2, in the first gate
    kernel.forward(step);
    expect([...step.h.data.slice(24, 30)].map(Number.isNaN)).toEqual([false, false, true, false, false, false]);
    kernel.backward(step);
    const width = step.gates.rowLength;
    expect([...step.gates.data.slice(width, 2 * width)].some(Number.isNaN)).toBe(true);
  });
});
