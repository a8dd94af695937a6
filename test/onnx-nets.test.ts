/** Nets of ours without an ONNX operator of their own, as graphs: in onnxruntime, in OnnxSession, through the command line, and back. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { decodeOnnx, encodeOnnx, type OnnxGraph, type OnnxNode, type OnnxTensor } from "../src/formats/onnx.ts";
import { onnxOfModel, readsLengths, statesOf } from "../src/formats/onnx-export.ts";
import { numbersOf } from "../src/formats/onnx-graph.ts";
import { differenceOfGraphs, parametersOfOwn } from "../src/formats/onnx-own.ts";
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
    const { model, bytes, again } = graphOf(spec, lengths !== undefined);
    const { graph } = decodeOnnx(bytes);
    expect(differenceOfGraphs(again(), graph)).toBeUndefined();
    const back = [...parametersOfOwn(graph)].map(([name, source]) => [name, source.shape, [...numbersOf(source)]]); // biome-ignore format: a call
    const wanted = model.parameters.map(({ name, value }) => [name, value.shape, [...value.data]]);
    expect(back.sort()).toEqual(wanted.sort());
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
  /** What a graph of this net has to be, before there are weights. */
  const again = () =>
    onnxOfModel(model.spec, (name) => ({ shape: weights.get(name)!.shape, pieces: () => [] }), options).graph;
  return { model, bytes, again };
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

test("a graph that was changed anywhere is not the net's, and the place is named", () => {
  const written = graphOf({ ...transformer, numLayers: 1, activation: "gelu", output: last }, true);
  const { graph } = decodeOnnx(written.bytes);
  const changes: [string, RegExp, Partial<OnnxGraph>][] = [
    ["no head", /^node "output" \(Add\) is missing$/, { nodes: graph.nodes.slice(0, -1) }],
    ["a node more", /^node "embedding" \(Gather\) is one too many$/, { nodes: [...graph.nodes, graph.nodes[0]!] }],
    ["other output", /^its outputs are output: FLOAT \[T,5\]; expected output: FLOAT \[B,5\]$/, { outputs: [{ name: "output", type: "FLOAT", dims: ["T", 5] }] }], // biome-ignore format: a table
    ["no input", /^its inputs are tokens: /, { inputs: graph.inputs.slice(0, 1) }],
    ["twice", /there twice/, { initializers: [...graph.initializers, graph.initializers[0]!] }],
  ];
  for (const [index, node] of graph.nodes.entries()) {
    const named = new RegExp(`^node "${node.name}" \\(.*\\) has other inputs`);
    const put = (other: Partial<OnnxNode>) => graph.nodes.map((each, at) => (at === index ? { ...node, ...other } : each)); // biome-ignore format: a call
    changes.push(["inputs", named, { nodes: put({ inputs: node.inputs.toReversed().concat("x") }) }]);
    changes.push(["domain", named, { nodes: put({ domain: "theirs" }) }]);
    changes.push(["a setting", named, { nodes: put({ attributes: new Map([...node.attributes, ["axis", { i: 7 }]]) }) }]); // biome-ignore format: a call
  }
  for (const [index, tensor] of graph.initializers.entries()) {
    const put = (other: Partial<OnnxTensor>) => graph.initializers.map((each, at) => (at === index ? { ...tensor, ...other } : each)); // biome-ignore format: a call
    changes.push(["gone", /^constant ".*" is missing$/, { initializers: put({ name: "elsewhere" }) }]);
    changes.push(["shape", /^constant ".*" is .*, expected/, { initializers: put({ dims: [...tensor.dims, 1] }) }]);
    if (/weight|bias/.test(tensor.name)) continue; // these may be any numbers
    const bytes = Uint8Array.from(tensor.bytes as Uint8Array, (byte, at) => (at === 0 ? byte ^ 1 : byte));
    changes.push(["numbers", /^constant ".*" has other numbers$/, { initializers: put({ bytes }) }]);
  }
  const expected = written.again();
  expect(differenceOfGraphs(expected, graph)).toBeUndefined();
  for (const [what, message, change] of changes)
    expect(differenceOfGraphs(expected, { ...graph, ...change }), what).toMatch(message);
});

test("the command line exports, checks, reads back bit for bit, and refuses another net's graph", () => {
  const { folder, gatesieve } = commandLineIn("onnx-nets");
  const done = (...args: string[]) => {
    const { status, stdout, stderr } = gatesieve(...args);
    expect({ args, status, stderr: status ? stderr : "" }).toEqual({ args, status: 0, stderr: "" });
    return stdout;
  };
  const lines = Array.from({ length: 60 }, (_, i) => `${"ab".repeat(1 + (i % 3))}${i},${i % 3}\n`);
  writeFileSync(join(folder, "names.csv"), `text,label\n${lines.join("")}`);
  const settings = ["model.hiddenSize=8", "train.batchSize=4", "train.sequenceLength=5", "train.maxSteps=2", "--quiet"];
  done("train", "task.name=classification", "task.data=names.csv", "model.net=transformer", ...settings);
  const { check, id } = JSON.parse(done("export", "last", "--format", "onnx", "--out", "net.onnx", "--check", "--json")); // biome-ignore format: a call
  expect(check.shapes[0]).toEqual({ T: 5, B: 3 }); // as far as it has positions
  expect(Object.keys(check.differences)).toEqual(["output"]);
  expect(check.worst).toBeLessThan(check.bound);
  done("import", "net.onnx", "--out", "back");
  const weights = (dir: string) => readFileSync(join(folder, dir, "model/model.safetensors"));
  expect(weights("back")).toEqual(weights(join("runs", id)));
  done("export", "back", "--format", "onnx", "--out", "again.onnx");
  const graph = (path: string) => decodeOnnx(readFileSync(join(folder, path))).graph;
  expect(graph("again.onnx")).toEqual(graph("net.onnx"));
  done("train", "--from", "net.onnx", "task.data=names.csv", "train.maxSteps=1", "train.batchSize=4", "train.sequenceLength=5", "--quiet", "--runs", "on"); // biome-ignore format: a call

  // The same shapes, another function: the graph tells.
  const refused = (pattern: RegExp, ...args: string[]) => {
    const { status, stderr } = gatesieve("import", ...args, "--out", "no");
    expect({ status, lines: stderr.trim().split("\n").length }).toEqual({ status: 1, lines: 1 });
    expect(stderr).toMatch(pattern);
    expect(existsSync(join(folder, "no"))).toBe(false);
  };
  refused(/net.onnx is not the graph that Gatesieve writes for this net: node "transformer.layers.0.gelu.x" \(Div\)|node "transformer.layers.0.relu" \(Relu\) has other/, "net.onnx", "model.activation=gelu"); // biome-ignore format: a call
  refused(/node "transformer.layers.0.self_attn.split" \(Reshape\) has other inputs/, "net.onnx", "model.numHeads=1");
  const file = decodeOnnx(readFileSync(join(folder, "net.onnx")));
  const rewrite = (own: object) => {
    const metadata = new Map([...file.metadata, ["gatesieve", JSON.stringify(own)]]);
    writeFileSync(join(folder, "hostile.onnx"), encodeOnnx({ ...file, metadata }).toBytes());
  };
  const own = JSON.parse(file.metadata.get("gatesieve") as string);
  rewrite({ ...own, config: { ...own.config, model: { ...own.config.model, numLayers: 1e9 } } });
  refused(/its configuration has 1000000000 layers, its graph \d+ nodes/, "hostile.onnx");
  rewrite({ ...own, config: { ...own.config, model: { ...own.config.model, hiddenSize: 16 } } });
  refused(/got F32 .* expected/, "hostile.onnx");
});
