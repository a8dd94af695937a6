/**
 * TensorBoard's event files: records of TFRecord (length, its checksum, bytes, their checksum), each an Event in protocol
 * buffers' wire format. Written only; numbers of fields are those of tensorflow/core/util/event.proto, framework/summary.proto
 * and framework/tensor.proto.
 */
import { Message } from "./protobuf.ts";

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
  return record(new Message().double(1, seconds).text(3, "brain.Event:2"));
}

/** `seconds` since 1970. */
export function summaryRecord(seconds: number, step: number, summaries: readonly Summary[]): Uint8Array {
  const values = summaries.reduce((all, summary) => all.bytes(1, summaryValue(summary)), new Message());
  return record(new Message().double(1, seconds).int(2, step).bytes(5, values));
}

/** A run goes on: what earlier files hold of this step and later ones is void. */
export function restartRecord(seconds: number, step: number): Uint8Array {
  const START = 1;
  return record(new Message().double(1, seconds).int(2, step).bytes(7, new Message().int(1, START)));
}

function summaryValue(summary: Summary): Message {
  const value = new Message().text(1, summary.tag);
  if (summary.kind === "scalar") return value.float(2, summary.value);
  if (summary.kind === "histogram") return value.bytes(5, histogramOf(summary.bins));
  const DT_STRING = 7;
  const shape = new Message().bytes(2, new Message().int(1, 1)); // one string
  const tensor = new Message().int(1, DT_STRING).bytes(2, shape).text(8, summary.text);
  const plugin = new Message().bytes(1, new Message().text(1, "text"));
  return value.bytes(9, plugin).bytes(8, tensor);
}

/**
 * Sums are of bins' middles: of what was counted nothing else is known. Empty bins at both ends are left out: TensorBoard's
 * fast reader takes `min` and `max` for the outer edges of the first and the last.
 */
function histogramOf({ edges: all, counts: every }: Bins): Message {
  const first = Math.max(
    0,
    every.findIndex((count) => count > 0),
  );
  const end = every.findLastIndex((count) => count > 0) + 1;
  const [edges, counts] = [all.slice(first, end > 0 ? end + 1 : 1), every.slice(first, end)];
  const middle = (bin: number) => ((edges[bin] as number) + (edges[bin + 1] as number)) / 2;
  const total = (of: (bin: number) => number) => counts.reduce((sum, count, bin) => sum + count * of(bin), 0);
  return (
    new Message()
      .double(1, edges[0] as number)
      .double(2, edges.at(-1) as number)
      .double(
        3,
        total(() => 1),
      )
      .double(4, total(middle))
      .double(
        5,
        total((bin) => middle(bin) ** 2),
      )
      // The lowest edge is a bin of its own, with nothing below it.
      .doubles(6, edges)
      .doubles(7, [0, ...counts])
  );
}

// ---- TFRecord

function record(message: Message): Uint8Array {
  const event = message.toBytes();
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
