/**
 * A stretch of modules beside which its input goes on: y = x + f(x). The children are called explicitly, in their order
 * and backward in reverse; all of theirs (parameters, sites, MACs) is the residual's.
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
  Rows,
} from "./module.ts";

export class Residual implements Module {
  readonly name: string;
  readonly parameters: readonly Parameter[];
  readonly weights: readonly Weight[];
  readonly sites: readonly DropSite[];
  readonly macs: readonly ProductMacs[];
  readonly output: Rows; // (T*B, width)
  readonly #kernels: Kernels;
  readonly #children: readonly Module[];
  readonly #dx: Rows; // (T*B, width)

  /** `children` read and write rows of `width`. */
  constructor({ arena, kernels, T, B }: Planner, name: string, width: number, children: readonly Module[]) {
    this.name = name;
    this.#kernels = kernels;
    this.#children = children;
    this.parameters = children.flatMap(({ parameters }) => parameters);
    this.weights = children.flatMap(({ weights }) => weights);
    this.sites = children.flatMap(({ sites }) => sites);
    this.macs = children.flatMap(({ macs }) => macs);
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
    return this.#sum(this.output, x, y, pass);
  }

  backward(dy: Rows, pass: Pass): Rows {
    let d: Rows | undefined = dy;
    for (let i = this.#children.length - 1; i >= 0 && d; i--) d = this.#children[i]!.backward(d, pass);
    if (!d) throw new Error("residual: its children must make the gradient of their input");
    return this.#sum(this.#dx, dy, d, pass);
  }

  #sum(out: Rows, a: Rows, b: Rows, { T, B }: Pass): Rows {
    copyBlock(out.tensor, 0, a.tensor, a.row, T * B);
    this.#kernels.addRows(out.tensor, 0, b.tensor, b.row, T * B);
    return out;
  }
}
