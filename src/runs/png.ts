/**
 * PNG as colours: all colour types and depths of the standard (ISO/IEC 15948), not interlaced. What is transparent lets
 * white through. A library for it would be five times as long; this one is checked against another decoder
 * (png.test.ts).
 */
import { inflateSync } from "node:zlib";
import { UsageError } from "../core/check.ts";
import type { Picture } from "../tasks/captioning.ts";

const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
/** Samples of a pixel, by colour type: grey, colour, palette, grey and alpha, colour and alpha. */
const SAMPLES: Readonly<Record<number, number>> = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 };
const DEPTHS: Readonly<Record<number, readonly number[]>> = {
  0: [1, 2, 4, 8, 16],
  2: [8, 16],
  3: [1, 2, 4, 8],
  4: [8, 16],
  6: [8, 16],
};
const MOST_PIXELS = 2 ** 24;

interface Header {
  readonly width: number;
  readonly height: number;
  readonly depth: number;
  readonly type: number;
}

/** A UsageError that begins with `name` says what is wrong with the file. */
export function readPng(bytes: Uint8Array, name: string): Picture {
  if (bytes.length < 8 || SIGNATURE.some((byte, at) => bytes[at] !== byte)) {
    const begins = [...bytes.subarray(0, 4)].map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
    throw new UsageError(`${name} is no PNG: it begins with ${begins || "nothing"}, expected 89 50 4e 47.`);
  }
  const chunks = readChunks(bytes, name);
  const header = readHeader(chunks.get("IHDR")?.[0], name);
  const { width, height } = header;
  const rows = unfilter(unpack(chunks.get("IDAT") ?? [], name), header, name);
  const colours = new Uint8Array(width * height * 3);
  const palette = chunks.get("PLTE")?.[0];
  const transparent = chunks.get("tRNS")?.[0];
  if (header.type === 3 && !palette) throw new UsageError(`${name} has no palette; the file is damaged.`);
  const colour = [0, 0, 0, 0];
  for (let pixel = 0; pixel < width * height; pixel++) {
    readPixel(rows, header, pixel, palette, transparent, colour, name);
    const alpha = (colour[3] as number) / 255;
    for (let c = 0; c < 3; c++) colours[pixel * 3 + c] = Math.round((colour[c] as number) * alpha + 255 * (1 - alpha));
  }
  return { width, height, colours };
}

function readChunks(bytes: Uint8Array, name: string): Map<string, Uint8Array[]> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const chunks = new Map<string, Uint8Array[]>();
  for (let at = 8; ; ) {
    const length = at + 12 <= bytes.length ? view.getUint32(at) : bytes.length;
    if (at + 12 + length > bytes.length) throw new UsageError(`${name} is cut short; the file is damaged.`);
    const kind = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    if (kind === "IEND") return chunks;
    const found = chunks.get(kind) ?? [];
    found.push(bytes.subarray(at + 8, at + 8 + length));
    chunks.set(kind, found);
    at += 12 + length;
  }
}

function readHeader(chunk: Uint8Array | undefined, name: string): Header {
  if (chunk?.length !== 13) throw new UsageError(`${name} has no header; the file is damaged.`);
  const view = new DataView(chunk.buffer, chunk.byteOffset, chunk.byteLength);
  const [width, height] = [view.getUint32(0), view.getUint32(4)];
  const [depth, type, , , interlaced] = chunk.subarray(8) as unknown as [number, number, number, number, number];
  if (!(DEPTHS[type] ?? []).includes(depth))
    throw new UsageError(`${name}: colour type ${type} with ${depth} bits is none of PNG's; the file is damaged.`);
  if (interlaced !== 0) throw new UsageError(`${name} is interlaced, which is not read; save it without.`);
  if (width === 0 || height === 0 || width * height > MOST_PIXELS)
    throw new UsageError(`${name} is ${width} x ${height}; at least one and at most ${MOST_PIXELS} pixels are read.`);
  return { width, height, depth, type };
}

function unpack(chunks: readonly Uint8Array[], name: string): Uint8Array {
  try {
    return inflateSync(Buffer.concat(chunks));
  } catch (error) {
    throw new UsageError(`${name}: its pixels cannot be unpacked (${(error as Error).message}); the file is damaged.`);
  }
}

/** Rows of packed samples, each undone of its filter (PNG 9.2). */
function unfilter(data: Uint8Array, { width, height, depth, type }: Header, name: string): Uint8Array {
  const bits = (SAMPLES[type] as number) * depth;
  const row = Math.ceil((width * bits) / 8);
  const back = Math.max(1, bits >> 3); // from a byte to that of the pixel before
  if (data.length < (row + 1) * height) throw new UsageError(`${name} has too few pixels; the file is damaged.`);
  const out = new Uint8Array(row * height);
  for (let y = 0; y < height; y++) {
    const filter = data[y * (row + 1)] as number;
    if (filter > 4) throw new UsageError(`${name}: row ${y} has filter ${filter}; the file is damaged.`);
    for (let x = 0; x < row; x++) {
      const at = y * row + x;
      const left = x >= back ? (out[at - back] as number) : 0;
      const up = y > 0 ? (out[at - row] as number) : 0;
      const corner = x >= back && y > 0 ? (out[at - row - back] as number) : 0;
      const guess = [0, left, up, (left + up) >> 1, paeth(left, up, corner)][filter] as number;
      out[at] = (data[y * (row + 1) + 1 + x] as number) + guess;
    }
  }
  return out;
}

function paeth(left: number, up: number, corner: number): number {
  const guess = left + up - corner;
  const [a, b, c] = [Math.abs(guess - left), Math.abs(guess - up), Math.abs(guess - corner)];
  return a <= b && a <= c ? left : b <= c ? up : corner;
}

/** Red, green, blue and alpha of a pixel, 0 to 255 each. */
function readPixel(
  rows: Uint8Array,
  { width, depth, type }: Header,
  pixel: number,
  palette: Uint8Array | undefined,
  transparent: Uint8Array | undefined,
  out: number[],
  name: string,
): void {
  const samples = SAMPLES[type] as number;
  const row = Math.ceil((width * samples * depth) / 8);
  const [y, x] = [Math.floor(pixel / width), pixel % width];
  const sample = (s: number): number => {
    const bit = (x * samples + s) * depth;
    const at = y * row + (bit >> 3);
    if (depth === 16) return (rows[at] as number) * 256 + (rows[at + 1] as number);
    return ((rows[at] as number) >> (8 - depth - (bit & 7))) & (2 ** depth - 1);
  };
  if (type === 3) {
    const entry = sample(0);
    if (entry * 3 + 3 > palette!.length)
      throw new UsageError(`${name}: palette entry ${entry} is missing; the file is damaged.`);
    for (let c = 0; c < 3; c++) out[c] = palette![entry * 3 + c] as number;
    out[3] = transparent?.[entry] ?? 255;
    return;
  }
  const scale = 255 / (2 ** depth - 1);
  const coloured = type === 2 || type === 6;
  for (let c = 0; c < 3; c++) out[c] = sample(coloured ? c : 0) * scale;
  out[3] = type === 4 || type === 6 ? sample(samples - 1) * scale : 255;
  // One colour may be said to be transparent.
  const key = (c: number) => (transparent![2 * c] as number) * 256 + (transparent![2 * c + 1] as number);
  if (transparent && (type === 0 || type === 2) && transparent.length >= 2 * samples) {
    let same = true;
    for (let c = 0; c < samples; c++) same &&= sample(c) === key(c);
    if (same) out[3] = 0;
  }
}
