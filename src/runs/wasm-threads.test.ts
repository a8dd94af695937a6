/** Threads of engine `wasm`: the same bits for any number, and a process that ends by itself. */
import { spawnSync } from "node:child_process";
import { describe, expect, test } from "vitest";
import type { Tensor } from "../core/arena.ts";
import { chooseEngine } from "../kernels/engines.ts";
import type { Engine } from "../kernels/kernels.ts";
import { loadWasmEngine } from "../kernels/wasm.ts";
import { Model, type ModelSpec } from "../nn/model.ts";
import { parsePolicy } from "../sparse/policies.ts";
import { Trainer } from "../train/trainer.ts";
import "./wasm-threads.ts";

const single = (cell: ModelSpec["cell"], hiddenSize: number): ModelSpec => ({
  input: { kind: "tokens", vocabulary: 65 },
  cell,
  hiddenSize,
  numLayers: 1,
  output: { kind: "classes", size: 67, positions: "all" },
});

/** Big enough that every kernel of a step forks; odd sizes, so that the last task is a small one. */
const specs: Record<string, ModelSpec> = {
  "one-hot": {
    input: { kind: "tokens", vocabulary: 65 },
    cell: "lstm",
    hiddenSize: 130,
    numLayers: 2,
    dropout: 0.2,
    output: { kind: "classes", size: 67, positions: "all" },
  },
  embedding: {
    input: { kind: "tokens", vocabulary: 90, embedding: 70 },
    cell: "lstm",
    hiddenSize: 200,
    numLayers: 1,
    output: { kind: "classes", size: 290, positions: "all" },
  },
  gru: single("gru", 230),
  rnn: single("rnn", 140),
  mingru: single("mingru", 230),
};
/** Products over live columns; under `dense` all of them are. */
const structured: ModelSpec = {
  ...(specs.embedding as ModelSpec),
  numLayers: 2,
  dropout: 0.5,
  inputDropout: 0.5,
  recurrentDropout: 0.5,
  dropoutKind: "structured",
};
const STEPS = 3;

interface Trained {
  step(): number;
  bits(): Buffer;
}

function prepare(engine: Engine, spec: ModelSpec, policy: string, optimizer: "adam" | "sgd" | "rmsprop"): Trained {
  const model = new Model(engine, spec, { T: 7, B: 50 });
  const trainer = new Trainer(model, {
    policy: parsePolicy(policy),
    headPolicy: policy === "dense" ? undefined : parsePolicy(policy),
    seed: 3,
    maxSteps: STEPS,
    optimizer,
  });
  let steps = 0;
  return {
    step() {
      const tokens = model.tokens as Tensor<Int32Array>;
      for (let i = 0; i < tokens.length; i++) {
        tokens.data[i] = (i * 7 + steps * 13) % 65;
        model.head.targets.data[i] = (i * 11 + steps) % 65;
      }
      steps++;
      return trainer.step().loss;
    },
    bits() {
      const tensors = model.parameters.flatMap(({ value, gradient }) => [value, gradient]);
      return Buffer.concat(tensors.map(({ data }) => Buffer.from(data.slice().buffer)));
    },
  };
}

describe("engine wasm", () => {
  const cases = Object.keys(specs).flatMap((name) =>
    (
      [
        ["dense", "sgd"],
        ["density:0.1", "adam"],
        ["threshold:1e-5", "rmsprop"],
        ["stochastic:0.9", "sgd"],
        ["columns:0.2,unbiased", "sgd"],
        ["topk:0.1,pooled", "sgd"],
      ] as const
    ).map(([policy, optimizer]) => [name, policy, optimizer] as const),
  );

  const all = [...cases, ["structured dropout", "dense", "sgd"] as const];
  test.each(all)("%s, %s, %s: the bits do not depend on the number of threads", async (name, policy, optimizer) => {
    const spec = specs[name] ?? structured;
    // Side by side: the workers of one team go from one model to the other and back.
    const [one, two, three, again] = [
      prepare(await loadWasmEngine(1), spec, policy, optimizer),
      prepare(await loadWasmEngine(2), spec, policy, optimizer),
      prepare(await loadWasmEngine(3), spec, policy, optimizer),
      prepare(await loadWasmEngine(2), spec, policy, optimizer),
    ];
    for (let step = 0; step < STEPS; step++) {
      const loss = one.step();
      for (const several of [two, three, again]) expect(several.step()).toBe(loss);
    }
    for (const several of [two, three, again]) expect(Buffer.compare(several.bits(), one.bits())).toBe(0);
  });

  test("refuses more threads than it can have", async () => {
    await expect(chooseEngine("wasm", 65)).rejects.toThrow("up to 64 threads, got threads=65");
    await expect(chooseEngine("js", 2)).rejects.toThrow("threads=1, engine=wasm or engine=native");
  });
});

test("workers take tasks, and a process with them ends by itself", () => {
  const program = `
    const { loadWasmEngine } = await import(${JSON.stringify(dist("kernels/wasm.js"))});
    await import(${JSON.stringify(dist("runs/wasm-threads.js"))});
    const { Arena } = await import(${JSON.stringify(dist("core/arena.js"))});
    const arena = new Arena();
    const own = (await loadWasmEngine(2)).attach(arena);
    const [M, N] = [512, 512];
    const w = arena.tensor("w", [N, N], "weights");
    const weight = own.planWeight(w, { rows: M, nt: true });
    const [a, out] = [arena.tensor("a", [M, N], "activations"), arena.tensor("out", [M, N], "activations")];
    arena.allocate();
    own.pack(weight);
    const control = arena.tensors.find(({ name }) => name === "wasm.control").ptr;
    const [jobs, open, inside, visits] = [0, 64, 128, 132].map((at) => new Int32Array(arena.memory.buffer, control + at, 1));
    const began = performance.now();
    while (Atomics.load(visits, 0) < 3 && performance.now() - began < 10_000) own.gemmNT(out, 0, a, 0, weight, M);
    console.log(JSON.stringify({ jobs: jobs[0] > 2, open: open[0], inside: inside[0], visits: visits[0] > 2 }));`;
  const run = spawnSync(process.execPath, ["--input-type=module", "-e", program], {
    encoding: "utf8",
    timeout: 20_000,
  });
  expect(run).toMatchObject({ status: 0, stderr: "", signal: null });
  expect(JSON.parse(run.stdout)).toEqual({ jobs: true, open: 0, inside: 0, visits: true });
});

function dist(path: string): string {
  return new URL(`../../dist/${path}`, import.meta.url).href;
}
