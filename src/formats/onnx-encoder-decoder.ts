/**
 * An encoder and its decoder as two ONNX graphs, for inference: what writes calls the first once and the second token by
 * token.
 *
 *   encoder   source (S, B) tokens or (S, B, size) features, source_lengths (B)
 *             -> memory (S, B, H); h0, and c0 of an LSTM, (layers, B, H): where the decoder begins
 *   decoder   tokens (T, B), h0, c0, memory, source_lengths -> output (T, B, vocabulary): logits; hn, cn as h0, c0
 *
 * S, T and B are free. Sources shorter than S are right padded; memory past their end means nothing, and nothing looks
 * there. A decoder without attention has neither memory nor source_lengths.
 */
import { check } from "../core/check.ts";
import type { ModelSpec } from "../nn/model.ts";
import { netName } from "../nn/nets.ts";
import type { InputSpec, SourceSpec } from "../tasks/task.ts";
import type { OnnxFile, OnnxGraph } from "./onnx.ts";
import { IR_VERSION, ONNX_GATES, ONNX_OPSET, stepOfMinGRU } from "./onnx-export.ts";
import { GraphBuilder, type WeightSource } from "./onnx-graph.ts";

export const ONNX_PARTS = ["encoder", "decoder"] as const;
export type OnnxPart = (typeof ONNX_PARTS)[number];

export interface OnnxPartsOptions {
  readonly version: string;
  /** Of each of the two files. */
  readonly metadata?: (part: OnnxPart) => ReadonlyMap<string, string>;
}

type WeightOf = (name: string) => WeightSource;

/** `weightOf` gives the parameters that a model of this spec, which has a source, has under their names. */
export function onnxOfEncoderDecoder(
  spec: ModelSpec,
  weightOf: WeightOf,
  { version, metadata }: OnnxPartsOptions,
): Record<OnnxPart, OnnxFile> {
  const { source } = spec;
  const cell = netName(spec);
  if (!source) throw new Error("a model without a source has no encoder");
  check(
    Object.hasOwn(ONNX_GATES, cell) || cell === "mingru",
    `cell ${cell} has no ONNX form here; ${[...Object.keys(ONNX_GATES), "mingru"].join(", ")} have. Export it with --format safetensors.`,
  );
  const file = (part: OnnxPart, graph: OnnxGraph): OnnxFile => ({
    irVersion: IR_VERSION,
    opset: ONNX_OPSET,
    producer: "gatesieve",
    producerVersion: version,
    metadata: metadata?.(part) ?? new Map(),
    graph,
  });
  return {
    encoder: file("encoder", encoderGraph(spec, source, weightOf)),
    decoder: file("decoder", decoderGraph(spec, weightOf)),
  };
}

function encoderGraph(spec: ModelSpec, source: SourceSpec, weightOf: WeightOf): OnnxGraph {
  const { hiddenSize: H, numLayers, bidirectional = false } = spec;
  const g = new GraphBuilder();
  const states = stateNames(spec);
  const x = source.kind === "tokens" ? g.input("source", "INT64", ["S", "B"]) : g.input("source", "FLOAT", ["S", "B", source.size]); // biome-ignore format: the two side by side
  const lengths = g.input("source_lengths", "INT32", ["B"]);
  const stack = new Stack(g, spec, "encoder", bidirectional ? 2 : 1, weightOf);
  const { y, ends } = stack.layers(stack.read(x, source), lengths);
  g.node("Identity", "memory", [y]);
  g.output("memory", "FLOAT", ["S", "B", H]);
  for (const [index, name] of states.entries()) {
    // A layer's directions side by side, (D, B, H/D) to (1, B, H).
    const parts = ends.map((end, layer) => {
      const turned = g.node("Transpose", `${name}0.l${layer}.turned`, [end[index] as string], {
        perm: { ints: [1, 0, 2] },
      });
      return g.node("Reshape", `${name}0.l${layer}`, [turned, g.ints([1, -1, H])]);
    });
    g.node("Concat", `${name}0`, parts, { axis: { i: 0 } });
    g.output(`${name}0`, "FLOAT", [numLayers, "B", H]);
  }
  return g.build(`encoder ${netName(spec)} ${numLayers} x ${H}`);
}

function decoderGraph(spec: ModelSpec, weightOf: WeightOf): OnnxGraph {
  const { hiddenSize: H, numLayers, input, output, attention = "general" } = spec;
  const g = new GraphBuilder();
  const states = stateNames(spec);
  const tokens = g.input("tokens", "INT64", ["T", "B"]);
  const shape = [numLayers, "B", H];
  const starts = states.map((name) => g.input(`${name}0`, "FLOAT", shape));
  const stack = new Stack(g, spec, "decoder", 1, weightOf);
  const begin = starts.map((start) => splitLayers(g, start, numLayers));
  const { y: h, ends } = stack.layers(stack.read(tokens, input), "", (layer) =>
    begin.map((layers) => layers[layer] as string),
  );
  let y = h;
  if (attention !== "none") {
    const memory = g.input("memory", "FLOAT", ["S", "B", H]);
    const lengths = g.input("source_lengths", "INT32", ["B"]);
    const query = attention === "general" ? times(g, h, "attention.in", weightOf) : h;
    const both = g.node("Concat", "attention.both", [contextOf(g, query, memory, lengths), h], { axis: { i: 2 } });
    y = g.node("Tanh", "attention.y", [times(g, both, "attention.out", weightOf)]);
  }
  g.node("Add", "output", [times(g, y, "head", weightOf), g.weight("head.bias", weightOf("head.bias"))]);
  g.output("output", "FLOAT", ["T", "B", output.size]);
  for (const [index, name] of states.entries()) {
    const parts = ends.map((end) => end[index] as string);
    g.node("Concat", `${name}n`, parts, { axis: { i: 0 } });
    g.output(`${name}n`, "FLOAT", shape);
  }
  return g.build(`decoder ${netName(spec)} ${numLayers} x ${H}`);
}

/** Luong's global attention: (T, B, H) of the memory, each lane's by its shares. */
function contextOf(g: GraphBuilder, query: string, memory: string, lengths: string): string {
  const byLane = (x: string, name: string, perm: readonly number[]) =>
    g.node("Transpose", name, [x], { perm: { ints: perm } });
  const q = byLane(query, "attention.q", [1, 0, 2]); // (B, T, H)
  const columns = byLane(memory, "attention.m.columns", [1, 2, 0]); // (B, H, S)
  const rows = byLane(memory, "attention.m", [1, 0, 2]); // (B, S, H)
  const scores = g.node("MatMul", "attention.scores", [q, columns]);
  const there = g.node("Unsqueeze", "there", [maskOf(g, memory, lengths, true), g.ints([1])]); // (B, 1, S)
  // The lowest float: a share of 0, for every lane has a position that is there.
  const least = g.floats("least", [-3.4028234663852886e38], []);
  const seen = g.node("Where", "attention.seen", [there, scores, least]);
  const shares = g.node("Softmax", "attention.shares", [seen], { axis: { i: -1 } });
  return byLane(g.node("MatMul", "attention.c", [shares, rows]), "attention.context", [1, 0, 2]);
}

/** Whether positions of the first axis of x are there: (B, S) by lane, else (S, B). */
function maskOf(g: GraphBuilder, x: string, lengths: string, byLane: boolean): string {
  const size = g.node("Gather", "S", [g.node("Shape", "shape", [x]), g.ints([0], [])], { axis: { i: 0 } });
  const range = g.node("Range", "positions", [g.ints([0], []), size, g.ints([1], [])]);
  const ends = g.node("Cast", "ends", [lengths], { to: { i: 7 } });
  const column = g.node("Unsqueeze", "column", [byLane ? ends : range, g.ints([1])]);
  return g.node("Less", "there.2d", byLane ? [range, column] : [column, ends]);
}

/** x W^T of a linear layer. */
function times(g: GraphBuilder, x: string, name: string, weightOf: WeightOf): string {
  const weight = `${name}.weight`;
  const turned = g.node("Transpose", `${name}.W`, [g.weight(weight, weightOf(weight))], { perm: { ints: [1, 0] } });
  return g.node("MatMul", `${name}.product`, [x, turned]);
}

/** (L, B, H) by layer, (1, B, H) each. */
function splitLayers(g: GraphBuilder, states: string, numLayers: number): readonly string[] {
  if (numLayers === 1) return [states];
  const names = Array.from({ length: numLayers }, (_, layer) => `${states}.l${layer}`);
  return g.nodes("Split", `${states}.split`, [states, g.ints(names.map(() => 1))], names, { axis: { i: 0 } });
}

function stateNames(spec: ModelSpec): readonly string[] {
  return netName(spec) === "lstm" ? ["h", "c"] : ["h"];
}

/** The recurrent layers of one of the two, and what they read. */
class Stack {
  readonly #g: GraphBuilder;
  readonly #cell: string;
  readonly #numLayers: number;
  readonly #part: OnnxPart;
  readonly #D: number;
  readonly #H: number; // of a direction
  readonly #weightOf: WeightOf;

  constructor(g: GraphBuilder, spec: ModelSpec, part: OnnxPart, directions: number, weightOf: WeightOf) {
    this.#g = g;
    this.#cell = netName(spec);
    this.#numLayers = spec.numLayers;
    this.#part = part;
    this.#D = directions;
    this.#H = spec.hiddenSize / directions;
    this.#weightOf = weightOf;
  }

  read(x: string, input: InputSpec): string {
    const g = this.#g;
    if (input.kind === "features") return x;
    const table = `${this.#part}.embedding.weight`;
    if (input.embedding) return g.node("Gather", "embedding", [g.weight(table, this.#weightOf(table)), x]);
    return g.node("OneHot", "onehot", [x, g.ints([input.vocabulary], []), g.floats("off.on", [0, 1])]);
  }

  /** (T, B, D*H) of the last layer, and of each where its states end, (D, B, H). Without `begin` they begin at zero. */
  layers(
    x: string,
    lengths: string,
    begin?: (layer: number) => readonly string[],
  ): { readonly y: string; readonly ends: readonly (readonly string[])[] } {
    const mask =
      this.#cell === "mingru" && lengths !== ""
        ? this.#g.node("Unsqueeze", "there", [maskOf(this.#g, x, lengths, false), this.#g.ints([2])])
        : "";
    const ends: (readonly string[])[] = [];
    let y = x;
    for (let layer = 0; layer < this.#numLayers; layer++) {
      const starts = begin?.(layer) ?? [];
      const made = this.#cell === "mingru" ? this.#scan(layer, y, mask, starts) : this.#op(layer, y, lengths, starts);
      ends.push(made.states);
      y = made.y;
    }
    return { y, ends };
  }

  #op(layer: number, x: string, lengths: string, begin: readonly string[]) {
    const g = this.#g;
    const [cell, D, H] = [this.#cell, this.#D, this.#H];
    const name = `${this.#part}.${cell}.l${layer}`;
    const order = ONNX_GATES[cell] as readonly number[];
    const rows = order.length * H;
    const inputs = this.#parameters("weight_ih", layer);
    const W = g.gates(`${name}.W`, inputs, order, [D, rows, inputs[0]!.shape[1] as number]);
    const R = g.gates(`${name}.R`, this.#parameters("weight_hh", layer), order, [D, rows, H]);
    const hidden = this.#parameters("bias_hh", layer);
    const biases = this.#parameters("bias_ih", layer).flatMap((one, d) => [one, hidden[d] as WeightSource]);
    const B = g.gates(`${name}.B`, biases, order, [D, 2 * rows]);
    const states = Array.from({ length: cell === "lstm" ? 2 : 1 }, (_, index) => `${name}.${"hc"[index]}n`);
    const from = lengths === "" && begin.length === 0 ? [] : [lengths, ...begin];
    const [all] = g.nodes(cell.toUpperCase(), name, [x, W, R, B, ...from], [`${name}.all`, ...states], {
      hidden_size: { i: H },
      direction: { s: D === 2 ? "bidirectional" : "forward" },
      ...(cell === "gru" ? { linear_before_reset: { i: 1 } } : {}),
    });
    const turned = g.node("Transpose", `${name}.turned`, [all as string], { perm: { ints: [0, 2, 1, 3] } });
    return { y: g.node("Reshape", `${name}.y`, [turned, g.ints([0, 0, -1])]), states };
  }

  /** minGRU, direction by direction: its gates at once, then a Scan over time. */
  #scan(layer: number, x: string, mask: string, begin: readonly string[]) {
    const g = this.#g;
    const H = this.#H;
    const directions = Array.from({ length: this.#D }, (_, d) => {
      const suffix = `_l${layer}${d === 0 ? "" : "_reverse"}`;
      const name = `${this.#part}.mingru${suffix}`;
      const ofLayer = (kind: string) => `${this.#part}.mingru.${kind}${suffix}`;
      const weight = g.node("Transpose", `${name}.W`, [this.#weight(ofLayer("weight_ih"))], { perm: { ints: [1, 0] } });
      const product = g.node("MatMul", `${name}.product`, [x, weight]);
      const gates = g.node("Add", `${name}.gates`, [product, this.#weight(ofLayer("bias_ih"))]);
      const before = begin[0] ? g.node("Squeeze", `${name}.before`, [begin[0], g.ints([0])]) : this.#zeros(name, x);
      const scanned = mask === "" ? [gates] : [gates, mask];
      const [end, y] = g.nodes("Scan", name, [before, ...scanned], [`${name}.end`, `${name}.y`], {
        body: { g: stepOfMinGRU(H, mask !== "") },
        num_scan_inputs: { i: scanned.length },
        scan_input_directions: { ints: scanned.map(() => d) },
        scan_output_directions: { ints: [d] },
      });
      return { y: y as string, end: g.node("Unsqueeze", `${name}.hn`, [end as string, g.ints([0])]) };
    });
    const joined = (parts: readonly string[], name: string, axis: number) =>
      g.node("Concat", `${this.#part}.mingru.l${layer}.${name}`, parts, { axis: { i: axis } });
    return {
      y: joined(
        directions.map(({ y }) => y),
        "both",
        2,
      ),
      states: [
        joined(
          directions.map(({ end }) => end),
          "hn",
          0,
        ),
      ],
    };
  }

  /** (B, H), for as many lanes as x has. */
  #zeros(name: string, x: string): string {
    const g = this.#g;
    const shape = g.node("Shape", `${name}.shape`, [x]);
    const lanes = g.node("Gather", `${name}.lanes`, [shape, g.ints([1])], { axis: { i: 0 } });
    const dims = g.node("Concat", `${name}.dims`, [lanes, g.ints([this.#H])], { axis: { i: 0 } });
    return g.node("ConstantOfShape", `${name}.zeros`, [dims]);
  }

  #weight(name: string): string {
    return this.#g.weight(name, this.#weightOf(name));
  }

  /** Of a layer, its directions'. */
  #parameters(kind: string, layer: number): WeightSource[] {
    const name = `${this.#part}.${this.#cell}.${kind}_l${layer}`;
    return ["", "_reverse"].slice(0, this.#D).map((suffix) => this.#weightOf(`${name}${suffix}`));
  }
}
