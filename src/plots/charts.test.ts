import { describe, expect, test } from "vitest";
import { barChart } from "./bar-chart.ts";
import { grid } from "./grid.ts";
import { histogramChart } from "./histogram-chart.ts";
import { lineChart } from "./line-chart.ts";
import { htmlReport } from "./report.ts";
import { legend } from "./svg.ts";

const numbers = (text: string, attribute: string) =>
  [...text.matchAll(new RegExp(`${attribute}="([^"]*)"`, "g"))].map(([, value]) => Number(value));

describe("lineChart", () => {
  const chart = lineChart({
    title: "A & B",
    xLabel: "time (s)",
    yLabel: "loss (nats)",
    series: [
      {
        name: "<first>",
        points: [
          [1, 3],
          [2, Number.NaN],
          [4, 2],
        ],
      }, // prettier-ignore
      { name: "second", points: [[2, 2.5]] },
    ],
  });

  test("marks every finite point within the frame, later ones to the right, larger ones higher", () => {
    const [x, y] = [numbers(chart, "cx"), numbers(chart, "cy")];
    expect(x).toHaveLength(3);
    expect(x[1]).toBeGreaterThan(x[0] as number);
    expect(y[1]).toBeGreaterThan(y[0] as number);
    for (const value of [...x, ...y]) expect(value).toBeGreaterThan(0);
    expect(Math.max(...x)).toBeLessThan(640);
    expect(Math.max(...y)).toBeLessThan(360);
  });

  test("names axes with units and series in a legend, with markup made harmless", () => {
    for (const text of ["time (s)", "loss (nats)", "A &#38; B", "&#60;first&#62;", ">second<"])
      expect(chart).toContain(text);
    expect(chart).not.toMatch(/NaN|<first>|undefined/);
  });

  test("says so if there is nothing to draw, and bears a single point", () => {
    const empty = { title: "t", xLabel: "x", yLabel: "y", series: [{ name: "a", points: [] }] };
    expect(lineChart(empty)).toContain("no values yet");
    expect(lineChart({ ...empty, series: [{ name: "a", points: [[3, 7]] }] })).not.toMatch(/NaN|Infinity/);
  });
});

test("barChart stacks both parts of a share from the baseline to its total", () => {
  const bars = [[0.25, 0.5]] as const;
  const chart = barChart({
    title: "t",
    yLabel: "%",
    series: ["run"],
    parts: ["natural", "added"],
    groups: [{ name: "lstm.l0", categories: [{ name: "i", bars }] }],
  });
  const boxes = [...chart.matchAll(/<rect class="(pale|mark)"[^>]* y="([\d.]+)" height="([\d.]+)"><title>/g)];
  const [natural, added] = boxes.map(([, , y, height]) => ({ y: Number(y), height: Number(height) }));
  expect(added!.height).toBeCloseTo(2 * natural!.height, 0);
  expect(added!.y + added!.height).toBeCloseTo(natural!.y, 0);
  expect(chart).toContain("run, lstm.l0 i, added: 50.0 %");
});

test("a legend wraps before its right edge, and where told to", () => {
  const entry = (name: string, newRow = false) => ({ name, series: 0, mark: "line", newRow }) as const;
  expect(legend([entry("a"), entry("b")], 0, 400, 0).height).toBe(18);
  expect(legend([entry("a"), entry("b", true)], 0, 400, 0).height).toBe(36);
  expect(legend([entry("a".repeat(30)), entry("b".repeat(30))], 0, 400, 0).height).toBe(36);
});

test("htmlReport loads nothing and escapes text", () => {
  const page = htmlReport("<title>", [{ kind: "sample", title: "s", text: "</pre><script>" }], "footer");
  expect(page).not.toMatch(/<script|<link|src=|href=|url\(/);
  expect(page).toContain("&#60;script&#62;");
});

describe("histogramChart", () => {
  const chart = histogramChart({
    title: "t",
    xLabel: "activation",
    from: 0,
    binWidth: 0.5,
    series: [
      { name: "a", counts: [1, 3] },
      { name: "empty", counts: [] },
    ],
    marks: [
      { name: "inside", x: 0.75, series: 0 },
      { name: "outside", x: 7, series: 0 },
    ],
  });
  const outline =
    /class="line s0"[^>]* d="M([\d.]+),([\d.]+)V([\d.]+)H([\d.]+)V([\d.]+)H([\d.]+)V[\d.]+"><title>a/.exec(chart);

  test("draws shares of a series as heights, bins in equal widths", () => {
    const [left, base, first, middle, second, right] = outline!.slice(1).map(Number) as number[];
    expect((base! - second!) / (base! - first!)).toBeCloseTo(3, 1);
    expect(right! - middle!).toBeCloseTo(middle! - left!, 1);
    expect(chart).not.toMatch(/NaN|Infinity|undefined/);
  });

  test("marks what lies within, at its place", () => {
    expect(chart).toContain("<title>inside</title>");
    expect(chart).not.toContain("<title>outside</title>");
  });
});

test("two lines of one thing share its colour and differ in dashes; an axis may begin where the data do", () => {
  const points = [
    [100, 1],
    [200, 2],
  ] as const;
  const series = [
    { name: "all", colour: 1, dashes: "", points },
    { name: "some", colour: 1, dashes: "5 4", points },
  ];
  const of = (xFrom0: boolean) =>
    lineChart({ title: "t", xLabel: "x", yLabel: "y", series, xFrom0, xFormat: (tick) => `${tick}!` });
  expect(of(true).match(/class="line s1" stroke-dasharray="5 4"/g)).toHaveLength(2); // and in the legend
  expect(of(true)).not.toContain('class="s0"');
  expect(numbers(of(false), "cx")[0]).toBe(46);
  expect(numbers(of(true), "cx")[0]).toBeGreaterThan(200);
  expect(of(true)).toContain(">0!<");
});

test("a grid holds every chart, none over another", () => {
  const charts = [0, 1, 2].map((n) =>
    lineChart({ title: `chart ${n}`, xLabel: "x", yLabel: "y", series: [], width: 100, height: 50 }),
  );
  const all = grid(charts, 2);
  expect([...all.matchAll(/<svg x="(\d+)" y="(\d+)"/g)].map(([, x, y]) => [Number(x), Number(y)])).toEqual([
    [0, 0],
    [124, 0],
    [0, 74],
  ]);
  expect(all).toContain('viewBox="0 0 224 124"');
});
