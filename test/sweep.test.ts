/** gatesieve sweep as a user meets it: real processes, killed and stopped at will. */
import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { commandLineIn, main } from "./gatesieve.ts";

const { folder, env, gatesieve } = commandLineIn("sweep");

const base = (steps: number) => ({
  task: { name: "delay" },
  model: { numLayers: 1, hiddenSize: 8, embedding: 0 },
  train: {
    ...{ batchSize: 4, sequenceLength: 10, maxSteps: steps, learningRate: 0.01 },
    ...{ valCheckInterval: 20, logEverySteps: 10, checkpointEverySteps: 20 },
  },
});

/** Writes a grid file; returns its name. */
function grid(name: string, definition: object): string {
  writeFileSync(join(folder, `${name}.json`), JSON.stringify(definition));
  return `${name}.json`;
}

const read = (...path: string[]) => readFileSync(join(folder, "sweeps", ...path), "utf8");
const record = (name: string) => JSON.parse(read(name, "sweep.json"));
const runs = (name: string) => readdirSync(join(folder, "sweeps", name, "runs")).sort();
const jsonLines = (text: string) =>
  text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));

/** A finished run's weights and losses: what must not depend on how often it was stopped. */
function outcome(name: string, run: string) {
  const { validLoss, testLoss, sparsity } = JSON.parse(read(name, "runs", run, "summary.json"));
  const weights = readFileSync(join(folder, "sweeps", name, "runs", run, "model", "model.safetensors"));
  return { validLoss, testLoss, sparsity, weights: createHash("sha256").update(weights).digest("hex") };
}
const outcomes = (name: string) => Object.fromEntries(runs(name).map((run) => [run, outcome(name, run)]));

/** Waits until `ready` tells something, at most 30 seconds. */
async function when<T>(ready: () => T | undefined): Promise<T> {
  for (const began = Date.now(); Date.now() - began < 30_000; ) {
    const found = ready();
    if (found !== undefined) return found;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error("waited 30 seconds in vain");
}

function start(...args: readonly string[]) {
  const child: ChildProcess = spawn(process.execPath, [main, ...args], { cwd: folder, env });
  let [stdout, stderr] = ["", ""];
  child.stdout?.on("data", (data) => {
    stdout += data;
  });
  child.stderr?.on("data", (data) => {
    stderr += data;
  });
  const ended = new Promise<{ status: number | null; stdout: string; stderr: string }>((resolve) =>
    child.on("close", (status) => resolve({ status, stdout, stderr })),
  );
  return { child, ended };
}

/** The process that trains a member, once it has done some steps. */
const workerOf = (name: string, run: string) =>
  when(() => {
    try {
      const events = read(name, "runs", run, "events.jsonl");
      return events.includes('"step":40') ? (JSON.parse(read(name, "runs", run, "run.lock")).pid as number) : undefined;
    } catch {
      return undefined;
    }
  });

const isAlive = (pid: number) => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

describe("a sweep from its grid file to its confirmation", () => {
  const definition = {
    base: base(60),
    grid: { policy: ["dense", "energy:0.99"], "train.learningRate": [0.001, 0.01] },
    seeds: 2,
    processes: 2,
    confirm: { seeds: [11, 12] },
  };
  let first: ReturnType<typeof gatesieve>;
  beforeAll(() => {
    grid("whole", definition);
    first = gatesieve("sweep", "whole.json");
  });

  test("trains every arm on every seed, in run folders of their own", () => {
    expect(first.status).toBe(0);
    expect(runs("whole")).toEqual(
      [1, 2]
        .flatMap((seed) =>
          [
            "dense-learningRate=0.01",
            "dense-learningRate=1e-3",
            "energy-0.99-learningRate=0.01",
            "energy-0.99-learningRate=1e-3",
          ].map((arm) => `${arm}-s${seed}`),
        )
        .sort(),
    );
    const listed = jsonLines(gatesieve("runs", "--runs", "sweeps/whole/runs", "--json").stdout);
    expect(new Set(listed.map(({ policy, seed, status }) => `${policy} ${seed} ${status}`))).toEqual(
      new Set(["dense 1 finished", "dense 2 finished", "energy:0.99 1 finished", "energy:0.99 2 finished"]),
    );
  });

  test("ends with tables on stdout and progress on stderr, within 100 columns", () => {
    for (const heading of ["arm .* valid loss", "arm .* time", "charts"])
      expect(first.stdout).toMatch(new RegExp(`^${heading}`, "m"));
    expect(first.stderr).toMatch(/^8\/8 done {2}.*valid [\d.]+ {2}zeros [\d.]+ %/m);
    for (const line of [...first.stdout.split("\n"), ...first.stderr.split("\n")].filter(
      (each) => !each.includes("main.js"),
    ))
      expect(line.length).toBeLessThanOrEqual(100);
    expect(first.stdout + first.stderr).not.toMatch(/NaN|undefined|\[object/);
  });

  test("says nothing of test losses while it chooses", () => {
    const said = [first.stdout, first.stderr, read("whole", "sweep.json"), read("whole", "report.html")].join("\n");
    for (const run of runs("whole")) {
      const { testLoss, validLoss } = outcome("whole", run);
      expect(testLoss).toBeGreaterThan(0);
      expect(testLoss).not.toBe(validLoss);
      expect(said).not.toContain(String(testLoss));
    }
    expect(record("whole").results.choose.rows.map(({ testLoss }: { testLoss: null }) => testLoss)).toEqual(
      Array(4).fill(null),
    );
    expect(record("whole").results.confirm).toBe(null);
  });

  test("does nothing when called again", () => {
    const before = outcomes("whole");
    const again = gatesieve("sweep", "whole.json");
    expect(again.status).toBe(0);
    expect(again.stderr).not.toContain("done");
    expect(outcomes("whole")).toEqual(before);
  });

  test("refuses a grid that would make its runs stand for others, in one line", () => {
    const changed = gatesieve("sweep", "whole.json", "train.batchSize=5");
    expect({ status: changed.status, stdout: changed.stdout }).toEqual({ status: 2, stdout: "" });
    expect(changed.stderr).toMatch(
      /^gatesieve: sweep whole has runs of arm "dense, [^\n]*\(train\.batchSize 4, now 5\)[^\n]*\n$/,
    );
  });

  test("lists what a larger grid would add, with a time, and trains that alone", () => {
    grid("larger", { ...definition, name: "whole", seeds: 3 });
    const listed = jsonLines(gatesieve("sweep", "larger.json", "--dry-run", "--json").stdout);
    expect(listed.filter(({ status }) => status === "pending").map(({ seed }) => seed)).toEqual([3, 3, 3, 3]);
    expect(listed.at(-1)).toMatchObject({ type: "estimate", seconds: expect.any(Number) });
    expect(listed.at(-1).seconds).toBeGreaterThan(0);
    expect(runs("whole")).toHaveLength(8);
    const before = outcomes("whole");
    const lines = jsonLines(gatesieve("sweep", "larger.json", "--json", "--quiet").stdout);
    expect(lines.filter(({ type }) => type === "member").map(({ seed }) => seed)).toEqual([3, 3, 3, 3]);
    expect(lines.at(-1)).toMatchObject({ type: "result", name: "whole" });
    expect(outcomes("whole")).toMatchObject(before);
  });

  test("confirms the best of each policy on fresh seeds, and shows their test losses", () => {
    const confirmed = gatesieve("sweep", "whole", "--confirm");
    expect(confirmed.status).toBe(0);
    expect(confirmed.stdout).toMatch(/^arm .* test loss/m);
    const { confirmation, results } = record("whole");
    const best = results.choose.rows.filter(({ bestOfPolicy }: { bestOfPolicy: boolean }) => bestOfPolicy);
    expect(confirmation.finalists).toEqual(best.map(({ arm }: { arm: string }) => arm));
    expect(confirmation.finalists).toHaveLength(2);
    expect(results.confirm).toMatchObject({ split: "test", seeds: [11, 12] });
    for (const row of results.confirm.rows) {
      const losses = [11, 12].map((seed) => outcome("whole", `${row.slug}-s${seed}`).testLoss);
      expect(row.losses).toEqual(losses);
      expect(row.testLoss).toBeCloseTo((losses[0] + losses[1]) / 2, 12);
    }
    const page = read("whole", "report.html");
    expect(page).toContain("Confirmed on the test split");
    expect(page).not.toMatch(/<script|<link|src=|href=|url\(/);
    expect(page.match(/<svg class="gs-chart"/g)).toHaveLength(7);
  });

  test("stays as it was confirmed", () => {
    const changed = gatesieve("sweep", "whole.json");
    expect(changed.status).toBe(2);
    expect(changed.stderr).toMatch(/^gatesieve: sweep whole was confirmed on the test split [^\n]*--name\.\n$/);
    expect(gatesieve("sweep", "larger.json").status).toBe(0);
  });

  test("is shown and listed, and gives its trade-off", () => {
    expect(gatesieve("sweep", "show", "whole").stdout).toMatch(/confirmed on test, fresh seeds/);
    expect(JSON.parse(gatesieve("sweep", "show", "whole", "--json").stdout).results).toEqual(record("whole").results);
    expect(gatesieve("sweep", "list").stdout).toMatch(/^whole +4 +16 +16 +0 {2}confirmed/m);
    expect(JSON.parse(gatesieve("sweep", "list", "--json").stdout.split("\n")[0] as string)).toMatchObject({
      name: "whole",
    });
    writeFileSync(
      join(folder, "tradeoff.json"),
      JSON.stringify([
        { task: "a", sweep: "other", sparsity: 1 },
        { task: "a", sweep: "whole", sparsity: 1 },
      ]),
    );
    expect(gatesieve("sweep", "tradeoff", "whole", "--out", "tradeoff.json").status).toBe(0);
    const entries = JSON.parse(readFileSync(join(folder, "tradeoff.json"), "utf8"));
    expect(entries.map(({ sweep }: { sweep: string }) => sweep)).toEqual(["other", "whole", "whole"]);
    const [, , energy] = entries;
    expect(Object.keys(energy).slice(0, 11)).toEqual(
      "task policy pairs sparsity naturalZeros testLoss testLossRelative testLossRelativeUpper95 macsSkippedRecurrent macsSkippedAll secondsRelative".split(
        " ",
      ),
    );
    const row = record("whole").results.confirm.rows.find(({ policy }: { policy: string }) => policy === "energy:0.99");
    expect(energy).toMatchObject({
      task: "delay",
      policy: "energy:0.99",
      pairs: 2,
      testLossRelativeUpper95: row.lossRelative.high,
    });
  });
});

describe("whatever stops it", () => {
  // On engine js, about two seconds a run: time enough to be killed in.
  const definition = (name: string) => ({
    name,
    base: {
      task: { name: "delay" },
      model: { numLayers: 1, hiddenSize: 16, embedding: 0 },
      train: {
        ...{ batchSize: 8, sequenceLength: 10, maxSteps: 800 },
        ...{ valCheckInterval: 250, logEverySteps: 20, checkpointEverySteps: 100 },
      },
      engine: "js",
    },
    grid: { policy: ["dense", "stochastic:0.5"] },
  });
  let expected: ReturnType<typeof outcomes>;
  beforeAll(() => {
    gatesieve("sweep", grid("reference", definition("reference")), "--quiet", "--processes", "2");
    expected = outcomes("reference");
    expect(Object.keys(expected)).toEqual(["dense-s1", "stochastic-0.5-s1"]);
  });

  test("kill -9 of the sweep: its member notices and keeps a checkpoint, finished ones are kept, the next call goes on", async () => {
    const file = grid("killed", definition("killed"));
    const { child, ended } = start("sweep", file);
    const worker = await workerOf("killed", "stochastic-0.5-s1");
    child.kill("SIGKILL");
    await ended;
    await when(() => (isAlive(worker) ? undefined : true));
    expect(JSON.parse(read("killed", "runs", "stochastic-0.5-s1", "summary.json"))).toMatchObject({
      status: "stopped",
    });
    const done = outcome("killed", "dense-s1");
    const again = gatesieve("sweep", file);
    expect(again.status).toBe(0);
    expect(again.stderr).toMatch(/took over the lock of process \d+/);
    expect(again.stderr).toMatch(/stochastic:0\.5, seed 1: goes on from step \d+/);
    expect(again.stderr).not.toMatch(/done {2}dense/);
    expect(outcome("killed", "dense-s1")).toEqual(done);
    expect(outcomes("killed")).toEqual(expected);
  });

  test("kill -9 of the sweep and of its member", async () => {
    const file = grid("both", definition("both"));
    const { child, ended } = start("sweep", file);
    const worker = await workerOf("both", "dense-s1");
    process.kill(worker, "SIGKILL");
    child.kill("SIGKILL");
    await ended;
    expect(existsSync(join(folder, "sweeps", "both", "runs", "dense-s1", "summary.json"))).toBe(false);
    expect(gatesieve("sweep", file).status).toBe(0);
    expect(outcomes("both")).toEqual(expected);
  });

  test("kill -9 of a member alone: it is recorded, the others go on, the next call resumes it", async () => {
    const file = grid("member", definition("member"));
    const { ended } = start("sweep", file);
    process.kill(await workerOf("member", "dense-s1"), "SIGKILL");
    const { status, stderr } = await ended;
    expect(status).toBe(1);
    expect(stderr).toMatch(/dense, seed 1 ended by SIGKILL\./);
    expect(stderr).toMatch(/1 of 2 members are done.* Go on with: /);
    expect(record("member").members.map(({ status: each }: { status: string }) => each)).toEqual([
      "paused",
      "finished",
    ]);
    expect(gatesieve("sweep", "member").status).toBe(0);
    expect(outcomes("member")).toEqual(expected);
  });

  test("SIGINT, while no second process may work on it: members end after their steps, it says how to go on", async () => {
    const { child, ended } = start("sweep", grid("interrupted", definition("interrupted")), "--processes", "2");
    await workerOf("interrupted", "dense-s1");
    const second = gatesieve("sweep", "interrupted");
    expect({ status: second.status, stdout: second.stdout }).toEqual({ status: 1, stdout: "" });
    expect(second.stderr).toMatch(/sweep interrupted is in use by process \d+/);
    child.kill("SIGINT");
    const { status, stdout, stderr } = await ended;
    expect({ status, stdout }).toEqual({ status: 130, stdout: "" });
    expect(stderr).toMatch(/^gatesieve: SIGINT, ending after these steps/m);
    expect(stderr).toMatch(/Go on with: .* sweep interrupted\n$/);
    expect(JSON.parse(read("interrupted", "runs", "dense-s1", "summary.json"))).toMatchObject({ status: "stopped" });
    expect(readdirSync(join(folder, "sweeps", "interrupted"))).not.toContain("run.lock");
    expect(gatesieve("sweep", "list").stdout).toMatch(/^interrupted +2 +2 +0 +0 {2}stopped/m);
    expect(gatesieve("sweep", "interrupted").status).toBe(0);
    expect(outcomes("interrupted")).toEqual(expected);
  });
});

test("a member that fails is recorded with its error, the rest goes on, and its arm is never lossless", () => {
  const bad = { name: "explodes", "train.learningRate": 3e38, "train.gradientClipVal": 0, "train.optimizer": "sgd" };
  const arms = [{ name: "dense", policy: "dense" }, bad];
  const result = gatesieve("sweep", grid("failing", { base: base(40), arms, seeds: 2, split: "test" }));
  expect(result.status).toBe(1);
  expect(result.stderr).toMatch(/^gatesieve: failed: explodes, seed 1[^:]*: step \d+: [^\n]+\n/m);
  expect(result.stderr).toMatch(/2 of 4 members failed\. Try them again with: .*--retry/);
  const { members, results } = record("failing");
  expect(members.map(({ status }: { status: string }) => status)).toEqual(["finished", "failed", "finished", "failed"]);
  for (const { status, error } of members)
    if (status === "failed") expect(error).toMatch(/^step \d+: [^\n]+train\.learningRate[^\n]*$/);
  expect(results.choose.rows.map(({ pairs, verdict }: { pairs: number; verdict: string }) => [pairs, verdict])).toEqual(
    [
      [2, "reference"],
      [0, "not shown"],
    ],
  );
  expect(result.stdout).toMatch(/^explodes +0 +– +– +not shown, 2 diverged$/m);
  expect(gatesieve("sweep", "failing").stderr).not.toMatch(/^gatesieve: explodes, seed \d failed/m);
  const retried = gatesieve("sweep", "failing", "--retry");
  expect(retried.stderr.match(/^gatesieve: explodes, seed \d failed: step \d+/gm)).toHaveLength(2);
  expect(retried.stderr).not.toMatch(/done {2}dense/);
});

test("where epochs say how long runs are, one that has begun stands for those that have not", () => {
  const { train, ...rest } = base(0);
  const { maxSteps: _none, ...others } = train;
  const definition = {
    base: { ...rest, train: { ...others, maxEpochs: 0.05 } },
    grid: { policy: ["dense", "energy"] },
  };
  const unknown = jsonLines(gatesieve("sweep", grid("epochs", definition), "--dry-run", "--json").stdout);
  expect(unknown.at(-1)).toMatchObject({ seconds: null });
  gatesieve("sweep", "epochs.json", "--quiet");
  const [{ maxSteps, wallSeconds }] = record("epochs").members;
  grid("epochs", { ...definition, seeds: 2 });
  const lines = jsonLines(gatesieve("sweep", "epochs.json", "--dry-run", "--json").stdout);
  expect(lines.slice(2, 4)).toMatchObject([{ maxSteps: null, seed: 2 }, { status: "pending" }]);
  expect(maxSteps).toBeGreaterThan(0);
  expect(lines.at(-1).seconds).toBeGreaterThan(wallSeconds / 2);
});

test("what fails before there is a run folder is recorded too", () => {
  const arms = [{ name: "lost", engine: "abacus" }, { name: "here" }];
  const result = gatesieve("sweep", grid("lost", { base: base(20), arms }));
  expect(result.status).toBe(1);
  expect(record("lost").members[0]).toMatchObject({
    status: "failed",
    error: expect.stringMatching(/unknown engine "abacus"/),
  });
  expect(record("lost").members[1]).toMatchObject({ status: "finished" });
});

describe("successive halving", () => {
  const { train, ...rest } = base(0);
  const { maxSteps: _none, ...short } = train;
  const definition = {
    base: { ...rest, train: short },
    grid: { policy: ["dense", "energy:0.99"], "train.learningRate": [1e-6, 0.003, 0.02, 0.01] },
    halving: { budgets: [40, 80, 160], keep: 0.5, within: ["policy"] },
    processes: 2,
  };
  let result: ReturnType<typeof gatesieve>;
  beforeAll(() => {
    result = gatesieve("sweep", grid("halving", definition));
  });

  test("pauses arms at budgets and lets the better half of each policy go on", () => {
    expect(result.status).toBe(0);
    expect(result.stderr).toMatch(/^after 40 steps 4 of 8 arms go on: /m);
    expect(result.stderr).toMatch(/^after 80 steps 2 of 4 arms go on: /m);
    const { members, results } = record("halving");
    const steps = members.map((member: { steps: number }) => member.steps).sort((a: number, b: number) => a - b);
    expect(steps).toEqual([40, 40, 40, 40, 80, 80, 160, 160]);
    const rows = results.choose.rows as { arm: string; leftOutAt: number | null }[];
    expect(rows.filter(({ leftOutAt }) => leftOutAt === null).map(({ arm }) => arm.split(",")[0])).toEqual([
      "dense",
      "energy:0.99",
    ]);
    expect(rows.filter(({ arm }) => arm.includes("1e-6")).map(({ leftOutAt }) => leftOutAt)).toEqual([40, 40]);
  });

  test("leaves out those with the worse losses at the budget", () => {
    const lossAt = (run: string, step: number) =>
      Math.min(
        ...jsonLines(read("halving", "runs", run, "events.jsonl"))
          .filter((event) => event.type === "validation" && event.step <= step)
          .map(({ loss }) => loss),
      );
    for (const policy of ["dense", "energy-0.99"]) {
      const own = record("halving").members.filter(({ id }: { id: string }) => id.startsWith(policy));
      const [out, on] = [true, false].map((gone) =>
        own.filter(({ steps }: { steps: number }) => (steps === 40) === gone),
      );
      for (const worse of out)
        for (const better of on) expect(lossAt(better.id, 40)).toBeLessThan(lossAt(worse.id, 40));
    }
  });

  test("ends with the runs that would have been without it, bit for bit", () => {
    const finished = record("halving").members.filter(({ status }: { status: string }) => status === "finished");
    for (const { id } of finished) {
      gatesieve("train", `sweeps/halving/runs/${id}/config.json`, "--runs", `direct-${id}`, "--quiet");
      const [name] = readdirSync(join(folder, `direct-${id}`)) as [string];
      const bytes = readFileSync(join(folder, `direct-${id}`, name, "model", "model.safetensors"));
      expect(createHash("sha256").update(bytes).digest("hex")).toBe(outcome("halving", id).weights);
    }
  });
});

test.each([
  ["no grid file", ["sweep"], /give a grid file/],
  ["a text", ["sweep", "my.txt"], /no sweep "my\.txt"/],
  ["a subcommand misspelt", ["sweep", "shwo", "x"], /did you mean "gatesieve sweep show"/],
  [
    "an unknown sweep",
    ["sweep", "show", "nothing", "--sweeps", "none"],
    /no sweep "nothing": there are no sweeps in none/,
  ],
  ["a missing grid file", ["sweep", "nowhere.yaml"], /no configuration file nowhere\.yaml/],
  ["a setting for a sweep begun before", ["sweep", "halving", "train.maxSteps=3"], /leave out "train\.maxSteps=3"/],
  ["nothing to confirm", ["sweep", "failing", "--confirm"], /has split: test; its arms were fixed beforehand/],
  [
    "a trade-off without test losses",
    ["sweep", "tradeoff", "halving"],
    /sweep halving has not looked at its test split/,
  ],
  [
    "no number of processes",
    ["sweep", "halving", "--processes", "0"],
    /whole number of at least 1.* gatesieve sweep --help/,
  ],
])("%s ends with 2 and one line", (_name, args, message) => {
  const { status, stdout, stderr } = gatesieve(...args);
  expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
  expect(stderr).toMatch(/^gatesieve: [^\n]+\n$/);
  expect(stderr).toMatch(message);
});
