/**
 * The page docs/results/tfjs-layer: fit() of TensorFlow.js with its own LSTM and with ours, of the shape of W6.
 *
 *   node bench/tfjs-layer.mjs [--steps 12] [--epochs 4] [--write]      0 of either: only the other
 *   node bench/tfjs-layer.mjs --epochs 0 --layer gru|lstm --gate sigmoid|hardSigmoid     not for the page
 *
 * One process, one backend (wasm, one thread). All arms begin with the same weights and see the same batches; a timed turn is
 * one fit() over two batches, arms in turns, medians. Times are CPU time of the process, so that work beside it on a shared
 * machine counts less. The losses are of whole trainings from the start, apart from the timing.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import * as tf from "@tensorflow/tfjs";
import * as wasm from "@tensorflow/tfjs-backend-wasm";
import { gatesieveLayers } from "../dist/tfjs/index.js";
import "../dist/node.js"; // engine native
import { machineName, tableLine } from "./report.mjs";

const { values } = parseArgs({
  options: {
    steps: { type: "string", default: "12" },
    epochs: { type: "string", default: "4" },
    layer: { type: "string", default: "lstm" },
    gate: { type: "string", default: "sigmoid" },
    write: { type: "boolean", default: false },
  },
});
const [B, T, I, H, V] = [128, 28, 28, 128, 10]; // W6
const TURN = 2; // batches of one timed fit()
const MARK = 8;
// The orthogonal matrix that is TensorFlow.js' default takes it seconds to draw.
const CELL = { recurrentActivation: values.gate, recurrentInitializer: "glorotNormal" };
const SAMPLES = 4 * B;

tf.env().set("WASM_HAS_MULTITHREAD_SUPPORT", false); // the engines below run on one thread too
wasm.setWasmPaths(new URL("../node_modules/@tensorflow/tfjs-backend-wasm/dist/", import.meta.url).pathname);
tf.env().set("PROD", true);
await tf.setBackend("wasm");

const ARMS = [
  { name: "tf.layers.lstm", engine: "", policy: undefined },
  { name: "gatesieve lstm", engine: "native", policy: "stochastic:0.98" },
  { name: "gatesieve lstm", engine: "native", policy: "dense" },
  { name: "gatesieve lstm", engine: "wasm", policy: "stochastic:0.98" },
  { name: "gatesieve lstm", engine: "wasm", policy: "dense" },
];

/** Rows of drawn images: a stroke for each class at a place of its own, with noise, so that there is something to learn. */
function data() {
  const labels = Array.from({ length: SAMPLES }, (_, s) => (s * 7) % V);
  let state = 1;
  const random = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  const pixels = new Float32Array(SAMPLES * T * I);
  for (let s = 0; s < SAMPLES; s++) {
    const [slope, shift] = [(labels[s] - 4.5) / 4, Math.floor(5 * random()) - 2];
    for (let t = 0; t < T; t++) {
      const column = Math.round(14 + shift + slope * (t - 14));
      for (let i = 0; i < I; i++)
        pixels[(s * T + t) * I + i] = (Math.abs(i - column) < 2 ? 1 : 0) + 0.5 * (random() - 0.5);
    }
  }
  return { x: tf.tensor3d(pixels, [SAMPLES, T, I]), y: tf.oneHot(tf.tensor1d(labels, "int32"), V).toFloat() };
}

async function build({ engine, policy }) {
  const library = engine ? await gatesieveLayers(tf, { engine, policy, seed: 1 }) : undefined;
  const model = tf.sequential();
  const layer = (library ?? tf.layers)[values.layer];
  model.add(layer({ units: H, inputShape: [T, I], ...CELL }));
  model.add(tf.layers.dense({ units: V, activation: "softmax" }));
  model.compile({ optimizer: tf.train.adam(2e-3), loss: "categoricalCrossentropy" });
  return { model, library };
}

const { x, y } = data();
const [slowX, slowY] = [x.slice(0, TURN * B), y.slice(0, TURN * B)];
const options = { batchSize: B, shuffle: false, verbose: 0, yieldEvery: "never" };
const fit = (model, epochs, inputs, targets) => model.fit(inputs, targets, { ...options, epochs });
const median = (list) => list.toSorted((a, b) => a - b)[list.length >> 1];

const arms = [];
for (const arm of ARMS) arms.push({ ...arm, ...(await build(arm)), times: [] });
const first = arms[0].model.getWeights().map((weight) => weight.clone());

const place = (kind) => new URL(`../docs/results/tfjs-layer.${kind}`, import.meta.url);
const stored = existsSync(place("json")) ? JSON.parse(readFileSync(place("json"), "utf8")) : {};
const found = { machine: machineName(), node: process.version, tfjs: tf.version.tfjs, ...stored };

const epochs = Number(values.epochs);
if (epochs > 0) {
  for (const arm of arms) {
    arm.model.setWeights(first);
    const { history } = await fit(arm.model, epochs, x, y);
    const seen = arm.library?.telemetry(arm.model)[0];
    arm.trained = { losses: history.loss, engine: seen?.engine, sparsity: seen?.sparsity };
    console.error(arm.engine ?? "tf", arm.policy ?? "", history.loss.at(-1));
  }
  found.epochs = epochs;
  found.trained = arms.map(({ trained }) => trained);
}

const turns = Number(values.steps) / TURN;
if (turns > 0) {
  for (const { model } of arms) await fit(model, 1, slowX, slowY);
  for (let turn = 0; turn < turns; turn++)
    for (const arm of arms) {
      const began = process.cpuUsage();
      await fit(arm.model, 1, slowX, slowY);
      const { user, system } = process.cpuUsage(began);
      arm.times.push((user + system) / 1000 / TURN);
    }
  const [theirs] = arms;
  found.date = new Date().toISOString().slice(0, 10);
  found.turns = turns;
  found.timed = arms.map(({ times }) => ({
    ms: median(times),
    times: median(theirs.times.map((ms, turn) => ms / times[turn])),
  }));
}

const text = found.trained && found.timed ? page(found) : JSON.stringify(found, null, 1);
console.log(text);
if (values.write) {
  writeFileSync(place("json"), `${JSON.stringify(found, null, 1)}\n`);
  if (found.trained && found.timed) writeFileSync(place("md"), text);
}

function page({ trained, timed, machine, node, tfjs, date, turns, epochs }) {
  const rows = ARMS.map((arm, at) => ({ ...arm, ...trained[at], ...timed[at], end: trained[at].losses.at(-1) }));
  const [theirs, native] = rows;
  const portable = rows.find(({ engine, policy }) => engine.startsWith("wasm") && policy !== "dense");
  const verdict = (row) => `${row.times.toFixed(1)} times: ${row.times >= MARK ? "reached" : "**missed**"}`;
  const gaps = (which) =>
    rows
      .slice(1)
      .filter(which)
      .map(({ end }) => Math.abs(end - theirs.end).toExponential(1));
  return `# An LSTM in fit() of TensorFlow.js, theirs and ours

A sequential model of LSTM(${H}) and a dense softmax of ${V}, on images of ${T} x ${I} row by row, batches of ${B} (the shape of W6), Adam at 2e-3,
${SAMPLES / B} batches an epoch of drawn strokes with noise. TensorFlow.js ${tfjs} on its wasm backend (SIMD), Node ${node}; one thread everywhere. A step is
all of fit(): copying, forward, loss, backward, update. recurrentActivation sigmoid in all arms.

Commands: \`node bench/tfjs-layer.mjs --write --steps 0\` for the losses, \`node bench/tfjs-layer.mjs --write --epochs 0\` for the times
Machine: ${machine}, a shared one; ${date}. CPU time of the process, medians of ${turns} turns of ${TURN} steps, arms in turns in one process; ratios of the same turn.

| layer | engine | policy | CPU ms a step | times as fast | loss of epoch 1 | of epoch ${epochs} | zeros, of them dropped |
|---|---|---|--:|--:|--:|--:|--:|
${rows
  .map((row) =>
    tableLine([
      row.name,
      row.engine ?? "",
      row.policy ?? "",
      row.ms.toFixed(1),
      `${row.times.toFixed(1)}x`,
      row.losses[0].toFixed(4),
      row.end.toFixed(4),
      row.sparsity ? `${(100 * row.sparsity.sparsity).toFixed(1)} %, ${(100 * row.sparsity.dropped).toFixed(1)} %` : "",
    ]),
  )
  .join("\n")}

* At least ${MARK} times as fast as TensorFlow.js on its wasm backend was asked for. Engine native, default policy: ${verdict(native)}. Engine wasm, default policy: ${verdict(portable)}.
* The last losses of the dense arms differ from theirs by ${gaps(({ policy }) => policy === "dense").join(" and ")}, those of the dropping arms by ${gaps(({ policy }) => policy !== "dense").join(" and ")}.
`;
}
