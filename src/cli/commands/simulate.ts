/** gatesieve simulate: what machines would make of a traced step. */
import { basename, join } from "node:path";
import { Command, Option } from "commander";
import { UsageError } from "../../core/check.ts";
import { type Compared, compareMachines, parseSweep, rankings, type Sweep, vary } from "../../energy/compare.ts";
import { energyDocument } from "../../energy/document.ts";
import { footprints } from "../../energy/formats.ts";
import type { Machine } from "../../energy/machine.ts";
import { BASELINE, MACHINES } from "../../energy/machines.ts";
import { transpose } from "../../energy/patterns.ts";
import { withDensity } from "../../energy/random-step.ts";
import { DEFAULT_TECHNOLOGY, TECHNOLOGIES } from "../../energy/technologies.ts";
import type { Technology } from "../../energy/technology.ts";
import { readMachine, readTechnology } from "../../runs/energy-file.ts";
import { writeFileAtomic } from "../../runs/files.ts";
import { readTrace } from "../../runs/trace-file.ts";
import { densityOf, type Trace, type TraceStep } from "../../sparse/trace.ts";
import { jsonOption } from "../options.ts";
import { paint, print, printJson, table } from "../print.ts";
import {
  comparisonTable,
  energyChart,
  energyTable,
  footprintChart,
  footprintTable,
  rankingText,
  type SweptPoint,
  speedupChart,
  stallTable,
  sweepChart,
  sweepTable,
} from "../simulation.ts";
import { heads } from "../summary.ts";

interface SimulateOptions {
  readonly machine?: string;
  readonly technology: string;
  readonly area: string;
  readonly steps?: string;
  readonly sweep?: string;
  readonly estimate?: boolean;
  readonly json?: boolean;
  readonly out?: string;
  readonly document?: boolean;
}

export function simulateCommand(): Command {
  return new Command("simulate")
    .summary("what accelerators would make of a trace: cycles, energy, traffic")
    .description(
      "Run machines on a trace that train --trace made: cycles by cause, energy by part, words moved, against a dense machine. " +
        "Machines and their sources: docs/energy.md; the model and its limits: docs/accelerator.md.",
    )
    .argument("[trace]", "a file that train --trace made")
    .option("--machine <names>", `which, with commas: ${Object.keys(MACHINES).join(", ")}, or files (.yaml); all`)
    .option(
      "--technology <name>",
      `energies and areas: ${Object.keys(TECHNOLOGIES).join(", ")}, or a file (.yaml)`,
      DEFAULT_TECHNOLOGY,
    )
    .addOption(
      new Option("--area <which>", "equal: all in the dense machine's area, paid for in memory")
        .choices(["own", "equal"])
        .default("own"),
    )
    .option("--steps <numbers>", "updates to look at, with commas (all of the trace)")
    .option("--sweep <what=values>", "lanes=, groups=, sram= (KiB), bandwidth= (GB/s) or density= in turn, with commas")
    .option("--estimate", "by formulas from densities alone, in milliseconds")
    .addOption(jsonOption("one JSON object a line for each machine and part"))
    .option("--out <dir>", "write rows (.jsonl), tables (.md) and charts (.svg) there")
    .option("--document", "print docs/energy.md, the machines and their sources, and nothing else")
    .addHelpText(
      "after",
      `
Examples:
  gatesieve train train.maxSteps=300 --trace a.trace
  gatesieve simulate a.trace
  gatesieve simulate a.trace --machine sieve,tensordash --technology tpu-7 --area equal
  gatesieve simulate a.trace --sweep bandwidth=32,64,128 --out a-simulated`,
    )
    .action(simulate);
}

function simulate(file: string | undefined, options: SimulateOptions): void {
  if (options.document) {
    print(energyDocument().trimEnd());
    return;
  }
  if (file === undefined)
    throw new UsageError(
      "no trace given. Make one with: gatesieve train --trace a.trace; then: gatesieve simulate a.trace",
    );
  const technology = readTechnology(options.technology);
  const machines = machinesOf(options.machine);
  const sweep = options.sweep === undefined ? null : parseSweep(options.sweep);
  const trace = readTrace(file);
  const steps = stepsOf(trace, file, options.steps);
  const compare = (step: TraceStep, of: readonly Machine[] = machines, baseline = BASELINE) =>
    compareMachines(step, trace.run, {
      machines: of,
      technology,
      area: options.area === "equal" ? "equal" : "own",
      estimate: options.estimate ?? false,
      baseline,
    });
  const swept = (step: TraceStep, { key, values }: Sweep): SweptPoint[] =>
    values.map((value) => ({
      value,
      compared: compare(
        key === "density" ? withDensity(step, value) : step,
        machines.map((machine) => vary(machine, key, value)),
        vary(BASELINE, key, value),
      ),
    }));

  if (sweep) {
    const step = steps.at(-1) as TraceStep;
    const points = swept(step, sweep);
    if (options.json)
      for (const { value, compared } of points)
        for (const row of compared.rows) printJson({ sweep: sweep.key, value, ...row });
    else printSweep(sweep, points, step);
    if (options.out) writeSweep(options.out, file, sweep, points, step);
    return;
  }
  const all = steps.map((step) => ({ step, compared: compare(step) }));
  for (const { step, compared } of all) {
    if (options.json) for (const row of compared.rows) printJson(row);
    else printStep(step, compared, technology);
  }
  if (options.out) writeAll(options.out, file, all, technology);
}

function machinesOf(names: string | undefined): Machine[] {
  if (names === undefined) return Object.values(MACHINES);
  const machines = names
    .split(",")
    .map((name) => name.trim())
    .filter((name) => name !== "")
    .map(readMachine);
  if (machines.length === 0)
    throw new UsageError(`no machine given. The choices are: ${Object.keys(MACHINES).join(", ")}.`);
  return machines;
}

function stepsOf({ steps }: Trace, file: string, chosen: string | undefined): TraceStep[] {
  const there = steps.map(({ step }) => step);
  if (steps.length === 0)
    throw new UsageError(`trace ${file} holds no step. Train to a step that is traced, then try again.`);
  if (chosen === undefined) return [...steps];
  return chosen.split(",").map((text) => {
    const found = steps.find(({ step }) => step === Number(text));
    if (!found) throw new UsageError(`trace ${file} holds no step ${text}; it holds ${there.join(", ")}.`);
    return found;
  });
}

const headed = (rows: readonly (readonly string[])[]) => [heads(rows[0] ?? []), ...rows.slice(1)];

function printStep(step: TraceStep, compared: Compared, technology: Technology): void {
  const kept = step.sites.map((site) => `${site.name} ${(100 * densityOf(site)).toFixed(1)} %`).join(", ");
  print(
    `${paint.bold(`step ${step.step}`)}, kept: ${kept || "no site"}; ${technology.name}; against ${BASELINE.name}\n`,
  );
  print(table(headed(comparisonTable(compared.rows))));
  print(`\n${table(headed(stallTable(compared.rows, "backward")))}`);
  print(`\n${table(headed(energyTable(compared.rows, "backward")))}`);
  print(`\n${paint.dim("energy, backward, least first")}`);
  for (const line of rankingText(rankings(compared.results, "backward", technologiesWith(technology)))) print(line);
  print();
}

/** The one that was asked for first, then the others of the table. */
function technologiesWith(technology: Technology): Technology[] {
  return [technology, ...Object.values(TECHNOLOGIES).filter(({ name }) => name !== technology.name)];
}

function printSweep({ key }: Sweep, points: readonly SweptPoint[], { step }: TraceStep): void {
  print(`${paint.bold(`step ${step}`)}: times as fast as the dense machine, and its energy over theirs\n`);
  print(table(headed(sweepTable(key, points, "backward"))));
  print(`\n${table(headed(sweepTable(key, points, "step")))}`);
}

const SWEEP_UNITS = {
  lanes: "a group",
  groups: "of 256 multipliers",
  sram: "KiB",
  bandwidth: "GB/s",
  density: "",
} as const;

function writeSweep(
  dir: string,
  file: string,
  { key }: Sweep,
  points: readonly SweptPoint[],
  { step }: TraceStep,
): void {
  const rows = points.flatMap(({ value, compared }) => compared.rows.map((row) => ({ sweep: key, value, ...row })));
  const title = `${basename(file)}, update ${step}, backward`;
  writeFileAtomic(join(dir, `sweep-${key}.jsonl`), jsonLines(rows), "the rows");
  writeFileAtomic(
    join(dir, `sweep-${key}.svg`),
    `${sweepChart(key, SWEEP_UNITS[key], points, "backward", title)}\n`,
    "a chart",
  );
  const tables = (["backward", "step"] as const).map((part) => markdown(sweepTable(key, points, part)));
  writeFileAtomic(join(dir, `sweep-${key}.md`), `${tables.join("\n\n")}\n`, "the tables");
}

function writeAll(
  dir: string,
  file: string,
  all: readonly { readonly step: TraceStep; readonly compared: Compared }[],
  technology: Technology,
): void {
  const rows = all.flatMap(({ compared }) => compared.rows);
  const parts = all.flatMap(({ step, compared }) => {
    const sites = step.sites.map((site) => ({
      name: site.name,
      density: densityOf(site),
      all: footprints(site, transpose(site)),
    }));
    const ranked = rankingText(rankings(compared.results, "backward", technologiesWith(technology)));
    return [
      `## Update ${step.step}`,
      markdown(comparisonTable(compared.rows)),
      markdown(stallTable(compared.rows, "backward")),
      markdown(stallTable(compared.rows, "step")),
      markdown(energyTable(compared.rows, "backward")),
      markdown(energyTable(compared.rows, "step")),
      markdown(footprintTable(sites)),
      `Energy of the backward pass, least first:\n\n    ${ranked.join("\n    ")}`,
    ];
  });
  const name = basename(file);
  const size = all[0]?.step.sites[0];
  writeFileAtomic(join(dir, "rows.jsonl"), jsonLines(rows), "the rows");
  writeFileAtomic(join(dir, "README.md"), `# ${name}, ${technology.name}\n\n${parts.join("\n\n")}\n`, "the tables");
  writeFileAtomic(join(dir, "speedup.svg"), `${speedupChart(rows, `${name}: speed-up`)}\n`, "a chart");
  writeFileAtomic(join(dir, "energy.svg"), `${energyChart(rows, `${name}: energy, ${technology.name}`)}\n`, "a chart");
  if (size) writeFileAtomic(join(dir, "footprint.svg"), `${footprintChart(size.rows, size.cols)}\n`, "a chart");
}

function jsonLines(rows: readonly object[]): string {
  return rows.map((row) => `${JSON.stringify(row)}\n`).join("");
}

function markdown(rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  const [head = [], ...rest] = rows;
  return [line(head), line(head.map((_, i) => (i === 0 ? "---" : "--:"))), ...rest.map(line)].join("\n");
}
