/**
 * The contract of a machine: data, with a source for what is not ours to choose. How each kind works off a product
 * stands in systolic.ts, lookahead.ts and lane-groups.ts; energies in technology.ts.
 */
import { check, UsageError } from "../core/check.ts";
import type { Figure, Technology } from "./technology.ts";

/** A grid of multipliers through which operands move in step. */
export interface SystolicDesign {
  readonly kind: "systolic";
  readonly rows: number;
  readonly cols: number;
  /** weight: one operand stays, the other and the sums move. output: the sums stay. */
  readonly stationary: "weight" | "output";
  /** A zero gradient stops the multiplier for its cycle: energy, no time. */
  readonly gating: boolean;
  /** columns: of a block of rows, columns of gradients that are zero throughout are left out before they enter. */
  readonly gather: "none" | "columns";
}

/** Units of 16 multipliers that pull operands of later cycles forward, as far as a window reaches (TensorDash). */
export interface LookaheadDesign {
  readonly kind: "lookahead";
  /** Rows of units; those of one tile move on together. */
  readonly rows: number;
  readonly cols: number;
  /** Rows of operands in the window. */
  readonly depth: number;
}

/** Groups of a reader or threshold unit, a FIFO, and lanes that spend a nonzero at a time (lanes.ts). */
export interface LanesDesign {
  readonly kind: "lanes";
  readonly groups: number;
  readonly lanes: number;
  /** Multipliers of a lane: slices of the width of a product. */
  readonly macsPerLane: number;
  /** Gradients a unit looks at in a cycle. */
  readonly unitWidth: number;
  readonly fifo: number;
  readonly ports: number;
  readonly queue: number;
  readonly steal: boolean;
  /** The unit compares and compacts while the cell makes gradients; without, a pass of its own stores them compacted. */
  readonly threshold: boolean;
  /**
   * column: a unit reads columns of a block of rows, and what belongs to a column waits in registers: one format for
   * all products. row: a lane keeps a row of the result and fetches what each nonzero is multiplied with; dW and dU
   * read a second format, by columns.
   */
  readonly flow: "column" | "row";
  /** Rows (samples) of sums or inputs kept beside each multiplier; 0: registers alone. */
  readonly bufferRows: number;
}

/** A processor: time from measured rates over density, not from cycles of parts. */
export interface RooflineDesign {
  readonly kind: "roofline";
  /** Multiply-accumulates a cycle, dense. */
  readonly macsPerCycle: number;
  /** Density, and how many times faster than dense the backward products are there, compression included. */
  readonly speedups: readonly (readonly [density: number, speedup: number])[];
  /** All of the core, caches included. */
  readonly watts: Figure;
}

export type Design = SystolicDesign | LookaheadDesign | LanesDesign | RooflineDesign;

export interface Machine {
  readonly name: string;
  readonly summary: string;
  readonly design: Design;
  readonly clockGHz: number;
  /** The large on-chip memory. */
  readonly sramBytes: number;
  /** Of one bank of it: what an access costs. */
  readonly bankBytes: number;
  readonly dramGBs: number;
  /** Pointwise operations a cycle. */
  readonly vectorLanes: number;
  /** What is added to the multipliers' area beyond parts that are counted one by one, as a share; null: nothing. */
  readonly overhead: Figure | null;
  /** Where the design comes from. */
  readonly sources: readonly string[];
}

/** Multiply-accumulates a cycle at best. */
export function peakMacs({ design }: Machine): number {
  switch (design.kind) {
    case "systolic":
      return design.rows * design.cols;
    case "lookahead":
      return design.rows * design.cols * LOOKAHEAD_LANES;
    case "lanes":
      return design.groups * design.lanes * design.macsPerLane;
    case "roofline":
      return design.macsPerCycle;
  }
}

/** Multipliers of a unit in the lookahead design. */
export const LOOKAHEAD_LANES = 16;

/** Bytes of the memory beside one multiplier: a word for each row kept there. */
export function bufferBytes({ design }: Machine): number {
  return design.kind === "lanes" ? Math.max(1, design.bufferRows) * 4 : 4;
}

/** Square millimetres by part; null for a machine that is measured, not built. */
export interface Area {
  readonly macs: number;
  readonly registers: number;
  readonly sram: number;
  readonly buffers: number;
  readonly units: number;
  readonly total: number;
}

/**
 * A bit of a small memory with two ports, over one of a large memory with one: assumed, between 1.5 and 12 (a register
 * file of flip-flops, 5.98 square micrometres a bit at 40 nm).
 */
export const SMALL_MEMORY = 3;

/** Registers of a multiplier: two operands and a sum, 32 bits each. */
const MAC_REGISTER_BITS = 3 * 32;
/** A FIFO's element: a value and where it belongs. */
export const ELEMENT_BITS = 32 + 16;

export function areaOf(machine: Machine, technology: Technology): Area | null {
  const { design, sramBytes, overhead } = machine;
  if (design.kind === "roofline") return null;
  const peak = peakMacs(machine);
  const { macUm2, registerUm2, sramUm2 } = technology;
  let buffers = 0;
  let units = 0;
  if (design.kind === "lanes") {
    const { groups, lanes, macsPerLane, bufferRows, unitWidth, fifo, queue, threshold } = design;
    buffers = groups * lanes * macsPerLane * bufferRows * 32 * sramUm2.value * SMALL_MEMORY;
    const stages = Math.ceil(Math.log2(Math.max(2, unitWidth)));
    const unit =
      unitWidth * (threshold ? technology.compareUm2.value : 0) +
      // prefix sums and a shifting network: an adder per gradient, and for each stage its registers
      unitWidth * technology.indexUm2.value +
      unitWidth * stages * ELEMENT_BITS * registerUm2.value * 0.25 +
      (fifo + lanes * queue) * ELEMENT_BITS * registerUm2.value;
    // A published or synthesised overhead stands for all of it.
    units = overhead ? 0 : groups * unit;
  }
  const macs = peak * macUm2.value;
  const registers = peak * MAC_REGISTER_BITS * registerUm2.value;
  units += (overhead?.value ?? 0) * (macs + registers);
  const sram = sramBytes * 8 * sramUm2.value;
  const parts = {
    macs: macs / 1e6,
    registers: registers / 1e6,
    sram: sram / 1e6,
    buffers: buffers / 1e6,
    units: units / 1e6,
  };
  return { ...parts, total: Object.values(parts).reduce((sum, part) => sum + part, 0) };
}

/** Least on-chip memory that a machine may be left with, bytes. */
const LEAST_SRAM = 64 * 1024;

/**
 * The machine with as much memory as is left of `budgetMM2` for it: what it needs beside its multipliers it pays in
 * memory. A measured machine stays as it is. Throws a `UsageError` where not even the smallest memory fits.
 */
export function atArea(machine: Machine, budgetMM2: number, technology: Technology): Machine {
  const area = areaOf(machine, technology);
  if (!area) return machine;
  const sramBytes = Math.floor(((budgetMM2 - area.total + area.sram) * 1e6) / 8 / technology.sramUm2.value);
  if (sramBytes < LEAST_SRAM)
    throw new UsageError(
      `machine ${machine.name} does not fit into ${budgetMM2.toFixed(2)} mm2: its multipliers and units alone take ` +
        `${(area.total - area.sram).toFixed(2)} mm2. Give it fewer lanes, or compare without --area equal.`,
    );
  return { ...machine, sramBytes };
}

/** Largest of any number that describes a machine: beyond it nothing on this earth is meant. */
const LARGEST = 2 ** 40;

/** Throws a `UsageError` that names the first thing that cannot be. */
const MOST_OF_LANES = 4096;

export function checkMachine(machine: Machine): void {
  const { name, design, sources, overhead } = machine;
  const sizes = { clockGHz: machine.clockGHz, sramBytes: machine.sramBytes, bankBytes: machine.bankBytes };
  const more = { dramGBs: machine.dramGBs, vectorLanes: machine.vectorLanes };
  for (const [key, value] of Object.entries({ ...design, ...sizes, ...more }))
    if (typeof value === "number" && !(key === "bufferRows" && value === 0))
      check(
        value > 0 && value <= LARGEST,
        `${key} of machine ${name} is ${value}: give a number above 0, at most 2^40.`,
      );
  for (const [key, value] of Object.entries(design))
    if (typeof value === "number" && key !== "macsPerCycle")
      check(Number.isInteger(value), `${key} of machine ${name} is ${value}: give a whole number.`);
  check(
    sources.length > 0 && sources.every((source) => source.trim() !== ""),
    `machine ${name} has no source: say in sources where its design comes from.`,
  );
  if (overhead)
    check(
      overhead.value >= 0 && overhead.source.trim() !== "",
      `overhead of machine ${name} is ${overhead.value}: give a share of at least 0, with its source.`,
    );
  if (design.kind === "lanes") {
    for (const key of ["groups", "lanes", "macsPerLane", "fifo", "ports", "queue"] as const)
      check(
        design[key] <= MOST_OF_LANES,
        `${key} of machine ${name} is ${design[key]}: give at most ${MOST_OF_LANES}, each is simulated by itself.`,
      );
    check(design.unitWidth <= 32, `unitWidth of machine ${name} is ${design.unitWidth}: at most 32.`);
    check(design.fifo >= design.unitWidth, `fifo of machine ${name} is ${design.fifo}: at least its unitWidth.`);
  }
  check(
    machine.bankBytes <= machine.sramBytes,
    `bankBytes of machine ${name} is ${machine.bankBytes}: at most its sramBytes, ${machine.sramBytes}.`,
  );
}
