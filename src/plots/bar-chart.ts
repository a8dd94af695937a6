/** Stacked bars of shares, side by side per series, in two levels of categories: layers and gates. */
import { scaleBand, scaleLinear } from "d3-scale";
import { colourClass, escapeMarkup, type Frame, type LegendEntry, legend, px, svg, valueAxis } from "./svg.ts";

export interface BarChart {
  readonly title: string;
  readonly yLabel: string;
  /** One bar of each series per category. */
  readonly series: readonly string[];
  /** Names of a bar's two parts, from the bottom: drawn pale, then full. */
  readonly parts: readonly [string, string];
  readonly groups: readonly {
    readonly name: string;
    readonly categories: readonly {
      readonly name: string;
      /** Per series: both parts, as shares of 1. */
      readonly bars: readonly (readonly [number, number])[];
    }[];
  }[];
  readonly width?: number;
  readonly height?: number;
}

/** An SVG element as text; the y axis is 0 to 100 %. */
export function barChart({ title, yLabel, series, parts, groups, width = 640, height = 360 }: BarChart): string {
  const entries = series.flatMap((name, index): LegendEntry[] => [
    { name: `${name}: ${parts[0]}`, series: index, mark: "paleSquare", newRow: true },
    { name: parts[1], series: index, mark: "square" },
  ]);
  const key = legend(entries, 0, width, 38);
  const frame: Frame = { left: 46, right: width - 20, top: 38 + key.height + 18, bottom: height - 46 };
  const y = scaleLinear([0, 1], [frame.bottom, frame.top]);
  const outer = scaleBand(
    groups.map((_, g) => g),
    [frame.left, frame.right],
  )
    .paddingInner(0.06)
    .paddingOuter(0.02);
  const body = groups.map(({ name, categories }, g) => {
    const left = outer(g) ?? frame.left;
    const middle = left + outer.bandwidth() / 2;
    const inner = scaleBand(
      categories.map((_, c) => c),
      [left, left + outer.bandwidth()],
    ).padding(0.2);
    const bars = categories.map((category, c) => {
      const within = scaleBand(
        series.map((_, s) => s),
        [inner(c) ?? 0, (inner(c) ?? 0) + inner.bandwidth()],
      ).paddingInner(0.08);
      const label = `<text text-anchor="middle" x="${px((inner(c) ?? 0) + inner.bandwidth() / 2)}" y="${frame.bottom + 17}">${escapeMarkup(category.name)}</text>`;
      const stacks = category.bars.map(([low, high], s) => {
        const box = (kind: string, from: number, share: number, part: string) =>
          `<rect class="${kind}" x="${px(within(s) ?? 0)}" width="${px(within.bandwidth())}" y="${px(y(from + share))}" height="${px(y(from) - y(from + share))}">` +
          `<title>${escapeMarkup(`${series[s]}, ${name} ${category.name}, ${part}: ${(100 * share).toFixed(1)} %`)}</title></rect>`;
        return `<g class="${colourClass(s)}">${box("pale", 0, low, parts[0])}${box("mark", low, high, parts[1])}</g>`;
      });
      return label + stacks.join("");
    });
    return [
      ...bars,
      `<path class="axis" d="M${px(left)},${frame.bottom + 24}H${px(left + outer.bandwidth())}"/>`,
      `<text class="faint" text-anchor="middle" x="${px(middle)}" y="${frame.bottom + 40}">${escapeMarkup(name)}</text>`,
    ].join("\n");
  });
  return svg(width, height, title, [
    key.body,
    valueAxis(y, frame, yLabel, (tick) => `${Math.round(tick * 100)}`),
    `<path class="axis" d="M${frame.left},${frame.bottom}H${frame.right}"/>`,
    ...body,
  ]);
}
