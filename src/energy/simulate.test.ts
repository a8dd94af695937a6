/** The simulator: what must add up, closed forms, a brute-force walk, the estimate, and how long it takes. */
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { RandomStream } from "../core/random.ts";
import { readTrace } from "../runs/trace-file.ts";
import { countBits, type TraceStep } from "../sparse/trace.ts";
import { compareMachines, energyPJ, flips, parseSweep, rankings, vary } from "./compare.ts";
import { bitmapWords, denseWords, dramWords, skippedBy, worksOf } from "./counts.ts";
import { ESTIMATE_ERROR, estimateStep, expectedMaximum } from "./estimate.ts";
import { walkLanes } from "./lane-cycles.ts";
import { areaOf, atArea, checkMachine, type LanesDesign, type Machine, peakMacs } from "./machine.ts";
import { BASELINE, MACHINES, machineOf } from "./machines.ts";
import { STALLS } from "./product-run.ts";
import { withDensity } from "./random-step.ts";
import { laneConfig } from "./run-lanes.ts";
import { type ProductResult, runnerOf, type StepResult, simulateStep } from "./simulate.ts";
import { TECHNOLOGIES, technologyOf } from "./technologies.ts";
import { checkTechnology, energyOf, sramWordPJ } from "./technology.ts";
import { madeRun, madeStep } from "./testing.ts";

const slice = readTrace(fileURLToPath(new URL("../../test/golden/lstm-threshold.trace", import.meta.url)));
const SHAPE = { T: 6, B: 20, H: 40, layers: 2, V: 30 };
const steps: readonly (readonly [string, TraceStep, ReturnType<typeof madeRun>])[] = [
  ["a slice of a real trace", slice.steps[0] as TraceStep, slice.run],
  ["two small layers at 0.15", madeStep(SHAPE, 0.15), madeRun(SHAPE)],
  ["one whose batch is odd, dense", madeStep({ T: 3, B: 7, H: 9 }, 1), madeRun({ T: 3, B: 7, H: 9 })],
  ["one without a nonzero", madeStep({ T: 3, B: 7, H: 9 }, 0), madeRun({ T: 3, B: 7, H: 9 })],
];
const wide: Machine = { ...machineOf("sieve"), dramGBs: 1e6, vectorLanes: 1e6 };

function product({ products }: StepResult, name: string): ProductResult {
  return products.find((each) => each.product === name) as ProductResult;
}

describe.each(steps)("%s", (_, step, run) => {
  test("counts from the bits are those of the training", () => {
    for (const each of step.products) expect(skippedBy(step, each)).toBe(each.skipped);
  });

  test.each(Object.values(MACHINES))("$name: done and skipped are all, cycles are work and stalls", (machine) => {
    checkMachine(machine);
    const result = simulateStep(step, run, machine);
    const dense = step.products.reduce((sum, { m, n, k }) => sum + m * n * k, 0);
    expect(result.whole.macsDense).toBe(dense);
    for (const part of [...result.products, result.backward, result.whole]) {
      expect(part.macsDone + part.macsSkipped).toBeCloseTo(part.macsDense, 3);
      expect(part.macsSkipped).toBeLessThanOrEqual(part.macsRedundant + 1e-6);
      const stalled = STALLS.reduce((sum, cause) => sum + part.stalls[cause], 0);
      expect(part.macsDone / peakMacs(machine) + stalled).toBeCloseTo(part.cycles, 3);
      for (const cause of STALLS) expect(part.stalls[cause]).toBeGreaterThan(-1e-6);
      for (const count of Object.values(part.actions)) expect(count).toBeGreaterThanOrEqual(0);
    }
  });
});

describe("closed forms", () => {
  const shape = { T: 5, B: 32, H: 256 };
  const { groups, unitWidth } = wide.design as LanesDesign;
  const words = (1024 / groups) * (shape.B / unitWidth); // of a group and block

  test("density 1: the sieve is the dense peak, but for a few cycles of latency", () => {
    const result = simulateStep(madeStep(shape, 1), madeRun(shape), wide);
    for (const name of ["dW", "dU"]) {
      const { macsDense, cycles } = product(result, name);
      expect(cycles - macsDense / peakMacs(wide)).toBeGreaterThan(0);
      expect(cycles - macsDense / peakMacs(wide)).toBeLessThan(8);
    }
    // dh: so many at each of 4 barriers, and partial sums of 4 groups added up.
    const { macsDense, cycles, stalls } = product(result, "dh");
    expect(stalls.pass).toBe((4 * (shape.B * 256 * 3)) / 4 / 256);
    expect(cycles - stalls.pass - stalls.pointwise - macsDense / peakMacs(wide)).toBeLessThan(4 * 8);
  });

  test("density 0: a cycle for each word that is looked at, and nothing multiplied", () => {
    const result = simulateStep(madeStep(shape, 0), madeRun(shape), wide);
    const { cycles, macsDone, actions } = product(result, "dW");
    expect(macsDone).toBe(0);
    expect(cycles - shape.T * words).toBeGreaterThanOrEqual(0);
    expect(cycles - shape.T * words).toBeLessThan(4);
    expect([actions.mac, actions.buffer - groups * shape.T * shape.B * 256]).toEqual([0, 0]);
  });

  test("density 1 and 0 on the window: all words, and a third of them", () => {
    const machine: Machine = { ...machineOf("tensordash"), dramGBs: 1e6, vectorLanes: 1e6 };
    const [full, none] = [1, 0].map((density) => simulateStep(madeStep(shape, density), madeRun(shape), machine));
    const { macsDense, cycles } = product(full as StepResult, "dW");
    expect(cycles - macsDense / peakMacs(machine)).toBe(8);
    // 160 rows are ten words of 16: four windows.
    expect(product(none as StepResult, "dW").cycles).toBe((1024 / 4) * (256 / 16) * 4 + 8);
  });

  test("a barrier waits for the fullest of the groups: the largest of four binomials", () => {
    const long = { T: 101, B: 32, H: 64 };
    const density = 0.6; // dense enough that the scan is never the limit
    const result = simulateStep(madeStep(long, density, 3), madeRun(long), wide);
    const { cycles, stalls } = product(result, "dh");
    const each = (cycles - stalls.pass - stalls.pointwise) / 100;
    const n = 64 * 32; // a group's gradients in a block: 256 columns / 4, 32 samples
    const deviation = Math.sqrt(n * density * (1 - density));
    const expected = n * density + expectedMaximum(4) * deviation;
    // Latency of at most 6 cycles; the mean of 100 such maxima scatters by 0.7 deviations / 10.
    expect(each - expected).toBeGreaterThan(-0.3 * deviation);
    expect(each - expected).toBeLessThan(6 + 0.3 * deviation);
  });

  test("the largest of normal numbers", () => {
    // Exact: 0, 0.5642, 1.0294, 1.7660 (order statistics of the normal distribution).
    for (const [count, exact] of [
      [1, 0],
      [2, 0.5642],
      [4, 1.0294],
      [16, 1.766],
    ] as const)
      expect(Math.abs(expectedMaximum(count) - exact)).toBeLessThan(0.03);
  });

  test("a systolic product waits for its words where memory is slow", () => {
    const machine = { ...BASELINE, dramGBs: 1 };
    const { cycles, actions } = product(simulateStep(madeStep(shape, 1), madeRun(shape), machine), "dU");
    expect(cycles).toBeCloseTo(actions.dram * 4, 6);
  });

  test("words off-chip: once each where what stays fits, once per part where it does not", () => {
    const [work] = worksOf(madeStep(shape, 0.25)).filter((each) => each.product.product === "dU");
    const [m, n, k] = [160, 1024, 256];
    expect(dramWords(work!, denseWords, 2 ** 22)).toBe(n * k + m * n + m * k);
    expect(dramWords(work!, bitmapWords, 2 ** 22)).toBe(n * k + m * k + (m * n) / 32 + work!.elements);
    expect(dramWords(work!, denseWords, 2 ** 19)).toBe(n * k + m * n + 4 * m * k);
  });
});

test("the sieve's dh is a walk, group by group and block by block, over bits that a loop picks", () => {
  const [T, B, H] = [4, 5, 6];
  const shape = { T, B, H };
  const machine: Machine = {
    ...wide,
    design: { ...(wide.design as LanesDesign), groups: 3, macsPerLane: 4, fifo: 16 },
  };
  const step = madeStep(shape, 0.5);
  const site = step.sites[0]!;
  let expected = 0;
  for (let t = 1; t < T; t++) {
    let slowest = 0;
    for (let group = 0; group < 3; group++) {
      const lines: number[] = [];
      for (let j = group; j < 4 * H; j += 3) {
        let bits = 0;
        for (let b = 0; b < B; b++) bits |= ((site.bitmap[(t * B + b) * 1 + (j >> 5)]! >>> (j & 31)) & 1) << b;
        lines.push(bits);
      }
      const rows = { rows: lines.length, cols: B, groups: 1, block: lines.length, bitmap: Uint32Array.from(lines) };
      slowest = Math.max(slowest, walkLanes(laneConfig(machine.design as LanesDesign), rows, Math.ceil(H / 4)).cycles);
    }
    expected += slowest + Math.ceil((B * H * 2) / 3 / 4);
  }
  const work = worksOf(step).find((each) => each.product.product === "dh")!;
  expect(runnerOf(machine)(work, site, B).cycles).toBe(expected);
});

describe("estimate", () => {
  const bounds = {
    structured: ESTIMATE_ERROR.systolic,
    tensordash: ESTIMATE_ERROR.lookahead,
    lanes: ESTIMATE_ERROR.rowLanes,
    sieve: ESTIMATE_ERROR.columnLanes,
    "systolic-ws": 0,
    "systolic-os-gated": 0,
  };
  test.each([
    [{ T: 8, B: 50, H: 256 }, 0.03],
    [{ T: 8, B: 50, H: 256 }, 0.1],
    [{ T: 6, B: 32, H: 128, layers: 2 }, 0.3],
    [{ T: 10, B: 20, H: 200 }, 0.7],
  ])("%j at %d is within what it states", (shape, density) => {
    const [step, run] = [madeStep(shape, density), madeRun(shape)];
    for (const [name, bound] of Object.entries(bounds)) {
      const machine = { ...machineOf(name), dramGBs: 1e6, vectorLanes: 1e6 };
      const [exact, guess] = [simulateStep(step, run, machine), estimateStep(step, run, machine)];
      exact.products.forEach(({ cycles, macsDone, product }, i) => {
        const other = guess.products[i]!;
        const what = `${name} ${product}`;
        expect([what, Math.abs(other.cycles / cycles - 1) <= bound + 1e-9, other.cycles / cycles]).toEqual([
          what,
          true,
          expect.any(Number),
        ]);
        if (name !== "structured") expect([what, other.macsDone]).toEqual([what, macsDone]);
      });
    }
  });
});

describe("energy and area", () => {
  const technology = technologyOf("horowitz-45");
  test("all technologies and machines have figures that can be, with sources", () => {
    for (const each of Object.values(TECHNOLOGIES)) checkTechnology(each);
    expect(Object.keys(MACHINES)[0]).toBe(BASELINE.name);
  });

  test("is counts times energies", () => {
    const actions = { mac: 10, register: 20, buffer: 30, sram: 40, dram: 50, index: 60, compare: 70 };
    const energy = energyOf(actions, technology, { bankBytes: 32 * 1024, bufferBytes: 8 * 1024 });
    expect(energy).toMatchObject({ mac: 46, register: 5.76, buffer: 150, dram: 32_500, index: 12.6 });
    expect(energy.sram).toBeCloseTo(400, 9);
    expect(energy.threshold).toBeCloseTo(2.065, 9);
    expect(energy.total).toBeCloseTo(46 + 5.76 + 150 + 400 + 32_500 + 12.6 + 2.065, 6);
  });

  test("memory grows with its size, and hits what is published", () => {
    for (const [bytes, pJ] of [
      [8192, 5],
      [32_768, 10],
      [2 ** 20, 50],
      [2048, 2.5],
    ] as const)
      expect(sramWordPJ(technology, bytes)).toBeCloseTo(pJ, 9);
    const sizes = [64, 1024, 9000, 50_000, 2 ** 19, 2 ** 22].map((bytes) => sramWordPJ(technology, bytes));
    expect([...sizes].sort((a, b) => a - b)).toEqual(sizes);
  });

  test("at equal area each machine pays for its parts with memory", () => {
    const budget = areaOf(BASELINE, technology)!.total;
    expect(budget).toBeCloseTo((1024 * (11_884 + 96 * 5.98) + 2 ** 25 * 0.48) / 1e6, 6);
    for (const machine of Object.values(MACHINES).filter(({ design }) => design.kind !== "roofline")) {
      const fitted = atArea(machine, budget, technology);
      expect(areaOf(fitted, technology)!.total).toBeLessThanOrEqual(budget);
      expect(areaOf(fitted, technology)!.total).toBeCloseTo(budget, 4);
    }
    expect(() => atArea(vary(machineOf("sieve"), "groups", 16), budget, technology)).toThrow(
      /sieve does not fit into 28\.\d+ mm2/,
    );
  });

  test("rankings are orders of energies, and flips the pairs that change", () => {
    const [, step, run] = steps[1]!;
    const { results } = compareMachines(step, run, { machines: Object.values(MACHINES), technology, area: "own" });
    const all = rankings(results, "backward", [technology]);
    expect(all).toHaveLength(3);
    const energies = all[0]!.machines.map((name) =>
      energyPJ(results.find(({ machine }) => machine.name === name)!, "backward", technology),
    );
    expect([...energies].sort((a, b) => a - b)).toEqual(energies);
    const made = (...machines: string[]) => ({
      technology: "t",
      bounds: { logic: "value", memory: "value" } as const,
      machines,
    });
    expect(flips([made("a", "b", "c"), made("b", "a", "c")])).toEqual([["a", "b"]]);
    expect(flips([made("a", "b"), made("a", "b")])).toEqual([]);
  });
});

test("what cannot be is refused: machines, areas, sweeps, sizes", () => {
  const sieve = machineOf("sieve");
  const refuse = (machine: Machine, message: RegExp) => expect(() => checkMachine(machine)).toThrow(message);
  refuse({ ...sieve, sources: [] }, /machine sieve has no source/);
  refuse({ ...sieve, clockGHz: -1 }, /clockGHz of machine sieve is -1/);
  refuse(
    { ...sieve, design: { ...(sieve.design as LanesDesign), lanes: 1.5 } },
    /lanes of machine sieve is 1\.5: give a whole/,
  );
  refuse({ ...sieve, design: { ...(sieve.design as LanesDesign), fifo: 8 } }, /fifo of machine sieve is 8/);
  refuse({ ...sieve, bankBytes: 2 ** 30 }, /bankBytes of machine sieve/);
  for (const text of ["speed=1", "lanes=", "sram=-1", "bandwidth=x"])
    expect(() => parseSweep(text)).toThrow(/cannot sweep/);
  expect(() => vary(sieve, "lanes", 1000)).toThrow(/a group of sieve has 256 multipliers/);
  const technology = technologyOf("horowitz-45");
  expect(() => checkTechnology({ ...technology, macPJ: { ...technology.macPJ, value: 1 } })).toThrow(
    /macPJ of technology horowitz-45/,
  );
  expect(() => checkTechnology({ ...technology, macPJ: { ...technology.macPJ, source: " " } })).toThrow(
    /has no source/,
  );
  const step = madeStep({ T: 2, B: 2, H: 4 }, 1);
  const huge = { ...step, sites: [{ ...step.sites[0]!, rows: 2 ** 28 }] };
  expect(() => simulateStep(huge, madeRun({ T: 2, B: 2, H: 4 }), sieve)).toThrow(/at most 2\^31 can be simulated/);
});

test("a fifth of a step of 3 x 256, T 100, B 50 on all machines takes less than 1 s of one core, a whole estimate 50 ms", () => {
  const random = new RandomStream(1, "speed");
  const word = () => Math.floor(random.uniform() * 2 ** 32);
  const step = (T: number): TraceStep => {
    const made = madeStep({ T, B: 50, H: 256, layers: 3, V: 100 }, 0);
    for (const { bitmap } of made.sites) for (let i = 0; i < bitmap.length; i++) bitmap[i] = word() & word() & word();
    return made;
  };
  const seconds = (work: () => void) => {
    const before = process.cpuUsage().user;
    work();
    return (process.cpuUsage().user - before) / 1e6;
  };
  const all = Object.values(MACHINES);
  const fifth = step(20);
  expect(countBits(fifth.sites[0]!.bitmap) / (1000 * 1024)).toBeCloseTo(1 / 8, 2);
  const run = madeRun({ T: 20, B: 50, H: 256, layers: 3 });
  expect(seconds(() => all.map((machine) => simulateStep(fifth, run, machine)))).toBeLessThan(1);
  const whole = step(100);
  estimateStep(whole, run, BASELINE); // warm
  for (const machine of all) expect(seconds(() => estimateStep(whole, run, machine))).toBeLessThan(0.05);
});

test("random zeros keep shapes and densities, and are the same for the same seed", () => {
  const [, step, run] = steps[0] as (typeof steps)[number];
  const made = withDensity(step, 0.25);
  for (const product of made.products) expect(skippedBy(made, product)).toBe(product.skipped);
  const { rows, cols, bitmap } = made.sites[0]!;
  const deviation = Math.sqrt((0.25 * 0.75) / (rows * cols));
  expect(Math.abs(countBits(bitmap) / (rows * cols) - 0.25)).toBeLessThan(5 * deviation);
  expect(withDensity(step, 0.25)).toEqual(made);
  expect(
    simulateStep(made, run, wide).backward.macsRedundant / made.products.reduce((sum, { skipped }) => sum + skipped, 0),
  ).toBe(1);
  expect(withDensity(step, 1).products.every(({ skipped }) => skipped === 0)).toBe(true);
});
