/**
 * Errors of forecasts: mean absolute and root mean squared error, and MASE, the mean absolute scaled error of Hyndman
 * and Koehler 2006: the absolute error over that of the naive forecast, one row ahead, in the training part (with a
 * period: of the seasonal naive forecast). Beside them the naive forecasts of the very same rows.
 *
 *   naive           the last row read, for every row of the horizon
 *   seasonal naive  the row one period (or as many as needed) before
 */
import type { RealArray } from "../core/arena.ts";
import type { ScoreRow, Scorer } from "./task.ts";

/** What a forecaster learnt of its training part besides weights; kept with the model. */
export interface ForecastingEncoding {
  readonly columns: readonly string[];
  /** Columns that are forecast, by their number. */
  readonly targets: readonly number[];
  readonly horizon: number;
  /** Rows of a season; 1: none. */
  readonly period: number;
  /** By column. */
  readonly mean: readonly number[];
  readonly deviation: readonly number[];
  /** What changes are named against: the last row, or the row one period before (or as many as needed). */
  readonly reference: "last" | "season";
  /** By target: root mean square of these changes in the training part. */
  readonly scale: readonly number[];
  /** By target: mean absolute error of the naive forecast (seasonal, with a period) in the training part. */
  readonly naiveError: readonly number[];
}

/** Rows from the row that is forecast, h after the first, back to its reference. */
export function rowsBack({ reference, period }: Pick<ForecastingEncoding, "reference" | "period">, h: number): number {
  return reference === "last" ? h + 1 : period * Math.ceil((h + 1) / period);
}

/** What was said one row ahead, and what came: for anomalies. */
export interface AheadForecasts {
  /** Row of the series that the first forecast is of. */
  readonly firstRow: number;
  /** (rows, targets) */
  readonly actual: readonly number[];
  readonly expected: readonly number[];
}

export class ForecastScorer implements Scorer {
  readonly #values: Float64Array;
  readonly #encoding: ForecastingEncoding;
  readonly #firstRow: number;
  #actual: number[] | undefined; // one row ahead, where somebody asks
  #expected: number[] | undefined;
  #row: number; // of the next window's target
  #count = 0; // forecast rows
  /** (target, 4): absolute errors, squared errors, the naive's and the seasonal naive's absolute errors. */
  readonly #sums: Float64Array;

  constructor(values: Float64Array, encoding: ForecastingEncoding, firstRow: number) {
    this.#values = values;
    this.#encoding = encoding;
    this.#firstRow = firstRow;
    this.#row = firstRow;
    this.#sums = new Float64Array(encoding.targets.length * 4);
  }

  add(outputs: RealArray, _batch: unknown, lanes: number): void {
    const { columns, targets, horizon, period, scale } = this.#encoding;
    const size = columns.length;
    const sums = this.#sums;
    for (let b = 0; b < lanes; b++, this.#row++)
      for (let h = 0; h < horizon; h++, this.#count++)
        for (let k = 0; k < targets.length; k++) {
          const c = targets[k] as number;
          const at = (row: number) => this.#values[row * size + c] as number;
          const truth = at(this.#row + h);
          const last = at(this.#row - 1);
          const change = (outputs[(b * horizon + h) * targets.length + k] as number) * scale[k]!;
          const said = at(this.#row + h - rowsBack(this.#encoding, h)) + change;
          const season = this.#row + h - rowsBack({ reference: "season", period }, h);
          if (h === 0) {
            this.#actual?.push(truth);
            this.#expected?.push(said);
          }
          sums[k * 4]! += Math.abs(truth - said);
          sums[k * 4 + 1]! += (truth - said) ** 2;
          sums[k * 4 + 2]! += Math.abs(truth - last);
          sums[k * 4 + 3]! += Math.abs(truth - at(Math.max(0, season)));
        }
  }

  /** The series that is forecast, (rows, columns). */
  get series(): Float64Array {
    return this.#values;
  }

  /** Keeps what is added from now on for `ahead`. */
  watch(): void {
    this.#actual = [];
    this.#expected = [];
  }

  /** What was said one row ahead since `watch`. */
  get ahead(): AheadForecasts {
    return { firstRow: this.#firstRow, actual: this.#actual ?? [], expected: this.#expected ?? [] };
  }

  /** In the column's unit where one is forecast; of several the means, errors in deviations of the training part. */
  scores(): Record<string, number> {
    const rows = this.table();
    const { targets, deviation, period } = this.#encoding;
    const unit = (k: number) => (targets.length > 1 ? deviation[targets[k] as number]! : 1);
    const mean = (key: string, scaled = true) =>
      rows.reduce((sum, row, k) => sum + (row[key] as number) / (scaled ? unit(k) : 1), 0) / rows.length;
    return {
      mae: mean("mae"),
      rmse: mean("rmse"),
      mase: mean("mase", false),
      naiveMae: mean("naiveMae"),
      ...(period > 1 ? { seasonalNaiveMae: mean("seasonalNaiveMae") } : {}),
    };
  }

  table(): ScoreRow[] {
    const { columns, targets, naiveError, period } = this.#encoding;
    return targets.map((c, k) => {
      const [absolute, squared, naive, seasonal] = Array.from(
        this.#sums.subarray(k * 4, k * 4 + 4),
        (sum) => sum / this.#count,
      ) as [number, number, number, number];
      return {
        column: columns[c] as string,
        mae: absolute,
        rmse: Math.sqrt(squared),
        mase: absolute / naiveError[k]!,
        naiveMae: naive,
        ...(period > 1 ? { seasonalNaiveMae: seasonal } : {}),
      };
    });
  }
}

/** By target: mean absolute difference of rows `period` apart among the first `rows`; the smallest number where all are alike. */
export function inSampleErrors(
  values: Float64Array,
  size: number,
  targets: readonly number[],
  rows: number,
  period: number,
): number[] {
  return targets.map((c) => {
    let sum = 0;
    for (let row = period; row < rows; row++)
      sum += Math.abs(values[row * size + c]! - values[(row - period) * size + c]!);
    return sum / (rows - period) || Number.EPSILON;
  });
}
