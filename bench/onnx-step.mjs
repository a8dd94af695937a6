/**
 * The page docs/results/onnx-step: one position at a time, our Stepper beside onnxruntime on the exported file of the same
 * net, states fed back. All sides in turns, blocks of so many steps in a row; before each block what they say is compared.
 */
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { loadEngine, Model, Stepper } from "../dist/index.js";
import "../dist/node.js"; // engine native
import { encodeOnnx } from "../dist/formats/onnx.js";
import { onnxOfModel, statesOf } from "../dist/formats/onnx-export.js";
import { median } from "./numbers.mjs";
import { machineName, tableLine } from "./report.mjs";
import { BenchError } from "./step.mjs";

const BLOCKS = 7;
const WARM_MS = 400; // of each side, before its first block: a small net's code is compiled by then
const RUNTIMES = ["onnxruntime-node", "onnxruntime-web"];
const ENGINES = ["native", "wasm"];
/** What the sides may differ by: float32, sums in another order. */
const BOUND = 1e-4;

/** Nets of the workloads W1 and W2, one with an embedding, and a small one; each with one lane and with several. */
const NETS = [
  { title: "lstm 1 x 32, embedding 16", cell: "lstm", H: 32, L: 1, V: 65, E: 16 },
  { title: "lstm 2 x 128, one-hot 65", cell: "lstm", H: 128, L: 2, V: 65, E: 0 },
  { title: "lstm 2 x 512, one-hot 65", cell: "lstm", H: 512, L: 2, V: 65, E: 0 },
  { title: "gru 2 x 512, embedding 128", cell: "gru", H: 512, L: 2, V: 65, E: 128 },
];
const LANES = [1, 16];

/** Rows { title, B, us: { side: microseconds a step } }, and the versions that were run. */
export async function onnxStepRows({ folder, steps, note }) {
  const runtimes = await runtimesIn(folder, note);
  const rows = [];
  for (const net of NETS)
    for (const B of LANES) {
      const us = await timed(await sidesOf(net, B, runtimes), steps, net.title);
      rows.push({ title: net.title, B, us });
      note(`${net.title}, B ${B}: ${Object.entries(us).map(([side, each]) => `${side} ${each.toFixed(1)} us`).join(", ")}`); // biome-ignore format: a call
    }
  return { rows, steps, versions: runtimes.map(({ name, ort }) => `${name} ${ort.env.versions.common}`) };
}

/** Installed in `folder`, or beside this package. */
async function runtimesIn(folder, note) {
  const found = [];
  for (const name of RUNTIMES)
    for (const at of [resolve(folder), fileURLToPath(new URL(".", import.meta.url))]) {
      if (found.some((each) => each.name === name)) break;
      try {
        const loaded = await import(pathToFileURL(createRequire(join(at, "index.js")).resolve(name)).href);
        const ort = loaded.InferenceSession ? loaded : loaded.default;
        if (ort.env.wasm) ort.env.wasm.numThreads = 1;
        found.push({ name, ort });
      } catch {
        // not there, or without its binary
      }
    }
  if (!found.some(({ name }) => name === RUNTIMES[0]))
    note(`${RUNTIMES[0]} is not in ${folder}: npm install --ignore-scripts ${RUNTIMES[0]} there, and give --runtime.`);
  if (found.length === 0) throw new BenchError(`no onnxruntime in ${folder}, nor beside this package.`);
  return found;
}

/** Each { name, step(n) }: what the net says after token n of each lane. */
async function sidesOf({ cell, H, L, V, E }, B, runtimes) {
  const input = { kind: "tokens", vocabulary: V, ...(E ? { embedding: E } : {}) };
  const spec = { input, cell, hiddenSize: H, numLayers: L, output: { kind: "classes", size: V, positions: "all" } };
  const token = (n, b) => (n * 7 + b * 3) % V;
  const sides = [];
  let file;
  for (const name of ENGINES) {
    const model = new Model(await loadEngine(name), spec, { T: 1, B });
    model.initialize(1);
    const weights = new Map(model.parameters.map((each) => [each.name, each.value]));
    const weightOf = (key) => ({ shape: weights.get(key).shape, pieces: () => [weights.get(key).data] });
    file ??= encodeOnnx(onnxOfModel(spec, weightOf, { version: "bench" })).toBytes();
    const stepper = new Stepper(model, { batchSize: B });
    sides.push({
      name: `gatesieve, ${name}`,
      async step(n) {
        for (let b = 0; b < B; b++) stepper.input[b] = token(n, b);
        return stepper.step();
      },
    });
  }
  for (const { name, ort } of runtimes) {
    const session = await ort.InferenceSession.create(file, { intraOpNumThreads: 1, interOpNumThreads: 1 });
    const states = statesOf(spec);
    const zeros = () => new ort.Tensor("float32", new Float32Array(L * B * H), [L, B, H]);
    let feeds = Object.fromEntries(states.map((state) => [`${state}0`, zeros()]));
    const data = new BigInt64Array(B);
    sides.push({
      name,
      async step(n) {
        for (let b = 0; b < B; b++) data[b] = BigInt(token(n, b));
        const said = await session.run({ tokens: new ort.Tensor("int64", data, [1, B]), ...feeds });
        feeds = Object.fromEntries(states.map((state) => [`${state}0`, said[`${state}n`]]));
        return said.output.data;
      },
    });
  }
  return sides;
}

async function timed(sides, steps, title) {
  const times = sides.map(() => []);
  // All take as many steps, so that their states are the same.
  let n = 0;
  for (let all = 0; all < WARM_MS * sides.length; n += steps) {
    const began = performance.now();
    for (const { step } of sides) for (let i = 0; i < steps; i++) await step(n + i);
    all += performance.now() - began;
  }
  for (let block = 0; block < BLOCKS; block++, n += steps) {
    const said = [];
    for (const [index, { step }] of sides.entries()) {
      said.push(Float32Array.from(await step(n)));
      const began = process.hrtime.bigint();
      for (let i = 1; i < steps; i++) await step(n + i);
      times[index].push(Number(process.hrtime.bigint() - began) / 1000 / (steps - 1));
    }
    for (const [index, out] of said.entries())
      if (!out.every((value, i) => Math.abs(value - said[0][i]) < BOUND))
        throw new BenchError(`${title}: ${sides[index].name} and ${sides[0].name} say different things.`);
  }
  return Object.fromEntries(sides.map(({ name }, index) => [name, median(times[index])]));
}

export function onnxStepPage({ command, found: { rows, steps, versions }, notes, date }) {
  const sides = Object.keys(rows[0].us);
  const [ours, portable] = ENGINES.map((name) => `gatesieve, ${name}`);
  const theirs = sides.filter((side) => RUNTIMES.includes(side));
  const pairs = theirs.map((side) => (side === RUNTIMES[0] ? [side, ours] : [side, portable]));
  const times = (us, [side, own]) => us[side] / us[own];
  const text = (us) => us.toFixed(us < 100 ? 1 : 0);
  const ratios = pairs.map((pair) => rows.map(({ us }) => times(us, pair)));
  return `# One position at a time, beside onnxruntime

A net that is asked for one position after the other, its states fed back: \`Stepper.step()\` here; there \`session.run\` of the file that
\`export --format onnx\` writes of the same net, with the states it returned. Microseconds a step, the call and its copies included; B lanes
at once. Before each block all sides said the same within ${BOUND}.

Command: \`${command}\`, where DIR has seen \`npm install --ignore-scripts onnxruntime-node\`
Machine: ${machineName()}; ${versions.join(", ")}, Node ${process.version}; one thread everywhere; ${date}. Medians of ${BLOCKS} blocks of ${steps} steps, sides in turns in one process.

| net | B | ${sides.map((side) => `${side}, us`).join(" | ")} | ${pairs.map((pair) => pair.join(" / ")).join(" | ")} |
|---|--:|${sides.map(() => "--:|").join("")}${pairs.map(() => "--:|").join("")}
${rows
  .map(({ title, B, us }) =>
    tableLine([
      title,
      B,
      ...sides.map((side) => text(us[side])),
      ...pairs.map((pair) => `${times(us, pair).toFixed(2)}x`),
    ]),
  )
  .join("\n")}

${pairs.map(([side, own], at) => `* ${side} needs ${Math.min(...ratios[at]).toFixed(2)} to ${Math.max(...ratios[at]).toFixed(2)} times as long as ${own}.`).join("\n")}
* Of onnxruntime's time a part is its call from JavaScript: a promise, and tensors made anew at each step. Both are what a program that goes step by step pays.
${notes.map((note) => `* ${note}\n`).join("")}`;
}
