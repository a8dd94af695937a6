/** Examples as people have them (arrays side by side, lists, streams) to lists, and the share held back to validate. */

import { UsageError } from "../core/check.ts";
import { streamKey } from "../core/random.ts";
import { holdBack } from "../tasks/splits.ts";

/** Something at a time: an array, a generator, a stream that is still coming. */
export type Stream<E> = Iterable<E> | AsyncIterable<E>;

/** All of a stream; `signal` ends the wait with its reason. */
export async function gather<E>(stream: Stream<E>, signal: AbortSignal | undefined): Promise<E[]> {
  signal?.throwIfAborted();
  if (Array.isArray(stream)) return stream;
  const all: E[] = [];
  for await (const each of stream) {
    signal?.throwIfAborted();
    all.push(each);
  }
  return all;
}

export function isStream(data: unknown): data is Stream<unknown> {
  return typeof data === "object" && data !== null && (Symbol.iterator in data || Symbol.asyncIterator in data);
}

/** Two lists side by side, one entry of each for an example. */
export function pairUp(what: string, data: object, first: string, second: string): [unknown, unknown][] {
  const lists = [first, second].map((name) => {
    const list = (data as Record<string, unknown>)[name];
    if (!Array.isArray(list) && !ArrayBuffer.isView(list))
      throw new UsageError(
        `${what}: ${name} is ${shown(list)}, expected a list; give { ${first}, ${second} }, or a list or stream of examples.`,
      );
    return Array.from(list as unknown as ArrayLike<unknown>);
  }) as [unknown[], unknown[]];
  const [a, b] = lists;
  if (a.length !== b.length)
    throw new UsageError(
      `${what}: ${a.length} ${first} and ${b.length} ${second}; give each of the ${first} one of the ${second}.`,
    );
  return a.map((each, index) => [each, b[index]]);
}

export interface Parted<E> {
  readonly train: readonly E[];
  readonly valid: readonly E[];
  readonly notes: readonly string[];
}

/** One in 1/share of each class validates. */
export function hold<E>(examples: readonly E[], share: number, classOf: (example: E) => string): Parted<E> {
  if (share === 0) return { train: examples, valid: [], notes: [] };
  const part = holdBack(examples.map(classOf), 1 / share, 1);
  const parted = {
    train: examples.filter((_, index) => part[index] === 0),
    valid: examples.filter((_, index) => part[index] === 1),
  };
  const none = parted.valid.length === 0 && examples.length > 0;
  return { ...parted, notes: none ? [tooFew(`${examples.length} examples`)] : [] };
}

export function tooFew(data: string): string {
  return `${data} are too few to hold some back: nothing was validated, and the last weights stay.`;
}

/** 32 bits that tell one data from another. */
export function hashOf(data: unknown): number {
  return streamKey(
    0,
    JSON.stringify(data, (_key, value) => (ArrayBuffer.isView(value) ? Array.from(value as Float32Array) : value)),
    0,
  );
}

export function shown(value: unknown): string {
  if (typeof value === "number" || value === undefined) return String(value);
  const text = JSON.stringify(value) ?? typeof value;
  return text.length > 40 ? `${text.slice(0, 40)}...` : text;
}
