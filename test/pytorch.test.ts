/**
 * python/gatesieve.py, where Python and PyTorch are: its own tests, and its bits against those of engine native.
 */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { Arena } from "../src/core/arena.ts";
import { RandomStream } from "../src/core/random.ts";
import { cells } from "../src/nn/cells.ts";
import { Rows } from "../src/nn/module.ts";
import { RecurrentLayer } from "../src/nn/recurrent.ts";
import { hasNativeAddon, loadNativeEngine } from "../src/runs/native-addon.ts";
import { parsePolicy } from "../src/sparse/policies.ts";

const python = "/usr/bin/python3";
const env = { ...process.env, OMP_NUM_THREADS: "1" };
const file = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const here = hasNativeAddon() && spawnSync(python, ["-c", "import torch"], { stdio: "ignore" }).status === 0;
if (!here)
  console.warn(`gatesieve: ${python} has no torch here, or there is no C++ compiler: gatesieve.py is not tested.`);

describe.runIf(here)("gatesieve.py", () => {
  test("its own tests pass", () => {
    const { status, stderr } = spawnSync(python, [file("../python/test_gatesieve.py")], { env, encoding: "utf8" });
    expect(status, stderr).toBe(0);
    expect(stderr).toMatch(/Ran \d\d tests/);
  });

  // More rows than a piece of backward has, and a width that is no multiple of a vector.
  const shapes = [
    { T: 7, B: 3, I: 5, H: 9 },
    { T: 9, B: 40, I: 24, H: 64 },
    { T: 35, B: 30, I: 20, H: 257 }, // large enough for pieces of 1024 rows
  ];
  const policies = ["dense", "threshold:1e-3", "energy:0.95,o=0.9", "density:0.2", "stochastic:0.9"];
  const cases = (H: number) => {
    const lstm = (H > 64 ? ["density:0.2"] : policies).map((policy) => ["lstm", policy] as const);
    const gru = (H === 64 ? ["dense", "energy:0.95,n=0.9", "stochastic:0.9"] : []) // pieces too
      .map((policy) => ["gru", policy] as const);
    return [...lstm, ...gru];
  };
  for (const shape of shapes)
    test.each(cases(shape.H))(`bits of engine native, ${Object.values(shape)}, %s %s`, async (cell, policy) => {
      const { T, B, I, H } = shape;
      const layer = await nativeLayer(shape, cell, policy);
      const random = new RandomStream(5, "test");
      const draw = (length: number) => Array.from({ length }, () => Math.fround(random.normal()));
      const x = draw(T * B * I);
      const dy = [1, 2, 3].map(() => draw(T * B * H).map((g) => Math.fround(g / (T * B))));
      const input = JSON.stringify({ ...shape, cell, policy, seed: 3, x, dy, weights: layer.weights });
      const { stdout, stderr } = spawnSync(python, [file("pytorch_bits.py")], {
        env,
        input,
        encoding: "utf8",
        maxBuffer: 2 ** 30,
      });
      expect(stderr).toBe("");
      const theirs = JSON.parse(stdout);
      const ours = dy.map((gradient) => layer.step(x, gradient));
      let executed = 0;
      let skipped = 0;
      for (const [index, { macs, ...step }] of ours.entries()) {
        for (const [name, value] of Object.entries(step)) {
          const got = theirs.steps[index][name];
          // Plain comparisons: millions of expectations would take minutes.
          const flat = (numbers: object): number[] => Object.values(numbers).flatMap((v) => (v.length ? v : [v]));
          const [a, b] = [flat(got), flat(value)];
          expect(a.length).toBe(b.length);
          expect(a.findIndex((number, at) => number !== b[at])).toBe(-1);
        }
        executed += macs.executed;
        skipped += macs.skipped;
      }
      expect(theirs).toMatchObject({ skipped });
      // The engine runs gates of so few units dense on what the rule left, the library lists them: other work, the same bits.
      if (H > 16) expect(theirs).toMatchObject({ executed });
      if (policy !== "dense") expect(skipped).toBeGreaterThan(0);
    });
});

async function nativeLayer(
  { T, B, I, H }: Record<"T" | "B" | "I" | "H", number>,
  cell: "lstm" | "gru",
  policyText: string,
) {
  const arena = new Arena();
  const kernels = (await loadNativeEngine(1)).attach(arena);
  const input = new Rows(arena.tensor("x", [T * B, I], "batch"));
  const dy = new Rows(arena.tensor("dy", [T * B, H], "batch"));
  const options = { name: cell, index: 0, input, hiddenSize: H, forgetBias: 1, needsInputGradient: true };
  const layer = new RecurrentLayer({ arena, kernels, T, B, nt: true }, cells[cell], options);
  const [drop] = layer.sites as [(typeof layer.sites)[0]];
  const policy = parsePolicy(policyText).start({ site: drop.site, seed: 3, maxSteps: 3, arena });
  arena.allocate();
  layer.initialize(new RandomStream(4, "init"));
  const name = (parameter: string) => parameter.slice(cell.length + 1);
  let steps = 0;
  return {
    weights: Object.fromEntries(layer.parameters.map((p) => [name(p.name), [...p.value.data]])),
    step(x: number[], gradient: number[]) {
      input.tensor.data.set(x);
      dy.tensor.data.set(gradient);
      for (const state of layer.carried) state.data.fill(0);
      for (const p of layer.parameters) p.gradient.data.fill(0);
      for (const weight of layer.weights) kernels.pack(weight);
      const pass = { T, B, training: true, step: steps, seed: 0 };
      policy.plan(steps++, drop.rule);
      const output = layer.forward(input, pass);
      const y = [...output.tensor.data.subarray(B * H)];
      const dx = layer.backward(dy, pass) as Rows;
      policy.learn(drop.statistics);
      const sum = (key: "executed" | "skipped") =>
        layer.macs.filter((m) => m.direction === "backward").reduce((all, m) => all + m[key], 0);
      return {
        y,
        c: [...(layer.carried[1]?.data ?? [])],
        dx: [...dx.tensor.data],
        ...(policyText.startsWith("threshold") || policyText === "dense"
          ? {}
          : { tau: policy.save().slice(0, drop.site.groups.length) }),
        gradients: Object.fromEntries(layer.parameters.map((p) => [name(p.name), [...p.gradient.data]])),
        macs: { executed: sum("executed"), skipped: sum("skipped") },
      };
    },
  };
}
