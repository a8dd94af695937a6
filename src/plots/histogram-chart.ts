/** Histograms as outlines over one number axis, with marks on it: activations, magnitudes of gradients. */
import { scaleLinear } from "d3-scale";
import { colourClass, dash, escapeMarkup, type Frame, legend, numberAxis, px, svg, valueAxis } from "./svg.ts";

export interface HistogramChart {
  readonly title: string;
  readonly xLabel: string;
  /** Lower edge of the first bin, and the width of all. */
  readonly from: number;
  readonly binWidth: number;
  /** Counts from the first bin; a series may end earlier than others. Drawn as shares of its sum. */
  readonly series: readonly { readonly name: string; readonly counts: readonly number[] }[];
  /** Vertical lines, in the colour of a series. */
  readonly marks?: readonly { readonly name: string; readonly x: number; readonly series: number }[];
  readonly xFormat?: (value: number) => string;
  readonly width?: number;
  readonly height?: number;
}

/** An SVG element as text; the y axis is the share of a series in each bin, from 0. */
export function histogramChart(chart: HistogramChart): string {
  const { title, xLabel, from, binWidth, series, marks = [], xFormat, width = 420, height = 260 } = chart;
  const shares = series.map(({ counts }) => {
    const sum = counts.reduce((total, count) => total + count, 0);
    return counts.map((count) => (sum > 0 ? count / sum : 0));
  });
  const key = legend(
    series.map(({ name }, index) => ({ name, series: index, mark: "line" as const })),
    0,
    width,
    38,
  );
  const frame: Frame = { left: 46, right: width - 20, top: 38 + key.height + 18, bottom: height - 46 };
  const bins = Math.max(1, ...shares.map(({ length }) => length));
  const x = scaleLinear([from, from + bins * binWidth], [frame.left, frame.right]);
  const y = scaleLinear([0, Math.max(1e-3, ...shares.flat())], [frame.bottom, frame.top]).nice(4);
  const outlines = shares.map((values, index) => {
    const steps = values.map((share, bin) => `V${px(y(share))}H${px(x(from + (bin + 1) * binWidth))}`);
    return (
      `<path class="line ${colourClass(index)}" stroke-dasharray="${dash(index)}" d="M${px(x(from))},${frame.bottom}${steps.join("")}V${frame.bottom}">` +
      `<title>${escapeMarkup(series[index]?.name ?? "")}</title></path>`
    );
  });
  const lines = marks
    .filter((mark) => mark.x >= from && mark.x <= from + bins * binWidth)
    .map(
      (mark) =>
        `<path class="line ${colourClass(mark.series)}" stroke-dasharray="2 2" d="M${px(x(mark.x))},${frame.top}V${frame.bottom}">` +
        `<title>${escapeMarkup(mark.name)}</title></path>`,
    );
  return svg(width, height, title, [
    key.body,
    valueAxis(y, frame, "share of values in a bin (%)", (tick) => String(Number((100 * tick).toPrecision(3)))),
    numberAxis(x, frame, xLabel, xFormat),
    ...outlines,
    ...lines,
  ]);
}
