/** Models that travel, through the built command line: to PyTorch where it is installed, and large ones. */
import { spawnSync } from "node:child_process";
import {
  closeSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  statSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { beforeAll, describe, expect, test } from "vitest";
import { planSafetensors } from "../src/formats/safetensors.ts";
import { commandLineIn, main } from "./gatesieve.ts";

const { folder, env, gatesieve } = commandLineIn("formats");
const PYTHON = "/usr/bin/python3";
const hasTorch = spawnSync(PYTHON, ["-c", "import torch"]).status === 0;
const dist = (name: string) => pathToFileURL(join(main, "../..", name)).href;

beforeAll(() => {
  writeFileSync(
    join(folder, "tiny.txt"),
    Array.from({ length: 400 }, (_, i) => `${i * i} sheep on hill ${i % 7}\n`).join(""),
  );
  const tiny = ["model.hiddenSize=7", "train.batchSize=4", "train.sequenceLength=8", "train.maxSteps=20"];
  for (const [name, setting] of [
    ["embedded", "model.embedding=5"],
    ["onehot", "model.embedding=0"],
  ] as const) {
    const trained = gatesieve("train", "tiny.txt", ...tiny, setting, "--quiet", "--runs", name);
    expect(trained.status, trained.stderr).toBe(0);
  }
  expect(gatesieve("train", "task.name=adding", ...tiny, "--quiet", "--runs", "features").status).toBe(0);
});

/** Runs a script of ours in the folder; what it prints, as JSON. */
function node(script: string) {
  const { stdout, stderr, status } = spawnSync(process.execPath, ["--input-type=module", "-e", script], {
    cwd: folder,
    env,
    encoding: "utf8",
  });
  expect(status, stderr).toBe(0);
  return JSON.parse(stdout);
}

describe("export and import", () => {
  test("say what they did, and what to type next", () => {
    const exported = gatesieve("export", "last", "--runs", "embedded", "--out", "model");
    expect(exported).toMatchObject({
      status: 0,
      stderr: "",
      stdout: expect.stringMatching(/exported to model, .* KiB/),
    });
    expect(gatesieve("export", "last", "--runs", "embedded", "--out", "model")).toMatchObject({
      status: 2,
      stderr: expect.stringMatching(/^gatesieve: model is there already; [^\n]*\n$/),
    });
    const imported = gatesieve("import", "model", "--out", "here/copy", "task.text=tiny.txt");
    expect(imported).toMatchObject({
      status: 0,
      stdout: expect.stringMatching(/^run copy: lstm 2 x 7, .*\n.*here\/copy/),
    });
    const score = (...args: string[]) => JSON.parse(gatesieve("eval", "--json", ...args).stdout).loss;
    expect(score("here/copy")).toBe(score("last", "--runs", "embedded"));
    expect(gatesieve("sample", "here/copy", "--length", "20").stdout.length).toBeGreaterThan(15);
    expect(gatesieve("train", "--from", "model", "tiny.txt", "model.hiddenSize=9", "--quiet")).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(/got F32 \[28,5\] for "lstm.weight_ih_l0", expected .* \[36,5\]/),
    });
    expect(gatesieve("import", "tiny.txt")).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(/no safetensors file/),
    });
    expect(gatesieve("import", "model", "other").stderr).toMatch(/got two models/);
  });

  test("what the exported README shows is the snippet of docs/formats.md, and PyTorch computes our outputs with it", () => {
    const docs = readFileSync(new URL("../docs/formats.md", import.meta.url), "utf8");
    for (const name of ["embedded", "onehot", "features"]) {
      const out = join(folder, `torch-${name}`);
      expect(gatesieve("export", "last", "--runs", name, "--out", out).status).toBe(0);
      const [, snippet] = /```python\n(.*?)\n```/s.exec(
        readFileSync(join(out, "README.md"), "utf8"),
      ) as RegExpExecArray;
      expect(docs).toContain(snippet);
      expect((snippet as string).split("\n").length).toBeLessThanOrEqual(15);
      if (!hasTorch) continue; // the names are held to PyTorch by test/golden/pytorch all the same
      const ours = node(`
        import { openModel } from ${JSON.stringify(dist("node.js"))};
        const { model } = await openModel(${JSON.stringify(name)}, "last", { T: 6, B: 3, engine: "js" });
        const x = model.spec.input.kind === "tokens" ? model.tokens.data : model.features.data;
        for (let i = 0; i < x.length; i++) x[i] = (i * i + 1) % 7;
        const all = model.spec.output.positions === "all";
        const outputs = new Float64Array((all ? 18 : 3) * model.spec.output.size);
        model.head.outputs(model.forward(model.pass), model.pass, outputs);
        console.log(JSON.stringify([...outputs]));`);
      const script = `${snippet}
x = torch.tensor([(i * i + 1) % 7 for i in range(18 * (1 if config["vocab_size"] else config["input_size"]))])
x = x.reshape(6, 3) if config["vocab_size"] else x.reshape(6, 3, -1).float()
y, states = run(x)
print(head(y if config["output_positions"] == "all" else y[-1]).flatten().tolist())`;
      const { stdout, stderr } = spawnSync(PYTHON, ["-c", script], { cwd: out, encoding: "utf8" });
      const theirs = JSON.parse(stdout || `"${stderr}"`);
      expect(theirs).toHaveLength(ours.length);
      for (let i = 0; i < ours.length; i++) expect(Math.abs(theirs[i] - ours[i])).toBeLessThan(1e-5);
    }
  });

  test("100 MB of weights come in and go out in little memory", () => {
    const H = 2520; // its hidden matrix alone: 4 H^2 numbers, 102 MB
    const layer = ["weight_ih", "weight_hh"].map((kind) => ({
      name: `lstm.${kind}_l0`,
      shape: [4 * H, kind === "weight_ih" ? 2 : H],
    }));
    const biases = ["bias_ih", "bias_hh"].map((kind) => ({ name: `lstm.${kind}_l0`, shape: [4 * H] }));
    const shapes = [...layer, ...biases, { name: "head.weight", shape: [1, H] }, { name: "head.bias", shape: [1] }];
    const { header, fileBytes } = planSafetensors(shapes.map((each) => ({ ...each, dtype: "F32" as const })));
    expect(fileBytes).toBeGreaterThan(100e6);
    mkdirSync(join(folder, "large"));
    const file = openSync(join(folder, "large/model.safetensors"), "w");
    writeSync(file, header);
    ftruncateSync(file, fileBytes);
    closeSync(file);
    const measured = (work: string) =>
      node(`
        import { exportFolder, importModel, weightsOfRun } from ${JSON.stringify(dist("node.js"))};
        const before = process.resourceUsage().maxRSS * 1024, began = process.cpuUsage();
        ${work}
        console.log(JSON.stringify({ bytes: process.resourceUsage().maxRSS * 1024 - before, cpuMs: process.cpuUsage(began).user / 1000 }));`);
    const came = [0, 1, 2].map((i) =>
      measured(
        `await importModel({ source: "large", runsDir: "big", out: "big/run${i}", settings: ["task.name=adding"] });`,
      ),
    );
    const went = [0, 1, 2].map((i) => measured(`exportFolder(await weightsOfRun("big", "run0"), "went${i}");`));
    for (const { bytes } of [...came, ...went]) expect(bytes).toBeLessThan(fileBytes); // in pieces, never whole
    // Of the processor: beside other work the clock on the wall, and the disk, say nothing of ours.
    for (const times of [came, went]) expect(Math.min(...times.map(({ cpuMs }) => cpuMs))).toBeLessThan(1000);
    expect(statSync(join(folder, "went0/model.safetensors")).size).toBeGreaterThan(100e6);
  });
});
