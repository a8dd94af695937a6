/**
 * The page docs/results/structured-dropout: steps with structured dropout beside steps with ordinary dropout of the same
 * share at the same places, dense and under a policy, all of a workload in one run: of untrained nets, and on engine native
 * late in a training with that dropout. An engine's part is made by a run of its own; the others stay as they were.
 */
import { LATE, latePolicies, trainedRun } from "./late.mjs";
import { dataOfPage, tableLine } from "./report.mjs";
import { describe, gflop, WORKLOADS } from "./workloads.mjs";

const P = 0.5;

/** One-hot tokens have no columns to drop; rows of an embedding are dropped from as in Zaremba et al. 2014. */
export function netsOf({ input }) {
  const net = { dropout: P, inputDropout: input.embedding ? P : 0, recurrentDropout: 0 };
  const structured = { ...net, dropoutKind: "structured" };
  return { element: { ...net, dropoutKind: "element" }, structured, hidden: { ...structured, recurrentDropout: P } };
}

const CALLED = { element: "ordinary", structured: "structured", hidden: "structured, and of h" };

/** `marks`: what structured dropout alone and with the policy should reach against ordinary dropout, dense. */
const PAGE = {
  W4: { ...latePolicies("W4"), marks: [1.4, 2.2] },
  W2: { policy: "density:0.1", headPolicy: "dense", marks: [] },
  W1: { policy: "density:0.1", headPolicy: "dense", marks: [] },
};

/** An engine's workloads, in the order of the page. */
export const DROPOUT_WORKLOADS = { native: ["W4", "W2"], wasm: ["W1", "W2"] };

/** The one of them that is trained, on LATE's data, for so many steps. */
const TRAINED = "W4";
const LATE_STEPS = 300;

/** `rowsOf(name, options)`: rows of stepRows. */
export async function dropoutRows(rowsOf, names, { engine, steps }) {
  const rows = [];
  for (const name of names) {
    const { policy, headPolicy } = PAGE[name];
    const variants = Object.values(netsOf(WORKLOADS[name])).map((net) => ({ net }));
    rows.push(...(await rowsOf(name, { engine, policies: ["dense", policy], headPolicy, variants, peers: [], steps })));
  }
  return rows;
}

/** Rows of nets trained as each is called: with its dropout, the ordinary one dense, the others under the policy. */
export async function lateDropoutRows(rowsOf, { engine, steps, runs, note }) {
  const { policy, headPolicy } = PAGE[TRAINED];
  const variants = Object.entries(netsOf(WORKLOADS[TRAINED])).map(([kind, net]) => {
    const { data, config } = LATE[TRAINED];
    const set = Object.entries(net).map(([key, value]) => `model.${key}=${value}`);
    const policies = kind === "element" ? { policy: "dense", headPolicy: "dense" } : { policy, headPolicy };
    const training = { data, config, steps: LATE_STEPS, set, ...policies };
    return { net, run: trainedRun(`${TRAINED}-dropout-${kind}`, training, { runs, note }) };
  });
  return rowsOf(TRAINED, { engine, policies: ["dense", policy], headPolicy, variants, peers: [], steps });
}

/** What the page has of other engines: { engine: { command, rows, late, notes } }. */
export function otherParts(engine) {
  const { parts = {} } = dataOfPage("structured-dropout");
  return Object.fromEntries(Object.entries(parts).filter(([other]) => other !== engine));
}

/** A table of rows, each workload's against its own first. */
function table(rows) {
  const line = (row) => {
    const { workload, net, policy } = row;
    const of = (wanted) =>
      rows.find((one) => one.workload === workload && one.net.dropoutKind === "element" && one.policy === wanted);
    const dense = of("dense");
    const times = (a) => (a === row ? "" : `${(a.cpuMs / row.cpuMs).toFixed(2)}x`);
    const kind = net.recurrentDropout > 0 ? "hidden" : net.dropoutKind;
    const mark =
      kind === "structured" && row.engine === "native" ? PAGE[workload].marks[policy === "dense" ? 0 : 1] : undefined;
    return tableLine([
      workload,
      CALLED[kind],
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
  return `| | dropout | policy | kept | wall-clock, ms | CPU, ms | ordinary, dense / this | ordinary, same policy / this | multiply-accumulates executed, of ordinary dense | asked for |
|---|---|---|--:|--:|--:|--:|--:|--:|---|
${rows.map(line).join("\n")}`;
}

function lateSection(late) {
  const { policy, headPolicy } = PAGE[TRAINED];
  return `
### Late in training

${TRAINED}'s net after ${LATE_STEPS} steps on words of the Brown corpus (\`${LATE[TRAINED].config}\`, seed 1, engine native), timed
on its own batches, weights held where training ended. The net with ordinary dropout was trained dense; those with structured
dropout under ${policy}, logits under ${headPolicy}. The trainings are a part of the command.

${table(late)}
`;
}

function engineSection([engine, { command, machine, rows, late, notes }]) {
  const [{ isa, node, date, steps }] = rows;
  const shapes = [...new Set(rows.map(({ workload }) => workload))];
  return `
## Engine ${engine}

Command: \`${command}\`
Machine: ${machine}, shared with other work; ${isa}; Node ${node.slice(1)}; ${date}; one thread; medians of ${steps} steps, tools in turns. Ratios are of CPU time, which leaves out the time, though not the cache, that other processes took.

### Untrained

Random tokens. Nets that know nothing keep most of their gate gradients.

${table(rows)}

${shapes.map((name) => `${name}: ${describe(WORKLOADS[name])}; ${gflop(WORKLOADS[name]).toFixed(1)} GFLOP a dense step`).join(". ")}.
${shapes.includes("W4") ? `Under its policy W4's logits are dropped by ${PAGE.W4.headPolicy}.\n` : ""}${late.length > 0 ? lateSection(late) : ""}${notes.length ? `\nRemarks of the run:\n\n${notes.map((text) => `* ${text}`).join("\n")}\n` : ""}`;
}

/** `parts`: { engine: { command, machine, rows, late, notes } }; `late`: rows of lateDropoutRows, or none. */
export function dropoutPage(parts) {
  return `# Steps with structured dropout

Structured dropout zeroes columns of a time step for the whole batch, so that products need not meet them; ordinary dropout
zeroes elements, and saves nothing. Both drop ${P} of what layers and the head read (of W4 the embedding's rows too; tokens of
W1 and W2 are one-hot), "and of h" also ${P} of what U sees. This page is about speed alone.
${Object.keys(DROPOUT_WORKLOADS)
  .filter((engine) => parts[engine])
  .map((engine) => engineSection([engine, parts[engine]]))
  .join("")}`;
}
