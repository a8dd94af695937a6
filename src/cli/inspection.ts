/** A run from inside, by its telemetry: tables for a terminal, and a page with charts. */
import type { Cell } from "../nn/cell.ts";
import { cells } from "../nn/cells.ts";
import { htmlReport, type ReportPart } from "../plots/report.ts";
import type { RunConfig } from "../runs/config.ts";
import type { RunSummary } from "../runs/store.ts";
import type { Sparsity } from "../sparse/observation.ts";
import { endShare } from "../train/activations.ts";
import type { SiteTelemetry, TelemetryEvent } from "../train/events.ts";
import { MILESTONES, TIME_BANDS } from "../train/telemetry.ts";
import { pageFooter } from "./comparison.ts";
import { fixed, percent } from "./format.ts";
import { table } from "./print.ts";
import { heads } from "./summary.ts";
import {
  activationCharts,
  bandMeans,
  fidelityChart,
  logNormalChart,
  magnitudesChart,
  unitsChart,
  zerosOverSteps,
  zerosOverTime,
} from "./telemetry-charts.ts";

export interface Inspected {
  readonly summary: RunSummary;
  readonly config: RunConfig;
  /** At least one. */
  readonly samples: readonly TelemetryEvent[];
}

type Rows = string[][];

/** A table: what it says, its head, its rows. */
interface Part {
  readonly title: string;
  readonly head: string[];
  readonly rows: Rows;
}

export function inspectionTables(inspected: Inspected): string {
  return parts(inspected)
    .map(({ head, rows }) => table([heads(head), ...rows], [0, 1]))
    .join("\n\n");
}

function parts({ samples, config }: Inspected): Part[] {
  const last = samples.at(-1) as TelemetryEvent;
  const probed = samples.filter(({ fidelity }) => fidelity);
  return [
    gateTable(last),
    timeTable(last, config.train.sequenceLength),
    layerTable(last, config),
    ...(probed.length > 0 ? [fidelityTable(probed)] : []),
  ];
}

function gateTable({ step, sites }: TelemetryEvent): Part {
  const shares = (of: (key: keyof Sparsity) => number) => [
    percent(of("sparsity")),
    percent(of("dropped")),
    percent(of("naturalZeros")),
    percent(of("energy"), 2),
  ];
  return {
    title: `Zeros by site and gate at step ${step}`,
    head: [`step ${step}`, "gate", "zeros", "= added", "+ natural", "energy", "threshold", "median |g|", "σ", "misfit"],
    rows: sites.flatMap(({ site, groups }) =>
      groups.map((group, index) => [
        index === 0 ? site : "",
        group.group,
        ...shares((key) => group[key]),
        exponential(group.tau),
        exponential(group.logNormal && Math.exp(group.logNormal.mu)),
        fixed(group.logNormal?.sigma, 2),
        fixed(group.logNormal?.distance, 3),
      ]),
    ),
  };
}

function timeTable({ sites }: TelemetryEvent, T: number): Part {
  const along = sites.filter(({ groups }) => (groups[0]?.bands.sparsity.length ?? 0) > 0);
  const bands = Math.min(T, TIME_BANDS);
  const starts = Array.from({ length: bands }, (_, band) => Math.ceil((band * T) / bands));
  const row = ({ groups }: SiteTelemetry, key: keyof Sparsity) => bandMeans(groups, key).map((share) => percent(share));
  return {
    title: "Zeros by position in time",
    head: ["by time", "", ...starts.map((t) => `t ≥ ${t}`)],
    rows: along.flatMap((site) => [
      [site.site, "added", ...row(site, "dropped")],
      ["", "natural", ...row(site, "naturalZeros")],
    ]),
  };
}

function layerTable({ layers }: TelemetryEvent, { model }: RunConfig): Part {
  if (layers.length === 0)
    return {
      title: "Activations and units",
      head: ["activations"],
      rows: [["not looked at: they are told of recurrent layers alone, and this net has none"]],
    };
  const gates = layers[0]?.gates.map(({ gate }) => gate) ?? [];
  const tanh = (cells[model.cell] as Cell).saturates; // none: nothing saturates
  const saturation = tanh === undefined ? [] : ["saturated", `${tanh === "tanhC" ? "tanh(c)" : tanh} = ±1`];
  return {
    title: "Activations and units",
    head: [
      "activations",
      ...["units", "dead", ...saturation],
      ...gates.map((gate, index) => (index === 0 ? `near an end: ${gate}` : gate)),
    ],
    rows: layers.map(({ layer, units, dead, saturated, saturatedPositions, gates: all }) => [
      layer,
      ...[String(units), String(dead)],
      // A run of an older version has no figures for other cells than LSTM.
      ...(tanh === undefined ? [] : [saturated === null ? "–" : String(saturated), percent(saturatedPositions)]),
      ...all.map(({ counts }) => percent(endShare(counts), 0)),
    ]),
  };
}

function fidelityTable(probed: readonly TelemetryEvent[]): Part {
  const layers = probed[0]?.fidelity?.layers ?? [];
  const spread = Math.max(1, Math.ceil(probed.length / FIDELITY_ROWS));
  const shown = probed.filter((_, index) => (probed.length - 1 - index) % spread === 0);
  if (layers.length > FIDELITY_COLUMNS)
    return {
      title: "Fidelity: cosine to a dense backward of the same batch",
      head: ["cosine to dense, at step", "all", "least dW of a site", "site", "|sparse| / |dense|"],
      rows: shown.map(({ step, fidelity }) => {
        const least = fidelity?.layers.reduce((a, b) => (b.cosine < a.cosine ? b : a));
        return [
          String(step),
          fixed(fidelity?.cosine, 4),
          fixed(least?.cosine, 4),
          least?.layer ?? "",
          fixed(fidelity?.normRatio, 3),
        ];
      }),
    };
  return {
    title: "Fidelity: cosine to a dense backward of the same batch",
    head: ["cosine to dense, at step", "all", ...layers.map(({ layer }) => `dW ${layer}`), "|sparse| / |dense|"],
    rows: shown.map(({ step, fidelity }) => [
      String(step),
      fixed(fidelity?.cosine, 4),
      ...(fidelity?.layers.map(({ cosine }) => fixed(cosine, 4)) ?? []),
      fixed(fidelity?.normRatio, 3),
    ]),
  };
}

const FIDELITY_ROWS = 6;
const FIDELITY_COLUMNS = 4; // more do not fit a terminal's line

/** Samples nearest to the paper's shares of training, without repeats. */
export function milestoneSamples(samples: readonly TelemetryEvent[], maxSteps: number): TelemetryEvent[] {
  const nearest = MILESTONES.map((share) =>
    samples.reduce((best, sample) =>
      Math.abs(sample.step - share * maxSteps) < Math.abs(best.step - share * maxSteps) ? sample : best,
    ),
  );
  return [...new Set(nearest)];
}

export function inspectionPage(inspected: Inspected): string {
  const { summary, samples, config } = inspected;
  const last = samples.at(-1) as TelemetryEvent;
  const T = config.train.sequenceLength;
  const probed = samples.some(({ fidelity }) => fidelity);
  const moments = milestoneSamples(samples, summary.maxSteps);
  const share = (step: number) => percent(step / summary.maxSteps, step < 0.01 * summary.maxSteps ? 1 : 0);
  const charts = (svg: readonly string[]): ReportPart => ({ kind: "charts", svg });
  const content: ReportPart[] = [
    {
      kind: "text",
      text: `${summary.task}${summary.text ? ` on ${summary.text}` : ""}, policy ${summary.policy}, engine ${summary.engine} (${summary.isa}), seed ${summary.seed}, step ${last.step} of ${summary.maxSteps}.`,
    },
    { kind: "text", text: EXPLANATION },
    ...parts(inspected).flatMap(({ title, head, rows }): ReportPart[] => [
      { kind: "heading", text: title },
      { kind: "table", head, rows },
    ]),
    { kind: "heading", text: "Along training" },
    charts([zerosOverSteps(samples), ...(probed ? [fidelityChart(samples)] : []), unitsChart(samples)]),
    { kind: "heading", text: "Along time" },
    charts([zerosOverTime(last, T)]),
    { kind: "heading", text: "Sizes of gradients" },
    charts(last.sites.map((site) => magnitudesChart(site, last.step))),
    charts(last.sites.map((site) => logNormalChart(site, last.step))),
    { kind: "heading", text: "Activations of the gates" },
    charts(activationCharts(moments, ({ step }) => `step ${step} (${share(step)})`)),
  ];
  return htmlReport(`Run ${summary.id} from inside`, content, pageFooter());
}

export const EXPLANATION =
  "Zeros are shares of gate gradients: added by the policy, or natural, zero before it. Energy is the share of the squared norm that was kept. " +
  "σ is the spread of ln|g| over nonzero gradients, misfit its largest distance to a log-normal distribution. " +
  "A dead unit's h moves by less than 0.01 over the batch; a saturated one has tanh(c), of a GRU n, of an RNN h, at ±1 in float32 at 99 % of positions. " +
  "Near an end are activations below 0.1 or above 0.9, of g beyond ±0.9.";

function exponential(value: number | null): string {
  return value === null ? "–" : value.toExponential(1);
}
