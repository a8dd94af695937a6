/**
 * What the scale-free policies share: one tau per group, steered towards what the last sweep's
 * statistics ask for by a moving average. The first pass keeps everything, since nothing was seen.
 */
import type { Policy } from "../policy.ts";
import type { RuleKind } from "../rule.ts";
import {
  binEdge,
  HISTOGRAM_BINS,
  NATURAL_ZEROS,
  type SiteStatistics,
  SQUARES,
  SUM_COLUMNS,
  TOTAL,
} from "../statistics.ts";

/** Weight of the past in the moving average; the value of the pilot study. */
const MOMENTUM = 0.9;

/** Exponent 255: infinities and NaN. */
const FIRST_NONFINITE_BIN = 1020;

/** The tau one group's statistics ask for; NaN where they say nothing. */
export type TauOf = (statistics: SiteStatistics, group: number) => number;

export function steered(
  name: string,
  kind: RuleKind,
  tauOf: TauOf,
  keyOf?: (seed: number, site: string, step: number) => number,
): Policy {
  return {
    name,
    start(site, seed) {
      const groups = site.groups.length;
      const tau = new Float64Array(groups);
      const seen = new Uint8Array(groups);
      return {
        plan(step, out) {
          out.kind = kind;
          for (let group = 0; group < groups; group++) {
            // -1 drops nothing: a group of which nothing was seen yet, or nothing but zeros.
            out.tau[group] = seen[group] ? (tau[group] as number) : -1;
          }
          if (!seen.includes(1)) out.kind = "keep";
          if (keyOf) out.key = keyOf(seed, site.name, step);
        },
        learn(statistics) {
          for (let group = 0; group < groups; group++) {
            const wanted = tauOf(statistics, group);
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
    },
  };
}

/** Root mean square of a group's gradients before the rule. */
export function rootMeanSquare({ sums }: SiteStatistics, group: number): number {
  const at = group * SUM_COLUMNS;
  return Math.sqrt((sums.data[at + SQUARES] as number) / (sums.data[at + TOTAL] as number));
}

/** The tau below which a share `dropped` of all elements lies (zeros included), from the histogram. */
export function quantile({ histogram, sums }: SiteStatistics, group: number, dropped: number): number {
  const counts = histogram.data;
  const start = group * HISTOGRAM_BINS;
  let total = 0;
  for (let bin = 0; bin < FIRST_NONFINITE_BIN; bin++) total += counts[start + bin] as number;
  if (total === 0) return Number.NaN;
  // Exact zeros fall into bin 0 together with the smallest denormals; the exact count says where they end.
  const at = group * SUM_COLUMNS;
  if ((sums.data[at + NATURAL_ZEROS] as number) >= dropped * (sums.data[at + TOTAL] as number)) return 0;
  let below = 0;
  for (let bin = 0; bin < FIRST_NONFINITE_BIN; bin++) {
    const here = counts[start + bin] as number;
    if (below + here >= dropped * total && here > 0) return within(bin, (dropped * total - below) / here);
    below += here;
  }
  return Number.NaN;
}

/** The tau below which a share `dropped` of the squared norm lies, from the histogram. */
export function energyQuantile({ histogram }: SiteStatistics, group: number, dropped: number): number {
  const counts = histogram.data;
  const start = group * HISTOGRAM_BINS;
  let total = 0;
  for (let bin = 0; bin < FIRST_NONFINITE_BIN; bin++) total += (counts[start + bin] as number) * MEAN_SQUARES[bin]!;
  if (!(total > 0)) return Number.NaN;
  let below = 0;
  for (let bin = 0; bin < FIRST_NONFINITE_BIN; bin++) {
    const here = (counts[start + bin] as number) * MEAN_SQUARES[bin]!;
    if (below + here >= dropped * total && here > 0) return within(bin, (dropped * total - below) / here);
    below += here;
  }
  return Number.NaN;
}

/** Linear inside a bin: its edges are within a factor of 1.25 of each other. */
function within(bin: number, share: number): number {
  const low = binEdge(bin);
  return low + share * (binEdge(bin + 1) - low);
}

/** Mean of x^2 for x uniform in a bin. */
const MEAN_SQUARES = Float64Array.from({ length: FIRST_NONFINITE_BIN }, (_, bin) => {
  const [low, high] = [binEdge(bin), bin + 1 < FIRST_NONFINITE_BIN ? binEdge(bin + 1) : 2 ** 128];
  return (low * low + low * high + high * high) / 3;
});
