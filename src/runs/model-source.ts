/**
 * A model in a folder (as Hugging Face lays it out) or in one file: what is in it, and its numbers piece by piece,
 * so that no file has to fit in memory.
 *
 *   model.safetensors   parameters
 *   config.json         ours: with a field "gatesieve" that holds the run's configuration; others' are not needed
 *   vocab.json          tokens in order, or { token: number }
 *
 * or in an ONNX file, that has all of this in it, or a folder of two, of an encoder and its decoder.
 */
import * as fs from "node:fs";
import { basename, extname, join, resolve } from "node:path";
import { GatesieveError, isObject, UsageError } from "../core/check.ts";
import { ONNX_PARTS } from "../formats/onnx-encoder-decoder.ts";
import { headerLength, readLayout, type SafetensorsType, toArray } from "../formats/safetensors.ts";
import { list } from "../formats/state-dict.ts";
import type { Model } from "../nn/model.ts";
import type { Task } from "../tasks/task.ts";
import { fileOfPart, openOnnxParts, openOnnxSource } from "./onnx-source.ts";
import { ENCODING } from "./store.ts";

/** A parameter, wherever its numbers are. */
export interface ParameterSource {
  readonly dtype: SafetensorsType;
  readonly shape: readonly number[];
  /** Its numbers as float32, in order, in pieces; each may lie where the last one lay. */
  pieces(): Iterable<Float32Array>;
}

export interface ModelSource {
  /** The file of the parameters. */
  readonly path: string;
  readonly name: string;
  readonly parameters: ReadonlyMap<string, ParameterSource>;
  /** The run's configuration, where Gatesieve wrote the folder. */
  readonly config: Readonly<Record<string, unknown>> | undefined;
  readonly vocabulary: readonly string[] | undefined;
  /** What its task learnt of its data besides weights, where the source tells. */
  readonly encoding: object | undefined;
  /** Positions that its output layer reads, where the source tells. */
  readonly positions?: "all" | "last" | undefined;
  /** What a person should know of how it was read. */
  readonly notes?: readonly string[];
  /** Throws where the source is not what it must be for this net, whose parameters are all there. */
  readonly verify?: (model: Model, task: Task) => void;
}

export const WEIGHTS = "model.safetensors";
export const MODEL_CONFIG = "config.json";
export const MODEL_VOCABULARY = "vocab.json";
const MOST_JSON_BYTES = 64 * 1024 ** 2;
const PIECE_VALUES = 2 ** 18;
const REAL = ["F32", "F64", "F16", "BF16"];

/** Reads headers alone. Throws an error that says what is wrong with which file. */
export function openModelSource(path: string): ModelSource {
  if (holdsParts(resolve(path))) return openOnnxParts(resolve(path));
  const file = weightsFile(path);
  if (extname(file) === ".onnx") return openOnnxSource(file);
  const folder = file === resolve(path) ? undefined : resolve(path);
  const config = folder === undefined ? undefined : readSmallJson(join(folder, MODEL_CONFIG));
  const own = isObject(config) && isObject(config.gatesieve) ? config.gatesieve : undefined;
  return {
    path: file,
    name: basename(folder ?? file).replace(/\.safetensors$/, ""),
    parameters: openSafetensors(file),
    config: isObject(own?.config) ? own.config : isRunConfig(config) ? config : undefined,
    vocabulary: folder === undefined ? undefined : readVocabulary(join(folder, MODEL_VOCABULARY)),
    encoding: isObject(own?.encoding) ? own.encoding : readEncoding(folder),
  };
}

/** Of a run's own folder: encoding.json beside the weights. */
function readEncoding(folder: string | undefined): object | undefined {
  const encoding = folder === undefined ? undefined : readSmallJson(join(folder, ENCODING));
  return isObject(encoding) ? encoding : undefined;
}

/** Entries in token order, from a list or from { token: number }; undefined where there is no file. */
export function readVocabulary(path: string): string[] | undefined {
  const content = readSmallJson(path);
  if (content === undefined) return undefined;
  const fail = (what: string): never => {
    throw new UsageError(`${path}: ${what}; expected a list of tokens, or { "token": number } with numbers from 0 on.`);
  };
  if (!isObject(content) && !Array.isArray(content)) fail("is neither");
  const entries: [string, unknown][] = Array.isArray(content)
    ? content.map((token, index) => [token, index])
    : Object.entries(content as object);
  const vocabulary: string[] = new Array(entries.length);
  for (const [token, index] of entries) {
    if (typeof token !== "string") fail(`entry ${index} is ${JSON.stringify(token)}`);
    if (!Number.isInteger(index) || (index as number) < 0 || (index as number) >= entries.length)
      fail(`"${token}" has number ${JSON.stringify(index)} among ${entries.length} tokens`);
    if (vocabulary[index as number] !== undefined) fail(`number ${index} is there twice`);
    vocabulary[index as number] = token;
  }
  return vocabulary;
}

/** A folder of an encoder and its decoder as ONNX; one with safetensors too is read by those. */
function holdsParts(folder: string): boolean {
  if (!fs.existsSync(folder) || !fs.statSync(folder).isDirectory()) return false;
  const names = fs.readdirSync(folder);
  return (
    ONNX_PARTS.every((part) => names.includes(fileOfPart(part))) && !names.some((name) => name.endsWith(".safetensors"))
  );
}

function weightsFile(path: string): string {
  const full = resolve(path);
  if (!fs.existsSync(full)) throw new UsageError(`no model ${path} (looked for ${full}). Give a folder or a file.`);
  if (!fs.statSync(full).isDirectory()) return full;
  const names = fs.readdirSync(full);
  const found = names.filter((name) => name.endsWith(".safetensors"));
  if (found.includes(WEIGHTS)) return join(full, WEIGHTS);
  if (found.length === 1) return join(full, found[0] as string);
  const pickle = names.find((name) => /\.(pt|pth|bin|ckpt)$/.test(name));
  throw new UsageError(
    pickle
      ? convertHint(join(path, pickle))
      : `${path} has no ${WEIGHTS}, it has ${list(names)}. Give the file itself, or save the model in one file of that name.`,
  );
}

/** A pickle may run any code when it is read, so that nothing here reads one. */
function convertHint(path: string): string {
  return (
    `${path} is a PyTorch pickle, which only PyTorch can read. Convert it there: ` +
    `from safetensors.torch import save_file; save_file(torch.load("${basename(path)}", map_location="cpu"), "${WEIGHTS}")`
  );
}

function openSafetensors(path: string): ReadonlyMap<string, ParameterSource> {
  if (/\.(pt|pth|bin|ckpt)$/.test(extname(path))) throw new UsageError(convertHint(path));
  const { size } = fs.statSync(path);
  const first = readAt(path, 0, Math.min(8, size));
  const length = headerLength(first, size, path);
  const { tensors } = readLayout(readAt(path, 8, length), size, path);
  return new Map(
    [...tensors].map(([name, { dtype, shape, begin, end }]) => {
      const pieces = () => {
        if (!REAL.includes(dtype))
          throw new GatesieveError(`${path}: "${name}" has type ${dtype}, expected one of ${REAL.join(", ")}.`);
        return readPieces(path, dtype, begin, end);
      };
      return [name, { dtype, shape, pieces }];
    }),
  );
}

function* readPieces(path: string, dtype: SafetensorsType, begin: number, end: number): Generator<Float32Array> {
  const file = fs.openSync(path, "r");
  try {
    const room = new Uint8Array(Math.min(end - begin, PIECE_VALUES * 8)); // whole elements of any width
    for (let at = begin; at < end; ) {
      const bytes = room.subarray(0, end - at);
      readFully(file, bytes, at, path);
      at += bytes.length;
      yield dtype === "F32" ? new Float32Array(bytes.buffer, 0, bytes.length / 4) : asFloat32(dtype, bytes);
    }
  } finally {
    fs.closeSync(file);
  }
}

function asFloat32(dtype: SafetensorsType, bytes: Uint8Array): Float32Array {
  const values = toArray({ dtype, shape: [], bytes });
  return values instanceof Float32Array ? values : Float32Array.from(values);
}

function readAt(path: string, at: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  const file = fs.openSync(path, "r");
  try {
    readFully(file, bytes, at, path);
  } finally {
    fs.closeSync(file);
  }
  return bytes;
}

function readFully(file: number, into: Uint8Array, at: number, path: string): void {
  for (let done = 0; done < into.length; ) {
    const read = fs.readSync(file, into, done, into.length - done, at + done);
    if (read === 0) throw new GatesieveError(`${path} became shorter while it was read.`);
    done += read;
  }
}

/** Undefined where there is no file. */
function readSmallJson(path: string): unknown {
  if (!fs.existsSync(path)) return undefined;
  const { size } = fs.statSync(path);
  if (size > MOST_JSON_BYTES) throw new UsageError(`${path} has ${size} bytes, expected at most ${MOST_JSON_BYTES}.`);
  try {
    return JSON.parse(fs.readFileSync(path, "utf8"));
  } catch (error) {
    throw new UsageError(`${path} is no JSON: ${(error as Error).message}.`);
  }
}

/** The config.json beside the weights that a run keeps is the configuration itself. */
function isRunConfig(config: unknown): config is Record<string, unknown> {
  return isObject(config) && isObject(config.task) && isObject(config.model) && isObject(config.train);
}
