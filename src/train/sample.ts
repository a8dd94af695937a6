/**
 * Text from a trained language model: a character or word at a time, each drawn from the model's distribution.
 *
 * A recurrent net carries its states from one to the next. A transformer reads anew what it can see, for each one: all of
 * the text so far, and, when that is longer than its positions, the last of them.
 */
import type { RealArray } from "../core/arena.ts";
import { check, UsageError } from "../core/check.ts";
import { RandomStream } from "../core/random.ts";
import type { Model } from "../nn/model.ts";
import type { Pass } from "../nn/module.ts";
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
  const primed = text.encode(prime);
  const reader = model.context > 1 ? windowReader(model) : stepReader(model);
  return drawing(reader, primed.length ? primed : [text.first], { length, temperature, seed });
}

/** Reads one more token; returns the logits of what follows, overwritten by the next call. */
type Reader = (token: number) => RealArray;

/** Of a net that carries states. */
function stepReader(model: Model): Reader {
  const stepper = new Stepper(model);
  return (token) => {
    stepper.input[0] = token;
    return stepper.step();
  };
}

/** Of a net that reads anew what it can see. */
function windowReader(model: Model): Reader {
  const pass: Pass = { ...model.pass, T: 1, B: 1, lengths: undefined, training: false };
  const window = Math.min(model.context, model.pass.T);
  const { size } = model.spec.output;
  const outputs = new Float64Array(window * size);
  const seen: number[] = [];
  return (token) => {
    seen.push(token);
    if (seen.length > window) seen.shift();
    pass.T = seen.length;
    model.tokens.data.set(seen);
    model.head.outputs(model.forward(pass), pass, outputs);
    return outputs.subarray((seen.length - 1) * size, seen.length * size);
  };
}

function* drawing(
  read: Reader,
  primed: Iterable<number>,
  { length, temperature, seed }: { readonly length: number; readonly temperature: number; readonly seed: number },
): Generator<number, void> {
  const random = new RandomStream(seed, "sample");
  let logits: RealArray | undefined;
  for (const token of primed) logits = read(token);
  for (let drawn = 0; logits && drawn < length; drawn++) {
    const token = draw(logits, temperature, random);
    yield token;
    logits = read(token);
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
