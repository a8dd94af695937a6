/**
 * What all estimators give: a net with its training, which predicts, is saved, and goes on where it was stopped.
 * The kinds add what goes in and what comes out.
 */
import { check, GatesieveError, UsageError } from "../core/check.ts";
import { writeExactJson } from "../formats/exact-json.ts";
import { type NamedTensor, type StoredTensor, writeSafetensors } from "../formats/safetensors.ts";
import { loadWeights, namedWeights } from "../formats/weights.ts";
import type { Engine } from "../kernels/kernels.ts";
import { Model } from "../nn/model.ts";
import { macShares } from "../sparse/macs.ts";
import type { Policy } from "../sparse/policy.ts";
import type { Task } from "../tasks/task.ts";
import { type Evaluation, evaluating } from "../train/evaluate.ts";
import { longestInput, type PredictionInput, predict } from "../train/predict.ts";
import { Stepper, type StepperOptions } from "../train/stepper.ts";
import { Trainer } from "../train/trainer.ts";
import { breathe, SLICE_MS, Training, type TrainingState, train } from "../train/training.ts";
import type { NetSpec } from "./nets.ts";
import { inOptionWords, type Listeners, type Settled, sliceOf } from "./options.ts";
import { addToReport, emptyReport, type FitReport } from "./report.ts";

export const MODEL_FORMAT = "gatesieve model";
export const MODEL_VERSION = 1;
/** Names of a training's tensors in a saved model begin so; parameters' never do. */
export const TRAINING_PREFIX = "training.";

/** Everything a trained model is made of. */
export interface Parts {
  readonly kind: string;
  readonly net: NetSpec;
  readonly task: Task;
  readonly options: Settled;
  readonly policy: Policy;
  readonly headPolicy: Policy | undefined;
  readonly engine: Engine;
  readonly engineReason: string;
  readonly shape: { readonly T: number; readonly B: number };
  /** What a kind keeps of its data besides `task.encoding`, as JSON. */
  readonly kept: object;
  readonly notes: readonly string[];
  /** Whether a part was held back to validate. */
  readonly validates: boolean;
  /** Tells one data from another; undefined for a model without data, which only predicts. */
  readonly dataHash: (() => number) | undefined;
}

/** What `save` writes into the file besides weights. */
export interface SavedParts extends Pick<Parts, "kind" | "net" | "options" | "shape" | "kept"> {
  readonly format: typeof MODEL_FORMAT;
  readonly version: number;
  readonly policy: string;
  readonly headPolicy: string | null;
  readonly learnt: Pick<Task, "vocabulary" | "encoding">;
  readonly plan: Plan;
  readonly report: FitReport;
  /** Of the training that was saved too; null without one. */
  readonly dataHash: number | null;
}

interface Plan {
  readonly maxSteps: number;
  readonly valCheckInterval: number;
}

export interface SaveOptions {
  /** With all that the training needs to go on, bit for bit; about four times the bytes. */
  readonly training?: boolean;
}

export abstract class TrainedModel {
  readonly net: NetSpec;
  /** The engine's side of it, for the layers below: parameters, sites, memory. */
  readonly model: Model;
  readonly task: Task;
  /** Curves, sparsity, MACs, seconds; it grows while training goes on. */
  readonly report: FitReport;
  protected readonly parts: Parts;
  #training: Training | undefined;
  #running = false;
  #larger: Model | undefined; // for sequences longer than any in training
  #largerSteps = -1; // the weights it has are those after so many steps
  readonly #plan: Plan;

  /** `saved`: of a model that is read back. */
  constructor(parts: Parts, saved?: SavedParts) {
    const { net, task, engine, shape } = parts;
    this.parts = parts;
    this.net = net;
    this.task = task;
    checkInputSize(parts);
    this.model = new Model(engine, { ...net, input: task.input, output: task.output }, modelShape(parts, shape));
    this.#plan = saved?.plan ?? planOf(parts);
    if (saved && (saved.dataHash === null || !parts.dataHash)) this.model.initialize(parts.options.seed);
    else this.#training = this.#makeTraining();
    this.report = saved
      ? { ...saved.report, losses: [...saved.report.losses], validations: [...saved.report.validations] }
      : emptyReport(
          {
            parameters: this.model.size,
            engine: `${engine.name} (${engine.isa})`,
            policy: parts.policy.name,
            lossUnit: task.lossUnit,
            notes: parts.notes,
          },
          macShares([]),
        );
  }

  #makeTraining(): Training {
    const { options, policy, headPolicy, task } = this.parts;
    const { maxSteps, valCheckInterval } = this.#plan;
    const trainer = new Trainer(this.model, { ...options, policy, headPolicy, maxSteps });
    const { patience, logEverySteps } = options;
    return new Training(trainer, task, { valCheckInterval, patience, logEverySteps, test: false });
  }

  /** Trains to the end, or until the signal. */
  protected async run<M extends TrainedModel>(this: M, listeners: Listeners<M>): Promise<M> {
    await runTraining(this, this.#needTraining(), listeners, (running) => {
      check(!(running && this.#running), "this model is in training already; wait for its end.");
      this.#running = running;
    });
    return this;
  }

  /**
   * Goes on where a training was stopped, as if it never had been: bit for bit on the same engine. A model that was
   * loaded is given its data by `load(bytes, { data })`.
   */
  async resume(listeners: Listeners<this> = {}): Promise<this> {
    const { reason } = this.report;
    check(
      reason === "stopped" || reason === null,
      `this training is at its end (${reason}, ${this.report.steps} steps); train anew with more epochs.`,
    );
    const training = this.#needTraining();
    training.stopRequested = false;
    return this.run(listeners as Listeners<TrainedModel>) as Promise<this>;
  }

  #needTraining(): Training {
    if (!this.#training)
      throw new UsageError(
        "this model has no training to go on with: it was saved or loaded without. Use save({ training: true }), and loadModel(bytes, { data }).",
      );
    return this.#training;
  }

  /**
   * The model as the bytes of one safetensors file: weights under PyTorch's names (its readers take them as they are),
   * and everything else as JSON in the file's metadata. `loadModel` reads it back, with the same bits.
   */
  save({ training: withTraining = false }: SaveOptions = {}): Uint8Array {
    const { kind, net, options, shape, kept, policy, headPolicy, task } = this.parts;
    const training = withTraining ? this.#needTraining() : undefined;
    if (training?.midStep)
      throw new GatesieveError(
        "the step under way is not complete before its validation; save its training in onValidation instead.",
      );
    const state = training?.save();
    const saved: SavedParts = {
      ...{ format: MODEL_FORMAT, version: MODEL_VERSION, kind, net, options, shape, kept },
      policy: policy.name,
      headPolicy: headPolicy?.name ?? null,
      learnt: {
        ...(task.vocabulary ? { vocabulary: task.vocabulary } : {}),
        ...(task.encoding ? { encoding: task.encoding } : {}),
      },
      plan: this.#plan,
      report: this.report,
      dataHash: state ? (this.parts.dataHash as () => number)() : null,
    };
    const tensors: NamedTensor[] = Object.entries(state?.tensors ?? {}).map(([name, data]) => ({
      name: TRAINING_PREFIX + name,
      shape: [data.length],
      data,
    }));
    const metadata = { format: "pt", gatesieve: writeExactJson(saved) };
    return writeSafetensors(
      [...namedWeights(this.model), ...tensors],
      state ? { ...metadata, training: writeExactJson(state.numbers) } : metadata,
    );
  }

  /** Puts in what `save` wrote. */
  restore(tensors: ReadonlyMap<string, StoredTensor>, state: TrainingState | undefined): void {
    loadWeights(this.model, { tensors }, "the saved model");
    if (state) this.#needTraining().load(state);
  }

  /**
   * The net one position at a time, in its own numbers: tokens, or features after normalisation, in; logits or values
   * out. Any number of streams; see `Stepper`. `stream()` speaks of labels and texts instead.
   */
  stepper(options: StepperOptions = {}): Stepper {
    return new Stepper(this.model, options);
  }

  /**
   * One JSON result for each input, in order, in batches; the batch changes no bit. `whole`: inputs longer than any in
   * training are read whole all the same; else as the task cuts them.
   */
  protected *results(inputs: readonly PredictionInput[], whole = true): Generator<Record<string, unknown>> {
    if (inputs.length === 0) return;
    const model = whole ? this.#modelFor(longestInput(this.task, inputs)) : this.model;
    yield* predict(model, this.task, inputs);
  }

  /** The same for inputs as they come, in batches of the model's lanes; other work runs in between. */
  protected async *streamed<I, R>(
    inputs: Iterable<I> | AsyncIterable<I>,
    predictAll: (inputs: readonly I[], first: number) => R[],
  ): AsyncGenerator<R, void> {
    let waiting: I[] = [];
    let first = 0;
    for await (const input of inputs) {
      waiting.push(input);
      if (waiting.length < this.model.pass.B) continue;
      yield* predictAll(waiting, first);
      first += waiting.length;
      waiting = [];
      await breathe();
    }
    yield* predictAll(waiting, first);
  }

  /** Loss and scores of a task's test split, which is other data read as the training's was. */
  protected async evaluateTask(task: Task, longest: number): Promise<Evaluation> {
    const batches = inOptionWords(() => evaluating(this.#modelFor(longest), task, "test", this.parts.options.seed));
    let last = performance.now();
    for (;;) {
      const { done, value } = inOptionWords(() => batches.next());
      if (done) return value;
      if (performance.now() - last < SLICE_MS) continue;
      await breathe();
      last = performance.now();
    }
  }

  /** A model with these weights and room for so many positions: this one, or one with fewer lanes instead. */
  #modelFor(T: number): Model {
    const { model, parts } = this;
    if (T <= model.pass.T) return model;
    const steps = this.#training?.trainer.steps ?? 0;
    if (!this.#larger || this.#larger.pass.T < T) {
      const B = Math.max(1, Math.floor((model.pass.T * model.pass.B) / T));
      this.#larger = new Model(parts.engine, model.spec, modelShape(parts, { T, B }));
      this.#larger.initialize(parts.options.seed);
      this.#largerSteps = -1;
    }
    if (this.#largerSteps !== steps || this.#running) {
      for (const [index, { value }] of this.#larger.parameters.entries())
        value.data.set(model.parameters[index]!.value.data as Float32Array);
      this.#larger.pack();
      this.#largerSteps = steps;
    }
    return this.#larger;
  }
}

async function runTraining<M extends TrainedModel>(
  model: M,
  training: Training,
  listeners: Listeners<M>,
  mark: (running: boolean) => void,
): Promise<void> {
  const { onStep, onValidation, signal } = listeners;
  const sliceMs = sliceOf(listeners);
  mark(true);
  try {
    for await (const event of train(training, signal, sliceMs)) {
      addToReport(model.report, event);
      if (event.type === "step") await onStep?.(event, model);
      else if (event.type === "validation") await onValidation?.(event, model);
    }
  } catch (error) {
    return inOptionWords(() => {
      throw error;
    });
  } finally {
    mark(false);
  }
}

function checkInputSize({ net: { inputSize }, task: { input } }: Parts): void {
  if (input.kind === "tokens" || inputSize === undefined) return;
  check(
    inputSize === input.size,
    () =>
      `inputSize is ${inputSize}, and the data has ${input.size} numbers at each position. Leave it out, or give ${input.size}.`,
  );
}

/** Columns of the embedding of tokens that a net asks for; `words`: where it says nothing, of words. */
export function embeddingOf({ inputSize, hiddenSize }: NetSpec, words: boolean): number {
  return inputSize ?? (words ? hiddenSize : 0);
}

function modelShape({ net }: Parts, shape: { T: number; B: number }) {
  return { ...shape, recompute: net.recompute ?? 0 };
}

function planOf({ task, options, shape, validates }: Parts): Plan {
  const { batchesPerEpoch } = task.batches("train", { ...shape, seed: options.seed });
  const maxSteps = options.maxSteps ?? Math.max(1, Math.round(options.epochs * batchesPerEpoch));
  const usual = Math.min(Math.max(batchesPerEpoch, Math.ceil(maxSteps / 100)), Math.ceil(maxSteps / 10));
  return { maxSteps, valCheckInterval: validates ? (options.valCheckInterval ?? usual) : 0 };
}
