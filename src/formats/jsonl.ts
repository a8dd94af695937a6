/** JSON lines: an object a line. Whatever is wrong is told with the line it is on. */
import { UsageError } from "../core/check.ts";

export interface JsonRow {
  /** From 1. */
  readonly line: number;
  readonly value: Readonly<Record<string, unknown>>;
}

/** Throws a UsageError for a line that is no JSON object. Empty lines are skipped. */
export function readJsonl(text: string, name: string): JsonRow[] {
  const rows: JsonRow[] = [];
  const bare = text.startsWith("\uFEFF") ? text.slice(1) : text;
  for (const [index, each] of bare.split(/\r\n?|\n/).entries()) {
    if (each.trim() === "") continue;
    const line = index + 1;
    let value: unknown;
    try {
      value = JSON.parse(each);
    } catch (error) {
      throw new UsageError(
        `${name}:${line}: no JSON: ${(error as Error).message.split("\n")[0]}. Write one object a line.`,
      );
    }
    if (typeof value !== "object" || value === null || Array.isArray(value))
      throw new UsageError(
        `${name}:${line}: got ${cut(each)}, expected a JSON object such as {"text": "...", "label": "..."}.`,
      );
    rows.push({ line, value: value as Record<string, unknown> });
  }
  return rows;
}

function cut(text: string): string {
  return text.length > 40 ? `${text.slice(0, 40)}...` : text;
}
