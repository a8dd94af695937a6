/**
 * A linear layer outside of time loops: y = x W^T + b, or without b, at all T*B positions, with a site at its output.
 *
 *   forward    y = x W^T + b                        one product (a look-up for one-hot x)
 *   backward   for t down:  compress dy[t] by the rule  ->  what is left, and where
 *              dW += dy^T x, db += sum, dx = dy W
 *
 * Rules see the B rows of one time at once, as in a recurrent layer. No product feeds the next time step, so a rule on one
 * path alone needs no copy: the other path's product runs first. Rows of padding hold no gradient and are in no count.
 *
 * Whoever makes dy may write it into `gradient`, where the rule works in place; from elsewhere it is copied there.
 */
import type { RandomStream } from "../core/random.ts";
import type { Kernels, Weight } from "../kernels/kernels.ts";
import { type ProductMacs, productMacs, setMacs } from "../sparse/macs.ts";
import { countRows, type Pattern } from "../sparse/pattern.ts";
import { dropRule } from "../sparse/rule.ts";
import { clearStatistics, nonzerosBefore, planStatistics, uncountRow } from "../sparse/statistics.ts";
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
import { paddedPositions } from "./padding.ts";
import { pieceSteps } from "./pieces.ts";
import { RowCopies } from "./row-copies.ts";

export interface LinearOptions {
  /** Of the layer and its site: "mlp.l0". */
  readonly name: string;
  /** PyTorch's names: "mlp.l0.weight" and "mlp.l0.bias" if left out. */
  readonly parameters?: { readonly weight: string; readonly bias: string };
  readonly input: Input;
  readonly outputs: number;
  /** With a bias if left out. */
  readonly bias?: boolean;
  /** Parts of the outputs with a threshold each; one for all without it. */
  readonly groups?: readonly string[];
  /** Whether dLoss/dx is wanted: not below the first layer, unless x is trained. */
  readonly needsInputGradient: boolean;
  /** Initial weights and biases uniform in +- these; without them 1/sqrt(inputs), as torch.nn.Linear. */
  readonly bounds?: { readonly weight: number; readonly bias: number };
}

export class Linear implements Module {
  readonly name: string;
  readonly parameters: readonly Parameter[];
  readonly weights: readonly Weight[];
  readonly sites: readonly DropSite[];
  readonly macs: readonly ProductMacs[];
  readonly output: Rows; // (T*B, N)
  /** dLoss/dy of the pass at hand, then what the rule left of it. (T*B, N) */
  readonly gradient: Rows;
  readonly #kernels: Kernels;
  readonly #options: LinearOptions;
  readonly #inputs: number; // K
  readonly #weight: Parameter; // (N, K)
  readonly #bias: Parameter | undefined; // (N)
  readonly #W: Weight;
  readonly #drop: DropSite;
  readonly #pieceSteps: number;
  readonly #dx: Rows | undefined; // (T*B, K)
  readonly #copies: RowCopies;
  readonly #count: Record<"xW" | "dx" | "dW", ProductMacs>;

  constructor(planner: Planner, options: LinearOptions) {
    const { arena, kernels, T, B, nt } = planner;
    const { name, input, outputs: N, bias = true, groups = ["out"], needsInputGradient } = options;
    const lookup = input instanceof OneHot;
    const K = lookup ? input.size : input.tensor.rowLength;
    const names = options.parameters ?? { weight: `${name}.weight`, bias: `${name}.bias` };
    this.name = name;
    this.#kernels = kernels;
    this.#options = options;
    this.#inputs = K;
    this.#weight = planParameter(arena, names.weight, [N, K]);
    this.#bias = bias ? planParameter(arena, names.bias, [N]) : undefined;
    this.parameters = this.#bias ? [this.#weight, this.#bias] : [this.#weight];
    this.#W = kernels.planWeight(
      this.#weight.value,
      lookup ? { rows: T * B, lookup: true } : { rows: T * B, nt, nn: needsInputGradient },
    );
    this.weights = [this.#W];
    this.output = new Rows(arena.tensor(`${name}.y`, [T * B, N], "activations"));
    this.gradient = new Rows(arena.tensor(`${name}.dy`, [T * B, N], "gateGradients"));
    this.#pieceSteps = pieceSteps(N * (lookup ? 1 : K), T, B);
    const listRows = this.#pieceSteps * B;
    if (!lookup) kernels.planTN(listRows, N, K);
    this.#dx = needsInputGradient ? new Rows(arena.tensor(`${name}.dx`, [T * B, K], "workspace")) : undefined;
    this.#copies = new RowCopies(arena);
    const site = { name, groups, rows: T * B, cols: N, weights: 1 };
    this.#drop = {
      site,
      weights: [this.#weight],
      pattern: kernels.planPattern(site, this.gradient.tensor, listRows, "sites"),
      statistics: planStatistics(arena, site),
      rule: dropRule(groups.length),
      watched: true,
      planPaths() {}, // products may run in any order: nothing is needed
    };
    this.sites = [this.#drop];
    this.#count = {
      xW: productMacs(name, "xW", "forward", false),
      dx: productMacs(name, "dx", "backward", false),
      dW: productMacs(name, "dW", "backward", false),
    };
    this.macs = Object.values(this.#count);
  }

  initialize(random: RandomStream, scale?: number): void {
    const bound = 1 / Math.sqrt(this.#inputs);
    const { weight = bound, bias = bound } = this.#options.bounds ?? {};
    fillUniform(this.#weight.value, scale ?? weight, random);
    if (this.#bias) fillUniform(this.#bias.value, scale ?? bias, random);
  }

  denseMacs(rows: number): number {
    if (this.#options.input instanceof OneHot) return 0;
    return (this.#dx ? 3 : 2) * rows * this.#weight.value.length;
  }

  forward(x: Input, pass: Pass): Rows {
    const rows = pass.T * pass.B;
    const y = this.output.tensor;
    if (this.#bias) this.#kernels.setBias(y, 0, rows, this.#bias.value);
    else clearRows(y, rows);
    if (x instanceof OneHot) this.#kernels.lookup(y, 0, x.index, 0, this.#W, rows);
    else this.#kernels.gemmNT(y, 0, x.tensor, x.row, this.#W, rows);
    if (pass.training) {
      const each = x instanceof OneHot ? 0 : this.#weight.value.length;
      setMacs(this.#count.xW, (rows - paddedPositions(pass, 0, pass.T)) * each, 0, rows * each);
    }
    return this.output;
  }

  backward(dy: Rows, pass: Pass): Rows | undefined {
    const { T, B } = pass;
    const kernels = this.#kernels;
    const g = this.gradient.tensor;
    if (dy.tensor !== g) this.#copies.copy(g, 0, 0, dy.tensor, dy.row, 0, T * B * g.rowLength);
    clearStatistics(this.#drop.statistics);
    if (this.#dx) kernels.clear(this.#dx.tensor);
    setMacs(this.#count.dx, 0, 0, 0);
    setMacs(this.#count.dW, 0, 0, 0);
    const piece = this.#pieceSteps;
    for (let from = Math.floor((T - 1) / piece) * piece; from >= 0; from -= piece)
      this.#backwardPiece(from, Math.min(piece, T - from), pass);
    return this.#dx;
  }

  /** Times [from, from + steps). */
  #backwardPiece(from: number, steps: number, pass: Pass): void {
    const { B } = pass;
    const { rule, watched, statistics, pattern } = this.#drop;
    const g = this.gradient.tensor;
    const N = g.rowLength;
    const row = from * B;
    const rows = steps * B;
    const sparse = rule.kind !== "keep";
    const prunedX = sparse && rule.paths !== "dW";
    const prunedW = sparse && rule.paths !== "dh";
    const biasFirst = !prunedW || rule.bias === "dense";
    const before = nonzerosBefore(statistics);
    const elements = (rows - paddedPositions(pass, from, steps)) * N;
    pattern.listFirst = row;
    if (!prunedX) this.#addInputGradient(row, rows);
    if (!prunedW) this.#addWeightGradient(row, rows);
    if (this.#bias && biasFirst) this.#kernels.sumRows(this.#bias.gradient, g, row, rows);
    for (let t = from + steps - 1; t >= from; t--) this.#sweep(t, pass, sparse || watched);
    if (this.#bias && !biasFirst) this.#kernels.sumRows(this.#bias.gradient, g, row, rows);
    const kept = sparse || watched ? countRows(pattern, row, rows) : elements;
    const seen = sparse ? nonzerosBefore(statistics) - before : kept; // by a path that is not pruned
    const dWExecuted = prunedW ? this.#addPrunedWeightGradient(row, rows, pattern) : undefined;
    const dxExecuted =
      prunedX && this.#dx ? this.#kernels.spmmNN(this.#dx.tensor, row, pattern, row, this.#W, rows) : undefined;
    if (!(this.#options.input instanceof OneHot))
      this.#countProduct("dW", elements, prunedW ? kept : seen, dWExecuted ?? rows * N * this.#inputs);
    if (this.#dx) this.#countProduct("dx", elements, prunedX ? kept : seen, dxExecuted ?? rows * N * this.#inputs);
  }

  /** Elements of dy, those of them that the product sees, and the multiply-accumulates that ran. */
  #countProduct(product: "dx" | "dW", elements: number, kept: number, executed: number): void {
    const macs = this.#count[product];
    macs.dense += elements * this.#inputs;
    macs.skipped += (elements - kept) * this.#inputs;
    macs.executed += executed;
  }

  #sweep(t: number, pass: Pass, counts: boolean): void {
    const { B, lengths, watcher } = pass;
    const { rule, statistics, pattern } = this.#drop;
    const { cols } = pattern.site;
    if (counts) {
      for (let b = 0; lengths && rule.residue && b < B; b++)
        if (t >= lengths[b]!) rule.residue.data.fill(0, (t * B + b) * cols, (t * B + b + 1) * cols);
      this.#kernels.compress(pattern, t * B, B, rule, statistics);
      for (let b = 0; lengths && b < B; b++) if (t >= lengths[b]!) uncountRow(statistics, pattern.site, t * B + b);
    }
    watcher?.afterSweep(this.#drop, t, pattern);
  }

  #addInputGradient(row: number, rows: number): void {
    if (this.#dx) this.#kernels.gemmNN(this.#dx.tensor, row, this.gradient.tensor, row, this.#W, rows);
  }

  #addWeightGradient(row: number, rows: number): void {
    const { input } = this.#options;
    const { gradient } = this.#weight;
    const g = this.gradient.tensor;
    if (input instanceof OneHot) this.#kernels.lookupGradient(gradient, input.index, row, g, row, this.#W, rows);
    else this.#kernels.gemmTN(gradient, g, row, input.tensor, input.row + row, rows);
  }

  #addPrunedWeightGradient(row: number, rows: number, pattern: Pattern): number {
    const { input } = this.#options;
    if (!(input instanceof OneHot))
      return this.#kernels.spmmTN(this.#weight.gradient, pattern, row, input.tensor, input.row + row, rows);
    this.#addWeightGradient(row, rows); // of what the rule left in place
    return 0;
  }
}
