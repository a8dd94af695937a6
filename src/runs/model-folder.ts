/** Parameters from somewhere else against those of a model of ours: compared by name and shape, loaded, written. */
import { GatesieveError } from "../core/check.ts";
import { planSafetensors } from "../formats/safetensors.ts";
import { type Fit, fitStateDict, list, type Rename } from "../formats/state-dict.ts";
import type { Model } from "../nn/model.ts";
import type { Parameter } from "../nn/module.ts";
import type { Tree } from "./config.ts";
import { isTree, merge } from "./config.ts";
import type { Streamed } from "./files.ts";
import type { ModelSource, ParameterSource } from "./model-source.ts";

/** A parameter to be written: where its numbers come from, or nowhere, which are zeros. */
export interface PlacedParameter {
  readonly name: string;
  readonly shape: readonly number[];
  readonly source: ParameterSource | undefined;
}

const REAL = ["F32", "F64", "F16", "BF16"];

/** The configuration that a model from elsewhere comes with: its net by shape, and its task where it tells. */
export function configOfSource(source: ModelSource, renames: readonly Rename[] = []): { tree: Tree; fit: Names } {
  const foreign = isOurs(source) ? undefined : fitStateDict(source.parameters, source.path, renames);
  if (!foreign) return { tree: treeOfOurs(source), fit: fitOf(source) };
  const fit = foreign;
  const { cell, numLayers, hiddenSize, embedding, bidirectional } = fit.net;
  const net = { cell, numLayers, hiddenSize, embedding, ...(bidirectional ? { bidirectional } : {}) };
  const { task, model } = source.config ?? {};
  const own: Tree = { ...(task ? { task } : {}), ...(model ? { model } : {}) };
  return { tree: merge(own, { model: net }), fit };
}

/**
 * A folder of Gatesieve's with a net whose shape its weights alone do not tell: not a recurrent one, with norms, or an
 * encoder with its decoder.
 */
function isOurs({ config, parameters }: ModelSource): boolean {
  const model = config?.model;
  if (!isTree(model)) return false;
  const has = (half: string) => [...parameters.keys()].some((name) => name.startsWith(half));
  const isOther = model.net !== undefined && model.net !== "recurrent";
  return isOther || model.layerNorm === true || (has("encoder.") && has("decoder."));
}

/** What it was trained with; it reads as far as it has positions, however long the sequences of its training were. */
function treeOfOurs({ config, parameters }: ModelSource): Tree {
  const positions = parameters.get("transformer.positions.weight")?.shape[0];
  const model = { ...(config?.model as Tree), ...(positions === undefined ? {} : { positions }) };
  return { ...(config?.task ? { task: config.task } : {}), model };
}

/** Whose names are which; of a folder of ours they are the same. */
export function fitOf(source: ModelSource): Names {
  if (!isOurs(source)) return fitStateDict(source.parameters, source.path);
  return { names: new Map([...source.parameters.keys()].map((name) => [name, name])), notes: [] };
}

type Names = Pick<Fit, "names" | "notes">;

/** Each of the model's parameters with its numbers. Throws an error that names what does not fit, with both shapes. */
export function placeParameters(
  parameters: readonly Parameter[],
  source: ModelSource,
  fit: Names,
  vocabularySize?: number,
): PlacedParameter[] {
  const fail = (what: string): never => {
    throw new GatesieveError(`${source.path}: ${what}`);
  };
  const wanted = new Set(parameters.map(({ name }) => name));
  const missing = [...wanted].filter((name) => !fit.names.has(name));
  const extra = [...fit.names].filter(([name]) => !wanted.has(name)).map(([name, theirs]) => theirs ?? name);
  if (missing.length) fail(`${list(missing)} missing: this net needs ${missing.length === 1 ? "it" : "them"}.`);
  if (extra.length) fail(`${list(extra)}: this net has no such parameter.`);
  return parameters.map(({ name, value: { shape } }) => {
    const theirs = fit.names.get(name);
    const stored = theirs === undefined ? undefined : source.parameters.get(theirs);
    if (!stored) return { name, shape, source: undefined };
    if (!REAL.includes(stored.dtype) || String(stored.shape) !== String(shape)) {
      const rows = vocabularySize !== undefined && stored.shape[0] !== shape[0] && shape[0] === vocabularySize;
      fail(
        `got ${stored.dtype} [${stored.shape}] for "${name}"${theirs === name ? "" : ` ("${theirs}")`}, expected ${REAL.join(", ")} [${shape}].` +
          (rows ? ` The vocabulary has ${vocabularySize} entries; give the model's own with --vocabulary.` : ""),
      );
    }
    return { name, shape, source: stored };
  });
}

/** Puts the numbers into the model. */
export function loadParameters(model: Model, placed: readonly PlacedParameter[]): void {
  for (const [index, { source }] of placed.entries()) {
    const { data } = model.parameters[index]!.value;
    let at = 0;
    if (!source) data.fill(0);
    else
      for (const piece of source.pieces()) {
        data.set(piece, at);
        at += piece.length;
      }
  }
  model.pack();
}

/** A safetensors file of float32 with PyTorch's names, never whole in memory. */
export function streamParameters(placed: readonly PlacedParameter[]): Streamed {
  const described = placed.map(({ name, shape }) => ({ name, shape, dtype: "F32" as const }));
  const { header, order, fileBytes } = planSafetensors(described, { format: "pt" });
  return {
    bytes: fileBytes,
    write(sink) {
      sink(header);
      for (const index of order) {
        const { shape, source } = placed[index]!;
        if (source) for (const piece of source.pieces()) sink(bytesOf(piece));
        else sink(new Uint8Array(4 * shape.reduce((product, size) => product * size, 1)));
      }
    },
  };
}

function bytesOf(piece: Float32Array): Uint8Array {
  return new Uint8Array(piece.buffer, piece.byteOffset, piece.byteLength);
}
