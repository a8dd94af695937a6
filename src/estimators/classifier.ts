/**
 * Sequences to classes, in one call.
 *
 *   const model = await classifier(lstm({ hiddenSize: 64 })).fit({ sequences, labels }, { epochs: 5 });
 *   model.predict(sequence); // { label, probability, probabilities }
 */
import { check, UsageError } from "../core/check.ts";
import { type ClassificationEncoding, classificationTask, type LabelledSequence } from "../tasks/classification.ts";
import type { SequenceInput } from "../tasks/inputs.ts";
import type { Evaluation } from "../train/evaluate.ts";
import { gather, hashOf, hold, isStream, pairUp, type Stream, shown } from "./examples.ts";
import { checkKeys, type NetSpec } from "./nets.ts";
import { type FitOptions, inOptionWords, type Settled, settle } from "./options.ts";
import { makeParts, type Prepared } from "./prepare.ts";
import { ModelStream } from "./stream.ts";
import { embeddingOf, type Parts, type SavedParts, TrainedModel } from "./trained.ts";

export type Label = string | number;

export interface Labelled<S extends SequenceInput, L extends Label> {
  readonly sequence: S;
  readonly label: L;
}

/** Lists side by side, or examples one at a time: a list, a generator, a stream. */
export type ClassifierData<S extends SequenceInput, L extends Label> =
  | { readonly sequences: readonly S[]; readonly labels: readonly L[] }
  | Stream<Labelled<S, L>>;

export interface ClassifierOptions {
  /** Of sequences of words: the most frequent ones that are known (10000). */
  readonly vocabulary?: number;
}

export interface ClassifierFitOptions<S extends SequenceInput, L extends Label> extends FitOptions<Classifier<S, L>> {
  /** Examples to validate on, in place of a share of the data. */
  readonly validation?: ClassifierData<S, L>;
}

export interface Classified<L extends Label> {
  readonly label: L;
  /** Of this label, from 0 to 1. */
  readonly probability: number;
  /** Of all labels. */
  readonly probabilities: Readonly<Record<`${L}`, number>>;
}

export interface ClassifierEstimator {
  /**
   * Trains on labelled sequences: texts (read character by character), lists of words, lists of numbers, or lists of rows
   * of numbers. A share of each class is held back to validate, and the model has the weights of the best validation.
   * Throws a UsageError that names the entry if sequences are empty or ragged, numbers not finite, labels no labels.
   */
  fit<const L extends Label, S extends SequenceInput>(
    data: ClassifierData<S, L>,
    options?: ClassifierFitOptions<S, L>,
  ): Promise<Classifier<S, L>>;
}

export function classifier(net: NetSpec, own: ClassifierOptions = {}): ClassifierEstimator {
  checkKeys("classifier", own, ["vocabulary"]);
  return {
    async fit<L extends Label, S extends SequenceInput>(
      data: ClassifierData<S, L>,
      options: ClassifierFitOptions<S, L> = {},
    ) {
      const settled = settle(options, ["validation"]);
      const prepared = await prepareClassifier(net, own, settled, data, options);
      const parts = await makeParts(net, settled, prepared, options);
      return inOptionWords(() => new Classifier<S, L>(parts)).start(options);
    },
  };
}

/** A trained classifier. */
export class Classifier<S extends SequenceInput = SequenceInput, L extends Label = Label> extends TrainedModel {
  /** Labels in the order of the net's outputs. */
  readonly labels: readonly L[];
  readonly #byName: ReadonlyMap<string, L>;

  constructor(parts: Parts, saved?: SavedParts) {
    super(parts, saved);
    this.labels = (parts.kept as Kept).labels as readonly L[];
    this.#byName = new Map(this.labels.map((label) => [String(label), label]));
  }

  /** Trains to the end; `fit` calls it. */
  start(options: FitOptions<Classifier<S, L>>): Promise<Classifier<S, L>> {
    return this.run(options);
  }

  /** The class of one sequence, however long. */
  predict(sequence: S): Classified<L> {
    return this.#predict([sequence], () => "the sequence")[0] as Classified<L>;
  }

  /** The classes of many, in order, any number of them. */
  predictAll(sequences: readonly S[]): Classified<L>[] {
    return this.#predict(sequences, (index) => `sequences[${index}]`);
  }

  /** The classes of sequences as they come; between batches other work runs. */
  predictStream(sequences: Stream<S>): AsyncGenerator<Classified<L>, void> {
    return this.streamed(sequences, (some, first) => this.#predict(some, (index) => `sequence ${first + index + 1}`));
  }

  /** Loss, accuracy, macro recall and F1 on other labelled sequences; `table` has a row for each label. */
  async evaluate(data: ClassifierData<S, L>): Promise<Evaluation> {
    const test = toSequences(await gatherLabelled(data, undefined, "evaluate"), "");
    const { vocabulary, ...rest } = this.parts.kept as Kept;
    const encoding = this.task.encoding as ClassificationEncoding;
    const task = inOptionWords(() =>
      classificationTask({
        ...{ name: "the data", encoding, parts: { train: [], valid: [], test } },
        embedding: embeddingOf(this.net, rest.words),
        vocabularySize: vocabulary,
      }),
    );
    return this.evaluateTask(task, task.lengths?.longest ?? 1);
  }

  /**
   * Reads one sequence position by position: `push` says what it is as far as it is known. A character of a text, a
   * word, a number or a row at a time.
   */
  stream(): ModelStream<Position<S>, Classified<L>> {
    const { kind } = (this.task.encoding as ClassificationEncoding).input;
    const read = (position: Position<S>) => {
      if (kind !== "characters") return [position];
      check([...String(position)].length === 1, () => `got ${shown(position)}, expected one character at a time.`);
      return position;
    };
    return new ModelStream(this.model, this.task, read, (result) => this.#labelled(result));
  }

  #predict(sequences: readonly S[], whereOf: (index: number) => string): Classified<L>[] {
    const inputs = sequences.map((input, index) => ({ input, where: whereOf(index) }));
    return Array.from(this.results(inputs), (result) => this.#labelled(result));
  }

  #labelled({ label, probability, probabilities }: Record<string, unknown>): Classified<L> {
    return { label: this.#byName.get(label as string), probability, probabilities } as Classified<L>;
  }
}

/** One position of a sequence: of a text a character. */
export type Position<S> = S extends string ? string : S extends ArrayLike<infer E> ? E : never;

interface Kept {
  readonly labels: readonly Label[];
  readonly words: boolean;
  readonly vocabulary: number | undefined;
}

/** With what an earlier training learnt, for a resume, or of new data. */
export async function prepareClassifier<L extends Label, S extends SequenceInput>(
  net: NetSpec,
  own: ClassifierOptions,
  { validationSplit, batchSize }: Settled,
  data: ClassifierData<S, L> | undefined,
  { signal, validation }: Pick<ClassifierFitOptions<S, L>, "signal" | "validation">,
  saved?: SavedParts,
): Promise<Prepared> {
  const examples = data && (await gatherLabelled(data, signal, "fit"));
  const given = validation && (await gatherLabelled(validation, signal, "validation"));
  const all = examples ? toSequences(examples, "") : [];
  const { train, valid, notes } = given
    ? { train: all, valid: toSequences(given, "validation: "), notes: [] }
    : hold(all, validationSplit, ({ label }) => label);
  const words = saved ? (saved.kept as Kept).words : isWords(train[0]?.input);
  const task = inOptionWords(() =>
    classificationTask({
      name: "the data",
      parts: data && { train, valid, test: [] },
      encoding: saved?.learnt.encoding as ClassificationEncoding | undefined,
      embedding: embeddingOf(net, words),
      vocabularySize: own.vocabulary,
    }),
  );
  const byName = new Map((examples ?? []).map(({ label }) => [String(label), label as Label]));
  const { classes } = task.encoding as ClassificationEncoding;
  const labels = saved ? (saved.kept as Kept).labels : classes.map((name) => byName.get(name) as Label);
  return {
    kind: "classifier",
    task,
    validates: valid.length > 0,
    kept: { labels, words, vocabulary: own.vocabulary } satisfies Kept,
    notes,
    dataHash: data && (() => hashOf([train, valid])),
    T: task.lengths?.longest ?? 1,
    B: Math.min(batchSize ?? 32, Math.max(1, train.length)),
  };
}

async function gatherLabelled<S extends SequenceInput, L extends Label>(
  data: ClassifierData<S, L>,
  signal: AbortSignal | undefined,
  what: string,
): Promise<Labelled<S, L>[]> {
  if (isStream(data)) return gather(data as Stream<Labelled<S, L>>, signal);
  if (typeof data !== "object" || data === null)
    throw new UsageError(
      `${what}: got ${shown(data)}, expected { sequences, labels }, or a list or stream of { sequence, label }.`,
    );
  return pairUp(what, data, "sequences", "labels").map(([sequence, label]) => ({
    sequence: sequence as S,
    label: label as L,
  }));
}

function toSequences(examples: readonly Labelled<SequenceInput, Label>[], prefix: string): LabelledSequence[] {
  const names = new Map<string, Label>();
  return examples.map((example, index) => {
    const where = `${prefix}sequences[${index}]`;
    check(
      typeof example === "object" && example !== null,
      () => `${where}: got ${shown(example)}, expected { sequence, label }.`,
    );
    const { sequence, label } = example;
    check(
      (typeof label === "string" && label !== "") || (typeof label === "number" && Number.isFinite(label)),
      () => `${where}: its label is ${shown(label)}, expected a text or a number.`,
    );
    const name = String(label);
    check(
      !names.has(name) || names.get(name) === label,
      () => `${where}: its label is ${shown(label)}, and others have ${shown(names.get(name))}; use one form.`,
    );
    names.set(name, label);
    const right = typeof sequence === "string" || Array.isArray(sequence) || ArrayBuffer.isView(sequence);
    check(right, () => `${where}: got ${shown(sequence)}, expected a text, words, numbers or rows of numbers.`);
    return { input: sequence, label: name, where };
  });
}

function isWords(input: SequenceInput | undefined): boolean {
  return Array.isArray(input) && typeof input[0] === "string";
}
