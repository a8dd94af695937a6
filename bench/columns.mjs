/**
 * The page docs/results/bench-columns: steps under rules that choose (columns, blocks, rows, ranks, draws), in the engine's
 * kernels and, beside them in the same run, by the definition in JavaScript, as every engine ran them before it had kernels.
 */
import { DEFINITION } from "./ours.mjs";
import { dataOfPage, machineName, tableLine } from "./report.mjs";
import { describe, gflop, WORKLOADS } from "./workloads.mjs";

const POLICIES = [
  "columns:0.2,unbiased",
  "columns:0.2",
  "topk:0.2,unified",
  "block:0.2",
  "rows:0.2,unbiased",
  "topk:0.2",
  "random:0.2",
];
/** By the definition these take minutes on wasm's large nets. */
const BRIEF = { "W2 wasm": ["columns:0.2,unbiased", "columns:0.2", "block:0.2"] };

export const COLUMN_WORKLOADS = ["W1", "W2"];
export const COLUMN_ENGINES = ["native", "wasm"];

/** Tuned PyTorch 2.6, one thread, ms a step: stored figures (docs/results/bench-native.md), of another run. */
const PYTORCH = { W1: 25.6, W2: 277 };
const WANTED = 1.8;

/** `rowsOf(name, options)`: rows of stepRows. */
export async function columnRows(rowsOf, names, engines, { steps }) {
  const rows = [];
  for (const name of names)
    for (const engine of engines) {
      const chosen = BRIEF[`${name} ${engine}`] ?? POLICIES;
      const policies = ["dense", "density:0.2", ...chosen.flatMap((policy) => [policy, DEFINITION + policy])];
      rows.push(...(await rowsOf(name, { engine, policies, headPolicy: "dense", peers: [], steps })));
    }
  return rows;
}

/** Rows of this run, and of the page as it stands those of other workloads and engines. */
export function withOthers(rows) {
  const same = (a) => (b) => a.workload === b.workload && a.engine === b.engine;
  const old = (dataOfPage("bench-columns").rows ?? []).filter((row) => !rows.some(same(row)));
  const place = ({ workload, engine }) => COLUMN_WORKLOADS.indexOf(workload) * 2 + COLUMN_ENGINES.indexOf(engine);
  return [...old, ...rows].sort((a, b) => place(a) - place(b));
}

function section(rows) {
  const [{ workload, engine, isa, node, date, steps }] = rows;
  const of = (policy) => rows.find((row) => row.policy === policy);
  const dense = of("dense");
  const line = (row) => {
    const before = of(DEFINITION + row.policy);
    return tableLine([
      row.policy,
      `${(100 * row.density).toFixed(1)} %`,
      before ? before.cpuMs.toFixed(1) : "",
      row.cpuMs.toFixed(1),
      row.msMedian.toFixed(1),
      before ? `${(before.cpuMs / row.cpuMs).toFixed(2)}x` : "",
      `${(dense.cpuMs / row.cpuMs).toFixed(2)}x`,
    ]);
  };
  const limit = PYTORCH[workload] / WANTED;
  const unbiased = of("columns:0.2,unbiased");
  const bar =
    engine === "native"
      ? `\nWanted: ${WANTED}x tuned PyTorch 2.6, whose stored figure is ${PYTORCH[workload]} ms, so ${limit.toFixed(1)} ms: \`columns:0.2,unbiased\` takes ${unbiased.msMedian.toFixed(1)} ms, ${unbiased.msMedian <= limit ? "reached" : "**missed**"}.\n`
      : "";
  return `## ${workload} on ${engine}

${describe(WORKLOADS[workload])}; ${gflop(WORKLOADS[workload]).toFixed(1)} GFLOP a dense step. ${isa}; Node ${node.slice(1)}; ${date}; medians of ${steps} steps.

| policy | kept | definition, CPU ms | kernels, CPU ms | wall-clock, ms | definition / kernels | dense / kernels |
|---|--:|--:|--:|--:|--:|--:|
${rows
  .filter(({ policy }) => !policy.startsWith(DEFINITION))
  .map(line)
  .join("\n")}
${bar}`;
}

export function columnsPage({ command, rows, notes }) {
  const groups = [...new Set(rows.map(({ workload, engine }) => `${workload} ${engine}`))];
  const of = (group) => rows.filter(({ workload, engine }) => `${workload} ${engine}` === group);
  return `# Steps under rules that choose: columns, blocks, rows, ranks, draws

A fifth kept. "Definition" is the rule as src/sparse/apply.ts has it, in JavaScript between two sweeps of the engine: what every
engine did before it had kernels for these rules, and what they are tested against, bit for bit. The nets are untrained and the
tokens random: this page is about speed alone; what these policies do to the loss is in
[the trade-off](tradeoff-character.md).

Command: \`${command}\` (\`--only W1,W2 --engine native,wasm\` makes some of it anew)
Machine: ${machineName()}; one thread; policies in turns; ratios are of CPU time.

${groups.map((group) => section(of(group))).join("\n")}
${notes.length ? `\nRemarks of the run:\n\n${notes.map((text) => `* ${text}`).join("\n")}\n` : ""}`;
}
