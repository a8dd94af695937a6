/**
 * Checkpoints: folders `checkpoints/step-000123` of a run, renamed into place.
 *
 *   model.safetensors      the weights of this step, PyTorch's names
 *   training.safetensors   the best weights so far (flat, as in memory), optimizer state, carried states
 *   training.json          everything else a training needs to go on as if never stopped
 *   manifest.json          format, step, the vocabulary's hash; size and SHA-256 of each other file
 */
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { GatesieveError } from "../core/check.ts";
import { readExactJson, writeExactJson } from "../formats/exact-json.ts";
import { readSafetensors, type Safetensors, toArray, writeSafetensors } from "../formats/safetensors.ts";
import { loadWeights, modelFile } from "../formats/weights.ts";
import type { Model } from "../nn/model.ts";
import type { TrainingState } from "../train/training.ts";
import { type Contents, writeFolderAtomic } from "./files.ts";

export { loadWeights, modelFile };

const FORMAT = "gatesieve checkpoint";
const VERSION = 1;
const KEPT = 2;
const MODEL = "model.safetensors";
const TENSORS = "training.safetensors";
const NUMBERS = "training.json";
const MANIFEST = "manifest.json";

export interface Checkpoint {
  readonly step: number;
  readonly vocabularyHash: string | null;
  readonly weights: Safetensors;
  readonly state: TrainingState;
}

/** Its files do not hold what was written. */
export class DamagedCheckpoint extends GatesieveError {}

export function checkpointsDir(dir: string): string {
  return join(dir, "checkpoints");
}

export function checkpointName(step: number): string {
  return `step-${String(step).padStart(6, "0")}`;
}

/** Steps of a run's checkpoints, newest first. */
export function checkpointSteps(dir: string): number[] {
  const folder = checkpointsDir(dir);
  const names = existsSync(folder) ? readdirSync(folder) : [];
  return names
    .map((name) => /^step-(\d+)$/.exec(name)?.[1])
    .filter((digits) => digits !== undefined)
    .map(Number)
    .sort((a, b) => b - a);
}

/** The files of a checkpoint. */
export function checkpointContents(
  model: Model,
  state: TrainingState,
  step: number,
  vocabularyHash: string | null,
): Contents {
  const tensors = Object.entries(state.tensors).map(([name, data]) => ({ name, shape: [data.length], data }));
  const files: Readonly<Record<string, string | Uint8Array>> = {
    [MODEL]: modelFile(model),
    [TENSORS]: writeSafetensors(tensors),
    [NUMBERS]: writeExactJson(state.numbers),
  };
  const listed = Object.fromEntries(Object.entries(files).map(([name, content]) => [name, fingerprint(content)]));
  const manifest = { format: FORMAT, version: VERSION, step, vocabularyHash, files: listed };
  return { ...files, [MANIFEST]: `${JSON.stringify(manifest, null, 2)}\n` };
}

/** Writes a checkpoint and removes all but the last two. */
export function writeCheckpoint(dir: string, step: number, contents: Contents): void {
  writeFolderAtomic(join(checkpointsDir(dir), checkpointName(step)), contents, "a checkpoint");
  for (const old of checkpointSteps(dir).slice(KEPT)) removeCheckpoint(dir, old);
}

export function removeCheckpoint(dir: string, step: number): void {
  rmSync(join(checkpointsDir(dir), checkpointName(step)), { recursive: true, force: true });
}

/** The newest good checkpoint; damaged ones are passed over, each with a line in `notes`. */
export function readLastCheckpoint(dir: string): { checkpoint: Checkpoint; damaged: number[]; notes: string[] } {
  const notes: string[] = [];
  const damaged: number[] = [];
  for (const step of checkpointSteps(dir)) {
    try {
      return { checkpoint: readCheckpoint(dir, step), damaged, notes };
    } catch (error) {
      if (!(error instanceof DamagedCheckpoint)) throw error;
      damaged.push(step);
      notes.push(`${error.message} Passed over.`);
    }
  }
  const why = notes.length ? ` ${notes.join(" ")}` : "";
  throw new GatesieveError(`${checkpointsDir(dir)} holds no good checkpoint.${why} Train again from the start.`);
}

/** Throws DamagedCheckpoint if any byte differs from what was written. */
export function readCheckpoint(dir: string, step: number): Checkpoint {
  const folder = join(checkpointsDir(dir), checkpointName(step));
  const fail = (what: string): never => {
    throw new DamagedCheckpoint(`checkpoint ${folder} is damaged: ${what}.`);
  };
  const read = (name: string): Buffer => {
    try {
      return readFileSync(join(folder, name));
    } catch (error) {
      return fail(`${name} cannot be read (${(error as NodeJS.ErrnoException).code})`);
    }
  };
  const manifest = parseManifest(read(MANIFEST).toString(), fail);
  if (manifest.format !== FORMAT)
    fail(`${MANIFEST} says format ${JSON.stringify(manifest.format)}, expected "${FORMAT}"`);
  if (manifest.version !== VERSION)
    throw new GatesieveError(
      `checkpoint ${folder} has format version ${manifest.version}, this Gatesieve reads version ${VERSION}. Use the Gatesieve that wrote it.`,
    );
  if (manifest.step !== step) fail(`${MANIFEST} says step ${manifest.step}`);
  const checked = (name: string): Buffer => {
    const bytes = read(name);
    const { bytes: size, sha256 } = manifest.files[name] ?? fail(`${MANIFEST} does not list ${name}`);
    if (bytes.length !== size) fail(`${name} has ${bytes.length} bytes, expected ${size}`);
    if (fingerprint(bytes).sha256 !== sha256) fail(`the SHA-256 of ${name} does not match`);
    return bytes;
  };
  const tensors = readSafetensors(checked(TENSORS), TENSORS).tensors;
  return {
    step,
    vocabularyHash: manifest.vocabularyHash,
    weights: readSafetensors(checked(MODEL), MODEL),
    state: {
      numbers: readExactJson(checked(NUMBERS).toString()) as TrainingState["numbers"],
      tensors: Object.fromEntries([...tensors].map(([name, stored]) => [name, toArray(stored) as Float32Array])),
    },
  };
}

interface Manifest {
  readonly format: unknown;
  readonly version: unknown;
  readonly step: unknown;
  readonly vocabularyHash: string | null;
  readonly files: Readonly<Record<string, { readonly bytes: number; readonly sha256: string }>>;
}

function parseManifest(text: string, fail: (what: string) => never): Manifest {
  try {
    const manifest = JSON.parse(text) as Manifest;
    if (typeof manifest.files === "object" && manifest.files !== null) return manifest;
  } catch {
    // said below
  }
  return fail(`${MANIFEST} cannot be understood`);
}

function fingerprint(content: string | Uint8Array): { bytes: number; sha256: string } {
  const bytes = typeof content === "string" ? Buffer.byteLength(content) : content.byteLength;
  return { bytes, sha256: createHash("sha256").update(content).digest("hex") };
}
