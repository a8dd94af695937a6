/** Scores of a model on a split: one pass over its batches, states carried, nothing learnt. */
import type { Model } from "../nn/model.ts";
import type { Pass } from "../nn/module.ts";
import type { EvaluationSums, ScoreRow, Split, Task } from "../tasks/task.ts";

export interface Evaluation {
  /** Mean loss in the task's unit. */
  readonly loss: number;
  readonly scores: Record<string, number>;
  readonly positions: number;
  /** Of tasks that have it: a row for each class, tag or column. */
  readonly table?: readonly ScoreRow[];
}

/** `model.carried` is left as it was. */
export function evaluate(model: Model, task: Task, split: Split, seed: number): Evaluation {
  const batches = evaluating(model, task, split, seed);
  for (;;) {
    const { done, value } = batches.next();
    if (done) return value;
  }
}

/** The same a batch at a time: undefined after each, so that a caller can look up in between. */
export function* evaluating(model: Model, task: Task, split: Split, seed: number): Generator<undefined, Evaluation> {
  const cursor = task.batches(split, { T: model.pass.T, B: model.pass.B, seed });
  const pass: Pass = { ...model.pass, T: cursor.T, B: cursor.B, training: false };
  const buffers = model.buffers();
  const carried = model.carried.map((state) => state.data.slice());
  const scorer = task.scorer?.(split, cursor);
  const { size, positions } = task.output;
  const outputs = scorer && new Float32Array((positions === "all" ? cursor.T : 1) * cursor.B * size);
  const sums = { lossSum: 0, positions: 0, correct: 0 } satisfies EvaluationSums;
  model.resetCarried();
  try {
    for (let batch = 0; batch < cursor.batchesPerEpoch; batch++) {
      if (cursor.next(buffers)) model.resetCarried();
      pass.B = cursor.lanes ?? cursor.B;
      const y = model.forward(pass);
      const part = model.head.evaluate(y, pass);
      if (scorer && outputs) {
        model.head.outputs(y, pass, outputs);
        scorer.add(outputs, buffers, task.output.positions === "all" ? pass.T * pass.B : pass.B);
      }
      sums.lossSum += part.lossSum;
      sums.positions += part.positions;
      sums.correct += part.correct;
      yield undefined;
    }
  } finally {
    for (const [index, state] of model.carried.entries()) state.data.set(carried[index] as Float32Array);
  }
  const table = scorer?.table?.();
  return {
    loss: sums.lossSum / sums.positions,
    scores: { ...task.scores(sums), ...scorer?.scores() },
    positions: sums.positions,
    ...(table ? { table } : {}),
  };
}
