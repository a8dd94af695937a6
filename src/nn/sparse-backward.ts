/**
 * The technique without our nets: the backward products of any y = x W^T, on typed arrays.
 *
 *   const hook = new SparseBackward(engine, { rows, inputs, outputs, policy: parsePolicy("energy:0.99") });
 *   hook.g.set(...); hook.x.set(...); hook.w.set(...);      // dLoss/dy, the operand, the weight
 *   hook.compress();                                        // drops in g, in place, and indexes what is left
 *   hook.inputGradient(); hook.weightGradient();            // dx = g W, dW = g^T x and db, over what is left
 *
 * All arrays are views of one memory, made once; no call allocates.
 */
import { Arena, type RealArray, type Tensor } from "../core/arena.ts";
import { check } from "../core/check.ts";
import type { Engine, Kernels, Weight } from "../kernels/kernels.ts";
import { shares } from "../sparse/observation.ts";
import { countRows, type Pattern } from "../sparse/pattern.ts";
import type { Policy, SitePolicy } from "../sparse/policy.ts";
import { type DropRule, dropRule, isWhole } from "../sparse/rule.ts";
import { clearStatistics, planStatistics, type SiteStatistics, SUM_COLUMNS } from "../sparse/statistics.ts";

export interface SparseBackwardOptions {
  /** Names the stream of a policy's draws; "hook" without it. */
  readonly name?: string;
  /** R: rows of x and y, the batch, or all its time steps. */
  readonly rows: number;
  /** K */
  readonly inputs: number;
  /** N, a multiple of the number of groups. */
  readonly outputs: number;
  /** Parts of the outputs with a threshold each, as the gates of a cell; one for all without it. */
  readonly groups?: readonly string[];
  readonly policy: Policy;
  readonly seed?: number;
  /** Length of the run, for policies with a schedule. */
  readonly maxSteps?: number;
}

export class SparseBackward {
  /** Times `compress` was called. */
  steps = 0;
  readonly statistics: SiteStatistics;
  readonly rule: DropRule;
  readonly #kernels: Kernels;
  readonly #policy: SitePolicy;
  readonly #pattern: Pattern;
  readonly #weight: Weight;
  readonly #g: Tensor;
  readonly #x: Tensor;
  readonly #dx: Tensor;
  readonly #dW: Tensor;
  readonly #db: Tensor;

  constructor(engine: Engine, options: SparseBackwardOptions) {
    const { name = "hook", rows, inputs, outputs, groups = ["all"], policy, seed = 0, maxSteps = 1 } = options;
    for (const [what, size] of Object.entries({ rows, inputs, outputs }))
      check(Number.isInteger(size) && size > 0, `${what} is ${size}; give a whole number of at least 1.`);
    check(outputs % groups.length === 0, `${outputs} outputs do not fall into ${groups.length} groups of one size.`);
    const arena = new Arena();
    const kernels = engine.attach(arena);
    const site = { name, groups, rows, cols: outputs, weights: 1 };
    this.#g = arena.tensor(`${name}.g`, [rows, outputs], "gateGradients");
    this.#x = arena.tensor(`${name}.x`, [rows, inputs], "batch");
    const w = arena.tensor(`${name}.w`, [outputs, inputs], "weights");
    this.#dx = arena.tensor(`${name}.dx`, [rows, inputs], "workspace");
    this.#dW = arena.tensor(`${name}.dW`, [outputs, inputs], "gradients");
    this.#db = arena.tensor(`${name}.db`, [outputs], "gradients");
    this.#kernels = kernels;
    this.#weight = kernels.planWeight(w, { rows, nn: true });
    kernels.planTN(rows, outputs, inputs);
    this.#pattern = kernels.planPattern(site, this.#g);
    this.statistics = planStatistics(arena, site);
    this.rule = dropRule(groups.length);
    this.#policy = policy.start({ site, seed, maxSteps, arena });
    check(!this.#policy.watch, `policy ${policy.name} steers by a trainer's gradients; use another, as energy:0.99.`);
    arena.allocate();
  }

  /** (R, N), dLoss/dy; after `compress` what the rule left. */
  get g(): RealArray {
    return this.#g.data;
  }
  /** (R, K) */
  get x(): RealArray {
    return this.#x.data;
  }
  /** (N, K), PyTorch's layout. */
  get w(): RealArray {
    return this.#weight.tensor.data;
  }
  /** (R, K) */
  get dx(): RealArray {
    return this.#dx.data;
  }
  /** (N, K) */
  get dW(): RealArray {
    return this.#dW.data;
  }
  /** (N) */
  get db(): RealArray {
    return this.#db.data;
  }

  /** Applies the policy's rule to g in place, and lets the policy learn from it. The share of g that is left. */
  compress(): number {
    const rows = this.#g.shape[0] as number;
    this.#policy.plan(this.steps++, this.rule);
    check(isWhole(this.rule), "a rule on one path alone (paths, bias) needs a layer of Gatesieve's own; leave it out.");
    clearStatistics(this.statistics);
    this.#kernels.compress(this.#pattern, 0, rows, this.rule, this.statistics);
    this.#policy.learn(this.statistics);
    return countRows(this.#pattern, 0, rows) / this.#g.length;
  }

  /** dx = g W, of what `compress` left. Multiply-accumulates executed. */
  inputGradient(): number {
    this.#kernels.pack(this.#weight);
    this.#kernels.clear(this.#dx);
    return this.#kernels.spmmNN(this.#dx, 0, this.#pattern, 0, this.#weight, this.#g.shape[0] as number);
  }

  /** dW = g^T x and db = the sum of g's rows, of what `compress` left. Multiply-accumulates executed, of dW. */
  weightGradient(): number {
    const rows = this.#g.shape[0] as number;
    this.#kernels.clear(this.#dW);
    this.#kernels.clear(this.#db);
    this.#kernels.sumRows(this.#db, this.#g, 0, rows);
    return this.#kernels.spmmTN(this.#dW, this.#pattern, 0, this.#x, 0, rows);
  }

  /** What the last `compress` dropped, over all groups. */
  get sparsity() {
    const total = new Float64Array(SUM_COLUMNS);
    const { data } = this.statistics.sums;
    for (let i = 0; i < data.length; i++) total[i % SUM_COLUMNS]! += data[i]!;
    return shares(total, 0);
  }
}
