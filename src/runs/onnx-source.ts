/** A model in an ONNX file: its parameters under PyTorch's names, and what our own files tell beside them. */
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { GatesieveError, isObject } from "../core/check.ts";
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
  const config = isObject(own) && isObject(own.config) ? own.config : undefined;
  refuseOneWay(path, config?.model);
  const { parameters, positions, normalises, notes } = netOfOnnx(file, path);
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

/** Our own nets that go out as ONNX and do not come back: said by name, before a node of them is met. */
function refuseOneWay(path: string, model: unknown): void {
  if (!isObject(model)) return;
  const { net = "recurrent" } = model;
  const what = net === "recurrent" ? ["residual", "layerNorm"].find((key) => model[key]) : `net ${net}`;
  if (what !== undefined)
    throw new GatesieveError(
      `${path} is a model of ours with ${what}, which is not read back from ONNX. Import the folder that "gatesieve export RUN --out FOLDER" writes; OnnxSession runs the file: docs/formats.md.`,
    );
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((each) => typeof each === "string");
}
