/**
 * A word language model: predict the next word of a text.
 *
 * One text is split contiguously: the first 90 % of the words train, the next 5 % validate, the last 5 %
 * test. A text in three parts is taken as it is. The vocabulary is the most frequent words of the train
 * split; `<unk>` (token 0, always there) stands for any other and is predicted and scored like a word,
 * and so is `<eos>`. So perplexities compare only under one vocabulary.
 */
import { check } from "../core/check.ts";
import { boundaries, splitRange, textCursor } from "./batches.ts";
import type { Split, Task } from "./task.ts";
import { EOS, joinWords, type Tokenizer, wordsOf, wordTokens, wordVocabulary } from "./words.ts";

export const DEFAULT_VOCABULARY = 10_000;

export interface WordOptions {
  /** The text, or its training part. */
  readonly text: string;
  /** The other parts, where a text has three. */
  readonly parts?: { readonly valid: string; readonly test: string } | undefined;
  /** What to call the text in messages. */
  readonly name: string;
  /** How people's text becomes words. */
  readonly tokenizer?: Tokenizer | undefined;
  /** How this text does, if it is tokenised already. */
  readonly textTokenizer?: Tokenizer | undefined;
  /** Entries of the vocabulary at most, `<unk>` among them. */
  readonly vocabularySize?: number | undefined;
  /** Columns of a trained embedding; 0 or none: one-hot input. */
  readonly embedding?: number | undefined;
  /** Score this text with the vocabulary of another. */
  readonly vocabulary?: readonly string[] | undefined;
}

export function wordTask(options: WordOptions): Task {
  const { text, parts, name, tokenizer = "words", textTokenizer = tokenizer, embedding = 0 } = options;
  const size = options.vocabularySize ?? DEFAULT_VOCABULARY;
  check(Number.isInteger(size) && size >= 2, `task.vocabulary is ${size}; give a whole number of at least 2.`);
  const all = wordsOf(text, textTokenizer);
  const count = all.length;
  const vocabulary = options.vocabulary ?? wordVocabulary(parts ? all : all.slice(0, boundaries(count).train), size);
  const tokens = wordTokens(vocabulary, all);
  const others = parts && {
    valid: wordTokens(vocabulary, wordsOf(parts.valid, textTokenizer)),
    test: wordTokens(vocabulary, wordsOf(parts.test, textTokenizer)),
  };
  const part = (split: Split) =>
    others ? { train: tokens, ...others }[split] : tokens.subarray(...splitRange(split, count));

  return {
    name: "word",
    summary: "predict the next word of a text",
    input: { kind: "tokens", vocabulary: vocabulary.length, ...(embedding > 0 ? { embedding } : {}) },
    output: { kind: "classes", size: vocabulary.length, positions: "all" },
    lossUnit: "nats/word",
    vocabulary,
    text: {
      unit: "words",
      first: Math.max(0, vocabulary.indexOf(EOS)),
      encode: (prime) => wordTokens(vocabulary, promptWords(prime, tokenizer)),
      decode: (drawn) => joinWords(Array.from(drawn, (token) => vocabulary[token] as string)),
      unknown: (prime) => promptWords(prime, tokenizer).filter((word) => !vocabulary.includes(word)),
    },
    batches: (split, shape) =>
      textCursor(part(split), split, shape, {
        name,
        unit: "words",
        ...(others ? { part: split } : { count }),
      }),
    scores: ({ lossSum, positions, correct }) => ({
      perplexity: Math.exp(lossSum / positions),
      accuracy: correct / positions,
    }),
  };
}

/** A prime is the beginning of a sentence: what ends a text does not end it. */
function promptWords(prime: string, tokenizer: Tokenizer): string[] {
  const words = wordsOf(prime, tokenizer);
  if (words.at(-1) === EOS && !/\n\s*$/.test(prime)) words.pop();
  return words;
}
