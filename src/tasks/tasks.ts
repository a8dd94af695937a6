/** The table of tasks: a new task is one file and one line here. */
import { check, choose } from "../core/check.ts";
import { addingTask } from "./adding.ts";
import { characterTask } from "./character.ts";
import { delayTask } from "./delay.ts";
import type { Task } from "./task.ts";
import { wordTask } from "./word.ts";
import type { Tokenizer } from "./words.ts";

export interface TaskOptions {
  /** The text itself, for tasks on text. */
  readonly text?: string | undefined;
  /** Task word: the other parts of a text that has three; `text` is then the training part. */
  readonly textParts?: { readonly valid: string; readonly test: string } | undefined;
  /** Task word: how text becomes words; and how this text does, if it is tokenised already. */
  readonly tokenizer?: Tokenizer | undefined;
  readonly textTokenizer?: Tokenizer | undefined;
  /** Task word: entries of the vocabulary at most. */
  readonly vocabularySize?: number | undefined;
  /** What to call the text in messages. */
  readonly textName?: string | undefined;
  /** Columns of a trained embedding of input tokens; 0: one-hot. */
  readonly embedding?: number | undefined;
  /** Task delay: how far to look back. */
  readonly delay?: number | undefined;
  /** Tasks on text: use this vocabulary instead of the text's own. */
  readonly vocabulary?: readonly string[] | undefined;
}

/** What a task is, before any data is read. */
export interface TaskEntry {
  readonly summary: string;
  /** What goes in and what comes out, for people. */
  readonly input: string;
  readonly output: string;
  readonly lossUnit: string;
  /** Names of its scores; with those of training, what a validation tells. */
  readonly metrics: readonly string[];
  /** A ready configuration, from the package's root. */
  readonly config: string;
  /** Whether it needs `text`. */
  readonly onText: boolean;
  create(options: TaskOptions): Task;
}

export const TASKS = ["character", "word", "adding", "delay"] as const;
export type TaskName = (typeof TASKS)[number];

export const tasks: Readonly<Record<TaskName, TaskEntry>> = {
  character: {
    summary: "predict the next character of a text",
    input: "a text",
    output: "the next character",
    lossUnit: "nats/char",
    metrics: ["perplexity", "bitsPerCharacter", "accuracy"],
    config: "configs/default.yaml",
    onText: true,
    create({ text, textName = "text", embedding, vocabulary }) {
      check(text !== undefined, "task character needs a text.");
      return characterTask({ text, name: textName, embedding, vocabulary });
    },
  },
  word: {
    summary: "predict the next word of a text",
    input: "a text",
    output: "the next word",
    lossUnit: "nats/word",
    metrics: ["perplexity", "accuracy"],
    config: "configs/word-brown-small.yaml",
    onText: true,
    create({ text, textParts, textName = "text", ...options }) {
      check(text !== undefined, "task word needs a text.");
      return wordTask({ ...options, text, parts: textParts, name: textName });
    },
  },
  adding: {
    summary: "add the two marked numbers of a sequence",
    input: "numbers from 0 to 1 and marks, generated",
    output: "a number",
    lossUnit: "squared error",
    metrics: ["rootMeanSquaredError"],
    config: "configs/adding.yaml",
    onText: false,
    create: addingTask,
  },
  delay: {
    summary: "name the token seen a while ago",
    input: "tokens, generated",
    output: "a token at each position",
    lossUnit: "nats/token",
    metrics: ["perplexity", "accuracy"],
    config: "configs/delay.yaml",
    onText: false,
    create: delayTask,
  },
};

/** A task by name. Errors list the choices. */
export function createTask(name: string, options: TaskOptions = {}): Task {
  return choose("task", name, tasks).create(options);
}
