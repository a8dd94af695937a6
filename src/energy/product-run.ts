/** What one product comes to on a machine: cycles by cause, and actions. */
import type { Actions } from "./counts.ts";
import { noActions } from "./counts.ts";

/**
 * Cycles in which multipliers do nothing that counts, by cause; with the multiply-accumulates done over the peak they
 * add up to the cycles.
 */
export interface Stalls {
  /** Zeros multiplied, or waited for by a multiplier that is switched off. */
  zeros: number;
  /** Parts of the array that the product does not fill. */
  edge: number;
  /** Filling and draining, loading what stays. */
  fill: number;
  /** Too few nonzeros within reach of the unit, the reader or the window. */
  supply: number;
  /** Other lanes' elements are in the way. */
  imbalance: number;
  /** Waiting for the slowest lane or group at the end of a block. */
  barrier: number;
  /** A pass of its own: compacting gradients, adding up partial sums. */
  pass: number;
  /** The cell's pointwise work takes longer than the product beside it. */
  pointwise: number;
  /** Off-chip words take longer. */
  memory: number;
}

export const STALLS = [
  "zeros",
  "edge",
  "fill",
  "supply",
  "imbalance",
  "barrier",
  "pass",
  "pointwise",
  "memory",
] as const satisfies readonly (keyof Stalls)[];

export function noStalls(): Stalls {
  return { zeros: 0, edge: 0, fill: 0, supply: 0, imbalance: 0, barrier: 0, pass: 0, pointwise: 0, memory: 0 };
}

export interface ProductRun {
  /** Cycles of each block in a time loop, all the same or one by one; null outside of it. */
  readonly blocks: Float64Array | null;
  /** Without pointwise work and memory: those are the step's to add. */
  readonly cycles: number;
  readonly macsDone: number;
  readonly stalls: Stalls;
  readonly actions: Actions;
}

export function productRun(
  cycles: number,
  macsDone: number,
  stalls: Partial<Stalls>,
  actions: Partial<Actions>,
  blocks: Float64Array | null = null,
): ProductRun {
  return {
    blocks,
    cycles,
    macsDone,
    stalls: { ...noStalls(), ...stalls },
    actions: { ...noActions(), ...actions },
  };
}
