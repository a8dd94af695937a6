/**
 * PNG read back from an encoder of the test's own. Beside this, once: all 7,572 emoji of both artists came out as pngjs
 * 7.0.0 reads them.
 */
import { crc32, deflateSync } from "node:zlib";
import fc from "fast-check";
import { expect, test } from "vitest";
import { UsageError } from "../core/check.ts";
import { readPng } from "./png.ts";

const SAMPLES = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 } as const;
type Type = keyof typeof SAMPLES;
const KINDS: readonly (readonly [Type, number])[] = [
  ...([1, 2, 4, 8, 16] as const).map((depth) => [0, depth] as const),
  ...([8, 16] as const).flatMap((depth) => ([2, 4, 6] as const).map((type) => [type, depth] as const)),
  ...([1, 2, 4, 8] as const).map((depth) => [3, depth] as const),
];

interface Image {
  readonly width: number;
  readonly height: number;
  readonly type: Type;
  readonly depth: number;
  /** (height, width, samples) */
  readonly samples: readonly number[];
  readonly filters: readonly number[];
  readonly palette?: readonly number[];
  readonly transparent?: readonly number[];
}

function encode({ width, height, type, depth, samples, filters, palette, transparent }: Image): Buffer {
  const each = SAMPLES[type];
  const bytes = Math.ceil((width * each * depth) / 8);
  const back = Math.max(1, (each * depth) >> 3);
  const plain = new Uint8Array(bytes * height);
  for (const [index, sample] of samples.entries()) {
    const y = Math.floor(index / (width * each));
    const bit = (index % (width * each)) * depth;
    if (depth === 16) plain.set([sample >> 8, sample & 255], y * bytes + (bit >> 3));
    else plain[y * bytes + (bit >> 3)]! |= sample << (8 - depth - (bit & 7));
  }
  const rows: number[] = [];
  const at = (x: number, y: number) => (x < 0 || y < 0 ? 0 : plain[y * bytes + x]!);
  for (let y = 0; y < height; y++) {
    const filter = filters[y % filters.length]!;
    rows.push(filter);
    for (let x = 0; x < bytes; x++) {
      const [a, b, c] = [at(x - back, y), at(x, y - 1), at(x - back, y - 1)];
      const p = a + b - c;
      const nearest = [a, b, c].reduce((best, value) => (Math.abs(p - value) < Math.abs(p - best) ? value : best));
      rows.push((at(x, y) - [0, a, b, Math.floor((a + b) / 2), nearest][filter]!) & 255);
    }
  }
  const chunk = (name: string, data: Uint8Array) => {
    const body = Buffer.concat([Buffer.from(name), data]);
    const [length, check] = [Buffer.alloc(4), Buffer.alloc(4)];
    length.writeUInt32BE(data.length);
    check.writeUInt32BE(crc32(body));
    return Buffer.concat([length, body, check]);
  };
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([depth, type, 0, 0, 0], 8);
  return Buffer.concat([
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    chunk("IHDR", header),
    ...(palette ? [chunk("PLTE", Uint8Array.from(palette))] : []),
    ...(transparent ? [chunk("tRNS", Uint8Array.from(transparent))] : []),
    chunk("IDAT", deflateSync(Uint8Array.from(rows))),
    chunk("IEND", new Uint8Array()),
  ]);
}

/** Colours of a pixel over white. */
function seen({ type, depth, palette, transparent }: Image, pixel: readonly number[]): number[] {
  const unit = pixel.map((sample) => sample / (2 ** depth - 1));
  const entry = pixel[0]!;
  const [colour, alpha] = {
    0: () => [[unit[0]!, unit[0]!, unit[0]!], 1] as const,
    2: () => [unit, 1] as const,
    3: () =>
      [
        palette!.slice(entry * 3, entry * 3 + 3).map((byte) => byte / 255),
        (transparent?.[entry] ?? 255) / 255,
      ] as const,
    4: () => [[unit[0]!, unit[0]!, unit[0]!], unit[1]!] as const,
    6: () => [unit.slice(0, 3), unit[3]!] as const,
  }[type]();
  return colour.map((value) => 255 * (value * alpha + 1 - alpha));
}

const images = fc
  .record({
    kind: fc.constantFrom(...KINDS),
    width: fc.integer({ min: 1, max: 19 }),
    height: fc.integer({ min: 1, max: 5 }),
  })
  .chain(({ kind: [type, depth], width, height }) => {
    const count = width * height * SAMPLES[type];
    const numbers = (length: number, max: number) =>
      fc.array(fc.integer({ min: 0, max }), { minLength: length, maxLength: length });
    return fc.record({
      width: fc.constant(width),
      height: fc.constant(height),
      type: fc.constant(type),
      depth: fc.constant(depth),
      samples: numbers(count, 2 ** depth - 1),
      filters: numbers(5, 4),
      ...(type === 3 ? { palette: numbers(3 * 2 ** depth, 255), transparent: numbers(2, 255) } : {}),
    });
  }) as fc.Arbitrary<Image>;

test("every colour type, depth and filter", () => {
  fc.assert(
    fc.property(images, (image) => {
      const { width, height, colours } = readPng(encode(image), "a.png");
      expect([width, height]).toEqual([image.width, image.height]);
      const each = SAMPLES[image.type];
      for (let pixel = 0; pixel < width * height; pixel++)
        for (const [c, value] of seen(image, image.samples.slice(pixel * each, (pixel + 1) * each)).entries())
          expect(Math.abs(colours[pixel * 3 + c]! - value)).toBeLessThanOrEqual(0.5 + 1e-9);
    }),
    { numRuns: 120 },
  );
});

test("one colour may be transparent", () => {
  const image: Image = { width: 2, height: 1, type: 2, depth: 8, samples: [9, 8, 7, 9, 8, 6], filters: [0] };
  const found = readPng(encode({ ...image, transparent: [0, 9, 0, 8, 0, 7] }), "a.png");
  expect([...found.colours]).toEqual([255, 255, 255, 9, 8, 6]);
});

test("a damaged file is a UsageError that names it, or a picture", () => {
  fc.assert(
    fc.property(images, fc.nat(), fc.nat(255), fc.boolean(), (image, place, byte, cut) => {
      const bytes = encode(image);
      const spoilt = cut ? bytes.subarray(0, place % bytes.length) : Buffer.from(bytes);
      if (!cut) spoilt[place % bytes.length] = byte;
      try {
        readPng(spoilt, "a.png");
        expect(cut).toBe(false);
      } catch (error) {
        expect(error).toBeInstanceOf(UsageError);
        expect((error as Error).message).toMatch(/^a\.png/);
      }
    }),
  );
  expect(() => readPng(Buffer.from("GIF89a; no PNG"), "b.gif")).toThrow("b.gif is no PNG: it begins with 47 49 46 38");
  const interlaced = encode({ width: 1, height: 1, type: 0, depth: 8, samples: [1], filters: [0] });
  interlaced[28] = 1;
  expect(() => readPng(interlaced, "c.png")).toThrow("c.png is interlaced, which is not read");
});
