/**
 * The page docs/results/bench-engines: the same training (text, seeds, order of batches) on every
 * engine. Engines round differently, so that runs part after some hundred steps; what they reach
 * must agree within what seeds differ by.
 */
import { join } from "node:path";
import { mean } from "../dist/runs/paired.js";
import { machineName, tableLine } from "./report.mjs";
import { finishedRuns, gatesieve } from "./runs.mjs";

/** Small enough for engine js. */
const SETTINGS = [
  "model.hiddenSize=48",
  "model.embedding=48",
  "train.batchSize=20",
  "train.sequenceLength=40",
  "train.maxSteps=600",
  "train.learningRate=0.005",
  "train.valCheckInterval=600",
];
/** [label, engine, environment]. */
const ENGINES = [
  ["js", "js", {}],
  ["wasm", "wasm", {}],
  ["native avx512", "native", { GATESIEVE_ISA: "avx512" }],
  ["native avx2", "native", { GATESIEVE_ISA: "avx2" }],
  ["native plain", "native", { GATESIEVE_ISA: "plain" }],
];

/** [{ label, policy, losses }], one test loss a seed; runs are kept in `runs` and not made twice. */
export function engineRows({ runs, policies, seeds, note }) {
  const rows = [];
  for (const [label, engine, environment] of ENGINES) {
    const folder = join(runs, `engines-${label.replace(" ", "-")}`);
    const find = (among, policy, seed) => among.find((run) => run.policy === policy && run.seed === seed);
    const done = finishedRuns(folder);
    for (const policy of policies)
      for (const seed of seeds) {
        if (find(done, policy, seed)) continue;
        note(`${label}, ${policy}, seed ${seed}`);
        const args = ["train", "--runs", folder, "--engine", engine, "--policy", policy, "--seed", String(seed)];
        gatesieve([...args, "--quiet", ...SETTINGS], environment);
      }
    const all = finishedRuns(folder);
    for (const policy of policies)
      rows.push({ label, policy, losses: seeds.map((seed) => find(all, policy, seed).testLoss) });
  }
  return rows;
}

export function enginesPage({ command, rows, seeds }) {
  const spread = (losses) => Math.max(...losses) - Math.min(...losses);
  const sections = [...new Set(rows.map(({ policy }) => policy))].map((policy) => {
    const own = rows.filter((row) => row.policy === policy);
    const reference = own[0];
    const apart = (row) => Math.max(...row.losses.map((loss, i) => Math.abs(loss - reference.losses[i])));
    const worst = Math.max(...own.map(apart));
    const meansApart = Math.max(...own.map((row) => Math.abs(mean(row.losses) - mean(reference.losses))));
    const agrees = worst <= spread(reference.losses);
    return `## ${policy}

${tableLine(["engine", ...seeds.map((seed) => `seed ${seed}`), "mean", "farthest from js, same seed"])}
${tableLine(["---", ...Array(seeds.length + 2).fill("--:")])}
${own.map((row) => tableLine([row.label, ...row.losses.map((loss) => loss.toFixed(4)), mean(row.losses).toFixed(4), apart(row).toFixed(4)])).join("\n")}

Seeds on js differ by ${spread(reference.losses).toFixed(4)}; engines at the same seed by at most ${worst.toFixed(4)}, their means by at most ${meansApart.toFixed(4)}: ${agrees ? "engines agree within the seeds' spread" : "**engines differ by more than seeds do**"}.
`;
  });
  return `# The same training on every engine

Test loss in nats per character: text melville-moby_dick, ${SETTINGS.join(", ")}, otherwise the defaults.

Command: \`${command}\`
Machine: ${machineName()}; Node ${process.versions.node}; ${new Date().toISOString().slice(0, 10)}.

${sections.join("\n")}`;
}
