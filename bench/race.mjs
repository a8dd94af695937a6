/**
 * The page docs/results/race: time to the same loss. One character model is trained under several policies and by
 * PyTorch, from the same weights, over the same batches, by the same optimizer; who is at a loss first?
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { jsEngine } from "../dist/kernels/js.js";
import { grid } from "../dist/plots/grid.js";
import { lineChart } from "../dist/plots/line-chart.js";
import { loadConfig } from "../dist/runs/config.js";
import { median } from "../dist/runs/paired.js";
import { makeModel, makeTask, stepsOf } from "../dist/runs/parts.js";
import { loadTexts } from "../dist/runs/text.js";
import { machineName, tableLine } from "./report.mjs";
import { finishedRuns, gatesieve } from "./runs.mjs";
import { BenchError, PYTHON, pytorchEnvironment } from "./step.mjs";

/** Of all runners. */
const SETTINGS = { "train.valCheckInterval": 50, "train.telemetryEverySteps": 0 };
const DENSE = "dense";

/** [{ name, learningRate, curve: [{ step, seconds, macs, loss }] }]; runs are kept in `runs` and not made twice. */
export function raceRows({ runs, entries, seed, settings: given, pytorch, note }) {
  const settings = { ...SETTINGS, ...given };
  const rows = entries.map(({ policy, learningRate }) => {
    note(`${policy}, learning rate ${learningRate}`);
    return { name: policy, learningRate, curve: ourCurve({ runs, policy, learningRate, seed, settings }) };
  });
  const dense = rows.find(({ name }) => name === DENSE);
  if (!dense) throw new BenchError(`the race needs the policy "${DENSE}", which all others are held against`);
  for (const mkldnn of pytorch ? [true, false] : []) {
    const name = `PyTorch ${mkldnn ? "with" : "without"} oneDNN`;
    note(name);
    const { learningRate } = dense;
    rows.push({ name, learningRate, curve: torchCurve({ settings, learningRate, seed, mkldnn, macs: dense.curve }) });
  }
  return rows;
}

function overridesOf(settings) {
  return Object.entries(settings).map(([key, value]) => `${key}=${value}`);
}

/** Without dropping all multiply-accumulates are done, those with natural zeros too. */
function ourCurve({ runs, policy, learningRate, seed, settings }) {
  const wanted = { ...settings, "train.learningRate": learningRate };
  const folder = join(runs, `race-${policy.replaceAll(/[^\w.]+/g, "-")}-${learningRate}-${seed}`);
  if (finishedRuns(folder).length === 0) {
    const args = ["train", "--runs", folder, "--policy", policy, "--seed", String(seed)];
    gatesieve([...args, "--quiet", ...overridesOf(wanted)]);
  }
  const [run] = finishedRuns(folder);
  const events = readFileSync(join(run.dir, "events.jsonl"), "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  const curve = [];
  let seconds = 0;
  let macs = 0;
  for (const event of events) {
    if (event.type === "step") {
      seconds = event.seconds;
      macs += policy === DENSE ? event.macs.dense : event.macs.dense - event.macs.skipped;
    } else if (event.type === "validation") curve.push({ step: event.step, seconds, macs, loss: event.loss });
  }
  return curve;
}

/** Hands PyTorch our first weights and the tokens. It does all multiply-accumulates, whatever ours did. */
function torchCurve({ settings, learningRate, seed, mkldnn, macs }) {
  const config = loadConfig({ overrides: overridesOf({ ...settings, "train.learningRate": learningRate, seed }) });
  const text = loadTexts(config.task);
  const task = makeTask(config, { text });
  const { sequenceLength: T, batchSize: B, gradientClipVal, valCheckInterval: validEvery } = config.train;
  const folder = mkdtempSync(join(tmpdir(), "gatesieve-race-"));
  try {
    const tokens = task.text.encode(text.text);
    const count = tokens.length;
    const [train, valid] = [Math.floor(count * 0.9), Math.floor(count * 0.95)];
    writeFileSync(join(folder, "train.i32"), tokens.subarray(0, train));
    writeFileSync(join(folder, "valid.i32"), tokens.subarray(train, valid));
    const model = makeModel(config, task, jsEngine, T, B);
    model.initialize(seed);
    const shapes = {};
    for (const { name, value } of model.parameters) {
      shapes[name] = value.shape;
      writeFileSync(join(folder, `${name}.f32`), new Float32Array(value.data));
    }
    writeFileSync(join(folder, "weights.json"), JSON.stringify(shapes));
    const { numLayers: layers, hiddenSize: H } = config.model;
    const maxSteps = stepsOf(config, task);
    const rest = { vocabulary: task.vocabulary.length, learningRate, maxSteps, validEvery, gradientClipVal };
    writeFileSync(join(folder, "settings.json"), JSON.stringify({ T, B, H, layers, threads: 1, mkldnn, ...rest }));
    const script = fileURLToPath(new URL("peers/train.py", import.meta.url));
    const { status, stdout } = spawnSync(PYTHON, [script, folder], {
      encoding: "utf8",
      env: pytorchEnvironment(1),
      stdio: ["ignore", "pipe", "inherit"],
    });
    if (status !== 0) throw new BenchError("PyTorch ended early; its error is above");
    const macsAt = new Map(macs.map(({ step, macs: dense }) => [step, dense]));
    return stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line))
      .map((point) => ({ ...point, macs: macsAt.get(point.step) }));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Where a curve first comes down to a loss: { step, seconds, macs }, between validations on the straight line. */
export function reaches(curve, loss) {
  const at = curve.findIndex((point) => point.loss <= loss);
  if (at < 0) return undefined;
  if (at === 0) return curve[0];
  const [from, to] = [curve[at - 1], curve[at]];
  const part = (from.loss - loss) / (from.loss - to.loss);
  const between = (key) => from[key] + part * (to[key] - from[key]);
  return { step: between("step"), seconds: between("seconds"), macs: between("macs") };
}

const best = ({ curve }) => Math.min(...curve.map(({ loss }) => loss));

/** Lines that a chart has colours for; the page's tables have all. */
const LINES = 6;

/** Both charts, one above the other: the first policies and the faster PyTorch, from where dense has come most of its way. */
export function raceChart(all) {
  const from = 1.3 * best(all.find(({ name }) => name === DENSE));
  const ours = all.filter(({ name }) => !name.startsWith("PyTorch"));
  const torch = all.filter(({ name }) => name.startsWith("PyTorch"));
  torch.sort((a, b) => a.curve.at(-1).seconds - b.curve.at(-1).seconds);
  const rows = [...ours.slice(0, LINES - 1), ...torch.slice(0, 1)];
  const chart = (title, xLabel, of) =>
    lineChart({
      title,
      xLabel,
      yLabel: "validation loss (nats/char)",
      series: rows.map(({ name, curve }) => ({
        name,
        points: curve.filter(({ loss }) => loss <= from).map((point) => [of(point), point.loss]),
      })),
    });
  const seconds = chart("Loss against training time", "training time (s)", (point) => point.seconds);
  const macs = chart("Loss against work", "multiply-accumulates (10^12)", (point) => point.macs / 1e12);
  return grid([seconds, macs], 1);
}

export function racePage({ command, rows, seed, epochs, notes }) {
  const dense = rows.find(({ name }) => name === DENSE);
  const goals = [1.05, 1.02, 1.005].map((factor) => factor * best(dense));
  const cell = (row, goal) => {
    const [own, reference] = [reaches(row.curve, goal), reaches(dense.curve, goal)];
    if (!own) return ["never", "", ""];
    const ratio = `${(reference.seconds / own.seconds).toFixed(2)}x`;
    return [own.seconds.toFixed(1), ratio, `${(reference.macs / own.macs).toFixed(2)}x`];
  };
  const ms = ({ curve }) => {
    const pieces = curve.slice(1).map((to, i) => (to.seconds - curve[i].seconds) / (to.step - curve[i].step));
    return (1000 * median(pieces)).toFixed(1);
  };
  const tables = goals.map(
    (goal) => `## Until validation loss ${goal.toFixed(3)}

| | seconds | dense / this | multiply-accumulates: dense / this |
|---|--:|--:|--:|
${rows.map((row) => tableLine([row.name, ...cell(row, goal)])).join("\n")}
`,
  );
  return `# Time to the same loss

One character model (text melville-moby_dick, 2 x 128, embedding of 128, B = T = 50, Adam, linear decay, ${epochs} epochs, seed ${seed}),
trained under several policies and by PyTorch from the same first weights over the same batches. Seconds are of training alone,
one thread, one after the other; one seed, so that differences of loss between policies show nothing by themselves. Multiply-accumulates
are what the zeros leave to do of all of training's; dense and PyTorch do them all.

![Loss against seconds and against work](race.svg)

The chart begins at 1.3 times the loss that dense comes to, and has the first five policies and the faster PyTorch; the tables have all.

| | learning rate | best validation loss | ms a step, median between validations |
|---|--:|--:|--:|
${rows.map((row) => tableLine([row.name, row.learningRate, best(row).toFixed(4), ms(row)])).join("\n")}

${tables.join("\n")}
Command: \`${command}\`
Machine: ${machineName()}; Node ${process.versions.node}; ${new Date().toISOString().slice(0, 10)}.
${
  notes.length
    ? `\nRemarks of the run:\n\n${notes.map((text) => `* ${text}`).join("\n")}
`
    : ""
}`;
}
