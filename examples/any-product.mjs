// The technique in a net that is not ours: a two-layer perceptron in plain loops whose first layer's backward products
// run on the engine, over what a policy left: node examples/any-product.mjs
import assert from "node:assert/strict";
import { loadEngine, parsePolicy, RandomStream, SparseBackward } from "gatesieve";

const [rows, inputs, hidden] = [64, 8, 32];
const random = new RandomStream(1, "example");
const engine = await loadEngine();
const hook = new SparseBackward(engine, { rows, inputs, outputs: hidden, policy: parsePolicy("energy:0.99") });
const { x, w } = hook; // (rows, inputs) and (hidden, inputs): the arrays that the engine sees
for (let i = 0; i < w.length; i++) w[i] = 0.5 * random.normal();
const v = Float64Array.from({ length: hidden }, () => 0.3 * random.normal());
const h = new Float64Array(rows * hidden);

let first = 0;
let loss = 0;
for (let step = 0; step < 400; step++) {
  loss = 0;
  const dv = new Float64Array(hidden);
  for (let r = 0; r < rows; r++) {
    let target = 0;
    for (let k = 0; k < inputs; k++) {
      x[r * inputs + k] = random.normal();
      target += (k % 2 ? -0.3 : 0.3) * x[r * inputs + k];
    }
    let y = 0;
    for (let n = 0; n < hidden; n++) {
      let net = 0;
      for (let k = 0; k < inputs; k++) net += x[r * inputs + k] * w[n * inputs + k];
      h[r * hidden + n] = Math.tanh(net);
      y += v[n] * h[r * hidden + n];
    }
    const error = y - Math.sin(target);
    loss += (error * error) / rows;
    for (let n = 0; n < hidden; n++) {
      const out = h[r * hidden + n];
      hook.g[r * hidden + n] = ((2 * error) / rows) * v[n] * (1 - out * out); // dLoss/d(net)
      dv[n] += ((2 * error) / rows) * out;
    }
  }
  hook.compress(); // drops in g, and learns for the next step
  hook.weightGradient(); // hook.dW and hook.db; hook.inputGradient() would make hook.dx
  for (let i = 0; i < w.length; i++) w[i] -= 0.05 * hook.dW[i];
  for (let n = 0; n < hidden; n++) v[n] -= 0.05 * dv[n];
  if (step === 0) first = loss;
}
const { sparsity, energy } = hook.sparsity;
console.log(`engine ${engine.name}: loss ${first.toFixed(3)} to ${loss.toFixed(3)}`);
console.log(`${(100 * sparsity).toFixed(1)} % zeros, ${(100 * energy).toFixed(1)} % of the squares kept`);
assert(loss < 0.3 * first && sparsity > 0.2, "it did not learn, or dropped nothing");
