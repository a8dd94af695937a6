import fc from "fast-check";
import { expect, test } from "vitest";
import { RandomStream } from "../core/random.ts";
import { countBits } from "../sparse/trace.ts";
import { breakEven, expectedBytes, FORMATS, footprints } from "./formats.ts";
import { transpose } from "./patterns.ts";
import { madeSite } from "./testing.ts";

test("bytes are those of an encoder that writes the codes one by one", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 6 }),
      fc.integer({ min: 1, max: 900 }),
      fc.constantFrom(0, 0.002, 0.1, 1),
      fc.integer(),
      (rows, cols, density, seed) => {
        const site = madeSite("x", rows, cols, density, new RandomStream(seed, "formats"));
        const kept = countBits(site.bitmap);
        let codes = 0;
        for (let r = 0; r < rows; r++) {
          let zeros = 0;
          for (let c = 0; c < cols; c++) {
            const set = (site.bitmap[r * Math.ceil(cols / 32) + (c >> 5)]! >>> (c & 31)) & 1;
            if (set) {
              codes++;
              zeros = 0;
            } else if (zeros === 255) {
              codes++; // a zero as a value of its own
              zeros = 0;
            } else zeros++;
          }
          // What is zero up to the row's end needs no code: full runs there are not written.
          codes -= trailing(site.bitmap, r, cols);
        }
        const bytes = Object.fromEntries(footprints(site, transpose(site)).map(({ format, bytes }) => [format, bytes]));
        expect(bytes).toEqual({
          dense: 4 * rows * cols,
          bitmap: (rows * cols) / 8 + 4 * kept,
          coordinates: 4 * (rows + 1) + 6 * kept,
          "run-length": 5 * codes,
        });
      },
    ),
    { numRuns: 60 },
  );
});

/** Codes for full runs after the last nonzero of a row. */
function trailing(bitmap: Uint32Array, r: number, cols: number): number {
  let c = cols - 1;
  while (c >= 0 && ((bitmap[r * Math.ceil(cols / 32) + (c >> 5)]! >>> (c & 31)) & 1) === 0) c--;
  return Math.floor((cols - 1 - c) / 256);
}

test("expected bytes are those of random sites, break-evens those of the curves", () => {
  for (const density of [0.005, 0.05, 0.4]) {
    const site = madeSite("x", 200, 4000, density, new RandomStream(2, "formats"));
    for (const { format, bytes } of footprints(site, transpose(site)))
      expect([format, density, Math.abs(bytes / expectedBytes(format, 200, 4000, density) - 1) < 0.05]).toEqual([
        format,
        density,
        true,
      ]);
  }
  expect(breakEven("dense", "bitmap")).toBeCloseTo(31 / 32, 12);
  expect(breakEven("bitmap", "coordinates")).toBeCloseTo(1 / 16, 12);
  expect(breakEven("bitmap", "run-length")).toBeCloseTo(1 / 8, 12);
  expect(breakEven("coordinates", "run-length")).toBeNull();
  for (const a of FORMATS) for (const b of FORMATS) if (a !== b) expect(breakEven(a, b)).toBe(breakEven(b, a));
});

test("255 zeros fit before a value, 256 take a value of their own", () => {
  const bytes = (zeros: number) => {
    const cols = zeros + 1;
    const bitmap = new Uint32Array(Math.ceil(cols / 32));
    bitmap[zeros >> 5] = (1 << (zeros & 31)) >>> 0;
    const site = { rows: 1, cols, bitmap };
    return footprints(site, transpose(site)).find(({ format }) => format === "run-length")?.bytes;
  };
  expect([0, 255, 256, 511, 512].map(bytes)).toEqual([5, 5, 10, 10, 15]);
});
