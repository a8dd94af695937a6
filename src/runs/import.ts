/**
 * A model from elsewhere becomes a run without training: finished at step 0, to be evaluated, sampled, exported or
 * trained on from (`from`). Its numbers go from file to file in pieces.
 */
import { basename, join, resolve } from "node:path";
import { check, UsageError } from "../core/check.ts";
import type { Rename } from "../formats/state-dict.ts";
import { loadEngine } from "../kernels/engines.ts";
import type { InputSpec, Task } from "../tasks/task.ts";
import { tasks } from "../tasks/tasks.ts";
import { emptyTree, isTree, merge, parseConfig, type RunConfig, setOverride, type Tree } from "./config.ts";
import { type LoadedData, loadData } from "./data-tasks.ts";
import { createFolderAtomic } from "./files.ts";
import { configOfSource, placeParameters, streamParameters } from "./model-folder.ts";
import { type ModelSource, openModelSource, readVocabulary } from "./model-source.ts";
import { hashOf, makeModel, makeTask } from "./parts.ts";
import * as store from "./store.ts";
import { type LoadedText, loadTexts } from "./text.ts";
import { version } from "./version.ts";

export interface ImportOptions {
  /** A folder or a file. */
  readonly source: string;
  readonly runsDir: string;
  /** The run's folder, not there yet; without it, one in `runsDir`. */
  readonly out?: string | undefined;
  /** "task.name=word" */
  readonly settings?: readonly string[];
  readonly renames?: readonly Rename[];
  /** A file like vocab.json, in place of the folder's. */
  readonly vocabulary?: string | undefined;
}

type ImportedData = NonNullable<store.RunInfo["data"]>;

const WHICH = { all: "all positions", last: "the last position alone" } as const;

export interface Imported {
  readonly id: string;
  readonly dir: string;
  readonly info: store.RunInfo;
  readonly config: RunConfig;
  readonly notes: readonly string[];
}

export async function importModel(options: ImportOptions): Promise<Imported> {
  const { source: path, runsDir, settings = [], renames = [] } = options;
  const source = openModelSource(path);
  const given = emptyTree();
  for (const setting of settings) setOverride(given, setting);
  const { tree, fit } = configOfSource(source, renames);
  const { from: _, ...rest } = source.config ?? {};
  const config = parseConfig(mergeTask(merge(rest, tree), given));
  const notes = [...(source.notes ?? []), ...fit.notes];
  const { task, text, data } = await openTask(
    config,
    source,
    options,
    isTree(given.task) && given.task.text !== undefined,
    notes,
  );
  const { positions = task.output.positions } = source;
  if (positions !== task.output.positions)
    throw new UsageError(
      `${source.path}: its output layer reads ${WHICH[positions]}, task ${task.name} asks for ${WHICH[task.output.positions]}. Give another task with task.name=.`,
    );
  const model = makeModel(config, task, await loadEngine("js"), 1, 1); // planned, never allocated
  const placed = placeParameters(model.parameters, source, fit, task.vocabulary?.length);
  source.verify?.(model, task);

  store.checkRunsDir(runsDir);
  const created = new Date();
  const stamp = created
    .toISOString()
    .replace(/[-:]|\..*/g, "")
    .replace("T", "-");
  const name = source.name.replace(/[^\w.+-]/g, "-");
  for (let attempt = 1; ; attempt++) {
    const suffix = attempt > 1 ? `-${attempt}` : "";
    const dir = resolve(options.out ?? join(runsDir, `${stamp}-import-${name}${suffix}`));
    const id = basename(dir);
    const info = describe(id, created, config, task, model.size, { text, data }, source.path);
    const learnt = {
      ...(task.vocabulary ? { [store.VOCABULARY]: toJson(task.vocabulary) } : {}),
      ...(task.encoding ? { [store.ENCODING]: toJson(task.encoding) } : {}),
    };
    const summary = store.summarize(dir, config, info, [], "finished", null);
    const files = {
      [store.CONFIG]: toJson(config),
      [store.INFO]: toJson(info),
      [store.EVENTS]: "",
      [store.TELEMETRY]: "",
      ...learnt,
      "model/model.safetensors": streamParameters(placed),
      [`model/${store.CONFIG}`]: toJson(config),
      ...Object.fromEntries(Object.entries(learnt).map(([file, content]) => [`model/${file}`, content])),
      [store.SUMMARY]: toJson(summary),
    };
    if (createFolderAtomic(dir, files, "an imported model")) return { id, dir, info, config, notes };
    check(options.out === undefined, `${options.out} is there already; choose another folder with --out.`);
  }
}

/** Settings of the source's task are for that task alone, and files of targets for the data that they lay beside. */
export function mergeTask(tree: Tree, given: Tree): Tree {
  const own = isTree(tree.task) ? tree.task.name : undefined;
  const asked = isTree(given.task) ? given.task.name : undefined;
  const other = asked !== undefined && asked !== own;
  return merge(other ? { ...tree, task: {} } : withoutTargets(tree, given), given);
}

function withoutTargets(tree: Tree, given: Tree): Tree {
  const { task } = tree;
  if (!isTree(task) || task.targetData === undefined || !isTree(given.task) || given.task.data === undefined)
    return tree;
  const { targetData: _, validData: _v, validTargetData: _vt, testData: _t, testTargetData: _tt, ...rest } = task;
  return { ...tree, task: rest };
}

/** A model with a vocabulary needs no text to be sampled: one that is not here is a remark, unless it was asked for. */
async function openTask(
  config: RunConfig,
  source: ModelSource,
  options: ImportOptions,
  asked: boolean,
  notes: string[],
): Promise<{ task: Task; text?: LoadedText; data?: ImportedData }> {
  const { onText, onData } = tasks[config.task.name];
  if (onData) return openDataTask(config, source, notes);
  if (!onText) return { task: makeTask(config, {}) };
  const vocabulary = options.vocabulary ? readVocabulary(options.vocabulary) : source.vocabulary;
  if (options.vocabulary && !vocabulary) throw new UsageError(`no vocabulary ${options.vocabulary}.`);
  if (vocabulary) checkVocabulary(vocabulary, config, notes);
  let text: LoadedText;
  try {
    const loaded = loadTexts(config.task);
    Object.assign(config.task, loaded.files);
    text = loaded;
  } catch (error) {
    if (asked || !vocabulary) throw error;
    const path = config.task.text as string;
    notes.push(`its text ${path} is not here: name one for eval with --text`);
    text = { name: basename(path), path, text: "", sha256: "" };
  }
  return { task: makeTask(config, { text }, { vocabulary }), text };
}

/** A task on data reads its inputs by what it learnt of its training part; that data itself it needs no more. */
async function openDataTask(config: RunConfig, { encoding, path }: ModelSource, notes: string[]) {
  const { task } = config;
  if (!encoding)
    throw new UsageError(
      `${path}: task ${task.name} reads its inputs by what it learnt of its training data, which this model does not tell. ` +
        "Import what gatesieve export wrote, or a model of a task on text or generated sequences.",
    );
  let data: LoadedData | undefined;
  try {
    data = await loadData(task);
  } catch {
    notes.push(`its data ${task.data} is not here: name a file for eval with --data`);
  }
  const { name = String(task.data), sha256 = "", examples = 0 } = data ?? {};
  if (data) Object.assign(task, data.files);
  const found: ImportedData = { name, path: data?.path ?? name, sha256, examples };
  return { task: makeTask(config, { data }, { encoding: checkEncoding(encoding, config, path) }), data: found };
}

/** The task stands with it: its input and output have sizes. */
function checkEncoding(encoding: object, config: RunConfig, path: string): object {
  const isSize = (size: unknown) => Number.isInteger(size) && (size as number) > 0;
  try {
    const { input, output, source } = makeTask(config, {}, { encoding });
    const width = (spec: InputSpec) => (spec.kind === "tokens" ? spec.vocabulary : spec.size);
    const reads = !source || (isSize(source.length) && isSize(width(source)));
    if (reads && isSize(output.size) && isSize(width(input))) return encoding;
  } catch {
    // told below
  }
  throw new UsageError(`${path}: what it tells of its training data is not what task ${config.task.name} learns.`);
}

function checkVocabulary(vocabulary: readonly string[], { task }: RunConfig, notes: string[]): void {
  const long = vocabulary.findIndex((entry, index) => index > 0 && [...entry].length !== 1);
  if (task.name === "character" && long > 0)
    throw new UsageError(
      `vocabulary entry ${long} is ${JSON.stringify(vocabulary[long])}; task character has single characters. For words: task.name=word.`,
    );
  if (vocabulary[0] !== "<unk>")
    notes.push(
      `vocabulary entry 0 is ${JSON.stringify(vocabulary[0])}: here it stands for all that is unknown, and is never drawn`,
    );
}

function describe(
  id: string,
  created: Date,
  config: RunConfig,
  task: Task,
  parameters: number,
  { text, data }: { readonly text: LoadedText | undefined; readonly data: ImportedData | undefined },
  path: string,
): store.RunInfo {
  return {
    format: store.INFO_FORMAT,
    id,
    created: created.toISOString(),
    version,
    engine: "none",
    isa: "imported",
    lossUnit: task.lossUnit,
    parameters,
    memory: null,
    maxSteps: 0,
    tokensPerStep: config.train.batchSize * config.train.sequenceLength,
    text: text ? { name: text.name, path: text.path, sha256: text.sha256, characters: [...text.text].length } : null,
    data: data ?? null,
    from: path,
    vocabularySize: task.vocabulary?.length ?? null,
    vocabularyHash: hashOf(task),
  };
}

function toJson(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
