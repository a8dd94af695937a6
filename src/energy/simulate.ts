/**
 * One traced training step on one machine: every product through the machine's own model, the cells' pointwise work
 * beside it, off-chip words behind it, the update after it.
 *
 * Lanes, windows and arrays are exact in cycles, from the step's bits. Pointwise work, memory and the update are
 * counts over rates: a vector unit works beside the products of a time loop, so a position takes the longer of both;
 * memory is double-buffered, so a product takes the longer of cycles and words. What this leaves out:
 * docs/accelerator.md.
 */
import { check } from "../core/check.ts";
import type { TraceRun, TraceSite, TraceStep } from "../sparse/trace.ts";
import { countBits, wordsOf } from "../sparse/trace.ts";
import {
  type Actions,
  addActions,
  bitmapWords,
  denseWords,
  dramWords,
  type GradientWords,
  noActions,
  type Pointwise,
  pointwiseOf,
  updateOperations,
  updateWords,
  type Work,
  worksOf,
} from "./counts.ts";
import { type Machine, peakMacs } from "./machine.ts";
import { Patterns } from "./patterns.ts";
import { noStalls, type ProductRun, productRun, STALLS, type Stalls } from "./product-run.ts";
import { type LaneCache, runLanes } from "./run-lanes.ts";
import { runLookahead } from "./run-lookahead.ts";
import { runGathering, runSystolic } from "./run-systolic.ts";

/** Sums over a part of a step: its backward pass, or all of it with forward pass and update. */
export interface Part {
  macsDense: number;
  /** Multiplied. */
  macsDone: number;
  /** Not multiplied: skipped, or switched off in their cycle. */
  macsSkipped: number;
  /** Of the trace: what a machine that skips all zeros would not do. */
  macsRedundant: number;
  cycles: number;
  readonly stalls: Stalls;
  readonly actions: Actions;
}

export interface ProductResult extends Part {
  readonly layer: string;
  readonly product: string;
  readonly direction: "forward" | "backward";
}

export interface StepResult {
  readonly machine: Machine;
  readonly step: number;
  readonly products: readonly ProductResult[];
  readonly backward: Part;
  readonly whole: Part;
}

/** How a machine runs one product: the simulator's way, or the estimate's. */
export type Runner = (work: Work, site: TraceSite | null, batch: number) => ProductRun;

/** Beyond so many gradients of a site nothing is simulated: bits, transposed bits and lists must fit into memory. */
const MOST_GRADIENTS = 2 ** 31;

/** Throws a `UsageError` for sizes beyond memory. */
export function simulateStep(step: TraceStep, run: TraceRun, machine: Machine): StepResult {
  for (const { name, rows, cols } of step.sites)
    check(
      rows * wordsOf(cols) * 32 <= MOST_GRADIENTS,
      `site ${name} of step ${step.step} has ${rows} x ${cols} gradients: at most 2^31 can be simulated. Trace a smaller batch.`,
    );
  return runStep(step, run, machine, runnerOf(machine));
}

/** Simulates products cycle by cycle, or by formulas that equal it. Patterns that products share are made once. */
export function runnerOf({ design }: Machine): Runner {
  const patterns = new Patterns();
  const cache: LaneCache = new Map();
  switch (design.kind) {
    case "systolic":
      return design.gather === "columns"
        ? (work, site, batch) => runGathering(design, work, site, batch)
        : (work) => runSystolic(design, work);
    case "lookahead":
      return (work, site, batch) => runLookahead(design, work, site, batch, patterns);
    case "lanes":
      return (work, site, batch) => runLanes(design, work, site, batch, patterns, cache);
    case "roofline":
      return (work, site) => {
        const backward = work.product.direction === "backward" && site !== null;
        const density = work.elements / Math.max(1, work.rows * work.cols);
        const faster = backward ? interpolate(design.speedups, density) : 1;
        const cycles = work.macsDense / design.macsPerCycle / faster;
        // What kernels leave out follows from the density too: blocks too full to pay run dense.
        const done = backward && faster > 1 ? work.macsDense - work.macsSkipped : work.macsDense;
        const lost = cycles - done / design.macsPerCycle;
        return productRun(cycles, done, { supply: lost }, { mac: done });
      };
  }
}

/** Puts a step together from its products; `runner` says how each is done. */
export function runStep(step: TraceStep, run: TraceRun, machine: Machine, runner: Runner): StepResult {
  const cells = step.pointwise.map(pointwiseOf);
  const backward = noPart();
  const whole = noPart();
  const products = worksOf(step).map((work): ProductResult => {
    const { layer, product, direction, site: name, m } = work.product;
    const site = step.sites.find((each) => each.name === name) ?? null;
    const cell = beside(cells, work, step);
    const part = finish(machine, work, runner(work, site, Math.max(1, Math.min(run.batchSize, m))), cell, step);
    addPart(whole, part);
    if (direction === "backward") addPart(backward, part);
    return { layer, product, direction, ...part };
  });
  addPart(whole, updatePart(machine, run));
  return { machine, step: step.step, products, backward, whole };
}

/** The pointwise work that goes with a product: the time loop's where there is one, else the first of its direction. */
function beside(cells: readonly Pointwise[], { product }: Work, step: TraceStep): Pointwise | null {
  const cell = cells.find(({ layer }) => layer === product.layer);
  if (!cell) return null;
  const same = step.products.filter((each) => each.layer === product.layer && each.direction === product.direction);
  const host = same.find((each) => each.block < each.m) ?? same[0];
  return host === product ? cell : null;
}

function finish(machine: Machine, work: Work, run: ProductRun, cell: Pointwise | null, step: TraceStep): Part {
  const { design, vectorLanes, sramBytes, dramGBs, clockGHz } = machine;
  const { macsDense, macsSkipped, product } = work;
  const stalls = { ...run.stalls };
  const actions = { ...run.actions };
  let { cycles } = run;
  const gradients = gradientsOf(machine, run, work);
  let words = dramWords(work, gradients, sramBytes);
  if (cell) {
    const forward = product.direction === "forward";
    const operations = forward ? cell.forwardOperations : cell.backwardOperations;
    const site = step.sites.find(({ name }) => name === cell.layer);
    let pass = 0;
    words += forward ? cell.forwardWords : cell.backwardWords;
    if (!forward && site && cell.forwardWords > 0) {
      const kept = countBits(site.bitmap);
      const written = gradientWords(machine)(site.rows, site.cols, kept);
      // Machines whose dW reads another order than dh store both.
      words += written * (design.kind === "lanes" && design.flow === "row" ? 2 : 1);
      addActions(actions, compaction(machine, site));
      if (design.kind === "lanes" && !design.threshold) pass = (site.rows * site.cols) / vectorLanes;
    }
    const each = operations / vectorLanes;
    const waits = run.blocks ? overlap(run.blocks, each, work) : Math.max(0, each - cycles);
    stalls.pointwise += waits;
    stalls.pass += pass;
    cycles += waits + pass;
    // Operands from registers, once; two of them and a result.
    addActions(actions, { register: 3 * operations, mac: operations / 2 });
  }
  actions.dram += words;
  actions.sram += words;
  const memory = Math.max(0, (words * 4 * clockGHz) / dramGBs - cycles);
  stalls.memory += memory;
  const skipped = macsDense - run.macsDone;
  return {
    macsDense,
    macsDone: run.macsDone,
    macsSkipped: skipped,
    macsRedundant: macsSkipped,
    cycles: cycles + memory,
    stalls,
    actions,
  };
}

/** Cycles by which the cell's work at each position outlasts the product's; one position more than blocks in dh. */
function overlap(blocks: Float64Array, cycles: number, { product: { firstRow, block } }: Work): number {
  const first = firstRow / Math.max(1, block);
  const each = cycles / (blocks.length + first);
  let waits = each * first;
  for (const taken of blocks) waits += Math.max(0, each - taken);
  return waits;
}

/** How gradients lie in memory. */
function gradientWords({ design }: Machine): GradientWords {
  return design.kind === "lanes" ? bitmapWords : denseWords;
}

/** A machine that gathers columns reads and writes the live ones. */
function gradientsOf(machine: Machine, run: ProductRun, work: Work): GradientWords {
  const { design } = machine;
  if (design.kind === "systolic" && design.gather === "columns" && run.macsDone < work.macsDense)
    return (rows, cols) => rows * cols * (run.macsDone / work.macsDense) + cols / 32;
  return gradientWords(machine);
}

/** Comparing and compacting a site's gradients, and the sums that policies learn from. */
function compaction({ design }: Machine, { rows, cols }: TraceSite): Partial<Actions> {
  const all = rows * cols;
  // Sums of squares before and after the rule, and a counter for each of a sample of one row in eight.
  const statistics = { mac: 2 * all, index: all / 8 };
  if (design.kind === "lanes" && !design.threshold)
    return { ...statistics, compare: all, sram: 2 * all, index: statistics.index + all };
  return { ...statistics, compare: all };
}

function updatePart({ vectorLanes, dramGBs, clockGHz }: Machine, { parameters, optimizerStates }: TraceRun): Part {
  const operations = updateOperations(parameters, optimizerStates);
  const words = updateWords(parameters, optimizerStates);
  const compute = operations / vectorLanes;
  const memory = Math.max(0, (words * 4 * clockGHz) / dramGBs - compute);
  const part = noPart();
  part.cycles = compute + memory;
  part.stalls.pointwise = compute;
  part.stalls.memory = memory;
  addActions(part.actions, { mac: operations / 2, register: 3 * operations, sram: words, dram: words });
  return part;
}

function noPart(): Part {
  return {
    macsDense: 0,
    macsDone: 0,
    macsSkipped: 0,
    macsRedundant: 0,
    cycles: 0,
    stalls: noStalls(),
    actions: noActions(),
  };
}

function addPart(to: Part, part: Part): void {
  to.macsDense += part.macsDense;
  to.macsDone += part.macsDone;
  to.macsSkipped += part.macsSkipped;
  to.macsRedundant += part.macsRedundant;
  to.cycles += part.cycles;
  for (const cause of STALLS) to.stalls[cause] += part.stalls[cause];
  addActions(to.actions, part.actions);
}

/** Nanoseconds: machines differ in their clock. */
export function nanoseconds({ clockGHz }: Machine, { cycles }: Pick<Part, "cycles">): number {
  return cycles / clockGHz;
}

/** Share of the multipliers' cycles that did something that counts. */
export function utilisation(machine: Machine, { macsDone, cycles }: Part): number {
  return cycles > 0 ? macsDone / peakMacs(machine) / cycles : 0;
}

/** Between two points along the logarithm of the density; the ends hold beyond them. */
function interpolate(points: readonly (readonly [number, number])[], density: number): number {
  const sorted = [...points].sort((a, b) => a[0] - b[0]);
  const above = sorted.findIndex(([at]) => at >= density);
  if (above < 0) return (sorted.at(-1) as readonly [number, number])[1];
  const [x1, y1] = sorted[above] as readonly [number, number];
  if (above === 0) return y1;
  const [x0, y0] = sorted[above - 1] as readonly [number, number];
  const share = Math.log(density / x0) / Math.log(x1 / x0);
  return y0 + (y1 - y0) * share;
}
