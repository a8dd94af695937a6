/** What a model says of sequences without targets, in batches of the model's largest shape or less. */
import { check, UsageError } from "../core/check.ts";
import type { Model } from "../nn/model.ts";
import type { Pass } from "../nn/module.ts";
import type { Encoded, Task } from "../tasks/task.ts";
import { WRITTEN } from "./evaluate.ts";
import { writeAll } from "./write.ts";

/** A sequence as the task reads it, and where it stands, for messages and results. */
export interface PredictionInput {
  readonly input: unknown;
  readonly where: string;
}

/** Positions that a pass over these needs: no sequence is cut. Throws for an input that the task cannot read. */
export function longestInput({ prediction }: Task, inputs: readonly PredictionInput[]): number {
  const lengths = inputs.map(({ input, where }) => prediction?.lengthOf(prediction.encode(input, where)) ?? 0);
  return lengths.reduce((longest, length) => Math.max(longest, length), 1);
}

/**
 * One result for each input, in order. The batch does not change it. Carried states are left as they were. `beam`: of tasks
 * that write, hypotheses kept for each source.
 */
export function* predict(
  model: Model,
  task: Task,
  inputs: readonly PredictionInput[],
  beam = Math.min(WRITTEN.test.beam, model.pass.B),
): Generator<Record<string, unknown>> {
  const { prediction, output } = task;
  if (task.writing) return yield* writings(model, task, inputs, beam);
  if (!prediction)
    throw new UsageError(`task ${task.name} predicts nothing of a sequence by itself; a model of text is sampled.`);
  const { T: most, B } = model.pass;
  const buffers = model.buffers();
  const carried = model.carried.map((state) => state.data.slice());
  for (let from = 0; from < inputs.length; from += B) {
    const encoded = inputs.slice(from, from + B).map(({ input, where }) => prediction.encode(input, where));
    const lanes = encoded.length;
    const T = Math.min(most, Math.max(...encoded.map((each) => prediction.lengthOf(each))));
    for (const [b, each] of encoded.entries()) buffers.lengths[b] = prediction.fill(each, buffers, T, lanes, b);
    const pass: Pass = { ...model.pass, T, B: lanes, training: false };
    model.resetCarried();
    const outputs = new Float32Array((output.positions === "all" ? T : 1) * lanes * output.size);
    model.head.outputs(model.forward(pass), pass, outputs);
    checkFinite(outputs);
    for (const [index, state] of model.carried.entries()) state.data.set(carried[index] as Float32Array);
    for (const [b, each] of encoded.entries())
      yield { where: inputs[from + b]!.where, ...prediction.decode(outputs, b, lanes, each as Encoded) };
  }
}

/** All are read first: what is wrong with the last is said before anything is written. */
function* writings(
  model: Model,
  task: Task,
  inputs: readonly PredictionInput[],
  beam: number,
): Generator<Record<string, unknown>> {
  const { writing } = task;
  const read = inputs.map(({ input, where }) => ({ where, ...writing!.encode(input, where) }));
  for (let from = 0; from < read.length; from += WRITTEN_TOGETHER) {
    const some = read.slice(from, from + WRITTEN_TOGETHER);
    const written = writeAll(
      model,
      task,
      some.map(({ source }) => source),
      { beam },
    );
    for (const [index, { tokens, score, ended }] of written.entries())
      yield {
        where: some[index]!.where,
        [writing!.result]: writing!.decode(tokens),
        score,
        ...(ended ? {} : { ended }),
        ...some[index]!.remarks,
      };
  }
}

/** Sources between two results that are given out. */
const WRITTEN_TOGETHER = 256;

function checkFinite(outputs: Float32Array): void {
  check(
    outputs.every(Number.isFinite),
    "the model's outputs are not finite: numbers of the input are too large for it.",
  );
}
