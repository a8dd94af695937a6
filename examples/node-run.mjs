// A run with a folder: stopped half-way, taken up again, evaluated, sampled: node examples/node-run.mjs
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sampleText } from "gatesieve";
import { createRun, evaluateRun, listRuns, loadConfig, openModel, resumeRun } from "gatesieve/node";

const folder = mkdtempSync(join(tmpdir(), "gatesieve-example-"));
const file = join(folder, "squares.txt");
const square = (i) => `${i} squared is ${i * i}.\n`;
writeFileSync(file, Array.from({ length: 3000 }, (_, i) => square((i * 37 + (i >> 3)) % 30)).join(""));

const runsDir = join(folder, "runs");
const config = loadConfig({
  file, // a text to learn, or a .yaml or .json with all of this in it
  overrides: [
    "policy=energy:0.99",
    "model.numLayers=1",
    "model.hiddenSize=64",
    "train.batchSize=16",
    "train.sequenceLength=32",
    "train.learningRate=0.01",
    "train.maxSteps=600",
  ],
});

// What Ctrl-C does: an aborted signal ends the run after the current step, with a checkpoint.
const control = new AbortController();
const run = await createRun({ config, runsDir });
let firstLoss;
for await (const event of run.train(control.signal)) {
  if (event.type !== "step") continue;
  firstLoss ??= event.loss;
  if (event.step >= 300) control.abort();
}
console.log(`run ${run.id}: ${listRuns(runsDir)[0].status} at step ${run.training.trainer.steps}`);

// Taken up again, it goes on bit for bit as if it had never stopped.
const resumed = await resumeRun(runsDir, run.id);
for (const _ of resumed.events());
const { status, steps, validLoss, testLoss, sparsity, macsSkippedAll } = listRuns(runsDir)[0];
console.log({ status, steps, validLoss, testLoss, sparsity, macsSkippedAll });

// The folder gives the model back with its best weights.
const opened = await openModel(runsDir, run.id);
console.log(`test loss, scored again: ${evaluateRun(opened, "test").loss}`);
console.log(sampleText(opened.model, opened.task, { length: 100, temperature: 0.5, seed: 1 }));

assert(status === "finished" && steps === 600, "the run did not finish");
assert(validLoss < firstLoss / 2, "the loss fell by less than half");
assert.equal(evaluateRun(opened, "test").loss, testLoss);
rmSync(folder, { recursive: true });
