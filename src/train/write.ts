/**
 * What a model writes for what it reads: beam search. A hypothesis scores by the mean log-probability of its tokens, the
 * end among them, so that long ones are not at a loss. The search for a source ends when as many hypotheses as the beam
 * holds have come to an end and none that goes on scores better so far. A beam of 1 takes the likeliest token each time.
 */
import { check } from "../core/check.ts";
import type { EncoderDecoder } from "../nn/encoder-decoder.ts";
import type { Model } from "../nn/model.ts";
import type { Pass } from "../nn/module.ts";
import type { Encoded, Task, WritingForm } from "../tasks/task.ts";

export interface WritingOptions {
  /** Hypotheses kept for each source. */
  readonly beam: number;
  /** So many of the sources alone, from the first. */
  readonly limit?: number;
}

export interface Written {
  readonly tokens: readonly number[];
  /** Mean log-probability of its tokens. */
  readonly score: number;
  /** Whether it came to an end within the model's T. */
  readonly ended: boolean;
}

interface Hypothesis {
  readonly tokens: readonly number[];
  readonly sum: number;
  /** The lane, within its source's, whose states it goes on from. */
  readonly lane: number;
}

/** One for each source, in order. The model's T bounds their length, its B lanes hold the hypotheses of several sources. */
export function writeAll(model: Model, task: Task, sources: readonly Encoded[], { beam }: WritingOptions): Written[] {
  const { writing } = task;
  const { encoderDecoder } = model;
  if (!writing || !encoderDecoder) throw new Error(`task ${task.name} writes nothing`);
  check(
    Number.isSafeInteger(beam) && beam >= 1 && beam <= model.pass.B,
    () => `beam is ${beam}; give a whole number from 1 to the batch size, here ${model.pass.B}.`,
  );
  const together = Math.floor(model.pass.B / beam);
  // Sources of like length go together.
  const order = sources.map((_, index) => index).sort((a, b) => sources[a]!.length - sources[b]!.length || a - b);
  const written = new Array<Written>(sources.length);
  for (let from = 0; from < order.length; from += together) {
    const some = order.slice(from, from + together);
    const read = some.map((index) => sources[index] as Encoded);
    const found = search(model, encoderDecoder, writing, read, beam);
    for (const [place, index] of some.entries()) written[index] = found[place] as Written;
  }
  return written;
}

function search(
  model: Model,
  net: EncoderDecoder,
  writing: WritingForm,
  sources: readonly Encoded[],
  beam: number,
): Written[] {
  const B = sources.length * beam;
  const V = model.spec.output.size;
  const pass: Pass = { ...model.pass, T: 1, B, lengths: undefined, training: false };
  const buffers = net.buffers();
  for (const [index, source] of sources.entries())
    for (let k = 0; k < beam; k++)
      buffers.lengths[index * beam + k] = writing.fill(source, buffers, B, index * beam + k);
  net.encode(pass);

  const logits = new Float32Array(B * V);
  const from = new Int32Array(B);
  const live: Hypothesis[][] = sources.map(() => [{ tokens: [], sum: 0, lane: 0 }]);
  const done: Written[][] = sources.map(() => []);
  for (let t = 0; t < model.pass.T && live.some((some) => some.length > 0); t++) {
    for (let b = 0; b < B; b++) from[b] = b;
    for (const [index, some] of live.entries())
      for (const [k, { tokens, lane }] of some.entries()) {
        model.tokens.data[index * beam + k] = tokens.at(-1) ?? writing.first;
        from[index * beam + k] = index * beam + lane;
      }
    if (beam > 1) net.reorder(from, B);
    model.head.outputs(net.decode(model.input, pass), pass, logits);
    for (const [index, some] of live.entries()) {
      if (some.length === 0) continue;
      const best = likeliest(some, logits, index * beam, V, writing, 2 * beam);
      const next: Hypothesis[] = [];
      for (const [rank, { tokens, sum, lane }] of best.entries()) {
        const ends = tokens.at(-1) === writing.end;
        if (!ends && next.length < beam) next.push({ tokens, sum, lane });
        if (ends && rank < beam)
          done[index]!.push({ tokens: tokens.slice(0, -1), score: sum / tokens.length, ended: true });
      }
      const found = Math.max(...done[index]!.map(({ score }) => score));
      const over = done[index]!.length >= beam && next.every(({ sum, tokens }) => sum / tokens.length <= found);
      live[index] = over ? [] : next;
    }
  }
  return done.map((ended, index) => {
    const stopped = live[index]!.map(({ tokens, sum }) => ({ tokens, score: sum / tokens.length, ended: false }));
    const all = ended.length > 0 ? ended : stopped;
    return all.reduce((best, each) => (each.score > best.score ? each : best));
  });
}

/** The `count` best continuations of a source's hypotheses, best first. */
function likeliest(
  hypotheses: readonly Hypothesis[],
  logits: Float32Array,
  firstLane: number,
  V: number,
  { never }: WritingForm,
  count: number,
): Hypothesis[] {
  const best: { sum: number; token: number; lane: number }[] = [];
  for (const [lane, { sum }] of hypotheses.entries()) {
    const start = (firstLane + lane) * V;
    for (const token of never) logits[start + token] = Number.NEGATIVE_INFINITY;
    let largest = Number.NEGATIVE_INFINITY;
    for (let v = start; v < start + V; v++) largest = Math.max(largest, logits[v] as number);
    check(
      Number.isFinite(largest),
      "the model's outputs are not finite: its weights are spoilt, or numbers it reads too large.",
    );
    let total = 0;
    for (let v = start; v < start + V; v++) total += Math.exp((logits[v] as number) - largest);
    const base = sum - largest - Math.log(total);
    for (let token = 0; token < V; token++) {
      const value = base + (logits[start + token] as number);
      if (best.length === count && value <= best[count - 1]!.sum) continue;
      if (value === Number.NEGATIVE_INFINITY) continue;
      let place = best.length;
      while (place > 0 && best[place - 1]!.sum < value) place--;
      best.splice(place, 0, { sum: value, token, lane });
      if (best.length > count) best.pop();
    }
  }
  return best.map(({ sum, token, lane }) => ({ sum, lane, tokens: [...hypotheses[lane]!.tokens, token] }));
}
