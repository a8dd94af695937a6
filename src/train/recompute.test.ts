/** Training with gates computed again is training with all of them kept: policies steer by the same statistics. */
import { expect, test } from "vitest";
import { RandomStream } from "../core/random.ts";
import { jsEngine } from "../kernels/js.ts";
import { Model } from "../nn/model.ts";
import { fillBatch, LANGUAGE_MODEL } from "../nn/testing.ts";
import { parsePolicy } from "../sparse/policies.ts";
import { Trainer } from "./trainer.ts";

const POLICIES = [
  "dense",
  "density:0.3",
  "energy:0.95,paths=dW",
  "density:0.4,paths=dh,bias=dense",
  "memory:0.3",
  "columns:0.4,unbiased",
  "warmup(2)+stochastic:0.9",
];

test.each(POLICIES)("%s, float64: the same losses and weights after eight steps", (name) => {
  const [whole, segments] = [0, 4].map((recompute) => {
    const spec = { ...LANGUAGE_MODEL, numLayers: 2 };
    const model = new Model(jsEngine, spec, { T: 11, B: 3, real: "f64", recompute });
    const trainer = new Trainer(model, { policy: parsePolicy(name), seed: 2, maxSteps: 8, learningRate: 0.02 });
    const random = new RandomStream(2, "batches");
    const losses = Array.from({ length: 8 }, () => {
      fillBatch(model, random);
      return trainer.step().loss;
    });
    return { losses, weights: [...trainer.optimizer.value.data] };
  }) as [{ losses: number[]; weights: number[] }, { losses: number[]; weights: number[] }];
  // Rounding differs in the sums of dW; Adam divides by the size of a gradient, however small.
  for (const [i, loss] of whole.losses.entries()) expect(segments.losses[i]).toBeCloseTo(loss, 9);
  for (const [i, weight] of whole.weights.entries()) expect(segments.weights[i]).toBeCloseTo(weight, 7);
  expect(segments.weights).not.toEqual(whole.weights);
});
