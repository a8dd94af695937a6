/**
 * One position at a time: our Stepper beside onnxruntime on the exported file of the same net, states fed back.
 *
 *   node bench/onnx-step.mjs [--steps N] [--runtime DIR]     DIR has onnxruntime-node in its node_modules
 *
 * Both sides in turns, blocks of N steps; medians of a block's mean, in microseconds a step. Each block's outputs are
 * compared first.
 */
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { loadEngine, Model, Stepper } from "../dist/index.js";
import "../dist/node.js";
import { encodeOnnx } from "../dist/formats/onnx.js";
import { onnxOfModel } from "../dist/formats/onnx-export.js";
import { median, printTable } from "./numbers.mjs";

const { values: options } = parseArgs({
  options: { steps: { type: "string", default: "200" }, runtime: { type: "string", default: "." } },
});
const STEPS = Number(options.steps);
const BLOCKS = 7;
const here = createRequire(join(resolve(options.runtime), "index.js"));
const runtimes = [];
for (const name of ["onnxruntime-node", "onnxruntime-web"])
  try {
    const loaded = await import(pathToFileURL(here.resolve(name)).href);
    runtimes.push({ name, ort: loaded.InferenceSession ? loaded : loaded.default });
  } catch {
    console.error(`${name} is not installed in ${options.runtime}`);
  }

/** Nets of the workloads W1, W2 and W8, and a small one; B lanes. */
const NETS = [
  { title: "lstm 2 x 128, 65 characters", cell: "lstm", H: 128, L: 2, V: 65, E: 0 },
  { title: "lstm 2 x 512, 65 characters", cell: "lstm", H: 512, L: 2, V: 65, E: 0 },
  { title: "gru 2 x 512, embedding 128", cell: "gru", H: 512, L: 2, V: 65, E: 128 },
  { title: "lstm 1 x 32, embedding 16", cell: "lstm", H: 32, L: 1, V: 65, E: 16 },
];

const rows = [];
for (const { title, cell, H, L, V, E } of NETS)
  for (const B of [1, 16]) {
    const input = { kind: "tokens", vocabulary: V, ...(E ? { embedding: E } : {}) };
    const output = { kind: "classes", size: V, positions: "all" };
    const spec = { input, cell, hiddenSize: H, numLayers: L, output };
    const tokens = (n, b) => (n * 7 + b * 3) % V;
    const sides = [];
    let file;
    for (const name of ["native", "wasm"]) {
      const model = new Model(await loadEngine(name), spec, { T: 1, B });
      model.initialize(1);
      const weights = new Map(model.parameters.map((each) => [each.name, each.value]));
      const weightOf = (key) => ({ shape: weights.get(key).shape, pieces: () => [weights.get(key).data] });
      file ??= encodeOnnx(onnxOfModel(spec, weightOf, { version: "bench" })).toBytes();
      const stepper = new Stepper(model, { batchSize: B });
      sides.push({
        name: `ours, ${name}`,
        async step(n) {
          for (let b = 0; b < B; b++) stepper.input[b] = tokens(n, b);
          return stepper.step();
        },
      });
    }
    for (const { name, ort } of runtimes) {
      if (ort.env.wasm) ort.env.wasm.numThreads = 1;
      const session = await ort.InferenceSession.create(file, { intraOpNumThreads: 1, interOpNumThreads: 1 });
      const states = cell === "lstm" ? ["h", "c"] : ["h"];
      const zeros = () => new ort.Tensor("float32", new Float32Array(L * B * H), [L, B, H]);
      let feeds = Object.fromEntries(states.map((state) => [`${state}0`, zeros()]));
      const data = new BigInt64Array(B);
      sides.push({
        name,
        async step(n) {
          for (let b = 0; b < B; b++) data[b] = BigInt(tokens(n, b));
          const said = await session.run({ tokens: new ort.Tensor("int64", data, [1, B]), ...feeds });
          feeds = Object.fromEntries(states.map((state) => [`${state}0`, said[`${state}n`]]));
          return said.output.data;
        },
      });
    }
    const times = sides.map(() => []);
    let n = 0;
    for (let block = 0; block <= BLOCKS; block++) {
      const first = [];
      for (const [index, { step }] of sides.entries()) {
        const out = Float32Array.from(await step(n));
        first.push(out);
        const began = process.hrtime.bigint();
        for (let i = 1; i < STEPS; i++) await step(n + i);
        if (block > 0) times[index].push(Number(process.hrtime.bigint() - began) / 1000 / (STEPS - 1));
      }
      n += STEPS;
      for (const out of first)
        if (out.some((value, i) => !(Math.abs(value - first[0][i]) < 1e-4))) throw new Error(`${title}: sides differ`);
    }
    const medians = times.map(median);
    rows.push([title, B, ...medians.map((us) => us.toFixed(us < 100 ? 1 : 0)), (medians[2] / medians[0]).toFixed(2)]);
    console.error(rows.at(-1).join("  "));
    rows.head ??= ["net", "B", ...sides.map((side) => side.name), "onnxruntime / ours"];
  }
printTable(rows.head, rows);
