/**
 * The head: a linear layer with its loss, in chunks of rows, so that there is no (T*B, V) buffer.
 * Loss, dW, db and dx of a chunk are made while its logits are in cache.
 *
 * classes: softmax cross-entropy in nats. values: mean squared error. The loss is averaged over
 * counted positions: T*B, or B where only the last position counts (values: and over outputs). Padding is not counted:
 * a class -1 as target, values past their lane's end.
 *
 * The gradient of the logits, (p - onehot) / positions, is a site of its own: its rule is apart from
 * the gates' and keeps everything unless a policy is given for it.
 */
import type { IntTensor, Tensor } from "../core/arena.ts";
import type { RandomStream } from "../core/random.ts";
import type { Kernels, Weight } from "../kernels/kernels.ts";
import { type ProductMacs, productMacs, setMacs } from "../sparse/macs.ts";
import { countRows } from "../sparse/pattern.ts";
import { dropRule } from "../sparse/rule.ts";
import { clearStatistics, nonzerosBefore, planStatistics, uncountRow } from "../sparse/statistics.ts";
import type { OutputSpec } from "../tasks/task.ts";
import { InputProducts } from "./column-mask.ts";
import {
  copyBlock,
  type DropSite,
  fillUniform,
  type Parameter,
  type Pass,
  type Planner,
  planParameter,
  planRowParameter,
  type RowParameter,
  Rows,
} from "./module.ts";

/**
 * Logits of one chunk: about this many numbers, to stay in a second-level cache, but so many rows
 * that reading the whole weight for them pays (at V = 10,000 a chunk of 12 rows made W4 half as
 * slow again: `npm run bench -- profile --workload W4`).
 */
const CHUNK_ELEMENTS = 32768;
const CHUNK_ROWS = 240;

export class Head {
  readonly name = "head";
  readonly parameters: readonly Parameter[];
  readonly weights: readonly Weight[];
  readonly macs: readonly ProductMacs[];
  /** (T*B) or (B) class numbers, or (T*B or B, size) values. */
  readonly targets: IntTensor | Tensor;
  readonly dx: Rows; // (T*B, H)
  /** The logits' gradient, a chunk at a time. Not watched under a rule that keeps all: V is large. */
  readonly site: DropSite;
  /** Milliseconds of the last `lossAndGradient` that were backward work. */
  backwardMs = 0;

  readonly #spec: OutputSpec;
  readonly #kernels: Kernels;
  readonly #weight: RowParameter; // (V, H)
  readonly #bias: Parameter; // (V)
  readonly #W: Weight;
  readonly #inputProducts: InputProducts;
  readonly #chunk: number;
  readonly #logits: Tensor; // (chunk, V)
  readonly #count: Record<"xW" | "dx" | "dW", ProductMacs>;

  /** `dyRoom`: of dx, where the net has one. */
  constructor({ arena, kernels, T, B, nt }: Planner, input: Rows, spec: OutputSpec, dyRoom?: string) {
    const hiddenSize = input.tensor.rowLength;
    this.#spec = spec;
    this.#kernels = kernels;
    this.#inputProducts = new InputProducts(kernels);
    this.#weight = planRowParameter(arena, "head.weight", [spec.size, hiddenSize]);
    this.#bias = planParameter(arena, "head.bias", [spec.size]);
    this.parameters = [this.#weight, this.#bias];
    const positions = spec.positions === "all" ? T * B : B;
    const chunk = Math.max(CHUNK_ROWS, Math.floor(CHUNK_ELEMENTS / spec.size / 12) * 12);
    this.#chunk = Math.min(positions, input.live ? Math.max(chunk, B) : chunk);
    this.#logits = arena.tensor("head.logits", [this.#chunk, spec.size], "workspace");
    const site = { name: "head", groups: ["logits"], rows: this.#chunk, cols: spec.size, weights: 1 };
    this.site = {
      site,
      weights: [this.#weight],
      pattern: kernels.planPattern(site, this.#logits, undefined, "sites"),
      statistics: planStatistics(arena, site),
      rule: dropRule(1),
      watched: false,
      planPaths() {}, // a chunk's products may run in any order: nothing is needed
    };
    this.#W = kernels.planWeight(this.#weight.value, {
      rows: this.#chunk,
      nt,
      nn: true,
      live: input.live !== undefined,
      inTurns: true, // chunk after chunk
    });
    this.weights = [this.#W];
    kernels.planTN(this.#chunk, spec.size, hiddenSize);
    this.dx = new Rows(arena.tensor("head.dx", [T * B, hiddenSize], "workspace", dyRoom));
    this.targets =
      spec.kind === "classes"
        ? arena.ints("targets", [positions], "batch")
        : arena.tensor("targets", [positions, spec.size], "batch");
    this.#count = {
      xW: productMacs("head", "xW", "forward", false),
      dx: productMacs("head", "dx", "backward", false),
      dW: productMacs("head", "dW", "backward", false),
    };
    this.macs = Object.values(this.#count);
  }

  /** PyTorch's nn.Linear: uniform in +-1/sqrt(H). */
  initialize(random: RandomStream, scale = 1 / Math.sqrt(this.#weight.value.rowLength)): void {
    for (const { value } of this.parameters) fillUniform(value, scale, random);
  }

  /** Mean loss; adds dW and db and fills `dx`. */
  lossAndGradient(x: Rows, pass: Pass): number {
    const positions = this.#positions(pass);
    const first = pass.T * pass.B - positions;
    const kernels = this.#kernels;
    const logits = this.#logits;
    const counted = this.#counted(pass);
    const scale = 1 / this.#averaged(counted);
    const { pattern, rule, statistics, watched } = this.site;
    const sparse = rule.kind !== "keep";
    const prunedX = sparse && rule.paths !== "dW";
    const prunedW = sparse && rule.paths !== "dh";
    const biasFirst = !prunedW || rule.bias === "dense";
    const { key } = rule;
    clearStatistics(statistics);
    kernels.clear(this.dx.tensor);
    let sum = 0;
    let kept = 0;
    let xWExecuted = 0;
    let dWExecuted = 0;
    let dxExecuted = 0;
    let [xWMasked, masked] = [0, 0];
    this.backwardMs = 0;
    const { B } = pass;
    const chunk = this.#chunkOf(x, pass);
    for (let start = 0; start < positions; start += chunk) {
      const rows = Math.min(chunk, positions - start);
      const row = first + start;
      xWExecuted += this.#chunkLogits(x, row, rows, B);
      sum += this.#loss(start, rows, scale, pass);
      const began = performance.now();
      // Chunks reuse the same rows of the pattern, so a stochastic rule needs a key of its own for each.
      rule.key = key + start;
      // What a path sees unpruned comes before the rule.
      if (biasFirst) kernels.sumRows(this.#bias.gradient, logits, 0, rows);
      const { gradient } = this.#weight;
      const products = this.#inputProducts;
      if (!prunedW) dWExecuted += products.gemmTN(gradient, logits, 0, x, row, this.#W, rows, B);
      if (!prunedX) dxExecuted += products.gemmNN(this.dx.tensor, row, logits, 0, x, row, this.#W, rows, B);
      if (sparse || watched) {
        kernels.compress(pattern, 0, rows, rule, statistics);
        for (let r = 0; counted < positions && r < rows; r++)
          if (!this.#isCounted(start + r, pass)) uncountRow(statistics, pattern.site, r);
      }
      pass.watcher?.afterChunk?.(this.site, start, rows, positions);
      if (!biasFirst) kernels.sumRows(this.#bias.gradient, logits, 0, rows);
      const left = sparse || watched ? countRows(pattern, 0, rows) : rows * this.#spec.size;
      kept += left;
      if (prunedW) {
        this.#weight.rows.addColumns(pattern.bitmap, rows);
        dWExecuted += products.pays("tn", x, row, this.#W, rows, B, left)
          ? products.gemmTN(gradient, logits, 0, x, row, this.#W, rows, B)
          : kernels.spmmTN(gradient, pattern, 0, x.tensor, x.row + row, rows);
      } else this.#weight.rows.addAll();
      if (prunedX)
        dxExecuted += products.pays("nn", x, row, this.#W, rows, B, left)
          ? products.gemmNN(this.dx.tensor, row, logits, 0, x, row, this.#W, rows, B)
          : kernels.spmmNN(this.dx.tensor, row, pattern, 0, this.#W, rows);
      for (let r = 0; x.live && r < rows; r++) {
        if (!this.#isCounted(start + r, pass)) continue;
        const dead = x.live.list.rowLength - x.live.counts.data[Math.floor((row + r) / B)]!;
        xWMasked += this.#spec.size * dead;
        masked += (sparse || watched ? pattern.rowCounts.data[r]! : this.#spec.size) * dead;
      }
      this.backwardMs += performance.now() - began;
    }
    rule.key = key;
    const dense = counted * this.#weight.value.length;
    const H = this.#weight.value.rowLength;
    if (!sparse && !watched) kept = counted * this.#spec.size;
    const seen = sparse ? nonzerosBefore(statistics) : kept; // by a path that is not pruned
    const unpruned = sparse ? xWMasked * (seen / Math.max(1, counted * this.#spec.size)) : masked;
    setMacs(this.#count.xW, dense, 0, xWExecuted, xWMasked);
    const skippedBy = (pruned: boolean) => dense - (pruned ? kept : seen) * H;
    setMacs(this.#count.dW, dense, skippedBy(prunedW), dWExecuted, prunedW ? masked : unpruned);
    setMacs(this.#count.dx, dense, skippedBy(prunedX), dxExecuted, prunedX ? masked : unpruned);
    return sum * scale;
  }

  /** Summed loss and, for classes, how many positions have their largest logit at the target. */
  evaluate(x: Rows, pass: Pass): { lossSum: number; correct: number; positions: number } {
    const positions = this.#positions(pass);
    const first = pass.T * pass.B - positions;
    let lossSum = 0;
    let correct = 0;
    const chunk = this.#chunkOf(x, pass);
    for (let start = 0; start < positions; start += chunk) {
      const rows = Math.min(chunk, positions - start);
      this.#chunkLogits(x, first + start, rows, pass.B);
      if (this.#spec.kind === "classes")
        for (let r = 0; r < rows; r++)
          if (largest(this.#logits.data, r * this.#spec.size, this.#spec.size) === this.targets.data[start + r])
            correct++;
      lossSum += this.#loss(start, rows, 0, pass);
    }
    return { lossSum, correct, positions: this.#averaged(this.#counted(pass)) };
  }

  /** Copies the outputs (logits or values) of all counted positions into `out` (positions, size). */
  outputs(x: Rows, pass: Pass, out: Float32Array | Float64Array): void {
    const positions = this.#positions(pass);
    const first = pass.T * pass.B - positions;
    const chunk = this.#chunkOf(x, pass);
    for (let start = 0; start < positions; start += chunk) {
      const rows = Math.min(chunk, positions - start);
      this.#chunkLogits(x, first + start, rows, pass.B);
      // Not by set(subarray()): a view is an object, and a stepper makes none.
      const { data } = this.#logits;
      const to = start * this.#spec.size;
      for (let i = 0; i < rows * this.#spec.size; i++) out[to + i] = data[i] as number;
    }
  }

  /** Positions the head looks at: the last ones of the T*B. */
  #positions({ T, B }: Pass): number {
    return this.#spec.positions === "all" ? T * B : B;
  }

  /** Those of them that count. */
  #counted(pass: Pass): number {
    const positions = this.#positions(pass);
    let count = 0;
    for (let at = 0; at < positions; at++) if (this.#isCounted(at, pass)) count++;
    return count;
  }

  #isCounted(position: number, { B, lengths }: Pass): boolean {
    if (this.#spec.kind === "classes") return this.targets.data[position] !== -1;
    if (this.#spec.positions === "last" || !lengths) return true;
    return Math.floor(position / B) < (lengths[position % B] as number);
  }

  /** What the loss is averaged over; of no position at all the loss is 0. */
  #averaged(counted: number): number {
    return Math.max(1, this.#spec.kind === "classes" ? counted : counted * this.#spec.size);
  }

  /** Rows of a chunk: whole time steps, where each has live columns of its own. */
  #chunkOf(x: Rows, { B }: Pass): number {
    return x.live ? Math.floor(this.#chunk / B) * B : this.#chunk;
  }

  /** Returns the multiply-accumulates executed. */
  #chunkLogits(x: Rows, row: number, rows: number, B: number): number {
    this.#kernels.setBias(this.#logits, 0, rows, this.#bias.value);
    return this.#inputProducts.gemmNT(this.#logits, 0, x, row, this.#W, rows, B);
  }

  /** Summed loss of the chunk in `#logits`; with a scale, turns them into their gradient. */
  #loss(start: number, rows: number, scale: number, pass: Pass): number {
    const { targets } = this;
    if (this.#spec.kind === "classes")
      return this.#kernels.softmaxCrossEntropy(this.#logits, targets as IntTensor, start, rows, scale);
    // Padding answers what is asked: no error, no gradient.
    for (let r = 0; r < rows; r++)
      if (!this.#isCounted(start + r, pass)) copyBlock(this.#logits, r, targets as Tensor, start + r, 1);
    return this.#kernels.squaredError(this.#logits, targets as Tensor, start, rows, scale);
  }
}

function largest(data: Float32Array | Float64Array, start: number, length: number): number {
  let best = 0;
  for (let i = 1; i < length; i++) if ((data[start + i] as number) > (data[start + best] as number)) best = i;
  return best;
}
