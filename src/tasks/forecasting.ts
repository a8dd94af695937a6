/**
 * Forecasting: from T rows of a series, some columns of the next `horizon` rows.
 *
 * Columns are normalised by mean and deviation of the training part. The net names the change against a reference, the
 * naive or the seasonal naive forecast, whichever erred less in the training part, in units of that error (its root
 * mean square). So a net that says nothing makes the reference's forecast, at a loss of about 1; below 1 it is better.
 * Splits are contiguous in time, 80/10/10; windows of valid and test may read rows of the split before, never name them.
 */
import { check, UsageError } from "../core/check.ts";
import { ExampleCursor, type ExampleSet } from "./examples.ts";
import { type ForecastingEncoding, ForecastScorer, inSampleErrors, rowsBack } from "./forecast-scores.ts";
import { momentsOf } from "./inputs.ts";
import { type Encoded, SPLITS, type Split, type Task } from "./task.ts";

export type { ForecastingEncoding };

export interface Series {
  readonly columns: readonly string[];
  /** (rows, columns) */
  readonly values: Float64Array;
}

export interface ForecastingOptions {
  readonly name: string;
  /** None: only to predict. */
  readonly series?: Series | undefined;
  /** Columns to forecast; none: the first. */
  readonly targets?: readonly string[] | undefined;
  readonly horizon?: number | undefined;
  readonly period?: number | undefined;
  readonly encoding?: ForecastingEncoding | undefined;
  /** Score the whole series as test. */
  readonly allTest?: boolean | undefined;
  /** Rows that validate, at the end, where nothing is to be held back as test. */
  readonly validRows?: number | undefined;
}

export function forecastingTask(options: ForecastingOptions): Task {
  const { name, series } = options;
  const rows = series ? series.values.length / series.columns.length : 0;
  const bounds = boundsOf(rows, options);
  const encoding = options.encoding ?? fit(options, bounds[1] as number);
  const { targets, horizon, mean, deviation, scale } = encoding;
  const back = (h: number) => rowsBack(encoding, h);
  const least = encoding.reference === "season" ? encoding.period : 1; // rows that the reference needs
  const size = encoding.columns.length;
  if (series) checkColumns(name, series.columns, encoding.columns);
  const values = series?.values ?? new Float64Array(0);
  const normal = (row: number, c: number) => ((values[row * size + c] as number) - mean[c]!) / deviation[c]!;

  /** Rows that a split forecasts, [from, to), and the first row of its first window's target. */
  const rangeOf = (split: Split, T: number) => {
    const part = SPLITS.indexOf(split);
    const [from, to] = [bounds[part] as number, bounds[part + 1] as number];
    const first = Math.max(from, T, least);
    return { first, count: to - horizon - first + 1 };
  };

  return {
    name: "forecasting",
    summary: "forecast the next values of a series",
    input: { kind: "features", size },
    output: { kind: "values", size: horizon * targets.length, positions: "last" },
    lossUnit: "squared error",
    encoding,
    batches(split, shape) {
      const { T } = shape;
      check(T >= 1, `task forecasting: train.sequenceLength is ${T}; give a whole number of at least 1.`);
      const { first, count } = rangeOf(split, T);
      if (count < 1)
        throw new UsageError(
          `series "${name}" has ${rows} rows, ${bounds[SPLITS.indexOf(split) + 1]! - bounds[SPLITS.indexOf(split)]!} of them ${split}; ` +
            `train.sequenceLength ${T} and task.horizon ${horizon} leave no window there. Make them smaller, or give a longer series.`,
        );
      const set: ExampleSet = {
        count,
        fill(index, into, steps, B, b) {
          const at = first + index; // first row of the target
          into.lengths[b] = steps;
          for (let t = 0; t < steps; t++)
            for (let c = 0; c < size; c++) into.features![(t * B + b) * size + c] = normal(at - steps + t, c);
          for (let h = 0; h < horizon; h++)
            for (let k = 0; k < targets.length; k++) {
              const c = targets[k] as number;
              const change =
                (values[(at + h) * size + c] as number) - (values[(at + h - back(h)) * size + c] as number);
              into.targets[(b * horizon + h) * targets.length + k] = change / scale[k]!;
            }
        },
      };
      return new ExampleCursor("forecasting", split, shape, set);
    },
    scores: () => ({}),
    scorer: (split, { T }) => new ForecastScorer(values, encoding, rangeOf(split, T).first),
    prediction: {
      encode(input, where) {
        const encoded = encodeRows(input, where, size);
        check(
          encoded.length >= least * size,
          `${where}: got ${encoded.length / size} rows; the forecast of this model starts from the row ${least} back, give at least ${least}.`,
        );
        return encoded;
      },
      lengthOf: (encoded) => encoded.length / size,
      /** The last T rows; of fewer, what there is. */
      fill(encoded, { features }, T, B, b) {
        const length = Math.min(T, encoded.length / size);
        const skipped = encoded.length / size - length;
        for (let t = 0; t < T; t++)
          for (let c = 0; c < size; c++)
            features![(t * B + b) * size + c] =
              t < length ? ((encoded[(skipped + t) * size + c] as number) - mean[c]!) / deviation[c]! : 0;
        return length;
      },
      decode(outputs, lane, _lanes, encoded) {
        const rows = encoded.length / size;
        const forecast = Array.from({ length: horizon }, (_, h) =>
          targets.map((c, k) => {
            const change = outputs[(lane * horizon + h) * targets.length + k] as number;
            return (encoded[(rows + h - back(h)) * size + c] as number) + change * scale[k]!;
          }),
        );
        const columns = targets.map((c) => encoding.columns[c] as string);
        return { forecast: Object.fromEntries(columns.map((column, k) => [column, forecast.map((row) => row[k])])) };
      },
    },
  };
}

/** Where the train, the valid and the test rows begin and end. */
function boundsOf(rows: number, { allTest, validRows }: ForecastingOptions): number[] {
  if (allTest) return [0, 0, 0, rows];
  if (validRows !== undefined) return [0, rows - validRows, rows, rows];
  return [0, Math.floor(rows * 0.8), Math.floor(rows * 0.9), rows];
}

function fit(
  { name, series, targets, horizon = 1, period = 1 }: ForecastingOptions,
  train: number,
): ForecastingEncoding {
  check(series, "task forecasting needs a series.");
  const { columns, values } = series;
  const size = columns.length;
  check(size > 0, `series "${name}" has no columns of numbers.`);
  check(Number.isInteger(horizon) && horizon > 0, `task.horizon is ${horizon}; give a whole number of at least 1.`);
  check(Number.isInteger(period) && period > 0, `task.period is ${period}; give a whole number of at least 1.`);
  const numbers = (targets ?? [columns[0] as string]).map((target) => {
    const number = columns.indexOf(target);
    check(number >= 0, `task.target: series "${name}" has no column "${target}"; it has: ${columns.join(", ")}.`);
    return number;
  });
  check(
    train > period,
    `series "${name}": its training part has ${train} rows; more than task.period ${period} are needed.`,
  );
  const rows = Array.from({ length: train }, (_, row) => Array.from(values.subarray(row * size, (row + 1) * size)));
  const moments = momentsOf(rows, size);
  const naiveError = inSampleErrors(values, size, numbers, train, period);
  const shape = { columns, targets: numbers, horizon, period, ...moments, naiveError };
  const changes = (reference: "last" | "season") => rootMeanChanges({ ...shape, reference }, values, train);
  const [last, season] = [changes("last"), changes("season")];
  // In deviations, so that targets of several units count alike.
  const total = (scale: readonly number[]) =>
    scale.reduce((sum, each, k) => sum + each / moments.deviation[numbers[k]!]!, 0);
  const seasonal = period > 1 && total(season) < total(last);
  return { ...shape, reference: seasonal ? "season" : "last", scale: seasonal ? season : last };
}

/** By target: root mean square of what there is to name, over the first `train` rows; 1 where nothing changes. */
function rootMeanChanges(encoding: Omit<ForecastingEncoding, "scale">, values: Float64Array, train: number): number[] {
  const { columns, targets, horizon } = encoding;
  const size = columns.length;
  return targets.map((c) => {
    let [sum, count] = [0, 0];
    for (let h = 0; h < horizon; h++) {
      const back = rowsBack(encoding, h);
      for (let row = back; row < train; row++, count++)
        sum += (values[row * size + c]! - values[(row - back) * size + c]!) ** 2;
    }
    return Math.sqrt(sum / count) || 1;
  });
}

function checkColumns(name: string, got: readonly string[], expected: readonly string[]): void {
  check(
    got.join() === expected.join(),
    `series "${name}" has the columns ${got.join(", ")}; expected ${expected.join(", ")}, as trained.`,
  );
}

/** Rows of numbers, or numbers where there is one column. */
function encodeRows(input: unknown, where: string, size: number): Encoded {
  check(
    Array.isArray(input) && input.length > 0,
    () => `${where}: got ${JSON.stringify(input)?.slice(0, 40)}, expected rows of numbers.`,
  );
  const encoded = new Float32Array(input.length * size);
  for (let t = 0; t < input.length; t++) {
    const row: readonly unknown[] = Array.isArray(input[t]) ? input[t] : [input[t]];
    check(row.length === size, () => `${where}: row ${t + 1} has ${row.length} values, expected ${size}.`);
    for (let c = 0; c < size; c++) {
      const value = row[c];
      check(
        typeof value === "number" && Number.isFinite(value),
        () => `${where}: row ${t + 1} has ${JSON.stringify(value)}, expected a finite number.`,
      );
      encoded[t * size + c] = value;
    }
  }
  return encoded;
}
