import { describe, expect, test } from "vitest";
import { estimate, gapOf, MODEL_ERROR, PRIOR_FREEDOM, PRIOR_SPREAD, spreadOf, verdictOf } from "./estimate.ts";

describe("gapOf", () => {
  test("is the relative difference of means, its error that of paired differences", () => {
    const { gap, error } = gapOf([2.02, 4.04], [2, 4]);
    expect(gap).toBeCloseTo(0.01, 12);
    // Differences 0.02 and 0.04: deviation 0.01 sqrt(2), of two batches; relative to a mean of 3.
    expect(error).toBeCloseTo((0.01 * Math.SQRT2) / Math.SQRT2 / 3, 12);
  });
  test("batches that all lose alike leave no error, however different they are", () =>
    expect(gapOf([1.1, 9.1, 5.1], [1, 9, 5]).error).toBeCloseTo(0, 12));
  test("training that broke down is infinitely worse", () =>
    expect(gapOf([Number.POSITIVE_INFINITY], [1, 2])).toEqual({ gap: Number.POSITIVE_INFINITY, error: 0 }));
});

describe("spreadOf", () => {
  test("without a second seed is what was believed before", () =>
    expect(spreadOf([[0.1], [-0.3]], "early")).toEqual({ deviation: PRIOR_SPREAD.early, freedom: PRIOR_FREEDOM }));
  test("many seeds outweigh the belief", () => {
    const gaps = Array.from({ length: 400 }, (_, seed) => (seed % 2 ? 0.02 : -0.02));
    expect(spreadOf([gaps], "late").deviation).toBeCloseTo(0.02, 3);
  });
  test("arms of the same seeds share a dense run: together they count for less than their number", () => {
    const arm = [0.01, -0.01, 0.01, -0.01];
    expect(spreadOf([arm, arm, arm], "late").freedom).toBeCloseTo(PRIOR_FREEDOM + 9 / 1.5, 12);
  });
});

describe("estimate", () => {
  const spread = { deviation: 0.004, freedom: 4 };
  const t = 2.7764451; // of four degrees of freedom

  test("of a training that is the whole one has chance alone", () => {
    const { mean, low, high } = estimate([0.01, 0.03], [0, 0], spread, { small: 500, whole: 500 });
    expect(mean).toBeCloseTo(0.02, 12);
    expect(high - mean).toBeCloseTo((t * 0.004) / Math.SQRT2, 8);
    expect(mean - low).toBeCloseTo(high - mean, 12);
  });
  test("of a small one has the model's error as well, in proportion to the logarithm of what is missing", () => {
    const half = (whole: number) => {
      const { mean, high } = estimate([0.02], [0], { deviation: 0, freedom: 4 }, { small: 100, whole });
      return high - mean;
    };
    expect(half(100 * Math.E)).toBeCloseTo(t * Math.hypot(MODEL_ERROR.own, MODEL_ERROR.relative * 0.02), 8);
    expect(half(100 * Math.E ** 2)).toBeCloseTo(2 * half(100 * Math.E), 8);
  });
  test("errors of validation batches widen it", () => {
    const of = (error: number) => estimate([0], [error], spread, { small: 10, whole: 10 }).high;
    expect(of(0.003)).toBeCloseTo(t * 0.005, 8);
  });
});

test("within, perhaps and beyond", () => {
  expect(verdictOf({ mean: -0.001, low: -0.005, high: 0.0049 }, 0.005, 2)).toBe("within");
  expect(verdictOf({ mean: -0.001, low: -0.005, high: 0.0049 }, 0.005, 1)).toBe("perhaps"); // one seed shows nothing
  expect(verdictOf({ mean: 0.002, low: -0.005, high: 0.009 }, 0.005, 2)).toBe("perhaps");
  expect(verdictOf({ mean: 0.006, low: 0.005, high: 0.007 }, 0.005, 2)).toBe("beyond");
  expect(verdictOf({ mean: Infinity, low: Number.NaN, high: Infinity }, 0.005, 2)).toBe("beyond");
});
