/**
 * The page docs/results/small-nets: whether dropping saves time in nets of few units, where the sweep over gate gradients, the
 * counting and the policy's search weigh as much as the products that they spare.
 */
import { sparseExecution } from "../dist/runs/small.js";
import { median } from "./numbers.mjs";
import { loadEngine, makeOurs } from "./ours.mjs";
import { EXPLAINED, machineName, tableLine } from "./report.mjs";

const SIZES = [
  [8, 8],
  [16, 8],
  [16, 32],
  [32, 1],
  [32, 8], // W0
  [32, 32],
  [48, 8],
  [48, 32],
  [64, 1],
  [64, 8],
];

/** name: [policy of the gates, of the head]. "none" does not even count. */
const ARMS = {
  none: ["none", "dense"],
  dense: ["dense", "dense"],
  gates: ["density:0.1", "dense"],
  "and head": ["density:0.1", "stochastic:0.98"],
};
const STEPS = 200; // between two readings of the clock of processor time, whose steps are coarse

/** Milliseconds of processor time of a step, arms in turns: medians over `rounds` of STEPS steps each. */
export async function smallRows({ engineName, rounds, note }) {
  const engine = await loadEngine(engineName);
  const rows = [];
  for (const [H, B] of SIZES) {
    const workload = { input: { oneHot: 65 }, layers: 1, H, V: 65, B, T: 20, positions: "all", carried: false };
    const arms = Object.entries(ARMS).map(([arm, [policy, headPolicy]]) => {
      const ours = makeOurs(engine, workload, policy, { headPolicy });
      for (let step = 0; step < 5 * STEPS; step++) ours.step(); // warm, compiled, past the first search for thresholds
      return { arm, ours, times: [] };
    });
    for (let round = 0; round < rounds; round++)
      for (const { ours, times } of arms) {
        const before = process.cpuUsage();
        for (let step = 0; step < STEPS; step++) ours.step();
        const { user, system } = process.cpuUsage(before);
        times.push((user + system) / 1000 / STEPS);
      }
    for (const { arm, ours, times } of arms)
      rows.push({
        engine: engineName,
        isa: engine.isa,
        H,
        B,
        arm,
        cpuMs: median(times),
        sparseExecution: sparseExecution(ours.model.sites),
        rounds,
      });
    note(`${engineName}, H ${H}, B ${B}: done`);
  }
  return rows;
}

function section(rows) {
  const [{ engine, isa }] = rows;
  const cell = (row) => row.cpuMs.toFixed(3);
  const lines = SIZES.map(([H, B]) => {
    const [none, dense, gates, head] = Object.keys(ARMS).map((arm) =>
      rows.find((row) => row.H === H && row.B === B && row.arm === arm),
    );
    const execution = gates.sparseExecution === "on" ? "sparse" : "dense";
    const ratio = `${(none.cpuMs / gates.cpuMs).toFixed(2)}x`;
    return tableLine([H, B, cell(none), cell(dense), cell(gates), cell(head), ratio, execution]);
  });
  return `## Engine ${engine}, ${isa}

| H | B | no rule | dense | gates | and head | no rule / gates | products of the gates run |
|--:|--:|--:|--:|--:|--:|--:|---|
${lines.join("\n")}
`;
}

export function smallPage({ command, rows, notes, date }) {
  const engines = [...new Set(rows.map(({ engine }) => engine))];
  return `# Small nets

Milliseconds of processor time of a step of one LSTM layer on one-hot 65, head 65, T = 20. "No rule" counts nothing; "dense" is what a run
with policy \`dense\` does, and counts; "gates" is \`density:0.1\` there, "and head" \`stochastic:0.98\` in the head as well. H = 32, B = 8 is
W0 of [benchmarks.md](../${EXPLAINED}). Why products of narrow gates run dense: [kernels.md](../kernels.md#small-nets).

Command: \`${command}\`
Machine: ${machineName()}; Node ${process.versions.node}; ${date}; one thread; medians of ${rows[0].rounds} rounds of ${STEPS} steps, arms in turns.

${engines.map((engine) => section(rows.filter((row) => row.engine === engine))).join("\n")}${notes.length ? `\nRemarks of the run:\n\n${notes.map((text) => `* ${text}`).join("\n")}\n` : ""}`;
}
