/** NumPy's .npz: a zip of .npy arrays, deflated; `numpy.load` reads it. Format: numpy.lib.format, version 1.0. */
import { deflateRawSync } from "node:zlib";
import type { Trace } from "../sparse/trace.ts";
import { wordsOf } from "../sparse/trace.ts";

export interface NpyArray {
  /** NumPy's name: "|u1", "<f8", "<i8". */
  readonly type: "|u1" | "<f8";
  readonly shape: readonly number[];
  readonly data: Uint8Array;
}

/**
 * Of a trace: for each step and site "step000300/lstm.l0/bitmap", shape (rows, bytes of a row), bits little-endian
 * (numpy.unpackbits(..., axis=1, count=cols, bitorder="little")), and ".../groups" (groups, 6): tau (NaN: none), total,
 * natural zeros, kept, squares, squares kept; "header", the rest as JSON in bytes.
 */
export function traceArrays(trace: Trace): Record<string, NpyArray> {
  const arrays: Record<string, NpyArray> = {};
  for (const { step, sites } of trace.steps)
    for (const { name, rows, cols, bitmap, groups } of sites) {
      const at = `step${String(step).padStart(6, "0")}/${name}`;
      const from = new Uint8Array(bitmap.buffer, bitmap.byteOffset, bitmap.byteLength);
      const [wide, narrow] = [4 * wordsOf(cols), Math.ceil(cols / 8)];
      const data = new Uint8Array(rows * narrow);
      for (let r = 0; r < rows; r++) data.set(from.subarray(r * wide, r * wide + narrow), r * narrow);
      arrays[`${at}/bitmap`] = { type: "|u1", shape: [rows, narrow], data };
      const table = groups.flatMap(({ tau, total, naturalZeros, kept, squares, keptSquares }) => [
        tau ?? Number.NaN,
        total,
        naturalZeros,
        kept,
        squares,
        keptSquares,
      ]);
      arrays[`${at}/groups`] = {
        type: "<f8",
        shape: [groups.length, 6],
        data: new Uint8Array(Float64Array.from(table).buffer),
      };
    }
  const header = {
    ...trace,
    steps: trace.steps.map(({ sites, ...step }) => ({ ...step, sites: sites.map(({ bitmap: _, ...site }) => site) })),
  };
  const json = new TextEncoder().encode(JSON.stringify(header));
  arrays.header = { type: "|u1", shape: [json.length], data: json };
  return arrays;
}

export function encodeNpz(arrays: Readonly<Record<string, NpyArray>>): Uint8Array {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const [name, array] of Object.entries(arrays)) {
    const file = Buffer.from(`${name}.npy`, "utf8");
    const content = encodeNpy(array);
    const packed = deflateRawSync(content);
    const common = Buffer.alloc(26); // of the local and the central header
    common.writeUInt16LE(20, 0); // version needed: deflate
    common.writeUInt16LE(0x800, 2); // names are UTF-8
    common.writeUInt16LE(8, 4); // deflate
    common.writeUInt16LE(0x21, 8); // 1980-01-01: the same arrays give the same bytes
    common.writeUInt32LE(crc32(content), 10);
    common.writeUInt32LE(packed.length, 14);
    common.writeUInt32LE(content.length, 18);
    common.writeUInt16LE(file.length, 22);
    const local = Buffer.concat([Buffer.from("PK\x03\x04", "latin1"), common, file, packed]);
    const tail = Buffer.alloc(14);
    tail.writeUInt32LE(offset, 10);
    directory.push(Buffer.concat([Buffer.from("PK\x01\x02", "latin1"), Buffer.from([20, 0]), common, tail, file]));
    parts.push(local);
    offset += local.length;
  }
  const central = Buffer.concat(directory);
  const end = Buffer.alloc(22);
  end.write("PK\x05\x06", "latin1");
  end.writeUInt16LE(directory.length, 8);
  end.writeUInt16LE(directory.length, 10);
  end.writeUInt32LE(central.length, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...parts, central, end]);
}

function encodeNpy({ type, shape, data }: NpyArray): Buffer {
  const shapeText = `(${shape.join(", ")}${shape.length === 1 ? "," : ""})`;
  const text = `{'descr': '${type}', 'fortran_order': False, 'shape': ${shapeText}, }`;
  const length = Math.ceil((10 + text.length + 1) / 64) * 64 - 10; // the data begins at a multiple of 64
  const prefix = Buffer.alloc(10);
  prefix.write("\x93NUMPY\x01\x00", "latin1");
  prefix.writeUInt16LE(length, 8);
  return Buffer.concat([prefix, Buffer.from(`${text.padEnd(length - 1)}\n`, "latin1"), data]);
}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

/** Of zip files. Not node:zlib's, which the oldest Node we run on does not have. */
function crc32(data: Uint8Array): number {
  let crc = 0xffffffff;
  for (let i = 0; i < data.length; i++) crc = (CRC_TABLE[(crc ^ (data[i] as number)) & 255] as number) ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}
