/** The table of tasks: a new task is one file and one line here. */
import { check, choose } from "../core/check.ts";
import { addingTask } from "./adding.ts";
import type { BpeData } from "./bpe.ts";
import { type CaptionedPicture, type CaptioningEncoding, captioningTask } from "./captioning.ts";
import { characterTask } from "./character.ts";
import {
  type ClassificationEncoding,
  type ClassificationOptions,
  classificationTask,
  type LabelledSequence,
} from "./classification.ts";
import { copyTask } from "./copy.ts";
import { delayTask } from "./delay.ts";
import { type ForecastingEncoding, forecastingTask, type Series } from "./forecasting.ts";
import { type TaggedSentence, type TaggingEncoding, taggingTask } from "./tagging.ts";
import type { Split, Task } from "./task.ts";
import { type ParallelPair, type TranslationEncoding, translationTask } from "./translation.ts";
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
  /** What to call data in messages. */
  readonly dataName?: string | undefined;
  /** Task classification: sequences with their class; of images also how they are read. */
  readonly sequences?: Readonly<Record<Split, readonly LabelledSequence[]>> | undefined;
  readonly image?: ClassificationOptions["image"];
  /** Task tagging: sentences with their tags. */
  readonly sentences?: Readonly<Record<Split, readonly TaggedSentence[]>> | undefined;
  /** Task forecasting: a series, the columns to forecast, how many rows ahead, rows of a season. */
  readonly series?: Series | undefined;
  readonly targets?: readonly string[] | undefined;
  readonly horizon?: number | undefined;
  readonly period?: number | undefined;
  /** Score the series as a whole: all of it is the test split. */
  readonly allTest?: boolean | undefined;
  /** Task translation: pairs of texts; a tokeniser of one's own; positions of a source that are read. */
  readonly pairs?: Readonly<Record<Split, readonly ParallelPair[]>> | undefined;
  readonly pieces?: BpeData | undefined;
  readonly sourceLength?: number | undefined;
  /** Task captioning: pictures with their captions; pixels along a patch's side. */
  readonly pictures?: Readonly<Record<Split, readonly CaptionedPicture[]>> | undefined;
  readonly patch?: number | undefined;
  /** Tasks on data: what another training learnt of its data (`Task.encoding`); without data, only to predict. */
  readonly encoding?: object | undefined;
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
  /** Whether it needs data: examples or a series. */
  readonly onData: boolean;
  /** train.sequenceLength where none is given; 0: as long as the longest sequence. */
  readonly sequenceLength?: number;
  /** What is dropped from gate gradients where nothing is said, if evidence speaks for another than most tasks' (DEFAULT_POLICY). */
  readonly policy?: string;
  /** The same for the gradient of the logits, where gates are dropped too; without it, nothing. */
  readonly headPolicy?: string;
  create(options: TaskOptions): Task;
}

export const TASKS = [
  "character",
  "word",
  "classification",
  "forecasting",
  "tagging",
  "translation",
  "captioning",
  "adding",
  "delay",
  "copy",
] as const;
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
    onData: false,
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
    onData: false,
    // Its gates keep half under the general default and bear more: docs/results/tradeoff-character.md. Its head is more
    // than half of its work; dropping there by size, not by chance, costs much: docs/results/head-rules.md.
    policy: "stochastic:0.9",
    headPolicy: "stochastic:0.999",
    create({ text, textParts, textName = "text", ...options }) {
      check(text !== undefined, "task word needs a text.");
      return wordTask({ ...options, text, parts: textParts, name: textName });
    },
  },
  classification: {
    summary: "name the class of a sequence",
    input: "texts, words, numbers or images, one class each",
    output: "a class",
    lossUnit: "nats/sequence",
    metrics: ["perplexity", "accuracy", "macroRecall", "macroF1"],
    config: "configs/classification.yaml",
    onText: false,
    onData: true,
    sequenceLength: 0,
    create: ({ dataName = "data", sequences, encoding, ...options }) =>
      classificationTask({
        ...options,
        name: dataName,
        parts: sequences,
        encoding: encoding as ClassificationEncoding,
      }),
  },
  forecasting: {
    summary: "forecast the next values of a series",
    input: "rows of numbers",
    output: "columns of the next rows",
    lossUnit: "squared error",
    metrics: ["mae", "rmse", "mase", "naiveMae", "seasonalNaiveMae"],
    config: "configs/forecasting.yaml",
    onText: false,
    onData: true,
    create: ({ dataName = "series", encoding, ...options }) =>
      forecastingTask({ ...options, name: dataName, encoding: encoding as ForecastingEncoding }),
  },
  tagging: {
    summary: "name the tag of each word of a sentence",
    input: "sentences, a tag for each word",
    output: "a tag for each word",
    lossUnit: "nats/word",
    metrics: ["perplexity", "accuracy", "macroRecall", "macroF1"],
    config: "configs/tagging.yaml",
    onText: false,
    onData: true,
    create: ({ dataName = "sentences", sentences, encoding, ...options }) =>
      taggingTask({ ...options, name: dataName, parts: sentences, encoding: encoding as TaggingEncoding }),
  },
  translation: {
    summary: "write in one language what is read in another",
    input: "sentences",
    output: "a sentence for each",
    lossUnit: "nats/token",
    metrics: ["perplexity", "accuracy", "bleu", "chrF2"],
    config: "configs/translation.yaml",
    onText: false,
    onData: true,
    sequenceLength: 0,
    create: ({ dataName = "pairs", pairs, encoding, pieces, ...options }) =>
      translationTask({
        ...options,
        name: dataName,
        parts: pairs,
        tokenizer: pieces,
        encoding: encoding as TranslationEncoding,
      }),
  },
  captioning: {
    summary: "write what is on a picture",
    input: "pictures",
    output: "a caption for each",
    lossUnit: "nats/token",
    metrics: ["perplexity", "accuracy", "bleu", "chrF2", "exactMatch"],
    config: "configs/captioning.yaml",
    onText: false,
    onData: true,
    sequenceLength: 0,
    create: ({ dataName = "pictures", pictures, encoding, ...options }) =>
      captioningTask({ ...options, name: dataName, parts: pictures, encoding: encoding as CaptioningEncoding }),
  },
  adding: {
    summary: "add the two marked numbers of a sequence",
    input: "numbers from 0 to 1 and marks, generated",
    output: "a number",
    lossUnit: "squared error",
    metrics: ["rootMeanSquaredError"],
    config: "configs/adding.yaml",
    onText: false,
    onData: false,
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
    onData: false,
    create: delayTask,
  },
  copy: {
    summary: "say ten symbols again after a long wait",
    input: "tokens, generated",
    output: "a token at each position",
    lossUnit: "nats/token",
    metrics: ["perplexity", "accuracy"],
    config: "configs/copy.yaml",
    onText: false,
    onData: false,
    create: copyTask,
  },
};

/** A task by name. Errors list the choices. */
export function createTask(name: string, options: TaskOptions = {}): Task {
  return choose("task", name, tasks).create(options);
}
