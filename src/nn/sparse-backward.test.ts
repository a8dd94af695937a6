/** The products on typed arrays are those of plain loops over what the rule left, on every engine of a page. */
import { expect, test } from "vitest";
import { RandomStream } from "../core/random.ts";
import { loadEngine } from "../kernels/engines.ts";
import { parsePolicy } from "../sparse/policies.ts";
import { SparseBackward } from "./sparse-backward.ts";

const [rows, inputs, outputs] = [37, 21, 24];
const options = { rows, inputs, outputs, groups: ["a", "b"] };

test.each(["js", "wasm"])("dx, dW and db on engine %s", async (name) => {
  const engine = await loadEngine(name);
  for (const policy of ["dense", "threshold:0.5", "energy:0.9", "stochastic:0.9", "topk:0.25", "columns:0.5"]) {
    const hook = new SparseBackward(engine, { ...options, policy: parsePolicy(policy) });
    const random = new RandomStream(1, "test");
    for (let step = 0; step < 2; step++) {
      for (const array of [hook.g, hook.x, hook.w]) for (let i = 0; i < array.length; i++) array[i] = random.normal();
      const share = hook.compress();
      expect(share).toBeCloseTo(hook.g.filter((g) => g !== 0).length / hook.g.length, 12);
      if (policy === "dense") expect(share).toBe(1);
      else if (step === 1) expect(share).toBeLessThan(0.9);
      expect(hook.sparsity.sparsity).toBeCloseTo(1 - share, 12);
      const executed = [hook.inputGradient(), hook.weightGradient()];
      for (const macs of executed) expect(macs).toBeGreaterThanOrEqual(Math.round(share * rows * outputs) * inputs);
      const [dx, dW, db] = expected(hook);
      for (const [got, wanted] of [
        [hook.dx, dx],
        [hook.dW, dW],
        [hook.db, db],
      ] as const)
        for (const [i, value] of wanted.entries()) expect(got[i]).toBeCloseTo(value, 4);
    }
  }
});

function expected({ g, x, w }: SparseBackward) {
  const dx = new Float64Array(rows * inputs);
  const dW = new Float64Array(outputs * inputs);
  const db = new Float64Array(outputs);
  for (let r = 0; r < rows; r++)
    for (let n = 0; n < outputs; n++) {
      db[n]! += g[r * outputs + n]!;
      for (let k = 0; k < inputs; k++) {
        dx[r * inputs + k]! += g[r * outputs + n]! * w[n * inputs + k]!;
        dW[n * inputs + k]! += g[r * outputs + n]! * x[r * inputs + k]!;
      }
    }
  return [dx, dW, db] as const;
}

test("what it cannot do is refused", async () => {
  const engine = await loadEngine("js");
  const make = (more: object, policy = "dense") => {
    const hook = new SparseBackward(engine, { ...options, ...more, policy: parsePolicy(policy) });
    return hook.compress();
  };
  expect(() => make({ rows: 0 })).toThrow("rows is 0");
  expect(() => make({ outputs: 25 })).toThrow("2 groups");
  expect(() => make({}, "auto")).toThrow("another, as energy:0.99");
  expect(() => make({}, "threshold:1,paths=dh")).toThrow("leave it out");
});
