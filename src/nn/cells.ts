/** The table of cells: a new cell is one file and one line here. */
import { check } from "../core/check.ts";
import type { Cell } from "./cell.ts";
import { gru } from "./cells/gru.ts";
import { lstm } from "./cells/lstm.ts";
import { mingru } from "./cells/mingru.ts";
import { rnn } from "./cells/rnn.ts";

export const cells = { lstm, gru, rnn, mingru } satisfies Record<string, Cell>;

/**
 * Takes a cell of one's own into the table: models may name it from now on. `cell.name` is also the first part of its
 * parameters' names.
 */
export function registerCell(cell: Cell): void {
  const known = (cells as Record<string, Cell>)[cell.name];
  check(known === undefined || known === cell, () => `there is a cell "${cell.name}" already; choose another name.`);
  (cells as Record<string, Cell>)[cell.name] = cell;
}
