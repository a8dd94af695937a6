// One layer down from languageModel: task, model, trainer and training by hand: node examples/training-by-hand.mjs
import assert from "node:assert/strict";
import { characterTask, loadEngine, Model, parsePolicy, RandomStream, sampleText, Trainer, Training } from "gatesieve";

// A little language of 4,000 sentences; any string of a few thousand characters will do.
const random = new RandomStream(1, "words");
const pick = (words) => words.split(" ")[random.below(words.split(" ").length)];
const sentence = () =>
  `the ${pick("cat dog owl")} ${pick("sees finds likes")} a ${pick("red blue green")} ${pick("hat ball box")}.\n`;
const task = characterTask({ name: "sentences", text: Array.from({ length: 4000 }, sentence).join("") });

// One step of training = 16 lanes of 32 characters.
const spec = { input: task.input, output: task.output, cell: "lstm", hiddenSize: 64, numLayers: 1 };
const model = new Model(await loadEngine(), spec, { T: 32, B: 16 });
const trainer = new Trainer(model, { policy: parsePolicy("energy:0.99"), seed: 1, maxSteps: 300, learningRate: 5e-3 });
const training = new Training(trainer, task, { valCheckInterval: 100, patience: 0, logEverySteps: 50 });

const losses = [];
let end;
for (const event of training.events()) {
  if (event.type === "step") {
    losses.push(event.loss);
    const dropped = (100 * event.sparsity.dropped).toFixed(0);
    console.log(
      `step ${event.step}: ${event.loss.toFixed(3)} nats a character, ${dropped} % of gate gradients dropped`,
    );
  }
  if (event.type === "end") end = event;
}
console.log(`test loss ${end.testLoss.toFixed(3)} on engine ${model.kernels.engine.name}`);

const text = sampleText(model, task, { length: 200, temperature: 0.5, seed: 1 });
console.log(text);

assert(losses.at(-1) < losses[0] / 2, "the loss fell by less than half");
assert(text.includes("the "), "it has not even learnt its commonest word");
