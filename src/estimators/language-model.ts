/**
 * A text's next characters or words, in one call.
 *
 *   const model = await languageModel(lstm({ hiddenSize: 128 })).fit(text, { epochs: 3 });
 *   model.generate({ prime: "Once ", length: 200, temperature: 0.7 });
 */
import { check, UsageError } from "../core/check.ts";
import { characterTask, decode } from "../tasks/character.ts";
import { softmax } from "../tasks/class-scores.ts";
import type { Task, TextForm } from "../tasks/task.ts";
import { DEFAULT_VOCABULARY, wordTask } from "../tasks/word.ts";
import { TOKENIZERS, type Tokenizer } from "../tasks/words.ts";
import type { Evaluation } from "../train/evaluate.ts";
import { type SampleOptions, sampleText, sampling } from "../train/sample.ts";
import type { Stepper, StepperStates } from "../train/stepper.ts";
import { breathe, SLICE_MS } from "../train/training.ts";
import { gather, hashOf, isStream, type Stream, shown, tooFew } from "./examples.ts";
import { checkKeys, type NetSpec } from "./nets.ts";
import { type FitOptions, inOptionWords, type Settled, settle } from "./options.ts";
import { makeParts, type Prepared } from "./prepare.ts";
import { embeddingOf, type Parts, type SavedParts, TrainedModel } from "./trained.ts";

/** A text, or pieces of one as they come: lines of a file, chunks of a download. */
export type TextData = string | Stream<string>;

export interface LanguageModelOptions {
  /** What the net reads and writes: "characters", or words as "words" (of prose) or "spaces" (tokenised already). */
  readonly tokenizer?: "characters" | Tokenizer;
  /** Of words: the most frequent ones that are known (10000). */
  readonly vocabulary?: number;
}

export interface LanguageModelFitOptions extends FitOptions<LanguageModel> {
  /** A text to validate on, in place of the end of the text. */
  readonly validation?: TextData;
}

export interface LanguageModelEstimator {
  /**
   * Trains on a text. Its last share is held back to validate; the vocabulary comes from the rest. Lanes of a batch read on
   * from step to step, with their states.
   */
  fit(text: TextData, options?: LanguageModelFitOptions): Promise<LanguageModel>;
}

export function languageModel(net: NetSpec, own: LanguageModelOptions = {}): LanguageModelEstimator {
  checkKeys("languageModel", own, ["tokenizer", "vocabulary"]);
  const { tokenizer = "characters" } = own;
  const choices = ["characters", ...TOKENIZERS];
  check(
    choices.includes(tokenizer),
    () => `tokenizer is ${JSON.stringify(tokenizer)}; use one of: ${choices.join(", ")}.`,
  );
  check(
    !net.bidirectional,
    "a language model names the next position, which a bidirectional net has seen. Use bidirectional: false.",
  );
  return {
    async fit(text, options = {}) {
      check(text !== undefined, "fit: no text given; expected a text, or a list or stream of texts.");
      const settled = settle(options, ["validation"]);
      const prepared = await prepareLanguageModel(net, own, settled, text, options);
      const parts = await makeParts(net, settled, prepared, options);
      return inOptionWords(() => new LanguageModel(parts)).start(options);
    },
  };
}

/** A trained language model. */
export class LanguageModel extends TrainedModel {
  constructor(parts: Parts, saved?: SavedParts) {
    super(parts, saved);
  }

  /** What the model knows, in the order of its outputs; `<unk>` first. */
  get vocabulary(): readonly string[] {
    return this.task.vocabulary as readonly string[];
  }

  /** Trains to the end; `fit` calls it. */
  start(options: FitOptions<LanguageModel>): Promise<LanguageModel> {
    return this.run(options);
  }

  /** Writes on from `prime`, which is not repeated. The same seed writes the same text. */
  generate(options: SampleOptions = {}): string {
    return sampleText(this.model, this.task, options);
  }

  /** The same, a character or word as it is drawn; other work runs in between. */
  async *generateStream(options: SampleOptions = {}): AsyncGenerator<string, void> {
    const drawn: number[] = [];
    let written = 0;
    let last = performance.now();
    for (const token of sampling(this.model, this.task, options)) {
      drawn.push(token);
      // Whether a space stands before a word depends on the words around it, so that all are put together.
      const text =
        this.task.vocabulary && this.#isCharacters ? decode(this.task.vocabulary, [token]) : this.#text(drawn);
      yield this.#isCharacters ? text : text.slice(written);
      written = text.length;
      if (performance.now() - last < SLICE_MS) continue;
      await breathe();
      last = performance.now();
    }
  }

  /** Loss, perplexity, accuracy on another text, which must be longer than a step of training. */
  async evaluate(text: TextData): Promise<Evaluation> {
    const all = await textOf(text, undefined);
    const { tokenizer } = this.parts.kept as Kept;
    const task = inOptionWords(() =>
      taskOf(this.net, { tokenizer }, { train: "", valid: "", test: all }, this.task.vocabulary),
    );
    return this.evaluateTask(task, 1);
  }

  /** Reads a text piece by piece: after each, what the model expects next. */
  stream(): LanguageStream {
    return new LanguageStream(this);
  }

  get #isCharacters(): boolean {
    return (this.parts.kept as Kept).tokenizer === "characters";
  }

  #text(tokens: readonly number[]): string {
    return (this.task.text as TextForm).decode(tokens);
  }
}

export interface Expected {
  readonly token: string;
  readonly probability: number;
}

/** A text that is still coming. */
export class LanguageStream {
  readonly #stepper: Stepper;
  readonly #model: LanguageModel;

  constructor(model: LanguageModel) {
    this.#model = model;
    this.#stepper = model.stepper();
  }

  /** Reads on; the likeliest next characters or words, at most `count`, the likeliest first. */
  push(text: string, count = 5): Expected[] {
    const { vocabulary, task } = this.#model;
    const tokens = (task.text as TextForm).encode(text);
    check(
      tokens.length > 0,
      `got ${shown(text)}, expected a text of at least one ${vocabulary.length ? "token" : ""}.`,
    );
    for (const token of tokens) {
      this.#stepper.input[0] = token;
      this.#stepper.step();
    }
    const probabilities = softmax(this.#stepper.output, 0, vocabulary.length);
    return probabilities
      .map((probability, index) => ({ token: vocabulary[index] as string, probability }))
      .sort((a, b) => b.probability - a.probability)
      .slice(0, count);
  }

  /** Another text begins. */
  reset(): void {
    this.#stepper.reset();
  }

  /** The net's states after what was read; set them to go on from there. */
  get states(): StepperStates {
    return this.#stepper.states;
  }

  set states(states: StepperStates) {
    this.#stepper.states = states;
  }
}

interface Kept {
  readonly tokenizer: "characters" | Tokenizer;
}

export async function prepareLanguageModel(
  net: NetSpec,
  own: LanguageModelOptions,
  { validationSplit, sequenceLength, batchSize }: Settled,
  data: TextData | undefined,
  { signal, validation }: Pick<LanguageModelFitOptions, "signal" | "validation">,
  saved?: SavedParts,
): Promise<Prepared> {
  const kept: Kept = saved ? (saved.kept as Kept) : { tokenizer: own.tokenizer ?? "characters" };
  const text = data === undefined ? "" : await textOf(data, signal);
  const given = validation === undefined ? undefined : await textOf(validation, signal);
  const points = given === undefined ? [...text] : []; // a split between halves of a code point would break it
  const held = Math.round(points.length * validationSplit);
  const train = given === undefined ? points.slice(0, points.length - held).join("") : text;
  const valid = given ?? points.slice(points.length - held).join("");
  const { vocabulary } = own;
  const task = inOptionWords(() =>
    taskOf(net, { ...kept, vocabulary }, { train, valid, test: "" }, saved?.learnt.vocabulary),
  );
  const { T, B } = saved ? saved.shape : shapeFor(task, train, sequenceLength, batchSize);
  const encodes = task.text as TextForm;
  const validates = given !== undefined || (held > 0 && encodes.encode(valid).length > T);
  return {
    kind: "languageModel",
    task,
    validates,
    kept,
    notes: data && !validates && validationSplit > 0 ? [tooFew(`${points.length} characters`)] : [],
    dataHash: data === undefined ? undefined : () => hashOf([train, valid]),
    T,
    B,
  };
}

/** 64 positions of 32 lanes; of a short text less, so that an epoch has a hundred steps, or at least some. */
function shapeFor(task: Task, train: string, givenT?: number, givenB?: number): { T: number; B: number } {
  const tokens = (task.text as TextForm).encode(train).length;
  let [T, B] = [givenT ?? 64, givenB ?? 32];
  for (const [steps, leastT, leastB] of [
    [100, 16, 8],
    [4, 8, 1],
  ] as const) {
    while (givenB === undefined && B > leastB && tokens < steps * T * B) B >>= 1;
    while (givenT === undefined && T > leastT && tokens < steps * T * B) T >>= 1;
  }
  return { T, B };
}

function taskOf(
  net: NetSpec,
  { tokenizer, vocabulary: size = DEFAULT_VOCABULARY }: Kept & { readonly vocabulary?: number | undefined },
  { train, valid, test }: { readonly train: string; readonly valid: string; readonly test: string },
  vocabulary: readonly string[] | undefined,
): Task {
  const common = { text: train, parts: { valid, test }, name: "the text", vocabulary };
  const embedding = embeddingOf(net, tokenizer !== "characters");
  if (tokenizer === "characters") return characterTask({ ...common, embedding });
  return wordTask({ ...common, embedding, tokenizer, vocabularySize: size });
}

async function textOf(data: TextData, signal: AbortSignal | undefined): Promise<string> {
  if (typeof data === "string") return data;
  if (!isStream(data))
    throw new UsageError(`the text is ${shown(data)}, expected a text, or a list or stream of texts.`);
  const pieces = await gather(data, signal);
  const wrong = pieces.findIndex((piece) => typeof piece !== "string");
  check(wrong < 0, () => `piece ${wrong + 1} of the text is ${shown(pieces[wrong])}, expected a text.`);
  return pieces.join("");
}
