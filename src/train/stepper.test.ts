import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, test } from "vitest";
import { UsageError } from "../core/check.ts";
import { RandomStream } from "../core/random.ts";
import { loadEngine } from "../kernels/engines.ts";
import type { Engine } from "../kernels/kernels.ts";
import { cells } from "../nn/cells.ts";
import { Model, type ModelSpec } from "../nn/model.ts";
import { filledModel } from "../nn/testing.ts";
import { hasNativeAddon } from "../runs/native-addon.ts";
import { parsePolicy } from "../sparse/policies.ts";
import { Stepper } from "./stepper.ts";
import { Trainer } from "./trainer.ts";

const names = ["js", "wasm", ...(hasNativeAddon() ? ["native"] : [])];
const engines: [string, Engine][] = await Promise.all(names.map(async (name) => [name, await loadEngine(name)]));

const tokens: ModelSpec = {
  input: { kind: "tokens", vocabulary: 9, embedding: 6 },
  cell: "lstm",
  hiddenSize: 13,
  numLayers: 2,
  dropout: 0.3,
  output: { kind: "classes", size: 9, positions: "all" },
};
const features: ModelSpec = { ...tokens, input: { kind: "features", size: 3 } };
const [T, B] = [7, 5];

/** The model's outputs for the batch in its buffers, from its carried states: (T, B, size). */
function wholeForward(model: Model): Float32Array {
  const outputs = new Float32Array(T * B * model.spec.output.size);
  const pass = { ...model.pass, training: false };
  model.head.outputs(model.forward(pass), pass, outputs);
  return outputs;
}

describe.each(engines)("%s", (_name, engine) => {
  const specs = [
    ...Object.keys(cells).map((cell) => ({ ...features, cell }) as ModelSpec),
    tokens,
    { ...tokens, input: { kind: "tokens", vocabulary: 9 } } as ModelSpec, // one-hot
  ];
  test.each(specs)("$cell of $input.kind: steps have the bits of the whole sequence, from any states", (spec) => {
    const model = filledModel(engine, spec, { T, B });
    const stepper = new Stepper(model, { batchSize: B });
    stepper.states = Object.fromEntries(model.carried.map(({ name, data }) => [name.replace(/0$/, ""), data.slice()]));
    const before = model.carried.map(({ data }) => data.slice());
    const inputs = (spec.input.kind === "tokens" ? model.tokens : model.features).data.slice();
    const size = inputs.length / T;
    const whole = wholeForward(model);
    const ended = model.carried.map(({ data }) => data.slice());
    for (const [s, { data }] of model.carried.entries()) data.set(before[s] as Float32Array);
    for (let t = 0; t < T; t++) {
      stepper.input.set(inputs.subarray(t * size, (t + 1) * size));
      expect(stepper.step()).toEqual(whole.subarray((t * whole.length) / T, ((t + 1) * whole.length) / T));
    }
    expect(Object.values(stepper.states)).toEqual(ended);
    expect(model.carried.map(({ data }) => data)).toEqual(before); // a training's states are left alone
  });

  test("any number of streams: more than the model's lanes go by turns, with the same bits", () => {
    const model = filledModel(engine, features, { T, B });
    const many = new Stepper(model, { batchSize: 2 * B + 3 });
    const alone = new Stepper(model);
    const random = new RandomStream(1, "streams");
    const inputs = Array.from({ length: 4 }, () => many.input.map(() => random.normal()));
    const last = inputs.map((input) => {
      many.input.set(input);
      return many.step().slice();
    });
    for (const stream of [0, B, 2 * B + 2]) {
      alone.reset();
      for (const [t, input] of inputs.entries()) {
        alone.input.set(input.subarray(stream * 3, (stream + 1) * 3));
        expect(alone.step()).toEqual(last[t]?.subarray(stream * 9, (stream + 1) * 9));
      }
    }
  });
});

test("a training goes on to the same bits, whether somebody steps in between or not", async () => {
  const weights = [false, true].map((steps) => {
    const model = new Model(engines[1]![1], features, { T, B });
    const trainer = new Trainer(model, { policy: parsePolicy("stochastic:0.98"), seed: 1, maxSteps: 4 });
    const stepper = new Stepper(model, { batchSize: 2 });
    const random = new RandomStream(2, "batches");
    while (trainer.steps < 4) {
      for (let i = 0; i < model.features.length; i++) model.features.data[i] = random.normal();
      trainer.step();
      if (steps) stepper.step();
    }
    return trainer.optimizer.value.data.slice();
  });
  expect(weights[0]).toEqual(weights[1]);
});

test("reset begins one stream anew and leaves the others", () => {
  const stepper = new Stepper(filledModel(engines[0]![1], features, { T, B }), { batchSize: 2 });
  stepper.input.fill(0.5);
  const first = stepper.step().slice();
  const second = stepper.step().slice();
  stepper.reset();
  stepper.step();
  stepper.reset(1);
  expect([...stepper.step()]).toEqual([...second.subarray(0, 9), ...first.subarray(9)]);
});

test("what is wrong is said", () => {
  const model = filledModel(engines[0]![1], tokens, { T, B });
  const stepper = new Stepper(model, { batchSize: 2 });
  const said = (wrong: () => void) => {
    try {
      wrong();
    } catch (error) {
      expect(error).toBeInstanceOf(UsageError);
      return (error as Error).message;
    }
    return "nothing";
  };
  stepper.input[1] = 9;
  expect(said(() => stepper.step())).toBe("input[1] is 9, expected a token from 0 to 8.");
  expect(said(() => stepper.reset(2))).toBe("stream 2 is none of this stepper's, 0 to 1.");
  expect(said(() => new Stepper(model, { batchSize: 0 }))).toBe("batchSize is 0; give a whole number of at least 1.");
  expect(said(() => Object.assign(stepper, { states: {} }))).toMatch(/"lstm.l0.h" has no values, expected 26/);
  const { "lstm.l1.c": c, ...others } = stepper.states;
  expect(said(() => Object.assign(stepper, { states: { ...others, "lstm.l1.c": c, x: c } }))).toMatch(/has no "x"/);
  const real = new Stepper(filledModel(engines[0]![1], features, { T, B }));
  real.input[2] = Number.NaN;
  expect(said(() => real.step())).toBe("input[2] is NaN, expected a finite number.");
  const both = filledModel(engines[0]![1], { ...features, bidirectional: true }, { T, B });
  expect(said(() => new Stepper(both))).toMatch(/^a bidirectional net/);
});

test("a step keeps nothing and leaves next to nothing behind", () => {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  const used = () => process.memoryUsage().heapUsed + process.memoryUsage().external;
  const stepper = new Stepper(filledModel(engines[1]![1], features, { T, B }), { batchSize: 2 * B });
  const bytesPerStep = (spoil: () => void) => {
    const run = (steps: number) => {
      for (let i = 0; i < steps; i++) {
        stepper.step();
        spoil();
      }
    };
    run(3000); // compiled by now
    collect();
    const parts = Array.from({ length: 9 }, () => {
      const before = used();
      run(100);
      return (used() - before) / 100;
    });
    return parts.sort((a, b) => a - b)[4] as number; // the median: a collection makes one negative
  };
  const bound = 2048; // of two passes through two layers: boxed numbers around the kernels, as in bench/heap.mjs
  expect(bytesPerStep(() => {})).toBeLessThan(bound);
  expect(bytesPerStep(() => new Float64Array(500))).toBeGreaterThan(bound);
});
