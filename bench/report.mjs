/** Pages and charts: `step` and `heap` of a workload with each bar and its figure; `kernels` of an engine. */
import { existsSync, readFileSync } from "node:fs";
import { cpus } from "node:os";
import { fileURLToPath } from "node:url";
import { scaleLinear, scaleLog } from "d3-scale";
import { line } from "d3-shape";
import { colourClass, dash, escapeMarkup, legend, px, svg, valueAxis } from "../dist/plots/svg.js";
import { groupName, groupsOf, KERNEL_HEAD, kernelCells, kernelRemarks, PRODUCTS, TOGETHER } from "./kernels.mjs";
import { describe, gflop, WORKLOADS } from "./workloads.mjs";

/** onnxruntime-web 1.18, its training build: measured once on a machine of this kind, and no longer to be built. */
const ONNXRUNTIME_MS = 225;

/** In docs/, as a page in docs/results/ links to it. */
export const EXPLAINED = ["benchmarks", "md"].join(".");

/** What the dense policy may cost over the step without the machinery: what two equal steps differ by. */
const SAME = 1.03;

export function bars(rows, heapRows) {
  const ours = (policy) => rows.find((row) => row.tool === "gatesieve" && row.policy === policy);
  const peer = (tool) => rows.find((row) => row.tool === tool);
  const dense = ours("dense");
  const ratio = (a, b) => a.msMedian / b.msMedian;
  const times = (value) => `${value.toFixed(2)}x`;
  const list = [];
  const bar = (text, reached, figure) => list.push({ text, reached, figure });
  const faster = (text, slow, fast, least) => {
    if (slow && fast) bar(text, ratio(slow, fast) >= least, times(ratio(slow, fast)));
  };
  faster("dense at least 15x faster than TensorFlow.js on wasm", peer("tfjs"), dense, 15);
  faster("dense at least 5x faster than jax-js on wasm", peer("jax-js"), dense, 5);
  bar(
    `dense at most 110 ms, where onnxruntime-web 1.18's training build took ${ONNXRUNTIME_MS} ms (a stored figure; it cannot be rebuilt)`,
    dense.msMedian <= 110,
    `${dense.msMedian.toFixed(1)} ms, ${times(ONNXRUNTIME_MS / dense.msMedian)} of the stored figure`,
  );
  faster("density:0.1 at least 1.5x faster than our dense step", dense, ours("density:0.1"), 1.5);
  faster("density:0.2 at least 1.3x faster than our dense step", dense, ours("density:0.2"), 1.3);
  const overNone = ratio(dense, ours("none"));
  bar(
    `the dense policy no slower than without the machinery (within ${Math.round(100 * (SAME - 1))} %)`,
    overNone <= SAME,
    `${overNone.toFixed(3)} of its time`,
  );
  const grown = Math.max(...heapRows.map((row) => row.arenaGrownBytes));
  const retained = Math.max(...heapRows.map((row) => row.retainedBytesPerStep));
  const garbage = Math.max(...heapRows.map((row) => row.garbageBytesPerStep));
  bar(
    `no arena growth and a flat heap over ${heapRows[0].steps.toLocaleString("en")} steps`,
    heapRows.every((row) => row.failures.length === 0),
    `grown ${grown} bytes; kept ${retained.toFixed(0)} bytes a step, dropped ${garbage.toFixed(0)}`,
  );
  const rss = Math.max(...rows.filter(({ tool }) => tool === "gatesieve").map(({ rssMiB }) => rssMiB));
  bar("peak resident memory under 200 MiB", rss < 200, `${rss.toFixed(0)} MiB`);
  return list;
}

export function page({ command, rows, heapRows, notes, machine }) {
  const [first] = rows;
  const figure = (value, digits = 1) => (value === null ? "" : value.toFixed(digits));
  const dense = rows.find(({ tool, policy }) => tool === "gatesieve" && policy === "dense");
  const table = [
    tableLine([
      "tool",
      "policy",
      "kept",
      "ms, median",
      "min",
      "CPU ms",
      "forward",
      "backward",
      "update",
      "steps",
      "MiB",
      "dense / this",
    ]),
    tableLine(["---", "---", ...Array(10).fill("--:")]),
    ...rows.map((row) =>
      tableLine([
        `${row.tool} ${row.version} (${row.engine}${row.isa ? `, ${row.isa}` : ""})`,
        row.policy ?? "",
        row.density === null ? "" : `${(100 * row.density).toFixed(1)} %`,
        figure(row.msMedian),
        figure(row.msMin),
        figure(row.cpuMs),
        figure(row.forwardMs),
        figure(row.backwardMs),
        figure(row.updateMs),
        row.steps,
        row.rssMiB.toFixed(0),
        `${(dense.msMedian / row.msMedian).toFixed(2)}x`,
      ]),
    ),
  ];
  return `# One full training step of ${first.workload}

${describe(WORKLOADS[first.workload])}; ${gflop(WORKLOADS[first.workload]).toFixed(2)} GFLOP a dense step. What is timed, and how: [${EXPLAINED}](../${EXPLAINED}).

Command: \`${command}\`
Machine: ${machine}; ${first.threads} thread; Node ${process.versions.node}; ${first.date}. Rows and heap figures as JSON: [bench-${first.workload.toLowerCase()}.json](bench-${first.workload.toLowerCase()}.json).

${table.join("\n")}

"none" is the dense step with the sites' counting off. Kept: share of gate gradients left after the rule, natural zeros not among them. The net is
untrained and the tokens are random: what \`energy:0.99\` keeps here says nothing about training on text; \`density:P\` keeps its share anywhere.
${notes.length ? `\n${notes.map((text) => `* ${text}`).join("\n")}\n` : ""}
## Bars

| | | figure |
|---|---|---|
${bars(rows, heapRows)
  .map(({ text, reached, figure }) => tableLine([text, reached ? "reached" : "**missed**", figure]))
  .join("\n")}
`;
}

export function tableLine(cells) {
  return `| ${cells.join(" | ")} |`;
}

export function kernelPage({ name, command, rows, notes, machine }) {
  const [first] = rows;
  const sections = groupsOf(rows).map(
    (group) => `## ${groupName(group)}

${[
  tableLine(KERNEL_HEAD),
  tableLine(["---", ...Array(KERNEL_HEAD.length - 1).fill("--:")]),
  ...kernelCells(group).map(tableLine),
].join("\n")}

${kernelRemarks(group)
  .map((text) => `* ${text}`)
  .join("\n")}
`,
  );
  return `# Products of one layer on ${first.engine}

Dense and sparse products of a recurrent layer, uniformly random patterns; rates and ratios are of ${first.threads === 1 ? "CPU time" : "wall-clock"}. What is timed, and how: [${EXPLAINED}](../${EXPLAINED}#products).

Command: \`${command}\`
Machine: ${machine}; ${[...new Set(rows.map(({ isa }) => isa))].join(" and ")}; ${first.threads} thread${first.threads === 1 ? "" : "s"}; Node ${process.versions.node}; ${first.date}. Medians of ${first.rounds} rounds. Rows as JSON: [${name}.json](${name}.json).

![speed-up over density](${name}.svg)
${notes.length ? `\n${notes.map((text) => `* ${text}`).join("\n")}\n` : ""}
${sections.join("\n")}`;
}

/** Speed-up over dense against density, both logarithmic; a panel for each instruction set and width. */
export function kernelChart(rows) {
  const sparse = rows.filter(({ speedup }) => speedup !== null);
  const groups = groupsOf(sparse);
  const names = [...PRODUCTS, `${TOGETHER}, compress included`];
  const columns = Math.min(2, groups.length);
  const panel = { width: 400, height: 320, gap: 30 };
  const width = columns * panel.width + (columns - 1) * panel.gap;
  const key = legend(
    names.map((name, series) => ({ name, series, mark: "line" })),
    0,
    width,
    38,
  );
  const top = 38 + key.height;
  const heightOf = (row) => (row.product === TOGETHER ? row.speedupWithCompress : row.speedup);
  const values = sparse.map(heightOf);
  const densities = [...new Set(sparse.map(({ density }) => density))];
  const panels = groups.map((group, index) => {
    const left = (index % columns) * (panel.width + panel.gap);
    const above = top + Math.floor(index / columns) * panel.height;
    const frame = {
      left: left + 40,
      right: left + panel.width - 12,
      top: above + 44,
      bottom: above + panel.height - 72,
    };
    const x = scaleLog([Math.max(...densities), Math.min(...densities)], [frame.left, frame.right]);
    const y = scaleLog([Math.min(0.8, ...values), Math.max(2, ...values) * 1.1], [frame.bottom, frame.top]).base(2);
    return [
      `<text x="${left}" y="${above + 12}">${escapeMarkup(groupName(group))}</text>`,
      `<g transform="translate(${left})">${valueAxis(y, { ...frame, left: 40, right: frame.right - left }, "times as fast as dense", (tick) => `${tick}x`)}</g>`,
      `<path class="axis" d="M${frame.left},${px(y(1))}H${frame.right}"/>`,
      densityAxis(x, frame, densities),
      ...[...PRODUCTS, TOGETHER].map((product, series) =>
        curve(
          names[series],
          series,
          group.filter((row) => row.product === product).map((row) => [row.density, heightOf(row)]),
          x,
          y,
        ),
      ),
    ].join("\n");
  });
  const height = top + Math.ceil(groups.length / columns) * panel.height;
  const [{ engine, date }] = rows;
  return svg(width, height, `Sparse products over dense ones, engine ${engine}, ${date}`, [key.body, ...panels]);
}

function curve(name, series, points, x, y) {
  const path = line(
    ([density]) => px(x(density)),
    ([, value]) => px(y(value)),
  );
  const dots = points.map(
    ([density, value]) =>
      `<circle class="mark" cx="${px(x(density))}" cy="${px(y(value))}" r="2.5"><title>${escapeMarkup(`${name} at ${density}: ${value.toFixed(2)}x`)}</title></circle>`,
  );
  return `<g class="${colourClass(series)}"><path class="line ${colourClass(series)}" stroke-dasharray="${dash(series)}" d="${path(points)}"/>${dots.join("")}</g>`;
}

/** Bars of each series side by side for each name, from 0, with a line at 1. bars: [{ name, values }]. */
export function speedChart({ title, series, bars, unit }) {
  const width = 820;
  const key = legend(
    series.map((name, index) => ({ name, series: index, mark: "square" })),
    0,
    width,
    38,
  );
  const frame = { left: 40, right: width - 12, top: 38 + key.height + 18, bottom: 380 };
  const y = scaleLinear([0, Math.max(1, ...bars.flatMap(({ values }) => values))], [frame.bottom, frame.top]).nice();
  const room = (frame.right - frame.left) / bars.length;
  const wide = (0.8 * room) / series.length;
  const body = bars.map(({ name, values }, b) => {
    const left = frame.left + b * room + 0.1 * room;
    const boxes = values.map(
      (value, s) =>
        `<g class="${colourClass(s)}"><rect class="mark" x="${px(left + s * wide)}" width="${px(0.9 * wide)}" y="${px(y(value))}" height="${px(y(0) - y(value))}">` +
        `<title>${escapeMarkup(`${name}, ${series[s]}: ${value.toFixed(2)}x`)}</title></rect></g>`,
    );
    return `${boxes.join("")}<text text-anchor="middle" x="${px(frame.left + (b + 0.5) * room)}" y="${frame.bottom + 20}">${escapeMarkup(name)}</text>`;
  });
  return svg(width, 410, title, [
    key.body,
    valueAxis(y, frame, unit, (tick) => `${tick}x`),
    ...body,
    `<path class="axis" d="M${frame.left},${px(y(1))}H${frame.right}"/>`,
    `<path class="axis" d="M${frame.left},${frame.bottom}H${frame.right}"/>`,
  ]);
}

/** Ticks at the measured densities, labels where there is room. */
function densityAxis(x, frame, densities) {
  let free = Number.NEGATIVE_INFINITY;
  const ticks = [...densities]
    .sort((a, b) => b - a)
    .map((density) => {
      const at = px(x(density));
      const fits = at >= free;
      if (fits) free = at + 34;
      const label = fits
        ? `<text class="faint" text-anchor="middle" x="${at}" y="${frame.bottom + 18}">${density}</text>`
        : "";
      return `<path class="axis" d="M${at},${frame.bottom}v5"/>${label}`;
    });
  return [
    `<path class="axis" d="M${frame.left},${frame.bottom}H${frame.right}"/>`,
    ...ticks,
    `<text class="faint" text-anchor="middle" x="${px((frame.left + frame.right) / 2)}" y="${frame.bottom + 38}">density: share of gate gradients kept</text>`,
  ].join("\n");
}

/** "AMD EPYC, family 26 (Zen 5), 2 cores". */
/** What docs/results/NAME.json holds; nothing where there is no such file. */
export function dataOfPage(name) {
  const file = fileURLToPath(new URL(`../docs/results/${name}.json`, import.meta.url));
  return existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : {};
}

export function machineName() {
  const family = familyOf();
  const zen = { 23: "Zen or Zen 2", 25: "Zen 3 or Zen 4", 26: "Zen 5" }[family];
  const model = cpus()[0]?.model.trim() ?? "unknown processor";
  const details = family ? ` family ${family}${/AMD/.test(model) && zen ? ` (${zen})` : ""}` : "";
  return `${model}${details}, ${cpus().length} cores`;
}

function familyOf() {
  try {
    return /cpu family\s*:\s*(\d+)/.exec(readFileSync("/proc/cpuinfo", "utf8"))?.[1];
  } catch {
    return undefined;
  }
}
