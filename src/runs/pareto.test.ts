import fc from "fast-check";
import { expect, test } from "vitest";
import { paretoFront } from "./pareto.ts";

const grid = fc.array(fc.record({ x: fc.integer({ min: 0, max: 6 }), y: fc.integer({ min: 0, max: 6 }) }), {
  maxLength: 12,
});

test("holds exactly what nothing beats, by looking at all pairs, in order of x", () => {
  fc.assert(
    fc.property(grid, fc.constantFrom("higher", "lower"), (points, better) => {
      const sign = better === "lower" ? 1 : -1;
      const beats = (a: { x: number; y: number }, b: { x: number; y: number }) =>
        sign * a.x <= sign * b.x && a.y <= b.y && (a.x !== b.x || a.y !== b.y);
      const expected = points.flatMap((point, index) => (points.some((other) => beats(other, point)) ? [] : [index]));
      const front = paretoFront(points, better);
      expect([...front].sort((a, b) => a - b)).toEqual(expected);
      const xs = front.map((index) => points[index]!.x);
      expect(xs).toEqual([...xs].sort((a, b) => a - b));
    }),
  );
});

test("leaves out what is not known", () => {
  expect(
    paretoFront(
      [
        { x: 1, y: Number.NaN },
        { x: 0, y: 3 },
      ],
      "higher",
    ),
  ).toEqual([1]);
});
