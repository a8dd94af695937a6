/**
 * Protocol buffers' wire format, as much of it as ONNX files and TensorBoard's events need: a message is a row of fields, each a key
 * (number * 8 + wire type) and a value. https://protobuf.dev/programming-guides/encoding
 *
 * What is written may have parts that are not in memory yet (`Lazy`), so that a file of large weights is never whole
 * there. The reader trusts nothing: it keeps to the bytes it was given, copies none of them, and says where it stopped.
 */

/** Bytes to come: how many, and the pieces that make them up when they are asked for. */
export interface Lazy {
  readonly length: number;
  pieces(): Iterable<Uint8Array>;
}

const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;

/** A message to be, field by field. */
export class Message {
  /** In bytes. */
  length = 0;
  readonly #parts: (Uint8Array | Lazy)[] = [];

  /** A field of type int32, int64 or enum; negative numbers too. */
  int(field: number, value: number | bigint): this {
    return this.#push(varint(field * 8 + VARINT)).#push(varint(value));
  }

  float(field: number, value: number): this {
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setFloat32(0, value, true);
    return this.#push(varint(field * 8 + FIXED32)).#push(bytes);
  }

  double(field: number, value: number): this {
    return this.#push(varint(field * 8 + FIXED64)).#push(doubles([value]));
  }

  /** A repeated field, packed. */
  doubles(field: number, values: readonly number[]): this {
    return this.bytes(field, doubles(values));
  }

  text(field: number, value: string): this {
    return this.bytes(field, new TextEncoder().encode(value));
  }

  /** A field of bytes, or of a message. */
  bytes(field: number, value: Uint8Array | Lazy | Message): this {
    this.#push(varint(field * 8 + BYTES)).#push(varint(value.length));
    if (!(value instanceof Message)) return this.#push(value);
    for (const part of value.#parts) this.#parts.push(part);
    this.length += value.length;
    return this;
  }

  *pieces(): Generator<Uint8Array> {
    for (const part of this.#parts)
      if (part instanceof Uint8Array) yield part;
      else yield* part.pieces();
  }

  /** The whole message in memory. */
  toBytes(): Uint8Array {
    const all = new Uint8Array(this.length);
    let at = 0;
    for (const piece of this.pieces()) {
      all.set(piece, at);
      at += piece.length;
    }
    return all;
  }

  #push(part: Uint8Array | Lazy): this {
    this.#parts.push(part);
    this.length += part.length;
    return this;
  }
}

function doubles(values: readonly number[]): Uint8Array {
  const bytes = new DataView(new ArrayBuffer(8 * values.length));
  for (const [i, value] of values.entries()) bytes.setFloat64(8 * i, value, true);
  return new Uint8Array(bytes.buffer);
}

/** Seven bits a byte, the lowest first; negative numbers as 64 bits in two's complement. */
function varint(value: number | bigint): Uint8Array {
  let rest = BigInt.asUintN(64, BigInt(value));
  const bytes: number[] = [];
  for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
  bytes.push(Number(rest));
  return Uint8Array.from(bytes);
}

/** What is wrong, at which byte of the message. */
export type Refuse = (what: string) => never;

/** A field that is read; `Field` objects are used again for the next one, their bytes are views. */
export interface Field {
  number: number;
  /** Of the wire: 0 a whole number, 1 and 5 eight or four bytes, 2 bytes. */
  wire: number;
  /** The bytes of wire types 1, 2 and 5. */
  bytes: Uint8Array;
  /** Whole numbers, signed; beyond 2^53 the nearest number that there is. */
  value: number;
}

/** Calls `visit` for each field of a message. */
export function readFields(message: Uint8Array, refuse: Refuse, visit: (field: Field) => void): void {
  const field: Field = { number: 0, wire: 0, bytes: message.subarray(0, 0), value: 0 };
  const cursor = new Cursor(message, refuse);
  while (cursor.at < message.length) {
    const key = cursor.varint();
    field.number = Math.floor(key / 8);
    field.wire = key % 8;
    if (!(key > 0) || field.number < 1 || field.number > 0x1fffffff)
      refuse(`a field's key is ${key} at byte ${cursor.at}`);
    if (field.wire === VARINT) field.value = cursor.varint();
    else if (field.wire === FIXED64) field.bytes = cursor.take(8);
    else if (field.wire === FIXED32) field.bytes = cursor.take(4);
    else if (field.wire === BYTES) field.bytes = cursor.take(cursor.varint());
    else refuse(`field ${field.number} has wire type ${field.wire} at byte ${cursor.at}`);
    visit(field);
  }
}

/** Numbers of a repeated field: all of them packed in one, or the one that a field holds. */
export function wholeNumbers(field: Field, refuse: Refuse, take: (value: number) => void): void {
  if (field.wire === VARINT) take(field.value);
  else if (field.wire === BYTES) {
    const cursor = new Cursor(field.bytes, refuse);
    while (cursor.at < field.bytes.length) take(cursor.varint());
  } else refuse(`field ${field.number} has wire type ${field.wire}, expected whole numbers`);
}

class Cursor {
  at = 0;
  readonly #bytes: Uint8Array;
  readonly #refuse: Refuse;

  constructor(bytes: Uint8Array, refuse: Refuse) {
    this.#bytes = bytes;
    this.#refuse = refuse;
  }

  varint(): number {
    let low = 0; // bits 0 to 48
    let high = 0; // bits 49 to 63
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = this.#bytes[this.at++];
      if (byte === undefined) return this.#refuse("it ends within a number");
      if (shift < 49) low += (byte & 127) * 2 ** shift;
      else high += (byte & 127) * 2 ** (shift - 49);
      if (byte < 128) {
        high %= 2 ** 15;
        return high >= 2 ** 14 ? -((2 ** 15 - 1 - high) * 2 ** 49 + (2 ** 49 - low)) : high * 2 ** 49 + low;
      }
    }
    return this.#refuse(`a number at byte ${this.at} has over ten bytes`);
  }

  take(length: number): Uint8Array {
    if (!(length >= 0 && length <= this.#bytes.length - this.at))
      this.#refuse(`a field at byte ${this.at} would have ${length} bytes, ${this.#bytes.length - this.at} are left`);
    const view = this.#bytes.subarray(this.at, this.at + length);
    this.at += length;
    return view;
  }
}
