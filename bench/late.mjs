/**
 * The page docs/results/bench-late: steps on the patterns of real training. Nets of the shapes of
 * W1, W2, W7 and W4 are trained on text first (once, into --runs), then timed with `step --run`.
 */
import { join } from "node:path";
import { taskPolicies } from "../dist/runs/config.js";
import { machineName, tableLine } from "./report.mjs";
import { finishedRuns, gatesieve } from "./runs.mjs";
import { describe } from "./workloads.mjs";

/** PyTorch 2.6 on the workload of this shape, one thread, stored, ms; and what the default policy should reach against it. */
export const LATE = {
  W1: {
    stored: 25.6,
    mark: 1.5,
    steps: 2000,
    set: ["model.embedding=0", "model.hiddenSize=128"],
  },
  W2: {
    stored: 277,
    mark: 1.5,
    steps: 1000,
    set: ["model.embedding=0", "model.hiddenSize=512"],
  },
  W7: {
    mark: 1.5,
    steps: 1000,
    set: ["model.embedding=256", "model.hiddenSize=256", "model.numLayers=3", "train.sequenceLength=100"],
  },
  W4: {
    stored: 370,
    mark: 2,
    steps: 1500,
    data: "brown",
    config: "configs/word-brown-medium.yaml",
    task: "word",
    set: ["model.dropout=0"],
  },
};

/** What the task of a workload drops where nothing is said: { policy, headPolicy }. */
export function latePolicies(name) {
  return taskPolicies(LATE[name].task ?? "character");
}

/**
 * The trained net: its folder of runs and its id. Trains it if it is missing: `steps` steps, under the policies, with these
 * settings over a configuration's.
 */
export function trainedRun(name, { steps, set, data, config, policy, headPolicy = "dense" }, { runs, note }) {
  const folder = join(runs, `late-${name.toLowerCase()}`);
  const found = () => finishedRuns(folder).map(({ id }) => ({ runs: folder, run: id }))[0];
  const there = found();
  if (there) return there;
  note(`${name}: training ${steps} steps for its late patterns`);
  if (data) gatesieve(["data", "get", data]);
  const overrides = [`train.maxSteps=${steps}`, "train.valCheckInterval=500", `headPolicy=${headPolicy}`, ...set];
  const args = ["train", ...(config ? [config] : []), "--runs", folder, "--engine", "native", "--policy", policy];
  gatesieve([...args, "--quiet", ...overrides]);
  return found();
}

export function latePage({ command, sections, notes }) {
  const rows = sections.flatMap(({ rows }) => rows);
  const [first] = rows;
  const line = ({ name, policy, rows: own }) => {
    const of = (wanted) => own.find((row) => row.tool === "gatesieve" && row.policy === wanted);
    const [dense, ours, torch] = [of("dense"), of(policy), own.find(({ tool }) => tool === "pytorch")];
    const { stored, mark } = LATE[name];
    const ratio = (a, b) => `${(a / b).toFixed(2)}x`;
    // Where no figure of PyTorch 2.6 is stored, the mark is held against the PyTorch of this run.
    const against = stored ?? torch?.msMedian;
    const reached = against === undefined ? "" : against / ours.msMedian >= mark ? "reached" : "**missed**";
    return tableLine([
      name,
      policy,
      `${(100 * ours.density).toFixed(1)} %`,
      dense.msMedian.toFixed(1),
      ours.msMedian.toFixed(1),
      ratio(dense.msMedian, ours.msMedian),
      torch ? torch.msMedian.toFixed(1) : "",
      torch ? ratio(torch.msMedian, ours.msMedian) : "",
      stored ?? "",
      against === undefined ? "" : `at most ${(against / mark).toFixed(1)} ms: ${reached}`,
    ]);
  };
  const trainings = sections.map(({ name, workload }) => {
    const { steps, set, config } = LATE[name];
    const made = [config ?? "character LM", ...set].join(" ");
    return `* ${name}: ${describe(workload)}; ${steps} steps, ${made}, headPolicy=${latePolicies(name).headPolicy}`;
  });
  return `# Steps on the patterns of real training

Nets of the workloads' shapes are trained on text under their task's default policy, then timed on their own batches, weights held where
training ended: gate gradients are those of late training. Choosing the threshold and compressing are in the time. "dense" drops
nothing, in the head neither. PyTorch trains the same shapes on random tokens.

Command: \`${command}\`
Machine: ${machineName()}; engine ${first.engine}, ${first.isa}; Node ${process.versions.node}; ${first.date}; one thread; medians of ${first.steps} steps, tools in turns.

| | default policy | kept | dense, ms | under it, ms | dense / this | PyTorch in this run, ms | PyTorch / this | PyTorch 2.6, stored, ms | asked for |
|---|---|--:|--:|--:|--:|--:|--:|--:|---|
${sections.map(line).join("\n")}

Trained:

${trainings.join("\n")}
${notes.length ? `\nRemarks of the run:\n\n${notes.map((text) => `* ${text}`).join("\n")}\n` : ""}`;
}
