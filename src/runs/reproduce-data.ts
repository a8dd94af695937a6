/**
 * From finished runs to the data of a figure and its verdicts: what the paper says, what was found here,
 * whether that agrees by a bar stated beforehand, and what speaks for the reason where it does not.
 */
import { endShare } from "../train/activations.ts";
import type { EndEvent, TelemetryEvent, ValidationEvent } from "../train/events.ts";
import { MILESTONES } from "../train/telemetry.ts";
import { type FigureName, PAPER_THRESHOLDS, type PlannedRun } from "./reproduce.ts";
import type {
  AnyFigure,
  Fig2Data,
  Fig3Data,
  Fig4Data,
  Fig5Data,
  FigureData,
  SensitivityData,
  Verdict,
} from "./reproduce-figures.ts";
import { type ThresholdSweep, thresholdSweep } from "./reproduce-sweep.ts";
import { readConfig, readEvents, readRun, readTelemetry } from "./store.ts";

/** Zeros agree within ten percentage points of the paper's "about", within five where it says 20 % or less. */
const zerosAgree = (ours: number, paper: number) => Math.abs(ours - paper) <= (paper <= 0.2 ? 0.05 : 0.1);
/** Losses agree within the paper's own bar of one per cent. */
const LOSS_BAR = 0.01;
const COSINE_BAR = 0.15;
const CLOSE_TO_1 = 0.99;

export interface FinishedRun {
  readonly planned: PlannedRun;
  readonly dir: string;
}

/** What can be told already: of a figure all its runs or none, of sensitivity the nets whose runs are all there. */
export function usableRuns(planned: readonly PlannedRun[], finished: readonly FinishedRun[]): FinishedRun[] {
  const netOf = ({ variant, text }: PlannedRun) => `${variant}, ${text}`;
  const isWhole = (net: string) =>
    planned.filter((plan) => netOf(plan) === net).length ===
    finished.filter((run) => netOf(run.planned) === net).length;
  return finished.filter((run) => isWhole(netOf(run.planned)));
}

/** `planned` is how many runs the figure has when all are made. */
export async function figureData(
  figure: FigureName,
  finished: readonly FinishedRun[],
  planned: number,
  runsDir: string,
): Promise<AnyFigure> {
  const runs = finished.map(({ planned, dir }) => {
    const summary = readRun(dir);
    return { name: planned.name, id: summary.id, summary: { ...summary, dir: "" }, config: readConfig(dir) };
  });
  const base = { runs };
  switch (figure) {
    case "fig2":
      return fig2(base, finished);
    case "fig3":
      return fig3(base, finished, runsDir);
    case "fig4":
      return fig4(base, finished);
    case "fig5":
      return fig5(base, finished);
    case "sensitivity":
      return sensitivity(base, finished, planned);
  }
}

type Base = Pick<FigureData, "runs">;

function fig2(base: Base, [run]: readonly FinishedRun[]): Fig2Data {
  const { dir } = run as FinishedRun;
  const all = readTelemetry(dir);
  const { maxSteps } = readRun(dir);
  const last = all.at(-1) as TelemetryEvent;
  const chosen = MILESTONES.map((share) => nearest(all, share * maxSteps));
  const samples = [...new Set(chosen)].map((sample) => ({
    step: sample.step,
    share: sample.step / maxSteps,
    layers: sample.layers,
    ends: gatesOf(sample).map((gate, g) => ({
      gate,
      share: mean(sample.layers.map(({ gates }) => endShare(gates[g]?.counts ?? []))),
    })),
    distance: distanceOf(sample, last),
  }));
  const [first, middle, end] = [samples[0], samples.at(-2), samples.at(-1)] as [
    (typeof samples)[0],
    (typeof samples)[0],
    (typeof samples)[0],
  ];
  const ends = ({ ends }: (typeof samples)[0]) => mean(ends.map(({ share }) => share));
  const shown = ({ ends }: (typeof samples)[0]) =>
    ends.map(({ gate, share }) => `${gate} ${percent(share)}`).join(", ");
  return {
    ...base,
    figure: "fig2",
    samples,
    verdicts: [
      {
        claim: "activations are skewed to their ends when trained, not at the start",
        paper: "histograms at 0.5 % and at the end; no number given",
        ours: `near an end at step ${first.step}: ${shown(first)}; at step ${end.step}: ${shown(end)}`,
        agrees: ends(end) > 2 * ends(first) && ends(end) > 0.25,
      },
      {
        claim: "they are steady after about 10 % of training",
        paper: "little changes after 10 %",
        ours: `${percent(middle.distance)} of the mass lies elsewhere at ${percent(middle.share, 0)} than at the end (at ${percent(first.share, 1)}: ${percent(first.distance)})`,
        agrees: middle.distance < first.distance / 2,
      },
    ],
    notes: [],
  };
}

function gatesOf({ layers }: TelemetryEvent): string[] {
  return layers[0]?.gates.map(({ gate }) => gate) ?? [];
}

/** Total variation of histograms, mean over layers and gates. */
function distanceOf(a: TelemetryEvent, b: TelemetryEvent): number {
  const shares = (counts: readonly number[]) => {
    const sum = counts.reduce((total, count) => total + count, 0);
    return counts.map((count) => count / sum);
  };
  return mean(
    a.layers.flatMap(({ gates }, l) =>
      gates.map(({ counts }, g) => {
        const other = shares(b.layers[l]?.gates[g]?.counts ?? []);
        return shares(counts).reduce((sum, share, bin) => sum + Math.abs(share - (other[bin] as number)), 0) / 2;
      }),
    ),
  );
}

async function fig3(base: Base, [run]: readonly FinishedRun[], runsDir: string): Promise<Fig3Data> {
  const { dir, planned } = run as FinishedRun;
  const summary = readRun(dir);
  const { batchSize: B, sequenceLength: T } = planned.config.train;
  const reductions = [
    { name: "mean over batch and time (ours)", factor: 1 },
    { name: "sum over time, mean over the batch", factor: T },
    { name: "sum over batch and time", factor: T * B },
  ];
  const paper = [0, ...PAPER_THRESHOLDS];
  const wanted = reductions.flatMap(({ factor }) => paper.map((tau) => tau / factor));
  const fine = Array.from({ length: 15 }, (_, index) => 10 ** (-10 + index / 2)); // 1e-10 to 1e-3
  const taus = [...new Set([...wanted, ...fine].map((tau) => Number(tau.toPrecision(4))))].sort((a, b) => a - b);
  const sweep = await thresholdSweep(runsDir, summary.id, summary.engine, taus);
  const at = (tau: number) => sweep.points[nearestIndex(taus, tau)] as ThresholdSweep["points"][number];
  const saturatedPositions =
    readTelemetry(dir)
      .at(-1)
      ?.layers.map((layer) => layer.saturatedPositions) ?? [];
  const zeros = (tau: number, claim: string, expected: number): Verdict => ({
    claim,
    paper: `about ${percent(expected, 0)}`,
    ours: percent(at(tau).zeros),
    agrees: zerosAgree(at(tau).zeros, expected),
  });
  const crossing = crossingTau(sweep, 0.26);
  const natural = at(0).zeros;
  const ofNonzero = (tau: number) => (at(tau).zeros - natural) / (1 - natural);
  const withPapers = (tau: number) => percent(0.1 + 0.9 * ofNonzero(tau), 0);
  return {
    ...base,
    figure: "fig3",
    sweep,
    saturatedPositions,
    reductions: reductions.map(({ name, factor }) => ({
      name,
      factor,
      zeros: paper.map((tau) => at(tau / factor).zeros),
      cosines: paper.map((tau) => at(tau / factor).cosine),
    })),
    verdicts: [
      zeros(0, "zeros without a threshold", 0.1),
      zeros(1e-8, "zeros at 1e-8", 0.45),
      zeros(1e-6, "zeros at 1e-6", 0.8),
      {
        claim: "cosine of dW at 1e-6",
        paper: "close to 1",
        ours: at(1e-6).cosine.toFixed(4),
        agrees: at(1e-6).cosine >= CLOSE_TO_1,
      },
      {
        claim: "cosine of dW at 1e-5",
        paper: "0.26",
        ours: at(1e-5).cosine.toFixed(3),
        agrees: Math.abs(at(1e-5).cosine - 0.26) <= COSINE_BAR,
      },
    ],
    notes: [
      `Natural zeros by layer: ${sweep.layers.map(({ layer, naturalZeros, wholeCells }) => `${layer} ${percent(naturalZeros)} (${percent(wholeCells, 0)} of them in i, f and g of a cell at once)`).join(", ")}.`,
      `Positions with tanh(c) exactly -1 or 1 in float32: ${sweep.layers.map(({ layer }, index) => `${layer} ${percent(saturatedPositions[index] ?? 0)}`).join(", ")}. Such a cell gets no gradient from above, since 1 - tanh² = 0. The smallest nonzero gradient is ${sweep.smallest.toExponential(1)} (float32 underflows below 1.2e-38).`,
      `Of the gradients that are not zero by themselves, 1e-8 drops ${percent(ofNonzero(1e-8), 0)}, 1e-7 ${percent(ofNonzero(1e-7), 0)}, 1e-6 ${percent(ofNonzero(1e-6), 0)}: with the paper's 10 % of natural zeros that would be ${withPapers(1e-8)}, ${withPapers(1e-7)} and ${withPapers(1e-6)} of all.`,
      crossing === undefined
        ? "The cosine stays above the paper's 0.26 up to 1e-3."
        : `The cosine falls to 0.26 at ${crossing.toExponential(1)}; the paper reads that at 1e-5.`,
    ],
  };
}

/** Where the cosine falls to `level`, between two points of the sweep on a logarithmic axis. */
function crossingTau({ points }: ThresholdSweep, level: number): number | undefined {
  const index = points.findIndex(({ tau, cosine }) => tau > 0 && cosine < level);
  const [a, b] = [points[index - 1], points[index]];
  if (!a || !b || a.tau === 0) return b?.tau;
  const part = (a.cosine - level) / (a.cosine - b.cosine);
  return a.tau * (b.tau / a.tau) ** part;
}

function fig4(base: Base, finished: readonly FinishedRun[]): Fig4Data {
  const curves = finished.map(({ planned, dir }) => {
    const end = endOf(dir);
    const samples = readTelemetry(dir);
    return {
      policy: planned.config.policy,
      layers: end.sites.map(({ site, sparsity, naturalZeros }) => ({ site, sparsity, naturalZeros })),
      steps: samples.map(({ step }) => step),
      zeros: samples.map(({ sites }) => sites.map(({ groups }) => mean(groups.map(({ sparsity }) => sparsity)))),
    };
  });
  const expected: Record<string, number> = { dense: 0.2, "threshold:1e-7": 0.7, "threshold:1e-6": 0.8 };
  return {
    ...base,
    figure: "fig4",
    curves,
    verdicts: curves.map(({ policy, layers }) => {
      const average = mean(layers.map(({ sparsity }) => sparsity));
      const target = expected[policy] as number;
      return {
        claim: `zeros over the whole run, ${policy === "dense" ? "baseline" : policy}`,
        paper: `about ${percent(target, 0)}`,
        ours: `${percent(average)} (${layers.map(({ site, sparsity }) => `${site} ${percent(sparsity, 0)}`).join(", ")})`,
        agrees: zerosAgree(average, target),
      };
    }),
    notes: [
      `Zero by themselves, averaged over the run: ${curves.map(({ policy, layers }) => `${policy} ${layers.map(({ naturalZeros }) => percent(naturalZeros, 0)).join(" / ")}`).join("; ")} (layers from the input up).`,
    ],
  };
}

function fig5(base: Base, finished: readonly FinishedRun[]): Fig5Data {
  const dense = endOf((finished[0] as FinishedRun).dir).validLoss as number;
  const curves = finished.map(({ planned, dir }) => {
    const end = endOf(dir);
    const best = end.validLoss as number;
    return {
      policy: planned.config.policy,
      validation: readEvents(dir)
        .filter((event): event is ValidationEvent => event.type === "validation")
        .map(({ step, loss }) => [step, loss] as const),
      best,
      relative: best / dense - 1,
      testLoss: end.testLoss,
      fidelity: end.fidelity,
      probes: readTelemetry(dir).flatMap(({ step, fidelity }) =>
        fidelity ? [{ step, layers: fidelity.layers.map(({ cosine }) => cosine) }] : [],
      ),
    };
  });
  const ofThePaper = ["threshold:1e-7", "threshold:1e-6", "threshold:1e-5"];
  return {
    ...base,
    figure: "fig5",
    curves,
    verdicts: curves
      .filter(({ policy }) => ofThePaper.includes(policy))
      .map(({ policy, best, relative }) => {
        const worse = policy === "threshold:1e-5";
        return {
          claim: `validation loss, ${policy}`,
          paper: worse ? "clearly worse than the baseline" : "as the baseline",
          ours: `${best.toFixed(4)} against ${dense.toFixed(4)} (${signed(relative)})`,
          agrees: worse ? relative > LOSS_BAR : relative <= LOSS_BAR,
        };
      }),
    notes: [
      `Cosine of dW to a dense backward's, layers from the input up, at the first probe and the last: ${curves
        .slice(1)
        .map(({ policy, probes }) => `${policy} ${[probes[0], probes.at(-1)].map(cosines).join(", ")}`)
        .join("; ")}.`,
      "One seed: dense runs alone differ by one or two per cent from seed to seed, so a difference of this size is no finding by itself.",
    ],
  };
}

function cosines(probe: Fig5Data["curves"][number]["probes"][number] | undefined): string {
  return probe ? `${probe.layers.map((cosine) => cosine.toFixed(2)).join(" / ")} at step ${probe.step}` : "none";
}

function sensitivity(base: Base, finished: readonly FinishedRun[], planned: number): SensitivityData {
  const rows = finished.flatMap(({ planned: { text, variant, config }, dir }) => {
    if (config.policy !== "threshold:1e-6") return [];
    const twin = (isOf: (policy: string) => boolean) => {
      const fits = ({ planned }: FinishedRun) =>
        isOf(planned.config.policy) && planned.variant === variant && planned.text === text;
      return endOf((finished.find(fits) as FinishedRun).dir);
    };
    const [sparse, dense, warm] = [endOf(dir), twin((name) => name === "dense"), twin((name) => /^warmup/.test(name))];
    const denseLoss = dense.validLoss as number;
    const of = ({ sparsity, validLoss }: EndEvent) => ({
      sparsity: sparsity.sparsity,
      naturalZeros: sparsity.naturalZeros,
      loss: validLoss as number,
      relative: (validLoss as number) / denseLoss - 1,
    });
    const { loss: sparseLoss, ...shares } = of(sparse);
    return {
      text: text as string,
      variant: variant as string,
      ...shares,
      denseZeros: dense.sparsity.sparsity,
      denseLoss,
      sparseLoss,
      fidelity: sparse.fidelity,
      warm: of(warm),
    };
  });
  const count = (of: (row: (typeof rows)[number]) => boolean) => rows.filter(of).length;
  const sparse = count(({ sparsity }) => sparsity > 0.8);
  const good = count(({ relative }) => relative < LOSS_BAR);
  return {
    ...base,
    figure: "sensitivity",
    rows,
    verdicts: [
      {
        claim: "zeros at 1e-6, all nets and texts",
        paper: "more than 80 % always",
        ours: `more than 80 % in ${sparse} of ${rows.length}; ${range(rows.map(({ sparsity }) => sparsity))}`,
        agrees: sparse === rows.length,
      },
      {
        claim: "validation loss at 1e-6, all nets and texts",
        paper: "less than 1 % worse always",
        ours: `less than 1 % worse in ${good} of ${rows.length}; ${signed(Math.min(...rows.map(({ relative }) => relative)))} to ${signed(Math.max(...rows.map(({ relative }) => relative)))}`,
        agrees: good === rows.length,
      },
    ],
    notes: [
      ...(finished.length < planned
        ? [`${rows.length} of ${(rows.length * planned) / finished.length} nets and texts have been run so far.`]
        : []),
      `After a dense first quarter (not in the paper) validation losses differ from the dense run's by ${signed(Math.min(...rows.map(({ warm }) => warm.relative)))} to ${signed(Math.max(...rows.map(({ warm }) => warm.relative)))}, less than 1 % worse in ${count(({ warm }) => warm.relative < LOSS_BAR)} of ${rows.length}; zeros are ${range(rows.map(({ warm }) => warm.sparsity))}, averaged over the run, its dense quarter included.`,
    ],
  };
}

function endOf(dir: string): EndEvent {
  return readEvents(dir).at(-1) as EndEvent;
}

function nearest(samples: readonly TelemetryEvent[], step: number): TelemetryEvent {
  return samples.reduce((best, sample) => (Math.abs(sample.step - step) < Math.abs(best.step - step) ? sample : best));
}

function nearestIndex(taus: readonly number[], wanted: number): number {
  return taus.reduce(
    (best, tau, index) => (Math.abs(tau - wanted) < Math.abs((taus[best] as number) - wanted) ? index : best),
    0,
  );
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function percent(share: number, digits = 1): string {
  return `${(100 * share).toFixed(digits)} %`;
}

function signed(share: number): string {
  return `${share < 0 ? "" : "+"}${percent(share, 2)}`;
}

function range(values: readonly number[]): string {
  return `${percent(Math.min(...values))} to ${percent(Math.max(...values))}`;
}
