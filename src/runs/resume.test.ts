/** A run that was stopped, dropped or killed at any moment ends like one that never was: bit for bit. */
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import type { TrainEvent } from "../train/events.ts";
import { loadConfig, type RunConfig } from "./config.ts";
import { createRun, type Run, resumeRun } from "./run.ts";
import { findRun, readEvents, readTelemetry } from "./store.ts";
import { loadText } from "./text.ts";

// Waiting for the disk is most of these runs' time, and nothing here loses power. Killed processes do wait.
vi.mock("node:fs", async (original) => ({ ...(await original<typeof import("node:fs")>()), fsyncSync() {} }));

const folder = mkdtempSync(join(tmpdir(), "gatesieve-resume-"));
afterAll(() => rmSync(folder, { recursive: true }));

const file = join(folder, "alice.txt");
writeFileSync(file, loadText("carroll-alice").text.slice(0, 6000));
const text = `task.text=${file}`;
const small = ["model.hiddenSize=12", "model.embedding=0", "train.batchSize=4", "train.sequenceLength=9"];
const cadence = [
  ...["train.logEverySteps=3", "train.valCheckInterval=8", "train.checkpointEverySteps=5"],
  ...["train.telemetryEverySteps=4", "train.probeEverySteps=10"],
];

/** What a run leaves, without what a clock says. */
function result(dir: string) {
  const untimed = (event: TrainEvent) => JSON.stringify({ ...event, seconds: 0, tokensPerSecond: 0, timing: 0, ms: 0 });
  return {
    weights: createHash("sha256")
      .update(readFileSync(join(dir, "model", "model.safetensors")))
      .digest("hex"),
    events: readEvents(dir).map(untimed),
    telemetry: readTelemetry(dir).map(untimed),
  };
}

function drain(run: Run): ReturnType<typeof result> {
  for (const _ of run.events());
  return result(run.dir);
}

async function uninterrupted(config: RunConfig): Promise<ReturnType<typeof result>> {
  return drain(await createRun({ config, runsDir: join(folder, "reference") }));
}

const settings: [name: string, overrides: string[]][] = [
  ["energy, Adam, dropout, embedding", ["policy=energy:0.99", "model.dropout=0.2", "model.embedding=5"]],
  ["stochastic, AdamW, warm-up", ["policy=stochastic:0.5", "train.optimizer=adamw", "train.warmupSteps=7"]],
  ["density, Adam, recomputed by segments", ["policy=density:0.3", "model.recompute=4"]],
  ["memory, recomputed by segments", ["policy=memory:0.2,decay=0.9", "model.recompute=4"]],
  [
    "a policy of its own for each layer, with combinators and draws",
    ["policies.lstm.l0=warmup(3)+block:0.3,size=4", "policies.lstm.l1=every(7)+columns:0.5,unbiased"],
  ],
  [
    "density, SGD with momentum",
    ["policy=density:0.2", "train.optimizer=sgd", "train.momentum=0.9", "train.learningRate=0.1"],
  ],
  [
    "a transformer with dropout, draws and a head's policy",
    [
      ...["model.net=transformer", "model.numHeads=3", "model.dropout=0.1", "model.numLayers=1"],
      ...["policy=stochastic:0.9", "headPolicy=stochastic:0.9"],
    ],
  ],
  ["an mlp with memory", ["model.net=mlp", "policy=memory:0.2,decay=0.9"]],
  ["auto with probes", ["policy=auto", "headPolicy=auto:0.1"]],
  ["dense, RMSprop, engine js", ["policy=dense", "train.optimizer=rmsprop", "engine=js"]],
  [
    "relative, cosine, early stop",
    [
      "policy=relative:1",
      "train.schedule=cosine",
      "train.learningRate=0.3",
      "train.patience=1",
      "train.checkpointEverySteps=8",
    ],
  ],
];

describe.each(settings)("%s", (_, overrides) => {
  const character = loadConfig({ overrides: [text, ...small, ...cadence, "train.maxSteps=40", ...overrides] });
  let expected: ReturnType<typeof result>;
  beforeAll(async () => {
    expected = await uninterrupted(character);
    const reason = character.train.patience > 0 ? "earlyStop" : "maxSteps";
    expect(expected.events.at(-1)).toContain(`"reason":"${reason}"`);
    expect(expected.telemetry.length).toBeGreaterThan(2);
  });

  // 1 and 39: the ends. 8: a validation. 15: a checkpoint, a log line. 20: telemetry with a probe, a checkpoint.
  // 24: telemetry, a validation, a log line. 26: nothing.
  test.each([1, 8, 15, 20, 24, 26, 39])("stopped after step %i", async (step) => {
    let run = await createRun({ config: character, runsDir: folder });
    const { training } = run;
    const original = training.step.bind(training);
    training.step = () => {
      original();
      if (training.trainer.steps === step) run.stop();
    };
    for (const event of run.events())
      if (event.type === "end" && event.reason === "stopped") expect(event.step).toBe(step);
    if (run.summary()?.status !== "stopped") return expect(result(run.dir)).toEqual(expected); // ended before that step
    run = await resumeRun(folder, run.id);
    expect(run.training.trainer.steps).toBe(step);
    expect(drain(run)).toEqual(expected);
  });

  test("dropped after each of its steps and events, again and again", async () => {
    const first = await createRun({ config: character, runsDir: folder });
    first.close();
    let finished = false;
    for (let ticks = 1; !finished; ticks++) {
      const run = await resumeRun(folder, first.id);
      let left = ticks;
      for (const event of run.ticks()) {
        finished = event?.type === "end";
        if (--left === 0 && !finished) break;
      }
    }
    expect(result(first.dir)).toEqual(expected);
  });
});

test("a task on generated sequences goes on in the same stream", async () => {
  for (const task of ["adding", "delay"]) {
    const config = loadConfig({ overrides: [`task.name=${task}`, ...small, ...cadence, "train.maxSteps=30"] });
    const run = await createRun({ config, runsDir: folder });
    for (const event of run.events()) if (event.step >= 17) break;
    expect(drain(await resumeRun(folder, run.id))).toEqual(await uninterrupted(config));
  }
});

test("a checkpoint asked for between the events of a step waits for its validation", async () => {
  const config = loadConfig({
    overrides: [text, ...small, ...cadence, "train.maxSteps=40", "train.checkpointEverySteps=1000"],
  });
  const run = await createRun({ config, runsDir: folder });
  for (const event of run.events()) {
    if (event.type === "step" && event.step === 24) run.checkpoint();
    if (event.type === "step" && event.step > 24) break;
  }
  const resumed = await resumeRun(folder, run.id);
  expect(resumed.training.trainer.steps).toBe(24);
  expect(drain(resumed)).toEqual(await uninterrupted(config));
});

/**
 * Trains in a process of its own, from the built package, and kills it without warning at a random
 * moment. GATESIEVE_KILLS says how often.
 */
describe("killed processes", () => {
  const root = fileURLToPath(new URL("../..", import.meta.url));
  const KILLS = Number(process.env.GATESIEVE_KILLS ?? 3);
  const runsDir = join(folder, "killed");
  const overrides = [
    text,
    "model.hiddenSize=24",
    "model.embedding=0",
    "train.batchSize=8",
    "train.sequenceLength=20",
    "train.maxSteps=250",
    "model.dropout=0.1",
  ];
  const config = loadConfig({ overrides: [...overrides, ...cadence, "train.checkpointEverySteps=17"] });

  const script = `
    import { createRun, resumeRun } from ${JSON.stringify(new URL("../../dist/node.js", import.meta.url).href)};
    const [, runsDir, config, id] = process.argv;
    const run = id ? await resumeRun(runsDir, id) : await createRun({ config: JSON.parse(config), runsDir });
    console.log(run.id);
    for (const event of run.events()) if (event.type === "end") console.log("end", event.step);`;

  /** Kills the process \`afterMs\` after its run stands; true if it was still training. */
  function train(id: string | undefined, afterMs: number): Promise<{ id: string; killed: boolean; ms: number }> {
    return new Promise((resolve, reject) => {
      const args = ["--input-type=module", "-e", script, runsDir, JSON.stringify(config), ...(id ? [id] : [])];
      const child = spawn(process.execPath, args, { cwd: root, stdio: ["ignore", "pipe", "pipe"] });
      let output = "";
      let errors = "";
      let began = 0;
      child.stdout.on("data", (data) => {
        if (!began) {
          began = performance.now();
          if (Number.isFinite(afterMs)) setTimeout(() => child.kill("SIGKILL"), afterMs);
        }
        output += data;
      });
      child.stderr.on("data", (data) => {
        errors += data;
      });
      child.on("close", (code, signal) => {
        const ms = performance.now() - began;
        const name = output.split("\n")[0] as string;
        if (signal === "SIGKILL" && !output.includes("end")) resolve({ id: name, killed: true, ms });
        else if (code === 0 || output.includes("end")) resolve({ id: name, killed: false, ms });
        else reject(new Error(`exit code ${code}: ${errors}`));
      });
    });
  }

  beforeAll(() => {
    const { status, stderr } = spawnSync(process.execPath, ["scripts/setup.mjs"], { cwd: root, encoding: "utf8" });
    if (status !== 0) throw new Error(`building failed: ${stderr}`);
  }, 180_000);

  test(
    `${KILLS} runs, each killed at a random moment and resumed, end like one that was not`,
    async () => {
      const reference = await train(undefined, Number.POSITIVE_INFINITY);
      const expected = result(findRun(runsDir, reference.id));
      const steps: number[] = [];
      for (let kills = 0, tries = 0; kills < KILLS; tries++) {
        expect(tries).toBeLessThan(KILLS + 20);
        const first = await train(undefined, Math.random() * reference.ms);
        if (!first.killed) continue; // too late: the run was complete
        kills++;
        const dir = findRun(runsDir, first.id);
        steps.push(readEvents(dir).at(-1)?.step ?? 0);
        const again = await train(first.id, Math.random() * reference.ms); // and perhaps a second time
        if (again.killed) await train(first.id, Number.POSITIVE_INFINITY);
        expect(result(dir)).toEqual(expected);
      }
      console.log(`killed after steps ${steps.join(", ")} of ${config.train.maxSteps}`);
    },
    60_000 + KILLS * 20_000,
  );
});
