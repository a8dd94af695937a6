/** Operators of ONNX as they are defined, on arrays: what graphs of recurrent nets are made of, without time itself. */
import { erfc } from "../core/erf.ts";
import { countOf, type OnnxNode } from "./onnx.ts";
import { intOf } from "./onnx-node.ts";
import { arrayOf, type OnnxArray } from "./onnx-tensor.ts";

/** What an operator finds: its inputs (undefined: left out), its attributes, and errors that name the node. */
export interface OpCall {
  readonly node: OnnxNode;
  readonly inputs: readonly (OnnxArray | undefined)[];
  /** Of ONNX' own operators. */
  readonly opset: number;
  /** An array of zeros; refuses more than a graph of this size may ask for. */
  make(type: OnnxArray["type"], dims: readonly number[]): OnnxArray;
  /** Counts multiplications; refuses more than a graph may ask for. */
  spend(products: number): void;
  /** Throws an OnnxError that begins with the node. */
  fail(what: string): never;
}

type Op = (call: OpCall) => readonly OnnxArray[];

const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));
const negative = (axis: number, rank: number) => (axis < 0 ? axis + rank : axis);

/** By name; recurrent operators and Scan are elsewhere. */
export const OPS: Readonly<Record<string, Op>> = {
  Add: binary((a, b) => a + b),
  Sub: binary((a, b) => a - b),
  Mul: binary((a, b) => a * b),
  Div: (call) => binary(isWhole(input(call, 0)) ? (a, b) => Math.trunc(a / b) : (a, b) => a / b)(call),
  Less: binary((a, b) => Number(a < b), "BOOL"),
  Equal: binary((a, b) => Number(a === b), "BOOL"),
  Sigmoid: unary(sigmoid),
  Tanh: unary(Math.tanh),
  Relu: unary((x) => Math.max(0, x)),
  Exp: unary(Math.exp),
  Sqrt: unary(Math.sqrt),
  Erf: unary((x) => 1 - erfc(x)),
  Neg: unary((x) => -x),
  Identity: (call) => [input(call, 0)],
  Dropout: (call) => [input(call, 0)],
  Where: where,
  Cast: (call) => [cast(call)],
  Constant(call) {
    const value = call.node.attributes.get("value");
    return [value && "t" in value ? arrayOf(value.t) : call.fail("has no value that is a tensor")];
  },
  ConstantOfShape(call) {
    const value = call.node.attributes.get("value");
    const filled = value && "t" in value ? arrayOf(value.t) : undefined;
    const out = call.make(filled?.type ?? "FLOAT", [...input(call, 0).data]);
    out.data.fill(filled?.data[0] ?? 0);
    return [out];
  },
  Shape(call) {
    const { dims } = input(call, 0);
    return [{ type: "INT64", dims: [dims.length], data: Float64Array.from(dims) }];
  },
  Reshape: (call) => [{ ...input(call, 0), dims: reshaped(call) }],
  Squeeze(call) {
    const array = input(call, 0);
    const axes = axesOf(call, 1).map((axis) => negative(axis, array.dims.length));
    const gone = axes.length ? axes : [...array.dims.keys()].filter((axis) => array.dims[axis] === 1);
    if (gone.some((axis) => array.dims[axis] !== 1)) call.fail(`squeezes axes ${gone} of [${array.dims}]`);
    return [{ ...array, dims: array.dims.filter((_, axis) => !gone.includes(axis)) }];
  },
  Unsqueeze(call) {
    const array = input(call, 0);
    const axes = axesOf(call, 1);
    const rank = array.dims.length + axes.length;
    const places = axes.map((axis) => negative(axis, rank));
    if (rank > 16 || new Set(places).size < places.length || places.some((axis) => !(axis >= 0 && axis < rank)))
      call.fail(`has axes ${axes} for [${array.dims}]`);
    const left = array.dims.values();
    return [
      { ...array, dims: Array.from({ length: rank }, (_, axis) => (places.includes(axis) ? 1 : left.next().value!)) },
    ];
  },
  Transpose(call) {
    const array = input(call, 0);
    const perm = call.node.attributes.get("perm");
    const order = perm && "ints" in perm ? perm.ints : [...array.dims.keys()].reverse();
    const whole = [...order].sort((a, b) => a - b).every((axis, index) => axis === index);
    if (!whole || order.length !== array.dims.length) call.fail(`has perm [${order}] for [${array.dims}]`);
    const steps = stepsOf(array.dims);
    const dims = order.map((axis) => array.dims[axis]!);
    const from = order.map((axis) => steps[axis]!);
    return [picked(call, array, dims, 0, from)];
  },
  Concat(call) {
    const arrays = call.inputs.map((_, index) => input(call, index));
    const [first] = arrays as [OnnxArray];
    const axis = axisOf(call, first.dims.length);
    const alike = (dims: readonly number[]) => String(dims.filter((_, i) => i !== axis));
    if (arrays.some(({ dims }) => alike(dims) !== alike(first.dims) || dims.length !== first.dims.length))
      call.fail(`joins ${arrays.map(({ dims }) => `[${dims}]`).join(" and ")}`);
    const size = arrays.reduce((sum, { dims }) => sum + dims[axis]!, 0);
    const out = call.make(
      first.type,
      first.dims.map((each, i) => (i === axis ? size : each)),
    );
    const inner = countOf(first.dims.slice(axis + 1));
    let at = 0;
    for (let outer = 0; outer < countOf(first.dims.slice(0, axis)); outer++)
      for (const { data, dims } of arrays) {
        const length = dims[axis]! * inner;
        out.data.set(data.subarray(outer * length, (outer + 1) * length), at);
        at += length;
      }
    return [out];
  },
  Split(call) {
    const array = input(call, 0);
    const axis = axisOf(call, array.dims.length);
    const size = array.dims[axis]!;
    const count = call.node.outputs.length;
    const given = call.inputs[1] ? [...call.inputs[1].data] : axesOf(call, 1, "split");
    const sizes = given.length ? given : Array.from({ length: count }, () => size / count);
    if (sizes.length !== count || sizes.reduce((a, b) => a + b, 0) !== size || !sizes.every((each) => isSize(each)))
      call.fail(`splits ${size} into [${sizes}], for ${count} outputs`);
    let from = 0;
    return sizes.map((each) => {
      const dims = array.dims.map((old, i) => (i === axis ? each : old));
      const part = picked(call, array, dims, from * stepsOf(array.dims)[axis]!, stepsOf(array.dims));
      from += each;
      return part;
    });
  },
  Slice(call) {
    const array = input(call, 0);
    const rank = array.dims.length;
    const [, starts, ends, axes, steps] = call.inputs;
    if (!starts || !ends) return call.fail("has no starts and ends as inputs (opset 10 or later)");
    const which = axes ? [...axes.data].map((axis) => negative(axis, rank)) : [...starts.data.keys()];
    const all = stepsOf(array.dims);
    const dims = [...array.dims];
    let offset = 0;
    for (const [index, axis] of which.entries()) {
      const size = array.dims[axis] ?? call.fail(`has axis ${axis} for [${array.dims}]`);
      if ((steps?.data[index] ?? 1) !== 1) call.fail("has a step other than 1");
      const clamp = (at: number) => Math.min(size, Math.max(0, at < 0 ? at + size : at));
      const start = clamp(starts.data[index]!);
      dims[axis] = Math.max(0, clamp(ends.data[index] ?? call.fail("has fewer ends than starts")) - start);
      offset += start * all[axis]!;
    }
    return [picked(call, array, dims, offset, all)];
  },
  Expand(call) {
    const array = input(call, 0);
    const target = [...input(call, 1).data];
    return binary((a) => a)({ ...call, inputs: [array, call.make(array.type, target)] });
  },
  Gather(call) {
    const [array, indices] = [input(call, 0), input(call, 1)];
    const axis = axisOf(call, array.dims.length, 0);
    const size = array.dims[axis]!;
    const inner = countOf(array.dims.slice(axis + 1));
    const out = call.make(array.type, [...array.dims.slice(0, axis), ...indices.dims, ...array.dims.slice(axis + 1)]);
    let at = 0;
    for (let outer = 0; outer < countOf(array.dims.slice(0, axis)); outer++)
      for (const index of indices.data) {
        const row = index < 0 ? index + size : index;
        if (!(row >= 0 && row < size)) call.fail(`takes ${index} of ${size}`);
        const from = (outer * size + row) * inner;
        out.data.set(array.data.subarray(from, from + inner), at);
        at += inner;
      }
    return [out];
  },
  /** From each lane, the first axis, the row of one index: batch_dims=1, which is all that our graphs need. */
  GatherND(call) {
    const [array, indices] = [input(call, 0), input(call, 1)];
    const [lanes = 0, rows = 0, ...rest] = array.dims;
    if (intOf(call.node.attributes.get("batch_dims")) !== 1 || String(indices.dims) !== String([lanes, 1]))
      call.fail(`takes [${indices.dims}] of [${array.dims}], expected batch_dims=1 and [${lanes},1]`);
    const size = countOf(rest);
    const out = call.make(array.type, [lanes, ...rest]);
    for (const [lane, index] of indices.data.entries()) {
      const row = index < 0 ? index + rows : index;
      if (!(row >= 0 && row < rows)) call.fail(`takes ${index} of ${rows}`);
      const from = (lane * rows + row) * size;
      out.data.set(array.data.subarray(from, from + size), lane * size);
    }
    return [out];
  },
  /** Over the last axis. */
  ReduceMean(call) {
    const { type, dims, data } = input(call, 0);
    const axes = axesOf(call, 1);
    if (dims.length === 0 || axes.length !== 1 || negative(axes[0]!, dims.length) !== dims.length - 1)
      call.fail(`is over axes [${axes}] of [${dims}], expected the last`);
    const size = dims.at(-1)!;
    const kept = (intOf(call.node.attributes.get("keepdims")) ?? 1) === 1;
    const out = call.make(type, kept ? [...dims.slice(0, -1), 1] : dims.slice(0, -1));
    for (let row = 0; row < out.data.length; row++) {
      let sum = 0;
      for (let i = 0; i < size; i++) sum += data[row * size + i]!;
      out.data[row] = sum / size;
    }
    return [out];
  },
  OneHot(call) {
    const [indices, depths, values] = [input(call, 0), input(call, 1), input(call, 2)];
    if ((intOf(call.node.attributes.get("axis")) ?? -1) !== -1) call.fail("has an axis other than the last");
    const depth = depths.data[0] ?? 0;
    const out = call.make(values.type, [...indices.dims, depth]);
    out.data.fill(values.data[0]!);
    for (const [row, index] of indices.data.entries()) {
      const at = index < 0 ? index + depth : index;
      if (at >= 0 && at < depth) out.data[row * depth + at] = values.data[1]!;
    }
    return [out];
  },
  Range(call) {
    const [start, limit, step] = [0, 1, 2].map((index) => input(call, index).data[0]!) as [number, number, number];
    const count = Math.max(0, Math.ceil((limit - start) / step));
    const out = call.make(input(call, 0).type, [Number.isFinite(count) ? count : call.fail(`has step ${step}`)]);
    for (let i = 0; i < count; i++) out.data[i] = start + i * step;
    return [out];
  },
  MatMul: (call) => [product(call, input(call, 0), input(call, 1))],
  Gemm(call) {
    const { attributes } = call.node;
    const real = (name: string) => {
      const value = attributes.get(name);
      return value && "f" in value ? value.f : 1;
    };
    const turned = (name: string, index: number) =>
      intOf(attributes.get(name)) === 1
        ? OPS.Transpose!({ ...call, node: { ...call.node, attributes: new Map() }, inputs: [input(call, index)] })[0]!
        : input(call, index);
    const AB = product(call, turned("transA", 0), turned("transB", 1));
    for (let i = 0; i < AB.data.length; i++) AB.data[i]! *= real("alpha");
    if (!call.inputs[2]) return [AB];
    return binary((a, b) => a + real("beta") * b)({ ...call, inputs: [AB, input(call, 2)] });
  },
  Softmax: softmax((x, sum) => Math.exp(x) / sum),
  LogSoftmax: softmax((x, sum) => x - Math.log(sum)),
};

/** An input that must be there. */
export function input(call: OpCall, index: number): OnnxArray {
  return call.inputs[index] ?? call.fail(`has no input ${index}`);
}

/** How far apart neighbours on each axis lie. */
function stepsOf(dims: readonly number[]): number[] {
  const steps = new Array<number>(dims.length).fill(1);
  for (let axis = dims.length - 2; axis >= 0; axis--) steps[axis] = steps[axis + 1]! * dims[axis + 1]!;
  return steps;
}

/** Elements from `offset` on, `from` apart by axis. */
function picked(call: OpCall, array: OnnxArray, dims: number[], offset: number, from: readonly number[]): OnnxArray {
  const out = call.make(array.type, dims);
  const place = new Array<number>(dims.length).fill(0);
  let source = offset;
  for (let at = 0; at < out.data.length; at++) {
    out.data[at] = array.data[source]!;
    for (let axis = dims.length - 1; axis >= 0; axis--) {
      source += from[axis]!;
      if (++place[axis]! < dims[axis]!) break;
      source -= dims[axis]! * from[axis]!;
      place[axis] = 0;
    }
  }
  return out;
}

function unary(apply: (x: number) => number): Op {
  return (call) => {
    const { type, dims, data } = input(call, 0);
    const out = call.make(type, dims);
    for (let i = 0; i < data.length; i++) out.data[i] = apply(data[i]!);
    return [out];
  };
}

function broadcast(call: OpCall, shapes: readonly (readonly number[])[]): number[] {
  const rank = Math.max(...shapes.map(({ length }) => length));
  return Array.from({ length: rank }, (_, axis) => {
    const sizes = shapes.map((dims) => dims[axis - rank + dims.length] ?? 1).filter((size) => size !== 1);
    if (sizes.some((size) => size !== sizes[0]))
      call.fail(`takes ${shapes.map((dims) => `[${dims}]`).join(" and ")} together`);
    return sizes[0] ?? 1;
  });
}

/** Steps of an array over the axes of a larger one. */
function stretched({ dims }: OnnxArray, rank: number): number[] {
  const steps = stepsOf(dims);
  return Array.from({ length: rank }, (_, axis) => {
    const own = axis - rank + dims.length;
    return own < 0 || dims[own] === 1 ? 0 : steps[own]!;
  });
}

function binary(apply: (a: number, b: number) => number, type?: OnnxArray["type"]): Op {
  return (call) => {
    const [a, b] = [input(call, 0), input(call, 1)];
    const dims = broadcast(call, [a.dims, b.dims]);
    const [left, right] = [a, b].map((one) => picked(call, one, dims, 0, stretched(one, dims.length)));
    const out = call.make(type ?? a.type, dims);
    for (let i = 0; i < out.data.length; i++) out.data[i] = apply(left!.data[i]!, right!.data[i]!);
    return [out];
  };
}

function where(call: OpCall): readonly OnnxArray[] {
  const arrays = [0, 1, 2].map((index) => input(call, index));
  const dims = broadcast(
    call,
    arrays.map((one) => one.dims),
  );
  const [condition, yes, no] = arrays.map((one) => picked(call, one, dims, 0, stretched(one, dims.length)));
  const out = call.make(yes!.type, dims);
  for (let i = 0; i < out.data.length; i++) out.data[i] = (condition!.data[i] ? yes : no)!.data[i]!;
  return [out];
}

function cast(call: OpCall): OnnxArray {
  const { dims, data } = input(call, 0);
  const to = intOf(call.node.attributes.get("to"));
  const type = to === 1 ? "FLOAT" : to === 11 ? "DOUBLE" : to === 7 ? "INT64" : to === 6 ? "INT32" : undefined;
  const out = call.make(type ?? (to === 9 ? "BOOL" : call.fail(`casts to data type ${to}`)), dims);
  const whole = isWhole(out);
  for (let i = 0; i < data.length; i++)
    out.data[i] = to === 9 ? Number(data[i] !== 0) : whole ? Math.trunc(data[i]!) : data[i]!;
  return out;
}

function reshaped(call: OpCall): number[] {
  const { dims, data } = input(call, 0);
  const wanted = [...input(call, 1).data].map((size, axis) => (size === 0 ? (dims[axis] ?? 0) : size));
  const known = wanted.reduce((product, size) => (size === -1 ? product : product * size), 1);
  const found = wanted.map((size) => (size === -1 ? data.length / known : size));
  if (!found.every(isSize) || countOf(found) !== data.length) call.fail(`makes [${wanted}] of [${dims}]`);
  return found;
}

/** By one matrix, or matrix by matrix. */
function product(call: OpCall, a: OnnxArray, b: OnnxArray): OnnxArray {
  const [K, N] = b.dims.slice(-2) as [number, number];
  const single = b.dims.length === 2;
  const each = String(a.dims.slice(0, -2)) === String(b.dims.slice(0, -2));
  if (b.dims.length < 2 || a.dims.length < 2 || a.dims.at(-1) !== K || !(single || each))
    call.fail(`multiplies [${a.dims}] by [${b.dims}]; expected a matrix on the right, or as many as on the left`);
  const rows = single ? Number.POSITIVE_INFINITY : (a.dims.at(-2) as number); // that meet one matrix
  const out = call.make(a.type, [...a.dims.slice(0, -1), N]);
  call.spend(a.data.length * N);
  const row = new Float64Array(N);
  for (let m = 0; m < out.data.length / Math.max(1, N); m++) {
    row.fill(0);
    const right = Math.floor(m / rows) * K * N;
    for (let k = 0; k < K; k++) {
      const left = a.data[m * K + k]!;
      for (let n = 0; n < N; n++) row[n]! += left * b.data[right + k * N + n]!;
    }
    out.data.set(row, m * N);
  }
  return out;
}

/** Over the last axis. */
function softmax(say: (x: number, sum: number) => number): Op {
  return (call) => {
    const { type, dims, data } = input(call, 0);
    const axis = intOf(call.node.attributes.get("axis")) ?? (call.opset < 13 ? 1 : -1);
    if (negative(axis, dims.length) !== dims.length - 1) call.fail("is over an axis other than the last");
    const size = dims.at(-1)!;
    const out = call.make(type, dims);
    for (let from = 0; from < data.length; from += size) {
      const row = Array.from(data.subarray(from, from + size));
      const top = row.reduce((most, x) => Math.max(most, x), Number.NEGATIVE_INFINITY);
      const sum = row.reduce((total, x) => total + Math.exp(x - top), 0);
      for (let i = 0; i < size; i++) out.data[from + i] = say(row[i]! - top, sum);
    }
    return [out];
  };
}

/** Of opset 13 an input, before that an attribute. */
function axesOf(call: OpCall, index: number, name = "axes"): readonly number[] {
  const attribute = call.node.attributes.get(name);
  return call.inputs[index] ? [...call.inputs[index].data] : attribute && "ints" in attribute ? attribute.ints : [];
}

function axisOf(call: OpCall, rank: number, fallback = 0): number {
  const axis = negative(intOf(call.node.attributes.get("axis")) ?? fallback, rank);
  return axis >= 0 && axis < rank ? axis : call.fail(`has axis ${axis} for ${rank} dimensions`);
}

function isWhole({ type }: OnnxArray): boolean {
  return type === "INT64" || type === "INT32" || type === "BOOL";
}

function isSize(size: number): boolean {
  return Number.isInteger(size) && size >= 0;
}
