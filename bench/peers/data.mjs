/** Uniform random batches for the peers, from a seed (mulberry32: the peers share no code with us). */

/** Rows of a trained table up to which a one-hot product stands in for a look-up that a peer cannot train. */
export const LARGEST_TABLE = 1000;

export function random(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let z = Math.imul(state ^ (state >>> 15), state | 1);
    z ^= z + Math.imul(z ^ (z >>> 7), z | 61);
    return ((z ^ (z >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Eight batches, time-major: x (T*B) token numbers or (T*B, features), targets (T*B) or (B). */
export function drawBatches({ input, V, B, T, positions }, seed) {
  const next = random(seed);
  const classes = input.oneHot ?? input.tokens;
  const below = (n) => Math.floor(next() * n);
  return Array.from({ length: 8 }, () => ({
    x: input.features
      ? Float32Array.from({ length: T * B * input.features }, () => 2 * next() - 1)
      : Int32Array.from({ length: T * B }, () => below(classes)),
    targets: Int32Array.from({ length: positions === "last" ? B : T * B }, () => below(V)),
  }));
}

/** Uniform in +-1/sqrt(H), PyTorch's. */
export function uniform(next, length, H) {
  return Float32Array.from({ length }, () => (2 * next() - 1) / Math.sqrt(H));
}
