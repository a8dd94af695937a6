/** Rules against their definitions, each written down a second time in the plainest way. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Arena } from "../core/arena.ts";
import { RandomStream } from "../core/random.ts";
import { applyRule } from "./apply.ts";
import { planPattern } from "./pattern.ts";
import { type DropRule, dropRule } from "./rule.ts";

const GROUPS = ["i", "f", "g", "o"];

type Settings = Partial<Omit<DropRule, "tau" | "share">> & { tau?: number; share?: number | number[] };

/** A site's rows under a rule; `apply(values)` gives what the rule leaves of them. */
function bench(
  rows: number,
  width: number,
  { tau = 0, share = 0, ...settings }: Settings,
  real: "f32" | "f64" = "f32",
) {
  const arena = new Arena(real);
  const site = { name: "site", groups: GROUPS, rows, cols: GROUPS.length * width };
  const dense = arena.tensor("g", [rows, site.cols], "gateGradients");
  const pattern = planPattern(arena, site, dense);
  arena.allocate();
  const rule = Object.assign(dropRule(4), settings);
  rule.tau.fill(tau);
  rule.share.set(typeof share === "number" ? [share, share, share, share] : share);
  const apply = (values: ArrayLike<number>, row = 0, count = rows) => {
    dense.data.set(values);
    applyRule(rule, pattern, row, count);
    return [...dense.data];
  };
  return { apply, rule, cols: site.cols };
}

function gradients(length: number, seed: number): Float32Array {
  const random = new RandomStream(seed, "gradients");
  return Float32Array.from({ length }, () => random.normal() * Math.exp(random.normal()));
}

const norm = (values: readonly number[]) => Math.sqrt(values.reduce((sum, x) => sum + x * x, 0));
const count = (share: number, n: number) => (share > 0 ? Math.max(1, Math.round(share * n)) : 0);
/** Numbers of the `k` largest, of equal ones the first. */
const largest = (values: readonly number[], k: number) =>
  new Set(
    values
      .map((value, index) => ({ value, index }))
      .sort((a, b) => b.value - a.value || a.index - b.index)
      .slice(0, k)
      .map(({ index }) => index),
  );

const shapes = fc.record({
  rows: fc.integer({ min: 1, max: 7 }),
  width: fc.integer({ min: 1, max: 12 }),
  share: fc.double({ min: 0, max: 1, noNaN: true }),
  seed: fc.nat(1000),
  // Few different values: ties are common.
  coarse: fc.boolean(),
});

function example({ rows, width, seed, coarse }: { rows: number; width: number; seed: number; coarse: boolean }) {
  const values = gradients(rows * width * 4, seed);
  return coarse ? values.map((x) => Math.round(x)) : values;
}

describe("the largest", () => {
  test("topk keeps them in each row and group, or, pooled, in each row", () => {
    fc.assert(
      fc.property(shapes, fc.boolean(), (shape, pooled) => {
        const { rows, width, share } = shape;
        const values = example(shape);
        const { apply, cols } = bench(rows, width, { kind: "topk", share, pooled });
        const after = apply(values);
        const part = pooled ? cols : width;
        for (let start = 0; start < values.length; start += part) {
          const here = [...values.subarray(start, start + part)];
          const kept = largest(here.map(Math.abs), count(share, part));
          expect(after.slice(start, start + part)).toEqual(here.map((x, c) => (kept.has(c) ? x : 0)));
        }
      }),
    );
  });

  const byColumn: [name: string, settings: Settings, score: (column: readonly number[]) => number][] = [
    ["columns keeps columns by norm", { kind: "columns" }, norm],
    ["unified topk keeps columns by the sum of magnitudes", { kind: "topk", unified: true }, (column) => column.reduce((sum, x) => sum + Math.abs(x), 0)], // biome-ignore format: one case, one line
  ];
  test.each(byColumn)("%s, over the rows of one call", (_, settings, score) => {
    fc.assert(
      fc.property(shapes, fc.boolean(), (shape, pooled) => {
        const { rows, width, share } = shape;
        const values = example(shape);
        const { apply, cols } = bench(rows, width, { ...settings, share, pooled });
        const after = apply(values);
        const column = (c: number) => Array.from({ length: rows }, (_, r) => values[r * cols + c] as number);
        const part = pooled ? cols : width;
        for (let from = 0; from < cols; from += part) {
          const scores = Array.from({ length: part }, (_, c) => score(column(from + c)));
          const kept = largest(scores, count(share, part));
          for (let r = 0; r < rows; r++)
            for (let c = 0; c < part; c++) {
              const at = r * cols + from + c;
              expect(after[at]).toBe(kept.has(c) ? values[at] : 0);
            }
        }
      }),
    );
  });

  test("rows keeps whole rows by norm, over all groups", () => {
    fc.assert(
      fc.property(shapes, (shape) => {
        const { rows, width, share } = shape;
        const values = example(shape);
        const { apply, cols } = bench(rows, width, { kind: "rows", share });
        const after = apply(values);
        const row = (r: number) => [...values.subarray(r * cols, (r + 1) * cols)];
        const norms = Array.from({ length: rows }, (_, r) => norm(row(r)));
        const kept = largest(norms, count(share, rows));
        for (let r = 0; r < rows; r++)
          expect(after.slice(r * cols, (r + 1) * cols)).toEqual(kept.has(r) ? row(r) : row(r).map(() => 0));
      }),
    );
  });

  test("each group has a share of its own", () => {
    const { apply } = bench(5, 10, { kind: "topk", share: [0.1, 0.5, 0, 1] });
    const after = apply(gradients(200, 4));
    for (let start = 0; start < 200; start += 10)
      expect(after.slice(start, start + 10).filter((x) => x !== 0)).toHaveLength([1, 5, 0, 10][(start / 10) % 4]!);
  });

  test("only the rows of the call are compared and changed", () => {
    const values = gradients(6 * 12, 5);
    const { apply } = bench(6, 3, { kind: "rows", share: 0.5 });
    const after = apply(values, 2, 2);
    for (const r of [0, 1, 4, 5])
      expect(after.slice(r * 12, (r + 1) * 12)).toEqual([...values.subarray(r * 12, (r + 1) * 12)]);
    const dropped = [2, 3].filter((r) => after.slice(r * 12, (r + 1) * 12).every((x) => x === 0));
    expect(dropped).toHaveLength(1);
  });
});

test("block drops pieces of a group whose root mean square is at most tau; the last one may be shorter", () => {
  fc.assert(
    fc.property(
      shapes,
      fc.integer({ min: 1, max: 5 }),
      fc.double({ min: 0, max: 3, noNaN: true }),
      (shape, size, tau) => {
        const { rows, width } = shape;
        const values = example(shape);
        const { apply } = bench(rows, width, { kind: "block", size, tau });
        const after = apply(values);
        for (let start = 0; start < values.length; start += width)
          for (let c = 0; c < width; c += size) {
            const [from, to] = [start + c, start + Math.min(c + size, width)];
            const here = [...values.subarray(from, to)];
            const kept = norm(here) / Math.sqrt(here.length) > Math.fround(tau);
            // Where a sum of squares rounds the other way the test would be wrong, not the rule.
            if (Math.abs(norm(here) / Math.sqrt(here.length) - tau) < 1e-6) continue;
            expect(after.slice(from, to)).toEqual(kept ? here : here.map(() => 0));
          }
      },
    ),
  );
});

test("in float64 tau is not rounded", () => {
  const tau = 0.1;
  const just = Math.fround(tau); // larger than 0.1
  for (const kind of ["threshold", "block"] as const) {
    expect(bench(1, 1, { kind, tau }, "f64").apply([just, tau, -just, -tau])).toEqual([just, 0, -just, 0]);
    expect(bench(1, 1, { kind, tau }, "f32").apply([just, just, -just, -just])).toEqual([0, 0, 0, 0]);
  }
});

describe("what is not finite", () => {
  const variants: Settings[] = [
    { kind: "random" },
    { kind: "topk" },
    { kind: "topk", pooled: true },
    { kind: "topk", unified: true },
    { kind: "columns" },
    { kind: "columns", unbiased: true },
    { kind: "columns", pooled: true, unbiased: true },
    { kind: "rows" },
    { kind: "rows", unbiased: true },
    { kind: "block", size: 3, tau: 1e30 },
  ];
  test.each(variants)("survives %j, and takes nothing from the share of the others", (settings) => {
    const { apply, cols } = bench(6, 8, { share: 0.5, ...settings });
    for (const odd of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
      const values = gradients(6 * 32, 6);
      const places = [0, 33, 95, 6 * 32 - 1];
      for (const at of places) values[at] = odd;
      const after = apply(values);
      for (const at of places) expect(after[at]).toBe(odd);
      for (let i = 0; i < after.length; i++) if (Number.isFinite(values[i]!)) expect(after[i]).not.toBeNaN();
      if (settings.kind === "topk" && !settings.unified && !settings.pooled)
        for (let start = 0; start < after.length; start += 8) {
          const finite = [...values.subarray(start, start + 8)].filter(Number.isFinite).length;
          const left = after.slice(start, start + 8).filter((x) => x !== 0 && Number.isFinite(x));
          expect(left).toHaveLength(Math.min(4, finite));
        }
    }
    expect(cols).toBe(32);
  });

  test("a share of 0 keeps nothing else", () => {
    for (const settings of variants.filter(({ kind }) => kind !== "block"))
      expect(
        bench(6, 8, { ...settings, share: 0 })
          .apply(gradients(192, 7))
          .every((x) => x === 0),
      ).toBe(true);
  });

  test("zeros stay zeros, and a share of 1 keeps everything as it is", () => {
    for (const settings of variants.filter(({ kind }) => kind !== "block")) {
      const { apply } = bench(6, 8, { ...settings, share: 1 });
      expect(apply(new Float32Array(192))).toEqual([...new Float32Array(192)]);
      const values = gradients(192, 8);
      values.fill(0, 40, 64); // a whole row
      const after = apply(values);
      for (let i = 0; i < 192; i++) expect(after[i]).toBeCloseTo(values[i]!, 5);
      expect(after.slice(40, 64).every((x) => x === 0)).toBe(true);
    }
  });
});

describe("unbiased rules", () => {
  const variants: Settings[] = [
    { kind: "random", share: [0.1, 0.3, 0.5, 0.9] },
    { kind: "columns", unbiased: true, share: [0.1, 0.3, 0.5, 0.9] },
    { kind: "columns", unbiased: true, pooled: true, share: 0.3 },
    { kind: "rows", unbiased: true, share: 0.4 },
  ];
  /**
   * The mean of n independent draws lies within 4.5 standard errors of its expectation; an element kept
   * with probability p and scaled by 1/p has variance g^2 (1/p - 1). p is counted, and the smallest p of
   * these shapes is about 0.005.
   */
  test.each(variants)(
    "%j: over many keys the mean is the dense gradient, and the share is what was asked for",
    (settings) => {
      const [rows, width, draws] = [6, 8, 6000];
      const { apply, rule, cols } = bench(rows, width, settings);
      const values = gradients(rows * cols, 9);
      const sums = new Float64Array(values.length);
      const kept = new Float64Array(values.length);
      for (let draw = 0; draw < draws; draw++) {
        rule.key = Math.imul(draw, 0x9e3779b1);
        const after = apply(values);
        for (let i = 0; i < after.length; i++) {
          sums[i]! += after[i]!;
          if (after[i] !== 0) kept[i]!++;
        }
      }
      for (let i = 0; i < values.length; i++) {
        const p = Math.max(kept[i]! / draws, 0.002);
        const error = Math.abs(values[i]!) * Math.sqrt((1 / p - 1) / draws);
        expect(Math.abs(sums[i]! / draws - values[i]!)).toBeLessThanOrEqual(4.5 * error + 1e-5 * Math.abs(values[i]!));
      }
      const part = settings.pooled || settings.kind === "rows" ? cols : width;
      for (let from = 0; from < cols; from += part) {
        let lines = 0;
        for (let r = 0; r < rows; r++)
          for (let c = from; c < from + part; c++) lines += kept[r * cols + c]! / draws / (rows * part);
        expect(lines).toBeCloseTo(rule.share[from / part]!, 1);
      }
    },
  );

  test("p is proportional to the norm where that is below 1, and 1 above", () => {
    const [rows, width, draws] = [1, 8, 20000];
    const { apply, rule } = bench(rows, width, { kind: "columns", unbiased: true, share: 0.5 });
    const values = new Float32Array(32);
    values.set([100, 4, 2, 2, 1, 1, 0, 0]); // 4 of 8 kept: the first surely, 3 of the others in proportion to 4 2 2 1 1
    const kept = new Float64Array(8);
    let scaled = 0;
    for (let draw = 0; draw < draws; draw++) {
      rule.key = Math.imul(draw, 0x9e3779b1);
      const after = apply(values);
      for (let c = 0; c < 8; c++) if (after[c] !== 0) kept[c]!++;
      expect(after[0]).toBe(100);
      if (after[2] !== 0) scaled = after[2]!;
    }
    // Sum p = 3 over (4, 2, 2, 1, 1): 0.3 each would give 4 a p of 1.2, so it is 1, and 2 remain for the rest: 1/3 each.
    const expected = [1, 1, 2 / 3, 2 / 3, 1 / 3, 1 / 3, 0, 0];
    for (let c = 0; c < 8; c++) expect(Math.abs(kept[c]! / draws - expected[c]!)).toBeLessThan(0.015);
    expect(scaled).toBeCloseTo(3, 5);
  });

  test("draws differ from time step to time step", () => {
    for (const settings of variants) {
      const { apply, cols } = bench(40, 8, settings);
      const values = new Float32Array(40 * cols).fill(0.5);
      const patterns = new Set<string>();
      for (let row = 0; row < 40; row += 4)
        patterns.add(
          apply(values, row, 4)
            .slice(row * cols, (row + 4) * cols)
            .map((x) => (x === 0 ? 0 : 1))
            .join(""),
        );
      expect(patterns.size).toBeGreaterThan(4);
    }
  });
});
