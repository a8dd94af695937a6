/** The layer whose reset stands before the product, and the LSTM with hard gates: slopes judge their gradients. */
import { describe, expect, test } from "vitest";
import { Arena } from "../core/arena.ts";
import { RandomStream } from "../core/random.ts";
import { loadEngine } from "../kernels/engines.ts";
import { jsEngine } from "../kernels/js.ts";
import type { Engine } from "../kernels/kernels.ts";
import { parsePolicy } from "../sparse/policies.ts";
import { type GateActivation, hardSigmoid, logistic } from "./cells/gates.ts";
import { hardLstm } from "./cells/hard-lstm.ts";
import { lstm } from "./cells/lstm.ts";
import { type Pass, Rows } from "./module.ts";
import { RecurrentLayer } from "./recurrent.ts";
import { ResetBeforeLayer } from "./reset-before.ts";

const [T, B, I, H] = [4, 3, 5, 6];

interface Bench {
  readonly layer: RecurrentLayer | ResetBeforeLayer;
  readonly x: Rows;
  /** Gradients, by name, of the sum of y times fixed factors and of the last states times others. */
  gradients(): Map<string, number[]>;
  loss(): number;
}

function bench(
  engine: Engine,
  kind: "lstm" | "gru",
  gate: GateActivation,
  { real = "f64", lengths, policy = "dense" }: { real?: "f32" | "f64"; lengths?: number[]; policy?: string } = {},
): Bench {
  const arena = new Arena(real);
  const kernels = engine.attach(arena);
  const planner = { arena, kernels, T, B, nt: true as const };
  const x = new Rows(arena.tensor("x", [T * B, I], "batch"));
  const common = { name: kind, input: x, hiddenSize: H, needsInputGradient: true, stateGradients: true };
  const layer =
    kind === "gru"
      ? new ResetBeforeLayer(planner, { ...common, gate })
      : new RecurrentLayer(planner, gate === logistic ? lstm : hardLstm, { ...common, index: 0, forgetBias: 1 });
  const dy = new Rows(arena.tensor("dy", [T * B, H], "workspace"));
  const policies = layer.sites.map(({ site }) => parsePolicy(policy).start({ site, seed: 1, maxSteps: 1, arena }));
  arena.allocate();
  const random = new RandomStream(5, "test");
  const fill = (data: { length: number; [at: number]: number }, size: number) => {
    for (let i = 0; i < data.length; i++) data[i] = size * random.normal();
  };
  fill(x.tensor.data, 1);
  layer.initialize(random, 0.8);
  const start = layer.carried.map(({ length }) => Array.from({ length }, () => random.normal()));
  const factors = Array.from({ length: T * B * H }, () => random.normal());
  const endFactors = layer.carried.map(({ length }) => Array.from({ length }, () => random.normal()));
  const pass: Pass = { T, B, training: true, step: 0, seed: 0, lengths: lengths && Int32Array.from(lengths) };
  const forward = () => {
    for (const weight of layer.weights) kernels.pack(weight);
    for (const [s, state] of layer.carried.entries()) state.data.set(start[s]!);
    return layer.forward(x, pass);
  };
  const dot = (data: ArrayLike<number>, from: number, by: number[]) =>
    by.reduce((sum, factor, i) => sum + factor * data[from + i]!, 0);
  return {
    layer,
    x,
    loss: () => {
      const y = forward();
      const ends = layer.carried.reduce((sum, { data }, s) => sum + dot(data, 0, endFactors[s]!), 0);
      return dot(y.tensor.data, y.row * H, factors) + ends;
    },
    gradients: () => {
      forward();
      for (const { gradient } of layer.parameters) kernels.clear(gradient);
      dy.tensor.data.set(factors);
      for (const [s, state] of layer.stateGradients.entries()) state.data.set(endFactors[s]!);
      for (const [s, one] of policies.entries()) one.plan(0, layer.sites[s]!.rule);
      const dx = layer.backward(dy, pass) as Rows;
      for (const [s, one] of policies.entries()) one.learn(layer.sites[s]!.statistics);
      const found = new Map(layer.parameters.map(({ name, gradient }) => [name, [...gradient.data]]));
      found.set("x", [...dx.tensor.data]);
      for (const [s, state] of layer.stateGradients.entries()) found.set(`state ${s}`, [...state.data]);
      return found;
    },
    ...{ start },
  };
}

describe.each([
  ["gru", "sigmoid", logistic],
  ["gru", "hardSigmoid", hardSigmoid],
  ["lstm", "sigmoid", logistic],
  ["lstm", "hardSigmoid", hardSigmoid],
] as const)("%s, %s", (kind, _name, gate) => {
  test.each([undefined, [4, 1, 2]])("gradients are slopes, lengths %o", (lengths) => {
    const made = bench(jsEngine, kind, gate, lengths ? { lengths } : {}) as Bench & { start: number[][] };
    const gradients = made.gradients();
    const values = new Map<string, { length: number; [at: number]: number }>(
      made.layer.parameters.map(({ name, value }) => [name, value.data]),
    );
    values.set("x", made.x.tensor.data);
    for (const [s, state] of made.start.entries()) values.set(`state ${s}`, state);
    expect([...values.keys()]).toEqual([...gradients.keys()]);
    const epsilon = 1e-4;
    for (const [name, data] of values) {
      for (let i = 0; i < data.length; i += Math.max(1, Math.floor(data.length / 12))) {
        const kept = data[i]!;
        const at = (offset: number) => {
          data[i] = kept + offset;
          return made.loss();
        };
        const near = at(epsilon) - at(-epsilon);
        const far = at(2 * epsilon) - at(-2 * epsilon);
        data[i] = kept;
        const slope = (8 * near - far) / (12 * epsilon);
        expect(Math.abs(slope - gradients.get(name)![i]!), `${name}[${i}]`).toBeLessThan(
          1e-7 * Math.max(1, Math.abs(slope)),
        );
      }
    }
  });
});

test("every engine gives what js gives, dense and sparse; sparse is not dense", async () => {
  const flat = (made: Bench) => [...made.gradients().values()].flat();
  const wasm = await loadEngine("wasm");
  for (const kind of ["gru", "lstm"] as const)
    for (const policy of ["dense", "threshold:0.2"]) {
      const [slow, fast] = [jsEngine, wasm].map((engine) =>
        flat(bench(engine, kind, hardSigmoid, { real: "f32", policy })),
      );
      for (const [i, value] of slow!.entries()) expect(fast![i]).toBeCloseTo(value, 4);
    }
  const sparse = bench(wasm, "gru", logistic, { real: "f32", policy: "threshold:0.2" });
  expect(flat(sparse)).not.toEqual(flat(bench(wasm, "gru", logistic, { real: "f32" })));
  const macs = sparse.layer.macs.reduce((sum, { skipped }) => sum + skipped, 0);
  expect(macs).toBeGreaterThan(0);
});
