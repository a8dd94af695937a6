/** Advice as people read it: a table, sentences, a chart, a page, and the configuration it names. */
import { stringify } from "yaml";
import type { Advice, Row } from "../advise/advise.ts";
import { frontChart } from "../plots/front-chart.ts";
import { htmlReport } from "../plots/report.ts";
import type { RunConfig } from "../runs/config.ts";
import { pageFooter } from "./comparison.ts";
import { duration, fixed, percent } from "./format.ts";

const SHORT = ["policy", "loss", "95 %", "", "speed", "zeros", "natural", "MACs rec.", "all"];
const LONG = [...SHORT.slice(0, -1), "MACs all", "cosine", "bias", "seeds"];

/** Head and rows; the fastest first, those that broke down last. `long`: for a page. */
export function adviceRows({ rows }: Advice, long = false): [head: string[], ...rows: string[][]] {
  const order = [...rows].sort((a, b) => Number(isKnown(b)) - Number(isKnown(a)) || b.speed - a.speed);
  return [long ? LONG : SHORT, ...order.map((row) => [...shortCells(row, long ? 1 : 0), ...(long ? rest(row) : [])])];
}

function shortCells(row: Row, digits: number): string[] {
  const { policy, predicted, verdict, speed, zeros, naturalZeros } = row;
  return [
    policy,
    isKnown(row) ? signed(predicted.mean) : "broke down",
    isKnown(row) ? `${signed(predicted.low)} to ${signed(predicted.high)}`.replace(" %", "") : "",
    verdict,
    `${speed.toFixed(2)}x`,
    ...[zeros, naturalZeros, row.macsSkippedRecurrent, row.macsSkippedAll].map((share) => percent(share, digits)),
  ];
}

function rest({ fidelity, seeds }: Row): string[] {
  return [fixed(fidelity.cosine, 3), percent(fidelity.bias), String(seeds)];
}

export const LEGEND =
  "Loss: predicted validation loss of the whole training against dense, with its 95 % interval: chance between seeds, and what " +
  "a small training does not tell about the whole one. within: the interval lies below the limit; perhaps: its middle does. " +
  "Zeros (natural ones included) and MACs skipped, of recurrent products and of all, are shares over the whole training.";

const LEGEND_OF_FIDELITY =
  "Cosine and bias: of the sparse gradient to the dense one, batch by batch; and what is wrong with it on average over batches, " +
  "against the mean gradient.";

/** What was done, in one sentence. */
export function howItWasFound({ trunkSteps, smallSteps, maxSteps, seeds, seconds }: Advice): string {
  return (
    `Trainings of ${smallSteps} steps in place of ${maxSteps}, the first ${trunkSteps} at the full learning rate, then down to zero; ` +
    `${seeds} ${seeds === 1 ? "seed" : "seeds"}, ${duration(seconds)}.`
  );
}

/** What to do. */
export function verdictText(advice: Advice): string {
  const { recommended, reason, maxLoss, rows, trunkSteps, constantLoss, maxSteps } = advice;
  const limit = percent(maxLoss, 2);
  if (recommended) {
    const { policy, predicted, speed } = recommended;
    return (
      `Use ${policy}: ${speed.toFixed(2)} times as fast as dense, predicted loss ${signed(predicted.mean)} ` +
      `(${signed(predicted.low)} to ${signed(predicted.high)}), limit +${limit}.`
    );
  }
  if (reason === "plateau")
    return (
      `Nothing can be said: after ${trunkSteps} of ${maxSteps} dense steps the training loss is not a tenth below ${fixed(constantLoss, 3)}, what ` +
      "a prediction without looking at the input has. Dropping is most harmful there. Use dense, or give more time with --seconds."
    );
  if (reason === "not shown") {
    const best = rows.filter(({ verdict, speed }) => verdict === "perhaps" && speed > 1).sort(byHigh)[0] as Row;
    return (
      `Nothing can be recommended within +${limit}: ${best.policy} comes nearest (${signed(best.predicted.low)} to ${signed(best.predicted.high)}), ` +
      "but that is not shown. More time (--seconds) narrows the interval, trainings in full settle it (gatesieve sweep)."
    );
  }
  if (reason === "none faster") return `Use dense: what stays within +${limit} is no faster here.`;
  return `Use dense: no policy that was tried stays within +${limit}.`;
}

export function adviceChart(advice: Advice, title: string): string {
  const known = advice.rows.filter(isKnown);
  return frontChart({
    title,
    xLabel: "times as fast as dense, whole training",
    yLabel: "predicted validation loss against dense (%)",
    limit: { y: 100 * advice.maxLoss, name: `limit +${percent(advice.maxLoss, 2)}` },
    points: [
      { name: "dense", x: 1, xRange: null, y: 0, yRange: null, onFront: false, isReference: true },
      ...known.map((row) => ({
        name: row.policy,
        x: row.speed,
        xRange: null,
        y: 100 * row.predicted.mean,
        yRange: [100 * row.predicted.low, 100 * row.predicted.high] as const,
        onFront: row.verdict === "within",
        isReference: false,
      })),
    ],
  });
}

export function advicePage(advice: Advice, title: string, chart: string): string {
  const [head, ...rows] = adviceRows(advice, true);
  return htmlReport(
    title,
    [
      { kind: "text", text: verdictText(advice) },
      // Where nothing was tried, there is nothing to draw.
      ...(rows.length === 0
        ? []
        : ([
            { kind: "text", text: howItWasFound(advice) },
            { kind: "charts", svg: [chart] },
            { kind: "table", head, rows },
            { kind: "text", text: LEGEND },
            { kind: "text", text: LEGEND_OF_FIDELITY },
          ] as const)),
    ],
    pageFooter(),
  );
}

/** A configuration that `train` takes: the one asked about, with the policy named. */
export function advisedConfig(config: RunConfig, advice: Advice): string {
  const policy = advice.recommended?.policy ?? "dense";
  const headPolicy = policy === "dense" ? "dense" : config.headPolicy;
  const { policies, ...rest } = config;
  const kept = policy === "dense" || !policies ? rest : { ...rest, policies };
  const remark = [verdictText(advice), howItWasFound(advice)].map((line) => `# ${line}\n`).join("");
  return `${remark}${stringify({ ...kept, policy, headPolicy })}`;
}

function byHigh(a: Row, b: Row): number {
  return a.predicted.high - b.predicted.high;
}

function isKnown({ predicted }: Row): boolean {
  return Number.isFinite(predicted.mean);
}

function signed(share: number): string {
  return `${share < 0 ? "" : "+"}${percent(share, 2)}`;
}
