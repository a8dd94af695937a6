import { describe, expect, test } from "vitest";
import { jsEngine } from "../kernels/js.ts";
import type { ModelSpec } from "../nn/model.ts";
import { filledModel, LANGUAGE_MODEL } from "../nn/testing.ts";
import { loadConfig } from "./config.ts";
import { intermediateBytes, planMemory, plannedMacs } from "./memory.ts";
import { makeTask, makeTraining } from "./parts.ts";

const SPECS: Record<string, ModelSpec> = {
  "one-hot": { ...LANGUAGE_MODEL, numLayers: 2 },
  embedding: { ...LANGUAGE_MODEL, numLayers: 2, input: { kind: "tokens", vocabulary: 7, embedding: 4 } },
  "bidirectional gru": { ...LANGUAGE_MODEL, numLayers: 2, cell: "gru", bidirectional: true },
  mingru: { ...LANGUAGE_MODEL, numLayers: 2, cell: "mingru" },
  mlp: { ...LANGUAGE_MODEL, net: "mlp", numLayers: 2 },
  transformer: { ...LANGUAGE_MODEL, net: "transformer", hiddenSize: 4, numLayers: 2 },
  "features, last position": {
    ...LANGUAGE_MODEL,
    input: { kind: "features", size: 3 },
    output: { kind: "values", size: 2, positions: "last" },
  },
};

describe.each(Object.entries(SPECS))("planned products are those of a step: %s", (_, spec) => {
  test.each(spec.net ? [0] : [0, 1, 4, 5, 11])("recompute %i", (recompute) => {
    const model = filledModel(jsEngine, spec, { T: 11, B: 2, recompute });
    model.lossAndGradient(model.pass);
    const sum = (what: "dense" | "executed") => model.macs.reduce((total, macs) => total + macs[what], 0);
    const { dense, again } = plannedMacs(model, recompute);
    expect(dense).toBe(sum("dense"));
    expect(dense + again).toBe(sum("executed"));
  });
});

test("the plan is what a training declares, for every setting it shows", async () => {
  const overrides = ["task.name=delay", "engine=js", "model.hiddenSize=9", "train.sequenceLength=30"];
  for (const more of [[], ["train.optimizer=sgd", "train.momentum=0.5"], ["model.recompute=7", "model.dropout=0.1"]]) {
    const config = loadConfig({ overrides: [...overrides, ...more] });
    const plan = await planMemory(config);
    const declared = (recompute: number) => {
      const task = makeTask(config, {});
      const training = makeTraining({ ...config, model: { ...config.model, recompute } }, task, jsEngine, 10);
      return training.trainer.model.arena;
    };
    const arena = declared(config.model.recompute);
    expect(plan.bytes).toEqual(arena.bytesByPurpose());
    expect(plan.totalBytes).toBe(arena.bytes());
    expect(plan.recompute.map(({ steps }) => steps)).toEqual(config.model.recompute ? [0, 7, 10, 25] : [0, 10, 25]);
    for (const { steps, totalBytes, intermediateBytes: intermediate } of plan.recompute) {
      expect(totalBytes).toBe(declared(steps).bytes());
      expect(intermediate).toBe(intermediateBytes(declared(steps).bytesByPurpose()));
    }
    const [off, ...on] = plan.recompute;
    expect(off!.moreMacs).toBe(0);
    for (const { moreMacs, intermediateBytes: intermediate } of on) {
      expect(intermediate).toBeLessThan(off!.intermediateBytes);
      expect(moreMacs).toBeGreaterThan(0);
      expect(moreMacs).toBeLessThan(1 / 3);
    }
  }
});

test("segments as long as the sequence are not shown", async () => {
  const plan = await planMemory(loadConfig({ overrides: ["task.name=delay", "engine=js", "train.sequenceLength=10"] }));
  expect(plan.recompute.map(({ steps }) => steps)).toEqual([0]);
});
