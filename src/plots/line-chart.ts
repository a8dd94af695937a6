/** Lines over a number axis: losses against steps or seconds, shares along time. */
import { scaleLinear } from "d3-scale";
import { line } from "d3-shape";
import { colourClass, dash, escapeMarkup, type Frame, legend, numberAxis, px, svg, valueAxis } from "./svg.ts";

export interface LineSeries {
  readonly name: string;
  /** (x, y), in order of x. Points that are not finite are left out. */
  readonly points: readonly (readonly [x: number, y: number])[];
  /** Its number among the colours; without it, its place among the series. Two lines of one thing share it. */
  readonly colour?: number;
  /** Of stroke-dasharray, "" for a full line; without it, the colour's own. */
  readonly dashes?: string;
}

export interface LineChart {
  readonly title: string;
  /** With units, for example "training time (s)". */
  readonly xLabel: string;
  readonly yLabel: string;
  readonly series: readonly LineSeries[];
  /** Of the x axis; without it, plain numbers. */
  readonly xFormat?: (value: number) => string;
  /** Whether the x axis begins at 0 (it does) or where the data begin. */
  readonly xFrom0?: boolean;
  readonly width?: number;
  readonly height?: number;
}

/** An SVG element as text. The x axis begins at 0; the y axis fits the data and need not. */
export function lineChart(chart: LineChart): string {
  const { title, xLabel, yLabel, series, xFormat, xFrom0 = true, width = 640, height = 360 } = chart;
  const finite = series.map(({ name, points, colour, dashes }, index) => ({
    name,
    colour: colour ?? index,
    dashes: dashes ?? dash(colour ?? index),
    points: points.filter((point) => point.every(Number.isFinite)),
  }));
  const all = finite.flatMap(({ points }) => points);
  const entries = finite.map(({ name, colour, dashes }) => ({ name, series: colour, dashes, mark: "line" as const }));
  const key = legend(entries, 0, width, 38);
  const frame: Frame = { left: 46, right: width - 20, top: 38 + key.height + 18, bottom: height - 46 };
  if (all.length === 0)
    return svg(width, height, title, [
      key.body,
      `<text class="faint" x="${width / 2}" y="${height / 2}" text-anchor="middle">no values yet</text>`,
    ]);

  const x = scaleLinear(extent([...(xFrom0 ? [0] : []), ...all.map((point) => point[0])]), [frame.left, frame.right]);
  const y = scaleLinear(extent(all.map((point) => point[1])), [frame.bottom, frame.top]).nice(6);
  const path = line<readonly [number, number]>(
    (point) => px(x(point[0])),
    (point) => px(y(point[1])),
  );
  const lines = finite.map(({ name, points, colour, dashes }) => {
    const dots = points.map(
      ([atX, atY]) =>
        `<circle class="mark" cx="${px(x(atX))}" cy="${px(y(atY))}" r="2.5">` +
        `<title>${escapeMarkup(`${name}: ${round(atX)}, ${round(atY)}`)}</title></circle>`,
    );
    return `<g class="${colourClass(colour)}"><path class="line ${colourClass(colour)}" stroke-dasharray="${dashes}" d="${path(points) ?? ""}"/>${dots.join("")}</g>`;
  });
  return svg(width, height, title, [
    key.body,
    valueAxis(y, frame, yLabel, y.tickFormat(6)),
    numberAxis(x, frame, xLabel, xFormat),
    ...lines,
  ]);
}

/** Lowest and highest; a single value gets room on both sides. */
function extent(values: readonly number[]): [number, number] {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  return low < high ? [low, high] : [low - 0.5, high + 0.5];
}

function round(value: number): string {
  return String(Number(value.toPrecision(5)));
}
