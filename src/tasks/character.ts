/**
 * A character language model: predict the next code point of a text.
 *
 * Splits are contiguous: the first 90 % of the code points train, the next 5 % validate, the last
 * 5 % test. The vocabulary is the sorted code points of the train split, and `<unk>` (token 0, always
 * there) for any other.
 */
import { boundaries, splitRange, textCursor } from "./batches.ts";
import type { EvaluationSums, Split, Task } from "./task.ts";
import { UNK } from "./words.ts";

export { UNK };

export interface CharacterOptions {
  /** The text, or its training part. */
  readonly text: string;
  /** The other parts, where a text has three. */
  readonly parts?: { readonly valid: string; readonly test: string } | undefined;
  /** What to call the text in messages. */
  readonly name: string;
  /** Columns of a trained embedding; 0 or none: one-hot input. */
  readonly embedding?: number | undefined;
  /** Score this text with the vocabulary of another. */
  readonly vocabulary?: readonly string[] | undefined;
}

export function characterTask({ text, parts, name, embedding = 0, vocabulary: given }: CharacterOptions): Task {
  const points = codePoints(text);
  const count = points.length;
  const vocabulary = given ?? vocabularyOf(parts ? points : points.subarray(0, boundaries(count).train));
  const token = tokenOf(vocabulary);
  for (let i = 0; i < count; i++) points[i] = token.get(points[i] as number) ?? 0;
  const others = parts && { valid: encode(vocabulary, parts.valid), test: encode(vocabulary, parts.test) };
  const part = (split: Split) =>
    others ? { train: points, ...others }[split] : points.subarray(...splitRange(split, count));

  return {
    name: "character",
    summary: "predict the next character of a text",
    input: { kind: "tokens", vocabulary: vocabulary.length, ...(embedding > 0 ? { embedding } : {}) },
    output: { kind: "classes", size: vocabulary.length, positions: "all" },
    lossUnit: "nats/char",
    vocabulary,
    text: {
      unit: "characters",
      first: Math.max(1, vocabulary.indexOf("\n")),
      encode: (prime) => encode(vocabulary, prime),
      decode: (drawn) => decode(vocabulary, drawn),
      unknown: (prime) => [...new Set(prime)].filter((character) => !vocabulary.slice(1).includes(character)),
    },
    batches: (split, shape) =>
      textCursor(part(split), split, shape, { name, unit: "characters", ...(others ? { part: split } : { count }) }),
    scores({ lossSum, positions, correct }: EvaluationSums): Record<string, number> {
      const loss = lossSum / positions;
      return { perplexity: Math.exp(loss), bitsPerCharacter: loss / Math.LN2, accuracy: correct / positions };
    },
  };
}

/** Tokens of a text; characters outside the vocabulary become 0, `<unk>`. */
export function encode(vocabulary: readonly string[], text: string): Int32Array {
  const token = tokenOf(vocabulary);
  return codePoints(text).map((point) => token.get(point) ?? 0);
}

/** The text of tokens; `<unk>` becomes U+FFFD, the replacement character. */
export function decode(vocabulary: readonly string[], tokens: Iterable<number>): string {
  let text = "";
  for (const token of tokens) text += token === 0 ? "\uFFFD" : vocabulary[token];
  return text;
}

/** 64 bits of FNV-1a over the code points, as 16 hexadecimal digits: tells one vocabulary from another. */
export function vocabularyHash(vocabulary: readonly string[]): string {
  let hash = 0xcbf29ce484222325n;
  const mix = (value: number) => {
    hash = BigInt.asUintN(64, (hash ^ BigInt(value)) * 0x100000001b3n);
  };
  for (const entry of vocabulary) {
    for (const character of entry) mix(character.codePointAt(0) as number);
    mix(0x110000); // ends an entry: no code point
  }
  return hash.toString(16).padStart(16, "0");
}

function codePoints(text: string): Int32Array {
  const points = new Int32Array(text.length);
  let count = 0;
  for (let i = 0; i < text.length; i++) {
    const point = text.codePointAt(i) as number;
    points[count++] = point;
    if (point > 0xffff) i++;
  }
  return points.slice(0, count);
}

function vocabularyOf(points: Int32Array): string[] {
  const sorted = [...new Set(points)].sort((a, b) => a - b);
  return [UNK, ...sorted.map((point) => String.fromCodePoint(point))];
}

function tokenOf(vocabulary: readonly string[]): Map<number, number> {
  return new Map(vocabulary.slice(1).map((character, index) => [character.codePointAt(0) as number, index + 1]));
}
