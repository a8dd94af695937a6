/**
 * Where the positions of a batch of sequences stand. TensorFlow.js lays a batch out lane by lane, (B, T, ...); layers of
 * ours take it time by time, (T*B, ...), right padded. A mask may hide any positions of a lane: a masked position leaves
 * the states alone and repeats the output before it, so the lane is the same as one without it. Positions are therefore
 * moved together, and outputs are looked up where their position, or the last one before it, went.
 */

export interface Positions {
  readonly T: number;
  readonly B: number;
  /** (T*B): for each time-major row of x the row of the batch-major one, or -1 past a lane's end. */
  readonly source: Int32Array;
  /**
   * (B*T): for each output, in the order in which time was gone through, its row of h, where block 0 holds the initial
   * states and block k+1 those after the k-th position.
   */
  readonly target: Int32Array;
  /** (B): positions of each lane that are there; none if all are. */
  readonly lengths: Int32Array | undefined;
}

/** `mask`: (B*T), 0 where a position is hidden; without one all are there. `backwards`: time is gone through from its end. */
export function positions(T: number, B: number, backwards: boolean, mask?: ArrayLike<number>): Positions {
  const source = new Int32Array(T * B).fill(-1);
  const target = new Int32Array(B * T);
  const lengths = new Int32Array(B);
  for (let b = 0; b < B; b++) {
    let there = 0;
    for (let s = 0; s < T; s++) {
      const from = b * T + (backwards ? T - 1 - s : s);
      if (mask?.[from] !== 0) source[there++ * B + b] = from;
      target[b * T + s] = there * B + b;
    }
    lengths[b] = there;
  }
  return { T, B, source, target, lengths: lengths.every((length) => length === T) ? undefined : lengths };
}
