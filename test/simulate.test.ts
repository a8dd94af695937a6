/** gatesieve simulate: rows as the documents promise them, files, and one clear error for what cannot be. */
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { commandLineIn } from "./gatesieve.ts";

const { folder, gatesieve } = commandLineIn("simulate");
const trace = fileURLToPath(new URL("golden/lstm-threshold.trace", import.meta.url));
const lines = (text: string) =>
  text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));

describe("simulate", () => {
  test("--json has a row for each machine and part, and their sums hold", () => {
    const { status, stdout, stderr } = gatesieve("simulate", trace, "--json", "--area", "equal");
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    const rows = lines(stdout);
    expect(rows).toHaveLength(2 * 9);
    for (const row of rows) {
      expect(row.macsDone + row.macsSkipped).toBeCloseTo(row.macsDense, 3);
      for (const key of ["cycles", "speedup", "speedupIdeal", "energyPJ", "energyDensePJ"])
        expect(row[key]).toBeGreaterThan(0);
      expect(row.energyLowPJ).toBeLessThanOrEqual(row.energyPJ);
      expect(row.energyPJ).toBeLessThanOrEqual(row.energyHighPJ);
      if (row.machine !== "cpu") expect(row.areaMM2).toBeCloseTo(rows[0].areaMM2, 3);
    }
    expect(rows[0]).toMatchObject({ machine: "systolic-ws", part: "backward", speedup: 1, step: 600 });
    expect(rows[0].energyPJ).toBe(rows[0].energyDensePJ);
    const sieve = rows.find(({ machine, part }) => machine === "sieve" && part === "backward");
    expect(sieve.speedup).toBeGreaterThan(2);
    expect(sieve.speedup).toBeLessThan(sieve.speedupIdeal);
  });

  test("tables name the machines, the causes and the order by energy", () => {
    const { status, stdout } = gatesieve("simulate", trace, "--machine", "systolic-ws,sieve", "--technology", "tpu-7");
    expect(status).toBe(0);
    expect(stdout).toMatch(/^step 600, kept: lstm\.l1 7\.9 %; tpu-7; against systolic-ws$/m);
    expect(stdout).toMatch(/^systolic-ws +1\.00x +1\.00x/m);
    expect(stdout).toMatch(/^cycles, backward .*memory$/m);
    expect(stdout).toMatch(/^horowitz-45, memory dear +sieve < systolic-ws$/m);
    for (const line of stdout.split("\n")) expect(line.length).toBeLessThanOrEqual(100);
  });

  test("an estimate, a sweep, and all of it as files", () => {
    const estimated = lines(gatesieve("simulate", trace, "--json", "--estimate", "--machine", "sieve").stdout);
    const simulated = lines(gatesieve("simulate", trace, "--json", "--machine", "sieve").stdout);
    expect(estimated[0].cycles / simulated[0].cycles).toBeCloseTo(1, 1);
    const args = ["--machine", "sieve,cpu", "--out", "out"];
    expect(gatesieve("simulate", trace, ...args).status).toBe(0);
    expect(gatesieve("simulate", trace, ...args, "--sweep", "bandwidth=16,256").status).toBe(0);
    expect(readdirSync(join(folder, "out")).sort()).toEqual([
      "README.md",
      "energy.svg",
      "footprint.svg",
      "rows.jsonl",
      "speedup.svg",
      "sweep-bandwidth.jsonl",
      `${"sweep-bandwidth"}.md`,
      "sweep-bandwidth.svg",
    ]);
    const swept = lines(readFileSync(join(folder, "out", "sweep-bandwidth.jsonl"), "utf8"));
    const cycles = swept
      .filter(({ machine, part }) => machine === "sieve" && part === "backward")
      .map((row) => row.cycles);
    expect(cycles[0]).toBeGreaterThan(1.5 * cycles[1]);
  });

  test("docs/energy.md is what the tables say", () => {
    const { stdout } = gatesieve("simulate", "--document");
    expect(stdout).toBe(readFileSync(fileURLToPath(new URL("../docs/energy.md", import.meta.url)), "utf8"));
  });

  test("machines and technologies from the examples in docs/accelerator.md", () => {
    const text = readFileSync(fileURLToPath(new URL("../docs/accelerator.md", import.meta.url)), "utf8");
    const [machine, technology] = [...text.matchAll(/```yaml\n(.*?)```/gs)].map(([, yaml]) => yaml as string);
    writeFileSync(join(folder, "mine.yaml"), machine as string);
    writeFileSync(join(folder, "node.yaml"), technology as string);
    const { status, stdout, stderr } = gatesieve(
      "simulate",
      trace,
      "--machine",
      "mine.yaml",
      "--technology",
      "node.yaml",
      "--json",
    );
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(lines(stdout)[0].machine).toMatch(/narrow/);
  });

  const cut = () => {
    writeFileSync(join(folder, "cut.trace"), readFileSync(trace).subarray(0, 9000));
  };
  test.each([
    [[], /no trace given.*train --trace/],
    [["cut.trace"], /cut\.trace is cut off/],
    [[trace, "--machine", "seive"], /unknown machine "seive".*choices are: systolic-ws/],
    [[trace, "--steps", "7"], /holds no step 7; it holds 600/],
    [[trace, "--out", "/proc/none"], /cannot be written/],
  ] as const)("%j is refused with one line", (args, message) => {
    cut();
    const { status, stderr } = gatesieve("simulate", ...args);
    expect([status, stderr.trimEnd().split("\n").length]).toEqual([
      (args as readonly string[]).includes("/proc/none") ? 1 : 2,
      1,
    ]);
    expect(stderr).toMatch(message);
  });
  test("what failed left nothing behind", () => expect(existsSync(join(folder, "out", ".tmp-rows.jsonl"))).toBe(false));
});
