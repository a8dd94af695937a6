/** Options of `fit`, their defaults and what may be wrong with them. */
import { check, UsageError } from "../core/check.ts";
import type { Engine } from "../kernels/kernels.ts";
import { DEFAULT_POLICY, parsePolicy } from "../sparse/policies.ts";
import type { Policy } from "../sparse/policy.ts";
import type { StepEvent, ValidationEvent } from "../train/events.ts";
import type { OptimizerOptions } from "../train/optimizers.ts";
import { SCHEDULES, type ScheduleName } from "../train/schedules.ts";
import { SLICE_MS } from "../train/training.ts";
import { checkKeys } from "./nets.ts";

/** Whom training tells, and who may end it. */
export interface Listeners<M> {
  /** After every `logEverySteps` steps: loss, speed, sparsity, MACs. Training waits for a promise it returns. */
  readonly onStep?: ((event: StepEvent, model: M) => unknown) | undefined;
  /** After each validation. `model` may predict and be saved here; what it says is of the present weights. */
  readonly onValidation?: ((event: ValidationEvent, model: M) => unknown) | undefined;
  /** Ends training after the present step; `fit` then gives the model as it is, its report says "stopped". */
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds of work between two turns of the event loop (50). */
  readonly sliceMs?: number;
}

export interface LearnOptions extends OptimizerOptions {
  /** Passes over the training part (10). */
  readonly epochs?: number;
  /** Or updates, whatever the epochs. */
  readonly maxSteps?: number;
  /** Sequences, or lanes of a text, in a step (32; less where there are fewer, or a text is short). */
  readonly batchSize?: number;
  /** Positions of a step. Without it the longest sequence; of texts 64, of series 32, less where they are short. */
  readonly sequenceLength?: number;
  /** Share of the examples held back to validate (0.1); 0: none, and the last weights stay instead of the best. */
  readonly validationSplit?: number;
  /** Steps between validations; without it an epoch, but 10 to 100 of them in all. */
  readonly valCheckInterval?: number;
  /** Validations without a new best before an early stop; 0, the default: none. */
  readonly patience?: number;
  /** Adam's (0.005), decayed to 0 by `schedule`. */
  readonly learningRate?: number;
  /** How the rate falls ("linear"). */
  readonly schedule?: ScheduleName;
  /** Steps over which the rate rises first (0). */
  readonly warmupSteps?: number;
  /** Largest global gradient norm (5); 0: no clipping. */
  readonly gradientClipVal?: number;
  /** What is dropped from gate gradients: a text, or a policy of one's own ("stochastic:0.98"). "dense": nothing. */
  readonly policy?: string | Policy;
  /** The same for the gradient of the logits; without it nothing is dropped there. */
  readonly headPolicy?: string | Policy;
  /** Of weights, batches, dropout and policy (1). */
  readonly seed?: number;
  /** "js", "wasm", "native" (with gatesieve/node), an engine of `loadEngine`, or the fastest that loads ("auto"). */
  readonly engine?: string | Engine;
  /** Threads of the engine; the result is the same for any number (1). */
  readonly threads?: number;
  /** Steps between `onStep` (10). */
  readonly logEverySteps?: number;
}

export interface FitOptions<M> extends LearnOptions, Listeners<M> {}

/** Options without listeners and engine, with defaults: what a model remembers. */
export interface Settled extends OptimizerOptions {
  readonly epochs: number;
  readonly maxSteps: number | undefined;
  readonly batchSize: number | undefined;
  readonly sequenceLength: number | undefined;
  readonly validationSplit: number;
  readonly valCheckInterval: number | undefined;
  readonly patience: number;
  readonly learningRate: number;
  readonly schedule: ScheduleName;
  readonly warmupSteps: number;
  readonly gradientClipVal: number;
  readonly seed: number;
  readonly logEverySteps: number;
}

const LISTENERS = ["onStep", "onValidation", "signal", "sliceMs"];
const OPTIMIZER = ["optimizer", "weightDecay", "momentum", "beta1", "beta2", "epsilon", "alpha", "lazyRows"];
const LEARN = [
  ...["epochs", "maxSteps", "batchSize", "sequenceLength", "validationSplit", "valCheckInterval", "patience"],
  ...["learningRate", "schedule", "warmupSteps", "gradientClipVal", "policy", "headPolicy", "seed", "engine"],
  ...["threads", "logEverySteps"],
  ...OPTIMIZER,
];

/** `further`: options that a kind of estimator has besides. */
export function settle<M>(options: FitOptions<M>, further: readonly string[]): Settled {
  checkKeys("fit", options, [...LEARN, ...LISTENERS, ...further]);
  options.signal?.throwIfAborted();
  const whole = (name: keyof Settled, least: number) => {
    const value = (options as Record<string, unknown>)[name];
    check(
      value === undefined || (Number.isInteger(value) && (value as number) >= least),
      () => `${name} is ${value}; give a whole number of at least ${least}.`,
    );
  };
  for (const name of ["maxSteps", "batchSize", "sequenceLength", "logEverySteps", "valCheckInterval"] as const)
    whole(name, 1);
  for (const name of ["patience", "warmupSteps", "seed"] as const) whole(name, 0);
  const { epochs = 10, validationSplit = 0.1, schedule = "linear", maxSteps } = options;
  check(epochs > 0 && Number.isFinite(epochs), () => `epochs is ${epochs}; give a number above 0.`);
  check(
    validationSplit >= 0 && validationSplit <= 0.5,
    () => `validationSplit is ${validationSplit}; give a share from 0 to 0.5.`,
  );
  check(
    Object.hasOwn(SCHEDULES, schedule),
    () => `schedule is ${JSON.stringify(schedule)}; use one of: ${Object.keys(SCHEDULES).join(", ")}.`,
  );
  if (maxSteps !== undefined && options.epochs !== undefined)
    throw new UsageError(`epochs ${epochs} and maxSteps ${maxSteps} are both given; give one of them.`);
  return {
    ...Object.fromEntries(
      OPTIMIZER.filter((name) => (options as Record<string, unknown>)[name] !== undefined).map((name) => [
        name,
        (options as Record<string, unknown>)[name],
      ]),
    ),
    epochs,
    maxSteps,
    batchSize: options.batchSize,
    sequenceLength: options.sequenceLength,
    validationSplit,
    valCheckInterval: options.valCheckInterval,
    patience: options.patience ?? 0,
    learningRate: options.learningRate ?? 5e-3,
    schedule,
    warmupSteps: options.warmupSteps ?? 0,
    gradientClipVal: options.gradientClipVal ?? 5,
    seed: options.seed ?? 1,
    logEverySteps: options.logEverySteps ?? 10,
  };
}

export function policyOf(policy: string | Policy = DEFAULT_POLICY): Policy {
  return typeof policy === "string" ? parsePolicy(policy) : policy;
}

export function sliceOf({ sliceMs = SLICE_MS }: { readonly sliceMs?: number }): number {
  check(sliceMs >= 0, () => `sliceMs is ${sliceMs}; give milliseconds, at least 0.`);
  return sliceMs;
}

/**
 * Runs work of the floors below, whose messages name settings as the command line does ("train.batchSize"), and says
 * them as options are called here.
 */
export function inOptionWords<R>(work: () => R): R {
  try {
    return work();
  } catch (error) {
    if (error instanceof Error) error.message = withoutSections(error.message);
    throw error;
  }
}

export function withoutSections(message: string): string {
  return message.replace(/\b(?:train|task|model)\.(?=[a-z])/g, "");
}
