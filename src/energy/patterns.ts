/** Bitmaps of gradients turned and cut as machines read them. */
import type { TraceSite } from "../sparse/trace.ts";
import { wordsOf } from "../sparse/trace.ts";

export interface Bits {
  readonly rows: number;
  readonly cols: number;
  /** Bit c%32 of word c>>5 of a row; bits beyond the columns are 0. (rows, ceil(cols/32)) */
  readonly bitmap: Uint32Array;
}

/** Rows as columns. */
export function transpose({ rows, cols, bitmap }: Bits): Bits {
  const stride = wordsOf(cols);
  const outStride = wordsOf(rows);
  const out = new Uint32Array(cols * outStride);
  const block = new Uint32Array(32);
  for (let r = 0; r < rows; r += 32)
    for (let word = 0; word < stride; word++) {
      let any = 0;
      for (let i = 0; i < 32; i++) {
        const bits = r + i < rows ? (bitmap[(r + i) * stride + word] as number) : 0;
        block[i] = bits;
        any |= bits;
      }
      if (any === 0) continue;
      transpose32(block);
      const last = Math.min(32, cols - word * 32);
      for (let j = 0; j < last; j++) out[(word * 32 + j) * outStride + (r >>> 5)] = block[j] as number;
    }
  return { rows: cols, cols: rows, bitmap: out };
}

/** A square of bits, in place (H. Warren, Hacker's Delight, 7-3, with bit 0 first). */
function transpose32(block: Uint32Array): void {
  let mask = 0x0000ffff;
  for (let step = 16; step !== 0; step >>>= 1, mask ^= mask << step)
    for (let k = 0; k < 32; k = (k + step + 1) & ~step) {
      const swap = (((block[k] as number) >>> step) ^ (block[k + step] as number)) & mask;
      block[k + step] = (block[k + step] as number) ^ swap;
      block[k] = (block[k] as number) ^ (swap << step);
    }
}

/** Rows [from, from + count). */
export function rowsOf({ cols, bitmap }: Bits, from: number, count: number): Bits {
  const stride = wordsOf(cols);
  return { rows: count, cols, bitmap: bitmap.subarray(from * stride, (from + count) * stride) };
}

/**
 * What group `group` of `groups` reads in columns: for each block of `block` rows, the columns j with
 * j mod groups = group, one after the other, as rows of `block` bits. `turned` is the transposed site.
 */
export function columnLines(turned: Bits, block: number, group: number, groups: number): Bits {
  const blocks = Math.ceil(turned.cols / block);
  const mine = Math.max(0, Math.ceil((turned.rows - group) / groups));
  const stride = wordsOf(turned.cols);
  const outStride = wordsOf(block);
  const out = new Uint32Array(blocks * mine * outStride);
  let at = 0;
  for (let t = 0; t < blocks; t++) {
    const end = Math.min(turned.cols, (t + 1) * block);
    for (let j = group; j < turned.rows; j += groups, at += outStride)
      for (let w = 0, from = t * block; from < end; from += 32, w++)
        out[at + w] = bitsAt(turned.bitmap, j * stride, stride, from, Math.min(32, end - from));
  }
  return { rows: blocks * mine, cols: block, bitmap: out };
}

/**
 * What group `group` of `groups` reads in rows: of each block of `block` rows, those with r mod groups = group. Blocks
 * have equally many: rows that a block lacks are empty.
 */
export function rowLines({ rows, cols, bitmap }: Bits, block: number, group: number, groups: number): Bits {
  const stride = wordsOf(cols);
  const blocks = Math.ceil(rows / block);
  const mine = Math.ceil(block / groups);
  const out = new Uint32Array(blocks * mine * stride);
  for (let t = 0; t < blocks; t++)
    for (let i = 0, r = t * block + group; r < Math.min(rows, (t + 1) * block); i++, r += groups)
      out.set(bitmap.subarray(r * stride, (r + 1) * stride), (t * mine + i) * stride);
  return { rows: blocks * mine, cols, bitmap: out };
}

/** Rows that are not zero throughout. */
export function liveRows({ rows, cols, bitmap }: Bits): number {
  const stride = wordsOf(cols);
  let live = 0;
  for (let r = 0; r < rows; r++) {
    let any = 0;
    for (let w = 0; w < stride; w++) any |= bitmap[r * stride + w] as number;
    if (any !== 0) live++;
  }
  return live;
}

/** `count` bits (at most 32) from bit `from` of a row that begins at word `base`. */
export function bitsAt(bitmap: Uint32Array, base: number, stride: number, from: number, count: number): number {
  const word = from >>> 5;
  const shift = from & 31;
  let bits = (bitmap[base + word] as number) >>> shift;
  if (shift > 0 && word + 1 < stride) bits |= (bitmap[base + word + 1] as number) << (32 - shift);
  return count >= 32 ? bits >>> 0 : bits & ((1 << count) - 1);
}

/** Per block of `block` rows: how many columns are not zero throughout. */
export function liveColumns(
  { rows, cols, bitmap }: Bits,
  block: number,
  popcount: (word: number) => number,
): Float64Array {
  const stride = wordsOf(cols);
  const blocks = Math.ceil(rows / block);
  const live = new Float64Array(blocks);
  for (let t = 0; t < blocks; t++)
    for (let w = 0; w < stride; w++) {
      let any = 0;
      for (let r = t * block; r < Math.min(rows, (t + 1) * block); r++) any |= bitmap[r * stride + w] as number;
      (live[t] as number) += popcount(any);
    }
  return live;
}

/** The transposed bitmap of each site is made once. */
export class Patterns {
  readonly #turned = new Map<string, Bits>();

  turned(site: TraceSite): Bits {
    let bits = this.#turned.get(site.name);
    if (!bits) {
      bits = transpose(site);
      this.#turned.set(site.name, bits);
    }
    return bits;
  }
}
