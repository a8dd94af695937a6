/** What engine native plans for a weight and a pattern, and the words its sweeps are told in (native/kernels.h). */
import type { DoubleTensor, IntTensor, Tensor } from "../core/arena.ts";
import type { Pattern } from "../sparse/pattern.ts";
import type { DropRule } from "../sparse/rule.ts";
import type { PackedWeight } from "./by-address.ts";
import { CHOSEN_COLUMNS, KEEP, keepsColumns, kindOf, setChoice, THRESHOLD } from "./choice.ts";
import type { Listing } from "./listing.ts";

/** Flags of `compress`. */
export const BEFORE = 1;
export const AFTER = 2;
export const INDEX = 4;
export const LISTS = 8;
export const COLUMN_FORM = 16;

export interface NativeWeight extends PackedWeight {
  // nt: panels over N of w^T, [N / 64][K][64]; on bf16 operands of pairs of 4 bytes, [N / 64][K / 2][64]
  // nn: panels over K of w, [K / 64][N][64]
  /** w^T (K, N), and what lookupGradient needs: sums (K, N) and touched (K), zero between calls. */
  readonly lookup: { columns: Tensor; sums: Tensor; touched: IntTensor } | undefined;
}

export interface NativePattern extends Pattern {
  /** Nonzeros of a row, row after row within one sweep. (list rows, cols + slack) */
  readonly values: Tensor;
  /** For each of them 16 bits: byte offset of its row in a panel tile. */
  readonly offsets: IntTensor;
  /** (list rows, tiles + 1): index into the lists where each tile's piece of a row begins. */
  readonly starts: IntTensor;
  /** The rule's tau in float32, per group. */
  readonly tau: Tensor;
  /** Shares of the sums, added in order. (64, groups, 4) */
  readonly partials: Tensor<Float64Array>;
  /** What rules that draw or choose are told, and their room: choice.ts. */
  readonly choice: DoubleTensor;
  /** Rows whose lists are of their last sweep: `keep` makes none. */
  readonly listing: Listing;
}

/** A rule as the sweep is told it. */
export interface Told {
  readonly kind: number;
  /** Of the lists that are wanted: whether they take column form, which needs two rows to have room. */
  readonly form: 0 | typeof COLUMN_FORM;
}

/** Writes what the sweep of `rows` rows at a time is to know of the rule; undefined for a rule it does not know. */
export function tell({ site, tau, choice }: NativePattern, rule: DropRule, rows: number): Told | undefined {
  const kind = kindOf(rule, site);
  if (kind === undefined) return undefined;
  // Nothing is dropped below -1, which no magnitude is.
  const limited = rule.kind === "threshold" || rule.kind === "stochastic" || rule.kind === "block";
  for (let group = 0; group < site.groups.length; group++) tau.data[group] = limited ? (rule.tau[group] as number) : -1;
  setChoice(choice, rule, site, rows);
  return { kind: kind === KEEP ? THRESHOLD : kind, form: keepsColumns(kind) && rows > 1 ? COLUMN_FORM : 0 };
}

/** Nothing is dropped, and the columns are those of `chosenColumns`. */
export const CHOSEN: Told = { kind: CHOSEN_COLUMNS, form: COLUMN_FORM };
