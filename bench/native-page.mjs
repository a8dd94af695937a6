/**
 * The page docs/results/bench-native: full steps of every workload on engine native beside PyTorch,
 * the marks set for a tenth kept, threads, instruction sets and peak memory.
 */

import { peakTable } from "./peak.mjs";
import { EXPLAINED, machineName, speedChart, tableLine } from "./report.mjs";
import { threadsText } from "./step.mjs";
import { describe, WORKLOADS } from "./workloads.mjs";

/** One thread, oneDNN, memory kept between steps; measured once on a machine of this kind. Milliseconds. */
const PYTORCH_26 = { W1: 25.6, W2: 277, W3: 48.1, W4: 370, W5: 1252, W6: 13.9 };

/** How many times faster than that a tenth kept should be. */
const MARKS = { W1: 2, W2: 1.8, W3: 2, W4: 2.2, W5: 1.9, W6: 1.8 };

/** LSTMs of the usual shapes; other cells and nets stand on docs/results/bench-cells.md. */
const PAGE = ["W0", "W1", "W2", "W3", "W4", "W5", "W6", "W7"];

export const POLICIES = ["dense", "density:0.5", "density:0.2", "density:0.1", "density:0.05"];
const HEAD_POLICY = "density:0.1";
const TENTH = "density:0.1";
const MOST_ZEROS_AT_CROSSOVER = 0.55;

/** stepRowsOf(workload, options) gives the rows of one workload. */
export async function nativeRows(stepRowsOf, { steps }) {
  const options = { engine: "native", headPolicy: HEAD_POLICY, steps };
  const one = [];
  for (const name of PAGE)
    one.push(...(await stepRowsOf(name, { ...options, policies: POLICIES, peers: name === "W0" ? [] : ["pytorch"] })));
  const two = [];
  for (const name of ["W2", "W4"])
    two.push(...(await stepRowsOf(name, { ...options, policies: ["dense", TENTH], peers: [], threadCounts: [1, 2] })));
  const sets = [];
  for (const name of ["W1", "W2", "W4"])
    sets.push(
      ...(await stepRowsOf(name, { ...options, policies: ["dense", TENTH], peers: [], isas: ["avx512", "avx2"] })),
    );
  const crossover = await stepRowsOf("W2", {
    ...options,
    headPolicy: "dense",
    policies: ["dense", ...[0.7, 0.6, 0.5, 0.45, 0.4, 0.3].map((share) => `density:${share}`)],
    peers: [],
  });
  return { one, two, sets, crossover };
}

export function nativePage({ command, parts, notes }) {
  const { one, two, sets, crossover } = parts;
  const [first] = one;
  const names = [...new Set(one.map(({ workload }) => workload))];
  const of = (name, policy) => one.find((row) => row.workload === name && row.policy === policy);
  const torch = (name) => one.find((row) => row.workload === name && row.tool === "pytorch");
  const figure = (row) => (row ? row.msMedian.toFixed(row.msMedian < 5 ? 2 : 1) : "");
  const ratio = (a, b) => (a && b ? `${(a.msMedian / b.msMedian).toFixed(2)}x` : "");
  const rule = (columns) => tableLine(["---", ...Array(columns - 1).fill("--:")]);

  const steps = [
    tableLine(["", ...POLICIES, "PyTorch", "dense / a tenth", "PyTorch / dense", "PyTorch / a tenth"]),
    rule(POLICIES.length + 5),
    ...names.map((name) =>
      tableLine([
        name,
        ...POLICIES.map((policy) => figure(of(name, policy))),
        figure(torch(name)),
        ratio(of(name, "dense"), of(name, TENTH)),
        ratio(torch(name), of(name, "dense")),
        ratio(torch(name), of(name, TENTH)),
      ]),
    ),
  ];
  const marks = Object.entries(PYTORCH_26).map(([name, stored]) => {
    const [dense, tenth] = [of(name, "dense").msMedian, of(name, TENTH).msMedian];
    const atMost = stored / MARKS[name];
    return tableLine([
      name,
      stored,
      `${dense.toFixed(1)}${dense <= stored ? "" : " **missed**"}`,
      `${tenth.toFixed(1)}${tenth <= atMost ? "" : " **missed**"}`,
      atMost.toFixed(1),
    ]);
  });
  const pairs = (rows, key, [from, to]) =>
    [...new Set(rows.map(({ workload, policy }) => `${workload} ${policy}`))].map((label) => {
      const [a, b] = [from, to].map((value) =>
        rows.find((row) => `${row.workload} ${row.policy}` === label && row[key] === value),
      );
      return tableLine([label, figure(a), figure(b), ratio(a, b)]);
    });
  const dense = crossover.find(({ policy }) => policy === "dense");
  const crossings = crossover.map((row) =>
    tableLine([row.policy, `${(100 * (1 - row.density)).toFixed(1)} %`, figure(row), ratio(dense, row)]),
  );

  return `# Full training steps on engine native

Every workload of [${EXPLAINED}](../${EXPLAINED}), float32: zero gradients, forward, mean cross-entropy, backward, clip to norm 5,
SGD. Where a share of gate gradients is kept, a tenth of the logits' gradient is kept as well (\`headPolicy ${HEAD_POLICY}\`); under
\`dense\` nothing is dropped. The nets are untrained and the tokens random: this page is about speed at a stated density, and
says nothing of losses.

Command: \`${command}\`
Machine: ${machineName()}; ${first.isa}; Node ${process.versions.node}; PyTorch ${torch(names.at(-1))?.version ?? "absent"}; ${first.date}. Medians of ${first.steps} steps, tools in turns. Rows as JSON: [bench-native.json](bench-native.json).

![times as fast as PyTorch](bench-native.svg)

## One thread, milliseconds

${steps.join("\n")}

${names.map((name) => `${name}: ${describe(WORKLOADS[name])}`).join("; ")}.

## Beside stored figures of PyTorch 2.6

PyTorch 2.6 does not run here. It was measured once on a machine of this kind (one thread, oneDNN, memory kept between
steps). Our milliseconds of the run above stand beside those figures; they are two statements of two days, not one ratio.

| | PyTorch 2.6, stored, ms | ours, dense | ours, a tenth kept | asked for at a tenth kept, at most |
|---|--:|--:|--:|--:|
${marks.join("\n")}

## Peak resident memory, MiB

A process of Node with nothing loaded takes about 42. "Arena": all tensors of the model, at a tenth kept. Measured anew, by a command of its own: [peak-memory.md](peak-memory.md).

${peakTable(one)}

## Two threads

| | ${threadsText(1)} | ${threadsText(2)} | |
|---|--:|--:|--:|
${pairs(two, "threads", [1, 2]).join("\n")}

## AVX2 beside AVX-512

| | avx2 | avx512 | |
|---|--:|--:|--:|
${pairs(sets, "isa", ["avx2", "avx512"]).join("\n")}

## From how many zeros on a whole step gains: W2, gates alone

Asked for: a gain from ${Math.round(100 * MOST_ZEROS_AT_CROSSOVER)} % zeros on. The head stays dense here.

| policy | zeros | ms | dense / this |
|---|--:|--:|--:|
${crossings.join("\n")}
${notes.length ? `\n## Remarks of the run\n\n${notes.map((text) => `* ${text}`).join("\n")}\n` : ""}`;
}

/** Bars per workload: times as fast as PyTorch in the same run. */
export function nativeChart({ one }) {
  const names = [...new Set(one.map(({ workload }) => workload))];
  const bars = names.flatMap((name) => {
    const torch = one.find((row) => row.workload === name && row.tool === "pytorch");
    if (!torch) return [];
    const of = (policy) => torch.msMedian / one.find((row) => row.workload === name && row.policy === policy).msMedian;
    return [{ name, values: POLICIES.map(of) }];
  });
  return speedChart({
    title: "Full steps on engine native, one thread",
    series: POLICIES,
    bars,
    unit: "times as fast as PyTorch",
  });
}
