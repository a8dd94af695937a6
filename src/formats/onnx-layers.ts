/**
 * Layers without time of their own as nodes of ONNX: linear layers, activations, layer norm, learned positions, causal
 * blocks, the last position. Values are (T, B, width); the numbers are those of the modules of the same names in nn/.
 */
import type { ActivationName } from "../nn/activation.ts";
import { LAYER_NORM_EPS } from "../nn/layer-norm.ts";
import type { GraphBuilder, WeightSource } from "./onnx-graph.ts";

const LATER = -1e30; // a score of what is not seen yet: its share is exactly 0

export interface TokenRows {
  readonly vocabulary: number;
  /** Columns of an embedding; 0 or none: one-hot. */
  readonly embedding?: number | undefined;
}

export interface BlockShape {
  readonly width: number;
  readonly heads: number;
  readonly activation: ActivationName;
}

/** Adds nodes to `g`; each method returns the name of what it makes. `weightOf` gives parameters under their names. */
export class LayerNodes {
  readonly #g: GraphBuilder;
  readonly #weightOf: (name: string) => WeightSource;

  constructor(g: GraphBuilder, weightOf: (name: string) => WeightSource) {
    this.#g = g;
    this.#weightOf = weightOf;
  }

  /** A parameter as it is. */
  weight(name: string): string {
    return this.#g.weight(name, this.#weightOf(name));
  }

  /** Rows of tokens: an embedding's, or one-hot. `table`: its parameter. */
  tokens(x: string, { vocabulary, embedding }: TokenRows, table: string): string {
    const g = this.#g;
    if (embedding) return g.node("Gather", "embedding", [this.weight(table), x]);
    return g.node("OneHot", "onehot", [x, g.ints([vocabulary], []), g.floats("off.on", [0, 1])]);
  }

  /** x W^T. */
  product(name: string, x: string, weight: string): string {
    const W = this.#g.node("Transpose", `${name}.W`, [this.weight(weight)], { perm: { ints: [1, 0] } });
    return this.#g.node("MatMul", `${name}.product`, [x, W]);
  }

  /** x W^T + b. `of`: where the names of its parameters end in something else than .weight and .bias. */
  linear(name: string, x: string, { output = `${name}.y`, of = [`${name}.weight`, `${name}.bias`] } = {}): string {
    const [weight, bias] = of as [string, string];
    return this.#g.node("Add", output, [this.product(name, x, weight), this.weight(bias)]);
  }

  activation(kind: ActivationName, name: string, x: string): string {
    const g = this.#g;
    if (kind === "relu") return g.node("Relu", name, [x]);
    const erf = g.node("Erf", `${name}.erf`, [g.node("Div", `${name}.x`, [x, g.floats("sqrt2", [Math.SQRT2], [])])]);
    const twice = g.node("Add", `${name}.twice`, [erf, g.floats("one", [1], [])]);
    const share = g.node("Mul", `${name}.share`, [twice, g.floats("half", [0.5], [])]);
    return g.node("Mul", name, [x, share]);
  }

  /** In the operators of opset 14, which has none for it: rows to mean 0 and variance 1, weight, bias. */
  layerNorm(name: string, x: string): string {
    const g = this.#g;
    const overRow = { axes: { ints: [-1] }, keepdims: { i: 1 } };
    const centred = g.node("Sub", `${name}.centred`, [x, g.node("ReduceMean", `${name}.mean`, [x], overRow)]);
    const squares = g.node("Mul", `${name}.squares`, [centred, centred]);
    const variance = g.node("ReduceMean", `${name}.variance`, [squares], overRow);
    const above = g.node("Add", `${name}.above`, [variance, g.floats("eps", [LAYER_NORM_EPS], [])]);
    const unit = g.node("Div", `${name}.unit`, [centred, g.node("Sqrt", `${name}.deviation`, [above])]);
    const scaled = g.node("Mul", `${name}.scaled`, [unit, this.weight(`${name}.weight`)]);
    return g.node("Add", `${name}.y`, [scaled, this.weight(`${name}.bias`)]);
  }

  /** (T): 0, 1, ..., T - 1 of x (T, ...). */
  times(x: string): string {
    const g = this.#g;
    const T = g.node("Gather", "T", [g.node("Shape", "shape", [x]), g.ints([0], [])], { axis: { i: 0 } });
    return g.node("Range", "times", [g.ints([0], []), T, g.ints([1], [])]);
  }

  /** x plus rows of a learned table; more positions than the table has are an error when the graph runs. */
  positions(name: string, x: string, times: string): string {
    const g = this.#g;
    const rows = g.node("Gather", `${name}.rows`, [this.weight(`${name}.weight`), times]);
    return g.node("Add", `${name}.y`, [x, g.node("Unsqueeze", `${name}.lanes`, [rows, g.ints([1])])]);
  }

  /** (T, T): whether key k comes after query q, which then does not see it. */
  later(times: string): string {
    const g = this.#g;
    return g.node("Less", "later", [g.node("Unsqueeze", "queries", [times, g.ints([1])]), times]);
  }

  /** TransformerBlock: x1 = x + attention(norm1(x)), then x1 + feedforward(norm2(x1)). */
  block(name: string, x: string, later: string, { width, heads, activation }: BlockShape): string {
    const g = this.#g;
    const attention = `${name}.self_attn`;
    const packed = this.linear(`${attention}.in_proj`, this.layerNorm(`${name}.norm1`, x), {
      of: [`${attention}.in_proj_weight`, `${attention}.in_proj_bias`],
    });
    const seen = this.#attention(attention, packed, later, heads, width);
    const middle = g.node("Add", `${name}.middle`, [x, this.linear(`${attention}.out_proj`, seen)]);
    const inner = this.linear(`${name}.linear1`, this.layerNorm(`${name}.norm2`, middle));
    const active = this.activation(activation, `${name}.${activation}`, inner);
    return g.node("Add", `${name}.y`, [middle, this.linear(`${name}.linear2`, active)]);
  }

  /** From queries, keys and values next to each other, (T, B, 3 width), what each position takes from those up to it. */
  #attention(name: string, packed: string, later: string, heads: number, width: number): string {
    const g = this.#g;
    const d = width / heads;
    const split = g.node("Reshape", `${name}.split`, [packed, g.ints([0, 0, 3, heads, d])]);
    const byHead = g.node("Transpose", `${name}.heads`, [split], { perm: { ints: [2, 1, 3, 0, 4] } }); // (3, B, heads, T, d)
    const [q, k, v] = ["q", "k", "v"].map((part, index) =>
      g.node("Gather", `${name}.${part}`, [byHead, g.ints([index], [])], { axis: { i: 0 } }),
    ) as [string, string, string];
    const keys = g.node("Transpose", `${name}.keys`, [k], { perm: { ints: [0, 1, 3, 2] } });
    const products = g.node("MatMul", `${name}.products`, [q, keys]);
    const scores = g.node("Mul", `${name}.scores`, [products, g.floats(`${name}.scale`, [1 / Math.sqrt(d)], [])]);
    const masked = g.node("Where", `${name}.masked`, [later, g.floats("unseen", [LATER], []), scores]);
    const shares = g.node("Softmax", `${name}.shares`, [masked], { axis: { i: -1 } });
    const taken = g.node("MatMul", `${name}.taken`, [shares, v]);
    const turned = g.node("Transpose", `${name}.turned`, [taken], { perm: { ints: [2, 0, 1, 3] } });
    return g.node("Reshape", `${name}.beside`, [turned, g.ints([0, 0, width])]);
  }

  /** (B, width): each lane's last position that is there. Without lengths, the last. */
  last(x: string, lengths: string): string {
    const g = this.#g;
    if (lengths === "") return g.node("Gather", "last", [x, g.ints([-1], [])], { axis: { i: 0 } });
    const counts = g.node("Cast", "last.lengths", [lengths], { to: { i: 7 } });
    const ends = g.node("Sub", "last.ends", [counts, g.ints([1])]);
    const index = g.node("Unsqueeze", "last.index", [ends, g.ints([1])]);
    const lanes = g.node("Transpose", "last.lanes", [x], { perm: { ints: [1, 0, 2] } });
    return g.node("GatherND", "last", [lanes, index], { batch_dims: { i: 1 } });
  }
}
