/**
 * The magnitudes of a group's gradients, read from the histogram of a sweep, and the log-normal model
 * of them. Near-zero gradients are close to log-normal (Chmiel et al., ICLR 2021): with mu, sigma of
 * ln abs(g) and d = (ln tau - mu) / sigma, dropping abs(g) <= tau gives
 *
 *   sparsity = Phi(d)                     cosine = sqrt(1 - Phi(d - 2 sigma))
 *
 * where cosine is that of the group's gradients before and after, the root of the energy kept. It is
 * a statement about the part that is not exactly zero; exact zeros are a mass of their own.
 */
import { binEdge, HISTOGRAM_BINS } from "./statistics.ts";

/** Exponent 0 holds zeros and subnormal numbers, exponent 255 infinities and NaN. */
const BINS_PER_OCTAVE = 4;
const FIRST_BIN = BINS_PER_OCTAVE;
const END_BIN = HISTOGRAM_BINS - BINS_PER_OCTAVE;
const EXPONENT_BIAS = 127;

/** ln of each bin's middle: its lower edge is 1 + q/4 times a power of two, its middle 1 + (q + 1/2)/4 times it. */
const CENTRES = Float64Array.from(
  { length: HISTOGRAM_BINS },
  (_, bin) => Math.log(binEdge(bin)) + Math.log(1 + 0.5 / (BINS_PER_OCTAVE + (bin % BINS_PER_OCTAVE))),
);
const SQUARES = CENTRES.map((x) => Math.exp(2 * x));

/** From the constant term up. */
const ERFC = [
  -1.26551223, 1.00002368, 0.37409196, 0.09678418, -0.18628806, 0.27886807, -1.13520398, 1.48851587, -0.82215223,
  0.17087277,
] as const;

export interface LogNormal {
  /** Mean and standard deviation of ln abs(g), over normal float32 numbers. */
  readonly mu: number;
  readonly sigma: number;
  /** Largest distance of the two distribution functions (Kolmogorov-Smirnov): 0 is a perfect fit. */
  readonly distance: number;
}

/** By moments; undefined of fewer than two bins. `offset` is where the group's bins start. */
export function fitLogNormal(histogram: Int32Array, offset = 0): LogNormal | undefined {
  const [first, end] = occupied(histogram, offset);
  let [count, sum, squares] = [0, 0, 0];
  for (let bin = first; bin < end; bin++) {
    const n = histogram[offset + bin] as number;
    const x = CENTRES[bin] as number;
    count += n;
    sum += n * x;
    squares += n * x * x;
  }
  const mu = sum / count;
  const sigma = Math.sqrt(Math.max(0, squares / count - mu * mu));
  if (!(sigma > 0) || end - first < 2) return undefined;
  let below = 0;
  let distance = normalCdf((Math.log(binEdge(first)) - mu) / sigma);
  for (let bin = first; bin < end; bin++) {
    below += histogram[offset + bin] as number;
    const expected = normalCdf((Math.log(binEdge(bin + 1)) - mu) / sigma);
    distance = Math.max(distance, Math.abs(below / count - expected));
  }
  return { mu, sigma, distance };
}

/** Cosine kept when the smallest `sparsity` of the nonzero gradients is dropped, by the model. */
export function predictedCosine(sparsity: number, sigma: number): number {
  return Math.sqrt(1 - normalCdf(normalQuantile(sparsity) - 2 * sigma));
}

/** The same as it was: from the histogram's counts, all of a bin taken at its centre; NaN of an empty one. */
export function measuredCosines(histogram: Int32Array, sparsities: readonly number[], offset = 0): number[] {
  const [first, end] = occupied(histogram, offset);
  let [count, all] = [0, 0];
  for (let bin = first; bin < end; bin++) {
    const n = histogram[offset + bin] as number;
    count += n;
    all += n * (SQUARES[bin] as number);
  }
  return sparsities.map((sparsity) => {
    let left = sparsity * count;
    let dropped = 0;
    for (let bin = first; bin < end && left > 0; bin++) {
      const n = Math.min(left, histogram[offset + bin] as number);
      dropped += n * (SQUARES[bin] as number);
      left -= n;
    }
    return Math.sqrt(Math.max(0, all - dropped) / all);
  });
}

/** Counts by power of two: `counts[k]` of gradients with 2^(exponent + k) <= abs(g) < 2^(exponent + k + 1). */
export interface Magnitudes {
  readonly exponent: number;
  readonly counts: readonly number[];
}

/** Without empty ends; zeros, subnormals and numbers that are not finite are left out. */
export function magnitudesOf(histogram: Int32Array, offset = 0): Magnitudes {
  const counts: number[] = [];
  let exponent = 1 - EXPONENT_BIAS;
  for (let bin = FIRST_BIN; bin < END_BIN; bin += BINS_PER_OCTAVE) {
    let n = 0;
    for (let quarter = 0; quarter < BINS_PER_OCTAVE; quarter++) n += histogram[offset + bin + quarter] as number;
    if (n === 0 && counts.length === 0) exponent++;
    else counts.push(n);
  }
  while (counts.at(-1) === 0) counts.pop();
  return { exponent: counts.length ? exponent : 0, counts };
}

/** The bins from the first that holds anything to behind the last. */
function occupied(histogram: Int32Array, offset: number): [first: number, end: number] {
  let [first, end] = [FIRST_BIN, END_BIN];
  while (first < end && histogram[offset + first] === 0) first++;
  while (end > first && histogram[offset + end - 1] === 0) end--;
  return [first, end];
}

/** Distribution function of the standard normal; relative error below 1.2e-7 (erfc of Numerical Recipes, 6.2). */
export function normalCdf(x: number): number {
  const z = Math.abs(x) / Math.SQRT2;
  const t = 1 / (1 + z / 2);
  let polynomial = 0;
  for (let power = ERFC.length - 1; power >= 0; power--) polynomial = polynomial * t + (ERFC[power] as number);
  const tail = (t * Math.exp(-z * z + polynomial)) / 2;
  return x > 0 ? 1 - tail : tail;
}

/** Inverse of `normalCdf`, by halving. */
export function normalQuantile(p: number): number {
  if (p <= 0) return Number.NEGATIVE_INFINITY;
  if (p >= 1) return Number.POSITIVE_INFINITY;
  let [low, high] = [-40, 40];
  for (let i = 0; i < 60; i++) {
    const middle = (low + high) / 2;
    if (normalCdf(middle) < p) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}
