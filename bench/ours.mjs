/** Gatesieve's side of the benchmarks: a model of a workload, its trainer, and random batches. */
import { readFileSync } from "node:fs";

import { check } from "../dist/core/check.js";
import { RandomStream } from "../dist/core/random.js";
import { loadEngine } from "../dist/kernels/engines.js";
import "../dist/runs/native-addon.js";
import "../dist/runs/wasm-threads.js";
import { Model } from "../dist/nn/model.js";
import { applyRule } from "../dist/sparse/apply.js";
import { DEFAULT_POLICY, parsePolicy } from "../dist/sparse/policies.js";
import { dropRule } from "../dist/sparse/rule.js";
import { KEPT, SUM_COLUMNS, TOTAL } from "../dist/sparse/statistics.js";
import { Trainer } from "../dist/train/trainer.js";
import { modelSpec } from "./workloads.mjs";

export { DEFAULT_POLICY, loadEngine, parsePolicy };

export const VERSION = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")).version;

/** Before a policy's name: its rules go through src/sparse/apply.ts. */
export const DEFINITION = "definition of ";

/** The policy of the row that runs without the machinery: dense, and nothing is even counted. */
export const NO_POLICY = "none";

function policyOf(text) {
  if (text.startsWith(DEFINITION)) return asDefinition(parsePolicy(text.slice(DEFINITION.length)));
  return parsePolicy(text === NO_POLICY ? "dense" : text);
}

/** The same policy, its rules executed by their definition whatever kernels the engine has. */
function asDefinition(policy) {
  return {
    ...policy,
    start(context) {
      const own = policy.start(context);
      const rule = dropRule(context.site.groups.length);
      const pattern = { site: context.site, firstRow: 0, dense: { data: undefined } };
      return {
        ...own,
        plan(step, out) {
          own.plan(step, out);
          Object.assign(rule, out);
          out.kind = "custom";
          out.apply = (g, row, rows) => {
            pattern.dense.data = g;
            applyRule(rule, pattern, row, rows);
          };
        },
      };
    },
  };
}

/** Different batches, drawn once: drawing is no part of a step. */
const BATCHES = 8;

/** A trainer on random batches: `step()` is one full step of the workload. */
export function makeOurs(
  engine,
  workload,
  policy,
  { seed = 1, headPolicy = "dense", recompute = 0, forward = "f32" } = {},
) {
  const { B, T } = workload;
  const model = new Model(engine, { ...modelSpec(workload), forward }, { T, B, recompute });
  const trainer = new Trainer(model, {
    policy: policyOf(policy),
    headPolicy: headPolicy === "dense" || policy === NO_POLICY ? undefined : parsePolicy(headPolicy),
    seed,
    maxSteps: Number.MAX_SAFE_INTEGER,
    optimizer: "sgd",
    learningRate: 0.1,
    schedule: "constant",
    gradientClipVal: 5,
  });
  if (policy === NO_POLICY) for (const site of model.sites) site.watched = false;
  const batches = drawBatches(model, workload, seed);
  let next = 0;
  return {
    model,
    trainer,
    step() {
      const { x, targets, source } = batches[next];
      next = (next + 1) % batches.length;
      if (workload.input.features) model.features.data.set(x);
      else model.tokens.data.set(x);
      model.head.targets.data.set(targets);
      if (source) model.buffers().source.tokens.set(source);
      if (!workload.carried) model.resetCarried();
      return trainer.step();
    },
  };
}

/**
 * A trainer on a run's weights and text, with the run's optimizer at learning rate 0: every step
 * does all its work, and gradients stay those of the run's end.
 */
export async function makeFromRun(engine, { runs, run }, policy, { headPolicy = "dense" } = {}) {
  const { config, task, model: trained } = await openWeights(runs, run);
  const { sequenceLength: T, batchSize: B, ...train } = config.train;
  const { makeModel } = await import("../dist/runs/parts.js");
  const model = makeModel(config, task, engine, T, B);
  const trainer = new Trainer(model, {
    ...train,
    policy: parsePolicy(policy === NO_POLICY ? "dense" : policy),
    headPolicy: headPolicy === "dense" || policy === NO_POLICY ? undefined : parsePolicy(headPolicy),
    seed: config.seed,
    maxSteps: Number.MAX_SAFE_INTEGER,
    learningRate: 0,
    schedule: "constant",
  });
  if (policy === NO_POLICY) for (const site of model.sites) site.watched = false;
  const weights = new Map(trained.parameters.map(({ name, value }) => [name, value.data]));
  for (const { name, value } of model.parameters) value.data.set(weights.get(name));
  model.pack();
  const cursor = task.batches("train", { T, B, seed: config.seed });
  return {
    model,
    trainer,
    step() {
      if (cursor.next(model.buffers())) model.resetCarried();
      return trainer.step();
    },
  };
}

/** { "run ID": its shapes as a workload }. */
export async function workloadOfRun(runs, run) {
  const { id, config, model } = await openWeights(runs, run);
  const { input, hiddenSize: H, numLayers: layers, output } = model.spec;
  const { batchSize: B, sequenceLength: T } = config.train;
  const { vocabulary, embedding, size } = input;
  const { net = "recurrent" } = model.spec;
  check(net === "recurrent", `run ${id} is of a net ${net}; step --run wants a recurrent one, whose FLOPs it knows.`);
  check(output.kind === "classes", `run ${id} predicts values; step --run wants a run that predicts classes.`);
  const workload = {
    input:
      input.kind === "features"
        ? { features: size }
        : embedding
          ? { tokens: vocabulary, embedding }
          : { oneHot: vocabulary },
    layers,
    H,
    V: output.size,
    B,
    T,
    positions: output.positions,
    carried: true,
    run: { runs, run },
  };
  return { [`run ${id}`]: workload };
}

/**
 * As small as a model can be: only its weights are wanted. Loaded here, not above: what runs need
 * would be 15 MB of the memory that a step is said to take.
 */
async function openWeights(runs, run) {
  const { openModel } = await import("../dist/runs/open.js");
  return openModel(runs, run, { T: 1, B: 1, engine: "js" });
}

function drawBatches(model, { input, source }, seed) {
  const random = new RandomStream(seed, "data");
  const classes = input.oneHot ?? input.tokens;
  const { targets } = model.head;
  return Array.from({ length: BATCHES }, () => ({
    x: input.features
      ? Float32Array.from({ length: model.features.length }, () => random.normal())
      : Int32Array.from({ length: model.tokens.length }, () => random.below(classes)),
    targets: Int32Array.from({ length: targets.length }, () => random.below(model.spec.output.size)),
    source: source && Int32Array.from({ length: source.length * model.pass.B }, () => random.below(source.tokens)),
  }));
}

/** Kept / all gate gradients of the last step, or undefined where nothing was counted. */
export function keptShare({ sites }) {
  let kept = 0;
  let total = 0;
  for (const { statistics } of sites)
    for (let at = 0; at < statistics.sums.length; at += SUM_COLUMNS) {
      kept += statistics.sums.data[at + KEPT];
      total += statistics.sums.data[at + TOTAL];
    }
  return total > 0 ? kept / total : undefined;
}
