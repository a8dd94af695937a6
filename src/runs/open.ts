/** The model of a run, for evaluation and samples. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { check, GatesieveError } from "../core/check.ts";
import { readSafetensors } from "../formats/safetensors.ts";
import { chooseEngine } from "../kernels/engines.ts";
import type { Engine } from "../kernels/kernels.ts";
import type { Model } from "../nn/model.ts";
import type { Split, Task } from "../tasks/task.ts";
import { type Evaluation, evaluate } from "../train/evaluate.ts";
import type { WritingOptions } from "../train/write.ts";
import { checkpointName, checkpointsDir, loadWeights, readLastCheckpoint } from "./checkpoint.ts";
import type { RunConfig } from "./config.ts";
import { loadTestData } from "./data-tasks.ts";
import { hashOf, type Learnt, loadInputs, makeModel, makeTask } from "./parts.ts";
import type { RunInfo, RunSummary } from "./store.ts";
import * as store from "./store.ts";
import { loadTexts } from "./text.ts";

export interface OpenOptions {
  /** Largest shape of a pass; without them the training's, which evaluates as training did. */
  readonly T?: number | ((task: Task, config: RunConfig) => number);
  readonly B?: number;
  /** Without it, `auto`. */
  readonly engine?: string;
  /** Another text to evaluate on, with the run's vocabulary; for tasks on data, another file. */
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
  const task = await openRunTask(dir, config, info, options.text);
  const { engine, reason } = await chooseEngine(options.engine);
  const { sequenceLength, batchSize } = config.train;
  const T = typeof options.T === "function" ? options.T(task, config) : (options.T ?? sequenceLength);
  const model = makeModel(config, task, engine, T, options.B ?? batchSize);
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

/** Scores an opened model on a split of its task; `writing`: how, of tasks that write. */
export function evaluateRun(
  { model, task, config }: OpenedModel,
  split: Split = "test",
  writing?: WritingOptions,
): Evaluation {
  return evaluate(model, task, split, config.seed, writing);
}

/** Samples and predictions need what was learnt alone: without its text or data a task still stands, but has no batches. */
export async function openRunTask(dir: string, config: RunConfig, info: RunInfo, other?: string): Promise<Task> {
  if (!info.text && !info.data) {
    check(
      other === undefined,
      `run ${info.id} is of task ${config.task.name}, which reads no text and no data; leave it out.`,
    );
    return makeTask(config, {});
  }
  const learnt = readLearnt(dir, info);
  try {
    if (other === undefined) return makeTask(config, await loadInputs(config, info), learnt);
    if (info.text) return makeTask(config, { text: loadTexts({ name: config.task.name, text: other }) }, learnt);
    return makeTask(config, { data: await loadTestData(config.task, other, learnt.encoding) }, learnt);
  } catch (error) {
    if (other !== undefined) throw error;
    const none = info.text ? { text: { name: info.text.name, path: "", text: "", sha256: "" } } : {};
    return {
      ...makeTask(config, none, learnt),
      batches() {
        throw error;
      },
    };
  }
}

/** vocab.json or encoding.json, checked against what the run says of it. */
function readLearnt(dir: string, info: RunInfo): Learnt {
  const path = join(dir, info.text ? store.VOCABULARY : store.ENCODING);
  const found = store.readJson(path);
  const isVocabulary = Array.isArray(found) && found.every((entry) => typeof entry === "string");
  const right = info.text ? isVocabulary : typeof found === "object" && found !== null;
  const learnt = info.text ? { vocabulary: found as string[] } : { encoding: found as object };
  const hash = right ? hashOf(learnt) : "none";
  if (hash !== info.vocabularyHash)
    throw new GatesieveError(
      `the ${info.text ? "vocabulary" : "encoding"} in ${path} (${hash}) is not the one run ${info.id} was trained with (${info.vocabularyHash}).`,
    );
  return learnt;
}

function readWeights(path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new GatesieveError(`the model ${path} cannot be read (${(error as NodeJS.ErrnoException).code}).`);
  }
}
