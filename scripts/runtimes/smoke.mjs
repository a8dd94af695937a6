// Trains a small model for 20 steps on engine wasm, and tells what came out: the same line in every runtime.
// Nothing here is Node's: scripts/runtimes.mjs and test/browser/package.test.ts run it wherever JavaScript runs.
import { loadEngine, Model, macShares, parsePolicy, RandomStream, Trainer } from "gatesieve";

export async function smoke() {
  const engine = await loadEngine("wasm");
  const output = { kind: "classes", size: 11, positions: "all" };
  const spec = { input: { kind: "tokens", vocabulary: 11 }, cell: "lstm", hiddenSize: 16, numLayers: 1, output };
  const model = new Model(engine, spec, { T: 8, B: 4 });
  const trainer = new Trainer(model, { policy: parsePolicy("stochastic:0.98"), seed: 1, maxSteps: 20 });
  const random = new RandomStream(1, "data");
  let loss = 0;
  for (let step = 0; step < 20; step++) {
    for (let i = 0; i < 32; i++) {
      model.tokens.data[i] = random.below(11);
      model.head.targets.data[i] = model.tokens.data[i];
    }
    loss = trainer.step().loss;
  }
  return `${engine.name}, ${engine.isa}, loss ${loss}, ${macShares(model.macs).skipped} MACs skipped`;
}
