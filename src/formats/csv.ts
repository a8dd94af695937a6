/**
 * Tables as CSV (RFC 4180), and what people call that: commas, semicolons, tabs or bars; LF, CRLF or CR; a
 * byte-order mark; quoted cells, with line ends and doubled quotes inside. The first row names the columns.
 * Whatever is wrong is told with the line it is on.
 */
import { UsageError } from "../core/check.ts";

export interface CsvRow {
  /** Where it begins in the file, from 1. */
  readonly line: number;
  /** One for each column. */
  readonly cells: readonly string[];
}

export interface CsvTable {
  /** What to call the file in messages. */
  readonly name: string;
  readonly columns: readonly string[];
  readonly rows: readonly CsvRow[];
}

export const SEPARATORS = [",", ";", "\t", "|"] as const;

/** Throws a UsageError for a row with more or fewer cells than columns, an open quote, no header. Empty lines are skipped. */
export function readCsv(text: string, name: string): CsvTable {
  const bare = text.startsWith("\uFEFF") ? text.slice(1) : text;
  const separator = separatorOf(bare);
  const rows = [...csvRows(bare, separator, name)];
  const header = rows.shift();
  if (!header) throw new UsageError(`${name} is empty; expected a first line with the names of the columns.`);
  // pandas writes its index without a name.
  const columns = header.cells.map((cell, index) => cell.trim() || `column ${index + 1}`);
  const twice = columns.find((column, index) => columns.indexOf(column) < index);
  if (/^\s*(\[\s*\{|\{\s*")/.test(bare))
    throw new UsageError(
      `${name} begins like JSON, expected a CSV file. Examples in JSON are read from a .jsonl file, one object a line.`,
    );
  if (twice !== undefined)
    throw new UsageError(`${name}:${header.line}: two columns are named "${twice}"; rename one.`);
  for (const { line, cells } of rows)
    if (cells.length !== columns.length)
      throw new UsageError(
        `${name}:${line}: got ${cells.length} cells, expected ${columns.length} as in the first line (separator ${JSON.stringify(separator)}). ` +
          "Put cells that contain it in double quotes.",
      );
  return { name, columns, rows };
}

/** Of the possible ones the most frequent in the first line, outside quotes. */
function separatorOf(text: string): string {
  const counts = new Map<string, number>(SEPARATORS.map((separator) => [separator, 0]));
  let quoted = false;
  for (const character of text) {
    if (character === '"') quoted = !quoted;
    else if (!quoted && (character === "\n" || character === "\r")) {
      if ([...counts.values()].some(Boolean)) break;
    } else if (!quoted && counts.has(character)) counts.set(character, (counts.get(character) as number) + 1);
  }
  return [...counts].reduce((best, each) => (each[1] > best[1] ? each : best))[0];
}

function* csvRows(text: string, separator: string, name: string): Generator<CsvRow> {
  let line = 1;
  let at = 0;
  while (at < text.length) {
    const begins = line;
    const cells: string[] = [];
    let empty = true; // no character but spaces, no quote and no separator
    for (let more = true; more; ) {
      let cell: string;
      if (text[at] === '"') {
        empty = false;
        const end = closingQuote(text, at);
        if (end < 0)
          throw new UsageError(`${name}:${line}: a quoted cell is never closed; a quote inside one is written "".`);
        cell = text.slice(at + 1, end).replaceAll('""', '"');
        line += lineEnds(cell);
        at = end + 1;
        const next = text[at];
        if (next !== undefined && next !== separator && next !== "\n" && next !== "\r")
          throw new UsageError(
            `${name}:${line}: ${JSON.stringify(next)} follows a closing quote, expected the end of the cell; a quote inside one is written "".`,
          );
      } else {
        let end = at;
        while (end < text.length && text[end] !== separator && text[end] !== "\n" && text[end] !== "\r") end++;
        cell = text.slice(at, end);
        at = end;
        if (cell.trim() !== "") empty = false;
      }
      cells.push(cell);
      more = text[at] === separator;
      if (more) {
        empty = false;
        at++;
      }
    }
    if (text[at] === "\r" && text[at + 1] === "\n") at++;
    at++;
    line++;
    if (!empty) yield { line: begins, cells };
  }
}

/** Where the quote that opens at `at` closes, or -1. */
function closingQuote(text: string, at: number): number {
  let end = text.indexOf('"', at + 1);
  while (end >= 0 && text[end + 1] === '"') end = text.indexOf('"', end + 2);
  return end;
}

function lineEnds(cell: string): number {
  return cell.match(/\r\n?|\n/g)?.length ?? 0;
}

/** What stands for "no value" in a cell; the empty cell does too. */
export const MISSING: readonly string[] = ["", "na", "n/a", "nan", "null", "none", "?"];

/** The number in a cell; undefined if it holds none, NaN if what stands there is no finite number. */
export function cellNumber(cell: string): number | undefined {
  const text = cell.trim();
  if (MISSING.includes(text.toLowerCase())) return undefined;
  if (!/^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i.test(text)) return Number.NaN;
  const value = Number(text);
  return Number.isFinite(value) ? value : Number.NaN;
}
