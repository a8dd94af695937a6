/** From a configuration to a task, a model and a training. */
import { check } from "../core/check.ts";
import type { Engine } from "../kernels/kernels.ts";
import { Model } from "../nn/model.ts";
import { parsePolicy } from "../sparse/policies.ts";
import { vocabularyHash } from "../tasks/character.ts";
import type { Task } from "../tasks/task.ts";
import { createTask } from "../tasks/tasks.ts";
import type { OptimizerOptions } from "../train/optimizers.ts";
import { epochDecay, type Schedule } from "../train/schedules.ts";
import { Trainer } from "../train/trainer.ts";
import { Training } from "../train/training.ts";
import type { RunConfig } from "./config.ts";
import type { RunInfo } from "./store.ts";
import { type LoadedText, loadTexts } from "./text.ts";

export function makeTask(
  { task, model }: RunConfig,
  text: LoadedText | undefined,
  vocabulary?: readonly string[],
): Task {
  return createTask(task.name, {
    text: text?.text,
    textParts: text?.parts,
    textTokenizer: text?.tokenizer,
    textName: text?.name,
    tokenizer: task.tokenizer,
    vocabularySize: task.vocabulary,
    embedding: model.embedding,
    delay: task.delay,
    vocabulary,
  });
}

export function makeModel(config: RunConfig, task: Task, engine: Engine, T: number, B: number): Model {
  const { cell, hiddenSize, numLayers, bidirectional, dropout, forgetBias, initScale, forward, recompute } =
    config.model;
  check(
    !bidirectional || !task.text,
    `model.bidirectional: task ${task.name} asks for the next position, which a net that reads from both ends has seen. Use model.bidirectional=false.`,
  );
  const shape = { cell, hiddenSize, numLayers, bidirectional, dropout, forgetBias, initScale, forward };
  const spec = { input: task.input, ...shape, output: task.output };
  return new Model(engine, spec, { T, B, recompute });
}

export function makeTraining(config: RunConfig, task: Task, engine: Engine, maxSteps: number): Training {
  const { sequenceLength, batchSize, schedule, warmupSteps, gradientClipVal, weightDecay, ...train } = config.train;
  const model = makeModel(config, task, engine, sequenceLength, batchSize);
  const optimizer: OptimizerOptions = { ...train, ...(weightDecay === undefined ? {} : { weightDecay }) };
  const trainer = new Trainer(model, {
    ...optimizer,
    policy: parsePolicy(config.policy),
    policies: Object.fromEntries(
      Object.entries(config.policies ?? {}).map(([site, text]) => [site, parsePolicy(text)]),
    ),
    headPolicy: config.headPolicy === "dense" ? undefined : parsePolicy(config.headPolicy),
    seed: config.seed,
    maxSteps,
    schedule: schedule === "epochDecay" ? epochDecayOf(config, task) : schedule,
    warmupSteps,
    gradientClipVal,
  });
  const { valCheckInterval, patience, logEverySteps, telemetryEverySteps, probeEverySteps } = train;
  const options = { valCheckInterval, patience, logEverySteps, telemetryEverySteps, probeEverySteps };
  return new Training(trainer, task, options);
}

function epochDecayOf({ train, seed }: RunConfig, task: Task): Schedule {
  const { sequenceLength: T, batchSize: B, decayAfterEpoch, decayFactor } = train;
  const { batchesPerEpoch } = task.batches("train", { T, B, seed });
  return epochDecay(batchesPerEpoch, decayAfterEpoch as number, decayFactor as number);
}

/** Asks for batches of every split: too short a text must not come to light at the end of a training. */
export function stepsOf({ train, seed }: RunConfig, task: Task): number {
  const shape = { T: train.sequenceLength, B: train.batchSize, seed };
  const epochs = (["train", "valid", "test"] as const).map((split) => task.batches(split, shape).batchesPerEpoch);
  return train.maxSteps ?? Math.max(1, Math.round((train.maxEpochs as number) * (epochs[0] as number)));
}

/** The text a run began with; an error if a file has changed. */
export function sameText({ id, text }: RunInfo, { task }: RunConfig): LoadedText {
  const { path, sha256 } = text as NonNullable<RunInfo["text"]>;
  const loaded = loadTexts(task);
  check(
    loaded.sha256 === sha256,
    `the text ${path} has changed since run ${id} began (SHA-256 ${loaded.sha256.slice(0, 12)}..., expected ${sha256.slice(0, 12)}...). Restore it, or start a new run.`,
  );
  return loaded;
}

export function hashOf({ vocabulary }: Task): string | null {
  return vocabulary ? vocabularyHash(vocabulary) : null;
}
