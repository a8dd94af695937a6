/**
 * A net of ours as an ONNX graph, for inference.
 *
 *   inputs    tokens (T, B) or features (T, B, size); lengths (B), where the task has them and they change what is
 *             said; of recurrent nets h0, and c0 of an LSTM, (layers * directions, B, H)
 *   outputs   output (T, B, size), or (B, size) where the last position counts; hn, cn as h0, c0;
 *             forecast (B, horizon, targets), where the task is to forecast
 *
 * T and B are free, T of a transformer up to its learned positions. Sequences shorter than T are right padded: states past
 * their end are those of their end; what `output` says there means nothing, and is not what our own nets say there.
 */
import { check } from "../core/check.ts";
import type { ModelSpec } from "../nn/model.ts";
import { DEFAULT_HEADS } from "../nn/nets/transformer.ts";
import { netName } from "../nn/nets.ts";
import type { OnnxFile, OnnxGraph } from "./onnx.ts";
import { GraphBuilder, type WeightSource } from "./onnx-graph.ts";
import { LayerNodes } from "./onnx-layers.ts";
import { ONNX_CELLS, stateNames, TimeLayerNodes } from "./onnx-time-layers.ts";

/** Of 2021: each runtime since then has it. */
export const ONNX_OPSET = 14;
const IR_VERSION = 7; // that of opset 14

export interface OnnxExportOptions {
  readonly version: string;
  readonly metadata?: ReadonlyMap<string, string>;
  /** Lanes may be shorter than T. */
  readonly lengths?: boolean;
  /** Features come as they are, and are brought to mean 0 and deviation 1, by column, in the graph. */
  readonly normalisation?: { readonly mean: readonly number[]; readonly deviation: readonly number[] } | undefined;
  /** What the outputs, (horizon, targets), are the change of, and in which unit. */
  readonly forecast?: OnnxForecast | undefined;
}

export interface OnnxForecast {
  /** Columns of the features, one a target. */
  readonly targets: readonly number[];
  /** By target. */
  readonly scale: readonly number[];
  /** By row that is forecast: rows from it back to the row whose change is named. */
  readonly rowsBack: readonly number[];
}

/** Names of a net's states: inputs h0, c0 and outputs hn, cn. None of a net that carries nothing. */
export function statesOf(spec: ModelSpec): readonly string[] {
  return (spec.net ?? "recurrent") === "recurrent" ? stateNames(netName(spec)) : [];
}

/** Whether padding changes what a net says at positions that are there, so that its graph asks for lengths. */
export function readsLengths(spec: ModelSpec): boolean {
  return statesOf(spec).length > 0 || spec.output.positions === "last";
}

/** `weightOf` gives the parameters that a model of this spec has, under their names. */
export function onnxOfModel(
  spec: ModelSpec,
  weightOf: (name: string) => WeightSource,
  options: OnnxExportOptions,
): OnnxFile {
  const name = netName(spec);
  check(!spec.source, "an encoder-decoder has no ONNX form as one graph, but one as its parts (onnxOfEncoderDecoder).");
  check(
    (spec.net ?? "recurrent") !== "recurrent" || ONNX_CELLS.includes(name),
    `cell ${name} has no ONNX form here; ${ONNX_CELLS.join(", ")} have. Export it with --format safetensors.`,
  );
  const positions = name === "transformer" ? (weightOf("transformer.positions.weight").shape[0] as number) : Infinity;
  const rows = Math.max(0, ...(options.forecast?.rowsBack ?? []).map((back, h) => back - h));
  check(
    rows <= positions,
    `forecasts of this net refer to ${rows} rows before, and it has learned positions for ${positions}: a graph of both has no window to read. ` +
      `Train it with model.positions=${rows} or more, or use --format safetensors.`,
  );
  return onnxFile(new Exporter(spec, weightOf, options).graph(), options);
}

/** A graph as a file of this version of Gatesieve. */
export function onnxFile(
  graph: OnnxGraph,
  { version, metadata = new Map() }: Pick<OnnxExportOptions, "version" | "metadata">,
): OnnxFile {
  const opset = ONNX_OPSET;
  return { irVersion: IR_VERSION, opset, producer: "gatesieve", producerVersion: version, metadata, graph };
}

class Exporter {
  readonly #g = new GraphBuilder();
  readonly #nodes: LayerNodes;
  readonly #layers: TimeLayerNodes;
  readonly #spec: ModelSpec;
  readonly #options: OnnxExportOptions;
  readonly #directions: number;
  readonly #cell: string;

  constructor(spec: ModelSpec, weightOf: (name: string) => WeightSource, options: OnnxExportOptions) {
    this.#spec = spec;
    this.#cell = netName(spec);
    this.#nodes = new LayerNodes(this.#g, weightOf);
    this.#options = options;
    this.#directions = spec.bidirectional ? 2 : 1;
    const { hiddenSize } = spec;
    const layers = { cell: this.#cell, hiddenSize, directions: this.#directions, weightOf };
    this.#layers = new TimeLayerNodes(this.#g, this.#nodes, layers);
  }

  graph() {
    const { numLayers, hiddenSize: H, output } = this.#spec;
    const g = this.#g;
    const x = this.#input();
    const lengths = this.#options.lengths && readsLengths(this.#spec) ? g.input("lengths", "INT32", ["B"]) : "";
    const names = statesOf(this.#spec);
    const stateShape = [numLayers * this.#directions, "B", H];
    const starts = names.map((name) => this.#layers.split(g.input(`${name}0`, "FLOAT", stateShape), numLayers));
    const { y, ends } = names.length > 0 ? this.#recurrent(x, lengths, starts) : this.#timeless(x, lengths);
    this.#nodes.linear("head", y, { output: "output" });
    const outputShape = output.positions === "all" ? ["T", "B", output.size] : ["B", output.size];
    g.output("output", "FLOAT", outputShape);
    for (const [index, name] of names.entries()) {
      const parts = ends[index] as string[];
      if (parts.length > 1) g.node("Concat", `${name}n`, parts, { axis: { i: 0 } });
      else g.node("Identity", `${name}n`, parts);
      g.output(`${name}n`, "FLOAT", stateShape);
    }
    if (this.#options.forecast) this.#forecast(this.#options.forecast);
    return g.build(`${this.#cell} ${numLayers} x ${H}`);
  }

  /** What the head reads, and by state where layers end. */
  #recurrent(input: string, lengths: string, starts: readonly (readonly string[])[]) {
    const { numLayers, output, residual = false, layerNorm = false } = this.#spec;
    const mask = this.#layers.mask(input, lengths);
    const ends: string[][] = starts.map(() => []);
    let stream = input; // what layers with a residual add to
    let x = input; // what the next one reads: with layerNorm, that with its norm
    for (let layer = 0; layer < numLayers; layer++) {
      const begin = starts.map((each) => each[layer] as string);
      const made = this.#layers.layer(layer, x, lengths, mask, begin);
      for (const [index, state] of made.ends.entries()) ends[index]!.push(state);
      let y = made.y;
      let below = stream;
      if (layer === numLayers - 1 && output.positions === "last") {
        y = this.#layers.beside(made.ends[0] as string, "last", [1, 0, 2]); // where its directions end
        if (residual && layer > 0) below = this.#nodes.last(stream, lengths);
      }
      stream = residual && layer > 0 ? this.#g.node("Add", `residual.l${layer}`, [below, y]) : y;
      x = layerNorm ? this.#nodes.layerNorm(`norm.l${layer}`, stream) : stream;
    }
    return { y: x, ends };
  }

  /** A net that carries nothing: what the head reads. */
  #timeless(input: string, lengths: string) {
    const { numLayers, hiddenSize: width, output, activation = "relu", numHeads: heads = DEFAULT_HEADS } = this.#spec;
    const nodes = this.#nodes;
    let x = input;
    if (this.#cell === "mlp")
      for (let layer = 0; layer < numLayers; layer++)
        x = nodes.activation(activation, `mlp.${activation}${layer}`, nodes.linear(`mlp.l${layer}`, x));
    else {
      const { input: kind } = this.#spec;
      const times = nodes.times(x);
      const later = nodes.later(times);
      const given = kind.kind === "tokens" ? kind.embedding : kind.size;
      if (given !== width) x = nodes.linear("transformer.input", x);
      x = nodes.positions("transformer.positions", x, times);
      for (let layer = 0; layer < numLayers; layer++)
        x = nodes.block(`transformer.layers.${layer}`, x, later, { width, heads, activation });
      x = nodes.layerNorm("transformer.norm", x);
    }
    const ends: string[][] = [];
    return { y: output.positions === "last" ? nodes.last(x, lengths) : x, ends };
  }

  /** (T, B, size): what the first layer reads. */
  #input(): string {
    const { input } = this.#spec;
    const g = this.#g;
    if (input.kind === "tokens") {
      const tokens = g.input("tokens", "INT64", ["T", "B"]);
      return this.#nodes.tokens(tokens, input, "embedding.weight");
    }
    const features = g.input("features", "FLOAT", ["T", "B", input.size]);
    const { normalisation } = this.#options;
    if (!normalisation) return features;
    // In double, as our own tasks do it: a mean far from 0 would cost digits.
    const wide = g.node("Cast", "features.double", [features], { to: { i: 11 } });
    const centred = g.node("Sub", "features.centred", [wide, g.doubles("features.mean", normalisation.mean)]);
    const unit = g.node("Div", "features.unit", [centred, g.doubles("features.deviation", normalisation.deviation)]);
    return g.node("Cast", "features.normal", [unit], { to: { i: 1 } });
  }

  /** forecast[b, h, k] = the reference row of h, of its column, + scale[k] output[b, h, k]. */
  #forecast({ targets, scale, rowsBack }: OnnxForecast): void {
    const g = this.#g;
    const shape = [rowsBack.length, targets.length];
    const rows = g.ints(rowsBack.map((back, h) => h - back)); // from the end of the window
    const reference = g.node("Gather", "reference.rows", ["features", rows], { axis: { i: 0 } });
    const columns = g.node("Gather", "reference.columns", [reference, g.ints(targets)], { axis: { i: 2 } });
    const turned = g.node("Transpose", "reference", [columns], { perm: { ints: [1, 0, 2] } });
    const changes = g.node("Reshape", "changes", ["output", g.ints([-1, ...shape])]);
    const wide = g.node("Cast", "changes.double", [changes], { to: { i: 11 } });
    const scaled = g.node("Mul", "changes.scaled", [wide, g.doubles("forecast.scale", scale)]);
    const from = g.node("Cast", "reference.double", [turned], { to: { i: 11 } });
    g.node("Cast", "forecast", [g.node("Add", "forecast.double", [from, scaled])], { to: { i: 1 } });
    g.output("forecast", "FLOAT", ["B", ...shape]);
  }
}
