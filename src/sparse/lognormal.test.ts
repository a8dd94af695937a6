import { describe, expect, test } from "vitest";
import { RandomStream } from "../core/random.ts";
import {
  fitLogNormal,
  magnitudesOf,
  measuredCosines,
  normalCdf,
  normalQuantile,
  predictedCosine,
} from "./lognormal.ts";
import { HISTOGRAM_BINS, HISTOGRAM_SHIFT } from "./statistics.ts";

const bits = new Uint32Array(1);
const float = new Float32Array(bits.buffer);

/** Counts values as the kernels do, behind a group of other counts. */
function histogramOf(values: readonly number[], offset = HISTOGRAM_BINS): Int32Array {
  const histogram = new Int32Array(2 * HISTOGRAM_BINS).fill(5, 0, HISTOGRAM_BINS);
  for (const value of values) {
    float[0] = Math.abs(value);
    histogram[offset + (bits[0]! >>> HISTOGRAM_SHIFT)]!++;
  }
  return histogram;
}

const random = new RandomStream(1, "lognormal");
const [MU, SIGMA] = [-12, 2.5];
const values = Array.from({ length: 60000 }, () => Math.exp(MU + SIGMA * random.normal()));

describe("the normal distribution", () => {
  // R: pnorm(c(-3, -1, 0, 0.5, 1.959964))
  test.each([
    [-3, 0.001349898],
    [-1, 0.158655254],
    [0, 0.5],
    [0.5, 0.691462461],
    [1.959964, 0.975],
  ])("Phi(%d) = %d, and back", (x, p) => {
    expect(normalCdf(x)).toBeCloseTo(p, 6);
    expect(normalQuantile(p)).toBeCloseTo(x, 5);
  });
});

describe("log-normal magnitudes", () => {
  test("the fit finds what made them, whatever zeros, infinities and NaN stand beside them", () => {
    const odd = [0, 0, 0, Number.POSITIVE_INFINITY, Number.NaN];
    const { mu, sigma, distance } = fitLogNormal(histogramOf([...values, ...odd]), HISTOGRAM_BINS)!;
    expect(mu).toBeCloseTo(MU, 1);
    expect(sigma).toBeCloseTo(SIGMA, 1);
    expect(distance).toBeLessThan(0.01);
  });

  test("what is not log-normal fits worse", () => {
    const uniform = Array.from({ length: 20000 }, () => random.uniform());
    expect(fitLogNormal(histogramOf(uniform), HISTOGRAM_BINS)!.distance).toBeGreaterThan(0.05);
    expect(fitLogNormal(histogramOf([0, 0]), HISTOGRAM_BINS)).toBeUndefined();
    expect(fitLogNormal(histogramOf([1, 1]), HISTOGRAM_BINS)).toBeUndefined();
  });

  test("predicted and measured cosines agree with the sum over the values themselves", () => {
    // A heavy tail: with sigma 2.5 a sum of squares would hang on the few largest of these; a smaller one converges.
    const sigma = 1;
    const milder = values.map((value) => Math.exp(MU + ((Math.log(value) - MU) / SIGMA) * sigma));
    const sorted = [...milder].sort((a, b) => a - b);
    const all = sorted.reduce((sum, value) => sum + value * value, 0);
    const sparsities = [0.2, 0.5, 0.8, 0.95, 0.99];
    const measured = measuredCosines(histogramOf(milder), sparsities, HISTOGRAM_BINS);
    for (const [index, sparsity] of sparsities.entries()) {
      const kept = sorted.slice(Math.round(sparsity * sorted.length)).reduce((sum, value) => sum + value * value, 0);
      expect(measured[index]).toBeCloseTo(Math.sqrt(kept / all), 2);
      expect(predictedCosine(sparsity, sigma)).toBeCloseTo(Math.sqrt(kept / all), 1);
    }
  });

  test("counts by power of two, trimmed", () => {
    expect(magnitudesOf(histogramOf([0, 1e-40, 0.25, 0.3, 1, 1.9, -1.5]), HISTOGRAM_BINS)).toEqual({
      exponent: -2,
      counts: [2, 0, 3],
    });
    expect(magnitudesOf(histogramOf([0]), HISTOGRAM_BINS)).toEqual({ exponent: 0, counts: [] });
  });
});
