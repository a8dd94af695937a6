/** One suite for every policy of the table: a new policy inherits it. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Arena } from "../core/arena.ts";
import { RandomStream } from "../core/random.ts";
import { jsEngine } from "../kernels/js.ts";
import { SparsityTally } from "./observation.ts";
import { parsePolicy, policies } from "./policies.ts";
import { dropRule } from "./rule.ts";
import { clearStatistics, planStatistics } from "./statistics.ts";

const SITE = { name: "lstm.l0", groups: ["i", "f", "g", "o"], rows: 160, cols: 64 };

/** A site under a policy, fed with log-normal gradients of a different scale per group. */
function bench(text: string, { scale = 1e-4, seed = 1 } = {}) {
  const arena = new Arena("f32");
  const kernels = jsEngine.attach(arena);
  const dense = arena.tensor("g", [SITE.rows, SITE.cols], "gateGradients");
  const pattern = kernels.planPattern(SITE, dense);
  const statistics = planStatistics(arena, SITE);
  arena.allocate();
  const rule = dropRule(SITE.groups.length);
  const policy = parsePolicy(text).start(SITE, 7);
  const random = new RandomStream(seed, "gradients");
  const tally = new SparsityTally([SITE]);
  let step = 0;
  const pass = () => {
    for (let i = 0; i < dense.length; i++) {
      const group = Math.floor((i % SITE.cols) / 16);
      dense.data[i] =
        random.uniform() < 0.25
          ? 0
          : scale * 10 ** group * Math.exp(2 * random.normal()) * (random.uniform() < 0.5 ? -1 : 1);
    }
    clearStatistics(statistics);
    policy.plan(step++, rule);
    const before = dense.data.slice();
    kernels.compress(pattern, 0, SITE.rows, rule, statistics);
    policy.learn(statistics);
    tally.clear();
    tally.add(0, statistics);
    return { before, after: dense.data.slice(), seen: tally.sites()[0]! };
  };
  return { pass, policy, rule, dense, statistics, random, plan: () => policy.plan(step, rule) };
}

const EXAMPLES = Object.entries(policies).map(([name, { argument }]) =>
  argument ? `${name}:${argument.default ?? argument.atMost}` : name,
);

describe.each(EXAMPLES)("policy %s", (text) => {
  test("its name is canonical and parses to itself", () => {
    const { name } = parsePolicy(text);
    expect(parsePolicy(name).name).toBe(name);
  });

  test("saved and loaded in the middle, it plans the same rules", () => {
    const original = bench(text);
    for (let i = 0; i < 3; i++) original.pass();
    const copy = parsePolicy(text).start(SITE, 7);
    copy.load(JSON.parse(JSON.stringify(original.policy.save())));
    const [a, b] = [dropRule(4), dropRule(4)];
    original.policy.plan(3, a);
    copy.plan(3, b);
    expect(b).toEqual(a);
  });

  test("two instances are independent of each other and of the order of sites", () => {
    const [a, b] = [bench(text), bench(text)];
    for (let i = 0; i < 3; i++) a.pass();
    for (let i = 0; i < 3; i++) b.pass();
    a.plan();
    b.plan();
    expect([...a.rule.tau]).toEqual([...b.rule.tau]);
  });

  test("NaN and infinity survive its rule", () => {
    const { pass, dense, rule, policy } = bench(text);
    for (let i = 0; i < 3; i++) pass();
    policy.plan(3, rule);
    const arena = new Arena("f32");
    const kernels = jsEngine.attach(arena);
    const g = arena.tensor("g", [1, SITE.cols], "gateGradients");
    const site = { ...SITE, rows: 1 };
    const pattern = kernels.planPattern(site, g);
    const statistics = planStatistics(arena, site);
    arena.allocate();
    for (let c = 0; c < SITE.cols; c += 2)
      g.data[c] = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY][c % 3]!;
    const expected = g.data.slice();
    kernels.compress(pattern, 0, 1, rule, statistics);
    expect(g.data).toEqual(expected);
    // and a policy that learns from them does not come to plan NaN
    policy.learn(statistics);
    policy.plan(4, rule);
    for (const tau of rule.tau) expect(tau).not.toBeNaN();
    expect(dense.length).toBeGreaterThan(0);
  });

  test("a site of zeros alone drops nothing it should not and plans finite thresholds", () => {
    const { pass, rule } = bench(text, { scale: 0 });
    for (let i = 0; i < 3; i++) {
      const { seen } = pass();
      expect(seen.sparsity).toBe(1);
      expect(seen.dropped).toBeCloseTo(0, 12);
    }
    for (const tau of rule.tau) expect(Number.isFinite(tau)).toBe(true);
  });
});

describe("what each policy promises", () => {
  test("dense keeps everything and counts natural zeros", () => {
    const { pass } = bench("dense");
    const { before, after, seen } = pass();
    expect(after).toEqual(before);
    expect(seen.naturalZeros).toBeCloseTo(before.filter((g: number) => g === 0).length / before.length, 12);
    expect(seen.dropped).toBe(0);
    expect(seen.energy).toBe(1);
  });

  test("threshold keeps exactly abs(g) > tau", () => {
    const { pass } = bench("threshold:1e-4");
    const { before, after } = pass();
    const tau = Math.fround(1e-4);
    for (let i = 0; i < before.length; i++) expect(after[i]).toBe(Math.abs(before[i]!) > tau ? before[i] : 0);
  });

  test("threshold:0 changes nothing", () => {
    const { pass } = bench("threshold:0");
    const { before, after } = pass();
    expect(after).toEqual(before);
  });

  test("relative keeps abs(g) > K rms, per group, whatever the scale", () => {
    for (const scale of [1e-12, 1]) {
      const { pass, rule, plan } = bench("relative:0.5", { scale });
      for (let i = 0; i < 30; i++) pass();
      plan();
      for (let group = 0; group < 4; group++)
        // log-normal with sigma 2, three in four nonzero: rms = scale sqrt(0.75) e^4, heavy-tailed
        expect(Math.log10(rule.tau[group]! / (0.5 * scale * 10 ** group * Math.sqrt(0.75) * Math.exp(4)))).toBeCloseTo(
          0,
          0,
        );
    }
  });

  test("density reaches the share it is asked for, per group", () => {
    fc.assert(
      fc.property(fc.double({ min: 0.02, max: 0.6, noNaN: true }), (share) => {
        const { pass } = bench(`density:${share}`);
        for (let i = 0; i < 20; i++) pass();
        const { seen } = pass();
        for (const group of seen.groups) expect(1 - group.sparsity).toBeCloseTo(share, 1);
      }),
      { numRuns: 8 },
    );
  });

  test("energy keeps the share of the squared norm it is asked for, and cosine is its root", () => {
    for (const rho of [0.9, 0.99]) {
      const { pass } = bench(`energy:${rho}`);
      for (let i = 0; i < 30; i++) pass();
      const { before, after, seen } = pass();
      for (const group of seen.groups) expect(group.energy).toBeGreaterThan(rho - (1 - rho) * 3);
      expect(seen.energy).toBeLessThan(1);
      expect(seen.dropped).toBeGreaterThan(0.2);
      let [dot, kept, all] = [0, 0, 0];
      for (let i = 0; i < before.length; i++) {
        dot += before[i]! * after[i]!;
        kept += after[i]! ** 2;
        all += before[i]! ** 2;
      }
      expect(dot / Math.sqrt(kept * all)).toBeCloseTo(Math.sqrt(seen.energy), 6);
    }
  });

  test("stochastic is unbiased", () => {
    const { pass, rule, plan } = bench("stochastic:0.9");
    for (let i = 0; i < 10; i++) pass();
    plan();
    const arena = new Arena("f32");
    const kernels = jsEngine.attach(arena);
    const site = { ...SITE, rows: 8 };
    const g = arena.tensor("g", [8, SITE.cols], "gateGradients");
    const pattern = kernels.planPattern(site, g);
    const statistics = planStatistics(arena, site);
    arena.allocate();
    const draws = 4000;
    const tau = rule.tau[0]!;
    let sum = 0;
    for (let draw = 0; draw < draws; draw++) {
      g.data.fill(tau * 0.3);
      rule.key = draw * 2654435761;
      kernels.compress(pattern, 0, 1, rule, statistics);
      sum += g.data[0]!;
    }
    // standard error of the mean: tau sqrt(.3 * .7 / draws)
    expect(Math.abs(sum / draws - 0.3 * tau)).toBeLessThan(4 * tau * Math.sqrt(0.21 / draws));
  });
});

describe("the parser", () => {
  test.each([
    ["energi:0.99", /unknown policy "energi".*did you mean "energy".*dense, threshold/],
    ["energy:2", /RHO must be a number from 0 to 1/],
    ["density:abc", /P must be a number/],
    ["threshold:-1", /TAU must be a number from 0/],
    ["threshold:", /TAU must be a number/],
    ["threshold:NaN", /TAU must be a number/],
    ["dense:1", /takes no argument/],
    ["", /unknown policy ""/],
  ])("refuses %j", (text, message) => {
    expect(() => parsePolicy(text)).toThrow(message);
  });

  test("prints numbers in their short form", () => {
    expect(parsePolicy("threshold:0.000001").name).toBe("threshold:1e-6");
    expect(parsePolicy("energy").name).toBe("energy:0.99");
    expect(parsePolicy("energy:.990").name).toBe("energy:0.99");
  });
});
