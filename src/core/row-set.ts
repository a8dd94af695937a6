/**
 * A set of rows of a matrix: those of a gradient that may be other than zero. An embedding's gradient has
 * rows of the batch's tokens alone; clearing, norm and update need to visit no others. It lies in the
 * arena, where every engine reads it: bits for whoever adds rows, and the rows as an ascending list.
 */
import type { Arena, BitTensor, DoubleTensor, IntTensor } from "./arena.ts";

export class RowSet {
  /** Rows of the matrix. */
  readonly size: number;
  /** Room for a number of each row of the matrix: sums are made in the order of rows, by any number of threads. */
  readonly sums: DoubleTensor;
  readonly #list: IntTensor;
  readonly #bitmap: BitTensor; // bit r%32 of word r>>5
  #all = false;
  #count = 0;
  #listed = true;

  /** Declares its room; empty once the arena is allocated. */
  constructor(arena: Arena, name: string, size: number) {
    this.size = size;
    this.#bitmap = arena.bits(`${name}.rows`, [Math.ceil(size / 32)], "workspace");
    this.#list = arena.ints(`${name}.rowList`, [size], "workspace");
    this.sums = arena.doubles(`${name}.rowSums`, [size], "workspace");
  }

  /** Every row is in it: the list says nothing then. */
  get all(): boolean {
    return this.#all;
  }

  get count(): number {
    if (this.#all) return this.size;
    if (!this.#listed) this.#makeList();
    return this.#count;
  }

  /** The first `count` are the rows, ascending. */
  get list(): IntTensor {
    if (!this.#listed) this.#makeList();
    return this.#list;
  }

  add(row: number): void {
    this.#bitmap.data[row >> 5]! |= 1 << (row & 31);
    this.#listed = false;
  }

  /** Adds index[0, length). */
  addEach({ data }: IntTensor, length: number): void {
    const bitmap = this.#bitmap.data;
    for (let i = 0; i < length; i++) bitmap[data[i]! >> 5]! |= 1 << (data[i]! & 31);
    this.#listed = false;
  }

  /** Adds r where any of the first `rows` rows of a bitmap has bit r. */
  addColumns({ data }: BitTensor, rows: number): void {
    const bitmap = this.#bitmap.data;
    const words = bitmap.length;
    for (let row = 0; row < rows; row++)
      for (let word = 0; word < words; word++) bitmap[word]! |= data[row * words + word]!;
    this.#listed = false;
  }

  addAll(): void {
    this.#all = true;
  }

  clear(): void {
    this.#bitmap.data.fill(0);
    this.#all = false;
    this.#count = 0;
    this.#listed = true;
  }

  #makeList(): void {
    const list = this.#list.data;
    const bitmap = this.#bitmap.data;
    let count = 0;
    for (let word = 0; word < bitmap.length; word++)
      for (let bits = bitmap[word]!; bits !== 0; bits &= bits - 1)
        list[count++] = word * 32 + 31 - Math.clz32(bits & -bits);
    this.#count = count;
    this.#listed = true;
  }
}
