import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type NamedTensor, readSafetensors, SafetensorsError, toArray, writeSafetensors } from "./safetensors.ts";

/** A file from a header's text (or value) and the number of data bytes; `headerBytes` may lie. */
function file(header: unknown, dataBytes = 0, headerBytes?: bigint): Uint8Array {
  const json = new TextEncoder().encode(typeof header === "string" ? header : JSON.stringify(header));
  const bytes = new Uint8Array(8 + json.length + dataBytes);
  new DataView(bytes.buffer).setBigUint64(0, headerBytes ?? BigInt(json.length), true);
  bytes.set(json, 8);
  return bytes;
}

const f32 = (begin: number, end: number, shape = [(end - begin) / 4]) => ({
  dtype: "F32",
  shape,
  data_offsets: [begin, end],
});

const tensor: fc.Arbitrary<Omit<NamedTensor, "name">> = fc
  .tuple(
    fc.array(fc.nat(4), { maxLength: 3 }),
    fc.constantFrom(Float32Array, Float64Array, Int32Array),
    fc.infiniteStream(fc.integer()),
  )
  .map(([shape, Type, values]) => {
    const bits = new Uint32Array(2 * shape.reduce((product, size) => product * size, 1));
    for (let i = 0; i < bits.length; i++) bits[i] = values.next().value as number;
    return { shape, data: new Type(bits.buffer, 0, bits.length / 2) };
  });

describe("safetensors", () => {
  test("what is written comes back bit for bit: any names, shapes, types, NaN payloads", () => {
    const files = fc.tuple(
      fc.dictionary(fc.string({ unit: "grapheme" }), tensor, { maxKeys: 6, noNullPrototype: false }),
      fc.dictionary(fc.string(), fc.string(), { maxKeys: 3 }),
    );
    fc.assert(
      fc.property(files, ([named, metadata]) => {
        const tensors = Object.entries(named).map(([name, rest]) => ({ name, ...rest }));
        const bytes = writeSafetensors(tensors, metadata);
        const read = readSafetensors(bytes);
        expect(Object.entries(read.metadata).sort()).toEqual(Object.entries(metadata).sort());
        expect([...read.tensors.keys()].sort()).toEqual(tensors.map(({ name }) => name).sort());
        for (const { name, shape, data } of tensors) {
          const stored = read.tensors.get(name)!;
          expect(stored.shape).toEqual(shape);
          expect(toArray(stored).constructor).toBe(data.constructor);
          expect(Buffer.from(stored.bytes)).toEqual(Buffer.from(data.buffer, data.byteOffset, data.byteLength));
        }
        const headerBytes = Number(new DataView(bytes.buffer).getBigUint64(0, true));
        expect(headerBytes % 8).toBe(0);
      }),
      { numRuns: 300 },
    );
  });

  test("the layout is the format's, byte for byte", () => {
    const bytes = writeSafetensors([{ name: "w", shape: [2], data: Float32Array.of(1, -2) }], { format: "pt" });
    const header = '{"__metadata__":{"format":"pt"},"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}';
    const padded = header.padEnd(Math.ceil(header.length / 8) * 8);
    expect(Buffer.from(bytes).toString("latin1")).toBe(
      `${String.fromCharCode(padded.length)}\0\0\0\0\0\0\0${padded}\0\0\x80\x3f\0\0\0\xc0`,
    );
  });

  test("the header may be any JSON spelling, tensors in any order, types we do not compute with", () => {
    const header =
      ` {"b" : {"shape":[],"data_offsets":[4,6],"dtype":"BF16"},\n"a":${JSON.stringify(f32(0, 4))}} `.trimStart();
    const { tensors } = readSafetensors(file(header, 6));
    expect(tensors.get("b")).toMatchObject({ dtype: "BF16", shape: [] });
    expect(toArray(tensors.get("b")!)).toEqual(new Float32Array(1));
    expect(toArray(tensors.get("a")!)).toEqual(new Float32Array(1));
    const { tensors: whole } = readSafetensors(file({ n: { dtype: "I64", shape: [1], data_offsets: [0, 8] } }, 8));
    expect(() => toArray(whole.get("n")!)).toThrow(/type I64 .* expected F32/);
  });

  test("every half and every bfloat16 is the float32 of the same value", () => {
    const bytes = new Uint8Array(Uint16Array.from({ length: 2 ** 16 }, (_, bits) => bits).buffer);
    const halves = toArray({ dtype: "F16", shape: [2 ** 16], bytes });
    const brains = toArray({ dtype: "BF16", shape: [2 ** 16], bytes });
    for (let bits = 0; bits < 2 ** 16; bits++) {
      const sign = bits >> 15 ? -1 : 1;
      const half = { exponent: (bits >> 10) & 31, fraction: (bits & 1023) / 1024, most: 31, bias: 15 };
      const brain = { exponent: (bits >> 7) & 255, fraction: (bits & 127) / 128, most: 255, bias: 127 };
      for (const [{ exponent, fraction, most, bias }, got] of [
        [half, halves[bits]],
        [brain, brains[bits]],
      ] as const) {
        const finite = exponent ? (1 + fraction) * 2 ** (exponent - bias) : fraction * 2 ** (1 - bias);
        const value = sign * (exponent < most ? finite : fraction ? Number.NaN : Number.POSITIVE_INFINITY);
        if (!Object.is(got, value)) expect({ bits, got }).toEqual({ bits, got: value });
      }
    }
  });

  test("a Node Buffer inside a larger one reads alike, as copies", () => {
    const w = { name: "w", shape: [2], data: Float32Array.of(1, 2) };
    const padded = Buffer.concat([Buffer.alloc(3), writeSafetensors([w])]);
    const stored = readSafetensors(padded.subarray(3)).tensors.get("w")!;
    const array = toArray(stored);
    padded.fill(0);
    expect(array).toEqual(w.data);
  });

  test("every prefix of a good file is refused", () => {
    const good = writeSafetensors([{ name: "w", shape: [3], data: Int32Array.of(1, 2, 3) }]);
    for (let length = 0; length < good.length; length++)
      expect(() => readSafetensors(good.subarray(0, length)), `${length} bytes`).toThrow(SafetensorsError);
  });

  test("random bytes are refused, with an error of ours", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.string(), (bytes, header) => {
        fc.pre(header.trim() !== "}"); // "{}" is a good file without tensors
        for (const hostile of [bytes, file(`{${header}`)])
          expect(() => readSafetensors(hostile)).toThrow(SafetensorsError);
      }),
    );
  });

  const hostile: [what: string, bytes: Uint8Array, message: RegExp][] = [
    ["a header beyond the file", file("{}", 0, 1000n), /1000 bytes, the file has 10/],
    ["a header of more than 100 MB", file("{}", 0, 100_000_001n), /100000001 bytes, more than/],
    ["a header of 2^64 - 1 bytes", file("{}", 0, 2n ** 64n - 1n), /more than/],
    ["a header that is a list", file("[1]"), /does not begin with \{/],
    ["half a header", file('{"a":'), /no JSON/],
    ["a header that is not UTF-8", file("{}", 1, 3n).fill(0xff, 10), /no JSON/],
    ["an overlap", file({ a: f32(0, 8), b: f32(4, 8) }, 8), /"b" begins at 4, expected 8/],
    ["a gap", file({ a: f32(0, 4), b: f32(8, 12) }, 12), /"b" begins at 8, expected 4/],
    ["a gap at the start", file({ a: f32(4, 8) }, 8), /begins at 4, expected 0/],
    ["bytes left over", file({ a: f32(0, 4) }, 5), /end at 4, the data at 5/],
    ["a tensor beyond the data", file({ a: f32(0, 8) }, 4), /0 to 8 of 4/],
    ["a size that does not match", file({ a: f32(0, 8, [3]) }, 8), /8 bytes, expected 12/],
    ["a shape whose product overflows", file({ a: f32(0, 8, [2 ** 52, 2 ** 52, 2 ** 52]) }, 8), /8 bytes, expected/],
    ["a negative size", file({ a: f32(0, 8, [-1, -2]) }, 8), /shape \[-1,-2\]/],
    ["a broken size", file({ a: f32(0, 8, [0.5, 4]) }, 8), /shape/],
    ["offsets that go back", file({ a: f32(8, 0, [0]) }, 8), /8 to 0/],
    ["three offsets", file({ a: { ...f32(0, 8), data_offsets: [0, 8, 9] } }, 8), /offsets/],
    ["an unknown type", file({ a: { ...f32(0, 8), dtype: "F33" } }, 8), /type "F33"/],
    ["a type from the prototype", file({ a: { ...f32(0, 8), dtype: "constructor" } }, 8), /type "constructor"/],
    ["an entry that is no object", file({ a: 1 }), /"a" is no object/],
    ["metadata that is no text", file({ __metadata__: { a: 1 } }), /metadata "a"/],
    ["a name twice", file(`{"a":${JSON.stringify(f32(0, 4))},"a":${JSON.stringify(f32(0, 4))}}`, 4), /names "a" twice/],
    [
      "a name twice, spelt otherwise",
      file(`{"a":${JSON.stringify(f32(0, 4))},"\\u0061" : ${JSON.stringify(f32(0, 4))}}`, 4),
      /"a" twice/,
    ],
    ["a dtype twice", file('{"a":{"dtype":"F32","dtype":"I32","shape":[1],"data_offsets":[0,4]}}', 4), /"dtype" twice/],
  ];
  test.each(hostile)("refuses %s", (_, bytes, message) => {
    expect(() => readSafetensors(bytes, "x.safetensors")).toThrow(SafetensorsError);
    expect(() => readSafetensors(bytes, "x.safetensors")).toThrow(message);
  });

  test("the writer refuses a name twice, a reserved name and a shape that does not match", () => {
    const w = { name: "w", shape: [1], data: Float32Array.of(1) };
    expect(() => writeSafetensors([w, w])).toThrow(/"w" is taken/);
    expect(() => writeSafetensors([{ ...w, name: "__metadata__" }])).toThrow(/taken/);
    expect(() => writeSafetensors([{ ...w, shape: [2] }])).toThrow(/1 values, expected 2/);
  });
});
