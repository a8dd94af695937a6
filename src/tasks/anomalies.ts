/**
 * Anomalies of a series: rows far from what a forecaster expected one row before.
 *
 *   e = actual - expected                         one row ahead, of each target
 *   spread = 1.4826 median |e - median e|         of rows that are taken as normal
 *   score = max over targets  |e - median e| / spread
 *
 * The median absolute deviation, times 1.4826 a Gaussian's standard deviation, is hardly moved by the anomalies themselves,
 * where a standard deviation would hide them (Hampel 1974). A row is an anomaly if its score is above a limit: one that a
 * given share of the normal rows is above, or one that is given.
 *
 * A forecast reads the rows before it, so a fault spoils those after it as well. `repairAhead` goes on from the row's own
 * forecast where the row is an anomaly: detected outliers are masked.
 */
import { check } from "../core/check.ts";
import { type AheadForecasts, type ForecastingEncoding, ForecastScorer, rowsBack } from "./forecast-scores.ts";
import { forecastingTask } from "./forecasting.ts";
import type { Task } from "./task.ts";

/** Errors of rows that are taken as normal: what others are measured by. */
export interface NormalErrors {
  /** By target. */
  readonly median: readonly number[];
  readonly spread: readonly number[];
  /** Of the normal rows themselves, ascending. */
  readonly scores: Float64Array;
}

/** Scores of one series' rows, from `firstRow` on; the rows before it are what the first forecast reads. */
export interface RowScores {
  readonly firstRow: number;
  readonly scores: Float64Array;
  /** By row: the target whose error is the score. */
  readonly worst: Uint32Array;
}

/** What a forecaster says one row ahead, of each row of the split on which `task` is evaluated next. */
export class AheadWatch {
  readonly task: Task;
  #scorer: ForecastScorer | undefined;

  /** Throws a UsageError for a task that is no forecast. */
  constructor(task: Task) {
    check(task.name === "forecasting", `anomalies are found by a forecaster; this is a model of task ${task.name}.`);
    this.task = {
      ...task,
      scorer: (split, shape) => {
        const scorer = task.scorer?.(split, shape);
        if (!(scorer instanceof ForecastScorer)) throw new TypeError("forecasts are scored by ForecastScorer");
        scorer.watch();
        this.#scorer = scorer;
        return scorer;
      },
    };
  }

  get ahead(): AheadForecasts {
    return this.#evaluated.ahead;
  }

  /** The series, (rows, columns). */
  get series(): Float64Array {
    return this.#evaluated.series;
  }

  get #evaluated(): ForecastScorer {
    if (!this.#scorer) throw new TypeError("nothing has been evaluated yet");
    return this.#scorer;
  }
}

const GAUSSIAN = 1.4826; // 1 / (third quartile of a standard normal)

export function normalErrors(ahead: AheadForecasts, targets: number): NormalErrors {
  const rows = ahead.actual.length / targets;
  check(rows >= 2, `only ${rows} rows are there to say what is normal; at least 2 are needed, better hundreds.`);
  const median: number[] = [];
  const spread: number[] = [];
  for (let k = 0; k < targets; k++) {
    const errors = Float64Array.from({ length: rows }, (_, row) => errorOf(ahead, row * targets + k)).sort();
    const middle = quantile(errors, 0.5);
    const away = errors.map((error) => Math.abs(error - middle)).sort();
    median.push(middle);
    // Where more than half of all errors are alike: the smallest spread that numbers of this size have.
    spread.push(GAUSSIAN * quantile(away, 0.5) || Number.EPSILON * Math.max(1, away.at(-1) as number));
  }
  const { scores } = scoreRows(ahead, { median, spread });
  return { median, spread, scores: scores.sort() };
}

type Usual = Pick<NormalErrors, "median" | "spread">;

/** Spreads between what was expected of target k and what came, at place `at` of the forecasts. */
function distanceOf(ahead: AheadForecasts, at: number, { median, spread }: Usual, k: number): number {
  return Math.abs(errorOf(ahead, at) - median[k]!) / spread[k]!;
}

export function scoreRows(ahead: AheadForecasts, usual: Usual): RowScores {
  const targets = usual.median.length;
  const rows = ahead.actual.length / targets;
  const scores = new Float64Array(rows);
  const worst = new Uint32Array(rows);
  for (let row = 0; row < rows; row++)
    for (let k = 0; k < targets; k++) {
      const score = distanceOf(ahead, row * targets + k, usual, k);
      if (score <= scores[row]!) continue;
      scores[row] = score;
      worst[row] = k;
    }
  return { firstRow: ahead.firstRow, scores, worst };
}

/** Rows in succession that forecasts may stand in for, if nothing is said: the best of 1, 2, 3, 5 in bench/anomalies.mjs. */
export const DEFAULT_REPAIR = 1;

export interface RepairOptions {
  readonly encoding: ForecastingEncoding;
  /**
   * Rows in succession that a forecast may stand in for; 0: none. After so many the series is believed: it has moved, and
   * forecasts read it as it came, these rows too.
   */
  readonly most: number;
  /** Rows that a forecast reads. */
  readonly T: number;
  /** What is said one row ahead in a short series, a task whose test split is all of it. */
  forecast(task: Task): AheadForecasts | Promise<AheadForecasts>;
}

export interface RepairedForecasts extends AheadForecasts {
  /** By row: 1 where its value is an anomaly that no later forecast has read. */
  readonly repaired: Uint8Array;
}

/**
 * What is expected of each row where rows before it that are anomalies read as they were expected themselves, from the
 * first row to the last. `found`: of the series as it is; only rows that reach back to an anomaly are forecast again.
 */
export async function repairAhead(
  found: AheadForecasts,
  series: Float64Array,
  normal: NormalErrors,
  limit: number,
  { encoding, most, T, forecast }: RepairOptions,
): Promise<RepairedForecasts> {
  const { columns, targets, horizon } = encoding;
  check(Number.isInteger(most) && most >= 0, `repair is ${most}; give a whole number of rows, 0 for none.`);
  const size = columns.length;
  const rows = found.actual.length / targets.length;
  const reach = Math.max(T, rowsBack(encoding, 0));
  const values = series.slice();
  const expected = [...found.expected];
  const repaired = new Uint8Array(rows);
  const now: RepairedForecasts = { firstRow: found.firstRow, actual: found.actual, expected, repaired };
  const again = async (from: number): Promise<void> => {
    const to = Math.min(rows, from + reach);
    if (from >= to) return;
    const [first, end] = [found.firstRow + from - reach, found.firstRow + to + horizon - 1];
    const part = { columns, values: values.slice(first * size, end * size) };
    const said = await forecast(forecastingTask({ name: "the series", encoding, series: part, allTest: true }));
    for (const [i, value] of said.expected.entries()) expected[from * targets.length + i] = value;
  };
  let streak = 0;
  for (let row = 0; row < rows; row++) {
    const at = (found.firstRow + row) * size;
    const far = targets.flatMap((c, k) =>
      distanceOf(now, row * targets.length + k, normal, k) > limit ? [{ c, k }] : [],
    );
    streak = far.length > 0 ? streak + 1 : 0;
    if (streak === 0 || most === 0 || streak > most + 1) continue;
    if (streak <= most) for (const { c, k } of far) values[at + c] = expected[row * targets.length + k] as number;
    else values.set(series.subarray(at - most * size, at), at - most * size);
    repaired.fill(streak <= most ? 1 : 0, streak <= most ? row : row - most, row + 1);
    await again(row + 1);
  }
  return now;
}

/** A row of a series beside what was expected of it one row before. */
export interface RowScore {
  /** In the series, from 0. */
  readonly index: number;
  /** Distance from what was expected in spreads of the normal errors; of several targets the largest. */
  readonly score: number;
  readonly anomaly: boolean;
  /** The target with that distance. */
  readonly column: string;
  readonly actual: number;
  readonly expected: number;
  /** An anomaly in whose place later forecasts have read what was expected. */
  readonly repaired: boolean;
}

export function judgeRows(
  ahead: RepairedForecasts,
  normal: NormalErrors,
  limit: number,
  { columns, targets }: Pick<ForecastingEncoding, "columns" | "targets">,
): RowScore[] {
  const { firstRow, scores, worst } = scoreRows(ahead, normal);
  return Array.from(scores, (score, row) => {
    const k = worst[row] as number;
    const at = row * targets.length + k;
    return {
      index: firstRow + row,
      score,
      anomaly: score > limit,
      column: columns[targets[k] as number] as string,
      actual: ahead.actual[at] as number,
      expected: ahead.expected[at] as number,
      repaired: ahead.repaired[row] === 1,
    };
  });
}

export const DEFAULT_RATE = 0.01;

/** The limit that a share `rate` of the normal rows is above; without a rate `DEFAULT_RATE` of them, and at least one row. */
export function limitFor(rate: number | undefined, { scores }: NormalErrors): number {
  const share = rate ?? Math.max(DEFAULT_RATE, 1 / scores.length);
  check(
    share > 0 && share < 1,
    `rate is ${share}; give the share of normal rows that may be flagged, between 0 and 1.`,
  );
  const allowed = Math.floor(share * scores.length);
  check(
    allowed >= 1,
    `a rate of ${share} cannot be told from ${scores.length} normal rows; give at least ${(1 / scores.length).toPrecision(2)}, more normal rows, or a limit.`,
  );
  return scores[scores.length - 1 - allowed] as number;
}

/** How well scores tell anomalies from other rows. NaN where there are none of either. */
export interface DetectionScores extends Readonly<Record<string, number>> {
  readonly precision: number;
  readonly recall: number;
  readonly f1: number;
  /** Mean over the anomalies of the precision at their score: no limit is in it (rows of equal score count together). */
  readonly averagePrecision: number;
}

/** `labels`: whether the row of that score is an anomaly. */
export function detectionScores(scores: ArrayLike<number>, labels: ArrayLike<boolean>, limit: number): DetectionScores {
  const order = Array.from(scores, (_, row) => row).sort((a, b) => scores[b]! - scores[a]!);
  let [hits, flagged, anomalies] = [0, 0, 0];
  for (const row of order) {
    if (labels[row]) anomalies++;
    if (scores[row]! <= limit) continue;
    flagged++;
    if (labels[row]) hits++;
  }
  let [seen, found, sum] = [0, 0, 0];
  while (seen < order.length) {
    const score = scores[order[seen]!];
    let here = 0;
    for (; seen < order.length && scores[order[seen]!] === score; seen++) if (labels[order[seen]!]) here++;
    found += here;
    sum += (here * found) / seen;
  }
  const [precision, recall] = [hits / flagged, hits / anomalies];
  const f1 = (2 * hits) / (flagged + anomalies);
  return { precision, recall, f1, averagePrecision: sum / anomalies };
}

function errorOf({ actual, expected }: AheadForecasts, at: number): number {
  return actual[at]! - expected[at]!;
}

/** Of ascending values; between two of them, linear. */
function quantile(ascending: Float64Array, share: number): number {
  const at = share * (ascending.length - 1);
  const low = Math.floor(at);
  const high = Math.min(low + 1, ascending.length - 1);
  return ascending[low]! + (at - low) * (ascending[high]! - ascending[low]!);
}
