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
 * Without it, states alone may have room for less than all of time: state-room.ts.
 */
import type { Arena, Tensor } from "../core/arena.ts";
import type { RandomStream } from "../core/random.ts";
import type { CellStep, RecurrentKernel, TimeLoop, Weight } from "../kernels/kernels.ts";
import type { ProductMacs } from "../sparse/macs.ts";
import { countRows } from "../sparse/pattern.ts";
import { dropRule, isWhole } from "../sparse/rule.ts";
import type { Site } from "../sparse/site.ts";
import { clearStatistics, planStatistics } from "../sparse/statistics.ts";
import { type ApartCounts, type ApartParts, backwardApart } from "./apart.ts";
import type { Cell } from "./cell.ts";
import { HiddenGates } from "./hidden.ts";
import { HiddenDropout } from "./hidden-dropout.ts";
import {
  clearRows,
  copyBlock,
  type DropSite,
  type Input,
  type Module,
  OneHot,
  type Parameter,
  type Pass,
  type PassWatcher,
  type Planner,
  Rows,
} from "./module.ts";
import { Padding } from "./padding.ts";
import { pieceSteps } from "./pieces.ts";
import { LayerProducts, type Piece } from "./products.ts";
import { StateRoom } from "./state-room.ts";
import { backwardLoop, forwardLoop } from "./time-loop.ts";

export interface RecurrentOptions {
  /** Module and index in PyTorch's naming: "lstm", 0 gives "lstm.weight_ih_l0". */
  readonly name: string;
  readonly index: number;
  readonly input: Input;
  readonly hiddenSize: number;
  /** Initial value of the input bias of the forget gate. */
  readonly forgetBias: number;
  /** Above 0: the most time steps that units are to remember; their gates' biases start accordingly (products.ts). */
  readonly chronoInit?: number;
  /** Whether dLoss/dx is wanted: not below the first layer, unless x is trained. */
  readonly needsInputGradient: boolean;
  /** A room (core/arena.ts) for dx that dy may lie in as well, where nobody reads dy after the layer; of H columns alone. */
  readonly dyRoom?: string | undefined;
  /** Share of h[t-1]'s columns that U does not see in training (hidden-dropout.ts). */
  readonly recurrentDropout?: number;
  /** The other direction of a bidirectional layer: it goes by names of its own. */
  readonly reverse?: boolean;
  /** Time steps kept for backward at once; earlier ones are computed again. 0: all of them are kept. */
  readonly segment?: number;
  /** The states at both ends of a pass are part of a larger net: see `RecurrentLayer.stateGradients`. */
  readonly stateGradients?: boolean;
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

  readonly options: RecurrentOptions;
  /** Time loops that the engine has whole; those of time-loop.ts are their definition. */
  readonly #whole: RecurrentKernel | undefined;
  readonly #products: LayerProducts;
  readonly #segment: number; // S time steps, T if nothing is computed again
  readonly #listRows: number; // of whole time steps: what the backward time loop goes over at once
  readonly #gates: Tensor; // (S*B, G*H), block t = time t of the segment
  readonly #drop: DropSite;
  readonly #step: CellStep;
  readonly #loop: TimeLoop;
  readonly #stateGradients: readonly Tensor[];
  readonly #states: StateRoom;
  readonly #parts: ApartParts;
  readonly #h: Rows; // as U sees it without dropout: h[t-1] at block t
  readonly #further: readonly Tensor[]; // carried, but h
  readonly #apartCounts: ApartCounts = { dhKept: 0, dxKept: 0, dWKept: 0, dhExecuted: 0, dxExecuted: 0 };

  constructor(planner: Planner, cell: Cell, options: RecurrentOptions) {
    const { arena, kernels, T, B } = planner;
    const { input, hiddenSize: H, needsInputGradient, dyRoom } = options;
    const name = `${options.name}.l${options.index}${options.reverse ? ".reverse" : ""}`;
    const segment = options.segment ? Math.min(T, options.segment) : T;
    const rows = segment * B; // of the largest product
    const gateColumns = cell.gates.length * H;
    const widest = gateColumns * Math.max(H, input instanceof OneHot ? 0 : input.tensor.rowLength);
    const listRows = pieceSteps(widest, segment, B) * B;
    this.name = name;
    this.cell = cell;
    this.options = options;
    this.#whole = kernels.recurrent?.[cell.name];
    this.#segment = segment;
    this.#listRows = listRows;

    const suffix = options.reverse ? "_reverse" : "";
    const parameter = (kind: string) => `${options.name}.${kind}_l${options.index}${suffix}`;
    const p = options.recurrentDropout ?? 0;
    const dropout = p > 0 ? new HiddenDropout(arena, kernels, name, { T, B, H, p }) : undefined;
    const hiddenInput = dropout?.rows;
    const shape = {
      layer: name,
      parameter,
      input,
      hiddenSize: H,
      needsInputGradient,
      hiddenInput,
      rows,
      listRows,
      dyRoom,
    };
    const products = new LayerProducts(planner, cell, shape);
    this.#products = products;
    this.parameters = products.parameters;
    this.weights = products.weights;
    this.macs = products.macs;

    const site = { name, groups: cell.gates, rows: T * B, cols: gateColumns, weights: products.siteWeights.length };
    const pointwise = kernels.cells[cell.name] ?? cell;
    this.#gates = arena.tensor(`${name}.gates`, [rows, gateColumns], "gateGradients");
    const hidden =
      cell.hiddenProduct === "apart" ? new HiddenGates(arena, kernels, pointwise, site, rows, listRows) : undefined;
    this.carried = ["h", ...cell.states].map((state) => arena.tensor(`${name}.${state}0`, [B, H], "states"));
    this.#further = this.carried.slice(1);
    const padding = new Padding(arena, name, cell.states, B, H);
    this.#states = new StateRoom(arena, name, cell, pointwise, padding, { T, B, H, segment });
    this.#step = planStep(arena, name, cell, { T, B, H, gates: this.#gates, hidden, room: this.#states });
    this.#stateGradients = [this.#step.dh, ...this.#step.dStates];
    this.output = new Rows(this.#step.h);
    this.#h = new Rows(this.#step.h);
    this.#drop = this.#planDrop(planner, site, hidden);
    this.sites = [this.#drop];
    const { pattern, rule, statistics } = this.#drop;
    const { U } = products;
    const passing = { steps: 0, watched: true, dy: this.#step.dh, dyRow: 0, dhBefore: false };
    this.#loop = { step: this.#step, U, pattern, hiddenPattern: hidden?.pattern, rule, statistics, ...passing };
    const states = this.#states;
    const drop = this.#drop;
    this.#parts = { kernels, cell, pointwise, drop, padding, states, hidden, dropout, products, scratch: undefined };
  }

  #planDrop({ arena, kernels }: Planner, site: Site, hidden: HiddenGates | undefined): DropSite {
    return {
      site,
      weights: this.#products.siteWeights,
      pattern: kernels.planPattern(site, this.#gates, this.#listRows, "sites"),
      statistics: planStatistics(arena, site),
      rule: dropRule(site.groups.length),
      watched: true,
      planPaths: (paths) => {
        if (paths !== "dh") return;
        const copy = arena.tensor(`${site.name}.dhGates`, [this.#listRows, site.cols], "gateGradients");
        this.#parts.scratch = kernels.planPattern({ ...site, name: `${site.name}.dh` }, copy);
        hidden?.planCopy(this.#listRows);
      },
    };
  }

  initialize(random: RandomStream, scale?: number): void {
    this.#products.initialize(random, scale, this.cell, this.options);
  }

  forward(x: Input, pass: Pass): Rows {
    const { T, B, training } = pass;
    const S = this.#segment;
    const { padding } = this.#parts;
    padding.begin(pass);
    this.#parts.dropout?.begin(pass);
    const { h } = this.#step;
    copyBlock(h, 0, this.carried[0]!, 0, B);
    this.#states.begin(T, B, this.#further);
    for (let from = 0; from < T; from += S) this.#forwardSegment(x, from, Math.min(S, T - from), B, false);
    copyBlock(this.carried[0]!, 0, h, T * B, B);
    this.#states.end(B, this.#further);
    if (training) this.#products.countForward(T, B, (t) => padding.rows(t, 1));
    this.output.row = B;
    return this.output;
  }

  /** Time steps [from, from + steps), of a segment that begins there; `again`: after later ones. */
  #forwardSegment(x: Input, from: number, steps: number, B: number, again: boolean): void {
    this.#products.forward(this.#step, x, from * B, steps * B);
    const R = this.#states.steps;
    for (let first = 0; first < steps; first += R) {
      this.#states.enter(from + first, B, again);
      this.#forwardTimes(from, first, Math.min(R, steps - first), B);
    }
  }

  #forwardTimes(from: number, first: number, steps: number, B: number): void {
    // An engine's whole loop takes the time steps where all lanes are there.
    const whole = this.#wholeNow ? Math.max(0, Math.min(steps, this.#parts.padding.full - from - first)) : 0;
    if (whole > 0) {
      this.#moveLoop(from, first, whole, B);
      this.#whole?.forward(this.#loop);
    }
    if (whole === steps) return;
    this.#moveLoop(from, first + whole, steps - whole, B);
    forwardLoop(this.#parts, this.#loop);
  }

  /** An engine's whole loop knows no dropout. */
  get #wholeNow(): RecurrentKernel | undefined {
    return this.#parts.dropout?.active ? undefined : this.#whole;
  }

  /** To `steps` time steps, the first of them step `first` of the segment that begins at `from`. */
  #moveLoop(from: number, first: number, steps: number, B: number): void {
    const { step } = this.#loop;
    step.row = first * B;
    step.hRow = (from + first) * B;
    step.stateRow = this.#states.row(from + first, B);
    step.rows = B;
    this.#loop.steps = steps;
  }

  /**
   * With `options.stateGradients`: dLoss/d(state) in the order of `carried`, (B, H) each. Before backward of the states
   * after the pass, to be filled by the caller; after it of those it began with.
   */
  get stateGradients(): readonly Tensor[] {
    return this.#stateGradients;
  }

  backward(dy: Rows, pass: Pass): Rows | undefined {
    const { T, B, watcher } = pass;
    const S = this.#segment;
    const { dh, dStates } = this.#step;
    this.#parts.padding.begin(pass);
    clearStatistics(this.#drop.statistics);
    if (!this.options.stateGradients) {
      for (let s = 0; s < dStates.length; s++) clearRows(dStates[s]!, B);
      clearRows(dh, B);
    }
    this.#products.clear();

    const last = Math.floor((T - 1) / S) * S;
    for (let from = last; from >= 0; from -= S) {
      const steps = Math.min(S, T - from);
      if (from < last) this.#recompute(from, steps, B);
      if (watcher) this.#show(watcher, from, steps, pass);
      this.#backwardSegment(dy, from, steps, B, watcher);
    }

    this.#products.addBiasGradients();
    return this.#products.dx;
  }

  /** Activations of a segment once more, from the states it started with. */
  #recompute(from: number, steps: number, B: number): void {
    this.#forwardSegment(this.options.input, from, steps, B, true);
    this.#products.countAgain(from, steps, B);
  }

  /** A segment's activations, stretch by stretch. */
  #show(watcher: PassWatcher, from: number, steps: number, { B, lengths }: Pass): void {
    const R = this.#states.steps;
    for (let first = 0; first < steps; first += R) {
      const times = Math.min(R, steps - first);
      this.#moveLoop(from, first, times, B);
      this.#states.ready(this.#step, from + first);
      watcher.beforeBackward(this.name, this.#step, from + first, times, lengths);
    }
  }

  /** Backward through a segment, in pieces whose rows have room for lists. */
  #backwardSegment(dy: Rows, from: number, steps: number, B: number, watcher: PassWatcher | undefined): void {
    const loop = this.#loop;
    const { rule, watched } = this.#drop;
    const { pattern, hiddenPattern } = loop;
    const piece = Math.floor(this.#listRows / B);
    pattern.firstRow = from * B;
    loop.watched = watched;
    loop.dy = dy.tensor;
    for (let first = Math.floor((steps - 1) / piece) * piece; first >= 0; first -= piece) {
      pattern.listFirst = first * B;
      if (hiddenPattern) hiddenPattern.listFirst = first * B;
      this.#moveLoop(from, first, Math.min(piece, steps - first), B);
      loop.dyRow = dy.row + loop.step.hRow;
      // Nothing before the first step wants dh, unless the states there come from elsewhere.
      loop.dhBefore = from + first > 0 || this.options.stateGradients === true;
      if (hiddenPattern) hiddenPattern.follows = isWhole(rule) ? pattern : undefined;
      if (isWhole(rule)) this.#backwardWhole(watcher);
      else this.#backwardApart(watcher);
    }
  }

  /** The loop's time steps; all products see the same gate gradients. */
  #backwardWhole(watcher: PassWatcher | undefined): void {
    const loop = this.#loop;
    const products = this.#products;
    const gates = this.#gates;
    const { row, hRow, rows: B } = loop.step;
    const { pattern, rule, watched } = this.#drop;
    const hidden = loop.hiddenPattern ?? pattern;
    const rows = loop.steps * B;
    const padded = this.#parts.padding.rows(hRow / B, loop.steps) * gates.rowLength;
    const sparse = rule.kind !== "keep";
    // An engine's whole loop does not stop at each t, to be looked at or for padding; it gives the same bits.
    const whole = watcher || padded > 0 ? undefined : this.#wholeNow;
    const executed = (whole && this.#backwardStretches(whole)) ?? backwardLoop(this.#parts, loop, watcher);

    const counted = sparse || watched;
    const all = B * gates.rowLength;
    const keptAt = counted
      ? (t: number) => countRows(pattern, row + t * B - hRow, B)
      : (t: number) => all - this.#parts.padding.rows(t, 1) * gates.rowLength;
    const kept = counted ? countRows(pattern, row, rows) : rows * gates.rowLength - padded;
    const piece: Piece = { row, siteRow: hRow, rows, padded, kept, lanes: B, keptAt };
    this.#countDh(piece, counted, sparse || this.#parts.dropout?.active ? executed : undefined);
    products.addWeightGradients(piece, pattern, hidden, this.#seenH, sparse);
    products.sumBiases(gates, hidden.dense, row, rows);
    products.clearInputGradient(hRow, rows);
    products.addInputGradient(piece, pattern, sparse);
  }

  /** An engine's whole loop over the loop's time steps, as far as their states are there at once; undefined: not done. */
  #backwardStretches(whole: RecurrentKernel): number | undefined {
    const loop = this.#loop;
    const { step, steps, dyRow, dhBefore } = loop;
    const { row, hRow, rows: B } = step;
    const R = this.#states.steps;
    let executed: number | undefined = 0;
    for (let end = steps; end > 0 && executed !== undefined; end -= loop.steps) {
      const time = hRow / B + end - 1;
      loop.steps = Math.min(end, (time % R) + 1);
      const first = end - loop.steps;
      step.row = row + first * B;
      step.hRow = hRow + first * B;
      this.#states.ready(step, hRow / B + first);
      loop.dyRow = dyRow + first * B;
      loop.dhBefore = first > 0 || dhBefore;
      const done = whole.backward(loop);
      executed = done === undefined ? undefined : executed + done;
    }
    loop.steps = steps;
    loop.dyRow = dyRow;
    loop.dhBefore = dhBefore;
    step.row = row;
    step.hRow = hRow;
    return executed;
  }

  /** What U saw in the last training pass. */
  get #seenH(): Rows {
    const { dropout } = this.#parts;
    return dropout?.active ? dropout.rows : this.#h;
  }

  /** No dh is made from the rows of time 0. */
  #countDh(piece: Piece, counted: boolean, executed: number | undefined): void {
    const { step, dhBefore, pattern, U } = this.#loop;
    if (!U) return;
    const { row, siteRow, rows, kept } = piece;
    const start = dhBefore ? 0 : step.rows;
    const startKept = counted ? countRows(pattern, row, start) : start * this.#gates.rowLength;
    const rest = { ...piece, siteRow: siteRow + start, rows: rows - start, kept: kept - startKept };
    this.#products.countProduct("dh", rest, this.#seenH, executed);
  }

  /** One path is pruned and the other not, or the biases see everything: apart.ts. */
  #backwardApart(watcher: PassWatcher | undefined): void {
    const loop = this.#loop;
    const products = this.#products;
    const { steps, step, dhBefore, pattern, U } = loop;
    const { row, hRow, rows: B } = step;
    const { paths } = this.#drop.rule;
    const counts = this.#apartCounts;
    backwardApart(this.#parts, loop, counts, watcher);
    const padded = this.#parts.padding.rows(hRow / B, steps) * this.#gates.rowLength;
    const prunedH = paths !== "dW";
    const rows = steps * B;
    const start = dhBefore ? 0 : B; // none is made from time 0
    const whole = { padded, lanes: B, keptAt: undefined };
    const dh = { ...whole, siteRow: hRow + start, rows: rows - start, kept: counts.dhKept };
    const active = this.#parts.dropout?.active;
    if (U) products.countProduct("dh", dh, this.#seenH, prunedH || active ? counts.dhExecuted : undefined);
    const piece: Piece = { ...whole, row, siteRow: hRow, rows, kept: counts.dWKept };
    products.addWeightGradients(piece, pattern, loop.hiddenPattern ?? pattern, this.#seenH, paths !== "dh");
    const { input } = this.options;
    if (!products.dx || input instanceof OneHot) return;
    const dx = { ...whole, siteRow: hRow, rows, kept: counts.dxKept };
    products.countProduct("dx", dx, input, prunedH ? counts.dxExecuted : undefined);
  }
}

interface StepRoom {
  readonly T: number;
  readonly B: number;
  readonly H: number;
  readonly gates: Tensor;
  readonly hidden: HiddenGates | undefined;
  readonly room: StateRoom;
}

/** Room for the cell's step: h along all of time. */
function planStep(arena: Arena, name: string, cell: Cell, { T, B, H, gates, hidden, room }: StepRoom): CellStep {
  return {
    row: 0,
    hRow: 0,
    stateRow: 0,
    rows: B,
    hidden: H,
    gates,
    hiddenGates: hidden?.gates,
    h: arena.tensor(`${name}.h`, [(T + 1) * B, H], "activations"),
    states: room.states,
    keeps: room.keeps,
    dh: arena.tensor(`${name}.dh`, [B, H], "workspace"),
    dStates: cell.states.map((state) => arena.tensor(`${name}.d${state}`, [B, H], "workspace")),
  };
}
