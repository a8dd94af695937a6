/** Bars of values side by side per category, with ranges and a mark for what would be ideal: machines, one bar a part. */
import { scaleBand, scaleLinear } from "d3-scale";
import { colourClass, escapeMarkup, type Frame, legend, px, svg, valueAxis } from "./svg.ts";

export interface ValueBars {
  readonly title: string;
  readonly yLabel: string;
  readonly series: readonly string[];
  readonly categories: readonly {
    readonly name: string;
    readonly bars: readonly {
      readonly value: number;
      readonly range?: readonly [low: number, high: number];
      /** A line across the bar's place. */
      readonly ideal?: number;
    }[];
  }[];
  /** A line across all of the chart, for example 1 for "as fast". */
  readonly level?: number;
  readonly width?: number;
  readonly height?: number;
}

const STYLE = `.gs-chart .ideal{stroke:var(--ink);stroke-width:1.5}.gs-chart .whisker{stroke:var(--ink);stroke-width:1}
.gs-chart .level{stroke:var(--faint);stroke-width:1;stroke-dasharray:5 4}`;

/** An SVG element as text; the y axis begins at 0. Names of categories stand aslant. */
export function valueBars({ title, yLabel, series, categories, level, width = 720, height = 380 }: ValueBars): string {
  const key = legend(
    series.map((name, index) => ({ name, series: index + 1, mark: "square" as const })),
    0,
    width,
    38,
  );
  const frame: Frame = { left: 46, right: width - 20, top: 38 + key.height + 18, bottom: height - 96 };
  const values = categories.flatMap(({ bars }) =>
    bars.flatMap(({ value, range, ideal }) => [value, ...(range ?? []), ideal ?? 0]),
  );
  const y = scaleLinear(
    [0, Math.max(level ?? 0, ...values.filter(Number.isFinite), Number.EPSILON)],
    [frame.bottom, frame.top],
  ).nice(6);
  const x = scaleBand(
    categories.map((_, c) => c),
    [frame.left, frame.right],
  ).padding(0.18);
  const body = categories.map(({ name, bars }, c) => {
    const left = x(c) ?? frame.left;
    const within = scaleBand(
      bars.map((_, s) => s),
      [left, left + x.bandwidth()],
    ).paddingInner(0.08);
    const marks = bars.map(({ value, range, ideal }, s) => {
      if (!Number.isFinite(value)) return "";
      const from = within(s) ?? left;
      const to = from + within.bandwidth();
      const middle = (from + to) / 2;
      const more = [
        range ? `<path class="whisker" d="M${px(middle)},${px(y(range[0]))}V${px(y(range[1]))}"/>` : "",
        ideal === undefined ? "" : `<path class="ideal" d="M${px(from)},${px(y(ideal))}H${px(to)}"/>`,
      ];
      const label = `${name}, ${series[s]}: ${Number(value.toPrecision(3))}${ideal === undefined ? "" : `, ideal ${Number(ideal.toPrecision(3))}`}`;
      return (
        `<g class="${colourClass(s + 1)}"><rect class="mark" x="${px(from)}" width="${px(within.bandwidth())}" y="${px(y(value))}" ` +
        `height="${px(frame.bottom - y(value))}"><title>${escapeMarkup(label)}</title></rect></g>${more.join("")}`
      );
    });
    const at = `${px(left + x.bandwidth() / 2)},${frame.bottom + 16}`;
    return `${marks.join("")}<text text-anchor="end" transform="translate(${at}) rotate(-32)">${escapeMarkup(name)}</text>`;
  });
  return svg(width, height, title, [
    `<style>${STYLE}</style>`,
    key.body,
    valueAxis(y, frame, yLabel, y.tickFormat(6)),
    level === undefined ? "" : `<path class="level" d="M${frame.left},${px(y(level))}H${frame.right}"/>`,
    `<path class="axis" d="M${frame.left},${frame.bottom}H${frame.right}"/>`,
    ...body,
  ]);
}
