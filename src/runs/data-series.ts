/** A series from a CSV file: a row a time, in order, columns of numbers. */
import { check } from "../core/check.ts";
import { type CsvTable, readCsv } from "../formats/csv.ts";
import type { Series } from "../tasks/forecasting.ts";
import { Gaps, listed, numberColumns } from "./data-classification.ts";
import type { DataSettings } from "./data-settings.ts";

export interface ReadSeries {
  readonly series: Series;
  readonly notes: string[];
}

/** `columns` names those to read and their order; without it the settings decide. */
export function readSeries(
  text: string,
  file: string,
  settings: DataSettings,
  columns?: readonly string[],
): ReadSeries {
  check(
    /\.(csv|tsv|txt)$/i.test(file),
    `${file}: a series is read from a CSV file (.csv, .tsv); got another kind of file.`,
  );
  return seriesOf(readCsv(text, file), settings, columns);
}

/** The same of a table that has been read. */
export function seriesOf(table: CsvTable, settings: DataSettings, columns?: readonly string[]): ReadSeries {
  const chosen = columns ? { ...settings, columns: columns.join(",") } : withTargets(settings);
  check(
    settings.missing !== "drop",
    "task.missing is drop: a series without some of its rows is another series; use error or previous.",
  );
  const { columns: numbers, notes } = numberColumns(table, chosen, []);
  const gaps = new Gaps(table, numbers, settings.missing ?? "error");
  const cells = table.rows.map((row) => numbers.map((c) => row.cells[c] as string));
  check(cells.length > 0, `${table.name} has no rows below its first line.`);
  const values = gaps.fill(cells, table.rows, false) as number[][];
  return {
    series: { columns: numbers.map((c) => table.columns[c] as string), values: Float64Array.from(values.flat()) },
    notes: [...notes, ...gaps.notes("rows")],
  };
}

/** Columns that are forecast are read too. */
function withTargets(settings: DataSettings): DataSettings {
  if (settings.columns === undefined || settings.target === undefined) return settings;
  return { ...settings, columns: [...new Set([...listed(settings.columns), ...listed(settings.target)])].join(",") };
}
