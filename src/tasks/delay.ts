/**
 * The delay task: at every t, name the token seen `delay` positions ago. Tokens are drawn uniformly
 * from eight; the first `delay` positions, which have nothing to look back at, must answer token 0.
 */
import { check } from "../core/check.ts";
import type { RandomStream } from "../core/random.ts";
import { SequenceCursor } from "./batches.ts";
import type { BatchBuffers, Task } from "./task.ts";

const VOCABULARY = 8;
export const DEFAULT_DELAY = 5;

export interface DelayOptions {
  readonly delay?: number | undefined;
  /** Columns of a trained embedding; 0 or none: one-hot input. */
  readonly embedding?: number | undefined;
}

export function delayTask({ delay = DEFAULT_DELAY, embedding = 0 }: DelayOptions = {}): Task {
  check(Number.isInteger(delay) && delay > 0, `task.delay is ${delay}; give a whole number of at least 1.`);
  return {
    name: "delay",
    summary: `name the token seen ${delay} positions ago`,
    input: { kind: "tokens", vocabulary: VOCABULARY, ...(embedding > 0 ? { embedding } : {}) },
    output: { kind: "classes", size: VOCABULARY, positions: "all" },
    lossUnit: "nats/token",
    batches(split, shape) {
      check(
        shape.T > delay,
        `task delay: train.sequenceLength is ${shape.T}; it must be longer than task.delay, ${delay}.`,
      );
      const fillLane = ({ tokens, targets }: BatchBuffers, T: number, B: number, b: number, random: RandomStream) => {
        for (let t = 0; t < T; t++) {
          tokens![t * B + b] = random.below(VOCABULARY);
          targets[t * B + b] = t < delay ? 0 : (tokens![(t - delay) * B + b] as number);
        }
      };
      return new SequenceCursor("delay", split, shape, fillLane);
    },
    scores: ({ lossSum, positions, correct }) => ({
      perplexity: Math.exp(lossSum / positions),
      accuracy: correct / positions,
    }),
  };
}
