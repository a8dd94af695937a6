/** The paper's experiments in a size that takes seconds: slices, going on after a stop, verdicts, files. */
import { spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { commandLineIn, main } from "./gatesieve.ts";

const { folder, env, gatesieve } = commandLineIn("reproduce");

const NET = ["model.hiddenSize=8", "model.embedding=8", "train.batchSize=4", "train.sequenceLength=12"];
const TINY = [...NET, "task.text=carroll-alice", "--engine", "wasm"];

const reproduce = (...args: readonly string[]) => gatesieve("reproduce", ...args, ...TINY);
const runs = (dir: string) => readdirSync(join(folder, dir));
const read = (out: string, name: string) => readFileSync(join(folder, out, name), "utf8");

test("all figures, in two slices: runs are shared and used again, every figure gets data, chart and verdicts", () => {
  const args = ["all", "--steps", "10", "--runs", "runs", "--out", "out"];
  const first = reproduce(...args, "--slice", "6");
  expect(first.status).toBe(0);
  expect(runs("runs")).toHaveLength(6);
  expect(first.stderr).toMatch(/sensitivity waits for 24 of its 24 runs.*\n.*Go on with: gatesieve reproduce all /);
  expect(readdirSync(join(folder, "out")).sort()).toEqual(
    ["README.md", ...["fig2", "fig3", "fig4", "fig5"].flatMap((name) => [`${name}.json`, `${name}.svg`])].sort(),
  );
  // A net whose three runs are there is told of already; the fourth run is another's.
  const one = reproduce("sensitivity", ...args.slice(1), "--slice", "4", "--json");
  const part = JSON.parse(one.stdout);
  expect(part.rows).toHaveLength(1);
  expect(part.notes[0]).toBe("1 of 8 nets and texts have been run so far.");
  const second = reproduce(...args, "--json");
  expect(second.status).toBe(0);
  expect(runs("runs")).toHaveLength(6 + 24);
  const figures = second.stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
  expect(figures.map(({ figure }) => figure)).toEqual(["fig3", "fig2", "fig4", "fig5", "sensitivity"]);
  const verdicts = figures.flatMap((figure) => figure.verdicts);
  expect(verdicts).toHaveLength(5 + 2 + 3 + 3 + 2);
  for (const { claim, paper, ours, agrees } of verdicts)
    expect([claim, paper, ours, typeof agrees].every(Boolean) && typeof agrees).toBe("boolean");
  for (const { figure } of figures) {
    expect(JSON.parse(read("out", `${figure}.json`)).figure).toBe(figure);
    expect(read("out", `${figure}.svg`)).toMatch(/^<svg [\s\S]*<\/svg>\n$/);
  }
  const page = read("out", "README.md");
  expect(page.match(/^\| .* \| (agrees|\*\*differs\*\*) \|$/gm)).toHaveLength(verdicts.length);
  expect(page + read("out", "fig3.svg") + read("out", "fig5.svg")).not.toMatch(/NaN|undefined/);

  // The sweep of fig3 against what the runs themselves say: nothing dropped is a cosine of 1, and more is dropped as tau grows.
  const { points, layers } = figures[0].sweep;
  expect(points[0].tau).toBe(0);
  expect(points[0].cosine).toBeCloseTo(1, 6);
  const natural = layers.reduce((sum: number, layer: { naturalZeros: number }) => sum + layer.naturalZeros, 0) / 3;
  expect(points[0].zeros).toBeCloseTo(natural, 12);
  expect(points[0].below).toBeCloseTo(natural, 12);
  const zeros = points.map((point: { zeros: number }) => point.zeros);
  expect(zeros.at(-1)).toBeGreaterThan(0.5);
  expect(zeros).toEqual([...zeros].sort((a, b) => a - b));
  expect(figures[3].curves.map(({ policy }: { policy: string }) => policy)).toEqual([
    "dense",
    "threshold:1e-7",
    "threshold:1e-6",
    "threshold:1e-5",
    "warmup(1)+threshold:1e-6",
    "threshold:1e-8",
  ]);
  expect(figures[4].rows.map(({ variant }: { variant: string }) => variant)).toEqual([
    ...["main model", "2 layers", "6 layers", "9 layers", "4 cells", "16 cells"],
    ...["sequences of 3", "sequences of 6"],
  ]);
});

test("a stopped run goes on from its checkpoint", async () => {
  const args = ["fig2", "--steps", "3000", "--runs", "stopped", "--out", "out2", ...TINY];
  const child = spawn(process.execPath, [main, "reproduce", ...args], { cwd: folder, env });
  let stderr = "";
  let sent = false;
  child.stderr.on("data", (data) => {
    stderr += data;
    if (!sent && /\d\/3000 /.test(stderr)) sent = child.kill("SIGINT");
  });
  const status = await new Promise((resolve) => child.on("close", resolve));
  expect(status).toBe(130);
  const [, step] = /stopped after step (\d+)/.exec(stderr) as string[];
  expect(Number(step)).toBeLessThan(3000);
  const again = gatesieve("reproduce", ...args);
  expect(again.status).toBe(0);
  expect(runs("stopped")).toHaveLength(1);
  expect(JSON.parse(read("out2", "fig2.json")).samples.map((sample: { step: number }) => sample.step)).toEqual([
    15, 300, 3000,
  ]);
});

test.each([
  [["fig7"], /unknown figure "fig7".*fig3, fig2, fig4, fig5, sensitivity, all/],
  [["fig2", "model.hidenSize=3"], /hidenSize", did you mean "model.hiddenSize"/],
  [["fig2", "--slice", "0"], /--slice.*at least 1/],
])("%s: one line, exit 2", (args, message) => {
  const { status, stdout, stderr } = gatesieve("reproduce", ...args, "--runs", "none");
  expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
  expect(stderr).toMatch(message);
  expect(stderr.trimEnd().split("\n")).toHaveLength(1);
});
