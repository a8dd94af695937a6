/**
 * The adding problem (Hochreiter and Schmidhuber 1997, in the form of Le, Jaitly and Hinton 2015):
 * each t brings a number uniform in [0, 1) and a marker; one marker is set in the first half, one in
 * the second. After the last t the net must give the sum of the two marked numbers. Answering 1 always has
 * a mean squared error of 1/6.
 */
import { check } from "../core/check.ts";
import type { RandomStream } from "../core/random.ts";
import { SequenceCursor } from "./batches.ts";
import type { BatchBuffers, Task } from "./task.ts";

export function addingTask(): Task {
  return {
    name: "adding",
    summary: "add the two marked numbers of a sequence",
    input: { kind: "features", size: 2 },
    output: { kind: "values", size: 1, positions: "last" },
    lossUnit: "squared error",
    batches(split, shape) {
      check(shape.T >= 2, `task adding: train.sequenceLength is ${shape.T}; two numbers are marked, give at least 2.`);
      return new SequenceCursor("adding", split, shape, fillLane);
    },
    scores: ({ lossSum, positions }) => ({ rootMeanSquaredError: Math.sqrt(lossSum / positions) }),
  };
}

function fillLane({ features, targets }: BatchBuffers, T: number, B: number, b: number, random: RandomStream): void {
  const half = T >> 1;
  const first = random.below(half);
  const second = half + random.below(T - half);
  let sum = 0;
  for (let t = 0; t < T; t++) {
    const at = (t * B + b) * 2;
    const value = Math.fround(random.uniform());
    const marked = t === first || t === second;
    features![at] = value;
    features![at + 1] = marked ? 1 : 0;
    if (marked) sum += value;
  }
  targets[b] = sum;
}
