/**
 * The composition root: from a configuration to a task, a model, a training and a run folder; and
 * back from a folder. See store.ts for the folder's files.
 */
import { rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { check, GatesieveError, UsageError } from "../core/check.ts";
import { chooseEngine } from "../kernels/engines.ts";
import "./native-addon.ts";
import "./wasm-threads.ts";
import type { Engine } from "../kernels/kernels.ts";
import type { Model } from "../nn/model.ts";
import type { Task } from "../tasks/task.ts";
import type { TrainEvent } from "../train/events.ts";
import { NonFiniteError } from "../train/trainer.ts";
import type { Training } from "../train/training.ts";
import {
  checkpointContents,
  checkpointName,
  checkpointsDir,
  loadWeights,
  modelFile,
  readLastCheckpoint,
  removeCheckpoint,
  writeCheckpoint,
} from "./checkpoint.ts";
import type { RunConfig } from "./config.ts";
import { appendLine, createFolderAtomic, removeStaleTemporaries, writeFileAtomic, writeFolderAtomic } from "./files.ts";
import { loadFrom } from "./from.ts";
import { adoptLock, isAlive, lockContents, releaseLock, takeLock } from "./lock.ts";
import { openModelSource, readVocabulary } from "./model-source.ts";
import {
  hashOf,
  type Inputs,
  type Learnt,
  loadInputs,
  makeTask,
  makeTraining,
  resolveConfig,
  stepsOf,
} from "./parts.ts";
import { sparseExecution } from "./small.ts";
import * as store from "./store.ts";
import { type RunInfo, type RunSummary, summarize } from "./store.ts";
import type { LoadedText } from "./text.ts";
import { version } from "./version.ts";

export { evaluateRun, type OpenedModel, type OpenOptions, openModel } from "./open.ts";
export type { RunInfo, RunSummary } from "./store.ts";

export interface RunOptions {
  readonly config: RunConfig;
  /** The run store; made if missing. */
  readonly runsDir: string;
  /** Name of the run's folder, not there yet; without it one of time, task, policy and seed. */
  readonly id?: string;
}

interface RunParts {
  readonly dir: string;
  readonly config: RunConfig;
  readonly info: RunInfo;
  readonly task: Task;
  readonly training: Training;
  readonly engine: Engine;
  readonly engineReason: string;
  readonly notes: readonly string[];
  readonly checkpointed: number;
}

/** A training with a folder of its own, which this process holds until the end event or `close()`. */
export class Run {
  readonly id: string;
  readonly dir: string;
  readonly config: RunConfig;
  readonly info: RunInfo;
  readonly task: Task;
  readonly model: Model;
  readonly training: Training;
  readonly engine: Engine;
  readonly engineReason: string;
  readonly maxSteps: number;
  /** Lines a person should see: a damaged checkpoint passed over, a dead process's lock taken over. */
  readonly notes: readonly string[];
  #summary: RunSummary | undefined;
  #checkpointed: number; // step of the last checkpoint
  #wanted = false;

  /** Made by `createRun` and `resumeRun`. */
  constructor(parts: RunParts) {
    this.dir = parts.dir;
    this.config = parts.config;
    this.info = parts.info;
    this.id = parts.info.id;
    this.maxSteps = parts.info.maxSteps;
    this.task = parts.task;
    this.training = parts.training;
    this.model = parts.training.trainer.model;
    this.engine = parts.engine;
    this.engineReason = parts.engineReason;
    this.notes = parts.notes;
    this.#checkpointed = parts.checkpointed;
  }

  /** Trains to the end, an event at a time; each is on the disk before it is given. */
  *events(): Generator<TrainEvent, void> {
    for (const tick of this.ticks()) if (tick) yield tick;
  }

  /** The same a step at a time: undefined after a step, before its events if it has any. */
  *ticks(): Generator<TrainEvent | undefined, void> {
    try {
      for (const tick of this.training.ticks()) {
        if (tick) this.#record(tick);
        this.#checkpointIfDue(tick);
        yield tick;
      }
    } catch (error) {
      this.#fail(error);
      throw error;
    } finally {
      this.close();
    }
  }

  /** `events()` for an event loop: other work runs in between, and an aborted signal stops the run. */
  async *train(signal?: AbortSignal): AsyncGenerator<TrainEvent, void> {
    let last = performance.now();
    for (const tick of this.ticks()) {
      if (tick) yield tick;
      // As in train/training.ts: every 50 ms of work or after one step, and not at each step.
      if (performance.now() - last > 50) {
        await new Promise((resolve) => setTimeout(resolve, 0));
        last = performance.now();
      }
      if (signal?.aborted) this.stop();
    }
  }

  /** Ends after the current step, with a checkpoint. */
  stop(): void {
    this.training.stopRequested = true;
  }

  /** Writes a checkpoint now, or, between the events of one step, as soon as the step is complete. */
  checkpoint(): void {
    if (this.training.midStep) this.#wanted = true;
    else this.#writeCheckpoint();
  }

  /** The run's figures, after the end event. */
  summary(): RunSummary | undefined {
    return this.#summary;
  }

  /** Gives the folder up. The run can be resumed from its last checkpoint. */
  close(): void {
    releaseLock(this.dir);
  }

  #record(event: TrainEvent): void {
    const file = event.type === "telemetry" ? store.TELEMETRY : store.EVENTS;
    appendLine(join(this.dir, file), JSON.stringify(event), "an event");
    if (event.type === "end") this.#finish(event.reason === "stopped");
  }

  /** A step's events change what a checkpoint holds: it waits for the last of them. */
  #checkpointIfDue(tick: TrainEvent | undefined): void {
    if (tick?.type === "end") return;
    const { steps } = this.training.trainer;
    if (this.training.midStep || steps === this.maxSteps) return;
    if (this.#wanted || steps % this.config.train.checkpointEverySteps === 0) this.#writeCheckpoint();
  }

  #writeCheckpoint(): void {
    this.#wanted = false;
    const { training, task, config } = this;
    const step = training.trainer.steps;
    if (step === this.#checkpointed) return;
    const state = training.save();
    // An early stop is due: a run resumed from here would train on instead.
    if (config.train.patience > 0 && (state.numbers.sinceBest as number) >= config.train.patience) return;
    writeCheckpoint(this.dir, step, checkpointContents(this.model, state, step, hashOf(task)));
    this.#checkpointed = step;
  }

  #finish(stopped: boolean): void {
    if (stopped) this.#writeCheckpoint();
    else {
      const { model, config, task } = this;
      const files = {
        "model.safetensors": modelFile(model),
        [store.CONFIG]: toJson(config),
        ...learntFiles(task),
      };
      writeFolderAtomic(join(this.dir, "model"), files, "the model");
    }
    this.#writeSummary(stopped ? "stopped" : "finished", null);
  }

  #fail(error: unknown): void {
    try {
      const status = error instanceof NonFiniteError ? "diverged" : "failed";
      this.#writeSummary(status, error instanceof Error ? error.message : String(error));
    } catch {
      // A full disk: what made the run fail matters more.
    }
  }

  #writeSummary(status: RunSummary["status"], error: string | null): void {
    const summary = summarize(this.dir, this.config, this.info, store.readEvents(this.dir), status, error);
    writeFileAtomic(join(this.dir, store.SUMMARY), toJson(summary), "the summary");
    this.#summary = summary;
  }
}

/** Makes everything a run needs, then its folder with a checkpoint of step 0; on an error nothing is left behind. */
export async function createRun({ config, runsDir, id: name }: RunOptions): Promise<Run> {
  const inputs = await loadInputs(config);
  const source = config.from === undefined ? undefined : openModelSource(config.from);
  const task = makeTask(
    config,
    inputs,
    source ? { vocabulary: inputs.text && source.vocabulary, encoding: inputs.data && source.encoding } : {},
  );
  const from = config.from === undefined ? {} : { from: resolve(config.from) };
  const resolved = { ...resolveConfig(config, inputs, task), ...from };
  const maxSteps = stepsOf(resolved, task);
  const { engine, reason } = await chooseEngine(config.engine, config.threads);
  const training = makeTraining(resolved, task, engine, maxSteps);
  if (source) loadFrom(training.trainer.model, source, task);

  store.checkRunsDir(runsDir);
  removeStaleTemporaries(runsDir, isAlive);
  const created = new Date();
  for (let attempt = 1; ; attempt++) {
    const id = name ?? runId(created, config) + (attempt > 1 ? `-${attempt}` : "");
    const info = describe(id, created, resolved, task, training, engine, maxSteps, inputs);
    const dir = join(runsDir, id);
    const checkpoint = checkpointContents(training.trainer.model, training.save(), 0, hashOf(task));
    const files = {
      [store.CONFIG]: toJson(resolved),
      [store.INFO]: toJson(info),
      [store.EVENTS]: "",
      [store.TELEMETRY]: "",
      ...learntFiles(task),
      ...Object.fromEntries(
        Object.entries(checkpoint).map(([name, content]) => [`checkpoints/${checkpointName(0)}/${name}`, content]),
      ),
      ...lockContents(),
    };
    if (!createFolderAtomic(dir, files, "a run")) {
      check(name === undefined, `run ${name} is there already, in ${runsDir}; resume it, or choose another name.`);
      continue;
    }
    adoptLock(dir);
    return new Run({
      dir,
      config: resolved,
      info,
      task,
      training,
      engine,
      engineReason: reason,
      notes: notesOf(inputs, task, resolved),
      checkpointed: 0,
    });
  }
}

/** Continues a stopped, killed or failed run from its last good checkpoint, as if it had never stopped. */
export async function resumeRun(runsDir: string, idOrDir: string): Promise<Run> {
  const dir = store.findRun(runsDir, idOrDir);
  const notes: string[] = [];
  const taken = takeLock(dir);
  if (taken) notes.push(taken);
  try {
    const info = store.readInfo(dir);
    const config = store.readConfig(dir);
    const summary = store.readJson(join(dir, store.SUMMARY)) as Partial<RunSummary> | undefined;
    if (summary?.status === "finished")
      throw new UsageError(
        `run ${info.id} is finished (${summary.steps} steps). Sample or evaluate it, or start a new run with a larger train.maxSteps.`,
      );
    const task = makeTask(config, await loadInputs(config, info), learntElsewhere(dir, config, info));
    const { engine } = await chooseEngine(info.engine, config.threads);
    if (engine.isa !== info.isa)
      notes.push(
        `run ${info.id} began with ${info.engine} (${info.isa}) and goes on with ${engine.isa}: results may differ in the last bits.`,
      );
    const training = makeTraining(config, task, engine, info.maxSteps);

    removeStaleTemporaries(dir, () => false);
    removeStaleTemporaries(checkpointsDir(dir), () => false);
    const { checkpoint, damaged, notes: found } = readLastCheckpoint(dir);
    notes.push(...found);
    const hash = hashOf(task);
    if (checkpoint.vocabularyHash !== hash)
      throw new GatesieveError(
        `run ${info.id}: what is learnt of the text or data (${hash}) is not the checkpoint's (${checkpoint.vocabularyHash}). Restore what the run began with.`,
      );
    loadWeights(training.trainer.model, checkpoint.weights, join(checkpointsDir(dir), checkpointName(checkpoint.step)));
    training.load(checkpoint.state);
    for (const step of damaged) removeCheckpoint(dir, step);
    // What happened after the checkpoint happens again.
    const earlier = ({ type, step }: TrainEvent) => type !== "end" && step <= checkpoint.step;
    for (const [file, events] of [
      [store.EVENTS, store.readEvents(dir)],
      [store.TELEMETRY, store.readTelemetry(dir)],
    ] as const) {
      const lines = events.filter(earlier).map((event) => `${JSON.stringify(event)}\n`);
      writeFileAtomic(join(dir, file), lines.join(""), "the events");
    }
    rmSync(join(dir, store.SUMMARY), { force: true });
    const engineReason = "as the run began";
    return new Run({ dir, config, info, task, training, engine, engineReason, notes, checkpointed: checkpoint.step });
  } catch (error) {
    releaseLock(dir);
    throw error;
  }
}

/** Of a model from elsewhere the vocabulary is not the text's own, nor is what it learnt of its data. */
function learntElsewhere(dir: string, { from }: RunConfig, { text, data }: RunInfo): Learnt {
  if (from === undefined) return {};
  if (text) return { vocabulary: readVocabulary(join(dir, store.VOCABULARY)) };
  return data ? { encoding: store.readJson(join(dir, store.ENCODING)) as object | undefined } : {};
}

/** "20261124-221530-character-energy-0.99-s1", the time in UTC. */
function runId(created: Date, { task, policy, seed }: RunConfig): string {
  const time = created
    .toISOString()
    .replace(/[-:]|\..*/g, "")
    .replace("T", "-");
  return `${time}-${task.name}-${policy.replace(/[^\w.+-]/g, "-")}-s${seed}`;
}

function describe(
  id: string,
  created: Date,
  { train, from }: RunConfig,
  task: Task,
  training: Training,
  { name, isa }: Engine,
  maxSteps: number,
  { text, data }: Inputs,
): RunInfo {
  return {
    format: store.INFO_FORMAT,
    id,
    created: created.toISOString(),
    version,
    engine: name,
    isa,
    sparseExecution: sparseExecution(training.trainer.model.sites),
    lossUnit: task.lossUnit,
    parameters: training.trainer.model.size,
    memory: training.trainer.model.arena.bytesByPurpose(),
    maxSteps,
    tokensPerStep: train.batchSize * train.sequenceLength,
    text: text ? { name: text.name, path: text.path, sha256: text.sha256, characters: countCharacters(text) } : null,
    data: data ? { name: data.name, path: data.path, sha256: data.sha256, examples: data.examples } : null,
    from: from ?? null,
    vocabularySize: task.vocabulary?.length ?? null,
    vocabularyHash: hashOf(task),
  };
}

function notesOf({ data }: Inputs, { lengths }: Task, { train }: RunConfig): string[] {
  const cut = lengths?.note(train.sequenceLength);
  return [...(data?.notes ?? []), ...(cut === undefined ? [] : [cut])];
}

/** What the task learnt of its text or data, to read others the same way. */
function learntFiles({ vocabulary, encoding }: Task): Record<string, string> {
  return {
    ...(vocabulary ? { [store.VOCABULARY]: toJson(vocabulary) } : {}),
    ...(encoding ? { [store.ENCODING]: toJson(encoding) } : {}),
  };
}

function countCharacters({ text, parts }: LoadedText): number {
  let count = 0;
  for (const part of [text, parts?.valid ?? "", parts?.test ?? ""]) for (const _ of part) count++;
  return count;
}

function toJson(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
