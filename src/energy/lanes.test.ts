import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { RandomStream } from "../core/random.ts";
import { countBits } from "../sparse/trace.ts";
import { walkLanes } from "./lane-cycles.ts";
import type { LaneConfig, LaneRows } from "./lane-rows.ts";
import { simulateLanes } from "./lanes.ts";

const CONFIG: LaneConfig = { width: 16, fifo: 64, ports: 4, lanes: 16, queue: 8, owner: "column", steal: false };

/** Gradients of which a share `density` is not zero, independently. */
function uniform(rows: number, cols: number, density: number, block = rows, groups = 1, seed = 1): LaneRows {
  const random = new RandomStream(seed, "lanes");
  const stride = Math.ceil(cols / 32);
  const bitmap = new Uint32Array(rows * stride);
  for (let r = 0; r < rows; r++)
    for (let c = 0; c < cols; c++)
      if (random.uniform() < density) bitmap[r * stride + (c >> 5)]! |= (1 << (c & 31)) >>> 0;
  return { rows, cols, groups, block, bitmap };
}

const groups = fc.record({
  config: fc.record({
    width: fc.integer({ min: 1, max: 32 }),
    fifo: fc.integer({ min: 32, max: 80 }),
    ports: fc.integer({ min: 1, max: 9 }),
    lanes: fc.integer({ min: 1, max: 9 }),
    queue: fc.integer({ min: 1, max: 9 }),
    owner: fc.constantFrom<LaneConfig["owner"]>("column", "row"),
    steal: fc.boolean(),
  }),
  rows: fc
    .record({
      rows: fc.integer({ min: 1, max: 12 }),
      inGroup: fc.integer({ min: 1, max: 40 }),
      groups: fc.integer({ min: 1, max: 4 }),
      block: fc.integer({ min: 1, max: 12 }),
      density: fc.constantFrom(0, 0.02, 0.1, 0.5, 1),
      seed: fc.integer(),
    })
    .map(({ rows, inGroup, groups, block, density, seed }) =>
      uniform(rows, inGroup * groups, density, block, groups, seed),
    ),
  cost: fc.integer({ min: 1, max: 20 }),
});

describe("a lane group", () => {
  test("gives, without walking, what walking gives", () => {
    fc.assert(
      fc.property(groups, ({ config, rows, cost }) => {
        const { steal: _, ...rest } = config;
        const plain = { ...rest, steal: false };
        expect(simulateLanes(plain, rows, cost)).toEqual(walkLanes(plain, rows, cost));
      }),
      { numRuns: 400 },
    );
  });
  test("accounts for every cycle, also where lanes take from each other", () => {
    fc.assert(
      fc.property(groups, ({ config, rows, cost }) => {
        const { cycles, words, elements, stolen, unit, lanes, laneBusy, blocks } = simulateLanes(config, rows, cost);
        const sum = (values: Iterable<number>) => [...values].reduce((a, b) => a + b, 0);
        expect(sum(Object.values(unit))).toBe(cycles);
        expect(sum(Object.values(lanes))).toBe(cycles * config.lanes);
        expect([unit.scan, lanes.busy, sum(laneBusy)]).toEqual([words, elements * cost, elements * cost]);
        expect([elements, sum(blocks)]).toEqual([countBits(rows.bitmap), cycles]);
        if (!config.steal || config.lanes === 1) expect(stolen).toBe(0);
      }),
      { numRuns: 100 },
    );
  });
  test("without survivors takes a cycle a word and one more to empty itself", () => {
    expect(simulateLanes(CONFIG, uniform(50, 1024, 0, 50, 4), 16).cycles).toBe(50 * 64 + 1);
    expect(simulateLanes(CONFIG, uniform(50, 1024, 0, 10, 4), 16).cycles).toBe(50 * 64 + 5);
  });
  test("a word within a group is not one across two", () => {
    expect(simulateLanes(CONFIG, uniform(1, 40, 0, 1, 2), 1).words).toBe(4); // 20 columns: 16 and 4
    expect(simulateLanes(CONFIG, uniform(1, 40, 0, 1, 1), 1).words).toBe(3);
  });
  test("with everything kept is the dense machine, but for filling the first queue", () => {
    // 16 lanes and 16 cycles each: the first element of the last lane waits for its turn at four ports a cycle.
    const { cycles, unit, lanes } = simulateLanes(CONFIG, uniform(50, 1024, 1, 50, 4), 16);
    expect(cycles).toBe(50 * 1024 + 4 + 3);
    expect([lanes.busy, lanes.imbalance]).toEqual([50 * 1024 * 16, 8]); // the FIFO is full before all lanes have one
    expect(unit.backPressure).toBeGreaterThan(unit.scan);
  });
  test("one element goes through compare, FIFO and queue in a cycle each", () => {
    const rows = uniform(1, 16, 0);
    rows.bitmap[0] = 1 << 5;
    expect(simulateLanes(CONFIG, rows, 10)).toMatchObject({
      cycles: 4 + 10,
      elements: 1,
      lanes: { busy: 10, supply: 16, imbalance: 0, drain: 16 * 13 - 10 },
    });
  });
  test("where rows own, a barrier costs, and rows that the lanes do not divide", () => {
    const config: LaneConfig = { ...CONFIG, owner: "row" };
    const rows = uniform(48, 512, 0.05, 16, 4);
    const barriers = simulateLanes(config, rows, 16);
    expect(simulateLanes(config, { ...rows, block: 48 }, 16).cycles).toBeLessThan(barriers.cycles);
    expect(barriers.words).toBe(3 * 512);
    expect(simulateLanes(config, uniform(50, 512, 0, 50, 4), 16).words).toBe(4 * 512);
    expect(simulateLanes(config, uniform(48, 512, 1, 48, 4), 16).cycles).toBe(48 * 512 + 4 + 3);
  });
  test("deeper queues and taking from the neighbour even out what lies unevenly", () => {
    const rows = uniform(200, 512, 0.1, 200, 4);
    const at = (more: Partial<LaneConfig>) => simulateLanes({ ...CONFIG, ports: 16, ...more }, rows, 16).cycles;
    expect(at({ queue: 16 })).toBeLessThan(at({ queue: 2 }));
    expect(at({ queue: 2, steal: true })).toBeLessThan(at({ queue: 2 }));
  });
  test("sizes that make no sense are refused with what to do", () => {
    const rows = uniform(2, 16, 0.5);
    const message = (more: Partial<LaneConfig>, wrong: Partial<LaneRows> = {}, cost = 1) => {
      try {
        simulateLanes({ ...CONFIG, ...more }, { ...rows, ...wrong }, cost);
      } catch (error) {
        return (error as Error).message;
      }
      return "nothing";
    };
    expect(message({ lanes: 0 })).toMatch(/lanes .* 0: .* from 1/);
    expect(message({ width: 64, fifo: 64 })).toMatch(/at most 32/);
    expect(message({ fifo: 8 })).toMatch(/FIFO of 8 .* 16/);
    expect(message({}, { groups: 3 })).toMatch(/groups that divide/);
    expect(message({}, { rows: 3 })).toMatch(/expected 3 words/);
    expect(message({}, {}, 0.5)).toMatch(/cost .* 0.5/);
  });
});
