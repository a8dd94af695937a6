/**
 * What actions cost: energies and areas of one technology, each with its source and its range.
 *
 * Published figures differ several-fold for the same thing, so none stands alone: `value` is used, `low` and `high`
 * bound what others report, and `standing` says how far the source was followed. The tables: technologies.ts; a
 * user's own: runs/energy-file.ts. All of it as a document: docs/energy.md.
 */
import { check, UsageError } from "../core/check.ts";
import type { Actions } from "./counts.ts";

/** read: seen in the source. cited: published there, taken at second hand. assumption: ours, with a range. */
export type Standing = "read" | "cited" | "assumption";

export interface Figure {
  readonly value: number;
  readonly low: number;
  readonly high: number;
  readonly source: string;
  readonly standing: Standing;
}

/** Of a memory of `bytes`: pJ per access of one 32-bit word. Between sizes it is interpolated, both axes logarithmic. */
export interface SramPoint {
  readonly bytes: number;
  readonly wordPJ: Figure;
}

export interface Technology {
  readonly name: string;
  readonly summary: string;
  /** Multiply and add of float32. */
  readonly macPJ: Figure;
  /** Access to a register or a FIFO's word, 32 bits. */
  readonly registerPJ: Figure;
  /** Comparison of two 32-bit words: the threshold. */
  readonly comparePJ: Figure;
  /** Addition of two 32-bit integers: prefix sums and addresses of the index. */
  readonly indexPJ: Figure;
  /** In order of size; at least one. */
  readonly sram: readonly SramPoint[];
  /** Off-chip memory, per 32-bit word. */
  readonly dramPJ: Figure;
  /** float32 multiplier and adder, square micrometres. */
  readonly macUm2: Figure;
  /** Per bit. */
  readonly registerUm2: Figure;
  /** Per bit, with what lies around the cells. */
  readonly sramUm2: Figure;
  /** 32-bit comparator. */
  readonly compareUm2: Figure;
  /** 32-bit integer adder. */
  readonly indexUm2: Figure;
}

/** Names of a technology's single figures. */
export const FIGURES = [
  "macPJ",
  "registerPJ",
  "comparePJ",
  "indexPJ",
  "dramPJ",
  "macUm2",
  "registerUm2",
  "sramUm2",
  "compareUm2",
  "indexUm2",
] as const;

/** Which end of each range is taken: of what computes, and of what remembers. */
export interface Bounds {
  readonly logic: "low" | "value" | "high";
  readonly memory: "low" | "value" | "high";
}

export const NOMINAL: Bounds = { logic: "value", memory: "value" };

/** Energy by part, pJ. */
export interface Energy {
  readonly mac: number;
  readonly register: number;
  readonly buffer: number;
  readonly sram: number;
  readonly dram: number;
  readonly index: number;
  readonly threshold: number;
  readonly total: number;
}

/** pJ of a word's access to a memory of `bytes`. Below the smallest known size it falls with the root of the size. */
export function sramWordPJ({ sram }: Technology, bytes: number, end: Bounds["memory"] = "value"): number {
  const first = sram[0] as SramPoint;
  const last = sram.at(-1) as SramPoint;
  if (bytes <= first.bytes || sram.length === 1) return first.wordPJ[end] * Math.sqrt(bytes / first.bytes);
  const above = sram.findIndex((point) => point.bytes >= bytes);
  const [a, b] =
    above < 0 ? [sram.at(-2) as SramPoint, last] : [sram[above - 1] as SramPoint, sram[above] as SramPoint];
  const share = Math.log(bytes / a.bytes) / Math.log(b.bytes / a.bytes);
  return Math.exp(Math.log(a.wordPJ[end]) * (1 - share) + Math.log(b.wordPJ[end]) * share);
}

/** Counts times energy per action. `bankBytes` and `bufferBytes`: sizes of one bank of SRAM and of one local buffer. */
export function energyOf(
  actions: Actions,
  technology: Technology,
  { bankBytes, bufferBytes }: { readonly bankBytes: number; readonly bufferBytes: number },
  { logic, memory }: Bounds = NOMINAL,
): Energy {
  const parts = {
    mac: actions.mac * technology.macPJ[logic],
    register: actions.register * technology.registerPJ[logic],
    buffer: actions.buffer * sramWordPJ(technology, bufferBytes, memory),
    sram: actions.sram * sramWordPJ(technology, bankBytes, memory),
    dram: actions.dram * technology.dramPJ[memory],
    index: actions.index * technology.indexPJ[logic],
    threshold: actions.compare * technology.comparePJ[logic],
  };
  return { ...parts, total: Object.values(parts).reduce((sum, pJ) => sum + pJ, 0) };
}

/** Throws a `UsageError` that names the first figure that cannot be. */
export function checkTechnology(technology: Technology): void {
  const { name } = technology;
  for (const key of FIGURES) checkFigure(technology[key], `${key} of technology ${name}`);
  check(technology.sram.length > 0, `technology ${name} has no sram: give at least one { bytes, wordPJ }.`);
  technology.sram.forEach(({ bytes, wordPJ }, i) => {
    checkFigure(wordPJ, `sram of ${bytes} bytes of technology ${name}`);
    if (!(bytes > 0) || (i > 0 && bytes <= (technology.sram[i - 1] as SramPoint).bytes))
      throw new UsageError(`sram of technology ${name}: sizes must grow from one to the next, got ${bytes} bytes.`);
  });
}

function checkFigure({ value, low, high, source }: Figure, what: string): void {
  check(
    Number.isFinite(value) && value > 0 && low > 0 && low <= value && value <= high && Number.isFinite(high),
    `${what} is ${value}, range ${low} to ${high}: give numbers above 0 with low <= value <= high.`,
  );
  check(source.trim() !== "", `${what} has no source: say where the figure comes from.`);
}
