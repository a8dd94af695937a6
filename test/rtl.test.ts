/** The hardware in rtl/, run by Verilator, against the model in src/energy: every cycle, every count, every bit of the results. */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { Arena } from "../src/core/arena.ts";
import { RandomStream } from "../src/core/random.ts";
import { walkLanes } from "../src/energy/lane-cycles.ts";
import { type LaneConfig, type LaneRows, simulateLanes } from "../src/energy/lanes.ts";
import { readTrace } from "../src/runs/trace-file.ts";
import { applyRule } from "../src/sparse/apply.ts";
import { planPattern } from "../src/sparse/pattern.ts";
import { dropRule } from "../src/sparse/rule.ts";
import {
  type Build,
  buildPack,
  buildSieve,
  EVENTS,
  eachWord,
  hasVerilator,
  hasYosys,
  runSieve,
  type Work,
} from "./rtl.ts";

if (!hasVerilator)
  console.warn(
    "gatesieve: no verilator: the hardware in rtl/ is left out. Install it (Debian: apt-get install verilator).",
  );

/** As rtl/README.md describes it, with one multiplier a lane: how many there are does not touch the timing. */
const USUAL: Build = {
  config: { width: 16, fifo: 64, ports: 4, lanes: 16, queue: 8, owner: "column", steal: false },
  multipliers: 1,
  stochastic: false,
};
/** All sizes at or near their least, two multipliers, and the rule "stochastic". */
const LEAST: Build = {
  config: { width: 4, fifo: 8, ports: 1, lanes: 2, queue: 1, owner: "column", steal: false },
  multipliers: 2,
  stochastic: true,
};

const TINY = 2 ** -126;
/** As the hardware has them: too small to be normal is zero. */
const flush = (x: number) => (Math.abs(x) < TINY ? (x < 0 || Object.is(x, -0) ? -0 : 0) : x);
const multiply = (a: number, b: number) => Math.fround(flush(flush(a) * flush(b)));
const add = (a: number, b: number) => Math.fround(flush(flush(a) + flush(b))); // float64 rounds a sum of float32 only where float32 does
const float = new Float32Array(1);
const word = new Uint32Array(float.buffer);
const bitsOf = (x: number) => {
  float[0] = x;
  return Number.isNaN(x) ? 0x7fc00000 : (word[0] as number);
};

/** Also NaN, infinities, and numbers whose products and sums are too large or too small. */
function oddFloat(random: RandomStream): number {
  const kind = random.below(4);
  word[0] = random.next();
  if (kind === 0) return Number.isNaN(float[0]) ? Number.NaN : (float[0] as number);
  return random.normal() * (kind === 1 ? 2 ** -126 : 1);
}

/** What the rule leaves, by the library's own definition; and where, as a bitmap. */
function prune({ rows, values, tau, key }: Pick<Work, "rows" | "values" | "tau" | "key">): {
  left: Float32Array;
  bitmap: Uint32Array;
} {
  const arena = new Arena("f32");
  const groups = Array.from({ length: rows.groups }, (_, i) => `g${i}`);
  const site = { name: "site", groups, rows: rows.rows, cols: rows.cols };
  const dense = arena.tensor("g", [rows.rows, rows.cols], "gateGradients");
  const pattern = planPattern(arena, site, dense);
  arena.allocate();
  dense.data.set(values);
  const rule = Object.assign(dropRule(rows.groups), {
    kind: key === undefined ? "threshold" : "stochastic",
    key: key ?? 0,
  });
  rule.tau.set(tau);
  applyRule(rule, pattern, 0, rows.rows);
  const left = Float32Array.from(dense.data);
  const stride = Math.ceil(rows.cols / 32);
  const bitmap = new Uint32Array(rows.rows * stride);
  for (let r = 0; r < rows.rows; r++)
    for (let c = 0; c < rows.cols; c++)
      if (left[r * rows.cols + c] !== 0) (bitmap[r * stride + (c >> 5)] as number) |= 1 << (c & 31);
  return { left, bitmap };
}

/** Runs hardware and model over the same work and compares all there is. `bitmap`: what must be left, if it is known. */
function compare(
  program: string,
  build: Build,
  owner: LaneConfig["owner"],
  work: Omit<Work, "operands" | "initial">,
  seed = 1,
  odd = false,
) {
  const config: LaneConfig = { ...build.config, owner };
  const { values, cost } = work;
  const { left, bitmap } = prune(work);
  const rows: LaneRows = { ...work.rows, bitmap };
  const N = cost * build.multipliers;
  const random = new RandomStream(seed, "rtl");
  const normal = (length: number) => Float32Array.from({ length }, () => (odd ? oddFloat(random) : random.normal()));
  const block = Math.min(rows.block, rows.rows);
  const operands = normal((owner === "row" ? rows.cols : rows.rows) * N);
  const initial = normal((owner === "row" ? block : rows.cols) * N);
  const happened = runSieve(program, { ...build, config }, { ...work, rows, values, operands, initial });

  const expected: number[] = [];
  const packs: number[] = [];
  const results: number[] = [];
  let result = Float32Array.from(initial);
  eachWord(config, rows, (scan, k, first, last) => {
    packs.push(scan.bits[k] as number);
    for (let i = 0; i < config.width; i++) {
      if (!(((scan.bits[k] as number) >>> i) & 1)) continue;
      const row = (scan.row[k] as number) + (owner === "row" ? i : 0);
      const col = (scan.col[k] as number) + (owner === "row" ? 0 : i);
      const [from, to] = owner === "row" ? [col, row - first] : [row, col];
      const g = left[row * rows.cols + col] as number;
      for (let n = 0; n < N; n++) {
        const at = to * N + n;
        result[at] = add(multiply(g, operands[from * N + n] as number), result[at] as number);
      }
    }
    if (last) {
      for (const x of result) results.push(bitsOf(x));
      result = Float32Array.from(initial);
    }
  });
  // A word's bitmap comes out in the cycle in which it is packed: the one held at the cycle's beginning, if it goes.
  let held = -1;
  let next = 0;
  const cycles = walkLanes(config, rows, cost, ({ cycle, accepted, packed, goes, dispatched, taken, busy }) => {
    const bits = goes ? (packs[held] as number) : 0;
    if (goes) held = -1;
    if (accepted) held = next++;
    const mask = (lanes: Uint8Array) => lanes.reduce((sum, x, lane) => sum + (x ? 2 ** lane : 0), 0);
    const begins = cycle === 0 && expected.length > 0 ? 1 : 0;
    expected.push(accepted ? 1 : 0, packed, dispatched, mask(taken), mask(busy), bits, begins);
  });

  const size = EVENTS.length;
  for (let at = 0; at < Math.max(expected.length, happened.events.length); at++)
    if (expected[at] !== happened.events[at])
      expect.fail(
        `cycle ${Math.floor(at / size)}, ${EVENTS[at % size]}: the hardware has ${happened.events[at]}, the model ${expected[at]}`,
      );
  expect(simulateLanes(config, rows, cost)).toEqual(cycles);
  expect(happened.blocks).toBe(cycles.blocks.length);
  expect(happened.results.length).toBe(results.length);
  const wrong = results.findIndex((x, at) => x !== happened.results[at]);
  if (wrong >= 0)
    expect.fail(
      `result ${wrong}: the hardware has ${happened.results[wrong]?.toString(16)}, the model ${results[wrong]?.toString(16)}`,
    );
  return cycles;
}

/** Gradients of which the threshold leaves just what the bitmap has: above tau; and below, at and at zero. */
function gradientsOf({ rows, cols, groups, bitmap }: LaneRows, tau: Float32Array): Float32Array {
  const random = new RandomStream(1, "gradients");
  const stride = Math.ceil(cols / 32);
  return Float32Array.from({ length: rows * cols }, (_, at) => {
    const col = at % cols;
    const limit = tau[Math.floor((col * groups) / cols)] as number;
    const kept = ((bitmap[Math.floor(at / cols) * stride + (col >> 5)] as number) >>> (col & 31)) & 1;
    const size = kept
      ? limit * Math.exp(0.001 + 2 * Math.abs(random.normal()))
      : limit * [0, 1, random.uniform()][random.below(3)]!;
    return random.uniform() < 0.5 ? -size : size;
  });
}

test.skipIf(!hasYosys)("its area is what was written", () => {
  const area = fileURLToPath(new URL("../rtl/area.mjs", import.meta.url));
  const { status, stderr } = spawnSync(process.execPath, [area, "--check", "compare,pack,queue"], { encoding: "utf8" });
  expect([status, stderr]).toEqual([0, ""]);
});

describe.skipIf(!hasVerilator)("the hardware", () => {
  let usual: string;
  let least: string;
  beforeAll(() => {
    usual = buildSieve(USUAL);
    least = buildSieve(LEAST);
  }, 600_000); // seconds on an idle machine, and the first time only

  test("packs every pattern of 16 bits", () => {
    const { status, stdout } = spawnSync(buildPack(), { encoding: "utf8" });
    expect([status, stdout]).toEqual([0, `${2 * 2 ** 16} patterns\n`]);
  });

  const path = fileURLToPath(new URL("golden/rtl.trace", import.meta.url));
  const { run, steps } = readTrace(path);
  test.each(
    steps.flatMap(({ sites }) =>
      sites.flatMap((site) => (["column", "row"] as const).map((owner) => ({ site, owner }))),
    ),
  )("equals the model on a trace: $site.name, $site.rule, a lane owns a $owner", ({ site, owner }) => {
    const groups = site.groups.length;
    const block = owner === "row" ? run.batchSize : site.rows;
    const tau = Float32Array.from(site.groups, ({ tau }) => tau ?? 0);
    const rows = { ...site, groups, block };
    const values = gradientsOf(rows, tau);
    expect(prune({ rows, values, tau }).bitmap).toEqual(site.bitmap);
    const { elements } = compare(usual, USUAL, owner, { rows, values, tau, cost: 16 });
    expect(elements).toBe(site.groups.reduce((sum, { kept }) => sum + kept, 0));
  });

  const cases = fc.record({
    rows: fc.integer({ min: 1, max: 40 }),
    inGroup: fc.integer({ min: 1, max: 40 }),
    groups: fc.integer({ min: 1, max: 4 }),
    block: fc.integer({ min: 1, max: 40 }),
    /** Of values above tau. */
    share: fc.constantFrom(0, 0.02, 0.2, 0.6, 1),
    owner: fc.constantFrom<LaneConfig["owner"]>("column", "row"),
    cost: fc.integer({ min: 1, max: 20 }),
    key: fc.option(fc.integer({ min: 0, max: 2 ** 32 - 1 }), { nil: undefined }),
    /** Also NaN, infinities, subnormal numbers. */
    odd: fc.boolean(),
    seed: fc.nat(),
  });
  test.each(["usual", "least"] as const)("equals the model on patterns drawn at random, sizes %s", (which) => {
    const [build, program] = which === "usual" ? [USUAL, usual] : [LEAST, least];
    fc.assert(
      fc.property(cases, ({ rows, inGroup, groups, block, share, owner, cost, key, odd, seed }) => {
        const random = new RandomStream(seed, "case");
        const tau = Float32Array.from({ length: groups }, () => Math.exp(random.normal() * 3 - 8));
        const cols = inGroup * groups;
        const values = Float32Array.from({ length: rows * cols }, (_, at) => {
          word[0] = random.next();
          if (odd && random.uniform() < 0.2) return float[0] as number;
          const size = (tau[Math.floor((at % cols) / inGroup)] as number) * random.uniform();
          return (random.uniform() < share ? size * 1e3 + 1e-3 : size) * (random.uniform() < 0.5 ? -1 : 1);
        });
        const draws = build.stochastic ? key : undefined;
        const shape = { rows, cols, groups, block, bitmap: new Uint32Array(0) };
        compare(
          program,
          build,
          owner,
          { rows: shape, values, tau, cost, ...(draws === undefined ? {} : { key: draws }) },
          seed,
          odd,
        );
      }),
      { numRuns: 40 },
    );
  });
});
