/** Products on units with a window: streams of 16 from the bitmap, tiles of four rows that move on together. */
import type { TraceSite } from "../sparse/trace.ts";
import { wordsOf } from "../sparse/trace.ts";
import type { Work } from "./counts.ts";
import { lookaheadCycles } from "./lookahead.ts";
import { LOOKAHEAD_LANES, type LookaheadDesign } from "./machine.ts";
import { type Bits, type Patterns, rowsOf, transpose } from "./patterns.ts";
import { type ProductRun, productRun } from "./product-run.ts";

/** Stages from operand to sum: cycles that a block needs beyond its operands. Assumed. */
const LATENCY = 8;

export function runLookahead(
  design: LookaheadDesign,
  work: Work,
  site: TraceSite | null,
  batch: number,
  patterns: Patterns,
): ProductRun {
  const { m, n, k, form, block, firstRow } = work.product;
  const looped = block < m;
  // Out (M, N), K summed over: rows of the operand with zeros go to rows of units.
  const [M, N, K] = form === "NT" ? [m, n, k] : form === "NN" ? [m, k, n] : [n, k, m];
  const folds = Math.ceil(N / design.cols);
  const rowsOfBlock = form === "TN" ? M : Math.min(M, batch);
  const count = M === 0 ? 0 : Math.ceil(M / rowsOfBlock);
  const tiles = Math.ceil(rowsOfBlock / design.rows);
  const denseEach = tiles * Math.ceil(K / LOOKAHEAD_LANES) * folds;
  let blocks: Float64Array;
  if (!site || form === "NT") blocks = new Float64Array(count).fill(denseEach);
  else {
    const whole = firstRow === 0 && m === site.rows;
    const bits: Bits =
      form === "NN" ? rowsOf(site, firstRow, m) : whole ? patterns.turned(site) : transpose(rowsOf(site, firstRow, m));
    blocks = tileCycles(bits, rowsOfBlock, design).map((cycles) => cycles * folds);
  }
  if (looped) blocks = blocks.map((cycles) => cycles + LATENCY);
  const cycles = blocks.reduce((sum, each) => sum + each, 0) + (looped ? 0 : LATENCY);
  const done = work.macsDense - work.macsSkipped;
  const peak = design.rows * design.cols * LOOKAHEAD_LANES;
  const fill = LATENCY * (looped ? count : 1);
  const edge = Math.max(
    0,
    ((count * denseEach - work.macsDense / peak) * (cycles - fill)) / Math.max(1, count * denseEach),
  );
  // Operands are read whole: the window sees zeros too.
  const words = M * K * folds + K * N * tiles * count + M * N;
  return productRun(
    cycles,
    done,
    { edge, fill, supply: cycles - fill - edge - done / peak },
    { mac: done, register: 3 * done + words, sram: words, index: (M * K * folds) / LOOKAHEAD_LANES },
    looped ? blocks : null,
  );
}

/** Cycles of each block of rows for one column of units: its tiles one after the other. */
function tileCycles(
  { rows, cols, bitmap }: Bits,
  rowsOfBlock: number,
  { rows: height, depth }: LookaheadDesign,
): Float64Array {
  const stride = wordsOf(cols);
  const length = Math.ceil(cols / LOOKAHEAD_LANES);
  // A word of 32 bits is two of 16, the low half first, on machines with the low byte first: all that Node runs on.
  const halves = new Uint16Array(bitmap.buffer, bitmap.byteOffset, bitmap.length * 2);
  const blocks = new Float64Array(Math.ceil(rows / rowsOfBlock));
  for (let t = 0; t < blocks.length; t++) {
    const end = Math.min(rows, (t + 1) * rowsOfBlock);
    for (let r = t * rowsOfBlock; r < end; r += height) {
      const streams: Uint16Array[] = [];
      for (let i = r; i < Math.min(end, r + height); i++)
        streams.push(halves.subarray(2 * i * stride, 2 * (i + 1) * stride));
      (blocks[t] as number) += lookaheadCycles(streams, length, depth);
    }
  }
  return blocks;
}
