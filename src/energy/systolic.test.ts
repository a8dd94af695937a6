/** The formulas against an array that is walked register by register. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type ArraySize,
  foldsOf,
  type Gemm,
  type Stationary,
  streamedCycles,
  systolicCycles,
  systolicWords,
} from "./systolic.ts";

type Matrix = number[][];

/** Operands enter skewed, folds follow as close as they may; returns the result and the cycle after the last word left. */
function walk(a: Matrix, b: Matrix, size: ArraySize, stationary: Stationary): { out: Matrix; cycles: number } {
  const [M, K, N] = [a.length, b.length, b[0]!.length];
  const { rows: R, cols: C } = size;
  const out = a.map(() => new Array<number>(N).fill(0));
  const [rowFolds, colFolds] = [Math.ceil((stationary === "weight" ? K : M) / R), Math.ceil(N / C)];
  const length = stationary === "weight" ? M : K; // what streams through a fold
  const starts: { start: number; row: number; col: number }[] = [];
  // weight: the first R rows of b are loaded before; each next load takes R cycles beside a fold. output: sums of a fold
  // need R cycles to leave beside the next.
  let next = stationary === "weight" ? R : 0;
  for (let col = 0; col < colFolds; col++)
    for (let row = 0; row < rowFolds; row++) {
      starts.push({ start: next, row: row * R, col: col * C });
      next += Math.max(length, R);
    }
  const moving = Array.from({ length: R }, () => new Array<number>(C).fill(0)); // operand to the right
  const down = Array.from({ length: R }, () => new Array<number>(C).fill(0)); // sums, or the other operand
  const sums = Array.from({ length: R }, () => new Array<number>(C).fill(0));
  let last = 0;
  for (let cycle = 0; cycle < next + R + C + 2; cycle++) {
    const before = { moving: moving.map((row) => [...row]), down: down.map((row) => [...row]) };
    for (let r = 0; r < R; r++)
      for (let c = 0; c < C; c++) {
        // Which fold's which word is at this place now: entered at row r after r cycles, at column c after c.
        const at = cycle - r - c;
        const fold = starts.findIndex(({ start }) => at >= start && at < start + length);
        const active = fold >= 0;
        const { start, row, col } = starts[Math.max(0, fold)]!;
        const i = at - start;
        const left = c > 0 ? before.moving[r]![c - 1]! : 0;
        const above = r > 0 ? before.down[r - 1]![c]! : 0;
        if (!active) {
          moving[r]![c] = 0;
          down[r]![c] = 0;
          continue;
        }
        if (stationary === "weight") {
          const x = c > 0 ? left : (a[i]?.[row + r] ?? 0);
          moving[r]![c] = x;
          down[r]![c] = (r > 0 ? above : 0) + x * (b[row + r]?.[col + c] ?? 0);
          if (r === R - 1) {
            if (i < M && col + c < N) out[i]![col + c]! += down[r]![c]!;
            last = Math.max(last, cycle + 1);
          }
        } else {
          const x = c > 0 ? left : (a[row + r]?.[i] ?? 0);
          const y = r > 0 ? above : (b[i]?.[col + c] ?? 0);
          moving[r]![c] = x;
          down[r]![c] = y;
          if (i === 0) sums[r]![c] = 0;
          sums[r]![c]! += x * y;
          if (i === K - 1) {
            if (row + r < M && col + c < N) out[row + r]![col + c] = sums[r]![c]!;
            last = Math.max(last, cycle + 1 + R); // out through the rows
          }
        }
      }
  }
  return { out, cycles: last };
}

const sizes = fc.record({
  M: fc.integer({ min: 1, max: 9 }),
  N: fc.integer({ min: 1, max: 9 }),
  K: fc.integer({ min: 1, max: 9 }),
  rows: fc.integer({ min: 1, max: 4 }),
  cols: fc.integer({ min: 1, max: 4 }),
});

describe.each(["weight", "output"] as const)("%s stationary", (stationary) => {
  test("takes the cycles of an array that is walked, which multiplies right", () => {
    fc.assert(
      fc.property(sizes, ({ M, N, K, rows, cols }) => {
        const a = Array.from({ length: M }, (_, i) => Array.from({ length: K }, (_, k) => i * K + k + 1));
        const b = Array.from({ length: K }, (_, k) => Array.from({ length: N }, (_, j) => k - 2 * j));
        const { out, cycles } = walk(a, b, { rows, cols }, stationary);
        const product = a.map((row) => b[0]!.map((_, j) => row.reduce((sum, x, k) => sum + x * b[k]![j]!, 0)));
        expect(out).toEqual(product);
        expect(systolicCycles({ M, N, K }, { rows, cols }, stationary)).toBe(cycles);
      }),
      { numRuns: 150 },
    );
  });
});

test("the textbook's example: 128 x 128 array, square products, weights stay", () => {
  const gemm: Gemm = { M: 512, N: 256, K: 256 };
  const size = { rows: 128, cols: 128 };
  expect(foldsOf(gemm, size, "weight")).toBe(4);
  expect(systolicCycles(gemm, size, "weight")).toBe(128 + 4 * 512 + 128 + 128 - 2);
  expect(streamedCycles(gemm, size, "weight") * 128 * 128).toBe(512 * 256 * 256);
  // a twice over (two folds of N), b once, sums out, in and out.
  expect(systolicWords(gemm, size, "weight")).toBe(2 * 512 * 256 + 256 * 256 + 3 * 512 * 256);
});
