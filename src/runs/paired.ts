/**
 * Statistics of evidence: the same seeds under two policies are pairs, and what is said about a policy
 * is said about its paired relative differences. Pure functions of numbers.
 */

/** A mean with its two-sided 95 % interval of Student's t; no interval from fewer than two values. */
export interface Interval {
  readonly mean: number;
  readonly low: number | null;
  readonly high: number | null;
}

/** Lowest and highest of what was seen, around a middle. */
export interface Spread {
  readonly middle: number;
  readonly low: number;
  readonly high: number;
}

/** Half a per cent: how much worse a policy may be and still be called lossless. */
export const DEFAULT_MARGIN = 0.005;

/** 0.01 is one per cent above the reference. */
export function relativeDifferences(values: readonly number[], references: readonly number[]): number[] {
  return values.map((value, pair) => value / (references[pair] as number) - 1);
}

export function interval95(values: readonly number[]): Interval {
  const center = mean(values);
  const n = values.length;
  if (n < 2) return { mean: center, low: null, high: null };
  const deviation = Math.sqrt(values.reduce((sum, value) => sum + (value - center) ** 2, 0) / (n - 1));
  const half = (studentQuantile(0.975, n - 1) * deviation) / Math.sqrt(n);
  return { mean: center, low: center - half, high: center + half };
}

/**
 * Non-inferiority: the upper end of the interval lies below the margin. Few or noisy pairs cannot pass,
 * where "no significant difference" would reward them.
 */
export function isNonInferior({ high }: Interval, margin: number): boolean {
  return high !== null && high < margin;
}

/** The whole interval lies above the margin: that is shown too. */
export function isInferior({ low }: Interval, margin: number): boolean {
  return low !== null && low > margin;
}

export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Of an even number of values, the mean of the middle two. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  return mean(sorted.slice(Math.ceil(middle) - 1, Math.floor(middle) + 1));
}

/** The median between the extremes: what is shown of times and shares, whose few values need not be normal. */
export function spread(values: readonly number[]): Spread {
  return { middle: median(values), low: Math.min(...values), high: Math.max(...values) };
}

/** x with P(T <= x) = p for Student's t, 0.5 <= p < 1; to about 12 digits. */
export function studentQuantile(p: number, degreesOfFreedom: number): number {
  let [low, high] = [0, 1];
  while (studentCdf(high, degreesOfFreedom) < p) [low, high] = [high, 2 * high];
  for (let round = 0; round < 100 && low < high; round++) {
    const middle = (low + high) / 2;
    if (studentCdf(middle, degreesOfFreedom) < p) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/** P(T <= t) for t >= 0. */
function studentCdf(t: number, v: number): number {
  return 1 - incompleteBeta(v / (v + t * t), v / 2, 0.5) / 2;
}

/** The regularised I_x(a, b), by the continued fraction of Abramowitz and Stegun 26.5.8 (Lentz's method). */
function incompleteBeta(x: number, a: number, b: number): number {
  if (x <= 0 || x >= 1) return x <= 0 ? 0 : 1;
  if (x > (a + 1) / (a + b + 2)) return 1 - incompleteBeta(1 - x, b, a); // where the fraction converges fast
  const tiny = 1e-300;
  let [c, d] = [1, 1 / notTiny(1 - ((a + b) * x) / (a + 1), tiny)];
  let fraction = d;
  for (let m = 1; m < 300; m++) {
    const even = (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m));
    const odd = (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1));
    let change = 1;
    for (const term of [even, odd]) {
      d = 1 / notTiny(1 + term * d, tiny);
      c = notTiny(1 + term / c, tiny);
      change = c * d;
      fraction *= change;
    }
    if (Math.abs(change - 1) < 1e-15) break;
  }
  const front = a * Math.log(x) + b * Math.log1p(-x) + logGamma(a + b) - logGamma(a) - logGamma(b);
  return (Math.exp(front) * fraction) / a;
}

function notTiny(value: number, tiny: number): number {
  return Math.abs(value) < tiny ? tiny : value;
}

/** Lanczos' series with g = 7 and nine terms (coefficients of P. Godfrey, 2001), error about 1e-15; x > 0. */
function logGamma(x: number): number {
  const coefficients = [
    0.99999999999980993, 676.5203681218851, -1259.1392167224028, 771.32342877765313, -176.61502916214059,
    12.507343278686905, -0.13857109526572012, 9.9843695780195716e-6, 1.5056327351493116e-7,
  ];
  if (x < 0.5) return Math.log(Math.PI / Math.sin(Math.PI * x)) - logGamma(1 - x); // reflection
  const t = x + 6.5;
  const series = coefficients.reduce(
    (sum, coefficient, k) => sum + (k === 0 ? coefficient : coefficient / (x - 1 + k)),
    0,
  );
  return 0.5 * Math.log(2 * Math.PI) + (x - 0.5) * Math.log(t) - t + Math.log(series);
}
