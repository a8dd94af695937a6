/** Tensors that take turns in a room (core/arena.ts) lose nothing that anybody reads: every bit is as with rooms of their own. */
import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { Arena, type Tensor } from "../core/arena.ts";
import { RandomStream } from "../core/random.ts";
import { jsEngine } from "../kernels/js.ts";
import type { Engine } from "../kernels/kernels.ts";
import { nativeEngine } from "../kernels/native.ts";
import { loadWasmEngine } from "../kernels/wasm.ts";
import { hasNativeAddon, loadNativeAddon } from "../runs/native-addon.ts";
import { parsePolicy } from "../sparse/policies.ts";
import { Trainer } from "../train/trainer.ts";
import { Model, type ModelSpec } from "./model.ts";
import { fillBatch, LANGUAGE_MODEL } from "./testing.ts";

test("tensors of a room begin at one address, and it is as long as the longest", () => {
  const arena = new Arena();
  const first = arena.tensor("first", [100], "packed", "room");
  const own = arena.tensor("own", [10], "packed");
  const second = arena.tensor("second", [2, 80], "packed", "room");
  const elsewhere = arena.tensor("elsewhere", [10], "workspace", "room");
  expect(arena.bytes("packed")).toBe(640 + 64);
  expect(arena.bytes()).toBe(640 + 64 + 64);
  arena.allocate();
  expect(second.ptr).toBe(first.ptr);
  expect(own.ptr).toBe(first.ptr + 640);
  expect(elsewhere.ptr).toBe(own.ptr + 64);
  expect(arena.range("packed").length * 4).toBe(640 + 64);
});

/** The engine in an arena where nobody takes turns. */
function apart(engine: Engine): Engine {
  return {
    ...engine,
    attach(arena) {
      const { tensor, ints } = arena;
      arena.tensor = (name, shape, purpose) => tensor.call(arena, name, shape, purpose);
      arena.ints = (name, shape, purpose) => ints.call(arena, name, shape, purpose);
      const kernels = engine.attach(arena);
      const { planWeight } = kernels;
      kernels.planWeight = (weight, { group: _, ...uses }) => planWeight.call(kernels, weight, uses);
      return kernels;
    },
  };
}

function bitsOf({ data }: Tensor): string {
  return createHash("sha256").update(data.slice()).digest("hex");
}

/** Three steps of training, and what the net says then. */
function trained(engine: Engine, spec: ModelSpec, shape: { T: number; B: number }, policy: string, paths: string) {
  const model = new Model(engine, spec, shape);
  const trainer = new Trainer(model, {
    policy: parsePolicy(policy + paths),
    headPolicy: parsePolicy("stochastic:0.999"),
    seed: 3,
    maxSteps: 10,
    optimizer: "sgd",
    learningRate: 0.5,
  });
  fillBatch(model, new RandomStream(3, "batch"));
  const losses = [0, 1, 2].map(() => trainer.step().loss);
  const said = [0, 1].map(
    () => model.head.evaluate(model.forward({ ...model.pass, training: false }), model.pass).lossSum,
  );
  const parameters = model.parameters.map(({ value, gradient }) => [value, gradient].map(bitsOf));
  return { bytes: model.arena.bytes(), bits: { losses, said, parameters } };
}

const SPEC: ModelSpec = {
  ...LANGUAGE_MODEL,
  numLayers: 3,
  hiddenSize: 20,
  input: { kind: "tokens", vocabulary: 7, embedding: 20 },
};
const SHAPES = [
  ["W in turns with W, and U with U", { T: 16, B: 40 }],
  ["W in turns with U, in two pieces", { T: 8, B: 64 }],
] as const;
const ENGINES: [string, () => Promise<Engine>][] = [
  ["js", async () => jsEngine],
  ["wasm", () => loadWasmEngine(1)],
];
if (hasNativeAddon()) ENGINES.push(["native", async () => nativeEngine(loadNativeAddon())]);

describe.each(ENGINES)("engine %s", (name, load) => {
  test.each(SHAPES)("%s", async (_, wanted) => {
    const engine = await load();
    const shape = name === "js" ? { T: 4, B: 3 } : wanted; // it packs nothing: there is dy alone
    for (const cell of ["lstm", "gru"] as const)
      for (const [spec, policy, paths] of [
        [SPEC, "density:0.2", ""],
        [{ ...SPEC, dropout: 0.3 }, "density:0.2", ",paths=dh"],
        [{ ...SPEC, dropout: 0.3, dropoutKind: "structured" }, "density:0.2", ",paths=dW"],
        [{ ...SPEC, layerNorm: true }, "dense", ""],
      ] as [ModelSpec, string, string][]) {
        const turns = trained(engine, { ...spec, cell }, shape, policy, paths);
        const own = trained(apart(engine), { ...spec, cell }, shape, policy, paths);
        expect(turns.bits, `${cell} ${policy}${paths}`).toEqual(own.bits);
        expect(turns.bytes).toBeLessThan(own.bytes);
      }
  });
});
