import { describe, expect, test } from "vitest";
import { RandomStream } from "../core/random.ts";
import { jsEngine } from "../kernels/js.ts";
import { Model, type ModelSpec } from "../nn/model.ts";
import { parsePolicy } from "../sparse/policies.ts";
import type { BatchBuffers, BatchCursor, BatchShape, Task } from "../tasks/task.ts";
import type { EndEvent, TrainEvent } from "./events.ts";
import { fidelityProbe } from "./probe.ts";
import { epochDecay, scheduleFactor } from "./schedules.ts";
import { NonFiniteError, Trainer, type TrainerOptions } from "./trainer.ts";
import { Training, train } from "./training.ts";

/** Tokens of a noisy counter: easy to learn, never quite certain. */
function counterTask(): Task {
  const batches = (split: string, { T, B, seed }: BatchShape): BatchCursor => {
    const random = new RandomStream(seed, `data.${split}`);
    let position = 0;
    return {
      T,
      B,
      batchesPerEpoch: 5,
      get position() {
        return position;
      },
      next({ tokens, targets }: BatchBuffers) {
        for (let b = 0; b < B; b++) {
          let token = random.below(6);
          for (let t = 0; t < T; t++) {
            tokens![t * B + b] = token;
            token = random.uniform() < 0.1 ? random.below(6) : (token + 1) % 6;
            targets[t * B + b] = token;
          }
        }
        return position++ % 5 === 0;
      },
      save: () => [position, ...random.save()],
      load: ([p, ...state]) => {
        position = p!;
        random.load(state);
      },
    };
  };
  return {
    name: "counter",
    summary: "a noisy counter",
    input: { kind: "tokens", vocabulary: 6 },
    output: { kind: "classes", size: 6, positions: "all" },
    lossUnit: "nats/token",
    batches,
    scores: ({ lossSum, positions, correct }) => ({
      perplexity: Math.exp(lossSum / positions),
      accuracy: correct / positions,
    }),
  };
}

function setUp(options: Partial<TrainerOptions> = {}, { dropout = 0, patience = 0 } = {}) {
  const task = counterTask();
  const spec: ModelSpec = {
    input: task.input,
    output: task.output,
    cell: "lstm",
    hiddenSize: 8,
    numLayers: 2,
    dropout,
  };
  const model = new Model(jsEngine, spec, { T: 6, B: 4 });
  const trainer = new Trainer(model, {
    policy: parsePolicy("energy:0.99"),
    seed: 1,
    maxSteps: 60,
    learningRate: 0.02,
    ...options,
  });
  const training = new Training(trainer, task, { valCheckInterval: 10, patience, logEverySteps: 7 });
  const weights = () => [...trainer.optimizer.value.data];
  return { model, trainer, training, weights };
}

const last = (events: TrainEvent[]) => events.at(-1) as EndEvent;

test("it learns, reports, and ends with the best weights", () => {
  const { model, training } = setUp();
  const events = [...training.events()];
  const losses = events.flatMap((event) => (event.type === "validation" ? [event.loss] : []));
  const end = last(events);
  expect(losses.at(-1)).toBeLessThan(1.4);
  expect(losses[0]! - losses.at(-1)!).toBeGreaterThan(0.2);
  expect(end.reason).toBe("maxSteps");
  expect(end.validLoss).toBe(Math.min(...losses));
  expect(training.validate().loss).toBe(end.validLoss);
  expect(end.sparsity.sparsity).toBeGreaterThan(0.05);
  expect(end.sites.map(({ site }) => site)).toEqual(["lstm.l0", "lstm.l1"]);
  expect(end.fidelity).toBeGreaterThan(0.9);
  expect(end.fidelity).toBeLessThan(1);
  expect(end.macs.macsSkippedRecurrent).toBeGreaterThan(0);
  expect(model.size).toBe(end.products.length > 0 ? 4 * 8 * (6 + 8 + 2) + 4 * 8 * (8 + 8 + 2) + 6 * 9 : 0);
});

describe("saved at any step and loaded into a new training, it goes on bit for bit", () => {
  for (const optimizer of ["sgd", "rmsprop", "adam", "adamw"] as const)
    for (const policy of ["dense", "energy:0.95", "stochastic:0.9", "every(4)+memory:0.2,paths=dh"])
      test(`${optimizer}, ${policy}, dropout`, () => {
        const options = { optimizer, policy: parsePolicy(policy), momentum: 0.9, maxSteps: 25 };
        const whole = setUp(options, { dropout: 0.2 });
        const wholeEnd = last([...whole.training.events()]);

        const first = setUp(options, { dropout: 0.2 });
        const random = new RandomStream(optimizer.length, policy);
        const stop = 1 + random.below(23);
        const events = first.training.events();
        while (first.trainer.steps < stop) {
          first.training.step();
          if (first.trainer.steps % 10 === 0) first.training.validate();
        }
        const state = first.training.save();
        const values = first.weights();
        void events;

        const second = setUp(options, { dropout: 0.2 });
        second.trainer.optimizer.value.data.set(values);
        second.training.load({ ...state, numbers: JSON.parse(JSON.stringify(state.numbers)) });
        const secondEnd = last([...second.training.events()]);
        expect(second.weights()).toEqual(whole.weights());
        expect(secondEnd.testLoss).toBe(wholeEnd.testLoss);
        expect(secondEnd.sites).toEqual(wholeEnd.sites);
        expect(secondEnd.products).toEqual(wholeEnd.products);
      });
});

test("early stop restores the best weights", () => {
  // a learning rate that ruins a net which has learnt
  const { training, trainer } = setUp({ maxSteps: 4000, learningRate: 0.3, schedule: "constant" }, { patience: 3 });
  const events = [...training.events()];
  const losses = events.flatMap((event) => (event.type === "validation" ? [event.loss] : []));
  expect(last(events).reason).toBe("earlyStop");
  expect(losses.length - 1 - losses.indexOf(Math.min(...losses))).toBe(3);
  expect(trainer.steps).toBeLessThan(4000);
  expect(training.validate().loss).toBe(Math.min(...losses));
});

test("a validation loss that is not finite is a divergence too", () => {
  const { model, training } = setUp();
  training.step();
  model.parameters[0]!.value.data.fill(Number.NaN);
  model.pack();
  expect(() => training.validate()).toThrow(NonFiniteError);
  expect(() => training.validate()).toThrow(/^step 1: the validation loss is NaN\. Try a smaller train\.learningRate/);
});

test("NaN stops training, names layer and step, and leaves the weights as they were", () => {
  const { model, training, weights } = setUp();
  for (let i = 0; i < 3; i++) training.step();
  const poisoned = model.parameters.find(({ name }) => name === "lstm.weight_hh_l1")!;
  poisoned.value.data[5] = Number.NaN;
  model.pack();
  const before = weights();
  let error: unknown;
  try {
    training.step();
  } catch (thrown) {
    error = thrown;
  }
  expect(error).toBeInstanceOf(NonFiniteError);
  expect((error as Error).message).toMatch(
    /^step 4: the loss is NaN.*output of lstm\.l1.*train\.learningRate \(now 0\.02\)/,
  );
  expect(weights()).toEqual(before);
});

test("clipping bounds the global norm as PyTorch does", () => {
  const update = (gradientClipVal: number) => {
    const { trainer, training, weights } = setUp({
      optimizer: "sgd",
      learningRate: 1,
      schedule: "constant",
      gradientClipVal,
    });
    const before = weights();
    training.step();
    const moved = Math.hypot(...weights().map((value, i) => value - before[i]!));
    return { moved, norm: trainer.report.gradientNorm };
  };
  const free = update(0);
  expect(free.moved).toBeCloseTo(free.norm, 5);
  expect(update(free.norm / 4).moved).toBeCloseTo(free.norm / 4, 5);
  expect(update(free.norm * 4).moved).toBeCloseTo(free.norm, 5);
});

test("policies do not change the data: same seed, same batches", () => {
  const batch = (policy: string) => {
    const { model, training } = setUp({ policy: parsePolicy(policy) });
    for (let i = 0; i < 5; i++) training.step();
    return [...model.tokens.data];
  };
  expect(batch("stochastic:0.9")).toEqual(batch("dense"));
});

describe("policies at sites", () => {
  const kinds = (options: Parameters<typeof setUp>[0]) => {
    const { trainer, model, training } = setUp(options);
    for (let i = 0; i < 3; i++) training.step();
    return [...model.sites, ...(trainer.sites.length > model.sites.length ? [model.head.site] : [])].map(
      ({ rule }) => rule.kind,
    );
  };

  test("one for all, others for some, and the head's", () => {
    const [policy, topk, rows] = ["threshold:1e-5", "topk:0.5", "rows:0.5"].map(parsePolicy);
    expect(kinds({ policy: policy! })).toEqual(["threshold", "threshold"]);
    expect(kinds({ policy: policy!, policies: { "lstm.l1": topk! } })).toEqual(["threshold", "topk"]);
    const policies = { "lstm.l0": topk!, "lstm.l1": policy! };
    expect(kinds({ policy: policy!, policies, headPolicy: rows! })).toEqual(["topk", "threshold", "rows"]);
  });

  test("a site that is none is refused, and the sites are named", () => {
    const policies = { "lstm.l2": parsePolicy("dense") };
    expect(() => setUp({ policies })).toThrow(/unknown site "lstm.l2".*The choices are: lstm.l0, lstm.l1/);
  });

  test("the head has no rows of its own to remember", () => {
    const headPolicy = parsePolicy("memory:0.1");
    expect(() => setUp({ headPolicy })).toThrow(/headPolicy memory:0.1 keeps a number for every row.*density:0.1/);
  });

  test("paths of a policy are planned for, and a run on one path trains", () => {
    for (const text of ["topk:0.3,paths=dh", "density:0.3,paths=dW,bias=dense", "memory:0.3,paths=dh"]) {
      const { training, trainer } = setUp({ policy: parsePolicy(text) });
      const first = training.validate().loss;
      for (let i = 0; i < 60; i++) training.step();
      expect(training.validate().loss).toBeLessThan(0.9 * first);
      const byProduct = Object.fromEntries(trainer.model.macs.map((m) => [`${m.layer} ${m.product}`, m]));
      const share = (key: string) => byProduct[key]!.skipped / byProduct[key]!.dense;
      const [dh, dW] = [share("lstm.l1 dh"), share("lstm.l1 dW")];
      expect(text.includes("dh") ? dh : dW).toBeGreaterThan(0.5);
      expect(text.includes("dh") ? dW : dh).toBeLessThan(0.2);
    }
  });
});

test("the probe leaves what a policy remembers as it was", () => {
  const { model, training, trainer } = setUp({ policy: parsePolicy("memory:0.2") });
  for (let i = 0; i < 10; i++) training.step();
  const before = trainer.policyTensors.map(({ data }) => data.slice());
  expect(before.flatMap((data) => [...data]).some((x) => x !== 0)).toBe(true);
  fidelityProbe(model);
  expect(trainer.policyTensors.map(({ data }) => data)).toEqual(before);
});

test("the probe sees cosine 1 under dense, less under a rule, and moves nothing", () => {
  const { model, training, weights } = setUp({ policy: parsePolicy("energy:0.8") });
  for (let i = 0; i < 10; i++) training.step();
  const before = [weights(), model.carried.map((state) => [...state.data])];
  const fidelity = fidelityProbe(model);
  expect([weights(), model.carried.map((state) => [...state.data])]).toEqual(before);
  expect(fidelity.cosine).toBeLessThan(1 - 1e-6);
  expect(fidelity.cosine).toBeGreaterThan(0.8);
  for (const { rule } of model.sites) rule.kind = "keep";
  expect(fidelityProbe(model).cosine).toBeCloseTo(1, 12);
});

test("an aborted signal ends training after the current event", async () => {
  const { training, trainer } = setUp({ maxSteps: 1000 });
  const controller = new AbortController();
  let end: TrainEvent | undefined;
  for await (const event of train(training, controller.signal)) {
    if (event.step >= 14) controller.abort();
    end = event;
  }
  expect(end).toMatchObject({ type: "end", reason: "stopped" });
  expect(trainer.steps).toBeLessThan(40);
});

test("epochDecay keeps the rate for the first epochs, then halves it at the start of each", () => {
  const schedule = epochDecay(10, 4, 0.5); // Zaremba's small net: epochs 1 to 4, then 5 to 13
  const at = (step: number, warmupSteps = 0) => scheduleFactor(schedule, step, 130, warmupSteps);
  expect([0, 39, 40, 49, 50, 129].map((step) => at(step))).toEqual([1, 1, 0.5, 0.5, 0.25, 0.5 ** 9]);
  expect(at(0, 9)).toBeCloseTo(0.1, 12);
  expect(epochDecay(10, 0, 0.5)(0)).toBe(0.5);
});

test("schedules start at 1 and end where they say", () => {
  for (const [name, end] of [
    ["constant", 1],
    ["linear", 0],
    ["cosine", 0],
    ["exponential", 0.001],
    ["step", 0.125],
  ] as const) {
    expect(scheduleFactor(name, 0, 100, 0)).toBe(1);
    expect(scheduleFactor(name, 100, 100, 0)).toBeCloseTo(end, 12);
  }
  expect(scheduleFactor("linear", 0, 100, 9)).toBeCloseTo(0.1, 12);
  expect(scheduleFactor("linear", 9, 100, 9)).toBe(1);
});
