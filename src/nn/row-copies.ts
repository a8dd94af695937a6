/** Copies of rows, or parts of rows, within an arena: as bytes of its one memory, since views of them would allocate. */
import type { Arena, Tensor } from "../core/arena.ts";

export class RowCopies {
  #bytes!: Uint8Array;

  constructor(arena: Arena) {
    arena.whenAllocated((memory) => {
      this.#bytes = new Uint8Array(memory.buffer);
    });
  }

  /** `width` elements of a row, from a column on. Tensors of one type. */
  copy(
    to: Tensor,
    toRow: number,
    toColumn: number,
    from: Tensor,
    fromRow: number,
    fromColumn: number,
    width: number,
  ): void {
    const size = from.data.BYTES_PER_ELEMENT;
    const start = from.ptr + (fromRow * from.rowLength + fromColumn) * size;
    this.#bytes.copyWithin(to.ptr + (toRow * to.rowLength + toColumn) * size, start, start + width * size);
  }
}
