/** Sizes of gradients over the steps: a histogram a column, dark where many lie, and the threshold as a line. */
import { useEffect, useRef } from "preact/hooks";
import type { Magnitudes } from "../../src/sparse/lognormal.ts";
import { save } from "./format.ts";

export interface HeatColumn {
  readonly step: number;
  readonly magnitudes: Magnitudes;
  /** Null where the rule had none. */
  readonly tau: number | null;
}

const HEIGHT = 170;
const LEFT = 52;
const BOTTOM = 20;
const MOST_COLUMNS = 200;

export function Heat({ title, columns }: { readonly title: string; readonly columns: readonly HeatColumn[] }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    const element = canvas.current as HTMLCanvasElement;
    const paint = () => draw(element, thin(columns));
    paint();
    const watch = new ResizeObserver(paint);
    watch.observe(element.parentElement as HTMLElement);
    return () => watch.disconnect();
  }, [columns]);
  return (
    <figure class="chart heat">
      <figcaption>
        <span>{title}</span>
        <button
          type="button"
          onClick={() => canvas.current?.toBlob((blob) => blob && save(`${title.replaceAll(/\W+/g, "-")}.png`, blob))}
        >
          PNG
        </button>
      </figcaption>
      <canvas ref={canvas} role="img" aria-label={title} />
    </figure>
  );
}

/** A long run has more looks than pixels: every k-th of them, the last among them. */
function thin(columns: readonly HeatColumn[]): readonly HeatColumn[] {
  const every = Math.ceil(columns.length / MOST_COLUMNS);
  return columns.filter((_, index) => (columns.length - 1 - index) % every === 0);
}

function draw(canvas: HTMLCanvasElement, columns: readonly HeatColumn[]): void {
  const style = getComputedStyle(document.documentElement);
  const width = canvas.parentElement?.clientWidth ?? 300;
  const ratio = window.devicePixelRatio || 1;
  canvas.width = width * ratio;
  canvas.height = HEIGHT * ratio;
  canvas.style.height = `${HEIGHT}px`;
  const context = canvas.getContext("2d") as CanvasRenderingContext2D;
  context.scale(ratio, ratio);
  const filled = columns.filter(({ magnitudes }) => magnitudes.counts.length > 0);
  if (filled.length === 0) return;
  const low = Math.min(...filled.map(({ magnitudes }) => magnitudes.exponent));
  const high = Math.max(...filled.map(({ magnitudes: { exponent, counts } }) => exponent + counts.length));
  const [plotWidth, plotHeight] = [width - LEFT, HEIGHT - BOTTOM];
  const y = (log2: number) => plotHeight - ((log2 - low) / (high - low)) * plotHeight;
  const x = (index: number) => LEFT + (index / columns.length) * plotWidth;
  const cell = plotHeight / (high - low);
  const ink = style.getPropertyValue("--heat").trim();

  columns.forEach(({ magnitudes: { exponent, counts } }, index) => {
    const most = Math.max(...counts);
    counts.forEach((count, k) => {
      context.globalAlpha = Math.sqrt(count / most); // so that the tails are seen
      context.fillStyle = ink;
      context.fillRect(x(index), y(exponent + k + 1), x(index + 1) - x(index) + 0.5, cell + 0.5);
    });
  });
  context.globalAlpha = 1;

  context.strokeStyle = style.getPropertyValue("--mark").trim();
  context.lineWidth = 2;
  context.beginPath();
  let drawing = false;
  columns.forEach(({ tau }, index) => {
    const seen = tau !== null && tau > 0 && Number.isFinite(tau);
    const at = seen ? Math.min(plotHeight, Math.max(0, y(Math.log2(tau)))) : 0;
    if (seen && drawing) context.lineTo(x(index + 0.5), at);
    else if (seen) context.moveTo(x(index + 0.5), at);
    drawing = seen;
  });
  context.stroke();

  context.fillStyle = style.getPropertyValue("--faint").trim();
  context.font = "12px system-ui, sans-serif";
  context.textAlign = "right";
  for (let decade = Math.ceil(low * Math.log10(2)); decade <= high * Math.log10(2); decade++) {
    const at = y(decade / Math.log10(2));
    if (decade % 2 === 0 && at > 8 && at < plotHeight) context.fillText(`1e${decade}`, LEFT - 6, at + 4);
  }
  context.textAlign = "left";
  context.fillText(String(columns[0]?.step ?? ""), LEFT, HEIGHT - 5);
  context.textAlign = "right";
  context.fillText(`step ${columns.at(-1)?.step ?? ""}`, width, HEIGHT - 5);
}
