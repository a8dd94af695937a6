/** What an ONNX node is to a net of ours: its options, its parameters in PyTorch's layout. */
import { countOf, type OnnxAttribute, type OnnxNode, type OnnxTensor } from "./onnx.ts";
import { numbersOf } from "./onnx-graph.ts";
import { elementsOf } from "./onnx-tensor.ts";
import { type SafetensorsType, toArray } from "./safetensors.ts";
import { list } from "./state-dict.ts";

const PIECE_VALUES = 2 ** 18;

/** A parameter: its numbers as float32 in PyTorch's order, in pieces; each may lie where the last one lay. */
export interface OnnxParameter {
  readonly dtype: SafetensorsType;
  readonly shape: readonly number[];
  pieces(): Iterable<Float32Array>;
}

/** What a value is to a net. Axes: T and B are "0" and "1" as the input has them, D directions, F features. */
export type Known =
  | { readonly kind: "weight"; readonly tensor: OnnxTensor; readonly transposed: boolean }
  | { readonly kind: "shape" | "zeros" | "state" }
  | { readonly kind: "input" | "onehot" | "embedded"; readonly axes: readonly string[] }
  /** What a layer says at all positions; `half`: of one direction alone. */
  | { readonly kind: "layer"; readonly layer: number; readonly axes: readonly string[]; readonly half?: number }
  /** Where layers end: a row for each part. */
  | { readonly kind: "ends"; readonly parts: readonly End[]; readonly axes: readonly string[] }
  | { readonly kind: "linear"; readonly from: Known; readonly weight: Weight; readonly bias?: OnnxTensor }
  | { readonly kind: "foreign"; readonly why: string };
type Weight = Known & { readonly kind: "weight" };

export interface End {
  readonly layer: number;
  readonly direction: number;
}

export interface Layer {
  readonly cell: string;
  readonly hiddenSize: number;
  /** One or two. */
  directions: number;
}

/** Types of parameters, and what safetensors call them. */
export const DTYPES: Readonly<Record<string, SafetensorsType>> = {
  FLOAT: "F32",
  DOUBLE: "F64",
  FLOAT16: "F16",
  BFLOAT16: "BF16",
};

/** 'node "x" (LSTM)', for messages. */
export function nameOf({ name, op, outputs }: OnnxNode): string {
  return `node "${name || outputs[0] || ""}" (${op})`;
}

/** For what no net of ours has. */
export function foreignNode(node: OnnxNode): string {
  return `${nameOf(node)} has no place in a net of an embedding, recurrent layers and an output layer`;
}

/** What of a recurrent node no net of ours has; undefined: nothing. R is (D, ..., H). */
export function misfitOf(node: OnnxNode, cell: string, D: number, H: number): string | undefined {
  const { attributes } = node;
  const int = (name: string, fallback: number) => intOf(attributes.get(name)) ?? fallback;
  const direction = textOf(attributes.get("direction")) ?? "forward";
  const names = { lstm: ["sigmoid", "tanh", "tanh"], gru: ["sigmoid", "tanh"], rnn: ["tanh"] }[cell] as string[];
  const activations = attributes.get("activations");
  const got = activations && "strings" in activations ? activations.strings.map((each) => each.toLowerCase()) : [];
  const refuse = (what: string, expected: string) => `${nameOf(node)} has ${what}; a net of ours has ${expected}`;
  if (direction !== (D === 2 ? "bidirectional" : "forward"))
    return refuse(`direction "${direction}" and weights of ${D}`, "forward, or bidirectional");
  if (int("hidden_size", H) !== H) return refuse(`hidden_size ${int("hidden_size", H)}`, `${H}, by the shape of R`);
  if (got.length && String(got) !== String(D === 2 ? [...names, ...names] : names))
    return refuse(`activations ${list(got)}`, list(names));
  if (attributes.has("clip")) return refuse("clip", "none");
  if (int("layout", 0) !== 0) return refuse("layout=1", "layout=0, time first");
  if (int("input_forget", 0) !== 0) return refuse("input_forget=1", "a forget gate of its own");
  if (cell === "gru" && int("linear_before_reset", 0) !== 1)
    return refuse("linear_before_reset=0", "linear_before_reset=1, the reset gate after the product, as PyTorch's");
  return undefined;
}

export function intOf(attribute: OnnxAttribute | undefined): number | undefined {
  return attribute && "i" in attribute ? attribute.i : undefined;
}

export function textOf(attribute: OnnxAttribute | undefined): string | undefined {
  return attribute && "s" in attribute ? attribute.s : undefined;
}

/** Of ConstantOfShape: none is zero. */
export function isZero(attribute: OnnxAttribute | undefined): boolean {
  if (!attribute) return true;
  return "t" in attribute && elementsOf(attribute.t).every((value) => value === 0);
}

/** Numbers of a tensor from element `start` on, as many as `shape` has, whose gates are in ONNX' order. */
export function parameterOf(
  tensor: OnnxTensor,
  start: number,
  shape: readonly number[],
  order: readonly number[],
): OnnxParameter {
  const dtype = DTYPES[tensor.type] as SafetensorsType;
  const bytes = tensor.bytes as Uint8Array;
  const width = bytes.length / Math.max(1, countOf(tensor.dims));
  const block = countOf(shape) / order.length;
  return {
    dtype,
    shape,
    *pieces() {
      // One room for all pieces: what is left for the collector counts to a process' peak until it comes round.
      const room = new Float32Array(Math.min(block, PIECE_VALUES));
      for (let gate = 0; gate < order.length; gate++) {
        const first = start + order.indexOf(gate) * block;
        for (let done = 0; done < block; done += room.length) {
          const piece = room.subarray(0, Math.min(room.length, block - done));
          const at = (first + done) * width;
          const stored = bytes.subarray(at, at + piece.length * width);
          if (dtype === "F32") new Uint8Array(piece.buffer, 0, piece.byteLength).set(stored);
          else piece.set(toArray({ dtype, shape: [piece.length], bytes: stored }));
          yield piece;
        }
      }
    },
  };
}

/** A matrix, of the other layout. */
export function turned({ dtype, pieces }: OnnxParameter, shape: readonly number[]): OnnxParameter {
  const [rows, columns] = shape as [number, number];
  return {
    dtype,
    shape,
    *pieces() {
      const all = numbersOf({ shape, pieces });
      const out = new Float32Array(all.length);
      for (let r = 0; r < rows; r++)
        for (let c = 0; c < columns; c++) out[r * columns + c] = all[c * rows + r] as number;
      yield out;
    },
  };
}
