/** A run that writes, stopped and gone on with, ends like one that never was, bit for bit, on every engine. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test, vi } from "vitest";
import type { TrainEvent } from "../train/events.ts";
import { loadConfig } from "./config.ts";
import { hasNativeAddon } from "./native-addon.ts";
import { createRun, resumeRun } from "./run.ts";
import { readEvents, readTelemetry } from "./store.ts";

vi.mock("node:fs", async (original) => ({ ...(await original<typeof import("node:fs")>()), fsyncSync() {} }));

const folder = mkdtempSync(join(tmpdir(), "gatesieve-writing-"));
afterAll(() => rmSync(folder, { recursive: true }));
const file = join(folder, "pairs.tsv");
writeFileSync(
  file,
  Array.from({ length: 90 }, (_, i) => `say ${"ab".repeat(1 + (i % 4))} ${i}\t${i} dicho`).join("\n"),
);

const untimed = (event: TrainEvent) => JSON.stringify({ ...event, seconds: 0, tokensPerSecond: 0, timing: 0, ms: 0 });
const result = (dir: string) => ({
  weights: readFileSync(join(dir, "model", "model.safetensors")).toString("base64"),
  events: [...readEvents(dir), ...readTelemetry(dir)].map(untimed),
});

test.each(["js", "wasm", ...(hasNativeAddon() ? ["native"] : [])])("%s", async (engine) => {
  const config = loadConfig({
    overrides: [
      ...[
        "task.name=translation",
        `task.data=${file}`,
        "task.vocabulary=50",
        "model.hiddenSize=8",
        "model.embedding=5",
      ],
      ...["model.bidirectional=true", "model.dropout=0.2", "train.batchSize=8", "train.maxSteps=14"],
      ...[
        "train.valCheckInterval=6",
        "train.checkpointEverySteps=5",
        "train.telemetryEverySteps=4",
        `engine=${engine}`,
      ],
      ...["train.probeEverySteps=8", "policies.attention.scores=memory:0.5", "policies.attention.out=auto"],
    ],
  });
  const whole = await createRun({ config, runsDir: join(folder, "whole") });
  for (const _ of whole.events());
  const expected = result(whole.dir);
  for (const stop of [5, 8]) {
    const runsDir = join(folder, `${engine}-${stop}`);
    const run = await createRun({ config, runsDir });
    let steps = 0;
    for (const tick of run.ticks()) if (tick === undefined && ++steps === stop) run.stop();
    const resumed = await resumeRun(runsDir, run.id);
    for (const _ of resumed.events());
    expect(result(resumed.dir)).toEqual(expected);
  }
});
