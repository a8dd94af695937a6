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
import { onnxFile } from "./onnx-export.ts";
import { GraphBuilder, type WeightSource } from "./onnx-graph.ts";
import { LayerNodes } from "./onnx-layers.ts";
import { ONNX_CELLS, stateNames, TimeLayerNodes } from "./onnx-time-layers.ts";

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
    ONNX_CELLS.includes(cell),
    `cell ${cell} has no ONNX form here; ${ONNX_CELLS.join(", ")} have. Export it with --format safetensors.`,
  );
  const file = (part: OnnxPart, graph: OnnxGraph) => {
    const told = metadata?.(part);
    return onnxFile(graph, { version, ...(told && { metadata: told }) });
  };
  return {
    encoder: file("encoder", encoderGraph(spec, source, weightOf)),
    decoder: file("decoder", decoderGraph(spec, weightOf)),
  };
}

function encoderGraph(spec: ModelSpec, source: SourceSpec, weightOf: WeightOf): OnnxGraph {
  const { hiddenSize: H, numLayers, bidirectional = false } = spec;
  const g = new GraphBuilder();
  const half = new Half(g, spec, "encoder", bidirectional ? 2 : 1, weightOf);
  const x =
    source.kind === "tokens"
      ? g.input("source", "INT64", ["S", "B"])
      : g.input("source", "FLOAT", ["S", "B", source.size]);
  const lengths = g.input("source_lengths", "INT32", ["B"]);
  const { y, ends } = half.run(half.read(x, source), lengths);
  g.node("Identity", "memory", [y]);
  g.output("memory", "FLOAT", ["S", "B", H]);
  for (const [index, name] of half.states.entries()) {
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
  const half = new Half(g, spec, "decoder", 1, weightOf);
  const tokens = g.input("tokens", "INT64", ["T", "B"]);
  const shape = [numLayers, "B", H];
  const starts = half.states.map((name) => g.input(`${name}0`, "FLOAT", shape));
  const begin = starts.map((start) => half.layers.split(start, numLayers));
  const { y: h, ends } = half.run(half.read(tokens, input), "", begin);
  let y = h;
  if (attention !== "none") {
    const memory = g.input("memory", "FLOAT", ["S", "B", H]);
    const lengths = g.input("source_lengths", "INT32", ["B"]);
    const query = attention === "general" ? half.nodes.product("attention.in", h, "attention.in.weight") : h;
    const both = g.node("Concat", "attention.both", [contextOf(g, half.nodes, query, memory, lengths), h], {
      axis: { i: 2 },
    });
    y = g.node("Tanh", "attention.y", [half.nodes.product("attention.out", both, "attention.out.weight")]);
  }
  half.nodes.linear("head", y, { output: "output" });
  g.output("output", "FLOAT", ["T", "B", output.size]);
  for (const [index, name] of half.states.entries()) {
    const parts = ends.map((end) => end[index] as string);
    g.node("Concat", `${name}n`, parts, { axis: { i: 0 } });
    g.output(`${name}n`, "FLOAT", shape);
  }
  return g.build(`decoder ${netName(spec)} ${numLayers} x ${H}`);
}

/** Luong's global attention: (T, B, H) of the memory, each lane's by its shares. */
function contextOf(g: GraphBuilder, nodes: LayerNodes, query: string, memory: string, lengths: string): string {
  const byLane = (x: string, name: string, perm: readonly number[]) =>
    g.node("Transpose", name, [x], { perm: { ints: perm } });
  const q = byLane(query, "attention.q", [1, 0, 2]); // (B, T, H)
  const columns = byLane(memory, "attention.m.columns", [1, 2, 0]); // (B, H, S)
  const rows = byLane(memory, "attention.m", [1, 0, 2]); // (B, S, H)
  const scores = g.node("MatMul", "attention.scores", [q, columns]);
  const there = g.node("Unsqueeze", "there", [thereByLane(g, nodes, memory, lengths), g.ints([1])]); // (B, 1, S)
  // The lowest float: a share of 0, for every lane has a position that is there.
  const least = g.floats("least", [-3.4028234663852886e38], []);
  const seen = g.node("Where", "attention.seen", [there, scores, least]);
  const shares = g.node("Softmax", "attention.shares", [seen], { axis: { i: -1 } });
  return byLane(g.node("MatMul", "attention.c", [shares, rows]), "attention.context", [1, 0, 2]);
}

/** (B, S): whether a position of the memory is there. */
function thereByLane(g: GraphBuilder, nodes: LayerNodes, memory: string, lengths: string): string {
  const ends = g.node("Cast", "ends", [lengths], { to: { i: 7 } });
  return g.node("Less", "there.2d", [nodes.times(memory), g.node("Unsqueeze", "column", [ends, g.ints([1])])]);
}

/** What a half reads, its recurrent layers, and what they carry: each state of each layer. */
class Half {
  readonly nodes: LayerNodes;
  readonly layers: TimeLayerNodes;
  readonly states: readonly string[];
  readonly #numLayers: number;
  readonly #part: OnnxPart;

  constructor(g: GraphBuilder, spec: ModelSpec, part: OnnxPart, directions: number, weightOf: WeightOf) {
    const cell = netName(spec);
    const hiddenSize = spec.hiddenSize / directions;
    this.nodes = new LayerNodes(g, weightOf);
    this.layers = new TimeLayerNodes(g, this.nodes, { cell, hiddenSize, directions, prefix: `${part}.`, weightOf });
    this.states = stateNames(cell);
    this.#numLayers = spec.numLayers;
    this.#part = part;
  }

  read(x: string, input: InputSpec): string {
    return input.kind === "features" ? x : this.nodes.tokens(x, input, `${this.#part}.embedding.weight`);
  }

  /** Of the last layer what it says, of each where its states end. Without `begin`, by state and layer, they begin at zero. */
  run(x: string, lengths: string, begin: readonly (readonly string[])[] = []) {
    const mask = this.layers.mask(x, lengths);
    const ends: (readonly string[])[] = [];
    let y = x;
    for (let layer = 0; layer < this.#numLayers; layer++) {
      const starts = begin.map((each) => each[layer] as string);
      const made = this.layers.layer(layer, y, lengths, mask, starts);
      ends.push(made.ends);
      y = made.y;
    }
    return { y, ends };
  }
}
