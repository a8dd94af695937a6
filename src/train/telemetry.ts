/**
 * Telemetry: what a training step looks like from inside, on the few steps that are sampled.
 *
 *   per site and gate   kept, zero by itself, dropped, energy kept; by bands of time; magnitudes with
 *                       the threshold on them, and their log-normal fit
 *   per layer           histograms of gate activations, dead and saturated units
 *   on some samples     fidelity: the gradient's cosine to a dense backward of the same batch
 *
 * Steps that are not sampled pay nothing, and no step is changed: a training with telemetry has the
 * same bits as one without. A sample looks at the step's own passes through `Pass.watcher`; only the
 * fidelity probe adds a pass. It tells copies of bounded aggregates, whatever the size of the net.
 */

import type { CellStep } from "../kernels/kernels.ts";
import type { DropSite, Pass, PassWatcher } from "../nn/module.ts";
import { fitLogNormal, magnitudesOf, measuredCosines } from "../sparse/lognormal.ts";
import { type Sparsity, shares } from "../sparse/observation.ts";
import { HISTOGRAM_BINS, SUM_COLUMNS } from "../sparse/statistics.ts";
import { ActivationTally } from "./activations.ts";
import type { BandShares, GroupTelemetry, SiteTelemetry, TelemetryEvent } from "./events.ts";
import { DenseProbe, type Fidelity } from "./probe.ts";
import type { Trainer } from "./trainer.ts";

/** Bands of time, equally long, the first from t = 0. */
export const TIME_BANDS = 8;
/** Shares of training at which the paper looks at activations (its Fig. 2): sampled whatever the interval. */
export const MILESTONES = [0.005, 0.1, 1] as const;
/** Shares of nonzero gradients dropped, at which the cosine kept is told: measured beside the log-normal's. */
export const CURVE_SPARSITIES = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99] as const;

export interface TelemetryOptions {
  /** Steps between samples; 0: no telemetry. */
  readonly telemetryEverySteps: number;
  /** Steps between samples with the fidelity probe; 0: none. */
  readonly probeEverySteps: number;
}

export class Telemetry implements PassWatcher {
  /** Milliseconds that the sample of the present step has taken. */
  spentMs = 0;
  /** That part of it which falls into the step's backward pass. */
  watchedMs = 0;
  readonly #trainer: Trainer;
  readonly #options: TelemetryOptions;
  readonly #milestones: ReadonlySet<number>;
  readonly #bands: readonly SiteBands[]; // in the order of trainer.sites
  readonly #layers: readonly ActivationTally[];
  readonly #probe: DenseProbe | undefined;

  constructor(trainer: Trainer, options: TelemetryOptions) {
    const { model } = trainer;
    const { T, B } = model.pass;
    const { maxSteps } = trainer.options;
    this.#trainer = trainer;
    this.#options = options;
    this.#milestones = new Set(MILESTONES.map((share) => Math.max(1, Math.round(share * maxSteps))));
    this.#bands = trainer.sites.map(
      (drop) => new SiteBands(drop, drop === model.head.site ? 0 : Math.min(T, TIME_BANDS)),
    );
    this.#layers = model.recurrent.map((layer) => new ActivationTally(layer, layer.options.hiddenSize, B));
    const probes = options.probeEverySteps > 0 && options.probeEverySteps <= maxSteps;
    this.#probe = probes ? new DenseProbe(model) : undefined; // it holds a copy of all gradients
  }

  /** Whether the step of this number, from 1, is sampled. */
  due(step: number): boolean {
    const { telemetryEverySteps } = this.#options;
    return step % telemetryEverySteps === 0 || this.#milestones.has(step) || this.#probeDue(step);
  }

  #probeDue(step: number): boolean {
    return this.#probe !== undefined && step % this.#options.probeEverySteps === 0;
  }

  /** Before a sampled step, its batch in the model's buffers. */
  before(): void {
    const began = performance.now();
    const { model, steps } = this.#trainer;
    model.pass.step = steps; // dropout masks of the step to come
    if (this.#probeDue(steps + 1)) this.#probe?.rememberDense();
    for (const bands of this.#bands) bands.clear();
    for (const tally of this.#layers) tally.clear();
    model.pass.watcher = this;
    this.watchedMs = 0;
    this.spentMs = performance.now() - began;
  }

  /** After it: what it looked like. */
  after(): TelemetryEvent {
    const began = performance.now();
    const { model, sites, steps } = this.#trainer;
    model.pass.watcher = undefined;
    const fidelity = this.#probeDue(steps) ? (this.#probe?.compare() ?? null) : null;
    const event = {
      type: "telemetry",
      step: steps,
      sites: sites.map((drop, index) => siteTelemetry(drop, this.#bands[index] as SiteBands)),
      layers: this.#layers.map((tally) => tally.read()),
      fidelity: fidelity && roundedFidelity(fidelity),
    } as const;
    this.spentMs += this.watchedMs + performance.now() - began;
    return { ...event, ms: short(this.spentMs) };
  }

  beforeBackward(layer: string, step: Readonly<CellStep>, from: number, steps: number, lengths: Pass["lengths"]): void {
    const began = performance.now();
    for (const tally of this.#layers) if (tally.layer === layer) tally.add(step, from, steps, lengths);
    this.watchedMs += performance.now() - began;
  }

  afterSweep(drop: DropSite, t: number): void {
    const T = drop.site.rows / this.#trainer.model.pass.B;
    for (let s = 0; s < this.#bands.length; s++) if (this.#bands[s]!.drop === drop) this.#bands[s]!.add(t, T);
  }
}

/** A site's sums by bands of time: differences of the sums that a backward pass adds up. */
class SiteBands {
  readonly drop: DropSite;
  readonly count: number;
  readonly #bands: Float64Array; // (bands, groups, SUM_COLUMNS)
  readonly #seen: Float64Array; // (groups, SUM_COLUMNS): the site's sums at the last sweep

  constructor(drop: DropSite, count: number) {
    const size = drop.site.groups.length * SUM_COLUMNS;
    this.drop = drop;
    this.count = count;
    this.#bands = new Float64Array(count * size);
    this.#seen = new Float64Array(size);
  }

  clear(): void {
    this.#bands.fill(0);
    this.#seen.fill(0);
  }

  add(t: number, T: number): void {
    const size = this.#seen.length;
    const start = Math.floor((t * this.count) / T) * size;
    const sums = this.drop.statistics.sums.data;
    for (let i = 0; i < size; i++) {
      this.#bands[start + i] = (this.#bands[start + i] as number) + (sums[i] as number) - (this.#seen[i] as number);
      this.#seen[i] = sums[i] as number;
    }
  }

  /** One group along time. */
  read(group: number): BandShares {
    const groups = this.drop.site.groups.length;
    const along = Array.from({ length: this.count }, (_, band) => shares(this.#bands, band * groups + group));
    const of = (key: keyof Sparsity) => along.map((share) => short(share[key]));
    return { sparsity: of("sparsity"), naturalZeros: of("naturalZeros"), dropped: of("dropped"), energy: of("energy") };
  }
}

function siteTelemetry(drop: DropSite, bands: SiteBands): SiteTelemetry {
  const { site, rule, statistics } = drop;
  const histogram = statistics.histogram.data;
  const hasTau = rule.kind === "threshold" || rule.kind === "stochastic";
  const groups = site.groups.map((group, g): GroupTelemetry => {
    const offset = g * HISTOGRAM_BINS;
    const tau = rule.tau[g] as number;
    const fit = fitLogNormal(histogram, offset);
    return {
      group,
      ...rounded(shares(statistics.sums.data, g)),
      tau: hasTau && tau >= 0 ? tau : null,
      bands: bands.read(g),
      magnitudes: magnitudesOf(histogram, offset),
      logNormal: fit ? { mu: short(fit.mu), sigma: short(fit.sigma), distance: short(fit.distance) } : null,
      cosines: fit ? measuredCosines(histogram, CURVE_SPARSITIES, offset).map(short) : null,
    };
  });
  return { site: site.name, rule: rule.kind, groups };
}

/** Five digits are enough for charts, and keep a sample of a large net under some 12 KB. */
export function short(value: number): number {
  const scale = 10 ** (4 - Math.floor(Math.log10(Math.abs(value))));
  // Of zero, of numbers at the ends of the range and of what is not finite nothing is cut.
  return scale > 0 && scale < 1e300 ? Math.round(value * scale) / scale : value;
}

function rounded({ sparsity, naturalZeros, dropped, energy }: Sparsity): Sparsity {
  return {
    sparsity: short(sparsity),
    naturalZeros: short(naturalZeros),
    dropped: short(dropped),
    energy: short(energy),
  };
}

function roundedFidelity({ cosine, normRatio, recurrent, layers, parameters }: Fidelity): Fidelity {
  const both = (part: { readonly cosine: number; readonly normRatio: number }) => ({
    cosine: short(part.cosine),
    normRatio: short(part.normRatio),
  });
  return {
    ...both({ cosine, normRatio }),
    recurrent: both(recurrent),
    layers: layers.map(({ layer, ...part }) => ({ layer, ...both(part) })),
    parameters: parameters.map((part) => ({ name: part.name, cosine: short(part.cosine) })),
  };
}
