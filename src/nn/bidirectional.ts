/**
 * A layer that reads each sequence from both ends: two recurrent layers as explicit children, one of which is given its
 * input turned round by length, so that it starts at each sequence's own end. Everything else (padding, segments, rules,
 * whole loops of engines) is theirs. PyTorch's names ("weight_ih_l0_reverse") and order: forward units, then reverse.
 *
 *   output[t] = [ h[t], reverse h[len-1-t] ]
 *
 * `final`, of the layer below a head that looks at the last position: both halves hold the state each direction ended with
 * (PyTorch's h_n), of the reverse one that after position 0.
 *
 * Time in the reverse layer is its own: t counts from a sequence's end.
 */
import type { Tensor } from "../core/arena.ts";
import type { RandomStream } from "../core/random.ts";
import type { Kernels, Weight } from "../kernels/kernels.ts";
import type { ProductMacs } from "../sparse/macs.ts";
import type { Cell } from "./cell.ts";
import {
  type DropSite,
  type Input,
  type Module,
  OneHot,
  type Parameter,
  type Pass,
  type Planner,
  Rows,
} from "./module.ts";
import { RecurrentLayer, type RecurrentOptions } from "./recurrent.ts";
import { RowCopies } from "./row-copies.ts";

export class BidirectionalLayer implements Module {
  readonly name: string;
  readonly directions: readonly [forward: RecurrentLayer, reverse: RecurrentLayer];
  readonly parameters: readonly Parameter[];
  readonly weights: readonly Weight[];
  readonly sites: readonly DropSite[];
  readonly macs: readonly ProductMacs[];
  readonly output: Rows; // (T*B, 2H)
  readonly #kernels: Kernels;
  readonly #copies: RowCopies;
  readonly #final: boolean;
  readonly #hiddenSize: number;
  readonly #turned: Input; // x, each lane from its end; later dx of the reverse layer, turned back
  readonly #dy: readonly [Rows, Rows]; // (T*B, H) each

  constructor(planner: Planner, cell: Cell, options: RecurrentOptions, final: boolean) {
    const { arena, kernels, T, B } = planner;
    const { input, hiddenSize: H } = options;
    const name = `${options.name}.l${options.index}`;
    this.name = name;
    this.#kernels = kernels;
    this.#copies = new RowCopies(arena);
    this.#final = final;
    this.#hiddenSize = H;
    this.#turned =
      input instanceof OneHot
        ? new OneHot(arena.ints(`${name}.turned`, [T * B], "activations"), input.size)
        : new Rows(arena.tensor(`${name}.turned`, [T * B, input.tensor.rowLength], "activations"));
    this.directions = [
      new RecurrentLayer(planner, cell, options),
      new RecurrentLayer(planner, cell, { ...options, input: this.#turned, reverse: true }),
    ];
    this.parameters = this.directions.flatMap(({ parameters }) => parameters);
    this.weights = this.directions.flatMap(({ weights }) => weights);
    this.sites = this.directions.flatMap(({ sites }) => sites);
    this.macs = this.directions.flatMap(({ macs }) => macs);
    this.output = new Rows(arena.tensor(`${name}.both`, [T * B, 2 * H], "activations"));
    const dy = (side: string) => new Rows(arena.tensor(`${name}.${side}`, [T * B, H], "workspace"));
    this.#dy = [dy("dyForward"), dy("dyReverse")];
  }

  initialize(random: RandomStream, scale?: number): void {
    for (const layer of this.directions) layer.initialize(random, scale);
  }

  forward(x: Input, pass: Pass): Rows {
    const { T, B } = pass;
    const [forward, reverse] = this.directions;
    const turned = this.#turned;
    if (x instanceof OneHot && turned instanceof OneHot)
      for (let t = 0; t < T; t++)
        for (let b = 0; b < B; b++) turned.index.data[opposite(t, b, pass)] = x.index.data[t * B + b] as number;
    else if (x instanceof Rows && turned instanceof Rows) this.#turn(turned.tensor, 0, x.tensor, x.row, pass);
    const h = forward.forward(x, pass);
    const back = reverse.forward(turned, pass);
    const H = this.#hiddenSize;
    const out = this.output.tensor;
    for (let t = this.#final ? T - 1 : 0; t < T; t++)
      for (let b = 0; b < B; b++) {
        const row = t * B + b;
        this.#copies.copy(out, row, 0, h.tensor, h.row + row, 0, H);
        this.#copies.copy(out, row, H, back.tensor, back.row + this.#reverseRow(t, b, pass), 0, H);
      }
    return this.output;
  }

  backward(dy: Rows, pass: Pass): Rows | undefined {
    const { T, B } = pass;
    const [forward, reverse] = this.directions;
    const [dForward, dReverse] = this.#dy;
    const H = this.#hiddenSize;
    for (let t = 0; t < T; t++)
      for (let b = 0; b < B; b++) {
        const row = t * B + b;
        this.#copies.copy(dForward.tensor, row, 0, dy.tensor, dy.row + row, 0, H);
        this.#copies.copy(dReverse.tensor, this.#reverseRow(t, b, pass), 0, dy.tensor, dy.row + row, H, H);
      }
    const dx = forward.backward(dForward, pass);
    const dTurned = reverse.backward(dReverse, pass);
    if (!dx || !dTurned || !(this.#turned instanceof Rows)) return undefined;
    this.#turn(this.#turned.tensor, 0, dTurned.tensor, dTurned.row, pass);
    this.#kernels.addRows(dx.tensor, dx.row, this.#turned.tensor, 0, T * B);
    return dx;
  }

  /** The reverse layer's row that belongs to an output's. */
  #reverseRow(t: number, b: number, pass: Pass): number {
    return this.#final ? t * pass.B + b : opposite(t, b, pass);
  }

  /** Rows of every lane in the opposite order, padding where it is. */
  #turn(to: Tensor, toRow: number, from: Tensor, fromRow: number, pass: Pass): void {
    const { T, B } = pass;
    for (let t = 0; t < T; t++)
      for (let b = 0; b < B; b++)
        this.#copies.copy(to, toRow + opposite(t, b, pass), 0, from, fromRow + t * B + b, 0, from.rowLength);
  }
}

/** The row of lane b as far from its sequence's end as t is from the beginning; padding stays. */
function opposite(t: number, b: number, { T, B, lengths }: Pass): number {
  const length = lengths ? Math.min(T, lengths[b] as number) : T;
  return (t < length ? length - 1 - t : t) * B + b;
}
