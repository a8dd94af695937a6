/** Runs of task word, from configuration to sample, on a language of a few sentences. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { GatesieveError } from "../core/check.ts";
import { RandomStream } from "../core/random.ts";
import { sampleText } from "../train/sample.ts";
import { loadConfig } from "./config.ts";
import { createRun, evaluateRun, openModel, type Run, resumeRun } from "./run.ts";

const folder = mkdtempSync(join(tmpdir(), "gatesieve-word-"));
const runsDir = join(folder, "runs");
afterAll(() => rmSync(folder, { recursive: true }));

/** "the cat/dog saw/heard a/the cat/dog", each a fair coin: ln 2 for 4 words of the 6, with the line's end. */
const coin = new RandomStream(1, "coin");
const either = (a: string, b: string) => (coin.below(2) ? a : b);
const sentences = (count: number) =>
  Array.from(
    { length: count },
    () => `the ${either("cat", "dog")} ${either("saw", "heard")} ${either("a", "the")} ${either("cat", "dog")}\n`,
  ).join("");
const path = (name: string) => join(folder, name);
const SETTINGS = [
  "task.name=word",
  "task.tokenizer=spaces",
  "task.vocabulary=50",
  "model.numLayers=1",
  "model.hiddenSize=16",
  "model.embedding=8",
  "train.batchSize=10",
  "train.sequenceLength=12",
  "train.maxSteps=200",
  "train.learningRate=0.02",
];
const BEST = (4 * Math.LN2) / 6;
let run: Run;

beforeAll(async () => {
  writeFileSync(path("train.txt"), sentences(600));
  writeFileSync(path("valid.txt"), sentences(100));
  writeFileSync(path("test.txt"), `${"the fish saw a cat\n".repeat(5)}${sentences(100)}`);
  const files = [`task.validText=${path("valid.txt")}`, `task.testText=${path("test.txt")}`];
  const config = loadConfig({
    file: path("train.txt"),
    overrides: [...SETTINGS, ...files, "headPolicy=stochastic:0.99"],
  });
  run = await createRun({ config, runsDir });
  for (const _ of run.events());
});

test("learns the grammar from three files, down to the coins", () => {
  const { validLoss, testLoss, testScores, lossUnit, vocabularySize } = run.summary()!;
  expect([lossUnit, vocabularySize]).toEqual(["nats/word", 8]);
  expect(run.task.vocabulary?.slice().sort()).toEqual(["<eos>", "<unk>", "a", "cat", "dog", "heard", "saw", "the"]);
  expect(validLoss).toBeGreaterThan(BEST - 0.05); // 1,200 coins: 5 standard errors of their mean surprise
  expect(validLoss).toBeLessThan(BEST + 0.05);
  expect(testLoss).toBeGreaterThan(validLoss!); // five unknown words
  expect(testScores.perplexity).toBeCloseTo(Math.exp(testLoss!), 9);
});

test("writes sentences, from their start or going on from a prime", () => {
  const text = sampleText(run.model, run.task, { length: 60 });
  const lines = text.trim().split("\n").slice(0, -1);
  expect(lines.length).toBeGreaterThan(5);
  const right = lines.filter((line) => /^the (cat|dog) (saw|heard) (a|the) (cat|dog)$/.test(line));
  expect(right.length / lines.length).toBeGreaterThan(0.8);
  expect(sampleText(run.model, run.task, { prime: "the dog saw a", length: 1 })).toMatch(/^(cat|dog)$/);
  expect(() => sampleText(run.model, run.task, { prime: "the fish" })).toThrow(
    /^prime: "fish" not among the 7 words this model knows\./,
  );
});

test("opens again: the same test loss, another text with this vocabulary, samples without the text", async () => {
  const opened = await openModel(runsDir, run.id);
  expect(evaluateRun(opened).loss).toBeCloseTo(run.summary()!.testLoss!, 9);
  writeFileSync(path("other.txt"), "a cow sees\n".repeat(200));
  const other = await openModel(runsDir, run.id, { text: path("other.txt") });
  expect(other.task.vocabulary).toEqual(run.task.vocabulary);
  expect(evaluateRun(other).loss).toBeGreaterThan(2);
  const valid = readFileSync(path("valid.txt"));
  writeFileSync(path("valid.txt"), "changed");
  const without = await openModel(runsDir, run.id, { T: 1, B: 1 });
  expect(sampleText(without.model, without.task, { length: 9 })).toBe(sampleText(run.model, run.task, { length: 9 }));
  expect(() => evaluateRun(without)).toThrow(GatesieveError);
  expect(() => evaluateRun(without)).toThrow(/has changed since run/);
  writeFileSync(path("valid.txt"), valid);
});

test("a stopped run resumes as if it had never stopped, schedule by epochs and head policy included", async () => {
  const schedule = ["train.schedule=epochDecay", "train.decayAfterEpoch=1", "train.decayFactor=0.9"];
  const sgd = ["train.optimizer=sgd", "train.learningRate=2", "model.initScale=0.1", "headPolicy=stochastic:0.9"];
  const overrides = [...SETTINGS, ...schedule, ...sgd, "train.maxSteps=40", "train.logEverySteps=1"];
  const start = () => createRun({ config: loadConfig({ file: path("train.txt"), overrides }), runsDir });
  const whole = await start();
  const rates = [...whole.events()].flatMap((event) => (event.type === "step" ? [event.learningRate] : []));
  const perEpoch = whole.training.batchesPerEpoch;
  expect(rates).toEqual(rates.map((_, step) => 2 * 0.9 ** Math.floor(step / perEpoch)));
  expect(perEpoch).toBeLessThan(30); // else nothing of this was tested
  const stopped = await start();
  for (const event of stopped.events()) if (event.step === 23) stopped.stop();
  const resumed = await resumeRun(runsDir, stopped.id);
  for (const _ of resumed.events());
  expect(resumed.summary()?.testLoss).toBe(whole.summary()?.testLoss);
  for (const [index, { value }] of resumed.model.parameters.entries())
    expect(value.data).toEqual(whole.model.parameters[index]!.value.data);
});

test("initScale draws every parameter within it, forgetBias and chronoInit on top", async () => {
  const weights = async (...overrides: string[]) => {
    const made = await createRun({
      config: loadConfig({ file: path("train.txt"), overrides: [...SETTINGS, "model.numLayers=2", ...overrides] }),
      runsDir,
    });
    made.close();
    return made.model.parameters.map(({ name, value }) => [name, [...value.data]] as const);
  };
  for (const [name, values] of await weights("model.initScale=0.01", "model.forgetBias=3")) {
    const H = 16;
    const forget = (index: number) => name.includes("bias_ih") && index >= H && index < 2 * H; // gate order i, f, g, o
    const drawn = values.filter((_, index) => !forget(index));
    expect(values.filter((_, index) => forget(index)).every((value) => value === 3)).toBe(true);
    expect(Math.max(...drawn.map(Math.abs)), name).toBeLessThanOrEqual(Math.fround(0.01));
    expect(Math.max(...drawn.map(Math.abs)), name).toBeGreaterThan(0.005);
    expect(new Set(drawn).size, name).toBeGreaterThan(drawn.length / 2);
  }
  for (const [cell, forget, write] of [
    ["lstm", 1, 0],
    ["gru", 1, undefined],
    ["mingru", undefined, 0],
  ] as const) {
    // biome-ignore format: a table
    const drawn = await weights(`model.cell=${cell}`, "model.chronoInit=101");
    const [H, biases] = [16, drawn.find(([name]) => name.endsWith("bias_ih_l1"))![1]];
    const gate = (index: number) => biases.slice(index * H, (index + 1) * H);
    const bias = forget === undefined ? gate(write!).map((value) => -value) : gate(forget);
    if (forget !== undefined && write !== undefined) expect(gate(write)).toEqual(bias.map((value) => -value));
    // Spans of time exp(bias) are uniform in [1, 100]: of 16 some in each half, none outside.
    const spans = bias.map(Math.exp).sort((a, b) => a - b);
    expect(spans[0], cell).toBeGreaterThanOrEqual(0.999);
    expect(spans[0], cell).toBeLessThan(50);
    expect(spans[15], cell).toBeGreaterThan(50);
    expect(spans[15], cell).toBeLessThan(100.01);
  }
  await expect(weights("model.chronoInit=2")).rejects.toThrow("chronoInit is 2; give the most time steps");
  await expect(weights("model.cell=rnn", "model.chronoInit=9")).rejects.toThrow("a rnn has none. Use chronoInit 0.");
  const [[, embedding]] = (await weights()) as [readonly [string, number[]]];
  expect(Math.max(...embedding)).toBeGreaterThan(1); // PyTorch's standard normal
});
