/** Runs side by side: one table for the terminal, one page with charts. */
import { barChart } from "../plots/bar-chart.ts";
import { lineChart } from "../plots/line-chart.ts";
import { htmlReport, type ReportPart } from "../plots/report.ts";
import type { RecordedEvent, RunSummary } from "../runs/store.ts";
import { version } from "../runs/version.ts";
import type { EndEvent } from "../train/events.ts";
import { duration, fixed, metric, milliseconds, percent, ratio, words } from "./format.ts";
import { cpuModel } from "./machine.ts";
import { score } from "./summary.ts";

export interface ComparedRun {
  readonly summary: RunSummary;
  readonly events: readonly RecordedEvent[];
}

export interface Sample {
  readonly title: string;
  readonly text: string;
}

/** Said wherever seconds and MACs stand in one table. */
export const TIME_IS_NOT_MACS =
  "Skipped MACs count work that zeros make redundant; milliseconds are what the engine made of it here. They are not the same.";

/** By policy, numbered where that does not tell the runs apart. */
export function labels(runs: readonly ComparedRun[]): string[] {
  const policies = runs.map(({ summary }) => summary.policy);
  const unique = new Set(policies).size === policies.length;
  return policies.map((policy, index) => (unique ? policy : `${policy} (${index + 1})`));
}

/** Rows of cells: a name, then one value per run. Ratios are against the first run. */
export function comparisonRows(runs: readonly ComparedRun[]): string[][] {
  const summaries = runs.map(({ summary }) => summary);
  const [first] = summaries;
  if (!first) return [];
  const row = (name: string, value: (summary: RunSummary) => string) => [name, ...summaries.map(value)];
  const differs = (value: (summary: RunSummary) => unknown) => new Set(summaries.map(value)).size > 1;
  const stepMs = ({ seconds, steps }: RunSummary) => (seconds === null ? null : (1000 * seconds) / steps);
  const scoreNames = Object.keys(first.testScores ?? {});
  const rows = [
    differs(({ task }) => task) && row("task", ({ task }) => task),
    differs(({ text }) => text) && row("text", ({ text }) => text ?? "–"),
    differs(({ engine }) => engine) && row("engine", ({ engine, isa }) => `${engine} ${isa}`),
    differs(({ seed }) => seed) && row("seed", ({ seed }) => String(seed)),
    row("steps", ({ steps }) => String(steps)),
    differs(({ parameters }) => parameters) && row("parameters", ({ parameters }) => metric(parameters)),
    row(`validation loss (${first.lossUnit})`, ({ validLoss }) => fixed(validLoss, 4)),
    row(`test loss (${first.lossUnit})`, ({ testLoss }) => fixed(testLoss, 4)),
    ...scoreNames.map((name) => row(`test ${words(name)}`, ({ testScores }) => score(name, testScores?.[name]))),
    row("zeros among gate gradients", ({ sparsity }) => percent(sparsity)),
    row("  added by the policy", ({ dropped }) => percent(dropped)),
    row("  there by themselves", ({ naturalZeros }) => percent(naturalZeros)),
    row("energy kept (squared norm)", ({ energy }) => percent(energy, 2)),
    row("cosine to the dense gradient, at the end", ({ fidelity }) => fixed(fidelity, 4)),
    // Nets without recurrent layers have no such products.
    summaries.some(({ macsSkippedRecurrent }) => macsSkippedRecurrent !== 0) &&
      row("MACs skipped: recurrent products", ({ macsSkippedRecurrent }) => percent(macsSkippedRecurrent)),
    row("MACs skipped: all training", ({ macsSkippedAll }) => percent(macsSkippedAll)),
    row("time per step", (summary) => milliseconds(stepMs(summary))),
    row("  times as fast as the first", (summary) => ratio(stepMs(first), stepMs(summary))),
    row("backward per step", ({ backwardMs }) => milliseconds(backwardMs)),
    row("  times as fast as the first", (summary) => ratio(first.backwardMs, summary.backwardMs)),
    row("time of training", ({ seconds }) => duration(seconds)),
  ];
  return rows.filter((cells): cells is string[] => Array.isArray(cells));
}

/** Remarks that keep a reader from concluding too much. */
export function caveats(runs: readonly ComparedRun[]): string[] {
  const summaries = runs.map(({ summary }) => summary);
  const distinct = (value: (summary: RunSummary) => unknown) => new Set(summaries.map(value)).size;
  const differ = distinct(({ task }) => task) > 1 || distinct(({ text }) => text) > 1;
  const machines = distinct(({ engine, threads }) => `${engine} ${threads}`) > 1;
  const seeds = distinct(({ seed }) => seed);
  return [
    differ ? "Tasks or texts differ: their losses cannot be compared." : "",
    machines ? "Engines or threads differ: times compare them, not the policies alone." : "",
    seeds === 1 && runs.length > 1
      ? `One seed (${summaries[0]?.seed}) proves neither loss nor gain of quality: dense runs alone differ from seed to seed. Repeat with others.`
      : "",
    TIME_IS_NOT_MACS,
  ].filter(Boolean);
}

export function pageFooter(): string {
  return `Made by gatesieve ${version} on ${new Date().toISOString().slice(0, 10)}, Node ${process.versions.node}, ${cpuModel()}.`;
}

/** A page in one file: table, losses against steps and seconds, zeros by layer and gate, samples. */
export function comparisonPage(
  title: string,
  runs: readonly ComparedRun[],
  samples: readonly Sample[],
  footer: string,
): string {
  const names = labels(runs);
  const unit = runs[0]?.summary.lossUnit ?? "";
  const losses = (x: (point: ValidationPoint) => number) =>
    runs.map(({ events }, index) => ({
      name: names[index] as string,
      points: validations(events).map((point) => [x(point), point.loss] as const),
    }));
  const yLabel = `validation loss (${unit})`;
  const parts: ReportPart[] = [
    ...caveats(runs).map((text): ReportPart => ({ kind: "text", text })),
    {
      kind: "table",
      head: ["", ...names],
      rows: comparisonRows(runs),
    },
    {
      kind: "charts",
      svg: [
        lineChart({
          title: "Validation loss against steps",
          xLabel: "steps",
          yLabel,
          series: losses(({ step }) => step),
        }),
        lineChart({
          title: "Validation loss against time of training",
          xLabel: "time of training, without validation (s)",
          yLabel,
          series: losses(({ seconds }) => seconds),
        }),
        zerosChart(runs, names),
      ].filter(Boolean),
    },
    { kind: "text", text: `Runs: ${runs.map(({ summary }, index) => `${names[index]} is ${summary.id}`).join("; ")}.` },
    ...samples.map(({ title: heading, text }): ReportPart => ({ kind: "sample", title: heading, text })),
  ];
  return htmlReport(title, parts, footer);
}

interface ValidationPoint {
  readonly step: number;
  readonly loss: number;
  readonly seconds: number;
}

/** Validations with the seconds of training before them, between step events by proportion of steps. */
function validations(events: readonly RecordedEvent[]): ValidationPoint[] {
  const clock = [{ step: 0, seconds: 0 }, ...events.filter((event) => event.type !== "validation")];
  return events
    .filter((event) => event.type === "validation")
    .map(({ step, loss }) => {
      const after = clock.findIndex((tick) => tick.step >= step);
      const [b, a] = after < 0 ? [clock.at(-1), clock.at(-2)] : [clock[after], clock[after - 1]];
      const rate = a && b && b.step > a.step ? (b.seconds - a.seconds) / (b.step - a.step) : 0;
      return { step, loss, seconds: (b?.seconds ?? 0) + (step - (b?.step ?? 0)) * rate };
    });
}

function zerosChart(runs: readonly ComparedRun[], names: readonly string[]): string {
  const ends = runs.map(({ events }) => events.findLast((event): event is EndEvent => event.type === "end"));
  const shape = (end: EndEvent | undefined) =>
    end?.sites.map(({ site, groups }) => [site, groups.map(({ group }) => group)]);
  const [first] = ends;
  // Nets of other shapes have other gates: nothing to put side by side.
  if (!first || ends.some((end) => JSON.stringify(shape(end)) !== JSON.stringify(shape(first)))) return "";
  return barChart({
    title: "Zeros among gate gradients, by layer and gate",
    yLabel: "share of gate gradients, average over training (%)",
    series: names,
    parts: ["zero by themselves", "dropped by the policy"],
    groups: first.sites.map(({ site, groups }, s) => ({
      name: site,
      categories: groups.map(({ group }, g) => ({
        name: group,
        bars: ends.map((end) => {
          const shares = end?.sites[s]?.groups[g];
          return [shares?.naturalZeros ?? 0, shares?.dropped ?? 0] as const;
        }),
      })),
    })),
  });
}
