import { describe, expect, test } from "vitest";
import { loadEngine } from "../kernels/engines.ts";
import { parseConfig, type RunConfig } from "../runs/config.ts";
import { makeModel, makeTask } from "../runs/parts.ts";
import { parsePolicy } from "../sparse/policies.ts";
import { evaluate } from "../train/evaluate.ts";
import { Trainer } from "../train/trainer.ts";
import { type Advice, type AdviseOptions, advise } from "./advise.ts";
import { Arms, DENSE } from "./arms.ts";
import { type Branch, Miniature } from "./miniature.ts";
import { ConstantPrediction } from "./plateau.ts";

const TEXT = Array.from({ length: 700 }, (_, i) => `${["whale", "sea", "ship", "old"][(i * i) % 4]} ${i % 3} `).join(
  "",
);
const engine = await loadEngine("js");

const configOf = (settings: Record<string, unknown> = {}): RunConfig =>
  parseConfig({
    task: { text: "made up" },
    model: { hiddenSize: 8, embedding: 6 },
    train: { batchSize: 4, sequenceLength: 8, learningRate: 0.01, maxSteps: 400 },
    ...settings,
  });
const taskOf = (config: RunConfig) => makeTask(config, { text: { text: TEXT, name: "made up", path: "", sha256: "" } });

function end<T>(steps: Generator<unknown, T>): T {
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value as T;
  }
}

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

describe("a training in small", () => {
  const config = configOf();
  const task = taskOf(config);
  const arm = (policy: string) => ({ policy, headPolicy: "dense" });

  test("a branch from the start is a training with the arm's policy, bit for bit; so is one of another seed after it", () => {
    const miniature = new Miniature(config, task, engine, [arm("stochastic:0.9"), arm("energy:0.8")]);
    for (const seed of [1, 5]) {
      miniature.begin(seed);
      const zero = miniature.place();
      const { losses } = end(miniature.branch(1, zero, { from: 10, to: 30 }));

      const trainer = new Trainer(makeModel(config, task, engine, 8, 4), {
        learningRate: 0.01,
        policy: parsePolicy("energy:0.8"),
        seed,
        maxSteps: 1000,
        schedule: (step) => (step < 10 ? 1 : (30 - step) / 20),
      });
      const cursor = task.batches("train", { T: 8, B: 4, seed });
      for (let step = 0; step < 30; step++) {
        if (cursor.next(trainer.model.buffers())) trainer.model.resetCarried();
        trainer.step();
      }
      expect(mean(losses)).toBe(evaluate(trainer.model, task, "valid", seed).loss);
    }
  });

  test("branches do not see each other: the same arm twice gives the same bits, auto and its memory of noise too", () => {
    const miniature = new Miniature(config, task, engine, [arm("auto"), arm("density:0.2")]);
    miniature.begin(1);
    for (let step = 0; step < 12; step++) miniature.trunkStep();
    const late = miniature.place();
    const play = (of: number) => end<Branch>(miniature.branch(of, late, { from: 12, to: 40 }));
    const [first, dense] = [play(0), play(DENSE)];
    play(1);
    const again = play(0);
    expect(again.losses).toEqual(first.losses);
    expect(again.sparsity).toEqual(first.sparsity);
    expect(again.fidelity).toEqual(first.fidelity);
    expect(first.losses).not.toEqual(dense.losses);
    expect(dense.sparsity.dropped).toBe(0);
  });

  test("fidelity: dropping nothing is the dense gradient, dropping nearly all is mostly bias", () => {
    const miniature = new Miniature(config, task, engine, [arm("density:1"), arm("density:0.02"), arm("random:0.5")]);
    miniature.begin(1);
    for (let step = 0; step < 10; step++) miniature.trunkStep();
    const late = miniature.place();
    const [all, few, random] = [0, 1, 2].map((of) => end(miniature.branch(of, late, { from: 10, to: 16 })).fidelity);
    expect(all).toEqual({ cosine: expect.closeTo(1, 6), bias: 0, noise: 0 });

    expect(few?.bias).toBeGreaterThan(0.5);
    expect(few?.cosine).toBeLessThan(0.95);
    // Unbiased, whatever one batch looks like.
    expect(random?.bias).toBeLessThan((few?.bias as number) / 2);
    expect(random?.noise).toBeGreaterThan(1);
  });

  test("policies that a model must be built for are refused", () => {
    expect(() => new Arms([arm("energy:0.9,paths=dW")])).toThrow(/one path alone.*gatesieve sweep/);
    expect(() => new Miniature(config, task, engine, [arm("memory:0.1")])).toThrow(/every gate gradient.*sweep/);
  });
});

describe("the plateau", () => {
  test("classes: the entropy of what occurs; left at a tenth below it, by the mean of ten losses", () => {
    const constant = new ConstantPrediction({ kind: "classes", size: 5, positions: "all" });
    for (let step = 0; step < 9; step++) constant.add([0, 1, 0, 1], 0.1);
    expect(constant.loss).toBeCloseTo(Math.LN2, 12);
    expect(constant.isBeaten).toBe(false); // not ten yet
    constant.add([0, 1], 10 * 0.88 * Math.LN2 - 0.9);
    expect(constant.isBeaten).toBe(true);
    constant.add([0, 1], 0.1 + 10 * 0.03 * Math.LN2);
    expect(constant.isBeaten).toBe(false);
  });
  test("values: their variance", () => {
    const constant = new ConstantPrediction({ kind: "values", size: 1, positions: "last" });
    constant.add([1, 3], 1);
    expect(constant.loss).toBe(1);
  });
});

describe("advise", () => {
  const ask = (options: Partial<AdviseOptions>): Advice => {
    const config = options.config ?? configOf();
    const task = taskOf(config);
    const policies = ["energy:0.999", "density:0.02"];
    return end(advise({ config, task, engine, maxSteps: 400, policies, maxLoss: 0.05, seconds: 3, ...options }));
  };

  test("tells a harmless policy from a harmful one, gives both their shares, and tries the harmful one after a dense start", () => {
    const advice = ask({});
    const { rows, trunkSteps, smallSteps, seeds } = advice;
    expect(trunkSteps % 10).toBe(0);
    expect(smallSteps).toBeGreaterThanOrEqual(trunkSteps + 40);
    expect(smallSteps).toBeLessThanOrEqual(400);
    const names = rows.map(({ policy }) => policy);
    expect(names).toContain("energy:0.999");
    expect(names).toContain(`warmup(${trunkSteps})+density:0.02`);
    for (const name of names) expect(() => parsePolicy(name)).not.toThrow();
    const [mild, harsh] = ["energy:0.999", "density:0.02"].map((name) => rows.find(({ policy }) => policy === name));
    expect(harsh?.verdict).toBe("beyond");
    expect(harsh?.predicted.mean).toBeGreaterThan(mild?.predicted.mean as number);
    expect(harsh?.zeros).toBeGreaterThan(0.9);
    expect(harsh?.seeds).toBe(1); // no time is spent on it again
    expect(seeds).toBeGreaterThanOrEqual(1);
    for (const { zeros, naturalZeros, macsSkippedAll, macsSkippedRecurrent } of rows) {
      expect(naturalZeros).toBeLessThanOrEqual(zeros);
      expect(macsSkippedAll).toBeLessThan(macsSkippedRecurrent); // the head drops nothing
    }
  });

  test("a net that learns nothing is told to be on its plateau", () => {
    const config = configOf({ train: { batchSize: 4, sequenceLength: 8, learningRate: 1e-9, maxSteps: 60 } });
    expect(ask({ config, maxSteps: 60 })).toMatchObject({ reason: "plateau", recommended: null, rows: [] });
  });

  test("refuses nonsense", () => {
    expect(() => ask({ policies: [] })).toThrow(/no policies/);
    expect(() => ask({ maxLoss: 0 })).toThrow(/share such as 0.005/);
    expect(() => ask({ policies: ["enrgy:0.9"] })).toThrow(/did you mean "energy"/);
  });
});
