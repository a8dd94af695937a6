/**
 * Images with a class from a folder of four IDX files, as MNIST and Fashion-MNIST are published:
 * {train,t10k}-{images,labels}-idx*-ubyte, also compressed (.gz). The last twelfth of the training images validates
 * (5,000 of MNIST's 60,000).
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { check, GatesieveError, UsageError } from "../core/check.ts";
import type { LabelledSequence } from "../tasks/classification.ts";
import type { InputEncoding, Order } from "../tasks/inputs.ts";
import type { Split } from "../tasks/task.ts";
import { sha256 } from "./text.ts";

export interface Images {
  readonly parts: Record<Split, LabelledSequence[]>;
  readonly image: InputEncoding & { kind: "image" };
  readonly sha256: string;
}

export interface IdxImages {
  readonly count: number;
  readonly rows: number;
  readonly columns: number;
  /** (count, rows * columns) grey values. */
  readonly pixels: Uint8Array;
}

export function isImageFolder(folder: string): boolean {
  try {
    return readdirSync(folder).some((name) => /^(train|t10k)-images/.test(name));
  } catch {
    return false;
  }
}

export function readImages(folder: string, order: Order): Images {
  const files = (["train", "t10k"] as const).flatMap((set) =>
    (["images", "labels"] as const).map((kind) => {
      const name = readdirSync(folder).find((each) => each.startsWith(`${set}-${kind}`));
      check(name !== undefined, `${folder} has no file ${set}-${kind}-idx${kind === "images" ? 3 : 1}-ubyte (or .gz).`);
      const path = join(folder, name);
      return { path, bytes: readIdxFile(path) };
    }),
  );
  const [trainImages, trainLabels, testImages, testLabels] = files as [Idx, Idx, Idx, Idx];
  const train = readIdxImages(trainImages.bytes, trainImages.path);
  const test = readIdxImages(testImages.bytes, testImages.path);
  const { rows, columns } = train;
  check(
    test.rows === rows && test.columns === columns,
    `${testImages.path}: its images are ${test.rows} x ${test.columns}, expected ${rows} x ${columns} as those of training.`,
  );
  const all = labelled(train, readIdxLabels(trainLabels, train.count), trainImages.path);
  const trained = all.length - Math.floor(all.length / 12);
  return {
    parts: {
      train: all.slice(0, trained),
      valid: all.slice(trained),
      test: labelled(test, readIdxLabels(testLabels, test.count), testImages.path),
    },
    image: { kind: "image", rows, columns, order, ...greyMoments(train.pixels.subarray(0, trained * rows * columns)) },
    sha256: sha256(Buffer.from(files.map(({ bytes }) => sha256(bytes)).join())),
  };
}

interface Idx {
  readonly path: string;
  readonly bytes: Uint8Array;
}

export function readIdxFile(path: string): Uint8Array {
  try {
    const bytes = readFileSync(path);
    return bytes[0] === 0x1f && bytes[1] === 0x8b ? gunzipSync(bytes) : bytes;
  } catch (error) {
    throw new GatesieveError(`${path} cannot be read: ${(error as Error).message}.`);
  }
}

/** IDX: 0, 0, type (8: bytes), dimensions; each dimension as 32 bits, big-endian; then the bytes. */
function idxSizes({ bytes, path }: Idx, dimensions: number, what: string): number[] {
  const magic = bytes.length >= 4 ? [...bytes.subarray(0, 4)] : [];
  if (magic.join() !== `0,0,8,${dimensions}` || bytes.length < 4 + 4 * dimensions)
    throw new UsageError(
      `${path} is no IDX file of ${what}: it begins with ${magic.map((byte) => byte.toString(16).padStart(2, "0")).join(" ") || "nothing"}, expected 00 00 08 0${dimensions}.`,
    );
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const sizes = Array.from({ length: dimensions }, (_, d) => view.getUint32(4 + 4 * d));
  const expected = sizes.reduce((product, size) => product * size, 1) + 4 + 4 * dimensions;
  check(
    bytes.length === expected,
    `${path} has ${bytes.length} bytes, expected ${expected} for ${sizes.join(" x ")} ${what}; it is damaged or cut short.`,
  );
  return sizes;
}

export function readIdxImages(bytes: Uint8Array, path: string): IdxImages {
  const [count, rows, columns] = idxSizes({ bytes, path }, 3, "images") as [number, number, number];
  check(rows > 0 && columns > 0, `${path}: its images are ${rows} x ${columns}; expected at least one pixel.`);
  return { count, rows, columns, pixels: bytes.subarray(16) };
}

function readIdxLabels(file: Idx, images: number): Uint8Array {
  const [count] = idxSizes(file, 1, "labels") as [number];
  check(count === images, `${file.path} has ${count} labels for ${images} images; give each image one.`);
  return file.bytes.subarray(8);
}

function labelled({ rows, columns, pixels }: IdxImages, labels: Uint8Array, path: string): LabelledSequence[] {
  const size = rows * columns;
  return Array.from(labels, (label, index) => ({
    input: pixels.subarray(index * size, (index + 1) * size),
    label: String(label),
    where: `${path}, image ${index + 1}`,
  }));
}

/** From counts of the 256 grey values: exact, and one pass. */
function greyMoments(pixels: Uint8Array): { mean: number; deviation: number } {
  const counts = new Float64Array(256);
  for (let i = 0; i < pixels.length; i++) counts[pixels[i] as number]!++;
  let [sum, squares] = [0, 0];
  for (let grey = 0; grey < 256; grey++) {
    sum += grey * counts[grey]!;
    squares += grey * grey * counts[grey]!;
  }
  const mean = sum / pixels.length;
  return { mean, deviation: Math.sqrt(squares / pixels.length - mean ** 2) || 1 };
}
