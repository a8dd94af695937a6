/**
 * A product with a weight and without a bias, whose output's gradient is a site:
 *
 *   forward    y += x W^T
 *   backward   compress dy by the rule;  dW += dy^T x;  dx += dy W
 *
 * Rows are time-major. The sweep goes t by t, as that of a recurrent layer does; the products take all rows at once.
 */
import type { Tensor } from "../core/arena.ts";
import type { RandomStream } from "../core/random.ts";
import type { Kernels, Weight } from "../kernels/kernels.ts";
import { type ProductMacs, productMacs, setMacs } from "../sparse/macs.ts";
import { countRows } from "../sparse/pattern.ts";
import { dropRule } from "../sparse/rule.ts";
import { clearStatistics, nonzerosBefore, planStatistics, uncountRow } from "../sparse/statistics.ts";
import { type DropSite, fillUniform, type Parameter, type Pass, type Planner, planParameter } from "./module.ts";
import { paddedPositions } from "./padding.ts";

export interface ProjectionShape {
  /** Of the site: "attention.out"; the weight is "attention.out.weight". */
  readonly name: string;
  readonly inputSize: number;
  readonly outputSize: number;
}

export class Projection {
  readonly parameter: Parameter; // (outputSize, inputSize)
  readonly weight: Weight;
  readonly drop: DropSite;
  readonly macs: readonly ProductMacs[];
  /** (T*B, outputSize): the caller leaves dLoss/dy here before `backward`, which prunes it in place. */
  readonly dy: Tensor;
  readonly #kernels: Kernels;
  readonly #count: Record<"xW" | "dx" | "dW", ProductMacs>;

  constructor({ arena, kernels, T, B, nt }: Planner, { name, inputSize, outputSize }: ProjectionShape) {
    this.#kernels = kernels;
    this.parameter = planParameter(arena, `${name}.weight`, [outputSize, inputSize]);
    this.weight = kernels.planWeight(this.parameter.value, { rows: T * B, nt, nn: true });
    kernels.planTN(T * B, outputSize, inputSize);
    this.dy = arena.tensor(`${name}.dy`, [T * B, outputSize], "gateGradients");
    const site = { name, groups: ["y"], rows: T * B, cols: outputSize, weights: 1 };
    this.drop = {
      site,
      weights: [this.parameter],
      pattern: kernels.planPattern(site, this.dy),
      statistics: planStatistics(arena, site),
      rule: dropRule(1),
      watched: true,
      planPaths() {}, // products of an unpruned path run before the rule: nothing is needed
    };
    this.#count = {
      xW: productMacs(name, "xW", "forward", false),
      dx: productMacs(name, "dx", "backward", false),
      dW: productMacs(name, "dW", "backward", false),
    };
    this.macs = Object.values(this.#count);
  }

  /** PyTorch's nn.Linear: uniform in +-1/sqrt(inputSize). */
  initialize(random: RandomStream, scale = 1 / Math.sqrt(this.parameter.value.rowLength)): void {
    fillUniform(this.parameter.value, scale, random);
  }

  /** Rows [0, T*B) of y += x W^T. */
  forward(y: Tensor, x: Tensor, xRow: number, pass: Pass): void {
    const rows = pass.T * pass.B;
    this.#kernels.gemmNT(y, 0, x, xRow, this.weight, rows);
    const size = this.parameter.value.length;
    setMacs(this.#count.xW, (rows - paddedPositions(pass, 0, pass.T)) * size, 0, rows * size);
  }

  /** Prunes `dy`, whose rows of padding must be zero; dW += dy^T x, and rows [0, T*B) of dx += dy W. */
  backward(x: Tensor, xRow: number, dx: Tensor, pass: Pass): void {
    const kernels = this.#kernels;
    const { T, B, watcher } = pass;
    const { pattern, rule, statistics, watched, site } = this.drop;
    const { gradient } = this.parameter;
    const rows = T * B;
    const sparse = rule.kind !== "keep";
    const prunedX = sparse && rule.paths !== "dW";
    const prunedW = sparse && rule.paths !== "dh";
    clearStatistics(statistics);
    // What a path sees unpruned comes before the rule.
    if (!prunedW) kernels.gemmTN(gradient, this.dy, 0, x, xRow, rows);
    if (!prunedX) kernels.gemmNN(dx, 0, this.dy, 0, this.weight, rows);
    if (sparse || watched)
      for (let t = T - 1; t >= 0; t--) {
        // Past a lane's end there is nothing to come back to in a residue.
        for (let b = 0; rule.residue && b < B; b++)
          if (pass.lengths && t >= pass.lengths[b]!) clearColumns(rule.residue, t * B + b, 0);
        kernels.compress(pattern, t * B, B, rule, statistics);
        for (let b = 0; b < B; b++) if (pass.lengths && t >= pass.lengths[b]!) uncountRow(statistics, site, t * B + b);
        watcher?.afterSweep(this.drop, t, pattern);
      }
    const dWExecuted = prunedW ? kernels.spmmTN(gradient, pattern, 0, x, xRow, rows) : undefined;
    const dxExecuted = prunedX ? kernels.spmmNN(dx, 0, pattern, 0, this.weight, rows) : undefined;

    const { rowLength } = this.parameter.value;
    const there = (rows - paddedPositions(pass, 0, T)) * site.cols;
    const kept = sparse || watched ? countRows(pattern, 0, rows) : there;
    const seen = sparse ? nonzerosBefore(statistics) : kept; // by a path that is not pruned
    const all = rows * site.cols * rowLength;
    setMacs(this.#count.dW, there * rowLength, (there - (prunedW ? kept : seen)) * rowLength, dWExecuted ?? all);
    setMacs(this.#count.dx, there * rowLength, (there - (prunedX ? kept : seen)) * rowLength, dxExecuted ?? all);
  }
}

/** Zeroes a row of a matrix from a column on. */
export function clearColumns({ data, rowLength }: Tensor, row: number, from: number): void {
  data.fill(0, row * rowLength + from, (row + 1) * rowLength);
}
