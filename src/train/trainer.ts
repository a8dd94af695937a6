/**
 * One optimizer update at a time: `trainer.step()` trains on the batch in the model's buffers,
 * synchronously, and allocates nothing.
 */
import type { Tensor } from "../core/arena.ts";
import { check, choose, GatesieveError } from "../core/check.ts";
import type { Model } from "../nn/model.ts";
import type { DropSite } from "../nn/module.ts";
import type { Policy, SitePolicy } from "../sparse/policy.ts";
import { Optimizer, type OptimizerOptions } from "./optimizers.ts";
import { type Schedule, type ScheduleName, scheduleFactor } from "./schedules.ts";
import { WatchedGradients } from "./watch.ts";

export interface TrainerOptions extends OptimizerOptions {
  /** For every site of the net: the gate gradients of recurrent layers, the outputs of linear ones. */
  readonly policy: Policy;
  /** In its place at some sites, by their name, for example "lstm.l0". */
  readonly policies?: Readonly<Record<string, Policy>>;
  /** For the gradient of the logits; without one, nothing is dropped there. */
  readonly headPolicy?: Policy | undefined;
  readonly seed: number;
  readonly maxSteps: number;
  readonly schedule?: ScheduleName | Schedule;
  readonly warmupSteps?: number;
  /** Largest global gradient norm; 0 turns clipping off. */
  readonly gradientClipVal?: number;
}

/** The last step; one object, overwritten. */
export interface StepReport {
  loss: number;
  /** Global norm before clipping. */
  gradientNorm: number;
  learningRate: number;
  forwardMs: number;
  backwardMs: number;
  updateMs: number;
}

/** Training met NaN or infinity. The weights are those before the step. */
export class NonFiniteError extends GatesieveError {}

export class Trainer {
  readonly model: Model;
  readonly options: TrainerOptions;
  readonly optimizer: Optimizer;
  /** Every site that drops, and the policy at work there. */
  readonly sites: readonly DropSite[];
  readonly sitePolicies: readonly SitePolicy[];
  /** What policies keep in the arena, for checkpoints. */
  readonly policyTensors: readonly Tensor[];
  readonly report: StepReport = {
    loss: 0,
    gradientNorm: 0,
    learningRate: 0,
    forwardMs: 0,
    backwardMs: 0,
    updateMs: 0,
  };
  /** Updates done. */
  steps = 0;
  readonly #gradients: WatchedGradients;

  /** Allocates the model's arena and draws its weights. */
  constructor(model: Model, options: TrainerOptions) {
    this.model = model;
    this.options = options;
    this.optimizer = new Optimizer(model.arena, model.kernels, options, model.parameters);
    const { policy, policies = {}, headPolicy, seed, maxSteps } = options;
    const names = model.sites.map(({ site }) => site.name);
    for (const name of Object.keys(policies)) choose("site", name, Object.fromEntries(names.map((site) => [site, 0])));
    if (headPolicy) model.head.site.watched = true;
    this.sites = headPolicy ? [...model.sites, model.head.site] : model.sites;
    const { arena } = model;
    this.sitePolicies = this.sites.map((drop) => {
      const { site } = drop;
      const chosen = (drop === model.head.site ? headPolicy : undefined) ?? policies[site.name] ?? policy;
      drop.planPaths(chosen.paths ?? "both");
      return chosen.start({ site, seed, maxSteps, arena });
    });
    const headTensors = headPolicy ? this.sitePolicies.at(-1)?.tensors : undefined;
    check(
      !headTensors?.length,
      `headPolicy ${headPolicy?.name} keeps a number for every row of its site, and the head has no rows of its own: its ` +
        "chunks take turns. Use another policy there, for example density:0.1.",
    );
    this.policyTensors = this.sitePolicies.flatMap(({ tensors = [] }) => tensors);
    model.initialize(seed);
    this.#gradients = new WatchedGradients(model, this.sites, this.sitePolicies);
  }

  step(): StepReport {
    const { model, report, options, optimizer } = this;
    const { gradientClipVal = 5, schedule = "linear", warmupSteps = 0, maxSteps } = options;
    const began = performance.now();
    model.pass.step = this.steps;
    for (let s = 0; s < this.sitePolicies.length; s++) this.sitePolicies[s]!.plan(this.steps, this.sites[s]!.rule);
    optimizer.clearGradients();

    report.loss = this.#gradients.lossAndGradient(this.steps);
    if (!Number.isFinite(report.loss)) this.#stop(`the loss is ${report.loss}`);

    report.gradientNorm = Math.sqrt(optimizer.sumSquares());
    if (!Number.isFinite(report.gradientNorm)) this.#stop(`the gradient norm is ${report.gradientNorm}`);
    // PyTorch's clip_grad_norm_.
    const scale = gradientClipVal > 0 ? Math.min(1, gradientClipVal / (report.gradientNorm + 1e-6)) : 1;
    report.learningRate = (options.learningRate ?? 2e-3) * scheduleFactor(schedule, this.steps, maxSteps, warmupSteps);
    optimizer.update(report.learningRate, scale);
    model.pack(optimizer.leavesRows);
    for (let s = 0; s < this.sitePolicies.length; s++) this.sitePolicies[s]!.learn(this.sites[s]!.statistics);
    this.steps++;

    report.forwardMs = model.timing.forwardMs;
    report.backwardMs = model.timing.backwardMs;
    report.updateMs = performance.now() - began - report.forwardMs - report.backwardMs;
    return report;
  }

  /** What the sites' policies chose and why, where they choose by themselves. */
  explain(): string[] {
    return this.sitePolicies.flatMap((policy, index) => {
      const chosen = policy.explain?.();
      return chosen === undefined ? [] : [`${this.sites[index]?.site.name}: ${chosen}`];
    });
  }

  /** Names the place: the first layer whose output is not finite, else the last parameter whose gradient is not. */
  #stop(what: string): never {
    const { model, options } = this;
    const layers = model.recurrent.length > 0 ? model.recurrent : model.layers;
    const forward = layers.find(({ output }) => !allFinite(output.tensor.data));
    const backward = [...model.parameters].reverse().find(({ gradient }) => !allFinite(gradient.data));
    const where = forward
      ? `the output of ${forward.name}`
      : backward
        ? `the gradient of ${backward.name}`
        : "the output of head";
    throw new NonFiniteError(
      `step ${this.steps + 1}: ${what}; the first values that are not finite are in ${where}. ` +
        `The weights are kept as they were before this step. Try a smaller train.learningRate (now ${options.learningRate ?? 2e-3}) ` +
        `or train.gradientClipVal (now ${options.gradientClipVal ?? 5}).`,
    );
  }
}

function allFinite(data: Float32Array | Float64Array): boolean {
  for (let i = 0; i < data.length; i++) if (!Number.isFinite(data[i])) return false;
  return true;
}
