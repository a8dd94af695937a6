/** A saved model back from its bytes. */
import { GatesieveError, UsageError } from "../core/check.ts";
import { readExactJson } from "../formats/exact-json.ts";
import { readSafetensors, type StoredTensor, toArray } from "../formats/safetensors.ts";
import { cells } from "../nn/cells.ts";
import type { Policy } from "../sparse/policy.ts";
import type { TrainingState } from "../train/training.ts";
import { Classifier, prepareClassifier } from "./classifier.ts";
import { shown } from "./examples.ts";
import { Forecaster, prepareForecaster } from "./forecaster.ts";
import { LanguageModel, prepareLanguageModel } from "./language-model.ts";
import { checkKeys, type NetSpec } from "./nets.ts";
import type { LearnOptions, Settled } from "./options.ts";
import { makeParts, type Prepared } from "./prepare.ts";
import { prepareTagger, Tagger } from "./tagger.ts";
import {
  MODEL_FORMAT,
  MODEL_VERSION,
  type Parts,
  type SavedParts,
  TRAINING_PREFIX,
  type TrainedModel,
} from "./trained.ts";

export interface LoadOptions extends Pick<LearnOptions, "engine" | "threads"> {
  /** The very data of the training, to `resume` it. */
  readonly data?: unknown;
  /** The very data that was given to `fit` as `validation`. */
  readonly validation?: unknown;
  /** On a resume: the policy, where it was one of one's own. */
  readonly policy?: Policy;
}

type Kind = {
  prepare(saved: SavedParts, options: LoadOptions): Promise<Prepared>;
  make(parts: Parts, saved: SavedParts): TrainedModel;
};

// biome-ignore lint/suspicious/noExplicitAny: a kind's `fit` took this data, or none is given; gathering checks it
type Given = any;

/** Kinds whose data are examples: nothing is asked of their own options, which are in what was learnt. */
type PrepareExamples = (
  net: NetSpec,
  own: Readonly<Record<never, never>>,
  options: Settled,
  data: Given,
  given: { readonly signal: undefined; readonly validation: Given },
  saved: SavedParts,
) => Promise<Prepared>;

const withExamples =
  (prepare: PrepareExamples): Kind["prepare"] =>
  (saved, { data, validation }) =>
    prepare(saved.net, {}, saved.options, data as Given, { signal: undefined, validation: validation as Given }, saved);

const KINDS: Readonly<Record<string, Kind>> = {
  classifier: {
    prepare: withExamples(prepareClassifier),
    make: (parts, saved) => new Classifier(parts, saved),
  },
  forecaster: {
    prepare: (saved, { data }) => prepareForecaster(saved.options, data as Given, { signal: undefined }, saved),
    make: (parts, saved) => new Forecaster(parts, saved),
  },
  tagger: {
    prepare: withExamples(prepareTagger),
    make: (parts, saved) => new Tagger(parts, saved),
  },
  languageModel: {
    prepare: withExamples(prepareLanguageModel),
    make: (parts, saved) => new LanguageModel(parts, saved),
  },
};

/**
 * The model that `save` wrote: same predictions, bit for bit on the same engine. With `data`, of a model that was saved
 * with its training, `resume` goes on with it. Throws a UsageError if these are no such bytes.
 *
 *   const model = await loadModel<Classifier<string, "cat" | "dog">>(bytes);
 */
export async function loadModel<M extends TrainedModel = Classifier | Forecaster | Tagger | LanguageModel>(
  bytes: Uint8Array | ArrayBuffer,
  options: LoadOptions = {},
): Promise<M> {
  checkKeys("loadModel", options, ["data", "validation", "policy", "engine", "threads"]);
  if (!ArrayBuffer.isView(bytes) && !((bytes as unknown) instanceof ArrayBuffer))
    throw new UsageError(
      `loadModel: got ${shown(bytes)}, expected the bytes of the file, for example readFileSync(file).`,
    );
  const { metadata, tensors } = readSafetensors(
    ArrayBuffer.isView(bytes) ? bytes : new Uint8Array(bytes),
    "the saved model",
  );
  const saved = readSaved(metadata.gatesieve);
  const kind = KINDS[saved.kind];
  if (!kind) throw new GatesieveError(`the saved model is a "${saved.kind}", which this Gatesieve does not know.`);
  if (saved.net.cell !== undefined && !Object.hasOwn(cells, saved.net.cell))
    throw new UsageError(`the saved model's cell is "${saved.net.cell}", one of your own: registerCell it first.`);
  if (options.data !== undefined && saved.dataHash === null)
    throw new UsageError("the model was saved without its training, so that data is of no use; leave data out.");
  const prepared = await kind.prepare(saved, options);
  if (prepared.dataHash && prepared.dataHash() !== saved.dataHash)
    throw new UsageError("data is not that of the saved training; give the very same, in the same order.");
  const policy = prepared.dataHash ? (options.policy ?? saved.policy) : "dense";
  const headPolicy = prepared.dataHash ? (saved.headPolicy ?? "dense") : "dense";
  const parts = await makeParts(saved.net, saved.options, prepared, { ...options, policy, headPolicy });
  const { T, B } = saved.shape;
  const shape = prepared.dataHash ? saved.shape : { T, B: Math.min(B, LANES_TO_PREDICT) };
  const model = kind.make({ ...parts, shape }, saved);
  const isTraining = (name: string) => name.startsWith(TRAINING_PREFIX);
  const weights = new Map([...tensors].filter(([name]) => !isTraining(name)));
  model.restore(weights, prepared.dataHash ? stateOf(tensors, metadata.training) : undefined);
  return model as M;
}

/** Of a model that only predicts: memory grows with them, speed hardly does. */
const LANES_TO_PREDICT = 8;

function stateOf(tensors: ReadonlyMap<string, StoredTensor>, numbers: string | undefined): TrainingState {
  if (numbers === undefined) throw new GatesieveError("the saved model lacks its training's numbers: it is damaged.");
  const own = [...tensors].filter(([name]) => name.startsWith(TRAINING_PREFIX));
  return {
    numbers: readExactJson(numbers) as TrainingState["numbers"],
    tensors: Object.fromEntries(
      own.map(([name, stored]) => [name.slice(TRAINING_PREFIX.length), toArray(stored) as Float32Array]),
    ),
  };
}

function readSaved(text: string | undefined): SavedParts {
  const saved = text === undefined ? undefined : parse(text);
  if (saved?.format !== MODEL_FORMAT)
    throw new UsageError(
      "these bytes are no model that save() wrote; a file of weights alone says nothing of its task.",
    );
  if (saved.version !== MODEL_VERSION)
    throw new GatesieveError(
      `the saved model has format version ${saved.version}, this Gatesieve reads version ${MODEL_VERSION}. Use the one that wrote it.`,
    );
  return saved;
}

function parse(text: string): SavedParts | undefined {
  try {
    return readExactJson(text) as SavedParts;
  } catch {
    return undefined;
  }
}
