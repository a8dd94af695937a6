/**
 * One contract, a table of engines. Every kernel of every engine is checked against engine js in
 * float64 on the same float32 inputs; a new engine is one line here.
 *
 * A product of depth K may be off by K 2^-23 sum |a b| (the bound on any order of summation, plus
 * the value it was added to). Rows around an output must stay as they were.
 */
import { describe, expect, test } from "vitest";
import { Arena, type RealArray, type Tensor } from "../core/arena.ts";
import { RandomStream } from "../core/random.ts";
import { RowSet } from "../core/row-set.ts";
import { hasNativeAddon, loadNativeAddon, loadNativeEngine } from "../runs/native-addon.ts";
import "../runs/wasm-threads.ts";
import { countRows } from "../sparse/pattern.ts";
import { type DropRule, dropRule } from "../sparse/rule.ts";
import type { Site } from "../sparse/site.ts";
import {
  binOf,
  HISTOGRAM_BINS,
  KEPT,
  KEPT_SQUARES,
  NATURAL_ZEROS,
  planStatistics,
  SQUARES,
  SUM_COLUMNS,
  TOTAL,
} from "../sparse/statistics.ts";
import { jsEngine } from "./js.ts";
import type { CellStep, Engine, Kernels, UpdateSettings, WeightUses } from "./kernels.ts";
import { loadWasmEngine } from "./wasm.ts";

/** Engine native once for every instruction set this processor runs; none where it has not been built. */
const isas = hasNativeAddon() ? loadNativeAddon().isas() : [];
const wasmOfTwo = await loadWasmEngine(2);
const engines: readonly Engine[] = [
  jsEngine,
  await loadWasmEngine(),
  wasmOfTwo,
  ...(await Promise.all(isas.map((isa) => loadNativeEngine(1, isa)))),
];
const table = (rows: readonly Engine[]) =>
  rows.map((engine) => [`${engine.name} (${engine.isa}${engine === wasmOfTwo ? ", 2 threads" : ""})`, engine] as const);

const EPSILON = 2 ** -23;
const GUARDS = 2; // rows before and after an output

type Plan<T> = (arena: Arena, kernels: Kernels) => T;

/** The same plan on an engine in float32 and on the reference in float64. */
function pair<T>(engine: Engine, plan: Plan<T>): { tested: T; exact: T } {
  return { tested: build(engine, "f32", plan), exact: build(jsEngine, "f64", plan) };
}

function build<T>(engine: Engine, real: "f32" | "f64", plan: Plan<T>): T {
  const arena = new Arena(real);
  const planned = plan(arena, engine.attach(arena));
  arena.allocate();
  return planned;
}

/** Float32 numbers in (-1, 1), the same for the same seed. */
function fill(data: RealArray, seed: number): void {
  const random = new RandomStream(seed, "contract");
  for (let i = 0; i < data.length; i++) data[i] = Math.fround(2 * random.uniform() - 1);
}

function magnitudes(data: RealArray): void {
  for (let i = 0; i < data.length; i++) data[i] = Math.abs(data[i]!);
}

/** Every element of `tested` within `bound` of `exact`; `bound` is an array or one number. */
function expectClose(tested: ArrayLike<number>, exact: ArrayLike<number>, bound: ArrayLike<number> | number): void {
  let worst = { at: -1, excess: 0 };
  for (let i = 0; i < exact.length; i++) {
    const allowed = typeof bound === "number" ? bound : bound[i]!;
    const excess = Math.abs(tested[i]! - exact[i]!) - allowed;
    if (!(excess <= worst.excess)) worst = { at: i, excess };
  }
  const { at } = worst;
  expect(at, `element ${at}: got ${tested[at]}, expected ${exact[at]}, ${worst.excess} beyond the bound`).toBe(-1);
}

/** Relative bound: `ulps` of float32 around each exact value, at least those of `floor`. */
function around(exact: ArrayLike<number>, ulps: number, floor = 0): Float64Array {
  return Float64Array.from(exact, (x) => ulps * EPSILON * Math.max(Math.abs(x), floor));
}

const SHAPES: readonly (readonly [rows: number, N: number, K: number])[] = [
  [1, 1, 1],
  [3, 5, 7],
  [16, 16, 16],
  [32, 512, 128],
  [260, 300, 37], // beyond one tile of rows and of columns
  ...widths().flatMap((width): [number, number, number][] => [
    [3, width, 5],
    [4, 6, width],
    [width, 9, 4],
  ]),
];

function widths(): number[] {
  return Array.from({ length: 17 }, (_, i) => i + 1);
}

/** A weight (N, K), a gradient (rows, N) and an input (rows, K), with outputs for all products, in the middle of guards. */
function planProducts(
  rows: number,
  N: number,
  K: number,
  listRows?: number,
  uses: Partial<WeightUses> = { lookup: true },
): Plan<Products> {
  return (arena, kernels) => {
    const site: Site = { name: "site", groups: ["a"], rows: rows + 2 * GUARDS, cols: N };
    const w = arena.tensor("w", [N, K], "weights");
    const weight = kernels.planWeight(w, { rows, nt: true, nn: true, ...uses });
    kernels.planTN(rows, N, K);
    const g = arena.tensor("g", [rows + 2 * GUARDS, N], "gateGradients");
    return {
      kernels,
      w,
      weight,
      x: arena.tensor("x", [rows + 2 * GUARDS, K], "activations"),
      g,
      pattern: kernels.planPattern(site, g, listRows),
      statistics: planStatistics(arena, site),
      outN: arena.tensor("outN", [rows + 2 * GUARDS, N], "activations"),
      outK: arena.tensor("outK", [rows + 2 * GUARDS, K], "activations"),
      outNK: arena.tensor("outNK", [N, K], "gradients"),
    };
  };
}

interface Products {
  kernels: Kernels;
  w: Tensor;
  weight: ReturnType<Kernels["planWeight"]>;
  x: Tensor;
  g: Tensor;
  pattern: ReturnType<Kernels["planPattern"]>;
  statistics: ReturnType<typeof planStatistics>;
  outN: Tensor;
  outK: Tensor;
  outNK: Tensor;
}

type ProductName = "gemmNT" | "gemmNN" | "gemmTN";

function runProduct(p: Products, name: ProductName, rows: number): void {
  p.kernels.pack(p.weight);
  multiply(p, name, rows);
}

/** With the weight as it was packed last. */
function multiply(p: Products, name: ProductName, rows: number): void {
  if (name === "gemmNT") p.kernels.gemmNT(p.outN, GUARDS, p.x, GUARDS, p.weight, rows);
  if (name === "gemmNN") p.kernels.gemmNN(p.outK, GUARDS, p.g, GUARDS, p.weight, rows);
  if (name === "gemmTN") p.kernels.gemmTN(p.outNK, p.g, GUARDS, p.x, GUARDS, rows);
}

const outputOf: Record<ProductName, "outN" | "outK" | "outNK"> = { gemmNT: "outN", gemmNN: "outK", gemmTN: "outNK" };

function fillProducts(p: Products, seed: number): void {
  for (const [i, tensor] of [p.w, p.x, p.g, p.outN, p.outK, p.outNK].entries()) fill(tensor.data, seed + i);
}

/** What rounding may do to a product: depth * 2^-23 * (|out| + sum |a b|), by the reference itself. */
function productBound(rows: number, N: number, K: number, p: Products, name: ProductName): Float64Array {
  const sizes = build(jsEngine, "f64", planProducts(rows, N, K));
  for (const key of ["w", "x", "g", "outN", "outK", "outNK"] as const) {
    sizes[key].data.set(p[key].data);
    magnitudes(sizes[key].data);
  }
  runProduct(sizes, name, rows);
  const depth = { gemmNT: K, gemmNN: N, gemmTN: rows }[name] + 1;
  return Float64Array.from(sizes[outputOf[name]].data, (size) => depth * EPSILON * size);
}

/** Rows outside [GUARDS, GUARDS + rows) have the bits they had. */
function expectGuards(out: Tensor, before: RealArray, rows: number): void {
  const width = out.rowLength;
  const end = (GUARDS + rows) * width;
  expect(out.data.subarray(0, GUARDS * width)).toEqual(before.subarray(0, GUARDS * width));
  expect(out.data.subarray(end)).toEqual(before.subarray(end));
}

function rule(kind: DropRule["kind"], tau = 0, groups = 1): DropRule {
  const made = dropRule(groups);
  made.kind = kind;
  made.tau.fill(tau);
  return made;
}

/** Gate gradients with about this share of elements above the threshold TAU. */
const TAU = Math.fround(0.25);

function fillGradients(data: RealArray, density: number | "one", seed: number): void {
  const random = new RandomStream(seed, "gradients");
  for (let i = 0; i < data.length; i++) {
    const large = density !== "one" && random.uniform() < density;
    const size = large ? 0.3 + random.uniform() : 0.2 * random.uniform();
    data[i] = Math.fround(random.uniform() < 0.5 ? size : -size);
  }
  if (density === "one") data[data.length >> 1] = 0.75;
}

describe.each(table(engines))("engine %s", (_, engine) => {
  describe("dense products", () => {
    test.each(SHAPES)("rows %i, N %i, K %i", (rows, N, K) => {
      for (const name of ["gemmNT", "gemmNN", "gemmTN"] as const) {
        const { tested, exact } = pair(engine, planProducts(rows, N, K));
        fillProducts(tested, 1);
        fillProducts(exact, 1);
        const bound = productBound(rows, N, K, exact, name);
        const output = outputOf[name];
        const before = tested[output].data.slice();
        runProduct(tested, name, rows);
        runProduct(exact, name, rows);
        expectClose(tested[output].data, exact[output].data, bound);
        if (name !== "gemmTN") expectGuards(tested[output], before, rows);
      }
    });

    test("take fewer rows than planned, and the same call gives the same bits", () => {
      const [rows, N, K] = [21, 40, 24];
      const { tested, exact } = pair(engine, planProducts(50, N, K));
      for (const name of ["gemmNT", "gemmNN", "gemmTN"] as const) {
        fillProducts(tested, 2);
        fillProducts(exact, 2);
        const bound = productBound(50, N, K, exact, name);
        runProduct(exact, name, rows);
        runProduct(tested, name, rows);
        const first = tested[outputOf[name]].data.slice();
        expectClose(first, exact[outputOf[name]].data, bound);
        fillProducts(tested, 2);
        runProduct(tested, name, rows);
        expect(tested[outputOf[name]].data).toEqual(first);
      }
    });
  });

  test.each([...SHAPES, [100, 130, 70] as const])("rows %i, N %i, K %i: packed anew in some rows", (rows, N, K) => {
    const plan =
      (inTurns: boolean): Plan<Products & { changed: RowSet }> =>
      (arena, kernels) => ({
        ...planProducts(rows, N, K, undefined, { inTurns })(arena, kernels),
        changed: new RowSet(arena, "w", N),
      });
    for (const [step, inTurns] of [
      [1, true],
      [7, true],
      [50, true],
      [7, false],
    ] as const) {
      // biome-ignore format: one case each
      const [some, all] = [build(engine, "f32", plan(inTurns)), build(engine, "f32", plan(true))];
      for (const p of [some, all]) {
        fillProducts(p, 5);
        p.kernels.pack(p.weight);
        for (const name of ["gemmNN", "gemmNT"] as const) multiply(p, name, rows); // whatever is packed late is now
        for (let row = N - 1; row >= 0; row -= step) {
          p.changed.add(row);
          for (let k = 0; k < K; k++) p.w.data[row * K + k] = row + k / 64;
        }
      }
      some.kernels.pack(some.weight, some.changed);
      all.kernels.pack(all.weight);
      for (const p of [some, all]) for (const name of ["gemmNT", "gemmNN"] as const) multiply(p, name, rows);
      expectClose(some.outN.data, all.outN.data, 0);
      expectClose(some.outK.data, all.outK.data, 0);
    }
  });

  describe("sparse products", () => {
    const densities = [0, "one", 0.05, 1] as const;
    test.each(SHAPES.flatMap(([rows, N, K]) => densities.map((density) => [rows, N, K, density] as const)))(
      "rows %i, N %i, K %i, density %s",
      (rows, N, K, density) => {
        const plan = planProducts(rows, N, K);
        const { tested, exact } = pair(engine, plan);
        for (const p of [tested, exact]) {
          fillProducts(p, 3);
          fillGradients(p.g.data, density, 3);
          p.kernels.pack(p.weight);
          p.kernels.compress(p.pattern, GUARDS, rows, rule("threshold", TAU), p.statistics);
        }
        const left = countRows(exact.pattern, GUARDS, rows);
        const boundNN = productBound(rows, N, K, exact, "gemmNN");
        const boundTN = productBound(rows, N, K, exact, "gemmTN");
        // The identity: sparse on the pattern = dense on the pruned buffer, here and in the reference.
        const dense = build(engine, "f32", plan);
        for (const key of ["w", "x", "g", "outK", "outNK"] as const) dense[key].data.set(tested[key].data);
        runProduct(dense, "gemmNN", rows);
        runProduct(dense, "gemmTN", rows);
        runProduct(exact, "gemmNN", rows);
        runProduct(exact, "gemmTN", rows);

        const before = tested.outK.data.slice();
        const macsNN = tested.kernels.spmmNN(tested.outK, GUARDS, tested.pattern, GUARDS, tested.weight, rows);
        const macsTN = tested.kernels.spmmTN(tested.outNK, tested.pattern, GUARDS, tested.x, GUARDS, rows);
        expectGuards(tested.outK, before, rows);
        expectClose(tested.outK.data, exact.outK.data, boundNN);
        expectClose(tested.outNK.data, exact.outNK.data, boundTN);
        expectClose(
          tested.outK.data,
          dense.outK.data,
          Float64Array.from(boundNN, (b) => 2 * b),
        );
        expectClose(
          tested.outNK.data,
          dense.outNK.data,
          Float64Array.from(boundTN, (b) => 2 * b),
        );
        for (const macs of [macsNN, macsTN]) {
          expect(macs).toBeGreaterThanOrEqual(left * K);
          expect(macs).toBeLessThanOrEqual(rows * N * K);
          if (left < 0.2 * rows * N) expect(macs).toBe(left * K);
        }
      },
    );

    test.each(["threshold", "stochastic"] as const)("rule %s: room for the lists of some rows at a time", (kind) => {
      const [rows, N, K, room] = [30 + 2 * GUARDS, 300, 37, 10];
      const made = { ...rule(kind, TAU), key: 77 };
      const [whole, pieces] = [planProducts(30, N, K), planProducts(30, N, K, room)].map((plan) => {
        const p = build(engine, "f32", plan);
        fillProducts(p, 8);
        fillGradients(p.g.data, 0.05, 8);
        p.kernels.pack(p.weight);
        p.outK.data.fill(0);
        return p;
      }) as [Products, Products];
      whole.kernels.compress(whole.pattern, 0, rows, made, whole.statistics);
      whole.kernels.spmmNN(whole.outK, 0, whole.pattern, 0, whole.weight, rows);
      const left = (row: number, count: number) => countRows(whole.pattern, row, count) * K;
      const { pattern, kernels } = pieces;
      const product = (row: number, count: number) => {
        pieces.outK.data.fill(0, row * K, (row + count) * K);
        const executed = kernels.spmmNN(pieces.outK, row, pattern, row, pieces.weight, count);
        const part = (data: ArrayLike<number>) => Array.from(data).slice(row * K, (row + count) * K);
        expectClose(part(pieces.outK.data), part(whole.outK.data), N * EPSILON); // factors are below 1
        return executed;
      };
      for (let row = 20; row >= 0; row -= room) {
        pattern.listFirst = row;
        kernels.compress(pattern, row, room, made, pieces.statistics);
        expect(product(row, room)).toBe(left(row, room));
      }
      // Of rows whose lists have given way, of some with and some without, and where a list is another row's.
      const dense = engine.name === "js" ? left(20, room) : room * N * K;
      expect(product(20, room)).toBe(dense);
      product(5, room);
      pattern.listFirst = 20;
      expect(product(20, room)).toBe(dense);
      // Rows without room are pruned, counted, and not listed.
      kernels.compress(pattern, rows - 4, 4, made, pieces.statistics);
      product(rows - 4, 4);
      expect(pattern.rowCounts.data.slice(rows - 4)).toEqual(whole.pattern.rowCounts.data.slice(rows - 4));
      pattern.listFirst = 0;
      kernels.compress(pattern, 0, room, made, pieces.statistics);
      expect(kernels.spmmTN(pieces.outNK, pattern, 0, pieces.x, 0, room)).toBe(left(0, room));
    });

    test.each([
      ["keep", 1],
      ["keep", 0.1],
      ["threshold", 1],
      ["threshold", 0.1],
    ] as const)("rule %s with nothing to drop, share %f not zero: as the dense products", (kind, share) => {
      const [rows, N, K] = [30, 44, 20];
      const plan = planProducts(rows, N, K);
      const [sparse, dense] = [build(engine, "f32", plan), build(engine, "f32", plan)];
      for (const p of [sparse, dense]) {
        fillProducts(p, 4);
        for (let i = 0; i < p.g.length; i++) if (i % 10 >= 10 * share) p.g.data[i] = 0;
      }
      const bounds = [productBound(rows, N, K, dense, "gemmNN"), productBound(rows, N, K, dense, "gemmTN")] as const;
      sparse.kernels.pack(sparse.weight);
      sparse.kernels.compress(sparse.pattern, GUARDS, rows, rule(kind), sparse.statistics);
      sparse.kernels.spmmNN(sparse.outK, GUARDS, sparse.pattern, GUARDS, sparse.weight, rows);
      sparse.kernels.spmmTN(sparse.outNK, sparse.pattern, GUARDS, sparse.x, GUARDS, rows);
      runProduct(dense, "gemmNN", rows);
      runProduct(dense, "gemmTN", rows);
      expectClose(sparse.outK.data, dense.outK.data, bounds[0]);
      expectClose(sparse.outNK.data, dense.outNK.data, bounds[1]);
    });

    test("work on lists made block by block, as the time loop makes them", () => {
      const [T, B, N, K] = [7, 5, 36, 12];
      const plan = planProducts(T * B, N, K);
      const { tested, exact } = pair(engine, plan);
      for (const p of [tested, exact]) {
        fillProducts(p, 5);
        fillGradients(p.g.data, 0.3, 5);
        p.kernels.pack(p.weight);
        for (let t = T - 1; t >= 0; t--) p.kernels.compress(p.pattern, t * B, B, rule("threshold", TAU), p.statistics);
      }
      tested.kernels.spmmTN(tested.outNK, tested.pattern, 0, tested.x, 0, T * B);
      exact.kernels.gemmTN(exact.outNK, exact.g, 0, exact.x, 0, T * B);
      expectClose(tested.outNK.data, exact.outNK.data, 1e-5);
    });
  });

  describe("compress", () => {
    const GROUPS = ["i", "f", "g", "o"];
    const sizes = [...widths(), 32, 33, 70, 128];

    function planSite(rows: number, width: number, room = rows): Plan<Planned> {
      return (arena, kernels) => {
        const site: Site = { name: "site", groups: GROUPS, rows, cols: GROUPS.length * width };
        const dense = arena.tensor("g", [room, site.cols], "gateGradients");
        return { kernels, pattern: kernels.planPattern(site, dense), statistics: planStatistics(arena, site) };
      };
    }
    interface Planned {
      kernels: Kernels;
      pattern: ReturnType<Kernels["planPattern"]>;
      statistics: ReturnType<typeof planStatistics>;
    }

    /** Every kind, and every variant of it. */
    const made = (kind: DropRule["kind"], settings: Partial<DropRule>, tau = 0, share = 0): (() => DropRule) => {
      return () => {
        const it = Object.assign(rule(kind, tau, 4), { key: 12345 }, settings);
        it.share.fill(share);
        return it;
      };
    };
    const perGroup = (kind: DropRule["kind"]) => () => {
      const it = made(kind, {})();
      it.tau.set([0.1, 0.25, 0, 0.9]);
      it.share.set([0.1, 0.25, 0, 0.9]);
      return it;
    };
    const rules: Record<string, () => DropRule> = {
      keep: made("keep", {}),
      threshold: perGroup("threshold"),
      stochastic: perGroup("stochastic"),
      random: perGroup("random"),
      topk: perGroup("topk"),
      "topk, pooled": made("topk", { pooled: true }, 0, 0.2),
      "topk, unified": made("topk", { unified: true }, 0, 0.2),
      columns: perGroup("columns"),
      "columns, pooled": made("columns", { pooled: true }, 0, 0.3),
      "columns, unbiased": made("columns", { unbiased: true }, 0, 0.3),
      rows: made("rows", {}, 0, 0.3),
      "rows, unbiased": made("rows", { unbiased: true }, 0, 0.3),
      block: made("block", { size: 4 }, 0.6),
      custom: made("custom", {
        apply: (g, row, rows, cols) => {
          for (let i = row * cols; i < (row + rows) * cols; i++) if (i % 3 === 0) g[i] = 0;
        },
      }),
    };

    test.each(Object.keys(rules).flatMap((kind) => sizes.map((width) => [kind, width] as const)))(
      "rule %s, 4 groups of %i columns: same gradients, pattern and statistics as js",
      (kind, width) => {
        const rows = 19;
        const plan = planSite(rows, width);
        const tested = build(engine, "f32", plan);
        const reference = build(jsEngine, "f32", plan);
        for (const p of [tested, reference]) {
          fill(p.pattern.dense.data, 6);
          for (let i = 0; i < p.pattern.dense.length; i++) {
            if (i % 11 === 0) p.pattern.dense.data[i] = i % 2 ? 0 : -0;
            if (i % 7 === 3) p.pattern.dense.data[i] = Math.fround(i % 2 ? 0.1 : -0.25); // exactly at a tau
          }
          p.kernels.compress(p.pattern, 3, 13, (rules[kind] as () => DropRule)(), p.statistics);
          p.kernels.compress(p.pattern, 0, 3, (rules[kind] as () => DropRule)(), p.statistics);
        }
        expectClose(tested.pattern.dense.data, reference.pattern.dense.data, 0);
        expect(tested.pattern.bitmap.data).toEqual(reference.pattern.bitmap.data);
        expect(tested.pattern.rowCounts.data).toEqual(reference.pattern.rowCounts.data);
        expect(tested.statistics.histogram.data).toEqual(reference.statistics.histogram.data);
        for (let group = 0; group < 4; group++) {
          const got = (column: number) => tested.statistics.sums.data[group * SUM_COLUMNS + column]!;
          const wanted = (column: number) => reference.statistics.sums.data[group * SUM_COLUMNS + column]!;
          for (const count of [TOTAL, NATURAL_ZEROS, KEPT]) expect(got(count)).toBe(wanted(count));
          for (const squares of [SQUARES, KEPT_SQUARES])
            expect(Math.abs(got(squares) - wanted(squares))).toBeLessThanOrEqual(1e-5 * wanted(squares));
        }
      },
    );

    test.each(Object.keys(rules))("rule %s on a part of the site's rows is the rule on those rows of all", (kind) => {
      const [first, room, width] = [11, 10, 9];
      const whole = build(engine, "f32", planSite(40, width));
      const part = build(engine, "f32", planSite(40, width, room));
      fill(whole.pattern.dense.data, 9);
      const cols = 4 * width;
      part.pattern.dense.data.set(whole.pattern.dense.data.subarray(first * cols, (first + room) * cols));
      part.pattern.firstRow = first;
      const it = (rules[kind] as () => DropRule)();
      // A custom rule sees the buffer alone.
      if (kind === "custom") it.apply = (g, row, rows) => g.fill(0, row * cols + 3, (row + rows) * cols - 1);
      whole.kernels.compress(whole.pattern, first + 4, 6, it, whole.statistics);
      whole.kernels.compress(whole.pattern, first, 4, it, whole.statistics);
      part.kernels.compress(part.pattern, 4, 6, it, part.statistics);
      part.kernels.compress(part.pattern, 0, 4, it, part.statistics);
      const rowsOf = (tensor: { data: RealArray | Int32Array | Uint32Array; rowLength: number }) =>
        tensor.data.slice(first * tensor.rowLength, (first + room) * tensor.rowLength);
      expectClose(part.pattern.dense.data, rowsOf(whole.pattern.dense) as RealArray, 0);
      expect(part.pattern.bitmap.data).toEqual(rowsOf(whole.pattern.bitmap));
      expect(part.pattern.rowCounts.data).toEqual(rowsOf(whole.pattern.rowCounts));
      expect(part.statistics.histogram.data).toEqual(whole.statistics.histogram.data);
      expect(part.statistics.sums.data).toEqual(whole.statistics.sums.data);
    });

    test.each(["threshold", "stochastic", "topk", "rows", "block"])(
      "what rule %s dropped is added the next time",
      (kind) => {
        const [first, rows, width] = [11, 6, 9];
        const cols = 4 * width;
        const plan: Plan<Planned & { rule: DropRule }> = (arena, kernels) => {
          const planned = planSite(20, width, rows)(arena, kernels);
          const residue = arena.tensor("residue", [20, cols], "states");
          return { ...planned, rule: Object.assign((rules[kind] as () => DropRule)(), { residue, decay: 0.5 }) };
        };
        const [tested, reference] = [build(engine, "f32", plan), build(jsEngine, "f32", plan)];
        let dropped = new Float32Array(rows * cols);
        for (let pass = 0; pass < 3; pass++) {
          for (const { kernels, pattern, statistics, rule: it } of [tested, reference]) {
            pattern.firstRow = first;
            fill(pattern.dense.data, 30 + pass);
            kernels.compress(pattern, 2, 4, it, statistics);
            kernels.compress(pattern, 0, 2, it, statistics);
          }
          expect(tested.pattern.dense.data).toEqual(reference.pattern.dense.data);
          expect(tested.pattern.bitmap.data).toEqual(reference.pattern.bitmap.data);
          const residue = tested.rule.residue!.data;
          expect(residue).toEqual(reference.rule.residue!.data);
          expect(residue.filter((x: number) => x !== 0).length).toBeGreaterThan(10);
          expect(residue.subarray(0, first * cols).every((x: number) => x === 0)).toBe(true);
          expect(residue.subarray((first + rows) * cols).every((x: number) => x === 0)).toBe(true);

          const [before, after] = [new Float32Array(rows * cols), tested.pattern.dense.data];
          fill(before, 30 + pass);
          const sums = before.map((x, i) => x + 0.5 * dropped[i]!);
          dropped = sums.map((x, i) => (after[i] === 0 ? x : 0));
          expect(residue.subarray(first * cols, (first + rows) * cols)).toEqual(dropped);
          if (kind === "topk") expect(after).toEqual(sums.map((x, i) => (after[i] === 0 ? 0 : x)));
        }
        const seen = tested.pattern.dense.data.slice();
        tested.rule.kind = "keep"; // leaves the residue alone
        tested.kernels.compress(tested.pattern, 0, rows, tested.rule, tested.statistics);
        expect(tested.pattern.dense.data).toEqual(seen);
        expect(tested.rule.residue!.data.subarray(first * cols, (first + rows) * cols)).toEqual(dropped);
      },
    );

    test("rule block counts the root mean squares of its blocks, on sampled rows", () => {
      const plan: Plan<Planned & { blocks: ReturnType<Arena["ints"]> }> = (arena, kernels) => ({
        ...planSite(20, 10)(arena, kernels),
        blocks: arena.ints("blocks", [4, HISTOGRAM_BINS], "statistics"),
      });
      const p = build(engine, "f32", plan);
      fill(p.pattern.dense.data, 8);
      const it = Object.assign(rule("block", 1e30, 4), { size: 4, blocks: p.blocks });
      const blocks = [0, 1, 2, 3].flatMap(
        (group) =>
        [0, 4, 8].map((c) => [...p.pattern.dense.data.subarray(8 * 40 + group * 10 + c, 8 * 40 + group * 10 + Math.min(c + 4, 10))]), // biome-ignore format: one block, one line
      );
      p.kernels.compress(p.pattern, 6, 5, it, p.statistics); // of 6..10 only row 8
      const expected = new Int32Array(4 * HISTOGRAM_BINS);
      for (const [i, block] of blocks.entries()) {
        const norm = Math.sqrt(block.reduce((sum, x) => sum + x * x, 0) / block.length);
        expected[Math.floor(i / 3) * HISTOGRAM_BINS + binOf(norm)]!++;
      }
      expect(p.blocks.data).toEqual(expected);
      expect(p.pattern.dense.data.subarray(6 * 40, 11 * 40).every((x: number) => x === 0)).toBe(true);
    });

    test.each(Object.keys(rules).filter((name) => name !== "custom"))("NaN and infinities pass rule %s", (name) => {
      const p = build(engine, "f32", planSite(2, 9));
      const data = p.pattern.dense.data;
      data.fill(0.5);
      const it = (rules[name] as () => DropRule)();
      it.tau.fill(1e30);
      const odd = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
      for (const [i, at] of [2, 17, 35, 36, 53, 71].entries()) data[at] = odd[i % 3]!;
      const before = data.slice();
      p.kernels.compress(p.pattern, 0, 2, it, p.statistics);
      for (let i = 0; i < data.length; i++) if (!Number.isFinite(before[i]!)) expect(data[i]).toBe(before[i]);
      for (const at of [2, 17, 35]) expect(p.pattern.bitmap.data[at >> 5]! & (1 << (at & 31))).not.toBe(0);
    });

    test("threshold drops what is exactly at tau, rounded to float32", () => {
      const p = build(engine, "f32", planSite(1, 2));
      const tau = Math.fround(0.1);
      p.pattern.dense.data.set([tau, -tau, Math.fround(tau + 2 ** -27), 0, 1, -1, tau, 2]);
      p.kernels.compress(p.pattern, 0, 1, rule("threshold", 0.1, 4), p.statistics);
      expect([...p.pattern.dense.data]).toEqual([0, 0, Math.fround(tau + 2 ** -27), 0, 1, -1, 0, 2]);
      expect(p.pattern.rowCounts.data[0]).toBe(4);
    });

    test("the stochastic rule leaves the expectation alone", () => {
      const p = build(engine, "f32", planSite(1, 8));
      const values = Float32Array.from({ length: 32 }, (_, i) => (i - 16) / 20);
      const made = rule("stochastic", 0.7, 4);
      const draws = 4000;
      const sums = new Float64Array(32);
      for (made.key = 0; made.key < draws; made.key++) {
        p.pattern.dense.data.set(values);
        p.kernels.compress(p.pattern, 0, 1, made, p.statistics);
        for (let i = 0; i < 32; i++) sums[i]! += p.pattern.dense.data[i]!;
      }
      for (let i = 0; i < 32; i++) {
        const [value, size] = [values[i]!, Math.abs(values[i]!)];
        const deviation = size < 0.7 ? Math.sqrt((size * (0.7 - size)) / draws) : 0;
        expect(Math.abs(sums[i]! / draws - value)).toBeLessThanOrEqual(4.5 * deviation + 1e-6);
      }
    });

    test("the histogram samples rows by their number in the site", () => {
      const p = build(engine, "f32", planSite(20, 3));
      fill(p.pattern.dense.data, 8);
      p.kernels.compress(p.pattern, 6, 5, rule("keep", 0, 4), p.statistics); // of 6..10 only row 8
      const counts = p.statistics.histogram.data;
      for (let group = 0; group < 4; group++)
        expect(counts.subarray(group * HISTOGRAM_BINS, (group + 1) * HISTOGRAM_BINS).reduce((a, b) => a + b)).toBe(3);
    });
  });

  describe("rows", () => {
    test.each([...widths(), 65, 512])("width %i: bias, sums, look-ups, dropout", (width) => {
      const rows = 9;
      const V = 6;
      const plan: Plan<Rows> = (arena, kernels) => {
        const table = arena.tensor("table", [V, width], "weights");
        const w = arena.tensor("w", [width, V], "weights");
        return {
          kernels,
          table,
          w,
          weight: kernels.planWeight(w, { rows, lookup: true }),
          bias: arena.tensor("bias", [width], "weights"),
          bias2: arena.tensor("bias2", [width], "weights"),
          index: arena.ints("index", [rows + 1], "batch"),
          a: arena.tensor("a", [rows + GUARDS, width], "activations"),
          out: arena.tensor("out", [rows + 2 * GUARDS, width], "activations"),
          columns: arena.tensor("columns", [width], "workspace"),
        };
      };
      interface Rows {
        kernels: Kernels;
        table: Tensor;
        w: Tensor;
        weight: ReturnType<Kernels["planWeight"]>;
        bias: Tensor;
        bias2: Tensor;
        index: ReturnType<Arena["ints"]>;
        a: Tensor;
        out: Tensor;
        columns: Tensor;
      }
      /** What is called, and the tensor it changes. */
      const operations: Record<string, [(p: Rows) => void, "out" | "columns" | "w" | "table"]> = {
        setBias: [(p) => p.kernels.setBias(p.out, GUARDS, rows, p.bias), "out"],
        setTwoBiases: [(p) => p.kernels.setBias(p.out, GUARDS, rows, p.bias, p.bias2), "out"],
        addRows: [(p) => p.kernels.addRows(p.out, GUARDS, p.a, 1, rows), "out"],
        sumRows: [(p) => p.kernels.sumRows(p.columns, p.a, 1, rows), "columns"],
        lookup: [(p) => p.kernels.lookup(p.out, GUARDS, p.index, 1, p.weight, rows), "out"],
        lookupGradient: [(p) => p.kernels.lookupGradient(p.w, p.index, 1, p.a, 1, p.weight, rows), "w"],
        gather: [(p) => p.kernels.gather(p.out, GUARDS, p.table, p.index, 1, rows), "out"],
        scatterAdd: [(p) => p.kernels.scatterAdd(p.table, p.index, 1, p.a, 1, rows), "table"],
        dropout: [(p) => p.kernels.dropout(p.out, GUARDS, p.a, 1, rows, 0.3, 77), "out"],
      };
      for (const [name, [run, changed]] of Object.entries(operations)) {
        const { tested, exact } = pair(engine, plan);
        for (const p of [tested, exact]) {
          for (const [i, tensor] of [p.table, p.w, p.bias, p.bias2, p.a, p.out, p.columns].entries())
            fill(tensor.data, 20 + i);
          p.index.data.set([5, 0, 3, 3, 1, 0, 5, 2, 3, 5]);
          p.kernels.pack(p.weight);
        }
        const before = tested.out.data.slice();
        const expectSame = () => {
          run(exact);
          run(tested);
          expectClose(tested[changed].data, exact[changed].data, around(exact[changed].data, 12, 1));
        };
        expectSame();
        expectGuards(tested.out, before, rows);
        if (name === "lookupGradient") expectSame(); // scratch of the first call must be clean for the second
      }
    });

    test("dropout draws the same mask in every engine, and works in place", () => {
      const plan: Plan<{ kernels: Kernels; a: Tensor }> = (arena, kernels) => ({
        kernels,
        a: arena.tensor("a", [40, 13], "activations"),
      });
      const [tested, reference] = [build(engine, "f32", plan), build(jsEngine, "f32", plan)];
      for (const { kernels, a } of [tested, reference]) {
        fill(a.data, 9);
        kernels.dropout(a, 0, a, 0, 40, 0.5, 3);
      }
      expect(tested.a.data).toEqual(reference.a.data);
      const zeros = tested.a.data.filter((x) => x === 0).length;
      expect(zeros).toBeGreaterThan(0.4 * 520);
      expect(zeros).toBeLessThan(0.6 * 520);
    });
  });

  describe("losses", () => {
    const planLoss =
      (rows: number, V: number): Plan<Loss> =>
      (arena, kernels) => ({
        kernels,
        logits: arena.tensor("logits", [rows + 1, V], "workspace"),
        targets: arena.ints("targets", [rows + 2], "batch"),
        values: arena.tensor("values", [rows + 2, V], "batch"),
      });
    interface Loss {
      kernels: Kernels;
      logits: Tensor;
      targets: ReturnType<Arena["ints"]>;
      values: Tensor;
    }

    test.each([...widths(), 65, 1000])("softmax cross-entropy over %i classes", (V) => {
      const rows = 7;
      for (const scale of [0, 1 / 50]) {
        const { tested, exact } = pair(engine, planLoss(rows, V));
        for (const p of [tested, exact]) {
          fill(p.logits.data, 10);
          for (let i = 0; i < p.logits.length; i++) p.logits.data[i] = Math.fround(p.logits.data[i]! * 12);
          for (let r = 0; r < rows + 2; r++) p.targets.data[r] = (r * 5) % V;
        }
        const before = tested.logits.data.slice();
        const [loss, wanted] = [tested, exact].map((p) =>
          p.kernels.softmaxCrossEntropy(p.logits, p.targets, 2, rows, scale),
        ) as [number, number];
        expect(Math.abs(loss - wanted)).toBeLessThanOrEqual(4e-6 * Math.max(1, wanted));
        if (scale === 0) expect(tested.logits.data).toEqual(before);
        else expectClose(tested.logits.data, exact.logits.data, around(exact.logits.data, 40));
        expect(tested.logits.data.subarray(rows * V)).toEqual(before.subarray(rows * V));
      }
    });

    test.each([5, 1000])("a row with target -1 has no loss and no gradient, %i classes", (V) => {
      for (const scale of [0, 1 / 50]) {
        const { tested, exact } = pair(engine, planLoss(9, V));
        for (const p of [tested, exact]) {
          fill(p.logits.data, 10);
          p.targets.data.fill(3);
          for (const row of [0, 4, 8]) p.targets.data[row] = -1;
        }
        const before = tested.logits.data.slice();
        const [loss, wanted] = [tested, exact].map((p) =>
          p.kernels.softmaxCrossEntropy(p.logits, p.targets, 0, 9, scale),
        ) as [number, number];
        expect(Math.abs(loss - wanted)).toBeLessThanOrEqual(4e-6 * wanted);
        if (scale === 0) expect(tested.logits.data).toEqual(before);
        else expectClose(tested.logits.data, exact.logits.data, around(exact.logits.data, 40));
        for (const row of scale === 0 ? [] : [0, 4, 8])
          expect(tested.logits.data.subarray(row * V, (row + 1) * V).every((g: number) => g === 0)).toBe(true);
      }
    });

    test("where the net is right, p - 1 at the target keeps its digits", () => {
      const { tested, exact } = pair(engine, planLoss(1, 5));
      for (const p of [tested, exact]) {
        p.logits.data.set([1, 14, -2, 0.5, 1.5]);
        p.targets.data.fill(1);
        p.kernels.softmaxCrossEntropy(p.logits, p.targets, 0, 1, 1);
      }
      expectClose(tested.logits.data, exact.logits.data, around(exact.logits.data, 40));
      expect(tested.logits.data[1]).not.toBe(0);
    });

    test.each([Number.NaN, Number.POSITIVE_INFINITY])(
      "a logit of %f makes the loss non-finite, wherever it stands",
      (bad) => {
        for (let at = 0; at < 11; at++) {
          const p = build(engine, "f32", planLoss(1, 11));
          fill(p.logits.data, 11);
          p.logits.data[at] = bad;
          expect(Number.isFinite(p.kernels.softmaxCrossEntropy(p.logits, p.targets, 0, 1, 0))).toBe(false);
        }
      },
    );

    test("an impossible class costs nothing, unless it is the target", () => {
      const p = build(engine, "f32", planLoss(1, 6));
      p.logits.data.set([0, 0, 0, Number.NEGATIVE_INFINITY, 0, 0]);
      expect(p.kernels.softmaxCrossEntropy(p.logits, p.targets, 0, 1, 0)).toBeCloseTo(Math.log(5), 6);
      p.targets.data[0] = 3;
      expect(p.kernels.softmaxCrossEntropy(p.logits, p.targets, 0, 1, 0)).toBe(Number.POSITIVE_INFINITY);
    });

    test.each(widths())("squared error, width %i", (width) => {
      for (const scale of [0, 0.125]) {
        const { tested, exact } = pair(engine, planLoss(3, width));
        for (const p of [tested, exact]) {
          fill(p.logits.data, 12);
          fill(p.values.data, 13);
        }
        const [got, wanted] = [tested, exact].map((p) => p.kernels.squaredError(p.logits, p.values, 2, 3, scale)) as [
          number,
          number,
        ];
        expect(Math.abs(got - wanted)).toBeLessThanOrEqual(1e-6 * wanted);
        expectClose(tested.logits.data, exact.logits.data, around(exact.logits.data, 2, 1));
      }
    });
  });

  describe("updates", () => {
    const settings: UpdateSettings = {
      learningRate: 0.02,
      gradientScale: 0.5,
      step: 0,
      weightDecay: 0.01,
      momentum: 0.9,
      beta1: 0.9,
      beta2: 0.999,
      epsilon: 1e-8,
      alpha: 0.99,
    };
    interface Update {
      kernels: Kernels;
      value: Tensor;
      gradient: Tensor;
      m: Tensor;
      v: Tensor;
    }
    const updates: Record<string, (p: Update, s: UpdateSettings) => void> = {
      sgd: (p, s) => p.kernels.sgd(p.value, p.gradient, undefined, s),
      momentum: (p, s) => p.kernels.sgd(p.value, p.gradient, p.m, s),
      rmsprop: (p, s) => p.kernels.rmsprop(p.value, p.gradient, p.v, s),
      adam: (p, s) => p.kernels.adam(p.value, p.gradient, p.m, p.v, s, false),
      adamw: (p, s) => p.kernels.adam(p.value, p.gradient, p.m, p.v, s, true),
    };

    test.each(Object.keys(updates))("%s, three updates of 1 to 17 and of 1,000 values", (name) => {
      for (const length of [...widths(), 1000]) {
        const { tested, exact } = pair(
          engine,
          (arena, kernels): Update => ({
            kernels,
            value: arena.tensor("value", [length], "weights"),
            gradient: arena.tensor("gradient", [length], "gradients"),
            m: arena.tensor("m", [length], "optimizer"),
            v: arena.tensor("v", [length], "optimizer"),
          }),
        );
        for (const p of [tested, exact]) {
          fill(p.value.data, 14);
          for (let step = 1; step <= 3; step++) {
            fill(p.gradient.data, 14 + step);
            (updates[name] as (typeof updates)[string])(p, { ...settings, step });
          }
        }
        for (const key of ["value", "m", "v"] as const)
          expectClose(tested[key].data, exact[key].data, around(exact[key].data, 12, 0.05));
      }
    });

    /** A matrix of V rows with state, and a set of some of its rows. */
    function planMatrix(V: number, width: number): Plan<Update & { rows: RowSet }> {
      return (arena, kernels) => ({
        kernels,
        value: arena.tensor("value", [V, width], "weights"),
        gradient: arena.tensor("gradient", [V, width], "gradients"),
        m: arena.tensor("m", [V, width], "optimizer"),
        v: arena.tensor("v", [V, width], "optimizer"),
        rows: new RowSet(arena, "value", V),
      });
    }

    const withRows: Record<string, (p: Update, s: UpdateSettings, rows?: RowSet) => void> = {
      sgd: (p, s, rows) => p.kernels.sgd(p.value, p.gradient, undefined, s, rows),
      momentum: (p, s, rows) => p.kernels.sgd(p.value, p.gradient, p.m, s, rows),
      rmsprop: (p, s, rows) => p.kernels.rmsprop(p.value, p.gradient, p.v, s, rows),
      adam: (p, s, rows) => p.kernels.adam(p.value, p.gradient, p.m, p.v, s, false, rows),
      adamw: (p, s, rows) => p.kernels.adam(p.value, p.gradient, p.m, p.v, s, true, rows),
      clear: (p, _, rows) => p.kernels.clear(p.gradient, rows),
    };
    const parts = ["value", "gradient", "m", "v"] as const;

    test.each(Object.keys(withRows))(
      "%s of some rows: bit for bit as of all of them, and no other row moves",
      (name) => {
        // The last two are work enough for more than one thread.
        for (const [V, width] of [...widths().map((width) => [11, width] as const), [70, 650], [3, 30_001]] as const) {
          for (const listed of [[], [0], [V - 1, 1, 2], [...Array(V).keys()]]) {
            const [some, all] = [
              build(engine, "f32", planMatrix(V, width)),
              build(engine, "f32", planMatrix(V, width)),
            ];
            for (const p of [some, all]) for (const [i, part] of parts.entries()) fill(p[part].data, 40 + i);
            for (const p of [some, all]) magnitudes(p.v.data);
            const before = parts.map((part) => some[part].data.slice());
            for (const row of listed) some.rows.add(row);
            (withRows[name] as (typeof withRows)[string])(some, { ...settings, step: 2 }, some.rows);
            (withRows[name] as (typeof withRows)[string])(all, { ...settings, step: 2 });
            for (const [i, part] of parts.entries()) {
              const wanted = before[i] as RealArray;
              for (const row of listed)
                wanted.set(all[part].data.subarray(row * width, (row + 1) * width) as Float32Array, row * width);
              expectClose(some[part].data, wanted, 0);
            }
          }
        }
      },
    );

    test.each(Object.keys(withRows))("%s of a set of all rows is that of all", (name) => {
      const [whole, set] = [build(engine, "f32", planMatrix(5, 7)), build(engine, "f32", planMatrix(5, 7))];
      for (const p of [whole, set]) for (const [i, part] of parts.entries()) fill(p[part].data, 40 + i);
      for (const p of [whole, set]) magnitudes(p.v.data);
      set.rows.addAll();
      (withRows[name] as (typeof withRows)[string])(set, { ...settings, step: 2 }, set.rows);
      (withRows[name] as (typeof withRows)[string])(whole, { ...settings, step: 2 });
      for (const part of parts) expectClose(set[part].data, whole[part].data, 0);
    });

    test("sum of squares by rows: rows of zeros change no bit, in the set or not", () => {
      for (const [V, width] of [...widths().map((width) => [11, width] as const), [900, 200], [3, 30_001]] as const) {
        const p = build(engine, "f32", planMatrix(V, width));
        const exact = build(jsEngine, "f64", planMatrix(V, width));
        for (const { gradient } of [p, exact]) {
          fill(gradient.data, 50);
          for (let row = 0; row < V; row++) if (row % 3 !== 1) gradient.data.fill(0, row * width, (row + 1) * width);
        }
        for (let row = 1; row < V; row += 3) p.rows.add(row);
        const some = p.kernels.sumSquares(p.gradient, p.rows);
        p.rows.add(0);
        const more = p.kernels.sumSquares(p.gradient, p.rows);
        p.rows.addAll();
        const all = p.kernels.sumSquares(p.gradient, p.rows);
        expect([more, all]).toEqual([some, some]);
        const wanted = exact.kernels.sumSquares(exact.gradient);
        expect(Math.abs(some - wanted)).toBeLessThanOrEqual(1e-9 * wanted);
        p.gradient.data[width] = Number.NaN; // in row 1
        expect(p.kernels.sumSquares(p.gradient, p.rows)).toBeNaN();
        p.rows.clear();
        expect(p.kernels.sumSquares(p.gradient, p.rows)).toBe(0);
      }
    });

    test("clear zeroes a tensor, and nothing behind it", () => {
      for (const length of [...widths(), 1000, 200_001]) {
        const { x, next, kernels } = build(engine, "f32", (arena, kernels) => ({
          kernels,
          x: arena.tensor("x", [length], "gradients"),
          next: arena.tensor("next", [1], "gradients"),
        }));
        fill(x.data, 51);
        next.data[0] = 1;
        kernels.clear(x);
        expect(x.data.every((value: number) => value === 0)).toBe(true);
        expect(next.data[0]).toBe(1);
      }
    });

    test("a flat range is one tensor: padding stays zero", () => {
      const { arena, kernels } = build(engine, "f32", (arena, kernels) => {
        for (const purpose of ["weights", "gradients", "optimizer"] as const) {
          arena.tensor(`${purpose}.a`, [5], purpose);
          arena.tensor(`${purpose}.b`, [21], purpose);
        }
        return { arena, kernels };
      });
      for (const tensor of arena.tensors as unknown as Tensor[])
        if (tensor.purpose !== "optimizer") fill(tensor.data, 15);
      const range = arena.range("weights");
      kernels.sgd(range, arena.range("gradients"), arena.range("optimizer"), { ...settings, step: 1 });
      const nonzeros = (data: RealArray) => data.length - [...data].filter((x) => x === 0).length;
      expect(nonzeros(range.data)).toBe(5 + 21);
    });

    test("sum of squares, in float64", () => {
      for (const length of [...widths(), 1000]) {
        const { tested, exact } = pair(engine, (arena, kernels) => ({
          kernels,
          x: arena.tensor("x", [length], "gradients"),
        }));
        for (const p of [tested, exact]) {
          fill(p.x.data, 16);
          p.x.data[0] = Math.fround(1e-30); // its square is no float32
        }
        const wanted = exact.kernels.sumSquares(exact.x);
        expect(Math.abs(tested.kernels.sumSquares(tested.x) - wanted)).toBeLessThanOrEqual(1e-9 * wanted);
        tested.x.data[length - 1] = Number.NaN;
        expect(tested.kernels.sumSquares(tested.x)).toBeNaN();
      }
    });
  });

  test("two arenas at once do not disturb each other", () => {
    const plan = planProducts(4, 20, 12);
    const [first, second] = [build(engine, "f32", plan), build(engine, "f32", plan)];
    fillProducts(first, 17);
    runProduct(first, "gemmNT", 4);
    const before = first.outN.data.slice();
    fillProducts(second, 18);
    runProduct(second, "gemmNT", 4);
    expect(first.outN.data).toEqual(before);
    fillProducts(second, 17);
    runProduct(second, "gemmNT", 4);
    expect(second.outN.data).toEqual(before);
  });

  if (engine !== jsEngine)
    test("refuses a float64 arena", () => {
      expect(() => engine.attach(new Arena("f64"))).toThrow(/engine js/);
    });
});

/** Cells an engine brings itself; a cell it lacks runs its own reference. */
const lstmEngines = engines.filter((engine) => engine.attach(new Arena("f32")).cells.lstm);

describe.each(table(lstmEngines))("engine %s, LSTM", (_, engine) => {
  function planCell(rows: number, hidden: number): Plan<{ kernels: Kernels; step: CellStep }> {
    return (arena, kernels) => ({
      kernels,
      step: {
        row: rows,
        hRow: 3 * rows, // h reaches further back than the other buffers
        stateRow: rows,
        rows,
        hidden,
        gates: arena.tensor("gates", [3 * rows, 4 * hidden], "gateGradients"),
        hiddenGates: undefined,
        h: arena.tensor("h", [6 * rows, hidden], "activations"),
        states: [arena.tensor("c", [4 * rows, hidden], "activations")],
        keeps: [arena.tensor("tanhC", [3 * rows, hidden], "activations")],
        dh: arena.tensor("dh", [rows, hidden], "workspace"),
        dStates: [arena.tensor("dc", [rows, hidden], "workspace")],
      },
    });
  }

  /** Activations of every x by all four gates: [i, f, g, o] of one row each. */
  function activations(x: Float32Array): { sigmoid: Float32Array; tanh: Float32Array; tanhC: Float32Array } {
    const H = x.length;
    const { kernels, step } = build(engine, "f32", planCell(1, H));
    const gates = step.gates.data as Float32Array;
    for (const gate of [0, 1, 2, 3]) gates.set(x, 4 * H + gate * H);
    kernels.cells.lstm!.forward(step);
    return {
      sigmoid: gates.slice(4 * H, 5 * H),
      tanh: gates.slice(6 * H, 7 * H),
      tanhC: step.keeps[0]!.data.slice(H, 2 * H) as Float32Array,
    };
  }

  /** Distance in units of the last place of float32 at the exact value. */
  function ulps(got: number, exact: number): number {
    const exponent = Math.max(Math.floor(Math.log2(Math.abs(exact))), -126);
    return Math.abs(got - exact) / 2 ** (exponent - 23);
  }

  const dense = Float32Array.from({ length: 60001 }, (_, i) => -30 + i / 1000);
  const logarithmic = Float32Array.from({ length: 4000 }, (_, i) => (i % 2 ? 1 : -1) * 2 ** (-60 + i / 60.3));
  const sigmoidOf = (x: number) => (x < 0 ? Math.exp(x) / (1 + Math.exp(x)) : 1 / (1 + Math.exp(-x)));

  test("sigmoid and tanh: 1 ulp beyond 5, 3 and 2 ulp everywhere", () => {
    for (const x of [dense, logarithmic]) {
      const got = activations(x);
      const worst = { sigmoid: 0, tanh: 0, sigmoidFar: 0, tanhFar: 0 };
      for (let i = 0; i < x.length; i++) {
        const errors = { sigmoid: ulps(got.sigmoid[i]!, sigmoidOf(x[i]!)), tanh: ulps(got.tanh[i]!, Math.tanh(x[i]!)) };
        worst.sigmoid = Math.max(worst.sigmoid, errors.sigmoid);
        worst.tanh = Math.max(worst.tanh, errors.tanh);
        if (x[i]! > 5) worst.sigmoidFar = Math.max(worst.sigmoidFar, errors.sigmoid);
        if (Math.abs(x[i]!) > 5) worst.tanhFar = Math.max(worst.tanhFar, errors.tanh);
      }
      expect(worst.sigmoidFar).toBeLessThanOrEqual(1);
      expect(worst.tanhFar).toBeLessThanOrEqual(1);
      expect(worst.sigmoid).toBeLessThanOrEqual(3);
      expect(worst.tanh).toBeLessThanOrEqual(2);
    }
  });

  test("1 - y is what float32 can hold of it", () => {
    const got = activations(dense);
    for (let i = 0; i < dense.length; i++) {
      const x = dense[i]!;
      if (x < 5) continue;
      expect(Math.abs(1 - got.tanh[i]! - (1 - Math.tanh(x)))).toBeLessThanOrEqual(2 ** -24);
      expect(Math.abs(1 - got.sigmoid[i]! - (1 - sigmoidOf(x)))).toBeLessThanOrEqual(2 ** -24);
    }
  });

  test("saturates where float32 does", () => {
    const x = Float32Array.from([9.0, 9.02, -9.0, -9.02, 17.3, 17.35, 100, -87, -110, Infinity, -Infinity, NaN]);
    const { sigmoid, tanh, tanhC } = activations(x);
    expect(tanh[0]).toBeLessThan(1);
    expect(tanh[1]).toBe(1);
    expect(tanh[2]).toBeGreaterThan(-1);
    expect(tanh[3]).toBe(-1);
    expect(sigmoid[4]).toBeLessThan(1);
    expect(sigmoid[5]).toBe(1);
    expect(sigmoid[6]).toBe(1);
    expect(sigmoid[7]).toBeGreaterThan(0);
    expect(sigmoid[8]).toBe(0);
    expect([sigmoid[9], tanh[9], sigmoid[10], tanh[10]]).toEqual([1, 1, 0, -1]);
    expect([sigmoid[11], tanh[11], tanhC[11]]).toEqual([NaN, NaN, NaN]);
  });

  test.each([...Array.from({ length: 17 }, (_, i) => i + 1), 128])("forward and backward, hidden size %i", (hidden) => {
    const rows = 3;
    const { kernels, step } = build(engine, "f32", planCell(rows, hidden));
    const all = [step.gates, step.h, step.states[0]!, step.keeps[0]!, step.dh, step.dStates[0]!];
    for (const [i, tensor] of all.entries()) fill(tensor.data, 30 + i);
    for (let i = 0; i < step.gates.length; i++) step.gates.data[i] = Math.fround(4 * step.gates.data[i]!);
    const before = all.map((tensor) => tensor.data.slice());
    const net = before[0]!;
    kernels.cells.lstm!.forward(step);
    const forward = all.map((tensor) => tensor.data.slice());
    kernels.cells.lstm!.backward(step);

    const [gates, h, c, tanhC, dh, dc] = forward as [RealArray, RealArray, RealArray, RealArray, RealArray, RealArray];
    const close = (got: number, wanted: number) =>
      expect(Math.abs(got - wanted)).toBeLessThanOrEqual(8 * EPSILON * Math.max(0.25, Math.abs(wanted)));
    for (let r = rows; r < 2 * rows; r++)
      for (let n = 0; n < hidden; n++) {
        const at = r * 4 * hidden + n;
        const [i, f, o] = [0, 1, 3].map((gate) => sigmoidOf(net[at + gate * hidden]!)) as [number, number, number];
        const g = Math.tanh(net[at + 2 * hidden]!);
        const cBefore = before[2]![r * hidden + n]!;
        const next = (r + rows) * hidden + n;
        const y = Math.tanh(f * cBefore + i * g);
        close(c[next]!, f * cBefore + i * g);
        close(tanhC[r * hidden + n]!, y);
        close(h[next + 2 * rows * hidden]!, o * y);
        const here = (r - rows) * hidden + n;
        const dcHere = dc[here]! + dh[here]! * o * (1 - y * y);
        const slopes = [
          dcHere * g * i * (1 - i),
          dcHere * cBefore * f * (1 - f),
          dcHere * i * (1 - g * g),
          dh[here]! * y * o * (1 - o),
        ];
        for (const [gate, wanted] of slopes.entries()) close(step.gates.data[at + gate * hidden]!, wanted);
        close(step.dStates[0]!.data[here]!, dcHere * f);
      }
    // Rows of other times: as they were.
    for (const block of [0, 2]) {
      const range = [block * rows * 4 * hidden, (block + 1) * rows * 4 * hidden] as const;
      expect(step.gates.data.subarray(...range)).toEqual(before[0]!.subarray(...range));
    }
    expect(h.subarray(0, 4 * rows * hidden)).toEqual(before[1]!.subarray(0, 4 * rows * hidden));
    expect(h.subarray(5 * rows * hidden)).toEqual(before[1]!.subarray(5 * rows * hidden));
    expect(gates.length).toBe(12 * rows * hidden);
  });

  test("a NaN goes through to h and to the gradients", () => {
    const { kernels, step } = build(engine, "f32", planCell(1, 6));
    step.gates.data[24 + 6 + 2] = Number.NaN; // f of column 2
    step.dh.data.fill(1);
    kernels.cells.lstm!.forward(step);
    expect([...step.h.data.slice(24, 30)].map(Number.isNaN)).toEqual([false, false, true, false, false, false]);
    kernels.cells.lstm!.backward(step);
    expect(step.dStates[0]!.data[2]).toBeNaN();
  });
});
