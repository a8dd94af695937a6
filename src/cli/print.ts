/**
 * The two streams and what may be written to them: results on stdout, progress and remarks on
 * stderr. Colours and lines that update in place appear only where a person watches.
 */
import { stripVTControlCharacters } from "node:util";
import picocolors from "picocolors";

const MAX_WIDTH = 100;

type Stream = NodeJS.WriteStream;

function coloursFor(stream: Stream) {
  const { NO_COLOR, FORCE_COLOR, TERM } = process.env;
  if (NO_COLOR) return picocolors.createColors(false);
  return picocolors.createColors(FORCE_COLOR ? FORCE_COLOR !== "0" : Boolean(stream.isTTY) && TERM !== "dumb");
}

/** Colours for text on stdout, and on stderr. */
export const paint = coloursFor(process.stdout);
export const paintRemark = coloursFor(process.stderr);

/** A result: stdout. */
export function print(text = ""): void {
  process.stdout.write(`${text}\n`);
}

/** Progress or a remark: stderr. */
export function remark(text = ""): void {
  process.stderr.write(`${text}\n`);
}

/** One value as one line of JSON. NaN and infinities become null. */
export function printJson(value: unknown): void {
  print(JSON.stringify(value));
}

/** Columns that text may take: the terminal's, and at most 100. */
export function widthOf(stream: Stream): number {
  return Math.min(MAX_WIDTH, stream.columns ?? MAX_WIDTH);
}

/** Cells in columns, two spaces apart. The first column, and those named, are aligned left. */
export function table(rows: readonly (readonly string[])[], left: readonly number[] = [0]): string {
  const columns = Math.max(0, ...rows.map((row) => row.length));
  const widths = Array.from({ length: columns }, (_, c) => Math.max(0, ...rows.map((row) => visible(row[c] ?? ""))));
  const line = (row: readonly string[]) =>
    row.map((cell, c) => {
      const padding = " ".repeat((widths[c] ?? 0) - visible(cell));
      return left.includes(c) ? cell + padding : padding + cell;
    });
  return rows.map((row) => line(row).join("  ").trimEnd()).join("\n");
}

export function indent(text: string, by = "  "): string {
  return text.replace(/^(?=.)/gm, by);
}

/** Words in lines of at most `width` characters. */
export function wrap(text: string, width: number): string {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line ? `${line} ${word}` : word;
  }
  return [...lines, line].join("\n");
}

/** Text as it is, lines longer than `width` broken anywhere: for samples. */
export function fold(text: string, width: number): string {
  return text.replace(new RegExp(`(.{${width}})(?=.)`, "gu"), "$1\n");
}

export function visible(text: string): number {
  return [...stripVTControlCharacters(text)].length;
}

/**
 * Lines at the bottom of a terminal that are written again and again in their place. On anything
 * but a terminal `update` does nothing.
 */
export class LiveLines {
  readonly #stream: Stream;
  readonly live: boolean;
  #shown = 0;
  #last: readonly string[] = [];

  constructor(stream: Stream, enabled = true) {
    this.#stream = stream;
    this.live = enabled && Boolean(stream.isTTY) && process.env.TERM !== "dumb";
  }

  update(lines: readonly string[]): void {
    if (!this.live) return;
    this.#last = lines;
    const width = (this.#stream.columns ?? 80) - 1;
    const body = lines.map((line) => `${cut(line, width)}\x1b[K`).join("\n");
    this.#stream.write(`${this.#up()}${body}\n`);
    this.#shown = lines.length;
  }

  /** Removes the lines: what is written next stands in their place. */
  clear(): void {
    if (this.#shown) this.#stream.write(`${this.#up()}\x1b[J`);
    this.#shown = 0;
  }

  /** A line that stays, above those that change. */
  note(text: string): void {
    const last = this.#last;
    this.clear();
    this.#stream.write(`${text}\n`);
    if (this.live && last.length) this.update(last);
  }

  #up(): string {
    return this.#shown ? `\x1b[${this.#shown}A\r` : "";
  }
}

/** Cut to `width` visible characters; colours are given up with what is cut. */
export function cut(text: string, width: number): string {
  return visible(text) <= width ? text : [...stripVTControlCharacters(text)].slice(0, width).join("");
}
