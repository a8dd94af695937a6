/** Nets whose weights do not tell what they are, as people meet them: trained, scored, sampled, asked, exported and trained on. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { RandomStream } from "../core/random.ts";
import { predict } from "../train/predict.ts";
import { sampleText } from "../train/sample.ts";
import { readPredictionInputs } from "./data-predict.ts";
import { exportFolder, weightsOfRun } from "./export.ts";
import { loadConfigFrom } from "./from.ts";
import { importModel } from "./import.ts";
import { createRun, evaluateRun, openModel, type Run } from "./run.ts";
import { readRun } from "./store.ts";

const folder = mkdtempSync(join(tmpdir(), "gatesieve-nets-"));
const runsDir = join(folder, "runs");
afterAll(() => rmSync(folder, { recursive: true }));

async function trained(overrides: readonly string[]): Promise<Run> {
  const run = await createRun({ config: loadConfigFrom({ overrides }), runsDir });
  for (const _ of run.events());
  return run;
}

describe("a causal transformer on text", () => {
  const settings = [
    ...["model.net=transformer", "model.hiddenSize=16", "model.embedding=16", "model.numHeads=2", "model.numLayers=1"],
    ...["train.batchSize=10", "train.sequenceLength=12", "train.maxSteps=150", "train.learningRate=0.01"],
    ...["train.telemetryEverySteps=50", "train.probeEverySteps=100"],
  ];
  let run: Run;
  beforeAll(async () => {
    // After "x" comes what stood two places before it: to know it, a net must look back.
    const coin = new RandomStream(1, "coin");
    let text = "xaxb";
    while (text.length < 4000) text += coin.below(8) ? `x${text.at(-3)}` : `x${"ab"[coin.below(2)]}`;
    writeFileSync(join(folder, "text.txt"), text);
    run = await trained([`task.text=${join(folder, "text.txt")}`, ...settings]);
  });

  test("learns what needs a look back, and drops on the way", () => {
    const summary = readRun(run.dir);
    expect(summary.testLoss).toBeLessThan(0.3); // an even coin at every other place: 0.35
    expect(summary.dropped).toBeGreaterThan(0.05);
    expect(summary.macsSkippedAll).toBeGreaterThan(0.05);
  });

  test("writes text far longer than its positions, the same from the opened model", async () => {
    const options = { prime: "xaxbxaxb", length: 100, seed: 4 };
    const text = sampleText(run.model, run.task, options);
    expect(text).toMatch(/^(x[ab])+$/);
    const { model, task } = await openModel(runsDir, run.info.id, { T: 12, B: 1, engine: "js" });
    expect(sampleText(model, task, { ...options, length: 40 })).toBe(text.slice(0, 40));
    const window = (prime: string) => sampleText(model, task, { prime, length: 20, temperature: 0 });
    expect(window(`${"xa".repeat(20)}xbxbxbxbxbxb`)).toBe(window("xbxbxbxbxbxb")); // twelve are all it sees
  });

  test("comes back from an exported folder, and is trained on there with shorter sequences, not with longer", async () => {
    const out = join(folder, "exported");
    exportFolder(await weightsOfRun(runsDir, run.info.id), out);
    const { dir } = await importModel({ source: out, runsDir, settings: [`task.text=${join(folder, "text.txt")}`] });
    const opened = await openModel(runsDir, dir, {});
    expect(opened.config.model).toMatchObject({ net: "transformer", positions: 12 });
    const shape = { T: 12, B: 10 };
    const scored = evaluateRun(await openModel(runsDir, dir, shape)).loss;
    expect(scored).toBeCloseTo(readRun(run.dir).testLoss as number, 6);

    const more = [`from=${out}`, `task.text=${join(folder, "text.txt")}`, "train.batchSize=10", "train.maxSteps=1"];
    const on = await trained([...more, "train.sequenceLength=8"]);
    expect(readRun(on.dir).testLoss).toBeLessThan(0.4);
    await expect(trained([...more, "train.sequenceLength=20"])).rejects.toThrow("learned positions for 12");
  });
});

test("a recurrent net with norms, which its weights do not tell, comes back from an exported folder", async () => {
  const net = ["model.numLayers=2", "model.hiddenSize=6", "model.residual=true", "model.layerNorm=true"];
  const run = await trained(["task.name=adding", ...net, "train.maxSteps=3", "train.sequenceLength=8"]);
  const out = join(folder, "norms");
  exportFolder(await weightsOfRun(runsDir, run.info.id), out);
  const { dir } = await importModel({ source: out, runsDir, settings: [] });
  const [first, again] = [await openModel(runsDir, run.info.id), await openModel(runsDir, dir)];
  expect(again.config.model).toMatchObject({ residual: true, layerNorm: true });
  const numbers = ({ model }: typeof first) => model.parameters.map(({ name, value }) => [name, [...value.data]]);
  expect(numbers(again)).toEqual(numbers(first));
});

test("an mlp on whole images: trained, scored, and asked about an IDX file", async () => {
  const images = join(folder, "images");
  mkdirSync(images);
  const random = new RandomStream(2, "images");
  const idx = (sizes: readonly number[], bytes: readonly number[]) => {
    const head = Buffer.alloc(4 + 4 * sizes.length);
    head.writeUInt32BE(0x800 + sizes.length);
    for (const [d, size] of sizes.entries()) head.writeUInt32BE(size, 4 + 4 * d);
    return Buffer.concat([head, Buffer.from(bytes)]);
  };
  for (const [name, count] of [
    ["train", 360],
    ["t10k", 60],
  ] as const) {
    // Class 1: corners alike, class 0: corners unlike, which no linear net can tell.
    const labels = Array.from({ length: count }, () => random.below(2));
    const pixels = labels.flatMap((label) => {
      const corner = random.below(2);
      const other = label === 1 ? corner : 1 - corner;
      return [corner, 0, 0, 0, 0, 0, 0, 0, other].map((bit) => 200 * bit + random.below(50));
    });
    writeFileSync(join(images, `${name}-images-idx3-ubyte`), idx([count, 3, 3], pixels));
    writeFileSync(join(images, `${name}-labels-idx1-ubyte`), idx([count], labels));
  }
  const run = await trained([
    ...["task.name=classification", `task.data=${images}`, "task.order=flat", "model.net=mlp", "model.hiddenSize=16"],
    ...["train.batchSize=20", "train.maxSteps=120", "train.learningRate=0.02"],
  ]);
  expect(readRun(run.dir).testScores?.accuracy).toBeGreaterThan(0.95);
  const { model, task } = await openModel(runsDir, run.info.id, { T: 1, B: 7 });
  const { inputs } = readPredictionInputs(task, run.config.task, join(images, "t10k-images-idx3-ubyte"));
  const answers = [...predict(model, task, inputs)];
  expect(answers.length).toBe(60);
  expect(["0", "1"]).toContain(answers[0]?.label);
});
