/** A model in an ONNX file: its parameters under PyTorch's names, and what our own files tell beside them. */
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { GatesieveError } from "../core/check.ts";
import { decodeOnnx } from "../formats/onnx.ts";
import { netOfOnnx } from "../formats/onnx-import.ts";

/** Keys of an ONNX file's metadata. */
export const ONNX_METADATA = {
  /** JSON: version, run, scores, configuration. */
  own: "gatesieve",
  /** JSON list, in token order. */
  vocabulary: "vocabulary",
  /** JSON list: what the outputs stand for. */
  labels: "labels",
  /** JSON of what the task learnt of its training part. */
  encoding: "encoding",
} as const;

/** A ModelSource. The file is in memory once; its numbers are read from there in pieces. */
export function openOnnxSource(path: string) {
  const file = decodeOnnx(readFileSync(path), path);
  const metadata = (key: string): unknown => {
    const text = file.metadata.get(key);
    if (text === undefined) return undefined;
    try {
      return JSON.parse(text);
    } catch (error) {
      throw new GatesieveError(`${path}: its metadata "${key}" is no JSON: ${(error as Error).message}.`);
    }
  };
  const ours = file.metadata.has(ONNX_METADATA.own);
  const own = ours ? metadata(ONNX_METADATA.own) : undefined;
  if (isObject(own) && own.part !== undefined)
    throw new GatesieveError(
      `${path}: the ${own.part} of two, which ONNX files do not bring back. Import the folder of gatesieve export RUN --out FOLDER.`,
    );
  const { parameters, positions, normalises, notes } = netOfOnnx(file, path);
  const config = isObject(own) && isObject(own.config) ? own.config : undefined;
  const vocabulary = ours ? metadata(ONNX_METADATA.vocabulary) : undefined;
  const encoding = ours ? metadata(ONNX_METADATA.encoding) : undefined;
  if (vocabulary !== undefined && !isTexts(vocabulary))
    throw new GatesieveError(`${path}: its metadata "vocabulary" is no list of tokens.`);
  if (normalises && !isObject(encoding))
    throw new GatesieveError(
      `${path}: the graph brings its features to mean 0 and deviation 1, but its metadata do not say for which task. Export it without, and normalise the data.`,
    );
  return {
    path,
    name: basename(path).replace(/\.onnx$/, ""),
    parameters,
    config,
    vocabulary: isTexts(vocabulary) ? vocabulary : undefined,
    encoding: isObject(encoding) ? encoding : undefined,
    positions,
    notes,
  };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((each) => typeof each === "string");
}
