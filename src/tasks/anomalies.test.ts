import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { UsageError } from "../core/check.ts";
import { detectionScores, limitFor, normalErrors, scoreRows } from "./anomalies.ts";
import type { AheadForecasts } from "./forecast-scores.ts";

const ahead = (errors: readonly number[], firstRow = 0): AheadForecasts => ({
  firstRow,
  actual: errors.map((error) => 100 + error),
  expected: errors.map(() => 100),
});

describe("scores", () => {
  test("median and median absolute deviation, by hand", () => {
    // Errors 1 3 2 6 4: median 3, distances 2 0 1 3 1, their median 1.
    const normal = normalErrors(ahead([1, 3, 2, 6, 4]), 1);
    expect(normal.median).toEqual([3]);
    expect(normal.spread[0]).toBeCloseTo(1.4826, 12);
    expect(Array.from(normal.scores, (score) => score * 1.4826)).toEqual(
      [0, 1, 1, 2, 3].map((x) => expect.closeTo(x, 9)),
    );
  });

  test("of several targets the worst, each in its own spread", () => {
    const normal = { median: [0, 10], spread: [1, 100] };
    const { scores, worst } = scoreRows(ahead([2, 60, 1, -400]), normal);
    expect(Array.from(scores)).toEqual([2, 4.1]);
    expect(Array.from(worst)).toEqual([0, 1]);
  });

  test("one spoilt row among the normal ones hardly moves the spread", () => {
    const errors = Array.from({ length: 101 }, (_, i) => Math.sin(i * 7));
    const [clean] = normalErrors(ahead(errors), 1).spread as [number];
    const [spoilt] = normalErrors(ahead([...errors.slice(1), 1e6]), 1).spread as [number];
    expect(Math.abs(spoilt / clean - 1)).toBeLessThan(0.05);
  });

  test("errors that are all alike: anything else is an anomaly, and no NaN", () => {
    const normal = normalErrors(ahead([2, 2, 2, 2]), 1);
    expect(Array.from(scoreRows(ahead([2, 2.5]), normal).scores)).toEqual([0, expect.any(Number)]);
    expect(scoreRows(ahead([2.5]), normal).scores[0]).toBeGreaterThan(1e6);
  });
});

describe("limit", () => {
  test("property: at most the share of normal rows is above it, and of unequal scores exactly as many rows", () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.double({ min: -1e6, max: 1e6, noNaN: true }), { minLength: 20 }), (errors) => {
        const normal = normalErrors(ahead(errors), 1);
        const above = normal.scores.filter((score) => score > limitFor(0.1, normal)).length;
        const allowed = Math.floor(0.1 * errors.length);
        expect(above).toBeLessThanOrEqual(allowed);
        if (new Set(normal.scores).size === errors.length) expect(above).toBe(allowed);
      }),
    );
  });

  test.each([0, 1, -1, Number.NaN, 0.01])("a rate of %s of ten rows is refused", (rate) => {
    const normal = normalErrors(ahead([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]), 1);
    expect(() => limitFor(rate, normal)).toThrow(UsageError);
  });
});

describe("how well scores tell anomalies", () => {
  test("by hand", () => {
    // By score: yes, no, yes, no. Precision at the hits: 1 and 2/3.
    const scores = detectionScores([9, 8, 7, 1], [true, false, true, false], 7.5);
    expect(scores).toEqual({
      precision: 0.5,
      recall: 0.5,
      f1: 0.5,
      averagePrecision: expect.closeTo((1 + 2 / 3) / 2, 12),
    });
  });

  test("rows of equal score count together, whatever their order", () => {
    const one = detectionScores([5, 5, 5], [true, false, false], 1);
    const other = detectionScores([5, 5, 5], [false, false, true], 1);
    expect(one).toEqual(other);
    expect(one.averagePrecision).toBeCloseTo(1 / 3, 12);
  });

  test("property: all anomalies above all others is 1", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 20 }), (yes, no) => {
        const labels = Array.from({ length: yes + no }, (_, row) => row < yes);
        const { averagePrecision, f1 } = detectionScores(
          labels.map((label) => (label ? 2 : 1)),
          labels,
          1.5,
        );
        expect([averagePrecision, f1]).toEqual([1, 1]);
      }),
    );
  });
});
