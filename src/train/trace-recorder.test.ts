/** A trace holds what the step did, and the step does not notice. */
import { describe, expect, test } from "vitest";
import { jsEngine } from "../kernels/js.ts";
import { Model, type ModelSpec } from "../nn/model.ts";
import { LANGUAGE_MODEL } from "../nn/testing.ts";
import { parsePolicy } from "../sparse/policies.ts";
import { countBits, popcount, type TraceProduct, type TraceStep, wordsOf } from "../sparse/trace.ts";
import { createTask } from "../tasks/tasks.ts";
import { defaultTraceSteps, TraceRecorder } from "./trace-recorder.ts";
import { Trainer } from "./trainer.ts";
import { Training } from "./training.ts";

const [H, T, B] = [7, 12, 3];
const task = createTask("delay", { delay: 2 });

function setUp(policy: string, spec: Partial<ModelSpec> = {}, recompute = 0, headPolicy?: string) {
  const { input, output } = task;
  const full = { ...LANGUAGE_MODEL, input, output, hiddenSize: H, numLayers: 2, ...spec };
  const model = new Model(jsEngine, full, { T, B, recompute });
  const trainer = new Trainer(model, {
    policy: parsePolicy(policy),
    ...(headPolicy ? { headPolicy: parsePolicy(headPolicy) } : {}),
    seed: 1,
    maxSteps: 8,
    learningRate: 0.02,
  });
  const options = { valCheckInterval: 8, patience: 0, logEverySteps: 4, telemetryEverySteps: 2, probeEverySteps: 4 };
  return new Training(trainer, task, options);
}

function record(training: Training, steps: readonly number[]): TraceStep[] {
  training.recorder = new TraceRecorder(training.trainer, steps);
  for (const _ of training.events());
  return training.recorder.recorded;
}

/** Kept elements that a product saw, by the bitmap. */
function kept({ site, firstRow, m }: TraceProduct, { sites }: TraceStep): number {
  const { bitmap, cols } = sites.find(({ name }) => name === site)!;
  return countBits(bitmap.subarray(firstRow * wordsOf(cols), (firstRow + m) * wordsOf(cols)));
}

test.each(["dense", "energy:0.9", "stochastic:0.9"])("%s: a traced training has the same bits", (policy) => {
  const result = (traced: boolean) => {
    const training = setUp(policy, { dropout: 0.2 });
    if (traced) training.recorder = new TraceRecorder(training.trainer, [1, 2, 4, 8]);
    const events = [...training.events()].map((event) =>
      JSON.stringify({ ...event, seconds: 0, tokensPerSecond: 0, timing: 0, ms: 0 }),
    );
    return { events, weights: [...training.trainer.optimizer.value.data] };
  };
  expect(result(true)).toEqual(result(false));
});

describe("bitmaps give again what the training counted as redundant", () => {
  const cases: [string, Parameters<typeof setUp>][] = [
    ["dense: natural zeros", ["dense"]],
    ["energy", ["energy:0.8"]],
    ["recompute: pieces of time", ["energy:0.8", {}, 5]],
    ["paths=dh: the pattern of a copy", ["energy:0.8,paths=dh"]],
    ["paths=dW", ["energy:0.8,paths=dW"]],
    ["a head with a policy, in chunks", ["energy:0.8", {}, 0, "stochastic:0.9"]],
    ["an mlp", ["energy:0.8", { net: "mlp", numLayers: 3 }]],
    ["a transformer", ["energy:0.8", { net: "transformer", hiddenSize: 8 }, 0, "stochastic:0.9"]],
    ["a transformer, paths=dW", ["energy:0.8,paths=dW", { net: "transformer", hiddenSize: 8 }]],
  ];
  test.each(cases)("%s", (_name, args) => {
    const steps = record(setUp(...args), [3, 8]);
    expect(steps.map(({ step }) => step)).toEqual([3, 8]);
    for (const step of steps) {
      const seen = step.products.filter(({ site }) => site !== null);
      expect(seen.length).toBeGreaterThan(2);
      for (const product of seen)
        expect([product.product, (product.m * product.n - kept(product, step)) * product.k]).toEqual([
          product.product,
          product.skipped,
        ]);
      for (const { groups, bitmap } of step.sites)
        expect(countBits(bitmap)).toBe(groups.reduce((sum, group) => sum + group.kept, 0));
    }
  });

  test("the path a rule leaves alone is dense, for its pattern is not known", () => {
    const [step] = record(setUp("energy:0.8,paths=dW"), [5]);
    const sites = Object.fromEntries(step!.products.map(({ layer, product, site }) => [`${layer} ${product}`, site]));
    expect(sites).toMatchObject({
      "lstm.l1 dU": "lstm.l1",
      "lstm.l1 dW": "lstm.l1",
      "lstm.l1 dh": null,
      "lstm.l1 dx": null,
    });
  });
});

test("products have their shapes", () => {
  const [step] = record(setUp("energy:0.8", {}, 0, "stochastic:0.9"), [2]);
  const shape = (layer: string, product: string) => {
    const { m, n, k, block, firstRow, form } = step!.products.find((p) => p.layer === layer && p.product === product)!;
    return { m, n, k, block, firstRow, form };
  };
  expect(shape("lstm.l1", "hU")).toEqual({ m: T * B, n: 4 * H, k: H, block: B, firstRow: 0, form: "NT" });
  expect(shape("lstm.l1", "dh")).toEqual({ m: (T - 1) * B, n: 4 * H, k: H, block: B, firstRow: B, form: "NN" });
  expect(shape("lstm.l1", "dx")).toEqual({ m: T * B, n: 4 * H, k: H, block: T * B, firstRow: 0, form: "NN" });
  expect(shape("lstm.l1", "dU")).toEqual({ m: T * B, n: 4 * H, k: H, block: T * B, firstRow: 0, form: "TN" });
  expect(shape("head", "dW")).toMatchObject({ k: H, form: "TN", firstRow: 0 });
  expect(step!.products.find(({ layer, product }) => layer === "lstm.l0" && product === "dx")).toBeUndefined();
  expect(step!.pointwise.map(({ layer, kind }) => [layer, kind])).toEqual([
    ["lstm.l0", "lstm"],
    ["lstm.l1", "lstm"],
    ["head", "softmax"],
  ]);
});

test("attention's products have their shapes, and belong to no site", () => {
  const [step] = record(setUp("energy:0.8", { net: "transformer", hiddenSize: 8, numLayers: 1 }), [2]);
  const of = (product: string) =>
    step!.products.find((p) => p.layer === "transformer.l0.attention" && p.product === product);
  const rows = 4 * T * B; // of all heads
  expect(of("qk")).toMatchObject({ form: "NT", m: rows, n: T, k: 2, site: null, skipped: 0 });
  expect(of("pv")).toMatchObject({ form: "NN", m: rows, n: 2, k: T });
  expect(of("dk")).toMatchObject({ form: "TN", m: rows, n: 2, k: T, direction: "backward" });
  expect(step!.pointwise).toContainEqual({
    layer: "transformer.l0.attention",
    kind: "softmax",
    rows,
    width: T,
    gates: 1,
  });
});

test("steps outside the run are refused; the default is early, middle, late", () => {
  expect(() => new TraceRecorder(setUp("dense").trainer, [9])).toThrow(/step 9 cannot be traced: .* 1 to 8/);
  expect(defaultTraceSteps(1200)).toEqual([60, 600, 1200]);
  expect(defaultTraceSteps(1)).toEqual([1]);
});

test("a batch with padding is refused", () => {
  const { trainer } = setUp("dense");
  const recorder = new TraceRecorder(trainer, [1]);
  trainer.model.lengths.data[1] = T - 1;
  expect(() => recorder.before()).toThrow(/step 1 cannot be traced: its sequences have different lengths/);
  trainer.model.lengths.data[1] = T;
  expect(() => recorder.before()).not.toThrow();
});

test("bits are counted", () => {
  expect([0, 1, 0xffffffff, 0x80000001, 0xf0f0].map(popcount)).toEqual([0, 1, 32, 2, 8]);
});
