/** The tasks that write, through the built command line on small files of one's own: train, eval, predict, and bad input. */
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { crc32, deflateSync } from "node:zlib";
import { beforeAll, describe, expect, test } from "vitest";
import { commandLineIn, main, type Result } from "./gatesieve.ts";

const { folder, env, gatesieve } = commandLineIn("writing");
const SMALL = [
  ...["model.hiddenSize=32", "model.numLayers=1", "model.embedding=16", "model.bidirectional=true"],
  ...["train.batchSize=16", "train.learningRate=0.02", "train.maxSteps=150", "train.valCheckInterval=75"],
];
const put = (name: string, content: string | Uint8Array) => writeFileSync(join(folder, name), content);
const jsonLines = (text: string) =>
  text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));

/** Number words, and their digits turned round: of each word its place matters. */
const NAMES = ["zero", "one", "two", "three", "four", "five", "six", "seven"];
const pair = (n: number): [string, string] => {
  const digits = [n & 7, (n >> 3) & 7, (n >> 6) & 7].slice(0, 1 + (n % 3));
  return [digits.map((digit) => NAMES[digit]).join(" "), `${digits.reverse().join(" ")}.`];
};

/** One colour, 8 x 4 pixels. */
function png(red: number, green: number, blue: number, width = 8): Buffer {
  const chunk = (name: string, data: Uint8Array) => {
    const body = Buffer.concat([Buffer.from(name), data]);
    const numbers = Buffer.alloc(8);
    numbers.writeUInt32BE(data.length);
    numbers.writeUInt32BE(crc32(body), 4);
    return Buffer.concat([numbers.subarray(0, 4), body, numbers.subarray(4)]);
  };
  const header = Buffer.from([0, 0, 0, width, 0, 0, 0, 4, 8, 2, 0, 0, 0]);
  const row = [0, ...Array.from({ length: width }, () => [red, green, blue]).flat()];
  const pixels = deflateSync(Uint8Array.from(Array.from({ length: 4 }, () => row).flat()));
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  return Buffer.concat([signature, chunk("IHDR", header), chunk("IDAT", pixels), chunk("IEND", Buffer.alloc(0))]);
}
const COLOURS = { red: [230, 20, 30], "dark green": [10, 90, 20], blue: [20, 30, 220], "light grey": [200, 200, 200] };

beforeAll(() => {
  const pairs = Array.from({ length: 400 }, (_, i) => pair((i * 37) % 512));
  put("numbers.en", pairs.map(([source]) => `${source}\n`).join(""));
  put("numbers.digits", pairs.map(([, target]) => `${target}\n`).join(""));
  mkdirSync(join(folder, "img"));
  const lines = Object.entries(COLOURS).flatMap(([caption, [r, g, b]]) =>
    Array.from({ length: 20 }, (_, i) => {
      put(`img/${caption}${i}.png`, png(r! + (i % 5), g! + (i % 3), b! + (i % 4)));
      return JSON.stringify({ image: `img/${caption}${i}.png`, caption });
    }),
  );
  put("colours.jsonl", lines.join("\n"));
});

function train(...settings: readonly string[]): void {
  const { status, stderr } = gatesieve("train", ...SMALL, ...settings);
  expect({ status, stderr: status === 0 ? "" : stderr }).toEqual({ status: 0, stderr: "" });
}

/** A run's export comes back bit for bit as FOLDER/back, and says of a file what the run says. */
function travels(to: string, input: string): void {
  const done = ({ status, stderr }: Result) => expect(status, stderr).toBe(0);
  const read = (name: string) => readFileSync(join(folder, name));
  done(gatesieve("export", "last", "--out", `${to}/model`));
  const shown = JSON.parse(String(read(`${to}/model/config.json`)));
  expect(shown).toMatchObject({ is_encoder_decoder: true, attention: "general", bidirectional: true, hidden_size: 32 });
  expect(String(read(`${to}/model/README.md`))).toMatch(/encoder and decoder, .*then `eval`, `predict`, or/s);
  done(gatesieve("import", `${to}/model`, "--out", `${to}/back`));
  const { dir } = JSON.parse(gatesieve("runs", "show", "last", "--json").stdout);
  for (const name of [`${to}/model`, `${to}/back/model`])
    expect(read(`${name}/model.safetensors`)).toEqual(readFileSync(join(dir, "model/model.safetensors")));
  const [own, back] = ["last", `${to}/back`].map((run) => gatesieve("predict", run, "--input", input).stdout);
  expect(own).not.toBe("");
  expect(back).toBe(own);

  const parts = ["export", "last", "--format", "onnx", "--out", `${to}/parts`];
  const exported = gatesieve(...parts, "--check", "--json");
  done(exported);
  const { runtime, worst, bound, differences } = JSON.parse(exported.stdout).check;
  expect(runtime).toMatch(/^onnxruntime-(node|web) /);
  expect(worst).toBeLessThan(bound);
  expect(Object.keys(differences)).toEqual(["memory", "h0", "c0", "output", "hn", "cn"]);
  done(gatesieve("import", `${to}/parts`, "--out", `${to}/joined`));
  expect(read(`${to}/joined/model/model.safetensors`)).toEqual(read(`${to}/back/model/model.safetensors`));
  expect(gatesieve("predict", `${to}/joined`, "--input", input).stdout).toBe(own);
  expect(gatesieve(...parts)).toMatchObject({ status: 2, stderr: expect.stringMatching(/parts is there already;/) });
}

test("translation of two files: learns, scores what it writes, and translates", () => {
  train("task.name=translation", "task.data=numbers.en", "task.targetData=numbers.digits", "task.vocabulary=60");
  const scores = JSON.parse(gatesieve("eval", "last", "--json").stdout);
  expect(scores.bleu).toBeGreaterThan(80);
  expect(scores.chrF2).toBeGreaterThan(80);
  expect(scores.signature).toMatch(
    /^BLEU nrefs:1\|case:mixed\|eff:no\|tok:13a\|smooth:exp, chrF2 .*; beam 4, 40 of 40$/,
  );
  expect(gatesieve("eval", "last", "--beam", "1").stdout).toMatch(/BLEU +chrF2/);
  put("new.txt", "five three\nseven\none xix two\n");
  const [some, all] = ["2", "64"].map((size) =>
    gatesieve("predict", "last", "--input", "new.txt", "--batch-size", size),
  );
  const found = jsonLines(all!.stdout);
  expect(found.map(({ translation }) => translation)).toEqual(
    jsonLines(some!.stdout).map(({ translation }) => translation),
  );
  expect(found[0]).toMatchObject({ where: "new.txt:1", translation: "3 5." });
  expect(found[1]).toMatchObject({ translation: "7." });
  expect(found[0].score).toBeLessThan(0);
  const piped = spawnSync(process.execPath, [main, "predict", "last", "--input", "-"], {
    ...{ cwd: folder, env, encoding: "utf8" as const },
    input: '{"source":"six"}\n{"source":""}\n',
  });
  expect({ status: piped.status, stdout: piped.stdout, stderr: piped.stderr }).toEqual({
    status: 2,
    stdout: "",
    stderr: expect.stringMatching(/stdin\.jsonl:2: the sentence is empty; give at least one word/),
  });
  // A character that no training text had is read as <unk>, and counted.
  put("odd.txt", "Ω two\n");
  expect(jsonLines(gatesieve("predict", "last", "--input", "odd.txt").stdout)[0].unknown).toBe(1);
  // Another file is all test split.
  put("other.tsv", `${pair(9).join("\t")}\n${pair(77).join("\t")}\n\tx\n`);
  const other = gatesieve("eval", "last", "--data", "other.tsv", "--json");
  expect(JSON.parse(other.stdout).signature).toMatch(/2 of 2$/);
  travels("there", "new.txt");
  expect(JSON.parse(gatesieve("eval", "there/back", "--json").stdout)).toMatchObject({
    ...{ bleu: scores.bleu, loss: scores.loss, signature: scores.signature },
  });
  // Another file needs no target file; pieces are the model's, so that nothing is learnt anew. Killed, it goes on.
  const on = ["task.data=other.tsv", "train.maxSteps=4", "train.checkpointEverySteps=2", "train.batchSize=2"];
  put("other.tsv", Array.from({ length: 40 }, (_, i) => `${pair(i).join("\t")} $\n`).join(""));
  const begun = gatesieve("train", "--from", "there/model", ...on, "--runs", "on", "--quiet");
  expect({ status: begun.status, stderr: begun.stderr }).toEqual({
    status: 0,
    stderr: expect.stringMatching(/40 symbols are not in the vocabulary/),
  });
  const { dir } = JSON.parse(gatesieve("runs", "show", "last", "--runs", "on", "--json").stdout);
  const config = JSON.parse(readFileSync(join(dir, "config.json"), "utf8"));
  expect(config).toMatchObject({ model: { hiddenSize: 32, bidirectional: true } });
  const model = readFileSync(join(dir, "model/model.safetensors"));
  rmSync(join(dir, "summary.json"));
  const resumed = gatesieve("train", "--resume", "last", "--runs", "on", "--quiet");
  expect(resumed.status, resumed.stderr).toBe(0);
  expect(readFileSync(join(dir, "model/model.safetensors"))).toEqual(model);
  expect(gatesieve("import", "there/parts/encoder.onnx")).toMatchObject({
    status: 1,
    stderr: expect.stringMatching(/encoder.onnx: the encoder of two. Import the folder that holds both/),
  });
  const alone = gatesieve("import", "there/model/model.safetensors");
  expect({ status: alone.status, stderr: alone.stderr }).toEqual({
    status: 1,
    stderr: expect.stringMatching(/an encoder and a decoder, .* give the whole folder that gatesieve export wrote/),
  });
  expect(gatesieve("sample", "last").stderr).toMatch(
    /task translation makes no text; .* let it write with gatesieve predict/,
  );
});

test("captioning of PNG files: learns colours, captions a picture", () => {
  train(
    "task.name=captioning",
    "task.data=colours.jsonl",
    "task.patch=4",
    "task.vocabulary=60",
    "train.learningRate=0.01",
  );
  const scores = JSON.parse(gatesieve("eval", "last", "--json").stdout);
  expect(scores.exactMatch).toBe(1);
  put("new.png", png(14, 88, 25));
  const [found] = jsonLines(gatesieve("predict", "last", "--input", "new.png").stdout);
  expect(found).toMatchObject({ where: "new.png", caption: "dark green" });
  travels("drawn", "new.png");
  put("wide.png", png(1, 2, 3, 12));
  put("no.png", "GIF89a");
  for (const [name, message] of [
    ["wide.png", /wide\.png: the picture is 12 x 4, expected 8 x 4 as those of training; scale it first\./],
    ["no.png", /no\.png is no PNG: it begins with 47 49 46 38, expected 89 50 4e 47\./],
    ["none.png", /none\.png: the picture none\.png is not there\./],
  ] as const) {
    const { status, stdout, stderr } = gatesieve("predict", "last", "--input", name);
    expect({ status, stdout, stderr }).toEqual({ status: 2, stdout: "", stderr: expect.stringMatching(message) });
  }
});

describe("bad input is one line and exit 2", () => {
  test.each([
    [
      ["task.data=numbers.en", "task.targetData=short.txt"],
      /numbers\.en has 400 lines and short\.txt 1; each line needs/,
    ],
    [["task.data=two.tsv", "train.sequenceLength=2"], /none of 16 examples to train on has at most task\.sourceLength/],
    [
      ["task.name=translation", "task.data=two.tsv", "task.tokenizerFile=word.json"],
      /word\.json: got a model of type "WordPiece"/,
    ],
    [["task.data=two.tsv", "model.hiddenSize=5"], /hiddenSize is 5; a bidirectional encoder has half/],
    [["task.name=captioning", "task.data=lost.jsonl"], /lost\.jsonl:1: the picture .*lost\.png is not there/],
    [["task.name=captioning", "task.data=colours.jsonl", "task.patch=3"], /task\.patch is 3; pictures of 8 x 4 want/],
  ])("%j", (settings, message) => {
    put("short.txt", "1\n");
    put("two.tsv", "a b\tc d\n".repeat(20));
    put("word.json", '{"model":{"type":"WordPiece"}}');
    put("lost.jsonl", '{"image":"lost.png","caption":"a"}');
    const own = settings.some((setting) => setting.startsWith("task.name="))
      ? []
      : ["task.name=translation", "task.vocabulary=30"];
    const { status, stderr } = gatesieve("train", ...SMALL, ...own, ...settings);
    expect({ status, stderr }).toEqual({ status: 2, stderr: expect.stringMatching(message) });
    expect(stderr.trimEnd().split("\n")).toHaveLength(1);
  });
});
