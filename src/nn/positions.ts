/** Learned positions: x[t] + row t of a table (P, width), for t < P. torch.nn.Embedding's name and initial values. */
import { UsageError } from "../core/check.ts";
import type { RandomStream } from "../core/random.ts";
import {
  fillUniform,
  type Input,
  type Module,
  OneHot,
  type Parameter,
  type Pass,
  type Planner,
  planParameter,
  Rows,
} from "./module.ts";

export class Positions implements Module {
  readonly name: string;
  readonly parameters: readonly Parameter[];
  readonly weights = [];
  readonly sites = [];
  readonly macs = [];
  readonly output: Rows; // (T*B, width)
  readonly #table: Parameter; // (P, width)

  /** A pass of more than `positions` steps cannot be planned. */
  constructor({ arena, T, B }: Planner, name: string, width: number, positions: number) {
    if (T > positions)
      throw new UsageError(
        `sequence length T is ${T}, and this net has learned positions for ${positions} (model.positions). ` +
          `Give sequences of at most ${positions}, or train one with model.positions=${T}.`,
      );
    this.name = name;
    this.#table = planParameter(arena, `${name}.weight`, [positions, width]);
    this.parameters = [this.#table];
    this.output = new Rows(arena.tensor(`${name}.y`, [T * B, width], "activations"));
  }

  /** PyTorch's: standard normal. */
  initialize(random: RandomStream, scale?: number): void {
    const table = this.#table.value;
    if (scale !== undefined) fillUniform(table, scale, random);
    else for (let i = 0; i < table.length; i++) table.data[i] = random.normal();
  }

  forward(x: Input, { T, B }: Pass): Rows {
    if (x instanceof OneHot) throw new Error("positions: the input must be real rows");
    const { data, rowLength: width } = x.tensor;
    const table = this.#table.value.data;
    const to = this.output.tensor.data;
    for (let r = 0; r < T * B; r++) {
      const position = Math.floor(r / B) * width;
      const start = (x.row + r) * width;
      for (let i = 0; i < width; i++) to[r * width + i] = data[start + i]! + table[position + i]!;
    }
    return this.output;
  }

  /** dx is dy itself. */
  backward(dy: Rows, { T, B }: Pass): Rows {
    const { data, rowLength: width } = dy.tensor;
    const table = this.#table.gradient.data;
    for (let r = 0; r < T * B; r++) {
      const position = Math.floor(r / B) * width;
      const start = (dy.row + r) * width;
      for (let i = 0; i < width; i++) table[position + i]! += data[start + i]!;
    }
    return dy;
  }
}
