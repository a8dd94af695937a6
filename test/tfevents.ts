/** A strict reader of TensorBoard's event files, for tests: checksums, wire types and field numbers, and no field it does not know. */
import { maskedCrc } from "../src/formats/tensorboard.ts";

type Kind = "double" | "float" | "int" | "text" | "doubles" | Schema;
interface Schema {
  readonly [field: number]: readonly [name: string, kind: Kind, repeated?: true];
}
export type Message = Record<string, unknown>;

// tensorflow/core: util/event.proto, framework/summary.proto, tensor.proto, tensor_shape.proto
const HISTOGRAM: Schema = {
  1: ["min", "double"],
  2: ["max", "double"],
  3: ["num", "double"],
  4: ["sum", "double"],
  5: ["sum_squares", "double"],
  6: ["bucket_limit", "doubles"],
  7: ["bucket", "doubles"],
};
const TENSOR: Schema = {
  1: ["dtype", "int"],
  2: ["tensor_shape", { 2: ["dim", { 1: ["size", "int"] }, true] }],
  8: ["string_val", "text", true],
};
const VALUE: Schema = {
  1: ["tag", "text"],
  2: ["simple_value", "float"],
  5: ["histo", HISTOGRAM],
  8: ["tensor", TENSOR],
  9: ["metadata", { 1: ["plugin_data", { 1: ["plugin_name", "text"] }] }],
};
const EVENT: Schema = {
  1: ["wall_time", "double"],
  2: ["step", "int"],
  3: ["file_version", "text"],
  5: ["summary", { 1: ["value", VALUE, true] }],
  7: ["session_log", { 1: ["status", "int"] }],
};

export function readEventFile(file: Uint8Array): Message[] {
  const bytes = Uint8Array.from(file); // a Buffer's `slice` copies nothing
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const events: Message[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = Number(view.getBigUint64(at, true));
    if (view.getUint32(at + 8, true) !== maskedCrc(bytes.subarray(at, at + 8))) throw new Error(`length at ${at}`);
    const data = bytes.subarray(at + 12, at + 12 + length);
    if (view.getUint32(at + 12 + length, true) !== maskedCrc(data)) throw new Error(`checksum at ${at}`);
    events.push(read(data, EVENT));
    at += 16 + length;
  }
  return events;
}

function read(bytes: Uint8Array, schema: Schema): Message {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  const varint = () => {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = view.getUint8(at++);
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
  };
  const message: Message = {};
  while (at < bytes.length) {
    const key = varint();
    const known = schema[key >> 3];
    if (!known) throw new Error(`unknown field ${key >> 3}`);
    const [name, kind, repeated] = known;
    const wanted = kind === "int" ? 0 : kind === "double" ? 1 : kind === "float" ? 5 : 2;
    if ((key & 7) !== wanted) throw new Error(`${name} has wire type ${key & 7}, not ${wanted}`);
    let value: unknown;
    if (kind === "int") value = varint();
    else if (kind === "float") [value, at] = [view.getFloat32(at, true), at + 4];
    else if (kind === "double") [value, at] = [view.getFloat64(at, true), at + 8];
    else {
      const length = varint();
      const part = bytes.slice(at, at + length);
      if (part.length !== length) throw new Error(`${name} is cut short`);
      at += length;
      if (kind === "text") value = new TextDecoder("utf-8", { fatal: true }).decode(part);
      else if (kind === "doubles") value = [...new Float64Array(part.buffer)];
      else value = read(part, kind);
    }
    if (repeated) message[name] = [...((message[name] as unknown[]) ?? []), value];
    else if (name in message) throw new Error(`${name} stands twice`);
    else message[name] = value;
  }
  return message;
}
