/** Every engine against PyTorch: forward, loss, every gradient, states, and ten steps of every optimizer. */
import { beforeAll, describe, expect, test } from "vitest";
import type { Tensor } from "../../src/core/arena.ts";
import { loadEngine } from "../../src/kernels/engines.ts";
import type { Engine } from "../../src/kernels/kernels.ts";
import { Model, type ModelSpec } from "../../src/nn/model.ts";
import { hasNativeAddon } from "../../src/runs/native-addon.ts";
import { parsePolicy } from "../../src/sparse/policies.ts";
import { Trainer } from "../../src/train/trainer.ts";
import {
  GOLDEN_NAMES,
  type Golden,
  type GoldenArrays,
  type GoldenBatch,
  type GoldenCase,
  type GoldenRun,
  loadGolden,
} from "./load.ts";

type Real = "f32" | "f64";
type Numbers = ArrayLike<number>;

/** Largest errors allowed, relative; of one tensor: `largest` max|a-b| / max|b|, `norm` |a-b| / |b|. */
interface Tolerance {
  readonly engine: string;
  readonly real: Real;
  readonly pass: { readonly loss: number; readonly largest: number };
  readonly run: { readonly loss: number; readonly largest: number; readonly norm: number };
}

const DOUBLE = { pass: { loss: 1e-9, largest: 1e-9 }, run: { loss: 1e-9, largest: 1e-9, norm: 1e-9 } };
// Norm-wise after ten updates: Adam and RMSprop divide by the size of a gradient, rounding of small ones included.
// A forgotten weight decay of AdamW would show as 2e-4.
const SINGLE = {
  pass: { loss: 1e-5, largest: 1e-5 },
  run: { loss: 1e-5, largest: Number.POSITIVE_INFINITY, norm: 2e-5 },
};
const TOLERANCES: readonly Tolerance[] = [
  { engine: "js", real: "f64", ...DOUBLE },
  { engine: "js", real: "f32", ...SINGLE },
  { engine: "wasm", real: "f32", ...SINGLE },
  ...(hasNativeAddon() ? [{ engine: "native", real: "f32", ...SINGLE } as const] : []),
];

/**
 * Runs that multiply roundings of float32, and the loss's relative error allowed. Plain SGD without clipping on a tanh net:
 * fourfold a step, as that loss grows; after ten of them js is off by 1.5e-6, native by 4.9e-6, wasm by 1.02e-5. With
 * clipping or another optimizer the same net stays below 5e-7.
 */
const GROWING: Readonly<Record<string, number>> = { "rnn-lengths, sgd": 2e-5 };

describe.each(TOLERANCES)("$engine in $real agrees with PyTorch", ({ engine: engineName, real, pass, run }) => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await loadEngine(engineName);
  });

  describe.each(GOLDEN_NAMES.map(loadGolden))("$case.name", (golden) => {
    // threshold:0 drops nothing, but takes the way of compressed gate gradients.
    test.each(["dense", "threshold:0"])("forward and backward of two batches, %s", (policy) => {
      const model = newModel(engine, golden, real);
      model.initialize(0);
      for (const { site, rule } of model.sites)
        parsePolicy(policy).start({ site, seed: 0, maxSteps: 1, arena: model.arena }).plan(0, rule);
      setParameters(model, golden.parameters);
      setStates(model, golden.passes[0]!.initialStates);
      for (const [index, expected] of golden.passes.entries()) {
        const where = `batch ${index + 1}`;
        if (!carries(golden.case)) model.resetCarried();
        fill(model, golden, golden.batches[index]!);
        model.clearGradients();
        const start = model.carried.map(({ data }) => data.slice());
        const outputs = new Float64Array(expected.outputs.data.length);
        model.head.outputs(model.forward(model.pass), model.pass, outputs);
        for (const [s, { data }] of model.carried.entries()) data.set(start[s]!);
        const loss = model.lossAndGradient(model.pass);

        const there = counted(golden);
        expectClose(`${where}: outputs`, there(outputs), there(expected.outputs.data), pass.largest);
        expectClose(`${where}: loss`, [loss], [expected.loss], pass.loss);
        expectAllClose(`${where}: final states`, states(model), expected.finalStates, pass.largest);
        expectAllClose(`${where}: gradients`, gradients(model), expected.gradients, pass.largest);
      }
    });

    test.each(golden.runs)("ten steps of $name", (expected) => {
      const growing = GROWING[`${golden.case.name}, ${expected.name}`] ?? 0;
      const lossError = real === "f32" ? Math.max(run.loss, growing) : run.loss;
      const model = newModel(engine, golden, real);
      const trainer = newTrainer(model, golden, expected);
      const losses: number[] = [];
      const norms: number[] = [];
      for (const batch of golden.batches) {
        if (!carries(golden.case)) model.resetCarried();
        fill(model, golden, batch);
        const report = trainer.step();
        losses.push(report.loss);
        norms.push(report.gradientNorm);
      }

      for (const [step, loss] of expected.losses.entries())
        expectClose(`step ${step + 1}: loss`, [losses[step]!], [loss], lossError);
      expectClose("gradient norms", norms, expected.gradientNorms, Math.min(run.largest, run.norm));
      expectAllClose("parameters", values(model), expected.parameters, run.largest, run.norm);
    });
  });
});

function newModel(engine: Engine, golden: Golden, real: Real): Model {
  const [T] = golden.batches[0]!.inputs.shape as [number];
  return new Model(engine, specOf(golden.case), { T, B: golden.case.batch, real });
}

function specOf({
  net,
  heads: numHeads,
  feedforward: dimFeedforward,
  activation,
  cell = "lstm",
  bidirectional = false,
  residual = false,
  layerNorm = false,
  attention,
  source,
  input,
  vocabulary = 0,
  embedding,
  features = 0,
  hidden,
  layers,
}: GoldenCase): ModelSpec {
  const size = { hiddenSize: hidden, numLayers: layers } as const;
  const own = { net, numHeads, dimFeedforward, activation };
  const shared = net ? { ...own, ...size } : ({ cell, bidirectional, residual, layerNorm, ...size } as const);
  if (input === "features")
    return {
      ...shared,
      input: { kind: "features", size: features },
      output: { kind: "values", size: 1, positions: "last" },
    };
  return {
    ...shared,
    input: { kind: "tokens", vocabulary, embedding },
    ...(source && { source: { kind: "tokens", ...source }, attention }),
    output: { kind: "classes", size: vocabulary, positions: "all" },
  };
}

/** Language models carry their states, if any, from batch to batch; the adding problem starts each from zero. */
function carries({ input }: GoldenCase): boolean {
  return input !== "features";
}

function newTrainer(model: Model, golden: Golden, { clip, ...options }: GoldenRun): Trainer {
  const trainer = new Trainer(model, {
    ...options,
    gradientClipVal: clip,
    schedule: "constant",
    maxSteps: golden.batches.length,
    policy: parsePolicy("dense"),
    seed: 0,
  });
  setParameters(model, golden.parameters);
  return trainer;
}

function setParameters(model: Model, parameters: GoldenArrays): void {
  expect(Object.fromEntries(model.parameters.map(({ name, value }) => [name, value.shape]))).toEqual(
    Object.fromEntries(Object.entries(parameters).map(([name, { shape }]) => [name, shape])),
  );
  for (const { name, value } of model.parameters) value.data.set(parameters[name]!.data);
  model.pack();
}

function setStates(model: Model, initial: GoldenArrays): void {
  for (const [name, tensor] of Object.entries(stateTensors(model))) tensor.data.set(initial[name]!.data);
}

/** Outputs of positions that are there. */
function counted({ case: { lengths, batch: B, input, vocabulary: V = 1 } }: Golden): (outputs: Numbers) => number[] {
  const isThere = (position: number) =>
    !lengths || input === "features" || Math.floor(position / B) < (lengths[position % B] as number);
  return (outputs) => Array.from(outputs).filter((_, i) => isThere(Math.floor(i / V)));
}

function fill(model: Model, { case: { lengths, source } }: Golden, { inputs, sources, targets }: GoldenBatch): void {
  const buffers = model.buffers();
  if (sources) buffers.source?.tokens?.set(sources.data);
  if (source) buffers.source?.lengths.set(source.lengths);
  if (lengths) buffers.lengths.set(lengths);
  (buffers.tokens ?? buffers.features!).set(inputs.data);
  buffers.targets.set(targets.data);
}

/** h_0, c_0, h_1, ...; a cell without c has h alone. */
function stateTensors(model: Model): Record<string, Tensor> {
  if (model.encoderDecoder) return {}; // a pass begins where the encoder ends
  return Object.fromEntries(
    model.recurrent.flatMap(({ carried }, layer) => carried.map((state, s) => [`${"hc"[s]}_${layer}`, state])),
  );
}

function states(model: Model): Record<string, Numbers> {
  return Object.fromEntries(Object.entries(stateTensors(model)).map(([name, { data }]) => [name, data]));
}

function gradients(model: Model): Record<string, Numbers> {
  return Object.fromEntries(model.parameters.map(({ name, gradient }) => [name, gradient.data]));
}

function values(model: Model): Record<string, Numbers> {
  return Object.fromEntries(model.parameters.map(({ name, value }) => [name, value.data]));
}

function expectAllClose(
  what: string,
  actual: Readonly<Record<string, Numbers>>,
  expected: GoldenArrays,
  largest: number,
  norm?: number,
): void {
  expect(Object.keys(actual).sort(), what).toEqual(Object.keys(expected).sort());
  for (const [name, { data }] of Object.entries(expected))
    expectClose(`${what}: ${name}`, actual[name]!, data, largest, norm);
}

function expectClose(
  what: string,
  actual: Numbers,
  expected: Numbers,
  largest: number,
  norm = Number.POSITIVE_INFINITY,
) {
  expect(actual.length, what).toBe(expected.length);
  let [maxDifference, maxExpected, squaredDifference, squaredExpected] = [0, 0, 0, 0];
  for (let i = 0; i < expected.length; i++) {
    const difference = Math.abs(actual[i]! - expected[i]!);
    maxDifference = Math.max(maxDifference, difference); // NaN stays NaN, and fails
    maxExpected = Math.max(maxExpected, Math.abs(expected[i]!));
    squaredDifference += difference ** 2;
    squaredExpected += expected[i]! ** 2;
  }
  expect(maxExpected, `${what}: the golden is not all zero`).toBeGreaterThan(0);
  expect(maxDifference / maxExpected, `${what}: max|a-b| / max|b|`).toBeLessThanOrEqual(largest);
  expect(Math.sqrt(squaredDifference / squaredExpected), `${what}: |a-b| / |b|`).toBeLessThanOrEqual(norm);
}
