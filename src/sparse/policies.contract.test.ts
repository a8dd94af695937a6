/** One suite for every policy of the table: a new policy inherits it. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Arena, type RealArray } from "../core/arena.ts";
import { RandomStream } from "../core/random.ts";
import { jsEngine } from "../kernels/js.ts";
import { SparsityTally } from "./observation.ts";
import { parsePolicy, policies } from "./policies.ts";
import { dropRule } from "./rule.ts";
import { clearStatistics, planStatistics } from "./statistics.ts";

const SITE = { name: "lstm.l0", groups: ["i", "f", "g", "o"], rows: 160, cols: 64 };

interface Saved {
  numbers: number[];
  tensors: RealArray[];
  random: number[];
  step: number;
}

/** A site under a policy, fed with log-normal gradients of a different scale per group. */
function bench(text: string, { scale = 1e-4, seed = 1, maxSteps = 100 } = {}) {
  const arena = new Arena("f32");
  const kernels = jsEngine.attach(arena);
  const dense = arena.tensor("g", [SITE.rows, SITE.cols], "gateGradients");
  const pattern = kernels.planPattern(SITE, dense);
  const statistics = planStatistics(arena, SITE);
  const policy = parsePolicy(text).start({ site: SITE, seed: 7, maxSteps, arena });
  arena.allocate();
  const rule = dropRule(SITE.groups.length);
  const random = new RandomStream(seed, "gradients");
  const tally = new SparsityTally([SITE]);
  const run = {
    kernels,
    policy,
    rule,
    pattern,
    statistics,
    step: 0,
    fill() {
      for (let i = 0; i < dense.length; i++) {
        const group = Math.floor((i % SITE.cols) / 16);
        dense.data[i] =
          random.uniform() < 0.25
            ? 0
            : scale * 10 ** group * Math.exp(2 * random.normal()) * (random.uniform() < 0.5 ? -1 : 1);
      }
    },
    /** One backward pass, a time step of eight rows at a time. */
    pass() {
      run.fill();
      const before = dense.data.slice();
      clearStatistics(statistics);
      policy.plan(run.step++, rule);
      for (let row = SITE.rows - 8; row >= 0; row -= 8) kernels.compress(pattern, row, 8, rule, statistics);
      policy.learn(statistics);
      tally.clear();
      tally.add(0, statistics);
      return { before, after: dense.data.slice(), seen: tally.sites()[0]! };
    },
    plan: () => policy.plan(run.step, rule),
    save: (): Saved => ({
      numbers: JSON.parse(JSON.stringify(policy.save())) as number[],
      tensors: (policy.tensors ?? []).map(({ data }) => data.slice()),
      random: random.save(),
      step: run.step,
    }),
    load(state: Saved) {
      policy.load(state.numbers);
      for (const [index, { data }] of (policy.tensors ?? []).entries()) data.set(state.tensors[index]!);
      random.load(state.random);
      run.step = state.step;
    },
  };
  return run;
}

/** Every policy as it stands in the table, and with its options and combinators. */
const EXAMPLES = [
  ...Object.entries(policies).map(([name, { argument }]) =>
    argument ? `${name}:${argument.default ?? argument.atMost}` : name,
  ),
  "threshold:1e-5,o=1e-4",
  "relative:0.2,pooled",
  "density:0.2,pooled,paths=dW",
  "energy:0.9,i=0.5,o=0.999,bias=dense",
  "topk:0.2,unified,pooled",
  "block:0.2,size=5,pooled,paths=dh",
  "columns:0.3,unbiased,pooled",
  "rows:0.3,unbiased",
  "stochastic:0.9,o=0.99",
  "memory:0.1,decay=0.5",
  "warmup(2)+every(5)+cooldown(0.1)+energy:0.9",
  "ramp(0.9,0.1,8)+density",
];

describe.each(EXAMPLES)("policy %s", (text) => {
  test("its name is canonical and parses to itself", () => {
    const { name } = parsePolicy(text);
    expect(parsePolicy(name).name).toBe(name);
  });

  test("saved and loaded in the middle, it goes on bit for bit", () => {
    const original = bench(text, { maxSteps: 9 });
    for (let i = 0; i < 4; i++) original.pass();
    const copy = bench(text, { maxSteps: 9, seed: 99 });
    copy.load(original.save());
    for (let i = 0; i < 5; i++) {
      expect(copy.pass().after).toEqual(original.pass().after);
      expect([...copy.rule.tau]).toEqual([...original.rule.tau]);
      expect(copy.save()).toEqual(original.save());
    }
  });

  test("two instances are independent of each other and of the order of sites", () => {
    const [a, b] = [bench(text), bench(text)];
    for (let i = 0; i < 3; i++) a.pass();
    for (let i = 0; i < 3; i++) b.pass();
    a.plan();
    b.plan();
    expect([...a.rule.tau]).toEqual([...b.rule.tau]);
    expect({ ...a.rule, residue: 0, blocks: 0 }).toEqual({ ...b.rule, residue: 0, blocks: 0 });
  });

  test("NaN and infinity survive its rule, and it does not learn from them to plan NaN", () => {
    const { kernels, pass, plan, pattern, rule, policy, statistics, fill } = bench(text);
    for (let i = 0; i < 3; i++) pass();
    plan();
    fill();
    const g = pattern.dense.data;
    for (let i = 0; i < g.length; i += 7)
      g[i] = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY][i % 3]!;
    const before = g.slice();
    clearStatistics(statistics);
    for (let row = 0; row < SITE.rows; row += 8) kernels.compress(pattern, row, 8, rule, statistics);
    for (let i = 0; i < g.length; i += 7) expect(g[i]).toBe(before[i]);
    policy.learn(statistics);
    policy.plan(4, rule);
    for (const tau of rule.tau) expect(tau).not.toBeNaN();
    // and what it remembers of the step is finite
    for (const { data } of policy.tensors ?? []) expect(data.every(Number.isFinite)).toBe(true);
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

  test("stochastic plans a key of its own for each step", () => {
    const { pass, rule } = bench("stochastic:0.9");
    const keys = Array.from({ length: 10 }, () => {
      pass();
      return rule.key;
    });
    expect(new Set(keys).size).toBeGreaterThan(8); // the first pass keeps all and may leave the key as it was
  });

  test("pooled is one tau for all gates, and keeps the share over all of them together", () => {
    const { pass, rule } = bench("density:0.2,pooled");
    for (let i = 0; i < 20; i++) pass();
    const { seen } = pass();
    expect(new Set(rule.tau).size).toBe(1);
    expect(1 - seen.sparsity).toBeCloseTo(0.2, 1);
    // scales go up by ten from gate to gate
    const kept = seen.groups.map(({ sparsity }) => 1 - sparsity);
    expect(kept[3]).toBeGreaterThan(kept[0]! + 0.3);
  });

  test("a gate may have a budget of its own", () => {
    const { pass } = bench("density:0.1,o=0.5");
    for (let i = 0; i < 20; i++) pass();
    const kept = pass().seen.groups.map(({ sparsity }) => 1 - sparsity);
    for (const [group, share] of [0.1, 0.1, 0.1, 0.5].entries()) expect(kept[group]).toBeCloseTo(share, 1);
  });

  test("topk, columns, rows and random keep their share in every pass", () => {
    for (const text of ["topk:0.25", "topk:0.25,unified", "columns:0.25", "columns:0.25,pooled", "rows:0.25"]) {
      const { seen } = bench(text, { scale: 1 }).pass();
      const kept = (1 - seen.sparsity) / (1 - seen.naturalZeros);
      expect(kept).toBeGreaterThan(0.2);
      expect(kept).toBeLessThan(0.36); // of what is not zero, and zeros are chosen last
    }
    for (const text of ["random:0.25", "columns:0.25,unbiased", "rows:0.25,unbiased"]) {
      const run = bench(text, { scale: 1 });
      let kept = 0;
      for (let i = 0; i < 50; i++) {
        const { seen } = run.pass();
        kept += (1 - seen.sparsity) / (1 - seen.naturalZeros) / 50;
      }
      expect(kept).toBeCloseTo(0.25, 1);
    }
  });

  test("block reaches its share of blocks, per gate and pooled, and drops whole blocks", () => {
    for (const text of ["block:0.25,size=4", "block:0.25,size=4,pooled"]) {
      const run = bench(text);
      for (let i = 0; i < 20; i++) run.pass();
      let [kept, all] = [0, 0];
      const { before, after } = run.pass();
      for (let at = 0; at < after.length; at += 4) {
        const [here, was] = [[...after.subarray(at, at + 4)], [...before.subarray(at, at + 4)]];
        if (here.some((x) => x !== 0)) expect(here).toEqual(was);
        if (here.some((x) => x !== 0)) kept++;
        all++;
      }
      expect(kept / all).toBeCloseTo(0.25, 1);
    }
  });

  test("memory adds what it dropped at the next step in the same place, and then forgets it", () => {
    for (const decay of [1, 0.5]) {
      const run = bench(`memory:0.1,decay=${decay}`);
      let dropped = new Float32Array(SITE.rows * SITE.cols);
      run.pass(); // has seen nothing and keeps all
      for (let i = 0; i < 5; i++) {
        const { before, after } = run.pass();
        let count = 0;
        for (let at = 0; at < after.length; at++) {
          const sum = Math.fround(before[at]! + decay * dropped[at]!);
          if (after[at] !== 0) expect(after[at]).toBe(sum);
          else if (sum !== 0) count++;
          dropped[at] = after[at] === 0 ? sum : 0;
        }
        expect(count).toBeGreaterThan(1000);
        expect(run.policy.tensors![0]!.data).toEqual(dropped);
        dropped = dropped.slice();
      }
    }
  });
});

test("a site without the gate that was asked for names those it has", () => {
  expect(() => bench("energy:0.9,r=0.8")).toThrow(/site lstm.l0 has no gate "r". Its gates are i, f, g, o/);
});

describe("combinators", () => {
  const kinds = (text: string, maxSteps: number) => {
    const run = bench(text, { maxSteps });
    return Array.from({ length: maxSteps }, () => {
      run.pass();
      return run.rule.kind === "keep" ? "d" : "s";
    }).join("");
  };

  test.each([
    ["warmup(3)+threshold:1e-5", "dddsssssss"],
    ["warmup(0.25)+threshold:1e-5", "dddsssssss"], // 2.5 steps
    ["warmup(0)+threshold:1e-5", "ssssssssss"],
    ["cooldown(2)+threshold:1e-5", "ssssssssdd"],
    ["cooldown(0.3)+threshold:1e-5", "sssssssddd"],
    ["every(4)+threshold:1e-5", "sssdsssdss"],
    ["every(4)+warmup(2)+cooldown(1)+threshold:1e-5", "ddsdsssdsd"],
    ["warmup(3)+density:0.1", "dddsssssss"], // it learns meanwhile
    ["warmup(100)+density:0.1", "dddddddddd"],
  ])("%s: d dense, s sparse", (text, expected) => {
    expect(kinds(text, 10)).toBe(expected);
  });

  test("ramp moves the argument linearly, and gates with their own stay", () => {
    const shares = (text: string, steps: number) => {
      const run = bench(text, { maxSteps: steps });
      return Array.from({ length: steps }, () => {
        run.pass();
        return [run.rule.share[0]!, run.rule.share[3]!];
      });
    };
    const close = (got: number[], wanted: number[]) => {
      for (const [i, x] of wanted.entries()) expect(got[i]).toBeCloseTo(x, 12);
    };
    close(
      shares("ramp(1,0.2,4)+topk:o=0.5", 6).map(([i]) => i!),
      [1, 0.8, 0.6, 0.4, 0.2, 0.2],
    );
    close(
      shares("ramp(1,0.2,0.5)+topk:o=0.5", 8).map(([i]) => i!),
      [1, 0.8, 0.6, 0.4, 0.2, 0.2, 0.2, 0.2],
    );
    close(
      shares("ramp(0.1,0.9)+topk", 5).map(([i]) => i!),
      [0.1, 0.3, 0.5, 0.7, 0.9],
    );
    close(
      shares("ramp(1,0.2,4)+topk:o=0.5", 6).map(([, o]) => o!),
      [0.5, 0.5, 0.5, 0.5, 0.5, 0.5],
    );
    close(
      shares("ramp(1,0.2,0)+topk", 3).map(([i]) => i!),
      [0.2, 0.2, 0.2],
    );
  });

  test("a steered policy follows a ramp", () => {
    const run = bench("ramp(0.8,0.1,20)+density", { maxSteps: 60 });
    const kept = Array.from({ length: 60 }, () => 1 - run.pass().seen.sparsity);
    expect(kept[5]).toBeGreaterThan(0.4);
    expect(kept[59]).toBeCloseTo(0.1, 1);
  });
});
