/** Machines side by side on one traced step: speed-up, energy with its range, and whose order depends on the technology. */
import { check, UsageError } from "../core/check.ts";
import type { TraceRun, TraceStep } from "../sparse/trace.ts";
import { estimateStep } from "./estimate.ts";
import { areaOf, atArea, bufferBytes, checkMachine, type Machine, peakMacs } from "./machine.ts";
import { BASELINE } from "./machines.ts";
import type { Stalls } from "./product-run.ts";
import { nanoseconds, type Part, type StepResult, simulateStep, utilisation } from "./simulate.ts";
import { type Bounds, type Energy, energyOf, NOMINAL, type Technology } from "./technology.ts";

/** backward: products and cells of the backward pass. step: all of the step, with forward pass and update. */
export type PartName = "backward" | "step";

export interface ComparisonRow {
  readonly machine: string;
  readonly part: PartName;
  /** Number of the update. */
  readonly step: number;
  readonly macsDense: number;
  readonly macsDone: number;
  /** Not multiplied; with macsDone, macsDense. */
  readonly macsSkipped: number;
  readonly cycles: number;
  readonly ns: number;
  /** Time of the dense machine over this one's. */
  readonly speedup: number;
  /** Multiply-accumulates of a dense step over those that the pattern leaves: no machine of this size is faster by skipping alone. */
  readonly speedupIdeal: number;
  /** Share of the multipliers' cycles that did what is counted as done. */
  readonly utilisation: number;
  readonly energyPJ: number;
  /** All figures of the technology at the low, and at the high end of their ranges. */
  readonly energyLowPJ: number;
  readonly energyHighPJ: number;
  /** Of the dense machine. */
  readonly energyDensePJ: number;
  /** null where only the whole is known. */
  readonly energyByPart: Omit<Energy, "total"> | null;
  readonly stalls: Stalls;
  readonly dramBytes: number;
  readonly sramBytes: number;
  readonly peakMacs: number;
  readonly areaMM2: number | null;
  readonly technology: string;
  readonly area: "own" | "equal";
}

export interface CompareOptions {
  readonly machines: readonly Machine[];
  readonly technology: Technology;
  /** equal: each machine gets the memory that is left of the dense machine's area. */
  readonly area: "own" | "equal";
  /** By formulas from densities, instead of from bits. */
  readonly estimate?: boolean;
  /** What the others are relative to. */
  readonly baseline?: Machine;
}

export interface Compared {
  readonly rows: readonly ComparisonRow[];
  /** The dense machine first, then those that were asked for. */
  readonly results: readonly StepResult[];
}

/** Throws a `UsageError` for a machine or a step that cannot be simulated. */
export function compareMachines(step: TraceStep, run: TraceRun, options: CompareOptions): Compared {
  const { technology, area, estimate = false, baseline = BASELINE } = options;
  const way = estimate ? estimateStep : simulateStep;
  checkMachine(baseline);
  const budget = areaOf(baseline, technology)?.total ?? 0;
  const dense = way(step, run, baseline);
  const others = options.machines
    .filter(({ name }) => name !== baseline.name)
    .map((machine) => {
      checkMachine(machine);
      return way(step, run, area === "equal" ? atArea(machine, budget, technology) : machine);
    });
  const results = [dense, ...others];
  const asked = results.filter(({ machine }) => options.machines.some(({ name }) => name === machine.name));
  const rows = asked.flatMap((result) =>
    (["backward", "step"] as const).map((part) => rowOf(result, dense, part, technology, area)),
  );
  return { rows, results };
}

export function partOf(result: StepResult, part: PartName): Part {
  return part === "backward" ? result.backward : result.whole;
}

function rowOf(
  result: StepResult,
  dense: StepResult,
  name: PartName,
  technology: Technology,
  area: "own" | "equal",
): ComparisonRow {
  const { machine, step } = result;
  const part = partOf(result, name);
  const { macsDense, macsDone, macsSkipped, macsRedundant, cycles, stalls } = part;
  const pJ = (bounds?: Bounds) => energyPJ(result, name, technology, bounds);
  return {
    machine: machine.name,
    part: name,
    step,
    macsDense,
    macsDone,
    macsSkipped,
    cycles,
    ns: nanoseconds(machine, part),
    speedup: nanoseconds(dense.machine, partOf(dense, name)) / nanoseconds(machine, part),
    speedupIdeal: macsDense / Math.max(1, macsDense - macsRedundant),
    utilisation: utilisation(machine, part),
    energyPJ: pJ(),
    energyLowPJ: pJ({ logic: "low", memory: "low" }),
    energyHighPJ: pJ({ logic: "high", memory: "high" }),
    energyDensePJ: energyPJ(dense, name, technology),
    energyByPart: machine.design.kind === "roofline" ? null : energyByPart(result, name, technology),
    stalls,
    dramBytes: part.actions.dram * 4,
    sramBytes: machine.sramBytes,
    peakMacs: peakMacs(machine),
    areaMM2: areaOf(machine, technology)?.total ?? null,
    technology: technology.name,
    area,
  };
}

function energyByPart(result: StepResult, part: PartName, technology: Technology): Omit<Energy, "total"> {
  const { machine } = result;
  const sizes = { bankBytes: machine.bankBytes, bufferBytes: bufferBytes(machine) };
  const { total: _, ...parts } = energyOf(partOf(result, part).actions, technology, sizes);
  return parts;
}

/** Picojoules of a part of a step. A measured machine: its power, times its time, and its words to memory. */
export function energyPJ(result: StepResult, name: PartName, technology: Technology, bounds: Bounds = NOMINAL): number {
  const { machine } = result;
  const { design } = machine;
  const part = partOf(result, name);
  if (design.kind === "roofline") {
    const words = part.actions.dram * technology.dramPJ[bounds.memory];
    return design.watts[bounds.logic] * 1000 * nanoseconds(machine, part) + words; // 1 W is 1000 pJ a ns
  }
  const sizes = { bankBytes: machine.bankBytes, bufferBytes: bufferBytes(machine) };
  return energyOf(part.actions, technology, sizes, bounds).total;
}

// ---- rankings

export interface Ranking {
  readonly technology: string;
  readonly bounds: Bounds;
  /** Least energy first. */
  readonly machines: readonly string[];
}

/** Ends of the ranges that matter for an order: all as published, memory dear, logic dear. */
export const RANGES: readonly Bounds[] = [NOMINAL, { logic: "low", memory: "high" }, { logic: "high", memory: "low" }];

/** The order of machines by energy under each technology and at both ends of its ranges. */
export function rankings(
  results: readonly StepResult[],
  part: PartName,
  technologies: readonly Technology[],
): Ranking[] {
  const built = results.filter(({ machine }) => machine.design.kind !== "roofline");
  return technologies.flatMap((technology) =>
    RANGES.map((bounds) => ({
      technology: technology.name,
      bounds,
      machines: built
        .map((result) => ({ name: result.machine.name, pJ: energyPJ(result, part, technology, bounds) }))
        .sort((a, b) => a.pJ - b.pJ)
        .map(({ name }) => name),
    })),
  );
}

/** Pairs of machines whose order is not the same in all rankings: [cheaper in the first ranking, the other]. */
export function flips(all: readonly Ranking[]): [string, string][] {
  const first = all[0]?.machines ?? [];
  return first.flatMap((a, i) =>
    first
      .slice(i + 1)
      .filter((b) => all.some(({ machines }) => machines.indexOf(a) > machines.indexOf(b)))
      .map((b): [string, string] => [a, b]),
  );
}

// ---- sweeps

export const SWEEPS = ["lanes", "groups", "sram", "bandwidth", "density"] as const;
export type SweepKey = (typeof SWEEPS)[number];

export interface Sweep {
  readonly key: SweepKey;
  readonly values: readonly number[];
}

/** "lanes=1,2,4". Throws a `UsageError` that says what may be swept. */
export function parseSweep(text: string): Sweep {
  const [name = "", list = ""] = text.split("=", 2);
  const key = SWEEPS.find((each) => each === name);
  const values = list.split(",").map(Number);
  if (!key || list === "" || !values.every((value) => value > 0 && value <= (key === "density" ? 1 : 2 ** 40)))
    throw new UsageError(
      `cannot sweep "${text}": give lanes=, groups= (whole numbers), sram= (KiB), bandwidth= (GB/s) or density= (up to 1) and numbers above 0, for example bandwidth=32,64,128.`,
    );
  return { key, values };
}

/**
 * The machine with another number of one thing; a density is the step's (random-step.ts). `groups`: multipliers in units of a quarter of the usual, for every
 * machine. `lanes`: a group's multipliers divided into so many lanes; machines without lanes stay as they are.
 */
export function vary(machine: Machine, key: SweepKey, value: number): Machine {
  const { design } = machine;
  switch (key) {
    case "density":
      return machine;
    case "sram":
      return { ...machine, sramBytes: value * 1024, bankBytes: Math.min(machine.bankBytes, value * 1024) };
    case "bandwidth":
      return { ...machine, dramGBs: value };
    case "lanes": {
      if (design.kind !== "lanes") return machine;
      const all = design.lanes * design.macsPerLane;
      check(
        Number.isInteger(value) && value <= all,
        `lanes=${value} is not possible: a group of ${machine.name} has ${all} multipliers.`,
      );
      const ports = Math.max(design.ports, Math.min(value, design.unitWidth));
      return { ...machine, design: { ...design, lanes: value, macsPerLane: Math.floor(all / value), ports } };
    }
    case "groups":
      check(Number.isInteger(value), `groups=${value} is not possible: give whole numbers.`);
      if (design.kind === "lanes") return { ...machine, design: { ...design, groups: value } };
      if (design.kind === "lookahead") return { ...machine, design: { ...design, cols: (design.cols / 4) * value } };
      if (design.kind === "systolic") return { ...machine, design: { ...design, cols: (design.cols / 4) * value } };
      return machine;
  }
}
