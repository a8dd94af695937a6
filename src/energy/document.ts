/** docs/energy.md: machines and technologies with their sources, written from the tables themselves. */
import { breakEven, FORMATS } from "./formats.ts";
import { areaOf, bufferBytes, type Design, type Machine, peakMacs, SMALL_MEMORY } from "./machine.ts";
import { BASELINE, MACHINES } from "./machines.ts";
import { DEFAULT_TECHNOLOGY, TECHNOLOGIES } from "./technologies.ts";
import { FIGURES, type Figure, sramWordPJ, type Technology } from "./technology.ts";

const UNITS: Readonly<Record<(typeof FIGURES)[number], string>> = {
  macPJ: "multiply and add, float32, pJ",
  registerPJ: "register or FIFO, 32 bits, pJ",
  comparePJ: "comparison, 32 bits, pJ",
  indexPJ: "integer addition, 32 bits, pJ",
  dramPJ: "off-chip memory, 32 bits, pJ",
  macUm2: "multiplier and adder, float32, µm²",
  registerUm2: "register, a bit, µm²",
  sramUm2: "on-chip memory, a bit, µm²",
  compareUm2: "comparator, 32 bits, µm²",
  indexUm2: "adder, 32 bits, µm²",
};

/** All of docs/energy.md. */
export function energyDocument(): string {
  return [
    "# Machines and technologies",
    "",
    "Written by `gatesieve simulate --document` from [src/energy](../src/energy); a test holds the two equal. What the machines do, what the model leaves out, and our own: [accelerator.md](accelerator.md). Results: [results/accelerator.md](results/accelerator.md).",
    "",
    "A figure is **read** (seen in its source), **cited** (published there, taken at second hand, not looked up again) or an **assumption** (ours). Energy is dynamic: counts times energy per action; leakage, clock trees and wires beyond what a figure contains are not in it.",
    "",
    "## Machines",
    "",
    `Peak, clock, memory and bandwidth are alike on purpose: ${peakMacs(BASELINE)} multiply-accumulates a cycle in float32 at ${BASELINE.clockGHz} GHz, ${mib(BASELINE.sramBytes)} on-chip, ${BASELINE.dramGBs} GB/s, ${BASELINE.vectorLanes} pointwise operations a cycle. They are our choice and nobody's product. The processor is what was measured.`,
    "",
    row(
      "machine",
      "what",
      "multipliers",
      `area at ${DEFAULT_TECHNOLOGY}, mm²`,
      "of it multipliers, memory, buffers, units",
    ),
    row("---", "---", "--:", "--:", "---"),
    ...Object.values(MACHINES).map(machineRow),
    "",
    "Design and sources:",
    "",
    ...Object.values(MACHINES).map(
      (machine) =>
        `* **${machine.name}**: ${designText(machine.design)}. ${machine.overhead ? `Beside its parts ${figureText(machine.overhead, 100, " %")} of the multipliers' area. ` : ""}${machine.sources.join("; ")}.`,
    ),
    "",
    `A bit of a small memory with two ports takes ${SMALL_MEMORY} times the area of one of a large memory (assumption, range 1.5 to 12); a word of the sieve's ${bufferBytes(MACHINES.sieve as Machine)} bytes beside each multiplier costs ${sramWordPJ(TECHNOLOGIES[DEFAULT_TECHNOLOGY] as Technology, bufferBytes(MACHINES.sieve as Machine)).toFixed(2)} pJ at ${DEFAULT_TECHNOLOGY}, from the smallest published memory by the root of the size (assumption; Eyeriss, ISCA 2016, has a register file of 512 bytes at the energy of one 16-bit multiply-accumulate).`,
    "",
    "## Technologies",
    "",
    ...Object.values(TECHNOLOGIES).flatMap(technologyText),
    "## Formats of gate gradients",
    "",
    "Density at which one takes as much room as another (rows long, values of 4 bytes):",
    "",
    row("", ...FORMATS),
    row("---", ...FORMATS.map(() => "--:")),
    ...FORMATS.map((a) => row(a, ...FORMATS.map((b) => (a === b ? "" : (breakEven(a, b)?.toPrecision(3) ?? "never"))))),
    "",
  ].join("\n");
}

function machineRow(machine: Machine): string {
  const area = areaOf(machine, TECHNOLOGIES[DEFAULT_TECHNOLOGY] as Technology);
  const parts =
    area && [area.macs + area.registers, area.sram, area.buffers, area.units].map((part) => part.toFixed(1)).join(", ");
  const peak = machine.design.kind === "roofline" ? `${peakMacs(machine)} a cycle` : String(peakMacs(machine));
  return row(
    `\`${machine.name}\``,
    machine.summary,
    peak,
    area?.total.toFixed(1) ?? "",
    parts ?? "measured, not built",
  );
}

function designText(design: Design): string {
  switch (design.kind) {
    case "systolic":
      return `${design.rows} x ${design.cols}, ${design.stationary} stationary${design.gating ? ", zeros switched off" : ""}${design.gather === "columns" ? ", zero columns of a position left out" : ""}`;
    case "lookahead":
      return `${design.rows} x ${design.cols} units of 16, window of ${design.depth} rows, ${design.rows} rows move on together`;
    case "lanes":
      return `${design.groups} groups of a ${design.threshold ? "threshold-and-compact unit" : "reader"} of ${design.unitWidth} a cycle, FIFO of ${design.fifo}, ${design.lanes} ${design.lanes === 1 ? "lane" : "lanes"} of ${design.macsPerLane} multipliers, queue of ${design.queue}; ${design.flow} flow${design.bufferRows > 0 ? `, ${design.bufferRows} rows beside each multiplier` : ""}`;
    case "roofline":
      return `${design.macsPerCycle} multiply-accumulates a cycle dense; backward products faster by ${design.speedups.map(([at, by]) => `${by} at density ${at}`).join(", ")}; ${figureText(design.watts, 1, " W")}`;
  }
}

function technologyText(technology: Technology): string[] {
  return [
    `### ${technology.name}`,
    "",
    `${technology.summary[0]?.toUpperCase()}${technology.summary.slice(1)}.`,
    "",
    row("", "value", "range", "standing", "source"),
    row("---", "--:", "--:", "---", "---"),
    ...FIGURES.map((key) => figureRow(UNITS[key], technology[key])),
    ...technology.sram.map(({ bytes, wordPJ }) =>
      figureRow(`on-chip memory of ${bytes / 1024} KiB, 32 bits, pJ`, wordPJ),
    ),
    "",
  ];
}

function figureRow(name: string, { value, low, high, standing, source }: Figure): string {
  return row(name, String(value), low === high ? "" : `${low} to ${high}`, standing, source);
}

function figureText({ value, low, high, standing, source }: Figure, times: number, unit: string): string {
  const shown = (number: number) => Number((number * times).toPrecision(3));
  return `${shown(value)}${unit} (${shown(low)} to ${shown(high)}; ${standing}: ${source})`;
}

function row(...cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll("|", "/")).join(" | ")} |`;
}

function mib(bytes: number): string {
  return `${bytes / 2 ** 20} MiB`;
}
