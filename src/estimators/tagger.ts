/**
 * A tag for each word of a sentence, in one call.
 *
 *   const model = await tagger(lstm({ hiddenSize: 64, bidirectional: true })).fit({ sentences, tags });
 *   model.predict(["the", "cat", "sleeps"]); // { tags: ["DET", "NOUN", "VERB"], probabilities: [...] }
 */
import { check, UsageError } from "../core/check.ts";
import { type TaggedSentence, type TaggingEncoding, taggingTask } from "../tasks/tagging.ts";
import type { Evaluation } from "../train/evaluate.ts";
import { gather, hashOf, hold, isStream, pairUp, type Stream, shown } from "./examples.ts";
import { checkKeys, type NetSpec } from "./nets.ts";
import { type FitOptions, inOptionWords, type Settled, settle } from "./options.ts";
import { makeParts, type Prepared } from "./prepare.ts";
import { ModelStream } from "./stream.ts";
import { embeddingOf, type Parts, type SavedParts, TrainedModel } from "./trained.ts";

export interface Tagged<T extends string> {
  readonly words: readonly string[];
  readonly tags: readonly T[];
}

/** Lists side by side, or sentences one at a time: a list, a generator, a stream. */
export type TaggerData<T extends string> =
  | { readonly sentences: readonly (readonly string[])[]; readonly tags: readonly (readonly T[])[] }
  | Stream<Tagged<T>>;

export interface TaggerOptions {
  /** The most frequent words that are known; others are known by their form (10000). */
  readonly vocabulary?: number;
}

export interface TaggerFitOptions<T extends string> extends FitOptions<Tagger<T>> {
  /** Sentences to validate on, in place of a share of the data. */
  readonly validation?: TaggerData<T>;
}

export interface TagResult<T extends string> {
  /** One for each word. */
  readonly tags: readonly T[];
  /** Of each of these tags, from 0 to 1. */
  readonly probabilities: readonly number[];
}

export interface TaggerEstimator {
  /** Trains on sentences with a tag for each word. Throws a UsageError that names the sentence if they do not fit. */
  fit<const T extends string>(data: TaggerData<T>, options?: TaggerFitOptions<T>): Promise<Tagger<T>>;
}

export function tagger(net: NetSpec, own: TaggerOptions = {}): TaggerEstimator {
  checkKeys("tagger", own, ["vocabulary"]);
  return {
    async fit<T extends string>(data: TaggerData<T>, options: TaggerFitOptions<T> = {}) {
      const settled = settle(options, ["validation"]);
      const prepared = await prepareTagger(net, own, settled, data, options);
      const parts = await makeParts(net, settled, prepared, options);
      return inOptionWords(() => new Tagger<T>(parts)).start(options);
    },
  };
}

/** A trained tagger. */
export class Tagger<T extends string = string> extends TrainedModel {
  /** Tags in the order of the net's outputs. */
  readonly tags: readonly T[];

  constructor(parts: Parts, saved?: SavedParts) {
    super(parts, saved);
    this.tags = (parts.task.encoding as TaggingEncoding).tags as readonly T[];
  }

  /** Trains to the end; `fit` calls it. */
  start(options: FitOptions<Tagger<T>>): Promise<Tagger<T>> {
    return this.run(options);
  }

  /** The tags of one sentence, however long. */
  predict(words: readonly string[]): TagResult<T> {
    return this.#predict([words], () => "the sentence")[0] as TagResult<T>;
  }

  /** The tags of many sentences, in order. */
  predictAll(sentences: readonly (readonly string[])[]): TagResult<T>[] {
    return this.#predict(sentences, (index) => `sentences[${index}]`);
  }

  /** The tags of sentences as they come; between batches other work runs. */
  predictStream(sentences: Stream<readonly string[]>): AsyncGenerator<TagResult<T>, void> {
    return this.streamed(sentences, (some, first) => this.#predict(some, (index) => `sentence ${first + index + 1}`));
  }

  /** Loss, accuracy, macro recall and F1 on other sentences; `table` has a row for each tag. */
  async evaluate(data: TaggerData<T>): Promise<Evaluation> {
    const test = toSentences(await gatherTagged(data, undefined, "evaluate"), "");
    const encoding = this.task.encoding as TaggingEncoding;
    const task = inOptionWords(() =>
      taggingTask({
        ...{ name: "the data", encoding, parts: { train: [], valid: [], test } },
        embedding: embeddingOf(this.net, true),
      }),
    );
    return this.evaluateTask(task, 1);
  }

  /** Reads a sentence word by word and tags each as it comes. Nets that read from both ends cannot. */
  stream(): ModelStream<string, { readonly tag: T; readonly probability: number }> {
    return new ModelStream(
      this.model,
      this.task,
      (word) => [word],
      ({ tags, probabilities }) => ({
        tag: (tags as T[])[0] as T,
        probability: (probabilities as number[])[0] as number,
      }),
    );
  }

  #predict(sentences: readonly (readonly string[])[], whereOf: (index: number) => string): TagResult<T>[] {
    const inputs = sentences.map((input, index) => ({ input, where: whereOf(index) }));
    return Array.from(this.results(inputs), ({ tags, probabilities }) => ({ tags, probabilities }) as TagResult<T>);
  }
}

export async function prepareTagger<T extends string>(
  net: NetSpec,
  own: TaggerOptions,
  { validationSplit, batchSize }: Settled,
  data: TaggerData<T> | undefined,
  { signal, validation }: Pick<TaggerFitOptions<T>, "signal" | "validation">,
  saved?: SavedParts,
): Promise<Prepared> {
  const all = data ? toSentences(await gatherTagged(data, signal, "fit"), "") : [];
  const given = validation && toSentences(await gatherTagged(validation, signal, "validation"), "validation: ");
  const { train, valid, notes } = given
    ? { train: all, valid: given, notes: [] }
    : hold(all, validationSplit, () => "");
  const task = inOptionWords(() =>
    taggingTask({
      name: "the data",
      parts: data && { train, valid, test: [] },
      encoding: saved?.learnt.encoding as TaggingEncoding | undefined,
      embedding: embeddingOf(net, true),
      vocabularySize: own.vocabulary,
    }),
  );
  return {
    kind: "tagger",
    task,
    validates: valid.length > 0,
    kept: {},
    notes,
    dataHash: data && (() => hashOf([train, valid])),
    T: all.reduce((longest, { tokens }) => Math.max(longest, tokens.length), 1),
    B: Math.min(batchSize ?? 32, Math.max(1, train.length)),
  };
}

async function gatherTagged<T extends string>(
  data: TaggerData<T>,
  signal: AbortSignal | undefined,
  what: string,
): Promise<Tagged<T>[]> {
  if (isStream(data)) return gather(data as Stream<Tagged<T>>, signal);
  if (typeof data !== "object" || data === null)
    throw new UsageError(
      `${what}: got ${shown(data)}, expected { sentences, tags }, or a list or stream of { words, tags }.`,
    );
  return pairUp(what, data, "sentences", "tags").map(([words, tags]) => ({ words, tags }) as Tagged<T>);
}

function toSentences(sentences: readonly Tagged<string>[], prefix: string): TaggedSentence[] {
  return sentences.map((sentence, index) => {
    const where = `${prefix}sentences[${index}]`;
    const isList = (list: unknown) => Array.isArray(list) && list.every((each) => typeof each === "string" && each);
    check(
      isList(sentence?.words) && isList(sentence.tags),
      () => `${where}: got ${shown(sentence)}, expected words and tags, a list of texts each.`,
    );
    return { tokens: sentence.words, tags: sentence.tags, where };
  });
}
