/** One chart of several curves, drawn by uPlot; its numbers as CSV, itself as PNG. */
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import { type Cell, toCsv } from "../../src/formats/csv-write.ts";
import { save } from "./format.ts";
import { type Points, smooth } from "./series.ts";

export interface Curve {
  readonly name: string;
  readonly colour: string;
  readonly points: Points;
}

export interface ChartProps {
  readonly title: string;
  /** Of files that are saved. */
  readonly name: string;
  readonly x: string;
  readonly curves: readonly Curve[];
  /** See `smooth`; the curve itself stays visible behind. */
  readonly smoothing: number;
  readonly log: boolean;
  /** Values are shares, shown in per cent. */
  readonly share: boolean;
}

const HEIGHT = 240;
const FAINT = "55"; // alpha of a curve behind its smoothed self

export function Chart(props: ChartProps) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | undefined>(undefined);
  const shape = JSON.stringify([
    props.curves.map(({ name, colour }) => [name, colour]),
    props.smoothing > 0,
    props.log,
    props.x,
  ]);

  // A chart is made anew when its curves or axes are others; new points only move it.
  useEffect(() => {
    const element = box.current as HTMLDivElement;
    const made = new uPlot(optionsOf(props, element.clientWidth), dataOf(props), element);
    plot.current = made;
    const watch = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height: HEIGHT }));
    watch.observe(element);
    return () => {
      watch.disconnect();
      made.destroy();
      plot.current = undefined;
    };
  }, [shape]);
  useEffect(() => {
    plot.current?.setData(dataOf(props), !isZoomed(plot.current));
  });

  return (
    <figure class="chart">
      <figcaption>
        <span>{props.title}</span>
        <button type="button" onClick={() => save(`${props.name}.csv`, new Blob([curvesCsv(props)]))}>
          CSV
        </button>
        <button type="button" onClick={() => savePng(props, plot.current)}>
          PNG
        </button>
      </figcaption>
      <div ref={box} />
    </figure>
  );
}

function optionsOf({ curves, smoothing, log, share, x }: ChartProps, width: number): uPlot.Options {
  const style = getComputedStyle(document.documentElement);
  const ink = style.getPropertyValue("--faint").trim();
  const line = style.getPropertyValue("--line").trim();
  const axis = { stroke: ink, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1 } };
  const text = (value: number | null) =>
    value === null || value === undefined ? "–" : share ? `${(100 * value).toFixed(1)} %` : tidy(value);
  return {
    width,
    height: HEIGHT,
    cursor: { drag: { x: true, y: false } },
    scales: { x: { time: false }, y: log ? { distr: 3 } : share ? { range: rangeOfShares } : {} },
    legend: { live: true },
    axes: [
      { ...axis, label: x, labelSize: 18, labelFont: "12px system-ui", size: 34 },
      { ...axis, size: roomFor, values: (_, ticks) => ticks.map((tick) => (tick === null ? "" : text(tick))) },
    ],
    series: [
      { label: x, value: (_, value) => (value === null ? "–" : tidy(value)) },
      ...curves.flatMap(({ name, colour }): uPlot.Series[] => {
        const curve = {
          label: name,
          stroke: colour,
          width: 1.5,
          spanGaps: true,
          value: (_: uPlot, value: number) => text(value),
        };
        return smoothing > 0
          ? [{ ...curve, label: `${name}, as it was`, stroke: colour + FAINT, width: 1 }, curve]
          : [curve];
      }),
    ],
  };
}

/** Where all are the same, uPlot would show hundreds of per cent around them. */
function rangeOfShares(_: uPlot, low: number | null, high: number | null): uPlot.Range.MinMax {
  if (low === null || high === null) return [0, 1];
  return low === high ? [Math.max(0, low - 0.05), low + 0.05] : uPlot.rangeNum(low, high, 0.1, true);
}

/** Pixels beside the y axis for its longest number, so that none is cut off. */
function roomFor(_: uPlot, texts: readonly string[] | null): number {
  return 22 + 7 * Math.max(5, ...(texts ?? []).map(({ length }) => length));
}

function dataOf({ curves, smoothing }: ChartProps): uPlot.AlignedData {
  const tables = curves.flatMap(({ points }): uPlot.AlignedData[] => {
    const all = smoothing > 0 ? [points, smooth(points, smoothing)] : [points];
    return all.map(({ x, y }) => [x as number[], y as number[]]);
  });
  return tables.length === 0 ? [[]] : uPlot.join(tables);
}

/** Whoever has zoomed in keeps what he sees when points arrive; a double click shows all again. */
function isZoomed(plot: uPlot): boolean {
  const { min, max } = plot.scales.x as uPlot.Scale;
  const x = plot.data[0];
  return x.length > 1 && ((min ?? x[0]) as number) > (x[0] as number) + 1e-9 && max !== undefined;
}

function curvesCsv({ curves, x, name }: ChartProps): string {
  return toCsv(
    curves.flatMap((curve) =>
      curve.points.x.map(
        (at, index) =>
          new Map([
            ["run", curve.name],
            [x, at],
            [name, curve.points.y[index] as number],
          ] as [string, Cell][]),
      ),
    ),
  );
}

function savePng({ name }: ChartProps, plot: uPlot | undefined): void {
  if (!plot) return;
  const { canvas } = plot.ctx;
  const copy = document.createElement("canvas");
  copy.width = canvas.width;
  copy.height = canvas.height;
  const context = copy.getContext("2d") as CanvasRenderingContext2D;
  context.fillStyle = getComputedStyle(document.body).backgroundColor;
  context.fillRect(0, 0, copy.width, copy.height);
  context.drawImage(canvas, 0, 0);
  copy.toBlob((blob) => blob && save(`${name}.png`, blob));
}

function tidy(value: number): string {
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e6)) return value.toExponential(1);
  return String(Number(value.toPrecision(5)));
}
