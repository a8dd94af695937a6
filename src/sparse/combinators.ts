/**
 * Combinators: `warmup(200)+energy:0.99`. Each says which steps run dense, or moves the policy's argument.
 * They depend on the step alone and keep no state; steps that run dense are learned from like any other.
 *
 * A duration below 1 is a share of the run, otherwise a whole number of steps.
 */
export interface Combinator {
  readonly usage: string;
  readonly summary: string;
  readonly parameters: readonly Parameter[];
  /** How many of them may be left out at the end. */
  readonly optional?: number;
  /** Whether `step` (0-based) of `maxSteps` keeps everything. */
  dense?(args: readonly number[], step: number, maxSteps: number): boolean;
  /** The policy's argument at `step`. */
  argument?(args: readonly number[], step: number, maxSteps: number): number;
}

export type Parameter = "duration" | "count" | "argument";

export const combinators = {
  warmup: {
    usage: "warmup(STEPS)",
    summary: "the first STEPS steps dense",
    parameters: ["duration"],
    dense: ([duration], step, maxSteps) => step < steps(duration as number, maxSteps),
  },
  every: {
    usage: "every(N)",
    summary: "each N-th step dense",
    parameters: ["count"],
    dense: ([n], step) => (step + 1) % (n as number) === 0,
  },
  cooldown: {
    usage: "cooldown(STEPS)",
    summary: "the last STEPS steps dense",
    parameters: ["duration"],
    dense: ([duration], step, maxSteps) => step >= maxSteps - steps(duration as number, maxSteps),
  },
  ramp: {
    usage: "ramp(FROM,TO,STEPS)",
    summary: "the argument moves from FROM to TO in STEPS steps, or in the whole run",
    parameters: ["argument", "argument", "duration"],
    optional: 1,
    argument: ([from, to, duration], step, maxSteps) => {
      const length = duration === undefined ? maxSteps - 1 : steps(duration, maxSteps);
      return step < length ? (from as number) + (((to as number) - (from as number)) * step) / length : (to as number);
    },
  },
} as const satisfies Record<string, Combinator>;

export type CombinatorName = keyof typeof combinators;

function steps(duration: number, maxSteps: number): number {
  return duration < 1 ? Math.round(duration * maxSteps) : duration;
}
