/**
 * A policy plans, a kernel executes. Before each backward pass a site's policy writes one rule;
 * after it, it learns from the sweep's statistics. A policy over known rule kinds needs no kernel.
 */
import type { Arena, Tensor } from "../core/arena.ts";
import type { PolicyOptions } from "./options.ts";
import type { DropRule, Paths } from "./rule.ts";
import type { Site } from "./site.ts";
import type { SiteStatistics } from "./statistics.ts";

export interface Policy {
  /** Canonical text, as runs and JSON print it: `parsePolicy(policy.name)` gives the same policy. */
  readonly name: string;
  /** The `paths` of all its rules, for which layers plan; without it "both". */
  readonly paths?: Paths;
  /** One instance per site, made before the arena is allocated. */
  start(context: PolicyContext): SitePolicy;
}

export interface PolicyContext {
  readonly site: Site;
  /** For draws. */
  readonly seed: number;
  /** Length of the run, for schedules. */
  readonly maxSteps: number;
  /** For state that is too large for `save()`. */
  readonly arena: Arena;
}

export interface SitePolicy {
  /** Fills `out` for the backward pass of `step` (0-based). Must not allocate. */
  plan(step: number, out: DropRule): void;
  /** Reads what the pass just seen looked like before and after the rule. Must not allocate. */
  learn(statistics: SiteStatistics): void;
  /** For policies that steer by the gradient of the site's weights. */
  readonly watch?: GradientWatch;
  /** What was chosen and why, for the log: one line. */
  explain?(): string;
  /** All state, as plain numbers: it goes into checkpoints and comes back bit for bit. */
  save(): number[];
  load(state: readonly number[]): void;
  /** State in the arena, likewise in checkpoints. */
  readonly tensors?: readonly Tensor[];
}

/** What a policy wants to see of the gradient of its site's weights. */
export interface GradientWatch {
  /** Entries of it, always the same ones, as each step leaves them. Filled by the trainer. */
  readonly sample: Float64Array;
  /** Reads the sample of the step just made. Must not allocate. */
  learn(): void;
  /** Whether the trainer should also make this step's gradient without dropping, for `compare`. */
  probes(step: number): boolean;
  /** `sample` holds the gradient under the rules, `dense` the same entries of the dense one, which the step will use. */
  compare(step: number, dense: Float64Array): void;
}

/** A line of the table of policies. */
export interface PolicyEntry {
  readonly summary: string;
  /** What the argument means, or undefined for a policy without one. */
  readonly argument?: PolicyArgument;
  /** Options it understands; those that say where a rule applies are understood by all but dense. */
  readonly options?: readonly (keyof PolicyOptions)[];
  start(context: EntryContext): SitePolicy;
}

export interface PolicyArgument {
  readonly name: string;
  readonly default?: number;
  readonly atLeast: number;
  readonly atMost: number;
  /** Each gate may have a value of its own, as in "energy:0.99,o=0.999". */
  readonly perGate: boolean;
}

export interface EntryContext extends PolicyContext {
  readonly options: PolicyOptions;
  /** The argument, per group; it changes under a ramp. Whatever is made of it is made anew at each step. */
  readonly budgets: Float64Array;
}
