// A model of TensorFlow.js with its own LSTM, then with Gatesieve's: one line differs. Both train on the same batches from
// the same weights; fit() is timed before and after: node examples/tfjs-switch.mjs
import assert from "node:assert/strict";
import { gatesieveLayers } from "gatesieve/tfjs";
import "gatesieve/node"; // in Node: engine native, where it is built

const tf = await import("@tensorflow/tfjs").catch(() => {
  console.log("@tensorflow/tfjs is not installed: nothing to compare with. npm install @tensorflow/tfjs");
  process.exit(0);
});
const [samples, T, I, H, classes] = [128, 14, 14, 48, 4];

// Sequences of noise with a wave in it; the class is its length.
const label = (s) => s % classes;
const x = tf.tensor3d(
  Float32Array.from({ length: samples * T * I }, (_, at) => {
    const [s, t, i] = [Math.floor(at / (T * I)), Math.floor(at / I) % T, at % I];
    return Math.sin(((label(s) + 1) * t) / 3 + s) + 0.3 * Math.sin(37 * at + i);
  }),
  [samples, T, I],
);
const labels = Int32Array.from({ length: samples }, (_, s) => label(s));
const y = tf.oneHot(labels, classes);

async function train(layers, weights) {
  const { lstm } = layers; // everything below is the same for both
  const model = tf.sequential();
  model.add(lstm({ units: H, inputShape: [T, I], recurrentActivation: "sigmoid" }));
  model.add(tf.layers.dense({ units: classes, activation: "softmax" }));
  model.compile({ optimizer: tf.train.adam(0.005), loss: "categoricalCrossentropy" });
  if (weights) model.setWeights(weights);
  const start = model.getWeights().map((weight) => weight.clone());
  const options = { batchSize: 64, shuffle: false, verbose: 0 };
  const { history } = await model.fit(x, y, { ...options, epochs: 3 });
  const began = performance.now();
  await model.fit(x, y, { ...options, epochs: 1 });
  return { model, start, loss: history.loss.at(-1), ms: (performance.now() - began) / 2 };
}

const before = await train(tf.layers);
const layers = await gatesieveLayers(tf); // <- the line: in place of tf.layers
const after = await train(layers, before.start);

const [{ engine, policy, sparsity }] = layers.telemetry(after.model);
console.log(
  `tf.layers.lstm, backend ${tf.getBackend()}: ${before.ms.toFixed(0)} ms a step, loss ${before.loss.toFixed(3)}`,
);
console.log(`gatesieve, ${engine}, ${policy}: ${after.ms.toFixed(1)} ms a step, loss ${after.loss.toFixed(3)}`);
console.log(`${(before.ms / after.ms).toFixed(1)} times as fast`);
assert(sparsity.dropped > 0.1, "nothing was dropped");
assert(Math.abs(before.loss - after.loss) < 0.15 * before.loss, "another loss than TensorFlow.js' own layer");
const [ours, theirs] = [after.model, await layers.toTensorFlow(after.model)].map((model) =>
  model.predict(x).dataSync(),
);
assert(
  ours.every((value, at) => Math.abs(value - theirs[at]) < 1e-4),
  "another function than TensorFlow.js' own layer",
);
