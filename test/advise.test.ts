/** `gatesieve advise` as a user meets it: what it prints, what it writes, and that `train` takes it. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { commandLineIn } from "./gatesieve.ts";

const { folder, gatesieve } = commandLineIn("advise");
const SMALL = ["model.hiddenSize=8", "model.embedding=8", "train.batchSize=4", "train.sequenceLength=8"];
const QUICK = [...SMALL, "train.learningRate=0.01", "train.maxSteps=200"];

beforeAll(() => {
  const words = ["the", "whale", "of", "sea", "and", "ship", "a", "white", "old", "captain"];
  let text = "";
  for (let i = 0; i < 900; i++) text += words[(i * i + 3 * i) % 10] + (i % 9 === 8 ? ".\n" : " ");
  writeFileSync(join(folder, "tiny.txt"), text);
});

describe("advise", () => {
  test("prints a table and a sentence, and writes data, chart, page and a configuration that train takes", () => {
    const asked = [
      "--data",
      "tiny.txt",
      "--max-loss",
      "20%",
      "--seconds",
      "3",
      "--policies",
      "energy:0.99; density:0.2",
    ];
    const { status, stdout, stderr } = gatesieve("advise", ...asked, ...QUICK);
    expect(status).toBe(0);
    expect(stderr).toMatch(/^task character on tiny.*lstm 2 x 8, 200 steps; engine/);
    expect(stdout).toMatch(/^policy +loss +95 % +speed +zeros +natural +MACs rec\. +all$/m);
    expect(stdout).toMatch(/^density:0\.2 +[+-][\d.]+ % +[+-][\d.]+ to [+-][\d.]+ %/m);
    expect(stdout).toMatch(/^(Use|Nothing can be)/m);

    const advice = JSON.parse(readFileSync(join(folder, "advice/advice.json"), "utf8"));
    expect(advice).toMatchObject({ maxLoss: 0.2, maxSteps: 200 });
    expect(advice.rows.map(({ policy }: { policy: string }) => policy)).toContain("energy:0.99");
    expect(readFileSync(join(folder, "advice/advice.svg"), "utf8")).toMatch(/^<svg .*limit \+20\.00 %.*density:0\.2/s);
    expect(readFileSync(join(folder, "advice/advice.html"), "utf8")).toMatch(/<table>.*<th>cosine<\/th>/s);
    const named = advice.recommended?.policy ?? "dense";
    const train = gatesieve("train", "advice/train.yaml", "train.maxSteps=20", "--json", "--quiet");
    expect(train.status).toBe(0);
    const [start] = train.stdout.split("\n");
    expect(JSON.parse(start as string).config).toMatchObject({ policy: named, model: { hiddenSize: 8 } });
  });

  test("--json gives one object, the same that is written; where nothing is learned it says so", () => {
    const { status, stdout } = gatesieve(
      ...["advise", "tiny.txt", "--json", "--out", "none", ...SMALL, "train.maxSteps=40", "train.learningRate=1e-9"],
    );
    expect(status).toBe(0);
    const advice = JSON.parse(stdout);
    expect(advice).toMatchObject({ reason: "plateau", recommended: null, rows: [] });
    expect(readFileSync(join(folder, "none/train.yaml"), "utf8")).toMatch(/^# Nothing can be said.*^policy: dense$/ms);
  });

  test("what cannot be done ends with 2 and one line, and writes nothing", () => {
    const refused = (...args: string[]) => {
      const { status, stdout, stderr } = gatesieve("advise", "--out", "refused", ...args);
      expect({
        status,
        stdout,
        lines: stderr
          .trim()
          .split("\n")
          .filter((line) => line.startsWith("gatesieve:")).length,
      }).toEqual({ status: 2, stdout: "", lines: 1 });
      expect(existsSync(join(folder, "refused"))).toBe(false);
      return stderr;
    };
    expect(refused("tiny.txt", "--max-loss", "50")).toMatch(/That is 5000 %; give 20 % at most/);
    expect(refused("tiny.txt", "--max-loss", "none")).toMatch(/for example 0\.5%/);
    expect(refused("tiny.txt", "--config", "x.yaml")).toMatch(/two inputs/);
    expect(refused("tiny.txt", "--policies", "enrgy:0.9", ...SMALL)).toMatch(/did you mean "energy"/);
    expect(refused("tiny.txt", "--policies", "memory:0.1", ...SMALL)).toMatch(/gatesieve sweep/);
  });
});
