/** The loss of each run as a line, validation as dots: SVG, drawn anew at each change. */

export interface Curve {
  readonly label: string;
  readonly color: string;
  readonly training: (readonly [step: number, loss: number])[];
  readonly validation: (readonly [step: number, loss: number])[];
}

const MARGIN = { left: 40, right: 20, top: 8, bottom: 24 };

export function drawChart(svg: SVGSVGElement, curves: readonly Curve[]): void {
  const { clientWidth: width, clientHeight: height } = svg;
  const points = curves.flatMap(({ training, validation }) => [...training, ...validation]);
  if (points.length === 0) return;
  const losses = points.map(([, loss]) => loss);
  const [low, high] = [Math.floor(Math.min(...losses) * 2) / 2, Math.ceil(Math.max(...losses) * 2) / 2];
  const last = Math.max(...points.map(([step]) => step));
  const x = (step: number) => MARGIN.left + (step / last) * (width - MARGIN.left - MARGIN.right);
  const y = (loss: number) => MARGIN.top + ((high - loss) / (high - low || 1)) * (height - MARGIN.top - MARGIN.bottom);

  svg.replaceChildren();
  for (const loss of ticks(low, high, 6)) {
    add(svg, "line", { class: "axis", x1: MARGIN.left, x2: width - MARGIN.right, y1: y(loss), y2: y(loss) });
    add(svg, "text", { x: MARGIN.left - 6, y: y(loss) + 4, "text-anchor": "end" }, loss.toFixed(1));
  }
  for (const step of ticks(0, last, width / 90))
    add(svg, "text", { x: x(step), y: height - 6, "text-anchor": "middle" }, String(step));
  for (const { color, training, validation } of curves) {
    const line = training.map(([step, loss]) => `${x(step).toFixed(1)},${y(loss).toFixed(1)}`).join(" ");
    add(svg, "polyline", { points: line }).style.stroke = color;
    for (const [step, loss] of validation) add(svg, "circle", { cx: x(step), cy: y(loss), r: 4 }).style.fill = color;
  }
  const loss = (point?: readonly [number, number]) => point?.[1].toFixed(2) ?? "nothing yet";
  const says = curves.map(({ label, training }) => `${label} from ${loss(training[0])} to ${loss(training.at(-1))}`);
  svg.setAttribute("aria-label", `Training loss: ${says.join(", ")}`);
}

/** Round numbers from low to high, about `count` of them. */
function ticks(low: number, high: number, count: number): number[] {
  const rough = (high - low) / Math.max(1, count) || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const size = ([1, 2, 5, 10].find((factor) => factor * power >= rough) as number) * power;
  const first = Math.ceil(low / size - 1e-9);
  return Array.from({ length: Math.floor(high / size + 1e-9) - first + 1 }, (_, i) => (first + i) * size);
}

function add(svg: SVGElement, name: string, attributes: Record<string, string | number>, text = ""): SVGElement {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
  element.textContent = text;
  svg.append(element);
  return element as SVGElement;
}
