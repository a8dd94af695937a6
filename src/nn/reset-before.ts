/**
 * GRU with the reset before the hidden product: Keras' reset_after=False, the only GRU of TensorFlow.js. (PyTorch, cuDNN
 * and Keras by default reset after it: cells/gru.ts.) Gate order z, r, n; h' is h of t-1.
 *
 *   forward                                     backward, dh complete
 *   z = gate(x W_z^T + h' U_z^T + b_z)          net_n' = dh (1 - z) (1 - n^2)             <- the seam, site "...n"
 *   r = gate(x W_r^T + h' U_r^T + b_r)          ds     = net_n' U_n                       of s = r h'
 *   n = tanh(x W_n^T + (r h') U_n^T + b_n)      net_z' = dh (h' - n) gate'(z)
 *   h = z h' + (1 - z) n                        net_r' = ds h' gate'(r)                   <- the seam, site "...zr"
 *                                               dh     = dh z + ds r + net_z' U_z + net_r' U_r
 *   once: dW, dU, db, dx as in recurrent.ts; dU_n += net_n'^T s
 *
 * A product stands between n and r, so this is no cell of recurrent.ts, but a layer with two sites: the gradient that r
 * gets has passed the rule of n. Rules work on both paths of a site; all of time has room for lists.
 */
import type { Tensor } from "../core/arena.ts";
import { check } from "../core/check.ts";
import type { RandomStream } from "../core/random.ts";
import type { CellStep, Kernels, Weight } from "../kernels/kernels.ts";
import { type ProductMacs, productMacs, setMacs } from "../sparse/macs.ts";
import { countRows } from "../sparse/pattern.ts";
import { dropRule, isWhole } from "../sparse/rule.ts";
import { clearStatistics, planStatistics } from "../sparse/statistics.ts";
import type { GateActivation } from "./cells/gates.ts";
import {
  clearRows,
  copyBlock,
  type DropSite,
  fillUniform,
  type Module,
  type Parameter,
  type Pass,
  type Planner,
  planParameter,
  Rows,
} from "./module.ts";
import { Padding } from "./padding.ts";

export interface ResetBeforeOptions {
  /** "gru" gives the sites "gru.zr" and "gru.n", and parameters "gru.weight_ih_zr" and so on. */
  readonly name: string;
  readonly input: Rows;
  readonly hiddenSize: number;
  readonly gate: GateActivation;
  readonly needsInputGradient: boolean;
  /** As in RecurrentOptions. */
  readonly stateGradients?: boolean;
}

/** One site with its weights: x W^T + a U^T + b, where a is h' for z and r, r h' for n. */
interface Part {
  readonly drop: DropSite;
  readonly net: Tensor; // (T*B, gates*H): pre-activations, activations, gradients
  readonly weightIH: Parameter;
  readonly weightHH: Parameter;
  readonly bias: Parameter;
  readonly W: Weight;
  readonly U: Weight;
  readonly macs: Readonly<Record<"xW" | "hU" | "dh" | "dx" | "dW" | "dU", ProductMacs>>;
}

export class ResetBeforeLayer implements Module {
  readonly name: string;
  readonly parameters: readonly Parameter[];
  readonly weights: readonly Weight[];
  readonly sites: readonly DropSite[];
  readonly macs: readonly ProductMacs[];
  /** h, (B, H): where a pass starts, and then where it ended. */
  readonly carried: readonly Tensor[];
  /** dLoss/dh, (B, H), as in RecurrentLayer. */
  readonly stateGradients: readonly Tensor[];
  /** h of every t, (T*B, H). */
  readonly output: Rows;
  readonly options: ResetBeforeOptions;
  readonly #kernels: Kernels;
  readonly #zr: Part;
  readonly #n: Part;
  readonly #reset: Tensor; // s = r h', (T*B, H)
  readonly #dReset: Tensor; // (B, H)
  readonly #dx: Rows | undefined; // (T*B, I)
  readonly #padding: Padding;
  readonly #stepZR: CellStep;
  readonly #stepN: CellStep;

  constructor(planner: Planner, options: ResetBeforeOptions) {
    const { arena, kernels, T, B } = planner;
    const { name, hiddenSize: H, input, needsInputGradient } = options;
    this.name = name;
    this.options = options;
    this.#kernels = kernels;
    this.#zr = planPart(planner, options, "zr", ["z", "r"]);
    this.#n = planPart(planner, options, "n", ["n"]);
    const parts = [this.#zr, this.#n];
    this.parameters = parts.flatMap(({ weightIH, weightHH, bias }) => [weightIH, weightHH, bias]);
    this.weights = parts.flatMap(({ W, U }) => [W, U]);
    this.sites = parts.map(({ drop }) => drop);
    this.macs = parts.flatMap(({ macs }) => Object.values(macs));
    this.#reset = arena.tensor(`${name}.reset`, [T * B, H], "activations");
    this.#dReset = arena.tensor(`${name}.dReset`, [B, H], "workspace");
    const width = input.tensor.rowLength;
    this.#dx = needsInputGradient ? new Rows(arena.tensor(`${name}.dx`, [T * B, width], "workspace")) : undefined;
    this.#padding = new Padding(arena, name, [], B, H);
    const h = arena.tensor(`${name}.h`, [(T + 1) * B, H], "activations");
    const dh = arena.tensor(`${name}.dh`, [B, H], "workspace");
    this.carried = [arena.tensor(`${name}.h0`, [B, H], "states")];
    this.stateGradients = [dh];
    this.output = new Rows(h);
    const common = {
      row: 0,
      hRow: 0,
      stateRow: 0,
      rows: B,
      hidden: H,
      hiddenGates: undefined,
      h,
      states: [],
      keeps: [],
      dh,
    };
    this.#stepZR = { ...common, gates: this.#zr.net, dStates: [] };
    this.#stepN = { ...common, gates: this.#n.net, dStates: [] };
  }

  /** Uniform in +-1/sqrt(H), as PyTorch's GRU. */
  initialize(random: RandomStream, scale?: number): void {
    const bound = scale ?? 1 / Math.sqrt(this.options.hiddenSize);
    for (const { value } of this.parameters) fillUniform(value, bound, random);
  }

  forward(_x: unknown, pass: Pass): Rows {
    const { T, B } = pass;
    const kernels = this.#kernels;
    const [zr, n] = [this.#zr, this.#n];
    const { tensor: x, row } = this.options.input;
    const h = this.output.tensor;
    this.#padding.begin(pass);
    copyBlock(h, 0, this.carried[0]!, 0, B);
    for (const { net, bias, W } of [zr, n]) {
      kernels.setBias(net, 0, T * B, bias.value);
      kernels.gemmNT(net, 0, x, row, W, T * B);
    }
    for (let t = 0; t < T; t++) {
      const at = t * B;
      kernels.gemmNT(zr.net, at, h, at, zr.U, B);
      this.#gates(at, B);
      kernels.gemmNT(n.net, at, this.#reset, at, n.U, B);
      this.#candidate(at, B);
      this.#padding.freeze(this.#moved(this.#stepZR, at, B), t);
    }
    copyBlock(this.carried[0]!, 0, h, T * B, B);
    if (pass.training) this.#countForward(pass);
    this.output.row = B;
    return this.output;
  }

  #moved(step: CellStep, row: number, B: number): CellStep {
    step.row = row;
    step.hRow = row;
    step.rows = B;
    return step;
  }

  /** z and r of rows [row, row + B), and s = r h'. */
  #gates(row: number, B: number): void {
    const { hiddenSize: H, gate } = this.options;
    const [net, h, reset] = [this.#zr.net.data, this.output.tensor.data, this.#reset.data];
    for (let b = row; b < row + B; b++)
      for (let k = 0; k < H; k++) {
        const at = b * 2 * H + k;
        const r = gate.of(net[at + H]!);
        net[at] = gate.of(net[at]!);
        net[at + H] = r;
        reset[b * H + k] = r * h[b * H + k]!;
      }
  }

  /** n and h of rows [row, row + B). */
  #candidate(row: number, B: number): void {
    const H = this.options.hiddenSize;
    const [zr, net, h] = [this.#zr.net.data, this.#n.net.data, this.output.tensor.data];
    for (let b = row; b < row + B; b++)
      for (let k = 0; k < H; k++) {
        const z = zr[b * 2 * H + k]!;
        const n = Math.tanh(net[b * H + k]!);
        net[b * H + k] = n;
        h[(b + B) * H + k] = z * h[b * H + k]! + (1 - z) * n;
      }
  }

  backward(dy: Rows, pass: Pass): Rows | undefined {
    const { T, B } = pass;
    const kernels = this.#kernels;
    const [zr, n] = [this.#zr, this.#n];
    const { stateGradients = false } = this.options;
    const dh = this.stateGradients[0]!;
    this.#padding.begin(pass);
    for (const { drop, macs } of [zr, n]) {
      check(
        isWhole(drop.rule),
        "a rule on one path alone (paths, bias) is not for a GRU that resets before its product; leave it out.",
      );
      clearStatistics(drop.statistics);
      for (const name of ["dh", "dx", "dW", "dU"] as const) setMacs(macs[name], 0, 0, 0);
    }
    if (!stateGradients) clearRows(dh, B);
    if (this.#dx) clearRows(this.#dx.tensor, T * B);

    for (let t = T - 1; t >= 0; t--) {
      const at = t * B;
      const wanted = t > 0 || stateGradients; // dh before t
      kernels.addRows(dh, 0, dy.tensor, dy.row + at, B);
      this.#padding.hold(this.#moved(this.#stepZR, at, B), t);
      this.#candidateBackward(at, B);
      this.#compress(n, this.#stepN, at, B);
      clearRows(this.#dReset, B);
      n.macs.dh.executed += this.#product(this.#dReset, 0, n, n.U, at, B);
      this.#resetBackward(at, B);
      this.#compress(zr, this.#stepZR, at, B);
      if (!wanted) break;
      zr.macs.dh.executed += this.#product(dh, 0, zr, zr.U, at, B);
      this.#padding.release(this.#stepZR, t);
    }
    this.#afterLoop(pass, stateGradients);
    return this.#dx;
  }

  /** net_n' in place of n, net_z' in place of z, and dh z in place of dh. */
  #candidateBackward(row: number, B: number): void {
    const { hiddenSize: H, gate } = this.options;
    const [zr, net, h] = [this.#zr.net.data, this.#n.net.data, this.output.tensor.data];
    const dhs = this.stateGradients[0]!.data;
    for (let b = 0; b < B; b++)
      for (let k = 0; k < H; k++) {
        const at = (row + b) * H + k;
        const atZ = (row + b) * 2 * H + k;
        const [z, n, dh] = [zr[atZ]!, net[at]!, dhs[b * H + k]!];
        net[at] = dh * (1 - z) * (1 - n * n);
        zr[atZ] = dh * (h[at]! - n) * gate.slope(z);
        dhs[b * H + k] = dh * z;
      }
  }

  /** net_r' in place of r, and dh += ds r. */
  #resetBackward(row: number, B: number): void {
    const { hiddenSize: H, gate } = this.options;
    const [zr, h] = [this.#zr.net.data, this.output.tensor.data];
    const [dhs, ds] = [this.stateGradients[0]!.data, this.#dReset.data];
    for (let b = 0; b < B; b++)
      for (let k = 0; k < H; k++) {
        const atR = (row + b) * 2 * H + H + k;
        const r = zr[atR]!;
        const d = ds[b * H + k]!;
        zr[atR] = d * h[(row + b) * H + k]! * gate.slope(r);
        dhs[b * H + k] = dhs[b * H + k]! + d * r;
      }
  }

  /** The seam, for rows of time row / B. */
  #compress({ drop }: Part, step: CellStep, row: number, B: number): void {
    const { pattern, rule, statistics } = drop;
    this.#padding.silence(this.#moved(step, row, B), row / B, rule);
    this.#kernels.compress(pattern, row, B, rule, statistics);
    this.#padding.uncount(pattern, statistics, step, row / B);
  }

  /** out += g w of rows of a site's gradients. Multiply-accumulates executed. */
  #product(out: Tensor, outRow: number, { drop, net }: Part, w: Weight, row: number, rows: number): number {
    if (drop.rule.kind !== "keep") return this.#kernels.spmmNN(out, outRow, drop.pattern, row, w, rows);
    this.#kernels.gemmNN(out, outRow, net, row, w, rows);
    return rows * net.rowLength * out.rowLength;
  }

  /** Products over all of time, and the counts. */
  #afterLoop({ T, B }: Pass, stateGradients: boolean): void {
    const kernels = this.#kernels;
    const rows = T * B;
    const { tensor: x, row: xRow } = this.options.input;
    for (const part of [this.#zr, this.#n]) {
      const { drop, net, weightIH, weightHH, bias, W, macs } = part;
      const operands = [
        { of: weightIH, factor: x, row: xRow, count: macs.dW },
        { of: weightHH, factor: part === this.#n ? this.#reset : this.output.tensor, row: 0, count: macs.dU },
      ];
      const first = part === this.#zr && !stateGradients ? B : 0; // no dh is made from time 0
      const there = rows - this.#padding.rows(0, T);
      const kept = countRows(drop.pattern, 0, rows);
      for (const { of, factor, row, count } of operands) {
        if (drop.rule.kind === "keep") {
          kernels.gemmTN(of.gradient, net, 0, factor, row, rows);
          count.executed = rows * net.rowLength * factor.rowLength;
        } else count.executed = kernels.spmmTN(of.gradient, drop.pattern, 0, factor, row, rows);
        addCount(count, there * net.rowLength, kept, factor.rowLength);
      }
      kernels.sumRows(bias.gradient, net, 0, rows);
      const H = this.options.hiddenSize;
      addCount(macs.dh, (there - first) * net.rowLength, kept - countRows(drop.pattern, 0, first), H);
      if (!this.#dx) continue;
      macs.dx.executed = this.#product(this.#dx.tensor, 0, part, W, 0, rows);
      addCount(macs.dx, there * net.rowLength, kept, this.#dx.tensor.rowLength);
    }
  }

  #countForward({ T, B }: Pass): void {
    const there = T * B - this.#padding.rows(0, T);
    for (const { net, macs } of [this.#zr, this.#n]) {
      const [columns, I, H] = [net.rowLength, this.options.input.tensor.rowLength, this.options.hiddenSize];
      setMacs(macs.xW, there * columns * I, 0, T * B * columns * I);
      setMacs(macs.hU, there * columns * H, 0, T * B * columns * H);
    }
  }
}

/** A product of `elements` gradients, `kept` of them not zero, with rows of `width`. */
function addCount(macs: ProductMacs, elements: number, kept: number, width: number): void {
  macs.dense += elements * width;
  macs.skipped += (elements - kept) * width;
}

function planPart(planner: Planner, options: ResetBeforeOptions, suffix: string, groups: readonly string[]): Part {
  const { arena, kernels, T, B, nt } = planner;
  const { name, hiddenSize: H, input, needsInputGradient } = options;
  const rows = T * B;
  const columns = groups.length * H;
  const I = input.tensor.rowLength;
  const weightIH = planParameter(arena, `${name}.weight_ih_${suffix}`, [columns, I]);
  const weightHH = planParameter(arena, `${name}.weight_hh_${suffix}`, [columns, H]);
  const bias = planParameter(arena, `${name}.bias_${suffix}`, [columns]);
  const net = arena.tensor(`${name}.${suffix}Gates`, [rows, columns], "gateGradients");
  const site = { name: `${name}.${suffix}`, groups, rows, cols: columns, weights: 2 };
  kernels.planTN(rows, columns, I);
  kernels.planTN(rows, columns, H);
  const count = (product: string, direction: "forward" | "backward") =>
    productMacs(site.name, product, direction, true);
  return {
    net,
    weightIH,
    weightHH,
    bias,
    W: kernels.planWeight(weightIH.value, { rows, nt, nn: needsInputGradient }),
    U: kernels.planWeight(weightHH.value, { rows: B, nt, nn: true }),
    drop: {
      site,
      weights: [weightIH, weightHH],
      pattern: kernels.planPattern(site, net),
      statistics: planStatistics(arena, site),
      rule: dropRule(groups.length),
      watched: true,
      planPaths() {},
    },
    macs: {
      xW: count("xW", "forward"),
      hU: count("hU", "forward"),
      dh: count("dh", "backward"),
      dx: count("dx", "backward"),
      dW: count("dW", "backward"),
      dU: count("dU", "backward"),
    },
  };
}
