/**
 * The net of ours that an ONNX graph stands for, and its parameters under PyTorch's names.
 *
 * The graph is gone through once, in order. Of each value it is known what it is to a net: the input, what a layer says
 * at all positions or at its end, a weight, a shape, a zero. What a net of ours has no place for is `foreign`: it may
 * stand anywhere but between the input and the output layer.
 */
import { OnnxError, type OnnxFile, type OnnxNode, type OnnxTensor } from "./onnx.ts";
import {
  DTYPES,
  foreignNode,
  intOf,
  isZero,
  type Known,
  type Layer,
  misfitOf,
  nameOf,
  type OnnxParameter,
  parameterOf,
  turned,
} from "./onnx-node.ts";
import { elementsOf, intsOf } from "./onnx-tensor.ts";
import { isStepOfMinGRU, ONNX_GATES } from "./onnx-time-layers.ts";
import { list } from "./state-dict.ts";

export interface OnnxNet {
  readonly parameters: ReadonlyMap<string, OnnxParameter>;
  /** Which positions the output layer reads; undefined: there is none. */
  readonly positions: "all" | "last" | undefined;
  /** Features are brought to mean 0 and deviation 1 in the graph: here it is the task that does so. */
  readonly normalises: boolean;
  readonly notes: readonly string[];
}

/** Throws an OnnxError that names the node a net of ours has no place for. */
export function netOfOnnx({ graph }: OnnxFile, source = "onnx"): OnnxNet {
  return new Importer(source).net(graph);
}

class Importer {
  readonly #source: string;
  readonly #known = new Map<string, Known>();
  readonly #layers: Layer[] = [];
  readonly #parameters = new Map<string, OnnxParameter>();
  readonly #notes: string[] = [];
  #normalises = false;
  #times = ["", ""]; // the axes that layers read as T and B

  constructor(source: string) {
    this.#source = source;
  }

  net({ nodes, initializers, inputs, outputs: ends }: OnnxFile["graph"]): OnnxNet {
    for (const tensor of initializers) this.#known.set(tensor.name, { kind: "weight", tensor, transposed: false });
    let read = false;
    for (const { name, dims } of inputs) {
      if (this.#known.has(name)) continue; // of old files: a weight is an input too
      // The first is what the net reads, others are states and lengths.
      this.#known.set(name, read ? { kind: "state" } : { kind: "input", axes: (dims ?? []).map((_, i) => String(i)) });
      read = true;
    }
    for (const node of nodes) {
      const outputs = this.#see(node);
      for (const [index, name] of node.outputs.entries())
        if (name !== "") this.#known.set(name, outputs[index] ?? this.#foreign(node));
    }
    if (this.#layers.length === 0)
      this.#fail(`it has no node of LSTM, GRU or RNN; it has ${list([...new Set(nodes.map(({ op }) => op))])}`);
    const positions = this.#head(nodes, new Set(ends.map(({ name }) => name)));
    return { parameters: this.#parameters, positions, normalises: this.#normalises, notes: this.#notes };
  }

  /** What the outputs of a node are. */
  #see(node: OnnxNode): readonly Known[] {
    const inputs = node.inputs.map((name) => this.#known.get(name));
    const [first, second] = inputs;
    if (node.domain !== "" || !first) return node.op === "Constant" ? this.#constant(node) : [];
    switch (node.op) {
      case "LSTM":
      case "GRU":
      case "RNN":
        return this.#recurrent(node, inputs);
      case "Scan":
        return this.#scan(node, inputs);
      case "Identity":
      case "Dropout":
        return [first];
      case "Cast":
        return [first];
      case "Softmax":
      case "LogSoftmax":
        if (first.kind !== "linear") return [];
        this.#notes.push(`${nameOf(node)} is left out: outputs here are its inputs`);
        return [first];
      case "Shape":
        return [{ kind: "shape" }];
      case "ConstantOfShape":
        return isZero(node.attributes.get("value")) ? [{ kind: "zeros" }] : [];
      case "Slice":
      case "Split":
      case "Expand":
      case "Tile":
        return ["zeros", "state", "shape"].includes(first.kind) || this.#isZeros(first)
          ? node.outputs.map(() => (first.kind === "weight" ? { kind: "zeros" } : first))
          : [];
      case "Gather":
        return this.#gather(node, first, second);
      case "OneHot":
        return this.#oneHot(node, first, inputs);
      case "Transpose":
        return this.#transpose(node, first);
      case "Squeeze":
      case "Unsqueeze":
        return this.#squeeze(node, first);
      case "Reshape":
        return this.#reshape(first);
      case "Concat":
        return this.#concat(node, inputs);
      case "MatMul":
      case "Gemm":
        return this.#linear(node, inputs);
      case "Add":
        return this.#add(first, second);
      case "Sub":
      case "Div":
        // Features are brought to mean 0 and deviation 1: our tasks do that before the net.
        if (first.kind !== "input" || second?.kind !== "weight") return [];
        this.#normalises = true;
        return [first];
      default:
        return [];
    }
  }

  #constant({ attributes, outputs: [name = ""] }: OnnxNode): readonly Known[] {
    const value = attributes.get("value");
    if (value && "t" in value) return [{ kind: "weight", tensor: { ...value.t, name }, transposed: false }];
    return [];
  }

  /** LSTM, GRU or RNN: a layer, its parameters taken. */
  #recurrent(node: OnnxNode, inputs: readonly (Known | undefined)[]): readonly Known[] {
    const { inputs: names } = node;
    const [x, W, R, B, lengths, ...states] = inputs;
    const cell = node.op.toLowerCase();
    const order = ONNX_GATES[cell] as readonly number[];
    const weights = [W, R, B].map((known, index) => {
      if (known?.kind === "weight" && !known.transposed) return known.tensor;
      if (index === 2 && !names[2 + 1]) return undefined;
      return this.#fail(`${nameOf(node)}: input "${names[index + 1] ?? ""}" (${"WRB"[index]}) is no constant`);
    });
    const [weightIH, weightHH, bias] = weights as [OnnxTensor, OnnxTensor, OnnxTensor | undefined];
    const [D = 0, rows = 0, H = 0] = weightHH.dims;
    const inputSize = weightIH.dims[2] ?? 0;
    const expect = (tensor: OnnxTensor, what: string, dims: readonly number[]) => {
      if (String(tensor.dims) !== String(dims))
        this.#fail(`${nameOf(node)}: ${what} "${tensor.name}" is [${tensor.dims}], expected [${dims}]`);
      if (!DTYPES[tensor.type])
        this.#fail(
          `${nameOf(node)}: ${what} "${tensor.name}" is ${tensor.type}, expected ${list(Object.keys(DTYPES))}`,
        );
    };
    if (D < 1 || D > 2 || H < 1) this.#fail(`${nameOf(node)}: R "${weightHH.name}" is [${weightHH.dims}]`);
    expect(weightHH, "R", [D, order.length * H, H]);
    expect(weightIH, "W", [D, rows, inputSize]);
    if (bias) expect(bias, "B", [D, 2 * rows]);
    const misfit = misfitOf(node, cell, D, H);
    if (misfit) this.#fail(misfit);
    for (const [index, state] of states.entries())
      if (names[5 + index] && index < 2 && state?.kind !== "state" && state?.kind !== "zeros" && !this.#isZeros(state))
        this.#fail(
          `${nameOf(node)}: initial state "${names[5 + index]}" is neither an input of the graph nor zero, which is where our nets begin`,
        );
    if (names[7]) this.#fail(`${nameOf(node)} has peepholes ("${names[7]}"), which no cell here has`);
    if (names[4] && lengths?.kind !== "state")
      this.#fail(`${nameOf(node)}: sequence_lens "${names[4]}" is no input of the graph`);

    const layer = this.#join(node, x, { cell, hiddenSize: H, directions: D }, inputSize);
    for (let d = 0; d < D; d++) {
      const suffix = `_l${layer}${d ? "_reverse" : ""}`;
      const part = (tensor: OnnxTensor, skip: number, shape: readonly number[]) =>
        parameterOf(tensor, (d * tensor.dims[1]! + skip) * (tensor.dims[2] ?? 1), shape, order);
      this.#parameters.set(`${cell}.weight_ih${suffix}`, part(weightIH, 0, [rows, inputSize]));
      this.#parameters.set(`${cell}.weight_hh${suffix}`, part(weightHH, 0, [rows, H]));
      if (!bias) continue;
      this.#parameters.set(`${cell}.bias_ih${suffix}`, part(bias, 0, [rows]));
      this.#parameters.set(`${cell}.bias_hh${suffix}`, part(bias, rows, [rows]));
    }
    const parts = Array.from({ length: D }, (_, direction) => ({ layer, direction }));
    const [T, Bx] = this.#times as [string, string];
    return [
      { kind: "layer", layer, axes: [T, "D", Bx, "F"] },
      { kind: "ends", parts, axes: ["D", Bx, "F"] },
    ];
  }

  /** The next layer: what it reads must be the whole of the layer before. */
  #join(node: OnnxNode, x: Known | undefined, layer: Layer, inputSize: number): number {
    const index = this.#layers.length;
    const before = this.#layers[index - 1];
    if (x?.kind === "foreign") this.#fail(x.why);
    const axes = x && "axes" in x ? x.axes : [];
    const right =
      index === 0
        ? x?.kind === "embedded" || x?.kind === "onehot" || (x?.kind === "input" && axes.length === 3)
        : x?.kind === "layer" && x.layer === index - 1 && this.#isWhole(x);
    if (!right || axes.length !== 3)
      this.#fail(
        `${nameOf(node)} reads "${node.inputs[0]}", which is not ${index === 0 ? "the input, (T, B, size)" : `what layer ${index - 1} says, (T, B, size)`}`,
      );
    const times = axes.slice(0, 2);
    if (index === 0) this.#times = times;
    if (String(times) !== String(this.#times)) this.#fail(`${nameOf(node)} takes another axis for time`);
    if (before && (before.cell !== layer.cell || before.hiddenSize !== layer.hiddenSize))
      this.#fail(
        `${nameOf(node)} is ${layer.cell} of ${layer.hiddenSize}, the layer before is ${before.cell} of ${before.hiddenSize}; our layers are all alike`,
      );
    if (before && inputSize !== before.directions * before.hiddenSize)
      this.#fail(
        `${nameOf(node)}: W reads ${inputSize} features, the layer before has ${before.directions * before.hiddenSize}`,
      );
    this.#layers.push(layer);
    return index;
  }

  /** Our minGRU: a product, then a Scan whose body is its step. */
  #scan(node: OnnxNode, inputs: readonly (Known | undefined)[]): readonly Known[] {
    const body = node.attributes.get("body");
    const directions = node.attributes.get("scan_input_directions");
    const [, gates] = inputs;
    if (!body || !("g" in body) || !isStepOfMinGRU(body.g)) return [];
    if (gates?.kind !== "linear" || !gates.bias || !gates.weight.transposed) return [];
    const { tensor } = gates.weight;
    const [rows = 0, inputSize = 0] = tensor.dims;
    const direction = directions && "ints" in directions ? (directions.ints[0] ?? 0) : 0;
    const last = this.#layers.at(-1);
    let layer = this.#layers.length - 1;
    if (direction === 0 || !last)
      layer = this.#join(node, gates.from, { cell: "mingru", hiddenSize: rows / 2, directions: 1 }, inputSize);
    else last.directions = 2;
    const suffix = `_l${layer}${direction ? "_reverse" : ""}`;
    this.#parameters.set(`mingru.weight_ih${suffix}`, parameterOf(tensor, 0, tensor.dims, [0]));
    this.#parameters.set(`mingru.bias_ih${suffix}`, parameterOf(gates.bias, 0, gates.bias.dims, [0]));
    const [T, B] = this.#times as [string, string];
    return [
      { kind: "ends", parts: [{ layer, direction }], axes: [B, "F"] },
      { kind: "layer", layer, axes: [T, B, "F"], half: direction },
    ];
  }

  #gather(node: OnnxNode, from: Known, index: Known | undefined): readonly Known[] {
    const axis = intOf(node.attributes.get("axis")) ?? 0;
    if (from.kind === "shape" || from.kind === "zeros" || from.kind === "state") return [from];
    if (from.kind === "weight" && index?.kind === "input") {
      if (axis !== 0 || from.transposed || from.tensor.dims.length !== 2 || index.axes.length !== 2) return [];
      this.#parameters.set("embedding.weight", parameterOf(from.tensor, 0, from.tensor.dims, [0]));
      return [{ kind: "embedded", axes: [...index.axes, "F"] }];
    }
    const at = index?.kind === "weight" ? intsOf(index.tensor) : undefined;
    if (at?.length !== 1 || (index?.kind === "weight" && index.tensor.dims.length > 0)) return [];
    if (from.kind === "layer" && from.axes[axis] === this.#times[0] && at[0] === -1) {
      // The last position of the forward direction is where it ends; of the other it is where that begins.
      if (this.#layers[from.layer]!.directions > 1) return [];
      const axes = from.axes.filter((_, i) => i !== axis);
      return axes.includes("D") ? [] : [{ kind: "ends", parts: [{ layer: from.layer, direction: 0 }], axes }];
    }
    if (from.kind === "ends" && from.axes[axis] === "D") {
      const part = from.parts.at(at[0] as number);
      return part ? [{ kind: "ends", parts: [part], axes: from.axes.filter((each) => each !== "D") }] : [];
    }
    return [];
  }

  #oneHot(node: OnnxNode, tokens: Known, [, , values]: readonly (Known | undefined)[]): readonly Known[] {
    const axis = intOf(node.attributes.get("axis")) ?? -1;
    if (tokens.kind !== "input" || tokens.axes.length !== 2 || (axis !== -1 && axis !== 2)) return [];
    if (values?.kind !== "weight" || String(elementsOf(values.tensor)) !== "0,1") return [];
    return [{ kind: "onehot", axes: [...tokens.axes, "F"] }];
  }

  #transpose({ attributes }: OnnxNode, from: Known): readonly Known[] {
    const perm = attributes.get("perm");
    const order = perm && "ints" in perm ? perm.ints : undefined;
    if (from.kind === "weight")
      return from.tensor.dims.length === 2 && (!order || String(order) === "1,0")
        ? [{ ...from, transposed: !from.transposed }]
        : [];
    if (from.kind === "linear") return [from]; // logits, batch first
    if (!("axes" in from)) return [];
    const { axes } = from;
    const moved = (order ?? [...axes.keys()].reverse()).map((axis) => axes[axis] ?? "");
    const whole = moved.length === axes.length && new Set(moved).size === axes.length && !moved.includes("");
    return whole ? [{ ...from, axes: moved }] : [];
  }

  /** Takes away directions where there is one; of states and shapes it does not matter. */
  #squeeze(node: OnnxNode, from: Known): readonly Known[] {
    if (from.kind === "shape" || from.kind === "state" || from.kind === "zeros") return [from];
    const axes = node.inputs[1] ? this.#known.get(node.inputs[1]) : node.attributes.get("axes");
    const which = !axes ? [] : "ints" in axes ? axes.ints : "tensor" in axes ? (intsOf(axes.tensor) ?? []) : [];
    if (which.length !== 1) return [];
    if (from.kind === "ends" && node.op === "Unsqueeze" && which[0] === 0 && !from.axes.includes("D"))
      return [{ ...from, axes: ["D", ...from.axes] }];
    if (node.op === "Unsqueeze" || (from.kind !== "layer" && from.kind !== "ends")) return [];
    const axis = which[0]! < 0 ? from.axes.length + which[0]! : which[0]!;
    const directions = from.kind === "ends" ? from.parts.length : this.#layers[from.layer]!.directions;
    if (from.axes[axis] !== "D" || directions !== 1) return [];
    return [{ ...from, axes: from.axes.filter((each) => each !== "D") }];
  }

  /** Directions next to each other. */
  #reshape(from: Known): readonly Known[] {
    if (from.kind === "shape" || from.kind === "state" || from.kind === "zeros") return [from];
    if ((from.kind !== "layer" && from.kind !== "ends") || from.axes.at(-2) !== "D" || from.axes.at(-1) !== "F")
      return [];
    return [{ ...from, axes: from.axes.filter((each) => each !== "D") }];
  }

  #concat(node: OnnxNode, inputs: readonly (Known | undefined)[]): readonly Known[] {
    const [first] = inputs;
    const axis = intOf(node.attributes.get("axis")) ?? 0;
    if (inputs.some((each) => each?.kind === "shape")) return [{ kind: "shape" }];
    if (first?.kind === "ends") {
      const at = first.axes[axis < 0 ? first.axes.length + axis : axis];
      const alike = inputs.every((each) => each?.kind === "ends" && String(each.axes) === String(first.axes));
      const fits = at === "D" || (at === "F" && !first.axes.includes("D"));
      const parts = inputs.flatMap((each) => (each?.kind === "ends" ? each.parts : []));
      return alike && fits ? [{ ...first, parts }] : [];
    }
    if (first?.kind === "layer") {
      const halves = inputs.map((each) => (each?.kind === "layer" && each.layer === first.layer ? each.half : -1));
      const last = first.axes.length - 1;
      return String(halves) === "0,1" && (axis === last || axis === -1) && first.axes[last] === "F"
        ? [{ kind: "layer", layer: first.layer, axes: first.axes }]
        : [];
    }
    return [];
  }

  #linear(node: OnnxNode, inputs: readonly (Known | undefined)[]): readonly Known[] {
    const [x, W, b] = inputs;
    if (!x || W?.kind !== "weight" || W.tensor.dims.length !== 2 || !DTYPES[W.tensor.type]) return [];
    if (x.kind === "foreign" || x.kind === "weight") return [];
    if (node.op === "MatMul") return [{ kind: "linear", from: x, weight: W }];
    const { attributes } = node;
    const real = (name: string) => {
      const value = attributes.get(name);
      return value && "f" in value ? value.f : 1;
    };
    if (real("alpha") !== 1 || real("beta") !== 1 || (intOf(attributes.get("transA")) ?? 0) !== 0) return [];
    const weight = { ...W, transposed: W.transposed !== ((intOf(attributes.get("transB")) ?? 0) === 1) };
    return node.inputs[2] && b?.kind !== "weight"
      ? []
      : [{ kind: "linear", from: x, weight, ...(b?.kind === "weight" ? { bias: b.tensor } : {}) }];
  }

  #add(first: Known, second: Known | undefined): readonly Known[] {
    const linear = first.kind === "linear" ? first : second;
    const bias = first.kind === "linear" ? second : first;
    if (linear?.kind !== "linear" || linear.bias || bias?.kind !== "weight" || bias.tensor.dims.length !== 1) return [];
    return [{ ...linear, bias: bias.tensor }];
  }

  /** The output layer: the one product that reads where the last layer is, or ends. */
  #head(nodes: readonly OnnxNode[], ends: ReadonlySet<string>): "all" | "last" | undefined {
    const last = this.#layers.length - 1;
    const { directions } = this.#layers[last] as Layer;
    const found = new Map<OnnxTensor, Known & { readonly kind: "linear" }>();
    for (const known of this.#known.values())
      if (known.kind === "linear" && this.#isOf(known.from, last)) found.set(known.weight.tensor, known); // the last says most
    if (found.size > 1)
      this.#fail(
        `${list([...found.keys()].map(({ name }) => name))} each read the last layer, expected one output layer`,
      );
    const [head] = found.values();
    // What else reads the last layer, or the outputs before anybody sees them, would be lost.
    const isLost = (name: string) => {
      const known = this.#known.get(name);
      return head ? known === head && !ends.has(name) : this.#isOf(known, last);
    };
    const reader = nodes.find(({ inputs, outputs }) => {
      const foreign = outputs.some((name) => this.#known.get(name)?.kind === "foreign");
      return foreign && inputs.some(isLost);
    });
    if (reader) this.#fail(foreignNode(reader));
    if (!head) return undefined;
    const { from, weight, bias } = head;
    if (from.kind === "ends") {
      const wanted = Array.from({ length: directions }, (_, direction) => `${last}.${direction}`);
      const got = from.parts.map(({ layer, direction }) => `${layer}.${direction}`);
      if (String(got) !== String(wanted))
        this.#fail(
          `the output layer "${weight.tensor.name}" does not read the ends of the last layer's directions alone, in order`,
        );
    } else if (from.kind === "layer" && from.axes.includes("D"))
      this.#fail(`the output layer "${weight.tensor.name}" reads the directions of the last layer apart`);
    const { tensor, transposed } = weight;
    // A weight that was turned in the graph lies as PyTorch has it.
    const shape = transposed ? tensor.dims : [...tensor.dims].reverse();
    const own = parameterOf(tensor, 0, tensor.dims, [0]);
    this.#parameters.set("head.weight", transposed ? own : turned(own, shape));
    if (bias) this.#parameters.set("head.bias", parameterOf(bias, 0, bias.dims, [0]));
    return from.kind === "ends" ? "last" : "all";
  }

  /** Of minGRU's directions: both, where there are two. */
  #isWhole({ layer, half }: Known & { readonly kind: "layer" }): boolean {
    return half === undefined || this.#layers[layer]!.directions === 1;
  }

  /** Whether a value is what the last layer says, all of it. */
  #isOf(known: Known | undefined, last: number): boolean {
    if (known?.kind === "layer") return known.layer === last && this.#isWhole(known);
    return known?.kind === "ends" && !known.axes.includes("D") && known.parts.some(({ layer }) => layer === last);
  }

  #isZeros(known: Known | undefined): boolean {
    return known?.kind === "weight" && !(known.tensor.bytes instanceof Uint8Array && known.tensor.bytes.some(Boolean));
  }

  #foreign(node: OnnxNode): Known {
    // What is made of something foreign is foreign for the same reason.
    const before = node.inputs.map((name) => this.#known.get(name)).find((each) => each?.kind === "foreign");
    return before ?? { kind: "foreign", why: foreignNode(node) };
  }

  #fail(what: string): never {
    throw new OnnxError(`${this.#source}: ${what}. OnnxSession runs it alone: docs/formats.md.`);
  }
}
