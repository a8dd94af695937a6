/** Sequences to predict for: a file, or what comes in on stdin, in the forms the task is trained from, without targets. */
import { readFileSync } from "node:fs";
import { check, UsageError } from "../core/check.ts";
import { readJsonl } from "../formats/jsonl.ts";
import type { Task } from "../tasks/task.ts";
import type { PredictionInput } from "../train/predict.ts";
import { readSequences } from "./data-classification.ts";
import { readIdxFile, readIdxImages } from "./data-images.ts";
import { readSources } from "./data-parallel.ts";
import { readCaptioned, readPicture } from "./data-pictures.ts";
import { readSeries } from "./data-series.ts";
import type { DataSettings } from "./data-settings.ts";
import { readTagged } from "./data-tagging.ts";
import { loadFile } from "./text.ts";

export const FORMATS = ["jsonl", "csv", "conll", "conllu", "txt"] as const;
export type InputFormat = (typeof FORMATS)[number];

export interface ReadInputs {
  readonly inputs: readonly PredictionInput[];
  /** What was done about missing values and columns that are no numbers. */
  readonly notes: readonly string[];
}

/** `file` "-" is stdin, as JSONL unless another format is named. */
export function readPredictionInputs(
  task: Task,
  settings: DataSettings,
  file: string,
  format?: InputFormat,
): ReadInputs {
  check(
    task.prediction !== undefined || task.writing !== undefined,
    `task ${task.name} predicts nothing of a sequence by itself; of a model of text use gatesieve sample.`,
  );
  if (task.name === "captioning" && /\.png$/i.test(file)) return just([{ input: readPicture(file), where: file }]);
  if (/\bidx3-ubyte(\.gz)?$/.test(file)) return just(imagesOf(file));
  const stdin = file === "-";
  const name = stdin ? `stdin.${format ?? "jsonl"}` : format ? `${file}.${format}` : file;
  const text = stdin ? readFileSync(0, "utf8") : loadFile(file, "data", "a file of sequences, or - for stdin").text;
  const read = parse(task, settings, text, name);
  if (read.inputs.length > 0) return read;
  const why = read.notes.map((note) => ` ${note}.`).join("");
  throw new UsageError(`${name} has no sequences; expected at least one.${why}`);
}

function just(inputs: readonly PredictionInput[]): ReadInputs {
  return { inputs, notes: [] };
}

function parse(task: Task, settings: DataSettings, text: string, name: string): ReadInputs {
  if (task.name === "translation") return just(readSources(text, name));
  if (task.name === "captioning")
    return just(readCaptioned(text, name, false).map(({ example, where }) => ({ input: example.picture, where })));
  if (task.name === "tagging")
    return just(readTagged(text, name, false).map(({ example, where }) => ({ input: example.tokens, where })));
  if (task.name === "classification") {
    const { sequences, notes } = readSequences(text, name, settings, false);
    return { inputs: sequences.map(({ example, where }) => ({ input: example.input, where })), notes };
  }
  if (/\.(jsonl|ndjson)$/i.test(name))
    return just(readJsonl(text, name).map(({ line, value }) => ({ input: value.series, where: `${name}:${line}` })));
  const { columns } = task.encoding as { readonly columns: readonly string[] };
  const { series, notes } = readSeries(text, name, settings, columns);
  const size = columns.length;
  const rows = Array.from({ length: series.values.length / size }, (_, row) =>
    Array.from(series.values.subarray(row * size, (row + 1) * size)),
  );
  return { inputs: [{ input: rows, where: name }], notes };
}

function imagesOf(file: string): PredictionInput[] {
  const { count, rows, columns, pixels } = readIdxImages(readIdxFile(file), file);
  const size = rows * columns;
  return Array.from({ length: count }, (_, index) => ({
    input: pixels.subarray(index * size, (index + 1) * size),
    where: `${file}, image ${index + 1}`,
  }));
}
