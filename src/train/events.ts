/**
 * What training tells the world. Listeners (command line, run store, pages, tests) get copies of
 * bounded aggregates; a new consumer is a new listener, not a new parameter.
 */
import type { MacShares, ProductMacs } from "../sparse/macs.ts";
import type { SiteObservation, Sparsity } from "../sparse/observation.ts";

/** Milliseconds of training steps so far. */
export interface Timing {
  readonly forwardMs: number;
  readonly backwardMs: number;
  /** Norm, clipping, optimizer, packing of weights, policies. */
  readonly updateMs: number;
}

/** Aggregated over the steps since the last step event. */
export interface StepEvent {
  readonly type: "step";
  /** Steps done. */
  readonly step: number;
  readonly maxSteps: number;
  /** Fractional epochs done. */
  readonly epoch: number;
  /** Mean training loss, in the task's unit. */
  readonly loss: number;
  readonly learningRate: number;
  /** Of the last step, before clipping. */
  readonly gradientNorm: number;
  readonly tokensPerSecond: number;
  /** Seconds of training alone (no validation) since the start of the run. */
  readonly seconds: number;
  /** Of all gate gradients. */
  readonly sparsity: Sparsity;
  readonly macs: MacShares;
}

export interface ValidationEvent {
  readonly type: "validation";
  readonly step: number;
  readonly loss: number;
  readonly scores: Readonly<Record<string, number>>;
  /** The lowest validation loss so far. */
  readonly best: boolean;
}

export interface EndEvent {
  readonly type: "end";
  readonly reason: "maxSteps" | "earlyStop" | "stopped";
  readonly step: number;
  readonly seconds: number;
  readonly timing: Timing;
  /** Of the best weights, which the model now holds. Null if the run was stopped before. */
  readonly validLoss: number | null;
  readonly testLoss: number | null;
  readonly validScores: Readonly<Record<string, number>>;
  readonly testScores: Readonly<Record<string, number>>;
  /** Of all gate gradients, averaged over all training steps. */
  readonly sparsity: Sparsity;
  /** Per site; the head is one of them where it has a policy. */
  readonly sites: readonly SiteObservation[];
  /**
   * Cosine of the whole gradient under the policy against a fully dense backward, on the training batch
   * after the last, with the best weights. Null if the run was stopped before.
   */
  readonly fidelity: number | null;
  readonly macs: MacShares;
  /** Totals per product. */
  readonly products: readonly ProductMacs[];
}

export type TrainEvent = StepEvent | ValidationEvent | EndEvent;
