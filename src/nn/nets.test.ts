import { describe, expect, test } from "vitest";
import type { Tensor } from "../core/arena.ts";
import { jsEngine } from "../kernels/js.ts";
import type { Engine } from "../kernels/kernels.ts";
import { gradcheck } from "./gradcheck.ts";
import type { Model, ModelSpec } from "./model.ts";
import { filledModel, gradients, LANGUAGE_MODEL, setLengths } from "./testing.ts";

const SHAPE = { T: 5, B: 3, real: "f64" } as const;
/** A step that is unlikely to meet relu's bend. */
const CHECK = { epsilon: 1e-4, elements: 16 } as const;
const FEATURES = {
  input: { kind: "features", size: 3 },
  output: { kind: "values", size: 2, positions: "last" },
} as const;
const EMBEDDED = { kind: "tokens", vocabulary: 7, embedding: 4 } as const;

const SPECS: Record<string, ModelSpec> = {
  "mlp, one-hot": { ...LANGUAGE_MODEL, net: "mlp", numLayers: 2 },
  "mlp, embedding, gelu, dropout": {
    ...LANGUAGE_MODEL,
    net: "mlp",
    numLayers: 3,
    dropout: 0.3,
    activation: "gelu",
    input: EMBEDDED,
  },
  "mlp, features to values at the end": { ...LANGUAGE_MODEL, ...FEATURES, net: "mlp", numLayers: 2 },
  "transformer, embedding": {
    ...LANGUAGE_MODEL,
    net: "transformer",
    hiddenSize: 4,
    numHeads: 2,
    numLayers: 2,
    input: EMBEDDED,
  },
  "transformer, one-hot, gelu, dropout, more positions": {
    ...LANGUAGE_MODEL,
    net: "transformer",
    hiddenSize: 6,
    numHeads: 3,
    dimFeedforward: 5,
    activation: "gelu",
    dropout: 0.2,
    positions: 8,
  },
  "transformer, features to values at the end": {
    ...LANGUAGE_MODEL,
    ...FEATURES,
    net: "transformer",
    hiddenSize: 4,
    numHeads: 1,
  },
};

/** Every parameter moved from where its module puts it: norms and biases of 1 and 0 hide errors. */
function shaken(engine: Engine, spec: ModelSpec, shape: { T: number; B: number; real?: "f64" }): Model {
  const model = filledModel(engine, spec, shape);
  for (const { value } of model.parameters)
    for (let i = 0; i < value.length; i++) value.data[i]! += 0.3 * Math.sin(7 * i + value.length);
  model.pack();
  return model;
}

describe("gradients against slopes, float64", () => {
  for (const [name, spec] of Object.entries(SPECS))
    test.each([undefined, [5, 1, 3]])(`${name}, lengths %s`, (lengths) => {
      const model = shaken(jsEngine, spec, SHAPE);
      if (lengths) setLengths(model, lengths);
      for (const result of gradcheck(model, CHECK)) expect(result.error, JSON.stringify(result)).toBeLessThan(1e-7);
    });

  test("over more rows than backward goes over at once", () => {
    for (const net of ["mlp", "transformer"] as const) {
      const spec: ModelSpec = { ...LANGUAGE_MODEL, net, hiddenSize: 4 };
      for (const result of gradcheck(shaken(jsEngine, spec, { T: 9, B: 40, real: "f64" }), { ...CHECK, elements: 4 }))
        expect(result.error, JSON.stringify(result)).toBeLessThan(1e-7);
    }
  });
});

/** js with linear layers whose outputs stay, where masked, at what they were when recorded. */
function freezing() {
  const recorded = new Map<Tensor, Float64Array>();
  const masks = new Map<Tensor, Uint8Array>();
  let recording = true;
  const hold = (out: Tensor) => {
    if (recording) recorded.set(out, Float64Array.from(out.data));
    const mask = masks.get(out);
    if (mask) for (let i = 0; i < mask.length; i++) if (mask[i]) out.data[i] = recorded.get(out)![i]!;
  };
  const engine: Engine = {
    ...jsEngine,
    attach(arena) {
      const kernels = jsEngine.attach(arena);
      const product = kernels.gemmNT.bind(kernels);
      const lookup = kernels.lookup.bind(kernels);
      return Object.assign(kernels, {
        gemmNT(...all: Parameters<typeof product>) {
          product(...all);
          hold(all[0]);
        },
        lookup(...all: Parameters<typeof lookup>) {
          lookup(...all);
          hold(all[0]);
        },
      });
    },
  };
  return {
    engine,
    freeze(model: Model) {
      recording = false;
      let count = 0;
      for (const { site, pattern } of model.sites) {
        const out = model.arena.tensors.find((tensor: Tensor) => tensor.name === `${site.name}.y`) as unknown as Tensor;
        const mask = Uint8Array.from(pattern.dense.data, (g) => (g === 0 ? 1 : 0));
        masks.set(out, mask);
        count += mask.reduce((sum, bit) => sum + bit, 0);
      }
      return { count, masks };
    },
  };
}

describe("the sparse backward is the exact gradient of the net whose dropped products stand still", () => {
  for (const [name, spec] of Object.entries(SPECS))
    test(name, () => {
      const { engine, freeze } = freezing();
      const model = shaken(engine, spec, SHAPE);
      model.lossAndGradient(model.pass);
      for (const { rule, pattern } of model.sites) {
        const sizes = [...pattern.dense.data].map(Math.abs).filter(Boolean);
        rule.kind = "threshold";
        rule.tau.fill(sizes.sort((a, b) => a - b)[Math.floor(sizes.length / 3)] as number);
      }
      model.lossAndGradient(model.pass);
      const { count, masks } = freeze(model);
      expect(count).toBeGreaterThan(20);
      for (const { site, rule } of model.sites) {
        const mask = [...masks].find(([{ name }]) => name === `${site.name}.y`)![1];
        rule.kind = "custom";
        rule.apply = (g, row, rows, cols) => {
          for (let i = row * cols; i < (row + rows) * cols; i++) if (mask[i]) g[i] = 0;
        };
      }
      for (const result of gradcheck(model, CHECK)) expect(result.error, JSON.stringify(result)).toBeLessThan(1e-7);
    });
});

describe("one path alone", () => {
  const spec = SPECS["transformer, embedding"]!;
  const under = (paths: "both" | "dh" | "dW", bias: "pruned" | "dense" = "pruned") => {
    const model = shaken(jsEngine, spec, SHAPE);
    for (const { rule } of model.sites) Object.assign(rule, { kind: "threshold", paths, bias }).tau.fill(3e-3);
    const names = model.parameters.map(({ name }) => name);
    return Object.fromEntries(gradients(model).map((gradient, index) => [names[index]!, gradient]));
  };
  const dense = Object.fromEntries(
    ((model) => gradients(model).map((gradient, i) => [model.parameters[i]!.name, gradient]))(
      shaken(jsEngine, spec, SHAPE),
    ),
  );
  const top = "transformer.layers.1.linear2";

  test("dW alone leaves what flows down as it is; dense biases are those of everything", () => {
    const pruned = under("dW", "dense");
    expect(pruned["embedding.weight"]).toEqual(dense["embedding.weight"]);
    expect(pruned[`${top}.weight`]).not.toEqual(dense[`${top}.weight`]);
    expect(pruned[`${top}.bias`]).toEqual(dense[`${top}.bias`]);
    expect(under("dW")[`${top}.bias`]).not.toEqual(dense[`${top}.bias`]);
  });
  test("dh alone leaves the uppermost weight's gradient as it is", () => {
    const pruned = under("dh");
    expect(pruned[`${top}.weight`]).toEqual(dense[`${top}.weight`]);
    expect(pruned[`${top}.bias`]).toEqual(dense[`${top}.bias`]);
    expect(pruned["embedding.weight"]).not.toEqual(dense["embedding.weight"]);
  });
});

test("no position sees a later one, and padding is seen by none", () => {
  const model = filledModel(jsEngine, SPECS["transformer, embedding"]!, SHAPE);
  const outputs = () => {
    const out = new Float64Array(5 * 3 * 7);
    model.head.outputs(model.forward(model.pass), model.pass, out);
    return out;
  };
  const before = outputs();
  const at = 3 * 3 + 1; // t = 3 of lane 1
  model.tokens.data[at] = (model.tokens.data[at]! + 1) % 7;
  const changed = Array.from(outputs(), (value, i) => (value === before[i] ? -1 : Math.floor(i / 7))).filter(
    (position) => position >= 0,
  );
  expect(new Set(changed)).toEqual(new Set([at, at + 3]));
});

describe("bad input", () => {
  const make = (more: Partial<ModelSpec>, T = 5) =>
    filledModel(jsEngine, { ...LANGUAGE_MODEL, net: "transformer", hiddenSize: 4, ...more }, { T, B: 2 });
  test.each([
    ["heads that do not divide the width", { numHeads: 3 }, "numHeads is 3, which does not divide hiddenSize 4"],
    ["longer than its positions", { positions: 4 }, "learned positions for 4 (model.positions)"],
    ["an option of another net", { bidirectional: true }, "net transformer has no bidirectional: got true"],
    ["an unknown net", { net: "transformers" as "mlp" }, 'unknown net "transformers", did you mean "transformer"?'],
  ])("%s", (_, more, message) => expect(() => make(more)).toThrow(message));
});
