/** Text from a trained language model: a character or word at a time, each drawn from the model's distribution. */
import type { RealArray } from "../core/arena.ts";
import { check, UsageError } from "../core/check.ts";
import { RandomStream } from "../core/random.ts";
import type { Model } from "../nn/model.ts";
import type { Task, TextForm } from "../tasks/task.ts";
import { Stepper } from "./stepper.ts";

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
  const tokens = sampling(model, task, options);
  return (task.text as TextForm).decode([...tokens]);
}

/** The same a token at a time; other work with the model, training included, may go on in between. */
export function sampling(model: Model, task: Task, options: SampleOptions = {}): Generator<number, void> {
  const { length = 300, temperature = 1, prime = "", seed = 1 } = options;
  const { vocabulary, text } = task;
  check(
    text && vocabulary,
    () => `task ${task.name} makes no text; only runs of tasks character and word can be sampled.`,
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
  const primed = text.encode(prime);
  return drawing(new Stepper(model), primed.length ? primed : [text.first], { length, temperature, seed });
}

function* drawing(
  stepper: Stepper,
  primed: Iterable<number>,
  { length, temperature, seed }: { readonly length: number; readonly temperature: number; readonly seed: number },
): Generator<number, void> {
  const random = new RandomStream(seed, "sample");
  const read = (token: number) => {
    stepper.input[0] = token;
    stepper.step();
  };
  for (const token of primed) read(token);
  for (let drawn = 0; drawn < length; drawn++) {
    const token = draw(stepper.output, temperature, random);
    yield token;
    read(token);
  }
}

/** A token other than 0 with probability softmax(logits / temperature). */
function draw(logits: RealArray, temperature: number, random: RandomStream): number {
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
