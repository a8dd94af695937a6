/** Sequence classification: read a whole sequence, then name its class. */
import { UsageError } from "../core/check.ts";
import { ClassScorer, largest, softmax } from "./class-scores.ts";
import { ExampleCursor, type ExampleSet } from "./examples.ts";
import { fitInput, type InputEncoding, type InputForm, inputForm, type SequenceInput } from "./inputs.ts";
import { sequenceLengths } from "./lengths.ts";
import { type Encoded, SPLITS, type Split, type Task } from "./task.ts";

export interface LabelledSequence {
  readonly input: SequenceInput;
  readonly label: string;
  /** "names.csv:17", for messages. */
  readonly where?: string;
}

/** What a classifier learnt of its training part besides weights; kept with the model. */
export interface ClassificationEncoding {
  readonly input: InputEncoding;
  readonly classes: readonly string[];
}

export interface ClassificationOptions {
  /** What to call the data in messages. */
  readonly name: string;
  /** None: only to predict. */
  readonly parts?: Readonly<Record<Split, readonly LabelledSequence[]>> | undefined;
  /** Of another training; without it, learnt of the training part. */
  readonly encoding?: ClassificationEncoding | undefined;
  /** How images are read, where inputs are images. */
  readonly image?: (InputEncoding & { kind: "image" }) | undefined;
  /** Columns of a trained embedding of tokens; 0 or none: one-hot input. */
  readonly embedding?: number | undefined;
  /** Of words. */
  readonly vocabularySize?: number | undefined;
}

export function classificationTask(options: ClassificationOptions): Task {
  const { name, parts, image, embedding } = options;
  const encoding = options.encoding ?? fit(name, parts?.train ?? [], image, options.vocabularySize);
  const { classes } = encoding;
  const form = inputForm(encoding.input, embedding);
  const sets = new Map<Split, LabelledSet>();
  const setOf = (split: Split) => {
    let set = sets.get(split);
    if (!set) {
      set = labelledSet(name, split, parts?.[split] ?? [], form, classes);
      sets.set(split, set);
    }
    return set;
  };
  if (parts) for (const split of SPLITS) setOf(split);

  return {
    name: "classification",
    summary: "name the class of a sequence",
    input: form.spec,
    output: { kind: "classes", size: classes.length, positions: "last" },
    lossUnit: "nats/sequence",
    encoding,
    lengths: sequenceLengths([...sets.values()].map(({ lengths }) => lengths)),
    batches: (split, shape) => new ExampleCursor("classification", split, shape, setOf(split)),
    scores: ({ lossSum, positions, correct }) => ({
      perplexity: Math.exp(lossSum / positions),
      accuracy: correct / positions,
    }),
    scorer: () => new ClassScorer(classes),
    prediction: {
      encode: (input, where) => form.encode(input as SequenceInput, where),
      lengthOf: (encoded) => form.lengthOf(encoded),
      fill: (encoded, into, T, B, b) => form.fill(encoded, into, T, B, b),
      decode(outputs, lane) {
        const start = lane * classes.length;
        const probabilities = softmax(outputs, start, classes.length);
        const best = largest(outputs, start, classes.length);
        return {
          label: classes[best],
          probability: probabilities[best],
          probabilities: Object.fromEntries(classes.map((label, index) => [label, probabilities[index]])),
        };
      },
    },
  };
}

interface LabelledSet extends ExampleSet {
  readonly lengths: Int32Array;
}

function labelledSet(
  name: string,
  split: Split,
  sequences: readonly LabelledSequence[],
  form: InputForm,
  classes: readonly string[],
): LabelledSet {
  const number = new Map(classes.map((label, index) => [label, index]));
  const labels = new Int32Array(sequences.length);
  const encoded: Encoded[] = sequences.map(({ input, label, where = `${name}, ${split}` }, index) => {
    const known = number.get(label);
    if (known === undefined)
      throw new UsageError(
        `${where}: the label ${JSON.stringify(label)} is none of the ${classes.length} classes of the training part: ${some(classes)}.`,
      );
    labels[index] = known;
    return form.encode(input, where);
  });
  return {
    count: encoded.length,
    lengths: Int32Array.from(encoded, (each) => form.lengthOf(each)),
    fill(index, into, T, B, b) {
      into.lengths[b] = form.fill(encoded[index] as Encoded, into, T, B, b);
      into.targets[b] = labels[index] as number;
    },
  };
}

function fit(
  name: string,
  train: readonly LabelledSequence[],
  image: ClassificationOptions["image"],
  vocabularySize: number | undefined,
): ClassificationEncoding {
  const classes = [...new Set(train.map(({ label }) => label))].sort(byNumberOrText);
  if (classes.length < 2)
    throw new UsageError(
      `${name}: the training part has ${classes.length === 1 ? `one class alone, "${classes[0]}"` : "no examples"}; expected examples of at least two classes.`,
    );
  return {
    input:
      image ??
      fitInput(
        train.map(({ input }) => input),
        vocabularySize,
      ),
    classes,
  };
}

function byNumberOrText(a: string, b: string): number {
  const [m, n] = [Number(a), Number(b)];
  if (!Number.isNaN(m) && !Number.isNaN(n) && m !== n) return m - n;
  return a < b ? -1 : a > b ? 1 : 0;
}

function some(classes: readonly string[]): string {
  return classes.length > 12 ? `${classes.slice(0, 12).join(", ")}, ...` : classes.join(", ");
}
