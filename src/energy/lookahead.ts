/**
 * Units of 16 multipliers with a window of a few rows of operands: an idle multiplier takes an operand pair of a later
 * row of its own, or of a near neighbour's. After TensorDash (M. Mahmoud et al., MICRO 2020, arXiv 2009.00748): eight
 * choices a multiplier, window of three. The paper's scheduler lets multipliers choose in levels; here all
 * multipliers make their first choice, then the second, and so on: the same pairs within reach, ties broken otherwise.
 */

/** (rows ahead, multipliers to the right), best first: its own place, then later rows, then neighbours. */
const CHOICES: readonly (readonly [ahead: number, aside: number])[] = [
  [0, 0],
  [1, 0],
  [2, 0],
  [1, 1],
  [1, -1],
  [2, 2],
  [2, -2],
  [1, -3],
];

const LANES = 16;
const ALL = 0xffff;

/**
 * Cycles of one tile whose rows move on together: `streams` are the rows' words of 16 bits, all `length` long
 * (a word past a stream's end is 0). `depth` rows are in the window.
 */
export function lookaheadCycles(streams: readonly Uint16Array[], length: number, depth: number): number {
  const rows = streams.length;
  if (rows === 0 || length === 0) return 0;
  const windows = new Int32Array(rows * depth);
  const choices = CHOICES.filter(([ahead]) => ahead < depth);
  const word = (r: number, at: number) => (at < length ? ((streams[r] as Uint16Array)[at] ?? 0) : 0);
  for (let r = 0; r < rows; r++) for (let d = 0; d < depth; d++) windows[r * depth + d] = word(r, d);
  let at = 0;
  let cycles = 0;
  while (at < length) {
    cycles++;
    let move = depth;
    for (let r = 0; r < rows; r++) {
      const base = r * depth;
      let free = ALL;
      for (const [ahead, aside] of choices) {
        if (free === 0) break;
        const pairs = windows[base + ahead] as number;
        if (pairs === 0) continue;
        // Multiplier i takes pair i + aside: what is taken, seen from the pairs.
        const taken = pairs & rotate(free, aside);
        windows[base + ahead] = pairs & ~taken;
        free &= ~rotate(taken, -aside);
      }
      let done = 0;
      while (done < depth && windows[base + done] === 0) done++;
      if (done < move) move = done;
    }
    at += move;
    for (let r = 0; r < rows; r++) {
      const base = r * depth;
      for (let d = 0; d < depth; d++)
        windows[base + d] = d + move < depth ? (windows[base + d + move] as number) : word(r, at + d);
    }
  }
  return cycles;
}

function rotate(bits: number, by: number): number {
  const n = ((by % LANES) + LANES) % LANES;
  return ((bits << n) | (bits >>> (LANES - n))) & ALL;
}
