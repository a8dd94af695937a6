/** A run's best weights as an ONNX file, and that file run beside our own net. */
import { existsSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { check, formatNumber, GatesieveError } from "../core/check.ts";
import { RandomStream } from "../core/random.ts";
import { encodeOnnx, type OnnxFile } from "../formats/onnx.ts";
import { type OnnxExportOptions, onnxOfModel, readsLengths, statesOf } from "../formats/onnx-export.ts";
import type { WeightSource } from "../formats/onnx-graph.ts";
import type { Model } from "../nn/model.ts";
import type { Encoded, Task } from "../tasks/task.ts";
import type { RunConfig } from "./config.ts";
import { type RunWeights, withoutFolders } from "./export.ts";
import { type Streamed, writeFileAtomic } from "./files.ts";
import { hasLengths, learntOf } from "./onnx-learnt.ts";
import { ONNX_METADATA } from "./onnx-source.ts";
import { openModel } from "./open.ts";
import { version } from "./version.ts";

/** Largest difference that `checkOnnx` accepts, as a share of what is compared where that is above 1. */
export const ONNX_BOUND = 1e-5;

/** Writes the file, which must not be there yet. */
export function exportOnnx(weights: RunWeights, out: string): { bytes: number } {
  const path = resolve(out);
  check(!existsSync(path), `${out} is there already; choose another file with --out.`);
  const file = streamOnnx(onnxOfModel(weights.model.spec, weightsByName(weights), optionsOf(weights)));
  writeFileAtomic(path, file, "the exported model");
  return { bytes: file.bytes };
}

/** A run's parameters as graphs take them. */
export function weightsByName({ placed }: RunWeights): (name: string) => WeightSource {
  const sources = new Map(placed.map((each) => [each.name, each]));
  return (name) => {
    const { shape, source } = sources.get(name)!;
    const zeros = () => [new Float32Array(shape.reduce((product, size) => product * size, 1))];
    return { shape, pieces: source ? () => source.pieces() : zeros };
  };
}

/** A file to be written, never whole in memory. */
export function streamOnnx(file: OnnxFile): Streamed {
  const message = encodeOnnx(file);
  const write = (sink: (piece: Uint8Array) => void) => {
    for (const piece of inBlocks(message.pieces())) sink(piece);
  };
  return { bytes: message.length, write };
}

/** Small pieces together: a graph has thousands of a few bytes each. */
function* inBlocks(pieces: Iterable<Uint8Array>): Generator<Uint8Array> {
  const block = new Uint8Array(2 ** 16);
  let used = 0;
  for (const piece of pieces) {
    if (used + piece.length > block.length) {
      yield block.slice(0, used);
      used = 0;
    }
    if (piece.length > block.length) yield piece;
    else {
      block.set(piece, used);
      used += piece.length;
    }
  }
  yield block.slice(0, used);
}

function optionsOf({ info, config, task, scores, vocabulary }: RunWeights): OnnxExportOptions {
  const learnt = learntOf(task);
  const own = { version, run: info.id, scores, config: withoutFolders(config) };
  const metadata = new Map([[ONNX_METADATA.own as string, JSON.stringify(own)]]);
  const words = vocabulary ?? learnt.vocabulary;
  if (words) metadata.set(ONNX_METADATA.vocabulary, JSON.stringify(words));
  const labels = learnt.labels ?? (task.text ? words : undefined);
  if (labels) metadata.set(ONNX_METADATA.labels, JSON.stringify(labels));
  if (task.encoding) metadata.set(ONNX_METADATA.encoding, JSON.stringify(task.encoding));
  const { normalisation, forecast } = learnt;
  return { version, metadata, lengths: hasLengths(task), normalisation, forecast };
}

// ---- the file beside our own net

/** As much of onnxruntime's interface as is used here: https://onnxruntime.ai/docs/api/js */
export interface Runtime {
  readonly env: { readonly versions: { readonly common: string }; readonly wasm?: { numThreads?: number } };
  readonly InferenceSession: {
    create(bytes: Uint8Array, options: object): Promise<{ run(feeds: object): Promise<Record<string, RuntimeTensor>> }>;
  };
  readonly Tensor: new (type: string, data: unknown, dims: readonly number[]) => RuntimeTensor;
}

export interface RuntimeTensor {
  readonly data: Float32Array;
  readonly dims: readonly number[];
}

export interface OnnxCheck {
  /** "onnxruntime-node 1.30.0" */
  readonly runtime: string;
  /** Shapes that were run. */
  readonly shapes: readonly { readonly T: number; readonly B: number }[];
  /** By output: the largest difference, as a share of what is compared where that is above 1. */
  readonly differences: Readonly<Record<string, number>>;
  readonly worst: number;
  readonly bound: number;
}

const RUNTIMES = ["onnxruntime-node", "onnxruntime-web"];

/** Onnxruntime, as it is installed beside this package or where the command was called. */
export async function loadOnnxRuntime(): Promise<{ name: string; runtime: Runtime }> {
  const here = createRequire(join(process.cwd(), "index.js"));
  for (const name of RUNTIMES)
    for (const find of [() => name, () => pathToFileURL(here.resolve(name)).href]) {
      let loaded: { readonly default?: Runtime } & Runtime;
      try {
        loaded = await import(find());
      } catch {
        continue; // not there, or without its binary
      }
      const runtime = loaded.InferenceSession ? loaded : (loaded.default as Runtime);
      // One thread: a wasm session would leave workers behind that keep the process from its end.
      if (runtime.env.wasm) runtime.env.wasm.numThreads = 1;
      return { name: `${name} ${runtime.env.versions.common}`, runtime };
    }
  throw new GatesieveError(
    `onnxruntime is not installed, which --check runs the model in: npm install ${RUNTIMES.join(", or ")}.`,
  );
}

/**
 * Runs the file of a run in onnxruntime and the run's own net on the same random input, states and lengths; a file
 * that says something else is removed.
 */
export async function checkOnnx(runsDir: string, idOrDir: string, out: string): Promise<OnnxCheck> {
  const { name, runtime } = await loadOnnxRuntime();
  const session = await runtime.InferenceSession.create(readFileSync(resolve(out)), { logSeverityLevel: 3 });
  const learnt = (task: Task) =>
    Math.max(1, ...(learntOf(task).forecast?.rowsBack ?? []).map((back, index) => back - index));
  const T = (task: Task, { model: { net, positions }, train }: RunConfig) => {
    const longest = net === "transformer" ? (positions ?? train.sequenceLength) || 7 : 7;
    return Math.max(Math.min(7, longest), learnt(task));
  };
  const { model, task } = await openModel(runsDir, idOrDir, { T, B: 3, engine: "js" });
  const random = new RandomStream(0, "onnx check");
  const differences: Record<string, number> = {};
  const shapes = [
    { T: model.pass.T, B: 3 },
    { T: learnt(task), B: 1 },
  ];
  for (const shape of shapes) {
    const { feeds, expected } = ownPass(model, task, shape.T, shape.B, random, runtime);
    const outputs = await session.run(feeds);
    addDifferences(differences, expected, outputs);
  }
  return judge(out, name, shapes, differences);
}

/** Into `differences`, by output, the largest so far. */
export function addDifferences(
  differences: Record<string, number>,
  expected: Readonly<Record<string, Expected>>,
  outputs: Readonly<Record<string, RuntimeTensor>>,
): void {
  for (const [key, { values, counts, dims }] of Object.entries(expected)) {
    const got = outputs[key];
    if (String(got?.dims) !== String(dims))
      differences[key] = Number.POSITIVE_INFINITY; // another shape is no small difference
    else
      for (let i = 0; i < values.length; i++) {
        if (!counts(i)) continue;
        const difference = Math.abs(got!.data[i]! - values[i]!) / Math.max(1, Math.abs(values[i]!));
        differences[key] = Math.max(differences[key] ?? 0, difference >= 0 ? difference : Number.POSITIVE_INFINITY);
      }
  }
}

/** The outcome of a check; what was written is removed, with an error, where it says something else than the run. */
export function judge(
  out: string,
  runtime: string,
  shapes: OnnxCheck["shapes"],
  differences: Readonly<Record<string, number>>,
): OnnxCheck {
  const worst = Math.max(...Object.values(differences));
  if (worst > ONNX_BOUND) {
    rmSync(resolve(out), { recursive: true, force: true });
    const [key] = Object.entries(differences).find(([, difference]) => difference === worst)!;
    throw new GatesieveError(
      `${out} says something else in ${runtime} than the run: "${key}" differs by ${formatNumber(worst)}, at most ${ONNX_BOUND} is expected. It was removed; please report it.`,
    );
  }
  return { runtime, shapes, differences, worst, bound: ONNX_BOUND };
}

export interface Expected {
  readonly values: ArrayLike<number>;
  readonly dims: readonly number[];
  /** Whether an element counts: padding does not. */
  counts(index: number): boolean;
}

/** A pass of ours over random input from random states, and the feeds of the same. */
function ownPass(model: Model, task: Task, T: number, B: number, random: RandomStream, { Tensor }: Runtime) {
  const { spec } = model;
  const { hiddenSize: H, input, output } = spec;
  const D = spec.bidirectional ? 2 : 1;
  const layers = spec.numLayers * D;
  const buffers = model.buffers();
  const { normalisation, forecast } = learntOf(task);
  const feeds: Record<string, RuntimeTensor> = {};
  const encoded: Encoded[] = [];
  const lengths = Int32Array.from({ length: B }, (_, b) => (hasLengths(task) && b > 0 ? 1 + random.below(T) : T));
  if (hasLengths(task) && readsLengths(spec)) feeds.lengths = new Tensor("int32", lengths, [B]);
  buffers.lengths.set(lengths);
  if (input.kind === "tokens") {
    const tokens = Int32Array.from({ length: T * B }, () => random.below(input.vocabulary));
    (buffers.tokens as Int32Array).set(tokens);
    feeds.tokens = new Tensor("int64", BigInt64Array.from(tokens, BigInt), [T, B]);
  } else {
    const { size } = input;
    const mean = (c: number) => normalisation?.mean[c] ?? 0;
    const deviation = (c: number) => normalisation?.deviation[c] ?? 1;
    const raw = Float32Array.from(
      { length: T * B * size },
      (_, i) => random.normal() * deviation(i % size) + mean(i % size),
    );
    feeds.features = new Tensor("float32", raw, [T, B, size]);
    for (let i = 0; i < raw.length; i++) buffers.features![i] = (raw[i]! - mean(i % size)) / deviation(i % size);
    for (let b = 0; b < B; b++)
      encoded.push(
        Float32Array.from({ length: T * size }, (_, i) => raw[(Math.floor(i / size) * B + b) * size + (i % size)]!),
      );
  }
  const names = statesOf(spec);
  for (const [index, name] of names.entries()) {
    const start = Float32Array.from({ length: layers * B * H }, () => random.normal() / 2);
    feeds[`${name}0`] = new Tensor("float32", start, [layers, B, H]);
    for (let l = 0; l < layers; l++)
      model.carried[l * names.length + index]!.data.set(start.subarray(l * B * H, (l + 1) * B * H));
  }
  const pass = { ...model.pass, T, B, training: false };
  const all = output.positions === "all";
  const outputs = new Float32Array((all ? T : 1) * B * output.size);
  model.head.outputs(model.forward(pass), pass, outputs);

  const everything = () => true;
  const expected: Record<string, Expected> = {
    output: {
      values: outputs,
      dims: all ? [T, B, output.size] : [B, output.size],
      counts: (i) => {
        const row = Math.floor(i / output.size);
        return !all || Math.floor(row / B) < lengths[row % B]!;
      },
    },
  };
  for (const [index, name] of names.entries()) {
    const end = new Float32Array(layers * B * H);
    for (let l = 0; l < layers; l++)
      end.set(model.carried[l * names.length + index]!.data.subarray(0, B * H), l * B * H);
    expected[`${name}n`] = { values: end, dims: [layers, B, H], counts: everything };
  }
  if (forecast) {
    const { rowsBack: rows, targets } = forecast;
    const lanes = encoded.map((each, lane) => task.prediction!.decode(outputs, lane, B, each).forecast as object);
    const values = lanes.flatMap((lane) => rows.flatMap((_, h) => Object.values(lane).map((column) => column[h])));
    expected.forecast = { values, dims: [B, rows.length, targets.length], counts: everything };
  }
  return { feeds, expected };
}
