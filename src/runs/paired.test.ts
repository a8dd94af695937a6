import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { interval95, isNonInferior, median, relativeDifferences, spread, studentQuantile } from "./paired.ts";

describe("quantiles of Student's t", () => {
  // R: qt(0.975, df). The same numbers come from integrating the density with Simpson's rule.
  test.each([
    [1, 12.706204736],
    [2, 4.30265273],
    [3, 3.182446305],
    [4, 2.776445105],
    [9, 2.262157163],
    [29, 2.045229642],
    [30, 2.042272456],
    [200, 1.971896224],
  ])("0.975 at %i degrees of freedom", (df, expected) => expect(studentQuantile(0.975, df)).toBeCloseTo(expected, 8));

  test("closed forms at one and two degrees of freedom, for any p", () => {
    for (const p of [0.5, 0.6, 0.9, 0.95, 0.995]) {
      expect(studentQuantile(p, 1)).toBeCloseTo(Math.tan(Math.PI * (p - 0.5)), 8);
      expect(studentQuantile(p, 2)).toBeCloseTo((2 * p - 1) / Math.sqrt(2 * p * (1 - p)), 8);
    }
  });

  test("approach the normal distribution's", () => expect(studentQuantile(0.975, 1e6)).toBeCloseTo(1.959964, 5));
});

describe("intervals", () => {
  // R: t.test(c(1, 2, 3, 4)) has mean 2.5 and the interval 0.4457397 to 4.5542603.
  test("are those of R's t.test", () => {
    const { mean, low, high } = interval95([1, 2, 3, 4]);
    expect(mean).toBe(2.5);
    expect(low).toBeCloseTo(0.4457397, 6);
    expect(high).toBeCloseTo(4.5542603, 6);
  });

  test("do not exist for one value", () => expect(interval95([7])).toEqual({ mean: 7, low: null, high: null }));

  test("of pairs do not move with what both of a pair share", () => {
    const pairs = fc.array(
      fc.tuple(fc.double({ min: 0.5, max: 4, noNaN: true }), fc.double({ min: 0.9, max: 1.1, noNaN: true })),
      {
        minLength: 2,
        maxLength: 9,
      },
    );
    fc.assert(
      fc.property(pairs, (all) => {
        const [dense, factors] = [all.map(([loss]) => loss), all.map(([, factor]) => factor)];
        const differences = relativeDifferences(
          dense.map((loss, pair) => loss * (factors[pair] as number)),
          dense,
        );
        const [got, expected] = [interval95(differences), interval95(factors)];
        expect(got.high).toBeCloseTo((expected.high as number) - 1, 10);
      }),
    );
  });
});

test("lossless needs the upper end below the margin: good means without an interval, or a wide one, do not do", () => {
  expect(isNonInferior({ mean: -0.01, low: -0.02, high: 0.0049 }, 0.005)).toBe(true);
  expect(isNonInferior({ mean: -0.01, low: -0.03, high: 0.005 }, 0.005)).toBe(false);
  expect(isNonInferior({ mean: -0.5, low: null, high: null }, 0.005)).toBe(false);
  expect(isNonInferior(interval95([Number.NaN, 0]), 0.005)).toBe(false);
});

test("medians and spreads", () => {
  expect(median([3, 1, 2])).toBe(2);
  expect(median([4, 1, 3, 2])).toBe(2.5);
  expect(spread([0.9, 0.5, 0.7])).toEqual({ middle: 0.7, low: 0.5, high: 0.9 });
});
