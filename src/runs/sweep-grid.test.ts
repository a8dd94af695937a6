import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { UsageError } from "../core/check.ts";
import type { Tree } from "./config.ts";
import { flatten, membersOf, slugOf, valueAt } from "./sweep-arms.ts";
import { loadSweep, parseSweep } from "./sweep-grid.ts";

const folder = mkdtempSync(join(tmpdir(), "gatesieve-grid-"));
afterAll(() => rmSync(folder, { recursive: true }));

const names = (tree: Tree) => parseSweep(tree).arms.map(({ name }) => name);
const TWO = { policy: ["dense", "energy:0.99"] };

describe("arms", () => {
  const distinct = <T>(values: fc.Arbitrary<T>) => fc.uniqueArray(values, { minLength: 1, maxLength: 3 });
  const grids = fc.record({
    "train.batchSize": distinct(fc.integer({ min: 1, max: 99 })),
    "model.hiddenSize": distinct(fc.integer({ min: 1, max: 99 })),
    policy: distinct(fc.constantFrom("dense", "energy:0.5", "threshold:1e-6", "density:0.1")),
  });

  test("are every combination of the grid, each once, with its settings in its configuration", () => {
    fc.assert(
      fc.property(grids, fc.integer({ min: 1, max: 3 }), (grid, samples) => {
        const count = Object.values(grid).reduce((product, values) => product * values.length, samples);
        fc.pre(count > 1);
        const random = { "train.learningRate": { min: 1e-4, max: 1, log: true }, samples };
        const { arms } = parseSweep({ grid, random });
        expect(arms).toHaveLength(count);
        expect(new Set(arms.map(({ config }) => JSON.stringify(config))).size).toBe(count);
        expect(new Set(arms.map(({ name }) => name)).size).toBe(count);
        for (const { overrides, config } of arms)
          for (const [key, value] of Object.entries(overrides)) expect(valueAt(config, key)).toBe(value);
        for (const [key, values] of Object.entries(grid))
          expect(new Set(arms.map(({ config }) => valueAt(config, key)))).toEqual(new Set<unknown>(values));
      }),
      { numRuns: 40 },
    );
  });

  test("may differ in the policy of a single site", () => {
    const { arms } = parseSweep({
      grid: { "policies.lstm.l0": ["dense", "density:.1"] },
      base: { policies: { "lstm.l1": "dense" } },
    });
    expect(arms.map(({ config }) => config.policies)).toEqual([
      { "lstm.l0": "dense", "lstm.l1": "dense" },
      { "lstm.l0": "density:0.1", "lstm.l1": "dense" },
    ]);
    expect(arms.map(({ config }) => valueAt(config, "policies.lstm.l0"))).toEqual(["dense", "density:0.1"]);
  });

  test("are explicit ones times the grid, the later source winning over the base", () => {
    const arms = [
      { name: "slow", train: { learningRate: 0.001 } },
      { "train.learningRate": 0.01, policy: "dense" },
    ];
    const sweep = parseSweep({
      base: { train: { learningRate: 5, maxSteps: 7 }, policy: "density:0.5" },
      arms,
      grid: { model: { hiddenSize: [4, 8] } },
    });
    expect(sweep.arms.map(({ name, config }) => [name, config.train.learningRate, config.train.maxSteps])).toEqual([
      ["slow, hiddenSize=4", 0.001, 7],
      ["slow, hiddenSize=8", 0.001, 7],
      ["learningRate=0.01, dense, hiddenSize=4", 0.01, 7],
      ["learningRate=0.01, dense, hiddenSize=8", 0.01, 7],
    ]);
    expect(sweep.arms.map(({ config }) => config.policy)).toEqual(["density:0.5", "density:0.5", "dense", "dense"]);
  });

  test("are called by policies in canonical form, and by the last part of a key where that is clear", () => {
    expect(names({ grid: { policy: ["energy", "dense"], "train.learningRate": [1e-5] } })).toEqual([
      "energy:0.99, learningRate=1e-5",
      "dense, learningRate=1e-5",
    ]);
  });

  test("of random samples lie in their range, look as they are called, and stay when more are asked for", () => {
    const sweep = (samples: number, seed?: number) =>
      parseSweep({
        random: {
          "train.learningRate": { min: 1e-4, max: 1e-2, log: true },
          "model.hiddenSize": { min: 8, max: 64, integer: true },
          "train.optimizer": { values: ["adam", "sgd"] },
          samples,
          ...(seed === undefined ? {} : { seed }),
        },
      }).arms;
    const many = sweep(40);
    expect(sweep(9).map(({ name }) => name)).toEqual(many.slice(0, 9).map(({ name }) => name));
    expect(sweep(9, 2)[0]?.name).not.toBe(many[0]?.name);
    for (const { name, config } of many) {
      expect(config.train.learningRate).toBeGreaterThanOrEqual(1e-4);
      expect(config.train.learningRate).toBeLessThanOrEqual(1e-2);
      expect(config.model.hiddenSize).toBe(Math.round(config.model.hiddenSize));
      expect(Number(/learningRate=([^,]+)/.exec(name)?.[1])).toBe(config.train.learningRate);
    }
    // On a logarithmic scale half of them lie below the geometric middle, on an even one a tenth would.
    const low = many.filter(({ config }) => config.train.learningRate < 1e-3).length;
    expect(low).toBeGreaterThan(10);
    expect(low).toBeLessThan(30);
  });

  test("times seeds are members, seed by seed", () => {
    const { arms, seeds } = parseSweep({ grid: TWO, seeds: [4, 2] });
    expect(membersOf(arms, seeds).map(({ id, config }) => [id, config.seed, config.policy])).toEqual([
      ["dense-s4", 4, "dense"],
      ["energy-0.99-s4", 4, "energy:0.99"],
      ["dense-s2", 2, "dense"],
      ["energy-0.99-s2", 2, "energy:0.99"],
    ]);
  });
});

describe("names of folders", () => {
  test("are safe and their own, for any text", () => {
    const anything = fc.uniqueArray(
      fc.oneof(fc.string(), fc.string({ unit: "binary" }), fc.string({ minLength: 80 })),
      {
        maxLength: 20,
      },
    );
    fc.assert(
      fc.property(anything, (texts) => {
        const taken = new Set<string>();
        const slugs = texts.map((text) => slugOf(text, taken));
        for (const slug of slugs) expect(slug).toMatch(/^[A-Za-z0-9=+_][A-Za-z0-9.=+_-]{0,72}$/);
        expect(new Set(slugs.map((slug) => slug.toLowerCase())).size).toBe(texts.length);
      }),
      { numRuns: 30 },
    );
  });

  test("keep what can be kept", () => {
    const taken = new Set<string>();
    expect(slugOf("energy:0.99, learningRate=0.002", taken)).toBe("energy-0.99-learningRate=0.002");
    expect(slugOf("warmup(200)+energy:0.99", taken)).toBe("warmup-200-+energy-0.99");
    expect(slugOf("ENERGY-0.99, learningRate=0.002", taken)).toMatch(/^ENERGY-0\.99-learningRate=0\.002-[0-9a-f]{8}$/);
    expect(slugOf("../..", taken)).toMatch(/^arm-[0-9a-f]{8}$/);
  });
});

describe("the reference", () => {
  const reference = (tree: Tree) => parseSweep(tree).referenceArms.map(({ name }) => name);
  const grid = { ...TWO, "train.learningRate": [0.1, 0.2] };

  test("is every dense arm, or the first", () => {
    expect(reference({ grid })).toEqual(["dense, learningRate=0.1", "dense, learningRate=0.2"]);
    expect(reference({ grid: { "train.batchSize": [3, 4] } })).toEqual(["batchSize=3"]);
  });

  test("drops nothing anywhere, if there is such an arm", () => {
    expect(reference({ grid: { ...TWO, headPolicy: ["density:0.1", "dense"] } })).toEqual(["dense, headPolicy=dense"]);
    expect(reference({ base: { policy: "dense" }, grid: { "policies.lstm.l0": ["energy:0.9", "dense"] } })).toEqual([
      "lstm.l0=dense",
    ]);
    expect(reference({ base: { headPolicy: "density:0.1" }, grid: TWO })).toEqual(["dense"]);
  });

  test("is named, or described by one setting or several", () => {
    expect(reference({ grid, reference: "dense, learningRate=0.2" })).toEqual(["dense, learningRate=0.2"]);
    expect(reference({ grid, reference: "policy=energy" })).toEqual([
      "energy:0.99, learningRate=0.1",
      "energy:0.99, learningRate=0.2",
    ]);
    expect(reference({ grid, reference: { policy: "dense", train: { learningRate: 0.1 } } })).toEqual([
      "dense, learningRate=0.1",
    ]);
  });
});

describe("seeds", () => {
  const seeds = (tree: Tree) => {
    const sweep = parseSweep({ grid: TWO, ...tree });
    return [sweep.seeds, sweep.confirm.seeds];
  };
  test("are counted from 1, or listed; fresh ones follow them", () => {
    expect(seeds({})).toEqual([[1], [2, 3, 4, 5, 6]]);
    expect(seeds({ base: { seed: 9 } })).toEqual([[9], [10, 11, 12, 13, 14]]);
    expect(seeds({ seeds: 7 })).toEqual([
      [1, 2, 3, 4, 5, 6, 7],
      [8, 9, 10, 11, 12, 13, 14],
    ]);
    expect(seeds({ seeds: [8, 3], confirm: { seeds: [1, 2] } })).toEqual([
      [8, 3],
      [1, 2],
    ]);
  });
});

test("halving sets the length of every arm to its last budget", () => {
  const { arms } = parseSweep({ grid: TWO, halving: { budgets: [200, 300, 777] } });
  expect(arms.map(({ config }) => config.train.maxSteps)).toEqual([777, 777]);
});

describe("files", () => {
  test("the base lies beside the grid file, settings change it, and the definition reads back to the same sweep", () => {
    writeFileSync(join(folder, "base.yaml"), "train: {maxEpochs: 3, batchSize: 7}\n");
    writeFileSync(join(folder, "rates.yaml"), "base: base.yaml\ngrid:\n  policy: [dense, energy:0.99]\n");
    const sweep = loadSweep(join(folder, "rates.yaml"), ["train.maxSteps=11", "model.hiddenSize=5"]);
    expect(sweep.name).toBe("rates");
    for (const { config } of sweep.arms)
      expect(flatten(config as unknown as Tree)).toMatchObject({
        "train.batchSize": 7,
        "train.maxSteps": 11,
        "model.hiddenSize": 5,
      });
    const again = parseSweep(JSON.parse(JSON.stringify(sweep.definition)));
    expect(JSON.stringify(again)).toBe(JSON.stringify(sweep));
  });

  test("errors begin with the file's name", () => {
    writeFileSync(join(folder, "wrong.yaml"), "seeds: [1, 1]\ngrid: {policy: [dense, energy]}\n");
    expect(() => loadSweep(join(folder, "wrong.yaml"))).toThrow(/wrong\.yaml: seeds: 1 is there twice/);
    expect(() => loadSweep("my.txt")).toThrow(/"my\.txt" is no grid file/);
  });
});

describe("the files in configs/sweeps/", () => {
  const grids = fileURLToPath(new URL("../../configs/sweeps/", import.meta.url));
  test.each(readdirSync(grids))("%s is valid", (name) => {
    expect(loadSweep(join(grids, name)).arms.length).toBeGreaterThan(1);
  });
});

test("the grid file that docs/sweeps.md shows is valid, and has the arms it says", () => {
  const text = readFileSync(new URL("../../docs/sweeps.md", import.meta.url), "utf8");
  const [, block] = /## The grid file\n\n```yaml\n(.*?)```/s.exec(text) ?? [];
  writeFileSync(join(folder, "adding.yaml"), "task: {name: adding}\n");
  const file = join(folder, "docs.yaml");
  writeFileSync(file, (block as string).replace("../adding.yaml", "adding.yaml"));
  const { arms, referenceArms, seeds } = loadSweep(file);
  expect([arms.length, referenceArms.length, seeds.length]).toEqual([2 * 2 * 4, 2 * 4, 5]);
  for (const { config } of referenceArms) expect(config.policy).toBe("dense");
});

test.each<[string, Tree, RegExp]>([
  ["nothing", {}, /nothing to compare: give at least two arms by grid, random or arms/],
  ["one arm", { grid: { policy: ["dense"] } }, /nothing to compare/],
  ["a key that is not one", { gird: TWO }, /unknown key "gird", did you mean "grid"\?/],
  ["a setting of runs in the wrong place", { policy: ["dense"] }, /unknown key "policy".*under base .*grid .*arms/],
  [
    "a key in halving",
    { grid: TWO, halving: { budget: [1] } },
    /halving\.budgets: got undefined|did you mean "halving\.budgets"/,
  ],
  [
    "a setting no run has",
    { grid: { "train.learningrate": [1, 2] } },
    /arm train\.learningrate=1: unknown key .*"train\.learningRate"/,
  ],
  ["a policy that is not one", { grid: { policy: ["dense", "enrgy"] } }, /arm policy=enrgy: .*did you mean "energy"/],
  ["a base that is no run", { base: { train: { batchSize: 0 } }, grid: TWO }, /train\.batchSize: got 0, expected/],
  ["a grid without a list", { grid: { policy: "dense" } }, /grid\.policy: got "dense", expected a list/],
  ["an empty list", { grid: { policy: [] } }, /grid\.policy: got \[\], expected a list/],
  [
    "tasks side by side",
    { grid: { ...TWO, "task.name": ["adding", "delay"] } },
    /arms "dense, name=adding" and "dense, name=delay" differ in their task, so their losses cannot be compared/,
  ],
  ["seeds as a setting", { grid: { seed: [1, 2] } }, /grid: seed is no setting of an arm; give seeds/],
  ["a seed twice", { grid: TWO, seeds: [1, 2, 1] }, /seeds: 1 is there twice/],
  ["no seeds", { grid: TWO, seeds: [] }, /seeds: got \[\], expected a number of seeds, or a list/],
  ["seeds that are not fresh", { grid: TWO, seeds: 3, confirm: { seeds: [9, 2] } }, /confirm\.seeds: 2 is among seeds/],
  ["a key from two sources", { grid: TWO, arms: [{ policy: "dense" }] }, /policy is set in arms and in grid/],
  ["the same training twice", { grid: { policy: ["energy", "energy:0.99"] } }, /two arms are called "energy:0\.99"/],
  ["the same by two names", { arms: [{ name: "a" }, { name: "b" }] }, /arms "a" and "b" are the same training/],
  ["a name that is none", { arms: [{ name: 7 }, {}] }, /arms\[0\]\.name: got 7, expected a line of text/],
  ["arms that are no settings", { arms: ["dense"] }, /arms\.0: got "dense", expected settings such as/],
  [
    "a range the wrong way round",
    { random: { "train.learningRate": { min: 2, max: 1 }, samples: 2 } },
    /random\.train\.learningRate: got .*with min below max/,
  ],
  [
    "a logarithm of 0",
    { random: { "train.learningRate": { min: 0, max: 1, log: true }, samples: 2 } },
    /with min above 0 where log is true/,
  ],
  [
    "no samples",
    { random: { "train.learningRate": { min: 0, max: 1 } } },
    /random\.samples: got undefined, expected a whole number/,
  ],
  ["samples of nothing", { random: { samples: 3 } }, /random: expected at least one key with a range/],
  [
    "a reference nobody is",
    { grid: TWO, reference: "policy=density:0.5" },
    /no arm has policy=density:0\.5\. The arms are: "dense", "energy:0\.99"/,
  ],
  ["a reference misspelt", { grid: TWO, reference: "dens" }, /no arm is called "dens", did you mean "dense"\?/],
  [
    "a rule for finalists",
    { grid: TWO, confirm: { choose: "all" } },
    /confirm\.choose: got "all", expected one of best, front/,
  ],
  ["finalists nobody is", { grid: TWO, confirm: { arms: ["energy"] } }, /confirm\.arms: no arm is called "energy"/],
  [
    "budgets that fall",
    { grid: TWO, halving: { budgets: [300, 200] } },
    /halving\.budgets: got \[300,200\], expected a rising list/,
  ],
  [
    "a budget without a validation",
    { grid: TWO, halving: { budgets: [250, 500] } },
    /250 is no multiple of train\.valCheckInterval 100/,
  ],
  [
    "two lengths",
    { base: { train: { maxSteps: 5 } }, grid: TWO, halving: { budgets: [100, 200] } },
    /train\.maxSteps is 5, but halving ends at 200/,
  ],
  [
    "lengths by arm",
    { grid: { "train.maxSteps": [1, 2] }, halving: { budgets: [100, 200] } },
    /an arm sets train\.maxSteps, but halving decides/,
  ],
  [
    "a share to keep",
    { grid: TWO, halving: { budgets: [100], keep: 1 } },
    /halving\.keep: got 1, expected a number above 0 and below 1/,
  ],
  ["a split", { grid: TWO, split: "train" }, /split: got "train", expected valid or test/],
  ["a name for a folder", { grid: TWO, name: "../x" }, /name: got "\.\.\/x", expected a name of letters/],
])("%s is refused in one line", (_, tree, message) => {
  let error: unknown;
  try {
    parseSweep(tree);
  } catch (thrown) {
    error = thrown;
  }
  expect(error).toBeInstanceOf(UsageError);
  expect((error as Error).message).toMatch(message);
  expect((error as Error).message).not.toContain("\n");
});
