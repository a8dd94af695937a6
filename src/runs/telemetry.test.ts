/** A run with telemetry leaves the weights of one without, on every engine: also where the engine has a loop of its own. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { loadConfig } from "./config.ts";
import { hasNativeAddon } from "./native-addon.ts";
import { createRun } from "./run.ts";
import { readTelemetry } from "./store.ts";

const runsDir = mkdtempSync(join(tmpdir(), "gatesieve-telemetry-"));
afterAll(() => rmSync(runsDir, { recursive: true }));

const SETTINGS = [
  ...["task.name=delay", "model.hiddenSize=20", "model.numLayers=2", "model.dropout=0.1", "train.maxSteps=30"],
  ...["train.batchSize=6", "train.sequenceLength=11", "headPolicy=energy:0.99"],
];

async function weights(...overrides: string[]): Promise<{ model: string; samples: number; dir: string }> {
  const run = await createRun({ config: loadConfig({ overrides: [...SETTINGS, ...overrides] }), runsDir });
  for (const _ of run.events());
  const model = readFileSync(join(run.dir, "model", "model.safetensors")).toString("hex");
  return { model, samples: readTelemetry(run.dir).length, dir: run.dir };
}

const engines = ["js", "wasm", ...(hasNativeAddon() ? ["native"] : [])];

describe.each(engines)("engine %s", (engine) => {
  test.each(["dense", "energy:0.95", "stochastic:0.9"])("%s", async (policy) => {
    const settings = [`engine=${engine}`, `policy=${policy}`];
    const without = await weights(...settings, "train.telemetryEverySteps=0");
    const watched = await weights(...settings, "train.telemetryEverySteps=2", "train.probeEverySteps=3");
    expect(without.samples).toBe(0);
    expect(watched.samples).toBe(1 + 15 + 5); // step 1 for 0.5 %, even ones, and multiples of 3 that are odd
    expect(watched.model).toBe(without.model);
  });
});

test("engines see the same: shares of zeros, histograms of activations", async () => {
  const seen = await Promise.all(
    engines.map(async (engine) => readTelemetry((await weights(`engine=${engine}`, "policy=threshold:1e-4")).dir)[0]!),
  );
  for (const sample of seen.slice(1)) {
    expect(sample.layers.map(({ units }) => units)).toEqual([20, 20]);
    for (const [s, { groups }] of sample.sites.entries())
      for (const [g, group] of groups.entries())
        expect(group.sparsity).toBeCloseTo(seen[0]!.sites[s]!.groups[g]!.sparsity, 2);
    for (const [l, { gates }] of sample.layers.entries())
      for (const [g, { counts }] of gates.entries())
        for (const [bin, count] of counts.entries())
          expect(Math.abs(count - seen[0]!.layers[l]!.gates[g]!.counts[bin]!)).toBeLessThan(3);
  }
});
