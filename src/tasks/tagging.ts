/**
 * Tagging: name the tag of each word of a sentence.
 *
 * The vocabulary is the most frequent words of the training part, lower-case. A word that it lacks is known by its
 * form: it becomes `<unk-number>`, `<unk-ing>` and so on (FORMS). Sentences longer than T are read in pieces of T.
 */
import { check, UsageError } from "../core/check.ts";
import { ClassScorer, largest, softmax } from "./class-scores.ts";
import { ExampleCursor, type ExampleSet } from "./examples.ts";
import type { Split, Task } from "./task.ts";
import { UNK } from "./words.ts";

export interface TaggedSentence {
  readonly tokens: readonly string[];
  readonly tags: readonly string[];
  /** "train.conll:17", for messages. */
  readonly where?: string;
}

/** What a tagger learnt of its training part besides weights; kept with the model. */
export interface TaggingEncoding {
  readonly vocabulary: readonly string[];
  readonly tags: readonly string[];
}

export interface TaggingOptions {
  readonly name: string;
  /** None: only to predict. */
  readonly parts?: Readonly<Record<Split, readonly TaggedSentence[]>> | undefined;
  readonly encoding?: TaggingEncoding | undefined;
  readonly vocabularySize?: number | undefined;
  /** Columns of a trained embedding; 0 or none: one-hot input. */
  readonly embedding?: number | undefined;
}

export function taggingTask(options: TaggingOptions): Task {
  const { name, parts, embedding = 0 } = options;
  const encoding = options.encoding ?? fit(name, parts?.train ?? [], options.vocabularySize ?? 10_000);
  const { vocabulary, tags } = encoding;
  const token = new Map(vocabulary.map((word, index) => [word, index]));
  const read = (words: readonly string[]) => Int32Array.from(words, (word) => tokenOf(token, word));
  const sentences = parts && {
    train: parts.train.map((sentence) => encodeSentence(sentence, `${name}, train`, read, tags)),
    valid: parts.valid.map((sentence) => encodeSentence(sentence, `${name}, valid`, read, tags)),
    test: parts.test.map((sentence) => encodeSentence(sentence, `${name}, test`, read, tags)),
  };

  return {
    name: "tagging",
    summary: "name the tag of each word of a sentence",
    input: { kind: "tokens", vocabulary: vocabulary.length, ...(embedding > 0 ? { embedding } : {}) },
    output: { kind: "classes", size: tags.length, positions: "all" },
    lossUnit: "nats/word",
    encoding,
    batches: (split, shape) => new ExampleCursor("tagging", split, shape, piecesOf(sentences?.[split] ?? [], shape.T)),
    scores: ({ lossSum, positions, correct }) => ({
      perplexity: Math.exp(lossSum / positions),
      accuracy: correct / positions,
    }),
    scorer: () => new ClassScorer(tags),
    prediction: {
      encode(input, where) {
        const right = Array.isArray(input) && input.every((word) => typeof word === "string" && word !== "");
        check(
          right,
          () => `${where}: got ${JSON.stringify(input) ?? "nothing"}, expected words such as ["The", "cat"].`,
        );
        check(
          (input as string[]).length > 0,
          `${where}: the sentence is empty; give at least one word, or leave it out.`,
        );
        return read(input as string[]);
      },
      lengthOf: (encoded) => encoded.length,
      fill(encoded, { tokens }, T, B, b) {
        for (let t = 0; t < T; t++) tokens![t * B + b] = t < encoded.length ? (encoded[t] as number) : 0;
        return Math.min(T, encoded.length);
      },
      decode(outputs, lane, lanes, encoded) {
        const starts = Array.from(encoded, (_, t) => (t * lanes + lane) * tags.length);
        const best = starts.map((start) => largest(outputs, start, tags.length));
        return {
          tags: best.map((tag) => tags[tag]),
          probabilities: starts.map((start, t) => softmax(outputs, start, tags.length)[best[t] as number]),
        };
      },
    },
  };
}

interface EncodedSentence {
  readonly tokens: Int32Array;
  readonly tags: Int32Array;
}

function encodeSentence(
  { tokens, tags, where: own }: TaggedSentence,
  fallback: string,
  read: (words: readonly string[]) => Int32Array,
  known: readonly string[],
): EncodedSentence {
  const where = own ?? fallback;
  check(tokens.length > 0, () => `${where}: the sentence is empty; give at least one word, or leave it out.`);
  check(
    tokens.length === tags.length,
    () => `${where}: ${tokens.length} words and ${tags.length} tags; give each word one tag.`,
  );
  const numbers = Int32Array.from(tags, (tag) => known.indexOf(tag));
  const unknown = numbers.indexOf(-1);
  if (unknown >= 0)
    throw new UsageError(
      `${where}: the tag ${JSON.stringify(tags[unknown])} is none of the ${known.length} of the training part. Rename it, or let the training part have it.`,
    );
  return { tokens: read(tokens), tags: numbers };
}

/** Sentences in pieces of at most T words. */
function piecesOf(sentences: readonly EncodedSentence[], T: number): ExampleSet {
  const places: number[] = []; // sentence, first word; by turns
  for (const [index, { tokens }] of sentences.entries())
    for (let from = 0; from < tokens.length; from += Math.max(1, T)) places.push(index, from);
  return {
    count: places.length / 2,
    fill(index, { tokens, targets, lengths }, steps, B, b) {
      const sentence = sentences[places[2 * index] as number] as EncodedSentence;
      const from = places[2 * index + 1] as number;
      const length = Math.min(steps, sentence.tokens.length - from);
      lengths[b] = length;
      for (let t = 0; t < steps; t++) {
        tokens![t * B + b] = t < length ? (sentence.tokens[from + t] as number) : 0;
        targets[t * B + b] = t < length ? (sentence.tags[from + t] as number) : -1;
      }
    },
  };
}

/** Forms of words that a vocabulary lacks, the first that fits: English suffixes tell much of a part of speech. */
const FORMS: readonly (readonly [name: string, form: RegExp])[] = [
  ["number", /\d/],
  ["hyphen", /\w-\w/],
  ["capital", /^\p{Lu}/u],
  ["ing", /ing$/],
  ["ed", /ed$/],
  ["ly", /ly$/],
  ["ion", /[ts]ion$/],
  ["ness", /(?:ness|ment|ity)$/],
  ["able", /(?:able|ible|al|ous|ful|ive)$/],
  ["s", /s$/],
];

function tokenOf(token: ReadonlyMap<string, number>, word: string): number {
  const form = () => FORMS.find(([, pattern]) => pattern.test(word))?.[0];
  return token.get(word.toLowerCase()) ?? token.get(`<unk-${form()}>`) ?? 0;
}

const ENOUGH_WORDS = 1000;

function fit(name: string, train: readonly TaggedSentence[], size: number): TaggingEncoding {
  const counts = new Map<string, number>();
  const tags = new Set<string>();
  for (const { tokens, tags: own } of train) {
    for (const token of tokens) counts.set(token.toLowerCase(), (counts.get(token.toLowerCase()) ?? 0) + 1);
    for (const tag of own) tags.add(tag);
  }
  check(tags.size >= 2, `${name}: the training part has ${tags.size} different tags; expected at least two.`);
  const unknown = [UNK, ...FORMS.map(([form]) => `<unk-${form}>`)];
  check(
    size > unknown.length,
    `task.vocabulary is ${size}; give more than ${unknown.length}, the forms of unknown words.`,
  );
  const sorted = [...counts].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1)).map(([word]) => word);
  // The forms of unknown words learn from words seen once, where enough others are left; a small text needs all it has.
  const often = sorted.filter((word) => (counts.get(word) as number) > 1);
  const kept = often.length >= ENOUGH_WORDS ? often : sorted;
  return { vocabulary: [...unknown, ...kept.slice(0, size - unknown.length)], tags: [...tags].sort() };
}
