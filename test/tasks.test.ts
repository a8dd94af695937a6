/** The tasks on data through the built command line, on small files of one's own: train, eval, and what is said of bad input. */
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { commandLineIn, main } from "./gatesieve.ts";

const { folder, env, gatesieve } = commandLineIn("tasks");

const SMALL = ["model.hiddenSize=16", "train.batchSize=8", "train.learningRate=0.02", "policy=energy:0.99"];
const STEPS = ["train.maxSteps=120", "train.valCheckInterval=60"];

const rows = (count: number, row: (i: number) => string) => Array.from({ length: count }, (_, i) => row(i)).join("\n");
const put = (name: string, text: string) => writeFileSync(join(folder, name), text);

beforeAll(() => {
  // A BOM, CRLF, a quoted field with a comma: as a spreadsheet writes it.
  const named = (i: number) =>
    i % 2 ? `"${"xy".repeat(1 + (i % 5))},${i}",crossed` : `${"ab".repeat(1 + (i % 5))}${i},plain`;
  put("own.csv", `\uFEFFtext,label\r\n${rows(120, named).replaceAll("\n", "\r\n")}\r\n`);
  put("series.csv", `day,level\n${rows(400, (i) => `${i},${(10 + 5 * Math.sin(i / 4)).toFixed(4)}`)}\n`);
  const sentence = (i: number) =>
    JSON.stringify({
      tokens: ["the", i % 2 ? "cat" : "dog", i % 3 ? "runs" : "sleeps"],
      tags: ["DET", "NOUN", "VERB"],
    });
  put("tags.jsonl", rows(120, sentence));
});

/** Trains on a file, scores the test split; stderr must be free of errors. */
function trainAndScore(...settings: readonly string[]): Record<string, number> {
  const trained = gatesieve("train", ...settings, ...SMALL, ...STEPS);
  expect({ status: trained.status, stderr: trained.status === 0 ? "" : trained.stderr }).toEqual({
    status: 0,
    stderr: "",
  });
  const scored = gatesieve("eval", "last", "--json");
  expect(scored.status).toBe(0);
  return JSON.parse(scored.stdout);
}

const jsonLines = (text: string) =>
  text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));

/** Predictions; the same for any batch size. */
function predicted(input: string): Record<string, unknown>[] {
  const [one, many] = ["1", "7"].map((size) => gatesieve("predict", "last", "--input", input, "--batch-size", size));
  expect({ status: one?.status, stderr: one?.stderr }).toEqual({ status: 0, stderr: "" });
  const [alone, together] = [jsonLines(one!.stdout), jsonLines(many!.stdout)];
  const rounded = (value: unknown) =>
    JSON.stringify(value, (_, each) => (typeof each === "number" ? Number(each.toPrecision(4)) : each));
  expect(rounded(together)).toBe(rounded(alone));
  return alone;
}

describe("train, eval and predict", () => {
  test("classification of a CSV file with BOM, CRLF and quotes", () => {
    const scores = trainAndScore("task.name=classification", "task.data=own.csv");
    expect(scores.accuracy).toBeGreaterThan(0.9);
    expect(scores.macroRecall).toBeGreaterThan(0.9);
    put("new.csv", `text\n"xyxyxyxyxyxyxyxyxyxyxy,1"\nab7\nababab\n`);
    const found = predicted("new.csv");
    expect(found.map(({ label }) => label)).toEqual(["crossed", "plain", "plain"]);
    expect(found[1]).toMatchObject({ where: "new.csv:3", probabilities: { plain: found[1]!.probability } });
    const piped = spawnSync(process.execPath, [main, "predict", "last", "--input", "-"], {
      cwd: folder,
      env,
      encoding: "utf8",
      input: '{"text":"xyxy,3"}\n',
    });
    expect(JSON.parse(piped.stdout)).toMatchObject({ where: "stdin.jsonl:1", label: "crossed" });
    put("empty-text.csv", "text,more\nab,1\n,2\n");
    const empty = gatesieve("predict", "last", "--input", "empty-text.csv");
    expect({ ...empty }).toEqual({
      status: 2,
      stdout: "",
      stderr: expect.stringMatching(/empty-text\.csv:3: the seq/),
    });
    const table = JSON.parse(gatesieve("eval", "last", "--json").stdout).table;
    expect(table).toMatchObject([{ class: "crossed" }, { class: "plain" }]);
    expect(table.reduce((sum: number, { count }: { count: number }) => sum + count, 0)).toBe(scores.positions);
    expect(gatesieve("eval", "last").stdout).toMatch(/class +count +recall +precision +f1\ncrossed +6 +/);
    // Another file, read as the run's own was: with every label wrong nothing is right.
    put("wrong.csv", `text,label\n${rows(10, (i) => `abab${i},crossed`)}\n`);
    const wrong = gatesieve("eval", "last", "--data", "wrong.csv", "--json");
    expect({ status: wrong.status, accuracy: JSON.parse(wrong.stdout).accuracy }).toEqual({ status: 0, accuracy: 0 });
    put("stranger.csv", "text,label\nabab,round\n");
    const stranger = gatesieve("eval", "last", "--data", "stranger.csv");
    expect({ status: stranger.status, stderr: stranger.stderr }).toEqual({
      status: 2,
      stderr: expect.stringMatching(/stranger\.csv:2: the label "round" is none of/),
    });
  });

  test("forecasting of a CSV file is better than the naive forecast", () => {
    const scores = trainAndScore(
      "task.name=forecasting",
      "task.data=series.csv",
      "task.columns=level",
      "task.target=level",
      "task.period=25",
      "train.sequenceLength=12",
    );
    expect(scores.mae).toBeLessThan(scores.naiveMae as number);
    expect(scores.rmse).toBeGreaterThanOrEqual(scores.mae as number);
    // What follows row 399, twice as near as the last row is, on a history of its own length.
    const [next] = predicted("series.csv") as [{ forecast: { level: number[] } }];
    const level = (i: number) => 10 + 5 * Math.sin(i / 4);
    expect(Math.abs(next.forecast.level[0]! - level(400))).toBeLessThan(Math.abs(level(399) - level(400)) / 2);
    const gaps = Array.from({ length: 40 }, (_, i) => (i === 30 ? "" : level(i)));
    put("gaps.csv", `level,other\n${gaps.map((value) => `${value},1`).join("\n")}\n`);
    expect(gatesieve("predict", "last", "--input", "gaps.csv")).toMatchObject({
      status: 2,
      stderr: expect.stringMatching(/^gatesieve: gaps\.csv:32: column "level" has no value .*--missing[^\n]*\n$/),
    });
    const mended = gatesieve("predict", "last", "--input", "gaps.csv", "--missing", "previous");
    expect(mended.stderr).toContain("gaps.csv: 1 missing values taken from the row before");
    put("mended.csv", `level\n${gaps.map((value) => (value === "" ? level(29) : value)).join("\n")}\n`);
    expect(JSON.parse(mended.stdout).forecast).toEqual((predicted("mended.csv") as [{ forecast: object }])[0].forecast);
    const scored = gatesieve("anomalies", "last", "gaps.csv", "--missing", "previous");
    expect([scored.status, scored.stderr]).toEqual([0, expect.stringContaining("1 missing values taken")]);
    put("short.csv", "level\n10\n11\n");
    expect(gatesieve("predict", "last", "--input", "short.csv").status).toBe(
      scores.seasonalNaiveMae! < scores.naiveMae! ? 2 : 0,
    );
  });

  test("anomalies of a CSV file: the rows that were spoilt, and no others", () => {
    trainAndScore("task.name=forecasting", "task.data=series.csv", "task.columns=level", "train.sequenceLength=12");
    const level = (i: number) => 10 + 5 * Math.sin(i / 4) + (i === 80 || i === 120 ? 30 : 0);
    const rows = Array.from({ length: 200 }, (_, i) => `${level(i)},day ${i},${i === 80 || i === 120 ? "yes" : ""}`);
    put("spoilt.csv", `level,when,fault\n${rows.join("\n")}\n`);
    const { stdout, status } = gatesieve(
      "anomalies",
      "last",
      "spoilt.csv",
      "--label",
      "fault",
      "--json",
      "--csv",
      "s.csv",
    );
    const { anomalies, scores, scored, readRows } = JSON.parse(stdout);
    expect({ status, rows: scored + readRows }).toEqual({ status: 0, rows: 200 });
    expect(scores).toMatchObject({ recall: 1, precision: expect.any(Number) });
    expect(anomalies.map(({ row }: { row: number }) => row)).toEqual(expect.arrayContaining([81, 121]));
    expect(anomalies.find(({ row }: { row: number }) => row === 81)).toMatchObject({
      place: "day 80",
      column: "level",
    });
    expect(readFileSync(join(folder, "s.csv"), "utf8").split("\n")).toHaveLength(scored + 2);
    expect(gatesieve("anomalies", "last", "spoilt.csv", "--limit", "4").stdout).toMatch(/ 81 +day 80 +yes|81 +day 80/);
    const { stderr, status: code } = gatesieve("anomalies", "last", "spoilt.csv", "--label", "when");
    expect({ code, stderr }).toEqual({
      code: 2,
      stderr: expect.stringMatching(/spoilt\.csv:2: when is "day 0"; expected 1/),
    });
    put("strange.csv", `level,fault\n${"10,0\n".repeat(200)}10,constructor\n`);
    expect(gatesieve("anomalies", "last", "strange.csv", "--label", "fault")).toMatchObject({
      status: 2,
      stderr: expect.stringMatching(/strange\.csv:202: fault is "constructor"; expected 1/),
    });
  });

  test("tagging of a JSONL file", () => {
    const scores = trainAndScore("task.name=tagging", "task.data=tags.jsonl");
    expect(scores.accuracy).toBeGreaterThan(0.95);
    put("new.conll", "the\ndog\nsleeps\n\nthe\ncat\n");
    expect(predicted("new.conll").map(({ tags }) => tags)).toEqual([
      ["DET", "NOUN", "VERB"],
      ["DET", "NOUN"],
    ]);
  });
});

describe("bad input is one line, with file and line, and exit 2", () => {
  test.each([
    ["ragged.csv", "text,label\nab,x\ncd\n", ["task.name=classification"], /ragged\.csv:3/],
    ["empty.csv", "", ["task.name=classification"], /empty\.csv/],
    ["one.csv", "text,label\nab,x\ncd,x\n", ["task.name=classification"], /at least two classes/],
    ["gap.csv", "a\n1\n2\n\n?\n4\n", ["task.name=forecasting", "task.target=a"], /gap\.csv/],
    [
      "bad.jsonl",
      '{"tokens":["a"],"tags":["X"]}\n{"tokens":["a","b"],"tags":["X"]}\n',
      ["task.name=tagging"],
      /bad\.jsonl:2/,
    ],
    [
      "null.jsonl",
      '{"sequence":[2,1],"label":"a"}\n{"sequence":[null,1],"label":"b"}\n',
      ["task.name=classification"],
      /null\.jsonl:2: position 1 has null/,
    ],
    [
      "null-row.jsonl",
      '{"sequence":[[1,2],null],"label":"a"}\n{"sequence":[[2,1]],"label":"b"}\n',
      ["task.name=classification"],
      /null-row\.jsonl:1: position 2 has 1 values, expected 2/,
    ],
    ["no.jsonl", '{"tokens":\n', ["task.name=tagging"], /no\.jsonl:1/],
  ])("%s", (name, text, settings, message) => {
    put(name, text);
    const { status, stderr } = gatesieve("train", ...settings, `task.data=${name}`, ...SMALL);
    expect({ status, stderr }).toEqual({ status: 2, stderr: expect.stringMatching(message) });
    expect(stderr.trimEnd().split("\n")).toHaveLength(1);
  });
});
