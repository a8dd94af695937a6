/** Anomalies of a series by a run of task forecasting: of its test split, or of a file. */
import { check } from "../core/check.ts";
import { type CsvTable, readCsv } from "../formats/csv.ts";
import {
  AheadWatch,
  type DetectionScores,
  detectionScores,
  judgeRows,
  limitFor,
  normalErrors,
  type RowScore,
} from "../tasks/anomalies.ts";
import type { AheadForecasts, ForecastingEncoding } from "../tasks/forecast-scores.ts";
import type { Split, Task } from "../tasks/task.ts";
import { evaluate } from "../train/evaluate.ts";
import { type OpenedModel, openModel, openRunTask } from "./open.ts";
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
  const { file, label, rate, limit } = options;
  check(
    rate === undefined || limit === undefined,
    "a rate and a limit were given; the limit follows from the rate: give one.",
  );
  check(limit === undefined || limit >= 0, `the limit is ${limit}; give a number of spreads, at least 0.`);
  check(label === undefined || file !== undefined, "a label is a column of a file; give the file too.");
  const opened = await openModel(runsDir, id, options.engine === undefined ? {} : { engine: options.engine });
  const encoding = opened.task.encoding as ForecastingEncoding;
  const normal = normalErrors(ahead(opened, opened.task, "valid"), encoding.targets.length);
  const task = file === undefined ? opened.task : await openRunTask(opened.dir, opened.config, opened.info, file);
  const table = file === undefined ? undefined : readCsv(loadFile(file, "data", "a CSV file").text, file);
  const labels = table && label !== undefined ? labelsOf(table, label) : undefined;
  const place = table?.columns.find((column) => !encoding.columns.includes(column) && column !== label);
  const threshold = limit ?? limitFor(rate, normal);
  const found = ahead(opened, task, "test");
  const places = table && place !== undefined ? cellsOf(table, place) : undefined;
  const rows = judgeRows(found, normal, threshold, encoding).map(
    ({ index, ...rest }): ScoredRow => ({ row: index + 1, ...(places && { place: places[index] }), ...rest }),
  );
  return {
    id: opened.id,
    notes: opened.notes,
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

function ahead({ model, config }: OpenedModel, task: Task, split: Split): AheadForecasts {
  const watch = new AheadWatch(task);
  evaluate(model, watch.task, split, config.seed);
  return watch.ahead;
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
