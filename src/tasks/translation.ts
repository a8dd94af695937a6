/**
 * Translation: write in one language what is read in another.
 *
 * Both sides are in pieces of one byte-pair encoding, learnt of the training part or given. Training leaves out pairs that
 * are longer than the model reads or writes; of others what is longer is cut. Scores of written text are against references
 * as they stand, not cut.
 */
import { check, UsageError } from "../core/check.ts";
import type { BpeData } from "./bpe.ts";
import type { Encoded, SourceBuffers, Split, Task } from "./task.ts";
import {
  longestOf,
  Pieces,
  TEXT_SIGNATURE,
  textScores,
  tokensOf,
  type WrittenExample,
  writtenTask,
} from "./writing.ts";

export interface ParallelPair {
  readonly source: string;
  readonly target: string;
  /** "train.en:17", for messages. */
  readonly where?: string;
}

/** What a translator learnt of its training part besides weights; kept with the model. */
export interface TranslationEncoding {
  readonly tokenizer: BpeData;
  /** Positions of a source that are read. */
  readonly sourceLength: number;
}

export interface TranslationOptions {
  readonly name: string;
  /** None: only to predict. */
  readonly parts?: Readonly<Record<Split, readonly ParallelPair[]>> | undefined;
  readonly encoding?: TranslationEncoding | undefined;
  /** A tokeniser of one's own; without it one is learnt. */
  readonly tokenizer?: BpeData | undefined;
  /** Entries of a vocabulary to learn, at most. */
  readonly vocabularySize?: number | undefined;
  /** Columns of trained embeddings; 0 or none: one-hot input. */
  readonly embedding?: number | undefined;
  /** Positions of a source that are read; without it the longest of the data's. */
  readonly sourceLength?: number | undefined;
}

export const DEFAULT_PIECES = 4000;

export function translationTask(options: TranslationOptions): Task {
  const { name, parts, encoding, embedding = 0 } = options;
  const given = encoding?.tokenizer ?? options.tokenizer;
  const pieces = given ? new Pieces(given) : learn(options);
  const encoded = (split: Split) => (parts?.[split] ?? []).map((pair) => encodePair(pair, `${name}, ${split}`, pieces));
  const examples = parts && { train: encoded("train"), valid: encoded("valid"), test: encoded("test") };
  const S = encoding?.sourceLength ?? options.sourceLength ?? longestOf(examples, ({ sourceLength }) => sourceLength);

  return writtenTask({
    name: "translation",
    summary: "write in one language what is read in another",
    source: { ...tokensOf(pieces, embedding), length: S },
    encoding: { tokenizer: pieces.data, sourceLength: S } satisfies TranslationEncoding,
    pieces,
    examples,
    embedding,
    writing: {
      result: "translation",
      encode(input, where) {
        check(typeof input === "string", () => `${where}: got ${JSON.stringify(input) ?? "nothing"}, expected a text.`);
        const { tokens: source, unknown } = pieces.encode(input as string, where, "sentence");
        const cut = Math.max(0, source.length - S);
        return { source, remarks: { ...(unknown && { unknown }), ...(cut && { cut }) } };
      },
      fill: (source, into, B, b) => fillTokens(source, into, S, B, b),
      scores: textScores,
      signature: TEXT_SIGNATURE,
    },
  });
}

/** Into lane b of B: tokens, at most S, then padding. Returns how many there are. */
function fillTokens(source: Encoded, { tokens }: SourceBuffers, S: number, B: number, b: number): number {
  const length = Math.min(S, source.length);
  for (let s = 0; s < S; s++) tokens![s * B + b] = s < length ? (source[s] as number) : 0;
  return length;
}

function encodePair({ source, target, where }: ParallelPair, fallback: string, pieces: Pieces): WrittenExample {
  const read = (text: string) => pieces.encode(text, where ?? fallback, "sentence").tokens;
  const tokens = read(source);
  return { source: tokens, sourceLength: tokens.length, target: read(target), reference: target };
}

function learn({ name, parts, vocabularySize = DEFAULT_PIECES }: TranslationOptions): Pieces {
  const train = parts?.train ?? [];
  if (train.length === 0)
    throw new UsageError(`task translation: ${name} has no pairs to train on; give at least one.`);
  return Pieces.learn(textsOf(train), vocabularySize);
}

function* textsOf(pairs: readonly ParallelPair[]): Generator<string> {
  for (const { source, target } of pairs) {
    yield source;
    yield target;
  }
}
