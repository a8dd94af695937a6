/** Updates that visit only rows with a gradient: the same bits where they may, a stated form where they may not. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Arena } from "../core/arena.ts";
import { RandomStream } from "../core/random.ts";
import { RowSet } from "../core/row-set.ts";
import { loadEngine } from "../kernels/engines.ts";
import { jsEngine } from "../kernels/js.ts";
import type { Engine } from "../kernels/kernels.ts";
import { Model, type ModelSpec } from "../nn/model.ts";
import { fillBatch } from "../nn/testing.ts";
import { hasNativeAddon } from "../runs/native-addon.ts";
import { parsePolicy } from "../sparse/policies.ts";
import { Optimizer, type OptimizerOptions } from "./optimizers.ts";
import { Trainer } from "./trainer.ts";

const engines: readonly (readonly [string, Engine])[] = [
  ["js", jsEngine],
  ["wasm", await loadEngine("wasm")],
  ...(hasNativeAddon() ? [["native", await loadEngine("native")] as const] : []),
];

interface Shape {
  readonly V: number;
  readonly E: number;
  readonly H: number;
  readonly tau: number;
  readonly clip: number;
  readonly seed: number;
}

/** Six steps of a word model; `full` adds every row to the sets after each backward pass. */
function train(engine: Engine, { V, E, H, tau, clip, seed }: Shape, options: OptimizerOptions, full: boolean) {
  const spec: ModelSpec = {
    input: { kind: "tokens", vocabulary: V, embedding: E },
    output: { kind: "classes", size: V, positions: "all" },
    cell: "lstm",
    hiddenSize: H,
    numLayers: 1,
  };
  const model = new Model(engine, spec, { T: 3, B: 2 });
  const trainer = new Trainer(model, {
    policy: parsePolicy("density:0.5"),
    headPolicy: parsePolicy(`threshold:${tau}`),
    seed,
    maxSteps: 6,
    gradientClipVal: clip,
    ...options,
  });
  const sets = model.parameters.flatMap(({ rows }) => rows ?? []);
  const sumSquares = trainer.optimizer.sumSquares.bind(trainer.optimizer);
  const touched: number[][] = [];
  trainer.optimizer.sumSquares = () => {
    touched.push(sets.map(({ count }) => count));
    if (full) for (const set of sets) set.addAll();
    return sumSquares();
  };
  const norms: number[] = [];
  const random = new RandomStream(seed, "batches");
  for (let step = 0; step < 6; step++) {
    fillBatch(model, random);
    norms.push(trainer.step().gradientNorm);
  }
  return { values: trainer.optimizer.value.data.slice(), norms, touched, trainer };
}

const shape = fc.record({
  V: fc.integer({ min: 1, max: 80 }),
  E: fc.integer({ min: 1, max: 19 }),
  H: fc.integer({ min: 1, max: 19 }),
  tau: fc.constantFrom(0, 1e-3, 0.03, 1),
  clip: fc.constantFrom(0, 0.1, 5),
  seed: fc.nat(1000),
});

describe.each(engines)("engine %s", (_, engine) => {
  const sgd = { optimizer: "sgd", learningRate: 0.3 } as const;

  test("sgd by rows is the full update, bit for bit, clipping included", () => {
    fc.assert(
      fc.property(shape, (one) => {
        const [rows, full] = [train(engine, one, sgd, false), train(engine, one, sgd, true)];
        expect(rows.norms).toEqual(full.norms);
        expect(rows.values).toEqual(full.values);
      }),
      { numRuns: 40 },
    );
  });

  test("most rows are left out", () => {
    const { touched } = train(engine, { V: 80, E: 5, H: 6, tau: 0.03, clip: 5, seed: 1 }, sgd, false);
    for (const [embedding, head] of touched) {
      expect(embedding).toBeGreaterThan(0);
      expect(embedding).toBeLessThanOrEqual(6);
      expect(head).toBeGreaterThan(0);
      expect(head).toBeLessThan(20);
    }
  });

  for (const [name, options] of Object.entries({
    momentum: { optimizer: "sgd", momentum: 0.9, learningRate: 0.1 },
    "sgd with weight decay": { optimizer: "sgd", weightDecay: 0.1, learningRate: 0.1 },
    rmsprop: { optimizer: "rmsprop" },
    adam: { optimizer: "adam" },
    adamw: { optimizer: "adamw" },
  } as const)) {
    test(`${name} visits all rows unless told otherwise`, () => {
      const one = { V: 50, E: 3, H: 5, tau: 0.03, clip: 5, seed: 2 };
      const full = train(engine, one, options, true).values;
      expect(train(engine, one, options, false).values).toEqual(full);
      expect(train(engine, one, { ...options, lazyRows: true }, false).values).not.toEqual(full);
    });
  }
});

describe("lazy rows", () => {
  /** A matrix of three rows and a vector, with gradients of rows 0 and 2 of it in turn. */
  function run(options: OptimizerOptions) {
    const arena = new Arena("f64");
    const kernels = jsEngine.attach(arena);
    const plan = (name: string, dims: number[]) => ({
      value: arena.tensor(name, dims, "weights"),
      gradient: arena.tensor(`${name}.gradient`, dims, "gradients"),
    });
    const matrix = { ...plan("matrix", [3, 2]), rows: new RowSet(arena, "matrix", 3) };
    const vector = plan("vector", [2]);
    const optimizer = new Optimizer(arena, kernels, { ...options, lazyRows: true }, [matrix, vector]);
    arena.allocate();
    matrix.value.data.fill(1);
    vector.value.data.fill(1);
    for (const row of [0, 2, 0]) {
      optimizer.clearGradients();
      matrix.gradient.data.fill(0.5, 2 * row, 2 * row + 2);
      matrix.rows.add(row);
      vector.gradient.data.fill(row === 0 ? 0.5 : 0);
      optimizer.update(0.1, 1);
    }
    return { matrix, vector, optimizer };
  }

  test.each(["adam", "adamw", "rmsprop", "sgd"] as const)("%s: a row without gradient stays as it is", (name) => {
    const { matrix, optimizer } = run({ optimizer: name, momentum: 0.9, weightDecay: 0.01 });
    const [first, , third] = [0, 1, 2].map((row) => matrix.value.data[2 * row]!);
    expect(matrix.value.data[2]).toBe(1);
    for (const state of optimizer.state) expect(state.data[2]).toBe(0);
    expect(first).toBeLessThan(third!);
    expect(third).toBeLessThan(1);
  });

  test("adam: moments of a row know its own gradients, t all updates", () => {
    const { matrix, vector } = run({ optimizer: "adam" });
    let [w, m, v] = [1, 0, 0];
    for (const t of [1, 3]) {
      m = 0.9 * m + 0.1 * 0.5;
      v = 0.999 * v + 0.001 * 0.25;
      w -= ((0.1 / (1 - 0.9 ** t)) * m) / (Math.sqrt(v) / Math.sqrt(1 - 0.999 ** t) + 1e-8);
    }
    expect(matrix.value.data[0]).toBeCloseTo(w, 14);
    expect(matrix.value.data[1]).toBeCloseTo(w, 14);
    // A parameter without an account of rows is updated at every step.
    expect(vector.value.data[0]).not.toBeCloseTo(w, 6);
  });

  test("clearing the gradients empties the sets and leaves nothing behind", () => {
    const { matrix, vector, optimizer } = run({ optimizer: "sgd" });
    optimizer.clearGradients();
    expect(matrix.rows.count).toBe(0);
    expect([...matrix.gradient.data, ...vector.gradient.data].every((g) => g === 0)).toBe(true);
    expect(optimizer.sumSquares()).toBe(0);
  });
});
