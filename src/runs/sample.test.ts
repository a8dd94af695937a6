import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { UsageError } from "../core/check.ts";
import { RandomStream } from "../core/random.ts";
import { sampleText } from "../train/sample.ts";
import { loadConfig } from "./config.ts";
import { createRun, openModel, type Run } from "./run.ts";

const folder = mkdtempSync(join(tmpdir(), "gatesieve-sample-"));
const file = join(folder, "text.txt");
let run: Run;

beforeAll(async () => {
  // After "x" comes "a" or "b", a fair coin; after "a" or "b", always "x".
  const coin = new RandomStream(1, "coin");
  writeFileSync(file, Array.from({ length: 4000 }, () => (coin.below(2) ? "xa" : "xb")).join(""));
  const settings = [
    "model.hiddenSize=16",
    "model.embedding=0",
    "model.numLayers=1",
    "train.batchSize=20",
    "train.sequenceLength=20",
    "train.maxSteps=150",
  ];
  const config = loadConfig({ file, overrides: [...settings, "train.learningRate=0.02"] });
  run = await createRun({ config, runsDir: join(folder, "runs") });
  for (const _ of run.events());
});
afterAll(() => rmSync(folder, { recursive: true }));

describe("sampled text", () => {
  test("follows the text's rule, and its probabilities", () => {
    const text = sampleText(run.model, run.task, { prime: "xax", length: 4000 });
    expect([...text].length).toBe(4000);
    const pairs = text.slice(0, -1).match(/../g) as string[];
    expect(pairs.filter((pair) => pair === "ax" || pair === "bx").length / pairs.length).toBeGreaterThan(0.99);
    const a = [...text].filter((character) => character === "a").length;
    const b = [...text].filter((character) => character === "b").length;
    expect(Math.abs(a / (a + b) - 0.5)).toBeLessThan(0.08); // 5 standard errors of 2,000 tosses and what training missed
  });

  test("is the same for the same seed, and another for another", () => {
    const sample = (seed: number) => sampleText(run.model, run.task, { seed, length: 60 });
    expect(sample(1)).toBe(sample(1));
    expect(sample(1)).not.toBe(sample(2));
  });

  test("at temperature 0 has no chance in it; hot, it breaks the rule", () => {
    const sample = (temperature: number, seed: number) =>
      sampleText(run.model, run.task, { temperature, seed, length: 300 });
    expect(sample(0, 1)).toBe(sample(0, 2));
    expect(sample(100, 1)).toMatch(/xx|aa|bb|ab/);
  });

  test("is the same from the opened model of any shape, and leaves carried states alone", async () => {
    for (const { data } of run.model.carried) data.fill(20); // whatever training or another sample left
    const carried = run.model.carried.map((state) => [...state.data]);
    const options = { prime: "x", length: 200, seed: 9, temperature: 3 };
    const text = sampleText(run.model, run.task, options);
    expect(run.model.carried.map((state) => [...state.data])).toEqual(carried);
    for (const shape of [{}, { T: 1, B: 1 }]) {
      const { model, task } = await openModel(join(folder, "runs"), run.id, shape);
      expect(sampleText(model, task, options)).toBe(text);
    }
  });

  test("reads the prime: what follows depends on it", () => {
    const next = (prime: string) => sampleText(run.model, run.task, { prime, length: 1, temperature: 0 });
    expect(next("xa")).toBe("x");
    expect(next("xax")).toMatch(/[ab]/);
  });

  test("of length 0 is empty", () => expect(sampleText(run.model, run.task, { length: 0 })).toBe(""));

  test.each([
    [{ prime: "xé✓é" }, /^prime: "é", "✓" not among the 3 characters this model knows/],
    [{ temperature: -1 }, /^temperature is -1; give a number of at least 0/],
    [{ temperature: Number.NaN }, /^temperature is NaN/],
    [{ length: 1.5 }, /^length is 1\.5/],
  ])("%j is refused", (options, message) => {
    expect(() => sampleText(run.model, run.task, options)).toThrow(UsageError);
    expect(() => sampleText(run.model, run.task, options)).toThrow(message);
  });

  test("needs a character model", async () => {
    const config = loadConfig({ overrides: ["task.name=delay", "model.hiddenSize=4"] });
    const delay = await createRun({ config, runsDir: join(folder, "runs") });
    expect(() => sampleText(delay.model, delay.task)).toThrow(/task delay makes no text/);
    delay.close();
  });
});
