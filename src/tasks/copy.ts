/**
 * The copy task (Hochreiter and Schmidhuber 1997; in the form of Arjovsky, Shah and Bengio 2016): ten symbols out of
 * eight, then blanks, then a cue, after which the ten symbols are to be said again; blanks everywhere else. A sequence
 * of `sequenceLength` positions waits T = sequenceLength - 20 of them between the symbols and their answer. Without a
 * memory the best mean loss is 10 ln 8 / (T + 20).
 */
import { check } from "../core/check.ts";
import type { RandomStream } from "../core/random.ts";
import { SequenceCursor } from "./batches.ts";
import type { BatchBuffers, Task } from "./task.ts";

const SYMBOLS = 8; // tokens 1 to 8; 0 is blank
const CUE = SYMBOLS + 1;
const LENGTH = 10; // symbols to remember

export interface CopyOptions {
  /** Columns of a trained embedding; 0 or none: one-hot input. */
  readonly embedding?: number | undefined;
}

export function copyTask({ embedding = 0 }: CopyOptions = {}): Task {
  return {
    name: "copy",
    summary: "say ten symbols again after a long wait",
    input: { kind: "tokens", vocabulary: CUE + 1, ...(embedding > 0 ? { embedding } : {}) },
    output: { kind: "classes", size: SYMBOLS + 1, positions: "all" },
    lossUnit: "nats/token",
    batches(split, shape) {
      check(
        shape.T > 2 * LENGTH,
        `task copy: train.sequenceLength is ${shape.T}; ten symbols, a wait and ten answers need at least ${2 * LENGTH + 1}.`,
      );
      return new SequenceCursor("copy", split, shape, fillLane);
    },
    scores: ({ lossSum, positions, correct }) => ({
      perplexity: Math.exp(lossSum / positions),
      accuracy: correct / positions,
    }),
  };
}

function fillLane({ tokens, targets }: BatchBuffers, T: number, B: number, b: number, random: RandomStream): void {
  const answers = T - LENGTH; // where they begin; the cue is the position before
  for (let t = 0; t < T; t++) {
    tokens![t * B + b] = t < LENGTH ? 1 + random.below(SYMBOLS) : t === answers - 1 ? CUE : 0;
    targets[t * B + b] = t < answers ? 0 : (tokens![(t - answers) * B + b] as number);
  }
}
