/**
 * Products on groups of zero-skipping lanes: which bits each group reads, what lanes.ts makes of them, what meets at a
 * barrier, and the words that move.
 *
 *   column flow   group g reads columns j = g mod groups of a block. What belongs to a column (a row of U; a row of
 *                 dU) waits in registers. dh: sums of the block's samples beside the multipliers, one partial sum a
 *                 group, added up at the barrier. dW: the samples' inputs beside the multipliers.
 *   row flow      a lane owns rows of the result and keeps them in registers; for each nonzero a row of the other operand
 *                 is fetched. dW and dU read the transposed format. Groups share the result's rows.
 *
 * Forward there are no zeros to skip: groups share the width, all read all elements.
 */
import type { TraceSite } from "../sparse/trace.ts";
import type { Work } from "./counts.ts";
import { type LaneConfig, type LaneCycles, simulateLanes } from "./lanes.ts";
import type { LanesDesign } from "./machine.ts";
import { type Bits, columnLines, liveRows, type Patterns, rowLines, rowsOf, transpose } from "./patterns.ts";
import { type ProductRun, productRun } from "./product-run.ts";

/** Compare, pack, FIFO, queue, multiply: cycles before the first result of a block (lane-cycles.ts). */
const LATENCY = 4;
/** Register words of an element on its way: into and out of FIFO and queue, a value and half a word of index. */
const ELEMENT_WORDS = 6;

export function laneConfig({ unitWidth, fifo, ports, lanes, queue, steal, flow }: LanesDesign): LaneConfig {
  return { width: unitWidth, fifo, ports, lanes, queue, steal, owner: flow === "row" ? "row" : "column" };
}

/** Same bits, same cycles: dx, dW and dU of a layer often read the same. */
export type LaneCache = Map<string, GroupsRun>;

export interface GroupsRun {
  readonly runs: readonly LaneCycles[];
  /** Lines with at least one nonzero, over all groups. */
  readonly liveLines: number;
}

export function runLanes(
  design: LanesDesign,
  work: Work,
  site: TraceSite | null,
  batch: number,
  patterns: Patterns,
  cache: LaneCache,
): ProductRun {
  const { form, m } = work.product;
  if (form === "NT" || !site || m === 0) return runDense(design, work, batch);
  const cost = Math.ceil(work.width / design.macsPerLane);
  const key = [site.name, work.product.firstRow, m, work.product.block, design.flow === "row" ? form : "", cost].join(
    " ",
  );
  let groups = cache.get(key);
  if (!groups) {
    groups = groupRuns(design, work, site, batch, patterns, cost);
    cache.set(key, groups);
  }
  return combine(design, work, groups, batch);
}

function groupRuns(
  design: LanesDesign,
  { product: { form, m, block, firstRow } }: Work,
  site: TraceSite,
  batch: number,
  patterns: Patterns,
  cost: number,
): GroupsRun {
  const { groups, flow } = design;
  const looped = block < m;
  const rows = rowsOf(site, firstRow, m);
  const whole = firstRow === 0 && m === site.rows;
  const turned = flow === "column" || form === "TN" ? (whole ? patterns.turned(site) : transpose(rows)) : rows;
  const part = (group: number): { readonly bits: Bits; readonly lines: number } => {
    if (flow === "column") {
      const bits = columnLines(turned, Math.min(batch, m), group, groups);
      return { bits, lines: Math.ceil((site.cols - group) / groups) };
    }
    const bits = form === "NN" ? rowLines(rows, block, group, groups) : rowLines(turned, site.cols, group, groups);
    return { bits, lines: Math.ceil((form === "NN" ? block : site.cols) / groups) };
  };
  let liveLines = 0;
  const runs: LaneCycles[] = [];
  for (let group = 0; group < groups; group++) {
    const { bits, lines } = part(group);
    if (bits.rows === 0) continue;
    liveLines += liveRows(bits);
    const block = looped ? lines : bits.rows;
    runs.push(simulateLanes(laneConfig(design), { ...bits, groups: 1, block }, cost));
  }
  return { runs, liveLines };
}

/** Groups meet at the end of each block; a partial sum for each group is added up there in column flow's dh and dx. */
function combine(design: LanesDesign, work: Work, { runs, liveLines }: GroupsRun, batch: number): ProductRun {
  const { groups, lanes, macsPerLane, flow } = design;
  const { form, m, block, n, k } = work.product;
  const looped = block < m;
  const count = (runs[0] as LaneCycles).blocks.length;
  const partials = flow === "column" && form === "NN" && groups > 1;
  const chunks = Math.ceil(m / batch);
  // Each group adds up its share of the sums: groups - 1 additions a number.
  const sumUp = partials ? Math.ceil((Math.min(batch, m) * k * (groups - 1)) / groups / (lanes * macsPerLane)) : 0;
  const blocks = new Float64Array(count);
  for (let t = 0; t < count; t++)
    for (const run of runs) blocks[t] = Math.max(blocks[t] as number, run.blocks[t] as number);
  const met = blocks.reduce((sum, each) => sum + each, 0);
  const pass = sumUp * (looped ? count : chunks);
  if (looped) for (let t = 0; t < count; t++) (blocks[t] as number) += sumUp;
  const share = 1 / (groups * lanes);
  const over = (of: (run: LaneCycles) => number) => runs.reduce((sum, run) => sum + of(run), 0) * share;
  const done = work.macsDense - work.macsSkipped;
  const ideal = done / (groups * lanes * macsPerLane);
  const busy = over((run) => run.lanes.busy);
  const supply = over((run) => run.lanes.supply);
  const imbalance = over((run) => run.lanes.imbalance);
  const { elements } = work;
  const words = flow === "column" ? columnWords(work, liveLines, groups, lanes) : rowWords(work);
  return productRun(
    met + pass,
    done,
    { edge: busy - ideal, supply, imbalance, barrier: met - busy - supply - imbalance, pass },
    {
      mac: done,
      ...words,
      register:
        words.register + elements * ELEMENT_WORDS + (partials ? (groups - 1) * chunks * Math.min(batch, m) * k : 0),
      // Prefix sums of each word of the unit, two additions an element for its place and its address.
      index: (m * n) / design.unitWidth + 2 * elements,
    },
    looped ? blocks : null,
  );
}

function columnWords(work: Work, liveLines: number, groups: number, lanes: number) {
  const { product, macsDense, macsSkipped, elements } = work;
  const { form, m, k } = product;
  const done = macsDense - macsSkipped;
  // Several lanes of a group each read what belongs to the column for themselves.
  const lines = Math.min(elements, liveLines * lanes);
  if (form === "NN") return { register: 2 * done, buffer: 2 * done + groups * m * k, sram: lines * k + m * k };
  return { register: 2 * done, buffer: done + groups * m * k, sram: 2 * lines * k + m * k };
}

function rowWords(work: Work) {
  const { product, macsDense, macsSkipped } = work;
  const { form, m, n, k } = product;
  const done = macsDense - macsSkipped;
  return { register: 4 * done, buffer: 0, sram: done + (form === "NN" ? m : n) * k };
}

/**
 * All elements count. Groups share the width and each reads all elements, or share the elements: whichever is faster;
 * within a group lanes take elements in turn.
 */
function runDense(design: LanesDesign, work: Work, batch: number): ProductRun {
  const { groups, lanes, macsPerLane, flow } = design;
  const { m, block } = work.product;
  const { rows, cols, width, macsDense } = work;
  const looks = Math.min(m, block);
  const count = m === 0 ? 0 : Math.ceil(m / looks);
  const elements = looks * cols;
  const shareWidth = Math.ceil(elements / lanes) * Math.ceil(Math.ceil(width / groups) / macsPerLane);
  const shareElements = Math.ceil(elements / lanes / groups) * Math.ceil(width / macsPerLane);
  const each = Math.min(shareWidth, shareElements) + LATENCY;
  const cycles = each * count;
  const ideal = macsDense / (groups * lanes * macsPerLane);
  const chunks = Math.ceil(m / Math.max(1, batch));
  const outputs = work.product.form === "TN" ? cols * width : rows * width;
  const words =
    flow === "column"
      ? { register: 2 * macsDense, buffer: 2 * macsDense, sram: cols * width * chunks + rows * cols + outputs }
      : // In step, all lanes use the same row of the other operand.
        { register: 4 * macsDense, buffer: 0, sram: macsDense / (groups * lanes) + rows * cols + outputs };
  return productRun(
    cycles,
    macsDense,
    { edge: cycles - count * LATENCY - ideal, fill: count * LATENCY },
    { mac: macsDense, ...words },
    count > 1 ? new Float64Array(count).fill(each) : null,
  );
}
