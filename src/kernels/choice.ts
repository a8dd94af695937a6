/**
 * How engines over the arena's bytes are told of a rule: its kind as a number, and, where it draws or chooses among
 * lines, a head of numbers with room behind it to choose in. native/kernels.h and assembly/choose.ts count alike.
 */
import type { Arena, DoubleTensor } from "../core/arena.ts";
import { lines } from "../sparse/choose.ts";
import type { Pattern } from "../sparse/pattern.ts";
import type { DropRule } from "../sparse/rule.ts";
import type { Site } from "../sparse/site.ts";
import type { Listing } from "./listing.ts";

export const KEEP = 0;
export const THRESHOLD = 1;
export const STOCHASTIC = 2;
export const RANDOM = 3;
export const TOP_IN_ROW = 4;
export const BLOCKS = 5;
export const TOP_COLUMNS = 6;
export const COLUMNS = 7;
export const DRAWN_COLUMNS = 8;
export const ROWS = 9;
export const DRAWN_ROWS = 10;
/** Drops nothing: the columns are those of a choice that was made. */
export const CHOSEN_COLUMNS = 11;

/** Columns of a site whose rows have room in a thread's scratch memory, for rules that choose within a row. */
const MOST_CHOICE_COLUMNS = 32704;
/** Numbers of the head: parts, columns of a block, length of the room for scores; then two for each part. */
const LIMITS = 3;
const HEAD = 40;
const LANES = 16; // a part's scores begin at a whole vector

/** The kind of a rule that an engine's own sweep executes; undefined for one that goes through sparse/apply.ts. */
export function kindOf({ kind, unbiased, unified }: DropRule, { cols }: Site): number | undefined {
  if (kind === "keep") return KEEP;
  if (kind === "threshold") return THRESHOLD;
  if (kind === "stochastic") return STOCHASTIC;
  if (kind === "random") return RANDOM;
  if (kind === "columns") return unbiased ? DRAWN_COLUMNS : COLUMNS;
  if (kind === "topk" && unified) return TOP_COLUMNS;
  if (kind === "custom" || cols > MOST_CHOICE_COLUMNS) return undefined;
  if (kind === "rows") return unbiased ? DRAWN_ROWS : ROWS;
  return kind === "block" ? BLOCKS : TOP_IN_ROW;
}

/** Whether a rule of this kind chooses among lines, for which it looks at all rows of a call first. */
export function choosesLines(kind: number): boolean {
  return kind >= TOP_COLUMNS;
}

/** Whether a rule of this kind keeps the same columns of all rows of a call. */
export function keepsColumns(kind: number | undefined): boolean {
  return kind !== undefined && kind >= TOP_COLUMNS && kind <= DRAWN_COLUMNS;
}

/** The head, room for scores in doubles and behind it for factors in floats. `rows`: the most of a call. */
export function planChoice(arena: Arena, { name, cols, groups }: Site, rows: number): DoubleTensor {
  const room = roomFor(Math.max(cols + groups.length * LANES, rows));
  return arena.doubles(`${name}.choice`, [HEAD + room + room / 2], "pattern");
}

function roomFor(scores: number): number {
  return (Math.ceil(scores / LANES) + 1) * LANES;
}

/** Fills the head for a call over `rows` rows. */
export function setChoice(choice: DoubleTensor, rule: DropRule, site: Site, rows: number): void {
  const { kind, share } = rule;
  const head = choice.data;
  const columns = kind === "topk" || kind === "columns";
  const parts = rule.pooled && columns ? 1 : site.groups.length;
  head[0] = parts;
  head[1] = rule.size;
  head[2] = ((choice.length - HEAD) * 2) / 3;
  if (kind === "random")
    for (let part = 0; part < parts; part++) {
      const P = share[part] as number;
      head[LIMITS + 2 * part] = Math.ceil(P * 2 ** 32) - 1; // the largest hash that is kept; -1: none
      head[LIMITS + 2 * part + 1] = Math.fround(1 / P);
    }
  if (columns || kind === "rows")
    for (let part = 0; part < parts; part++) {
      const n = kind === "rows" ? rows : site.cols / parts;
      const kept = share[kind === "rows" ? 0 : part] as number;
      head[LIMITS + 2 * part] = kept * n;
      head[LIMITS + 2 * part + 1] = lines(kept, n);
    }
}

export interface ChoosingPattern extends Pattern {
  readonly choice: DoubleTensor;
  readonly listing: Listing;
}

/**
 * The choice of columns, just made, of the pattern that rows [row, row + rows) follow; undefined if there is none, or the
 * rule drops anything itself.
 */
export function chosenColumns({ follows, site }: Pattern, row: number, rows: number, rule: DropRule) {
  const leader = follows as ChoosingPattern | undefined;
  if (!leader || rule.kind !== "threshold" || leader.site.cols !== site.cols) return undefined;
  for (let group = 0; group < rule.tau.length; group++) if ((rule.tau[group] as number) >= 0) return undefined;
  return leader.listing.columnBlocks(leader, row, rows) === rows ? leader.choice : undefined;
}
