/** ONNX through the built command line: exported runs in onnxruntime beside our own nets, files come back, large ones in bounds. */
import { spawnSync } from "node:child_process";
import {
  closeSync,
  existsSync,
  ftruncateSync,
  openSync,
  readFileSync,
  statSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, test } from "vitest";
import { decodeOnnx } from "../src/formats/onnx.ts";
import { planSafetensors } from "../src/formats/safetensors.ts";
import { commandLineIn, main } from "./gatesieve.ts";

const { folder, env, gatesieve } = commandLineIn("onnx");
const TINY = ["model.hiddenSize=6", "train.batchSize=4", "train.sequenceLength=8", "train.maxSteps=4", "--quiet"];
const dist = (name: string) => pathToFileURL(join(main, "../..", name)).href;
const lines = (count: number, line: (i: number) => string) =>
  `${Array.from({ length: count }, (_, i) => line(i)).join("\n")}\n`;

writeFileSync(
  join(folder, "tiny.txt"),
  lines(400, (i) => `${i * i} sheep on hill ${i % 7}`),
);
writeFileSync(
  join(folder, "names.csv"),
  `text,label\n${lines(120, (i) => `${"ab".repeat(1 + (i % 3))}${i},${i % 3}`)}`,
);
writeFileSync(join(folder, "series.csv"), `a,b\n${lines(300, (i) => `${1000 + 5 * Math.sin(i / 3)},${i % 7}`)}`);
writeFileSync(
  join(folder, "tags.jsonl"),
  lines(90, (i) => JSON.stringify({ tokens: ["the", i % 2 ? "cat" : "dog"], tags: ["DET", "NOUN"] })),
);

describe("export --format onnx", () => {
  test.each([
    ["lstm", ["tiny.txt", "model.embedding=5"]],
    ["gru", ["task.name=classification", "task.data=names.csv", "model.cell=gru", "model.bidirectional=true"]],
    [
      "mingru",
      ["task.name=forecasting", "task.data=series.csv", "task.horizon=3", "task.period=7", "model.cell=mingru"],
    ],
    [
      "residual",
      [
        "task.name=forecasting",
        "task.data=series.csv",
        "task.horizon=2",
        "model.residual=true",
        "model.layerNorm=true",
      ],
    ],
    ["rnn", ["task.name=tagging", "task.data=tags.jsonl", "model.cell=rnn", "model.bidirectional=true"]],
  ])("%s says in onnxruntime what it says here, and comes back bit for bit", (name, settings) => {
    const trained = gatesieve("train", ...settings, ...TINY, "--runs", name);
    expect(trained.status, trained.stderr).toBe(0);
    const file = `${name}.onnx`;
    const exported = gatesieve(
      "export",
      "last",
      "--runs",
      name,
      "--format",
      "onnx",
      "--out",
      file,
      "--check",
      "--json",
    );
    expect(exported.status, exported.stderr).toBe(0);
    const { check, id } = JSON.parse(exported.stdout);
    expect(check.runtime).toMatch(/^onnxruntime-(node|web) /);
    expect(check.worst).toBeLessThan(check.bound);
    expect(Object.keys(check.differences)).toContain("output");

    const imported = gatesieve("import", file, "--out", `${name}-back`);
    expect(imported.status, imported.stderr).toBe(0);
    const weights = (dir: string) => readFileSync(join(folder, dir, "model/model.safetensors"));
    expect(weights(`${name}-back`)).toEqual(weights(join(name, id)));
    expect(gatesieve("export", `${name}-back`, "--format", "onnx", "--out", `again-${file}`).status).toBe(0);
    const graph = (path: string) => decodeOnnx(readFileSync(join(folder, path))).graph;
    expect(graph(`again-${file}`)).toEqual(graph(file));
  });

  test("errors are one line that says what to do", () => {
    const refused = (status: number, message: RegExp, ...args: string[]) => {
      const said = gatesieve(...args);
      expect(said).toMatchObject({ status, stderr: expect.stringMatching(message) });
      expect(said.stderr.trim().split("\n")).toHaveLength(1);
    };
    refused(2, /lstm.onnx is there already; choose another file/, "export", "last", "--runs", "lstm", "--format", "onnx", "--out", "lstm.onnx"); // biome-ignore format: a call
    refused(2, /--check runs an ONNX file, got --format safetensors/, "export", "last", "--runs", "lstm", "--out", "x", "--check"); // biome-ignore format: a call
    writeFileSync(join(folder, "text.onnx"), "<html>");
    refused(1, /text.onnx: .* no ONNX file/, "import", "text.onnx");
    refused(2, /its output layer reads all positions, task adding asks for the last/, "import", "lstm.onnx", "task.name=adding"); // biome-ignore format: a call
    expect(existsSync(join(folder, "x"))).toBe(false);
  });

  test("100 MB of weights go out and come in within a second and twice their memory", () => {
    const H = 2520; // its hidden matrix alone: 4 H^2 numbers, 102 MB
    const shapes = [
      ...[["weight_ih", 2], ["weight_hh", H]].map(([kind, columns]) => ({ name: `lstm.${kind}_l0`, shape: [4 * H, columns as number] })), // biome-ignore format: a table
      ...["bias_ih", "bias_hh"].map((kind) => ({ name: `lstm.${kind}_l0`, shape: [4 * H] })),
      { name: "head.weight", shape: [1, H] },
      { name: "head.bias", shape: [1] },
    ].map((each) => ({ ...each, dtype: "F32" as const }));
    const { header, fileBytes } = planSafetensors(shapes);
    const file = openSync(join(folder, "large.safetensors"), "w");
    writeSync(file, header);
    ftruncateSync(file, fileBytes);
    closeSync(file);
    const measured = (work: string) => {
      const script = `
        import { exportOnnx, importModel, weightsOfRun } from ${JSON.stringify(dist("node.js"))};
        const before = process.resourceUsage().maxRSS * 1024, began = process.cpuUsage();
        ${work}
        const { user } = process.cpuUsage(began);
        console.log(JSON.stringify({ bytes: process.resourceUsage().maxRSS * 1024 - before, cpuMs: user / 1000 }));`;
      const options = { cwd: folder, env, encoding: "utf8" } as const;
      const { stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", script], options);
      return JSON.parse(stdout || JSON.stringify(stderr)) as { bytes: number; cpuMs: number };
    };
    measured(`await importModel({ source: "large.safetensors", runsDir: "big", out: "big/run", settings: ["task.name=adding"] });`); // biome-ignore format: a call
    const went = [0, 1, 2].map((i) => measured(`exportOnnx(await weightsOfRun("big", "run"), "went${i}.onnx");`));
    const came = [0, 1, 2].map((i) => measured(`await importModel({ source: "went0.onnx", runsDir: "big", out: "big/run${i}" });`)); // biome-ignore format: a call
    expect(statSync(join(folder, "went0.onnx")).size).toBeGreaterThan(100e6);
    for (const { bytes } of [...went, ...came]) expect(bytes).toBeLessThan(2 * fileBytes);
    // Of the processor: beside other work the clock on the wall, and the disk, say nothing of ours.
    for (const times of [went, came]) expect(Math.min(...times.map(({ cpuMs }) => cpuMs))).toBeLessThan(1000);
  });
});
