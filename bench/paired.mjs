/**
 * Paired evidence: the same seeds (weights, data order) under several policies, test loss compared
 * pair by pair with the interval of the difference.
 *
 *   node bench/paired.mjs --policies dense,energy:0.99,threshold:1e-6 --seeds 5 --epochs 3
 *
 * `gatesieve sweep` does more of it (grids, tuned arms, confirmation on fresh seeds); this is the small form
 * for one table. The first policy is the baseline. Finished runs are kept in --runs and not run again, so it can be
 * stopped and continued. Writes docs/results/NAME.json and NAME.md.
 */
import { spawn } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { parseArgs } from "node:util";
import { DEFAULT_MARGIN, interval95, mean, median, relativeDifferences } from "../dist/runs/paired.js";
import { cli, finishedRuns } from "./runs.mjs";

const { values: options } = parseArgs({
  options: {
    policies: { type: "string", default: "dense,energy:0.99,threshold:1e-6" },
    seeds: { type: "string", default: "5" },
    epochs: { type: "string", default: "3" },
    text: { type: "string", default: "melville-moby_dick" },
    parallel: { type: "string", default: "1" },
    runs: { type: "string", default: "runs/paired" },
    name: { type: "string", default: "paired-character" },
    set: { type: "string", multiple: true, default: [] },
  },
});
const policies = options.policies.split(",");
const seeds = Array.from({ length: Number(options.seeds) }, (_, index) => index + 1);
const command = `node bench/paired.mjs ${process.argv.slice(2).join(" ")}`.trim();

function train(policy, seed) {
  const args = [cli, "train", "--runs", options.runs, "--policy", policy, "--seed", String(seed), "--quiet"];
  args.push(`task.text=${options.text}`, `train.maxEpochs=${options.epochs}`, ...options.set);
  return new Promise((resolve, reject) => {
    const child = spawn("node", args, { stdio: ["ignore", "ignore", "inherit"] });
    child.on("exit", (code) => (code === 0 ? resolve() : reject(new Error(`${policy}, seed ${seed}: exit ${code}`))));
  });
}

const find = (runs, policy, seed) => runs.find((run) => run.policy === policy && run.seed === seed);

async function runAll() {
  const done = finishedRuns(options.runs);
  // Seed by seed, so that pairs are complete early and drift of the machine hits all policies alike.
  const jobs = seeds
    .flatMap((seed) => policies.map((policy) => ({ policy, seed })))
    .filter(({ policy, seed }) => !find(done, policy, seed));
  const worker = async () => {
    for (let job = jobs.shift(); job; job = jobs.shift()) {
      process.stderr.write(`paired: ${job.policy}, seed ${job.seed} (${jobs.length} to go)\n`);
      await train(job.policy, job.seed);
    }
  };
  await Promise.all(Array.from({ length: Number(options.parallel) }, worker));
}

function summarise(runs) {
  return policies.map((policy) => {
    const arm = seeds.map((seed) => find(runs, policy, seed));
    const base = seeds.map((seed) => find(runs, policies[0], seed));
    const values = (field, runsOf) => runsOf.map((run) => run[field]);
    const relative = (field) => relativeDifferences(values(field, arm), values(field, base));
    return {
      task: "character",
      text: options.text,
      policy,
      pairs: seeds.length,
      steps: arm[0].steps,
      validLoss: mean(arm.map((run) => run.validLoss)),
      testLoss: mean(arm.map((run) => run.testLoss)),
      testLosses: arm.map((run) => run.testLoss),
      testLossRelative: interval95(relative("testLoss")),
      sparsity: mean(arm.map((run) => run.sparsity)),
      naturalZeros: mean(arm.map((run) => run.naturalZeros)),
      macsSkippedRecurrent: mean(arm.map((run) => run.macsSkippedRecurrent)),
      macsSkippedAll: mean(arm.map((run) => run.macsSkippedAll)),
      secondsMedian: median(arm.map((run) => run.seconds)),
      secondsRelative: 1 + median(relative("seconds")),
    };
  });
}

const percent = (value, digits = 1) => `${(100 * value).toFixed(digits)} %`;
const signed = (value) => `${value >= 0 ? "+" : ""}${percent(value, 2)}`;

function markdown(rows, runs) {
  const [first] = runs;
  const spread = rows[0].testLosses;
  const lines = [
    `# Paired runs: ${policies.join(", ")}`,
    "",
    `Character language model on \`${options.text}\`, ${rows[0].steps} steps (${options.epochs} epochs), seeds 1 to ${seeds.length}; the same seed means the same weights and the same batches under every policy.`,
    "",
    "| policy | test loss, mean (nats/char) | against dense, paired: mean [95 % interval] | sparsity (natural + added) | MACs skipped: recurrent products | of all training | seconds of training, median | ratio |",
    "|---|---|---|---|---|---|---|---|",
    ...rows.map((row) => {
      const { mean: center, low, high } = row.testLossRelative;
      const versus =
        row.policy === policies[0]
          ? ""
          : low === null
            ? signed(center)
            : `${signed(center)} [${signed(low)}, ${signed(high)}]`;
      const added = row.sparsity - row.naturalZeros;
      return `| \`${row.policy}\` | ${row.testLoss.toFixed(4)} | ${versus} | ${percent(row.sparsity)} (${percent(row.naturalZeros)} + ${percent(added)}) | ${percent(row.macsSkippedRecurrent)} | ${percent(row.macsSkippedAll)} | ${row.secondsMedian.toFixed(1)} | ${row.secondsRelative.toFixed(2)} |`;
    }),
    "",
    `Dense test losses spread over ${percent(Math.max(...spread) / Math.min(...spread) - 1)} between seeds. ${seeds.length} pairs carry no more than the interval says: a policy would be called lossless here if the upper end of its interval were below +${percent(DEFAULT_MARGIN, 2)}.`,
    "",
    "Under `dense` the products run in full: its skipped MACs are those natural zeros make redundant, and none of them is skipped by the engine. Seconds, skipped MACs and sparsity are three different things.",
    "",
    `Command: \`${command}\`. Engine ${first.engine} (${first.isa}), ${first.threads} thread, ${options.parallel} run(s) at a time, Node ${process.version}, ${cpus()[0].model}, ${new Date().toISOString().slice(0, 10)}.`,
    "",
  ];
  return lines.join("\n");
}

await runAll();
const runs = finishedRuns(options.runs);
const rows = summarise(runs);
mkdirSync(new URL("../docs/results/", import.meta.url), { recursive: true });
const out = (extension) => new URL(`../docs/results/${options.name}.${extension}`, import.meta.url).pathname;
writeFileSync(
  out("json"),
  `${JSON.stringify({ command, date: new Date().toISOString().slice(0, 10), rows }, null, 2)}\n`,
);
writeFileSync(out("md"), markdown(rows, runs));
process.stdout.write(markdown(rows, runs));
