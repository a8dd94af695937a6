/** Charts of telemetry: what `inspect` and `reproduce` draw from a run's samples. */
import { histogramChart } from "../plots/histogram-chart.ts";
import { type LineSeries, lineChart } from "../plots/line-chart.ts";
import { predictedCosine } from "../sparse/lognormal.ts";
import type { Sparsity } from "../sparse/observation.ts";
import { ACTIVATION_BINS } from "../train/activations.ts";
import type { GroupTelemetry, SiteTelemetry, TelemetryEvent } from "../train/events.ts";
import { CURVE_SPARSITIES } from "../train/telemetry.ts";
import { fixed } from "./format.ts";

const SMALL = { width: 420, height: 280 } as const;
const DASHED = "5 4";
const FULL = "";

/** Mean over a site's gates: they are equally many. */
export function siteShare({ groups }: SiteTelemetry, key: keyof Sparsity): number {
  return groups.reduce((sum, group) => sum + group[key], 0) / groups.length;
}

/** Gate sites and their samples, in order. */
export function siteNames(samples: readonly TelemetryEvent[]): string[] {
  return samples[0]?.sites.map(({ site }) => site) ?? [];
}

/** Zeros of each site along training: full lines all zeros, dashed ones those there by themselves. */
export function zerosOverSteps(samples: readonly TelemetryEvent[]): string {
  const line = (index: number, key: "sparsity" | "naturalZeros") =>
    samples.map(({ step, sites }) => [step, 100 * siteShare(sites[index] as SiteTelemetry, key)] as const);
  return lineChart({
    title: "Zeros among gate gradients, along training",
    xLabel: "steps",
    yLabel: "share of a site's gradients (%)",
    series: pairs(siteNames(samples), (index) => [line(index, "sparsity"), line(index, "naturalZeros")]),
  });
}

/** The same along time, in bands, of one sample; T is the last position. */
export function zerosOverTime({ step, sites }: TelemetryEvent, T: number): string {
  const along = sites.filter(({ groups }) => (groups[0]?.bands.sparsity.length ?? 0) > 0);
  const line = ({ groups }: SiteTelemetry, key: "sparsity" | "naturalZeros") =>
    bandMeans(groups, key).map((share, band, all) => [((band + 0.5) * T) / all.length, 100 * share] as const);
  return lineChart({
    title: `Zeros by position in time, step ${step}`,
    xLabel: "t, position in the sequence (bands; the backward pass begins at the right)",
    yLabel: "share of a site's gradients (%)",
    series: pairs(
      along.map(({ site }) => site),
      (index) => [line(along[index] as SiteTelemetry, "sparsity"), line(along[index] as SiteTelemetry, "naturalZeros")],
    ),
  });
}

/** Mean over groups, band by band. */
export function bandMeans(groups: readonly GroupTelemetry[], key: keyof Sparsity): number[] {
  const bands = groups[0]?.bands[key].length ?? 0;
  return Array.from(
    { length: bands },
    (_, band) => groups.reduce((sum, group) => sum + (group.bands[key][band] as number), 0) / groups.length,
  );
}

function pairs(
  names: readonly string[],
  of: (index: number) => readonly [LineSeries["points"], LineSeries["points"]],
): LineSeries[] {
  return names.flatMap((name, index) => {
    const [all, natural] = of(index);
    return [
      { name, colour: index, dashes: FULL, points: all },
      { name: "by themselves", colour: index, dashes: DASHED, points: natural },
    ];
  });
}

/** log10 of abs(g) by gate, with the thresholds. */
export function magnitudesChart({ site, groups }: SiteTelemetry, step: number): string {
  const exponents = groups.filter(({ magnitudes }) => magnitudes.counts.length > 0);
  const first = Math.min(...exponents.map(({ magnitudes }) => magnitudes.exponent));
  const octave = Math.log10(2);
  return histogramChart({
    ...SMALL,
    title: `${site}: gradients before the rule, step ${step}`,
    xLabel: "abs(g), nonzero; dotted: thresholds",
    from: first * octave,
    binWidth: octave,
    series: groups.map(({ group, magnitudes: { exponent, counts } }) => ({
      name: group,
      counts: counts.length ? [...new Array(exponent - first).fill(0), ...counts] : [],
    })),
    marks: groups.flatMap(({ group, tau }, series) =>
      tau ? [{ name: `threshold of ${group}: ${tau.toExponential(2)}`, x: Math.log10(tau), series }] : [],
    ),
    xFormat: (tick) => `1e${tick}`,
  });
}

/** Cosine kept against share dropped: as counted, and as the log-normal model predicts. */
export function logNormalChart({ site, groups }: SiteTelemetry, step: number): string {
  return lineChart({
    ...SMALL,
    height: 300,
    title: `${site}: cosine kept when dropping, step ${step}`,
    xLabel: "nonzero gradients dropped (%); dashed: log-normal",
    yLabel: "cosine of before and after",
    series: groups.flatMap(({ group, cosines, logNormal }, colour): LineSeries[] => {
      if (!cosines || !logNormal) return [];
      const points = (of: (sparsity: number, index: number) => number) =>
        CURVE_SPARSITIES.map((sparsity, index) => [100 * sparsity, of(sparsity, index)] as const);
      return [
        { name: group, colour, dashes: FULL, points: points((_, index) => cosines[index] as number) },
        {
          name: `σ ${fixed(logNormal.sigma, 2)}`,
          colour,
          dashes: DASHED,
          points: points((sparsity) => predictedCosine(sparsity, logNormal.sigma)),
        },
      ];
    }),
  });
}

/** One chart per layer and gate: activations at several moments of training. */
export function activationCharts(
  samples: readonly TelemetryEvent[],
  nameOf: (sample: TelemetryEvent) => string,
): string[] {
  const layers = samples[0]?.layers ?? [];
  return layers.flatMap(({ layer, gates }, l) =>
    gates.map(({ gate }, g) => {
      const counts = samples.map((sample) => sample.layers[l]?.gates[g]?.counts ?? []);
      const half = ACTIVATION_BINS / 2;
      const isSigmoid = counts.every((bins) => bins.slice(0, half).every((count) => count === 0));
      return histogramChart({
        width: 300,
        height: 260,
        title: `${layer}, ${gate}`,
        xLabel: "activation",
        from: isSigmoid ? 0 : -1,
        binWidth: 2 / ACTIVATION_BINS,
        series: samples.map((sample, index) => ({
          name: nameOf(sample),
          counts: isSigmoid ? (counts[index] as number[]).slice(half) : (counts[index] as number[]),
        })),
      });
    }),
  );
}

/** Units that have stopped working, along training. */
export function unitsChart(samples: readonly TelemetryEvent[]): string {
  const layers = samples[0]?.layers ?? [];
  const line = (index: number, key: "dead" | "saturated") =>
    samples.map(({ step, layers: all }) => [step, all[index]?.[key] ?? Number.NaN] as const);
  const saturates = samples.some(({ layers }) => layers.some(({ saturated }) => saturated !== null));
  return lineChart({
    title: saturates ? "Saturated units, and (dashed) dead ones" : "Dead units (dashed)",
    xLabel: "steps",
    yLabel: "units",
    series: layers.flatMap(({ layer }, colour) => [
      ...(saturates ? [{ name: layer, colour, dashes: FULL, points: line(colour, "saturated") }] : []),
      { name: saturates ? "dead" : layer, colour, dashes: DASHED, points: line(colour, "dead") },
    ]),
  });
}

/** Cosine of the sparse to the dense weight gradient, along training. */
export function fidelityChart(samples: readonly TelemetryEvent[]): string {
  const probed = samples.flatMap(({ step, fidelity }) => (fidelity ? [{ step, fidelity }] : []));
  const layers = probed[0]?.fidelity.layers ?? [];
  return lineChart({
    title: "Fidelity: cosine of dW under the policy to a dense backward's",
    xLabel: "steps",
    yLabel: "cosine",
    series: [
      { name: "all parameters", points: probed.map(({ step, fidelity }) => [step, fidelity.cosine] as const) },
      ...layers.map(({ layer }, index) => ({
        name: layer,
        points: probed.map(({ step, fidelity }) => [step, fidelity.layers[index]?.cosine ?? Number.NaN] as const),
      })),
    ],
  });
}
