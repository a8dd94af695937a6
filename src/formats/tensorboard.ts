/**
 * TensorBoard's event files: records of TFRecord (length, its checksum, bytes, their checksum), each an Event in protocol
 * buffers' wire format. Written only; numbers of fields are those of tensorflow/core/util/event.proto, framework/summary.proto
 * and framework/tensor.proto.
 */

/** What a summary shows under one tag; a tag's part before "/" is its group on the page. */
export type Summary =
  | { readonly kind: "scalar"; readonly tag: string; readonly value: number }
  | { readonly kind: "histogram"; readonly tag: string; readonly bins: Bins }
  /** Markdown. */
  | { readonly kind: "text"; readonly tag: string; readonly text: string };

/** Bin i counts what lies between edges[i] and edges[i + 1]. */
export interface Bins {
  readonly edges: readonly number[];
  readonly counts: readonly number[];
}

/** A file begins with this record: the version of what follows. */
export function versionRecord(seconds: number): Uint8Array {
  return record([...double(1, seconds), ...text(3, "brain.Event:2")]);
}

/** `seconds` since 1970. */
export function summaryRecord(seconds: number, step: number, summaries: readonly Summary[]): Uint8Array {
  const values = summaries.flatMap((summary) => message(1, summaryValue(summary)));
  return record([...double(1, seconds), ...integer(2, step), ...message(5, values)]);
}

/** A run goes on: what earlier files hold of this step and later ones is void. */
export function restartRecord(seconds: number, step: number): Uint8Array {
  const START = 1;
  return record([...double(1, seconds), ...integer(2, step), ...message(7, integer(1, START))]);
}

function summaryValue(summary: Summary): number[] {
  const tag = text(1, summary.tag);
  if (summary.kind === "scalar") return [...tag, ...float(2, summary.value)];
  if (summary.kind === "histogram") return [...tag, ...message(5, histogramOf(summary.bins))];
  const DT_STRING = 7;
  const shape = message(2, message(2, integer(1, 1))); // one string
  const tensor = [...integer(1, DT_STRING), ...shape, ...text(8, summary.text)];
  return [...tag, ...message(9, message(1, text(1, "text"))), ...message(8, tensor)];
}

/** Sums are of bins' middles: of what was counted nothing else is known. */
function histogramOf({ edges, counts }: Bins): number[] {
  const used = counts.flatMap((count, bin) => (count > 0 ? [bin] : []));
  const middle = (bin: number) => ((edges[bin] as number) + (edges[bin + 1] as number)) / 2;
  const total = (of: (bin: number) => number) => counts.reduce((sum, count, bin) => sum + count * of(bin), 0);
  return [
    ...double(1, edges[used[0] ?? 0] ?? 0),
    ...double(2, edges[(used.at(-1) ?? -1) + 1] ?? 0),
    ...double(
      3,
      total(() => 1),
    ),
    ...double(4, total(middle)),
    ...double(
      5,
      total((bin) => middle(bin) ** 2),
    ),
    // The lowest edge is a bin of its own, with nothing below it.
    ...message(6, doubles(edges)),
    ...message(7, doubles([0, ...counts])),
  ];
}

// ---- protocol buffers

function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 127; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
  return [...bytes, rest];
}

const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;
const key = (field: number, type: number) => varint(field * 8 + type);

function integer(field: number, value: number): number[] {
  return [...key(field, VARINT), ...varint(value)];
}

function message(field: number, bytes: ArrayLike<number>): number[] {
  return [...key(field, BYTES), ...varint(bytes.length), ...Array.from(bytes)];
}

function text(field: number, value: string): number[] {
  return message(field, new TextEncoder().encode(value));
}

function float(field: number, value: number): number[] {
  const bytes = new DataView(new ArrayBuffer(4));
  bytes.setFloat32(0, value, true);
  return [...key(field, FIXED32), ...new Uint8Array(bytes.buffer)];
}

function double(field: number, value: number): number[] {
  return [...key(field, FIXED64), ...doubles([value])];
}

function doubles(values: readonly number[]): number[] {
  const bytes = new DataView(new ArrayBuffer(8 * values.length));
  for (const [i, value] of values.entries()) bytes.setFloat64(8 * i, value, true);
  return [...new Uint8Array(bytes.buffer)];
}

// ---- TFRecord

function record(event: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(event.length + 16);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, BigInt(event.length), true);
  view.setUint32(8, maskedCrc(bytes.subarray(0, 8)), true);
  bytes.set(event, 12);
  view.setUint32(12 + event.length, maskedCrc(bytes.subarray(12, 12 + event.length)), true);
  return bytes;
}

/** A checksum of bytes that hold checksums: turned and shifted, as TFRecord has it. */
export function maskedCrc(bytes: Uint8Array): number {
  const crc = crc32c(bytes);
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}

const CASTAGNOLI = 0x82f63b78; // 0x1edc6f41, bits from the other end
const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ CASTAGNOLI : crc >>> 1;
  return crc >>> 0;
});

export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = (TABLE[(crc ^ byte) & 255] as number) ^ (crc >>> 8);
  return ~crc >>> 0;
}
