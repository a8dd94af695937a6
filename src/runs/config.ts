/**
 * The configuration of a run: one schema, its defaults, and errors of one line.
 *
 * Later sources win: defaults, then the file, then `key=value` overrides with dotted keys.
 */
import { existsSync, readFileSync } from "node:fs";
import { normalize, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parse, parseDocument } from "yaml";
import { z } from "zod";
import { isObject, nearest, UsageError } from "../core/check.ts";
import { ACTIVATIONS } from "../nn/activation.ts";
import { ATTENTIONS } from "../nn/attention.ts";
import { cells } from "../nn/cells.ts";
import { DROPOUT_KINDS } from "../nn/dropout.ts";
import { FORWARDS } from "../nn/model.ts";
import { NETS } from "../nn/nets.ts";
import { DEFAULT_POLICY, parsePolicy } from "../sparse/policies.ts";
import { type TaskName, tasks } from "../tasks/tasks.ts";
import { OPTIMIZERS } from "../train/optimizers.ts";
import { SCHEDULES, type ScheduleName } from "../train/schedules.ts";
import { finishTask, isPathSetting, oneOf, real, task, whole } from "./config-task.ts";

export const DEFAULT_MAX_STEPS = 1200;

const atLeast0 = real("a number of at least 0", (value) => value >= 0);
const share = real("a number from 0 up to, not including, 1", (value) => value >= 0 && value < 1);
const names = <T extends string>(table: Readonly<Record<T, unknown>>) => Object.keys(table) as [T, ...T[]];

const model = z.strictObject({
  net: oneOf(NETS).default("recurrent"),
  /** recurrent. */
  cell: oneOf(names(cells)).default("lstm"),
  numLayers: whole(1).default(2),
  hiddenSize: whole(1).default(128),
  /** Of a decoder over what its encoder put out (tasks translation and captioning): general where nothing is said. */
  attention: oneOf(ATTENTIONS).optional(),
  /** recurrent: layers read every sequence from both ends; of an encoder and a decoder, the encoder's. */
  bidirectional: z.boolean({ error: "true or false" }).default(false),
  /** Columns of a trained embedding; 0: one-hot input. */
  embedding: whole(0).default(128),
  /** Between layers and before the head; transformer: on what a block adds, and inside its feed-forward part. */
  dropout: share.default(0),
  /** recurrent: on what the first layer reads: rows of an embedding or features. */
  inputDropout: share.default(0),
  /** Of both, recurrent: each element by itself, or columns of a time step as a whole; element if left out. */
  dropoutKind: oneOf(DROPOUT_KINDS).optional(),
  /** recurrent: columns of h[t-1] that U does not see in training. */
  recurrentDropout: share.default(0),
  /** recurrent: each layer but the first adds to what it reads. */
  residual: z.boolean({ error: "true or false" }).default(false),
  /** recurrent: rows between layers and before the head are normalized. */
  layerNorm: z.boolean({ error: "true or false" }).default(false),
  /** mlp, transformer; without it, relu. */
  activation: oneOf(ACTIVATIONS).optional(),
  /** transformer; without it, 4. Must divide hiddenSize. */
  numHeads: whole(1).optional(),
  /** transformer: columns inside a block's feed-forward part; 0, or without it: 4 hiddenSize. */
  dimFeedforward: whole(0).optional(),
  /** transformer: learned positions, the longest sequence it can ever read; without it, train.sequenceLength. */
  positions: whole(1).optional(),
  /** Initial input bias of the forget gate. */
  forgetBias: real("a finite number", () => true).default(1),
  /** recurrent: the most time steps that units are to remember, for gates that begin accordingly; 0: as forgetBias says. */
  chronoInit: whole(0).default(0),
  /** recurrent: time steps whose gates are kept for backward; earlier ones are computed again. 0: all are kept. */
  recompute: whole(0).default(0),
  /** Operands of forward products: float32, or rounded to bf16 where the engine can. */
  forward: oneOf(FORWARDS).default("f32"),
  /** Every parameter uniform in +-this; without it, each as PyTorch draws it. */
  initScale: real("a number above 0", (value) => value > 0).optional(),
});

const train = z.strictObject({
  batchSize: whole(1).default(50),
  /** Without it 50, or what the task says; tasks on sequences of their own lengths: 0 is the longest of them. */
  sequenceLength: whole(0).optional(),
  /** Either of the two; without both, 1200 steps. */
  maxSteps: whole(1).optional(),
  maxEpochs: real("a number above 0", (value) => value > 0).optional(),
  optimizer: oneOf(OPTIMIZERS).default("adam"),
  learningRate: real("a number above 0", (value) => value > 0).default(2e-3),
  /** Without it: 0.01 for adamw, else 0. */
  weightDecay: atLeast0.optional(),
  momentum: share.default(0),
  beta1: share.default(0.9),
  beta2: share.default(0.999),
  epsilon: real("a number above 0", (value) => value > 0).default(1e-8),
  alpha: share.default(0.99),
  /** Rows of an embedding or head without a gradient keep value and optimizer state. */
  lazyRows: z.boolean({ error: "true or false" }).default(false),
  schedule: oneOf([...names<ScheduleName>(SCHEDULES), "epochDecay"] as const).default("linear"),
  /** epochDecay: epochs at the full rate, and what each later epoch multiplies it by. */
  decayAfterEpoch: whole(0).optional(),
  decayFactor: real("a number above 0, at most 1", (value) => value > 0 && value <= 1).optional(),
  warmupSteps: whole(0).default(0),
  /** 0: no clipping. */
  gradientClipVal: atLeast0.default(5),
  valCheckInterval: whole(1).default(100),
  /** Validations without a new best before an early stop; 0: never. */
  patience: whole(0).default(0),
  logEverySteps: whole(1).default(10),
  /** Steps between looks at a step from inside; 0: no telemetry. */
  telemetryEverySteps: whole(0).default(50),
  /** Steps between those that also measure fidelity, at the cost of a dense pass; 0: never. */
  probeEverySteps: whole(0).default(200),
  checkpointEverySteps: whole(1).default(100),
});

const sections = { task, model, train };

export const runConfigSchema = z.strictObject({
  task: task.prefault({}),
  model: model.prefault({}),
  train: train.prefault({}),
  /** Without it, the task's (see TaskEntry). */
  policy: z.string({ error: `a policy such as "${DEFAULT_POLICY}"` }).optional(),
  /** In its place at some sites: { "lstm.l0": "dense" }. */
  policies: z
    .record(z.string(), z.string({ error: `a policy such as "${DEFAULT_POLICY}"` }), {
      error: "policies by site, such as { lstm.l0: dense }",
    })
    .optional(),
  /** For the gradient of the logits; without it, the task's (see TaskEntry). */
  headPolicy: z.string({ error: 'a policy such as "dense"' }).optional(),
  /** Begin with the weights and the vocabulary of this model: a folder or a .safetensors file. */
  from: z.string({ error: "the path of a model" }).min(1, { error: "the path of a model" }).optional(),
  engine: z.string({ error: "the name of an engine, or auto" }).default("auto"),
  threads: whole(1).default(1),
  seed: whole(0).default(1),
});

type Parsed = z.output<typeof runConfigSchema>;
export type RunConfig = Parsed & {
  policy: string;
  headPolicy: string;
  train: Parsed["train"] & { sequenceLength: number };
};

/** What a task drops where its configuration does not say; at the head only where gates are dropped too. */
export function taskPolicies(task: TaskName): { readonly policy: string; readonly headPolicy: string } {
  const { policy = DEFAULT_POLICY, headPolicy = "dense" } = tasks[task];
  return { policy, headPolicy };
}

export interface ConfigSources {
  /** A .yaml, .yml or .json file is a configuration; any other is what the task learns from, as `data`. */
  readonly file?: string | undefined;
  /** A text or a file of data: task.text or task.data, whichever the task has. */
  readonly data?: string | undefined;
  /** "train.maxSteps=100"; values are YAML scalars. */
  readonly overrides?: readonly string[] | undefined;
}

export type Tree = Record<string, unknown>;

/** Throws a UsageError of one line: what was got, what was expected. Relative paths start at the current folder. */
export function loadConfig(sources: ConfigSources = {}): RunConfig {
  return parseConfig(loadTree(sources));
}

/** What was given, before defaults; `under` is beneath it and may name the task. */
export function loadTree({ file, data, overrides = [] }: ConfigSources, under: Tree = emptyTree()): Tree {
  const isConfig = file !== undefined && isConfigFile(file);
  const given = emptyTree();
  for (const override of overrides) setOverride(given, override);
  const tree = isConfig ? readTree(file) : emptyTree();
  const learnt = data ?? (isConfig ? undefined : file);
  if (learnt === undefined) return merge(tree, given);
  return merge(merge(tree, { task: { [dataKey(merge(under, merge(tree, given)))]: learnt } }), given);
}

/** Where a task has what it learns from. */
function dataKey({ task }: Tree): "text" | "data" {
  const name = isTree(task) ? task.name : undefined;
  return typeof name === "string" && Object.hasOwn(tasks, name) && tasks[name as TaskName].onData ? "data" : "text";
}

/** Checks a configuration as an object; fills defaults. */
export function parseConfig(tree: unknown): RunConfig {
  const result = runConfigSchema.safeParse(tree);
  if (!result.success) throw new UsageError(explain(result.error.issues[0]!, tree));
  const { data } = result;
  const sequenceLength = data.train.sequenceLength ?? tasks[data.task.name].sequenceLength ?? 50;
  const usual = taskPolicies(data.task.name);
  const policy = parsePolicy(data.policy ?? usual.policy).name;
  const headPolicy = parsePolicy(data.headPolicy ?? (policy === "dense" ? "dense" : usual.headPolicy)).name;
  const config = { ...data, policy, headPolicy, train: { ...data.train, sequenceLength } };
  finishTask(config.task);
  finishTrain(config);
  const { policies = {} } = config;
  if (Object.hasOwn(policies, "head"))
    throw new UsageError(`policies.head: the output layer's policy is headPolicy; write headPolicy=${policies.head}.`);
  for (const [site, policy] of Object.entries(policies)) policies[site] = parsePolicy(policy).name;
  return config;
}

function finishTrain({ train, task }: RunConfig): void {
  const { maxSteps, maxEpochs, schedule } = train;
  if (train.sequenceLength === 0 && tasks[task.name].sequenceLength !== 0)
    throw new UsageError(`train.sequenceLength: got 0, expected a whole number of at least 1 for task ${task.name}.`);
  if (maxSteps !== undefined && maxEpochs !== undefined)
    throw new UsageError(
      `train.maxSteps ${maxSteps} and train.maxEpochs ${maxEpochs} are both given; give one of them.`,
    );
  if (maxSteps === undefined && maxEpochs === undefined) train.maxSteps = DEFAULT_MAX_STEPS;
  if (schedule !== "epochDecay") return;
  train.decayAfterEpoch ??= 4;
  train.decayFactor ??= 0.5;
}

/** What is dropped, in one line: "energy:0.99", or "energy:0.99 (lstm.l0 dense)". */
export function policyText({ policy, policies = {} }: RunConfig): string {
  const others = Object.entries(policies).map(([site, own]) => `${site} ${own}`);
  return others.length ? `${policy} (${others.sort().join(", ")})` : policy;
}

export function isConfigFile(file: string): boolean {
  return /\.(ya?ml|json)$/i.test(file);
}

/** The file; where there is none of that name, what the package itself has under configs/, as documents name it. */
export function configPath(file: string): string {
  if (existsSync(file) || !/^configs[\\/]/.test(normalize(file))) return file;
  const own = fileURLToPath(new URL(`../../${normalize(file)}`, import.meta.url));
  return existsSync(own) ? own : file;
}

export function readTree(file: string): Tree {
  let text: string;
  try {
    text = readFileSync(configPath(file), "utf8");
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === "ENOENT";
    throw new UsageError(
      missing
        ? `no configuration file ${file} (looked for ${resolve(file)}).`
        : `configuration file ${file} cannot be read: ${(error as Error).message}.`,
    );
  }
  const document = parseDocument(text);
  const [error] = document.errors;
  if (error) throw new UsageError(`configuration file ${file}: ${error.message.split("\n")[0]}`);
  const tree: unknown = document.toJS() ?? {};
  if (!isTree(tree))
    throw new UsageError(`configuration file ${file}: expected keys and values such as "policy: dense".`);
  return tree;
}

/** The parts of a dotted key. Names of sites have dots of their own: "policies.lstm.l0" has two parts. */
export function pathOf(key: string): string[] {
  const site = /^policies\.(.+)$/.exec(key)?.[1];
  return site === undefined ? key.split(".") : ["policies", site];
}

export function setOverride(tree: Tree, override: string): void {
  const [, key, text] = /^([^=]+)=(.*)$/s.exec(override) ?? [];
  if (key === undefined || text === undefined)
    throw new UsageError(`"${override}" is no setting; write key=value, for example train.maxSteps=100.`);
  const path = pathOf(key.trim());
  let at = tree;
  for (const part of path.slice(0, -1)) {
    if (!isTree(at[part])) at[part] = emptyTree();
    at = at[part] as Tree;
  }
  const name = key.trim();
  at[path.at(-1) as string] = name === "from" || isPathSetting(name) ? text : scalar(key, text);
}

/** A YAML scalar; what YAML reads as a list or a map stays text, for the schema to refuse. */
function scalar(key: string, text: string): unknown {
  let value: unknown;
  try {
    value = parse(text);
  } catch {
    throw new UsageError(`${key}: got ${JSON.stringify(text)}, expected a plain value.`);
  }
  return typeof value === "object" ? text : value;
}

/** `over` wins, key by key. Of maxSteps and maxEpochs the later source's one counts. */
export function merge(under: Tree, over: Tree): Tree {
  const merged = Object.assign(emptyTree(), under);
  const rivals = { maxSteps: "maxEpochs", maxEpochs: "maxSteps" } as Record<string, string>;
  for (const [key, value] of Object.entries(over)) {
    const rival = rivals[key];
    if (rival && !(rival in over)) delete merged[rival];
    const below = merged[key];
    merged[key] = isTree(below) && isTree(value) ? merge(below, value) : value;
  }
  return merged;
}

/** Without a prototype: a key such as "__proto__" is a key like any other. */
export function emptyTree(): Tree {
  return Object.create(null);
}

export function isTree(value: unknown): value is Tree {
  return isObject(value);
}

function explain(issue: z.core.$ZodIssue, tree: unknown): string {
  const path = issue.path.map(String);
  if (issue.code === "unrecognized_keys") return unknownKey(path, issue.keys[0] as string);
  const got = path.reduce<unknown>((at, key) => (isTree(at) ? at[key] : undefined), tree);
  const shown = typeof got === "number" ? String(got) : JSON.stringify(got);
  if (issue.code === "invalid_type" && issue.expected === "object")
    return path.length === 0
      ? `configuration: got ${shown}, expected keys and values.`
      : `${path.join(".")}: got ${shown}, expected keys such as ${keysOf(path).slice(0, 2).join(" and ")}.`;
  const near =
    typeof got === "string" && issue.code === "invalid_value" ? nearest(got, issue.values.map(String)) : undefined;
  return `${path.join(".")}: got ${shown}, expected ${issue.message}.${near ? ` Did you mean "${near}"?` : ""}`;
}

function keysOf(path: readonly string[]): string[] {
  const [section] = path;
  if (section === undefined) return Object.keys(runConfigSchema.shape);
  return Object.keys(sections[section as keyof typeof sections].shape).map((key) => `${section}.${key}`);
}

/** Names the nearest key anywhere (a key is often right but for its section), then the section's keys. */
function unknownKey(path: readonly string[], key: string): string {
  const full = [...path, key].join(".");
  const everywhere = [
    ...keysOf([]).filter((name) => !(name in sections)),
    ...Object.keys(sections).flatMap((name) => keysOf([name])),
  ];
  const sameName = everywhere.find((name) => name.split(".").at(-1)!.toLowerCase() === key.toLowerCase());
  const near = sameName ?? nearest(full, [...everywhere, ...Object.keys(sections)]);
  const known = keysOf(path.slice(0, 1));
  return `unknown key "${full}"${near ? `, did you mean "${near}"?` : "."} The keys ${path.length ? `of ${path[0]}` : ""} are: ${known.join(", ")}.`.replace(
    "  ",
    " ",
  );
}
