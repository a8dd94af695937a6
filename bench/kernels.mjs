/**
 * The products of one recurrent layer (H inputs, H units), alone: dense, and sparse over densities.
 *
 *   hU   forward, h (B, H) U^T at each t           never sparse
 *   dh   gate gradients (B, 4H) U at each t
 *   dx   gate gradients (T*B, 4H) W, once
 *   dW   gate gradients^T x (T*B, H), once         dU has its shape
 *
 * Patterns are uniformly random. Products inside the time loop follow compress t by t, as in a layer,
 * on a block that was just written, as the cell's backward leaves it; each has a clock of its own.
 */
import { Arena } from "../dist/core/arena.js";
import { RandomStream } from "../dist/core/random.js";
import { cells } from "../dist/nn/cells.js";
import { loadNativeEngine } from "../dist/runs/native-addon.js";
import { countRows } from "../dist/sparse/pattern.js";
import { dropRule } from "../dist/sparse/rule.js";
import { clearStatistics, planStatistics } from "../dist/sparse/statistics.js";
import { formatTable, median } from "./numbers.mjs";
import { loadEngine } from "./ours.mjs";
import { refuseImpossible } from "./step.mjs";
import { WORKLOADS } from "./workloads.mjs";

/** Those that are quoted, and two more where the crossover is looked for. */
export const DENSITIES = [1, 0.7, 0.5, 0.35, 0.2, 0.1, 0.05, 0.01];
export const PRODUCTS = ["dh", "dx", "dW"];
/** The three together, and what they pay for: one compress. */
export const TOGETHER = "dh+dx+dW";

/** A gain smaller than this is within what two equal measurements differ by. */
const GAIN = 1.02;
const WARM_MS = 1000;
const MIN_WARM_ROUNDS = 2;
/** The clock of CPU time counts in microseconds, and reading it takes one. */
const INTERRUPTED_MS = 0.02;
const GATES = ["i", "f", "g", "o"];

/** Rows of every instruction set (native alone has several) and width. */
export async function kernelRows({ engineName, isas, threads, widths, densities, rounds, note }) {
  const rows = [];
  for (const isa of isas) {
    const engine =
      engineName === "native" ? await loadNativeEngine(threads, isa) : await loadEngine(engineName, threads);
    for (const H of widths) {
      const shape = shapeOf(H);
      const layer = new Layer(engine, shape);
      rows.push(...rowsOf(measure(layer, densities, rounds, threads), { engine, threads, shape, rounds }));
    }
  }
  for (const row of rows)
    if (row.gflopsExecuted !== null)
      refuseImpossible({
        ...row,
        workload: `H ${row.H}`,
        tool: "gatesieve",
        policy: `${row.product} at ${row.density}`,
      });
  const disturbed = rows.filter(({ ms, cpuMs }) => threads === 1 && ms > 1.1 * cpuMs).length;
  if (disturbed > 0)
    note(
      `the machine was busy: ${disturbed} of ${rows.length} wall-clock medians are over 1.1 times their CPU time, which rates and ratios are of.`,
    );
  return rows;
}

/** B and T of the first workload so wide; 50 and 50 where there is none. */
export function shapeOf(H) {
  const { B, T } = Object.values(WORKLOADS).find((workload) => workload.H === H) ?? { B: 50, T: 50 };
  return { H, B, T };
}

/**
 * Largest density at which sparse gains: from the sparsest point upwards, where the speed-up first
 * falls below `least`, interpolated in the logarithms. null: it gains nowhere; the densest point: everywhere.
 */
export function crossover(points, least = GAIN) {
  const sorted = [...points].sort((a, b) => a.density - b.density);
  const at = sorted.findIndex(({ speedup }) => speedup < least);
  if (at === 0 || sorted.length === 0) return null;
  if (at < 0) return sorted.at(-1).density;
  const [a, b] = [sorted[at - 1], sorted[at]];
  const share = Math.log(a.speedup / least) / Math.log(a.speedup / b.speedup);
  return a.density * (b.density / a.density) ** share;
}

class Layer {
  constructor(engine, { H, B, T }) {
    const arena = new Arena();
    const kernels = engine.attach(arena);
    const rows = T * B;
    const matrix = (name, shape, purpose) => arena.tensor(name, shape, purpose);
    const weight = (name, uses) => kernels.planWeight(matrix(name, [4 * H, H], "weights"), uses);
    Object.assign(this, { kernels, H, B, T, rows });
    this.U = weight("U", { rows: B, nt: true, nn: true });
    this.W = weight("W", { rows, nt: true, nn: true });
    kernels.planTN(rows, 4 * H, H);
    this.dW = matrix("dW", [4 * H, H], "gradients");
    this.gates = matrix("gates", [rows, 4 * H], "gateGradients");
    this.h = matrix("h", [rows + B, H], "activations");
    this.dx = matrix("dx", [rows, H], "workspace");
    const site = { name: "layer", groups: GATES, rows, cols: 4 * H };
    this.pattern = kernels.planPattern(site, this.gates);
    this.statistics = planStatistics(arena, site);
    this.rule = { ...dropRule(GATES.length), kind: "threshold" };
    this.cell = kernels.cells.lstm ?? cells.lstm;
    this.step = {
      row: 0,
      hRow: 0,
      stateRow: 0,
      rows: B,
      hidden: H,
      gates: this.gates,
      h: this.h,
      states: [matrix("c", [rows + B, H], "activations")],
      keeps: [matrix("tanhC", [rows, H], "activations")],
      dh: matrix("dh", [B, H], "workspace"),
      dStates: [matrix("dc", [B, H], "workspace")],
    };
    arena.allocate();
    const random = new RandomStream(1, "data");
    for (const { data } of [this.U.tensor, this.W.tensor, this.h])
      for (let i = 0; i < data.length; i++) data[i] = random.normal() / Math.sqrt(H);
    kernels.pack(this.U);
    kernels.pack(this.W);
    /** Magnitudes uniform in (0, 1): above tau lies the share 1 - tau, anywhere. */
    this.gradients = Float32Array.from({ length: this.gates.length }, () => {
      const value = 2 * random.uniform() - 1;
      return value === 0 ? 0.5 : value;
    });
    this.net = Float32Array.from({ length: this.gates.length }, () => random.normal());
    this.activations = new Float32Array(this.gates.length);
  }

  /** Writes the block of time t, as the cell would have. */
  write(t, source) {
    const size = this.B * 4 * this.H;
    this.gates.data.set(source.subarray(t * size, (t + 1) * size), t * size);
  }

  hU(clock) {
    const { kernels, gates, h, U, B, T } = this;
    clock.whole("hU", () => {
      for (let t = 0; t < T; t++) kernels.gemmNT(gates, t * B, h, t * B, U, B);
    });
  }

  dense(clock) {
    const { kernels, gates, gradients, step, dx, dW, h, U, W, B, T, rows } = this;
    for (let t = T - 1; t >= 0; t--) {
      this.write(t, gradients);
      // Nothing before the first step wants dh; its block is written all the same.
      if (t > 0) clock.part("dense dh", () => kernels.gemmNN(step.dh, 0, gates, t * B, U, B));
    }
    clock.flush();
    clock.whole("dense dx", () => kernels.gemmNN(dx, 0, gates, 0, W, rows));
    clock.whole("dense dW", () => kernels.gemmTN(dW, gates, 0, h, 0, rows));
  }

  /** Nonzeros, all and of the rows dh wants, and the multiply-accumulates executed. */
  sparse(clock, density) {
    const { kernels, pattern, rule, statistics, gradients, step, dx, dW, h, U, W, B, T, rows } = this;
    rule.tau.fill(1 - density);
    clearStatistics(statistics);
    const executed = { dh: 0, dx: 0, dW: 0 };
    for (let t = T - 1; t >= 0; t--) {
      this.write(t, gradients);
      clock.part(`${density} compress`, () => kernels.compress(pattern, t * B, B, rule, statistics));
      if (t === 0) break;
      clock.part(`${density} dh`, () => {
        executed.dh += kernels.spmmNN(step.dh, 0, pattern, t * B, U, B);
      });
    }
    clock.flush();
    clock.whole(`${density} dx`, () => {
      executed.dx = kernels.spmmNN(dx, 0, pattern, 0, W, rows);
    });
    clock.whole(`${density} dW`, () => {
      executed.dW = kernels.spmmTN(dW, pattern, 0, h, 0, rows);
    });
    return { executed, kept: countRows(pattern, 0, rows), keptLater: countRows(pattern, B, rows - B) };
  }

  pointwise(clock) {
    const { cell, step, net, gradients, B, T } = this;
    step.states[0].data.fill(0, 0, step.dh.length);
    for (let t = 0; t < T; t++) {
      this.write(t, net);
      step.row = step.hRow = step.stateRow = t * B;
      clock.part("cell forward", () => cell.forward(step));
    }
    clock.flush();
    step.dStates[0].data.fill(0);
    const { activations } = this;
    activations.set(step.gates.data);
    for (let t = T - 1; t >= 0; t--) {
      this.write(t, activations);
      step.dh.data.set(gradients.subarray(0, step.dh.length)); // else it would sink into denormal numbers
      step.row = step.hRow = step.stateRow = t * B;
      clock.part("cell backward", () => cell.backward(step));
    }
    clock.flush();
  }

  /** The results grow with every product that adds to them. */
  clear() {
    for (const { data } of [this.step.dh, this.dx, this.dW, this.gates]) data.fill(0);
  }
}

/**
 * One sample of every name a round: wall-clock and CPU time. Where the process was not interrupted,
 * CPU time on one thread is the wall-clock, whose resolution is finer: then it stands for both.
 */
class Clock {
  samples = new Map();
  #threads;
  #parts = new Map();

  constructor(threads) {
    this.#threads = threads;
  }

  /** Once a round. */
  whole(name, work) {
    this.part(name, work);
    this.flush();
  }

  /** Some calls of a round, summed until `flush`. */
  part(name, work) {
    const cpu = process.cpuUsage();
    const began = performance.now();
    work();
    const ms = performance.now() - began;
    const { user, system } = process.cpuUsage(cpu);
    const cpuMs = (user + system) / 1000;
    const interrupted = ms - cpuMs > INTERRUPTED_MS;
    const sum = this.#parts.get(name) ?? { ms: 0, cpuMs: 0 };
    sum.ms += ms;
    sum.cpuMs += interrupted || this.#threads > 1 ? cpuMs : ms;
    this.#parts.set(name, sum);
  }

  flush() {
    for (const [name, { ms, cpuMs }] of this.#parts) {
      const entry = this.samples.get(name) ?? { ms: [], cpuMs: [] };
      entry.ms.push(ms);
      entry.cpuMs.push(cpuMs);
      this.samples.set(name, entry);
    }
    this.#parts.clear();
  }
}

/** Every round measures everything once, so that a drift of the machine hits all alike. */
function measure(layer, densities, rounds, threads) {
  let clock = new Clock(threads);
  const counts = new Map();
  const round = () => {
    layer.clear();
    layer.hU(clock);
    layer.dense(clock);
    for (const density of densities) counts.set(density, layer.sparse(clock, density));
    layer.pointwise(clock);
  };
  const began = performance.now();
  for (let i = 0; i < MIN_WARM_ROUNDS || performance.now() - began < WARM_MS; i++) round();
  clock = new Clock(threads);
  for (let i = 0; i < rounds; i++) round();
  const figures = new Map([...clock.samples].map(([name, s]) => [name, { ms: median(s.ms), cpuMs: median(s.cpuMs) }]));
  return { figures, counts, layer };
}

function rowsOf({ figures, counts, layer }, { engine, threads, shape, rounds }) {
  const { H, rows, B } = layer;
  const common = {
    engine: engine.name,
    isa: engine.isa,
    threads,
    ...shape,
    rounds,
    node: process.version,
    date: new Date().toISOString().slice(0, 10),
  };
  /** What rates and ratios are of: CPU time leaves out what other processes took; threads overlap in it. */
  const timeOf = (row) => (threads === 1 ? row.cpuMs : row.ms);
  const rate = (macs, time) => (2 * macs) / time / 1e6;
  const elements = (product) => (product === "dh" ? rows - B : rows) * 4 * H;
  const none = { compressMs: 0, gflopsUseful: null, speedup: null, speedupWithCompress: null };
  const denseRow = (product, { ms, cpuMs }) => {
    const gflops = rate(elements(product) * H, timeOf({ ms, cpuMs }));
    return {
      ...common,
      product,
      density: "dense",
      kept: 1,
      ms,
      cpuMs,
      ...none,
      gflopsUseful: gflops,
      gflopsDense: gflops,
      gflopsExecuted: gflops,
    };
  };
  const result = [denseRow("hU", figures.get("hU"))];
  for (const product of PRODUCTS) result.push(denseRow(product, figures.get(`dense ${product}`)));
  for (const [density, { executed, kept, keptLater }] of counts) {
    const compressMs = timeOf(figures.get(`${density} compress`));
    let [ms, cpuMs, denseMs, useful, all, done] = [0, 0, 0, 0, 0, 0];
    const row = (product, own) => ({
      ...common,
      product,
      density,
      kept: own.useful / own.all,
      ms: own.ms,
      cpuMs: own.cpuMs,
      compressMs,
      gflopsUseful: rate(own.useful, timeOf(own)),
      gflopsDense: rate(own.all, timeOf(own)),
      gflopsExecuted: rate(own.done, timeOf(own)),
      speedup: own.denseMs / timeOf(own),
      speedupWithCompress: own.denseMs / (timeOf(own) + compressMs),
    });
    for (const product of PRODUCTS) {
      const own = {
        ...figures.get(`${density} ${product}`),
        denseMs: timeOf(figures.get(`dense ${product}`)),
        useful: (product === "dh" ? keptLater : kept) * H,
        all: elements(product) * H,
        done: executed[product],
      };
      result.push(row(product, own));
      ms += own.ms;
      cpuMs += own.cpuMs;
      denseMs += own.denseMs;
      useful += own.useful;
      all += own.all;
      done += own.done;
    }
    result.push(row(TOGETHER, { ms, cpuMs, denseMs, useful, all, done }));
  }
  for (const direction of ["forward", "backward"]) {
    const { ms, cpuMs } = figures.get(`cell ${direction}`);
    const nsPerElement = (1e6 * timeOf({ ms, cpuMs })) / (rows * H);
    const empty = { gflopsDense: null, gflopsExecuted: null, ...none, nsPerElement };
    result.push({ ...common, product: `cell ${direction}`, density: null, kept: null, ms, cpuMs, ...empty });
  }
  return result;
}

/** Rows by instruction set and width, in their order. */
export function groupsOf(rows) {
  const groups = new Map();
  for (const row of rows) {
    const key = `${row.isa} ${row.H}`;
    groups.set(key, [...(groups.get(key) ?? []), row]);
  }
  return [...groups.values()];
}

/** "H 512, B 50, T 50 on native (avx512)". */
export function groupName([{ H, B, T, engine, isa }]) {
  return `H ${H}, B ${B}, T ${T} on ${engine} (${isa})`;
}

export const KERNEL_HEAD = [
  "product",
  "density",
  "wall ms",
  "CPU ms",
  "compress ms",
  "GFLOP/s useful",
  "dense-equivalent",
  "dense / this",
  "with compress",
];

/** Cells of a table of one group's products. */
export function kernelCells(group) {
  const times = (value) => (value === null ? "" : `${value.toFixed(2)}x`);
  return group
    .filter(({ gflopsDense }) => gflopsDense !== null)
    .sort((a, b) => order(a) - order(b))
    .map((row) => [
      row.product,
      row.density,
      digits(row.ms),
      digits(row.cpuMs),
      row.density === "dense" ? "" : digits(row.compressMs),
      row.gflopsUseful.toFixed(1),
      row.gflopsDense.toFixed(0),
      times(row.speedup),
      times(row.speedupWithCompress),
    ]);
}

function order({ product }) {
  return ["hU", ...PRODUCTS, TOGETHER].indexOf(product);
}

function digits(ms) {
  return ms.toFixed(ms < 1 ? 3 : 2);
}

/** Sentences: crossovers, and the cell. */
export function kernelRemarks(group) {
  const share = (density) => (density === null ? "none" : density.toFixed(2));
  const crossings = [...PRODUCTS, TOGETHER].map((product) => {
    const rows = group.filter((row) => row.product === product && row.speedup !== null);
    const alone = crossover(rows.map(({ density, speedup }) => ({ density, speedup })));
    const paid = crossover(rows.map(({ density, speedupWithCompress: speedup }) => ({ density, speedup })));
    return `${product} ${share(alone)} (with compress ${share(paid)})`;
  });
  const cell = (name) => group.find(({ product }) => product === `cell ${name}`).nsPerElement.toFixed(2);
  return [
    `crossover density: ${crossings.join(", ")}`,
    `cell, ns per unit, row and t: forward ${cell("forward")}, backward ${cell("backward")}`,
  ];
}

export function printKernels(rows) {
  for (const group of groupsOf(rows)) {
    const [{ rounds, threads, node }] = group;
    console.log(
      `${groupName(group)}; medians of ${rounds} rounds, ${threads} thread${threads === 1 ? "" : "s"}, Node ${node.slice(1)}\n`,
    );
    console.log(formatTable(KERNEL_HEAD, kernelCells(group)));
    console.log(`\n${kernelRemarks(group).join("\n")}\n`);
  }
}
