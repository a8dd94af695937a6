/** Tables and charts of simulated machines. */
import type { Compared, ComparisonRow, PartName, Ranking } from "../energy/compare.ts";
import { flips } from "../energy/compare.ts";
import { expectedBytes, FORMATS, type Footprint } from "../energy/formats.ts";
import { STALLS } from "../energy/product-run.ts";
import { lineChart } from "../plots/line-chart.ts";
import { valueBars } from "../plots/value-bars.ts";
import { fixed, metric, percent } from "./format.ts";

const x = (value: number) => `${fixed(value, 2)}x`;
const millijoules = (pJ: number) => fixed(pJ / 1e9, pJ < 1e10 ? 2 : pJ < 1e11 ? 1 : 0);

const HEAD = [
  "machine",
  "backward",
  "step",
  "used",
  "energy",
  "of step",
  "step, mJ",
  "range, mJ",
  "most lost to",
  "mm2",
];

/** A row a machine: speed-ups, the share of multipliers used backward, energy of the dense machine over this one's. */
export function comparisonTable(rows: readonly ComparisonRow[]): string[][] {
  const machines = [...new Set(rows.map(({ machine }) => machine))];
  const of = (machine: string, part: PartName) =>
    rows.find((row) => row.machine === machine && row.part === part) as ComparisonRow;
  const ideal = (part: PartName) => x(rows.find((row) => row.part === part)?.speedupIdeal ?? 1);
  return [
    [...HEAD],
    ...machines.map((name) => {
      const [backward, step] = [of(name, "backward"), of(name, "step")];
      return [
        name,
        x(backward.speedup),
        x(step.speedup),
        percent(backward.utilisation, 0),
        x(backward.energyDensePJ / backward.energyPJ),
        x(step.energyDensePJ / step.energyPJ),
        millijoules(step.energyPJ),
        `${millijoules(step.energyLowPJ)}-${millijoules(step.energyHighPJ)}`,
        mostLost(backward),
        backward.areaMM2 === null ? "" : fixed(backward.areaMM2, 1),
      ];
    }),
    ["ideal", ideal("backward"), ideal("step"), ...HEAD.slice(3).map(() => "")],
  ];
}

/** The cause that takes most of the backward pass, with its share: "memory 23 %". */
function mostLost({ stalls, cycles }: ComparisonRow): string {
  const cause = [...STALLS].sort((a, b) => stalls[b] - stalls[a])[0] ?? "memory";
  const share = cycles > 0 ? stalls[cause] / cycles : 0;
  return share < 0.005 ? "" : `${cause} ${percent(share, 0)}`;
}

const PARTS = ["mac", "register", "buffer", "sram", "dram", "index", "threshold"] as const;

/** Millijoules by part, and off-chip megabytes, of one part of the step. */
export function energyTable(rows: readonly ComparisonRow[], part: PartName): string[][] {
  return [
    [`energy, ${part}, mJ`, ...PARTS, "DRAM MB"],
    ...rows
      .filter((row) => row.part === part && row.energyByPart !== null)
      .map(({ machine, energyByPart, dramBytes }) => [
        machine,
        ...PARTS.map((name) => fixed((energyByPart?.[name] ?? 0) / 1e9, 3)),
        fixed(dramBytes / 1e6, 0),
      ]),
  ];
}

/** Shares of the cycles of one part of the step, by cause. */
export function stallTable(rows: readonly ComparisonRow[], part: PartName): string[][] {
  const seen = rows.filter((row) => row.part === part);
  const causes = STALLS.filter((cause) => seen.some(({ stalls, cycles }) => stalls[cause] > 0.001 * cycles));
  return [
    [`cycles, ${part}`, "all", "used", ...causes],
    ...seen.map(({ machine, cycles, utilisation, stalls }) => [
      machine,
      metric(cycles),
      percent(utilisation, 1),
      ...causes.map((cause) => percent(stalls[cause] / cycles, 1)),
    ]),
  ];
}

/** The order of machines by energy under each technology, and the pairs whose order is not always the same. */
export function rankingText(all: readonly Ranking[]): string[] {
  const name = ({ technology, bounds }: Ranking) =>
    `${technology}${bounds.logic === bounds.memory ? "" : bounds.logic === "low" ? ", memory dear" : ", logic dear"}`;
  const turned = flips(all);
  return [
    ...all.map((ranking) => `${name(ranking).padEnd(26)}${ranking.machines.join(" < ")}`),
    turned.length === 0
      ? "no two machines change places"
      : `change places: ${turned.map(([a, b]) => `${a} and ${b}`).join("; ")}`,
  ];
}

export function footprintTable(
  sites: readonly { readonly name: string; readonly density: number; readonly all: readonly Footprint[] }[],
): string[][] {
  return [
    ["gate gradients, MB", "density", ...FORMATS, ...FORMATS.slice(1).map((format) => `${format}, both orders`)],
    ...sites.map(({ name, density, all }) => [
      name,
      percent(density),
      ...all.map(({ bytes }) => fixed(bytes / 1e6, 2)),
      ...all.slice(1).map(({ bothOrders }) => fixed(bothOrders / 1e6, 2)),
    ]),
  ];
}

// ---- charts

export function speedupChart(rows: readonly ComparisonRow[], title: string): string {
  return bars(rows, title, "times as fast as the dense machine; line: all zeros skipped", (row) => ({
    value: row.speedup,
    ideal: row.speedupIdeal,
  }));
}

export function energyChart(rows: readonly ComparisonRow[], title: string): string {
  return bars(rows, title, "energy of the dense machine over this one's", (row) => ({
    value: row.energyDensePJ / row.energyPJ,
  }));
}

function bars(
  rows: readonly ComparisonRow[],
  title: string,
  yLabel: string,
  of: (row: ComparisonRow) => { readonly value: number; readonly ideal?: number },
): string {
  const machines = [...new Set(rows.map(({ machine }) => machine))];
  const steps = [...new Set(rows.map(({ step }) => step))];
  const series = (["backward", "step"] as const).flatMap((part) => steps.map((step) => ({ part, step })));
  return valueBars({
    title,
    yLabel,
    level: 1,
    series: series.map(({ part, step }) => `${part === "step" ? "whole step" : part}, update ${step}`),
    categories: machines.map((name) => ({
      name,
      bars: series.map(({ part, step }) => {
        const row = rows.find((each) => each.machine === name && each.part === part && each.step === step);
        return row ? of(row) : { value: Number.NaN };
      }),
    })),
  });
}

/** Bytes of a gradient by format over density: curves for random patterns, the trace's sites beside them in the table. */
export function footprintChart(rows: number, cols: number): string {
  const densities = Array.from({ length: 41 }, (_, i) => i / 40);
  return lineChart({
    title: `bytes a gate gradient, ${cols} columns, zeros anywhere`,
    xLabel: "density",
    yLabel: "bytes",
    series: FORMATS.map((format) => ({
      name: format,
      points: densities.map(
        (density) => [density, expectedBytes(format, rows, cols, density) / (rows * cols)] as const,
      ),
    })),
  });
}

export interface SweptPoint {
  readonly value: number;
  readonly compared: Compared;
}

export function sweepTable(key: string, points: readonly SweptPoint[], part: PartName): string[][] {
  const machines = [...new Set(points.flatMap(({ compared }) => compared.rows.map(({ machine }) => machine)))];
  const row = (point: SweptPoint, machine: string) =>
    point.compared.rows.find((each) => each.machine === machine && each.part === part);
  return [
    [`${key}, ${part}`, ...machines],
    ...points.map((point) => [
      String(point.value),
      ...machines.map((machine) => {
        const found = row(point, machine);
        return found ? `${x(found.speedup)}, ${x(found.energyDensePJ / found.energyPJ)}` : "";
      }),
    ]),
  ];
}

export function sweepChart(
  key: string,
  unit: string,
  points: readonly SweptPoint[],
  part: PartName,
  title: string,
): string {
  const machines = [...new Set(points.flatMap(({ compared }) => compared.rows.map(({ machine }) => machine)))];
  return lineChart({
    title,
    xLabel: unit ? `${key} (${unit})` : key,
    yLabel: "times as fast as the dense machine",
    series: machines.map((name, colour) => ({
      name,
      colour,
      points: points.flatMap(({ value, compared }) => {
        const found = compared.rows.find((each) => each.machine === name && each.part === part);
        return found ? [[value, found.speedup] as const] : [];
      }),
    })),
  });
}
