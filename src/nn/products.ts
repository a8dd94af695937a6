/**
 * The products of a recurrent layer outside its time loop, with their parameters and the count of all its
 * multiply-accumulates:
 *
 *   forward    gates = x W^T + b_ih + b_hh          all T at once, one product (a look-up for one-hot x)
 *   backward   dW += dGates^T x, dU += dGates^T h', db += sum, dx = dGates W
 *
 * dGates of dU and of b_hh are those that U sees (hidden.ts). PyTorch's names; a cell without a hidden product has
 * neither weight_hh nor bias_hh.
 */
import type { Tensor } from "../core/arena.ts";
import type { RandomStream } from "../core/random.ts";
import type { CellStep, Kernels, Weight } from "../kernels/kernels.ts";
import { type ProductMacs, productMacs, setMacs } from "../sparse/macs.ts";
import type { Pattern } from "../sparse/pattern.ts";
import type { Cell } from "./cell.ts";
import { InputProducts, maskedMacs } from "./column-mask.ts";
import {
  clearRows,
  fillUniform,
  type Input,
  OneHot,
  type Parameter,
  type Planner,
  planParameter,
  Rows,
} from "./module.ts";

/**
 * Rows of a pass from which on layers take turns in an engine's packed copies of W, and of U. In training that costs nothing,
 * since each is packed for forward and for backward once a step either way; where a pass is forward alone it packs at every
 * layer, which is as much as some 40 rows.
 */
const MANY_ROWS = 512;

export interface LayerShape {
  /** Of the layer: "lstm.l0". */
  readonly layer: string;
  /** PyTorch's name of a parameter: "weight_ih" gives "lstm.weight_ih_l0". */
  readonly parameter: (kind: string) => string;
  readonly input: Input;
  readonly hiddenSize: number;
  readonly needsInputGradient: boolean;
  /** Of what U sees: live columns of h[t-1], (T*B, H), in training; else all of h. */
  readonly hiddenInput: Rows | undefined;
  /** Rows of the largest product (S*B), and those of the largest piece. */
  readonly rows: number;
  readonly listRows: number;
  /** Room of dx: see RecurrentOptions. */
  readonly dyRoom: string | undefined;
}

/** Rows of a piece of backward: where they are, and what was kept of their gate gradients. */
export interface Piece {
  /** In gates and pattern. */
  readonly row: number;
  /** In h, x and the site. */
  readonly siteRow: number;
  readonly rows: number;
  /** Gate gradients of padding. */
  readonly padded: number;
  /** Those that are not zero. */
  readonly kept: number;
  /** B. */
  readonly lanes: number;
  /** Those of time `first + t` that are not zero; where that is not counted, they are taken as spread evenly. */
  readonly keptAt: ((t: number) => number) | undefined;
}

export class LayerProducts {
  readonly parameters: readonly Parameter[];
  readonly weights: readonly Weight[];
  readonly W: Weight; // (G*H, I)
  readonly U: Weight | undefined; // (G*H, H)
  readonly dx: Rows | undefined; // (T*B, I)
  readonly macs: readonly ProductMacs[];
  readonly count: Readonly<Record<"xW" | "hU" | "dh" | "dx" | "dW" | "dU", ProductMacs>>;
  readonly #kernels: Kernels;
  readonly #input: Input;
  readonly #hiddenInput: Rows | undefined;
  readonly #inputProducts: InputProducts;
  readonly #columns: number; // G*H
  readonly #hiddenSize: number;
  readonly #weightIH: Parameter;
  readonly #weightHH: Parameter | undefined;
  readonly #biasIH: Parameter;
  readonly #biasHH: Parameter | undefined;
  readonly #dBiasIH: Tensor; // (G*H)
  readonly #dBiasHH: Tensor; // (G*H), the same unless U sees other gradients

  constructor({ arena, kernels, T, B, nt }: Planner, cell: Cell, shape: LayerShape) {
    const { layer, parameter, input, hiddenSize: H, needsInputGradient, rows, listRows, hiddenInput } = shape;
    const columns = cell.gates.length * H;
    const inputSize = input instanceof OneHot ? input.size : input.tensor.rowLength;
    const plan = (kind: string, dimensions: readonly number[]) => planParameter(arena, parameter(kind), dimensions);
    const hidden = cell.hiddenProduct !== "none";
    this.#kernels = kernels;
    this.#input = input;
    this.#hiddenInput = hiddenInput;
    this.#inputProducts = new InputProducts(kernels);
    this.#columns = columns;
    this.#hiddenSize = H;
    this.#weightIH = plan("weight_ih", [columns, inputSize]);
    this.#weightHH = hidden ? plan("weight_hh", [columns, H]) : undefined;
    this.#biasIH = plan("bias_ih", [columns]);
    this.#biasHH = hidden ? plan("bias_hh", [columns]) : undefined;
    const few = rows <= 2 * listRows; // pieces
    const group = (name: string) => (rows < MANY_ROWS ? {} : { group: few ? "W and U" : name });
    const all = [this.#weightIH, this.#weightHH, this.#biasIH, this.#biasHH];
    this.parameters = all.filter((one) => one !== undefined);
    this.W = kernels.planWeight(
      this.#weightIH.value,
      input instanceof OneHot
        ? { rows, lookup: true }
        : { rows, nt, nn: needsInputGradient, live: input.live !== undefined, ...group("W") },
    );
    this.U =
      this.#weightHH &&
      kernels.planWeight(this.#weightHH.value, {
        rows: B,
        nt,
        nn: true,
        live: hiddenInput !== undefined,
        inTurns: hiddenInput !== undefined,
        ...group("U"),
      });
    this.weights = this.U ? [this.W, this.U] : [this.W];
    if (!(input instanceof OneHot)) kernels.planTN(listRows, columns, inputSize);
    if (hidden) kernels.planTN(listRows, columns, H);
    this.#dBiasIH = arena.tensor(`${layer}.dBias`, [columns], "workspace");
    const apart = cell.hiddenProduct === "apart";
    this.#dBiasHH = apart ? arena.tensor(`${layer}.dBiasHidden`, [columns], "workspace") : this.#dBiasIH;
    const dxRoom = inputSize === H ? shape.dyRoom : undefined; // rows of one length: a piece lies where its dy lay
    this.dx = needsInputGradient
      ? new Rows(arena.tensor(`${layer}.dx`, [T * B, inputSize], "workspace", dxRoom))
      : undefined;
    this.count = {
      xW: productMacs(layer, "xW", "forward", true),
      hU: productMacs(layer, "hU", "forward", true),
      dh: productMacs(layer, "dh", "backward", true),
      dx: productMacs(layer, "dx", "backward", true),
      dW: productMacs(layer, "dW", "backward", true),
      dU: productMacs(layer, "dU", "backward", true),
    };
    const { xW, hU, dh, dx, dW, dU } = this.count;
    this.macs = hidden ? [xW, hU, dh, dx, dW, dU] : [xW, dx, dW];
  }

  /** The weights whose gradient is made from the site's gradients. */
  get siteWeights(): readonly Parameter[] {
    return this.#weightHH ? [this.#weightIH, this.#weightHH] : [this.#weightIH];
  }

  /**
   * PyTorch's: uniform in +-1/sqrt(H); then the forget gate's input bias starts at `forgetBias`. With `chronoInit`, the
   * most time steps that units are to remember, unit by unit instead, how long each of them does drawn uniformly:
   * +-log u, u in [1, chronoInit - 1] (Tallec and Ollivier 2018, arXiv 1804.11188).
   */
  initialize(
    random: RandomStream,
    scale: number | undefined,
    { gates, forgetGate, remembers = {} }: Cell,
    { forgetBias, chronoInit = 0 }: { readonly forgetBias: number; readonly chronoInit?: number },
  ): void {
    const H = this.#hiddenSize;
    for (const { value } of this.parameters) fillUniform(value, scale ?? 1 / Math.sqrt(H), random);
    const biases = this.#biasIH.value.data;
    if (forgetGate !== undefined) biases.fill(forgetBias, forgetGate * H, (forgetGate + 1) * H);
    if (chronoInit === 0) return;
    for (let unit = 0; unit < H; unit++) {
      const bias = Math.log(1 + random.uniform() * (chronoInit - 2));
      for (const [gate, sign] of Object.entries(remembers)) biases[gates.indexOf(gate) * H + unit] = sign * bias;
    }
  }

  /** Rows [0, rows) of the gates, for rows of x from `siteRow` on. */
  forward({ gates, hiddenGates, rows: B }: CellStep, x: Input, siteRow: number, rows: number): void {
    const kernels = this.#kernels;
    const bias = this.#biasIH.value;
    const biasHH = this.#biasHH?.value;
    kernels.setBias(gates, 0, rows, bias, hiddenGates ? undefined : biasHH);
    if (hiddenGates && biasHH) kernels.setBias(hiddenGates, 0, rows, biasHH);
    if (x instanceof OneHot) kernels.lookup(gates, 0, x.index, siteRow, this.W, rows);
    else this.#inputProducts.gemmNT(gates, 0, x, siteRow, this.W, rows, B);
  }

  /** A forward pass in training over T times of B rows, `padded(t)` of them padding. */
  countForward(T: number, B: number, padded: (t: number) => number): void {
    const { xW, hU } = this.count;
    let padding = 0;
    for (let t = 0; t < T; t++) padding += padded(t);
    const there = (t: number) => (B - padded(t)) * this.#columns;
    const masked = (x: Input | undefined) => (x instanceof Rows && x.live ? maskedMacs(x.live, 0, T, there) : 0);
    setMacs(xW, this.#inputMacs(T * B - padding), 0, 0, masked(this.#input));
    setMacs(hU, this.#recurrentMacs(T * B - padding), 0, 0, masked(this.#hiddenInput));
    this.countAgain(0, T, B);
  }

  /** Times [from, from + times) that were computed, the first time or again. */
  countAgain(from: number, times: number, B: number): void {
    const all = () => B * this.#columns;
    const dead = (x: Input | undefined, w: Weight) =>
      x instanceof Rows && x.live && this.#inputProducts.isLive(x, w, B) ? maskedMacs(x.live, from, times, all) : 0;
    this.count.xW.executed += this.#inputMacs(times * B) - dead(this.#input, this.W);
    if (this.U) this.count.hU.executed += this.#recurrentMacs(times * B) - dead(this.#hiddenInput, this.U);
  }

  /** Before a backward pass. */
  clear(): void {
    this.#dBiasIH.data.fill(0);
    this.#dBiasHH.data.fill(0);
    const { dh, dx, dW, dU } = this.count;
    setMacs(dh, 0, 0, 0);
    setMacs(dx, 0, 0, 0);
    setMacs(dW, 0, 0, 0);
    setMacs(dU, 0, 0, 0);
  }

  /**
   * dW and dU of a piece; `hidden`: of the gradients U sees; `h`: what U saw, of the same positions as x.
   */
  addWeightGradients(piece: Piece, pattern: Pattern, hidden: Pattern, h: Rows, sparse: boolean): void {
    const { row, siteRow, rows } = piece;
    const x = this.#input;
    if (this.#weightHH && this.U) {
      const executed = this.#weightProduct(this.#weightHH, this.U, piece, hidden, h, sparse);
      this.countProduct("dU", piece, h, executed);
    }
    if (x instanceof OneHot) {
      const { gradient } = this.#weightIH;
      this.#kernels.lookupGradient(gradient, x.index, siteRow, pattern.dense, row, this.W, rows);
      return;
    }
    const executed = this.#weightProduct(this.#weightIH, this.W, piece, pattern, x, sparse);
    this.countProduct("dW", piece, x, executed);
  }

  /** gradient += dGates^T x. Returns the multiply-accumulates executed. */
  #weightProduct(
    { gradient }: Parameter,
    w: Weight,
    { row, siteRow, rows, lanes, kept }: Piece,
    pattern: Pattern,
    x: Rows,
    sparse: boolean,
  ): number {
    if (sparse && !this.#inputProducts.pays("tn", x, siteRow, w, rows, lanes, kept))
      return this.#kernels.spmmTN(gradient, pattern, row, x.tensor, x.row + siteRow, rows);
    return this.#inputProducts.gemmTN(gradient, pattern.dense, row, x, siteRow, w, rows, lanes);
  }

  /** Clears rows of dx; where it lies in dy's place, those of dy are lost. */
  clearInputGradient(row: number, rows: number): void {
    if (this.dx) clearRows(this.dx.tensor, rows, row);
  }

  /** dx of a piece, whose rows are clear. */
  addInputGradient(piece: Piece, pattern: Pattern, sparse: boolean): void {
    const x = this.#input;
    if (!this.dx || x instanceof OneHot) return;
    const { row, siteRow, rows, lanes, kept } = piece;
    const out = this.dx.tensor;
    const executed =
      sparse && !this.#inputProducts.pays("nn", x, siteRow, this.W, rows, lanes, kept)
        ? this.#kernels.spmmNN(out, siteRow, pattern, row, this.W, rows)
        : this.#inputProducts.gemmNN(out, siteRow, pattern.dense, row, x, siteRow, this.W, rows, lanes);
    this.countProduct("dx", piece, x, executed);
  }

  /** Adds rows of gate gradients to the biases'; `hidden`: of the gradients U sees. */
  sumBiases(gates: Tensor, hidden: Tensor, row: number, rows: number): void {
    this.#kernels.sumRows(this.#dBiasIH, gates, row, rows);
    if (this.#dBiasHH !== this.#dBiasIH) this.#kernels.sumRows(this.#dBiasHH, hidden, row, rows);
  }

  /** What the pass summed, to the gradients. */
  addBiasGradients(): void {
    this.#kernels.addRows(this.#biasIH.gradient, 0, this.#dBiasIH, 0, this.#columns);
    if (this.#biasHH) this.#kernels.addRows(this.#biasHH.gradient, 0, this.#dBiasHH, 0, this.#columns);
  }

  /** Adds a backward product of a piece's gate gradients with rows like those of `x`; a dense one executes all. */
  countProduct(product: "dh" | "dx" | "dW" | "dU", piece: Omit<Piece, "row">, x: Rows, executed?: number): void {
    const { siteRow, rows, padded, kept, lanes, keptAt } = piece;
    const macs = this.count[product];
    const elements = rows * this.#columns;
    const width = x.tensor.rowLength;
    macs.dense += (elements - padded) * width;
    macs.skipped += (elements - padded - kept) * width;
    macs.executed += executed ?? elements * width;
    if (!x.live) return;
    const times = rows / lanes;
    macs.masked += maskedMacs(x.live, siteRow / lanes, times, keptAt ?? (() => kept / times));
  }

  #inputMacs(rows: number): number {
    return this.#input instanceof OneHot ? 0 : rows * this.#columns * this.#input.tensor.rowLength;
  }

  #recurrentMacs(rows: number): number {
    return this.U ? rows * this.#columns * this.#hiddenSize : 0;
  }
}
