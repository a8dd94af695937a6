/** The table of cells: a new cell is one file and one line here. */
import type { Cell } from "./cell.ts";
import { lstm } from "./cells/lstm.ts";

export const cells = { lstm } satisfies Record<string, Cell>;
