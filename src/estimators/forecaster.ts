/**
 * The next rows of a series, in one call.
 *
 *   const model = await forecaster(gru({ hiddenSize: 32 })).fit(series, { horizon: 7 });
 *   model.predict();        // the 7 values after the end of the series
 *   model.predict(others);  // those after the end of another one
 */
import type { RealArray } from "../core/arena.ts";
import { check, UsageError } from "../core/check.ts";
import {
  AheadWatch,
  DEFAULT_REPAIR,
  judgeRows,
  limitFor,
  normalErrors,
  type RowScore,
  repairAhead,
} from "../tasks/anomalies.ts";
import { rowsBack } from "../tasks/forecast-scores.ts";
import { type ForecastingEncoding, forecastingTask, type Series } from "../tasks/forecasting.ts";
import type { Task } from "../tasks/task.ts";
import type { Evaluation } from "../train/evaluate.ts";
import { gather, hashOf, isStream, type Stream, shown, tooFew } from "./examples.ts";
import type { NetSpec } from "./nets.ts";
import { type FitOptions, inOptionWords, type Settled, settle } from "./options.ts";
import { makeParts, type Prepared } from "./prepare.ts";
import { ModelStream } from "./stream.ts";
import { type Parts, type SavedParts, TrainedModel } from "./trained.ts";

/** A time of a series: a number, numbers, or numbers by name. A forecast has the form of what it was learnt from. */
export type SeriesRow = number | readonly number[] | Readonly<Record<string, number>>;

export type ForecasterData<R extends SeriesRow> = Stream<R> | RealArray;

export interface ForecasterFitOptions<R extends SeriesRow> extends FitOptions<Forecaster<R>> {
  /** Rows to forecast (1). */
  readonly horizon?: number;
  /** Rows of a season (1: none): a forecast may then start from the row one season before. */
  readonly period?: number;
  /** Which number or numbers of a row to forecast, by name or by place; all if not given. The others are only read. */
  readonly target?: string | number | readonly (string | number)[];
}

export interface ForecasterEstimator {
  /**
   * Trains on a series, the earliest row first. Its last rows are held back to validate; means and deviations are those of
   * the rest. Throws a UsageError that names the row if numbers are missing or not finite, or rows are of another size.
   */
  fit<R extends SeriesRow>(data: ForecasterData<R>, options?: ForecasterFitOptions<R>): Promise<Forecaster<R>>;
}

export function forecaster(net: NetSpec): ForecasterEstimator {
  return {
    async fit<R extends SeriesRow>(data: ForecasterData<R>, options: ForecasterFitOptions<R> = {}) {
      const settled = settle(options, ["horizon", "period", "target"]);
      const prepared = await prepareForecaster(settled, data, options);
      const parts = await makeParts(net, settled, prepared, options);
      return inOptionWords(() => new Forecaster<R>(parts)).start(options);
    },
  };
}

/** What forecasts look like: numbers for numbers, rows for rows, names for names. */
export type Forecast<R extends SeriesRow> = R extends number
  ? number
  : R extends readonly number[]
    ? number[]
    : Record<string, number>;

export interface AnomalyOptions<R extends SeriesRow> {
  /** A stretch taken as normal: what errors are usual. Without it the series itself, whose own anomalies hardly matter while they are few. */
  readonly normal?: ForecasterData<R>;
  /** Share of the normal rows that may be flagged (0.01, and at least one row). */
  readonly rate?: number;
  /** Flag scores above it, instead of a rate. */
  readonly limit?: number;
  /**
   * Rows in succession that a forecast may stand in for where they are anomalies (1; 0: none). After so many the series
   * has moved, and is read as it came.
   */
  readonly repair?: number;
}

interface Kept {
  readonly form: "number" | "row" | "names";
  /** The last rows of the series, for a forecast without another one: as many as a step of training reads. */
  readonly last: readonly (readonly number[])[];
}

/** A trained forecaster. */
export class Forecaster<R extends SeriesRow = SeriesRow> extends TrainedModel {
  readonly #encoding: ForecastingEncoding;
  readonly #kept: Kept;

  constructor(parts: Parts, saved?: SavedParts) {
    super(parts, saved);
    this.#encoding = parts.task.encoding as ForecastingEncoding;
    this.#kept = parts.kept as Kept;
  }

  /** Rows of a forecast. */
  get horizon(): number {
    return this.#encoding.horizon;
  }

  /** Trains to the end; `fit` calls it. */
  start(options: FitOptions<Forecaster<R>>): Promise<Forecaster<R>> {
    return this.run(options);
  }

  /**
   * The `horizon` rows after the end of `history`; without it, after the end of the series that was learnt. The net reads
   * as many of its last rows as in training (`sequenceLength`).
   */
  predict(history?: readonly R[] | RealArray): Forecast<R>[] {
    const input = history === undefined ? this.#kept.last : this.#rowsOf(history);
    const [result] = this.results([{ input, where: "the series" }], false);
    return this.#shaped(result as Record<string, unknown>);
  }

  /** Errors on another series, read as the training's was: mae, rmse, mase, beside those of naive forecasts. */
  async evaluate(data: ForecasterData<R>): Promise<Evaluation> {
    return this.evaluateTask(await this.#taskOn(data), 1);
  }

  /**
   * How far each row of a series is from what was expected one row before (tasks/anomalies.ts). The first rows, which a
   * forecast reads, have no score, nor have the last `horizon - 1`, which no whole forecast ends with. Later
   * forecasts read an anomaly as it was expected (`repair`).
   */
  async anomalies(data: ForecasterData<R>, options: AnomalyOptions<R> = {}): Promise<RowScore[]> {
    const { normal, rate, limit, repair = DEFAULT_REPAIR } = options;
    const encoding = this.#encoding;
    const { ahead, series } = await this.#watched(await this.#taskOn(data));
    const calm = normal === undefined ? ahead : (await this.#watched(await this.#taskOn(normal))).ahead;
    const usual = normalErrors(calm, encoding.targets.length);
    const threshold = limit ?? limitFor(rate, usual);
    const found = await repairAhead(ahead, series, usual, threshold, {
      encoding,
      most: repair,
      T: this.model.pass.T,
      forecast: async (task) => (await this.#watched(task)).ahead,
    });
    return judgeRows(found, usual, threshold, encoding);
  }

  async #watched(task: Task): Promise<AheadWatch> {
    const watch = new AheadWatch(task);
    await this.evaluateTask(watch.task, 1);
    return watch;
  }

  /** All of a series as the test split of a task. */
  async #taskOn(data: ForecasterData<R>): Promise<Task> {
    const { columns } = this.#encoding;
    const values = Float64Array.from(this.#rowsOf(await rowsIn(data, undefined)).flat());
    return inOptionWords(() =>
      forecastingTask({ name: "the series", encoding: this.#encoding, series: { columns, values }, allTest: true }),
    );
  }

  /** Reads a series row by row: `push` forecasts the rows after it; undefined as long as a season is not over. */
  stream(): ModelStream<R, Forecast<R>[] | undefined> {
    // A forecast starts from a row some way back, so that the stream keeps as many.
    const { horizon } = this.#encoding;
    const least = Math.max(...Array.from({ length: horizon }, (_, h) => rowsBack(this.#encoding, h) - h));
    const recent: number[][] = [];
    const read = (row: R) => {
      const [numbers] = this.#rowsOf([row]) as [number[]];
      recent.push(numbers);
      if (recent.length > least) recent.shift();
      const missing = Array.from({ length: least - recent.length }, () => recent[0] as number[]);
      return [...missing, ...recent];
    };
    const say = (result: Record<string, unknown>) => (recent.length < least ? undefined : this.#shaped(result));
    return new ModelStream(this.model, this.task, read, say, () => recent.splice(0));
  }

  #rowsOf(rows: ArrayLike<SeriesRow>): number[][] {
    return toRows(rows, this.#kept.form, this.#encoding.columns);
  }

  #shaped({ forecast }: Record<string, unknown>): Forecast<R>[] {
    const byColumn = forecast as Record<string, number[]>;
    const { form } = this.#kept;
    return Array.from({ length: this.horizon }, (_, h) => {
      const entries = Object.entries(byColumn).map(([column, values]) => [column, values[h] as number] as const);
      if (form === "names") return Object.fromEntries(entries);
      return form === "row" ? entries.map(([, value]) => value) : entries[0]?.[1];
    }) as Forecast<R>[];
  }
}

export async function prepareForecaster<R extends SeriesRow>(
  { validationSplit, sequenceLength }: Settled,
  data: ForecasterData<R> | undefined,
  {
    signal,
    horizon = 1,
    period = 1,
    target,
  }: Pick<ForecasterFitOptions<R>, "signal" | "horizon" | "period" | "target">,
  saved?: SavedParts,
): Promise<Prepared> {
  const learnt = saved?.learnt.encoding as ForecastingEncoding | undefined;
  const given = data && (await rowsIn(data, signal));
  const form = saved ? (saved.kept as Kept).form : formOf(given);
  const columns = learnt?.columns ?? columnsOf(given, form);
  const rows = given ? toRows(given, form, columns) : [];
  const series: Series | undefined = given && { columns, values: Float64Array.from(rows.flat()) };
  const targets = target === undefined ? columns : [target].flat().map(String);
  const held = Math.round(rows.length * validationSplit);
  const needed = held - (learnt?.horizon ?? horizon) + 1 >= 1;
  const validRows = needed ? held : 0;
  const T =
    sequenceLength ?? saved?.shape.T ?? Math.max(1, Math.min(32, Math.floor((rows.length - validRows - horizon) / 4)));
  const task = inOptionWords(() =>
    forecastingTask({ name: "the series", series, targets, horizon, period, encoding: learnt, validRows }),
  );
  const last = saved ? (saved.kept as Kept).last : rows.slice(-Math.max(T, 2 * period + horizon));
  return {
    kind: "forecaster",
    task,
    validates: validRows > 0,
    kept: { form, last } satisfies Kept,
    notes: given && validRows === 0 && validationSplit > 0 ? [tooFew(`${rows.length} rows`)] : [],
    dataHash: data && (() => hashOf(rows)),
    T,
    B: 32,
  };
}

async function rowsIn<R extends SeriesRow>(
  data: ForecasterData<R>,
  signal: AbortSignal | undefined,
): Promise<ArrayLike<SeriesRow>> {
  if (ArrayBuffer.isView(data)) return data as unknown as ArrayLike<number>;
  if (!isStream(data)) throw new UsageError(`the series is ${shown(data)}, expected numbers or rows of numbers.`);
  return gather(data as Stream<R>, signal);
}

function formOf(rows: ArrayLike<SeriesRow> | undefined): Kept["form"] {
  const first = rows?.[0];
  check(first !== undefined, "the series is empty; give rows of numbers, the earliest first.");
  if (typeof first === "number") return "number";
  return Array.isArray(first) || ArrayBuffer.isView(first) ? "row" : "names";
}

function columnsOf(rows: ArrayLike<SeriesRow> | undefined, form: Kept["form"]): string[] {
  const first = rows?.[0];
  if (form === "names" && typeof first === "object" && first !== null) return Object.keys(first);
  return Array.from({ length: form === "row" ? (first as readonly number[]).length : 1 }, (_, column) =>
    String(column),
  );
}

/** Rows of numbers, each checked: a UsageError names the row. */
function toRows(rows: ArrayLike<SeriesRow>, form: Kept["form"], columns: readonly string[]): number[][] {
  return Array.from(rows, (row, index) => {
    const where = `series[${index}]`;
    const wanted = form === "number" ? "a number" : form === "row" ? `${columns.length} numbers` : columns.join(", ");
    const fits =
      form === "number"
        ? typeof row === "number"
        : typeof row === "object" &&
          row !== null &&
          (Array.isArray(row) || ArrayBuffer.isView(row)) === (form === "row") &&
          Object.keys(row).length === columns.length;
    check(fits, () => `${where} is ${shown(row)}, expected ${wanted}, as the first row has.`);
    return columns.map((column) => {
      const value = form === "number" ? row : (row as Record<string, unknown>)[column];
      check(
        typeof value === "number" && Number.isFinite(value),
        () =>
          `${where}${form === "number" ? "" : `, ${form === "row" ? "number " : ""}${column},`} is ${shown(value)}, expected a finite number. Fill gaps before.`,
      );
      return value;
    });
  });
}
