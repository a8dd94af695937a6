/** The file of a trace: what is written is read, and what is not one of ours is refused in one line. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inflateRawSync } from "node:zlib";
import { afterAll, describe, expect, test } from "vitest";
import { UsageError } from "../core/check.ts";
import { RandomStream } from "../core/random.ts";
import { countBits, type Trace, type TraceProduct, wordsOf } from "../sparse/trace.ts";
import { encodeNpz, traceArrays } from "./npz.ts";
import { decodeTrace, encodeTrace, readTrace, TRACE_VERSION, writeTrace } from "./trace-file.ts";

const folder = mkdtempSync(join(tmpdir(), "gatesieve-trace-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function makeTrace(rows: number, cols: number, density: number): Trace {
  const random = new RandomStream(1, "trace");
  const words = wordsOf(cols);
  const bitmap = new Uint32Array(rows * words);
  for (let r = 0; r < rows; r++)
    for (let c = 0; c < cols; c++) if (random.uniform() < density) bitmap[r * words + (c >> 5)]! |= 1 << (c & 31);
  const kept = countBits(bitmap);
  const group = { group: "g", tau: 1e-6, total: rows * cols, naturalZeros: 0, kept, squares: 2, keptSquares: 1 };
  const site = {
    name: "lstm.l0",
    rule: "threshold",
    paths: "both",
    rows,
    padded: 2,
    cols,
    groups: [group],
    bitmap,
  } as const;
  const product: TraceProduct = {
    layer: "lstm.l0",
    product: "dx",
    direction: "backward",
    form: "NN",
    m: rows,
    n: cols,
    k: 5,
    block: rows,
    site: "lstm.l0",
    firstRow: 0,
    skipped: (rows * cols - kept) * 5,
  };
  const run = {
    ...{ task: "character", cell: "lstm", numLayers: 1, hiddenSize: 5, sequenceLength: 2, batchSize: 3 },
    ...{ policy: "threshold:1e-6", headPolicy: "dense", optimizer: "adam", optimizerStates: 2, parameters: 10 },
    ...{ engine: "js", seed: 1, maxSteps: 9 },
  };
  const pointwise = [{ layer: "lstm.l0", kind: "lstm", rows, width: 5, gates: 4 }];
  return { generator: "test", run, steps: [{ step: 3, loss: 1.5, sites: [site], products: [product], pointwise }] };
}

const trace = makeTrace(40, 70, 0.2);
const encoded = encodeTrace(trace);

test("what was written is read", () => {
  const file = join(folder, "a.trace");
  expect(writeTrace(file, trace)).toBe(encoded.length);
  expect(readTrace(file)).toEqual(trace);
});

test("a site takes at most a bit an element and a thousandth more", () => {
  const hard = makeTrace(500, 1024, 0.5);
  const empty = { ...hard, steps: [{ ...hard.steps[0]!, sites: [], products: [] }] };
  const site = encodeTrace(hard).length - encodeTrace(empty).length;
  expect(site).toBeLessThan(((500 * 1024) / 8) * 1.001 + 700);
  expect(site).toBeGreaterThan(((500 * 1024) / 8) * 0.98);
});

describe("refused, in one line that says what to do", () => {
  const change = (edit: (bytes: Buffer) => void) => {
    const copy = Buffer.from(encoded);
    edit(copy);
    return copy;
  };
  const inHeader = (from: string, to: string) => {
    const text = Buffer.from(encoded).toString("latin1");
    expect(from.length).toBe(to.length);
    return Buffer.from(text.replace(from, to), "latin1");
  };
  test.each<[string, Uint8Array, RegExp]>([
    ["another file", Buffer.from("hello, this is no trace at all"), /is no trace/],
    ["an empty file", Buffer.alloc(0), /is no trace/],
    ["another version", change((bytes) => bytes.writeUInt32LE(7, 8)), new RegExp(`has version 7, .* ${TRACE_VERSION}`)],
    ["a header cut off", encoded.subarray(0, 100), /is cut off: its header/],
    ["a bitmap cut off", encoded.subarray(0, encoded.length - 5), /is cut off: step 3, site lstm\.l0 ends at byte/],
    ["a header that is no JSON", inHeader('"steps"', '"steps '), /header is no JSON/],
    ["a missing figure", inHeader('"maxSteps"', '"maxStepz"'), /damaged: header\.run\.maxSteps/],
    [
      "a size that does not fit",
      inHeader('"rows":40,"padded"', '"rows":41,"padded"'),
      /damaged: step 3, site lstm\.l0 has/,
    ],
    [
      "sizes beyond memory",
      inHeader('"rows":40,"padded":2,"cols":70', '"rows":4e9,"padded":2,"cols":9'.padEnd(30)),
      /would have 4000000000 x 9/,
    ],
    [
      "a bit that flipped",
      change((bytes) => bytes.writeUInt8(bytes.readUInt8(encoded.length - 9) ^ 4, encoded.length - 9)),
      /cannot be inflated/,
    ],
    [
      "a count that differs",
      inHeader(`"kept":${countBits(trace.steps[0]!.sites[0]!.bitmap)}`, '"kept":499'),
      /expected 499/,
    ],
    ["a product of another shape", inHeader('"m":40', '"m":50'), /lstm\.l0 dx of 50 x 70 does not fit/],
  ])("%s", (_name, bytes, message) => {
    let caught: unknown;
    try {
      decodeTrace(bytes, "x.trace");
    } catch (error) {
      caught = error;
    }
    expect(caught).toBeInstanceOf(UsageError);
    expect((caught as Error).message).toMatch(message);
    expect((caught as Error).message).not.toContain("\n");
  });
  test("a file that is not there", () => expect(() => readTrace(join(folder, "none"))).toThrow(/no trace .*--trace/));
});

describe("npz", () => {
  const npz = encodeNpz(traceArrays(trace));
  test("is a zip whose first array is the bitmap, in NumPy's format", () => {
    const bytes = Buffer.from(npz);
    expect(bytes.readUInt32LE(0)).toBe(0x04034b50);
    const [packed, length, name] = [bytes.readUInt32LE(18), bytes.readUInt32LE(22), bytes.readUInt16LE(26)];
    expect(bytes.toString("utf8", 30, 30 + name)).toBe("step000003/lstm.l0/bitmap.npy");
    const array = inflateRawSync(bytes.subarray(30 + name, 30 + name + packed));
    expect(array.length).toBe(length);
    expect(array.toString("latin1", 0, 6)).toBe("\x93NUMPY");
    expect(array.toString("latin1", 10, 128)).toContain("'descr': '|u1', 'fortran_order': False, 'shape': (40, 9)");
    expect(array.length - 128).toBe(40 * 9);
    let bits = 0;
    for (const byte of array.subarray(128)) bits += byte.toString(2).replaceAll("0", "").length;
    expect(bits).toBe(countBits(trace.steps[0]!.sites[0]!.bitmap));
  });
});
