/** Scores of a model on a split: one pass over its batches, states carried, nothing learnt. */
import type { Model } from "../nn/model.ts";
import type { Pass } from "../nn/module.ts";
import type { EvaluationSums, Split, Task } from "../tasks/task.ts";

export interface Evaluation {
  /** Mean loss in the task's unit. */
  readonly loss: number;
  readonly scores: Record<string, number>;
  readonly positions: number;
}

/** `model.carried` is left as it was. */
export function evaluate(model: Model, task: Task, split: Split, seed: number): Evaluation {
  const cursor = task.batches(split, { T: model.pass.T, B: model.pass.B, seed });
  const pass: Pass = { ...model.pass, T: cursor.T, B: cursor.B, training: false };
  const buffers = model.buffers();
  const carried = model.carried.map((state) => state.data.slice());
  const sums = { lossSum: 0, positions: 0, correct: 0 } satisfies EvaluationSums;
  model.resetCarried();
  for (let batch = 0; batch < cursor.batchesPerEpoch; batch++) {
    if (cursor.next(buffers)) model.resetCarried();
    const part = model.head.evaluate(model.forward(pass), pass);
    sums.lossSum += part.lossSum;
    sums.positions += part.positions;
    sums.correct += part.correct;
  }
  for (const [index, state] of model.carried.entries()) state.data.set(carried[index] as Float32Array);
  return { loss: sums.lossSum / sums.positions, scores: task.scores(sums), positions: sums.positions };
}
