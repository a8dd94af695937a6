/** Events as a table: a row each, a column for each number and text in them, nested names with dots between. */

export type Cell = string | number | boolean | null;

/** `lists` of an event have no cell: a table has one value in each. */
export function flatten(value: Readonly<Record<string, unknown>>, prefix = ""): Map<string, Cell> {
  const cells = new Map<string, Cell>();
  for (const [name, item] of Object.entries(value)) {
    const column = prefix + name;
    if (Array.isArray(item)) continue;
    if (typeof item === "object" && item !== null) {
      for (const [inner, cell] of flatten(item as Record<string, unknown>, `${column}.`)) cells.set(inner, cell);
    } else if (item === null || ["string", "number", "boolean"].includes(typeof item)) cells.set(column, item as Cell);
  }
  return cells;
}

/** RFC 4180, lines ended by LF: a header, then a line for each row; columns in the order in which they turn up. */
export function toCsv(rows: readonly ReadonlyMap<string, Cell>[]): string {
  const columns = [...new Set(rows.flatMap((row) => [...row.keys()]))];
  const line = (cells: readonly string[]) => `${cells.map(quoted).join(",")}\n`;
  const lines = rows.map((row) => line(columns.map((column) => String(row.get(column) ?? ""))));
  return columns.length === 0 ? "" : line(columns) + lines.join("");
}

function quoted(cell: string): string {
  return /[",\n\r]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell;
}
