/** A sweep as a page in one file: tables, fronts of quality against what was saved, curves of validation. */
import { frontChart } from "../plots/front-chart.ts";
import { type LineSeries, lineChart } from "../plots/line-chart.ts";
import { htmlReport, type ReportPart } from "../plots/report.ts";
import { mean } from "../runs/paired.ts";
import { readEvents } from "../runs/store.ts";
import type { SweepState } from "../runs/sweep.ts";
import { membersOf } from "../runs/sweep-arms.ts";
import type { Results, Saving } from "../runs/sweep-results.ts";
import { runDir } from "../runs/sweep-store.ts";
import { pageFooter, TIME_IS_NOT_MACS } from "./comparison.ts";
import { percentOf, qualityRows, readingNotes, savingRows, splitWord } from "./sweep-tables.ts";

/** As many lines as there are colours to tell them apart. */
const MOST_CURVES = 6;

const AXES: Readonly<Record<Saving, { readonly title: string; readonly label: string; readonly scale: number }>> = {
  sparsity: { title: "zeros", label: "zeros among gate gradients, natural ones included (%)", scale: 100 },
  macsSkippedAll: { title: "skipped MACs", label: "MACs of all training made redundant (%)", scale: 100 },
  secondsRelative: { title: "time", label: "time per step, of the reference's", scale: 1 },
};

export function sweepPage(state: SweepState, processes: number): string {
  const { sweep } = state;
  const { choose, confirm } = state.results();
  const confirmation = state.record.confirmation;
  const parts: ReportPart[] = [];
  if (confirm && confirmation) {
    parts.push(
      { kind: "heading", text: "Confirmed on the test split" },
      {
        kind: "text",
        text: `Finalists were chosen on validation on ${confirmation.chosen.slice(0, 10)} and then trained anew on fresh seeds (${confirmation.seeds.join(", ")}); their test losses were not known before.`,
      },
      ...resultParts(confirm, processes),
      { kind: "heading", text: "How they were chosen" },
    );
  }
  parts.push(...resultParts(choose, processes), { kind: "charts", svg: [curves(state)].filter(Boolean) });
  parts.push({
    kind: "text",
    text: `Runs: ${sweep.arms.map(({ name, slug }) => `${name} in runs/${slug}-s…`).join("; ")}.`,
  });
  return htmlReport(`Sweep ${sweep.name}`, parts, pageFooter());
}

function resultParts(results: Results, processes: number): ReportPart[] {
  const [qualityHead, ...quality] = qualityRows(results) as [string[], ...string[][]];
  const [savingHead, ...saving] = savingRows(results) as [string[], ...string[][]];
  return [
    { kind: "table", head: qualityHead, rows: quality },
    { kind: "table", head: savingHead, rows: saving },
    ...readingNotes(results, processes).map((text): ReportPart => ({ kind: "text", text })),
    { kind: "text", text: TIME_IS_NOT_MACS },
    { kind: "charts", svg: (Object.keys(AXES) as Saving[]).map((key) => front(results, key)) },
    {
      kind: "text",
      text: "Filled points are on the front: no other arm is better in both. Vertical bars are 95 % intervals over pairs, horizontal ones the lowest and the highest pair.",
    },
  ];
}

function front(results: Results, saving: Saving): string {
  const { title, label, scale } = AXES[saving];
  const split = splitWord(results);
  return frontChart({
    title: `${split === "test" ? "Test" : "Validation"} loss against ${title}`,
    xLabel: label,
    yLabel: `${split} loss against the reference, paired (%)`,
    limit: { y: 100 * results.margin, name: `margin +${percentOf(results.margin)}` },
    points: results.rows.flatMap((row) => {
      const x = row.spreads?.[saving];
      const y = row.lossRelative;
      if (!x || !y) return [];
      const ends = y.low === null || y.high === null ? null : ([100 * y.low, 100 * y.high] as const);
      const isReference = row.verdict === "reference";
      return [
        {
          name: row.arm,
          x: scale * x.middle,
          xRange: [scale * x.low, scale * x.high] as const,
          y: 100 * y.mean,
          yRange: isReference ? null : ends,
          onFront: row.front.includes(saving),
          isReference,
        },
      ];
    }),
  });
}

/** Of each policy's best arm, the mean over seeds at steps that all of them validated. */
function curves({ dir, sweep, record }: SweepState): string {
  const rows = record.results?.choose.rows.filter(
    ({ bestOfPolicy, verdict }) => bestOfPolicy || verdict === "reference",
  );
  const arms = sweep.arms.filter(({ name }) => rows?.some((row) => row.arm === name)).slice(0, MOST_CURVES);
  const series = arms.map((arm): LineSeries => {
    const runs = membersOf([arm], sweep.seeds)
      .map((member) => readEvents(runDir(dir, member)).filter((event) => event.type === "validation"))
      .filter((events) => events.length > 0);
    const steps = runs[0]?.map(({ step }) => step) ?? [];
    const points = steps.flatMap((step) => {
      const losses = runs.flatMap((events) => events.find((event) => event.step === step)?.loss ?? []);
      return losses.length === runs.length ? [[step, mean(losses)] as const] : [];
    });
    return { name: arm.name, points };
  });
  if (series.length === 0) return "";
  return lineChart({
    title: "Validation loss against steps, mean over seeds",
    xLabel: "steps",
    yLabel: `validation loss (${record.results?.choose.lossUnit ?? "mean"})`,
    series,
  });
}
