/**
 * Structured dropout of what U sees of a layer (column-mask.ts): h[t-1] with columns zeroed, drawn anew for each t.
 * What flows from one time step to the next beside U (a GRU's z h) is not dropped.
 */
import type { Arena, Tensor } from "../core/arena.ts";
import type { CellStep, Kernels, Weight } from "../kernels/kernels.ts";
import { countRows, type Pattern } from "../sparse/pattern.ts";
import { ColumnMask, InputProducts } from "./column-mask.ts";
import { clearRows, type Pass, Rows } from "./module.ts";

export class HiddenDropout {
  /** Masked h[t-1] at block t, (T*B, H). */
  readonly rows: Rows;
  /** In a training pass; else U sees all of h. */
  active = false;
  readonly #kernels: Kernels;
  readonly #mask: ColumnMask;
  readonly #products: InputProducts;
  readonly #dh: Tensor; // (B, H)

  constructor(arena: Arena, kernels: Kernels, layer: string, shape: { T: number; B: number; H: number; p: number }) {
    const { T, B, H, p } = shape;
    const name = `${layer}.hiddenDropout`;
    this.#kernels = kernels;
    this.#mask = new ColumnMask(arena, kernels, name, { T, width: H, p });
    this.#products = new InputProducts(kernels);
    this.rows = new Rows(arena.tensor(`${name}.y`, [T * B, H], "activations"));
    this.rows.live = this.#mask.columns;
    this.#dh = arena.tensor(`${name}.dh`, [B, H], "workspace");
  }

  begin(pass: Pass): void {
    this.active = pass.training;
    if (this.active) this.#mask.draw(pass);
  }

  /** gates (or hiddenGates) += masked h[t-1] U^T. */
  forward({ gates, hiddenGates, h, row, hRow, rows: B }: CellStep, U: Weight): void {
    this.#mask.apply(this.rows.tensor, hRow, h, hRow, B, hRow / B, 1);
    this.#products.gemmNT(hiddenGates ?? gates, row, this.rows, hRow, U, B, B);
  }

  /** dh += the mask times what the product with U brings. Returns the multiply-accumulates executed. */
  backward({ dh, row, hRow, rows: B }: CellStep, seen: Pattern, seenRow: number, U: Weight, sparse: boolean): number {
    const made = this.#dh;
    clearRows(made, B);
    const asSparse = sparse && !this.#products.pays("nn", this.rows, hRow, U, B, B, countRows(seen, seenRow, B));
    const executed = asSparse
      ? this.#kernels.spmmNN(made, 0, seen, seenRow, U, B)
      : this.#products.gemmNN(made, 0, seen.dense, row, this.rows, hRow, U, B, B);
    this.#mask.apply(made, 0, made, 0, B, hRow / B, 1);
    this.#kernels.addRows(dh, 0, made, 0, B);
    return executed;
  }
}
