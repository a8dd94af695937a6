// A cell of your own, trained, checked and saved like the others: node examples/own-cell.mjs
// The "leaky" cell: h = (1 - a) h' + a tanh(net), with a fixed a; its one gate is the tanh.
import assert from "node:assert/strict";
import { classifier, gradcheck, loadEngine, loadModel, Model, RandomStream, recurrent, registerCell } from "gatesieve";

const a = 0.3;
registerCell({
  name: "leaky",
  gates: ["h"],
  states: [], // beside h
  keeps: [], // what forward keeps for backward, beside the gates
  hiddenProduct: "shared", // h' U^T is added to x W^T, in `gates`
  carriesH: true, // a part of h' goes into h past the product: backward says how much of dh flows on
  // Rows of h at hRow are those of t - 1, `rows` further on those of t. Activations take the place of pre-activations.
  forward({ row, hRow, rows, hidden: H, gates, h }) {
    for (let i = 0; i < rows * H; i++) {
      const y = Math.tanh(gates.data[row * H + i]);
      gates.data[row * H + i] = y;
      h.data[(hRow + rows) * H + i] = (1 - a) * h.data[hRow * H + i] + a * y;
    }
  },
  // Gate gradients take the place of activations; dh is dLoss/dh of t, then what flows into t - 1 beside the product.
  backward({ row, rows, hidden: H, gates, dh }) {
    for (let i = 0; i < rows * H; i++) {
      const y = gates.data[row * H + i];
      gates.data[row * H + i] = dh.data[i] * a * (1 - y * y);
      dh.data[i] *= 1 - a;
    }
  },
});

// Slopes judge the backward pass, in float64.
const spec = { input: { kind: "features", size: 2 }, output: { kind: "values", size: 1, positions: "last" } };
const model = new Model(
  await loadEngine("js"),
  { ...recurrent("leaky", { hiddenSize: 5, numLayers: 2 }), ...spec },
  { T: 6, B: 3, real: "f64" },
);
model.initialize(1);
const random = new RandomStream(1, "example");
for (const { data } of [model.features, model.head.targets]) data.set(Array.from(data, () => random.normal()));
const worst = Math.max(...gradcheck(model).map(({ error }) => error));
console.log(`gradients differ from slopes by ${worst.toExponential(1)} at most`);
assert(worst < 1e-7);

// From here on it is a cell like any other: is a noisy sequence rising or falling?
const sequences = Array.from({ length: 300 }, (_, i) =>
  Array.from({ length: 15 }, (_, t) => (i % 2 ? t : -t) / 10 + random.normal()),
);
const labels = sequences.map((_, i) => (i % 2 ? "rising" : "falling"));
const trained = await classifier(recurrent("leaky", { hiddenSize: 16 })).fit({ sequences, labels }, { epochs: 10 });
const { validScores, sparsity, sites } = trained.report;
console.log(`accuracy ${validScores.accuracy}, ${(100 * sparsity.dropped).toFixed(0)} % of ${sites[0].site} dropped`);
assert(validScores.accuracy > 0.8);
assert.deepEqual((await loadModel(trained.save())).predict(sequences[0]), trained.predict(sequences[0]));
