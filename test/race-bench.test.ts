/** Time to the same loss: where curves come down, and that PyTorch trains the very model that we do. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { racePage, raceRows, reaches } from "../bench/race.mjs";

const point = (step: number, loss: number) => ({ step, loss, seconds: step / 10, macs: step * 100 });

test("a loss is reached between two validations, at the first one, or never", () => {
  const curve = [point(50, 3), point(100, 2), point(150, 2.5), point(200, 1)];
  expect(reaches(curve, 2.5)).toEqual({ step: 75, seconds: 7.5, macs: 7500 });
  expect(reaches(curve, 3.5)?.step).toBe(50);
  expect(reaches(curve, 0.5)).toBeUndefined();
});

const torch = spawnSync("/usr/bin/python3", ["-c", "import torch"], { stdio: "ignore" }).status === 0;

test("from the same weights over the same batches PyTorch comes to dense's losses", { skip: !torch }, () => {
  const runs = mkdtempSync(join(tmpdir(), "gatesieve-race-"));
  try {
    const settings = {
      "train.maxSteps": 60,
      "train.valCheckInterval": 20,
      "model.hiddenSize": 24,
      "model.embedding": 16,
    };
    const entries = ["dense", "energy:0.9"].map((policy) => ({ policy, learningRate: 0.01 }));
    const options = { runs, entries, seed: 3, settings: { ...settings, "train.batchSize": 8 }, pytorch: true };
    const rows = raceRows({ ...options, note: () => {} });
    const [dense, energy, ...peers] = rows.map(({ curve }) => curve.map(({ loss }) => loss)) as number[][];
    expect(peers).toHaveLength(2);
    expect(dense).toHaveLength(3);
    for (const losses of peers)
      for (const [i, loss] of losses.entries()) expect(Math.abs(loss - (dense?.[i] as number))).toBeLessThan(5e-5);
    expect(Math.abs((energy?.[2] as number) - (dense?.[2] as number))).toBeGreaterThan(1e-4);
    const page = racePage({ command: "race", rows, seed: 3, epochs: 1, notes: [] });
    expect(page).toMatch(/\| PyTorch with oneDNN \| 0.01 \| \d\.\d{4} \|/);
  } finally {
    rmSync(runs, { recursive: true });
  }
});
