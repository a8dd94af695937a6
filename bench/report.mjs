/** Turns one run of `step` and `heap` on W1 into a page: the table, and each bar with its figure. */
import { readFileSync } from "node:fs";
import { cpus } from "node:os";
import { describe, gflop, WORKLOADS } from "./workloads.mjs";

/** onnxruntime-web 1.18, its training build: measured once on a machine of this kind, and no longer to be built. */
const ONNXRUNTIME_MS = 225;

/** In docs/, as a page in docs/results/ links to it. */
const EXPLAINED = ["benchmarks", "md"].join(".");

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
  const line = (cells) => `| ${cells.join(" | ")} |`;
  const table = [
    line([
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
    line(["---", "---", ...Array(10).fill("--:")]),
    ...rows.map((row) =>
      line([
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
  .map(({ text, reached, figure }) => line([text, reached ? "reached" : "**missed**", figure]))
  .join("\n")}
`;
}

/** "AMD EPYC, family 26 (Zen 5), 2 cores". */
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
