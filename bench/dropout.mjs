/**
 * The page docs/results/structured-dropout: steps with structured dropout beside steps with ordinary dropout of the same
 * share at the same places, dense and under a policy, all of a workload in one run.
 */
import { machineName, tableLine } from "./report.mjs";
import { describe, gflop, WORKLOADS } from "./workloads.mjs";

const P = 0.5;

/** One-hot tokens have no columns to drop; rows of an embedding are dropped from as in Zaremba et al. 2014. */
function netsOf({ input }) {
  const net = { dropout: P, inputDropout: input.embedding ? P : 0, recurrentDropout: 0 };
  const structured = { ...net, dropoutKind: "structured" };
  return [{ ...net, dropoutKind: "element" }, structured, { ...structured, recurrentDropout: P }];
}

/** `marks`: what structured dropout alone and with the policy should reach against ordinary dropout, dense. */
const PAGE = {
  W4: { policy: "stochastic:0.98", headPolicy: "stochastic:0.999", marks: [1.4, 2.2] },
  W2: { policy: "density:0.1", headPolicy: "dense", marks: [] },
};

export const DROPOUT_WORKLOADS = Object.keys(PAGE);

/** `rowsOf(name, options)`: rows of stepRows. */
export async function dropoutRows(rowsOf, names, { engine, steps }) {
  const rows = [];
  for (const name of names) {
    const { policy, headPolicy } = PAGE[name];
    const nets = netsOf(WORKLOADS[name]);
    rows.push(...(await rowsOf(name, { engine, policies: ["dense", policy], headPolicy, nets, peers: [], steps })));
  }
  return rows;
}

export function dropoutPage({ command, rows, notes }) {
  const [first] = rows;
  const line = (row) => {
    const { workload, net, policy } = row;
    const of = (wanted) =>
      rows.find((one) => one.workload === workload && one.net.dropoutKind === "element" && one.policy === wanted);
    const dense = of("dense");
    const times = (a) => (a === row ? "" : `${(a.cpuMs / row.cpuMs).toFixed(2)}x`);
    const plain = net.dropoutKind === "structured" && net.recurrentDropout === 0;
    const mark = plain ? PAGE[workload].marks[policy === "dense" ? 0 : 1] : undefined;
    return tableLine([
      workload,
      net.recurrentDropout > 0 ? "structured, and of h" : net.dropoutKind === "element" ? "ordinary" : "structured",
      policy,
      `${(100 * row.density).toFixed(1)} %`,
      row.msMedian.toFixed(0),
      row.cpuMs.toFixed(1),
      times(dense),
      policy === "dense" ? "" : times(of(policy)),
      `${((100 * row.gflopsExecuted * row.msMedian) / (dense.gflopsExecuted * dense.msMedian)).toFixed(0)} %`,
      mark ? `${mark}x: ${dense.cpuMs / row.cpuMs >= mark ? "reached" : "**missed**"}` : "",
    ]);
  };
  const shapes = [...new Set(rows.map(({ workload }) => workload))];
  return `# Steps with structured dropout on engine ${first.engine}

Structured dropout zeroes columns of a time step for the whole batch, so that products need not meet them; ordinary dropout
zeroes elements, and saves nothing. Both drop ${P} of what layers and the head read (of W4 the embedding's rows too; W2's
tokens are one-hot), "and of h" also ${P} of what U sees. The nets are untrained and the tokens random: this page is about
speed alone.

Command: \`${command}\`
Machine: ${machineName()}, shared with other work; ${first.isa}; Node ${process.versions.node}; ${first.date}; one thread; medians of ${first.steps} steps, tools in turns. Ratios are of CPU time, which leaves out the time, though not the cache, that other processes took.

| | dropout | policy | kept | wall-clock, ms | CPU, ms | ordinary, dense / this | ordinary, same policy / this | multiply-accumulates executed, of ordinary dense | asked for |
|---|---|---|--:|--:|--:|--:|--:|--:|---|
${rows.map(line).join("\n")}

${shapes.map((name) => `${name}: ${describe(WORKLOADS[name])}; ${gflop(WORKLOADS[name]).toFixed(1)} GFLOP a dense step`).join(". ")}.
Under its policy W4's logits are dropped by ${PAGE.W4.headPolicy}.
${notes.length ? `\nRemarks of the run:\n\n${notes.map((text) => `* ${text}`).join("\n")}\n` : ""}`;
}
