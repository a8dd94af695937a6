/** ONNX files: written and read alike, others' graphs run as their makers say, hostile files refused in bounds. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { GatesieveError } from "../core/check.ts";
import { loadEngine } from "../kernels/engines.ts";
import { cells } from "../nn/cells.ts";
import { Model, type ModelSpec } from "../nn/model.ts";
import { decodeOnnx, decodeOnnxTensor, encodeOnnx, type OnnxAttribute, type OnnxFile, type OnnxNode } from "./onnx.ts";
import { type OnnxExportOptions, onnxOfModel } from "./onnx-export.ts";
import { numbersOf } from "./onnx-graph.ts";
import { netOfOnnx } from "./onnx-import.ts";
import { parameterOf } from "./onnx-node.ts";
import { parametersOfOwn } from "./onnx-own.ts";
import { type OnnxFeed, OnnxSession } from "./onnx-session.ts";
import { arrayOf } from "./onnx-tensor.ts";
import { Message, readFields, wholeNumbers } from "./protobuf.ts";

const golden = (name: string) =>
  readFileSync(fileURLToPath(new URL(`../../test/golden/onnx/${name}`, import.meta.url)));
const pytorch = JSON.parse(String(golden("pytorch.json")));
const conformance = JSON.parse(String(golden("conformance.json")));
const base64 = (text: string) => new Uint8Array(Buffer.from(text, "base64"));
const js = await loadEngine("js");
const [T, B] = [5, 3];

function modelOf(spec: Partial<ModelSpec>): Model {
  const tokens = { kind: "tokens", vocabulary: 9, embedding: 4 } as const;
  const output = { kind: "classes", size: 6, positions: "all" } as const;
  const model = new Model(js, { input: tokens, cell: "lstm", hiddenSize: 5, numLayers: 2, output, ...spec }, { T, B });
  model.initialize(1);
  return model;
}

function fileOf(model: Model, options: Partial<OnnxExportOptions> = {}): OnnxFile {
  const weights = new Map(model.parameters.map(({ name, value }) => [name, value]));
  const weightOf = (name: string) => ({
    shape: weights.get(name)!.shape,
    pieces: () => [weights.get(name)!.data as Float32Array],
  });
  return onnxOfModel(model.spec, weightOf, { version: "test", ...options });
}

/** What our own net says, and the session's feeds of the same. */
function passOf(model: Model, lengths?: readonly number[]) {
  const { spec, carried } = model;
  const x = spec.input.kind === "tokens" ? model.tokens.data : model.features.data;
  for (let i = 0; i < x.length; i++) x[i] = spec.input.kind === "tokens" ? (i * i + 1) % 9 : Math.sin(i);
  const size = spec.input.kind === "tokens" ? [] : [spec.input.size];
  const states = spec.cell === "lstm" ? 2 : 1;
  const starts = Array.from({ length: states }, (_, s) =>
    carried
      .filter((_, index) => index % states === s)
      .flatMap(({ data }, l) => Array.from(data, (_, i) => Math.cos(i + l + s))),
  );
  for (const [index, { data }] of carried.entries())
    data.set(starts[index % states]!.slice(Math.floor(index / states) * data.length).slice(0, data.length));
  if (lengths) model.lengths.data.set(lengths);
  const feeds: Record<string, OnnxFeed> = {
    [size.length ? "features" : "tokens"]: { dims: [T, B, ...size], data: Array.from(x) },
    ...Object.fromEntries(
      starts.map((data, s) => [`${"hc"[s]}0`, { dims: [carried.length / states, B, spec.hiddenSize], data }]),
    ),
    ...(lengths ? { lengths: { dims: [B], data: lengths } } : {}),
  };
  const outputs = new Float64Array((spec.output.positions === "all" ? T : 1) * B * spec.output.size);
  const pass = { ...model.pass, training: false };
  model.head.outputs(model.forward(pass), pass, outputs);
  const hn = carried.filter((_, index) => index % states === 0).flatMap(({ data }) => Array.from(data));
  return { feeds, outputs, hn };
}

const worst = (a: ArrayLike<number>, b: ArrayLike<number>, counts: (i: number) => boolean = () => true) => {
  expect(a.length).toBe(b.length);
  return Array.from(a).reduce((most, value, i) => (counts(i) ? Math.max(most, Math.abs(value - b[i]!)) : most), 0);
};

describe("a net of ours", () => {
  const last = { kind: "classes", size: 6, positions: "last" } as const;
  const specs: [string, Partial<ModelSpec>, number[]?][] = Object.keys(cells).flatMap((name) => {
    const cell = name as keyof typeof cells;
    return [
      [`${cell}, embedding, two layers`, { cell }],
      [`${cell}, one-hot`, { cell, numLayers: 1, input: { kind: "tokens", vocabulary: 9 } }],
      [
        `${cell}, features, last position, lengths`,
        { cell, input: { kind: "features", size: 3 }, output: last },
        [5, 2, 1],
      ],
      [`${cell}, both directions, lengths`, { cell, bidirectional: true }, [3, 5, 1]],
      [`${cell}, both directions, last position, lengths`, { cell, bidirectional: true, output: last }, [4, 5, 1]],
    ];
  });

  test.each(specs)("%s: the graph says what the net says, and comes back bit for bit", (_, spec, lengths) => {
    const model = modelOf(spec);
    const bytes = encodeOnnx(fileOf(model, { lengths: lengths !== undefined })).toBytes();
    const { feeds, outputs, hn } = passOf(model, lengths);
    const said = new OnnxSession(bytes).run(feeds);
    const size = model.spec.output.size;
    const there = (i: number) =>
      !lengths ||
      model.spec.output.positions === "last" ||
      Math.floor(i / size / B) < lengths[Math.floor(i / size) % B]!;
    expect(worst(outputs, said.output!.data, there)).toBeLessThan(1e-6);
    expect(worst(hn, said.hn!.data)).toBeLessThan(1e-6);

    const { parameters, positions, notes } = netOfOnnx(decodeOnnx(bytes));
    expect(positions).toBe(model.spec.output.positions);
    expect(notes).toEqual([]);
    expect([...parameters.keys()].sort()).toEqual(model.parameters.map(({ name }) => name).sort());
    for (const { name, value } of model.parameters) {
      const parameter = parameters.get(name)!;
      expect(parameter.shape).toEqual(value.shape);
      expect(Buffer.from(numbersOf(parameter).buffer)).toEqual(Buffer.from(Float32Array.from(value.data).buffer));
    }
  });

  test.each(["FLOAT", "DOUBLE", "BFLOAT16"] as const)(
    "numbers of type %s beyond one piece are where they belong",
    (type) => {
      const [start, block] = [3, 2 ** 18 + 5]; // of two gates, the second in the file's first place
      const numbers = Float32Array.from({ length: start + 2 * block }, (_, i) => ((i * 7) % 251) - 125); // exact in 8 bits
      const halves = () => new Uint16Array(new Uint32Array(numbers.buffer).map((bits) => bits >>> 16));
      const stored = { FLOAT: () => numbers, DOUBLE: () => Float64Array.from(numbers), BFLOAT16: halves }[type]();
      const bytes = new Uint8Array(stored.buffer.byteLength + 1); // lies at no multiple of 4, as in files
      bytes.set(new Uint8Array(stored.buffer), 1);
      const tensor = { name: "w", type, dims: [numbers.length], bytes: bytes.subarray(1) };
      const wanted = [...numbers.subarray(start + block), ...numbers.subarray(start, start + block)];
      const parameter = parameterOf(tensor, start, [2, block], [1, 0]);
      expect([...parameter.pieces()].length).toBe(4);
      expect(Buffer.from(numbersOf(parameter).buffer)).toEqual(Buffer.from(Float32Array.from(wanted).buffer));
    },
  );

  test("with normalisation and a forecast reads features as they are", () => {
    const output = { kind: "values", size: 4, positions: "last" } as const;
    const model = modelOf({ input: { kind: "features", size: 2 }, output });
    const normalisation = { mean: [1000, -3], deviation: [0.5, 2] };
    const forecast = { targets: [1, 0], scale: [2, 0.1], rowsBack: [3, 3] };
    const session = new OnnxSession(encodeOnnx(fileOf(model, { normalisation, forecast })).toBytes());
    const { feeds, outputs } = passOf(model);
    const raw = Array.from(
      feeds.features!.data,
      (x, i) => x * normalisation.deviation[i % 2]! + normalisation.mean[i % 2]!,
    );
    const said = session.run({ ...feeds, features: { dims: [T, B, 2], data: raw } });
    expect(worst(outputs, said.output!.data)).toBeLessThan(1e-3); // of float32 around 1000, in units of 0.5
    const row = (back: number, b: number, column: number) => Math.fround(raw[((T - back) * B + b) * 2 + column]!);
    const expected = Array.from({ length: B * 4 }, (_, i) => {
      const [b, h, k] = [Math.floor(i / 4), Math.floor(i / 2) % 2, i % 2];
      return row(3 - h, b, forecast.targets[k]!) + said.output!.data[i]! * forecast.scale[k]!;
    });
    expect(worst(expected, said.forecast!.data)).toBeLessThan(1e-4);
  });
});

test("a cell that has no ONNX form is refused", () => {
  const { spec } = modelOf({ numLayers: 1 });
  const own = { ...spec, cell: "own" as "lstm" };
  expect(() => onnxOfModel(own, () => ({ shape: [], pieces: () => [] }), { version: "test" })).toThrow(
    /cell own has no ONNX form here; lstm, gru, rnn, mingru have/,
  );
});

describe("others' files", () => {
  test.each(Object.keys(pytorch).slice(2))(
    "PyTorch's %s computes what PyTorch says, as a graph and as a net of ours",
    (name) => {
      const { tokens, logits, batchFirst } = pytorch[name];
      const file = golden(`pytorch-${name}.onnx`);
      const turned = Array.from(tokens, (_, i) => tokens[(i % pytorch.T) * pytorch.B + Math.floor(i / pytorch.T)]);
      const feeds = batchFirst
        ? { tokens: { dims: [pytorch.B, pytorch.T], data: turned } }
        : { tokens: { dims: [pytorch.T, pytorch.B], data: tokens } };
      const { logits: said } = new OnnxSession(file).run(feeds);
      const V = 11;
      const at = (i: number) => {
        const [row, v] = [Math.floor(i / V), i % V];
        return batchFirst ? ((row % pytorch.B) * pytorch.T + Math.floor(row / pytorch.B)) * V + v : i;
      };
      expect(
        worst(
          logits,
          Array.from(logits, (_, i) => said!.data[at(i)]!),
        ),
      ).toBeLessThan(1e-6);

      const { parameters, positions } = netOfOnnx(decodeOnnx(file));
      const [cell] = name.split("-") as [keyof typeof cells];
      const [, H = 0] = parameters.get(`${cell}.weight_hh_l0`)!.shape;
      const numLayers = parameters.has(`${cell}.weight_hh_l1`) ? 2 : 1;
      const spec: ModelSpec = {
        ...{ cell, hiddenSize: H, numLayers, bidirectional: name.includes("both") },
        input: { kind: "tokens", vocabulary: V, embedding: 4 },
        output: { kind: "classes", size: V, positions: positions! },
      };
      const model = new Model(js, spec, pytorch);
      model.initialize(1);
      for (const { name: ours, value } of model.parameters) value.data.set(numbersOf(parameters.get(ours)!));
      model.pack();
      model.tokens.data.set(tokens);
      const got = new Float64Array(logits.length);
      const pass = { ...model.pass, training: false };
      model.head.outputs(model.forward(pass), pass, got);
      expect(worst(logits, got)).toBeLessThan(1e-6);
    },
  );

  test.each(Object.keys(conformance))("ONNX' own case %s", (name) => {
    const { model, inputs, outputs } = conformance[name];
    const session = new OnnxSession(base64(model));
    const feeds = session.inputs.map(({ name: input }, index) => [
      input,
      arrayOf(decodeOnnxTensor(base64(inputs[index]))),
    ]);
    const said = session.run(Object.fromEntries(feeds));
    for (const [index, expected] of (outputs as string[]).entries()) {
      const { dims, data } = arrayOf(decodeOnnxTensor(base64(expected)));
      const got = said[session.outputs[index]!.name]!;
      expect(got.dims).toEqual(dims);
      expect(worst(data, got.data)).toBeLessThan(1e-6);
    }
  });
});

describe("what is refused", () => {
  const bytes = encodeOnnx(fileOf(modelOf({}))).toBytes();
  const good = decodeOnnx(bytes);
  const changed = (op: string, change: (node: OnnxNode) => Partial<OnnxNode>) => {
    const nodes = good.graph.nodes.map((node) => (node.op === op ? { ...node, ...change(node) } : node));
    return { ...good, graph: { ...good.graph, nodes } };
  };
  const option = (name: string, value: OnnxAttribute) => (node: OnnxNode) => ({
    attributes: new Map([...node.attributes, [name, value]]),
  });

  test.each<[string, OnnxFile, RegExp]>([
    [
      "an operator between",
      changed("Squeeze", () => ({ op: "Relu", name: "between" })),
      /node "between" \(Relu\) has no place in a net/,
    ],
    ["an operator of elsewhere", changed("LSTM", () => ({ domain: "com.microsoft" })), /no node of LSTM, GRU or RNN/],
    [
      "other activations",
      changed("LSTM", option("activations", { strings: ["Relu", "Tanh", "Tanh"] })),
      /"lstm.l0" \(LSTM\) has activations "relu"/,
    ],
    ["clipping", changed("LSTM", option("clip", { f: 3 })), /"lstm.l0" \(LSTM\) has clip/],
    ["batch first", changed("LSTM", option("layout", { i: 1 })), /has layout=1; a net of ours has layout=0/],
    [
      "a direction that weights lack",
      changed("LSTM", option("direction", { s: "reverse" })),
      /has direction "reverse"/,
    ],
    ["another hidden size", changed("LSTM", option("hidden_size", { i: 6 })), /hidden_size 6; .* has 5/],
    [
      "a weight that is made",
      changed("LSTM", ({ inputs }) => ({ inputs: [inputs[0]!, "tokens", ...inputs.slice(2)] })),
      /input "tokens" \(W\) is no constant/,
    ],
    [
      "a layer that skips one",
      changed("LSTM", ({ inputs }) => ({ inputs: ["embedding", ...inputs.slice(1)] })),
      /"lstm.l1" \(LSTM\) reads "embedding", which is not what layer 0 says/,
    ],
    [
      "something after the outputs",
      {
        ...changed("Add", (node) => ({ outputs: ["early"], name: node.name })),
        graph: {
          ...good.graph,
          nodes: [
            ...changed("Add", () => ({ outputs: ["early"] })).graph.nodes,
            { name: "late", op: "Relu", domain: "", inputs: ["early"], outputs: ["output"], attributes: new Map() },
          ],
        },
      },
      /node "late" \(Relu\) has no place/,
    ],
    [
      "a weight of another shape",
      {
        ...good,
        graph: {
          ...good.graph,
          initializers: good.graph.initializers.map((tensor) =>
            tensor.name === "lstm.l0.R" ? { ...tensor, dims: [1, 25, 4] } : tensor,
          ),
        },
      },
      /R "lstm.l0.R" is \[1,25,4\], expected \[1,16,4\]/,
    ],
    [
      "a weight of another type",
      {
        ...good,
        graph: {
          ...good.graph,
          initializers: good.graph.initializers.map((tensor) =>
            tensor.name === "lstm.l0.B" ? { ...tensor, type: "INT32" as const } : tensor,
          ),
        },
      },
      /B "lstm.l0.B" is INT32, expected "FLOAT"/,
    ],
  ])("%s, by its node", (_, file, message) => {
    expect(() => netOfOnnx(file)).toThrow(GatesieveError);
    expect(() => netOfOnnx(file)).toThrow(message);
  });

  test("a session says which operator, input or size it lacks", () => {
    const unknown = encodeOnnx(changed("LSTM", () => ({ op: "Attention" }))).toBytes();
    expect(() => new OnnxSession(unknown)).toThrow(/node "lstm.l0" \(Attention\) is not known; known are LSTM, GRU/);
    const session = new OnnxSession(bytes);
    const { feeds } = passOf(modelOf({}));
    expect(() => session.run({ tokens: feeds.tokens! })).toThrow(/input "h0" is missing; it has tokens, h0, c0/);
    expect(() => session.run({ ...feeds, h0: { dims: [1, B, 5], data: new Float32Array(15) } })).toThrow(
      /"h0" is \[1,3,5\] of 15 numbers, expected \[2,B,5\]/,
    );
    expect(() => session.run({ ...feeds, tokens: { dims: [T, B], data: new Array(T * B).fill(9) } })).toThrow(
      /\(Gather\) takes 9 of 9/,
    );
  });

  test("numbers and messages of protocol buffers survive; what ends within one does not", () => {
    fc.assert(
      fc.property(fc.array(fc.maxSafeInteger()), fc.string(), (numbers, text) => {
        const message = new Message();
        for (const number of numbers) message.int(3, number);
        const got: number[] = [];
        let said = "";
        const written = message.text(4, text).toBytes();
        const refuse = (what: string): never => {
          throw new Error(what);
        };
        readFields(written, refuse, (field) => {
          if (field.number === 3) wholeNumbers(field, refuse, (value) => got.push(value));
          else said = new TextDecoder("utf-8", { ignoreBOM: true }).decode(field.bytes);
        });
        expect(got).toEqual(numbers.map((number) => number + 0)); // -0 is 0 there
        expect(said).toBe(new TextDecoder("utf-8", { ignoreBOM: true }).decode(new TextEncoder().encode(text)));
        if (written.length > 1)
          expect(() => readFields(written.subarray(0, -1), refuse, () => {})).toThrow(/ends|left/);
      }),
      { numRuns: 50 },
    );
  });

  test("any file with bytes changed is read or refused, in time and memory", () => {
    const files = [
      bytes,
      new Uint8Array(golden("pytorch-gru-both.onnx")),
      encodeOnnx(fileOf(modelOf({ cell: "mingru", bidirectional: true }), { lengths: true })).toBytes(),
      encodeOnnx(fileOf(modelOf({ net: "transformer", hiddenSize: 4, activation: "gelu" }))).toBytes(),
    ];
    const change = fc.record({ at: fc.double({ min: 0, max: 1, noNaN: true }), byte: fc.nat(255) });
    const began = performance.now();
    fc.assert(
      fc.property(
        fc.nat(files.length - 1),
        fc.array(change, { minLength: 1, maxLength: 4 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.boolean(),
        (which, changes, length, cut) => {
          const spoilt = files[which]!.slice();
          for (const { at, byte } of changes) spoilt[Math.floor(at * (spoilt.length - 1))] = byte;
          survives(cut ? spoilt.subarray(0, Math.floor(length * spoilt.length)) : spoilt);
        },
      ),
      { numRuns: 600 },
    );
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), survives), { numRuns: 300 });
    expect(performance.now() - began).toBeLessThan(20_000);
  });

  test.each<[string, Uint8Array, RegExp]>([
    ["nothing", new Uint8Array(0), /it is empty/],
    ["text", new TextEncoder().encode("<html>"), /no ONNX file/],
    [
      "a million empty nodes",
      new Message()
        .bytes(
          7,
          new Uint8Array(4_000_000).map((_, i) => (i % 2 ? 0 : 10)),
        )
        .toBytes(),
      /operator|over 1000000/,
    ],
    [
      "a million numbers in a byte each",
      new Message()
        .bytes(
          7,
          new Message().bytes(
            1,
            new Message().text(4, "Split").bytes(5, new Message().text(1, "split").bytes(8, new Uint8Array(2_000_000))),
          ),
        )
        .toBytes(),
      /over 1000000 nodes, names and numbers/,
    ],
    ["graphs in graphs", nested(40), /over 8 deep/],
    [
      "a tensor of 2^60 numbers",
      new Message()
        .bytes(
          7,
          new Message().bytes(
            5,
            new Message()
              .int(1, 2 ** 30)
              .int(1, 2 ** 30)
              .int(2, 1)
              .text(8, "w")
              .bytes(9, new Uint8Array(4)),
          ),
        )
        .toBytes(),
      /"w" has 4 bytes, expected/,
    ],
    [
      "weights in another file",
      new Message()
        .bytes(7, new Message().bytes(5, new Message().int(1, 1).int(2, 1).text(8, "w").int(14, 1)))
        .toBytes(),
      /"w" lies in another file/,
    ],
  ])("%s", (_, file, message) => {
    expect(() => decodeOnnx(file)).toThrow(GatesieveError);
    expect(() => decodeOnnx(file)).toThrow(message);
  });
});

function nested(depth: number): Uint8Array {
  let graph = new Message();
  for (let i = 0; i < depth; i++)
    graph = new Message().bytes(1, new Message().text(4, "If").bytes(5, new Message().text(1, "then").bytes(6, graph)));
  return new Message().bytes(7, graph).toBytes();
}

/** Read, understood and run, or refused with an error of ours. */
function survives(file: Uint8Array): void {
  const feed = (dims: readonly (number | string)[] | undefined) => {
    const sizes = (dims ?? [])
      .slice(0, 4)
      .map((size) => (typeof size === "number" ? Math.min(8, Math.max(1, size)) : 2));
    return { dims: sizes, data: new Float32Array(sizes.reduce((product, size) => product * size, 1)) };
  };
  for (const parametersOf of [(read: OnnxFile) => netOfOnnx(read).parameters, ({ graph }: OnnxFile) => parametersOfOwn(graph)]) // biome-ignore format: a line
    try {
      for (const { pieces } of parametersOf(decodeOnnx(file)).values()) for (const _ of pieces());
    } catch (error) {
      if (!(error instanceof GatesieveError)) throw error;
    }
  try {
    const session = new OnnxSession(file);
    session.run(Object.fromEntries(session.inputs.map(({ name, dims }) => [name, feed(dims)])));
  } catch (error) {
    if (!(error instanceof GatesieveError)) throw error;
  }
}
