/** The model of a run, for evaluation and samples. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { check, GatesieveError } from "../core/check.ts";
import { readSafetensors } from "../formats/safetensors.ts";
import { chooseEngine } from "../kernels/engines.ts";
import type { Engine } from "../kernels/kernels.ts";
import type { Model } from "../nn/model.ts";
import { vocabularyHash } from "../tasks/character.ts";
import type { Split, Task } from "../tasks/task.ts";
import { type Evaluation, evaluate } from "../train/evaluate.ts";
import { checkpointName, checkpointsDir, loadWeights, readLastCheckpoint } from "./checkpoint.ts";
import type { RunConfig } from "./config.ts";
import { makeModel, makeTask, sameText } from "./parts.ts";
import type { RunInfo, RunSummary } from "./store.ts";
import * as store from "./store.ts";
import { type LoadedText, loadTexts } from "./text.ts";

export interface OpenOptions {
  /** Largest shape of a pass; without them the training's, which evaluates as training did. */
  readonly T?: number;
  readonly B?: number;
  /** Without it, `auto`. */
  readonly engine?: string;
  /** Another text to evaluate on, with the run's vocabulary. */
  readonly text?: string;
}

export interface OpenedModel {
  readonly id: string;
  readonly dir: string;
  readonly config: RunConfig;
  readonly info: RunInfo;
  readonly task: Task;
  readonly model: Model;
  readonly engine: Engine;
  readonly engineReason: string;
  readonly notes: readonly string[];
}

/** The best weights of a run so far, for evaluation and samples. Takes no lock, changes nothing. */
export async function openModel(runsDir: string, idOrDir: string, options: OpenOptions = {}): Promise<OpenedModel> {
  const dir = store.findRun(runsDir, idOrDir);
  const info = store.readInfo(dir);
  const config = store.readConfig(dir);
  const task = openRunTask(dir, config, info, options.text);
  const { engine, reason } = await chooseEngine(options.engine);
  const { sequenceLength, batchSize } = config.train;
  const model = makeModel(config, task, engine, options.T ?? sequenceLength, options.B ?? batchSize);
  model.initialize(config.seed);
  const notes: string[] = [];
  const path = join(dir, "model", "model.safetensors");
  const status = (store.readJson(join(dir, store.SUMMARY)) as Partial<RunSummary> | undefined)?.status;
  if (status === "finished") loadWeights(model, readSafetensors(readWeights(path), path), path);
  else {
    const { checkpoint, notes: found } = readLastCheckpoint(dir);
    notes.push(...found);
    loadWeights(model, checkpoint.weights, join(checkpointsDir(dir), checkpointName(checkpoint.step)));
    const flat = model.arena.range("weights").data;
    const { best } = checkpoint.state.tensors;
    if (checkpoint.state.numbers.bestLoss !== null && best?.length === flat.length) flat.set(best);
    model.pack();
  }
  return { id: info.id, dir, config, info, task, model, engine, engineReason: reason, notes };
}

/** Scores an opened model on a split of its task. */
export function evaluateRun({ model, task, config }: OpenedModel, split: Split = "test"): Evaluation {
  return evaluate(model, task, split, config.seed);
}

/** Sampling needs the vocabulary alone: without the text the task still stands, but has no batches. */
export function openRunTask(dir: string, config: RunConfig, info: RunInfo, other?: string): Task {
  if (!info.text) {
    check(
      other === undefined,
      `run ${info.id} is of task ${config.task.name}, which reads no text; leave the text out.`,
    );
    return makeTask(config, undefined);
  }
  const path = join(dir, store.VOCABULARY);
  const vocabulary = store.readJson(path);
  const isVocabulary = Array.isArray(vocabulary) && vocabulary.every((entry) => typeof entry === "string");
  const hash = isVocabulary ? vocabularyHash(vocabulary) : "none";
  if (!isVocabulary || hash !== info.vocabularyHash)
    throw new GatesieveError(
      `the vocabulary in ${path} (${hash}) is not the one run ${info.id} was trained with (${info.vocabularyHash}).`,
    );
  let text: LoadedText;
  try {
    text = other === undefined ? sameText(info, config) : loadTexts({ name: config.task.name, text: other });
  } catch (error) {
    if (other !== undefined) throw error;
    const none = makeTask(config, { name: info.text.name, path: "", text: "", sha256: "" }, vocabulary);
    return {
      ...none,
      batches() {
        throw error;
      },
    };
  }
  return makeTask(config, text, vocabulary);
}

function readWeights(path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new GatesieveError(`the model ${path} cannot be read (${(error as NodeJS.ErrnoException).code}).`);
  }
}
