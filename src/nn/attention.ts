/**
 * Attention of a decoder over what an encoder left (Luong, Pham and Manning 2015, arXiv 1508.04025, global attention):
 *
 *   q = h            (dot)      q = h Wq^T            (general)
 *   s = q M^T        over the positions of the lane's source; what is past its end has no share
 *   p = softmax(s)   c = p M
 *   y = tanh([c, h] Wo^T)
 *
 *   backward   dz = dy (1 - y^2)        site attention.out    dWo += dz^T [c, h];  [dc, dh] = dz Wo
 *              dp = dc M^T              dM += p^T dc
 *              ds = p (dp - sum p dp)   site attention.scores  dq = ds M;  dM += ds^T q
 *              general: dq              site attention.in      dWq += dq^T h;  dh += dq Wq        dot: dh += dq
 *
 * M (S, W) of each lane is a weight to the engine: so are all products here its own. They are lane by lane, so q, c, s, p
 * and their gradients lie lane by lane (row b*T + t); h, y and dM lie time-major as everywhere else.
 */
import type { Tensor } from "../core/arena.ts";
import type { RandomStream } from "../core/random.ts";
import type { Kernels, Weight } from "../kernels/kernels.ts";
import { type ProductMacs, productMacs, setMacs } from "../sparse/macs.ts";
import { countRows } from "../sparse/pattern.ts";
import { dropRule } from "../sparse/rule.ts";
import { clearStatistics, nonzerosBefore, planStatistics, uncountRow } from "../sparse/statistics.ts";
import { Linear } from "./linear.ts";
import { type DropSite, type Parameter, type Pass, type Planner, Rows } from "./module.ts";
import { RowCopies } from "./row-copies.ts";

export const ATTENTIONS = ["none", "dot", "general"] as const;
export type AttentionKind = (typeof ATTENTIONS)[number];

export interface AttentionOptions {
  readonly kind: Exclude<AttentionKind, "none">;
  /** h, of whose width y is too. */
  readonly input: Rows;
  /** Width W of the memory's rows; `dot` needs that of h. */
  readonly memorySize: number;
  /** Positions S of the longest source. */
  readonly sourceLength: number;
  /** Weights below, whose gradient is made from that of the scores: what policies look at that steer by it. */
  readonly below: readonly Parameter[];
}

export class Attention {
  readonly name = "attention";
  readonly parameters: readonly Parameter[];
  readonly weights: readonly Weight[];
  readonly sites: readonly DropSite[];
  readonly macs: readonly ProductMacs[];
  readonly output: Rows; // (T*B, H)
  /** dLoss/dM of the last backward pass, (S*B, W), block s = position s. */
  readonly dMemory: Rows;
  /** p of the last forward pass, (B*T, S): row b*T + t, T the planned one. For whoever draws alignments. */
  readonly shares: Tensor;

  readonly #kernels: Kernels;
  readonly #copies: RowCopies;
  readonly #H: number;
  readonly #W: number;
  readonly #T: number; // rows of a lane
  readonly #S: number;
  readonly #in: Linear | undefined;
  readonly #out: Linear;
  readonly #memory: readonly Weight[]; // (S, W) for each lane
  readonly #dM: readonly Tensor[]; // (S, W) for each lane
  readonly #query: Tensor; // (B*T, W) by lane
  readonly #context: Tensor; // (B*T, W) by lane: c, then dc, then dq
  readonly #dScores: Tensor; // (B*T, S) by lane: dp, then ds
  readonly #both: Rows; // (T*B, W+H): [c, h]
  readonly #dx: Rows; // (T*B, H)
  readonly #dq: Tensor | undefined; // (T*B, W), dot: general has it in `#in`
  readonly #scores: DropSite;
  readonly #count: Record<"scores" | "context" | "dShares" | "dMemory" | "dQuery" | "dMemoryScores", ProductMacs>;
  #lengths: Int32Array | undefined; // of the sources remembered

  constructor(planner: Planner, { kind, input, memorySize: W, sourceLength: S, below }: AttentionOptions) {
    const { arena, kernels, T, B } = planner;
    this.#kernels = kernels;
    this.#copies = new RowCopies(arena);
    const H = input.tensor.rowLength;
    [this.#H, this.#W, this.#T, this.#S] = [H, W, T, S];
    this.#both = new Rows(arena.tensor("attention.both", [T * B, W + H], "activations"));
    const linear = (name: string, from: Rows, outputs: number) =>
      new Linear(planner, { name, input: from, outputs, bias: false, needsInputGradient: true });
    this.#in = kind === "general" ? linear("attention.in", input, W) : undefined;
    this.#out = linear("attention.out", this.#both, H);
    const lanes = <X>(make: (name: string) => X) => Array.from({ length: B }, (_, b) => make(`.lane${b}`));
    this.#memory = lanes((lane) =>
      // float32 whatever forward products are: its gradient is made from it.
      kernels.planWeight(arena.tensor(`attention.memory${lane}`, [S, W], "activations"), {
        rows: T,
        nt: true,
        nn: true,
      }),
    );
    this.#dM = lanes((lane) => arena.tensor(`attention.dMemory${lane}`, [S, W], "workspace"));
    kernels.planTN(T, S, W);
    this.#query = arena.tensor("attention.query", [B * T, W], "activations");
    this.#context = arena.tensor("attention.context", [B * T, W], "workspace");
    this.shares = arena.tensor("attention.shares", [B * T, S], "activations");
    this.#dScores = arena.tensor("attention.dScores", [B * T, S], "gateGradients");
    this.#dx = new Rows(arena.tensor("attention.dx", [T * B, H], "workspace"));
    this.#dq = this.#in ? undefined : arena.tensor("attention.dq", [T * B, W], "workspace");
    this.output = new Rows(arena.tensor("attention.y", [T * B, H], "activations"));
    this.dMemory = new Rows(arena.tensor("attention.dMemory", [S * B, W], "workspace"));

    const site = { name: "attention.scores", groups: ["scores"], rows: B * T, cols: S, weights: below.length };
    this.#scores = {
      site,
      weights: below,
      pattern: kernels.planPattern(site, this.#dScores),
      statistics: planStatistics(arena, site),
      rule: dropRule(1),
      watched: true,
      planPaths() {}, // what a path sees unpruned comes before the rule
    };
    const inputs = this.#in ? [this.#in] : [];
    this.parameters = [...inputs, this.#out].flatMap(({ parameters }) => parameters);
    this.weights = [...inputs, this.#out].flatMap(({ weights }) => weights);
    this.sites = [...inputs.flatMap(({ sites }) => sites), this.#scores, ...this.#out.sites];
    const product = (name: string, direction: "forward" | "backward"): ProductMacs => ({
      ...productMacs("attention.scores", name, direction, false),
      shape: [S, W],
    });
    this.#count = {
      scores: product("scores", "forward"),
      context: product("context", "forward"),
      dShares: product("dShares", "backward"),
      dMemory: product("dMemory", "backward"),
      dQuery: product("dx", "backward"),
      dMemoryScores: product("dW", "backward"),
    };
    this.macs = [...inputs.flatMap(({ macs }) => macs), ...Object.values(this.#count), ...this.#out.macs];
  }

  denseMacs(rows: number): number {
    const products = [this.#in, this.#out].reduce((sum, linear) => sum + (linear?.denseMacs(rows) ?? 0), 0);
    return products + 6 * rows * this.#S * this.#W;
  }

  initialize(random: RandomStream, scale?: number): void {
    this.#in?.initialize(random, scale);
    this.#out.initialize(random, scale);
  }

  /** Takes in an encoder's output for the passes to come: rows of `source`'s T*B, time-major. */
  remember(memory: Rows, { T: S, B, lengths }: Pass): void {
    this.#lengths = lengths;
    for (let b = 0; b < B; b++) {
      const weight = this.#memory[b]!;
      const length = lengths ? Math.min(S, lengths[b]!) : S;
      this.#kernels.clear(weight.tensor);
      for (let s = 0; s < length; s++)
        this.#copies.copy(weight.tensor, s, 0, memory.tensor, memory.row + s * B + b, 0, this.#W);
      this.#kernels.pack(weight);
    }
  }

  forward(h: Rows, pass: Pass): Rows {
    const { T, B } = pass;
    const kernels = this.#kernels;
    const copies = this.#copies;
    const [H, W, lane] = [this.#H, this.#W, this.#T];
    const query = this.#in ? this.#in.forward(h, pass) : h;
    for (let b = 0; b < B; b++) {
      const first = b * lane;
      const memory = this.#memory[b]!;
      for (let t = 0; t < T; t++) copies.copy(this.#query, first + t, 0, query.tensor, query.row + t * B + b, 0, W);
      this.shares.data.fill(0, first * this.#S, (first + T) * this.#S);
      kernels.gemmNT(this.shares, first, this.#query, first, memory, T);
      kernels.layers.softmax(this.shares, first, T, this.#lengthOf(b));
      this.#context.data.fill(0, first * W, (first + T) * W);
      kernels.gemmNN(this.#context, first, this.shares, first, memory, T);
      for (let t = 0; t < T; t++) {
        copies.copy(this.#both.tensor, t * B + b, 0, this.#context, first + t, 0, W);
        copies.copy(this.#both.tensor, t * B + b, W, h.tensor, h.row + t * B + b, 0, H);
      }
    }
    kernels.layers.tanh(this.output.tensor, this.#out.forward(this.#both, pass).tensor, T * B);
    this.#countForward(pass);
    return this.output;
  }

  /** dLoss/dh; leaves dLoss/dM in `dMemory`, time-major over `source`'s T*B rows. Rows of dy past a lane's end must be zero. */
  backward(dy: Rows, pass: Pass, source: Pass): Rows {
    const { T, B } = pass;
    const copies = this.#copies;
    const kernels = this.#kernels;
    const [H, W, lane] = [this.#H, this.#W, this.#T];
    kernels.layers.tanhGradient(this.#out.gradient.tensor, dy.tensor, dy.row, this.output.tensor, T * B);
    const dBoth = (this.#out.backward(this.#out.gradient, pass) as Rows).tensor;

    const dh = this.#dx.tensor;
    for (let row = 0; row < T * B; row++) copies.copy(dh, row, 0, dBoth, row, W, H);
    const dc = this.#context;
    for (let b = 0; b < B; b++) {
      const first = b * lane;
      const dM = this.#dM[b]!;
      for (let t = 0; t < T; t++) copies.copy(dc, first + t, 0, dBoth, t * B + b, 0, W);
      kernels.clear(dM);
      // Rows of the lane past T stay zero: the rule sweeps all of a lane, the same rows in every pass.
      this.#dScores.data.fill(0, first * this.#S, (first + lane) * this.#S);
      kernels.gemmNT(this.#dScores, first, dc, first, this.#memory[b]!, T);
      kernels.gemmTN(dM, this.shares, first, dc, first, T);
      kernels.layers.softmaxGradient(this.#dScores, this.shares, first, T);
    }
    this.#throughScores(pass);
    for (let s = 0; s < source.T; s++)
      for (let b = 0; b < B; b++) copies.copy(this.dMemory.tensor, s * B + b, 0, this.#dM[b]!, s, 0, W);

    // #context now holds dq. With dot, W = H.
    const dq = this.#in?.gradient.tensor ?? (this.#dq as Tensor);
    for (let b = 0; b < B; b++)
      for (let t = 0; t < T; t++) copies.copy(dq, t * B + b, 0, this.#context, b * lane + t, 0, W);
    const more = this.#in ? (this.#in.backward(this.#in.gradient, pass) as Rows).tensor : dq;
    kernels.addRows(dh, 0, more, 0, T * B);
    return this.#dx;
  }

  /** The site of the scores: ds by the rule, dq (over #context) and dM. */
  #throughScores(pass: Pass): void {
    const { T, B, lengths, watcher } = pass;
    const kernels = this.#kernels;
    const lane = this.#T;
    const { pattern, rule, statistics, watched, site } = this.#scores;
    const sparse = rule.kind !== "keep";
    const prunedQ = sparse && rule.paths !== "dW";
    const prunedM = sparse && rule.paths !== "dh";
    let [there, kept, qExecuted, mExecuted] = [0, 0, 0, 0];
    const all = T * this.#S * this.#W;
    clearStatistics(statistics);
    this.#context.data.fill(0, 0, B * lane * this.#W);
    for (let b = 0; b < B; b++) {
      const first = b * lane;
      const memory = this.#memory[b]!;
      const dM = this.#dM[b]!;
      if (!prunedQ) kernels.gemmNN(this.#context, first, this.#dScores, first, memory, T);
      if (!prunedM) kernels.gemmTN(dM, this.#dScores, first, this.#query, first, T);
      const length = this.#lengthOf(b);
      const positions = lengths ? Math.min(T, lengths[b]!) : T;
      there += positions * length;
      if (sparse || watched) {
        for (let t = 0; rule.residue && t < lane; t++)
          clearColumns(rule.residue, first + t, t < positions ? length : 0);
        kernels.compress(pattern, first, lane, rule, statistics);
        for (let t = 0; t < lane; t++)
          uncountRow(statistics, site, first + t, t < positions ? this.#S - length : this.#S);
        watcher?.afterChunk?.(this.#scores, b * T, T, B * T, first);
        kept += countRows(pattern, first, T);
      } else kept += positions * length;
      if (prunedQ) qExecuted += kernels.spmmNN(this.#context, first, pattern, first, memory, T);
      else qExecuted += all;
      if (prunedM) mExecuted += kernels.spmmTN(dM, pattern, first, this.#query, first, T);
      else mExecuted += all;
    }
    const seen = sparse ? nonzerosBefore(statistics) : kept;
    const width = this.#W;
    const { dQuery, dMemoryScores } = this.#count;
    setMacs(dQuery, there * width, (there - (prunedQ ? kept : seen)) * width, qExecuted);
    setMacs(dMemoryScores, there * width, (there - (prunedM ? kept : seen)) * width, mExecuted);
    setMacs(this.#count.dShares, there * width, 0, all * B);
    setMacs(this.#count.dMemory, there * width, 0, all * B);
  }

  #countForward({ T, B, lengths }: Pass): void {
    let there = 0;
    for (let b = 0; b < B; b++) there += (lengths ? Math.min(T, lengths[b]!) : T) * this.#lengthOf(b);
    const all = T * B * this.#S * this.#W;
    setMacs(this.#count.scores, there * this.#W, 0, all);
    setMacs(this.#count.context, there * this.#W, 0, all);
  }

  #lengthOf(lane: number): number {
    return this.#lengths ? Math.min(this.#S, this.#lengths[lane]!) : this.#S;
  }
}

/** Zeroes a row of a matrix from a column on. */
function clearColumns({ data, rowLength }: Tensor, row: number, from: number): void {
  data.fill(0, row * rowLength + from, (row + 1) * rowLength);
}
