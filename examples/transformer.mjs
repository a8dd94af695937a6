// Trains a small causal transformer, with dropping at every linear layer: node examples/transformer.mjs
import assert from "node:assert/strict";
import { characterTask, loadEngine, Model, parsePolicy, RandomStream, sampleText, Trainer, Training } from "gatesieve";

// Every other letter repeats what stood three words back, so that a net has to look there.
const random = new RandomStream(1, "words");
const words = ["ada", "bob", "eve"];
while (words.length < 6000) words.push(random.below(8) ? words.at(-3) : ["ada", "bob", "eve"][random.below(3)]);
const task = characterTask({ name: "names", text: words.join(" ") });

const net = { net: "transformer", hiddenSize: 32, numLayers: 2, numHeads: 4, positions: 32 };
const spec = { input: { ...task.input, embedding: 32 }, output: task.output, ...net };
const model = new Model(await loadEngine(), spec, { T: 32, B: 16 });
const policies = { "transformer.l0.in_proj": parsePolicy("dense") };
const policy = parsePolicy("stochastic:0.98");
const trainer = new Trainer(model, { policy, policies, seed: 1, maxSteps: 600, learningRate: 5e-3 });

const options = { valCheckInterval: 100, patience: 0, logEverySteps: 100 };
let end;
for (const event of new Training(trainer, task, options).events()) if (event.type === "end") end = event;
for (const { site, naturalZeros, dropped } of end.sites)
  console.log(`${site}: ${(100 * naturalZeros).toFixed(0)} % zero by itself, ${(100 * dropped).toFixed(0)} % dropped`);
console.log(`test loss ${end.testLoss.toFixed(3)}; ${(100 * end.macs.macsSkippedAll).toFixed(0)} % of MACs skipped`);
console.log(sampleText(model, task, { prime: "ada bob eve ", length: 60 }));

const of = (name) => end.sites.find(({ site }) => site === name);
assert(end.testLoss < 0.24, "it has not learnt to look back"); // without: ln 3 at every fourth letter, 0.27
assert.equal(of("transformer.l0.in_proj").dropped, 0, "a dense site dropped something");
assert(of("transformer.l1.linear1").naturalZeros > 0.2, "relu lets gradients through where it is off");
