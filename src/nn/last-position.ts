/**
 * Below a head that looks at the last position alone, in a net without recurrence: moves each lane's last row that is
 * there to time T-1, where the head looks. (A recurrent layer needs none: past its end a lane's states stay.)
 */
import { clearRows, type Input, type Module, OneHot, type Pass, type Planner, Rows } from "./module.ts";
import { RowCopies } from "./row-copies.ts";

export class LastPosition implements Module {
  readonly name = "last";
  readonly parameters = [];
  readonly weights = [];
  readonly sites = [];
  readonly macs = [];
  readonly output: Rows; // (T*B, width), block T-1 filled
  readonly #dx: Rows; // (T*B, width)
  readonly #copies: RowCopies;

  constructor({ arena, T, B }: Planner, width: number) {
    this.output = new Rows(arena.tensor("last.y", [T * B, width], "activations"));
    this.#dx = new Rows(arena.tensor("last.dx", [T * B, width], "workspace"));
    this.#copies = new RowCopies(arena);
  }

  initialize(): void {}

  forward(x: Input, pass: Pass): Rows {
    if (x instanceof OneHot) throw new Error("last position: the input must be real rows");
    const { T, B } = pass;
    const width = x.tensor.rowLength;
    for (let b = 0; b < B; b++)
      this.#copies.copy(this.output.tensor, (T - 1) * B + b, 0, x.tensor, x.row + rowOf(b, pass), 0, width);
    return this.output;
  }

  backward(dy: Rows, pass: Pass): Rows {
    const { T, B } = pass;
    const dx = this.#dx.tensor;
    clearRows(dx, T * B);
    for (let b = 0; b < B; b++)
      this.#copies.copy(dx, rowOf(b, pass), 0, dy.tensor, dy.row + (T - 1) * B + b, 0, dx.rowLength);
    return this.#dx;
  }
}

/** Of lane b's last position that is there. */
function rowOf(b: number, { T, B, lengths }: Pass): number {
  return ((lengths ? Math.min(T, lengths[b]!) : T) - 1) * B + b;
}
