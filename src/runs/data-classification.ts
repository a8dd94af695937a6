/**
 * Sequences with a class, of one's own: a CSV or JSONL file.
 *
 *   text,label            CSV: a text a row; task.textColumn and task.labelColumn name the columns
 *   label,x1,x2,x3        a row is a sequence of numbers, one column a position; empty cells at its end shorten it
 *   id,label,x,y          task.sequenceColumn=id: a row is a position, rows of one id are a sequence
 *   {"text": "..." | "tokens": [...] | "sequence": [...], "label": "..."}      JSONL
 *
 * A column or key `split` says train, valid or test.
 */
import { check, UsageError } from "../core/check.ts";
import { type CsvRow, type CsvTable, cellNumber, readCsv } from "../formats/csv.ts";
import { readJsonl } from "../formats/jsonl.ts";
import type { LabelledSequence } from "../tasks/classification.ts";
import type { SequenceInput } from "../tasks/inputs.ts";
import { wordsOf } from "../tasks/words.ts";
import type { DataSettings } from "./data-settings.ts";
import type { Placed } from "./data-splits.ts";

export interface ReadSequences {
  readonly sequences: Placed<LabelledSequence>[];
  /** What was done about missing values and columns that are no numbers. */
  readonly notes: string[];
}

/** `labelled` false: to predict; labels may be missing and are not looked at. */
export function readSequences(text: string, file: string, settings: DataSettings, labelled = true): ReadSequences {
  return /\.(jsonl|ndjson)$/i.test(file)
    ? fromJsonl(text, file, settings, labelled)
    : fromTable(readCsv(text, file), settings, labelled);
}

function fromJsonl(text: string, file: string, settings: DataSettings, labelled: boolean): ReadSequences {
  const { labelColumn = "label", textColumn = "text" } = settings;
  const sequences = readJsonl(text, file).map(({ line, value }) => {
    const where = `${file}:${line}`;
    const label = value[labelColumn];
    if (labelled && typeof label !== "string" && typeof label !== "number" && typeof label !== "boolean")
      throw new UsageError(
        `${where}: "${labelColumn}" is ${JSON.stringify(label) ?? "missing"}, expected the class as a text.`,
      );
    const written = value[textColumn];
    const input = typeof written === "string" ? textInput(written, settings) : (value.tokens ?? value.sequence);
    if (input === undefined || (typeof input !== "string" && !Array.isArray(input)))
      throw new UsageError(
        `${where}: expected "${textColumn}", "tokens" or "sequence" (a list); got ${Object.keys(value).join(", ") || "nothing"}.`,
      );
    return placed({ input: input as SequenceInput, label: String(label ?? ""), where }, value.split);
  });
  return { sequences, notes: [] };
}

function fromTable(table: CsvTable, settings: DataSettings, labelled: boolean): ReadSequences {
  const { name, columns, rows } = table;
  const { labelColumn = "label", sequenceColumn } = settings;
  const label = columns.indexOf(labelColumn);
  check(
    label >= 0 || !labelled,
    `${name} has no column "${labelColumn}"; name the one with the classes, task.labelColumn. Columns: ${columns.join(", ")}.`,
  );
  const textColumn = settings.textColumn ?? (columns.includes("text") ? "text" : undefined);
  const split = columns.indexOf("split");
  const cell = (row: CsvRow, index: number) => (index < 0 ? undefined : (row.cells[index] as string));
  const place = (row: CsvRow, input: SequenceInput) => {
    const where = `${name}:${row.line}`;
    const own = cell(row, label)?.trim() ?? "";
    check(own !== "" || !labelled, `${where}: the class in column "${labelColumn}" is empty.`);
    return placed({ input, label: own, where }, cell(row, split));
  };
  if (textColumn !== undefined) {
    const at = columnOf(table, textColumn, "task.textColumn");
    return { sequences: rows.map((row) => place(row, textInput(row.cells[at] as string, settings))), notes: [] };
  }
  const sequence = sequenceColumn === undefined ? -1 : columnOf(table, sequenceColumn, "task.sequenceColumn");
  const features = numberColumns(
    table,
    settings,
    [label, split, sequence].filter((index) => index >= 0),
  );
  const gaps = new Gaps(table, features.columns, settings.missing ?? "error");
  const sequences: Placed<LabelledSequence>[] = [];
  let shorter = 0;
  if (sequence < 0)
    for (const row of rows) {
      const cells = features.columns.map((c) => [row.cells[c] as string]);
      while (cells.length > 1 && cellNumber(cells.at(-1)![0] as string) === undefined) cells.pop();
      if (cells.length < features.columns.length) shorter++;
      const values = gaps.fill(cells, [row], true);
      if (values)
        sequences.push(
          place(
            row,
            values.map(([value]) => value as number),
          ),
        );
    }
  else
    for (const group of groups(rows, sequence, name, sequenceColumn as string)) {
      const first = group[0] as CsvRow;
      const other = group.find((row) => cell(row, label) !== cell(first, label));
      if (other && labelled)
        throw new UsageError(
          `${name}:${other.line}: sequence "${first.cells[sequence]}" has two classes, "${cell(first, label)}" and "${cell(other, label)}".`,
        );
      const values = gaps.fill(
        group.map((row) => features.columns.map((c) => row.cells[c] as string)),
        group,
        false,
      );
      if (values) sequences.push(place(first, values));
    }
  const ends = shorter ? [`${name}: ${shorter} sequences end before the last column: their last cells are empty`] : [];
  return { sequences, notes: [...features.notes, ...ends, ...gaps.notes("sequences")] };
}

function placed(example: LabelledSequence, split: unknown): Placed<LabelledSequence> {
  return { example, split: split === undefined ? undefined : String(split), where: example.where ?? "" };
}

function textInput(text: string, { tokenizer = "characters" }: DataSettings): SequenceInput {
  if (tokenizer === "characters") return text;
  return wordsOf(text, tokenizer);
}

export function columnOf({ name, columns }: CsvTable, column: string, setting: string): number {
  const at = columns.indexOf(column);
  check(at >= 0, `${setting}: ${name} has no column "${column}"; it has: ${columns.join(", ")}.`);
  return at;
}

/** Columns of numbers: those asked for, or all whose cells are numbers or missing. `others` are taken already. */
export function numberColumns(
  table: CsvTable,
  settings: DataSettings,
  others: readonly number[],
): { readonly columns: number[]; readonly notes: string[] } {
  const { name, columns, rows } = table;
  if (settings.columns !== undefined) {
    const chosen = listed(settings.columns).map((column) => columnOf(table, column, "task.columns"));
    for (const c of chosen)
      for (const { line, cells } of rows)
        if (Number.isNaN(cellNumber(cells[c] as string) ?? 0))
          throw new UsageError(
            `${name}:${line}: column "${columns[c]}" has ${JSON.stringify(cells[c])}, expected a number such as 1.5.`,
          );
    return { columns: chosen, notes: [] };
  }
  const numbers: number[] = [];
  const left: string[] = [];
  for (let c = 0; c < columns.length; c++) {
    if (others.includes(c)) continue;
    const found = rows.map(({ cells }) => cellNumber(cells[c] as string));
    const count = found.filter((value) => value !== undefined).length;
    const bad = found.findIndex((value) => Number.isNaN(value));
    if (count > 0 && bad < 0) numbers.push(c);
    else left.push(columns[c] as string);
    // One cell in a hundred that is no number is an error of writing, not a column of texts.
    if (bad >= 0 && found.filter((value) => Number.isNaN(value)).length * 100 <= count)
      throw new UsageError(
        `${name}:${rows[bad]!.line}: column "${columns[c]}" has ${JSON.stringify(rows[bad]!.cells[c])} among numbers, expected a number such as 1.5.`,
      );
  }
  check(
    numbers.length > 0,
    `${name} has no columns of numbers; it has: ${columns.join(", ")}. A number is written with a point, such as 1.5.`,
  );
  return {
    columns: numbers,
    notes: left.length ? [`${name}: columns that are no numbers are not read: ${left.join(", ")}`] : [],
  };
}

export function listed(names: string): string[] {
  return names.split(",").map((name) => name.trim());
}

/** Rows of one id, which must stand together. */
function groups(rows: readonly CsvRow[], column: number, name: string, columnName: string): CsvRow[][] {
  const found = new Map<string, CsvRow[]>();
  let last: string | undefined;
  for (const row of rows) {
    const id = row.cells[column] as string;
    const group = found.get(id);
    if (group && id !== last)
      throw new UsageError(
        `${name}:${row.line}: ${columnName} "${id}" comes up again after others; rows of one sequence must stand together.`,
      );
    if (group) group.push(row);
    else found.set(id, [row]);
    last = id;
  }
  return [...found.values()];
}

/** What is done about missing values, and how often. */
export class Gaps {
  readonly #table: CsvTable;
  readonly #columns: readonly number[];
  readonly #how: NonNullable<DataSettings["missing"]>;
  #filled = 0;
  #dropped = 0;

  constructor(table: CsvTable, columns: readonly number[], how: NonNullable<DataSettings["missing"]>) {
    this.#table = table;
    this.#columns = columns;
    this.#how = how;
  }

  /**
   * Numbers of the cells (positions, columns) of one sequence, or undefined if it is dropped. Previous: the value
   * before, or at the beginning the first there is. `across`: all positions stand in one row of the file.
   */
  fill(cells: readonly (readonly string[])[], rows: readonly CsvRow[], across: boolean): number[][] | undefined {
    const { name, columns } = this.#table;
    const values = cells.map((row) => row.map(cellNumber));
    for (let t = 0; t < values.length; t++)
      for (let c = 0; c < values[t]!.length; c++) {
        if (values[t]![c] !== undefined) continue;
        const where = `${name}:${(across ? rows[0] : rows[t])!.line}`;
        const column = columns[this.#columns[across ? t : c] as number];
        const error = (more: string) =>
          new UsageError(`${where}: column "${column}" has no value (${JSON.stringify(cells[t]![c])})${more}`);
        if (this.#how === "error")
          throw error(
            "; fill it, or choose task.missing=previous (the value before it) or task.missing=drop (predict and anomalies: --missing).",
          );
        if (this.#how === "drop") {
          this.#dropped++;
          return undefined;
        }
        const before = t > 0 ? values[t - 1]![c] : undefined;
        const value = before ?? values.slice(t + 1).find((row) => row[c] !== undefined)?.[c];
        if (value === undefined) throw error(", and the sequence has none there at all.");
        values[t]![c] = value;
        this.#filled++;
      }
    return values as number[][];
  }

  notes(what: string): string[] {
    const { name } = this.#table;
    return [
      ...(this.#filled ? [`${name}: ${this.#filled} missing values taken from the row before`] : []),
      ...(this.#dropped ? [`${name}: ${this.#dropped} ${what} with missing values left out`] : []),
    ];
  }
}
