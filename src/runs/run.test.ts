/** Run folders: what they hold, what happens to them when something is wrong. */
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeEach, describe, expect, test, vi } from "vitest";
import { GatesieveError, UsageError } from "../core/check.ts";
import { readSafetensors, toArray } from "../formats/safetensors.ts";
import { checkpointSteps } from "./checkpoint.ts";
import { loadConfig } from "./config.ts";
import { createRun, evaluateRun, openModel, type Run, type RunSummary, resumeRun } from "./run.ts";
import { listRuns, readEvents, readRun } from "./store.ts";

// Nothing here loses power: no need to wait for the disk.
vi.mock("node:fs", async (original) => ({ ...(await original<typeof import("node:fs")>()), fsyncSync() {} }));

const folder = fs.mkdtempSync(join(tmpdir(), "gatesieve-run-"));
afterAll(() => fs.rmSync(folder, { recursive: true }));
const file = join(folder, "text.txt");
const text = "It is a truth universally acknowledged, that a single man must be in want of a wife.\n".repeat(40);

let runsDir = "";
beforeEach(() => {
  runsDir = fs.mkdtempSync(join(folder, "runs-"));
  fs.writeFileSync(file, text);
});

const settings = [
  `task.text=${file}`,
  "model.hiddenSize=8",
  "model.embedding=0",
  "model.numLayers=1",
  "train.batchSize=4",
  "train.sequenceLength=10",
  "train.maxSteps=30",
  "train.valCheckInterval=10",
  "train.checkpointEverySteps=10",
];

function create(...overrides: string[]): Promise<Run> {
  return createRun({ config: loadConfig({ overrides: [...settings, ...overrides] }), runsDir });
}

/** Trains up to an event of this step or later and drops the run, as a crash would. */
async function crashed(step: number): Promise<string> {
  const run = await create();
  for (const event of run.events()) if (event.step >= step) break;
  return run.dir;
}

async function finished(...overrides: string[]): Promise<Run> {
  const run = await create(...overrides);
  for (const _ of run.events());
  return run;
}

async function errorOf(work: Promise<unknown>): Promise<Error> {
  const error = await work.then(
    () => undefined,
    (error: Error) => error,
  );
  expect(error).toBeInstanceOf(GatesieveError);
  expect(error?.message).not.toContain("\n");
  return error as Error;
}

const checkpointFile = (dir: string, step: number, name: string) =>
  join(dir, "checkpoints", `step-${String(step).padStart(6, "0")}`, name);

describe("a run", () => {
  test("leaves the documented files, and nothing temporary", async () => {
    const { dir } = await finished();
    expect(fs.readdirSync(dir).sort()).toEqual(
      [
        ...["checkpoints", "config.json", "events.jsonl", "model", "run.json", "summary.json"],
        ...["telemetry.jsonl", "vocab.json"],
      ].sort(),
    );
    expect(fs.readdirSync(join(dir, "checkpoints")).sort()).toEqual(["step-000010", "step-000020"]);
    expect(fs.readdirSync(join(dir, "model")).sort()).toEqual(["config.json", "model.safetensors", "vocab.json"]);
    expect(fs.readdirSync(runsDir)).toEqual([dir.split("/").at(-1)]);
  });

  test("has an id that sorts by time and says what it is", async () => {
    const run = await create("policy=threshold:1e-6", "seed=3");
    expect(run.id).toMatch(/^\d{8}-\d{6}-character-threshold-1e-6-s3$/);
    const ids = (await Promise.all([create(), create(), create()])).map(({ id }) => id);
    expect(new Set(ids).size).toBe(3);
  });

  test("its model file has PyTorch's names and metadata, and the best weights", async () => {
    const run = await finished();
    const { tensors, metadata } = readSafetensors(fs.readFileSync(join(run.dir, "model", "model.safetensors")));
    expect(metadata).toEqual({ format: "pt" });
    expect([...tensors.keys()].sort()).toEqual(
      [
        "head.bias",
        "head.weight",
        "lstm.bias_hh_l0",
        "lstm.bias_ih_l0",
        "lstm.weight_hh_l0",
        "lstm.weight_ih_l0",
      ].sort(),
    );
    expect(tensors.get("lstm.weight_hh_l0")?.shape).toEqual([32, 8]);
    for (const { name, value } of run.model.parameters)
      expect(toArray(tensors.get(name)!)).toEqual(Float32Array.from(value.data));
  });

  test("config.json repeats the run", async () => {
    const first = await finished();
    const config = loadConfig({ file: join(first.dir, "config.json") });
    const second = await createRun({ config, runsDir });
    for (const _ of second.events());
    expect(second.summary()?.testLoss).toBe(first.summary()?.testLoss);
  });

  test("maxEpochs becomes steps", async () => {
    const config = loadConfig({
      overrides: settings.filter((setting) => !setting.includes("maxSteps")).concat("train.maxEpochs=1.5"),
    });
    const run = await createRun({ config, runsDir });
    expect(run.maxSteps).toBe(Math.round(1.5 * run.training.batchesPerEpoch));
    run.close();
  });

  test("train() gives the same events and stops at a signal", async () => {
    const run = await create("train.logEverySteps=1");
    const controller = new AbortController();
    const events = [];
    for await (const event of run.train(controller.signal)) {
      events.push(event);
      if (event.step === 5) controller.abort();
    }
    expect(events.at(-1)).toMatchObject({ type: "end", reason: "stopped", step: 5 });
    expect(run.summary()).toMatchObject({ status: "stopped", steps: 5, testLoss: null });
    expect(checkpointSteps(run.dir)[0]).toBe(5);
    const recorded = events.filter(({ type }) => type !== "telemetry");
    expect(readEvents(run.dir)).toEqual(JSON.parse(JSON.stringify(recorded)));
  });

  test("a run that diverges says so, gives its folder up and keeps its checkpoints", async () => {
    const run = await create();
    let message = "";
    try {
      for (const { type } of run.events()) {
        if (type !== "validation") continue;
        run.model.parameters[0]!.value.data.fill(Number.NaN);
        run.model.pack();
      }
    } catch (error) {
      message = (error as Error).message;
    }
    expect(message).toMatch(/^step 11: .*Try a smaller train\.learningRate/);
    expect(readRun(run.dir)).toMatchObject({ status: "diverged", error: message });
    expect(fs.existsSync(join(run.dir, "run.lock"))).toBe(false);
    expect(checkpointSteps(run.dir)).toContain(0);
  });
});

test.each([
  [
    "delay",
    ["task.name=delay", "task.delay=2", "train.maxSteps=250"],
    ({ validScores }: RunSummary) => validScores.accuracy! > 0.99,
  ],
  ["adding", ["task.name=adding", "train.maxSteps=600"], ({ validLoss }: RunSummary) => validLoss! < 0.01], // a guess: 0.167
] as const)("task %s is learnt while gradients are dropped", async (_, overrides, learnt) => {
  const shape = [
    "model.numLayers=1",
    "model.hiddenSize=32",
    "model.embedding=0",
    "train.sequenceLength=10",
    "train.learningRate=0.02",
  ];
  const run = await createRun({ config: loadConfig({ overrides: [...shape, ...overrides] }), runsDir });
  for (const _ of run.events());
  const summary = run.summary() as RunSummary;
  expect(summary.dropped).toBeGreaterThan(0.3);
  expect(learnt(summary), `${summary.validLoss} ${JSON.stringify(summary.validScores)}`).toBe(true);
});

describe("nothing is left of a run that cannot begin", () => {
  test.each([
    [
      "a text too short",
      ["train.sequenceLength=400"],
      /has 3400 characters; train\.batchSize 4 and train\.sequenceLength 400 need at least \d+/,
    ],
    ["a test split too short", ["train.batchSize=1", "train.sequenceLength=170"], /has 3400 characters/],
    ["a missing text", ["task.text=no-such-file.txt"], /no text file no-such-file\.txt/],
    ["a model beyond 4 GiB", ["model.hiddenSize=20000"], /the model needs [\d.]+ GiB/],
    ["an unknown engine", ["engine=fast"], /unknown engine "fast"/],
  ])("%s", async (_, overrides, message) => {
    expect((await errorOf(create(...overrides))).message).toMatch(message);
    expect(fs.readdirSync(runsDir)).toEqual([]);
  });

  test("a store that cannot be made", async () => {
    runsDir = join(file, "runs"); // below a file
    expect((await errorOf(create())).message).toMatch(/a run cannot be written to .*text\.txt.*Choose another folder/);
  });
});

describe("resume", () => {
  test("refuses a finished run", async () => {
    const { id } = await finished();
    const error = await errorOf(resumeRun(runsDir, id));
    expect(error).toBeInstanceOf(UsageError);
    expect(error.message).toMatch(/is finished \(30 steps\)/);
  });

  test("refuses what is no run", async () => {
    expect((await errorOf(resumeRun(runsDir, "nope"))).message).toMatch(/no run "nope": there are no runs in/);
    expect((await errorOf(resumeRun(runsDir, folder))).message).toMatch(/is no run of Gatesieve: it has no run\.json/);
  });

  test("refuses a changed text, whether or not its vocabulary is the same", async () => {
    const dir = await crashed(12);
    fs.writeFileSync(file, `${text} `);
    expect((await errorOf(resumeRun(runsDir, dir))).message).toMatch(/has changed since run/);
    const path = join(dir, "run.json");
    const info = JSON.parse(fs.readFileSync(path, "utf8"));
    fs.writeFileSync(file, text.replaceAll("wife", "€"));
    const { createHash } = await import("node:crypto");
    info.text.sha256 = createHash("sha256").update(fs.readFileSync(file)).digest("hex");
    fs.writeFileSync(path, JSON.stringify(info));
    expect((await errorOf(resumeRun(runsDir, dir))).message).toMatch(
      /what is learnt of the text or data \([0-9a-f]{16}\) is not the checkpoint's \([0-9a-f]{16}\)/,
    );
    expect(fs.existsSync(join(dir, "run.lock"))).toBe(false);
  });

  test("refuses weights of another shape", async () => {
    const dir = await crashed(12);
    const path = join(dir, "config.json");
    fs.writeFileSync(path, fs.readFileSync(path, "utf8").replace('"hiddenSize": 8', '"hiddenSize": 9'));
    expect((await errorOf(resumeRun(runsDir, dir))).message).toMatch(
      /got F32 \[\d+,\d+\] for ".*", expected F32 \[\d+,\d+\]/,
    );
  });

  test("removes temporary folders that a killed process left", async () => {
    const dir = await crashed(12);
    fs.mkdirSync(join(dir, "checkpoints", ".tmp-step-000020-999999"));
    fs.mkdirSync(join(runsDir, ".tmp-somerun-999999999"));
    (await resumeRun(runsDir, dir)).close();
    expect(fs.readdirSync(join(dir, "checkpoints")).sort()).toEqual(["step-000000", "step-000010"]);
    (await create()).close();
    expect(fs.readdirSync(runsDir).filter((name) => name.startsWith("."))).toEqual([]);
  });

  test("an event line cut short by a crash disappears", async () => {
    const dir = await crashed(12);
    fs.appendFileSync(join(dir, "events.jsonl"), '{"type":"step","st');
    const run = await resumeRun(runsDir, dir);
    for (const _ of run.events());
    const lines = fs.readFileSync(join(dir, "events.jsonl"), "utf8").trimEnd().split("\n");
    expect(lines.map((line) => JSON.parse(line).step)).toEqual([10, 10, 20, 20, 30, 30, 30]);
  });
});

const FILES = ["model.safetensors", "training.safetensors", "training.json", "manifest.json"];

describe("damaged checkpoints", () => {
  const damages: [string, (path: string) => void][] = [
    [
      "a flipped bit",
      (path) => {
        const bytes = fs.readFileSync(path);
        bytes[bytes.length >> 1]! ^= 4;
        fs.writeFileSync(path, bytes);
      },
    ],
    ["cut short", (path) => fs.truncateSync(path, fs.statSync(path).size >> 1)],
    ["a byte more", (path) => fs.appendFileSync(path, " ")],
    ["missing", (path) => fs.rmSync(path)],
    ["a foreign file", (path) => fs.writeFileSync(path, '{"format":"other","files":{}}')],
  ];

  test("fall back to the one before, with a warning, and the run ends as if never stopped", async () => {
    const expected = await finished();
    const weights = fs.readFileSync(join(expected.dir, "model", "model.safetensors"));
    const intact = await crashed(22); // checkpoints 10 and 20
    for (const [what, damage] of damages)
      for (const name of FILES) {
        if (name === "manifest.json" && what !== "cut short" && what !== "missing" && what !== "a foreign file")
          continue; // see below
        const dir = join(runsDir, `copy-${what}-${name}`.replaceAll(" ", "-"));
        fs.cpSync(intact, dir, { recursive: true });
        damage(checkpointFile(dir, 20, name));
        const run = await resumeRun(runsDir, dir);
        expect(run.notes.join("\n"), `${name} ${what}`).toMatch(
          /^checkpoint \S*step-000020 is damaged: [^\n]*\. Passed over\.$/,
        );
        expect(run.training.trainer.steps).toBe(10);
        for (const _ of run.events());
        expect(fs.readFileSync(join(dir, "model", "model.safetensors")).equals(weights)).toBe(true);
      }
  });

  test("a flipped bit anywhere in a manifest is noticed, or harmless", async () => {
    const intact = await crashed(22);
    const manifest = fs.readFileSync(checkpointFile(intact, 20, "manifest.json"));
    const parsed = (bytes: Buffer) => {
      try {
        return JSON.stringify(JSON.parse(bytes.toString()));
      } catch {
        return "no JSON";
      }
    };
    const dir = join(runsDir, "copy");
    for (let at = 0; at < manifest.length; at += 17) {
      fs.rmSync(dir, { recursive: true, force: true });
      fs.cpSync(intact, dir, { recursive: true });
      const bytes = Buffer.from(manifest);
      bytes[at]! ^= 1;
      fs.writeFileSync(checkpointFile(dir, 20, "manifest.json"), bytes);
      const opened = await openModel(runsDir, dir).catch((error: Error) => error);
      const resumed = await resumeRun(runsDir, dir).catch((error: Error) => error);
      if (resumed instanceof Error) expect(resumed).toBeInstanceOf(GatesieveError);
      else {
        expect((opened as typeof resumed).notes).toEqual(resumed.notes);
        expect(resumed.notes.length > 0, bytes.toString()).toBe(parsed(bytes) !== parsed(manifest));
        resumed.close();
      }
    }
  });

  test("without a good one left it is an error that names each", async () => {
    const dir = await crashed(22);
    for (const step of [10, 20]) fs.truncateSync(checkpointFile(dir, step, "training.json"), 3);
    const { message } = await errorOf(resumeRun(runsDir, dir));
    expect(message).toMatch(/no good checkpoint.*step-000020 is damaged.*step-000010 is damaged.*Train again/);
    expect((await errorOf(openModel(runsDir, dir))).message).toMatch(/no good checkpoint/);
  });

  test("of a later format version are not passed over", async () => {
    const dir = await crashed(22);
    const path = checkpointFile(dir, 20, "manifest.json");
    fs.writeFileSync(path, fs.readFileSync(path, "utf8").replace('"version": 1', '"version": 2'));
    expect((await errorOf(resumeRun(runsDir, dir))).message).toMatch(
      /format version 2, this Gatesieve reads version 1/,
    );
    expect(fs.existsSync(path)).toBe(true);
  });

  test("only the last two are kept", async () => {
    const run = await create("train.checkpointEverySteps=3");
    for (const event of run.events()) if (event.step >= 30) break;
    expect(checkpointSteps(run.dir)).toEqual([27, 24]);
  });
});

describe("openModel", () => {
  test("evaluates a finished run as its training did", async () => {
    const run = await finished();
    const opened = await openModel(runsDir, run.id);
    expect(evaluateRun(opened).loss).toBe(run.summary()?.testLoss);
    expect(evaluateRun(opened, "valid").loss).toBe(run.summary()?.validLoss);
    expect(opened.notes).toEqual([]);
  });

  test("takes the best weights of an unfinished run, also while it is held", async () => {
    const run = await create("train.learningRate=0.05", "train.schedule=constant");
    const losses: number[] = [];
    for (const event of run.events()) {
      if (event.type === "validation") losses.push(event.loss);
      if (event.step >= 22) break;
    }
    const opened = await openModel(runsDir, run.id);
    expect(evaluateRun(opened, "valid").loss).toBe(Math.min(...losses));
  });

  test("another shape, another engine, another text", async () => {
    const run = await finished();
    const narrow = await openModel(runsDir, run.id, { T: 1, B: 1, engine: "js" });
    expect(narrow.model.pass).toMatchObject({ T: 1, B: 1 });
    expect(evaluateRun(narrow).loss).toBeCloseTo(run.summary()?.testLoss as number, 1);
    const other = join(folder, "other.txt");
    fs.writeFileSync(other, text.toUpperCase());
    const scored = await openModel(runsDir, run.id, { text: other });
    expect(scored.task.vocabulary).toEqual(run.task.vocabulary);
    expect(evaluateRun(scored).loss).toBeGreaterThan(run.summary()?.testLoss as number);
  });

  test("without the text the model still opens; only batches are refused", async () => {
    const { id } = await finished();
    fs.rmSync(file);
    const opened = await openModel(runsDir, id);
    expect(opened.task.vocabulary).toContain("w");
    expect(() => evaluateRun(opened)).toThrow(/no text file/);
  });

  test("refuses a vocabulary that does not match, a damaged and a foreign model", async () => {
    const { dir } = await finished();
    const path = join(dir, "model", "model.safetensors");
    const intact = fs.readFileSync(path);
    fs.truncateSync(path, 1000);
    expect((await errorOf(openModel(runsDir, dir))).message).toMatch(
      /model\.safetensors: .*damaged, or no safetensors file/,
    );
    fs.writeFileSync(path, "hello, this is no model");
    expect((await errorOf(openModel(runsDir, dir))).message).toMatch(/model\.safetensors: .*no safetensors file/);
    fs.writeFileSync(path, Buffer.from(intact.toString("latin1").replace("head.bias", "tail.bias"), "latin1"));
    expect((await errorOf(openModel(runsDir, dir))).message).toMatch(/"tail\.bias" that this model lacks/);
    fs.rmSync(path);
    expect((await errorOf(openModel(runsDir, dir))).message).toMatch(/cannot be read \(ENOENT\)/);
    fs.writeFileSync(path, intact);
    fs.writeFileSync(join(dir, "vocab.json"), '["<unk>","x"]');
    expect((await errorOf(openModel(runsDir, dir))).message).toMatch(/vocabulary in .* is not the one run/);
  });
});

test("two runs interleaved in one process do not meet", async () => {
  const [a, b] = await Promise.all([create("seed=1"), create("seed=2")]);
  const steps = [a.events(), b.events()];
  for (let live = 2; live > 0; ) live = steps.filter((events) => !events.next().done).length;
  expect(listRuns(runsDir).map(({ status }) => status)).toEqual(["finished", "finished"]);
});
