// Learns to write from a string, and writes: node examples/text-generator.mjs
import assert from "node:assert/strict";
import { languageModel, lstm, RandomStream } from "gatesieve";

// A little language of 4,000 sentences; any text will do, or a stream of pieces of one.
const random = new RandomStream(1, "words");
const pick = (words) => words.split(" ")[random.below(words.split(" ").length)];
const sentence = () =>
  `the ${pick("cat dog owl")} ${pick("sees finds likes")} a ${pick("red blue green")} ${pick("hat ball box")}.\n`;
const text = Array.from({ length: 4000 }, sentence).join("");

const model = await languageModel(lstm({ hiddenSize: 64 })).fit(text, {
  epochs: 2,
  logEverySteps: 50,
  onStep: ({ step, loss, sparsity }) =>
    console.log(
      `step ${step}: ${loss.toFixed(3)} nats a character, ${(100 * sparsity.dropped).toFixed(0)} % of gate gradients dropped`,
    ),
});

// As it is drawn, a character at a time.
for await (const piece of model.generateStream({ prime: "the ", length: 120, temperature: 0.5, seed: 1 }))
  process.stdout.write(piece);
console.log();

const [likeliest] = model.stream().push("the cat sees a r");
console.log(`after "the cat sees a r" comes "${likeliest.token}", ${(100 * likeliest.probability).toFixed(0)} %`);
assert.equal(likeliest.token, "e");
assert(model.generate({ length: 200, seed: 1 }).includes("the "), "it has not even learnt its commonest word");
