/**
 * Records traces (sparse/trace.ts) of chosen steps. It looks at the step's own passes through `Pass.watcher`, in front
 * of a watcher that is there already, and changes nothing: a training with a recorder has the same bits as one without.
 */
import { check, GatesieveError } from "../core/check.ts";
import type { CellStep } from "../kernels/kernels.ts";
import type { DropSite, Pass, PassWatcher } from "../nn/module.ts";
import type { Pattern } from "../sparse/pattern.ts";
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
};
const BY_TIME = new Set(["hU", "dh"]);
const HIDDEN = new Set(["hU", "dh", "dU"]);

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
    if (this.#trainer.model.encoderDecoder)
      throw new GatesieveError(
        "a model that reads one sequence and writes another cannot be traced: its products have shapes of their own in every step.",
      );
    // Shapes of products would be those of no step: padding is in no count.
    if (pass.lengths?.some((length) => length < pass.T))
      throw new GatesieveError(
        `step ${this.#trainer.steps + 1} cannot be traced: its sequences have different lengths. Trace a task whose batches are full.`,
      );
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
        return bitmap ? [siteOf(drop, bitmap)] : [];
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
    const { T, B } = this.#trainer.model.pass;
    this.#copy(drop, pattern, t * B - pattern.firstRow, t * B, B, T * B);
  }

  afterChunk(drop: DropSite, start: number, rows: number, positions: number): void {
    this.#inner?.afterChunk?.(drop, start, rows, positions);
    if (drop.rule.kind === "keep" && !drop.watched) return;
    this.#copy(drop, drop.pattern, 0, start, rows, positions);
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
    const { macs, pass } = this.#trainer.model;
    return macs.flatMap(({ layer, product, direction, shape, dense, skipped }): TraceProduct[] => {
      if (dense === 0) return []; // a look-up, or nobody below wants it
      const drop = drops.find(({ site }) => site.name === layer);
      const form = FORMS[product];
      if (shape && form) return [withoutSite(layer, product, direction, form, shape, dense)];
      if (!drop || !form)
        throw new GatesieveError(
          `a trace cannot tell the shape of product ${product} of ${layer}: it belongs to no site. Trace a net of Gatesieve's own.`,
        );
      const weight = drop.weights[HIDDEN.has(product) ? 1 : 0]?.value;
      const k = weight?.rowLength as number;
      const n = drop.site.cols;
      const m = dense / (n * k);
      const { kind, paths } = drop.rule;
      // Of a path that the rule leaves alone the pattern is not known.
      const seen = kind === "keep" || paths === "both" || paths === (form === "TN" ? "dW" : "dh");
      const backward = direction === "backward";
      return [
        {
          layer,
          product,
          direction,
          form,
          m,
          n,
          k,
          block: BY_TIME.has(product) ? pass.B : m,
          site: backward && seen && this.#bitmaps.has(drop) ? layer : null,
          firstRow: product === "dh" ? pass.B : 0,
          skipped,
        },
      ];
    });
  }

  #pointwise(): TracePointwise[] {
    const { recurrent, head, layers, spec, pass, macs } = this.#trainer.model;
    const rows = pass.T * pass.B;
    const { cols } = head.site.site;
    const logits = (macs.find(({ layer }) => layer === "head")?.dense ?? 0) / head.dx.tensor.rowLength;
    return [
      ...recurrent.map(({ name, cell }) => ({
        layer: name,
        kind: cell.name,
        rows,
        width: spec.hiddenSize,
        gates: cell.gates.length,
      })),
      ...layers.flatMap(({ pointwise = [] }) =>
        pointwise.map((part) => ({ ...part, rows: part.rows * rows, gates: 1 })),
      ),
      { layer: "head", kind: "softmax", rows: logits / cols, width: cols, gates: 1 },
    ];
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

function siteOf(drop: DropSite, bitmap: Uint32Array): TraceSite {
  const { site, rule, statistics } = drop;
  const { cols } = site;
  const hasTau = rule.kind === "threshold" || rule.kind === "stochastic";
  const sums = statistics.sums.data;
  return {
    name: site.name,
    rule: rule.kind,
    paths: rule.paths,
    rows: bitmap.length / wordsOf(cols),
    cols,
    groups: site.groups.map((group, g) => {
      const [total, naturalZeros, kept, squares, keptSquares] = sums.subarray(
        g * SUM_COLUMNS,
        (g + 1) * SUM_COLUMNS,
      ) as unknown as [number, number, number, number, number];
      const tau = rule.tau[g] as number;
      return { group, tau: hasTau && tau >= 0 ? tau : null, total, naturalZeros, kept, squares, keptSquares };
    }),
    bitmap,
  };
}
