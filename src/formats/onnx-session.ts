/**
 * Runs an ONNX graph as it is, for inference: in plain loops, with nothing installed. It is a definition to compare
 * with and a way for graphs that no net of ours is, not a fast runtime.
 *
 *   const session = new OnnxSession(bytes);
 *   const { output } = session.run({ tokens: { dims: [T, B], data: tokens }, h0, c0 });
 */
import { countOf, decodeOnnx, OnnxError, type OnnxGraph, type OnnxNode, type OnnxValue } from "./onnx.ts";
import { intOf, nameOf } from "./onnx-node.ts";
import { OPS, type OpCall } from "./onnx-ops.ts";
import { RECURRENT_OPS, recurrentOp } from "./onnx-recurrent.ts";
import { arrayOf, type OnnxArray } from "./onnx-tensor.ts";

/** An input as it is given. Whole numbers may come in any array of numbers. */
export interface OnnxFeed {
  readonly dims: readonly number[];
  readonly data: ArrayLike<number>;
}

const MOST_ELEMENTS = 2 ** 28; // of all values of a run: 2 GiB in float64
const MOST_PRODUCTS = 10 ** 12; // of a run: a quarter of an hour

export class OnnxSession {
  readonly inputs: readonly OnnxValue[];
  readonly outputs: readonly OnnxValue[];
  readonly #source: string;
  readonly #opset: number;
  readonly #graph: OnnxGraph;
  readonly #constants: ReadonlyMap<string, OnnxArray>;
  #made = 0; // numbers, in this run
  #spent = 0; // products

  /** Throws an OnnxError for what is no ONNX file, or has an operator that is not known, which it names with its node. */
  constructor(bytes: Uint8Array, source = "onnx") {
    const { graph, opset } = decodeOnnx(bytes, source);
    this.#source = source;
    this.#opset = opset;
    this.#graph = graph;
    this.#check(graph);
    this.#constants = constantsOf(graph);
    this.inputs = graph.inputs.filter(({ name }) => !this.#constants.has(name));
    this.outputs = graph.outputs;
  }

  /** The graph's outputs by name. Throws an OnnxError that names the input or the node with what is wrong. */
  run(feeds: Readonly<Record<string, OnnxFeed>>): Record<string, OnnxArray> {
    this.#made = 0;
    this.#spent = 0;
    const values = new Map<string, OnnxArray>();
    for (const value of this.inputs) {
      const feed = feeds[value.name];
      if (!feed)
        this.#fail(`input "${value.name}" is missing; it has ${this.inputs.map(({ name }) => name).join(", ")}`);
      values.set(value.name, this.#fed(value, feed));
    }
    this.#run(this.#graph, values, this.#constants);
    return Object.fromEntries(
      this.outputs.map(({ name }) => [name, values.get(name) ?? this.#fail(`nothing makes "${name}"`)]),
    );
  }

  #fed({ name, type = "FLOAT", dims }: OnnxValue, { dims: given, data }: OnnxFeed): OnnxArray {
    const isSize = (size: number | string, axis: number) => typeof size === "string" || size === given[axis];
    const fits = !dims || (given.length === dims.length && dims.every(isSize));
    if (!fits || countOf(given) !== data.length)
      this.#fail(`input "${name}" is [${given}] of ${data.length} numbers, expected [${dims}]`);
    return { type, dims: given, data: type === "FLOAT" ? Float32Array.from(data) : Float64Array.from(data) };
  }

  /** Nodes in order; a file that is right has them so. */
  #run({ nodes }: OnnxGraph, values: Map<string, OnnxArray>, constants: ReadonlyMap<string, OnnxArray>): void {
    for (const node of nodes) {
      const inputs = node.inputs.map((name) =>
        name === ""
          ? undefined
          : (values.get(name) ??
            constants.get(name) ??
            this.#fail(`${nameOf(node)} reads "${name}", which nothing before it makes`)),
      );
      const call = this.#call(node, inputs);
      const outputs =
        node.op === "Scan"
          ? this.#scan(call)
          : RECURRENT_OPS.includes(node.op)
            ? recurrentOp(call)
            : OPS[node.op]!(call);
      for (const [index, name] of node.outputs.entries()) {
        const output = outputs[index];
        if (name !== "" && output) values.set(name, output);
      }
    }
  }

  #call(node: OnnxNode, inputs: readonly (OnnxArray | undefined)[]): OpCall {
    const fail = (what: string) => this.#fail(`${nameOf(node)} ${what}`);
    return {
      node,
      inputs,
      opset: this.#opset,
      fail,
      spend: (products) => {
        this.#spent += products;
        if (!(this.#spent <= MOST_PRODUCTS)) fail(`: over ${MOST_PRODUCTS} products in a run. Give shorter sequences.`);
      },
      make: (type, dims) => {
        const count = countOf(dims);
        this.#made += Math.max(1, count);
        if (!dims.every((size) => Number.isInteger(size) && size >= 0)) fail(`makes [${dims}]`);
        if (this.#made > MOST_ELEMENTS)
          fail(`makes [${dims}]; with it a run would have made over ${MOST_ELEMENTS} numbers. Give shorter sequences.`);
        return { type, dims, data: type === "FLOAT" ? new Float32Array(count) : new Float64Array(count) };
      },
    };
  }

  /** States first, then what is gone through along its first axis; outputs alike. */
  #scan(call: OpCall): readonly OnnxArray[] {
    const { attributes } = call.node;
    const attribute = attributes.get("body");
    const body = attribute && "g" in attribute ? attribute.g : call.fail("has no body");
    const scanned = intOf(attributes.get("num_scan_inputs")) ?? 0;
    const inputs = call.inputs.map((each, index) => each ?? call.fail(`has no input ${index}`));
    const carried = inputs.length - scanned;
    if (scanned < 1 || carried < 0 || body.inputs.length !== inputs.length)
      call.fail(`has ${inputs.length} inputs, ${scanned} of them to go through, for a body of ${body.inputs.length}`);
    if (attributes.has("scan_input_axes") || attributes.has("scan_output_axes"))
      call.fail("goes along axes of its own");
    const turned = (name: string, index: number) => {
      const directions = attributes.get(name);
      return directions && "ints" in directions && directions.ints[index] === 1;
    };
    const T = inputs[carried]!.dims[0] ?? 0;
    for (const { dims } of inputs.slice(carried))
      if (dims[0] !== T) call.fail(`goes through ${dims[0]} and ${T} steps`);
    const constants = constantsOf(body);
    let states = inputs.slice(0, carried);
    const stacked: OnnxArray[] = [];
    for (let n = 0; n < T; n++) {
      const values = new Map<string, OnnxArray>();
      for (const [index, { name }] of body.inputs.entries()) {
        const t = turned("scan_input_directions", index - carried) ? T - 1 - n : n;
        values.set(name, index < carried ? states[index]! : slice(inputs[index]!, t));
      }
      this.#run(body, values, constants);
      const outputs = body.outputs.map(
        ({ name }) => values.get(name) ?? constants.get(name) ?? call.fail(`: its body does not make "${name}"`),
      );
      states = outputs.slice(0, carried);
      for (const [index, output] of outputs.slice(carried).entries()) {
        stacked[index] ??= call.make(output.type, [T, ...output.dims]);
        const t = turned("scan_output_directions", index) ? T - 1 - n : n;
        if (output.data.length * T !== stacked[index].data.length) call.fail("has outputs of many shapes");
        stacked[index].data.set(output.data, t * output.data.length);
      }
    }
    return [...states, ...stacked];
  }

  #check({ nodes }: OnnxGraph): void {
    for (const node of nodes) {
      const has = Object.hasOwn(OPS, node.op) || node.op === "Scan" || RECURRENT_OPS.includes(node.op);
      const known = node.domain === "" && has;
      if (!known)
        this.#fail(
          `${nameOf(node)} is not known${node.domain ? ` (of domain ${node.domain})` : ""}; known are ${[...RECURRENT_OPS, "Scan", ...Object.keys(OPS)].join(", ")}`,
        );
      for (const attribute of node.attributes.values()) if ("g" in attribute) this.#check(attribute.g);
    }
  }

  #fail(what: string): never {
    throw new OnnxError(`${this.#source}: ${what}.`);
  }
}

function constantsOf({ initializers }: OnnxGraph): ReadonlyMap<string, OnnxArray> {
  return new Map(initializers.map((tensor) => [tensor.name, arrayOf(tensor)]));
}

/** Along the first axis. */
function slice({ type, dims, data }: OnnxArray, at: number): OnnxArray {
  const size = countOf(dims.slice(1));
  return { type, dims: dims.slice(1), data: data.subarray(at * size, (at + 1) * size) };
}
