/** The part `task` of a configuration: its settings, which task each belongs to, and their defaults. */
import { z } from "zod";
import { UsageError } from "../core/check.ts";
import { DEFAULT_DELAY } from "../tasks/delay.ts";
import { ORDERS } from "../tasks/inputs.ts";
import { TASKS, type TaskName, tasks } from "../tasks/tasks.ts";
import { DEFAULT_VOCABULARY } from "../tasks/word.ts";
import { LANGUAGES, MISSING_CHOICES, TAGSETS, TEXT_TOKENIZERS } from "./data-settings.ts";
import { BUILTIN_DATA } from "./data-tasks.ts";
import { DEFAULT_TEXT } from "./text.ts";

/** A finite number; `expected` is what the error says, and an editor by the schema. */
export const real = (expected: string, ok: (value: number) => boolean) =>
  z.number({ error: expected }).refine(ok, { error: expected }).meta({ description: expected });
export const whole = (least: number) =>
  real(`a whole number of at least ${least}`, (value) => Number.isSafeInteger(value) && value >= least).meta({
    type: "integer",
    minimum: least,
    description: `a whole number of at least ${least}`,
  });
export const oneOf = <const T extends readonly string[]>(names: T) =>
  z.enum(names, { error: `one of ${names.join(", ")}` });
const named = (expected: string) => z.string({ error: expected }).min(1, { error: expected });

export const task = z.strictObject({
  name: oneOf(TASKS).default("character"),
  /** character, word: a path or the name of a built-in text. */
  text: named("a path or the name of a built-in text").optional(),
  /** delay: how far to look back. */
  delay: whole(1).optional(),
  /** word: a text's other parts, where it has three files; `text` is then the training part. */
  validText: named("a path").optional(),
  testText: named("a path").optional(),
  /** word, classification: how text becomes words, or characters. */
  tokenizer: oneOf(TEXT_TOKENIZERS).optional(),
  /** word, classification, tagging: entries of the vocabulary at most, `<unk>` among them. */
  vocabulary: whole(2).optional(),
  /** Tasks on data: a path or the name of a built-in set; and the other parts, where there are three files. */
  data: named("a path or the name of a built-in set").optional(),
  validData: named("a path").optional(),
  testData: named("a path").optional(),
  /** classification: columns of a CSV file, keys of JSONL. */
  labelColumn: named("the name of a column").optional(),
  textColumn: named("the name of a column").optional(),
  sequenceColumn: named("the name of a column").optional(),
  /** translation: the other side of two files, line by line; `data` is then what is read. */
  targetData: named("a path").optional(),
  validTargetData: named("a path").optional(),
  testTargetData: named("a path").optional(),
  /** translation, of verses: from which language into which. */
  languages: oneOf(LANGUAGES).optional(),
  /** translation: a tokenizer.json in place of a vocabulary to learn. */
  tokenizerFile: named("a path").optional(),
  /** translation: positions of a source that are read; without it the longest of the data's. */
  sourceLength: whole(1).optional(),
  /** captioning: pixels along a patch's side. */
  patch: whole(1).optional(),
  /** classification: how an image becomes a sequence. */
  order: oneOf(ORDERS).optional(),
  /** classification, forecasting: columns of numbers to read, with commas between. */
  columns: named("names of columns, with commas between").optional(),
  /** classification, forecasting: what is done about missing values. */
  missing: oneOf(MISSING_CHOICES).optional(),
  /** forecasting: columns to forecast, rows ahead, rows of a season (1: none). */
  target: named("names of columns, with commas between").optional(),
  horizon: whole(1).optional(),
  period: whole(1).optional(),
  /** tagging, of brown: tags as they stand, or without marks of titles, headlines, negation and the like. */
  tagset: oneOf(TAGSETS).optional(),
});
export type TaskSettings = z.output<typeof task>;

/** Whose settings these are; other tasks refuse them. */
const OWNERS: Readonly<Record<string, readonly TaskName[]>> = {
  delay: ["delay"],
  validText: ["word"],
  testText: ["word"],
  tokenizer: ["word", "classification"],
  vocabulary: ["word", "classification", "tagging", "translation", "captioning"],
  data: ["classification", "forecasting", "tagging", "translation", "captioning"],
  validData: ["classification", "tagging", "translation", "captioning"],
  testData: ["classification", "tagging", "translation", "captioning"],
  targetData: ["translation"],
  validTargetData: ["translation"],
  testTargetData: ["translation"],
  languages: ["translation"],
  tokenizerFile: ["translation"],
  sourceLength: ["translation"],
  patch: ["captioning"],
  labelColumn: ["classification"],
  textColumn: ["classification"],
  sequenceColumn: ["classification"],
  order: ["classification"],
  columns: ["classification", "forecasting"],
  missing: ["classification", "forecasting"],
  target: ["forecasting"],
  horizon: ["forecasting"],
  period: ["forecasting"],
  tagset: ["tagging"],
};

/** Names and paths: on the command line they are text, whatever YAML would make of them. */
export function isPathSetting(key: string): boolean {
  return /^task\.(text|validText|testText|data|validData|testData|\w*[tT]argetData|tokenizerFile|\w+Column|columns|target)$/.test(
    key,
  );
}

/** Defaults of the task chosen; settings of another are refused. */
export function finishTask(task: TaskSettings): void {
  const { name, text } = task;
  const settings: Readonly<Record<string, unknown>> = task;
  if (tasks[name].onText) task.text = text ?? DEFAULT_TEXT;
  else if (text !== undefined)
    throw new UsageError(
      `task.text: task ${name} reads no text; ${tasks[name].onData ? "its data is task.data" : "leave it out, or use task.name=character"}.`,
    );
  for (const [key, owners] of Object.entries(OWNERS))
    if (settings[key] !== undefined && !owners.includes(name))
      throw new UsageError(
        `task.${key}: task ${name} has no ${key}; leave it out, or use task.name=${owners.length > 1 ? `${owners.slice(0, -1).join(", ")} or ${owners.at(-1)}` : owners[0]}.`,
      );
  if (name === "delay") task.delay ??= DEFAULT_DELAY;
  if (tasks[name].onData) task.data ??= BUILTIN_DATA[name]?.[0];
  together(task.validText, task.testText, "Text");
  together(task.validData, task.testData, "Data");
  if (name === "translation") finishTranslation(task);
  if (name === "forecasting") {
    task.horizon ??= 1;
    task.period ??= 1;
  }
  if (name !== "word") return;
  task.tokenizer ??= "words";
  task.vocabulary ??= DEFAULT_VOCABULARY;
  if (task.tokenizer === "characters")
    throw new UsageError(
      'task.tokenizer: got "characters", expected one of words, spaces; or use task.name=character.',
    );
}

/** Each file of sources has one of targets; verses have languages. */
function finishTranslation(task: TaskSettings): void {
  const { data, validData, targetData, validTargetData, testTargetData, tokenizerFile, vocabulary } = task;
  if (data === "verses") task.languages ??= "en-es";
  else if (task.languages !== undefined)
    throw new UsageError(`task.languages: only verses has languages to choose from; leave it out for ${data}.`);
  const split = validData !== undefined;
  if (
    (targetData !== undefined && split) !== (validTargetData !== undefined) ||
    (validTargetData === undefined) !== (testTargetData === undefined)
  )
    throw new UsageError(
      "task.validTargetData and task.testTargetData belong to task.validData and task.testData, beside task.targetData: give a file of targets for each of sources, or none where a file holds both.",
    );
  if (tokenizerFile !== undefined && vocabulary !== undefined)
    throw new UsageError(
      "task.vocabulary is for one to be learnt and task.tokenizerFile has its own; give one of them.",
    );
}

function together(valid: string | undefined, test: string | undefined, kind: "Text" | "Data"): void {
  if ((valid === undefined) !== (test === undefined))
    throw new UsageError(
      kind === "Text"
        ? "task.validText and task.testText go together: give both, or neither and task.text is split 90/5/5."
        : "task.validData and task.testData go together: give both, or neither and task.data is split 80/10/10.",
    );
}
