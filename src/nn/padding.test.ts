/** Right padding: a padded batch is its lanes one by one, each at its own length, on every engine. */
import { describe, expect, test } from "vitest";
import { UsageError } from "../core/check.ts";
import { RandomStream } from "../core/random.ts";
import { loadEngine } from "../kernels/engines.ts";
import { jsEngine } from "../kernels/js.ts";
import type { Engine } from "../kernels/kernels.ts";
import { hasNativeAddon } from "../runs/native-addon.ts";
import type { Paths, RuleKind } from "../sparse/rule.ts";
import { HISTOGRAM_ROW_STRIDE, KEPT, NATURAL_ZEROS, SUM_COLUMNS, TOTAL } from "../sparse/statistics.ts";
import { cells } from "./cells.ts";
import { gradcheck } from "./gradcheck.ts";
import { Model, type ModelSpec } from "./model.ts";
import type { DropSite } from "./module.ts";
import { fillBatch, filledModel, LANGUAGE_MODEL, setLengths } from "./testing.ts";

const FEATURES: ModelSpec = { ...LANGUAGE_MODEL, numLayers: 2, input: { kind: "features", size: 3 } };
const SPECS: Record<string, ModelSpec> = {
  "classes everywhere, one-hot": { ...LANGUAGE_MODEL, numLayers: 2 },
  "classes everywhere, embedding": { ...LANGUAGE_MODEL, input: { kind: "tokens", vocabulary: 7, embedding: 4 } },
  "classes at the end": { ...FEATURES, output: { kind: "classes", size: 4, positions: "last" } },
  "values everywhere": { ...FEATURES, output: { kind: "values", size: 2, positions: "all" } },
  "bidirectional, classes everywhere": { ...LANGUAGE_MODEL, numLayers: 2, bidirectional: true },
  "bidirectional, values at the end": {
    ...FEATURES,
    bidirectional: true,
    output: { kind: "values", size: 2, positions: "last" },
  },
  "bidirectional, residual, norm, values at the end": {
    ...FEATURES,
    numLayers: 3,
    bidirectional: true,
    residual: true,
    layerNorm: true,
    output: { kind: "values", size: 2, positions: "last" },
  },
  "values at the end": { ...FEATURES, output: { kind: "values", size: 2, positions: "last" } },
};
const CELLS = Object.keys(cells) as (keyof typeof cells)[];
const LENGTHS = [9, 4, 1, 11, 7];
const [T, B] = [11, LENGTHS.length];

const engines: readonly (readonly [string, Engine, "f32" | "f64", number])[] = [
  ["js in f64", jsEngine, "f64", 1e-12],
  ["js in f32", jsEngine, "f32", 1e-5],
  ["wasm", await loadEngine("wasm"), "f32", 1e-5],
  ...(hasNativeAddon() ? [["native", await loadEngine("native"), "f32", 1e-5] as const] : []),
];

/** A model with one lane of a batch, at its own length. */
function laneOf(model: Model, engine: Engine, lane: number, paths: Paths): Model {
  const { input, output } = model.spec;
  const length = LENGTHS[lane]!;
  const alone = new Model(engine, model.spec, { T: length, B: 1, real: model.arena.real });
  for (const site of alone.sites) site.planPaths(paths);
  alone.initialize(0);
  for (const [p, { value }] of alone.parameters.entries()) value.data.set(model.parameters[p]!.value.data);
  alone.pack();
  const [from, to] = [model.buffers(), alone.buffers()];
  for (let t = 0; t < length; t++) {
    const at = t * B + lane;
    if (to.tokens) to.tokens[t] = from.tokens![at]!;
    if (input.kind === "features")
      for (let i = 0; i < input.size; i++) to.features![t * input.size + i] = from.features![at * input.size + i]!;
  }
  const width = output.kind === "values" ? output.size : 1;
  for (let t = 0; t < (output.positions === "all" ? length : 1); t++)
    for (let i = 0; i < width; i++) to.targets[t * width + i] = from.targets[(t * B + lane) * width + i]!;
  for (const [s, { data }] of model.carried.entries()) {
    const H = alone.carried[s]!.length;
    alone.carried[s]!.data.set(data.subarray(lane * H, (lane + 1) * H));
  }
  return alone;
}

function setRule(model: Model, kind: RuleKind, scale: number, paths: Paths = "both"): void {
  for (const { rule } of model.sites) {
    rule.paths = paths;
    rule.kind = kind;
    rule.tau.fill(2e-3 * scale);
    rule.share.fill(0.5);
  }
}

/** What adds up over lanes, and the states. */
function passOf(model: Model, weight: number) {
  model.clearGradients();
  const loss = model.lossAndGradient(model.pass) * weight;
  const sums = model.sites.flatMap(({ statistics }) => [...statistics.sums.data]);
  return {
    loss,
    gradients: model.parameters.flatMap(({ gradient }) => [...gradient.data].map((g) => g * weight)),
    counts: sums.filter((_, i) => [TOTAL, NATURAL_ZEROS, KEPT].includes(i % SUM_COLUMNS)),
    macs: model.macs.flatMap(({ dense, skipped }) => [dense, skipped]),
  };
}

function expectClose(got: readonly number[], wanted: readonly number[], bound: number): void {
  const largest = wanted.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  expect(largest).toBeGreaterThan(0);
  const difference = got.reduce((most, value, i) => Math.max(most, Math.abs(value - wanted[i]!)), 0);
  expect(difference / largest).toBeLessThanOrEqual(bound);
}

const cases = engines.flatMap(([name, ...rest]) => CELLS.map((cell) => [name, cell, ...rest] as const));

describe.each(cases)("%s, %s", (_, cell, engine, real, bound) => {
  for (const [name, given] of Object.entries(SPECS)) {
    const spec = { ...given, cell };
    test.each([
      ["keep", 0, "both"],
      ["threshold", 0, "both"],
      ["topk", 0, "both"],
      ["threshold", 0, "dh"],
      ["threshold", 0, "dW"],
      ["keep", 4, "both"],
      ["threshold", 4, "both"],
    ] as const)(
      `${name}: a padded batch is its lanes one by one, rule %s, recompute %i, paths %s`,
      (kind, recompute, paths) => {
        const whole = new Model(engine, spec, { T, B, real, recompute });
        for (const site of whole.sites) site.planPaths(paths);
        whole.initialize(3);
        fillBatch(whole, new RandomStream(3, "batch"));
        setLengths(whole, LENGTHS);
        const counts = LENGTHS.map((length) => (spec.output.positions === "all" ? length : 1));
        const all = counts.reduce((sum, count) => sum + count, 0);
        const lanes = LENGTHS.map((_, lane) => laneOf(whole, engine, lane, paths));

        setRule(whole, kind, 1 / all, paths);
        const got = passOf(whole, 1);
        const parts = lanes.map((lane, b) => {
          setRule(lane, kind, 1 / counts[b]!, paths);
          return passOf(lane, counts[b]! / all);
        });

        const total = (of: (part: (typeof parts)[number]) => readonly number[]) =>
          of(parts[0]!).map((_, i) => parts.reduce((sum, part) => sum + of(part)[i]!, 0));
        expectClose(
          [got.loss],
          total(({ loss }) => [loss]),
          bound,
        );
        expectClose(
          got.gradients,
          total(({ gradients }) => gradients),
          bound,
        );
        expect(got.counts).toEqual(total(({ counts: sums }) => sums));
        expect(got.macs).toEqual(total(({ macs }) => macs));
        for (const [s, { data, rowLength: H }] of whole.carried.entries())
          for (const [b, lane] of lanes.entries())
            expectClose([...data.subarray(b * H, (b + 1) * H)], [...lane.carried[s]!.data], bound);
      },
    );
  }

  test("what lies in the padding moves no bit", () => {
    const spec = { ...SPECS["values everywhere"]!, cell };
    const passes = [5, -70].map((value) => {
      const model = filledModel(engine, spec, { T, B, real });
      setLengths(model, LENGTHS);
      setRule(model, "threshold", 1e-4);
      for (let t = 0; t < T; t++)
        for (const [b, length] of LENGTHS.entries())
          if (t >= length) {
            model.features.data.fill(value, (t * B + b) * 3, (t * B + b + 1) * 3);
            model.head.targets.data.fill(value, (t * B + b) * 2, (t * B + b + 1) * 2);
          }
      const pass = passOf(model, 1);
      return { ...pass, histograms: model.sites.map(({ statistics }) => [...statistics.histogram.data]) };
    });
    expect(passes[0]).toEqual(passes[1]);
  });

  test("padding is in no histogram, and a residue brings nothing back there", () => {
    const model = new Model(engine, { ...LANGUAGE_MODEL, cell }, { T, B, real });
    const [{ rule, pattern, statistics }] = model.sites as [DropSite];
    rule.residue = model.arena.tensor("residue", [T * B, pattern.site.cols], "workspace");
    model.initialize(3);
    fillBatch(model, new RandomStream(3, "batch"));
    setLengths(model, LENGTHS);
    rule.residue.data.fill(1);
    setRule(model, "threshold", 1e-4);
    model.lossAndGradient(model.pass);
    const width = pattern.site.cols;
    let sampled = 0;
    for (let t = 0; t < T; t++)
      for (const [b, length] of LENGTHS.entries()) {
        const row = t * B + b;
        if (t < length && row % HISTOGRAM_ROW_STRIDE === 0) sampled += width;
        if (t < length) continue;
        expect(pattern.dense.data.subarray(row * width, (row + 1) * width).every((g: number) => g === 0)).toBe(true);
        expect(rule.residue.data.subarray(row * width, (row + 1) * width).every((g: number) => g === 0)).toBe(true);
      }
    expect(statistics.histogram.data.reduce((sum, count) => sum + count, 0)).toBe(sampled);
  });
});

test("the head's site counts no padding", () => {
  const model = filledModel(jsEngine, LANGUAGE_MODEL, { T, B });
  setLengths(model, LENGTHS);
  const { rule, statistics } = model.head.site;
  rule.kind = "threshold";
  model.lossAndGradient(model.pass);
  const positions = LENGTHS.reduce((sum, length) => sum + length, 0);
  expect([...statistics.sums.data].slice(0, KEPT + 1)).toEqual([positions * 7, 0, positions * 7]);
  for (const { layer, product, dense, skipped, executed } of model.macs)
    if (layer === "head")
      expect([dense, skipped, executed], product).toEqual([
        positions * 35,
        0,
        product === "xW" ? T * B * 35 : positions * 35,
      ]);
});

test.each(CELLS)("gradients against slopes, lanes of different length: %s", (cell) => {
  for (const recompute of [0, 4])
    for (const spec of Object.values(SPECS)) {
      const model = filledModel(jsEngine, { ...spec, cell }, { T, B, real: "f64", recompute });
      setLengths(model, LENGTHS);
      for (const result of gradcheck(model, { elements: 12 }))
        expect(result.error, JSON.stringify(result)).toBeLessThan(1e-7);
    }
});

test("a sequence of no length is refused in one line", () => {
  const model = filledModel(jsEngine, LANGUAGE_MODEL, { T, B });
  model.lengths.data[2] = 0;
  expect(() => model.lossAndGradient(model.pass)).toThrow(UsageError);
  expect(() => model.lossAndGradient(model.pass)).toThrow(
    "length 0 in lane 2 of a batch; sequences have at least 1 position.",
  );
});

test("a batch in which no position counts has no loss and no gradient", () => {
  const model = filledModel(jsEngine, LANGUAGE_MODEL, { T, B });
  model.head.targets.data.fill(-1);
  expect(model.lossAndGradient(model.pass)).toBe(0);
  expect(model.parameters.every(({ gradient }) => gradient.data.every((g: number) => g === 0))).toBe(true);
});
