/**
 * The page docs/results/peak-memory: peak resident memory of a process that trains, ours on engine native beside
 * PyTorch's, and the shares asked for.
 */
import { EXPLAINED, machineName, tableLine } from "./report.mjs";
import { describe, WORKLOADS } from "./workloads.mjs";

/** Peak resident memory, as a share of PyTorch's. */
export const MEMORY_MARKS = { W1: 1 / 3, W2: 1 / 3, W3: 0.5, W4: 0.5, W5: 0.7, W6: 1 / 3 };
const TENTH = "density:0.1";

/** stepRowsOf(workload, options) gives the rows of one workload. */
export async function peakRows(stepRowsOf, names, { steps }) {
  const rows = [];
  for (const name of names) {
    const wanted = { engine: "native", headPolicy: TENTH, steps };
    rows.push(...(await stepRowsOf(name, { ...wanted, policies: ["dense", TENTH], peers: ["pytorch"] })));
  }
  return rows;
}

/** The workloads with a mark among `rows`, at one thread. */
export function peakTable(rows) {
  const lines = Object.entries(MEMORY_MARKS).flatMap(([name, share]) => {
    const own = rows.filter(({ workload }) => workload === name);
    if (own.length === 0) return [];
    const [dense, tenth] = ["dense", TENTH].map((policy) => own.find((row) => row.policy === policy));
    const theirs = own.find(({ tool }) => tool === "pytorch")?.rssMiB;
    const part = theirs ? tenth.rssMiB / theirs : undefined;
    return [
      tableLine([
        name,
        dense.rssMiB.toFixed(0),
        tenth.rssMiB.toFixed(0),
        tenth.arenaMiB.toFixed(0),
        theirs?.toFixed(0) ?? "",
        part === undefined ? "" : `${(100 * part).toFixed(0)} %${part <= share ? "" : " **missed**"}`,
        `${(100 * share).toFixed(0)} %`,
      ]),
    ];
  });
  return [
    "| | ours, dense | ours, a tenth kept | its arena | PyTorch's | a tenth / PyTorch's | asked for |",
    "|---|--:|--:|--:|--:|--:|--:|",
    ...lines,
  ].join("\n");
}

export function peakPage({ command, rows, notes }) {
  const ours = rows.find(({ tool }) => tool === "gatesieve");
  const torch = rows.find(({ tool }) => tool === "pytorch");
  const names = [...new Set(rows.map(({ workload }) => workload))];
  return `# Peak resident memory beside PyTorch

The most memory a process held (VmHWM) over full training steps of the workloads of [${EXPLAINED}](../${EXPLAINED}), in MiB. A process of
Node with nothing loaded takes about 42, one that has imported PyTorch some 225. "Arena": all tensors of the model; of
its lists only what is filled is resident. Where it goes, by purpose: [memory.md](memory.md).

Command: \`${command}\`
Machine: ${machineName()}; engine ${ours.engine} (${ours.isa}); Node ${process.versions.node}; PyTorch ${torch?.version ?? "absent"}; ${ours.date}; one thread, ${ours.steps} steps. Rows as JSON: [peak-memory.json](peak-memory.json).

${peakTable(rows)}

${names.map((name) => `${name}: ${describe(WORKLOADS[name])}`).join("; ")}.
${notes.length > 0 ? `\n${notes.map((text) => `* ${text}`).join("\n")}\n` : ""}`;
}
