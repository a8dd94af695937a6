/**
 * What tasks share that read one sequence and write another: text in pieces, with what a decoder begins and ends with, and
 * batches for a decoder that is told what it should have written.
 */
import { check, UsageError } from "../core/check.ts";
import { BLEU_SIGNATURE, bleu, CHRF_SIGNATURE, chrF } from "./bleu.ts";
import { Bpe, type BpeData, trainBpe } from "./bpe.ts";
import { ExampleCursor, type ExampleSet } from "./examples.ts";
import {
  type BatchCursor,
  type BatchShape,
  type Encoded,
  type EvaluationSums,
  type SourceBuffers,
  type SourceSpec,
  SPLITS,
  type Split,
  type Task,
  type WritingForm,
} from "./task.ts";
import { UNK } from "./words.ts";

export interface WrittenExample {
  readonly source: Encoded;
  /** Positions of it that an encoder would read. */
  readonly sourceLength: number;
  /** Without the tokens at its ends. */
  readonly target: Int32Array;
  readonly reference: string;
}
export type WrittenParts = Readonly<Record<Split, readonly WrittenExample[]>>;

const FIRST = "<s>";
const END = "</s>";

/** Text in pieces: a byte-pair encoding that has what a decoder begins and ends with. */
export class Pieces {
  readonly data: BpeData;
  readonly first: number;
  readonly end: number;
  /** What is never written. */
  readonly never: readonly number[];
  /** Symbols read so far that the vocabulary lacks. */
  unknown = 0;
  readonly #bpe: Bpe;

  /** What `data` lacks of the two ends is put after its vocabulary. */
  constructor(data: BpeData) {
    const missing = [FIRST, END].filter((piece) => !data.vocabulary.includes(piece));
    this.data = { ...data, vocabulary: [...data.vocabulary, ...missing] };
    this.#bpe = new Bpe(this.data);
    const { vocabulary } = this.data;
    this.first = vocabulary.indexOf(FIRST);
    this.end = vocabulary.indexOf(END);
    this.never = [this.first, vocabulary.indexOf(UNK)].filter((token) => token >= 0);
  }

  /** Learns them of texts, `size` entries at most. */
  static learn(texts: Iterable<string>, size: number): Pieces {
    return new Pieces(trainBpe(texts, size, [UNK, FIRST, END]));
  }

  get size(): number {
    return this.data.vocabulary.length;
  }

  /** At least one token, or a UsageError that begins with `where`; `what`: "sentence". */
  encode(text: string, where: string, what: string): { tokens: Int32Array; unknown: number } {
    const { tokens, unknown } = this.#bpe.encode(text);
    if (text.trim() === "")
      throw new UsageError(`${where}: the ${what} is empty; give at least one word, or leave it out.`);
    check(tokens.length > 0, () => `${where}: nothing of ${JSON.stringify(text)} is in the vocabulary.`);
    this.unknown += unknown;
    return { tokens: Int32Array.from(tokens), unknown };
  }

  decode(tokens: readonly number[]): string {
    return this.#bpe.decode(tokens);
  }

  /** What to tell of texts read so far. */
  note(): string[] {
    if (this.unknown === 0) return [];
    return [`${this.unknown} symbols are not in the vocabulary: they are read as ${UNK}, or passed over without it.`];
  }
}

/** What one such task is besides what all are. */
export interface WrittenTask {
  readonly name: string;
  readonly summary: string;
  readonly source: SourceSpec;
  /** What was learnt of the training part besides weights. */
  readonly encoding: object;
  readonly pieces: Pieces;
  /** None: only to predict. */
  readonly examples: WrittenParts | undefined;
  /** Columns of a trained embedding of what was written so far; 0: one-hot. */
  readonly embedding: number;
  readonly writing: Pick<WritingForm, "result" | "encode" | "fill" | "scores" | "signature">;
}

/** A task whose decoder is told what it should have written, piece by piece. */
export function writtenTask({
  name,
  summary,
  source,
  encoding,
  pieces,
  examples,
  embedding,
  writing: own,
}: WrittenTask): Task {
  const S = source.length;
  const writing: WritingForm = {
    ...own,
    first: pieces.first,
    end: pieces.end,
    never: pieces.never,
    count: (split) => examples?.[split].length ?? 0,
    example: (split, index) => examples![split][index] as WrittenExample,
    decode: (written) => pieces.decode(written),
  };
  return {
    name,
    summary,
    input: tokensOf(pieces, embedding),
    source,
    output: { kind: "classes", size: pieces.size, positions: "all" },
    lossUnit: "nats/token",
    encoding,
    batches: (split, shape) => writtenBatches(name, examples, writing, S, split, shape),
    scores: toldScores,
    writing,
    lengths: {
      longest: longestOf(examples, ({ target }) => target.length + 1),
      note: (T) => (examples && [...lengthNote(examples, S, T), ...pieces.note()].join(" ")) || undefined,
    },
  };
}

/** Text in pieces as a net reads it. */
export function tokensOf(pieces: Pieces, embedding: number) {
  return { kind: "tokens", vocabulary: pieces.size, ...(embedding > 0 ? { embedding } : {}) } as const;
}

/**
 * Batches of a split. Training leaves out what is longer than T or `sourceLength`; elsewhere it is cut there, so that
 * every example is scored.
 */
function writtenBatches(
  task: string,
  parts: WrittenParts | undefined,
  writing: WritingForm,
  sourceLength: number,
  split: Split,
  shape: BatchShape,
): BatchCursor {
  const { train = [] } = parts ?? {};
  const fitting = train.filter((example) => fits(example, sourceLength, shape.T));
  check(
    fitting.length > 0 || train.length === 0,
    () =>
      `task ${task}: none of ${train.length} examples to train on has at most task.sourceLength ${sourceLength} positions to read and train.sequenceLength ${shape.T} to write; make them larger.`,
  );
  const examples = split === "train" ? fitting : (parts?.[split] ?? []);
  return new ExampleCursor(task, split, shape, setOf(examples, writing));
}

function fits({ sourceLength, target }: WrittenExample, S: number, T: number): boolean {
  return sourceLength <= S && target.length < T;
}

/** A decoder reads `first` and the target, and should say the target and `end`; of a longer one its first T positions. */
function setOf(examples: readonly WrittenExample[], { first, end, fill }: WritingForm): ExampleSet {
  return {
    count: examples.length,
    fill(index, { tokens, targets, lengths, source }, T, B, b) {
      const example = examples[index] as WrittenExample;
      const { target } = example;
      const into = source as SourceBuffers;
      into.lengths[b] = fill(example.source, into, B, b);
      const length = Math.min(T, target.length + 1);
      lengths[b] = length;
      for (let t = 0; t < T; t++) {
        tokens![t * B + b] = t === 0 || t >= length ? first : (target[t - 1] as number);
        targets[t * B + b] = t >= length ? -1 : t === target.length ? end : (target[t] as number);
      }
    },
    sizeOf(index) {
      const { target, sourceLength } = examples[index] as WrittenExample;
      return target.length + sourceLength;
    },
  };
}

/** What to tell of lengths: nothing where everything fits. */
function lengthNote({ train, valid, test }: WrittenParts, S: number, T: number): string[] {
  const long = (some: readonly WrittenExample[]) => some.filter((example) => !fits(example, S, T)).length;
  const left = long(train);
  const cut = long(valid) + long(test);
  if (left + cut === 0) return [];
  return [
    `${left} of ${train.length} examples to train on have more than ${S} positions to read (task.sourceLength) or ${T} to write (train.sequenceLength) and are left out; ${cut} of the others are cut there.`,
  ];
}

/** The largest of a number over all examples, at least 1. */
export function longestOf(parts: WrittenParts | undefined, of: (example: WrittenExample) => number): number {
  return SPLITS.flatMap((split) => parts?.[split] ?? []).reduce((most, each) => Math.max(most, of(each)), 1);
}

/** Of what a decoder that is told all before says next. */
function toldScores({ lossSum, positions, correct }: EvaluationSums): Record<string, number> {
  return { perplexity: Math.exp(lossSum / positions), accuracy: correct / positions };
}

export const TEXT_SIGNATURE = `BLEU ${BLEU_SIGNATURE}, chrF2 ${CHRF_SIGNATURE}`;

/** BLEU and chrF2, 0 to 100. */
export function textScores(written: readonly string[], references: readonly string[]): Record<string, number> {
  return { bleu: bleu(written, references).score, chrF2: chrF(written, references) };
}
