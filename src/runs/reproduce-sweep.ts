/**
 * One step's gate gradients against thresholds (the paper's Fig. 3): a trained net, one batch of its
 * training text, the states carried from the batches before it, and an exact count for each threshold.
 */
import type { Tensor } from "../core/arena.ts";
import type { Model } from "../nn/model.ts";
import type { DropSite } from "../nn/module.ts";
import { KEPT, NATURAL_ZEROS, SUM_COLUMNS, TOTAL } from "../sparse/statistics.ts";
import { DenseProbe } from "../train/probe.ts";
import { openModel } from "./open.ts";

/** Batches before the one looked at, so that states are those of running text. */
const BATCHES_BEFORE = 4;

export interface SweepPoint {
  readonly tau: number;
  /** Zeros of all gate gradients when the backward pass itself is pruned, and per layer. */
  readonly zeros: number;
  readonly layers: readonly number[];
  /** Share of the unpruned gradients with abs(g) <= tau: what one sees without pruning. */
  readonly below: number;
  /** Cosine of dW (all weight_ih and weight_hh) to the dense one, its norm over the dense norm; and per layer. */
  readonly cosine: number;
  readonly normRatio: number;
  readonly layerCosines: readonly number[];
}

export interface ThresholdSweep {
  readonly loss: number;
  readonly points: readonly SweepPoint[];
  /** Of the unpruned gradients, per layer. */
  readonly layers: readonly {
    readonly layer: string;
    readonly naturalZeros: number;
    /** Share of natural zeros that lie in i, f and g of a cell at once: no gradient reaches the cell. */
    readonly wholeCells: number;
    readonly gates: readonly { readonly gate: string; readonly naturalZeros: number }[];
  }[];
  /** The smallest nonzero abs(g); float32 underflows below 1.2e-38. */
  readonly smallest: number;
}

/** `taus` in increasing order; 0 counts natural zeros. */
export async function thresholdSweep(
  runsDir: string,
  id: string,
  engine: string,
  taus: readonly number[],
): Promise<ThresholdSweep> {
  const { model, task, config } = await openModel(runsDir, id, { engine });
  const { sequenceLength: T, batchSize: B } = config.train;
  const cursor = task.batches("train", { T, B, seed: config.seed });
  for (let batch = 0; batch < BATCHES_BEFORE; batch++) {
    if (cursor.next(model.buffers())) model.resetCarried();
    model.forward({ ...model.pass, training: false });
  }
  if (cursor.next(model.buffers())) model.resetCarried();

  const start = model.carried.map((state) => state.data.slice());
  const restart = () => {
    for (const [index, state] of model.carried.entries()) state.data.set(start[index] as Float32Array);
    model.clearGradients();
  };
  const probe = new DenseProbe(model);
  probe.rememberDense();
  const loss = model.lossAndGradient(model.pass);
  const layers = model.sites.map(naturalZeros);
  const below = sharesBelow(model, taus);
  const smallest = Math.min(...model.sites.map(({ pattern }) => smallestNonzero(pattern.dense)));

  const points = taus.map((tau, index): SweepPoint => {
    restart();
    for (const { rule } of model.sites) {
      rule.kind = "threshold";
      rule.tau.fill(tau);
    }
    model.lossAndGradient(model.pass);
    const { recurrent, layers: parts } = probe.compare();
    const zeros = model.sites.map((site) => 1 - sumOf(site, KEPT) / sumOf(site, TOTAL));
    return {
      tau,
      zeros: mean(zeros),
      layers: zeros,
      below: below[index] as number,
      ...recurrent,
      layerCosines: parts.map(({ cosine }) => cosine),
    };
  });
  return { loss, points, layers, smallest };
}

function sumOf({ site, statistics }: DropSite, column: number): number {
  return site.groups.reduce((sum, _, g) => sum + (statistics.sums.data[g * SUM_COLUMNS + column] as number), 0);
}

/** Of the unpruned gradients in the site's buffer. */
function naturalZeros({ site, pattern, statistics }: DropSite): ThresholdSweep["layers"][number] {
  const g = pattern.dense.data;
  const H = site.cols / site.groups.length;
  let inWholeCells = 0;
  const at = (gate: string) => site.groups.indexOf(gate) * H;
  const [i, f, c] = [at("i"), at("f"), at("g")];
  for (let start = 0; start < g.length; start += site.cols)
    for (let n = start; n < start + H; n++) if (g[n + i] === 0 && g[n + f] === 0 && g[n + c] === 0) inWholeCells += 3;
  const natural = sumOf({ site, pattern, statistics } as DropSite, NATURAL_ZEROS);
  return {
    layer: site.name,
    naturalZeros: natural / g.length,
    wholeCells: natural > 0 ? inWholeCells / natural : 0,
    gates: site.groups.map((gate, group) => {
      const row = group * SUM_COLUMNS;
      const of = (column: number) => statistics.sums.data[row + column] as number;
      return { gate, naturalZeros: of(NATURAL_ZEROS) / of(TOTAL) };
    }),
  };
}

/** For each tau, the share of all sites' gradients with abs(g) <= tau. */
function sharesBelow({ sites }: Model, taus: readonly number[]): number[] {
  const counts = new Array<number>(taus.length).fill(0);
  let all = 0;
  for (const { pattern } of sites) {
    const g = pattern.dense.data;
    all += g.length;
    for (const [index, tau] of taus.entries()) {
      const limit = Math.fround(tau);
      let count = 0;
      for (let k = 0; k < g.length; k++) if (Math.abs(g[k] as number) <= limit) count++;
      counts[index] = (counts[index] as number) + count;
    }
  }
  return counts.map((count) => count / all);
}

function smallestNonzero({ data }: Tensor): number {
  let smallest = Number.POSITIVE_INFINITY;
  for (let k = 0; k < data.length; k++) {
    const size = Math.abs(data[k] as number);
    if (size > 0 && size < smallest) smallest = size;
  }
  return smallest;
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
