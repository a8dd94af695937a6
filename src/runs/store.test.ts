import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { UsageError } from "../core/check.ts";
import type { EndEvent } from "../train/events.ts";
import { loadConfig } from "./config.ts";
import { createRun, type Run, resumeRun } from "./run.ts";
import { findRun, listRuns, type RunSummary, readEvents, readRun } from "./store.ts";

const folder = fs.mkdtempSync(join(tmpdir(), "gatesieve-store-"));
afterAll(() => fs.rmSync(folder, { recursive: true }));
const runsDir = join(folder, "runs");

const settings = [
  "task.name=delay",
  "policy=energy:0.99",
  "model.hiddenSize=8",
  "model.embedding=0",
  "train.batchSize=4",
  "train.sequenceLength=10",
  "train.maxSteps=40",
  "train.valCheckInterval=20",
  "train.logEverySteps=7",
];

function create(...overrides: string[]): Promise<Run> {
  return createRun({ config: loadConfig({ overrides: [...settings, ...overrides] }), runsDir });
}

/** What `runs --json` promises, at least. */
const PROMISED =
  "id task policy engine isa threads seed steps lossUnit validLoss testLoss sparsity naturalZeros macsSkippedRecurrent macsSkippedAll seconds".split(
    " ",
  );

function expectSound(summary: RunSummary): void {
  for (const key of PROMISED) expect(summary, key).toHaveProperty(key);
  expect(JSON.parse(JSON.stringify(summary))).toEqual(summary); // NaN and undefined would not survive
  const shares = [
    summary.sparsity,
    summary.naturalZeros,
    summary.dropped,
    summary.energy,
    summary.macsSkippedAll,
    summary.macsSkippedRecurrent,
  ];
  for (const share of shares) if (share !== null) expect(share >= 0 && share <= 1).toBe(true);
}

test("a file in place of the folder of runs is said in one line", () => {
  const file = join(folder, "file");
  fs.writeFileSync(file, "");
  for (const use of [() => listRuns(file), () => findRun(file, "last")])
    expect(use).toThrow(/^\S+ is a file, expected a folder for runs\. Name another with --runs\.$/);
});

describe("summaries", () => {
  let finished: Run;
  let stopped: Run;
  let running: Run;
  let untouched: Run;
  let end: EndEvent;
  beforeAll(async () => {
    finished = await create("seed=1");
    for (const event of finished.events()) if (event.type === "end") end = event;
    stopped = await create("seed=2", "policy=dense");
    for (const event of stopped.events()) if (event.step >= 20) stopped.stop();
    running = await create("seed=3");
    const events = running.events();
    while ((events.next().value as { step: number }).step < 28);
    untouched = await create("seed=4");
  });
  afterAll(() => {
    running.close();
    untouched.close();
  });

  test("of a finished run are those of its end event", () => {
    const summary = readRun(finished.dir);
    expectSound(summary);
    expect(summary).toEqual(finished.summary());
    expect(summary).toEqual(JSON.parse(fs.readFileSync(join(finished.dir, "summary.json"), "utf8")));
    expect(summary).toMatchObject({
      id: finished.id,
      status: "finished",
      endReason: "maxSteps",
      task: "delay",
      text: null,
      policy: "energy:0.99",
      engine: finished.engine.name,
      isa: finished.engine.isa,
      threads: 1,
      seed: 1,
      steps: 40,
      maxSteps: 40,
      lossUnit: "nats/token",
      validLoss: end.validLoss,
      testLoss: end.testLoss,
      sparsity: end.sparsity.sparsity,
      naturalZeros: end.sparsity.naturalZeros,
      dropped: end.sparsity.dropped,
      energy: end.sparsity.energy,
      fidelity: end.fidelity,
      macsSkippedAll: end.macs.macsSkippedAll,
      macsSkippedRecurrent: end.macs.macsSkippedRecurrent,
      seconds: end.seconds,
      forwardMs: end.timing.forwardMs / 40,
      parameters: finished.model.size,
      memory: finished.model.arena.bytesByPurpose(),
      error: null,
    });
    expect(summary.tokensPerSecond).toBeCloseTo((40 * 40) / end.seconds, 6);
  });

  test("of a run of an earlier version: its memory is not known", () => {
    const path = join(untouched.dir, "run.json");
    const { memory, ...info } = JSON.parse(fs.readFileSync(path, "utf8"));
    expect(memory).toEqual(untouched.model.arena.bytesByPurpose());
    for (const old of [undefined, { weights: 5 }]) {
      fs.writeFileSync(path, JSON.stringify({ ...info, memory: old }));
      expect(readRun(untouched.dir).memory).toBeNull();
    }
    fs.writeFileSync(path, JSON.stringify({ ...info, memory }));
  });

  test("of a stopped run have what is known", () => {
    const summary = readRun(stopped.dir);
    expectSound(summary);
    expect(summary).toMatchObject({
      status: "stopped",
      endReason: "stopped",
      policy: "dense",
      dropped: 0,
      testLoss: null,
    });
    expect(summary.validLoss).toBeGreaterThan(0);
  });

  test("of a run in work come from its events, averaged over steps", () => {
    const summary = readRun(running.dir);
    expectSound(summary);
    expect(summary).toMatchObject({
      status: "running",
      steps: 28,
      maxSteps: 40,
      testLoss: null,
      forwardMs: null,
      endReason: null,
    });
    const [validation] = readEvents(running.dir).filter(({ type }) => type === "validation");
    expect(summary.validLoss).toBe((validation as { loss: number }).loss);
    const logged = readEvents(running.dir).flatMap((event) => (event.type === "step" ? [event.sparsity.sparsity] : []));
    expect(logged.length).toBe(4); // 7 steps each
    expect(summary.sparsity).toBeCloseTo(logged.reduce((sum, share) => sum + share) / 4, 12);
  });

  test("of a run without a step have nulls", () => {
    const summary = readRun(untouched.dir);
    expectSound(summary);
    expect(summary).toMatchObject({
      status: "running",
      steps: 0,
      validLoss: null,
      sparsity: null,
      seconds: null,
      tokensPerSecond: null,
    });
  });

  test("a run whose process is gone is stopped, and resuming clears an old end", async () => {
    const path = join(untouched.dir, "run.lock");
    const lock = fs.readFileSync(path, "utf8");
    fs.rmSync(path);
    expect(readRun(untouched.dir).status).toBe("stopped");
    fs.writeFileSync(path, lock);
    const again = await resumeRun(runsDir, stopped.id);
    expect(readRun(stopped.dir)).toMatchObject({ status: "running", endReason: null });
    again.close();
    expect(readRun(stopped.dir)).toMatchObject({ status: "stopped", endReason: null });
  });

  test("are listed newest first; what is broken is skipped and said", () => {
    for (const [name, content] of [
      ["broken-info", { "run.json": "{" }],
      ["old-info", { "run.json": '{"format":0}' }],
      ["no-config", { "run.json": fs.readFileSync(join(finished.dir, "run.json"), "utf8") }],
      [
        "bad-summary",
        {
          "run.json": fs.readFileSync(join(finished.dir, "run.json"), "utf8"),
          "config.json": "{}",
          "summary.json": "x",
        },
      ],
      ["something-else", { "notes.txt": "" }],
      [".hidden", { "run.json": "{" }],
    ] as const) {
      fs.mkdirSync(join(runsDir, name));
      for (const [file, text] of Object.entries(content)) fs.writeFileSync(join(runsDir, name, file), text);
    }
    fs.writeFileSync(join(runsDir, "a-file"), "");
    const notes: string[] = [];
    const runs = listRuns(runsDir, (line) => notes.push(line));
    expect(runs.map(({ id }) => id)).toEqual([untouched.id, running.id, stopped.id, finished.id]);
    expect(notes.length).toBe(4);
    for (const note of notes)
      expect(note).toMatch(/^skipped [^\n]*\/(broken-info|old-info|no-config|bad-summary): [^\n]+$/);
  });

  test("an empty or missing store has no runs", () => {
    expect(listRuns(join(folder, "nowhere"))).toEqual([]);
  });

  test("a run is found by path, id, part of an id, and as the last", () => {
    expect(findRun(runsDir, finished.id)).toBe(finished.dir);
    expect(findRun("elsewhere", finished.dir)).toBe(finished.dir);
    expect(findRun(runsDir, "s3")).toBe(running.dir);
    expect(findRun(runsDir, "last")).toBe(untouched.dir);
    expect(() => findRun(runsDir, "delay")).toThrow(/"delay" fits 4 runs: .*Give more of the id/);
    expect(() => findRun(runsDir, "xyz")).toThrow(/no run "xyz" in .* The newest are: /);
    expect(() => findRun(runsDir, "xyz")).toThrow(UsageError);
    expect(() => findRun(join(folder, "nowhere"), "last")).toThrow(/there are no runs/);
  });
});
