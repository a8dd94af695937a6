/**
 * LayerKernels of every engine against those of js in float64, on the same float32 inputs. Bounds are in roundings of
 * float32 at the size of the numbers that were added. Rows around an output must stay as they were.
 */
import { describe, expect, test } from "vitest";
import { Arena, type Tensor } from "../core/arena.ts";
import { erfc } from "../core/erf.ts";
import { RandomStream } from "../core/random.ts";
import { hasNativeAddon, loadNativeAddon, loadNativeEngine } from "../runs/native-addon.ts";
import "../runs/wasm-threads.ts";
import { jsEngine } from "./js.ts";
import type { Engine, NormTensors } from "./kernels.ts";
import { loadWasmEngine } from "./wasm.ts";

const isas = hasNativeAddon() ? loadNativeAddon().isas() : [];
const one: readonly Engine[] = [
  await loadWasmEngine(),
  ...(await Promise.all(isas.map((isa) => loadNativeEngine(1, isa)))),
];
const two: readonly Engine[] = [
  await loadWasmEngine(2),
  ...(await Promise.all(isas.map((isa) => loadNativeEngine(2, isa)))),
];
const nameOf = ({ name, isa }: Engine) => `${name} (${isa})`;

const EPSILON = 2 ** -23;
const GUARDS = 2; // rows before and after

interface Sizes {
  readonly rows: number;
  readonly cols: number;
  /** Numbers are this far from 0. */
  readonly offset?: number;
}

/** Matrices (guards + rows + guards, cols), normally distributed times `spread`, and the parts of a norm. */
function build(engine: Engine, real: "f32" | "f64", { rows, cols, offset = 0 }: Sizes, spread = 1) {
  const arena = new Arena(real);
  const kernels = engine.attach(arena);
  const matrix = (name: string) => arena.tensor(name, [rows + 2 * GUARDS, cols], "activations");
  const row = (name: string) => arena.tensor(name, [cols], "weights");
  const column = (name: string) => arena.tensor(name, [rows], "activations");
  const [out, x, g] = [matrix("out"), matrix("x"), matrix("g")];
  const norm: NormTensors = {
    ...{ weight: row("weight"), bias: row("bias"), dWeight: row("dWeight"), dBias: row("dBias") },
    ...{ mean: column("mean"), inverse: column("inverse"), eps: 1e-5 },
  };
  arena.allocate();
  const all = [out, x, g, norm.weight, norm.bias, norm.dWeight, norm.dBias, norm.mean, norm.inverse];
  const random = new RandomStream(5, "layers");
  for (const { data } of all)
    for (let i = 0; i < data.length; i++) data[i] = Math.fround(spread * random.normal() + offset);
  return { layers: kernels.layers, rows, out, x, g, norm, all };
}
type Built = ReturnType<typeof build>;

/** Runs on both; every tensor within `ulps` of the exact one at sizes of at least `floor`. */
function compare(
  engine: Engine,
  sizes: Sizes,
  run: (built: Built) => void,
  { ulps = 8, floor = 1, spread = 1 } = {},
): void {
  const tested = build(engine, "f32", sizes, spread);
  const exact = build(jsEngine, "f64", sizes, spread);
  run(tested);
  run(exact);
  for (const [index, { name, data }] of exact.all.entries()) {
    const got = (tested.all[index] as Tensor).data;
    for (let i = 0; i < data.length; i++) {
      const difference = Math.abs(got[i]! - data[i]!);
      const bound = ulps * EPSILON * Math.max(floor, Math.abs(data[i]!));
      if (!(difference <= bound)) expect(got[i], `${name}[${i}], off by ${difference / bound} bounds`).toBe(data[i]);
    }
  }
}

const WIDTHS = [...Array.from({ length: 18 }, (_, i) => i + 1), 65, 512];

/** Two-row and three-row calls that leave the guards alone: `out` from row 0, others from a row of their own. */
const POINTWISE: Readonly<Record<string, (built: Built) => void>> = {
  relu: ({ layers, x, rows }) => layers.relu(x, rows),
  reluGradient: ({ layers, out, g, x, rows }) => layers.reluGradient(out, g, GUARDS, x, rows),
  gelu: ({ layers, out, x, rows }) => layers.gelu(out, x, rows),
  multiply: ({ layers, out, g, x, rows }) => layers.multiply(out, g, GUARDS, x, rows),
  tanh: ({ layers, out, x, rows }) => layers.tanh(out, x, rows),
  tanhGradient: ({ layers, out, g, x, rows }) => layers.tanhGradient(out, g, GUARDS, x, rows),
};

describe.each(one.map((engine) => [nameOf(engine), engine] as const))("engine %s", (_, engine) => {
  test.each(Object.keys(POINTWISE))("%s as defined, widths 1 to 18, 65 and 512", (name) => {
    for (const cols of WIDTHS) compare(engine, { rows: 3, cols }, POINTWISE[name]!);
  });

  test("gelu keeps its digits where it is nearly nothing, and nearly x", () => {
    const cols = 28_001;
    const { layers, out, x } = build(engine, "f32", { rows: 1, cols });
    const points = Array.from({ length: cols }, (_, i) => Math.fround(-14 + i / 1000));
    x.data.set(points);
    layers.gelu(out, x, 1);
    let [worst, worstSlope] = [0, 0];
    for (const [i, point] of points.entries()) {
      const below = 0.5 * erfc(-point * Math.SQRT1_2);
      const density = Math.exp(-0.5 * point * point) / Math.sqrt(2 * Math.PI);
      // Beyond -13 the density leaves the normal floats.
      if (point > -13) worst = Math.max(worst, Math.abs(out.data[i]! / (point * below) - 1) || 0);
      // The slope passes through 0: its terms are what was rounded.
      const terms = below + Math.abs(point) * density;
      if (point > -13) worstSlope = Math.max(worstSlope, Math.abs(x.data[i]! - below - point * density) / terms);
    }
    expect(worst / EPSILON).toBeLessThan(8);
    expect(worstSlope / EPSILON).toBeLessThan(8);
  });

  test("NaN passes everywhere, and what is not finite does not come out finite of gelu's slope", () => {
    for (const [name, run] of Object.entries(POINTWISE)) {
      const built = build(engine, "f32", { rows: 3, cols: 5 });
      built.x.data[7] = Number.NaN;
      built.g.data[GUARDS * 5 + 7] = Number.NaN;
      run(built);
      expect((name === "relu" ? built.x : built.out).data[7], name).toBeNaN();
    }
  });

  test("softmax over the first columns, and its gradient", () => {
    for (const cols of WIDTHS)
      for (const length of new Set([1, Math.ceil(cols / 2), cols]))
        for (const spread of [1, 30]) {
          const ulps = 4 + 8 * spread; // the roundings of exp's argument
          compare(engine, { rows: 5, cols }, ({ layers, x, rows }) => layers.softmax(x, GUARDS, rows, length), {
            ...{ ulps, floor: 1e-30, spread }, // where shares are no normal floats
          });
          compare(
            engine,
            { rows: 5, cols },
            ({ layers, x, g, rows }) => {
              for (let i = 0; i < x.length; i++) x.data[i] = Math.fround(Math.abs(x.data[i]!) / cols);
              layers.softmaxGradient(g, x, GUARDS, rows);
            },
            { spread, floor: spread ** 2 }, // what is added and taken away
          );
        }
  });

  test.each([0, 100])("layer norm and its gradient, rows around %i", (offset) => {
    for (const cols of WIDTHS) {
      const forward = ({ layers, out, x, rows, norm }: Built) => layers.layerNorm(out, x, GUARDS, rows, norm);
      const ulps = 16;
      // A row of one element has no variance: its inverse is 1 / sqrt(eps), and so is every error in it.
      const floor = (1 + offset) * (cols === 1 ? 320 : 4);
      compare(engine, { rows: 9, cols, offset }, forward, { ulps, floor });
      const backward = (built: Built) => {
        const { layers, out, g, x, rows, norm } = built;
        for (let r = 0; r < rows; r++) {
          norm.mean.data[r] = offset;
          norm.inverse.data[r] = 0.75;
        }
        layers.layerNormGradient(out, g, GUARDS, x, GUARDS, rows, norm);
      };
      compare(engine, { rows: 19, cols, offset }, backward, { ulps: 32, floor: (1 + offset) ** 2 });
    }
  });
});

// ---- attention

interface Heads {
  readonly T: number;
  readonly B: number;
  readonly heads: number;
  readonly d: number;
  /** T as planned. */
  readonly steps: number;
}

function buildAttention(engine: Engine, real: "f32" | "f64", { T, B, heads, d, steps }: Heads) {
  const arena = new Arena(real);
  const { layers } = engine.attach(arena);
  const width = heads * d;
  layers.planAttention(steps, d);
  const rows = (name: string, columns: number) => arena.tensor(name, [T * B + GUARDS, columns], "activations");
  const [x, dx, out, dy] = [rows("x", 3 * width), rows("dx", 3 * width), rows("out", width), rows("dy", width)];
  const shares = arena.tensor("shares", [B * heads * steps, steps], "activations");
  arena.allocate();
  const random = new RandomStream(9, "attention");
  for (const { data } of [x, dx, out, dy]) for (let i = 0; i < data.length; i++) data[i] = Math.fround(random.normal());
  shares.data.fill(7);
  const shape = { T, B, heads, steps };
  return {
    tensors: { out, shares, dx },
    forward: () => layers.attention(out, shares, x, GUARDS, shape),
    backward: () => layers.attentionGradient(dx, dy, GUARDS, shares, x, GUARDS, shape),
  };
}

const HEADS: Readonly<Record<string, Heads>> = {
  "one position": { T: 1, B: 2, heads: 1, d: 1, steps: 1 },
  "odd sizes": { T: 7, B: 3, heads: 2, d: 5, steps: 9 },
  "a block and a rest": { T: 70, B: 2, heads: 2, d: 9, steps: 70 },
  "wider than a panel": { T: 12, B: 1, heads: 1, d: 70, steps: 12 },
  "as trained": { T: 64, B: 8, heads: 4, d: 32, steps: 64 },
};

describe.each(one.map((engine, index) => [nameOf(engine), engine, two[index]!] as const))(
  "attention, engine %s",
  (_, engine, twoThreads) => {
    test.each(Object.keys(HEADS))("%s: as defined, and the same bits on two threads", (name) => {
      const sizes = HEADS[name]!;
      const tested = buildAttention(engine, "f32", sizes);
      const threads = buildAttention(twoThreads, "f32", sizes);
      const exact = buildAttention(jsEngine, "f64", sizes);
      for (const built of [tested, threads, exact]) {
        built.forward();
        built.backward();
      }
      // Sums of d, and of T, products of numbers near 1.
      const bound = 4 * EPSILON * (sizes.d + sizes.T + 16);
      for (const part of ["out", "shares", "dx"] as const) {
        const [got, wanted] = [tested.tensors[part].data, exact.tensors[part].data];
        expect(
          Buffer.compare(Buffer.from(got.slice().buffer), Buffer.from(threads.tensors[part].data.slice().buffer)),
        ).toBe(0);
        for (let i = 0; i < wanted.length; i++)
          if (!(Math.abs(got[i]! - wanted[i]!) <= bound * Math.max(1, Math.abs(wanted[i]!))))
            expect(got[i], `${part}[${i}]`).toBe(wanted[i]);
      }
    });
  },
);

describe.each(one.map((engine, index) => [nameOf(engine), engine, two[index]!] as const))(
  "threads, engine %s",
  (_, engine, twoThreads) => {
    const runs: Record<string, (built: Built) => void> = {
      ...POINTWISE,
      softmax: ({ layers, x, rows }) => layers.softmax(x, GUARDS, rows, 100),
      softmaxGradient: ({ layers, g, x, rows }) => layers.softmaxGradient(g, x, GUARDS, rows),
      layerNorm: ({ layers, out, x, rows, norm }) => layers.layerNorm(out, x, GUARDS, rows, norm),
      layerNormGradient: ({ layers, out, g, x, rows, norm }) =>
        layers.layerNormGradient(out, g, GUARDS, x, GUARDS, rows, norm),
    };
    test.each(Object.keys(runs))("%s: the bits do not depend on their number", (name) => {
      const sizes = { rows: 501, cols: 131 }; // enough for every kernel to fork
      const [a, b] = [build(engine, "f32", sizes), build(twoThreads, "f32", sizes)];
      runs[name]!(a);
      runs[name]!(b);
      for (const [index, { name: tensor, data }] of a.all.entries())
        expect(
          Buffer.compare(Buffer.from(data.slice().buffer), Buffer.from(b.all[index]!.data.slice().buffer)),
          tensor,
        ).toBe(0);
    });
  },
);
