/** Quality against a saving: points with bars of what is not known exactly, and the line of those nothing beats. */
import { scaleLinear } from "d3-scale";
import { type Box, placeLabels } from "./labels.ts";
import { colourClass, escapeMarkup, type Frame, numberAxis, px, svg, textWidth, valueAxis } from "./svg.ts";

export interface FrontPoint {
  readonly name: string;
  readonly x: number;
  /** Ends of the horizontal bar. */
  readonly xRange: readonly [low: number, high: number] | null;
  readonly y: number;
  readonly yRange: readonly [low: number, high: number] | null;
  /** Drawn full and joined by the line. */
  readonly onFront: boolean;
  readonly isReference: boolean;
}

export interface FrontChart {
  readonly title: string;
  /** With units. */
  readonly xLabel: string;
  readonly yLabel: string;
  /** Points that are not finite are left out. */
  readonly points: readonly FrontPoint[];
  /** A level line: below it a point is good enough. */
  readonly limit?: { readonly y: number; readonly name: string };
  readonly width?: number;
  readonly height?: number;
}

/** Beyond so many points only the front and the reference have names; all have them as tooltips. */
const MOST_NAMES = 14;
const LONGEST_NAME = 36; // characters

const STYLE = `.gs-chart .bar{stroke-width:1;stroke-opacity:.55;fill:none}.gs-chart .limit{stroke:var(--faint);stroke-width:1;stroke-dasharray:5 4;fill:none}
.gs-chart .lead{stroke:var(--faint);stroke-width:.7}.gs-chart .open{fill:none;stroke-width:1.6}.gs-chart .name{paint-order:stroke}`;

/** An SVG element as text; both axes fit the data, and the y axis has the limit in sight. */
export function frontChart({ title, xLabel, yLabel, points, limit, width = 640, height = 400 }: FrontChart): string {
  const known = points.filter(({ x, y }) => Number.isFinite(x) && Number.isFinite(y));
  const frame: Frame = { left: 52, right: width - 20, top: 56, bottom: height - 46 };
  if (known.length === 0)
    return svg(width, height, title, [
      `<text class="faint" x="${width / 2}" y="${height / 2}" text-anchor="middle">no values yet</text>`,
    ]);
  const x = scaleLinear(padded(known.flatMap((point) => [point.x, ...(point.xRange ?? [])])), [
    frame.left,
    frame.right,
  ]);
  const y = scaleLinear(
    padded([...known.flatMap((point) => [point.y, ...(point.yRange ?? [])]), ...(limit ? [limit.y] : [])]),
    [frame.bottom, frame.top],
  );
  const shown = known.length <= MOST_NAMES ? known : known.filter(({ onFront, isReference }) => onFront || isReference);
  const inside: Box = {
    x: frame.left,
    y: frame.top,
    width: frame.right - frame.left,
    height: frame.bottom - frame.top,
  };
  const bars = known.map((point) => barsOf(point, x, y));
  // The other marks keep names off too, with a name of no width.
  const anchors = [...shown, ...known.filter((point) => !shown.includes(point))].map((point, index) => ({
    x: x(point.x),
    y: y(point.y),
    width: index < shown.length ? textWidth(nameOf(point)) : 0,
  }));
  const limitLine: Box[] = limit ? [{ x: frame.left, y: y(limit.y) - 1, width: inside.width, height: 2 }] : [];
  const limitWidth = limit ? textWidth(limit.name) : 0;
  const limitName: Box[] = limit
    ? [{ x: frame.right - limitWidth, y: y(limit.y) - 16, width: limitWidth, height: 14 }]
    : [];
  const places = placeLabels(anchors, inside, [...bars.flat(), ...limitLine], limitName);
  const front = known.filter(({ onFront }) => onFront).sort((a, b) => a.x - b.x);
  return svg(width, height, title, [
    `<style>${STYLE}</style>`,
    valueAxis(y, frame, yLabel, y.tickFormat(6)),
    numberAxis(x, frame, xLabel),
    limit
      ? `<path class="limit" d="M${frame.left},${px(y(limit.y))}H${frame.right}"/><text class="faint" text-anchor="end" x="${frame.right}" y="${px(y(limit.y) - 5)}">${escapeMarkup(limit.name)}</text>`
      : "",
    `<path class="line s1" stroke-opacity=".45" d="${front.map((point, index) => `${index ? "L" : "M"}${px(x(point.x))},${px(y(point.y))}`).join("")}"/>`,
    ...known.map((point, index) => markOf(point, bars[index] as Box[], x(point.x), y(point.y))),
    ...shown.map((point, index) => labelOf(nameOf(point), places[index], x(point.x), y(point.y))),
  ]);
}

type Scale = (value: number) => number;

/** Both bars as boxes without breadth. */
function barsOf({ x, y, xRange, yRange }: FrontPoint, scaleX: Scale, scaleY: Scale): Box[] {
  const box = (x1: number, y1: number, x2: number, y2: number): Box => ({
    x: Math.min(x1, x2),
    y: Math.min(y1, y2),
    width: Math.abs(x2 - x1),
    height: Math.abs(y2 - y1),
  });
  return [
    ...(xRange ? [box(scaleX(xRange[0]), scaleY(y), scaleX(xRange[1]), scaleY(y))] : []),
    ...(yRange ? [box(scaleX(x), scaleY(yRange[0]), scaleX(x), scaleY(yRange[1]))] : []),
  ];
}

function markOf(point: FrontPoint, bars: readonly Box[], atX: number, atY: number): string {
  const colour = colourClass(point.isReference ? 0 : point.onFront ? 1 : 2);
  const lines = bars.map(
    (bar) => `<path class="bar" d="M${px(bar.x)},${px(bar.y)}l${px(bar.width)},${px(bar.height)}"/>`,
  );
  const range = (value: number, ends: readonly [number, number] | null) =>
    ends ? `${round(value)} [${round(ends[0])}, ${round(ends[1])}]` : round(value);
  const text = `${point.name}: ${range(point.x, point.xRange)}; ${range(point.y, point.yRange)}`;
  const mark = point.isReference
    ? `<rect class="mark" x="${px(atX - 4)}" y="${px(atY - 4)}" width="8" height="8">`
    : `<circle class="${point.onFront ? "mark" : "open"}" cx="${px(atX)}" cy="${px(atY)}" r="4">`;
  return `<g class="${colour}">${lines.join("")}${mark}<title>${escapeMarkup(text)}</title>${point.isReference ? "</rect>" : "</circle>"}</g>`;
}

/** With a thin line to its point where it stands apart from it. */
function labelOf(name: string, box: Box | undefined, atX: number, atY: number): string {
  if (!box) return "";
  const nearX = Math.min(Math.max(atX, box.x), box.x + box.width);
  const nearY = Math.min(Math.max(atY, box.y), box.y + box.height);
  const far = Math.hypot(nearX - atX, nearY - atY) > 16;
  const lead = far ? `<path class="lead" d="M${px(atX)},${px(atY)}L${px(nearX)},${px(nearY)}"/>` : "";
  // The text is narrower than its box: it begins where it is nearest to its point.
  const end = box.x + box.width <= atX;
  return `${lead}<text class="name"${end ? ' text-anchor="end"' : ""} x="${px(end ? box.x + box.width : box.x)}" y="${px(box.y + 11)}">${escapeMarkup(name)}</text>`;
}

function nameOf({ name }: FrontPoint): string {
  return name.length > LONGEST_NAME ? `${name.slice(0, LONGEST_NAME - 1)}…` : name;
}

/** Lowest and highest with room for marks and names; a single value gets room on both sides. */
function padded(values: readonly number[]): [number, number] {
  const finite = values.filter(Number.isFinite);
  const [low, high] = [Math.min(...finite), Math.max(...finite)];
  const room = low < high ? 0.08 * (high - low) : 0.5;
  return [low - room, high + room];
}

function round(value: number): string {
  return String(Number(value.toPrecision(4)));
}
