/** Reading from both ends: what is peculiar to it. Gradients: gradcheck.test.ts; lengths on all engines: padding.test.ts. */
import { describe, expect, test } from "vitest";
import { jsEngine } from "../kernels/js.ts";
import type { Model, ModelSpec } from "./model.ts";
import { filledModel, LANGUAGE_MODEL, setLengths } from "./testing.ts";

const SPEC: ModelSpec = { ...LANGUAGE_MODEL, bidirectional: true };
const [T, B, H] = [6, 3, 5];

test("PyTorch's names, and a site for each direction", () => {
  const model = filledModel(jsEngine, { ...SPEC, numLayers: 2 }, { T, B });
  expect(model.parameters.map(({ name, value }) => `${name} ${value.shape.join("x")}`).slice(4, 12)).toEqual([
    "lstm.weight_ih_l0_reverse 20x7",
    "lstm.weight_hh_l0_reverse 20x5",
    "lstm.bias_ih_l0_reverse 20",
    "lstm.bias_hh_l0_reverse 20",
    "lstm.weight_ih_l1 20x10",
    "lstm.weight_hh_l1 20x5",
    "lstm.bias_ih_l1 20",
    "lstm.bias_hh_l1 20",
  ]);
  expect(model.sites.map(({ site }) => site.name)).toEqual([
    "lstm.l0",
    "lstm.l0.reverse",
    "lstm.l1",
    "lstm.l1.reverse",
  ]);
});

/** The same weights and states in both directions. */
function mirror(model: Model): void {
  for (const { directions } of model.layers as unknown as { directions: Model["recurrent"] }[]) {
    const [forward, reverse] = directions;
    for (const [p, { value }] of reverse!.parameters.entries()) value.data.set(forward!.parameters[p]!.value.data);
    for (const [s, { data }] of reverse!.carried.entries()) data.set(forward!.carried[s]!.data);
  }
  model.pack();
}

describe("on palindromes with the same weights, each lane by its length", () => {
  const lengths = [6, 3, 5];
  test.each(["all", "last"] as const)("both directions say the same, positions %s", (positions) => {
    const model = filledModel(jsEngine, { ...SPEC, output: { kind: "classes", size: 4, positions } }, { T, B });
    setLengths(model, lengths);
    mirror(model);
    const tokens = model.tokens.data;
    for (const [b, length] of lengths.entries())
      for (let t = 0; t < length; t++) tokens[t * B + b] = tokens[Math.min(t, length - 1 - t) * B + b]!;
    const { tensor } = model.forward(model.pass);
    const half = (t: number, b: number, side: number) => {
      const start = (t * B + b) * 2 * H + side * H;
      return [...tensor.data.subarray(start, start + H)];
    };
    for (const [b, length] of lengths.entries())
      if (positions === "last") expect(half(T - 1, b, 0)).toEqual(half(T - 1, b, 1));
      else for (let t = 0; t < length; t++) expect(half(t, b, 0)).toEqual(half(length - 1 - t, b, 1));
    expect(half(T - 1, 0, 0)).not.toEqual(half(0, 0, 0));
  });
});

test("the reverse direction ends where it has read position 0, and its states are carried", () => {
  const model = filledModel(jsEngine, SPEC, { T, B });
  const { tensor } = model.forward(model.pass);
  const [, , h] = model.carried;
  for (let b = 0; b < B; b++)
    expect([...h!.data.subarray(b * H, (b + 1) * H)]).toEqual([
      ...tensor.data.subarray(b * 2 * H + H, (b + 1) * 2 * H),
    ]);
});
