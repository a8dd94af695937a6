/** A trace holds what the step did, and the step does not notice. */
import { describe, expect, test } from "vitest";
import { jsEngine } from "../kernels/js.ts";
import { Model, type ModelSpec } from "../nn/model.ts";
import { LANGUAGE_MODEL, setLengths } from "../nn/testing.ts";
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

/** One traced step over lanes of the given lengths. */
function traceStep(spec: ModelSpec, policy: string, lengths: readonly number[], sources?: readonly number[]) {
  const trainer = new Trainer(new Model(jsEngine, spec, { T: 6, B: 3 }), {
    policy: parsePolicy(policy),
    headPolicy: parsePolicy(policy),
    seed: 1,
    maxSteps: 2,
  });
  const { model } = trainer;
  const source = sources ? model.buffers().source! : undefined;
  for (const tokens of [model.tokens.data, model.head.targets.data, source?.tokens ?? []])
    for (let i = 0; i < tokens.length; i++) tokens[i] = (i * 5 + 1) % 6;
  setLengths(model, [...lengths]);
  source?.lengths.set(sources!);
  const recorder = new TraceRecorder(trainer, [1]);
  recorder.before();
  trainer.step();
  recorder.after();
  return recorder.recorded[0]!;
}

function expectCounted(step: TraceStep): void {
  for (const product of step.products.filter(({ site }) => site !== null))
    expect([product.layer, product.product, (product.m * product.n - kept(product, step)) * product.k]).toEqual([
      product.layer,
      product.product,
      product.skipped,
    ]);
  for (const { name, groups, bitmap, rows, padded, cols } of step.sites) {
    expect([name, countBits(bitmap)]).toEqual([name, groups.reduce((sum, group) => sum + group.kept, 0)]);
    const total = groups.reduce((sum, group) => sum + group.total, 0);
    // Scores past the end of a lane's source are padding in columns.
    if (name !== "attention.scores") expect([name, total]).toEqual([name, (rows - padded) * cols]);
  }
}

describe("padding is rows of zeros", () => {
  test.each(["dense", "energy:0.8", "energy:0.8,paths=dW"])("%s: both directions, lanes of 6, 2 and 5", (policy) => {
    const spec = { ...LANGUAGE_MODEL, bidirectional: true, numLayers: 2 };
    const step = traceStep(spec, policy, [6, 2, 5]);
    expectCounted(step);
    const site = step.sites.find(({ name }) => name === "lstm.l1.reverse")!;
    expect([site.rows, site.padded]).toEqual([18, 5]);
    for (const { layer, product, m } of step.products)
      expect([layer, product, m]).toEqual([layer, product, product === "dh" ? 15 : 18]);
  });

  const TRANSLATOR: ModelSpec = {
    input: { kind: "tokens", vocabulary: 7, embedding: 4 },
    source: { kind: "tokens", vocabulary: 6, embedding: 3, length: 40 },
    cell: "lstm",
    hiddenSize: 8,
    numLayers: 2,
    bidirectional: true,
    attention: "general",
    output: { kind: "classes", size: 7, positions: "all" },
  };
  test.each([
    ["lstm, general", "energy:0.8", {}],
    ["natural zeros", "dense", {}],
    ["gru, dot", "energy:0.8", { cell: "gru", attention: "dot", bidirectional: false }],
    ["no attention", "stochastic:0.9", { attention: "none" }],
  ] as const)("an encoder and a decoder: %s", (_name, policy, spec) => {
    const step = traceStep({ ...TRANSLATOR, ...spec }, policy, [4, 1, 5], [2, 11, 3]);
    expectCounted(step);
    const decoder = `decoder.${"cell" in spec ? spec.cell : "lstm"}.l0`;
    const encoder = decoder.replace("decoder", "encoder");
    const of = (layer: string, product: string) =>
      step.products.find((each) => each.layer === layer && each.product === product);
    // As long as the longest source, and the longest target; the states' gradients are handed on at both ends.
    expect(of(encoder, "hU")).toMatchObject({ m: 33, block: 3 });
    expect(of(encoder, "dh")).toMatchObject({ m: 33, firstRow: 0, site: encoder });
    expect(of(decoder, "dU")).toMatchObject({ m: 15, n: "cell" in spec ? 24 : 32, k: 8 });
    const attends = !("attention" in spec && spec.attention === "none");
    const scores = step.products.filter(({ layer }) => layer === "attention.scores");
    expect(scores.map(({ product, form, site }) => `${product} ${form} ${site}`)).toEqual(
      attends
        ? [
            "scores NT null",
            "context NN null",
            "dShares NT null",
            "dMemory TN null",
            "dx NN attention.scores",
            "dW TN attention.scores",
          ]
        : [],
    );
    for (const product of scores) expect(product).toMatchObject({ m: 15, n: 11, k: 8 });
    expect(step.pointwise.map(({ layer, rows, width }) => [layer, rows, width])).toEqual(
      expect.arrayContaining([
        [decoder, 15, 8],
        ["head", 15, 7],
        ...(attends ? [["attention.scores", 15, 11]] : []),
        [encoder, 33, "bidirectional" in spec ? 8 : 4],
      ]),
    );
  });
});

test("bits are counted", () => {
  expect([0, 1, 0xffffffff, 0x80000001, 0xf0f0].map(popcount)).toEqual([0, 1, 32, 2, 8]);
});
