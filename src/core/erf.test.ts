import { expect, test } from "vitest";
import { erfc } from "./erf.ts";

// math.erfc of Python 3.11; a number on each side of every piece.
test.each([
  [-6, 2],
  [-2, 1.9953222650189528],
  [-0.5, 1.5204998778130465],
  [0, 1],
  [0.3, 0.6713732405408726],
  [0.84375, 0.23277433876765835],
  [1, 0.15729920705028513],
  [1.3, 0.06599205505934755],
  [2.5, 0.0004069520174449589],
  [3.5, 7.430983723414128e-7],
  [5, 1.5374597944280351e-12],
])("erfc(%f)", (x, expected) => expect(Math.abs(erfc(x) / expected - 1)).toBeLessThan(1e-14));
