/**
 * A whole training: batches, validation, early stop, the best weights, totals; all of it can be
 * saved and continued bit for bit. `events()` is synchronous; `train()` wraps it for pages and
 * servers, letting other work run in between.
 */
import type { Tensor } from "../core/arena.ts";
import { GatesieveError } from "../core/check.ts";
import { macShares, type ProductMacs } from "../sparse/macs.ts";
import { SparsityTally } from "../sparse/observation.ts";
import type { BatchCursor, Task } from "../tasks/task.ts";
import { type Evaluation, evaluating } from "./evaluate.ts";
import type { EndEvent, StepEvent, TelemetryEvent, TrainEvent } from "./events.ts";
import { fidelityProbe } from "./probe.ts";
import { Telemetry } from "./telemetry.ts";
import type { TraceRecorder } from "./trace-recorder.ts";
import { NonFiniteError, type Trainer } from "./trainer.ts";

export interface TrainingOptions {
  /** Steps between validations; the last step is always validated. 0: there are none, and the last weights stay. */
  readonly valCheckInterval: number;
  /** Stop after this many validations without a new best; 0 never. */
  readonly patience: number;
  /** Steps between step events. */
  readonly logEverySteps: number;
  /** Steps between looks from inside (telemetry.ts); 0 or none: no telemetry. */
  readonly telemetryEverySteps?: number;
  /** Steps between looks that also compare the gradient with a dense one; 0 or none: no probe. */
  readonly probeEverySteps?: number;
  /** Whether the test split is looked at, at the end; false where there is none. */
  readonly test?: boolean;
}

/** Everything a training needs to go on as if never stopped: numbers as JSON, tensors by name. */
export interface TrainingState {
  readonly numbers: Record<string, unknown>;
  readonly tensors: Record<string, Float32Array | Float64Array>;
}

export class Training {
  readonly trainer: Trainer;
  readonly task: Task;
  readonly options: TrainingOptions;
  /** Records chosen steps for hardware models, if it is set. */
  recorder: TraceRecorder | undefined;
  /** Set it to end after the current step: `events()` then ends with reason "stopped". */
  stopRequested = false;
  /** Between the events of one step: what `save()` gives is only complete after the last of them. */
  midStep = false;

  readonly #cursor: BatchCursor;
  readonly #tally: SparsityTally; // over the run
  readonly #recent: SparsityTally; // since the last step event
  readonly #totals: ProductMacs[];
  readonly #recentMacs: ProductMacs[];
  readonly #timing = { forwardMs: 0, backwardMs: 0, updateMs: 0 };
  readonly #telemetry: Telemetry | undefined;
  #sample: TelemetryEvent | undefined; // of the present step
  readonly #best: Float32Array | Float64Array; // flat copy of the weights at the best validation
  #bestLoss = Number.POSITIVE_INFINITY;
  #bestScores: Record<string, number> = {};
  #sinceBest = 0;
  #seconds = 0;
  #recentLoss = 0;
  #recentSteps = 0;
  #recentSeconds = 0;

  constructor(trainer: Trainer, task: Task, options: TrainingOptions) {
    const { model } = trainer;
    this.trainer = trainer;
    this.task = task;
    this.options = options;
    const { T, B } = model.pass;
    this.#cursor = task.batches("train", { T, B, seed: trainer.options.seed });
    const sites = trainer.sites.map(({ site }) => site);
    this.#tally = new SparsityTally(sites);
    this.#recent = new SparsityTally(sites);
    this.#totals = model.macs.map((product) => ({ ...product }));
    this.#recentMacs = model.macs.map((product) => ({ ...product }));
    this.#best = trainer.optimizer.value.data.slice();
    const { telemetryEverySteps = 0, probeEverySteps = 0 } = options;
    if (telemetryEverySteps > 0) this.#telemetry = new Telemetry(trainer, { telemetryEverySteps, probeEverySteps });
  }

  get batchesPerEpoch(): number {
    return this.#cursor.batchesPerEpoch;
  }

  /** Runs to the end, an event at a time; each `next()` trains up to the next event. */
  *events(): Generator<TrainEvent, void> {
    for (const tick of this.ticks()) if (tick) yield tick;
  }

  /** The same a step at a time: undefined after a step and after a batch of a validation, for a caller to look up. */
  *ticks(): Generator<TrainEvent | undefined, void> {
    const { trainer, options } = this;
    const { maxSteps } = trainer.options;
    let reason: EndEvent["reason"] = "maxSteps";
    while (trainer.steps < maxSteps) {
      if (this.stopRequested) {
        reason = "stopped";
        break;
      }
      this.step();
      const last = trainer.steps === maxSteps;
      const logs = last || trainer.steps % options.logEverySteps === 0;
      const validates = options.valCheckInterval > 0 && (last || trainer.steps % options.valCheckInterval === 0);
      this.midStep = this.#sample !== undefined || logs || validates;
      yield undefined;
      if (this.#sample) {
        this.midStep = logs || validates;
        yield this.#sample;
      }
      if (logs) {
        this.midStep = validates;
        yield this.#stepEvent();
      }
      if (validates) {
        const { loss, scores } = yield* this.#validating();
        this.midStep = false;
        const best = this.#sinceBest === 0;
        yield { type: "validation", step: trainer.steps, loss, scores, best, chosen: trainer.explain() };
        if (options.patience > 0 && this.#sinceBest >= options.patience) {
          reason = "earlyStop";
          break;
        }
      }
    }
    this.midStep = reason !== "stopped"; // the best weights come back: no state to go on from
    yield yield* this.#ending(reason);
  }

  /** One batch, one update. */
  step(): void {
    const { trainer } = this;
    const { model } = trainer;
    const began = performance.now();
    if (this.#cursor.next(model.buffers())) model.resetCarried();
    const telemetry = this.#telemetry?.due(trainer.steps + 1) ? this.#telemetry : undefined;
    telemetry?.before();
    const recorder = this.recorder?.due(trainer.steps + 1) ? this.recorder : undefined;
    recorder?.before();
    const report = trainer.step();
    recorder?.after();
    this.#sample = telemetry?.after();
    for (let s = 0; s < trainer.sites.length; s++) {
      this.#tally.add(s, trainer.sites[s]!.statistics);
      this.#recent.add(s, trainer.sites[s]!.statistics);
    }
    for (let p = 0; p < model.macs.length; p++) {
      addMacs(this.#totals[p]!, model.macs[p]!);
      addMacs(this.#recentMacs[p]!, model.macs[p]!);
    }
    this.#timing.forwardMs += report.forwardMs;
    this.#timing.backwardMs += report.backwardMs - (telemetry?.watchedMs ?? 0);
    this.#timing.updateMs += report.updateMs;
    const seconds = (performance.now() - began - (this.#sample?.ms ?? 0)) / 1000;
    this.#seconds += seconds;
    this.#recentSeconds += seconds;
    this.#recentLoss += report.loss;
    this.#recentSteps++;
  }

  /** Scores the validation split and remembers the weights if they are the best so far. */
  validate(): Evaluation {
    const batches = this.#validating();
    for (;;) {
      const { done, value } = batches.next();
      if (done) return value;
    }
  }

  *#validating(): Generator<undefined, Evaluation> {
    const { trainer } = this;
    const evaluation = yield* evaluating(trainer.model, this.task, "valid", trainer.options.seed);
    if (!Number.isFinite(evaluation.loss))
      throw new NonFiniteError(
        `step ${trainer.steps}: the validation loss is ${evaluation.loss}. Try a smaller train.learningRate (now ${trainer.options.learningRate ?? 2e-3}).`,
      );
    if (evaluation.loss < this.#bestLoss) {
      this.#bestLoss = evaluation.loss;
      this.#bestScores = evaluation.scores;
      this.#sinceBest = 0;
      this.#best.set(trainer.optimizer.value.data);
    } else this.#sinceBest++;
    return evaluation;
  }

  #stepEvent(): StepEvent {
    const { trainer } = this;
    const { T, B } = trainer.model.pass;
    const event: StepEvent = {
      type: "step",
      step: trainer.steps,
      maxSteps: trainer.options.maxSteps,
      epoch: this.#cursor.position / this.#cursor.batchesPerEpoch,
      loss: this.#recentLoss / this.#recentSteps,
      learningRate: trainer.report.learningRate,
      gradientNorm: trainer.report.gradientNorm,
      tokensPerSecond: (this.#recentSteps * T * B) / this.#recentSeconds,
      seconds: this.#seconds,
      sparsity: this.#recent.overall(trainer.model.sites.length),
      macs: macShares(this.#recentMacs),
    };
    this.#clearRecent();
    return event;
  }

  #clearRecent(): void {
    this.#recent.clear();
    for (const macs of this.#recentMacs) macs.dense = macs.skipped = macs.masked = macs.executed = 0;
    this.#recentLoss = this.#recentSteps = this.#recentSeconds = 0;
  }

  /** At a real end the model gets its best weights back, and the test split is looked at, once. */
  *#ending(reason: EndEvent["reason"]): Generator<undefined, EndEvent> {
    const { trainer, task, options } = this;
    const finished = reason !== "stopped" && Number.isFinite(this.#bestLoss);
    let test: Evaluation | undefined;
    let fidelity: number | null = null;
    if (finished) {
      const { model } = trainer;
      trainer.optimizer.value.data.set(this.#best);
      model.pack();
      if (this.#cursor.next(model.buffers())) model.resetCarried();
      fidelity = fidelityProbe(model).cosine;
      if (options.test ?? true) test = yield* evaluating(model, task, "test", trainer.options.seed);
    }
    return {
      type: "end",
      reason,
      step: trainer.steps,
      seconds: this.#seconds,
      timing: { ...this.#timing },
      validLoss: Number.isFinite(this.#bestLoss) ? this.#bestLoss : null,
      testLoss: test ? test.loss : null,
      validScores: this.#bestScores,
      testScores: test?.scores ?? {},
      sparsity: this.#tally.overall(trainer.model.sites.length),
      sites: this.#tally.sites(),
      fidelity,
      macs: macShares(this.#totals),
      products: this.#totals.map((product) => ({ ...product })),
    };
  }

  /** A copy of everything that decides how training goes on. */
  save(): TrainingState {
    const { trainer } = this;
    const { model, optimizer } = trainer;
    const copy = (tensors: readonly Tensor[]) => tensors.map(({ name, data }) => [name, data.slice()] as const);
    return {
      numbers: {
        steps: trainer.steps,
        updates: optimizer.settings.step,
        cursor: this.#cursor.save(),
        policies: trainer.sitePolicies.map((policy) => policy.save()),
        bestLoss: Number.isFinite(this.#bestLoss) ? this.#bestLoss : null,
        bestScores: this.#bestScores,
        sinceBest: this.#sinceBest,
        seconds: this.#seconds,
        timing: { ...this.#timing },
        tally: this.#tally.save(),
        recentTally: this.#recent.save(),
        totals: this.#totals.map(savedMacs),
        recentTotals: this.#recentMacs.map(savedMacs),
        recent: [this.#recentLoss, this.#recentSteps, this.#recentSeconds],
      },
      tensors: Object.fromEntries([
        ["best", this.#best.slice()],
        ...copy([...optimizer.state, ...model.carried, ...trainer.policyTensors]),
      ]),
    };
  }

  /** Continues from `save()`; the parameters themselves are loaded by the caller. */
  load({ numbers, tensors }: TrainingState): void {
    const { trainer } = this;
    const { model, optimizer } = trainer;
    // biome-ignore lint/suspicious/noExplicitAny: the shape is what save() wrote; files are checked before
    const saved = numbers as any;
    trainer.steps = saved.steps;
    optimizer.settings.step = saved.updates;
    this.#cursor.load(saved.cursor);
    for (const [index, policy] of trainer.sitePolicies.entries()) policy.load(saved.policies[index]);
    this.#bestLoss = saved.bestLoss ?? Number.POSITIVE_INFINITY;
    this.#bestScores = saved.bestScores;
    this.#sinceBest = saved.sinceBest;
    this.#seconds = saved.seconds;
    Object.assign(this.#timing, saved.timing);
    this.#tally.load(saved.tally);
    this.#recent.load(saved.recentTally);
    loadMacs(this.#totals, saved.totals);
    loadMacs(this.#recentMacs, saved.recentTotals);
    [this.#recentLoss, this.#recentSteps, this.#recentSeconds] = saved.recent;
    const restore = (name: string, data: Float32Array | Float64Array) => {
      const from = tensors[name];
      if (from?.length !== data.length)
        throw new GatesieveError(
          `checkpoint: tensor "${name}" has ${from?.length ?? "no"} values, expected ${data.length}. It belongs to another model, optimizer or policy.`,
        );
      data.set(from);
    };
    restore("best", this.#best);
    for (const { name, data } of [...optimizer.state, ...model.carried, ...trainer.policyTensors]) restore(name, data);
    model.pack();
  }
}

/**
 * `training.events()` for an event loop: other work runs after every `sliceMs` of work (or one step, if that takes
 * longer), and an aborted signal ends training after the current step with reason "stopped".
 */
export async function* train(
  training: Training,
  signal?: AbortSignal,
  sliceMs: number = SLICE_MS,
): AsyncGenerator<TrainEvent, void> {
  let last = performance.now();
  for (const tick of training.ticks()) {
    if (tick) yield tick;
    if (performance.now() - last > sliceMs) {
      await breathe();
      last = performance.now();
    }
    if (signal?.aborted) training.stopRequested = true;
  }
}

/** Work between two turns of an event loop: a turn by setTimeout costs 1 ms and more, so not at each step. */
export const SLICE_MS = 50;

/** One turn of the event loop. */
export function breathe(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}

function addMacs(total: ProductMacs, macs: ProductMacs): void {
  total.dense += macs.dense;
  total.skipped += macs.skipped;
  total.masked += macs.masked;
  total.executed += macs.executed;
}

type SavedMacs = readonly [dense: number, skipped: number, executed: number, masked?: number];

function savedMacs({ dense, skipped, executed, masked }: ProductMacs): SavedMacs {
  return [dense, skipped, executed, masked];
}

function loadMacs(totals: readonly ProductMacs[], saved: readonly SavedMacs[]): void {
  for (const [index, macs] of totals.entries())
    [macs.dense, macs.skipped, macs.executed, macs.masked = 0] = saved[index]!;
}
