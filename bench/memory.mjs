/**
 * The page docs/results/memory: what every workload keeps in memory, by purpose, and what
 * computing segments of time again (model.recompute) saves and costs.
 */
import { intermediateBytes } from "../dist/runs/memory.js";
import { EXPLAINED, machineName, tableLine } from "./report.mjs";
import { describe, WORKLOADS } from "./workloads.mjs";

/** In docs/, as a page in docs/results/ links to it. */
const DERIVED = ["backward", "md"].join(".");

export const POLICIES = ["dense", "density:0.1"];
export const RECOMPUTES = [0, 10, 25];
const HEAD_POLICY = "density:0.1";
/** Purposes with a column of their own; the others are small. */
const COLUMNS = ["weights", "gradients", "activations", "gateGradients", "pattern", "packed", "workspace"];
/** eta-LSTM (ISCA 2021): intermediate memory of LSTM training saved on its accelerator, on average. */
const ETA_LSTM = 0.575;

/** stepRowsOf(workload, options) gives the rows of one workload. */
export async function memoryRows(stepRowsOf, names, { engine, steps }) {
  const rows = [];
  for (const name of names) {
    const recomputes = RECOMPUTES.filter((length) => length < WORKLOADS[name].T);
    const wanted = { engine, steps, policies: POLICIES, headPolicy: HEAD_POLICY, peers: [], recomputes };
    rows.push(...(await stepRowsOf(name, wanted)));
  }
  return rows;
}

export function memoryPage({ command, rows, notes }) {
  const [first] = rows;
  const names = [...new Set(rows.map(({ workload }) => workload))];
  const mib = (bytes) => (bytes / 2 ** 20).toFixed(bytes < 10 * 2 ** 20 ? 1 : 0);
  const total = (memory) => Object.values(memory).reduce((sum, bytes) => sum + bytes, 0);
  const of = (name, policy, length) =>
    rows.find((row) => row.workload === name && row.policy === policy && row.recompute === length);
  const lengths = (name) => RECOMPUTES.filter((length) => of(name, POLICIES[0], length));
  const change = (after, before) => `${after > before ? "+" : ""}${(100 * (after / before - 1)).toFixed(1)} %`;
  const rule = (columns) => tableLine(["---", ...Array(columns - 1).fill("--:")]);

  const planned = names.flatMap((name) =>
    lengths(name).map((length) => {
      const { memory } = of(name, "dense", length);
      const kept = intermediateBytes(memory);
      const other = total(memory) - COLUMNS.reduce((sum, purpose) => sum + memory[purpose], 0);
      return tableLine([
        name,
        length,
        ...COLUMNS.map((purpose) => mib(memory[purpose])),
        mib(other),
        mib(total(memory)),
        mib(kept),
        length === 0 ? "" : change(kept, intermediateBytes(of(name, "dense", 0).memory)),
      ]);
    }),
  );
  const measured = names.flatMap((name) =>
    lengths(name).map((length) =>
      tableLine([
        name,
        length,
        ...POLICIES.flatMap((policy) => {
          const row = of(name, policy, length);
          return [
            row.rssMiB.toFixed(0),
            row.msMedian.toFixed(1),
            row.cpuMs.toFixed(1),
            length === 0 ? "" : `${(row.cpuMs / of(name, policy, 0).cpuMs).toFixed(2)}x`,
          ];
        }),
      ]),
    ),
  );
  const anchor = lengths("W7")
    .filter((length) => length > 0)
    .map((length) => {
      const [all, some] = [0, length].map((steps) => intermediateBytes(of("W7", "dense", steps).memory));
      const saved = 1 - some / all;
      return `S = ${length}: ${mib(all)} to ${mib(some)} MiB, -${(100 * saved).toFixed(1)} %${saved >= ETA_LSTM ? "" : " (less than eta-LSTM)"}`;
    });

  return `# Memory

What the one memory of a model holds, by purpose, for every workload of [${EXPLAINED}](../${EXPLAINED}) (SGD, which keeps no state), and what
\`model.recompute\` saves and costs: with S > 0 a recurrent layer has room for the gates of S time steps, and backward computes
earlier ones again ([${DERIVED}](../${DERIVED}#keeping-less-computing-segments-again)). It is the same function.

Command: \`${command}\`
Machine: ${machineName()}; engine ${first.engine} (${first.isa}); Node ${process.versions.node}; ${first.date}. Rows as JSON: [memory.json](memory.json).

## Planned, MiB

"Forward to backward" is activations, gate gradients and pattern: what forward leaves for backward, the gate gradients that take
its place, and their bitmaps and lists. It does not depend on the policy.

${tableLine(["", "S", ...COLUMNS.map((name) => name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)), "other", "in all", "forward to backward", "saved"])}
${rule(COLUMNS.length + 6)}
${planned.join("\n")}

${
  anchor.length === 0
    ? ""
    : `eta-LSTM (ISCA 2021) reports ${(100 * ETA_LSTM).toFixed(1)} % less intermediate memory on average, in an accelerator that also skips work. W7, the paper's shape, by computing again: ${anchor.join("; ")}.

`
}## Measured: peak resident memory in MiB, milliseconds of a full step

Medians of ${first.steps} steps, arms in turns, a process each; a process of Node with nothing loaded takes about 45 MiB. "CPU" is the median
CPU time of a step on one thread, and the ratio (over S = 0) is of that. Dense, and a tenth kept (\`density:0.1\`, the same for the head).

${tableLine(["", "S", "dense: peak", "ms", "CPU", "", "a tenth: peak", "ms", "CPU", ""])}
${rule(10)}
${measured.join("\n")}

${names.map((name) => `${name}: ${describe(WORKLOADS[name])}`).join("; ")}.
${notes.length > 0 ? `\n${notes.map((text) => `* ${text}`).join("\n")}\n` : ""}`;
}
