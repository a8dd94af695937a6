/**
 * Sequences as people have them, and as a net reads them. What is learnt of the training part (vocabulary, mean and
 * deviation) is an `InputEncoding`, plain JSON that is kept with the model.
 *
 *   "Schmidt"                  characters: tokens, one a code point
 *   ["the", "cat"]             words: tokens as they stand
 *   [1.5, 1.7, 1.6]            one feature at each position
 *   [[1.5, 0], [1.7, 1]]       several; rows and sequences may be typed arrays
 *   Uint8Array of grey values  an image, read row by row, pixel by pixel or at once
 */
import type { RealArray } from "../core/arena.ts";
import { check, UsageError } from "../core/check.ts";
import { RandomStream } from "../core/random.ts";
import type { BatchBuffers, Encoded, InputSpec } from "./task.ts";
import { UNK, wordTokens, wordVocabulary } from "./words.ts";

export type SequenceInput =
  | string
  | readonly string[]
  | readonly number[]
  | readonly (readonly number[] | RealArray)[]
  | RealArray
  | Uint8Array;

/** How an image becomes a sequence: a row at a time, a pixel at a time, pixels in one fixed random order, all at once. */
export const ORDERS = ["rows", "pixels", "permuted", "flat"] as const;
export type Order = (typeof ORDERS)[number];

export type InputEncoding =
  | { readonly kind: "characters" | "words"; readonly vocabulary: readonly string[] }
  /** By column, of the training part. */
  | { readonly kind: "features"; readonly mean: readonly number[]; readonly deviation: readonly number[] }
  | {
      readonly kind: "image";
      readonly rows: number;
      readonly columns: number;
      readonly order: Order;
      /** Of all grey values of the training part. */
      readonly mean: number;
      readonly deviation: number;
    };

/** How sequences of one encoding are read and written into batches. */
export interface InputForm {
  readonly spec: InputSpec;
  /** A UsageError that begins with `where` if the sequence is empty, of another kind or size, or not finite. */
  encode(input: SequenceInput, where: string): Encoded;
  lengthOf(encoded: Encoded): number;
  /** Writes the first T positions into lane b of B, zeros after them; returns the length. */
  fill(encoded: Encoded, into: BatchBuffers, T: number, B: number, b: number): number;
}

/** What is to be learnt of the training part. Of words the `vocabularySize` most frequent are kept. */
export function fitInput(inputs: readonly SequenceInput[], vocabularySize = 10_000): InputEncoding {
  const first = inputs.find((input) => input.length > 0);
  check(first !== undefined, "there is no sequence to learn from that is not empty.");
  if (typeof first === "string") {
    const points = new Set<number>();
    for (const input of inputs) for (const character of String(input)) points.add(character.codePointAt(0) as number);
    return {
      kind: "characters",
      vocabulary: [UNK, ...[...points].sort((a, b) => a - b).map((p) => String.fromCodePoint(p))],
    };
  }
  if (typeof first[0] === "string")
    return {
      kind: "words",
      vocabulary: wordVocabulary((inputs as readonly (readonly string[])[]).flat(), vocabularySize),
    };
  // What is no number or of another size is left to `encode`, which knows where it stands.
  const isArray = (value: unknown): value is readonly number[] => Array.isArray(value) || ArrayBuffer.isView(value);
  const positions = (inputs as readonly (readonly (number | readonly number[])[])[]).flatMap(
    (input) => (Array.isArray(input) ? input : Array.from(input)), // flatMap takes no typed array apart
  );
  const size = isArray(first[0]) ? first[0].length : 1;
  const isRow = (row: unknown) =>
    isArray(row) ? row.length === size && row.every(Number.isFinite) : size === 1 && Number.isFinite(row);
  return { kind: "features", ...momentsOf(positions.filter(isRow), size) };
}

/** Mean and standard deviation by column; 1 where a column is constant. */
export function momentsOf(
  rows: readonly (number | readonly number[])[],
  size: number,
): { mean: number[]; deviation: number[] } {
  const mean = new Array<number>(size).fill(0);
  const deviation = new Array<number>(size).fill(0);
  const at = (row: number | readonly number[], column: number) =>
    typeof row === "number" ? row : (row[column] as number);
  for (const row of rows) for (let c = 0; c < size; c++) mean[c]! += at(row, c) / rows.length;
  for (const row of rows) for (let c = 0; c < size; c++) deviation[c]! += (at(row, c) - mean[c]!) ** 2 / rows.length;
  return {
    mean,
    deviation: deviation.map((variance, c) => (variance > (1e-12 * mean[c]!) ** 2 ? Math.sqrt(variance) : 1)),
  };
}

export function inputForm(encoding: InputEncoding, embedding = 0): InputForm {
  switch (encoding.kind) {
    case "characters":
    case "words":
      return tokenForm(encoding.kind, encoding.vocabulary, embedding);
    case "features":
      return featureForm(encoding.mean, encoding.deviation);
    case "image":
      return imageForm(encoding);
  }
}

function tokenForm(kind: "characters" | "words", vocabulary: readonly string[], embedding: number): InputForm {
  const token = new Map(vocabulary.map((entry, index) => [entry, index]));
  return {
    spec: { kind: "tokens", vocabulary: vocabulary.length, ...(embedding > 0 ? { embedding } : {}) },
    encode(input, where) {
      const right = kind === "characters" ? typeof input === "string" : isStrings(input);
      check(
        right,
        () =>
          `${where}: got ${shown(input)}, expected ${kind === "characters" ? "a text" : 'words such as ["the", "cat"]'}.`,
      );
      const pieces = kind === "characters" ? [...(input as string)] : (input as readonly string[]);
      check(pieces.length > 0, () => `${where}: the sequence is empty; give at least one position, or leave it out.`);
      return kind === "words"
        ? wordTokens(vocabulary, pieces)
        : Int32Array.from(pieces, (piece) => token.get(piece) ?? 0);
    },
    lengthOf: (encoded) => encoded.length,
    fill(encoded, { tokens }, T, B, b) {
      const length = Math.min(T, encoded.length);
      for (let t = 0; t < T; t++) tokens![t * B + b] = t < length ? (encoded[t] as number) : 0;
      return length;
    },
  };
}

function featureForm(mean: readonly number[], deviation: readonly number[]): InputForm {
  const size = mean.length;
  return {
    spec: { kind: "features", size },
    encode(input, where) {
      check(
        Array.isArray(input) || ArrayBuffer.isView(input),
        () => `${where}: got ${shown(input)}, expected numbers.`,
      );
      check(input.length > 0, () => `${where}: the sequence is empty; give at least one position, or leave it out.`);
      const encoded = new Float32Array(input.length * size);
      for (let t = 0; t < input.length; t++) {
        const row = input[t] as unknown;
        const values: readonly unknown[] =
          Array.isArray(row) || ArrayBuffer.isView(row) ? (row as readonly unknown[]) : [row];
        check(
          values.length === size,
          () => `${where}: position ${t + 1} has ${values.length} values, expected ${size} as elsewhere.`,
        );
        for (let c = 0; c < size; c++) {
          const value = values[c];
          if (typeof value !== "number" || !Number.isFinite(value))
            throw new UsageError(
              `${where}: position ${t + 1} has ${shown(value)}, expected a finite number. Fill gaps before, or leave the sequence out.`,
            );
          encoded[t * size + c] = value;
        }
      }
      return encoded;
    },
    lengthOf: (encoded) => encoded.length / size,
    fill(encoded, { features }, T, B, b) {
      const length = Math.min(T, encoded.length / size);
      for (let t = 0; t < T; t++)
        for (let c = 0; c < size; c++)
          features![(t * B + b) * size + c] =
            t < length ? ((encoded[t * size + c] as number) - (mean[c] as number)) / (deviation[c] as number) : 0;
      return length;
    },
  };
}

function imageForm({ rows, columns, order, mean, deviation }: InputEncoding & { kind: "image" }): InputForm {
  const pixels = rows * columns;
  const size = order === "rows" ? columns : order === "flat" ? pixels : 1;
  const place = order === "permuted" ? permutation(pixels) : undefined;
  return {
    spec: { kind: "features", size },
    encode(input, where) {
      check(
        typeof input !== "string" && input.length === pixels,
        () => `${where}: got an image of ${input.length} grey values, expected ${pixels} (${rows} x ${columns}).`,
      );
      const encoded = input instanceof Uint8Array ? input : Uint8Array.from(input as readonly number[]);
      if (!(input instanceof Uint8Array)) {
        const wrong = (input as readonly number[]).findIndex((value, index) => value !== encoded[index]);
        check(
          wrong < 0,
          () => `${where}: grey value ${wrong + 1} is ${shown(input[wrong])}, expected a whole number from 0 to 255.`,
        );
      }
      return encoded;
    },
    lengthOf: () => pixels / size,
    fill(encoded, { features }, T, B, b) {
      const length = Math.min(T, pixels / size);
      for (let t = 0; t < T; t++)
        for (let c = 0; c < size; c++) {
          const at = t * size + c;
          const grey = t < length ? (encoded[place ? (place[at] as number) : at] as number) : mean;
          features![(t * B + b) * size + c] = (grey - mean) / deviation;
        }
      return length;
    },
  };
}

/** One order for all runs, whatever their seed: they are to be compared. */
function permutation(count: number): Int32Array {
  const random = new RandomStream(0, "permuted pixels");
  const order = Int32Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const j = random.below(i + 1);
    [order[i], order[j]] = [order[j] as number, order[i] as number];
  }
  return order;
}

function isStrings(input: unknown): input is readonly string[] {
  return Array.isArray(input) && input.every((each) => typeof each === "string");
}

function shown(value: unknown): string {
  if (typeof value === "number" || value === undefined) return String(value);
  const text = JSON.stringify(value) ?? typeof value;
  return text.length > 40 ? `${text.slice(0, 40)}...` : text;
}
