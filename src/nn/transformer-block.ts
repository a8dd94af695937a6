/**
 * A block of a causal transformer, norms first: the numbers and names of torch.nn.TransformerEncoderLayer(norm_first=True)
 * under a causal mask.
 *
 *   x1 = x + out_proj(attention(in_proj(norm1(x))))
 *   y = x1 + linear2(activation(linear1(norm2(x1))))
 *
 * Its sites are the outputs of the four linear layers: .in_proj (groups q, k, v), .out_proj, .linear1, .linear2. dx runs along
 * the residual path unmasked. Dropout is drawn where PyTorch has `dropout`, `dropout1` and `dropout2`; there is none on
 * attention's shares.
 */
import type { RandomStream } from "../core/random.ts";
import type { Kernels, Weight } from "../kernels/kernels.ts";
import type { ProductMacs } from "../sparse/macs.ts";
import { Activation, type ActivationName } from "./activation.ts";
import { CausalAttention } from "./causal-attention.ts";
import { Dropout } from "./dropout.ts";
import { LayerNorm } from "./layer-norm.ts";
import { Linear } from "./linear.ts";
import {
  type DropSite,
  type Input,
  type Module,
  OneHot,
  type Parameter,
  type Pass,
  type Planner,
  type Pointwise,
  Rows,
} from "./module.ts";
import { RowCopies } from "./row-copies.ts";

export interface BlockOptions {
  /** "transformer", 0 gives parameters "transformer.layers.0.norm1.weight" and sites "transformer.l0.in_proj". */
  readonly net: string;
  readonly index: number;
  readonly input: Rows;
  readonly heads: number;
  readonly feedforward: number;
  readonly activation: ActivationName;
  readonly dropout: number;
}

export class TransformerBlock implements Module {
  readonly name: string;
  readonly parameters: readonly Parameter[];
  readonly weights: readonly Weight[];
  readonly sites: readonly DropSite[];
  readonly macs: readonly ProductMacs[];
  readonly pointwise: readonly Pointwise[];
  readonly output: Rows; // (T*B, width)
  readonly #kernels: Kernels;
  readonly #copies: RowCopies;
  readonly #attention: readonly Module[]; // norm1 to out_proj, and dropout
  readonly #feedforward: readonly Module[]; // norm2 to linear2, and dropout
  readonly #middle: Rows; // x1
  readonly #dMiddle: Rows;
  readonly #dx: Rows;

  constructor(planner: Planner, options: BlockOptions) {
    const { arena, kernels, T, B } = planner;
    const { net, index, input, heads, feedforward, activation: kind, dropout } = options;
    const width = input.tensor.rowLength;
    const name = `${net}.l${index}`;
    const torch = `${net}.layers.${index}`;
    const rows = (part: string, purpose: "activations" | "workspace") =>
      new Rows(arena.tensor(`${name}.${part}`, [T * B, width], purpose));
    const linear = (part: string, x: Rows, outputs: number, more: object = {}) =>
      new Linear(planner, {
        name: `${name}.${part}`,
        parameters: { weight: `${torch}.${part}.weight`, bias: `${torch}.${part}.bias` },
        input: x,
        outputs,
        needsInputGradient: true,
        ...more,
      });
    const dropped = (part: string, size: number) =>
      dropout > 0 ? [new Dropout(planner, `${name}.${part}`, size, dropout)] : [];
    this.name = name;
    this.#kernels = kernels;
    this.#copies = new RowCopies(arena);
    this.#middle = rows("middle", "activations");
    this.output = rows("y", "activations");
    this.#dMiddle = rows("dMiddle", "workspace");
    this.#dx = rows("dx", "workspace");

    const norm1 = new LayerNorm(planner, `${torch}.norm1`, width);
    const inProjection = linear("in_proj", norm1.output, 3 * width, {
      groups: ["q", "k", "v"],
      parameters: { weight: `${torch}.self_attn.in_proj_weight`, bias: `${torch}.self_attn.in_proj_bias` },
      bounds: { weight: Math.sqrt(6 / (4 * width)), bias: 0 }, // Xavier's, of a (3 width, width) matrix
    });
    const attention = new CausalAttention(planner, {
      name: `${name}.attention`,
      input: inProjection.output,
      gradient: inProjection.gradient,
      heads,
    });
    const outProjection = linear("out_proj", attention.output, width, {
      parameters: { weight: `${torch}.self_attn.out_proj.weight`, bias: `${torch}.self_attn.out_proj.bias` },
      bounds: { weight: 1 / Math.sqrt(width), bias: 0 },
    });
    this.#attention = [norm1, inProjection, attention, outProjection, ...dropped("dropout1", width)];

    const norm2 = new LayerNorm(planner, `${torch}.norm2`, width);
    const linear1 = linear("linear1", norm2.output, feedforward);
    const activation = new Activation(planner, {
      name: `${name}.${kind}`,
      kind,
      input: linear1.output,
      gradient: linear1.gradient,
    });
    const inner = dropped("dropout", feedforward);
    const linear2 = linear("linear2", inner[0]?.output ?? activation.output, width);
    this.#feedforward = [norm2, linear1, activation, ...inner, linear2, ...dropped("dropout2", width)];

    const children = [...this.#attention, ...this.#feedforward];
    this.parameters = children.flatMap(({ parameters }) => parameters);
    this.weights = children.flatMap(({ weights }) => weights);
    this.sites = children.flatMap(({ sites }) => sites);
    this.macs = children.flatMap(({ macs }) => macs);
    this.pointwise = children.flatMap(({ pointwise = [] }) => pointwise);
  }

  initialize(random: RandomStream, scale?: number): void {
    for (const child of this.#attention) child.initialize(random, scale);
    for (const child of this.#feedforward) child.initialize(random, scale);
  }

  denseMacs(rows: number): number {
    const children = [...this.#attention, ...this.#feedforward];
    return children.reduce((sum, child) => sum + (child.denseMacs?.(rows) ?? 0), 0);
  }

  forward(x: Input, pass: Pass): Rows {
    if (x instanceof OneHot) throw new Error(`${this.name}: the input must be real rows`);
    this.#residual(this.#middle, x, this.#attention, pass);
    this.#residual(this.output, this.#middle, this.#feedforward, pass);
    return this.output;
  }

  backward(dy: Rows, pass: Pass): Rows {
    this.#residualBackward(this.#dMiddle, dy, this.#feedforward, pass);
    this.#residualBackward(this.#dx, this.#dMiddle, this.#attention, pass);
    return this.#dx;
  }

  /** out = x + f(x) */
  #residual(out: Rows, x: Rows, branch: readonly Module[], pass: Pass): void {
    let y = x;
    for (let i = 0; i < branch.length; i++) y = branch[i]!.forward(y, pass);
    this.#sum(out, x, y, pass);
  }

  #residualBackward(dx: Rows, dy: Rows, branch: readonly Module[], pass: Pass): void {
    let g = dy;
    for (let i = branch.length - 1; i >= 0; i--) g = branch[i]!.backward(g, pass) as Rows;
    this.#sum(dx, dy, g, pass);
  }

  #sum(out: Rows, a: Rows, b: Rows, { T, B }: Pass): void {
    this.#copies.copy(out.tensor, 0, 0, a.tensor, a.row, 0, T * B * out.tensor.rowLength);
    this.#kernels.addRows(out.tensor, 0, b.tensor, b.row, T * B);
  }
}
