/** Embedding: row index[r] of a table (V, E) for each token. */
import type { Tensor } from "../core/arena.ts";
import type { RandomStream } from "../core/random.ts";
import type { Kernels } from "../kernels/kernels.ts";
import {
  fillUniform,
  type Input,
  type Module,
  OneHot,
  type Parameter,
  type Pass,
  type Planner,
  planRowParameter,
  type RowParameter,
  Rows,
} from "./module.ts";

export class Embedding implements Module {
  readonly name: string;
  readonly parameters: readonly Parameter[];
  readonly weights = [];
  readonly sites = [];
  readonly macs = [];
  readonly output: Rows; // (T*B, E)
  readonly #table: RowParameter;
  readonly #kernels: Kernels;
  readonly #tokens: OneHot;

  /** Its parameter is "embedding.weight", or another module's: `name` "encoder.embedding". */
  constructor({ arena, kernels, T, B }: Planner, tokens: OneHot, embeddingSize: number, name = "embedding") {
    this.name = name;
    this.#kernels = kernels;
    this.#tokens = tokens;
    this.#table = planRowParameter(arena, `${name}.weight`, [tokens.size, embeddingSize]);
    this.parameters = [this.#table];
    const y: Tensor = arena.tensor(`${name}.y`, [T * B, embeddingSize], "activations");
    this.output = new Rows(y);
  }

  /** PyTorch's: standard normal. */
  initialize(random: RandomStream, scale?: number): void {
    const table = this.#table.value;
    if (scale !== undefined) fillUniform(table, scale, random);
    else for (let i = 0; i < table.length; i++) table.data[i] = random.normal();
  }

  forward(x: Input, { T, B }: Pass): Rows {
    if (!(x instanceof OneHot)) throw new Error("embedding: the input must be tokens");
    this.#kernels.clear(this.output.tensor);
    this.#kernels.gather(this.output.tensor, 0, this.#table.value, x.index, 0, T * B);
    return this.output;
  }

  backward(dy: Rows, { T, B, lengths }: Pass): undefined {
    const { gradient, rows } = this.#table;
    this.#kernels.scatterAdd(gradient, this.#tokens.index, 0, dy.tensor, dy.row, T * B);
    const { index } = this.#tokens;
    if (!lengths) rows.addEach(index, T * B);
    else
      for (let b = 0; b < B; b++)
        for (let t = Math.min(T, lengths[b]!) - 1; t >= 0; t--) rows.add(index.data[t * B + b]!);
  }
}
