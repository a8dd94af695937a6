/**
 * A stretch of modules beside which its input goes on: y = x + f(x). The children are called explicitly, in their order
 * and backward in reverse; all of theirs (parameters, sites, MACs) is the residual's.
 *
 * `final`, around the bidirectional layer below a head that looks at the last position, whose output there is where each
 * direction ended: y[T-1] takes x of each lane's own last position. (In padding, x of the reverse direction is of position
 * 0; without directions it is of the last position anyway.)
 */
import type { RandomStream } from "../core/random.ts";
import type { Kernels, Weight } from "../kernels/kernels.ts";
import type { ProductMacs } from "../sparse/macs.ts";
import {
  copyBlock,
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

export class Residual implements Module {
  readonly name: string;
  readonly parameters: readonly Parameter[];
  readonly weights: readonly Weight[];
  readonly sites: readonly DropSite[];
  readonly macs: readonly ProductMacs[];
  readonly pointwise: readonly Pointwise[];
  readonly output: Rows; // (T*B, width)
  readonly #kernels: Kernels;
  readonly #children: readonly Module[];
  readonly #dx: Rows; // (T*B, width)
  readonly #final: boolean;
  readonly #copies: RowCopies;

  /** `children` read and write rows of `width`. */
  constructor(planner: Planner, name: string, width: number, children: readonly Module[], final = false) {
    const { arena, kernels, T, B } = planner;
    this.name = name;
    this.#final = final;
    this.#copies = new RowCopies(arena);
    this.#kernels = kernels;
    this.#children = children;
    this.parameters = children.flatMap(({ parameters }) => parameters);
    this.weights = children.flatMap(({ weights }) => weights);
    this.sites = children.flatMap(({ sites }) => sites);
    this.macs = children.flatMap(({ macs }) => macs);
    this.pointwise = children.flatMap(({ pointwise = [] }) => pointwise);
    this.output = new Rows(arena.tensor(`${name}.y`, [T * B, width], "activations"));
    this.#dx = new Rows(arena.tensor(`${name}.dx`, [T * B, width], "workspace"));
  }

  initialize(random: RandomStream, scale?: number): void {
    for (const child of this.#children) child.initialize(random, scale);
  }

  forward(x: Input, pass: Pass): Rows {
    if (x instanceof OneHot) throw new Error("residual: the input must be real rows");
    let y: Rows = x;
    for (const child of this.#children) y = child.forward(y, pass);
    const { T, B, lengths } = pass;
    copyBlock(this.output.tensor, 0, x.tensor, x.row, T * B);
    if (this.#final && lengths)
      for (let b = 0; b < B; b++) this.#move(this.output, (T - 1) * B + b, x, (Math.min(T, lengths[b]!) - 1) * B + b);
    return this.#add(this.output, y, pass);
  }

  backward(dy: Rows, pass: Pass): Rows {
    let d: Rows | undefined = dy;
    for (let i = this.#children.length - 1; i >= 0 && d; i--) d = this.#children[i]!.backward(d, pass);
    if (!d) throw new Error("residual: its children must make the gradient of their input");
    const { T, B, lengths } = pass;
    const dx = this.#dx;
    copyBlock(dx.tensor, 0, dy.tensor, dy.row, T * B);
    if (this.#final && lengths)
      for (let b = 0; b < B; b++) {
        const end = (T - 1) * B + b;
        const row = (Math.min(T, lengths[b]!) - 1) * B + b;
        if (row === end) continue;
        this.#move(dx, row, dy, end);
        dx.tensor.data.fill(0, end * dx.tensor.rowLength, (end + 1) * dx.tensor.rowLength);
      }
    return this.#add(dx, d, pass);
  }

  #move(to: Rows, toRow: number, from: Rows, fromRow: number): void {
    this.#copies.copy(to.tensor, to.row + toRow, 0, from.tensor, from.row + fromRow, 0, to.tensor.rowLength);
  }

  #add(out: Rows, { tensor, row }: Rows, { T, B }: Pass): Rows {
    this.#kernels.addRows(out.tensor, 0, tensor, row, T * B);
    return out;
  }
}
