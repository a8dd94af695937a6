import { describe, expect, test } from "vitest";
import type { RunSummary } from "./store.ts";
import { parseSweep } from "./sweep-grid.ts";
import { finalistsOf, finalTrainLoss, type ResultsInput, resultsOf } from "./sweep-results.ts";
import { estimateSeconds } from "./sweep-time.ts";

const sweep = parseSweep({ grid: { policy: ["dense", "energy:0.99", "density:0.1"] }, seeds: 3 });
const [dense, energy, density] = sweep.arms as [(typeof sweep.arms)[0], (typeof sweep.arms)[0], (typeof sweep.arms)[0]];

/** Per arm and seed: validation loss, test loss, seconds; sparsity is 0.1 for each tenth of an arm's place. */
type Figures = Readonly<
  Record<string, readonly (readonly [valid: number, test: number, seconds: number] | undefined)[]>
>;

function results(figures: Figures, more: Partial<ResultsInput> = {}) {
  return resultsOf({
    ...sweep,
    split: "valid",
    figures: (arm, seed) => {
      const one = figures[arm.name]?.[seed - 1];
      if (!one) return undefined;
      const [validLoss, testLoss, seconds] = one;
      const place = sweep.arms.indexOf(arm);
      const shares = {
        sparsity: 0.3 * place,
        naturalZeros: 0.05,
        dropped: 0.3 * place - 0.05,
        macsSkippedAll: 0.2 * place,
      };
      return {
        summary: { validLoss, testLoss, seconds, steps: 100, ...shares } as RunSummary,
        trainLoss: validLoss / 2,
      };
    },
    failed: () => false,
    leftOutAt: () => null,
    ...more,
  });
}

const BASE: Figures = {
  dense: [
    [2, 3, 10],
    [4, 3, 10],
    [5, 3, 10],
  ],
  "energy:0.99": [
    [2.002, 3.3, 5],
    [4, 3.3, 8],
    [4.99, 3.3, 6],
  ],
  "density:0.1": [
    [2.2, 3, 1],
    [4.4, 3, 1],
    [5.5, 3, 1],
  ],
};
const row = (name: string, ...args: Parameters<typeof results>) =>
  results(...args).rows.find(({ arm }) => arm === name)!;

describe("pairs", () => {
  test("give the interval of their relative differences, by seed", () => {
    const { lossRelative, pairs, lossRelativeUpper95 } = row("energy:0.99", BASE);
    expect(pairs).toBe(3);
    // Mean -1/3000, standard deviation 0.00152753; times 4.30265273 / sqrt(3): -0.0041279 to 0.0034612.
    expect(lossRelative?.mean).toBeCloseTo(-0.001 / 3, 9);
    expect(lossRelative?.low).toBeCloseTo(-0.0041279, 6);
    expect(lossRelativeUpper95).toBeCloseTo(0.0034612, 6);
  });

  test("count where both of them finished", () => {
    const figures = { ...BASE, dense: [BASE.dense?.[0], undefined, BASE.dense?.[2]] };
    expect(row("energy:0.99", figures)).toMatchObject({ pairs: 2, seeds: [1, 3], validLoss: (2.002 + 4.99) / 2 });
    expect(row("energy:0.99", { "energy:0.99": BASE["energy:0.99"] ?? [] })).toMatchObject({
      pairs: 0,
      lossRelative: null,
    });
  });

  test("give the median ratio of times, with its extremes", () => {
    expect(row("energy:0.99", BASE)).toMatchObject({
      secondsRelative: expect.closeTo(0.6, 9),
      stepMs: 60,
      spreads: { secondsRelative: { low: expect.closeTo(0.5, 9), high: expect.closeTo(0.8, 9) } },
    });
  });

  test("have training losses beside", () =>
    expect(row("density:0.1", BASE).trainLossRelative?.mean).toBeCloseTo(0.1, 9));
});

describe("verdicts", () => {
  test("on validation are no more than that", () => {
    expect(results(BASE).rows.map(({ verdict }) => verdict)).toEqual(["reference", "within margin", "worse"]);
  });

  test("on test need the upper end below the margin", () => {
    const tested = results(BASE, { split: "test" });
    expect(tested.rows.map(({ verdict }) => verdict)).toEqual(["reference", "worse", "lossless"]);
    expect(tested.rows.map(({ testLoss }) => testLoss)).toEqual([3, expect.closeTo(3.3, 12), 3]);
  });

  test("say worse where the whole interval lies above the margin, also of an arm with failures, and on no less", () => {
    // Paired differences of 8, 9 and 10 per mille: 9 +- 2.5. Of two pairs 8 and 9: 8.5 +- 6.4.
    const far = {
      ...BASE,
      "density:0.1": [
        [2.016, 3, 1],
        [4.036, 3, 1],
        [5.05, 3, 1],
      ],
    } satisfies Figures;
    expect(row("density:0.1", far).verdict).toBe("worse");
    expect(row("density:0.1", far, { margin: 0.0066 }).verdict).toBe("not shown");
    expect(row("density:0.1", far, { failed: (arm) => arm === density }).verdict).toBe("worse");
    expect(row("density:0.1", far, { seeds: [1, 2] }).verdict).toBe("not shown");
    expect(row("density:0.1", far, { seeds: [1] }).verdict).toBe("not shown");
  });

  test("are not given to an arm of which a member failed", () => {
    const failed: ResultsInput["failed"] = (arm, seed) => arm === density && seed === 3;
    expect(row("density:0.1", BASE, { split: "test", failed })).toMatchObject({ verdict: "not shown", failed: 1 });
  });
});

test("test losses are nowhere while validation is judged", () => {
  expect(JSON.stringify(results(BASE))).not.toContain("3.3");
  expect(results(BASE).rows.every(({ testLoss }) => testLoss === null)).toBe(true);
});

describe("the reference", () => {
  test("is the best of its arms on validation, not of all", () => {
    expect(results(BASE, { referenceArms: [density, energy] }).reference).toBe("energy:0.99");
    expect(results(BASE, { referenceArms: [density, dense] }).reference).toBe("dense");
  });

  test("is none that failed or was left out, if there is another", () => {
    const failed: ResultsInput["failed"] = (arm) => arm === energy;
    expect(results(BASE, { referenceArms: [energy, density], failed }).reference).toBe("density:0.1");
    const leftOutAt: ResultsInput["leftOutAt"] = (arm) => (arm === energy ? 200 : null);
    expect(results(BASE, { referenceArms: [energy, density], leftOutAt }).reference).toBe("density:0.1");
  });
});

test("fronts and the best of each policy", () => {
  const { rows } = results(BASE);
  expect(rows.map(({ front }) => front)).toEqual([
    [],
    ["sparsity", "macsSkippedAll", "secondsRelative"],
    ["sparsity", "macsSkippedAll", "secondsRelative"],
  ]);
  const rates = parseSweep({ grid: { policy: ["dense", "energy:0.99"], "train.learningRate": [1, 2] }, seeds: 1 });
  const losses = [3, 2, 5, 6];
  const tuned = resultsOf({
    ...rates,
    split: "valid",
    figures: (arm) => ({
      summary: { validLoss: losses[rates.arms.indexOf(arm)], seconds: 1, steps: 1 } as RunSummary,
      trainLoss: null,
    }),
    failed: () => false,
    leftOutAt: () => null,
  });
  expect(tuned.reference).toBe("dense, learningRate=2");
  expect(tuned.rows.map(({ bestOfPolicy }) => bestOfPolicy)).toEqual([false, true, true, false]);
});

test("finalists are the best of each policy, or the fronts, and none that failed", () => {
  const of = (loss: number): Figures[string] => [1, 2, 3].map(() => [loss, loss, 10] as const);
  const figures: Figures = { dense: of(2), "energy:0.99": of(1), "density:0.1": of(2) };
  expect(finalistsOf(results(figures), "best")).toEqual(["dense", "energy:0.99", "density:0.1"]);
  // dense is beaten in loss and equalled in time; density has the most zeros.
  expect(finalistsOf(results(figures), "front")).toEqual(["energy:0.99", "density:0.1"]);
  const failed: ResultsInput["failed"] = (arm, seed) => arm === density && seed === 1;
  expect(finalistsOf(results(figures, { failed }), "front")).toEqual(["energy:0.99"]);
});

test("the training loss is that of the last tenth of the steps, weighted by steps", () => {
  const step = (at: number, loss: number) => ({ type: "step", step: at, loss });
  expect(
    finalTrainLoss([step(50, 9), step(90, 8), step(96, 2), { type: "validation", step: 96, loss: 99 }, step(100, 4)]),
  ).toBeCloseTo((6 * 2 + 4 * 4) / 10, 12);
  expect(finalTrainLoss([])).toBe(null);
});

describe("the time left", () => {
  const done = [
    { arm: "slow", steps: 100, wallSeconds: 50 },
    { arm: "fast", steps: 100, wallSeconds: 10 },
  ];
  test("is not known before anything is done", () =>
    expect(estimateSeconds([{ arm: "a", steps: 9 }], [], 1)).toBe(null));
  test("goes by the arm's own pace, or by that of all", () => {
    expect(
      estimateSeconds(
        [
          { arm: "slow", steps: 10 },
          { arm: "fast", steps: 20 },
        ],
        done,
        1,
      ),
    ).toBeCloseTo(7, 9);
    expect(estimateSeconds([{ arm: "new", steps: 10 }], done, 1)).toBeCloseTo(3, 9);
  });
  test("is shared by processes, but no member is", () => {
    expect(
      estimateSeconds(
        [
          { arm: "slow", steps: 10 },
          { arm: "slow", steps: 10 },
        ],
        done,
        2,
      ),
    ).toBeCloseTo(5, 9);
    expect(estimateSeconds([{ arm: "slow", steps: 20 }], done, 4)).toBeCloseTo(10, 9);
  });
});
