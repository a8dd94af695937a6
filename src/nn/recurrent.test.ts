/** The seam: identities that hold whatever the numbers are. */
import { describe, expect, test } from "vitest";
import { jsEngine } from "../kernels/js.ts";
import { macShares } from "../sparse/macs.ts";
import type { Model, ModelSpec } from "./model.ts";
import { filledModel, gradients, LANGUAGE_MODEL } from "./testing.ts";

const SPEC: ModelSpec = { ...LANGUAGE_MODEL, numLayers: 2, hiddenSize: 6 };
const SHAPE = { T: 5, B: 3 };

function setRule(model: Model, kind: "keep" | "threshold", tau = 0): void {
  for (const { rule } of model.sites) {
    rule.kind = kind;
    rule.tau.fill(tau);
  }
}

test("threshold:0 is dense, bit for bit", () => {
  const model = filledModel(jsEngine, SPEC, SHAPE);
  const dense = gradients(model);
  setRule(model, "threshold", 0);
  expect(gradients(model)).toEqual(dense);
});

test("a threshold above everything leaves the head's gradients alone", () => {
  const model = filledModel(jsEngine, SPEC, SHAPE);
  const dense = gradients(model);
  setRule(model, "threshold", 1e9);
  const sparse = gradients(model);
  for (const [index, { name }] of model.parameters.entries()) {
    if (name.startsWith("head")) expect(sparse[index]).toEqual(dense[index]);
    else expect(sparse[index]!.every((g) => g === 0)).toBe(true);
  }
});

test("both biases of a pair have the same gradient", () => {
  const model = filledModel(jsEngine, SPEC, SHAPE);
  gradients(model);
  const byName = Object.fromEntries(model.parameters.map(({ name, gradient }) => [name, [...gradient.data]]));
  expect(byName["lstm.bias_ih_l1"]).toEqual(byName["lstm.bias_hh_l1"]);
  expect(byName["lstm.bias_ih_l1"]!.some((g) => g !== 0)).toBe(true);
});

test("a smaller pass than planned gives what a model of that size gives", () => {
  const small = filledModel(jsEngine, SPEC, { T: 3, B: 2 });
  const large = filledModel(jsEngine, SPEC, { T: 7, B: 4 });
  for (const [index, state] of small.carried.entries()) large.carried[index]!.data.set(state.data);
  large.tokens.data.set(small.tokens.data);
  large.head.targets.data.set(small.head.targets.data);
  const pass = { ...large.pass, T: 3, B: 2 };
  expect(large.lossAndGradient(pass)).toBe(small.lossAndGradient(small.pass));
  for (const [index, { gradient }] of small.parameters.entries())
    expect([...large.parameters[index]!.gradient.data]).toEqual([...gradient.data]);
});

test("two passes with carried state are one long pass", () => {
  const long = filledModel(jsEngine, SPEC, { T: 8, B: 2 });
  long.resetCarried();
  const outputs = [...long.forward(long.pass).tensor.data.subarray(2 * 6)];
  const half = filledModel(jsEngine, SPEC, { T: 4, B: 2 });
  half.resetCarried();
  const parts: number[] = [];
  for (const start of [0, 8]) {
    half.tokens.data.set(long.tokens.data.subarray(start, start + 8));
    parts.push(...half.forward(half.pass).tensor.data.subarray(2 * 6));
  }
  expect(parts).toEqual(outputs);
});

const [H, V] = [6, 7];

describe("multiply-accumulates", () => {
  const { T, B } = SHAPE;
  const rows = T * B;

  test("dense counts are the textbook's: look-ups 0, no dh at t = 0, no dx below the first layer", () => {
    const model = filledModel(jsEngine, SPEC, SHAPE);
    gradients(model);
    const square = 4 * H * H;
    const expected: Record<string, number> = {
      "lstm.l0 xW": 0,
      "lstm.l0 hU": rows * square,
      "lstm.l0 dh": (rows - B) * square,
      "lstm.l0 dx": 0,
      "lstm.l0 dW": 0,
      "lstm.l0 dU": rows * square,
      "lstm.l1 xW": rows * square,
      "lstm.l1 hU": rows * square,
      "lstm.l1 dh": (rows - B) * square,
      "lstm.l1 dx": rows * square,
      "lstm.l1 dW": rows * square,
      "lstm.l1 dU": rows * square,
      "head xW": rows * V * H,
      "head dx": rows * V * H,
      "head dW": rows * V * H,
    };
    expect(Object.fromEntries(model.macs.map(({ layer, product, dense }) => [`${layer} ${product}`, dense]))).toEqual(
      expected,
    );
    for (const { dense, executed } of model.macs) expect(executed).toBe(dense);
  });

  test("skipped counts follow the pattern, element by element, and done + skipped = dense", () => {
    const model = filledModel(jsEngine, SPEC, SHAPE);
    setRule(model, "threshold", 1e-3);
    gradients(model);
    for (const { site, pattern } of model.sites) {
      const g = pattern.dense.data;
      const zeros = (from: number) => g.subarray(from * site.cols).filter((value: number) => value === 0).length;
      expect(zeros(0)).toBeGreaterThan(0);
      const of = (product: string) => model.macs.find((macs) => macs.layer === site.name && macs.product === product)!;
      expect(of("dU").skipped).toBe(zeros(0) * H);
      expect(of("dh").skipped).toBe(zeros(B) * H);
      if (site.name === "lstm.l1") {
        expect(of("dW").skipped).toBe(zeros(0) * H);
        expect(of("dx").skipped).toBe(zeros(0) * H);
      } else expect(of("dx").skipped).toBe(0);
    }
    for (const { dense, skipped, executed } of model.macs) expect(executed).toBe(dense - skipped);
    const { macsSkippedRecurrent, macsSkippedAll } = macShares(model.macs);
    expect(macsSkippedRecurrent).toBeGreaterThan(macsSkippedAll);
  });
});

describe("the head's site", () => {
  test("threshold:0 is dense, bit for bit", () => {
    const model = filledModel(jsEngine, SPEC, SHAPE);
    const dense = gradients(model);
    model.head.site.rule.kind = "threshold";
    expect(gradients(model)).toEqual(dense);
  });

  test("what it drops is counted in the head's products alone, and changes every gradient", () => {
    const model = filledModel(jsEngine, SPEC, SHAPE);
    const dense = gradients(model);
    const { rule, pattern } = model.head.site;
    rule.kind = "threshold";
    rule.tau[0] = 0.01;
    const sparse = gradients(model);
    const zeros = [...pattern.dense.data].filter((g) => g === 0).length; // one chunk holds all rows here
    expect(zeros).toBeGreaterThan(10);
    for (const { layer, product, dense: all, skipped, executed } of model.macs) {
      const expected = layer === "head" && product !== "xW" ? zeros * H : 0;
      expect(skipped).toBe(expected);
      expect(executed).toBe(all - expected);
    }
    for (const [index, gradient] of sparse.entries()) expect(gradient).not.toEqual(dense[index]);
  });
});
