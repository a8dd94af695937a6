/**
 * Safetensors, the format of model files: 8 bytes with the header's length (little-endian), a JSON
 * header `{ name: { dtype, shape, data_offsets: [begin, end] }, __metadata__: { key: text } }`, then
 * the tensors' bytes, little-endian, row-major. Offsets count from the end of the header.
 * https://huggingface.co/docs/safetensors
 *
 * The reader trusts nothing: tensors must fill the rest of the file exactly, without gap or overlap.
 */
import { formatBytes, GatesieveError, isObject } from "../core/check.ts";

const BYTES_PER = {
  F64: 8,
  I64: 8,
  U64: 8,
  F32: 4,
  I32: 4,
  U32: 4,
  F16: 2,
  BF16: 2,
  I16: 2,
  U16: 2,
  I8: 1,
  U8: 1,
  BOOL: 1,
} as const;
export type SafetensorsType = keyof typeof BYTES_PER;

const MOST_HEADER_BYTES = 100_000_000; // the limit of the reference reader
const METADATA = "__metadata__";
const LENGTH_BYTES = 8;

export interface NamedTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly data: Float32Array | Float64Array | Int32Array;
}

/** A tensor of a file: its type, shape, and where it lies, in bytes of the file. */
export interface PlacedTensor {
  readonly dtype: SafetensorsType;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

export interface SafetensorsLayout {
  readonly metadata: Readonly<Record<string, string>>;
  readonly tensors: ReadonlyMap<string, PlacedTensor>;
}

export interface StoredTensor {
  readonly dtype: SafetensorsType;
  readonly shape: readonly number[];
  /** A view of the file. */
  readonly bytes: Uint8Array;
}

export interface Safetensors {
  readonly metadata: Readonly<Record<string, string>>;
  readonly tensors: ReadonlyMap<string, StoredTensor>;
}

/** The file does not hold what the format asks for. */
export class SafetensorsError extends GatesieveError {}

export function writeSafetensors(
  tensors: readonly NamedTensor[],
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  const { header, order, fileBytes } = planSafetensors(tensors.map(described), metadata);
  const file = new Uint8Array(fileBytes);
  file.set(header);
  let at = header.length;
  for (const index of order) {
    const { data } = tensors[index] as NamedTensor;
    file.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), at);
    at += data.byteLength;
  }
  return file;
}

/** A file to be: what comes before the tensors' bytes, and the order in which those follow. */
export interface SafetensorsPlan {
  /** With the eight bytes of its length. */
  readonly header: Uint8Array;
  /** Indices into the tensors that were given. */
  readonly order: readonly number[];
  readonly fileBytes: number;
}

export function planSafetensors(
  tensors: readonly { readonly name: string; readonly dtype: SafetensorsType; readonly shape: readonly number[] }[],
  metadata: Readonly<Record<string, string>> = {},
): SafetensorsPlan {
  const width = (index: number) => BYTES_PER[tensors[index]!.dtype];
  // Wide types first: then every tensor is aligned to its element.
  const order = [...tensors.keys()].sort((a, b) => width(b) - width(a));
  const entries = new Map<string, unknown>();
  if (Object.keys(metadata).length) entries.set(METADATA, metadata);
  let end = 0;
  for (const index of order) {
    const { name, dtype, shape } = tensors[index]!;
    if (name === METADATA || entries.has(name)) throw new SafetensorsError(`safetensors: the name "${name}" is taken.`);
    const begin = end;
    end += count(shape) * BYTES_PER[dtype];
    entries.set(name, { dtype, shape, data_offsets: [begin, end] });
  }
  // Not from an object: it would put names such as "7" first and lose "__proto__".
  const fields = [...entries].map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`);
  const json = new TextEncoder().encode(`{${fields.join(",")}}`);
  const headerBytes = Math.ceil(json.length / 8) * 8;
  const header = new Uint8Array(LENGTH_BYTES + headerBytes).fill(0x20, LENGTH_BYTES + json.length);
  new DataView(header.buffer).setBigUint64(0, BigInt(headerBytes), true);
  header.set(json, LENGTH_BYTES);
  return { header, order, fileBytes: header.length + end };
}

/** Throws a SafetensorsError that says what is wrong, `source` first. */
export function readSafetensors(file: Uint8Array, source = "safetensors"): Safetensors {
  const header = file.subarray(LENGTH_BYTES, LENGTH_BYTES + headerLength(file, file.length, source));
  const { metadata, tensors } = readLayout(header, file.length, source);
  const views = [...tensors].map(
    ([name, { dtype, shape, begin, end }]) => [name, { dtype, shape, bytes: file.subarray(begin, end) }] as const,
  );
  return { metadata, tensors: new Map(views) };
}

/** Bytes of the header that follows the first eight bytes of a file of `fileBytes`. */
export function headerLength(first: Uint8Array, fileBytes: number, source: string): number {
  const fail = failIn(source);
  if (fileBytes < LENGTH_BYTES) fail(`has ${fileBytes} bytes, expected at least ${LENGTH_BYTES}`);
  const length = Number(new DataView(first.buffer, first.byteOffset, LENGTH_BYTES).getBigUint64(0, true));
  if (length > MOST_HEADER_BYTES)
    fail(`its header would have ${length} bytes, more than ${formatBytes(MOST_HEADER_BYTES)}`);
  if (length > fileBytes - LENGTH_BYTES) fail(`its header would have ${length} bytes, the file has ${fileBytes}`);
  return length;
}

/** What lies where in a file of `fileBytes`, from its header without the eight bytes before it. */
export function readLayout(bytes: Uint8Array, fileBytes: number, source: string): SafetensorsLayout {
  const fail = failIn(source);
  const header = parseHeader(bytes, fail);
  const dataStart = LENGTH_BYTES + bytes.length;
  const dataBytes = fileBytes - dataStart;
  const metadata: Record<string, string> = {};
  const tensors = new Map<string, PlacedTensor>();
  const parts: { name: string; begin: number; end: number }[] = [];
  for (const [name, value] of Object.entries(header)) {
    const entry = isObject(value) ? value : fail(`entry "${name}" is no object`);
    if (name === METADATA) {
      for (const [key, text] of Object.entries(entry))
        metadata[key] = typeof text === "string" ? text : fail(`metadata "${key}" is no text`);
      continue;
    }
    const { dtype, shape, begin, end } = checkEntry(name, entry, dataBytes, fail);
    tensors.set(name, { dtype, shape, begin: dataStart + begin, end: dataStart + end });
    parts.push({ name, begin, end });
  }
  parts.sort((a, b) => a.begin - b.begin || a.end - b.end);
  let reached = 0;
  for (const { name, begin, end } of parts) {
    if (begin !== reached) fail(`tensor "${name}" begins at ${begin}, expected ${reached}`);
    reached = end;
  }
  if (reached !== dataBytes) fail(`its tensors end at ${reached}, the data at ${dataBytes}`);
  return { metadata, tensors };
}

/** A copy as numbers; F16 and BF16 as float32, which holds them exactly. Other types are refused. */
export function toArray({ dtype, bytes }: StoredTensor): Float32Array | Float64Array | Int32Array {
  if (dtype === "F16" || dtype === "BF16") return widen(dtype, bytes);
  const copy = new Uint8Array(bytes).buffer; // aligned, and a copy even of a Buffer, whose slice() is a view
  if (dtype === "F32") return new Float32Array(copy);
  if (dtype === "F64") return new Float64Array(copy);
  if (dtype === "I32") return new Int32Array(copy);
  throw new SafetensorsError(
    `safetensors: type ${dtype} cannot be read here; expected F32, F64, F16, BF16 or I32. Convert it before saving.`,
  );
}

/** 16-bit floats as float32. */
function widen(dtype: "F16" | "BF16", bytes: Uint8Array): Float32Array {
  const from = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const bits = new Uint32Array(bytes.byteLength / 2);
  for (let i = 0; i < bits.length; i++) {
    const half = from.getUint16(2 * i, true);
    bits[i] = dtype === "BF16" ? half << 16 : floatBits(half);
  }
  return new Float32Array(bits.buffer);
}

/** The bits of an IEEE half (1 sign, 5 exponent of bias 15, 10 fraction) as those of a float32 (1, 8 of bias 127, 23). */
function floatBits(half: number): number {
  const sign = (half & 0x8000) << 16;
  const exponent = (half >> 10) & 0x1f;
  const fraction = half & 0x3ff;
  if (exponent === 0x1f) return sign | 0x7f800000 | (fraction << 13); // infinities, NaN
  if (exponent > 0) return sign | ((exponent + 112) << 23) | (fraction << 13);
  if (fraction === 0) return sign;
  const shift = Math.clz32(fraction) - 21; // subnormal: its highest bit becomes the hidden one
  return sign | ((113 - shift) << 23) | (((fraction << shift) & 0x3ff) << 13);
}

function failIn(source: string): Fail {
  return (what) => {
    throw new SafetensorsError(`${source}: ${what}. It is damaged, or no safetensors file.`);
  };
}

type Fail = (what: string) => never;

function parseHeader(bytes: Uint8Array, fail: Fail): Record<string, unknown> {
  if (bytes[0] !== 0x7b) fail("its header does not begin with {");
  let header: unknown;
  let text = "";
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    header = JSON.parse(text);
  } catch {
    fail("its header is no JSON");
  }
  const twice = repeatedKey(text);
  if (twice !== undefined) fail(`its header names "${twice}" twice`);
  return header as Record<string, unknown>;
}

function checkEntry(name: string, entry: Record<string, unknown>, dataBytes: number, fail: Fail) {
  const { dtype, shape, data_offsets: offsets } = entry;
  if (typeof dtype !== "string" || !Object.hasOwn(BYTES_PER, dtype))
    fail(`tensor "${name}" has type ${JSON.stringify(dtype)}`);
  if (!isSizes(shape)) fail(`tensor "${name}" has shape ${JSON.stringify(shape)}`);
  if (!isSizes(offsets) || offsets.length !== 2) fail(`tensor "${name}" has offsets ${JSON.stringify(offsets)}`);
  const [begin, end] = offsets as [number, number];
  if (begin > end || end > dataBytes) fail(`tensor "${name}" lies at ${begin} to ${end} of ${dataBytes} bytes`);
  const bytes = count(shape as number[]) * BYTES_PER[dtype as SafetensorsType];
  if (bytes !== end - begin) fail(`tensor "${name}" has ${end - begin} bytes, expected ${bytes} for its shape`);
  return { dtype: dtype as SafetensorsType, shape: shape as number[], begin, end };
}

/** The first key that valid JSON text has twice in one object; JSON.parse would keep the last. */
function repeatedKey(json: string): string | undefined {
  const scopes: (Set<string> | undefined)[] = []; // a set for an object, undefined for an array
  // By hand: a regular expression would run out of stack on a hostile string of many megabytes.
  for (let i = 0; i < json.length; i++) {
    const character = json[i] as string;
    if (character === "{") scopes.push(new Set());
    else if (character === "[") scopes.push(undefined);
    else if (character === "}" || character === "]") scopes.pop();
    else if (character === '"') {
      const start = i++;
      while (json[i] !== '"') i += json[i] === "\\" ? 2 : 1;
      let next = i + 1;
      while (/\s/.test(json[next] as string)) next++;
      if (json[next] !== ":") continue; // a value
      const key = JSON.parse(json.slice(start, i + 1)) as string;
      const scope = scopes.at(-1) as Set<string>;
      if (scope.has(key)) return key;
      scope.add(key);
    }
  }
  return undefined;
}

function isSizes(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((size) => Number.isSafeInteger(size) && size >= 0);
}

/** Elements of a shape. Exact as long as it fits a file: a product beyond 2^53 can equal no length. */
function count(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

function described({ name, shape, data }: NamedTensor) {
  if (count(shape) !== data.length)
    throw new SafetensorsError(
      `safetensors: "${name}" has ${data.length} values, expected ${count(shape)} for its shape.`,
    );
  const dtype = data instanceof Float32Array ? "F32" : data instanceof Float64Array ? "F64" : "I32";
  return { name, dtype, shape } as const;
}
