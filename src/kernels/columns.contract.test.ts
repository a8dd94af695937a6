/**
 * Products with gradients of which whole columns were dropped, of every engine, against the dense products of engine js in
 * float64 over what the rule left. Bounds as in engines.contract.test.ts: depth * 2^-23 * (|out| + sum |a b|).
 */
import { describe, expect, test } from "vitest";
import { Arena, type RealArray } from "../core/arena.ts";
import { RandomStream } from "../core/random.ts";
import { hasNativeAddon, loadNativeAddon, loadNativeEngine } from "../runs/native-addon.ts";
import "../runs/wasm-threads.ts";
import { type DropRule, dropRule } from "../sparse/rule.ts";
import { planStatistics } from "../sparse/statistics.ts";
import { jsEngine } from "./js.ts";
import type { Engine } from "./kernels.ts";
import { loadWasmEngine } from "./wasm.ts";

const isas = hasNativeAddon() ? loadNativeAddon().isas() : [];
const engines: readonly (readonly [string, Engine])[] = await Promise.all([
  loadWasmEngine(1).then((engine) => ["wasm", engine] as const),
  loadWasmEngine(2).then((engine) => ["wasm, 2 threads", engine] as const),
  ...isas.map(async (isa) => [`native ${isa}`, await loadNativeEngine(1, isa)] as const),
  ...isas.slice(0, 1).map(async (isa) => [`native ${isa}, 2 threads`, await loadNativeEngine(2, isa)] as const),
]);

const GROUPS = 4;
const GUARDS = 2; // rows before and after an output

interface Shape {
  readonly T: number;
  readonly B: number;
  readonly H: number;
  readonly K: number;
}

/** Beyond: a vector, a panel, a register tile, 256 live columns, 240 rows of dW, 256 rows of a time, 512 columns of x. */
const SHAPES: readonly Shape[] = [
  { T: 1, B: 1, H: 1, K: 1 },
  { T: 3, B: 1, H: 9, K: 5 },
  { T: 3, B: 2, H: 5, K: 17 },
  { T: 4, B: 7, H: 33, K: 65 },
  { T: 2, B: 50, H: 80, K: 130 },
  { T: 2, B: 270, H: 11, K: 20 },
  { T: 2, B: 3, H: 300, K: 520 },
];

const rules: Record<string, Partial<DropRule>> = {
  columns: { kind: "columns" },
  "columns, unbiased": { kind: "columns", unbiased: true },
  "columns, unbiased, pooled": { kind: "columns", unbiased: true, pooled: true },
  "topk, unified": { kind: "topk", unified: true },
};

function fill(data: RealArray, seed: number): void {
  const random = new RandomStream(seed, "columns");
  for (let i = 0; i < data.length; i++) data[i] = Math.fround(2 * random.uniform() - 1);
}

function build(engine: Engine, real: "f32" | "f64", { T, B, H, K }: Shape) {
  const arena = new Arena(real);
  const kernels = engine.attach(arena);
  const [rows, N] = [T * B, GROUPS * H];
  const site = { name: "site", groups: ["i", "f", "g", "o"], rows, cols: N };
  const w = arena.tensor("w", [N, K], "weights");
  const weight = kernels.planWeight(w, { rows, nn: true });
  kernels.planTN(rows, N, K);
  const g = arena.tensor("g", [rows, N], "gateGradients");
  const pattern = kernels.planPattern(site, g);
  const statistics = planStatistics(arena, site);
  const x = arena.tensor("x", [rows, K], "activations");
  const outK = arena.tensor("outK", [rows + 2 * GUARDS, K], "activations");
  const outNK = arena.tensor("outNK", [N, K], "gradients");
  arena.allocate();
  for (const [i, { data }] of [w, g, x, outK, outNK].entries()) fill(data, i);
  for (let i = 0; i < g.length; i++) if (i % 3 === 0) g.data[i] = 0; // zeros by nature, of live columns too
  kernels.pack(weight);
  return { kernels, weight, w, g, pattern, statistics, x, outK, outNK };
}

type Built = ReturnType<typeof build>;

/** As the backward time loop does: the last time first. */
function compress({ kernels, pattern, statistics }: Built, { T, B }: Shape, settings: Partial<DropRule>): void {
  const rule = Object.assign(dropRule(GROUPS), { key: 321 }, settings);
  rule.share.fill(0.3);
  for (let t = T - 1; t >= 0; t--) kernels.compress(pattern, t * B, B, rule, statistics);
}

function expectClose(what: string, got: RealArray, wanted: RealArray, sizes: RealArray, depth: number): void {
  for (let i = 0; i < wanted.length; i++)
    if (!(Math.abs(got[i]! - wanted[i]!) <= (depth + 1) * 2 ** -23 * sizes[i]!))
      expect.fail(`${what}, element ${i}: got ${got[i]}, expected ${wanted[i]}`);
}

describe.each(engines)("columns, engine %s", (_, engine) => {
  test.each(Object.keys(rules).flatMap((rule) => SHAPES.map((shape) => ({ rule, ...shape }))))(
    "rule $rule, T $T, B $B, H $H, K $K",
    ({ rule, ...shape }) => {
      const { T, B, H, K } = shape;
      const [rows, N] = [T * B, GROUPS * H];
      const settings = rules[rule] as Partial<DropRule>;
      const tested = build(engine, "f32", shape);
      const chosen = build(jsEngine, "f32", shape);
      for (const p of [tested, chosen]) compress(p, shape, settings);
      expect(tested.g.data).toEqual(chosen.g.data);
      expect(tested.pattern.bitmap.data).toEqual(chosen.pattern.bitmap.data);

      // The products: exact, and of magnitudes for the bound.
      const [exact, sizes] = [build(jsEngine, "f64", shape), build(jsEngine, "f64", shape)];
      for (const p of [exact, sizes]) p.g.data.set(chosen.g.data);
      for (const { data } of [sizes.w, sizes.g, sizes.x, sizes.outK, sizes.outNK])
        for (let i = 0; i < data.length; i++) data[i] = Math.abs(data[i]!);
      for (const { kernels, outK, outNK, g, weight, x } of [exact, sizes]) {
        kernels.gemmNN(outK, GUARDS, g, 0, weight, rows);
        kernels.gemmTN(outNK, g, 0, x, 0, rows);
      }
      const { kernels, outK, outNK, pattern, weight, x } = tested;
      const macsNN = kernels.spmmNN(outK, GUARDS, pattern, 0, weight, rows);
      const macsTN = kernels.spmmTN(outNK, pattern, 0, x, 0, rows);
      expectClose("dx", outK.data, exact.outK.data, sizes.outK.data, N); // guards included
      expectClose("dW", outNK.data, exact.outNK.data, sizes.outNK.data, rows);

      // What is executed is whole columns of a time, and no column that is dead.
      let columns = 0;
      for (let t = 0; t < T; t++)
        for (let c = 0; c < N; c++) {
          let lives = false;
          for (let r = t * B; r < (t + 1) * B; r++) lives ||= chosen.g.data[r * N + c] !== 0;
          columns += Number(lives);
        }
      if (B > 1) expect([macsNN, macsTN]).toEqual([columns * B * K, columns * B * K]);
    },
  );

  test("rows that are no whole times, and rows of another rule beside them, give the dense products", () => {
    const shape = { T: 4, B: 6, H: 20, K: 40 };
    const [N, rows] = [GROUPS * shape.H, 13];
    const p = build(engine, "f32", shape);
    compress(p, shape, { kind: "columns" });
    const again = Object.assign(dropRule(GROUPS), { kind: "threshold" });
    again.tau.fill(0.5);
    p.kernels.compress(p.pattern, 6, 6, again, p.statistics);
    for (const [row, first] of [
      [3, 3], // the middle of a time
      [6, 6], // threshold, then columns
      [11, 11],
    ] as const) {
      p.outK.data.fill(0);
      p.outNK.data.fill(0);
      const exact = build(jsEngine, "f64", shape);
      exact.g.data.set(p.g.data);
      exact.outK.data.fill(0);
      exact.outNK.data.fill(0);
      p.kernels.spmmNN(p.outK, 0, p.pattern, row, p.weight, rows);
      p.kernels.spmmTN(p.outNK, p.pattern, row, p.x, first, rows);
      exact.kernels.gemmNN(exact.outK, 0, exact.g, row, exact.weight, rows);
      exact.kernels.gemmTN(exact.outNK, exact.g, row, exact.x, first, rows);
      const ones = new Float64Array(Math.max(p.outK.length, p.outNK.length)).fill(4); // factors are below 4
      expectClose("dx", p.outK.data, exact.outK.data, ones, N);
      expectClose("dW", p.outNK.data, exact.outNK.data, ones, N);
    }
  });
});
