// A trained net over streams that never end, one time step at a time: node examples/streaming.mjs
import assert from "node:assert/strict";
import { classifier, gru, RandomStream } from "gatesieve";

// Three sensors; a machine is "idle", "running" or "failing", and each looks different over time.
const random = new RandomStream(1, "sensors");
const states = ["idle", "running", "failing"];
const reading = (state, t) => {
  const wave = state === 0 ? 0 : Math.sin(t * (state === 1 ? 0.5 : 1.7));
  return [wave, state === 2 ? wave * wave : wave / 2, 0.2 * random.normal()].map((x) => x + 0.2 * random.normal());
};
const recording = (state) => Array.from({ length: 40 }, (_, t) => reading(state, t + 7 * random.uniform()));
const sequences = Array.from({ length: 150 }, (_, i) => recording(i % 3));
const labels = sequences.map((_, i) => states[i % 3]);
const model = await classifier(gru({ hiddenSize: 24 })).fit({ sequences, labels }, { epochs: 12 });

// One stream: a reading in, what the machine seems to do out.
const stream = model.stream();
for (const [t, row] of recording(2).entries()) {
  const { label, probability } = stream.push(row);
  if (t % 10 === 9) console.log(`after ${t + 1} readings: ${label}, ${(100 * probability).toFixed(0)} %`);
}

// A thousand machines at once, in the net's own numbers, without an allocation. Normalised as in training:
const { mean, deviation } = model.task.encoding.input;
const machines = 1000;
const stepper = model.stepper({ batchSize: machines });
for (let t = 0; t < 30; t++) {
  for (let m = 0; m < machines; m++) {
    const row = reading(m % 3, t);
    for (let c = 0; c < 3; c++) stepper.input[m * 3 + c] = (row[c] - mean[c]) / deviation[c];
  }
  stepper.step();
}
let right = 0;
for (let m = 0; m < machines; m++) {
  const logits = stepper.output.subarray(m * 3, m * 3 + 3);
  if (model.labels[logits.indexOf(Math.max(...logits))] === states[m % 3]) right++;
}
console.log(`${right} of ${machines} machines recognised after 30 readings`);
assert(right > 0.9 * machines);

// States come out and go in: a stream goes on elsewhere, or later.
const moved = model.stepper({ batchSize: machines });
moved.states = stepper.states;
moved.input.set(stepper.input);
assert.deepEqual(moved.step(), stepper.step());
