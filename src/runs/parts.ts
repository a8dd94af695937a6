/** From a configuration to a task, a model and a training. */
import { check } from "../core/check.ts";
import type { Engine } from "../kernels/kernels.ts";
import { Model } from "../nn/model.ts";
import { parsePolicy } from "../sparse/policies.ts";
import { vocabularyHash } from "../tasks/character.ts";
import { SPLITS, type Task } from "../tasks/task.ts";
import { createTask, tasks } from "../tasks/tasks.ts";
import type { OptimizerOptions } from "../train/optimizers.ts";
import { epochDecay, type Schedule } from "../train/schedules.ts";
import { Trainer } from "../train/trainer.ts";
import { Training } from "../train/training.ts";
import type { RunConfig } from "./config.ts";
import { listed } from "./data-classification.ts";
import { type LoadedData, loadData } from "./data-tasks.ts";
import type { RunInfo } from "./store.ts";
import { type LoadedText, type LoadedTexts, loadTexts } from "./text.ts";

/** What a task reads, of either kind or of none. */
export interface Inputs {
  readonly text?: LoadedText | undefined;
  readonly data?: LoadedData | undefined;
}

/** The text or data of a task; an error if a run began with another. */
export async function loadInputs({ task }: RunConfig, info?: RunInfo): Promise<Inputs> {
  if (tasks[task.name].onText) return { text: info ? sameText(info, task) : loadTexts(task) };
  if (!tasks[task.name].onData) return {};
  const data = await loadData(task);
  if (info) same(info, data, info.data);
  return { data };
}

/** Settings that find text and data from any folder, and the length of sequences where the data decides it. */
export function resolveConfig(config: RunConfig, inputs: Inputs, made: Task): RunConfig {
  const { text, data } = inputs;
  const files = text ? (text as LoadedTexts).files : data?.files;
  const sequenceLength = config.train.sequenceLength || (made.lengths?.longest ?? 0);
  return { ...config, task: { ...config.task, ...files }, train: { ...config.train, sequenceLength } };
}

/** What a run keeps of its data besides weights, to read what comes later the same way. */
export interface Learnt {
  readonly vocabulary?: readonly string[] | undefined;
  readonly encoding?: object | undefined;
}

export function makeTask({ task, model }: RunConfig, { text, data }: Inputs, learnt: Learnt = {}): Task {
  return createTask(task.name, {
    ...data?.options,
    dataName: data?.name ?? task.data,
    targets: task.target === undefined ? undefined : listed(task.target),
    horizon: task.horizon,
    period: task.period,
    text: text?.text,
    textParts: text?.parts,
    textTokenizer: text?.tokenizer,
    textName: text?.name,
    tokenizer: task.tokenizer === "characters" ? undefined : task.tokenizer,
    vocabularySize: task.vocabulary,
    embedding: model.embedding,
    delay: task.delay,
    sourceLength: task.sourceLength,
    patch: task.patch,
    ...learnt,
  });
}

export function makeModel(config: RunConfig, task: Task, engine: Engine, T: number, B: number): Model {
  const { recompute, embedding: _, positions, ...net } = config.model;
  const { bidirectional, attention } = net;
  check(
    attention === undefined || task.source !== undefined,
    `model.attention: task ${task.name} has no encoder to look back at. Leave it out, or use task.name=translation or captioning.`,
  );
  check(
    !bidirectional || !task.text,
    `model.bidirectional: task ${task.name} asks for the next position, which a net that reads from both ends has seen. Use model.bidirectional=false.`,
  );
  // A transformer reads later what it has positions for, whatever T it is opened with.
  const learned =
    net.net === "transformer" ? { positions: positions ?? (config.train.sequenceLength || T) } : { positions };
  const spec = { input: task.input, source: task.source, ...net, ...learned, output: task.output };
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
  const epochs = SPLITS.map((split) => task.batches(split, shape).batchesPerEpoch);
  return train.maxSteps ?? Math.max(1, Math.round((train.maxEpochs as number) * (epochs[0] as number)));
}

function sameText(info: RunInfo, task: RunConfig["task"]): LoadedTexts {
  const loaded = loadTexts(task);
  same(info, loaded, info.text);
  return loaded;
}

/** What a run began with; an error if a file has changed. */
function same({ id }: RunInfo, loaded: LoadedText | LoadedData, began: RunInfo["text"] | RunInfo["data"]): void {
  const { path, sha256 } = began as NonNullable<typeof began>;
  check(
    loaded.sha256 === sha256,
    `the ${"text" in loaded ? "text" : "data"} ${path} has changed since run ${id} began (SHA-256 ${loaded.sha256.slice(0, 12)}..., expected ${sha256.slice(0, 12)}...). Restore it, or start a new run.`,
  );
}

/** Tells what a task learnt of its data from what another did; null if it learnt nothing. */
export function hashOf({ vocabulary, encoding }: Learnt): string | null {
  if (vocabulary) return vocabularyHash(vocabulary);
  return encoding ? vocabularyHash([JSON.stringify(encoding)]) : null;
}
