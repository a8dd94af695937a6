/** Nets of ours without an ONNX operator of their own, as graphs: in onnxruntime, in OnnxSession, through the command line. */
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { encodeOnnx } from "../src/formats/onnx.ts";
import { onnxOfModel, readsLengths, statesOf } from "../src/formats/onnx-export.ts";
import { OnnxSession } from "../src/formats/onnx-session.ts";
import { loadEngine } from "../src/kernels/engines.ts";
import { Model, type ModelSpec } from "../src/nn/model.ts";
import { loadOnnxRuntime } from "../src/runs/onnx.ts";
import { commandLineIn } from "./gatesieve.ts";

const js = await loadEngine("js");
const { runtime } = await loadOnnxRuntime();
const [T, B] = [6, 3];
const tokens = { kind: "tokens", vocabulary: 9, embedding: 4 } as const;
const features = { kind: "features", size: 3 } as const;
const last = { kind: "classes", size: 5, positions: "last" } as const;
const transformer = { net: "transformer", numHeads: 2, hiddenSize: 8 } as const;
const norms = { residual: true, layerNorm: true, numLayers: 3 } as const;

const specs: [string, Partial<ModelSpec>, number[]?][] = [
  ["mlp of one-hot tokens", { net: "mlp", input: { kind: "tokens", vocabulary: 9 } }],
  ["mlp with gelu at the last position", { net: "mlp", activation: "gelu", input: features, output: last }, [2, 6, 1]],
  ["transformer as wide as its embedding", { ...transformer, input: { ...tokens, embedding: 8 } }],
  ["transformer of one-hot tokens, gelu", { ...transformer, activation: "gelu", input: { ...tokens, embedding: 0 } }],
  ["transformer at the last position", { ...transformer, numLayers: 1, positions: 9, input: features, output: last }],
  ["transformer at last positions", { ...transformer, dimFeedforward: 5, output: last }, [2, 6, 1]],
  ["lstm with residual and norm", { cell: "lstm", ...norms }],
  ["gru with norm, both directions", { cell: "gru", bidirectional: true, layerNorm: true, output: last }, [2, 6, 1]],
  ["mingru with residual, padded", { cell: "mingru", residual: true }, [2, 6, 1]],
  ["rnn with both at last positions", { cell: "rnn", ...norms, output: last }, [2, 6, 1]],
  ["lstm with all, both directions", { bidirectional: true, ...norms, output: last }, [2, 6, 1]],
];

describe("a graph of a net", () => {
  test.each(specs)("%s says what the net says, at any T and B", async (_, spec, lengths) => {
    const { model, bytes } = graphOf(spec, lengths !== undefined);
    const own = new OnnxSession(bytes);
    const theirs = await runtime.InferenceSession.create(bytes, { logSeverityLevel: 3 });
    for (const shape of [
      { T, B },
      { T: 2, B: 2 },
    ]) {
      const { feeds, expected } = passOf(model, shape.T, shape.B, lengths);
      const tensors = Object.entries(feeds).map(([name, { type, dims, data }]) => {
        const array = { int64: () => BigInt64Array.from(data, BigInt), int32: () => Int32Array.from(data), float32: () => Float32Array.from(data) }[type]; // biome-ignore format: a table
        return [name, new runtime.Tensor(type, array(), dims)];
      });
      for (const said of [own.run(feeds), await theirs.run(Object.fromEntries(tensors))]) {
        expect(said.output!.dims).toEqual(expected.dims);
        const differences = expected.values.map((value, i) => (expected.counts(i) ? value - said.output!.data[i]! : 0));
        expect(Math.max(...differences.map(Math.abs))).toBeLessThan(2e-6);
      }
    }
  });
});

test("more positions than were learned are an error, not an answer", async () => {
  const { bytes } = graphOf({ ...transformer, positions: T }, false);
  const [dims, data] = [[T + 1, 1], new Array(T + 1).fill(0)] as const;
  expect(() => new OnnxSession(bytes).run({ tokens: { dims, data } })).toThrow(
    /"transformer.positions.rows" \(Gather\) takes 6 of 6/,
  );
  const theirs = await runtime.InferenceSession.create(bytes, { logSeverityLevel: 4 });
  const feeds = { tokens: new runtime.Tensor("int64", BigInt64Array.from(data, BigInt), dims) };
  await expect(theirs.run(feeds)).rejects.toThrow(/transformer.positions.rows/);
});

/** A net with weights drawn, and its graph. */
function graphOf(spec: Partial<ModelSpec>, padded: boolean) {
  const output = { kind: "classes", size: 5, positions: "all" } as const;
  const model = new Model(js, { input: tokens, hiddenSize: 5, numLayers: 2, output, ...spec }, { T, B });
  model.initialize(1);
  // Norms begin as weight 1 and bias 0, which would hide them.
  for (const { name, value } of model.parameters)
    if (name.includes("norm")) for (let i = 0; i < value.length; i++) value.data[i]! += Math.sin(i + name.length) / 2;
  const weights = new Map(model.parameters.map(({ name, value }) => [name, value]));
  const weightOf = (name: string) => ({
    shape: weights.get(name)!.shape,
    pieces: () => [weights.get(name)!.data as Float32Array],
  });
  const options = { version: "test", lengths: padded };
  const bytes = encodeOnnx(onnxOfModel(model.spec, weightOf, options)).toBytes();
  return { model, bytes };
}

/** What our own net says, and feeds of the same: from zero states. */
function passOf(model: Model, steps: number, lanes: number, given?: readonly number[]) {
  const { input, output, hiddenSize, numLayers, bidirectional } = model.spec;
  const x = input.kind === "tokens" ? model.tokens.data : model.features.data;
  for (let i = 0; i < x.length; i++) x[i] = input.kind === "tokens" ? (i * i + 1) % 9 : Math.sin(i);
  const size = input.kind === "tokens" ? [] : [input.size];
  const lengths = Array.from({ length: lanes }, (_, b) => Math.min(steps, given?.[b] ?? steps));
  model.lengths.data.set(lengths);
  model.resetCarried();
  const pass = { ...model.pass, T: steps, B: lanes, training: false };
  const rows = (output.positions === "all" ? steps : 1) * lanes;
  const outputs = new Float32Array(rows * output.size);
  model.head.outputs(model.forward(pass), pass, outputs);
  const states = [numLayers * (bidirectional ? 2 : 1), lanes, hiddenSize];
  const zeros = new Float32Array(states.reduce((a, b) => a * b));
  const feeds: Record<string, { type: "int64" | "int32" | "float32"; dims: readonly number[]; data: number[] }> = {
    [size.length ? "features" : "tokens"]: {
      type: size.length ? "float32" : "int64",
      dims: [steps, lanes, ...size],
      data: Array.from(x.subarray(0, steps * lanes * (size[0] ?? 1))),
    },
    ...(given && readsLengths(model.spec) ? { lengths: { type: "int32", dims: [lanes], data: lengths } } : {}),
  };
  for (const name of statesOf(model.spec)) feeds[`${name}0`] = { type: "float32", dims: states, data: [...zeros] };
  const there = (i: number) => Math.floor(i / output.size / lanes) < lengths[Math.floor(i / output.size) % lanes]!;
  return {
    feeds,
    expected: {
      values: [...outputs],
      dims: output.positions === "all" ? [steps, lanes, output.size] : [lanes, output.size],
      counts: output.positions === "all" ? there : () => true,
    },
  };
}

test("the command line exports, checks, and says that it does not read these back", () => {
  const { folder, gatesieve } = commandLineIn("onnx-nets");
  const lines = Array.from({ length: 60 }, (_, i) => `${"ab".repeat(1 + (i % 3))}${i},${i % 3}\n`);
  writeFileSync(join(folder, "names.csv"), `text,label\n${lines.join("")}`);
  const settings = ["model.hiddenSize=8", "train.batchSize=4", "train.sequenceLength=5", "train.maxSteps=2", "--quiet"];
  const trained = gatesieve("train", "task.name=classification", "task.data=names.csv", "model.net=transformer", ...settings); // biome-ignore format: a call
  expect(trained.status, trained.stderr).toBe(0);
  const exported = gatesieve("export", "last", "--format", "onnx", "--out", "net.onnx", "--check", "--json");
  expect(exported.status, exported.stderr).toBe(0);
  const { check } = JSON.parse(exported.stdout);
  expect(check.shapes[0]).toEqual({ T: 5, B: 3 }); // as far as it has positions
  expect(Object.keys(check.differences)).toEqual(["output"]);
  expect(check.worst).toBeLessThan(check.bound);
  const imported = gatesieve("import", "net.onnx", "--out", "back");
  expect(imported).toMatchObject({ status: 1, stderr: expect.stringMatching(/^gatesieve: .*net.onnx is a model of ours with net transformer, which is not read back from ONNX.*\n$/) }); // biome-ignore format: a call
  expect(existsSync(join(folder, "back"))).toBe(false);
});
