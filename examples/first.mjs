// The shortest one: node examples/first.mjs
import assert from "node:assert/strict";
import { classifier, lstm } from "gatesieve";

const nouns = "cat dog owl fox hen cow pig goat lamb horse bird duck frog toad crow bear wolf lion".split(" ");
const sequences = [...nouns, ...nouns.map((noun) => `${noun}s`)];
const labels = sequences.map((word) => (word.endsWith("s") ? "many" : "one"));

const model = await classifier(lstm({ hiddenSize: 16 })).fit({ sequences, labels }, { epochs: 60, batchSize: 8 });
console.log(model.predict("tigers"));
console.log(`${(100 * model.report.macs.macsSkippedAll).toFixed(0)} % of multiply-accumulates skipped`);

assert.equal(model.predict("tigers").label, "many");
