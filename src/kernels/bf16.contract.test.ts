/**
 * Forward products on operands rounded to bf16: every engine that has them against the plain sum of the rounded
 * operands' products in float64, within (K + 1) 2^-23 (|out| + sum |a b|), as any order of float32 sums is. Engines
 * without them say what is missing.
 */
import { describe, expect, test } from "vitest";
import { Arena } from "../core/arena.ts";
import { RandomStream } from "../core/random.ts";
import type { ModelSpec } from "../nn/model.ts";
import { filledModel } from "../nn/testing.ts";
import { hasNativeAddon, loadNativeAddon, loadNativeEngine } from "../runs/native-addon.ts";
import { toBf16 } from "./bf16.ts";
import { jsEngine } from "./js.ts";
import type { Engine } from "./kernels.ts";
import { loadWasmEngine } from "./wasm.ts";

const addon = hasNativeAddon() ? loadNativeAddon() : undefined;
const native = async (isas: readonly string[]) => Promise.all(isas.map((isa) => loadNativeEngine(1, isa)));
const fast = await native(addon?.bf16() ?? []);
const without = [
  await loadWasmEngine(),
  ...(await native(addon?.isas().filter((isa) => !addon.bf16().includes(isa)) ?? [])),
];
const table = (engines: readonly Engine[]) =>
  engines.map((engine) => [`${engine.name} (${engine.isa})`, engine] as const);

const EPSILON = 2 ** -23;
const GUARDS = 2; // rows before and after the output

test("bf16 is the nearest, ties to even", () => {
  const step = 2 ** -7; // from 1 to the next
  for (const [x, wanted] of [
    [1, 1],
    [1 + step / 2, 1],
    [1 + (3 * step) / 2, 1 + 2 * step],
    [1 + 0.51 * step, 1 + step],
    [-1 - 0.49 * step, -1],
    [2 ** -126, 2 ** -126],
    [2 ** -127, 0],
    [3.4e38, Infinity],
    [-Infinity, -Infinity],
    [Number.NaN, Number.NaN],
  ] as const)
    expect(toBf16(x)).toBe(wanted);
  expect(toBf16(-(2 ** -130))).toBe(-0);
});

function product(engine: Engine, rows: number, N: number, K: number) {
  const arena = new Arena();
  const kernels = engine.attach(arena);
  const w = arena.tensor("w", [N, K], "weights");
  const weight = kernels.planWeight(w, { rows, nt: "bf16" });
  const x = arena.tensor("x", [rows + 2 * GUARDS, K], "activations");
  const out = arena.tensor("out", [rows + 2 * GUARDS, N], "activations");
  arena.allocate();
  const random = new RandomStream(5, "bf16");
  for (const { data } of [w, x, out]) for (let i = 0; i < data.length; i++) data[i] = 2 * random.uniform() - 1;
  const before = out.data.slice();
  kernels.pack(weight);
  kernels.gemmNT(out, GUARDS, x, GUARDS, weight, rows);
  return { w, x, out, before };
}

describe.each(table([jsEngine, ...fast]))("engine %s", (_, engine) => {
  const widths = Array.from({ length: 35 }, (_, i) => i + 1);
  test.each([
    [32, 512, 128],
    [260, 300, 37],
    [50, 129, 513],
    ...widths.flatMap((n): [number, number, number][] => [
      [3, n, 5],
      [4, 6, n],
      [n, 9, 7],
    ]),
  ])("rows %i, N %i, K %i", (rows, N, K) => {
    const { w, x, out, before } = product(engine, rows, N, K);
    for (let r = 0; r < rows + 2 * GUARDS; r++)
      for (let n = 0; n < N; n++) {
        const at = r * N + n;
        if (r < GUARDS || r >= rows + GUARDS) {
          expect(out.data[at]).toBe(before[at]);
          continue;
        }
        let sum = before[at]!;
        let size = Math.abs(sum);
        for (let k = 0; k < K; k++) {
          const term = toBf16(x.data[r * K + k]!) * toBf16(w.data[n * K + k]!);
          sum += term;
          size += Math.abs(term);
        }
        if (Math.abs(out.data[at]! - sum) > (K + 1) * EPSILON * size)
          expect.fail(`row ${r}, column ${n}: got ${out.data[at]}, expected ${sum}`);
      }
  });
});

const SPECS: Record<string, ModelSpec> = {
  "gates in whole panels": {
    input: { kind: "tokens", vocabulary: 11 },
    cell: "lstm",
    hiddenSize: 64,
    numLayers: 2,
    forward: "bf16",
    output: { kind: "classes", size: 11, positions: "all" },
  },
  "odd sizes": {
    input: { kind: "features", size: 3 },
    cell: "lstm",
    hiddenSize: 77,
    numLayers: 2,
    forward: "bf16",
    output: { kind: "values", size: 3, positions: "last" },
  },
};

describe.each(table(fast))("engine %s, nets", (_, engine) => {
  test.each(Object.entries(SPECS))("%s: loss and gradients are those of engine js", (_, spec) => {
    const shape = { T: 4, B: 5 };
    const wanted = filledModel(jsEngine, spec, shape);
    const got = filledModel(engine, spec, shape);
    const loss = wanted.lossAndGradient(wanted.pass);
    expect(Math.abs(got.lossAndGradient(got.pass) / loss - 1)).toBeLessThan(1e-4);
    // A rounding of h that falls to the other side moves it by 2^-8.
    for (const [p, { gradient }] of wanted.parameters.entries()) {
      let largest = 0;
      for (const g of gradient.data) largest = Math.max(largest, Math.abs(g));
      const tested = got.parameters[p]!.gradient.data;
      for (let i = 0; i < tested.length; i++)
        expect(Math.abs(tested[i]! - gradient.data[i]!)).toBeLessThanOrEqual(2 ** -8 * largest);
    }
    const f32 = filledModel(engine, { ...spec, forward: "f32" }, shape);
    expect(f32.lossAndGradient(f32.pass)).not.toBe(loss);
  });
});

test.each(table(without))("engine %s says what bf16 needs", (_, engine) => {
  expect(() => product(engine, 1, 1, 1)).toThrow(/model\.forward is bf16.*AVX512-BF16.*model\.forward=f32/);
});
