/**
 * Recurrent layers as nodes of ONNX: its own operators, and for minGRU, which it has none for, a Scan over time. Values are
 * (T, B, width).
 */
import type { OnnxGraph } from "./onnx.ts";
import { GraphBuilder, type WeightSource } from "./onnx-graph.ts";
import type { LayerNodes } from "./onnx-layers.ts";

/** Our gate that is k-th in ONNX: i, o, f, c of i, f, g, o; z, r, h of r, z, n. */
export const ONNX_GATES: Readonly<Record<string, readonly number[]>> = {
  lstm: [0, 3, 1, 2],
  gru: [1, 0, 2],
  rnn: [0],
};

/** Cells that have an ONNX form. */
export const ONNX_CELLS: readonly string[] = [...Object.keys(ONNX_GATES), "mingru"];

/** What of a cell is carried from one position to the next. */
export function stateNames(cell: string): readonly string[] {
  return cell === "lstm" ? ["h", "c"] : ["h"];
}

export interface TimeLayers {
  readonly cell: string;
  /** H, of a direction. */
  readonly hiddenSize: number;
  readonly directions: number;
  /** Before the names of parameters and nodes: "encoder.", or nothing. */
  readonly prefix?: string;
  readonly weightOf: (name: string) => WeightSource;
}

export interface TimeLayer {
  /** (T, B, directions * H) */
  readonly y: string;
  /** Where it ends, by state: (directions, B, H). */
  readonly ends: readonly string[];
}

/** Adds nodes to `g`. */
export class TimeLayerNodes {
  readonly #g: GraphBuilder;
  readonly #nodes: LayerNodes;
  readonly #cell: string;
  readonly #H: number;
  readonly #D: number;
  readonly #prefix: string;
  readonly #weightOf: (name: string) => WeightSource;

  constructor(g: GraphBuilder, nodes: LayerNodes, { cell, hiddenSize, directions, prefix = "", weightOf }: TimeLayers) {
    this.#g = g;
    this.#nodes = nodes;
    this.#cell = cell;
    this.#H = hiddenSize;
    this.#D = directions;
    this.#prefix = prefix;
    this.#weightOf = weightOf;
  }

  /** Initial states (layers * directions, B, H) by layer, (directions, B, H) each. */
  split(states: string, layers: number): readonly string[] {
    if (layers === 1) return [states];
    const names = Array.from({ length: layers }, (_, layer) => `${states}.l${layer}`);
    const sizes = this.#g.ints(names.map(() => this.#D));
    return this.#g.nodes("Split", `${states}.split`, [states, sizes], names, { axis: { i: 0 } });
  }

  /** Whether a position is there, (T, B, 1); "" where the operators look at `lengths` themselves, or all are. */
  mask(x: string, lengths: string): string {
    if (this.#cell !== "mingru" || lengths === "") return "";
    const g = this.#g;
    const column = g.node("Unsqueeze", "times.column", [this.#nodes.times(x), g.ints([1])]);
    const ends = g.node("Cast", "lengths.int64", [lengths], { to: { i: 7 } });
    return g.node("Unsqueeze", "there", [g.node("Less", "there.2d", [column, ends]), g.ints([2])]);
  }

  /** `begin`: by state, (directions, B, H); without them it begins at zero. `lengths` may be "": all are T. */
  layer(index: number, x: string, lengths: string, mask: string, begin: readonly string[]): TimeLayer {
    return this.#cell === "mingru" ? this.#scan(index, x, mask, begin) : this.#op(index, x, lengths, begin);
  }

  /** Directions next to each other: the axis before the last joins the last once it is there. */
  beside(x: string, name: string, perm: readonly number[]): string {
    const g = this.#g;
    const turned = g.node("Transpose", `${name}.turned`, [x], { perm: { ints: perm } });
    return g.node("Reshape", `${name}.beside`, [turned, g.ints([...perm.slice(2).map(() => 0), -1])]);
  }

  /** One of ONNX' own operators. */
  #op(layer: number, x: string, lengths: string, begin: readonly string[]): TimeLayer {
    const g = this.#g;
    const [cell, D, H] = [this.#cell, this.#D, this.#H];
    const name = `${this.#prefix}${cell}.l${layer}`;
    const order = ONNX_GATES[cell] as readonly number[];
    const rows = order.length * H;
    const inputs = this.#parameters("weight_ih", layer);
    const W = g.gates(`${name}.W`, inputs, order, [D, rows, inputs[0]!.shape[1] as number]);
    const R = g.gates(`${name}.R`, this.#parameters("weight_hh", layer), order, [D, rows, H]);
    const hidden = this.#parameters("bias_hh", layer);
    const biases = this.#parameters("bias_ih", layer).flatMap((one, d) => [one, hidden[d] as WeightSource]);
    const B = g.gates(`${name}.B`, biases, order, [D, 2 * rows]);
    const ends = stateNames(cell).map((state) => `${name}.${state}n`);
    const from = lengths === "" && begin.length === 0 ? [] : [lengths, ...begin];
    const [all] = g.nodes(cell.toUpperCase(), name, [x, W, R, B, ...from], [`${name}.all`, ...ends], {
      hidden_size: { i: H },
      direction: { s: D === 2 ? "bidirectional" : "forward" },
      ...(cell === "gru" ? { linear_before_reset: { i: 1 } } : {}),
    });
    const y =
      D === 1
        ? g.node("Squeeze", `${name}.y`, [all as string, g.ints([1])])
        : this.beside(all as string, name, [0, 2, 1, 3]); // (T, D, B, H)
    return { y, ends };
  }

  /** minGRU, direction by direction: its gates at once, then a Scan. */
  #scan(layer: number, x: string, mask: string, begin: readonly string[]): TimeLayer {
    const g = this.#g;
    const prefix = `${this.#prefix}${this.#cell}`;
    const halves = ["", "_reverse"].slice(0, this.#D);
    const names = halves.map((half) => `${prefix}.l${layer}${half}`);
    const starts = begin[0] === undefined ? [] : this.#directionsOf(begin[0], names);
    const directions = names.map((name, d) => {
      const suffix = `_l${layer}${halves[d]}`;
      const product = this.#nodes.product(name, x, `${prefix}.weight_ih${suffix}`);
      const gates = g.node("Add", `${name}.gates`, [product, this.#nodes.weight(`${prefix}.bias_ih${suffix}`)]);
      const start = starts[d];
      const before =
        start === undefined ? this.#zeros(name, x) : g.node("Squeeze", `${name}.before`, [start, g.ints([0])]);
      const scanned = mask === "" ? [gates] : [gates, mask];
      const [end, y] = g.nodes("Scan", name, [before, ...scanned], [`${name}.end`, `${name}.y`], {
        body: { g: stepOfMinGRU(this.#H, mask !== "") },
        num_scan_inputs: { i: scanned.length },
        scan_input_directions: { ints: scanned.map(() => d) },
        scan_output_directions: { ints: [d] },
      });
      return { y: y as string, end: g.node("Unsqueeze", `${name}.hn`, [end as string, g.ints([0])]) };
    });
    const joined = (parts: readonly string[], name: string, axis: number) =>
      parts.length === 1
        ? (parts[0] as string)
        : g.node("Concat", `${prefix}.l${layer}.${name}`, parts, { axis: { i: axis } });
    const ys = directions.map(({ y }) => y);
    const ends = directions.map(({ end }) => end);
    return { y: joined(ys, "both", 2), ends: [joined(ends, "hn.both", 0)] };
  }

  /** (directions, B, H) as so many of (1, B, H). */
  #directionsOf(states: string, names: readonly string[]): readonly string[] {
    if (names.length === 1) return [states];
    const outputs = names.map((name) => `${name}.h0`);
    const inputs = [states, this.#g.ints([1, 1])];
    return this.#g.nodes("Split", `${states}.directions`, inputs, outputs, { axis: { i: 0 } });
  }

  /** (B, H), for as many lanes as x has. */
  #zeros(name: string, x: string): string {
    const g = this.#g;
    const shape = g.node("Shape", `${name}.shape`, [x]);
    const lanes = g.node("Gather", `${name}.lanes`, [shape, g.ints([1])], { axis: { i: 0 } });
    const dims = g.node("Concat", `${name}.dims`, [lanes, g.ints([this.#H])], { axis: { i: 0 } });
    return g.node("ConstantOfShape", `${name}.zeros`, [dims]);
  }

  /** Of a layer, its directions'. */
  #parameters(kind: string, layer: number): WeightSource[] {
    const name = `${this.#prefix}${this.#cell}.${kind}_l${layer}`;
    return ["", "_reverse"].slice(0, this.#D).map((suffix) => this.#weightOf(`${name}${suffix}`));
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
