/** Traces from the command line: recorded, looked at, exported; and what is wrong is said in one line. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { commandLineIn } from "./gatesieve.ts";

const { folder, gatesieve } = commandLineIn("trace");
const SMALL = ["model.hiddenSize=16", "train.batchSize=6", "train.sequenceLength=10", "train.maxSteps=20"];
const train = (...args: string[]) =>
  gatesieve("train", "task.name=delay", ...SMALL, "--quiet", "--engine", "js", ...args);
const lines = (text: string) =>
  text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));

beforeAll(() => {
  const { status, stderr } = train("--trace", "run.trace");
  expect([status, stderr]).toEqual([0, expect.stringMatching(/trace of steps 1, 10, 20 is in run\.trace, /)]);
});

describe("trace", () => {
  test("info tells sites and products", () => {
    const { status, stdout } = gatesieve("trace", "info", "run.trace");
    expect(status).toBe(0);
    expect(stdout).toContain("lstm 2 x 16, T 10, B 6, policy stochastic:0.98");
    expect(stdout).toMatch(/20 {2}lstm\.l1 {2}60 x 64 +stochastic/);
  });
  test("info --json tells the same a line at a time", () => {
    const [run, ...sites] = lines(gatesieve("trace", "info", "run.trace", "--json").stdout);
    expect(run).toMatchObject({ type: "trace", steps: [1, 10, 20], run: { hiddenSize: 16 } });
    expect(sites.length).toBe(6);
    for (const { density } of sites) expect(density).toBeGreaterThan(0);
  });
  test("export writes a zip", () => {
    expect(gatesieve("trace", "export", "run.trace").status).toBe(0);
    expect(readFileSync(join(folder, "run.npz")).toString("latin1", 0, 4)).toBe("PK\x03\x04");
    writeFileSync(join(folder, "run.npz"), "mine");
    expect(gatesieve("trace", "export", "run.trace")).toMatchObject({
      status: 2,
      stderr: "gatesieve: run.npz is there already; choose another file with --out.\n",
    });
    expect(readFileSync(join(folder, "run.npz"), "utf8")).toBe("mine");
  });
  test("chosen steps", () => {
    expect(train("--trace", "some.trace", "--trace-steps", "3,7").status).toBe(0);
    expect(lines(gatesieve("trace", "info", "some.trace", "--json").stdout)[0].steps).toEqual([3, 7]);
  });
  test("a net that reads one sequence and writes another, lanes of many lengths: traced, shown, simulated", () => {
    const words = ["one", "two", "three", "four", "five"];
    const pairs = Array.from({ length: 60 }, (_, i) => {
      const read = Array.from({ length: 1 + (i % 6) }, (_, j) => words[(i * 3 + j) % 5]);
      return `${read.join(" ")}\t${read.reverse().join(" ")}`;
    });
    writeFileSync(join(folder, "pairs.tsv"), `${pairs.join("\n")}\n`);
    const { status } = gatesieve(
      ...["train", "task.name=translation", "task.data=pairs.tsv", "task.vocabulary=40", "model.attention=general"],
      ...["model.bidirectional=true", "model.embedding=4", "model.hiddenSize=8", "train.batchSize=5"],
      ...["train.maxSteps=2", "--quiet", "--engine", "js", "--trace", "pairs.trace", "--trace-steps", "2"],
    );
    expect(status).toBe(0);
    const [, ...sites] = lines(gatesieve("trace", "info", "pairs.trace", "--json").stdout);
    expect(sites.map(({ site }) => site)).toEqual(
      expect.arrayContaining(["encoder.lstm.l0.reverse", "decoder.lstm.l1", "attention.in", "attention.scores"]),
    );
    for (const { density, padded, rows } of sites) {
      expect(density).toBeGreaterThan(0);
      expect(padded).toBeLessThan(rows);
    }
    expect(sites.some(({ padded }) => padded > 0)).toBe(true);
    const simulated = lines(gatesieve("simulate", "pairs.trace", "--machine", "lanes", "--json").stdout);
    expect(JSON.stringify(simulated)).toMatch(/"machine":"lanes"/);
  });
  test.each([
    [["train", "--trace-steps", "2"], /--trace FILE/],
    [["trace", "info", "none.trace"], /no trace none\.trace.*--trace/],
    [["trace", "export", "run.trace", "--format", "csv"], /unknown format "csv".*npz/],
  ])("%j is refused with one line", (args, message) => {
    const { status, stderr } = gatesieve(...args);
    expect([status, stderr.trimEnd().split("\n").length]).toEqual([2, 1]);
    expect(stderr).toMatch(message);
  });
  test("a step beyond the run is refused, and leaves no trace", () => {
    const { status, stderr } = train("--trace", "x.trace", "--trace-steps", "99");
    expect([status, existsSync(join(folder, "x.trace"))]).toEqual([2, false]);
    expect(stderr).toMatch(/step 99 cannot be traced: this run has steps 1 to 20/);
  });
  test("a file that was cut off is refused", () => {
    const bytes = readFileSync(join(folder, "run.trace"));
    writeFileSync(join(folder, "cut.trace"), bytes.subarray(0, bytes.length - 20));
    const { status, stderr } = gatesieve("trace", "info", "cut.trace");
    expect([status, stderr]).toEqual([2, expect.stringMatching(/^gatesieve: trace cut\.trace is cut off: /)]);
  });
});
