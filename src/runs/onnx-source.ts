/** A model in an ONNX file, or in two: its parameters under PyTorch's names, and what our own files tell beside them. */
import { readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { GatesieveError, isObject } from "../core/check.ts";
import { decodeOnnx, type OnnxFile, type OnnxGraph } from "../formats/onnx.ts";
import { ONNX_PARTS, type OnnxPart, onnxOfEncoderDecoder } from "../formats/onnx-encoder-decoder.ts";
import { ONNX_OPSET, onnxOfModel } from "../formats/onnx-export.ts";
import type { WeightSource } from "../formats/onnx-graph.ts";
import { netOfOnnx } from "../formats/onnx-import.ts";
import { differenceOfGraphs, parametersOfOwn } from "../formats/onnx-own.ts";
import type { Model } from "../nn/model.ts";
import type { Task } from "../tasks/task.ts";
import { learntOf } from "./onnx-learnt.ts";

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

/** The file of a part, in the folder of both. */
export const fileOfPart = (part: OnnxPart): string => `${part}.onnx`;

/** A ModelSource. The file is in memory once; its numbers are read from there in pieces. */
export function openOnnxSource(path: string) {
  const file = decodeOnnx(readFileSync(path), path);
  const told = metadataOf(file, path);
  const { own, config } = told;
  if (own?.part !== undefined)
    throw new GatesieveError(`${path}: the ${own.part} of two. Import the folder that holds both.`);
  const common = { path, name: basename(path).replace(/\.onnx$/, ""), config };
  if (isOwnAlone(config?.model)) {
    checkLayers(config?.model, file.graph, path);
    const verify = (model: Model, task: Task) => {
      const { normalisation, forecast } = learntOf(task);
      const lengths = file.graph.inputs.some(({ name }) => name === "lengths");
      const options = { version: "", lengths, normalisation, forecast };
      verifyGraph(file, onnxOfModel(model.spec, shapesOf(model), options), path);
    };
    return { ...common, ...told.learnt(), parameters: parametersOfOwn(file.graph, path), verify };
  }
  const { parameters, positions, normalises, notes } = netOfOnnx(file, path);
  const learnt = told.learnt();
  if (normalises && !learnt.encoding)
    throw new GatesieveError(
      `${path}: the graph brings its features to mean 0 and deviation 1, but its metadata do not say for which task. Export it without, and normalise the data.`,
    );
  return { ...common, ...learnt, parameters, positions, notes };
}

/** A ModelSource of an encoder and its decoder, each in its file in a folder. */
export function openOnnxParts(folder: string) {
  const parts = ONNX_PARTS.map((part) => {
    const path = join(folder, fileOfPart(part));
    const file = decodeOnnx(readFileSync(path), path);
    const told = metadataOf(file, path);
    if (told.own?.part !== part || !told.config)
      throw new GatesieveError(
        `${path} is not the ${part} of a model that Gatesieve wrote: its metadata do not say so. OnnxSession runs it alone: docs/formats.md.`,
      );
    return { part, path, file, ...told };
  });
  const [encoder, decoder] = parts as [(typeof parts)[0], (typeof parts)[0]];
  const ofRun = ({ own }: typeof encoder) => JSON.stringify({ ...own, part: undefined });
  if (ofRun(encoder) !== ofRun(decoder))
    throw new GatesieveError(`${folder}: ${ONNX_PARTS.map(fileOfPart).join(" and ")} are of two different runs.`);
  checkLayers(encoder.config?.model, encoder.file.graph, encoder.path);
  const parameters = parametersOfOwn(encoder.file.graph, encoder.path);
  for (const [name, parameter] of parametersOfOwn(decoder.file.graph, decoder.path)) {
    if (parameters.has(name))
      throw new GatesieveError(`${folder}: parameter "${name}" is in ${ONNX_PARTS.map(fileOfPart).join(" and in ")}.`);
    parameters.set(name, parameter);
  }
  const verify = (model: Model) => {
    const written = onnxOfEncoderDecoder(model.spec, shapesOf(model), { version: "" });
    for (const { part, path, file } of parts) verifyGraph(file, written[part], path);
  };
  return { path: folder, name: basename(folder), config: encoder.config, ...encoder.learnt(), parameters, verify };
}

/** What our own files tell; of others' nothing. */
function metadataOf({ metadata }: OnnxFile, path: string) {
  const read = (key: string): unknown => {
    const text = metadata.get(key);
    if (text === undefined) return undefined;
    try {
      return JSON.parse(text);
    } catch (error) {
      throw new GatesieveError(`${path}: its metadata "${key}" is no JSON: ${(error as Error).message}.`);
    }
  };
  const ours = metadata.has(ONNX_METADATA.own);
  const told = ours ? read(ONNX_METADATA.own) : undefined;
  const own = isObject(told) ? told : undefined;
  return {
    own,
    config: isObject(own?.config) ? own.config : undefined,
    learnt() {
      const vocabulary = ours ? read(ONNX_METADATA.vocabulary) : undefined;
      const encoding = ours ? read(ONNX_METADATA.encoding) : undefined;
      if (vocabulary !== undefined && !isTexts(vocabulary))
        throw new GatesieveError(`${path}: its metadata "vocabulary" is no list of tokens.`);
      return {
        vocabulary: isTexts(vocabulary) ? vocabulary : undefined,
        encoding: isObject(encoding) ? encoding : undefined,
      };
    },
  };
}

/** Nets of ours that a graph alone does not tell: they are read by their names, and held against their graph. */
function isOwnAlone(model: unknown): boolean {
  if (!isObject(model)) return false;
  return (model.net ?? "recurrent") !== "recurrent" || model.residual === true || model.layerNorm === true;
}

/** Before a net of so many layers is planned: each has a node at least. */
function checkLayers(model: unknown, { nodes }: OnnxGraph, path: string): void {
  const layers = isObject(model) ? model.numLayers : undefined;
  if (typeof layers === "number" && layers > nodes.length)
    throw new GatesieveError(`${path}: its configuration has ${layers} layers, its graph ${nodes.length} nodes.`);
}

/** Parameters that are not there yet: their shapes are enough to say what a graph has to be. */
function shapesOf({ parameters }: Model): (name: string) => WeightSource {
  const shapes = new Map(parameters.map(({ name, value }) => [name, value.shape]));
  return (name) => ({ shape: shapes.get(name) as readonly number[], pieces: () => [] });
}

function verifyGraph({ opset, graph }: OnnxFile, written: OnnxFile, path: string): void {
  const found =
    opset === ONNX_OPSET ? differenceOfGraphs(written.graph, graph) : `opset ${opset}, expected ${ONNX_OPSET}`;
  if (found === undefined) return;
  throw new GatesieveError(
    `${path} is not the graph that Gatesieve writes for this net: ${found}. ` +
      `Import the file as it was exported, with its own settings, or the folder of "gatesieve export RUN --out FOLDER"; OnnxSession runs other graphs: docs/formats.md.`,
  );
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((each) => typeof each === "string");
}
