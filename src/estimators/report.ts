/** What a training was like: curves, what was dropped, what it took. Plain JSON, kept with the model. */
import type { MacShares } from "../sparse/macs.ts";
import type { SiteObservation, Sparsity } from "../sparse/observation.ts";
import type { EndEvent, StepEvent, TrainEvent, ValidationEvent } from "../train/events.ts";

export interface FitReport {
  /** Why it ended; null while it has not. */
  readonly reason: EndEvent["reason"] | null;
  readonly steps: number;
  readonly epochs: number;
  /** Of training steps alone. */
  readonly seconds: number;
  readonly parameters: number;
  readonly engine: string;
  readonly policy: string;
  /** Of what the losses are: "nats/char". */
  readonly lossUnit: string;
  /** Mean training loss since the point before. */
  readonly losses: readonly { readonly step: number; readonly epoch: number; readonly loss: number }[];
  readonly validations: readonly {
    readonly step: number;
    readonly loss: number;
    readonly scores: Readonly<Record<string, number>>;
  }[];
  /** Of the best validation, whose weights the model has after a training that was not stopped; null without one. */
  readonly validLoss: number | null;
  readonly validScores: Readonly<Record<string, number>>;
  /** Of all gate gradients: zeros, of these natural ones and those that the policy dropped, and the energy kept. */
  readonly sparsity: Sparsity;
  readonly sites: readonly SiteObservation[];
  /** Shares of multiply-accumulates that were skipped: of recurrent products, of all of training. No time. */
  readonly macs: MacShares;
  /** Cosine of the gradient under the policy to a dense one, of a batch after the last step; null where it was not made. */
  readonly fidelity: number | null;
  /** What was done with the data that a person should know: sequences cut, nothing to validate on. */
  readonly notes: readonly string[];
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] extends readonly (infer E)[] ? E[] : T[K] };

const NOTHING: Sparsity = { sparsity: 0, naturalZeros: 0, dropped: 0, energy: 1 };

export function emptyReport(
  of: Pick<FitReport, "parameters" | "engine" | "policy" | "lossUnit" | "notes">,
  macs: MacShares,
): FitReport {
  return {
    ...of,
    reason: null,
    steps: 0,
    epochs: 0,
    seconds: 0,
    losses: [],
    validations: [],
    validLoss: null,
    validScores: {},
    sparsity: NOTHING,
    sites: [],
    macs,
    fidelity: null,
  };
}

/** Takes an event in. */
export function addToReport(report: FitReport, event: TrainEvent): void {
  const into = report as Mutable<FitReport>;
  if (event.type === "step") addStep(into, event);
  else if (event.type === "validation") addValidation(into, event);
  else if (event.type === "end") addEnd(into, event);
}

function addStep(report: Mutable<FitReport>, { step, epoch, loss, seconds, sparsity, macs }: StepEvent): void {
  report.losses.push({ step, epoch, loss });
  Object.assign(report, { steps: step, epochs: epoch, seconds, sparsity, macs });
}

function addValidation(report: Mutable<FitReport>, { step, loss, scores, best }: ValidationEvent): void {
  report.validations.push({ step, loss, scores });
  if (best) Object.assign(report, { validLoss: loss, validScores: scores });
}

function addEnd(report: Mutable<FitReport>, event: EndEvent): void {
  const { reason, step: steps, seconds, sparsity, sites, macs, fidelity } = event;
  Object.assign(report, { reason, steps, seconds, sparsity, sites, macs, fidelity });
}
