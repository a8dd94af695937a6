/** What `reproduce` writes: the chart of a figure, and one page (Markdown) of all figures there are. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { barChart } from "../plots/bar-chart.ts";
import { grid } from "../plots/grid.ts";
import { lineChart } from "../plots/line-chart.ts";
import { FIGURES, type FigureName, PAPER_THRESHOLDS } from "../runs/reproduce.ts";
import type {
  AnyFigure,
  Fig2Data,
  Fig3Data,
  Fig4Data,
  Fig5Data,
  SensitivityData,
  Verdict,
} from "../runs/reproduce-figures.ts";
import { fixed, percent } from "./format.ts";
import { activationCharts } from "./telemetry-charts.ts";

/** A figure's data with where they come from: what FIGURE.json holds. */
export type Result = AnyFigure & {
  readonly command: string;
  readonly date: string;
  readonly machine: string;
  readonly version: string;
  readonly node: string;
};

const TITLES: Readonly<Record<FigureName, string>> = {
  fig2: "Fig. 2: activations of the gates",
  fig3: "Fig. 3: one step's gate gradients against thresholds",
  fig4: "Fig. 4: zeros per layer over a whole run",
  fig5: "Fig. 5: validation loss",
  sensitivity: "Section 4.2: other nets and another text",
};

export function figureChart(figure: AnyFigure): string {
  switch (figure.figure) {
    case "fig2":
      return fig2Chart(figure);
    case "fig3":
      return fig3Chart(figure);
    case "fig4":
      return fig4Chart(figure);
    case "fig5":
      return fig5Chart(figure);
    case "sensitivity":
      return sensitivityChart(figure);
  }
}

function fig2Chart({ samples }: Fig2Data): string {
  const looks = samples.map((sample) => ({ ...sample, type: "telemetry" as const, ms: 0, sites: [], fidelity: null }));
  const share = (step: number) => samples.find((sample) => sample.step === step)?.share ?? 0;
  const charts = activationCharts(looks, ({ step }) => `step ${step} (${percent(share(step), step < 10 ? 1 : 0)})`);
  return grid(charts, samples[0]?.layers[0]?.gates.length ?? 1);
}

function fig3Chart({ sweep, reductions }: Fig3Data): string {
  const [ours] = reductions;
  const names = ["none", ...PAPER_THRESHOLDS.map((tau) => tau.toExponential(0))];
  const natural = sweep.points[0]?.layers ?? [];
  const zeros = barChart({
    title: "Zeros among one step's gate gradients",
    yLabel: "share of gate gradients (%)",
    series: ["this step"],
    parts: ["zero by themselves", "dropped"],
    groups: [0, ...PAPER_THRESHOLDS].map((tau, index) => {
      const point = sweep.points.find((candidate) => candidate.tau === tau);
      return {
        name: index === 0 ? "no threshold" : (names[index] as string),
        categories: sweep.layers.map(({ layer }, l) => {
          const all = point?.layers[l] ?? 0;
          const own = Math.min(all, natural[l] ?? 0);
          return { name: layer.replace("lstm.", ""), bars: [[own, all - own] as const] };
        }),
      };
    }),
  });
  const drawn = sweep.points.filter(({ tau }) => tau >= 1e-10);
  const cosines = lineChart({
    title: "Cosine of dW, thresholded to dense",
    xLabel: "threshold",
    yLabel: "cosine",
    xFrom0: false,
    xFormat: (tick) => `1e${tick}`,
    series: [
      { name: "all layers", points: drawn.map(({ tau, cosine }) => [Math.log10(tau), cosine] as const) },
      ...sweep.layers.map(({ layer }, l) => ({
        name: layer,
        points: drawn.map(({ tau, layerCosines }) => [Math.log10(tau), layerCosines[l] as number] as const),
      })),
      { name: "the paper: 0.26", points: ours ? [[-5, 0.26] as const] : [] },
    ],
  });
  return grid([zeros, cosines], 2);
}

function fig4Chart({ curves }: Fig4Data): string {
  const layers = curves[0]?.layers ?? [];
  const charts = layers.map(({ site }, l) =>
    lineChart({
      width: 480,
      height: 320,
      title: `Zeros among gate gradients, ${site}`,
      xLabel: "steps",
      yLabel: "share (%)",
      series: curves.map(({ policy, steps, zeros }) => ({
        name: policy === "dense" ? "baseline" : policy,
        points: steps.map((step, index) => [step, 100 * (zeros[index]?.[l] as number)] as const),
      })),
    }),
  );
  return grid(charts, 3);
}

function fig5Chart({ curves }: Fig5Data): string {
  return lineChart({
    title: "Validation loss",
    xLabel: "steps",
    yLabel: "nats a character",
    series: curves.map(({ policy, validation }) => ({
      name: policy === "dense" ? "baseline" : policy,
      points: validation,
    })),
  });
}

function sensitivityChart({ rows }: SensitivityData): string {
  const texts = [...new Set(rows.map(({ text }) => text))];
  const charts = texts.map((text) =>
    barChart({
      width: 900,
      title: `Zeros at 1e-6, ${text}`,
      yLabel: "share of gate gradients, average over training (%)",
      series: ["threshold:1e-6"],
      parts: ["zero by themselves", "dropped"],
      groups: rows
        .filter((row) => row.text === text)
        .map(({ variant, naturalZeros, sparsity }) => ({
          name: variant,
          categories: [{ name: "", bars: [[naturalZeros, sparsity - naturalZeros] as const] }],
        })),
    }),
  );
  return grid(charts, 1);
}

/** Markdown: verdicts of all figures, and each figure with its chart, numbers, notes and origin. */
export function reproductionPage(results: readonly Result[], out: string): string {
  const inOrder = FIGURES.map((name) => results.find(({ figure }) => figure === name)).filter((result) => !!result);
  const agreed = inOrder.flatMap(({ verdicts }) => verdicts);
  return [
    "# The paper's experiments, repeated",
    "",
    "M. Zhu, M. Rhu, J. Clemons, S. W. Keckler, Y. Xie: *Training Long Short-Term Memory With Sparsified Stochastic Gradient Descent* (2017, openreview HJWzXsKxx). Written by `gatesieve reproduce`; how to run it, and what was chosen where the paper is silent: docs/telemetry.md.",
    "",
    `${agreed.filter(({ agrees }) => agrees).length} of ${agreed.length} statements agree by bars stated beforehand: zeros within ten percentage points of the paper's "about" (five where it says 20 % or less), losses within the paper's own one per cent, "close to 1" at least 0.99. The text is not the paper's: its truncated Wikipedia is not to be had.`,
    "",
    ...inOrder.flatMap((result) => section(result, out)),
  ].join("\n");
}

function section(result: Result, out: string): string[] {
  const { figure, verdicts, notes, runs, command, date, machine, version, node } = result;
  const [first] = runs;
  const byHand = join(out, `${figure}.notes.md`);
  return [
    `## ${TITLES[figure]}`,
    "",
    `![${TITLES[figure]}](${figure}.svg)`,
    "",
    ...verdictTable(verdicts),
    "",
    ...numbersTable(result),
    ...notes.map((note) => `* ${note}`),
    ...(notes.length > 0 ? [""] : []),
    ...(existsSync(byHand) ? [readFileSync(byHand, "utf8").trim(), ""] : []),
    `Data: [${figure}.json](${figure}.json). Command: \`${command}\`; ${first ? `${first.summary.text ?? first.summary.task}, ${first.summary.maxSteps} steps a run, seed ${first.summary.seed}, engine ${first.summary.engine} (${first.summary.isa}), ${first.summary.threads} thread` : ""}; ${machine}, Node ${node}, Gatesieve ${version}, ${date}.`,
    "",
  ];
}

function verdictTable(verdicts: readonly Verdict[]): string[] {
  return [
    "| | the paper | here | |",
    "|---|---|---|---|",
    ...verdicts.map(
      ({ claim, paper, ours, agrees }) => `| ${claim} | ${paper} | ${ours} | ${agrees ? "agrees" : "**differs**"} |`,
    ),
  ];
}

function numbersTable(result: Result): string[] {
  const markdown = (head: readonly string[], rows: readonly (readonly string[])[]) => [
    `| ${head.join(" | ")} |`,
    `|${head.map(() => "---").join("|")}|`,
    ...rows.map((row) => `| ${row.join(" | ")} |`),
    "",
  ];
  switch (result.figure) {
    case "fig3":
      return markdown(
        ["the loss's gradient is that of the", "zeros: none, 1e-8, 1e-7, 1e-6, 1e-5", "cosine of dW: the same"],
        result.reductions.map(({ name, zeros, cosines }) => [
          name,
          zeros.map((share) => percent(share, 0)).join(", "),
          cosines.map((cosine) => fixed(cosine, 3)).join(", "),
        ]),
      );
    case "fig5":
      return markdown(
        ["policy", "best validation loss", "against dense", "test loss", "cosine at the end"],
        result.curves.map(({ policy, best, relative, testLoss, fidelity }) => [
          policy,
          fixed(best, 4),
          `${relative < 0 ? "" : "+"}${percent(relative, 2)}`,
          fixed(testLoss, 4),
          fixed(fidelity, 4),
        ]),
      );
    case "sensitivity":
      return markdown(
        [
          ...["text", "net", "zeros at 1e-6", "of these natural", "natural, dense run"],
          ...["validation loss: dense", "1e-6", "1e-6 after a dense quarter", "cosine at 1e-6, at the end"],
        ],
        result.rows.map((row) => [
          row.text,
          row.variant,
          percent(row.sparsity),
          percent(row.naturalZeros),
          percent(row.denseZeros),
          fixed(row.denseLoss, 4),
          ...[row, { ...row.warm, sparseLoss: row.warm.loss }].map(
            ({ sparseLoss, relative }) => `${fixed(sparseLoss, 4)} (${relative < 0 ? "" : "+"}${percent(relative, 2)})`,
          ),
          fixed(row.fidelity, 4),
        ]),
      );
    default:
      return [];
  }
}
