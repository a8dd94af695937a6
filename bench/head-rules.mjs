/**
 * Evidence for the head's rule: the word language model of configs/word-brown-small.yaml, cut to --steps
 * steps, under pairs GATES/HEAD of policies; the same seed means the same weights and batches in every arm.
 *
 *   node bench/head-rules.mjs --seeds 4 --arm dense/dense --arm dense/density:0.1 --finalist dense/dense
 *
 * The first arm is the baseline. Arms run with seed 1, finalists with all seeds. Finished runs are kept in
 * --runs and not made again, and with --minutes no run starts after that time: so it can be made in slices.
 * Every call writes docs/results/NAME.{json,md} of what is finished. First: gatesieve data get brown
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { interval95, isNonInferior, mean, median, relativeDifferences } from "../dist/runs/paired.js";
import { machineName } from "./report.mjs";
import { finishedRuns, gatesieve } from "./runs.mjs";

const ARMS = [
  "dense/dense",
  "dense/energy:0.99",
  "dense/energy:0.999",
  "dense/density:0.3",
  "dense/density:0.1",
  "dense/density:0.02",
  "dense/stochastic:0.9",
  "dense/stochastic:0.99",
  "dense/stochastic:0.999",
  "dense/stochastic:0.9999",
  "energy:0.99/dense",
  "energy:0.99/stochastic:0.999",
];
const FINALISTS = ["dense/dense", "dense/stochastic:0.999", "energy:0.99/dense", "energy:0.99/stochastic:0.999"];

const { values: options } = parseArgs({
  options: {
    arm: { type: "string", multiple: true, default: ARMS },
    finalist: { type: "string", multiple: true, default: FINALISTS },
    seeds: { type: "string", default: "4" },
    steps: { type: "string", default: "1500" },
    config: { type: "string", default: "configs/word-brown-small.yaml" },
    engine: { type: "string", default: "native" },
    minutes: { type: "string", default: "1e9" },
    runs: { type: "string", default: "runs/head-rules" },
    name: { type: "string", default: "head-rules" },
    set: { type: "string", multiple: true, default: [] },
  },
});
const root = new URL("../", import.meta.url).pathname;
const steps = Number(options.steps);
const seeds = Array.from({ length: Number(options.seeds) }, (_, index) => index + 1);
const arms = options.arm.map((arm) => {
  const [policy, headPolicy] = arm.split("/");
  return { policy, headPolicy, seeds: options.finalist.includes(arm) ? seeds : seeds.slice(0, 1) };
});

const ownRuns = () => finishedRuns(options.runs).filter((run) => run.maxSteps === steps);

const find = (runs, arm, seed) =>
  runs.find((run) => run.policy === arm.policy && run.headPolicy === arm.headPolicy && run.seed === seed);

/** Seed by seed, so that pairs are complete early and drift of the machine hits all arms alike. */
function runAll() {
  const until = Date.now() + Number(options.minutes) * 60_000;
  for (const seed of seeds)
    for (const arm of arms) {
      if (!arm.seeds.includes(seed) || find(ownRuns(), arm, seed)) continue;
      if (Date.now() > until) return;
      process.stderr.write(`head-rules: gates ${arm.policy}, head ${arm.headPolicy}, seed ${seed}\n`);
      const args = ["train", join(root, options.config), "--runs", options.runs, "--quiet"];
      args.push("--policy", arm.policy, "--seed", String(seed), "--engine", options.engine, "--threads", "1");
      args.push(`headPolicy=${arm.headPolicy}`, `train.maxSteps=${steps}`, "train.schedule=linear");
      args.push("train.valCheckInterval=500", "train.checkpointEverySteps=500", ...options.set);
      gatesieve(args);
    }
}

/** Zeros of the head's gradient, a mean over steps; not counted where nothing is dropped there. */
function headSite({ dir }) {
  const end = JSON.parse(readFileSync(join(dir, "events.jsonl"), "utf8").trimEnd().split("\n").at(-1));
  const groups = end.sites.filter(({ site }) => site === "head");
  return groups[0] ?? null;
}

function summarise(runs) {
  return arms.flatMap((arm) => {
    const pairs = arm.seeds
      .map((seed) => ({ run: find(runs, arm, seed), base: find(runs, arms[0], seed) }))
      .filter(({ run, base }) => run && base);
    if (pairs.length === 0) return [];
    const sites = pairs.map(({ run }) => headSite(run)).filter(Boolean);
    const of = (field) => mean(pairs.map(({ run }) => run[field]));
    const ofBase = (field) => pairs.map(({ base }) => base[field]);
    const relative = (field) =>
      interval95(
        relativeDifferences(
          pairs.map(({ run }) => run[field]),
          ofBase(field),
        ),
      );
    return {
      policy: arm.policy,
      headPolicy: arm.headPolicy,
      pairs: pairs.length,
      steps,
      validLoss: of("validLoss"),
      testLoss: of("testLoss"),
      validLossRelative: relative("validLoss"),
      testLossRelative: relative("testLoss"),
      headZeros: sites.length ? mean(sites.map((site) => site.sparsity)) : null,
      headNaturalZeros: sites.length ? mean(sites.map((site) => site.naturalZeros)) : null,
      headEnergy: sites.length ? mean(sites.map((site) => site.energy)) : null,
      gateSparsity: of("sparsity"),
      fidelity: of("fidelity"),
      macsSkippedAll: of("macsSkippedAll"),
      seconds: median(pairs.map(({ run }) => run.seconds)),
      secondsRelative: median(pairs.map(({ run, base }) => run.seconds / base.seconds)),
      forwardMs: median(pairs.map(({ run }) => run.forwardMs)),
      backwardMs: median(pairs.map(({ run }) => run.backwardMs)),
      updateMs: median(pairs.map(({ run }) => run.updateMs)),
    };
  });
}

const MARGIN = 0.005; // the house's: an upper end of the interval below it is called lossless
const percent = (value, digits = 1) => (value === null ? "not counted" : `${(100 * value).toFixed(digits)} %`);
const signed = (value) => `${value >= 0 ? "+" : ""}${percent(value, 2)}`;

function versus(difference) {
  const { mean: center, low, high } = difference;
  if (low === null) return signed(center);
  return `${signed(center)} [${signed(low)}, ${signed(high)}]${isNonInferior(difference, MARGIN) ? ", lossless" : ""}`;
}

function table(rows) {
  return [
    "| gates | head | pairs | validation loss | against the first, paired | test loss | against the first, paired | zeros in the head | energy kept there | zeros in the gates | fidelity at the end | MACs skipped of all | seconds, median | ratio |",
    "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ...rows.map((row, index) => {
      const cells = [
        `\`${row.policy}\``,
        `\`${row.headPolicy}\``,
        row.pairs,
        row.validLoss.toFixed(4),
        index ? versus(row.validLossRelative) : "",
        row.testLoss.toFixed(4),
        index ? versus(row.testLossRelative) : "",
        percent(row.headZeros),
        row.headEnergy === null ? "" : percent(row.headEnergy, 2),
        percent(row.gateSparsity),
        row.fidelity.toFixed(4),
        percent(row.macsSkippedAll),
        row.seconds.toFixed(1),
        row.secondsRelative.toFixed(2),
      ];
      return `| ${cells.join(" | ")} |`;
    }),
  ];
}

function markdown(rows, [first]) {
  return [
    "# Rules for the head's gradient",
    "",
    `Word language model on Brown (${options.config}, cut to ${steps} steps of 400 words with the rate falling linearly to 0), loss in nats/word. The same seed means the same weights and the same batches in every arm. Gates and head are told apart: the first arms drop nothing from gate gradients.`,
    "",
    ...table(rows),
    "",
    "Lossless: the upper end of the interval of paired differences lies below +0.50 %. One pair has no interval and shows no half per cent. Energy kept is the squares after the rule over those before it; `stochastic` rounds up as well as down, so it goes beyond 100 %. Under head `dense` the head's zeros are not counted. Seconds are those of training without validation, in runs one after the other on a shared machine.",
    "",
    "## Why dropping by size alone spoils the head",
    "",
    "A row of the head's gradient is p - onehot. Its entry at the target is -(1 - p_target), all others are p, and the row sums to zero: the many small entries pull down together as much as the one large entry pulls up. Squares do not see that. A mask by size keeps the large entry and drops the small ones, so logits of words that occur are pushed up and nothing pushes the others down. `density` drops less of it, not another thing: what is left out is nearly always of one sign. `stochastic` rounds an entry below tau to tau or to zero so that its mean is the entry: at more zeros, the sum stays right on average, and the price is variance, which RHO sets. A cosine of gradients near 1 does not show the harm: see `density:0.02`.",
    "",
    `Command: \`${command()}\`. Engine ${first.engine} (${first.isa}), ${first.threads} thread, Node ${process.version}, ${machineName()}, ${new Date().toISOString().slice(0, 10)}.`,
    "",
  ].join("\n");
}

/** Without what tells no reader anything: where runs were kept, and how long a slice was. */
function command() {
  const local = ["--minutes", "--runs"];
  const words = process.argv.slice(2).filter((word, at, all) => !local.includes(word) && !local.includes(all[at - 1]));
  return `node bench/head-rules.mjs ${words.join(" ")}`.trim();
}

runAll();
const runs = ownRuns();
const rows = summarise(runs);
if (rows.length === 0) process.exit(0);
const text = markdown(rows, runs);
const out = (extension) => join(root, "docs/results", `${options.name}.${extension}`);
mkdirSync(join(root, "docs/results"), { recursive: true });
writeFileSync(
  out("json"),
  `${JSON.stringify({ command: command(), date: new Date().toISOString().slice(0, 10), rows }, null, 2)}\n`,
);
writeFileSync(out("md"), text);
process.stdout.write(text);
