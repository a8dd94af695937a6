/**
 * The page docs/results/structured-dropout: steps with structured dropout beside steps with ordinary dropout of the same
 * share at the same places, dense and under policies. Each row is a run of its own with the ordinary dense step in it.
 */
import { machineName, tableLine } from "./report.mjs";
import { describe, gflop, WORKLOADS } from "./workloads.mjs";

const P = 0.5;

/** One-hot tokens have no columns to drop; rows of an embedding are dropped from as in Zaremba et al. 2014. */
function dropoutOf({ input }, dropoutKind, recurrent) {
  return { dropout: P, inputDropout: input.embedding ? P : 0, dropoutKind, recurrentDropout: recurrent ? P : 0 };
}

/** [what, structured with recurrent dropout, policy, head policy]; the bars are on W4. */
const ROWS = {
  W4: [
    ["structured", false, "dense", "dense", 1.4],
    ["structured, and of h", true, "dense", "dense"],
    ["structured", false, "stochastic:0.98", "stochastic:0.999", 2.2],
    ["structured, and of h", true, "stochastic:0.98", "stochastic:0.999"],
  ],
  W2: [
    ["structured", false, "dense", "dense"],
    ["structured, and of h", true, "dense", "dense"],
    ["structured", false, "stochastic:0.98", "dense"],
    ["structured", false, "density:0.1", "dense"],
  ],
};

export const DROPOUT_WORKLOADS = Object.keys(ROWS);

/** `rowsOf(name, options)`: rows of stepRows. */
export async function dropoutRows(rowsOf, names, { engine, steps }) {
  const rows = [];
  for (const name of names) {
    const workload = WORKLOADS[name];
    for (const [what, recurrent, policy, headPolicy, mark] of ROWS[name]) {
      const nets = [dropoutOf(workload, "element", false), dropoutOf(workload, "structured", recurrent)];
      const policies = policy === "dense" ? ["dense"] : ["dense", policy];
      const all = await rowsOf(name, { engine, policies, headPolicy, nets, peers: [], steps });
      const of = (kind, wanted) => all.find((row) => row.net.dropoutKind === kind && row.policy === wanted);
      const ordinary = of("element", "dense");
      const same = policy === "dense" ? undefined : of("element", policy);
      rows.push({ workload: name, what, policy, headPolicy, mark, ordinary, same, row: of("structured", policy) });
    }
  }
  return rows;
}

export function dropoutPage({ command, rows, notes }) {
  const [{ row: first }] = rows;
  const times = (a, b) => (a ? `${(a.cpuMs / b.cpuMs).toFixed(2)}x` : "");
  const line = ({ workload, what, policy, mark, ordinary, same, row }) => {
    const reached = ordinary.cpuMs / row.cpuMs >= mark ? "reached" : "**missed**";
    return tableLine([
      workload,
      what,
      policy,
      `${(100 * row.density).toFixed(1)} %`,
      `${ordinary.msMedian.toFixed(1)} (${ordinary.cpuMs.toFixed(1)})`,
      `${row.msMedian.toFixed(1)} (${row.cpuMs.toFixed(1)})`,
      times(ordinary, row),
      times(same, row),
      `${((100 * row.gflopsExecuted * row.msMedian) / (ordinary.gflopsExecuted * ordinary.msMedian)).toFixed(0)} %`,
      mark ? `${mark}x: ${reached}` : "",
    ]);
  };
  const shapes = [...new Set(rows.map(({ workload }) => workload))];
  return `# Steps with structured dropout on engine ${first.engine}

Structured dropout zeroes columns of a time step for the whole batch, so that products need not meet them; ordinary dropout
zeroes elements, and saves nothing. Both drop ${P} of what layers and the head read (of W4 the embedding's rows too; W2's
tokens are one-hot), "and of h" also ${P} of what U sees. What this does to losses is another question, below.

Command: \`${command}\`
Machine: ${machineName()}, shared with other work; ${first.isa}; Node ${process.versions.node}; ${first.date}; one thread; medians of ${first.steps} steps, tools in turns; milliseconds of wall-clock (of CPU time); ratios are of CPU time, which other processes disturb less.

| | dropout | policy | kept | ordinary dropout, dense, ms | this, ms | ordinary dense / this | ordinary under the same policy / this | multiply-accumulates executed, of ordinary dense | asked for |
|---|---|---|--:|--:|--:|--:|--:|--:|---|
${rows.map(line).join("\n")}

${shapes.map((name) => `${name}: ${describe(WORKLOADS[name])}; ${gflop(WORKLOADS[name]).toFixed(1)} GFLOP a dense step`).join(". ")}.
Under a policy, W4's logits are dropped by stochastic:0.999. Each row is a run of its own.
${notes.length ? `\nRemarks of the run:\n\n${notes.map((text) => `* ${text}`).join("\n")}\n` : ""}`;
}
