/** Building a graph: nodes that name their outputs, constants, tensors of our weights in ONNX' layout. */
import type { OnnxAttribute, OnnxGraph, OnnxNode, OnnxTensor, OnnxValue } from "./onnx.ts";
import type { Lazy } from "./protobuf.ts";

/** A parameter, wherever its numbers are: float32, in order, in pieces; each may lie where the last one lay. */
export interface WeightSource {
  readonly shape: readonly number[];
  pieces(): Iterable<Float32Array>;
}

type Attributes = Readonly<Record<string, OnnxAttribute>>;

/** Nodes in the order in which they are added, which must be one they can run in. */
export class GraphBuilder {
  readonly #nodes: OnnxNode[] = [];
  readonly #initializers = new Map<string, OnnxTensor>();
  readonly #inputs: OnnxValue[] = [];
  readonly #outputs: OnnxValue[] = [];

  input(name: string, type: OnnxValue["type"], dims: OnnxValue["dims"]): string {
    this.#inputs.push({ name, type, dims });
    return name;
  }

  output(name: string, type: OnnxValue["type"], dims: OnnxValue["dims"]): void {
    this.#outputs.push({ name, type, dims });
  }

  /** A node of one output, that has its name. */
  node(op: string, name: string, inputs: readonly string[], attributes: Attributes = {}): string {
    return this.nodes(op, name, inputs, [name], attributes)[0] as string;
  }

  nodes(
    op: string,
    name: string,
    inputs: readonly string[],
    outputs: readonly string[],
    attributes: Attributes = {},
  ): readonly string[] {
    const node = { name, op, domain: "", inputs, outputs, attributes: new Map(Object.entries(attributes)) };
    this.#nodes.push(node);
    return outputs;
  }

  /** Whole numbers; the same ones under one name. */
  ints(values: readonly number[], dims: readonly number[] = [values.length]): string {
    const name = `ints.${dims.length ? "" : "scalar."}${values.join(".")}`;
    const bytes = new Uint8Array(BigInt64Array.from(values, BigInt).buffer);
    this.#initializers.set(name, { name, type: "INT64", dims, bytes });
    return name;
  }

  floats(name: string, values: readonly number[], dims: readonly number[] = [values.length]): string {
    const bytes = new Uint8Array(Float32Array.from(values).buffer);
    this.#initializers.set(name, { name, type: "FLOAT", dims, bytes });
    return name;
  }

  doubles(name: string, values: readonly number[], dims: readonly number[] = [values.length]): string {
    const bytes = new Uint8Array(Float64Array.from(values).buffer);
    this.#initializers.set(name, { name, type: "DOUBLE", dims, bytes });
    return name;
  }

  /** A parameter as it is. */
  weight(name: string, source: WeightSource): string {
    const bytes: Lazy = {
      length: 4 * count(source.shape),
      *pieces() {
        for (const piece of source.pieces()) yield bytesOf(piece);
      },
    };
    return this.#weight(name, source.shape, bytes);
  }

  /**
   * Parameters of one shape (G*H, ...) one after the other, each with its gates in another order: `order[k]` is the
   * gate of ours that comes k-th. `dims` is the shape of all together.
   */
  gates(name: string, sources: readonly WeightSource[], order: readonly number[], dims: readonly number[]): string {
    const bytes: Lazy = {
      length: 4 * count(dims),
      *pieces() {
        for (const source of sources) {
          const all = numbersOf(source); // one parameter at a time
          const block = all.length / order.length;
          for (const gate of order) yield bytesOf(all.subarray(gate * block, (gate + 1) * block));
        }
      },
    };
    return this.#weight(name, dims, bytes);
  }

  build(name: string): OnnxGraph {
    return {
      name,
      nodes: this.#nodes,
      initializers: [...this.#initializers.values()],
      inputs: this.#inputs,
      outputs: this.#outputs,
    };
  }

  #weight(name: string, dims: readonly number[], bytes: Lazy): string {
    this.#initializers.set(name, { name, type: "FLOAT", dims, bytes });
    return name;
  }
}

/** All of a parameter. */
export function numbersOf(source: WeightSource): Float32Array {
  const all = new Float32Array(count(source.shape));
  let at = 0;
  for (const piece of source.pieces()) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}

function count(dims: readonly number[]): number {
  return dims.reduce((product, size) => product * size, 1);
}

function bytesOf(piece: Float32Array): Uint8Array {
  return new Uint8Array(piece.buffer, piece.byteOffset, piece.byteLength);
}
