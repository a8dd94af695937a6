// A classifier on data of one's own, read from a file as it is trained: node examples/classifier.mjs
import assert from "node:assert/strict";
import { createReadStream, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { classifier, loadModel, lstm } from "gatesieve";

// A file as one may have it, an example a line: {"text": "moderately", "label": "adverb"}
const folder = mkdtempSync(join(tmpdir(), "gatesieve-example-"));
const file = join(folder, "words.jsonl");
const stems = "clear quick slow loud soft brave calm proud warm cold rare wide deep kind mild vast pure rich".split(
  " ",
);
const endings = { ly: "adverb", ness: "noun", er: "comparative", est: "superlative" };
const lines = stems.flatMap((stem) =>
  Object.entries(endings).map(([ending, label]) => JSON.stringify({ text: stem + ending, label })),
);
writeFileSync(file, lines.join("\n"));

// A stream of examples; a list, or { sequences, labels }, will do as well.
async function* examples() {
  for await (const line of createInterface({ input: createReadStream(file) })) {
    const { text, label } = JSON.parse(line);
    yield { sequence: text, label };
  }
}

const model = await classifier(lstm({ hiddenSize: 32 })).fit(examples(), {
  epochs: 60,
  batchSize: 16,
  onValidation: ({ step, loss, scores }) =>
    step % 60 === 0 && console.log(`step ${step}: loss ${loss.toFixed(3)}, accuracy ${scores.accuracy.toFixed(2)}`),
});

const { engine, policy, sparsity, macs, seconds } = model.report;
const percent = (share) => `${(100 * share).toFixed(0)} %`;
console.log(`${seconds.toFixed(1)} s on ${engine}; ${policy} dropped ${percent(sparsity.dropped)} of gate gradients,`);
console.log(`which skipped ${percent(macs.macsSkippedAll)} of multiply-accumulates`);

// Words with stems that it never saw.
for (const word of ["sharply", "sharpness", "sharper", "sharpest"]) {
  const { label, probability } = model.predict(word);
  console.log(`${word.padEnd(9)} ${label}, ${percent(probability)}`);
}

// One file for everything: weights, labels, vocabulary, report.
const saved = join(folder, "words.safetensors");
writeFileSync(saved, model.save());
const again = await loadModel(readFileSync(saved));
assert.deepEqual(again.predict("sharply"), model.predict("sharply"));
assert.equal(model.predict("sharpness").label, "noun");
rmSync(folder, { recursive: true });
