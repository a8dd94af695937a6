import { describe, expect, test } from "vitest";
import { RandomStream } from "../core/random.ts";
import { jsEngine } from "../kernels/js.ts";
import { gradcheck } from "./gradcheck.ts";
import { Model, type ModelSpec } from "./model.ts";

const LANGUAGE: ModelSpec = {
  input: { kind: "tokens", vocabulary: 7 },
  cell: "lstm",
  hiddenSize: 5,
  numLayers: 1,
  output: { kind: "classes", size: 7, positions: "all" },
};

const SPECS: Record<string, ModelSpec> = {
  "one layer, one-hot": LANGUAGE,
  "three layers, embedding": { ...LANGUAGE, numLayers: 3, input: { kind: "tokens", vocabulary: 7, embedding: 4 } },
  "two layers, dropout": { ...LANGUAGE, numLayers: 2, dropout: 0.4 },
  "features to a value at the end": {
    ...LANGUAGE,
    numLayers: 2,
    input: { kind: "features", size: 3 },
    output: { kind: "values", size: 2, positions: "last" },
  },
};

function filled(spec: ModelSpec): Model {
  const model = new Model(jsEngine, spec, { T: 6, B: 3, real: "f64" });
  model.initialize(3);
  const random = new RandomStream(5, "data");
  if (spec.input.kind === "tokens")
    for (let i = 0; i < model.tokens.length; i++) model.tokens.data[i] = random.below(spec.input.vocabulary);
  else for (let i = 0; i < model.features.length; i++) model.features.data[i] = random.normal();
  const { targets } = model.head;
  for (let i = 0; i < targets.length; i++)
    targets.data[i] = spec.output.kind === "classes" ? random.below(spec.output.size) : random.normal();
  for (const state of model.carried)
    for (let i = 0; i < state.length; i++) state.data[i] = 0.3 * random.normal();
  return model;
}

describe("gradients against slopes, float64", () => {
  for (const [name, spec] of Object.entries(SPECS))
    test(name, () => {
      const model = filled(spec);
      for (const result of gradcheck(model)) expect(result.error, JSON.stringify(result)).toBeLessThan(1e-7);
    });
});
