/**
 * ONNX' recurrent operators as they are defined, for inference: with what our own nets lack (peepholes, a reset gate
 * before the product, one direction in reverse, batch first). https://onnx.ai/onnx/operators/onnx__LSTM.html
 *
 *   LSTM   i, o, f, c:  c = f c' + i c~;  h = o tanh(c)       peepholes P: i, o, f see c' (o sees c)
 *   GRU    z, r, h:     h = (1 - z) h~ + z h'
 *   RNN                 h = tanh(net)
 */
import { intOf, textOf } from "./onnx-node.ts";
import { input, type OpCall } from "./onnx-ops.ts";
import type { OnnxArray } from "./onnx-tensor.ts";

const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));

/** Its gates, and the activations it has unless it says others. */
const CELLS: Readonly<Record<string, { readonly gates: number; readonly activations: readonly string[] }>> = {
  LSTM: { gates: 4, activations: ["Sigmoid", "Tanh", "Tanh"] },
  GRU: { gates: 3, activations: ["Sigmoid", "Tanh"] },
  RNN: { gates: 1, activations: ["Tanh"] },
};
export const RECURRENT_OPS = Object.keys(CELLS);

const ACTIVATIONS: Readonly<Record<string, (x: number) => number>> = {
  sigmoid,
  tanh: Math.tanh,
  relu: (x) => Math.max(0, x),
};

/** One time step of one lane: `net` (gates, H) and what U says of h, both with their bias. */
interface Step {
  readonly H: number;
  readonly f: readonly ((x: number) => number)[];
  readonly net: Float64Array;
  readonly hidden: Float64Array;
  readonly h: Float64Array;
  readonly c: Float64Array;
  readonly P: Float32Array | Float64Array | undefined;
  readonly p: number;
}

/** Y, Y_h, and Y_c of an LSTM. */
export function recurrentOp(call: OpCall): readonly OnnxArray[] {
  const { node, inputs } = call;
  const { attributes } = node;
  const { gates, activations } = CELLS[node.op]!;
  const [X, W, R] = [input(call, 0), input(call, 1), input(call, 2)];
  const [, , , bias, lengths, h0, c0, P] = inputs;
  const batchFirst = intOf(attributes.get("layout")) === 1;
  const direction = textOf(attributes.get("direction")) ?? "forward";
  const D = direction === "bidirectional" ? 2 : 1;
  const H = intOf(attributes.get("hidden_size")) ?? R.dims[2] ?? 0;
  const [T, B] = (batchFirst ? [X.dims[1], X.dims[0]] : X.dims) as [number, number];
  const I = X.dims[2] ?? 0;
  const G = gates * H;
  const expect = (what: string, array: OnnxArray | undefined, dims: readonly number[]) => {
    if (array && String(array.dims) !== String(dims)) call.fail(`has ${what} of [${array.dims}], expected [${dims}]`);
  };
  const states = batchFirst ? [B, D, H] : [D, B, H];
  if (X.dims.length !== 3) call.fail(`reads [${X.dims}], expected three dimensions`);
  expect("W", W, [D, G, I]);
  expect("R", R, [D, G, H]);
  expect("B", bias, [D, 2 * G]);
  expect("sequence_lens", lengths, [B]);
  expect("initial_h", h0, states);
  expect("initial_c", c0, states);
  expect("P", P, [D, 3 * H]);
  if (attributes.has("clip")) call.fail("has clip, which is not known here");
  if (intOf(attributes.get("input_forget")) === 1) call.fail("has input_forget=1, which is not known here");
  const named = attributes.get("activations");
  const names = named && "strings" in named && named.strings.length ? named.strings : [...activations, ...activations];
  const f = names.map(
    (name) => ACTIVATIONS[name.toLowerCase()] ?? call.fail(`has activation ${name}; known are Sigmoid, Tanh and Relu`),
  );
  if (f.length < D * activations.length) call.fail(`has ${f.length} activations for ${D} directions`);

  const Y = call.make(X.type, batchFirst ? [B, T, D, H] : [T, D, B, H]);
  const ends = [call.make(X.type, states), call.make(X.type, states)] as const;
  const [net, hidden] = [new Float64Array(G), new Float64Array(G)];
  const [h, c] = [new Float64Array(H), new Float64Array(H)];
  call.spend(T * B * D * G * (I + H));
  const beforeProduct = node.op === "GRU" && intOf(attributes.get("linear_before_reset")) !== 1;
  for (let d = 0; d < D; d++)
    for (let b = 0; b < B; b++) {
      const state = batchFirst ? (b * D + d) * H : (d * B + b) * H;
      for (let k = 0; k < H; k++) {
        h[k] = h0?.data[state + k] ?? 0;
        c[k] = c0?.data[state + k] ?? 0;
      }
      const length = lengths ? Math.min(T, Math.max(0, lengths.data[b]!)) : T;
      const own = f.slice(d * activations.length, (d + 1) * activations.length);
      const step: Step = { H, f: own, net, hidden, h, c, P: P?.data, p: d * 3 * H };
      const backwards = d === 1 || direction === "reverse";
      for (let n = 0; n < length; n++) {
        const t = backwards ? length - 1 - n : n;
        product(net, W.data, d * G, I, X.data, (batchFirst ? b * T + t : t * B + b) * I, bias?.data, d * 2 * G);
        product(hidden, R.data, d * G, H, h, 0, bias?.data, d * 2 * G + G);
        if (node.op === "LSTM") lstm(step);
        else if (node.op === "RNN") for (let k = 0; k < H; k++) h[k] = Math.fround(own[0]!(net[k]! + hidden[k]!));
        else gru(step, beforeProduct ? { R: R.data, row: d * G, bias: bias?.data, at: d * 2 * G + G } : undefined);
        Y.data.set(h, (batchFirst ? (b * T + t) * D + d : (t * D + d) * B + b) * H);
      }
      ends[0].data.set(h, state);
      ends[1].data.set(c, state);
    }
  return node.op === "LSTM" ? [Y, ...ends] : [Y, ends[0]];
}

/** out = rows [row, row + out.length) of M times x, and a bias. */
function product(
  out: Float64Array,
  M: ArrayLike<number>,
  row: number,
  width: number,
  x: ArrayLike<number>,
  at: number,
  bias: ArrayLike<number> | undefined,
  biasAt: number,
): void {
  for (let r = 0; r < out.length; r++) {
    let sum = bias?.[biasAt + r] ?? 0;
    const from = (row + r) * width;
    for (let k = 0; k < width; k++) sum += M[from + k]! * x[at + k]!;
    out[r] = sum;
  }
}

function lstm({ H, f, net, hidden, h, c, P, p }: Step): void {
  const [gate, inner, outer] = f as [(x: number) => number, (x: number) => number, (x: number) => number];
  for (let k = 0; k < H; k++) {
    const peep = (n: number) => P?.[p + n * H + k] ?? 0;
    const at = (n: number) => net[n * H + k]! + hidden[n * H + k]!;
    const i = gate(at(0) + peep(0) * c[k]!);
    const forget = gate(at(2) + peep(2) * c[k]!);
    c[k] = Math.fround(forget * c[k]! + i * inner(at(3)));
    const o = gate(at(1) + peep(1) * c[k]!);
    h[k] = Math.fround(o * outer(c[k]!));
  }
}

/** With `before`, the reset gate comes before the product, which is made once more. */
function gru(
  { H, f, net, hidden, h }: Step,
  before: { R: ArrayLike<number>; row: number; bias: ArrayLike<number> | undefined; at: number } | undefined,
): void {
  const [gate, inner] = f as [(x: number) => number, (x: number) => number];
  const r = Float64Array.from({ length: H }, (_, k) => gate(net[H + k]! + hidden[H + k]!));
  if (before) {
    const candidate = hidden.subarray(2 * H);
    const reset = r.map((each, k) => each * h[k]!);
    product(candidate, before.R, before.row + 2 * H, H, reset, 0, before.bias, before.at + 2 * H);
  }
  for (let k = 0; k < H; k++) {
    const z = gate(net[k]! + hidden[k]!);
    const candidate = inner(net[2 * H + k]! + (before ? 1 : r[k]!) * hidden[2 * H + k]!);
    h[k] = Math.fround((1 - z) * candidate + z * h[k]!);
  }
}
