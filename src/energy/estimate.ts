/**
 * The same step by formulas: each product from its shape and density alone, as if nonzeros lay anywhere with the same
 * probability. For a first answer in milliseconds, and as a check of the simulator, which finds the same on such
 * patterns (within ESTIMATE_ERROR, tested) and something else on real ones: there nonzeros come in columns and rows.
 */
import { RandomStream } from "../core/random.ts";
import type { TraceRun, TraceStep } from "../sparse/trace.ts";
import type { Work } from "./counts.ts";
import { lookaheadCycles } from "./lookahead.ts";
import {
  type LanesDesign,
  LOOKAHEAD_LANES,
  type LookaheadDesign,
  type Machine,
  type SystolicDesign,
} from "./machine.ts";
import { type ProductRun, productRun } from "./product-run.ts";
import { runSystolic } from "./run-systolic.ts";
import { type Runner, runnerOf, runStep, type StepResult } from "./simulate.ts";
import { streamedCycles, systolicCycles } from "./systolic.ts";

/** Largest relative difference to the simulator in the cycles of a product, on uniformly random patterns. */
export const ESTIMATE_ERROR = { systolic: 0.04, lookahead: 0.08, columnLanes: 0.03, rowLanes: 0.07 } as const;

export function estimateStep(step: TraceStep, run: TraceRun, machine: Machine): StepResult {
  return runStep(step, run, machine, estimatorOf(machine));
}

function estimatorOf(machine: Machine): Runner {
  const { design } = machine;
  const simulator = runnerOf(machine);
  switch (design.kind) {
    case "systolic":
      return (work, site, batch) =>
        design.gather === "columns" && site && work.product.form !== "NT"
          ? gathering(design, work, batch)
          : runSystolic(design, work);
    case "lookahead":
      return (work, site, batch) => (site ? lookahead(design, work, batch) : simulator(work, null, batch));
    case "lanes":
      return (work, site, batch) => (site ? lanesRun(design, work, batch) : simulator(work, null, batch));
    case "roofline":
      return simulator;
  }
}

function densityOf({ elements, rows, cols }: Work): number {
  return rows * cols > 0 ? elements / (rows * cols) : 0;
}

function gathering(design: SystolicDesign, work: Work, batch: number): ProductRun {
  const dense = runSystolic(design, work);
  const { m, n, k, form, block } = work.product;
  const live = n * (1 - (1 - densityOf(work)) ** batch);
  const gemm = form === "NN" ? { M: batch, N: k, K: live } : { M: live, N: k, K: batch };
  const looped = block < m;
  const each = (looped ? systolicCycles : streamedCycles)(gemm, design, design.stationary);
  const count = m / batch;
  const cycles = each * count + (looped ? 0 : 2 * design.rows + design.cols - 2);
  if (cycles >= dense.cycles) return dense;
  const done = live * k * m;
  const ideal = done / design.rows / design.cols;
  return productRun(
    cycles,
    done,
    { edge: cycles - ideal },
    { mac: done },
    looped ? new Float64Array(count).fill(each) : null,
  );
}

/** Cycles over dense ones of a tile on random streams, by density: few words say enough, and always the same. */
const TILE_WORDS = 400;
const tiles = new Map<string, number>();

function lookaheadShare({ rows, depth }: LookaheadDesign, density: number): number {
  const rounded = Math.round(density * 256) / 256;
  const key = `${rows} ${depth} ${rounded}`;
  let share = tiles.get(key);
  if (share === undefined) {
    const random = new RandomStream(1, "lookahead");
    const streams = Array.from({ length: rows }, () => {
      const words = new Uint16Array(TILE_WORDS);
      for (let i = 0; i < TILE_WORDS; i++)
        for (let b = 0; b < LOOKAHEAD_LANES; b++)
          if (random.uniform() < rounded) words[i] = (words[i] as number) | (1 << b);
      return words;
    });
    share = lookaheadCycles(streams, TILE_WORDS, depth) / TILE_WORDS;
    tiles.set(key, share);
  }
  return share;
}

function lookahead(design: LookaheadDesign, work: Work, batch: number): ProductRun {
  const { m, n, k, form, block } = work.product;
  const [M, K] = form === "NN" ? [m, n] : [n, m];
  const folds = Math.ceil(k / design.cols);
  const rowsOfBlock = form === "TN" ? M : Math.min(M, batch);
  const count = Math.ceil(M / rowsOfBlock);
  const words = Math.ceil(K / LOOKAHEAD_LANES);
  const share = lookaheadShare(design, densityOf(work));
  const each = Math.ceil(rowsOfBlock / design.rows) * folds * Math.max(Math.ceil(words / design.depth), words * share);
  const done = work.macsDense - work.macsSkipped;
  const cycles = each * count;
  const supply = cycles - done / design.rows / design.cols / LOOKAHEAD_LANES;
  return productRun(cycles, done, { supply }, { mac: done }, block < m ? new Float64Array(count).fill(each) : null);
}

function lanesRun(design: LanesDesign, work: Work, batch: number): ProductRun {
  const { groups, lanes, macsPerLane, unitWidth, flow } = design;
  const { m, n, k, form, block } = work.product;
  const cost = Math.ceil(k / macsPerLane);
  const density = densityOf(work);
  const looped = block < m;
  const count = looped ? Math.ceil(m / block) : 1;
  const rows = m / count;
  // Words of the fullest group, elements of the fullest lane: their mean and how far the fullest lies above it.
  let words: number;
  let perLane: number;
  let fullest: number;
  let spread = 0;
  if (flow === "column") {
    const lines = Math.ceil(n / groups) * (looped ? 1 : Math.ceil(m / batch));
    words = lines * Math.ceil(Math.min(batch, rows) / unitWidth);
    perLane = (lines * Math.min(batch, rows)) / lanes;
    fullest = groups * lanes;
    spread = lanes > 1 ? 1 : 0;
  } else {
    // Strips of rows, a word for each of their columns (lane-rows.ts).
    const [owned, length] = form === "NN" ? [rows, n] : [n, m];
    const mine = Math.ceil(owned / groups);
    const strip = Math.max(lanes, unitWidth);
    words = length * (Math.floor(mine / strip) * Math.ceil(strip / unitWidth) + Math.ceil((mine % strip) / unitWidth));
    perLane = Math.ceil(mine / lanes) * length;
    fullest = groups * (mine % lanes || lanes);
    spread = 1;
  }
  const mean = perLane * density * cost;
  const above = expectedMaximum(fullest) * Math.sqrt(perLane * density * (1 - density)) * cost;
  // Lanes of one FIFO also wait for one another along the way: as much as a queue's worth of spread, by the square root.
  const coupled = spread * mean * couplingOf(design, density);
  const each =
    Math.max(words + 2, mean + above + coupled) + LATENCY + (form === "NN" && flow === "column" ? sumUp() : 0);
  const done = work.macsDense - work.macsSkipped;
  const cycles = each * count;
  const ideal = done / (groups * lanes * macsPerLane);
  return productRun(
    cycles,
    done,
    { supply: cycles - ideal },
    { mac: done },
    looped ? new Float64Array(count).fill(each) : null,
  );

  function sumUp(): number {
    const blocks = looped ? 1 : Math.ceil(m / batch);
    return Math.ceil((batch * k * (groups - 1)) / groups / (lanes * macsPerLane)) * blocks;
  }
}

const LATENCY = 4;

/** Share of a lane's time lost to a full queue of another, where elements arrive at random: shorter queues, more. */
function couplingOf({ lanes, queue, unitWidth }: LanesDesign, density: number): number {
  const perWord = (unitWidth * density) / lanes;
  return lanes > 1 ? Math.min(1, 0.08 / Math.sqrt(queue) / Math.sqrt(Math.max(0.25, perWord))) * (1 - density) : 0;
}

/** Of `count` independent standard normal numbers (Blom 1958). */
export function expectedMaximum(count: number): number {
  return count <= 1 ? 0 : normalQuantile((count - 0.375) / (count + 0.25));
}

/** Inverse of the normal distribution, to 4.5e-4 (Abramowitz and Stegun 26.2.23). */
function normalQuantile(p: number): number {
  const t = Math.sqrt(-2 * Math.log(1 - p));
  return t - (2.515517 + 0.802853 * t + 0.010328 * t * t) / (1 + 1.432788 * t + 0.189269 * t * t + 0.001308 * t ** 3);
}
