/**
 * Records traces (sparse/trace.ts) of chosen steps. It looks at the step's own passes through `Pass.watcher`, in front
 * of a watcher that is there already, and changes nothing: a training with a recorder has the same bits as one without.
 */
import { check, GatesieveError } from "../core/check.ts";
import type { CellStep } from "../kernels/kernels.ts";
import type { DropSite, Pass, PassWatcher } from "../nn/module.ts";
import { paddedPositions } from "../nn/padding.ts";
import type { Pattern } from "../sparse/pattern.ts";
import type { Site } from "../sparse/site.ts";
import { SUM_COLUMNS } from "../sparse/statistics.ts";
import {
  type ProductForm,
  type TracePointwise,
  type TraceProduct,
  type TraceSite,
  type TraceStep,
  wordsOf,
} from "../sparse/trace.ts";
import type { Trainer } from "./trainer.ts";

/** Shares of training that are recorded if nothing is said: early, in the middle, late. */
export const TRACE_SHARES = [0.05, 0.5, 1] as const;

export function defaultTraceSteps(maxSteps: number): number[] {
  return [...new Set(TRACE_SHARES.map((share) => Math.max(1, Math.round(share * maxSteps))))];
}

const FORMS: Readonly<Record<string, ProductForm>> = {
  ...{ xW: "NT", hU: "NT", dh: "NN", dx: "NN", dW: "TN", dU: "TN" },
  ...{ qk: "NT", pv: "NN", dp: "NT", dq: "NN", dk: "TN", dv: "TN" }, // of attention, lane by lane
  ...{ scores: "NT", context: "NN", dShares: "NT", dMemory: "TN" }, // of a decoder's attention, beside dx and dW
};
const BY_TIME = new Set(["hU", "dh"]);
const HIDDEN = new Set(["hU", "dh", "dU"]);
/** A decoder's attention: the site of its scores, and which of the products of that name are made from its gradients. */
const SCORES = "attention.scores";
const SCORED = new Set(["dx", "dW"]);

export class TraceRecorder implements PassWatcher {
  readonly recorded: TraceStep[] = [];
  readonly #trainer: Trainer;
  readonly #steps: ReadonlySet<number>;
  readonly #bitmaps = new Map<DropSite, Uint32Array>(); // of the step at hand
  #inner: PassWatcher | undefined;

  constructor(trainer: Trainer, steps: readonly number[]) {
    const { maxSteps } = trainer.options;
    for (const step of steps)
      check(
        Number.isInteger(step) && step >= 1 && step <= maxSteps,
        `step ${step} cannot be traced: this run has steps 1 to ${maxSteps}. Give steps within it, for example ${defaultTraceSteps(maxSteps).join(",")}.`,
      );
    this.#trainer = trainer;
    this.#steps = new Set(steps);
  }

  due(step: number): boolean {
    return this.#steps.has(step);
  }

  /** Before a chosen step, after whoever else watches it. */
  before(): void {
    const { pass } = this.#trainer.model;
    this.#bitmaps.clear();
    this.#inner = pass.watcher;
    pass.watcher = this;
  }

  after(): void {
    const { model, report, steps } = this.#trainer;
    model.pass.watcher = this.#inner;
    this.#inner = undefined;
    const drops = [...model.sites, model.head.site];
    this.recorded.push({
      step: steps,
      loss: report.loss,
      sites: drops.flatMap((drop) => {
        const bitmap = this.#bitmaps.get(drop);
        return bitmap ? [this.#siteOf(drop, bitmap)] : [];
      }),
      products: this.#products(drops),
      pointwise: this.#pointwise(),
    });
    this.#bitmaps.clear();
  }

  beforeBackward(layer: string, step: Readonly<CellStep>, from: number, steps: number, lengths: Pass["lengths"]): void {
    this.#inner?.beforeBackward(layer, step, from, steps, lengths);
  }

  afterSweep(drop: DropSite, t: number, pattern: Pattern): void {
    this.#inner?.afterSweep(drop, t, pattern);
    // Under a rule that keeps all of a site nobody watches nothing is indexed.
    if (drop.rule.kind === "keep" && !drop.watched) return;
    const { B } = this.#trainer.model.pass;
    this.#copy(drop, pattern, t * B - pattern.firstRow, t * B, B, this.#rowsOf(drop.site));
  }

  afterChunk(drop: DropSite, start: number, rows: number, positions: number, from = 0): void {
    this.#inner?.afterChunk?.(drop, start, rows, positions, from);
    if (drop.rule.kind === "keep" && !drop.watched) return;
    this.#copy(drop, drop.pattern, from, start, rows, positions);
  }

  /** The pass that a layer runs in: an encoder has its own. */
  #passOf(layer: string): Readonly<Pass> {
    const { model } = this.#trainer;
    return layer.startsWith("encoder.") && model.encoderDecoder
      ? model.encoderDecoder.sourcePass
      : model.trim(model.pass);
  }

  /** Of a step, padding among them. */
  #rowsOf({ name }: Pick<Site, "name">): number {
    const { T, B } = this.#passOf(name);
    return name === "head" && this.#trainer.model.spec.output.positions === "last" ? B : T * B;
  }

  /** Rows of padding: of the head those whose gradients count nowhere. */
  #padded(drop: DropSite): number {
    const { cols } = drop.site;
    if (drop === this.#trainer.model.head.site) {
      const [counted] = drop.statistics.sums.data;
      return this.#rowsOf(drop.site) - counted! / cols;
    }
    const pass = this.#passOf(drop.site.name);
    return paddedPositions(pass, 0, pass.T);
  }

  /** Columns of a step: scores stand beside the positions of the longest source in it. */
  #colsOf({ name, cols }: Pick<Site, "name" | "cols">): number {
    const { encoderDecoder } = this.#trainer.model;
    return name === SCORES && encoderDecoder ? Math.min(cols, encoderDecoder.sourcePass.T) : cols;
  }

  #copy(drop: DropSite, pattern: Pattern, from: number, to: number, rows: number, all: number): void {
    const words = wordsOf(drop.site.cols);
    let bitmap = this.#bitmaps.get(drop);
    if (!bitmap) {
      bitmap = new Uint32Array(all * words);
      this.#bitmaps.set(drop, bitmap);
    }
    bitmap.set(pattern.bitmap.data.subarray(from * words, (from + rows) * words), to * words);
  }

  #products(drops: readonly DropSite[]): TraceProduct[] {
    const { macs, recurrent, pass } = this.#trainer.model;
    return macs.flatMap(({ layer, product, direction, shape, dense, skipped }): TraceProduct[] => {
      if (dense === 0) return []; // a look-up, or nobody below wants it
      const drop = drops.find(({ site }) => site.name === layer);
      const form = FORMS[product];
      if (!drop && shape && form) return [withoutSite(layer, product, direction, form, shape, dense)];
      const weight = drop?.weights[HIDDEN.has(product) ? 1 : 0]?.value;
      const k = shape?.[1] ?? weight?.rowLength;
      if (!drop || !form || k === undefined)
        throw new GatesieveError(
          `a trace cannot tell the shape of product ${product} of ${layer}: it belongs to no site. Trace a net of Gatesieve's own.`,
        );
      const n = this.#colsOf(drop.site);
      // No dh is made from the first time step, unless somebody wants the gradient of the states there.
      const handsOn = recurrent.find(({ name }) => name === layer)?.options.stateGradients === true;
      const firstRow = product === "dh" && !handsOn ? pass.B : 0;
      const m = this.#rowsOf(drop.site) - firstRow;
      const { kind, paths } = drop.rule;
      // Of a path that the rule leaves alone the pattern is not known.
      const seen = kind === "keep" || paths === "both" || paths === (form === "TN" ? "dW" : "dh");
      const own = drop.site.name !== SCORES || SCORED.has(product);
      const site = own && direction === "backward" && seen && this.#bitmaps.has(drop) ? layer : null;
      // Padding is in no count of the training: here it is zeros like others.
      const padding = site === null ? 0 : m * n * k - dense;
      const block = BY_TIME.has(product) ? pass.B : m;
      return [{ layer, product, direction, form, m, n, k, block, site, firstRow, skipped: skipped + padding }];
    });
  }

  #pointwise(): TracePointwise[] {
    const { recurrent, head, layers, pass, encoderDecoder } = this.#trainer.model;
    const rows = pass.T * pass.B;
    const { site } = head.site;
    const scores = encoderDecoder?.attention?.sites.find((drop) => drop.site.name === SCORES)?.site;
    const decoded = this.#rowsOf({ name: SCORES });
    return [
      ...recurrent.map(({ name, cell, options }) => ({
        layer: name,
        kind: cell.name,
        rows: this.#rowsOf({ name }),
        width: options.hiddenSize,
        gates: cell.gates.length,
      })),
      ...(encoderDecoder?.attention && scores
        ? [
            { layer: SCORES, kind: "softmax", rows: decoded, width: this.#colsOf(scores), gates: 1 },
            {
              layer: "attention.out",
              kind: "tanh",
              rows: decoded,
              width: encoderDecoder.output.tensor.rowLength,
              gates: 1,
            },
          ]
        : []),
      ...layers.flatMap(({ pointwise = [] }) =>
        pointwise.map((part) => ({ ...part, rows: part.rows * rows, gates: 1 })),
      ),
      { layer: "head", kind: "softmax", rows: this.#rowsOf(site), width: site.cols, gates: 1 },
    ];
  }

  #siteOf(drop: DropSite, bitmap: Uint32Array): TraceSite {
    const { site, rule, statistics } = drop;
    const cols = this.#colsOf(site);
    const rows = this.#rowsOf(site);
    const hasTau = rule.kind === "threshold" || rule.kind === "stochastic";
    const sums = statistics.sums.data;
    return {
      name: site.name,
      rule: rule.kind,
      paths: rule.paths,
      rows,
      padded: this.#padded(drop),
      cols,
      groups: site.groups.map((group, g) => {
        const [total, naturalZeros, kept, squares, keptSquares] = sums.subarray(
          g * SUM_COLUMNS,
          (g + 1) * SUM_COLUMNS,
        ) as unknown as [number, number, number, number, number];
        const tau = rule.tau[g] as number;
        return { group, tau: hasTau && tau >= 0 ? tau : null, total, naturalZeros, kept, squares, keptSquares };
      }),
      bitmap: cols < site.cols ? withColumns(bitmap, rows, wordsOf(site.cols), wordsOf(cols)) : bitmap,
    };
  }
}

/** A product between activations: no site's gradients are among its operands. */
function withoutSite(
  layer: string,
  product: string,
  direction: TraceProduct["direction"],
  form: ProductForm,
  [n, k]: readonly [number, number],
  dense: number,
): TraceProduct {
  const m = dense / (n * k);
  return { layer, product, direction, form, m, n, k, block: m, site: null, firstRow: 0, skipped: 0 };
}

/** The first words of each row. */
function withColumns(bitmap: Uint32Array, rows: number, from: number, to: number): Uint32Array {
  const cut = new Uint32Array(rows * to);
  for (let r = 0; r < rows; r++) cut.set(bitmap.subarray(r * from, r * from + to), r * to);
  return cut;
}
