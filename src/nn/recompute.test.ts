/** Recomputation by segments is the same function: same loss, states and statistics, gradients up to rounding. */
import { describe, expect, test } from "vitest";
import type { Purpose, Tensor } from "../core/arena.ts";
import { loadEngine } from "../kernels/engines.ts";
import { jsEngine } from "../kernels/js.ts";
import type { Engine } from "../kernels/kernels.ts";
import { hasNativeAddon } from "../runs/native-addon.ts";
import type { RuleKind } from "../sparse/rule.ts";
import { gradcheck } from "./gradcheck.ts";
import type { Model, ModelShape, ModelSpec } from "./model.ts";
import { filledModel, LANGUAGE_MODEL } from "./testing.ts";

const SPECS: Record<string, ModelSpec> = {
  "two layers, one-hot": { ...LANGUAGE_MODEL, numLayers: 2 },
  "three layers, embedding, dropout": {
    ...LANGUAGE_MODEL,
    numLayers: 3,
    dropout: 0.3,
    input: { kind: "tokens", vocabulary: 7, embedding: 4 },
  },
  "features to values at the end": {
    ...LANGUAGE_MODEL,
    input: { kind: "features", size: 3 },
    output: { kind: "values", size: 2, positions: "last" },
  },
};

const engines: readonly (readonly [string, Engine, "f32" | "f64"])[] = [
  ["js in f64", jsEngine, "f64"],
  ["js in f32", jsEngine, "f32"],
  ["wasm", await loadEngine("wasm"), "f32"],
  ...(hasNativeAddon() ? [["native", await loadEngine("native"), "f32"] as const] : []),
];

/** Relative to the largest element of a gradient. dW sums its T*B rows segment by segment: only rounding differs. */
const BOUND = { f64: 1e-14, f32: 2e-6 };

/** Loss, carried states, statistics and gradients of two passes in a row. */
function twoPasses(model: Model, kind: RuleKind, pass = model.pass) {
  for (const { rule } of model.sites) {
    rule.kind = kind;
    rule.tau.fill(0.01 / (pass.T * pass.B));
    rule.share.fill(0.4);
    rule.size = 2;
    rule.unbiased = true;
    rule.key = 99;
  }
  model.clearGradients();
  const losses = [model.lossAndGradient(pass), model.lossAndGradient(pass)];
  return {
    exact: {
      losses,
      carried: model.carried.map((state) => [...state.data]),
      histograms: model.sites.map(({ statistics }) => [...statistics.histogram.data]),
      counts: model.sites.map(({ statistics }) => [...statistics.sums.data].filter((_, i) => i % 5 < 3)),
      macs: model.macs.map(({ layer, product, dense, skipped }) => [layer, product, dense, skipped]),
    },
    gradients: model.parameters.map(({ name, gradient }) => ({ name, data: gradient.data.slice() })),
  };
}

function expectSame(got: ReturnType<typeof twoPasses>, wanted: ReturnType<typeof twoPasses>, bound: number): void {
  expect(got.exact).toEqual(wanted.exact);
  for (const [p, { name, data }] of wanted.gradients.entries()) {
    let largest = 0;
    let difference = 0;
    for (const [i, value] of data.entries()) {
      largest = Math.max(largest, Math.abs(value));
      difference = Math.max(difference, Math.abs(value - got.gradients[p]!.data[i]!));
    }
    expect(largest).toBeGreaterThan(0);
    expect(difference / largest, name).toBeLessThanOrEqual(bound);
  }
}

const SHAPE = { T: 11, B: 3 };
const KINDS = ["keep", "threshold", "stochastic", "random", "topk", "columns", "rows", "block"] as const;

describe.each(engines)("%s", (_, engine, real) => {
  const make = (spec: ModelSpec, shape: Partial<ModelShape>) => filledModel(engine, spec, { ...SHAPE, real, ...shape });

  for (const [name, spec] of Object.entries(SPECS))
    test.each(KINDS)(`${name}, rule %s: every segment length`, (kind) => {
      const whole = twoPasses(make(spec, {}), kind);
      for (const recompute of [1, 2, 4, 10, 11, 50])
        expectSame(twoPasses(make(spec, { recompute }), kind), whole, BOUND[real]);
    });

  test.each(["keep", "threshold"] as const)("rule %s: segments of several pieces", (kind) => {
    const spec = { ...LANGUAGE_MODEL, numLayers: 2 };
    const shape = { T: 20, B: 40 }; // pieces of 6 time steps
    const whole = twoPasses(make(spec, shape), kind);
    for (const recompute of [5, 6, 8, 13])
      expectSame(twoPasses(make(spec, { ...shape, recompute }), kind), whole, BOUND[real]);
  });

  test("a smaller pass than planned", () => {
    const spec = SPECS["three layers, embedding, dropout"]!;
    const pass = { ...make(spec, {}).pass, T: 7, B: 2 };
    const whole = twoPasses(make(spec, {}), "threshold", pass);
    for (const recompute of [3, 5, 9])
      expectSame(twoPasses(make(spec, { recompute }), "threshold", pass), whole, BOUND[real]);
  });

  test("evaluation: same loss and states, bit for bit", () => {
    const results = [0, 1, 4].map((recompute) => {
      const model = make({ ...LANGUAGE_MODEL, numLayers: 2 }, { recompute });
      const pass = { ...model.pass, training: false };
      const scores = [1, 2].map(() => model.head.evaluate(model.forward(pass), pass));
      return { scores, carried: model.carried.map((state) => [...state.data]) };
    });
    expect(results[1]).toEqual(results[0]);
    expect(results[2]).toEqual(results[0]);
  });
});

describe("gradients against slopes, float64", () => {
  for (const [name, spec] of Object.entries(SPECS))
    test.each([1, 4])(`${name}, segments of %i`, (recompute) => {
      for (const result of gradcheck(filledModel(jsEngine, spec, { T: 6, B: 3, real: "f64", recompute })))
        expect(result.error, JSON.stringify(result)).toBeLessThan(1e-7);
    });
});

test("products computed again are executed, and no part of the dense count", () => {
  const model = filledModel(jsEngine, { ...LANGUAGE_MODEL, numLayers: 2 }, { ...SHAPE, recompute: 4 });
  twoPasses(model, "threshold");
  const again = 8 * SHAPE.B; // all rows but those of the last segment, t = 8, 9, 10
  const H = 5;
  for (const { layer, product, dense, skipped, executed } of model.macs) {
    const recomputed = ["lstm.l0 hU", "lstm.l1 xW", "lstm.l1 hU"].includes(`${layer} ${product}`) ? again : 0;
    expect(executed, `${layer} ${product}`).toBe(dense - skipped + recomputed * 4 * H * H);
  }
});

test("takes less memory", () => {
  const floats = (recompute: number, purpose: Purpose) => {
    const { arena } = filledModel(jsEngine, LANGUAGE_MODEL, { T: 100, B: 8, recompute });
    const ofLayer = (arena.tensors as unknown as Tensor[]).filter(
      (tensor) => tensor.name.startsWith("lstm.l0") && tensor.purpose === purpose,
    );
    return ofLayer.reduce((sum, { length }) => sum + length, 0);
  };
  expect(floats(10, "gateGradients")).toBe(floats(0, "gateGradients") / 10);
  expect(floats(10, "pattern")).toBe(floats(0, "pattern") / 10);
  // h; c and tanh(c) of ten steps, with c of the step before; and c where ten segments start.
  expect(floats(10, "activations")).toBe((101 + 11 + 10 + 10) * 8 * 5);
  expect(floats(0, "activations")).toBe((101 + 101 + 100) * 8 * 5);
});

test("refuses what is no number of time steps", () => {
  for (const recompute of [-1, 2.5])
    expect(() => filledModel(jsEngine, LANGUAGE_MODEL, { ...SHAPE, recompute })).toThrow(/time steps/);
});
