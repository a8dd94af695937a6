/**
 * A policy plans, a kernel executes. Before each backward pass a site's policy writes one rule;
 * after it, it learns from the sweep's statistics. A policy over known rule kinds needs no kernel.
 */
import type { DropRule } from "./rule.ts";
import type { Site } from "./site.ts";
import type { SiteStatistics } from "./statistics.ts";

export interface Policy {
  /** Canonical text, as runs and JSON print it: `parsePolicy(policy.name)` gives the same policy. */
  readonly name: string;
  /** One instance per site. `seed` is for stochastic rules. */
  start(site: Site, seed: number): SitePolicy;
}

export interface SitePolicy {
  /** Fills `out` for the backward pass of `step` (0-based). Must not allocate. */
  plan(step: number, out: DropRule): void;
  /** Reads what the pass just seen looked like before and after the rule. Must not allocate. */
  learn(statistics: SiteStatistics): void;
  /** All state, as plain numbers: it goes into checkpoints and comes back bit for bit. */
  save(): number[];
  load(state: readonly number[]): void;
}

/** A line of the table of policies. */
export interface PolicyEntry {
  readonly summary: string;
  /** What the argument means, or undefined for a policy without one. */
  readonly argument?: {
    readonly name: string;
    readonly default?: number;
    readonly atLeast: number;
    readonly atMost: number;
  };
  /** `argument` is checked and defined where the entry has one. */
  create(argument: number): Policy;
}
