/**
 * THE HEART: one recurrent layer, its time loop and the seam where gate gradients are dropped.
 *
 *   forward    gates = x W^T + b_ih + b_hh          all T at once, one product (a look-up for one-hot x)
 *              for t up:    gates[t] += h[t-1] U^T;  cell
 *   backward   for t down:  dh += dy[t];  cell  ->  gate gradients of t
 *                           compress by the rule  ->  what is left, and where
 *                           dh = dGates[t] U         the only product inside the loop
 *              once:        dW += dGates^T x, dU += dGates^T h', db += sum, dx = dGates W
 *
 * Gate gradients overwrite the gates' activations: each is read for the last time where its
 * gradient is made.
 */
import type { Tensor } from "../core/arena.ts";
import type { RandomStream } from "../core/random.ts";
import type { CellKernel, CellStep, Kernels, Weight } from "../kernels/kernels.ts";
import { type ProductMacs, productMacs, setMacs } from "../sparse/macs.ts";
import { countRows } from "../sparse/pattern.ts";
import { dropRule } from "../sparse/rule.ts";
import { clearStatistics, planStatistics } from "../sparse/statistics.ts";
import type { Cell } from "./cell.ts";
import {
  clearRows,
  type DropSite,
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

export interface RecurrentOptions {
  /** Module and index in PyTorch's naming: "lstm", 0 gives "lstm.weight_ih_l0". */
  readonly name: string;
  readonly index: number;
  readonly input: Input;
  readonly hiddenSize: number;
  /** Initial value of the input bias of the forget gate. */
  readonly forgetBias: number;
  /** Whether dLoss/dx is wanted: not below the first layer, unless x is trained. */
  readonly needsInputGradient: boolean;
}

export class RecurrentLayer implements Module {
  readonly name: string;
  readonly cell: Cell;
  readonly parameters: readonly Parameter[];
  readonly weights: readonly Weight[];
  readonly sites: readonly DropSite[];
  readonly macs: readonly ProductMacs[];
  /** The carried states h, c, ..., each (B, H): where a pass starts, and then where it ended. */
  readonly carried: readonly Tensor[];
  /** h of every t, (T*B, H). */
  readonly output: Rows;

  readonly #options: RecurrentOptions;
  readonly #kernels: Kernels;
  readonly #pointwise: CellKernel;
  readonly #weightIH: Parameter;
  readonly #weightHH: Parameter;
  readonly #biasIH: Parameter;
  readonly #biasHH: Parameter;
  readonly #W: Weight; // (G*H, I)
  readonly #U: Weight; // (G*H, H)
  readonly #gates: Tensor; // (T*B, G*H), block t = time t
  readonly #drop: DropSite;
  readonly #step: CellStep;
  /** h, c, ... along time, ((T+1)*B, H): block 0 is where the pass starts. In the order of `carried`. */
  readonly #histories: readonly Tensor[];
  readonly #dBias: Tensor; // (G*H)
  readonly #dx: Rows | undefined; // (T*B, I)
  readonly #count: Record<"xW" | "hU" | "dh" | "dx" | "dW" | "dU", ProductMacs>;

  constructor({ arena, kernels, T, B }: Planner, cell: Cell, options: RecurrentOptions) {
    const { index, input, hiddenSize: H } = options;
    const name = `${options.name}.l${index}`;
    const rows = T * B;
    const gateColumns = cell.gates.length * H;
    const inputSize = input instanceof OneHot ? input.size : input.tensor.rowLength;
    this.name = name;
    this.cell = cell;
    this.#options = options;
    this.#kernels = kernels;
    this.#pointwise = kernels.cells[cell.name] ?? cell;

    const parameter = (kind: string, shape: readonly number[]) =>
      planParameter(arena, `${options.name}.${kind}_l${index}`, shape);
    this.#weightIH = parameter("weight_ih", [gateColumns, inputSize]);
    this.#weightHH = parameter("weight_hh", [gateColumns, H]);
    this.#biasIH = parameter("bias_ih", [gateColumns]);
    this.#biasHH = parameter("bias_hh", [gateColumns]);
    this.parameters = [this.#weightIH, this.#weightHH, this.#biasIH, this.#biasHH];
    this.#W = kernels.planWeight(
      this.#weightIH.value,
      input instanceof OneHot ? { rows, lookup: true } : { rows, nt: true, nn: options.needsInputGradient },
    );
    this.#U = kernels.planWeight(this.#weightHH.value, { rows: B, nt: true, nn: true });
    this.weights = [this.#W, this.#U];
    if (!(input instanceof OneHot)) kernels.planTN(rows, gateColumns, inputSize);
    kernels.planTN(rows, gateColumns, H);

    this.carried = ["h", ...cell.states].map((state) => arena.tensor(`${name}.${state}0`, [B, H], "states"));
    const alongTime = (label: string, blocks: number) =>
      arena.tensor(`${name}.${label}`, [blocks * B, H], "activations");
    this.#gates = arena.tensor(`${name}.gates`, [rows, gateColumns], "gateGradients");
    this.#step = {
      row: 0,
      rows: B,
      hidden: H,
      gates: this.#gates,
      h: alongTime("h", T + 1),
      states: cell.states.map((state) => alongTime(state, T + 1)),
      keeps: cell.keeps.map((kept) => alongTime(kept, T)),
      dh: arena.tensor(`${name}.dh`, [B, H], "workspace"),
      dStates: cell.states.map((state) => arena.tensor(`${name}.d${state}`, [B, H], "workspace")),
    };
    this.#histories = [this.#step.h, ...this.#step.states];
    this.#dBias = arena.tensor(`${name}.dBias`, [gateColumns], "workspace");
    this.output = new Rows(this.#step.h);
    this.#dx = options.needsInputGradient
      ? new Rows(arena.tensor(`${name}.dx`, [rows, inputSize], "workspace"))
      : undefined;

    const site = { name, groups: cell.gates, rows, cols: gateColumns };
    this.#drop = {
      site,
      pattern: kernels.planPattern(site, this.#gates),
      statistics: planStatistics(arena, site),
      rule: dropRule(cell.gates.length),
      watched: true,
    };
    this.sites = [this.#drop];
    this.#count = {
      xW: productMacs(name, "xW", "forward", true),
      hU: productMacs(name, "hU", "forward", true),
      dh: productMacs(name, "dh", "backward", true),
      dx: productMacs(name, "dx", "backward", true),
      dW: productMacs(name, "dW", "backward", true),
      dU: productMacs(name, "dU", "backward", true),
    };
    this.macs = Object.values(this.#count);
  }

  /** PyTorch's: uniform in +-1/sqrt(H); then the forget gate's input bias starts at `forgetBias`. */
  initialize(random: RandomStream): void {
    const H = this.#options.hiddenSize;
    for (const { value } of this.parameters) fillUniform(value, 1 / Math.sqrt(H), random);
    if (this.cell.forgetGate === undefined) return;
    const start = this.cell.forgetGate * H;
    this.#biasIH.value.data.fill(this.#options.forgetBias, start, start + H);
  }

  forward(x: Input, { T, B, training }: Pass): Rows {
    const kernels = this.#kernels;
    const step = this.#step;
    const gates = this.#gates;
    const rows = T * B;
    const histories = this.#histories;
    for (let s = 0; s < histories.length; s++) copyBlock(histories[s]!, 0, this.carried[s]!, 0, B);

    kernels.setBias(gates, 0, rows, this.#biasIH.value, this.#biasHH.value);
    if (x instanceof OneHot) kernels.lookup(gates, 0, x.index, 0, this.#W, rows);
    else kernels.gemmNT(gates, 0, x.tensor, x.row, this.#W, rows);

    step.rows = B;
    for (let t = 0; t < T; t++) {
      step.row = t * B;
      kernels.gemmNT(gates, step.row, step.h, step.row, this.#U, B);
      this.#pointwise.forward(step);
    }

    for (let s = 0; s < histories.length; s++) copyBlock(this.carried[s]!, 0, histories[s]!, rows, B);
    if (training) {
      const H = step.hidden;
      const perRow = this.#gates.rowLength;
      const inputMacs = x instanceof OneHot ? 0 : rows * perRow * x.tensor.rowLength;
      setMacs(this.#count.xW, inputMacs, 0, inputMacs);
      setMacs(this.#count.hU, rows * perRow * H, 0, rows * perRow * H);
    }
    this.output.row = B;
    return this.output;
  }

  backward(dy: Rows, { T, B }: Pass): Rows | undefined {
    const kernels = this.#kernels;
    const step = this.#step;
    const { pattern, rule, statistics, watched } = this.#drop;
    const sparse = rule.kind !== "keep";
    clearStatistics(statistics);
    for (let s = 0; s < step.dStates.length; s++) clearRows(step.dStates[s]!, B);
    clearRows(step.dh, B);

    let executed = 0;
    step.rows = B;
    for (let t = T - 1; t >= 0; t--) {
      step.row = t * B;
      kernels.addRows(step.dh, 0, dy.tensor, dy.row + step.row, B);
      this.#pointwise.backward(step);
      if (sparse || watched) kernels.compress(pattern, step.row, B, rule, statistics);
      if (t === 0) break; // nothing before the first step wants dh
      clearRows(step.dh, B);
      if (sparse) executed += kernels.spmmNN(step.dh, 0, pattern, step.row, this.#U, B);
      else kernels.gemmNN(step.dh, 0, this.#gates, step.row, this.#U, B);
    }
    return this.#weightGradients(T, B, sparse, executed);
  }

  /** dW, dU, db and dx, once over all T*B rows. */
  #weightGradients(T: number, B: number, sparse: boolean, dhExecuted: number): Rows | undefined {
    const kernels = this.#kernels;
    const { pattern, watched } = this.#drop;
    const gates = this.#gates;
    const rows = T * B;
    const H = this.#step.hidden;
    const x = this.#options.input;
    const all = rows * gates.rowLength;
    const first = B * gates.rowLength;
    const kept = sparse || watched ? countRows(pattern, 0, rows) : all;
    const keptFirst = sparse || watched ? countRows(pattern, 0, B) : first;
    countProduct(this.#count.dh, all - first, kept - keptFirst, H, sparse ? dhExecuted : undefined);
    countProduct(this.#count.dU, all, kept, H, this.#weightProduct(this.#weightHH, this.#step.h, 0, rows, sparse));

    if (x instanceof OneHot) {
      kernels.lookupGradient(this.#weightIH.gradient, x.index, 0, gates, 0, this.#W, rows);
    } else {
      const executed = this.#weightProduct(this.#weightIH, x.tensor, x.row, rows, sparse);
      countProduct(this.#count.dW, all, kept, x.tensor.rowLength, executed);
    }

    this.#dBias.data.fill(0);
    kernels.sumRows(this.#dBias, gates, 0, rows);
    kernels.addRows(this.#biasIH.gradient, 0, this.#dBias, 0, gates.rowLength);
    kernels.addRows(this.#biasHH.gradient, 0, this.#dBias, 0, gates.rowLength);

    const dx = this.#dx;
    if (!dx) return undefined;
    clearRows(dx.tensor, rows);
    let executed: number | undefined;
    if (sparse) executed = kernels.spmmNN(dx.tensor, 0, pattern, 0, this.#W, rows);
    else kernels.gemmNN(dx.tensor, 0, gates, 0, this.#W, rows);
    countProduct(this.#count.dx, all, kept, dx.tensor.rowLength, executed);
    return dx;
  }

  /** gradient += dGates^T x. Multiply-accumulates executed, undefined for a dense product. */
  #weightProduct({ gradient }: Parameter, x: Tensor, xRow: number, rows: number, sparse: boolean): number | undefined {
    if (sparse) return this.#kernels.spmmTN(gradient, this.#drop.pattern, 0, x, xRow, rows);
    this.#kernels.gemmTN(gradient, this.#gates, 0, x, xRow, rows);
    return undefined;
  }
}

/** A product of `elements` gate gradients, `kept` of them nonzero, with rows of `width`; a dense one executes all. */
function countProduct(macs: ProductMacs, elements: number, kept: number, width: number, executed?: number): void {
  setMacs(macs, elements * width, (elements - kept) * width, executed ?? elements * width);
}

/** Copies rows between buffers of equal row length. */
function copyBlock(to: Tensor, toRow: number, from: Tensor, fromRow: number, rows: number): void {
  const width = to.rowLength;
  const target = to.data;
  const source = from.data;
  for (let i = 0; i < rows * width; i++) target[toRow * width + i] = source[fromRow * width + i] as number;
}
