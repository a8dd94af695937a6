/**
 * TensorFlow.js on its wasm backend: the same full step, written by hand with its best-known pieces
 * (LSTM layers of tf.layers run the input product at every t and cannot clip by the global norm).
 * x W for all T at once, gates split from one product at each t, gradients by tf.variableGrads.
 * One bias a layer: a second one would only make it slower.
 */
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import * as tf from "@tensorflow/tfjs";
import * as wasm from "@tensorflow/tfjs-backend-wasm";
import { drawBatches, LARGEST_TABLE, random, uniform } from "./data.mjs";

const CLIP = 5;
const LEARNING_RATE = 0.1;

/** The wasm backend has no gradient of gather (UnsortedSegmentSum): a table costs a one-hot product. */
export function whyNot({ input }) {
  if (input.embedding && input.tokens > LARGEST_TABLE)
    return `its wasm backend has no gradient of gather, and a one-hot product with ${input.tokens} rows would be no comparison`;
}

export async function start(workload, { threads, seed }) {
  const require = createRequire(import.meta.url);
  wasm.setWasmPaths(`${join(dirname(require.resolve("@tensorflow/tfjs-backend-wasm/package.json")), "dist")}/`);
  wasm.setThreadsCount(threads);
  await tf.setBackend("wasm");
  await tf.ready();

  const { input, layers, H, V, B, T, positions, carried } = workload;
  const next = random(seed);
  const weight = (rows, cols) => tf.variable(tf.tensor2d(uniform(next, rows * cols, H), [rows, cols]));
  const bias = (cols) => tf.variable(tf.tensor1d(uniform(next, cols, H)));
  const width = input.oneHot ?? input.embedding ?? input.features;
  const table = input.embedding ? weight(input.tokens, input.embedding) : undefined;
  const cells = Array.from({ length: layers }, (_, layer) => ({
    W: weight(layer === 0 ? width : H, 4 * H),
    U: weight(H, 4 * H),
    b: bias(4 * H),
  }));
  const head = { W: weight(H, V), b: bias(V) };
  const variables = [...(table ? [table] : []), ...cells.flatMap(({ W, U, b }) => [W, U, b]), head.W, head.b];

  let states = cells.map(() => ({ h: tf.zeros([B, H]), c: tf.zeros([B, H]) }));
  let ended = [];

  /** (T*B, I) to (T*B, H), or to the last t alone. */
  function layerForward({ W, U, b }, x, { h, c }, lastOnly) {
    const xs = tf.unstack(
      x
        .matMul(W)
        .add(b)
        .reshape([T, B, 4 * H]),
      0,
    );
    const hs = [];
    for (let t = 0; t < T; t++) {
      const [i, f, g, o] = tf.split(xs[t].add(h.matMul(U)), 4, 1);
      c = f.sigmoid().mul(c).add(i.sigmoid().mul(g.tanh()));
      h = o.sigmoid().mul(c.tanh());
      hs.push(h);
    }
    ended.push({ h: tf.keep(h.clone()), c: tf.keep(c.clone()) });
    return lastOnly ? h : tf.concat(hs, 0);
  }

  function loss({ x, targets }) {
    let rows = input.features
      ? tf.tensor2d(x, [T * B, input.features])
      : table
        ? tf.oneHot(tf.tensor1d(x, "int32"), input.tokens).toFloat().matMul(table)
        : tf.oneHot(tf.tensor1d(x, "int32"), input.oneHot).toFloat();
    ended = [];
    for (const [layer, cell] of cells.entries())
      rows = layerForward(cell, rows, states[layer], positions === "last" && layer === layers - 1);
    const logits = rows.matMul(head.W).add(head.b);
    return tf.losses.softmaxCrossEntropy(tf.oneHot(tf.tensor1d(targets, "int32"), V).toFloat(), logits).asScalar();
  }

  const batches = drawBatches(workload, seed);
  let at = 0;
  return {
    version: tf.version.tfjs,
    engine: "wasm",
    isa: (await tf.env().getAsync("WASM_HAS_SIMD_SUPPORT")) ? "simd128" : "scalar",
    threads: (await tf.env().getAsync("WASM_HAS_MULTITHREAD_SUPPORT")) ? wasm.getThreadsCount() : 1,
    step() {
      const batch = batches[at];
      at = (at + 1) % batches.length;
      const value = tf.tidy(() => {
        const { value, grads } = tf.variableGrads(() => loss(batch), variables);
        const gradients = variables.map(({ name }) => grads[name]);
        const squares = gradients.map((gradient) => gradient.square().sum());
        const norm = tf.addN(squares).sqrt();
        const rate = tf.minimum(1, tf.div(CLIP, norm.add(1e-6))).mul(LEARNING_RATE);
        for (const [v, variable] of variables.entries()) variable.assign(variable.sub(gradients[v].mul(rate)));
        return value.dataSync()[0];
      });
      if (carried) {
        tf.dispose(states);
        states = ended;
      } else tf.dispose(ended);
      return value;
    },
  };
}
