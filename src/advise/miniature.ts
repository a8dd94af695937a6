/**
 * A training in small, made again and again in one memory. A dense trunk runs at the full learning rate; branches leave
 * it at its start or later, each under one arm. All of them keep the full rate up to the same step, then their rate
 * goes to zero, at the same step again. Branches of one trunk begin with the same weights and see the same batches:
 * what they differ in is what dropping did.
 */
import type { RealArray } from "../core/arena.ts";
import type { Engine } from "../kernels/kernels.ts";
import type { RunConfig } from "../runs/config.ts";
import { median } from "../runs/paired.ts";
import { makeModel } from "../runs/parts.ts";
import { type MacShares, macShares, type ProductMacs } from "../sparse/macs.ts";
import { type Sparsity, SparsityTally } from "../sparse/observation.ts";
import type { BatchCursor, Task } from "../tasks/task.ts";
import { NonFiniteError, Trainer } from "../train/trainer.ts";
import { type Arm, Arms, DENSE } from "./arms.ts";
import { type ArmFidelity, armFidelity } from "./fidelity.ts";

/** Batches of the validation split that are looked at: the first so many. */
const VALIDATION_BATCHES = 40;

/** Batches that dense and sparse gradients are compared on. */
const FIDELITY_BATCHES = 6;
const NO_FIDELITY: ArmFidelity = { cosine: Number.NaN, bias: Number.NaN, noise: Number.NaN };

export interface Branch {
  /** Validation loss of each batch; infinity if training met a number that is not finite. */
  readonly losses: readonly number[];
  /** Median time of a step. */
  readonly stepMs: number;
  /** Of all gate gradients. */
  readonly sparsity: Sparsity;
  readonly macs: MacShares;
  readonly fidelity: ArmFidelity;
}

/** A place on the trunk. */
export interface Place {
  readonly steps: number;
  readonly updates: number;
  readonly cursor: readonly number[];
  readonly state: readonly RealArray[];
}

/** Steps at which the learning rate begins to fall, and at which it is zero. */
export interface Fall {
  readonly from: number;
  readonly to: number;
}

const NEVER: Fall = { from: Number.POSITIVE_INFINITY, to: Number.POSITIVE_INFINITY };

export class Miniature {
  readonly trainer: Trainer;
  readonly task: Task;
  readonly #arms: Arms;
  readonly #decays: boolean;
  #cursor: BatchCursor;
  #seed: number;
  #fall: Fall = NEVER;

  constructor(config: RunConfig, task: Task, engine: Engine, arms: readonly Arm[]) {
    const {
      sequenceLength: T,
      batchSize: B,
      schedule,
      warmupSteps,
      gradientClipVal,
      weightDecay,
      ...train
    } = config.train;
    this.task = task;
    this.#arms = new Arms(arms);
    this.#decays = schedule !== "constant";
    this.#seed = config.seed;
    this.trainer = new Trainer(makeModel(config, task, engine, T, B), {
      ...train,
      ...(weightDecay === undefined ? {} : { weightDecay }),
      policy: this.#arms.policy,
      headPolicy: this.#arms.headPolicy,
      seed: config.seed,
      maxSteps: Number.MAX_SAFE_INTEGER, // of schedules: this one has its own
      schedule: (step) => this.#rateFactor(step),
      warmupSteps,
      gradientClipVal,
    });
    this.#cursor = task.batches("train", { T, B, seed: config.seed });
  }

  get steps(): number {
    return this.trainer.steps;
  }

  /** Fresh weights and batches of a seed. */
  begin(seed: number): void {
    const { trainer } = this;
    const { model } = trainer;
    const { T, B } = model.pass;
    for (const data of this.#state()) data.fill(0);
    model.draw(seed);
    trainer.steps = trainer.optimizer.settings.step = 0;
    this.#seed = seed;
    this.#cursor = this.task.batches("train", { T, B, seed });
    this.#arms.use(DENSE);
    this.#fall = NEVER;
  }

  /** A dense step at the full rate; its training loss. */
  trunkStep(): number {
    return this.#step();
  }

  /** Where the trunk is now, for branches to begin at. */
  place(): Place {
    const { steps, optimizer } = this.trainer;
    const state = this.#state().map((data) => data.slice());
    return { steps, updates: optimizer.settings.step, cursor: this.#cursor.save(), state };
  }

  /** Trains an arm from a place on the trunk until its rate is zero, and validates it. Yields after each step. */
  *branch(arm: number, place: Place, fall: Fall): Generator<undefined, Branch> {
    const { trainer } = this;
    const { model } = trainer;
    for (const [index, data] of this.#state().entries()) data.set(place.state[index] as RealArray);
    model.pack();
    trainer.steps = place.steps;
    trainer.optimizer.settings.step = place.updates;
    this.#cursor.load(place.cursor);
    this.#arms.use(arm);
    this.#fall = fall;
    const headWatched = model.head.site.watched;
    if (arm === DENSE) model.head.site.watched = false; // counting zeros there is no part of a dense step
    const tally = new SparsityTally(trainer.sites.map(({ site }) => site));
    const totals: ProductMacs[] = model.macs.map((product) => ({
      ...product,
      ...{ dense: 0, skipped: 0, masked: 0, executed: 0 },
    }));
    const times: number[] = [];
    let finite = true;
    try {
      while (trainer.steps < fall.to) {
        const began = performance.now();
        this.#step();
        times.push(performance.now() - began);
        for (const [index, { statistics }] of trainer.sites.entries()) tally.add(index, statistics);
        for (const [index, total] of totals.entries()) {
          const { dense, skipped, masked, executed } = model.macs[index] as ProductMacs;
          total.dense += dense;
          total.skipped += skipped;
          total.masked += masked;
          total.executed += executed;
        }
        yield;
      }
    } catch (error) {
      if (!(error instanceof NonFiniteError)) throw error;
      finite = false;
    } finally {
      model.head.site.watched = headWatched;
    }
    const losses = finite ? this.#validate() : [Number.POSITIVE_INFINITY];
    const fidelity = finite && arm !== DENSE ? armFidelity(trainer, this.#cursor, FIDELITY_BATCHES) : NO_FIDELITY;
    return {
      losses,
      stepMs: times.length > 0 ? median(times) : Number.NaN,
      sparsity: tally.overall(model.sites.length),
      macs: macShares(totals),
      fidelity,
    };
  }

  #step(): number {
    const { model } = this.trainer;
    if (this.#cursor.next(model.buffers())) model.resetCarried();
    return this.trainer.step().loss;
  }

  #rateFactor(step: number): number {
    const { from, to } = this.#fall;
    return this.#decays && step >= from ? (to - step) / (to - from) : 1;
  }

  /** As train/evaluate.ts does, but batch by batch and not over all of a long split. */
  #validate(): number[] {
    const { model } = this.trainer;
    const cursor = this.task.batches("valid", { T: model.pass.T, B: model.pass.B, seed: this.#seed });
    const pass = { ...model.pass, T: cursor.T, B: cursor.B, training: false };
    const losses: number[] = [];
    model.resetCarried();
    for (let batch = 0; batch < Math.min(VALIDATION_BATCHES, cursor.batchesPerEpoch); batch++) {
      if (cursor.next(model.buffers())) model.resetCarried();
      const { lossSum, positions } = model.head.evaluate(model.forward(pass), pass);
      losses.push(lossSum / positions);
    }
    return losses;
  }

  /** Everything a step changes but counters. */
  #state(): RealArray[] {
    const { model, optimizer } = this.trainer;
    return [optimizer.value, ...optimizer.state, ...model.carried].map(({ data }) => data);
  }
}
