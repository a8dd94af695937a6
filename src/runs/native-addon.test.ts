/**
 * What only engine `native` has: threads, forced instruction sets, checks of indices. Its kernels are
 * tested by the contract suite of all engines.
 */
import { describe, expect, test } from "vitest";
import { Arena, type Tensor } from "../core/arena.ts";
import type { Engine } from "../kernels/kernels.ts";
import { Model, type ModelSpec } from "../nn/model.ts";
import { parsePolicy } from "../sparse/policies.ts";
import type { Policy } from "../sparse/policy.ts";
import { Trainer } from "../train/trainer.ts";
import { hasNativeAddon, loadNativeAddon, loadNativeEngine } from "./native-addon.ts";

const isas = hasNativeAddon() ? loadNativeAddon().isas() : [];

const stacked = (cell: ModelSpec["cell"]): ModelSpec => ({
  input: { kind: "tokens", vocabulary: 65 },
  cell,
  hiddenSize: 130,
  numLayers: 2,
  output: { kind: "classes", size: 67, positions: "all" },
});

/** Big enough that every kernel of a step forks; odd sizes, so that the last task is a small one. */
const specs: Record<string, ModelSpec> = {
  "one-hot": stacked("lstm"),
  gru: stacked("gru"),
  rnn: stacked("rnn"),
  mingru: stacked("mingru"),
  transformer: {
    net: "transformer",
    input: { kind: "tokens", vocabulary: 65, embedding: 64 },
    activation: "gelu",
    hiddenSize: 64,
    numHeads: 4,
    numLayers: 1,
    output: { kind: "classes", size: 67, positions: "all" },
  },
  embedding: {
    input: { kind: "tokens", vocabulary: 90, embedding: 70 },
    cell: "lstm",
    hiddenSize: 200,
    numLayers: 1,
    output: { kind: "classes", size: 90, positions: "all" },
  },
};

/** All weights, gradients and statistics after two steps, and the loss. */
function train(
  engine: Engine,
  spec: ModelSpec,
  policy: string | Policy,
  { B = 50, watched = true, recompute = 0 } = {},
): { loss: number; executed: number; bits: Buffer[] } {
  const model = new Model(engine, spec, { T: 5, B, recompute });
  const named = typeof policy === "string" ? parsePolicy(policy) : policy;
  const trainer = new Trainer(model, { policy: named, seed: 3, maxSteps: 2, optimizer: "adam" });
  for (const site of model.sites) site.watched = watched;
  let loss = 0;
  for (let step = 0; step < 2; step++) {
    const tokens = model.tokens as Tensor<Int32Array>;
    for (let i = 0; i < tokens.length; i++) {
      tokens.data[i] = (i * 7 + step * 13) % 65;
      model.head.targets.data[i] = (i * 11 + step) % 65;
    }
    loss = trainer.step().loss;
  }
  const tensors = model.parameters.flatMap(({ value, gradient }) => [value, gradient]);
  const seen = model.sites.flatMap(({ pattern, statistics }) => [
    pattern.bitmap,
    pattern.rowCounts,
    statistics.sums,
    statistics.histogram,
  ]);
  return {
    loss,
    executed: model.macs.reduce((sum, { executed }) => sum + executed, 0),
    bits: [...tensors, ...seen].map(({ data }) => Buffer.from(data.slice().buffer)),
  };
}

/** The engine without its whole time loops: layers run their own over its kernels. */
function stepByStep(engine: Engine): Engine {
  return {
    ...engine,
    attach: (arena) => Object.defineProperty(engine.attach(arena), "recurrent", { value: undefined }),
  };
}

/** Policies whose rules choose, or draw each element. */
const CHOOSING = ["columns:0.3", "columns:0.2,unbiased", "rows:0.3,unbiased", "topk:0.1", "block:0.2", "random:0.2"];

/** Drops every third column, by a function of its own. */
const custom: Policy = {
  name: "custom",
  start: () => ({
    plan: (_step, out) => {
      out.kind = "custom";
      out.apply = (g, row, rows, cols) => {
        for (let i = row * cols; i < (row + rows) * cols; i += 3) g[i] = 0;
      };
    },
    learn: () => {},
    save: () => [],
    load: () => {},
  }),
};

describe.each(isas)("native engine, %s", (isa) => {
  test.each(
    Object.keys(specs).flatMap((name) =>
      ["dense", "density:0.1", "threshold:1e-5", "columns:0.2,unbiased", "rows:0.4", "topk:0.1,pooled"].map(
        (policy) => [name, policy],
      ),
    ),
  )("%s, %s: the bits do not depend on the number of threads", async (name, policy) => {
    const spec = specs[name as string] as ModelSpec;
    const one = train(await loadNativeEngine(1, isa), spec, policy as string);
    for (const threads of [2, 3]) {
      const several = train(await loadNativeEngine(threads, isa), spec, policy as string);
      expect(several.loss).toBe(one.loss);
      for (const [i, bits] of one.bits.entries()) expect(Buffer.compare(several.bits[i] as Buffer, bits)).toBe(0);
    }
  });

  const layer = { input: { kind: "tokens", vocabulary: 65 }, cell: "lstm" } as const;
  const output = { kind: "classes", size: 65, positions: "all" } as const;
  const loops: Record<string, ModelSpec> = {
    "gates in whole panels": { ...layer, hiddenSize: 64, numLayers: 2, output },
    "gates across panels": { ...layer, hiddenSize: 77, numLayers: 2, output },
    "gru in whole panels": { ...layer, cell: "gru", hiddenSize: 64, numLayers: 2, output },
    "gru across panels": { ...layer, cell: "gru", hiddenSize: 77, numLayers: 2, output },
    "rnn in whole panels": { ...layer, cell: "rnn", hiddenSize: 64, numLayers: 2, output },
    "rnn across panels": { ...layer, cell: "rnn", hiddenSize: 77, numLayers: 2, output },
    mingru: { ...layer, cell: "mingru", hiddenSize: 77, numLayers: 2, output },
    "a few units of gru": { ...layer, cell: "gru", hiddenSize: 5, numLayers: 1, output },
    "a few units": { ...layer, hiddenSize: 5, numLayers: 1, output },
    ...(loadNativeAddon().bf16().includes(isa) && {
      "gru in whole panels, bf16": { ...layer, cell: "gru", hiddenSize: 64, numLayers: 2, forward: "bf16", output },
      "whole panels, bf16": { ...layer, hiddenSize: 64, numLayers: 2, forward: "bf16", output },
      "across panels, bf16": { ...layer, hiddenSize: 77, numLayers: 2, forward: "bf16", output },
    }),
  };
  test.each(
    Object.keys(loops).flatMap((name) =>
      ["dense", "threshold:1e-5", "stochastic:0.9", ...(/across panels$/.test(name) ? CHOOSING : []), custom].map(
        (policy) => [name, policy === custom ? "custom" : policy, policy],
      ),
    ),
  )("%s, %s: a whole time loop gives the bits of its steps", async (name, _, policy) => {
    const spec = loops[name as string] as ModelSpec;
    const few = CHOOSING.includes(policy as string);
    const all = [{ B: 50 }, { B: 3, recompute: 2 }, { B: 270 }, { B: 50, watched: false }];
    for (const options of few ? all.slice(0, 2) : all)
      for (const threads of [1, 3]) {
        const engine = await loadNativeEngine(threads, isa);
        expect(engine.attach(new Arena()).recurrent?.[spec.cell ?? "lstm"]).toBeDefined();
        const steps = train(stepByStep(engine), spec, policy as string | Policy, options);
        const whole = train(engine, spec, policy as string | Policy, options);
        expect([whole.loss, whole.executed]).toEqual([steps.loss, steps.executed]);
        for (const [i, bits] of steps.bits.entries()) expect(Buffer.compare(whole.bits[i] as Buffer, bits)).toBe(0);
      }
  });

  test("names the instruction set, and refuses an index out of range", async () => {
    const engine = await loadNativeEngine(1, isa);
    expect(engine.isa).toBe(isa);
    const arena = new Arena();
    const kernels = engine.attach(arena);
    const table = arena.tensor("table", [4, 3], "weights");
    const out = arena.tensor("out", [2, 3], "activations");
    const index = arena.ints("index", [2], "batch");
    const logits = arena.tensor("logits", [2, 4], "workspace");
    arena.allocate();
    for (const wrong of [4, -1, 2 ** 31 - 1]) {
      index.data.set([1, wrong]);
      expect(() => kernels.gather(out, 0, table, index, 0, 2)).toThrow(`row 1 holds the index ${wrong}`);
      expect(() => kernels.scatterAdd(table, index, 0, out, 0, 2)).toThrow(RangeError);
      if (wrong !== -1) expect(() => kernels.softmaxCrossEntropy(logits, index, 0, 2, 1)).toThrow(RangeError);
    }
    expect([...out.data, ...table.data, ...logits.data].every((x) => x === 0)).toBe(true);
    index.data.set([1, 3]);
    kernels.gather(out, 0, table, index, 0, 2);
  });
});

test("an unknown instruction set is refused with the choices", async () => {
  if (isas.length === 0) {
    await expect(loadNativeEngine()).rejects.toThrow(/no native engine/);
    return;
  }
  await expect(loadNativeEngine(1, "sse9")).rejects.toThrow(new RegExp(isas.join(".*")));
  expect((await loadNativeEngine(1, "")).isa).toBe(isas[0]);
  await expect(loadNativeEngine(65)).rejects.toThrow("up to 64 threads, got threads=65");
});
