/**
 * What every chart shares: the frame, axes, legend and colours, as text. No DOM is needed: scales
 * and paths come from d3-scale and d3-shape, the rest is strings. Colours follow the reader's light
 * or dark setting; two series also differ in dash or lightness, so that a grey print stays readable.
 */
import type { ScaleLinear } from "d3-scale";

/** Series beyond these repeat the colours. */
const COLOURS = 6;
const FONT_SIZE = 12; // px
/** Mean advance of a digit or letter in the system's sans-serif, in em; wide enough for all of them. */
const ADVANCE = 0.58;

const STYLE = `.gs-chart{font:${FONT_SIZE}px system-ui,sans-serif;max-width:100%;height:auto;--ink:#1f2328;--faint:#59636e;--grid:#d8dee4;--s0:#57606a;--s1:#0969da;--s2:#bc4c00;--s3:#8250df;--s4:#1a7f37;--s5:#cf222e}
@media(prefers-color-scheme:dark){.gs-chart{--ink:#e6edf3;--faint:#9198a1;--grid:#30363d;--s0:#9198a1;--s1:#58a6ff;--s2:#f0883e;--s3:#bc8cff;--s4:#3fb950;--s5:#ff7b72}}
.gs-chart text{fill:var(--ink)}.gs-chart .faint{fill:var(--faint)}.gs-chart .title{font-weight:600;font-size:14px}
.gs-chart .grid{stroke:var(--grid);stroke-width:1}.gs-chart .axis{stroke:var(--faint);stroke-width:1}
.gs-chart .line{fill:none;stroke-width:2;stroke-linejoin:round;stroke-linecap:round}
${Array.from({ length: COLOURS }, (_, s) => `.gs-chart .s${s}{stroke:var(--s${s});color:var(--s${s})}`).join("")}
.gs-chart .mark{fill:currentColor;stroke:none}.gs-chart .pale{fill:currentColor;fill-opacity:.38;stroke:none}`;

/** The inner rectangle that data is drawn in, in px. */
export interface Frame {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

export interface LegendEntry {
  readonly name: string;
  /** Index of the series, for its colour. */
  readonly series: number;
  readonly mark: "line" | "square" | "paleSquare";
  /** Of a line; without them, the series' own. */
  readonly dashes?: string | undefined;
  readonly newRow?: boolean;
}

export function colourClass(series: number): string {
  return `s${series % COLOURS}`;
}

export function dash(series: number): string {
  return series === 0 ? "" : ["", "6 3", "2 3", "8 3 2 3", "1 4", "12 4"][(series - 1) % COLOURS] || "";
}

export function svg(width: number, height: number, title: string, body: readonly string[]): string {
  return [
    `<svg class="gs-chart" xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" aria-label="${escapeMarkup(title)}">`,
    `<style>${STYLE}</style>`,
    `<text class="title" x="0" y="16">${escapeMarkup(title)}</text>`,
    ...body,
    "</svg>",
  ].join("\n");
}

/** Entries in rows from (left, top), wrapped at `right`; and the height they take. */
export function legend(
  entries: readonly LegendEntry[],
  left: number,
  right: number,
  top: number,
): { body: string; height: number } {
  const rowHeight = 18;
  let [x, row] = [left, 0];
  const items: string[] = [];
  for (const { name, series, mark, dashes, newRow } of entries) {
    const width = 30 + textWidth(name);
    if (x > left && (newRow || x + width > right)) [x, row] = [left, row + 1];
    const y = top + row * rowHeight;
    const symbol =
      mark === "line"
        ? `<path class="line ${colourClass(series)}" stroke-dasharray="${dashes ?? dash(series)}" d="M${px(x)},${y - 4}h18"/>`
        : `<g class="${colourClass(series)}"><rect class="${mark === "square" ? "mark" : "pale"}" x="${px(x + 4)}" y="${y - 10}" width="12" height="12"/></g>`;
    items.push(symbol, `<text x="${px(x + 23)}" y="${y}">${escapeMarkup(name)}</text>`);
    x += width + 12;
  }
  return { body: items.join("\n"), height: (row + 1) * rowHeight };
}

/** Horizontal grid lines with their values, and the axis' name above them. */
export function valueAxis(
  scale: ScaleLinear<number, number>,
  frame: Frame,
  label: string,
  format: (value: number) => string,
): string {
  const lines = scale.ticks(6).map((tick) => {
    const y = px(scale(tick));
    return (
      `<path class="grid" d="M${frame.left},${y}H${frame.right}"/>` +
      `<text class="faint" text-anchor="end" x="${frame.left - 8}" y="${y}" dy=".35em">${format(tick)}</text>`
    );
  });
  const name = `<text class="faint" x="0" y="${frame.top - 12}">${escapeMarkup(label)}</text>`;
  return [...lines, name].join("\n");
}

/** The baseline with ticks, values below it, and the axis' name below these. */
export function numberAxis(
  scale: ScaleLinear<number, number>,
  frame: Frame,
  label: string,
  format: (value: number) => string = scale.tickFormat(8),
): string {
  const ticks = scale.ticks(Math.max(2, Math.floor((frame.right - frame.left) / 90)));
  return [
    `<path class="axis" d="M${frame.left},${frame.bottom}H${frame.right}"/>`,
    ...ticks.map((tick) => {
      const x = px(scale(tick));
      return (
        `<path class="axis" d="M${x},${frame.bottom}v5"/>` +
        `<text class="faint" text-anchor="middle" x="${x}" y="${frame.bottom + 18}">${format(tick)}</text>`
      );
    }),
    `<text class="faint" text-anchor="middle" x="${px((frame.left + frame.right) / 2)}" y="${frame.bottom + 38}">${escapeMarkup(label)}</text>`,
  ].join("\n");
}

export function textWidth(text: string): number {
  return text.length * FONT_SIZE * ADVANCE;
}

/** A coordinate with at most one decimal. */
export function px(value: number): number {
  return Math.round(value * 10) / 10;
}

/** For text and attribute values of HTML and SVG. */
export function escapeMarkup(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
