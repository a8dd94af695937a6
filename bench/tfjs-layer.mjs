/**
 * The page docs/results/tfjs-layer: fit() of TensorFlow.js with its own recurrent layers and with ours, of the shape of W6.
 *
 * One process, one backend (wasm, one thread). All arms begin with the same weights and see the same batches: first a whole
 * training for the losses, then timed turns. A turn is one fit() over two batches, arms in turns, medians. Times are CPU time
 * of the process, so that work beside it on a shared machine counts less.
 */
import * as tf from "@tensorflow/tfjs";
import * as wasm from "@tensorflow/tfjs-backend-wasm";
import { gatesieveLayers } from "../dist/tfjs/index.js";
import "../dist/node.js"; // engine native
import { median } from "./numbers.mjs";
import { machineName, tableLine } from "./report.mjs";

const [B, T, I, H, V] = [128, 28, 28, 128, 10]; // W6
const TURN = 2; // batches of one timed fit()
/** The default policy should be so many times as fast as tf.layers.lstm, whose gates are sigmoids. */
const MARK = { times: 8, variant: "lstm sigmoid" };
const SAMPLES = 4 * B;
const EPOCHS = 4;

/** "layer recurrentActivation"; hardSigmoid is TensorFlow.js' default. */
export const TFJS_VARIANTS = ["lstm sigmoid", "lstm hardSigmoid", "gru sigmoid", "gru hardSigmoid"];

const ARMS = [
  { own: false, engine: "", policy: "" },
  { own: true, engine: "native", policy: "stochastic:0.98" },
  { own: true, engine: "native", policy: "dense" },
  { own: true, engine: "wasm", policy: "stochastic:0.98" },
  { own: true, engine: "wasm", policy: "dense" },
];

/** A row { variant, turns, epochs, arms } with ms and losses of each arm. */
export async function tfjsLayerRow({ variant, steps, note }) {
  tf.env().set("WASM_HAS_MULTITHREAD_SUPPORT", false); // the engines below run on one thread too
  wasm.setWasmPaths(new URL("../node_modules/@tensorflow/tfjs-backend-wasm/dist/", import.meta.url).pathname);
  tf.env().set("PROD", true);
  await tf.setBackend("wasm");

  const { x, y } = data();
  const [timedX, timedY] = [x.slice(0, TURN * B), y.slice(0, TURN * B)];
  const options = { batchSize: B, shuffle: false, verbose: 0, yieldEvery: "never" };
  const fit = (model, epochs, inputs, targets) => model.fit(inputs, targets, { ...options, epochs });
  const arms = [];
  for (const arm of ARMS) arms.push({ ...arm, ...(await build(variant, arm)), times: [] });
  const first = arms[0].model.getWeights().map((weight) => weight.clone());
  for (const arm of arms) {
    arm.model.setWeights(first);
    const { history } = await fit(arm.model, EPOCHS, x, y);
    const seen = arm.library?.telemetry(arm.model)[0];
    Object.assign(arm, { losses: history.loss, sparsity: seen?.sparsity, engine: seen?.engine ?? "" });
    note(`${variant}, ${arm.engine || "TensorFlow.js"} ${arm.policy}: loss ${history.loss.at(-1).toFixed(4)}`);
  }
  const turns = Math.ceil(steps / TURN);
  for (let turn = 0; turn < turns; turn++)
    for (const arm of arms) {
      const began = process.cpuUsage();
      await fit(arm.model, 1, timedX, timedY);
      const { user, system } = process.cpuUsage(began);
      arm.times.push((user + system) / 1000 / TURN);
    }
  const [theirs] = arms;
  const rows = arms.map(({ own, engine, policy, times, losses, sparsity }) => ({
    ...{ own, engine, policy, ms: median(times), losses, sparsity },
    times: median(theirs.times.map((ms, turn) => ms / times[turn])),
  }));
  tf.disposeVariables();
  return { variant, turns, epochs: EPOCHS, tfjs: tf.version.tfjs, node: process.version, arms: rows };
}

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

async function build(variant, { own, engine, policy }) {
  const [layer, recurrentActivation] = variant.split(" ");
  const library = own ? await gatesieveLayers(tf, { engine, policy, seed: 1 }) : undefined;
  const model = tf.sequential();
  // The orthogonal matrix that is TensorFlow.js' default takes it seconds to draw.
  const cell = { recurrentActivation, recurrentInitializer: "glorotNormal" };
  model.add((library ?? tf.layers)[layer]({ units: H, inputShape: [T, I], ...cell }));
  model.add(tf.layers.dense({ units: V, activation: "softmax" }));
  model.compile({ optimizer: tf.train.adam(2e-3), loss: "categoricalCrossentropy" });
  return { model, library };
}

/** Rows of an earlier page with one of now in place of its variant's, in the page's order. */
export function mergeVariants(before, now) {
  const rank = ({ variant }) => TFJS_VARIANTS.indexOf(variant);
  return [...before.filter(({ variant }) => variant !== now.variant), now].sort((a, b) => rank(a) - rank(b));
}

export function tfjsLayerPage({ rows }) {
  const [{ tfjs, node, turns }] = rows;
  return `# Recurrent layers in fit() of TensorFlow.js, theirs and ours

A sequential model of one layer of ${H} units and a dense softmax of ${V}, on images of ${T} x ${I} row by row, batches of ${B} (the shape of W6), Adam at
2e-3, ${SAMPLES / B} batches an epoch of drawn strokes with noise. TensorFlow.js ${tfjs} on its wasm backend (SIMD), Node ${node}; one thread
everywhere. A step is all of fit(): copying, forward, loss, backward, update. What a layer runs on: [in TensorFlow.js](../tensorflow-js.md).

Commands: \`npm run bench -- tfjs-layer\`, or one section: \`npm run bench -- tfjs-layer --variant "gru hardSigmoid"\`
Machine: ${machineName()}, a shared one. CPU time of the process, medians of ${turns} turns of ${TURN} steps, arms in turns in one process; ratios of the same turn.

${rows.map(section).join("\n")}`;
}

function section({ variant, date, epochs, arms, notes }) {
  const [theirs] = arms;
  const [layer, gate] = variant.split(" ");
  const verdict = ({ times }) =>
    variant === MARK.variant ? `${times.toFixed(1)} times: ${times >= MARK.times ? "reached" : "**missed**"}` : `${times.toFixed(1)} times`; // biome-ignore format: a choice
  const found = (name) => arms.find(({ own, engine, policy }) => own && engine.startsWith(name) && policy !== "dense");
  const gaps = (which) =>
    arms
      .slice(1)
      .filter(which)
      .map(({ losses }) => Math.abs(losses.at(-1) - theirs.losses.at(-1)).toExponential(1));
  const asked = variant === MARK.variant ? `; at least ${MARK.times} asked for` : "";
  return `## ${layer}, recurrentActivation ${gate}

Timed ${date}.

| layer | engine | policy | CPU ms a step | times as fast | loss of epoch 1 | of epoch ${epochs} | zeros, of them dropped |
|---|---|---|--:|--:|--:|--:|--:|
${arms
  .map(({ own, engine, policy, ms, times, losses, sparsity }) =>
    tableLine([
      own ? `gatesieve ${layer}` : `tf.layers.${layer}`,
      engine,
      policy,
      ms.toFixed(1),
      `${times.toFixed(1)}x`,
      losses[0].toFixed(4),
      losses.at(-1).toFixed(4),
      sparsity ? `${(100 * sparsity.sparsity).toFixed(1)} %, ${(100 * sparsity.dropped).toFixed(1)} %` : "",
    ]),
  )
  .join("\n")}

* Default policy beside TensorFlow.js on its wasm backend${asked}. Engine native: ${verdict(found("native"))}; engine wasm: ${verdict(found("wasm"))}.
* The last losses of the dense arms differ from theirs by ${gaps(({ policy }) => policy === "dense").join(" and ")}, those of the dropping arms by ${gaps(({ policy }) => policy !== "dense").join(" and ")}.
${notes.map((note) => `* ${note}\n`).join("")}`;
}
