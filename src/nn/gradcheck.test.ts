import { describe, expect, test } from "vitest";
import { jsEngine } from "../kernels/js.ts";
import type { CellKernel, Engine } from "../kernels/kernels.ts";
import type { Cell } from "./cell.ts";
import { cells } from "./cells.ts";
import { gradcheck } from "./gradcheck.ts";
import type { ModelSpec } from "./model.ts";
import { filledModel, LANGUAGE_MODEL } from "./testing.ts";

const SHAPE = { T: 6, B: 3, real: "f64" } as const;

const CELLS = Object.keys(cells) as (keyof typeof cells)[];

const SPECS: Record<string, ModelSpec> = {
  "one layer, one-hot": LANGUAGE_MODEL,
  "three layers, embedding": {
    ...LANGUAGE_MODEL,
    numLayers: 3,
    input: { kind: "tokens", vocabulary: 7, embedding: 4 },
  },
  "two layers, dropout": { ...LANGUAGE_MODEL, numLayers: 2, dropout: 0.4 },
  "structured dropout, residual, layer norm": {
    ...LANGUAGE_MODEL,
    numLayers: 3,
    input: { kind: "tokens", vocabulary: 7, embedding: 4 },
    dropout: 0.4,
    inputDropout: 0.3,
    recurrentDropout: 0.3,
    dropoutKind: "structured",
    residual: true,
    layerNorm: true,
  },
  "bidirectional, structured dropout, residual, layer norm": {
    ...LANGUAGE_MODEL,
    numLayers: 2,
    dropout: 0.4,
    recurrentDropout: 0.3,
    dropoutKind: "structured",
    residual: true,
    layerNorm: true,
    bidirectional: true,
    input: { kind: "features", size: 3 },
    output: { kind: "values", size: 2, positions: "last" },
  },
  "bidirectional, embedding, dropout": {
    ...LANGUAGE_MODEL,
    numLayers: 2,
    dropout: 0.3,
    bidirectional: true,
    input: { kind: "tokens", vocabulary: 7, embedding: 4 },
  },
  "bidirectional, features to values at the end": {
    ...LANGUAGE_MODEL,
    numLayers: 2,
    bidirectional: true,
    input: { kind: "features", size: 3 },
    output: { kind: "values", size: 2, positions: "last" },
  },
  "features to values at the end": {
    ...LANGUAGE_MODEL,
    numLayers: 2,
    input: { kind: "features", size: 3 },
    output: { kind: "values", size: 2, positions: "last" },
  },
};

/** Of a cell: one without a hidden product has nothing to drop from. */
function specOf(spec: ModelSpec, cell: keyof typeof cells): ModelSpec {
  return (cells[cell] as Cell).hiddenProduct === "none" ? { ...spec, cell, recurrentDropout: 0 } : { ...spec, cell };
}

describe.each(CELLS)("gradients against slopes, float64: %s", (cell) => {
  for (const [name, spec] of Object.entries(SPECS))
    test(name, () => {
      for (const result of gradcheck(filledModel(jsEngine, specOf(spec, cell), SHAPE)))
        expect(result.error, JSON.stringify(result)).toBeLessThan(1e-7);
    });
});

test.each(CELLS)("gradients against slopes over more rows than backward goes over at once: %s", (cell) => {
  const spec: ModelSpec = { ...LANGUAGE_MODEL, cell, numLayers: 2, hiddenSize: 3 };
  for (const recompute of [0, 8])
    for (const result of gradcheck(filledModel(jsEngine, spec, { T: 15, B: 40, real: "f64", recompute }), {
      elements: 6,
    }))
      expect(result.error, JSON.stringify(result)).toBeLessThan(1e-7);
});

/**
 * The sparse gradient is the exact gradient of a surrogate: the net in which the pre-activations
 * of dropped elements stay at their recorded values. `freezing` builds that net around js.
 */
function freezing(reference: Cell): {
  engine: Engine;
  record: () => void;
  freeze: (dropped: Map<object, Uint8Array>) => void;
} {
  const recorded = new Map<object, Float64Array>();
  let frozen: Map<object, Uint8Array> | undefined;
  let recording = false;
  const cell: CellKernel = {
    ...reference,
    forward(step) {
      const width = step.gates.rowLength;
      const mask = frozen?.get(step.gates);
      // Where the hidden product stands apart, an element's two products are frozen together.
      for (const products of step.hiddenGates ? [step.gates, step.hiddenGates] : [step.gates]) {
        const net = products.data;
        const values = recorded.get(products) ?? new Float64Array(net.length);
        recorded.set(products, values);
        for (let i = step.row * width; i < (step.row + step.rows) * width; i++) {
          if (recording) values[i] = net[i] as number;
          else if (mask?.[i]) net[i] = values[i] as number;
        }
      }
      reference.forward(step);
    },
  };
  return {
    engine: {
      ...jsEngine,
      attach: (arena) => Object.assign(jsEngine.attach(arena), { cells: { [reference.name]: cell } }),
    },
    record: () => {
      recording = true;
    },
    freeze: (dropped) => {
      recording = false;
      frozen = dropped;
    },
  };
}

describe.each(CELLS)("the sparse backward is the exact gradient of the frozen surrogate: %s", (cell) => {
  for (const [name, spec] of Object.entries(SPECS))
    test(name, () => {
      const { engine, record, freeze } = freezing(cells[cell]);
      const model = filledModel(engine, specOf(spec, cell), SHAPE);
      const start = model.carried.map((state) => state.data.slice());

      const restore = () => {
        for (const [index, state] of model.carried.entries()) state.data.set(start[index] as Float64Array);
      };
      record();
      model.lossAndGradient(model.pass);
      restore();
      for (const { rule, pattern } of model.sites) {
        const sizes = [...pattern.dense.data].map(Math.abs).sort((a, b) => a - b);
        rule.kind = "threshold";
        rule.tau.fill(sizes[Math.floor(sizes.length / 3)] as number);
      }
      model.lossAndGradient(model.pass);
      const dropped = new Map<object, Uint8Array>();
      let count = 0;
      for (const { pattern } of model.sites) {
        const mask = Uint8Array.from(pattern.dense.data, (g) => (g === 0 ? 1 : 0));
        count += mask.reduce((sum, bit) => sum + bit, 0);
        dropped.set(pattern.dense, mask);
      }
      expect(count).toBeGreaterThan(20);

      freeze(dropped);
      for (const { rule, pattern } of model.sites) {
        rule.kind = "custom";
        rule.apply = (g, row, rows, cols) => {
          const mask = dropped.get(pattern.dense) as Uint8Array;
          for (let i = row * cols; i < (row + rows) * cols; i++) if (mask[i]) g[i] = 0;
        };
      }
      restore();
      for (const result of gradcheck(model)) expect(result.error, JSON.stringify(result)).toBeLessThan(1e-7);
    });
});
