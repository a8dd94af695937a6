/**
 * A net of ours as an ONNX graph, for inference.
 *
 *   inputs    tokens (T, B) or features (T, B, size); lengths (B), where the task has them and they change what is
 *             said; of recurrent nets h0, and c0 of an LSTM, (layers * directions, B, H)
 *   outputs   output (T, B, size), or (B, size) where the last position counts; hn, cn as h0, c0;
 *             forecast (B, horizon, targets), where the task is to forecast
 *
 * T and B are free, T of a transformer up to its learned positions. Sequences shorter than T are right padded: states past their end are those of their end; what
 * `output` says there means nothing, and is not what our own nets say there.
 */
import { check } from "../core/check.ts";
import type { ModelSpec } from "../nn/model.ts";
import { DEFAULT_HEADS } from "../nn/nets/transformer.ts";
import { netName } from "../nn/nets.ts";
import type { OnnxFile, OnnxGraph } from "./onnx.ts";
import { GraphBuilder, type WeightSource } from "./onnx-graph.ts";
import { LayerNodes } from "./onnx-layers.ts";

/** Of 2021: each runtime since then has it. */
export const ONNX_OPSET = 14;
export const IR_VERSION = 7; // that of opset 14

/** Our gate that is k-th in ONNX: i, o, f, c of i, f, g, o; z, r, h of r, z, n. */
export const ONNX_GATES: Readonly<Record<string, readonly number[]>> = {
  lstm: [0, 3, 1, 2],
  gru: [1, 0, 2],
  rnn: [0],
};

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
  if ((spec.net ?? "recurrent") !== "recurrent") return [];
  return netName(spec) === "lstm" ? ["h", "c"] : ["h"];
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
    (spec.net ?? "recurrent") !== "recurrent" || Object.hasOwn(ONNX_GATES, name) || name === "mingru",
    `cell ${name} has no ONNX form here; ${[...Object.keys(ONNX_GATES), "mingru"].join(", ")} have. Export it with --format safetensors.`,
  );
  const positions = name === "transformer" ? (weightOf("transformer.positions.weight").shape[0] as number) : Infinity;
  const rows = Math.max(0, ...(options.forecast?.rowsBack ?? []).map((back, h) => back - h));
  check(
    rows <= positions,
    `forecasts of this net refer to ${rows} rows before, and it has learned positions for ${positions}: a graph of both has no window to read. ` +
      `Train it with model.positions=${rows} or more, or use --format safetensors.`,
  );
  return {
    irVersion: IR_VERSION,
    opset: ONNX_OPSET,
    producer: "gatesieve",
    producerVersion: options.version,
    metadata: options.metadata ?? new Map(),
    graph: new Exporter(spec, weightOf, options).graph(),
  };
}

class Exporter {
  readonly #g = new GraphBuilder();
  readonly #nodes: LayerNodes;
  readonly #spec: ModelSpec;
  readonly #weightOf: (name: string) => WeightSource;
  readonly #options: OnnxExportOptions;
  readonly #directions: number;
  readonly #cell: string;

  constructor(spec: ModelSpec, weightOf: (name: string) => WeightSource, options: OnnxExportOptions) {
    this.#spec = spec;
    this.#cell = netName(spec);
    this.#weightOf = weightOf;
    this.#nodes = new LayerNodes(this.#g, weightOf);
    this.#options = options;
    this.#directions = spec.bidirectional ? 2 : 1;
  }

  graph() {
    const { numLayers, hiddenSize: H, output } = this.#spec;
    const g = this.#g;
    const x = this.#input();
    const lengths = this.#options.lengths && readsLengths(this.#spec) ? g.input("lengths", "INT32", ["B"]) : "";
    const names = statesOf(this.#spec);
    const stateShape = [numLayers * this.#directions, "B", H];
    const starts = names.map((name) => this.#split(g.input(`${name}0`, "FLOAT", stateShape)));
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
    const cell = this.#cell;
    const mask = cell === "mingru" && lengths !== "" ? this.#mask(input, lengths) : "";
    const ends: string[][] = starts.map(() => []);
    let stream = input; // what layers with a residual add to
    let x = input; // what the next one reads: with layerNorm, that with its norm
    for (let layer = 0; layer < numLayers; layer++) {
      const begin = starts.map((each) => each[layer] as string);
      const made = cell === "mingru" ? this.#scan(layer, x, mask, begin) : this.#op(layer, x, lengths, begin);
      for (const [index, state] of made.states.entries()) ends[index]!.push(state);
      let y = made.y;
      let below = stream;
      if (layer === numLayers - 1 && output.positions === "last") {
        y = this.#beside(made.states[0] as string, "last", [1, 0, 2]); // where its directions end
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
      if (input.embedding) return g.node("Gather", "embedding", [this.#nodes.weight("embedding.weight"), tokens]);
      return g.node("OneHot", "onehot", [tokens, g.ints([input.vocabulary], []), g.floats("off.on", [0, 1])]);
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

  /** Initial states (L*D, B, H) by layer, (D, B, H) each. */
  #split(states: string): readonly string[] {
    const { numLayers } = this.#spec;
    if (numLayers === 1) return [states];
    const names = Array.from({ length: numLayers }, (_, layer) => `${states}.l${layer}`);
    const sizes = this.#g.ints(names.map(() => this.#directions));
    return this.#g.nodes("Split", `${states}.split`, [states, sizes], names, { axis: { i: 0 } });
  }

  /** One of ONNX' own recurrent operators. */
  #op(layer: number, x: string, lengths: string, begin: readonly string[]) {
    const { hiddenSize: H } = this.#spec;
    const cell = this.#cell;
    const g = this.#g;
    const D = this.#directions;
    const name = `${cell}.l${layer}`;
    const order = ONNX_GATES[cell] as readonly number[];
    const rows = order.length * H;
    const inputs = this.#parameters("weight_ih", layer);
    const W = g.gates(`${name}.W`, inputs, order, [D, rows, inputs[0]!.shape[1] as number]);
    const R = g.gates(`${name}.R`, this.#parameters("weight_hh", layer), order, [D, rows, H]);
    const [ih, hh] = [this.#parameters("bias_ih", layer), this.#parameters("bias_hh", layer)];
    const biases = ih.flatMap((one, d) => [one, hh[d] as WeightSource]);
    const B = g.gates(`${name}.B`, biases, order, [D, 2 * rows]);
    const states = begin.map((_, index) => `${name}.${"hc"[index]}n`);
    const [all] = g.nodes(cell.toUpperCase(), name, [x, W, R, B, lengths, ...begin], [`${name}.all`, ...states], {
      hidden_size: { i: H },
      direction: { s: D === 2 ? "bidirectional" : "forward" },
      ...(cell === "gru" ? { linear_before_reset: { i: 1 } } : {}),
    });
    const y =
      D === 1
        ? g.node("Squeeze", `${name}.y`, [all as string, g.ints([1])])
        : this.#beside(all as string, name, [0, 2, 1, 3]); // (T, D, B, H)
    return { y, states };
  }

  /** minGRU, which ONNX has no operator for: its gates at once, then a Scan over time. */
  #scan(layer: number, x: string, mask: string, begin: readonly string[]) {
    const { hiddenSize: H } = this.#spec;
    const cell = this.#cell;
    const g = this.#g;
    const D = this.#directions;
    const halves = (d: number) => (d === 0 ? "" : "_reverse");
    const names = Array.from({ length: D }, (_, d) => `${cell}.l${layer}${halves(d)}`);
    const starts = D === 1 ? begin : this.#directionsOf(begin[0] as string, names);
    const ys: string[] = [];
    const ends: string[] = [];
    for (let d = 0; d < D; d++) {
      const suffix = `_l${layer}${halves(d)}`;
      const name = names[d] as string;
      const weight = g.node("Transpose", `${name}.W`, [this.#nodes.weight(`${cell}.weight_ih${suffix}`)], {
        perm: { ints: [1, 0] },
      });
      const product = g.node("MatMul", `${name}.product`, [x, weight]);
      const gates = g.node("Add", `${name}.gates`, [product, this.#nodes.weight(`${cell}.bias_ih${suffix}`)]);
      const before = g.node("Squeeze", `${name}.before`, [starts[d] as string, g.ints([0])]);
      const scanned = mask === "" ? [gates] : [gates, mask];
      const backwards = { ints: scanned.map(() => d) };
      const [end, y] = g.nodes("Scan", name, [before, ...scanned], [`${name}.end`, `${name}.y`], {
        body: { g: stepOfMinGRU(H, mask !== "") },
        num_scan_inputs: { i: scanned.length },
        scan_input_directions: backwards,
        scan_output_directions: { ints: [d] },
      });
      ys.push(y as string);
      ends.push(g.node("Unsqueeze", `${name}.hn`, [end as string, g.ints([0])]));
    }
    const joined = (parts: readonly string[], name: string, axis: number) =>
      parts.length === 1 ? (parts[0] as string) : g.node("Concat", name, parts, { axis: { i: axis } });
    return {
      y: joined(ys, `${cell}.l${layer}.both`, 2),
      states: [joined(ends, `${cell}.l${layer}.hn.both`, 0)],
    };
  }

  /** (2, B, H) as two of (1, B, H). */
  #directionsOf(states: string, names: readonly string[]): readonly string[] {
    const outputs = names.map((name) => `${name}.h0`);
    const inputs = [states, this.#g.ints([1, 1])];
    return this.#g.nodes("Split", `${states}.directions`, inputs, outputs, { axis: { i: 0 } });
  }

  /** (T, B, 1): whether a position is there. */
  #mask(x: string, lengths: string): string {
    const g = this.#g;
    const times = this.#nodes.times(x);
    const column = g.node("Unsqueeze", "times.column", [times, g.ints([1])]);
    const ends = g.node("Cast", "lengths.int64", [lengths], { to: { i: 7 } });
    return g.node("Unsqueeze", "there", [g.node("Less", "there.2d", [column, ends]), g.ints([2])]);
  }

  /** Directions next to each other: the axis before the last joins the last once it is there. */
  #beside(x: string, name: string, perm: readonly number[]): string {
    const g = this.#g;
    const turned = g.node("Transpose", `${name}.turned`, [x], { perm: { ints: perm } });
    return g.node("Reshape", `${name}.beside`, [turned, g.ints([...perm.slice(2).map(() => 0), -1])]);
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

  /** Of a layer, its directions'. */
  #parameters(kind: string, layer: number): WeightSource[] {
    const name = `${this.#cell}.${kind}_l${layer}`;
    const one = this.#weightOf(name);
    return this.#directions === 1 ? [one] : [one, this.#weightOf(`${name}_reverse`)];
  }
}

/** h = (1 - z) h' + z h~; past a sequence's end h stays. */
export function stepOfMinGRU(H: number, masked: boolean) {
  const g = new GraphBuilder();
  const before = g.input("before", "FLOAT", ["B", H]);
  const gates = g.input("gates", "FLOAT", ["B", 2 * H]);
  const there = masked ? g.input("there", "BOOL", ["B", 1]) : "";
  const [net, candidate] = g.nodes("Split", "split", [gates, g.ints([H, H])], ["net", "candidate"], { axis: { i: 1 } });
  const z = g.node("Sigmoid", "z", [net as string]);
  const kept = g.node("Mul", "kept", [g.node("Sub", "rest", [g.floats("one", [1], []), z]), before]);
  const h = g.node("Add", "h", [kept, g.node("Mul", "taken", [z, candidate as string])]);
  const after = masked ? g.node("Where", "after", [there, h, before]) : h;
  g.node("Identity", "end", [after]);
  g.node("Identity", "y", [after]);
  g.output("end", "FLOAT", ["B", H]);
  g.output("y", "FLOAT", ["B", H]);
  return g.build("minGRU");
}

/** Whether a Scan's body is the step above: the same operators on the same values, whatever their names. */
export function isStepOfMinGRU(body: OnnxGraph): boolean {
  const masked = body.inputs.length === 3;
  const [, gates] = body.inputs;
  const width = Number(gates?.dims?.[1]);
  return width > 0 && width % 2 === 0 && shapeOf(body) === shapeOf(stepOfMinGRU(width / 2, masked));
}

/** A graph as text, with values numbered in the order in which they come. */
function shapeOf({ nodes, initializers, inputs, outputs }: OnnxGraph): string {
  const numbers = new Map<string, number>();
  const number = (name: string) => {
    if (!numbers.has(name)) numbers.set(name, numbers.size);
    return numbers.get(name);
  };
  const place = ({ name }: { readonly name: string }) => number(name);
  const constants = initializers.map((tensor) => [place(tensor), tensor.type, tensor.dims, String(tensor.bytes)]);
  const steps = nodes.map(({ op, inputs: from, outputs: to, attributes }) => [
    op,
    from.map(number),
    to.map(number),
    [...attributes].map(([key, value]) => [key, "i" in value ? value.i : "other"]),
  ]);
  return JSON.stringify([inputs.map(place), constants, steps, outputs.map(place)]);
}
