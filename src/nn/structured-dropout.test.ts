/** Structured dropout in whole models: what is drawn, what engines make of it, and what is counted. */
import { describe, expect, test } from "vitest";
import { jsEngine } from "../kernels/js.ts";
import type { Engine } from "../kernels/kernels.ts";
import { loadWasmEngine } from "../kernels/wasm.ts";
import "../runs/wasm-threads.ts";
import { hasNativeAddon, loadNativeEngine } from "../runs/native-addon.ts";
import { countRows } from "../sparse/pattern.ts";
import { Dropout } from "./dropout.ts";
import type { ModelSpec } from "./model.ts";
import { Rows } from "./module.ts";
import { filledModel, gradients, LANGUAGE_MODEL, setLengths } from "./testing.ts";

const SPEC: ModelSpec = {
  ...LANGUAGE_MODEL,
  input: { kind: "tokens", vocabulary: 7, embedding: 9 },
  hiddenSize: 24,
  numLayers: 2,
  dropout: 0.5,
  inputDropout: 0.25,
  dropoutKind: "structured",
  recurrentDropout: 0.4,
};
const SHAPE = { T: 7, B: 5 };

const others: readonly Engine[] = [
  await loadWasmEngine(1),
  await loadWasmEngine(2),
  ...(hasNativeAddon() ? [await loadNativeEngine(1), await loadNativeEngine(2)] : []),
];

describe("structured dropout", () => {
  test("zeroes columns of a time step for all lanes, others at each t and step, and scales the rest", () => {
    const model = filledModel(jsEngine, { ...SPEC, dropout: 0.5 }, { T: 40, B: 3, real: "f64" });
    const mask = model.layers.find(
      (layer): layer is Dropout => layer instanceof Dropout && layer.name === "dropout.l0",
    )!;
    const x = new Rows(mask.output.tensor);
    const drawn = (step: number) => {
      mask.output.tensor.data.fill(1);
      return [...mask.forward(x, { ...model.pass, step }).tensor.data];
    };
    const first = drawn(1);
    expect(new Set(first)).toEqual(new Set([0, 2]));
    for (let t = 0; t < 40; t++)
      for (let b = 1; b < 3; b++)
        expect(first.slice((t * 3 + b) * 24, (t * 3 + b + 1) * 24)).toEqual(first.slice(t * 72, t * 72 + 24));
    expect(first.slice(0, 24)).not.toEqual(first.slice(72, 96));
    expect(Math.abs(first.filter((y) => y === 0).length / first.length - 0.5)).toBeLessThan(0.05); // 960 draws: 3 sigma
    expect(drawn(2)).not.toEqual(first);
    expect(drawn(1)).toEqual(first);
    expect(mask.forward(x, { ...model.pass, training: false })).toBe(x);
  });

  test.each(["lstm", "gru"] as const)("every engine gives the gradients of the zeroed matrix: %s", (cell) => {
    for (const lengths of [undefined, [7, 3, 5, 1, 7]])
      for (const policy of ["keep", "threshold"] as const) {
        const make = (engine: Engine) => {
          const model = filledModel(engine, { ...SPEC, cell }, SHAPE);
          if (lengths) setLengths(model, lengths);
          for (const { rule } of [...model.sites, model.head.site]) {
            rule.kind = policy;
            rule.tau.fill(1e-4);
          }
          return gradients(model);
        };
        const wanted = make(jsEngine);
        for (const engine of others)
          for (const [p, gradient] of make(engine).entries())
            for (const [i, g] of gradient.entries())
              if (!(Math.abs(g - wanted[p]![i]!) < 2e-6))
                expect.fail(`${engine.name} ${policy}: ${g}, ${wanted[p]![i]}`);
      }
  });

  test("what it makes redundant is counted in a book of its own, and not executed where the engine can", () => {
    const { T, B } = SHAPE;
    for (const engine of [jsEngine, ...others]) {
      const model = filledModel(engine, SPEC, SHAPE);
      gradients(model);
      const of = (layer: string, product: string) =>
        model.macs.find((one) => one.layer === layer && one.product === product)!;
      for (const [layer, name] of [
        ["lstm.l0", "dropout.input"],
        ["lstm.l1", "dropout.l0"],
        ["head", "dropout.l1"],
      ] as const) {
        const { list, counts } = (model.layers.find((one) => one.name === name) as Dropout).output.live!;
        const site = model.sites.find((one) => one.site.name === layer);
        const columns = site?.site.cols ?? 7; // of the gates, or classes
        let [all, nonzero] = [0, 0]; // elements of the other factor that meet a dead column
        for (let t = 0; t < T; t++) {
          const dead = list.rowLength - counts.data[t]!;
          all += B * columns * dead;
          nonzero += dead * (site ? countRows(site.pattern, t * B, B) : B * columns);
        }
        expect([of(layer, "xW").masked, of(layer, "dW").masked, of(layer, "dx").masked]).toEqual([
          all,
          nonzero,
          nonzero,
        ]);
        for (const product of ["xW", "dW", "dx"]) {
          const { dense, executed } = of(layer, product);
          expect(executed, `${engine.name} ${layer} ${product}`).toBe(engine.name === "js" ? dense : dense - all);
        }
      }
      for (const product of ["hU", "dU", "dh"]) {
        const { dense, masked, executed } = of("lstm.l1", product);
        expect(masked).toBeGreaterThan(0.2 * dense);
        if (engine.name === "js") expect(executed).toBe(dense);
        else expect(executed).toBeLessThan(0.8 * dense);
      }
    }
  });

  test.each(others.map((engine) => [engine.name, engine] as const))(
    "where a rule leaves much, %s runs dense over live columns; else sparse",
    (_, tested) => {
      for (const share of [0.7, 0.1]) {
        const make = (engine: Engine) => {
          const model = filledModel(engine, SPEC, SHAPE);
          for (const { rule } of [...model.sites, model.head.site]) {
            rule.kind = "custom";
            rule.apply = (g, row, rows, cols) => {
              for (let i = row * cols; i < (row + rows) * cols; i++) if ((i * 13) % 97 >= share * 97) g[i] = 0;
            };
          }
          return { model, made: gradients(model) };
        };
        const [wanted, { model, made }] = [make(jsEngine), make(tested)];
        for (const [p, gradient] of made.entries())
          for (const [i, g] of gradient.entries()) expect(Math.abs(g - wanted.made[p]![i]!)).toBeLessThan(2e-6);
        const { dense, executed } = model.macs.find((one) => one.layer === "lstm.l1" && one.product === "dW")!;
        const { list, counts } = (model.layers.find((one) => one.name === "dropout.l0") as Dropout).output.live!;
        let live = 0;
        for (let t = 0; t < SHAPE.T; t++) live += counts.data[t]! / (SHAPE.T * list.rowLength);
        expect(executed / dense).toBeCloseTo(share > 0.5 ? live : 0.1, 1);
      }
    },
  );

  test("settings that make no sense are refused", () => {
    const make = (spec: Partial<ModelSpec>) => () => filledModel(jsEngine, { ...SPEC, ...spec }, SHAPE);
    expect(make({ input: { kind: "tokens", vocabulary: 7 } })).toThrow(/inputDropout .* Give it an embedding/);
    expect(make({ cell: "mingru" })).toThrow(/a mingru has no hidden product/);
    expect(make({ dropout: 1 })).toThrow("dropout is 1; give a number from 0 up to, not including, 1.");
  });
});
