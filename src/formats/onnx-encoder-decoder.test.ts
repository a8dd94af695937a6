/** The two graphs of an encoder and its decoder say what the net says, one after the other, for every cell and attention. */
import { describe, expect, test } from "vitest";
import { loadEngine } from "../kernels/engines.ts";
import { Model, type ModelSpec } from "../nn/model.ts";
import { decodeOnnx, encodeOnnx } from "./onnx.ts";
import { onnxOfEncoderDecoder } from "./onnx-encoder-decoder.ts";
import { onnxOfModel } from "./onnx-export.ts";
import { numbersOf } from "./onnx-graph.ts";
import { differenceOfGraphs, parametersOfOwn } from "./onnx-own.ts";
import type { OnnxFeed } from "./onnx-session.ts";
import { OnnxSession } from "./onnx-session.ts";

const js = await loadEngine("js");
const [S, T, B, H] = [5, 4, 3, 6];
const LENGTHS = [5, 1, 3];
const tokens = { kind: "tokens", vocabulary: 9 } as const;
const patches = { kind: "features", size: 3, length: S } as const;
const spec = {
  ...{ input: { ...tokens, embedding: 4 }, source: { ...tokens, embedding: 4, length: S }, hiddenSize: H },
  ...{ cell: "lstm", numLayers: 2, output: { kind: "classes", size: 9, positions: "all" } },
} as const satisfies ModelSpec;

function modelOf(change: Partial<ModelSpec>): Model {
  const model = new Model(js, { ...spec, ...change }, { T, B });
  model.initialize(1);
  // As drawn, attention is nearly even: larger scores tell positions apart.
  for (const { name, value } of model.parameters) if (/attention|encoder/.test(name)) for (let i = 0; i < value.length; i++) value.data[i]! *= 2; // biome-ignore format: a line
  model.pack();
  return model;
}

function weightOf({ parameters }: Model) {
  return (name: string) => {
    const { shape, data } = parameters.find((each) => each.name === name)!.value;
    return { shape, pieces: () => [data as Float32Array] };
  };
}

const worst = (a: ArrayLike<number>, b: ArrayLike<number>, counts: (i: number) => boolean = () => true) => {
  expect(a.length).toBe(b.length);
  return Array.from(a).reduce((most, value, i) => (counts(i) ? Math.max(most, Math.abs(value - b[i]!)) : most), 0);
};

describe("encoder and decoder", () => {
  test.each([
    ["lstm, from both ends, general", { bidirectional: true }],
    [
      "lstm, one layer, dot, one-hot",
      { numLayers: 1, attention: "dot", input: tokens, source: { ...tokens, length: S } },
    ],
    ["gru of features, dot", { cell: "gru", attention: "dot", source: patches }],
    ["gru from both ends, without attention", { cell: "gru", bidirectional: true, attention: "none" }],
    ["rnn, general", { cell: "rnn" }],
    ["mingru from both ends, general", { cell: "mingru", bidirectional: true }],
    ["mingru of features, one layer, dot", { cell: "mingru", numLayers: 1, attention: "dot", source: patches }],
  ] as const satisfies [string, Partial<ModelSpec>][])("%s", (_, change) => {
    const model = modelOf(change);
    const net = model.encoderDecoder!;
    const parts = onnxOfEncoderDecoder(model.spec, weightOf(model), { version: "test" });
    const [encoder, decoder] = [parts.encoder, parts.decoder].map(
      (part) => new OnnxSession(encodeOnnx(part).toBytes()),
    );
    const graphs = [parts.encoder, parts.decoder].map((part) => decodeOnnx(encodeOnnx(part).toBytes()).graph);
    const back = graphs.flatMap((graph) => [...parametersOfOwn(graph)]);
    const bits = back.map(([name, source]) => [name, source.shape, [...numbersOf(source)]]);
    expect(bits.sort()).toEqual(model.parameters.map(({ name, value }) => [name, value.shape, [...value.data]]).sort());
    expect(graphs.map((graph, part) => differenceOfGraphs([parts.encoder, parts.decoder][part]!.graph, graph))).toEqual([undefined, undefined]); // biome-ignore format: a call
    expect(differenceOfGraphs(graphs[0]!, graphs[1]!)).toMatch(/^node /);

    const states = model.spec.cell === "lstm" ? ["h", "c"] : ["h"];

    const buffers = net.buffers();
    const source = buffers.tokens ?? buffers.features!;
    for (let i = 0; i < source.length; i++) source[i] = buffers.tokens ? (i * i + 1) % 9 : Math.sin(i);
    buffers.lengths.set(LENGTHS);
    const pass = { ...model.pass, lengths: undefined, training: false };
    net.encode(pass);
    const size = buffers.tokens ? [] : [patches.size];
    const source_lengths: OnnxFeed = { dims: [B], data: LENGTHS };
    const read = encoder!.run({ source: { dims: [S, B, ...size], data: Array.from(source) }, source_lengths });
    const { tensor, row } = net.memory;
    const there = (i: number) => Math.floor(i / H / B) < LENGTHS[Math.floor(i / H) % B]!;
    expect(worst(tensor.data.slice(row * H, (row + S * B) * H), read.memory!.data, there)).toBeLessThan(1e-6);
    const { memory, ...begin } = read;
    expect(Object.keys(begin)).toEqual(states.map((state) => `${state}0`));
    const looked = model.spec.attention === "none" ? {} : { memory: memory!, source_lengths };

    // The second call goes on where the first ended, with fewer positions.
    let from: Record<string, OnnxFeed> = begin;
    for (const steps of [T, 2]) {
      const x = Array.from({ length: steps * B }, (_, i) => (i * i + 2 * steps) % 9);
      model.tokens.data.set(x);
      const outputs = new Float64Array(steps * B * 9);
      const ours = { ...pass, T: steps };
      model.head.outputs(net.decode(model.input, ours), ours, outputs);
      const said = decoder!.run({ tokens: { dims: [steps, B], data: x }, ...from, ...looked });
      expect(said.output!.dims).toEqual([steps, B, 9]);
      expect(worst(outputs, said.output!.data)).toBeLessThan(1e-6);
      from = Object.fromEntries(states.map((state) => [`${state}0`, said[`${state}n`]!]));
      for (const [index, state] of states.entries()) {
        const ends = net.recurrent
          .slice(-model.spec.numLayers)
          .flatMap(({ carried }) => Array.from(carried[index]!.data));
        expect(worst(ends, said[`${state}n`]!.data)).toBeLessThan(1e-6);
      }
    }
  });

  test("is no one graph, and says so", () => {
    const model = modelOf({});
    expect(() => onnxOfModel(model.spec, weightOf(model), { version: "test" })).toThrow(/as its parts/);
  });
});
