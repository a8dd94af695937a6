/**
 * Products over live columns, of every engine that has them, against the dense products of engine js in float64 over the
 * zeroed matrix. Bounds as in engines.contract.test.ts: depth * 2^-23 * (|out| + sum |a b|).
 */
import { describe, expect, test } from "vitest";
import { Arena, type RealArray } from "../core/arena.ts";
import { RandomStream } from "../core/random.ts";
import "../runs/wasm-threads.ts";
import { hasNativeAddon, loadNativeAddon, loadNativeEngine } from "../runs/native-addon.ts";
import { jsEngine } from "./js.ts";
import type { Engine, LiveRows } from "./kernels.ts";
import { loadWasmEngine } from "./wasm.ts";

const isas = hasNativeAddon() ? loadNativeAddon().isas() : [];
const engines: readonly (readonly [string, Engine])[] = await Promise.all([
  loadWasmEngine().then((engine) => ["wasm", engine] as const),
  loadWasmEngine(2).then((engine) => ["wasm, 2 threads", engine] as const),
  ...isas.map(async (isa) => [`native ${isa}`, await loadNativeEngine(1, isa)] as const),
  ...isas.slice(0, 1).map(async (isa) => [`native ${isa}, 2 threads`, await loadNativeEngine(2, isa)] as const),
]);

const GUARDS = 2; // rows before and after an output
const BEFORE = 3; // times before the first one of a product

interface Shape {
  readonly times: number;
  readonly B: number;
  readonly N: number;
  readonly K: number;
  readonly live: number; // share of columns
}

/** Beyond: a tile of rows, of columns, a register tile's parts, a block of 1024 columns, rows packed at once, 256 rows of one time. */
const SHAPES: readonly Shape[] = [
  { times: 1, B: 1, N: 1, K: 1, live: 1 },
  { times: 2, B: 3, N: 5, K: 7, live: 0.5 },
  { times: 3, B: 5, N: 70, K: 33, live: 0.5 },
  { times: 2, B: 20, N: 300, K: 130, live: 0.5 },
  { times: 2, B: 7, N: 64, K: 50, live: 0 },
  { times: 2, B: 4, N: 17, K: 64, live: 1 },
  { times: 2, B: 2, N: 30, K: 1100, live: 0.3 },
  { times: 2, B: 300, N: 40, K: 20, live: 0.5 },
  { times: 12, B: 100, N: 40, K: 21, live: 0.5 },
  { times: 1, B: 6, N: 600, K: 9, live: 0.7 },
];

function fill(data: RealArray, seed: number): void {
  const random = new RandomStream(seed, "live");
  for (let i = 0; i < data.length; i++) data[i] = Math.fround(2 * random.uniform() - 1);
}

function build(engine: Engine, real: "f32" | "f64", { times, B, N, K, live }: Shape, sizes: boolean) {
  const arena = new Arena(real);
  const kernels = engine.attach(arena);
  const rows = times * B;
  const w = arena.tensor("w", [N, K], "weights");
  const weight = kernels.planWeight(w, { rows, nt: true, nn: true, live: true, inTurns: true });
  kernels.planTN(rows, N, K);
  const room = (name: string, width: number) => arena.tensor(name, [rows + 2 * GUARDS, width], "activations");
  const [x, g, outN, outK] = [room("x", K), room("g", N), room("outN", N), room("outK", K)] as const;
  const outNK = arena.tensor("outNK", [N, K], "gradients");
  const masked = room("masked", K);
  const factors = arena.tensor("factors", [BEFORE + times, K], "workspace");
  const columns = {
    list: arena.ints("list", [BEFORE + times, K], "workspace"),
    counts: arena.ints("counts", [BEFORE + times], "workspace"),
  };
  arena.allocate();
  for (const [i, { data }] of [w, x, g, outN, outK, outNK].entries()) fill(data, i);
  const random = new RandomStream(9, "columns");
  for (let t = 0; t < BEFORE + times; t++)
    for (let c = 0; c < K; c++) {
      const lives = random.uniform() < live;
      factors.data[t * K + c] = lives ? 2 : 0;
      if (lives) columns.list.data[t * K + columns.counts.data[t]!++] = c;
    }
  for (let r = 0; r < rows; r++)
    for (let c = 0; c < K; c++)
      x.data[(GUARDS + r) * K + c]! *= Math.sign(factors.data[(BEFORE + Math.floor(r / B)) * K + c]!);
  if (sizes)
    for (const { data } of [w, x, g, outN, outK, outNK])
      for (let i = 0; i < data.length; i++) data[i] = Math.abs(data[i]!);
  kernels.pack(weight);
  const rowsOf: LiveRows = { columns, time: BEFORE, times, rows: B };
  return { kernels, weight, x, g, outN, outK, outNK, masked, factors, rows, rowsOf };
}

type Built = ReturnType<typeof build>;

function dense({ kernels, weight, x, g, outN, outK, outNK, rows }: Built): void {
  kernels.gemmNT(outN, GUARDS, x, GUARDS, weight, rows);
  kernels.gemmNN(outK, GUARDS, g, GUARDS, weight, rows);
  kernels.gemmTN(outNK, g, GUARDS, x, GUARDS, rows);
}

function expectClose(what: string, got: RealArray, wanted: RealArray, sizes: RealArray, depth: number): void {
  for (let i = 0; i < wanted.length; i++)
    if (!(Math.abs(got[i]! - wanted[i]!) <= (depth + 1) * 2 ** -23 * sizes[i]!))
      expect.fail(`${what}, element ${i}: got ${got[i]}, expected ${wanted[i]}`);
}

describe.each(engines)("live columns, engine %s", (_, engine) => {
  test.each(SHAPES)("times $times, B $B, N $N, K $K, $live live", (shape) => {
    const { times, B, N, K } = shape;
    const tested = build(engine, "f32", shape, false);
    const exact = build(jsEngine, "f64", shape, false);
    const sizes = build(jsEngine, "f64", shape, true);
    dense(exact);
    dense(sizes);
    const before = tested.outK.data.slice();
    const { kernels, weight, x, g, outN, outK, outNK, rowsOf } = tested;
    const live = kernels.live!;
    let count = 0;
    for (let t = BEFORE; t < BEFORE + times; t++) count += rowsOf.columns.counts.data[t]!;
    expect([
      live.gemmNT(outN, GUARDS, x, GUARDS, weight, rowsOf),
      live.gemmNN(outK, GUARDS, g, GUARDS, weight, rowsOf),
      live.gemmTN(outNK, g, GUARDS, x, GUARDS, rowsOf),
    ]).toEqual(Array(3).fill(count * B * N));
    expectClose("gemmNT", outN.data, exact.outN.data, sizes.outN.data, K);
    expectClose("gemmTN", outNK.data, exact.outNK.data, sizes.outNK.data, times * B);
    // Dead columns of the gradient, and rows around it, stay as they were.
    const wanted = exact.outK.data.slice();
    for (let i = 0; i < wanted.length; i++) {
      const r = Math.floor(i / K) - GUARDS;
      const inside = r >= 0 && r < times * B;
      if (!inside || tested.factors.data[(BEFORE + Math.floor(r / B)) * K + (i % K)] === 0) {
        wanted[i] = before[i]!;
        if (outK.data[i] !== before[i]) expect.fail(`gemmNN wrote to element ${i}, which is not live`);
      }
    }
    expectClose("gemmNN", outK.data, wanted, sizes.outK.data, N);

    live.mask(tested.masked, GUARDS, g.rowLength === K ? g : x, GUARDS, tested.factors, rowsOf);
    const from = g.rowLength === K ? g.data : x.data;
    for (let i = GUARDS * K; i < (GUARDS + times * B) * K; i++) {
      const factor = tested.factors.data[(BEFORE + Math.floor((i / K - GUARDS) / B)) * K + (i % K)]!;
      if (!Object.is(tested.masked.data[i], factor === 0 ? 0 : from[i]! * factor)) expect.fail(`mask, element ${i}`);
    }
  });

  test("dense products of such a weight see it as it was last packed, however seldom they come", () => {
    const tested = build(engine, "f32", SHAPES[2]!, false);
    const exact = build(jsEngine, "f64", SHAPES[2]!, false);
    const sizes = build(jsEngine, "f64", SHAPES[2]!, true);
    dense(sizes);
    for (const packs of [0, 1, 1, 3, 2, 1]) {
      for (const { kernels, weight, g, outK, rows } of [tested, exact]) {
        for (let pack = 0; pack < packs; pack++) {
          for (let i = 0; i < weight.tensor.length; i++) weight.tensor.data[i]! *= -0.5;
          kernels.pack(weight);
        }
        outK.data.fill(0);
        kernels.gemmNN(outK, GUARDS, g, GUARDS, weight, rows);
      }
      expectClose("gemmNN", tested.outK.data, exact.outK.data, sizes.outK.data, SHAPES[2]!.N);
    }
  });

  test("where a factor is 0 a row's NaN is gone", () => {
    const { kernels, x, masked, factors, rowsOf } = build(engine, "f32", SHAPES[2]!, false);
    x.data.fill(Number.NaN);
    kernels.live!.mask(masked, GUARDS, x, GUARDS, factors, rowsOf);
    const row = masked.data.subarray(GUARDS * 33, (GUARDS + 1) * 33);
    for (const [c, y] of row.entries()) expect(y).toBe(factors.data[BEFORE * 33 + c] === 0 ? 0 : Number.NaN);
  });
});
