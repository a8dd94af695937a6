/** Scores of a model on a split: one pass over its batches, states carried, nothing learnt. */
import type { Model } from "../nn/model.ts";
import type { Pass } from "../nn/module.ts";
import type { EvaluationSums, ScoreRow, Split, Task } from "../tasks/task.ts";
import { type WritingOptions, writeAll } from "./write.ts";

export interface Evaluation {
  /** Mean loss in the task's unit. */
  readonly loss: number;
  readonly scores: Record<string, number>;
  readonly positions: number;
  /** Of tasks that have it: a row for each class, tag or column. */
  readonly table?: readonly ScoreRow[];
  /** Of tasks that write: how their scores are defined, and over what. */
  readonly signature?: string;
}

/** What is written to score a split: of validation little, since it is looked at again and again. */
export const WRITTEN: Readonly<Record<Split, WritingOptions>> = {
  train: { beam: 1, limit: 200 },
  valid: { beam: 1, limit: 200 },
  test: { beam: 4 },
};

/** `model.carried` is left as it was. */
export function evaluate(
  model: Model,
  task: Task,
  split: Split,
  seed: number,
  writing: WritingOptions = WRITTEN[split],
): Evaluation {
  const batches = evaluating(model, task, split, seed, writing);
  for (;;) {
    const { done, value } = batches.next();
    if (done) return value;
  }
}

/** The same a batch at a time: undefined after each, so that a caller can look up in between. */
export function* evaluating(
  model: Model,
  task: Task,
  split: Split,
  seed: number,
  writing: WritingOptions = WRITTEN[split],
): Generator<undefined, Evaluation> {
  const cursor = task.batches(split, { T: model.pass.T, B: model.pass.B, seed });
  const whole: Pass = { ...model.pass, T: cursor.T, B: cursor.B, training: false };
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
      whole.B = cursor.lanes ?? cursor.B;
      const pass = model.trim(whole);
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
  const written = writtenScores(model, task, split, writing);
  return {
    loss: sums.lossSum / sums.positions,
    scores: { ...task.scores(sums), ...scorer?.scores(), ...written?.scores },
    positions: sums.positions,
    ...(table ? { table } : {}),
    ...(written ? { signature: written.signature } : {}),
  };
}

/** Of tasks that write: scores of what the model writes by itself, against the references. */
function writtenScores(model: Model, task: Task, split: Split, { beam, limit }: WritingOptions) {
  const { writing } = task;
  if (!writing) return undefined;
  const all = writing.count(split);
  const count = Math.min(all, limit ?? all);
  const examples = Array.from({ length: count }, (_, index) => writing.example(split, index));
  const width = Math.min(beam, model.pass.B);
  const written = writeAll(
    model,
    task,
    examples.map(({ source }) => source),
    { beam: width },
  );
  const scores = writing.scores(
    written.map(({ tokens }) => writing.decode(tokens)),
    examples.map(({ reference }) => reference),
  );
  return { scores, signature: `${writing.signature}; beam ${width}, ${count} of ${all}` };
}
