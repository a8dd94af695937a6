/**
 * What the rules of an arm do to the gradient of the weights at its sites, over a few batches at fixed weights: g the dense gradient of a batch,
 * d = sparse - dense. With <a, b>' the mean of a_m . b_n over pairs of different batches m, n (no batch meets itself, so
 * noise does not add up):
 *
 *   cosine   mean over batches of cos(sparse, dense)
 *   bias     sqrt(<d, d>' / <g, g>')             what is wrong on average, against the mean gradient
 *   noise    (mean |d|^2 - <d, d>') / (mean |g|^2 - <g, g>')   what dropping adds to a batch's own variance
 */
import type { RealArray } from "../core/arena.ts";
import type { BatchCursor } from "../tasks/task.ts";
import { DensePass } from "../train/dense-pass.ts";
import type { Trainer } from "../train/trainer.ts";

export interface ArmFidelity {
  readonly cosine: number;
  readonly bias: number;
  readonly noise: number;
}

/** Moves nothing but the cursor, carried states and what policies draw with. */
export function armFidelity(trainer: Trainer, cursor: BatchCursor, batches: number): ArmFidelity {
  const { model, sites, sitePolicies } = trainer;
  const densePass = new DensePass(model);
  const weights = model.sites.flatMap((drop) => drop.weights).map(({ gradient }) => gradient.data);
  const length = weights.reduce((sum, data) => sum + data.length, 0);
  const [sparse, dense] = [new Float64Array(length), new Float64Array(length)];
  const [sumD, sumG] = [new Float64Array(length), new Float64Array(length)];
  let [squaresD, squaresG, cosines] = [0, 0, 0];
  for (let batch = 0; batch < batches; batch++) {
    if (cursor.next(model.buffers())) model.resetCarried();
    for (const [s, policy] of sitePolicies.entries()) policy.plan(trainer.steps + batch, sites[s]!.rule);
    densePass.remember();
    model.clearGradients();
    model.lossAndGradient(model.pass);
    join(weights, sparse);
    densePass.lossAndGradient();
    join(weights, dense);
    const { dot, sparse: s, dense: g, difference: d } = compare(sparse, dense, sumD, sumG);
    squaresD += d;
    squaresG += g;
    cosines += s > 0 && g > 0 ? dot / Math.sqrt(s * g) : s === g ? 1 : 0;
  }
  model.clearGradients();
  const pairs = batches * (batches - 1);
  const biasD = Math.max(0, (squareOf(sumD) - squaresD) / pairs);
  const meanG = Math.max(0, (squareOf(sumG) - squaresG) / pairs);
  const variance = squaresG / batches - meanG;
  return {
    cosine: cosines / batches,
    bias: meanG > 0 ? Math.sqrt(biasD / meanG) : Number.NaN,
    noise: variance > 0 ? Math.max(0, squaresD / batches - biasD) / variance : Number.NaN,
  };
}

/** Products of one batch's two gradients; adds to the sums over batches. */
function compare(sparse: Float64Array, dense: Float64Array, sumD: Float64Array, sumG: Float64Array) {
  const products = { dot: 0, sparse: 0, dense: 0, difference: 0 };
  for (let i = 0; i < dense.length; i++) {
    const [s, g] = [sparse[i] as number, dense[i] as number];
    const d = s - g;
    sumD[i]! += d;
    sumG[i]! += g;
    products.dot += s * g;
    products.sparse += s * s;
    products.dense += g * g;
    products.difference += d * d;
  }
  return products;
}

function join(parts: readonly RealArray[], out: Float64Array): void {
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
}

function squareOf(values: Float64Array): number {
  return values.reduce((sum, value) => sum + value * value, 0);
}
