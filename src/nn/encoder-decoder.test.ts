/** The encoder-decoder and its attention: slopes, and what must be the same in two ways. */
import { describe, expect, test } from "vitest";
import { loadEngine } from "../kernels/engines.ts";
import { jsEngine } from "../kernels/js.ts";
import { parsePolicy } from "../sparse/policies.ts";
import type { SourceSpec } from "../tasks/task.ts";
import { cells } from "./cells.ts";
import { gradcheck } from "./gradcheck.ts";
import type { Model, ModelSpec } from "./model.ts";
import { filledModel, gradients, setLengths } from "./testing.ts";

const SOURCE: SourceSpec = { kind: "tokens", vocabulary: 6, embedding: 3, length: 5 };
const TRANSLATOR: ModelSpec = {
  input: { kind: "tokens", vocabulary: 7, embedding: 4 },
  source: SOURCE,
  cell: "lstm",
  hiddenSize: 4,
  numLayers: 2,
  bidirectional: true,
  attention: "general",
  output: { kind: "classes", size: 7, positions: "all" },
};
const SHAPE = { T: 6, B: 3, real: "f64" } as const;

/** Lanes of lengths of their own, in source and target; in neither as long as there is room. */
function withLengths(model: Model): Model {
  setLengths(model, [4, 1, 5]);
  model.buffers().source!.lengths.set([2, 4, 1]);
  return model;
}

const SPECS: Record<string, ModelSpec> = {
  "general, both directions": TRANSLATOR,
  "dot, one direction": { ...TRANSLATOR, attention: "dot", bidirectional: false },
  "no attention": { ...TRANSLATOR, attention: "none" },
  "one-hot tokens, dropout": {
    ...TRANSLATOR,
    source: { ...SOURCE, embedding: 0 } as SourceSpec,
    input: { kind: "tokens", vocabulary: 7 },
    dropout: 0.3,
  },
  "features read": { ...TRANSLATOR, source: { kind: "features", size: 3, length: 5 }, numLayers: 1 },
};

function expectSlopes(model: Model): void {
  for (const result of gradcheck(model, { elements: 8 }))
    expect(result.error, JSON.stringify(result)).toBeLessThan(1e-7);
}

describe("gradients against slopes, float64", () => {
  test.each(Object.keys(SPECS))("%s", (name) => {
    if (name === "dot, one direction") expectSlopes(filledModel(jsEngine, SPECS[name]!, SHAPE));
    expectSlopes(withLengths(filledModel(jsEngine, SPECS[name]!, SHAPE)));
  });

  test.each(Object.keys(cells))("cell %s, segments computed again", (cell) => {
    const spec = { ...TRANSLATOR, cell: cell as keyof typeof cells };
    expectSlopes(withLengths(filledModel(jsEngine, spec, { ...SHAPE, recompute: 2 })));
  });
});

const engines = await Promise.all(["js", "wasm", "native"].map((name) => loadEngine(name).catch(() => undefined)));

describe.each(engines.flatMap((engine) => (engine ? [[engine.name, engine] as const] : [])))("%s", (_, engine) => {
  const make = () => withLengths(filledModel(engine, { ...TRANSLATOR, hiddenSize: 6 }, { T: 6, B: 3 }));

  test("a decoder step by step says what it says of all positions at once", () => {
    const model = make();
    const { encoderDecoder: net, head } = model;
    const [T, B, V] = [4, 3, 7];
    const pass = { ...model.pass, T, B, training: false, lengths: undefined };
    const whole = new Float32Array(T * B * V);
    head.outputs(model.forward(pass), pass, whole);
    const tokens = model.tokens.data.slice();
    net!.encode(pass);
    const one = { ...pass, T: 1 };
    for (let t = 0; t < T; t++) {
      model.tokens.data.set(tokens.subarray(t * B, (t + 1) * B));
      const said = new Float32Array(B * V);
      head.outputs(net!.decode(model.input, one), one, said);
      for (const [i, value] of said.entries()) expect(value).toBeCloseTo(whole[t * B * V + i]!, 5);
    }
  });

  test("a rule that drops nothing gives the dense gradient, one that drops all none below", () => {
    const dense = make();
    const swept = make();
    const plan = (model: Model, policy: string) => {
      for (const { site, rule } of model.sites)
        parsePolicy(policy).start({ site, seed: 0, maxSteps: 1, arena: model.arena }).plan(0, rule);
    };
    plan(dense, "dense");
    plan(swept, "threshold:0");
    const [wanted, got] = [gradients(dense), gradients(swept)];
    for (const [p, values] of wanted.entries()) {
      const most = Math.max(...values.map(Math.abs));
      for (const [i, value] of values.entries()) expect(Math.abs(got[p]![i]! - value)).toBeLessThanOrEqual(1e-5 * most);
    }
    // Padding is in no count: 10 positions of 3 lanes, 4*2 + 1*4 + 5*1 pairs with the sources.
    const totals = Object.fromEntries(swept.sites.map(({ site, statistics }) => [site.name, statistics.sums.data[0]]));
    expect(totals).toMatchObject({ "attention.out": 60, "attention.in": 60, "attention.scores": 17 });
    expect(totals["encoder.lstm.l0"]).toBe(7 * 3);
    plan(swept, "threshold:1e9");
    const none = gradients(swept);
    for (const [p, { name }] of swept.parameters.entries())
      expect(new Set(none[p]), name).toEqual(new Set(name.startsWith("head") ? none[p] : [0]));
  });
});
