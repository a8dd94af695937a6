/** From a run's events to the points of its curves. */
import type { RecordedEvent } from "../../src/runs/store.ts";
import type { StepEvent } from "../../src/train/events.ts";
import type { Axis } from "./state.ts";

export interface Points {
  readonly x: readonly number[];
  readonly y: readonly number[];
}

/** A chart: what is shown of every chosen run. */
export interface Metric {
  readonly key: string;
  readonly title: string;
  readonly of: "step" | "validation";
  /** The axis may be logarithmic. */
  readonly log?: boolean;
  /** Shares from 0 to 1, shown in per cent. */
  readonly share?: boolean;
  readonly value: (event: StepEvent) => number;
}

const loss = (event: { readonly loss: number }) => event.loss;

export const METRICS: readonly Metric[] = [
  { key: "train", title: "Training loss", of: "step", log: true, value: loss },
  { key: "valid", title: "Validation loss", of: "validation", log: true, value: loss },
  { key: "zeros", title: "Gate gradients that are zero", of: "step", share: true, value: (e) => e.sparsity.sparsity },
  { key: "added", title: "of these, made zero by the rule", of: "step", share: true, value: (e) => e.sparsity.dropped },
  {
    key: "natural",
    title: "of these, zero by themselves",
    of: "step",
    share: true,
    value: (e) => e.sparsity.naturalZeros,
  },
  {
    key: "macs",
    title: "Multiply-accumulates skipped, of all training's",
    of: "step",
    share: true,
    value: (e) => e.macs.macsSkippedAll,
  },
  {
    key: "energy",
    title: "Squared norm kept, of what reached the rule",
    of: "step",
    share: true,
    value: (e) => e.sparsity.energy,
  },
  { key: "norm", title: "Norm of the gradient, before clipping", of: "step", log: true, value: (e) => e.gradientNorm },
  { key: "rate", title: "Learning rate", of: "step", value: (e) => e.learningRate },
  { key: "speed", title: "Positions a second", of: "step", value: (e) => e.tokensPerSecond },
];

/** Validations tell neither epoch nor seconds: they have those of the step before them. */
export function pointsOf(events: readonly RecordedEvent[], metric: Metric, axis: Axis): Points {
  const x: number[] = [];
  const y: number[] = [];
  let last: StepEvent | undefined;
  for (const event of events) {
    if (event.type === "step") last = event;
    if (event.type !== metric.of) continue;
    const at = axis === "step" ? event.step : last?.[axis];
    const value = metric.value(event as StepEvent);
    if (at === undefined || !Number.isFinite(value)) continue;
    // A resumed run repeats the seconds of its checkpoint: a chart's x must rise.
    if (x.length > 0 && at <= (x.at(-1) as number)) continue;
    x.push(at);
    y.push(value);
  }
  return { x, y };
}

/** Exponential moving average, its start mended: the first value is itself. `weight` of what was before, 0 to below 1. */
export function smooth({ x, y }: Points, weight: number): Points {
  if (weight <= 0) return { x, y };
  let mean = 0;
  let mass = 0;
  return {
    x,
    y: y.map((value) => {
      mean = weight * mean + (1 - weight) * value;
      mass = weight * mass + (1 - weight);
      return mean / mass;
    }),
  };
}
