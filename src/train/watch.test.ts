import { describe, expect, test } from "vitest";
import { Arena } from "../core/arena.ts";
import { RandomStream } from "../core/random.ts";
import { jsEngine } from "../kernels/js.ts";
import { Model } from "../nn/model.ts";
import { fillBatch, LANGUAGE_MODEL } from "../nn/testing.ts";
import { parsePolicy } from "../sparse/policies.ts";
import type { GradientWatch, Policy, SitePolicy } from "../sparse/policy.ts";
import { Trainer } from "./trainer.ts";

/** Drops by a threshold, and asks for a probe at the steps given. */
class Prober implements SitePolicy {
  readonly watch: GradientWatch;
  readonly samples: number[][] = [];
  readonly compared: { step: number; sparse: number[]; dense: number[] }[] = [];

  constructor(steps: readonly number[]) {
    const sample = new Float64Array(40);
    this.watch = {
      sample,
      learn: () => this.samples.push([...sample]),
      probes: (step) => steps.includes(step),
      compare: (step, dense) => this.compared.push({ step, sparse: [...sample], dense: [...dense] }),
    };
  }

  plan(_: number, out: Parameters<SitePolicy["plan"]>[1]): void {
    out.kind = "threshold";
    out.tau.fill(1e-3);
  }
  learn(): void {}
  save(): number[] {
    return [];
  }
  load(): void {}
}

function setUp(policy: Policy) {
  const model = new Model(jsEngine, { ...LANGUAGE_MODEL, numLayers: 2 }, { T: 6, B: 4 });
  const trainer = new Trainer(model, { policy, seed: 3, maxSteps: 100, learningRate: 0.01, schedule: "constant" });
  const random = new RandomStream(5, "batch");
  fillBatch(model, random);
  return { model, trainer };
}

function probing(steps: readonly number[]) {
  const sites: Prober[] = [];
  const policy: Policy = {
    name: "prober",
    start() {
      const site = new Prober(steps);
      sites.push(site);
      return site;
    },
  };
  return { ...setUp(policy), sites };
}

const weightsOf = (trainer: Trainer) => [...trainer.optimizer.value.data];
const carriedOf = (model: Model) => model.carried.map(({ data }) => [...data]);

describe("a probe", () => {
  test("its step is the dense one: same loss, weights and carried states", () => {
    const [probe, dense] = [probing([0]), setUp(parsePolicy("dense"))];
    expect(probe.trainer.step().loss).toBe(dense.trainer.step().loss);
    expect(weightsOf(probe.trainer)).toEqual(weightsOf(dense.trainer));
    expect(carriedOf(probe.model)).toEqual(carriedOf(dense.model));
  });

  test("without one the step is that of the rules", () => {
    const [probe, dense, sparse] = [probing([]), setUp(parsePolicy("dense")), setUp(parsePolicy("threshold:1e-3"))];
    for (const { trainer } of [probe, dense, sparse]) trainer.step();
    expect(weightsOf(probe.trainer)).toEqual(weightsOf(sparse.trainer));
    expect(weightsOf(probe.trainer)).not.toEqual(weightsOf(dense.trainer));
    expect(probe.sites[0]?.compared).toEqual([]);
  });

  test("compares the gradient under the rules with the dense one, entry by entry", () => {
    const { trainer, sites } = probing([1]);
    trainer.step();
    trainer.step();
    const [{ sparse, dense } = { sparse: [], dense: [] }] = sites[0]?.compared ?? [];
    expect(sparse).toHaveLength(40);
    expect(sparse).not.toEqual(dense);
    // The step after learns from the dense entries, which are those of the gradient it used.
    expect(sites[0]?.samples[1]).toEqual(dense);
    const gradients = trainer.sites[0]!.weights.map(({ gradient }) => new Set(gradient.data));
    for (const [i, value] of dense.entries()) expect(gradients[i % 2]?.has(value)).toBe(true);
  });

  test("executes both passes and says so", () => {
    const [probe, sparse] = [probing([0]), probing([])];
    probe.trainer.step();
    sparse.trainer.step();
    const executed = ({ model }: { model: Model }) => model.macs.reduce((sum, product) => sum + product.executed, 0);
    const dense = ({ model }: { model: Model }) => model.macs.reduce((sum, product) => sum + product.dense, 0);
    expect(executed(probe)).toBe(executed(sparse) + dense(sparse));
    expect(dense(probe)).toBe(dense(sparse));
  });
});

test("a watcher sees the pass that the step uses, once", () => {
  const [probe, dense] = [probing([0]), setUp(parsePolicy("dense"))];
  const seenBy = ({ model, trainer }: { model: Model; trainer: Trainer }) => {
    const seen: number[] = [];
    model.pass.watcher = {
      beforeBackward: () => {},
      afterSweep: ({ statistics }, t) => seen.push(t, ...statistics.sums.data),
    };
    trainer.step();
    return seen;
  };
  expect(seenBy(probe)).toEqual(seenBy(dense));
});

describe("auto", () => {
  const SITE = { name: "s", groups: ["a"], rows: 8, cols: 4, weights: 2 };

  /** Feeds noise of variance 1 an entry, then probes whose error has variance `error(budget)`. */
  function steer(limit: number, error: (budget: number) => number, probes: number) {
    const policy = parsePolicy(`auto:${limit}`).start({ site: SITE, seed: 1, maxSteps: 1000, arena: new Arena("f32") });
    const random = new RandomStream(9, "noise");
    const watch = policy.watch as GradientWatch;
    const { sample } = watch;
    const dense = new Float64Array(sample.length);
    const budget = () => policy.save()[1] as number;
    for (let step = 0; step < 200; step++) {
      for (let i = 0; i < sample.length; i++) sample[i] = random.normal();
      watch.learn();
    }
    for (let probe = 0; probe < probes; probe++) {
      for (let i = 0; i < sample.length; i++) {
        dense[i] = random.normal();
        sample[i] = dense[i]! + Math.sqrt(error(budget())) * random.normal();
      }
      watch.compare(probe, dense);
      sample.set(dense);
      watch.learn();
    }
    return { policy, budget: budget() };
  }

  test("steers to the limit: with error = budget, the budget becomes the limit", () => {
    for (const limit of [0.01, 0.05]) expect(steer(limit, (budget) => budget, 40).budget / limit).toBeCloseTo(1, 0);
  });

  test("keeps within its bounds where dropping costs nothing, or everything", () => {
    expect(steer(0.05, () => 1e-12, 40).budget).toBe(0.2);
    expect(steer(0.05, () => 1e3, 60).budget).toBe(1e-5);
  });

  test("says what it measured", () => {
    expect(steer(0.05, (budget) => budget, 40).policy.explain?.()).toMatch(/adds \d[\d.]* % of a batch's own noise/);
  });
});
