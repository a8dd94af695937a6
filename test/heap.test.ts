/** A training step allocates nothing that stays, and next to nothing that goes; the check can fail. */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";

const main = fileURLToPath(new URL("../bench/main.mjs", import.meta.url));

function bench(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...args], { encoding: "utf8" });
  const rows = stdout
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  return { status, stderr, row: rows[0] as Record<string, number> & Record<string, unknown>, rows };
}

describe("1,000 steps of W0 on wasm", () => {
  const heap = (...args: string[]) => bench("heap", "--workload", "W0", ...args);

  for (const policy of ["dense", "density:0.1"])
    test(`${policy}: the arena does not grow, the heap stays flat`, () => {
      const { status, stderr, row } = heap("--policy", policy);
      expect(stderr).toBe("");
      expect(row).toMatchObject({ steps: 1000, arenaGrownBytes: 0, failures: [] });
      expect(row.retainedBytesPerStep).toBeLessThan(64);
      expect(status).toBe(0);
    });

  test("a transformer, whose modules are those of an MLP and more: the same", () => {
    const { status, stderr, row } = heap("--policy", "density:0.1", "--net", "transformer", "--steps", "300");
    expect(stderr).toBe("");
    expect(row).toMatchObject({ arenaGrownBytes: 0, failures: [] });
    expect(status).toBe(0);
  });

  test("an array kept at each step is found", () => {
    const { status, stderr, row } = heap("--policy", "dense", "--spoil", "retain");
    expect(row.retainedBytesPerStep).toBeGreaterThan(100);
    expect(stderr).toMatch(/retained per step/);
    expect(status).toBe(1);
  });

  test("a buffer made and dropped at each step is found", () => {
    const { status, stderr, row } = heap("--policy", "dense", "--spoil", "garbage");
    expect(row.garbageBytesPerStep).toBeGreaterThan(32_768);
    expect(stderr).toMatch(/garbage per step/);
    expect(status).toBe(1);
  });
});

describe("the step benchmark", () => {
  test("W1: the promised fields, shares as shares, peak memory under 200 MiB", () => {
    const policies = ["dense", "density:0.1", "none"];
    const { status, rows } = bench(
      "step",
      "--workload",
      "W1",
      "--policy",
      policies.join(";"),
      "--steps",
      "3",
      "--json",
    );
    expect(status).toBe(0);
    expect(rows.map(({ policy }) => policy)).toEqual(policies);
    for (const row of rows) {
      expect(row).toMatchObject({ workload: "W1", tool: "gatesieve", engine: "wasm", isa: "simd128", threads: 1 });
      expect(row.version).toMatch(/^\d+\.\d+\.\d+/);
      expect(row.date).toMatch(/^\d{4}-\d\d-\d\d$/);
      expect(row.msMedian).toBeGreaterThan(0);
      expect(row.msMin).toBeLessThanOrEqual(row.msMedian as number);
      expect(row.rssMiB).toBeGreaterThan(row.arenaMiB as number);
      expect(row.rssMiB).toBeLessThan(200);
      expect(row.forwardMs).toBeGreaterThan(0);
    }
    const [dense, sparse, none] = rows;
    expect(dense?.density).toBeGreaterThan(0.9);
    expect(sparse?.density).toBeGreaterThan(0.05);
    expect(sparse?.density).toBeLessThan(0.2);
    expect(none?.density).toBe(null);
  });

  test("a figure above any machine's peak is refused", async () => {
    const { refuseImpossible } = await import("../bench/step.mjs");
    const row = { workload: "W1", tool: "gatesieve", policy: "dense", engine: "wasm", threads: 1, gflops: 80 };
    expect(() => refuseImpossible({ ...row, gflopsExecuted: 60 })).not.toThrow();
    expect(() => refuseImpossible({ ...row, gflopsExecuted: 97 })).toThrow(/above the peak of any machine/);
    expect(() => refuseImpossible({ ...row, gflopsExecuted: Number.NaN })).toThrow(/above the peak/);
    expect(() => refuseImpossible({ ...row, gflopsExecuted: 97, threads: 2 })).not.toThrow();
  });

  test.each([
    [["step", "--workload", "W99"], /unknown workload "W99". The choices are: W0, W1/],
    [["step", "--peers", "all,js"], /unknown peers "all,js"/],
    [["step", "--policy", "dens"], /unknown policy "dens"/],
    [["step", "--steps", "0"], /--steps is "0"/],
    [["stop"], /unknown command "stop"/],
    [["step", "--fast"], /--fast/],
  ])("%s: one line, exit 2", (args, message) => {
    const { status, stderr, rows } = bench(...args);
    expect(stderr).toMatch(message);
    expect(stderr.trimEnd().split("\n")).toHaveLength(1);
    expect(rows).toEqual([]);
    expect(status).toBe(2);
  });
});
