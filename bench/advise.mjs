/**
 * What `gatesieve advise` predicts against what whole trainings show, on seeds that it has not seen.
 *
 *   node bench/advise.mjs --name small --seeds 3 --seconds 60 model.hiddenSize=64 train.maxSteps=1500
 *   node bench/advise.mjs --show
 *
 * Each name is a case with settings of its own: advice from seed 101 on, then every candidate it gave figures for and
 * dense, trained in full with seeds 1 to --seeds. Advice and finished runs are kept in --folder and not made again, so
 * it can be stopped and continued; --minutes ends after the run that exceeds them. Writes docs/results/advise.json and
 * docs/results/advise.md, all cases together.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { interval95, mean, median, relativeDifferences } from "../dist/runs/paired.js";
import { finishedRuns, gatesieve } from "./runs.mjs";

const { values: options, positionals: settings } = parseArgs({
  allowPositionals: true,
  options: {
    name: { type: "string", default: "small" },
    seeds: { type: "string", default: "3" },
    seconds: { type: "string", default: "60" },
    minutes: { type: "string", default: "1000000" },
    folder: { type: "string", default: "runs/advise" },
    show: { type: "boolean", default: false },
  },
});
const NAME = "advise"; // of the page
const FIRST_SEED = 101; // of the advice
const results = new URL("../docs/results/", import.meta.url);
const stored = (() => {
  const file = new URL(`${NAME}.json`, results);
  return existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : [];
})();

/** The case's advice, asked for once. */
function advised(folder) {
  const file = join(folder, "advice", "advice.json");
  if (!existsSync(file))
    gatesieve([
      ...["advise", "--seed", String(FIRST_SEED), "--seconds", options.seconds, "--out", join(folder, "advice")],
      ...settings,
    ]);
  return JSON.parse(readFileSync(file, "utf8"));
}

/** Seed by seed, so that pairs are complete early. */
function trainMissing(runsDir, policies) {
  const began = performance.now();
  for (let seed = 1; seed <= Number(options.seeds); seed++)
    for (const policy of policies) {
      if (finishedRuns(runsDir).some((run) => run.policy === policy && run.seed === seed)) continue;
      if (performance.now() - began > 60_000 * Number(options.minutes)) return false;
      gatesieve(["train", "--quiet", "--runs", runsDir, "--policy", policy, "--seed", String(seed), ...settings]);
    }
  return true;
}

function compared({ rows, ...advice }, runsDir) {
  const runs = finishedRuns(runsDir);
  const bySeed = (policy) => new Map(runs.filter((run) => run.policy === policy).map((run) => [run.seed, run]));
  const dense = bySeed("dense");
  return {
    name: options.name,
    settings,
    maxLoss: advice.maxLoss,
    maxSteps: advice.maxSteps,
    smallSteps: advice.smallSteps,
    trunkSteps: advice.trunkSteps,
    adviceSeeds: advice.seeds,
    adviceSeconds: advice.seconds,
    what: advice.what,
    recommended: advice.recommended?.policy ?? null,
    date: new Date().toISOString().slice(0, 10),
    machine: { ...advice.machine, cpu: cpus()[0].model },
    seedsAsked: Number(options.seeds),
    rows: rows.flatMap((row) => {
      const pairs = [...bySeed(row.policy)].filter(([seed]) => dense.has(seed));
      if (pairs.length === 0 || row.predicted.mean === null) return [];
      const gaps = (field) =>
        relativeDifferences(
          pairs.map(([, run]) => run[field]),
          pairs.map(([seed]) => dense.get(seed)[field]),
        );
      const found = interval95(gaps("validLoss"));
      return [
        {
          policy: row.policy,
          verdict: row.verdict,
          predicted: row.predicted,
          pairs: pairs.length,
          found,
          foundTest: mean(gaps("testLoss")),
          inside: found.mean >= row.predicted.low && found.mean <= row.predicted.high,
          zeros: [row.zeros, mean(pairs.map(([, run]) => run.sparsity))],
          macsSkippedAll: [row.macsSkippedAll, mean(pairs.map(([, run]) => run.macsSkippedAll))],
          speed: [row.speed, 1 / (1 + median(gaps("seconds")))],
        },
      ];
    }),
  };
}

const percent = (share, digits = 1) => `${(100 * share).toFixed(digits)} %`;
const signed = (share) => `${share < 0 ? "" : "+"}${percent(share, 2)}`;

function section(one) {
  const cells = ({ policy, verdict, predicted, pairs, found, foundTest, inside, zeros, macsSkippedAll, speed }) => [
    `\`${policy}\``,
    verdict,
    `${signed(predicted.mean)} [${signed(predicted.low)}, ${signed(predicted.high)}]`,
    found.low === null ? signed(found.mean) : `${signed(found.mean)} [${signed(found.low)}, ${signed(found.high)}]`,
    inside ? "yes" : "**no**",
    signed(foundTest),
    String(pairs),
    ...[zeros, macsSkippedAll].map(([said, was]) => `${percent(said, 0)}, ${percent(was, 0)}`),
    `${speed[0].toFixed(2)}x, ${speed[1].toFixed(2)}x`,
  ];
  const head = [
    ...["policy", "verdict", "predicted", "found, validation", "mean inside", "found, test", "pairs"],
    ...["zeros: predicted, found", "MACs of all", "speed"],
  ];
  const { engine, cpu, node } = one.machine;
  return [
    `## ${one.name}`,
    "",
    `${one.what}, ${one.maxSteps} steps (\`${one.settings.join(" ")}\`). Advice: ${one.smallSteps} steps, trunk ${one.trunkSteps}, ${one.adviceSeeds} seeds from ${FIRST_SEED} on, ${one.adviceSeconds.toFixed(0)} s; limit +${percent(one.maxLoss, 2)}. Named: ${one.recommended ? `\`${one.recommended}\`` : "nothing"}.`,
    "",
    `| ${head.join(" | ")} |`,
    `|${head.map(() => "---").join("|")}|`,
    ...one.rows.map((row) => `| ${cells(row).join(" | ")} |`),
    "",
    `Command: \`node bench/advise.mjs --name ${one.name} --seeds ${one.seedsAsked} ${one.settings.join(" ")}\`. Engine ${engine}, Node ${node}, ${cpu}, ${one.date}.`,
    "",
  ];
}

function page(cases) {
  const rows = cases.flatMap((one) => one.rows);
  const inside = rows.filter((row) => row.inside).length;
  const above = rows.filter(({ found, predicted }) => found.mean > predicted.high).length;
  const named = cases.filter((one) => one.recommended);
  const kept = named.filter((one) =>
    one.rows.some((row) => row.policy === one.recommended && row.found.mean < one.maxLoss),
  );
  return [
    "# What `advise` predicts, and what whole trainings show",
    "",
    `Seeds of the whole trainings are not those of the advice. Of ${rows.length} predictions ${inside} have the mean that was found inside their 95 % interval; ` +
      `${above} were found worse than their interval, ${rows.length - inside - above} better. In ${named.length} of ${cases.length} cases a setting was named; its mean loss was found within the limit in ${kept.length}.`,
    "",
    "What is found has an interval of its own: a few pairs show no half per cent. Seconds were taken beside other work. How predictions are made: [choosing a threshold](../choosing-a-threshold.md#how-advise-decides).",
    "",
    ...cases.flatMap(section),
  ].join("\n");
}

if (!options.show) {
  const folder = join(options.folder, options.name);
  const advice = advised(folder);
  const policies = [
    "dense",
    ...advice.rows.filter(({ predicted }) => predicted.mean !== null).map((row) => row.policy),
  ];
  if (!trainMissing(join(folder, "runs"), policies))
    process.stderr.write("advise: time is up; the same command goes on from here\n");
  const at = stored.findIndex(({ name }) => name === options.name);
  stored.splice(at < 0 ? stored.length : at, at < 0 ? 0 : 1, compared(advice, join(folder, "runs")));
  writeFileSync(new URL(`${NAME}.json`, results), `${JSON.stringify(stored, null, 1)}\n`);
}
writeFileSync(new URL(`${NAME}.md`, results), page(stored));
process.stdout.write(page(stored));
