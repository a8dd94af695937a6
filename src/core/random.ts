/**
 * Seeded random streams.
 *
 * Each use has a stream of its own (init, data, dropout, policy), named, so that two runs that
 * differ only in their policy see the same weights and the same data. A stream's state is four
 * integers and can be saved. `counterHash` is the stateless form: kernels of every engine draw the
 * same bits for the same (key, position), in any order and on any thread.
 */

/** xoshiro128**, Blackman and Vigna 2018; seeded through splitmix32 from (seed, name). */
export class RandomStream {
  readonly #state = new Uint32Array(4);

  constructor(seed: number, name: string) {
    let x = hashText(name, seed >>> 0) ^ Math.floor(seed / 2 ** 32);
    for (let i = 0; i < 4; i++) {
      x = (x + 0x9e3779b9) | 0;
      this.#state[i] = mix(x);
    }
  }

  /** A uniform integer in [0, 2^32). */
  next(): number {
    const s = this.#state as unknown as [number, number, number, number];
    const result = Math.imul(rotateLeft(Math.imul(s[1], 5), 7), 9) >>> 0;
    const t = s[1] << 9;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotateLeft(s[3], 11);
    return result;
  }

  /** Uniform in [0, 1), 32 bits of it. */
  uniform(): number {
    return this.next() / 2 ** 32;
  }

  /** A uniform integer in [0, n). */
  below(n: number): number {
    return Math.floor(this.uniform() * n);
  }

  /** Standard normal (Box and Muller). */
  normal(): number {
    const radius = Math.sqrt(-2 * Math.log(1 - this.uniform()));
    return radius * Math.cos(2 * Math.PI * this.uniform());
  }

  save(): number[] {
    return [...this.#state];
  }

  load(state: readonly number[]): void {
    this.#state.set(state);
  }
}

/** 32 well-mixed bits for (key, position): one round of splitmix32 over both. Same bits in every engine. */
export function counterHash(key: number, position: number): number {
  return mix((Math.imul(position, 0x9e3779b9) + key) | 0);
}

/** A key for `counterHash` from a seed, a name and a counter such as the step. */
export function streamKey(seed: number, name: string, counter: number): number {
  return mix((hashText(name, seed >>> 0) + Math.imul(counter, 0x85ebca6b)) | 0);
}

function mix(x: number): number {
  let z = x ^ (x >>> 16);
  z = Math.imul(z, 0x21f0aaad);
  z ^= z >>> 15;
  z = Math.imul(z, 0x735a2d97);
  return (z ^ (z >>> 15)) >>> 0;
}

function rotateLeft(x: number, bits: number): number {
  return (x << bits) | (x >>> (32 - bits));
}

/** FNV-1a over UTF-16 code units. */
function hashText(text: string, seed: number): number {
  let hash = 0x811c9dc5 ^ seed;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return mix(hash);
}
