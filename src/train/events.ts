/**
 * What training tells the world. Listeners (command line, run store, pages, tests) get copies of
 * bounded aggregates; a new consumer is a new listener, not a new parameter.
 */
import type { LogNormal, Magnitudes } from "../sparse/lognormal.ts";
import type { MacShares, ProductMacs } from "../sparse/macs.ts";
import type { SiteObservation, Sparsity } from "../sparse/observation.ts";
import type { RuleKind } from "../sparse/rule.ts";
import type { Fidelity } from "./probe.ts";

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
  /** What policies that choose by themselves chose, and why: "lstm.l0: ...". */
  readonly chosen: readonly string[];
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

/** One step from inside; see telemetry.ts. Of this step alone, no mean over earlier ones. */
export interface TelemetryEvent {
  readonly type: "telemetry";
  readonly step: number;
  /** What the sample cost; not part of the seconds of training. */
  readonly ms: number;
  /** Gate sites; the head is one of them where it has a policy. */
  readonly sites: readonly SiteTelemetry[];
  /** Recurrent layers, from the input up. */
  readonly layers: readonly LayerTelemetry[];
  /** Null where this sample made no probe. */
  readonly fidelity: Fidelity | null;
}

export interface SiteTelemetry {
  readonly site: string;
  readonly rule: RuleKind;
  readonly groups: readonly GroupTelemetry[];
}

export interface GroupTelemetry extends Sparsity {
  readonly group: string;
  /** The threshold of this step; null where the rule had none. */
  readonly tau: number | null;
  readonly bands: BandShares;
  /** abs(g) before the rule, of one row in eight. */
  readonly magnitudes: Magnitudes;
  /** Null if nothing could be fitted. */
  readonly logNormal: LogNormal | null;
  /** Cosine kept if the smallest nonzero gradients were dropped, at the shares CURVE_SPARSITIES. */
  readonly cosines: readonly number[] | null;
}

/** One value per band of time, from the first; empty for the head. */
export type BandShares = Readonly<Record<keyof Sparsity, readonly number[]>>;

export interface LayerTelemetry {
  readonly layer: string;
  readonly units: number;
  /**
   * Units whose h hardly moves, and units whose tanh (LSTM: of c, GRU: n, RNN: h) stays at an end; see activations.ts.
   * Null: the cell has none.
   */
  readonly dead: number;
  readonly saturated: number | null;
  /** Share of all (position, unit) with that tanh exactly -1 or 1. */
  readonly saturatedPositions: number | null;
  readonly gates: readonly {
    readonly gate: string;
    /** In equal bins from -1 to 1. */
    readonly counts: readonly number[];
    /** Share exactly at an end. */
    readonly saturated: number;
  }[];
}

export type TrainEvent = StepEvent | ValidationEvent | TelemetryEvent | EndEvent;
