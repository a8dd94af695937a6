/** Anomalies of a series by a run of task forecasting: of its test split, or of a file. */
import { check } from "../core/check.ts";
import { type CsvTable, readCsv } from "../formats/csv.ts";
import {
  AheadWatch,
  DEFAULT_REPAIR,
  type DetectionScores,
  detectionScores,
  judgeRows,
  limitFor,
  normalErrors,
  type RowScore,
  repairAhead,
} from "../tasks/anomalies.ts";
import type { ForecastingEncoding } from "../tasks/forecast-scores.ts";
import { forecastingTask } from "../tasks/forecasting.ts";
import type { Split, Task } from "../tasks/task.ts";
import { evaluate } from "../train/evaluate.ts";
import { seriesOf } from "./data-series.ts";
import type { DataSettings } from "./data-settings.ts";
import { type OpenedModel, openModel } from "./open.ts";
import { loadFile } from "./text.ts";

export interface AnomalyOptions {
  /** CSV with the columns that the run was trained on; without it the run's own test split. */
  readonly file?: string | undefined;
  /** Column of the file that says which rows are anomalies. */
  readonly label?: string | undefined;
  /** Share of normal rows that may be flagged; see `limitFor`. */
  readonly rate?: number | undefined;
  /** Score above which a row is flagged, in spreads of the normal errors. */
  readonly limit?: number | undefined;
  /** Rows in succession that a forecast may stand in for where they are anomalies (`DEFAULT_REPAIR`); 0: none. */
  readonly repair?: number | undefined;
  /** What is done about missing values of the file; as in the run's training, if nothing is said. */
  readonly missing?: DataSettings["missing"];
  readonly engine?: string | undefined;
}

export interface ScoredRow extends Omit<RowScore, "index"> {
  /** From 1, below the line with the names of the columns. */
  readonly row: number;
  /** Of a file: what its first column says that is not read, for example a date. */
  readonly place?: string | undefined;
}

export interface FoundAnomalies {
  readonly id: string;
  readonly notes: readonly string[];
  readonly limit: number;
  /** Rows of the validation split, taken as normal, and how many of them are above the limit. */
  readonly normalRows: number;
  readonly normalFlagged: number;
  /** Of a file, rows before the first that is scored: a forecast reads them. */
  readonly readRows: number;
  /** Rows at the end without a score: forecasts reach beyond them. */
  readonly lastRows: number;
  readonly placeColumn?: string | undefined;
  readonly rows: readonly ScoredRow[];
  readonly scores?: DetectionScores | undefined;
}

/**
 * Rows are scored by how far they are from what the run's best weights expected one row before (tasks/anomalies.ts); what is
 * normal is taken from the run's validation split.
 */
export async function findAnomalies(runsDir: string, id: string, options: AnomalyOptions): Promise<FoundAnomalies> {
  const { file, label, rate, limit, missing, repair = DEFAULT_REPAIR } = options;
  check(
    rate === undefined || limit === undefined,
    "a rate and a limit were given; the limit follows from the rate: give one.",
  );
  check(limit === undefined || limit >= 0, `the limit is ${limit}; give a number of spreads, at least 0.`);
  check(label === undefined || file !== undefined, "a label is a column of a file; give the file too.");
  const opened = await openModel(runsDir, id, options.engine === undefined ? {} : { engine: options.engine });
  const encoding = opened.task.encoding as ForecastingEncoding;
  const { model, config } = opened;
  const normal = normalErrors(watched(opened, opened.task, "valid").ahead, encoding.targets.length);
  const table = file === undefined ? undefined : readCsv(loadFile(file, "data", "a CSV file").text, file);
  const read = table && seriesOf(table, { ...config.task, ...(missing && { missing }) }, encoding.columns);
  const task = read ? forecastingTask({ name: table.name, encoding, series: read.series, allTest: true }) : opened.task;
  const labels = table && label !== undefined ? labelsOf(table, label) : undefined;
  const place = table?.columns.find((column) => !encoding.columns.includes(column) && column !== label);
  const threshold = limit ?? limitFor(rate, normal);
  const watch = watched(opened, task, "test");
  const found = await repairAhead(watch.ahead, watch.series, normal, threshold, {
    encoding,
    most: repair,
    T: model.pass.T,
    forecast: (part) => watched(opened, part, "test").ahead,
  });
  const places = table && place !== undefined ? cellsOf(table, place) : undefined;
  const rows = judgeRows(found, normal, threshold, encoding).map(
    ({ index, ...rest }): ScoredRow => ({ row: index + 1, ...(places && { place: places[index] }), ...rest }),
  );
  return {
    id: opened.id,
    notes: [...opened.notes, ...(read?.notes ?? [])],
    limit: threshold,
    normalRows: normal.scores.length,
    normalFlagged: normal.scores.filter((score) => score > threshold).length,
    readRows: file === undefined ? 0 : found.firstRow,
    lastRows: encoding.horizon - 1,
    placeColumn: place,
    rows,
    scores:
      labels &&
      detectionScores(
        rows.map(({ score }) => score),
        labels.slice(found.firstRow, found.firstRow + rows.length),
        threshold,
      ),
  };
}

function watched({ model, config }: OpenedModel, task: Task, split: Split): AheadWatch {
  const watch = new AheadWatch(task);
  evaluate(model, watch.task, split, config.seed);
  return watch;
}

const YES = ["1", "true", "yes", "anomaly"];
const NO = ["0", "false", "no", "normal", ""];

function labelsOf(table: CsvTable, label: string): boolean[] {
  return cellsOf(table, label).map((cell, index) => {
    const word = cell.trim().toLowerCase();
    check(
      YES.includes(word) || NO.includes(word),
      () =>
        `${table.name}:${table.rows[index]!.line}: ${label} is "${cell}"; expected 1, true, yes or anomaly, or 0, false, no, normal or nothing.`,
    );
    return YES.includes(word);
  });
}

function cellsOf({ name, columns, rows }: CsvTable, column: string): string[] {
  const c = columns.indexOf(column);
  check(c >= 0, `${name} has no column "${column}"; it has: ${columns.join(", ")}.`);
  return rows.map(({ cells }) => cells[c] as string);
}
