/** Telemetry sees what is there, and changes nothing of it. */
import { describe, expect, test } from "vitest";
import { jsEngine } from "../kernels/js.ts";
import type { CellStep } from "../kernels/kernels.ts";
import { Model, type ModelSpec } from "../nn/model.ts";
import { filledModel, LANGUAGE_MODEL } from "../nn/testing.ts";
import { countRows } from "../sparse/pattern.ts";
import { parsePolicy } from "../sparse/policies.ts";
import { createTask } from "../tasks/tasks.ts";
import { ACTIVATION_BINS, ActivationTally } from "./activations.ts";
import type { TelemetryEvent, TrainEvent } from "./events.ts";
import { fidelityProbe } from "./probe.ts";
import { CURVE_SPARSITIES, TIME_BANDS } from "./telemetry.ts";
import { Trainer, type TrainerOptions } from "./trainer.ts";
import { Training, type TrainingOptions } from "./training.ts";

const [H, T, B] = [6, 16, 3];
const task = createTask("delay", { delay: 2 });
const NO_WATCH = { valCheckInterval: 20, patience: 0, logEverySteps: 5 };
const WATCH = { ...NO_WATCH, telemetryEverySteps: 4, probeEverySteps: 6 };

function setUp(
  policy: string,
  options: TrainingOptions = WATCH,
  { recompute = 0, ...spec }: Partial<ModelSpec> & { recompute?: number } = {},
  more: Partial<TrainerOptions> = {},
) {
  const { input, output } = task;
  const model = new Model(
    jsEngine,
    { ...LANGUAGE_MODEL, input, output, hiddenSize: H, numLayers: 2, ...spec },
    { T, B, recompute },
  );
  const trainer = new Trainer(model, {
    policy: parsePolicy(policy),
    seed: 1,
    maxSteps: 20,
    learningRate: 0.02,
    ...more,
  });
  const training = new Training(trainer, task, options);
  return { model, trainer, training };
}

const samples = (events: Iterable<TrainEvent>) => [...events].filter((event) => event.type === "telemetry");
const sample = (...args: Parameters<typeof setUp>): TelemetryEvent => samples(setUp(...args).training.events())[0]!;

test.each(["dense", "energy:0.9", "stochastic:0.9"])("%s: a training with telemetry has the same bits", (policy) => {
  const result = (options: TrainingOptions) => {
    const { training, trainer } = setUp(policy, options, { dropout: 0.2 });
    const events = [...training.events()].filter(({ type }) => type !== "telemetry");
    const timeless = events.map((event) => ({ ...event, seconds: 0, tokensPerSecond: 0, timing: 0 }));
    return { events: JSON.stringify(timeless), weights: [...trainer.optimizer.value.data] };
  };
  const watched = result({ ...WATCH, telemetryEverySteps: 1, probeEverySteps: 2 });
  expect(watched).toEqual(result(NO_WATCH));
});

test("samples come at their intervals, at the paper's shares of training, and with a probe at its own", () => {
  const events = samples(setUp("energy:0.9", { ...WATCH, telemetryEverySteps: 8 }).training.events());
  // 1 is 0.5 % of 20 steps, 2 is 10 %; 6, 12, 18 are the probe's.
  expect(events.map(({ step }) => step)).toEqual([1, 2, 6, 8, 12, 16, 18, 20]);
  expect(events.filter(({ fidelity }) => fidelity).map(({ step }) => step)).toEqual([6, 12, 18]);
  expect(samples(setUp("energy:0.9", { ...WATCH, probeEverySteps: 0 }).training.events())[0]?.fidelity).toBe(null);
  expect(samples(setUp("energy:0.9", { ...WATCH, telemetryEverySteps: 0 }).training.events())).toEqual([]);
});

test("shares are the pattern's own, and the bands of time add up to them", () => {
  const { model, training } = setUp("threshold:3e-5", { ...WATCH, telemetryEverySteps: 1 });
  let seen = 0;
  for (const event of training.events()) {
    if (event.type !== "telemetry") continue;
    for (const [index, { site, rule, groups }] of event.sites.entries()) {
      const { pattern } = model.sites[index]!;
      expect({ site, rule }).toEqual({ site: pattern.site.name, rule: "threshold" });
      const kept = countRows(pattern, 0, T * B);
      const mean = groups.reduce((sum, { sparsity }) => sum + sparsity, 0) / groups.length;
      expect(mean).toBeCloseTo(1 - kept / (T * B * 4 * H), 4);
      for (const { bands, sparsity, dropped, naturalZeros, tau } of groups) {
        expect(bands.dropped).toHaveLength(TIME_BANDS);
        const average = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / TIME_BANDS;
        expect(average(bands.sparsity)).toBeCloseTo(sparsity, 4);
        expect(average(bands.dropped)).toBeCloseTo(dropped, 4);
        expect(average(bands.naturalZeros)).toBeCloseTo(naturalZeros, 4);
        expect(tau).toBe(3e-5);
      }
      // The first band of t against the pattern's first rows.
      const rows = (T * B) / TIME_BANDS;
      const first = groups.reduce((sum, { bands }) => sum + bands.sparsity[0]!, 0) / groups.length;
      expect(first).toBeCloseTo(1 - countRows(pattern, 0, rows) / (rows * 4 * H), 4);
      seen++;
    }
  }
  expect(seen).toBe(40);
});

test("gradients are found later in a text of one prediction: bands differ along time", () => {
  // Only the last position counts in task adding: gradients fade towards t = 0.
  const adding = createTask("adding", {});
  const model = new Model(
    jsEngine,
    { ...LANGUAGE_MODEL, input: adding.input, output: adding.output, hiddenSize: H },
    { T, B },
  );
  const trainer = new Trainer(model, { policy: parsePolicy("threshold:1e-4"), seed: 1, maxSteps: 4 });
  const [event] = samples(new Training(trainer, adding, { ...WATCH, telemetryEverySteps: 1 }).events());
  const dropped = event!.sites[0]!.groups.map(({ bands }) => bands.dropped);
  for (const along of dropped) expect(along[0]).toBeGreaterThan(along.at(-1)!);
});

describe("activations", () => {
  test("histograms count what the forward pass left, of every lane", () => {
    const { training } = setUp("dense", { ...WATCH, telemetryEverySteps: 1 });
    for (const event of samples(training.events()))
      for (const { gates, units, layer } of event.layers) {
        expect(units).toBe(H);
        for (const { gate, counts } of gates) {
          expect(counts.reduce((sum, count) => sum + count, 0)).toBe(Math.ceil((T * B) / 8) * H);
          const below = counts.slice(0, ACTIVATION_BINS / 2).reduce((sum, count) => sum + count, 0);
          if (gate === "g") expect(below).toBeGreaterThan(0);
          else expect({ layer, gate, below }).toEqual({ layer, gate, below: 0 });
        }
      }
  });

  /** Counted again by itself, from a pass of its own. */
  const look = (model: Model, layer = model.recurrent[0]!) => {
    const tally = new ActivationTally(layer, H, B);
    tally.clear();
    const gates = new Float32Array(T * B * 4 * H);
    model.lossAndGradient({
      ...model.pass,
      watcher: {
        beforeBackward(name, step, from, steps) {
          if (name !== layer.name) return;
          tally.add(step, from, steps);
          gates.set(step.gates.data.subarray(0, steps * B * 4 * H), from * B * 4 * H);
        },
        afterSweep() {},
      },
    });
    return { ...tally.read(), activations: gates };
  };

  // 5 does not divide 16: a last segment of one.
  test.each([0, 5])("they count the gates' values, gates kept for all t or (recompute %i) for some", (recompute) => {
    const { model } = setUp("dense", NO_WATCH, { recompute });
    const { gates, activations } = look(model);
    for (const [g, { counts }] of gates.entries()) {
      const expected = new Array(ACTIVATION_BINS).fill(0);
      // B = 3 has no divisor in common with 8, so that each eighth row meets every lane.
      for (let r = 0; r < T * B; r += 8)
        for (let n = 0; n < H; n++) expected[Math.floor((activations[(r * 4 + g) * H + n]! + 1) / 0.05)]++;
      expect(counts).toEqual(expected);
    }
  });

  test.each([0, 5])("dead and saturated units are found and told apart (recompute %i)", (recompute) => {
    const { model } = setUp("dense", NO_WATCH, { recompute });
    const layer = model.recurrent[0]!;
    expect(look(model)).toMatchObject({ dead: 0, saturated: 0, saturatedPositions: 0 });
    const bias = model.parameters.find(({ name }) => name === "lstm.bias_ih_l0")!.value.data;
    bias[3 * H] = -30; // unit 0: o = 0, so h stays 0
    bias[H + 1] = 30; // unit 1: f = 1, so that its cell stays where it is:
    for (let b = 0; b < B; b++) layer.carried[1]!.data[b * H + 1] = -40;
    const seen = look(model);
    expect(seen).toMatchObject({ dead: 1, saturated: 1 });
    expect(seen.saturatedPositions).toBeCloseTo(1 / H, 12);
    expect(seen.gates.map(({ saturated }) => saturated > 0)).toEqual([false, true, false, false]);
  });
});

test.each([
  ["gru", 2 * 4 + 1, 1],
  ["rnn", 1, 1],
  ["mingru", 4 + 1, null],
] as const)("%s: a unit whose tanh is at an end is saturated, where there is a tanh", (cell, bias, saturated) => {
  const model = filledModel(jsEngine, { ...LANGUAGE_MODEL, cell, hiddenSize: 4 }, { T: 5, B: 3 });
  model.parameters.find(({ name }) => name === `${cell}.bias_ih_l0`)!.value.data[bias] = 30;
  const tally = new ActivationTally(model.recurrent[0]!, 4, 3);
  tally.clear();
  const beforeBackward = (_: string, step: Readonly<CellStep>, from: number, steps: number) =>
    tally.add(step, from, steps);
  model.lossAndGradient({ ...model.pass, watcher: { beforeBackward, afterSweep() {} } });
  expect(tally.read()).toMatchObject({ saturated, saturatedPositions: saturated === null ? null : 1 / 4 });
});

test("with gates kept for some t only, a sample is the same", () => {
  const of = (recompute: number) => samples(setUp("threshold:1e-5", WATCH, { recompute }).training.events())[1]!;
  const [whole, parts] = [of(0), of(5)];
  expect(parts.layers).toEqual(whole.layers);
  for (const [s, { groups }] of parts.sites.entries())
    for (const [g, { bands, sparsity }] of groups.entries()) {
      expect(sparsity).toBeCloseTo(whole.sites[s]!.groups[g]!.sparsity, 2);
      expect(bands.sparsity).toHaveLength(TIME_BANDS);
      expect(bands.sparsity[7]).toBeCloseTo(whole.sites[s]!.groups[g]!.bands.sparsity[7]!, 2);
    }
});

test("fidelity is that of the probe, on the batch of the step", () => {
  const policy = "energy:0.8";
  const event = samples(setUp(policy).training.events()).find(({ fidelity }) => fidelity)!;
  const { model, trainer, training } = setUp(policy, NO_WATCH);
  let expected: ReturnType<typeof fidelityProbe> | undefined;
  const step = trainer.step.bind(trainer);
  trainer.step = () => {
    if (trainer.steps === event.step - 1) {
      for (const [index, sitePolicy] of trainer.sitePolicies.entries())
        sitePolicy.plan(trainer.steps, trainer.sites[index]!.rule);
      expected = fidelityProbe(model);
    }
    return step();
  };
  for (let i = 0; i < event.step; i++) training.step();
  expect(event.fidelity!.cosine).toBeCloseTo(expected!.cosine, 4);
  expect(event.fidelity!.cosine).toBeLessThan(0.999);
  expect(event.fidelity!.layers.map(({ layer }) => layer)).toEqual(["lstm.l0", "lstm.l1"]);
  for (const [index, { cosine }] of event.fidelity!.layers.entries())
    expect(cosine).toBeCloseTo(expected!.layers[index]!.cosine, 4);
});

test("the probe draws the dropout masks of the step it looks at", () => {
  const { training } = setUp("dense", { ...WATCH, probeEverySteps: 1 }, { dropout: 0.5 });
  for (const { fidelity } of samples(training.events())) expect(fidelity?.cosine).toBe(1);
});

test("a sample is bounded: as long for a large net as for a small one", () => {
  const small = JSON.stringify(sample("energy:0.9"));
  const large = JSON.stringify(sample("energy:0.9", WATCH, { hiddenSize: 8 * H }));
  expect(large.length).toBeLessThan(1.3 * small.length);
  expect(large.length / 8).toBeLessThan(2000); // of 8 gates
  expect(sample("energy:0.9").sites[0]!.groups[0]!.cosines).toHaveLength(CURVE_SPARSITIES.length);
});

test("the head is a site too where it has a policy, without bands", () => {
  const { sites } = sample("dense", WATCH, {}, { headPolicy: parsePolicy("threshold:1e-3") });
  expect(sites.map(({ site }) => site)).toEqual(["lstm.l0", "lstm.l1", "head"]);
  expect(sites[2]!.groups[0]!.bands.sparsity).toEqual([]);
  expect(sites[2]!.groups[0]!.tau).toBe(1e-3);
  expect(sites[0]!.groups[0]!.tau).toBe(null);
});
