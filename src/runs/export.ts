/** A run's best weights for other programs. */
import { existsSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { check, formatNumber } from "../core/check.ts";
import { hubConfig, hubVocabulary, modelCard, torchClass } from "../formats/hub.ts";
import { loadEngine } from "../kernels/engines.ts";
import type { Model } from "../nn/model.ts";
import { netName } from "../nn/nets.ts";
import type { Task } from "../tasks/task.ts";
import { policyText, type RunConfig } from "./config.ts";
import { createFolderAtomic } from "./files.ts";
import { type PlacedParameter, streamParameters } from "./model-folder.ts";
import { MODEL_CONFIG, MODEL_VOCABULARY, openModelSource, type ParameterSource, WEIGHTS } from "./model-source.ts";
import { openModel, openRunTask } from "./open.ts";
import { makeModel } from "./parts.ts";
import * as store from "./store.ts";
import { version } from "./version.ts";

export interface RunWeights {
  readonly dir: string;
  readonly config: RunConfig;
  readonly info: store.RunInfo;
  /** Names, shapes and net; not allocated where the weights lie in a file. */
  readonly model: Model;
  readonly task: Task;
  /** Losses and scores that the run has, under their names. */
  readonly scores: Readonly<Record<string, number>>;
  readonly vocabulary: readonly string[] | undefined;
  readonly placed: readonly PlacedParameter[];
}

/** The best weights of a run so far. Of a run that has ended they stay in their file until they are asked for. */
export async function weightsOfRun(runsDir: string, idOrDir: string): Promise<RunWeights> {
  const dir = store.findRun(runsDir, idOrDir);
  const [info, config] = [store.readInfo(dir), store.readConfig(dir)];
  const common = { dir, config, info, scores: scoresOf(dir) };
  const file = join(dir, "model", WEIGHTS);
  const status = (store.readJson(join(dir, store.SUMMARY)) as Partial<store.RunSummary> | undefined)?.status;
  if (status === "finished" && existsSync(file)) {
    const task = await openRunTask(dir, config, info);
    const model = makeModel(config, task, await loadEngine("js"), 1, 1);
    const { parameters } = openModelSource(file);
    const placed = model.parameters.map(({ name, value: { shape } }) => {
      const source = parameters.get(name);
      check(String(source?.shape) === String(shape), `${file}: "${name}" is [${source?.shape}], expected [${shape}].`);
      return { name, shape, source };
    });
    return { ...common, model, task, vocabulary: task.vocabulary, placed };
  }
  const { model, task } = await openModel(runsDir, idOrDir, { T: 1, B: 1, engine: "js" });
  const placed = model.parameters.map(({ name, value: { shape, data } }) => {
    const source: ParameterSource = { dtype: "F32", shape, pieces: () => [Float32Array.from(data)] };
    return { name, shape, source };
  });
  return { ...common, model, task, vocabulary: task.vocabulary, placed };
}

function scoresOf(dir: string): Record<string, number> {
  const summary = store.readRun(dir);
  const scores = { validLoss: summary.validLoss, testLoss: summary.testLoss, ...summary.testScores };
  return Object.fromEntries(Object.entries(scores).filter(([, value]) => value !== null)) as Record<string, number>;
}

/** A folder as Hugging Face lays it out; it must not be there yet. */
export function exportFolder(weights: RunWeights, out: string): void {
  const { config, info, model, vocabulary, placed, scores } = weights;
  const { spec } = model;
  const names = placed.map(({ name }) => name);
  const { numLayers, hiddenSize } = spec;
  const card = modelCard({
    name: basename(resolve(out)),
    version,
    parameters: info.parameters,
    task: config.task.name,
    net: `${netName(spec).toUpperCase()} ${numLayers} x ${hiddenSize}${spec.source ? ", encoder and decoder" : ""}`,
    policy: policyText(config),
    scores: Object.entries(scores).map(([name, value]) => [name, formatNumber(Number(value.toFixed(4)))]),
    torch: torchClass(spec, names) !== undefined,
    commands: ["eval", spec.source ? "predict" : "sample"],
  });
  const { encoding } = weights.task;
  const own = { version, run: info.id, scores, config: withoutFolders(config), ...(encoding ? { encoding } : {}) };
  const files = {
    [WEIGHTS]: streamParameters(placed),
    [MODEL_CONFIG]: `${JSON.stringify(hubConfig(spec, names, own), null, 2)}\n`,
    ...(vocabulary ? { [MODEL_VOCABULARY]: hubVocabulary(vocabulary) } : {}),
    "README.md": card,
  };
  check(
    createFolderAtomic(resolve(out), files, "the exported model"),
    `${out} is there already; choose another folder with --out.`,
  );
}

/** Paths of this machine are nobody's business elsewhere: names alone. */
export function withoutFolders({ from: _, ...config }: RunConfig): Record<string, unknown> {
  const named = (key: string, value: unknown) => typeof value === "string" && /(text|data|tokenizerFile)$/i.test(key);
  const task = Object.entries(config.task).map(([key, value]) => [
    key,
    named(key, value) ? basename(value as string) : value,
  ]);
  return { ...config, task: Object.fromEntries(task) };
}
