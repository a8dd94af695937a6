/** The table of cells: a new cell is one file and one line here. */
import type { Cell } from "./cell.ts";
import { gru } from "./cells/gru.ts";
import { lstm } from "./cells/lstm.ts";
import { mingru } from "./cells/mingru.ts";
import { rnn } from "./cells/rnn.ts";

export const cells = { lstm, gru, rnn, mingru } satisfies Record<string, Cell>;
