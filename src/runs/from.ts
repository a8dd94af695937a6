/** Training on from a model that is there already: its net and task beneath the settings given. */
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { check } from "../core/check.ts";
import type { Model } from "../nn/model.ts";
import type { Task } from "../tasks/task.ts";
import { type ConfigSources, loadTree, parseConfig, type RunConfig } from "./config.ts";
import { mergeTask } from "./import.ts";
import { configOfSource, fitOf, loadParameters, placeParameters } from "./model-folder.ts";
import { type ModelSource, openModelSource } from "./model-source.ts";
import * as store from "./store.ts";

/** As `loadConfig`; with `from` among the settings, the model's net and task are the defaults. */
export function loadConfigFrom(sources: ConfigSources): RunConfig {
  const tree = loadTree(sources);
  if (typeof tree.from !== "string" || tree.from === "") return parseConfig(tree);
  const { tree: own } = configOfSource(openModelSource(tree.from));
  return parseConfig(mergeTask(own, loadTree(sources, own)));
}

/** The model of a run that has ended, or a folder or file. */
export function modelPath(runsDir: string, idOrPath: string): string {
  if (existsSync(idOrPath) && !existsSync(join(idOrPath, store.INFO))) return resolve(idOrPath);
  const dir = store.findRun(runsDir, idOrPath);
  const model = join(dir, "model");
  check(
    existsSync(model),
    `${dir} has no model yet: the best weights are kept when a training ends. Resume it to its end, or export it first.`,
  );
  return model;
}

/** Weights of the model that `config.from` names, into a model of ours. */
export function loadFrom(model: Model, source: ModelSource, task: Task): void {
  const placed = placeParameters(model.parameters, source, fitOf(source), task.vocabulary?.length);
  source.verify?.(model, task);
  loadParameters(model, placed);
}
