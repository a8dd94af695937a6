/** Lengths of sequences, by split. */
import type { SequenceLengths } from "./task.ts";

export function sequenceLengths(parts: readonly Int32Array[]): SequenceLengths {
  let longest = 0;
  let count = 0;
  for (const part of parts) {
    count += part.length;
    for (const length of part) longest = Math.max(longest, length);
  }
  return {
    longest,
    note(T) {
      let longer = 0;
      for (const part of parts) for (const length of part) if (length > T) longer++;
      if (longer === 0) return undefined;
      return `${longer} of ${count} sequences have more than train.sequenceLength ${T} positions (up to ${longest}): only their first ${T} are read.`;
    },
  };
}
