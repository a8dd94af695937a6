/**
 * What the scale-free policies share: one tau per group, or one for all (`pooled`), steered towards what the
 * last sweep's statistics ask for by a moving average. The first pass keeps everything, since nothing was seen.
 */
import type { IntTensor } from "../../core/arena.ts";
import type { EntryContext, SitePolicy } from "../policy.ts";
import {
  binEdge,
  HISTOGRAM_BINS,
  NATURAL_ZEROS,
  type SiteStatistics,
  SQUARES,
  SUM_COLUMNS,
  TOTAL,
} from "../statistics.ts";
import { drawn } from "./drawn.ts";

/** Weight of the past in the moving average; the value of the pilot study. */
const MOMENTUM = 0.9;

/** Exponent 255: infinities and NaN. */
const FIRST_NONFINITE_BIN = 1020;

/** Groups [first, end). */
export interface Groups {
  readonly first: number;
  readonly end: number;
}

/** The tau that statistics of some groups together ask for; NaN where they say nothing. */
export type TauOf = (statistics: SiteStatistics, groups: Groups, budget: number) => number;

export function steered(context: EntryContext, kind: "threshold" | "stochastic" | "block", tauOf: TauOf): SitePolicy {
  const { site, budgets, options } = context;
  const groups = site.groups.length;
  const all: Groups = { first: 0, end: groups };
  const sources = site.groups.map((_, group): Groups => (options.pooled ? all : { first: group, end: group + 1 }));
  const tau = new Float64Array(groups);
  const seen = new Uint8Array(groups);
  return {
    plan(step, out) {
      out.kind = seen.includes(1) ? kind : "keep";
      for (let group = 0; group < groups; group++) {
        // -1 drops nothing: a group of which nothing was seen yet, or nothing but zeros.
        out.tau[group] = seen[group] ? (tau[group] as number) : -1;
      }
      if (kind === "stochastic") out.key = drawn(context, step);
    },
    learn(statistics) {
      for (let group = 0; group < groups; group++) {
        const wanted = tauOf(statistics, sources[group] as Groups, budgets[group] as number);
        if (!Number.isFinite(wanted)) continue;
        tau[group] = seen[group] ? MOMENTUM * (tau[group] as number) + (1 - MOMENTUM) * wanted : wanted;
        seen[group] = 1;
      }
    },
    save: () => [...tau, ...seen],
    load(state) {
      tau.set(state.slice(0, groups));
      seen.set(state.slice(groups));
    },
  };
}

/** Root mean square of the groups' gradients before the rule. */
export function rootMeanSquare(statistics: SiteStatistics, groups: Groups): number {
  return Math.sqrt(sum(statistics, groups, SQUARES) / sum(statistics, groups, TOTAL));
}

/** The tau below which a share `dropped` of all elements lies (zeros included). */
export function quantile(statistics: SiteStatistics, groups: Groups, dropped: number): number {
  // Exact zeros fall into bin 0 together with the smallest denormals; the exact count says where they end.
  const zeros = sum(statistics, groups, NATURAL_ZEROS) >= dropped * sum(statistics, groups, TOTAL);
  const tau = binQuantile(statistics.histogram, groups, dropped);
  return zeros && !Number.isNaN(tau) ? 0 : tau;
}

/** The tau below which a share `dropped` of the squared norm lies; 0 where nothing is to be dropped. */
export function energyQuantile({ histogram }: SiteStatistics, groups: Groups, dropped: number): number {
  return dropped === 0 ? 0 : binQuantile(histogram, groups, dropped, MEAN_SQUARES);
}

/** Where a share `dropped` of what a histogram counts lies below, each bin with its weight. */
export function binQuantile(
  { data: counts }: IntTensor,
  { first, end }: Groups,
  dropped: number,
  weights: Float64Array = ONES,
): number {
  // Most bins are empty, and learning was a tenth of the step of a small net: octaves without a count are passed over,
  // and the second loop visits the bins between the outermost counts alone.
  let total = 0;
  let from = FIRST_NONFINITE_BIN;
  let to = 0;
  for (let octave = 0; octave < FIRST_NONFINITE_BIN; octave += OCTAVE) {
    if (isEmpty(counts, first, end, octave)) continue;
    if (from > octave) from = octave;
    to = octave + OCTAVE;
    for (let bin = octave; bin < to; bin++) total += countOf(counts, first, end, bin) * (weights[bin] as number);
  }
  if (!(total > 0)) return Number.NaN;
  let below = 0;
  for (let bin = from; bin < to; bin++) {
    const here = countOf(counts, first, end, bin) * (weights[bin] as number);
    if (below + here >= dropped * total && here > 0) return within(bin, (dropped * total - below) / here);
    below += here;
  }
  return Number.NaN;
}

/** Bins of one exponent. */
const OCTAVE = 4;

function isEmpty(counts: Int32Array, first: number, end: number, octave: number): boolean {
  let any = 0;
  for (let at = first * HISTOGRAM_BINS + octave; at < end * HISTOGRAM_BINS; at += HISTOGRAM_BINS)
    any |=
      (counts[at] as number) | (counts[at + 1] as number) | (counts[at + 2] as number) | (counts[at + 3] as number);
  return any === 0;
}

function countOf(counts: Int32Array, first: number, end: number, bin: number): number {
  let count = 0;
  for (let group = first; group < end; group++) count += counts[group * HISTOGRAM_BINS + bin] as number;
  return count;
}

/** Linear inside a bin: its edges are within a factor of 1.25 of each other. */
function within(bin: number, share: number): number {
  const low = binEdge(bin);
  return low + share * (binEdge(bin + 1) - low);
}

/** One column of the exact sums, over groups. */
function sum({ sums }: SiteStatistics, { first, end }: Groups, column: number): number {
  let total = 0;
  for (let group = first; group < end; group++) total += sums.data[group * SUM_COLUMNS + column] as number;
  return total;
}

const ONES = new Float64Array(FIRST_NONFINITE_BIN).fill(1);

/** Mean of x^2 for x uniform in a bin. */
const MEAN_SQUARES = Float64Array.from({ length: FIRST_NONFINITE_BIN }, (_, bin) => {
  const [low, high] = [binEdge(bin), bin + 1 < FIRST_NONFINITE_BIN ? binEdge(bin + 1) : 2 ** 128];
  return (low * low + low * high + high * high) / 3;
});
