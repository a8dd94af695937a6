import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { RandomStream } from "../core/random.ts";
import { lookaheadCycles } from "./lookahead.ts";

const CHOICES = [
  [0, 0],
  [1, 0],
  [2, 0],
  [1, 1],
  [1, -1],
  [2, 2],
  [2, -2],
  [1, -3],
] as const;

/** Multiplier by multiplier, with a list of what is left; also counts the pairs that were multiplied. */
function walk(streams: readonly Uint16Array[], length: number, depth: number): { cycles: number; pairs: number } {
  const left = streams.map((words) =>
    Array.from({ length }, (_, at) => Array.from({ length: 16 }, (_, i) => ((words[at] ?? 0) >> i) & 1)),
  );
  let [at, cycles, pairs] = [0, 0, 0];
  while (at < length) {
    cycles++;
    for (const rows of left) {
      const busy = new Array<boolean>(16).fill(false);
      for (const [ahead, aside] of CHOICES)
        for (let i = 0; i < 16; i++) {
          const row = ahead < depth ? rows[at + ahead] : undefined;
          const from = (i + aside + 16) % 16;
          if (busy[i] || !row?.[from]) continue;
          row[from] = 0;
          busy[i] = true;
          pairs++;
        }
    }
    let move = 0;
    while (move < depth && left.every((rows) => (rows[at + move] ?? []).every((pair) => pair === 0))) move++;
    at += move;
  }
  return { cycles, pairs };
}

function streamsOf(count: number, length: number, density: number, seed: number): Uint16Array[] {
  const random = new RandomStream(seed, "lookahead");
  return Array.from({ length: count }, () =>
    Uint16Array.from({ length }, () => {
      let word = 0;
      for (let i = 0; i < 16; i++) if (random.uniform() < density) word |= 1 << i;
      return word;
    }),
  );
}

const ones = (streams: readonly Uint16Array[]) =>
  streams.reduce(
    (sum, words) => sum + words.reduce((all, word) => all + [...word.toString(2)].filter((x) => x === "1").length, 0),
    0,
  );

describe("lookahead", () => {
  test("is a walk over multipliers, and multiplies each pair once", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 4 }),
        fc.integer({ min: 1, max: 20 }),
        fc.constantFrom(0, 0.05, 0.2, 0.6, 1),
        fc.integer({ min: 1, max: 3 }),
        fc.integer(),
        (count, length, density, depth, seed) => {
          const streams = streamsOf(count, length, density, seed);
          const { cycles, pairs } = walk(streams, length, depth);
          expect(pairs).toBe(ones(streams));
          expect(lookaheadCycles(streams, length, depth)).toBe(cycles);
        },
      ),
      { numRuns: 120 },
    );
  });

  test("dense takes a cycle a word, nothing a window a cycle; one row alone is never slower than four together", () => {
    expect(lookaheadCycles(streamsOf(4, 30, 1, 1), 30, 3)).toBe(30);
    expect(lookaheadCycles(streamsOf(4, 30, 0, 1), 30, 3)).toBe(10);
    const four = streamsOf(4, 200, 0.2, 2);
    for (const one of four) expect(lookaheadCycles([one], 200, 3)).toBeLessThanOrEqual(lookaheadCycles(four, 200, 3));
  });
});
