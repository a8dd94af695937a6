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
 *
 * Backward goes over time in pieces, so that an engine needs room for the compressed form of one piece at a time:
 * the products after the loop take its rows while they are near.
 *
 * With `segment` the pass goes over time in pieces of so many steps, and only one piece has room for
 * gates, states and lists: h stays for all t (the next layer reads it), the other states stay where a
 * piece begins. Backward takes the pieces from the last to the first and makes each forward once more.
 */
import type { Tensor } from "../core/arena.ts";
import type { RandomStream } from "../core/random.ts";
import type { CellStep, Kernels, RecurrentKernel, TimeLoop, Weight } from "../kernels/kernels.ts";
import { type ProductMacs, productMacs, setMacs } from "../sparse/macs.ts";
import { countRows } from "../sparse/pattern.ts";
import { dropRule, isWhole } from "../sparse/rule.ts";
import { clearStatistics, planStatistics } from "../sparse/statistics.ts";
import { type ApartCounts, type ApartParts, backwardApart } from "./apart.ts";
import type { Cell } from "./cell.ts";
import {
  clearRows,
  copyBlock,
  type DropSite,
  fillUniform,
  type Input,
  type Module,
  OneHot,
  type Parameter,
  type Pass,
  type PassWatcher,
  type Planner,
  planParameter,
  Rows,
} from "./module.ts";
import { Padding } from "./padding.ts";
import { backwardLoop, forwardLoop } from "./time-loop.ts";

/**
 * Rows that backward goes over at once, and that have room for an engine's lists. A weight gradient is read and
 * written once for each such piece: one that stays in a second-level cache may be visited often. Against all rows at
 * once, native, a tenth kept: W1 and W7 (256 rows) took 0.97 of the time, W2 (1024 rows) 1.01; dense 1.00 all three;
 * W2 at 512 rows 1.03 (medians of CPU time, in turns, beside other work).
 */
const NEAR_GRADIENT = 2 ** 18; // floats, 1 MB
const NEAR_ROWS = 256;
const FAR_ROWS = 1024;

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
  /** Time steps kept for backward at once; earlier ones are computed again. 0: all of them are kept. */
  readonly segment?: number;
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
  /** Time loops that the engine has whole; those of time-loop.ts are their definition. */
  readonly #whole: RecurrentKernel | undefined;
  readonly #weightIH: Parameter;
  readonly #weightHH: Parameter;
  readonly #biasIH: Parameter;
  readonly #biasHH: Parameter;
  readonly #W: Weight; // (G*H, I)
  readonly #U: Weight; // (G*H, H)
  readonly #segment: number; // S time steps, T if nothing is computed again
  readonly #listRows: number; // of whole time steps: what the backward time loop goes over at once
  readonly #gates: Tensor; // (S*B, G*H), block t = time t of the segment
  readonly #drop: DropSite;
  readonly #step: CellStep;
  readonly #loop: TimeLoop;
  /** c, ... where each segment starts, (ceil(T/S)*B, H) each; none with a single segment. */
  readonly #starts: readonly Tensor[];
  readonly #dBias: Tensor; // (G*H)
  readonly #dx: Rows | undefined; // (T*B, I)
  readonly #parts: ApartParts;
  readonly #apartCounts: ApartCounts = { dhKept: 0, dxKept: 0, dWKept: 0, dhExecuted: 0, dxExecuted: 0 };
  readonly #count: Record<"xW" | "hU" | "dh" | "dx" | "dW" | "dU", ProductMacs>;

  constructor({ arena, kernels, T, B, nt }: Planner, cell: Cell, options: RecurrentOptions) {
    const { index, input, hiddenSize: H } = options;
    const name = `${options.name}.l${index}`;
    const segment = options.segment ? Math.min(T, options.segment) : T;
    const segments = Math.ceil(T / segment);
    const rows = segment * B; // of the largest product
    const gateColumns = cell.gates.length * H;
    const inputSize = input instanceof OneHot ? input.size : input.tensor.rowLength;
    this.name = name;
    this.cell = cell;
    this.#options = options;
    this.#kernels = kernels;
    this.#whole = kernels.recurrent?.[cell.name];
    this.#segment = segment;
    const widest = gateColumns * Math.max(H, input instanceof OneHot ? 0 : inputSize);
    const pieceRows = widest <= NEAR_GRADIENT ? NEAR_ROWS : FAR_ROWS;
    this.#listRows = Math.min(segment, Math.max(1, Math.floor(pieceRows / B))) * B;

    const parameter = (kind: string, shape: readonly number[]) =>
      planParameter(arena, `${options.name}.${kind}_l${index}`, shape);
    this.#weightIH = parameter("weight_ih", [gateColumns, inputSize]);
    this.#weightHH = parameter("weight_hh", [gateColumns, H]);
    this.#biasIH = parameter("bias_ih", [gateColumns]);
    this.#biasHH = parameter("bias_hh", [gateColumns]);
    this.parameters = [this.#weightIH, this.#weightHH, this.#biasIH, this.#biasHH];
    this.#W = kernels.planWeight(
      this.#weightIH.value,
      input instanceof OneHot ? { rows, lookup: true } : { rows, nt, nn: options.needsInputGradient },
    );
    this.#U = kernels.planWeight(this.#weightHH.value, { rows: B, nt, nn: true });
    this.weights = [this.#W, this.#U];
    if (!(input instanceof OneHot)) kernels.planTN(this.#listRows, gateColumns, inputSize);
    kernels.planTN(this.#listRows, gateColumns, H);

    this.carried = ["h", ...cell.states].map((state) => arena.tensor(`${name}.${state}0`, [B, H], "states"));
    const alongTime = (label: string, blocks: number) =>
      arena.tensor(`${name}.${label}`, [blocks * B, H], "activations");
    this.#gates = arena.tensor(`${name}.gates`, [rows, gateColumns], "gateGradients");
    this.#step = {
      row: 0,
      hRow: 0,
      rows: B,
      hidden: H,
      gates: this.#gates,
      h: alongTime("h", T + 1),
      states: cell.states.map((state) => alongTime(state, segment + 1)),
      keeps: cell.keeps.map((kept) => alongTime(kept, segment)),
      dh: arena.tensor(`${name}.dh`, [B, H], "workspace"),
      dStates: cell.states.map((state) => arena.tensor(`${name}.d${state}`, [B, H], "workspace")),
    };
    this.#starts = segments > 1 ? cell.states.map((state) => alongTime(`${state}Starts`, segments)) : [];
    this.#dBias = arena.tensor(`${name}.dBias`, [gateColumns], "workspace");
    this.output = new Rows(this.#step.h);
    this.#dx = options.needsInputGradient
      ? new Rows(arena.tensor(`${name}.dx`, [T * B, inputSize], "workspace"))
      : undefined;

    const site = { name, groups: cell.gates, rows: T * B, cols: gateColumns, weights: 2 };
    this.#drop = {
      site,
      weights: [this.#weightIH, this.#weightHH],
      pattern: kernels.planPattern(site, this.#gates, this.#listRows),
      statistics: planStatistics(arena, site),
      rule: dropRule(cell.gates.length),
      watched: true,
      planPaths: (paths) => {
        if (paths !== "dh") return;
        const copy = arena.tensor(`${name}.dhGates`, [B, gateColumns], "gateGradients");
        this.#parts.scratch = kernels.planPattern({ ...site, name: `${name}.dh` }, copy);
      },
    };
    this.sites = [this.#drop];
    const { pattern, rule, statistics } = this.#drop;
    const passing = { steps: 0, watched: true, dy: this.#step.dh, dyRow: 0, dhBefore: false };
    this.#loop = { step: this.#step, U: this.#U, pattern, rule, statistics, ...passing };
    this.#parts = {
      kernels,
      pointwise: kernels.cells[cell.name] ?? cell,
      drop: this.#drop,
      padding: new Padding(arena, name, cell.states, B, H),
      scratch: undefined,
      W: this.#W,
      dBias: this.#dBias,
      dx: this.#dx,
    };
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
  initialize(random: RandomStream, scale?: number): void {
    const H = this.#options.hiddenSize;
    for (const { value } of this.parameters) fillUniform(value, scale ?? 1 / Math.sqrt(H), random);
    if (this.cell.forgetGate === undefined) return;
    const start = this.cell.forgetGate * H;
    this.#biasIH.value.data.fill(this.#options.forgetBias, start, start + H);
  }

  forward(x: Input, pass: Pass): Rows {
    const { T, B, training } = pass;
    const S = this.#segment;
    const { padding } = this.#parts;
    padding.begin(pass);
    const { h, states } = this.#step;
    copyBlock(h, 0, this.carried[0]!, 0, B);
    for (let s = 0; s < states.length; s++) copyBlock(states[s]!, 0, this.carried[s + 1]!, 0, B);

    for (let from = 0; from < T; from += S) {
      for (let s = 0; s < states.length; s++) {
        if (from > 0) copyBlock(states[s]!, 0, states[s]!, S * B, B);
        if (this.#starts[s]) copyBlock(this.#starts[s]!, (from / S) * B, states[s]!, 0, B);
      }
      this.#forwardSegment(x, from, Math.min(S, T - from), B);
    }

    const end = (((T - 1) % S) + 1) * B; // of the last segment
    copyBlock(this.carried[0]!, 0, h, T * B, B);
    for (let s = 0; s < states.length; s++) copyBlock(this.carried[s + 1]!, 0, states[s]!, end, B);
    if (training) {
      const there = T * B - padding.rows(0, T);
      setMacs(this.#count.xW, this.#inputMacs(x, there), 0, this.#inputMacs(x, T * B));
      setMacs(this.#count.hU, this.#recurrentMacs(there), 0, this.#recurrentMacs(T * B));
    }
    this.output.row = B;
    return this.output;
  }

  /** Time steps [from, from + steps), from the states in block 0. */
  #forwardSegment(x: Input, from: number, steps: number, B: number): void {
    const kernels = this.#kernels;
    const gates = this.#gates;
    const rows = steps * B;
    kernels.setBias(gates, 0, rows, this.#biasIH.value, this.#biasHH.value);
    if (x instanceof OneHot) kernels.lookup(gates, 0, x.index, from * B, this.#W, rows);
    else kernels.gemmNT(gates, 0, x.tensor, x.row + from * B, this.#W, rows);

    // An engine's whole loop takes the time steps where all lanes are there.
    const whole = this.#whole ? Math.max(0, Math.min(steps, this.#parts.padding.full - from)) : 0;
    if (whole > 0) {
      this.#moveLoop(from, 0, whole, B);
      this.#whole?.forward(this.#loop);
    }
    if (whole === steps) return;
    this.#moveLoop(from, whole, steps - whole, B);
    forwardLoop(this.#parts, this.#loop);
  }

  /** To `steps` time steps, the first of them step `first` of the segment that begins at `from`. */
  #moveLoop(from: number, first: number, steps: number, B: number): void {
    const { step } = this.#loop;
    step.row = first * B;
    step.hRow = (from + first) * B;
    step.rows = B;
    this.#loop.steps = steps;
  }

  backward(dy: Rows, pass: Pass): Rows | undefined {
    const { T, B, watcher } = pass;
    const S = this.#segment;
    const { dh, dStates } = this.#step;
    const dx = this.#dx;
    this.#parts.padding.begin(pass);
    clearStatistics(this.#drop.statistics);
    for (let s = 0; s < dStates.length; s++) clearRows(dStates[s]!, B);
    clearRows(dh, B);
    this.#dBias.data.fill(0);
    if (dx) this.#kernels.clear(dx.tensor);
    for (const macs of this.macs) if (macs.direction === "backward") setMacs(macs, 0, 0, 0);

    const last = Math.floor((T - 1) / S) * S;
    for (let from = last; from >= 0; from -= S) {
      const steps = Math.min(S, T - from);
      if (from < last) this.#recompute(from, steps, B);
      watcher?.beforeBackward(this.name, this.#step, from, steps);
      this.#backwardSegment(dy, from, steps, B, watcher);
    }

    const columns = this.#gates.rowLength;
    this.#kernels.addRows(this.#biasIH.gradient, 0, this.#dBias, 0, columns);
    this.#kernels.addRows(this.#biasHH.gradient, 0, this.#dBias, 0, columns);
    return dx;
  }

  /** Activations of a segment once more, from the states it started with. */
  #recompute(from: number, steps: number, B: number): void {
    const { states } = this.#step;
    const x = this.#options.input;
    for (let s = 0; s < states.length; s++) copyBlock(states[s]!, 0, this.#starts[s]!, (from / this.#segment) * B, B);
    this.#forwardSegment(x, from, steps, B);
    this.#count.xW.executed += this.#inputMacs(x, steps * B);
    this.#count.hU.executed += this.#recurrentMacs(steps * B);
  }

  /** Backward through a segment, in pieces whose rows have room for lists. */
  #backwardSegment(dy: Rows, from: number, steps: number, B: number, watcher: PassWatcher | undefined): void {
    const loop = this.#loop;
    const { pattern, rule, watched } = this.#drop;
    const piece = Math.floor(this.#listRows / B);
    pattern.firstRow = from * B;
    loop.watched = watched;
    loop.dy = dy.tensor;
    for (let first = Math.floor((steps - 1) / piece) * piece; first >= 0; first -= piece) {
      pattern.listFirst = first * B;
      this.#moveLoop(from, first, Math.min(piece, steps - first), B);
      loop.dyRow = dy.row + loop.step.hRow;
      loop.dhBefore = from + first > 0; // nothing before the first step wants dh
      if (isWhole(rule)) this.#backwardWhole(watcher);
      else this.#backwardApart(watcher);
    }
  }

  /** The loop's time steps; all products see the same gate gradients. */
  #backwardWhole(watcher: PassWatcher | undefined): void {
    const loop = this.#loop;
    const { row, hRow, rows: B, hidden } = loop.step;
    const { pattern, rule, watched } = this.#drop;
    const sparse = rule.kind !== "keep";
    const { rowLength } = this.#gates;
    const padded = this.#parts.padding.rows(hRow / B, loop.steps) * rowLength;
    // An engine's whole loop does not stop at each t, to be looked at or for padding; it gives the same bits.
    const whole = watcher || padded > 0 ? undefined : this.#whole;
    const executed = whole?.backward(loop) ?? backwardLoop(this.#parts, loop, watcher);

    const kernels = this.#kernels;
    const gates = this.#gates;
    const rows = loop.steps * B;
    const all = rows * rowLength;
    const start = loop.dhBefore ? 0 : B; // rows that no dh is made from
    const kept = sparse || watched ? countRows(pattern, row, rows) : all - padded;
    const startKept = sparse || watched ? countRows(pattern, row, start) : start * rowLength;
    const { dh, dx: dxMacs } = this.#count;
    countProduct(dh, all - start * rowLength, padded, kept - startKept, hidden, sparse ? executed : undefined);
    this.#weightGradients(row, hRow, rows, padded, kept, sparse);
    kernels.sumRows(this.#dBias, gates, row, rows);

    const dx = this.#dx;
    if (!dx) return;
    let dxExecuted: number | undefined;
    if (sparse) dxExecuted = kernels.spmmNN(dx.tensor, hRow, pattern, row, this.#W, rows);
    else kernels.gemmNN(dx.tensor, hRow, gates, row, this.#W, rows);
    countProduct(dxMacs, all, padded, kept, dx.tensor.rowLength, dxExecuted);
  }

  /** One path is pruned and the other not, or the biases see everything: apart.ts. */
  #backwardApart(watcher: PassWatcher | undefined): void {
    const { steps, step, dhBefore } = this.#loop;
    const { row, hRow, rows: B, hidden } = step;
    const { paths } = this.#drop.rule;
    const counts = this.#apartCounts;
    backwardApart(this.#parts, this.#loop, counts, watcher);
    const { rowLength } = this.#gates;
    const all = steps * B * rowLength;
    const padded = this.#parts.padding.rows(hRow / B, steps) * rowLength;
    const { dh, dx } = this.#count;
    const prunedH = paths !== "dW";
    const executed = prunedH ? counts.dhExecuted : undefined;
    const seen = dhBefore ? all : all - B * rowLength; // no dh is made from time 0
    countProduct(dh, seen, padded, counts.dhKept, hidden, executed);
    this.#weightGradients(row, hRow, steps * B, padded, counts.dWKept, paths !== "dh");
    if (!this.#dx) return;
    countProduct(dx, all, padded, counts.dxKept, this.#dx.tensor.rowLength, prunedH ? counts.dxExecuted : undefined);
  }

  /**
   * dW and dU over rows of a piece, `padded` of whose gate gradients are padding and `kept` are not zero. `row` is in
   * gates and pattern.
   */
  #weightGradients(row: number, siteRow: number, rows: number, padded: number, kept: number, sparse: boolean): void {
    const gates = this.#gates;
    const x = this.#options.input;
    const all = rows * gates.rowLength;
    const dU = this.#weightProduct(this.#weightHH, row, this.#step.h, siteRow, rows, sparse);
    countProduct(this.#count.dU, all, padded, kept, this.#step.hidden, dU);
    if (x instanceof OneHot) {
      this.#kernels.lookupGradient(this.#weightIH.gradient, x.index, siteRow, gates, row, this.#W, rows);
    } else {
      const executed = this.#weightProduct(this.#weightIH, row, x.tensor, x.row + siteRow, rows, sparse);
      countProduct(this.#count.dW, all, padded, kept, x.tensor.rowLength, executed);
    }
  }

  /** gradient += dGates^T x. Multiply-accumulates executed, undefined for a dense product. */
  #weightProduct(
    { gradient }: Parameter,
    row: number,
    x: Tensor,
    xRow: number,
    rows: number,
    sparse: boolean,
  ): number | undefined {
    if (sparse) return this.#kernels.spmmTN(gradient, this.#drop.pattern, row, x, xRow, rows);
    this.#kernels.gemmTN(gradient, this.#gates, row, x, xRow, rows);
    return undefined;
  }

  #inputMacs(x: Input, rows: number): number {
    return x instanceof OneHot ? 0 : rows * this.#gates.rowLength * x.tensor.rowLength;
  }

  #recurrentMacs(rows: number): number {
    return rows * this.#gates.rowLength * this.#step.hidden;
  }
}

/**
 * Adds a product of `elements` gate gradients, `padded` of them padding and `kept` nonzero, with rows of `width`; a
 * dense one executes all.
 */
function countProduct(
  macs: ProductMacs,
  elements: number,
  padded: number,
  kept: number,
  width: number,
  executed?: number,
): void {
  macs.dense += (elements - padded) * width;
  macs.skipped += (elements - padded - kept) * width;
  macs.executed += executed ?? elements * width;
}
