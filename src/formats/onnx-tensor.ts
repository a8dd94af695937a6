/** Numbers of ONNX tensors. */
import type { OnnxTensor, OnnxType } from "./onnx.ts";
import { toArray } from "./safetensors.ts";

/** A tensor with its numbers; whole numbers (exact to 2^53) and truth values (0, 1) as float64. */
export interface OnnxArray {
  readonly type: OnnxType;
  readonly dims: readonly number[];
  readonly data: Float32Array | Float64Array;
}

/** Copies. 16-bit floats become float32, which holds them exactly. */
export function arrayOf({ type, dims, bytes }: OnnxTensor): OnnxArray {
  const raw = bytes as Uint8Array;
  if (type === "FLOAT" || type === "FLOAT16" || type === "BFLOAT16") {
    const dtype = type === "FLOAT" ? "F32" : type === "FLOAT16" ? "F16" : "BF16";
    return { type: "FLOAT", dims, data: toArray({ dtype, shape: dims, bytes: raw }) as Float32Array };
  }
  const copy = new Uint8Array(raw).buffer;
  if (type === "DOUBLE") return { type, dims, data: new Float64Array(copy) };
  if (type === "INT64") return { type, dims, data: Float64Array.from(new BigInt64Array(copy), Number) };
  if (type === "INT32") return { type, dims, data: Float64Array.from(new Int32Array(copy)) };
  return { type, dims, data: Float64Array.from(raw, (byte) => (byte === 0 ? 0 : 1)) };
}

/** Its numbers, for small tensors. */
export function elementsOf(tensor: OnnxTensor): readonly number[] {
  return [...arrayOf(tensor).data];
}

/** Of a tensor of whole numbers; undefined of another, or a large one. */
export function intsOf(tensor: OnnxTensor): readonly number[] | undefined {
  const small = tensor.bytes.length <= 8 * 1024;
  return small && (tensor.type === "INT64" || tensor.type === "INT32") ? elementsOf(tensor) : undefined;
}
