/** The benchmark of single products: its crossover, and that it does the work it counts. */
import { describe, expect, test } from "vitest";
import { crossover, kernelRows } from "../bench/kernels.mjs";

describe("crossover", () => {
  test("lies between the last density that gains and the first that loses, in the logarithms", () => {
    const points = [
      { density: 1, speedup: 0.5 },
      { density: 0.25, speedup: 2 },
      { density: 0.1, speedup: 4 },
    ];
    expect(crossover(points, 1)).toBeCloseTo(0.5, 12);
  });
  test("is the first one met from the sparse end", () => {
    const speedups = { 1: 1.1, 0.5: 0.9, 0.1: 3 };
    const points = Object.entries(speedups).map(([density, speedup]) => ({ density: Number(density), speedup }));
    expect(crossover(points)).toBeGreaterThan(0.1);
    expect(crossover(points)).toBeLessThan(0.5);
  });
  test("is null where sparse never gains, and the densest point where it always does", () => {
    expect(crossover([{ density: 0.1, speedup: 1.01 }])).toBeNull();
    const points = [0.1, 0.5].map((density) => ({ density, speedup: 2 }));
    expect(crossover(points)).toBe(0.5);
  });
});

test("patterns have the density asked for, and sparse products execute what is left, not all", async () => {
  const rows = await kernelRows({
    engineName: "wasm",
    isas: [undefined],
    threads: 1,
    widths: [32],
    densities: [1, 0.1],
    rounds: 2,
    note: () => {},
  });
  for (const product of ["dh", "dx", "dW"]) {
    const [dense, full, tenth] = rows.filter((row) => row.product === product);
    expect([dense?.density, full?.density, tenth?.density]).toEqual(["dense", 1, 0.1]);
    expect(full?.kept).toBe(1);
    expect(tenth?.kept).toBeCloseTo(0.1, 1);
    expect(Math.abs((tenth?.kept as number) - 0.1)).toBeLessThan(0.02);
    // dense-equivalent over useful is all over kept; executed lies between what is useful and all.
    expect((tenth?.gflopsUseful as number) / (tenth?.gflopsDense as number)).toBeCloseTo(tenth?.kept as number, 9);
    expect(tenth?.gflopsExecuted as number).toBeGreaterThanOrEqual((tenth?.gflopsUseful as number) * (1 - 1e-9));
    expect(tenth?.gflopsExecuted as number).toBeLessThan(0.5 * (tenth?.gflopsDense as number));
    expect(tenth?.speedup).toBeCloseTo((dense?.cpuMs as number) / (tenth?.cpuMs as number), 9);
    expect(tenth?.speedupWithCompress as number).toBeLessThan(tenth?.speedup as number);
  }
  expect(rows.map((row) => row.product)).toEqual(expect.arrayContaining(["hU", "cell forward", "cell backward"]));
});
