/** Dropout between layers: elements, or whole columns, are zeroed with probability p, the rest scaled by 1/(1-p). */
import { streamKey } from "../core/random.ts";
import type { Kernels } from "../kernels/kernels.ts";
import { ColumnMask } from "./column-mask.ts";
import { type Input, type Module, OneHot, type Pass, type Planner, Rows } from "./module.ts";

/** Element: each number has its own draw. Structured: column-mask.ts. */
export const DROPOUT_KINDS = ["element", "structured"] as const;
export type DropoutKind = (typeof DROPOUT_KINDS)[number];

export class Dropout implements Module {
  readonly name: string;
  readonly parameters = [];
  readonly weights = [];
  readonly sites = [];
  readonly macs = [];
  readonly output: Rows;
  readonly #p: number;
  readonly #kernels: Kernels;
  readonly #mask: ColumnMask | undefined;
  readonly #dx: Rows;

  /** `dyRoom`: of dx; its rows are those of dy, which may lie in the same place. */
  constructor(
    { arena, kernels, T, B }: Planner,
    name: string,
    width: number,
    p: number,
    kind: DropoutKind = "element",
    dyRoom?: string,
  ) {
    this.name = name;
    this.#p = p;
    this.#kernels = kernels;
    this.output = new Rows(arena.tensor(`${name}.y`, [T * B, width], "activations"));
    this.#dx = new Rows(arena.tensor(`${name}.dx`, [T * B, width], "workspace", dyRoom));
    this.#mask = kind === "structured" ? new ColumnMask(arena, kernels, name, { T, width, p }) : undefined;
    this.output.live = this.#mask?.columns;
  }

  initialize(): void {}

  forward(x: Input, pass: Pass): Rows {
    if (x instanceof OneHot) throw new Error("dropout: the input must be real rows");
    if (!pass.training) return x;
    this.#mask?.draw(pass);
    this.#apply(this.output, x, pass);
    return this.output;
  }

  backward(dy: Rows, pass: Pass): Rows {
    this.#apply(this.#dx, dy, pass);
    return this.#dx;
  }

  /** The mask is a function of (seed, module, step, element): forward and backward draw the same one. */
  #apply(out: Rows, x: Rows, { T, B, seed, step }: Pass): void {
    if (this.#mask) this.#mask.apply(out.tensor, 0, x.tensor, x.row, B, 0, T);
    else this.#kernels.dropout(out.tensor, 0, x.tensor, x.row, T * B, this.#p, streamKey(seed, this.name, step));
  }
}
