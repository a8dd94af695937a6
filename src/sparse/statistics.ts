/**
 * What one sweep of a rule learns about a site, per group. Kernels add to it; the recurrent layer
 * clears it before each backward pass; policies and observations read it.
 */
import type { Arena, DoubleTensor, IntTensor } from "../core/arena.ts";
import type { Site } from "./site.ts";

/** Columns of `sums`. Counts are exact; squares are taken in the precision of the gradients, summed in float64. */
export const TOTAL = 0; // elements seen
export const NATURAL_ZEROS = 1; // exactly zero before the rule
export const KEPT = 2; // not exactly zero after the rule
export const SQUARES = 3; // sum of squares before the rule
export const KEPT_SQUARES = 4; // sum of squares after the rule
export const SUM_COLUMNS = 5;

/**
 * The histogram counts abs(g) before the rule by the exponent and the top two mantissa bits of its
 * float32 form (bits >>> 21): four bins an octave, 1,024 bins. It samples one row in eight
 * (row % 8 == 0): over all rows it would cost 5 % of a sparse step.
 */
export const HISTOGRAM_BINS = 1024;
export const HISTOGRAM_SHIFT = 21;
export const HISTOGRAM_ROW_STRIDE = 8;

export interface SiteStatistics {
  /** (groups, SUM_COLUMNS) */
  readonly sums: DoubleTensor;
  /** (groups, HISTOGRAM_BINS) */
  readonly histogram: IntTensor;
}

export function planStatistics(arena: Arena, site: Site): SiteStatistics {
  return {
    sums: arena.doubles(`${site.name}.sums`, [site.groups.length, SUM_COLUMNS], "statistics"),
    histogram: arena.ints(`${site.name}.histogram`, [site.groups.length, HISTOGRAM_BINS], "statistics"),
  };
}

export function clearStatistics(statistics: SiteStatistics): void {
  statistics.sums.data.fill(0);
  statistics.histogram.data.fill(0);
}

/**
 * Takes back what a sweep counted of a row of zeros that is no position of a sequence. `row`: the site's; `width`: of so
 * many of each group's columns.
 */
export function uncountRow(
  { sums, histogram }: SiteStatistics,
  site: Site,
  row: number,
  width = site.cols / site.groups.length,
): void {
  for (let group = 0; group < site.groups.length; group++) {
    sums.data[group * SUM_COLUMNS + TOTAL]! -= width;
    sums.data[group * SUM_COLUMNS + NATURAL_ZEROS]! -= width;
    if (row % HISTOGRAM_ROW_STRIDE === 0) histogram.data[group * HISTOGRAM_BINS]! -= width;
  }
}

/** Elements that were not exactly zero before the rule, over all groups. */
export function nonzerosBefore({ sums }: SiteStatistics): number {
  let count = 0;
  for (let at = 0; at < sums.length; at += SUM_COLUMNS)
    count += (sums.data[at + TOTAL] as number) - (sums.data[at + NATURAL_ZEROS] as number);
  return count;
}

const bits = new Uint32Array(1);
const float = new Float32Array(bits.buffer);

/** The histogram bin of a value. */
export function binOf(value: number): number {
  float[0] = Math.abs(value);
  return (bits[0] as number) >>> HISTOGRAM_SHIFT;
}

/** Lower edge of a histogram bin, as a number. */
export function binEdge(bin: number): number {
  bits[0] = bin << HISTOGRAM_SHIFT;
  return float[0] as number;
}
