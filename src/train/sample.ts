/**
 * Text from a trained language model: a character or word at a time, each drawn from the model's distribution.
 *
 * A recurrent net carries its states from one to the next. A transformer reads anew what it can see, for each one: all of
 * the text so far, and, when that is longer than its positions, the last of them.
 */
import { check, UsageError } from "../core/check.ts";
import { RandomStream } from "../core/random.ts";
import type { Model } from "../nn/model.ts";
import type { Pass } from "../nn/module.ts";
import type { Task } from "../tasks/task.ts";

export interface SampleOptions {
  /** Characters or words to draw. */
  readonly length?: number;
  /** 1: the model's distribution; below, bolder; 0: always the likeliest. */
  readonly temperature?: number;
  /** Text to read first; the start of a line or sentence if empty. */
  readonly prime?: string;
  readonly seed?: number;
}

/** The drawn text, without the prime. `<unk>` is never drawn. Carried states are left as they were. */
export function sampleText(model: Model, task: Task, options: SampleOptions = {}): string {
  const { length = 300, temperature = 1, prime = "", seed = 1 } = options;
  const { vocabulary, text } = task;
  check(
    text && vocabulary,
    () =>
      `task ${task.name} makes no text; only runs of tasks character and word can be sampled${task.writing ? "; let it write with gatesieve predict" : ""}.`,
  );
  check(Number.isSafeInteger(length) && length >= 0, () => `length is ${length}; give a whole number of at least 0.`);
  check(
    temperature >= 0 && Number.isFinite(temperature),
    () => `temperature is ${temperature}; give a number of at least 0, for example 0.8.`,
  );
  const unknown = text.unknown(prime);
  if (unknown.length)
    throw new UsageError(
      `prime: ${unknown.map((piece) => JSON.stringify(piece)).join(", ")} not among the ${vocabulary.length - 1} ${text.unit} this model knows. Leave out what it does not know.`,
    );

  const carried = model.carried.map((state) => state.data.slice());
  model.resetCarried();
  const random = new RandomStream(seed, "sample");
  const pass: Pass = { ...model.pass, T: 1, B: 1, lengths: undefined, training: false };
  const window = Math.min(model.context, model.pass.T); // a net without carried states reads the last ones each time
  const outputs = new Float64Array(window * vocabulary.length);
  const logits = outputs.subarray(0, vocabulary.length);
  const seen: number[] = [];
  const read = (token: number) => {
    seen.push(token);
    if (seen.length > window) seen.shift();
    pass.T = seen.length;
    model.tokens.data.set(seen);
    model.head.outputs(model.forward(pass), pass, outputs);
    outputs.copyWithin(0, (seen.length - 1) * vocabulary.length, seen.length * vocabulary.length);
  };
  const primed = text.encode(prime);
  for (const token of primed.length ? primed : [text.first]) read(token);
  const drawn: number[] = [];
  while (drawn.length < length) {
    const token = draw(logits, temperature, random);
    drawn.push(token);
    read(token);
  }
  for (const [index, state] of model.carried.entries()) state.data.set(carried[index] as Float32Array);
  return text.decode(drawn);
}

/** A token other than 0 with probability softmax(logits / temperature). */
function draw(logits: Float64Array, temperature: number, random: RandomStream): number {
  let best = 1;
  for (let token = 2; token < logits.length; token++) if (logits[token]! > logits[best]!) best = token;
  if (temperature === 0) return best;
  const weight = (token: number) => Math.exp((logits[token]! - logits[best]!) / temperature);
  let total = 0;
  for (let token = 1; token < logits.length; token++) total += weight(token);
  let left = random.uniform() * total;
  for (let token = 1; token < logits.length; token++) {
    left -= weight(token);
    if (left < 0) return token;
  }
  return best; // rounding used up the last weight
}
