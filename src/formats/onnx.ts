/**
 * ONNX files: a graph of nodes over named values, in protocol buffers. What is read and written of them here is what
 * inference needs; fields of no use for it are passed over.
 * https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
 *
 * The reader trusts nothing: counts are bounded, tensors are views whose length is that of their shape.
 */
import { formatBytes, GatesieveError } from "../core/check.ts";
import { type Field, type Lazy, Message, type Refuse, readFields, wholeNumbers } from "./protobuf.ts";

/** TensorProto.DataType: those with a name here are read and written. */
export const ONNX_TYPES = {
  FLOAT: 1,
  INT32: 6,
  INT64: 7,
  BOOL: 9,
  FLOAT16: 10,
  DOUBLE: 11,
  BFLOAT16: 16,
} as const;
export type OnnxType = keyof typeof ONNX_TYPES;

const BYTES_PER: Readonly<Record<OnnxType, number>> = {
  FLOAT: 4,
  INT32: 4,
  INT64: 8,
  BOOL: 1,
  FLOAT16: 2,
  DOUBLE: 8,
  BFLOAT16: 2,
};

/** Protocol buffers end at 2 GiB; larger models keep their tensors in further files, which nothing here reads. */
const MOST_BYTES = 2 ** 31 - 1;
const MOST_PARTS = 1_000_000; // nodes, attributes, names and small numbers of a file, all together
const MOST_DEPTH = 8; // graphs within graphs
const MOST_DIMENSIONS = 16;
const LARGEST = 2 ** 63 - 1024; // the largest number of JavaScript that an INT64 holds

export interface OnnxTensor {
  readonly name: string;
  readonly type: OnnxType;
  readonly dims: readonly number[];
  /** Little-endian, row-major. */
  readonly bytes: Uint8Array | Lazy;
}

export type OnnxAttribute =
  | { readonly f: number }
  | { readonly i: number }
  | { readonly s: string }
  | { readonly t: OnnxTensor }
  | { readonly g: OnnxGraph }
  | { readonly floats: readonly number[] }
  | { readonly ints: readonly number[] }
  | { readonly strings: readonly string[] };

export interface OnnxNode {
  readonly name: string;
  readonly op: string;
  /** "" is ONNX' own. */
  readonly domain: string;
  /** "": an input that is left out. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: ReadonlyMap<string, OnnxAttribute>;
}

/** An input or output: a tensor whose dimensions are numbers, or names of what varies. */
export interface OnnxValue {
  readonly name: string;
  /** Undefined: of a type that is not read here, or not said. */
  readonly type: OnnxType | undefined;
  /** Undefined: not said. */
  readonly dims: readonly (number | string)[] | undefined;
}

export interface OnnxGraph {
  readonly name: string;
  readonly nodes: readonly OnnxNode[];
  readonly initializers: readonly OnnxTensor[];
  readonly inputs: readonly OnnxValue[];
  readonly outputs: readonly OnnxValue[];
}

export interface OnnxFile {
  readonly irVersion: number;
  /** Of ONNX' own operators. */
  readonly opset: number;
  readonly producer: string;
  readonly producerVersion: string;
  readonly metadata: ReadonlyMap<string, string>;
  readonly graph: OnnxGraph;
}

/** The file does not hold what the format asks for, or more than is read here. */
export class OnnxError extends GatesieveError {}

/** Elements of a shape. */
export function countOf(dims: readonly number[]): number {
  return dims.reduce((product, size) => product * size, 1);
}

// ---- writing

/** The file to be; `pieces()` gives its bytes in order. Throws if it would be larger than the format allows. */
export function encodeOnnx(file: OnnxFile): Message {
  const message = new Message()
    .int(1, file.irVersion)
    .text(2, file.producer)
    .text(3, file.producerVersion)
    .bytes(7, encodeGraph(file.graph))
    .bytes(8, new Message().text(1, "").int(2, file.opset));
  for (const [key, value] of file.metadata) message.bytes(14, new Message().text(1, key).text(2, value));
  if (message.length > MOST_BYTES)
    throw new OnnxError(
      `the ONNX file would have ${formatBytes(message.length)}; the format ends at ${formatBytes(MOST_BYTES)}. Export to safetensors instead.`,
    );
  return message;
}

function encodeGraph({ name, nodes, initializers, inputs, outputs }: OnnxGraph): Message {
  const message = new Message();
  for (const node of nodes) message.bytes(1, encodeNode(node));
  message.text(2, name);
  for (const tensor of initializers) message.bytes(5, encodeTensor(tensor));
  for (const value of inputs) message.bytes(11, encodeValue(value));
  for (const value of outputs) message.bytes(12, encodeValue(value));
  return message;
}

function encodeNode({ name, op, domain, inputs, outputs, attributes }: OnnxNode): Message {
  const message = new Message();
  for (const input of inputs) message.text(1, input);
  for (const output of outputs) message.text(2, output);
  message.text(3, name).text(4, op);
  for (const [key, attribute] of attributes) message.bytes(5, encodeAttribute(key, attribute));
  return domain === "" ? message : message.text(7, domain);
}

function encodeAttribute(name: string, attribute: OnnxAttribute): Message {
  const message = new Message().text(1, name);
  if ("f" in attribute) return message.float(2, attribute.f).int(20, 1);
  if ("i" in attribute) return message.int(3, attribute.i).int(20, 2);
  if ("s" in attribute) return message.text(4, attribute.s).int(20, 3);
  if ("t" in attribute) return message.bytes(5, encodeTensor(attribute.t)).int(20, 4);
  if ("g" in attribute) return message.bytes(6, encodeGraph(attribute.g)).int(20, 5);
  if ("floats" in attribute) for (const value of attribute.floats) message.float(7, value);
  else if ("ints" in attribute) for (const value of attribute.ints) message.int(8, value);
  else for (const value of attribute.strings) message.text(9, value);
  return message.int(20, "floats" in attribute ? 6 : "ints" in attribute ? 7 : 8);
}

function encodeTensor({ name, type, dims, bytes }: OnnxTensor): Message {
  const expected = countOf(dims) * BYTES_PER[type];
  if (bytes.length !== expected)
    throw new OnnxError(`onnx: "${name}" has ${bytes.length} bytes, expected ${expected} for its shape.`);
  const message = new Message();
  for (const size of dims) message.int(1, size);
  return message.int(2, ONNX_TYPES[type]).text(8, name).bytes(9, bytes);
}

function encodeValue({ name, type, dims }: OnnxValue): Message {
  const shape = new Message();
  for (const size of dims ?? [])
    shape.bytes(1, typeof size === "number" ? new Message().int(1, size) : new Message().text(2, size));
  const tensor = new Message().int(1, type ? ONNX_TYPES[type] : 0);
  return new Message().text(1, name).bytes(2, new Message().bytes(1, dims ? tensor.bytes(2, shape) : tensor));
}

// ---- reading

/** Tensors are views of `bytes`. Throws an OnnxError that says what is wrong, `source` first. */
export function decodeOnnx(bytes: Uint8Array, source = "onnx"): OnnxFile {
  const reader = new Decoder(source);
  if (bytes.length === 0) reader.refuse("it is empty");
  if (bytes.length > MOST_BYTES) reader.refuse(`it has ${formatBytes(bytes.length)}, over ${formatBytes(MOST_BYTES)}`);
  return reader.file(plain(bytes));
}

/** A TensorProto by itself, as test data of ONNX are. */
export function decodeOnnxTensor(bytes: Uint8Array, source = "onnx"): OnnxTensor {
  return new Decoder(source).tensor(plain(bytes));
}

/** Not a Buffer, whose slice() is a view. */
function plain(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

class Decoder {
  readonly refuse: Refuse;
  #parts = 0;
  readonly #source: string;

  constructor(source: string) {
    this.#source = source;
    this.refuse = (what) => {
      throw new OnnxError(`${source}: ${what}. It is damaged, or no ONNX file.`);
    };
  }

  file(bytes: Uint8Array): OnnxFile {
    let [irVersion, opset, producer, producerVersion] = [0, 0, "", ""];
    let graph: OnnxGraph | undefined;
    const metadata = new Map<string, string>();
    this.#fields(bytes, (field) => {
      if (field.number === 1) irVersion = this.#whole(field);
      else if (field.number === 2) producer = this.#text(field);
      else if (field.number === 3) producerVersion = this.#text(field);
      else if (field.number === 7) graph = this.#graph(this.#bytes(field), 0);
      else if (field.number === 8) {
        let [domain, version] = ["", 0];
        this.#fields(this.#bytes(field), (part) => {
          if (part.number === 1) domain = this.#text(part);
          else if (part.number === 2) version = this.#whole(part);
        });
        if (domain === "" || domain === "ai.onnx") opset = version;
      } else if (field.number === 14) {
        let [key, value] = ["", ""];
        this.#fields(this.#bytes(field), (part) => {
          if (part.number === 1) key = this.#text(part);
          else if (part.number === 2) value = this.#text(part);
        });
        metadata.set(key, value);
      }
    });
    return { irVersion, opset, producer, producerVersion, metadata, graph: graph ?? this.refuse("it has no graph") };
  }

  #graph(bytes: Uint8Array, depth: number): OnnxGraph {
    if (depth > MOST_DEPTH) this.refuse(`graphs lie within graphs, over ${MOST_DEPTH} deep`);
    let name = "";
    const nodes: OnnxNode[] = [];
    const initializers: OnnxTensor[] = [];
    const inputs: OnnxValue[] = [];
    const outputs: OnnxValue[] = [];
    this.#fields(bytes, (field) => {
      if (field.number === 1) nodes.push(this.#node(this.#bytes(field), depth));
      else if (field.number === 2) name = this.#text(field);
      else if (field.number === 5) initializers.push(this.tensor(this.#bytes(field)));
      else if (field.number === 11) inputs.push(this.#value(this.#bytes(field)));
      else if (field.number === 12) outputs.push(this.#value(this.#bytes(field)));
      else if (field.number === 15) this.refuse("it has sparse initializers, which are not read here");
    });
    return { name, nodes, initializers, inputs, outputs };
  }

  #node(bytes: Uint8Array, depth: number): OnnxNode {
    let [name, op, domain] = ["", "", ""];
    const inputs: string[] = [];
    const outputs: string[] = [];
    const attributes = new Map<string, OnnxAttribute>();
    this.#fields(bytes, (field) => {
      if (field.number === 1) inputs.push(this.#text(field));
      else if (field.number === 2) outputs.push(this.#text(field));
      else if (field.number === 3) name = this.#text(field);
      else if (field.number === 4) op = this.#text(field);
      else if (field.number === 5) {
        const [key, attribute] = this.#attribute(this.#bytes(field), depth);
        if (attribute) attributes.set(key, attribute);
      } else if (field.number === 7) domain = this.#text(field);
    });
    if (op === "") this.refuse(`node "${name}" has no operator`);
    return { name, op, domain: domain === "ai.onnx" ? "" : domain, inputs, outputs, attributes };
  }

  #attribute(bytes: Uint8Array, depth: number): readonly [string, OnnxAttribute | undefined] {
    let name = "";
    let single: OnnxAttribute | undefined;
    const floats: number[] = [];
    const ints: number[] = [];
    const strings: string[] = [];
    let type = 0;
    this.#fields(bytes, (field) => {
      if (field.number === 1) name = this.#text(field);
      else if (field.number === 2) single = { f: this.#floats(field)[0] ?? 0 };
      else if (field.number === 3) single = { i: this.#whole(field) };
      else if (field.number === 4) single = { s: this.#text(field) };
      else if (field.number === 5) single = { t: this.tensor(this.#bytes(field)) };
      else if (field.number === 6) single = { g: this.#graph(this.#bytes(field), depth + 1) };
      else if (field.number === 7) for (const value of this.#floats(field)) floats.push(this.#counted(value));
      else if (field.number === 8) this.#numbers(field, (value) => ints.push(value));
      else if (field.number === 9) strings.push(this.#text(field));
      else if (field.number === 20) type = this.#whole(field);
    });
    if (single) return [name, single];
    // Zero is left out of the wire by some writers: the type says what the attribute is.
    if (type === 1) return [name, { f: 0 }];
    if (type === 2) return [name, { i: 0 }];
    if (type === 3) return [name, { s: "" }];
    if (type === 6 || floats.length) return [name, { floats }];
    if (type === 7 || ints.length) return [name, { ints }];
    return [name, type === 8 || strings.length ? { strings } : undefined];
  }

  #value(bytes: Uint8Array): OnnxValue {
    let name = "";
    let type: OnnxType | undefined;
    let dims: (number | string)[] | undefined;
    this.#fields(bytes, (field) => {
      if (field.number === 1) name = this.#text(field);
      if (field.number !== 2) return;
      this.#fields(this.#bytes(field), (kind) => {
        if (kind.number !== 1) return;
        this.#fields(this.#bytes(kind), (part) => {
          if (part.number === 1) type = typeOf(this.#whole(part));
          if (part.number !== 2) return;
          const sizes: (number | string)[] = [];
          this.#fields(this.#bytes(part), (dimension) => {
            if (dimension.number !== 1) return;
            let size: number | string = "";
            this.#fields(this.#bytes(dimension), (one) => {
              if (one.number === 1) size = this.#whole(one);
              else if (one.number === 2) size = this.#text(one);
            });
            sizes.push(size);
          });
          dims = sizes;
        });
      });
    });
    return { name, type, dims };
  }

  tensor(bytes: Uint8Array): OnnxTensor {
    let [name, number, place] = ["", 0, 0];
    const dims: number[] = [];
    let raw: Uint8Array | undefined;
    const wholes: number[] = []; // int32_data, int64_data
    const reals: Uint8Array[] = []; // float_data, double_data
    this.#fields(bytes, (field) => {
      if (field.number === 1) this.#numbers(field, (size) => dims.push(size));
      else if (field.number === 2) number = this.#whole(field);
      else if (field.number === 4 || field.number === 10) {
        this.#counted(0);
        reals.push(this.#fixed(field));
      } else if (field.number === 5 || field.number === 7) this.#numbers(field, (value) => wholes.push(value));
      else if (field.number === 8) name = this.#text(field);
      else if (field.number === 9) raw = this.#bytes(field);
      else if (field.number === 14) place = this.#whole(field);
    });
    const called = `tensor "${name}"`;
    if (place !== 0)
      throw new OnnxError(
        `${this.#source}: ${called} lies in another file. Save the model with its weights in one file.`,
      );
    const type = typeOf(number);
    if (!type)
      throw new OnnxError(
        `${this.#source}: ${called} has data type ${number}, expected one of ${Object.entries(ONNX_TYPES)
          .map(([known, value]) => `${known} (${value})`)
          .join(", ")}.`,
      );
    if (dims.length > MOST_DIMENSIONS || !dims.every((size) => Number.isSafeInteger(size) && size >= 0))
      this.refuse(`${called} has shape [${dims.slice(0, MOST_DIMENSIONS)}]`);
    const data = raw ?? (reals.length ? joined(reals) : packed(type, wholes));
    const expected = countOf(dims) * BYTES_PER[type];
    if (data.length !== expected)
      this.refuse(`${called} has ${data.length} bytes, expected ${expected} for its shape [${dims}] of ${type}`);
    return { name, type, dims, bytes: data };
  }

  #fields(bytes: Uint8Array, visit: (field: Field) => void): void {
    this.#counted(0);
    readFields(bytes, this.refuse, visit);
  }

  /** One part more; a file of nothing but tiny parts would fill the memory. */
  #counted<T>(part: T): T {
    if (++this.#parts > MOST_PARTS) this.refuse(`it has over ${MOST_PARTS} nodes, names and numbers`);
    return part;
  }

  #numbers(field: Field, take: (value: number) => void): void {
    wholeNumbers(field, this.refuse, (value) => take(this.#counted(value)));
  }

  #whole(field: Field): number {
    return field.wire === 0 ? field.value : this.refuse(`field ${field.number} is no whole number`);
  }

  #bytes(field: Field): Uint8Array {
    return field.wire === 2 ? field.bytes : this.refuse(`field ${field.number} has wire type ${field.wire}`);
  }

  #text(field: Field): string {
    this.#counted(0);
    try {
      return utf8.decode(this.#bytes(field));
    } catch (error) {
      if (error instanceof OnnxError) throw error;
      return this.refuse(`field ${field.number} is no text`);
    }
  }

  /** Four or eight bytes a number, one of them or packed. */
  #fixed(field: Field): Uint8Array {
    return field.wire === 0 ? this.refuse(`field ${field.number} is a whole number`) : field.bytes;
  }

  #floats(field: Field): Float32Array {
    const bytes = this.#fixed(field);
    if (bytes.length % 4) this.refuse(`field ${field.number} has ${bytes.length} bytes, expected floats`);
    return new Float32Array(bytes.slice().buffer);
  }
}

function typeOf(number: number): OnnxType | undefined {
  return (Object.keys(ONNX_TYPES) as OnnxType[]).find((type) => ONNX_TYPES[type] === number);
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  if (parts.length === 1) return parts[0] as Uint8Array;
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** Whole numbers of int32_data and int64_data, which hold 16-bit floats as their bits. */
function packed(type: OnnxType, values: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(values.length * BYTES_PER[type]);
  const view = new DataView(bytes.buffer);
  for (const [index, value] of values.entries())
    if (type === "INT64") view.setBigInt64(8 * index, BigInt(Math.min(value, LARGEST)), true);
    else if (type === "INT32") view.setInt32(4 * index, value, true);
    else if (type === "BOOL") view.setUint8(index, value);
    else if (BYTES_PER[type] === 2) view.setUint16(2 * index, value, true);
  return bytes;
}
