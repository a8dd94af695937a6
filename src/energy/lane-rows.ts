/**
 * What a threshold-and-compact unit reads and the lanes behind it do: shapes, the order of the words, what is counted.
 * The machine itself: lane-cycles.ts, cycle by cycle, and lanes.ts, the same without walking the cycles.
 *
 *   words of W gradients -> compare -> pack -> FIFO -> P ports -> a queue before each lane -> lane: `cost` cycles each
 */
import { check } from "../core/check.ts";

/** One unit and its group of lanes. All numbers are whole and at least 1. */
export interface LaneConfig {
  /**
   * Gradients that the unit compares a cycle, its word; at most 32. They lie side by side in one row and group where
   * columns own, one below the other in a column where rows own: so they are for different lanes, and share the
   * other operand (a row of x, of h or of the weights).
   */
  readonly width: number;
  /** Elements the FIFO behind the unit holds; at least `width`. */
  readonly fifo: number;
  /** Elements that may leave the FIFO a cycle, in order, at most one for a lane. */
  readonly ports: number;
  readonly lanes: number;
  /** Elements the queue before each lane holds. */
  readonly queue: number;
  /**
   * Whose element it is: of lane (column mod lanes), which then owns rows of dW and dU; or of lane (row of the block
   * mod lanes), which then owns rows of dh and dx.
   */
  readonly owner: "column" | "row";
  /** A lane with nothing to do takes from its right neighbour's queue while that one is busy. */
  readonly steal: boolean;
}

/** Where a site's gradients are not zero. A TraceSite has most of it. */
export interface LaneRows {
  readonly rows: number;
  readonly cols: number;
  /** Gates: a word lies within one, since each has its own tau. */
  readonly groups: number;
  /** Rows after which everything must be finished before the next begins: B for dh, all for dW, dU and dx. */
  readonly block: number;
  /** Bit c%32 of word c>>5 of a row. (rows, ceil(cols/32)) */
  readonly bitmap: Uint32Array;
}

/** Cycles, of the unit or, added up over lanes, of the lanes. */
export interface LaneCycles {
  readonly cycles: number;
  /** Words that the unit compared. */
  readonly words: number;
  /** Survivors: what the lanes multiplied. */
  readonly elements: number;
  /** Elements that another lane than their own took. */
  readonly stolen: number;
  /** Each of the cycles is one of these. */
  readonly unit: {
    /** A word is taken in. */
    readonly scan: number;
    /** There is a word, but the one before it does not fit into the FIFO. */
    readonly backPressure: number;
    /** All words of the block are in, the lanes finish: the barrier. */
    readonly drain: number;
  };
  /** Each of cycles x lanes is one of these. */
  readonly lanes: {
    readonly busy: number;
    /** Nothing to do while the unit scans: there are too few survivors for the lanes. */
    readonly supply: number;
    /** Nothing to do while the unit stands: other lanes' elements are in the way. */
    readonly imbalance: number;
    /** Nothing to do while others finish the block. */
    readonly drain: number;
  };
  /** Busy cycles of each lane. */
  readonly laneBusy: Float64Array;
  /** Cycles of each block; several groups of lanes meet at the slowest. */
  readonly blocks: Float64Array;
}

/** The words of one block in the order in which the unit reads them. */
export interface Scan {
  length: number;
  /** Bit i: the i-th gradient of the word is not zero. */
  readonly bits: Uint32Array;
  /** Row of the site and column of the word's first gradient. */
  readonly row: Int32Array;
  readonly col: Int32Array;
}

/** Throws a `UsageError` that names what is wrong with the machine or the rows. */
export function checkLanes(config: LaneConfig, rows: LaneRows, cost: number): void {
  for (const [name, value] of Object.entries({ ...config, cost, groups: rows.groups, block: rows.block }))
    if (typeof value === "number")
      check(
        Number.isInteger(value) && value >= 1 && value <= 2 ** 30,
        `${name} of a lane group is ${value}: it must be a whole number from 1 to ${2 ** 30}`,
      );
  const { width, fifo } = config;
  check(width <= 32, `a unit of width ${width} is too wide: at most 32 gradients a cycle`);
  check(fifo >= width, `a FIFO of ${fifo} cannot take a full word: make it at least the unit's width, ${width}`);
  const words = rows.rows * Math.ceil(rows.cols / 32);
  check(
    rows.bitmap.length === words && rows.cols % rows.groups === 0,
    `a bitmap of ${rows.bitmap.length} words and ${rows.groups} groups does not fit ${rows.rows} x ${rows.cols} gradients: ` +
      `expected ${words} words, and groups that divide the columns`,
  );
}

/** Room for the words of one block. */
export function scanOf(config: LaneConfig, rows: LaneRows): Scan {
  const size = wordsOfBlock(config, rows, Math.min(rows.block, rows.rows));
  return { length: 0, bits: new Uint32Array(size), row: new Int32Array(size), col: new Int32Array(size) };
}

function wordsOfBlock({ width, lanes, owner }: LaneConfig, { cols, groups }: LaneRows, count: number): number {
  if (owner === "column") return count * groups * Math.ceil(cols / groups / width);
  const strip = Math.max(lanes, width);
  const rest = count % strip;
  return cols * (Math.floor(count / strip) * Math.ceil(strip / width) + Math.ceil(rest / width));
}

/** Fills `scan` with the words of rows [first, first + count). */
export function scanBlock(scan: Scan, config: LaneConfig, rows: LaneRows, first: number, count: number): void {
  scan.length = wordsOfBlock(config, rows, count);
  if (config.owner === "column") scanRows(scan, config, rows, first, count);
  else scanColumns(scan, config, rows, first, count);
}

/** Row after row, a word within a group. */
function scanRows(scan: Scan, { width }: LaneConfig, rows: LaneRows, first: number, count: number): void {
  const inGroup = rows.cols / rows.groups;
  const stride = Math.ceil(rows.cols / 32);
  let at = 0;
  for (let row = first; row < first + count; row++)
    for (let group = 0; group < rows.groups; group++)
      for (let c = 0; c < inGroup; c += width) {
        const col = group * inGroup + c;
        const word = row * stride + (col >>> 5);
        const shift = col & 31;
        let bits = (rows.bitmap[word] as number) >>> shift;
        if (shift > 0 && word + 1 < (row + 1) * stride) bits |= (rows.bitmap[word + 1] as number) << (32 - shift);
        scan.bits[at] = bits & (0xffffffff >>> (32 - Math.min(width, inGroup - c)));
        scan.row[at] = row;
        scan.col[at++] = col;
      }
}

/** Strips of rows, as many as there are lanes; in each, column after column. */
function scanColumns(scan: Scan, config: LaneConfig, rows: LaneRows, first: number, count: number): void {
  const { width, lanes } = config;
  const strip = Math.max(lanes, width);
  const stride = Math.ceil(rows.cols / 32);
  let at = 0;
  for (let top = first; top < first + count; top += strip) {
    const bottom = Math.min(top + strip, first + count);
    for (let col = 0; col < rows.cols; col++)
      for (let row = top; row < bottom; row += width) {
        const end = Math.min(row + width, bottom);
        let bits = 0;
        for (let r = row; r < end; r++)
          bits |= (((rows.bitmap[r * stride + (col >>> 5)] as number) >>> (col & 31)) & 1) << (r - row);
        scan.bits[at] = bits;
        scan.row[at] = row;
        scan.col[at++] = col;
      }
  }
}
