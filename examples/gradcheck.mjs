// Let slopes judge gradients, in float64: node examples/gradcheck.mjs
import assert from "node:assert/strict";
import { gradcheck, loadEngine, Model, RandomStream } from "gatesieve";

const spec = {
  input: { kind: "tokens", vocabulary: 7, embedding: 4 },
  cell: "lstm",
  hiddenSize: 5,
  numLayers: 2,
  output: { kind: "classes", size: 7, positions: "all" },
};
const model = new Model(await loadEngine("js"), spec, { T: 6, B: 3, real: "f64" });
model.initialize(1);
const random = new RandomStream(2, "data");
for (const { data } of [model.tokens, model.head.targets]) data.set(Array.from(data, () => random.below(7)));

const results = gradcheck(model);
for (const { name, error, checked } of results)
  console.log(`${name.padEnd(20)} ${error.toExponential(1)} over ${checked} elements`);
assert(results.length === 11 && results.every(({ error }) => error < 1e-7), "a gradient differs from its slope");

// A rule that drops something must show: the gradient is then another one.
for (const { rule } of model.sites) {
  rule.kind = "threshold";
  rule.tau.fill(1e-2);
}
const worst = Math.max(...gradcheck(model).map(({ error }) => error));
console.log(`with threshold 1e-2 the worst error is ${worst.toFixed(2)}`);
assert(worst > 1e-3, "dropping changed nothing");
