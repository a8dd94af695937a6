/**
 * The one memory of a model.
 *
 * Every tensor lives in one WebAssembly.Memory. Modules first declare all their tensors, then the
 * arena is allocated once and never grows: JavaScript sees it through typed arrays, WebAssembly
 * imports it, native code gets its address. The memory is always shared, so that one wasm module
 * serves one thread and several alike.
 *
 * Tensors of one purpose lie side by side, so that "all weights" or "all gradients" is one flat
 * range: an optimizer is one call over one range. Padding between tensors stays zero.
 *
 * Tensors whose contents are never wanted at the same time may name a room: those of one purpose that name the same one
 * begin at the same address, and the room is as long as the longest of them. What one of them holds is lost when another
 * is filled; whoever names a room says why that is right.
 */
import { formatBytes, GatesieveError, UsageError } from "./check.ts";

export type DType = "f32" | "f64" | "i32" | "u32";
export type RealArray = Float32Array | Float64Array;

/** What a tensor is for; also the order in which the arena lays them out. */
export const PURPOSES = [
  "weights",
  "gradients",
  "optimizer",
  "states",
  "batch",
  "activations",
  "gateGradients",
  "packed",
  "pattern",
  "statistics",
  "workspace",
] as const;
export type Purpose = (typeof PURPOSES)[number];
export type BytesByPurpose = Readonly<Record<Purpose, number>>;

const ALIGN_BYTES = 64; // a cache line, and the widest vector of any engine
const PAGE_BYTES = 65536;
const MAX_BYTES = 4 * 1024 ** 3; // wasm32
const BYTES_PER: Record<DType, number> = { f32: 4, f64: 8, i32: 4, u32: 4 };

/** A named array in the arena. `data` and `ptr` (its byte address) exist once the arena is allocated. */
export class Tensor<A extends RealArray | Int32Array | Uint32Array = RealArray> {
  readonly name: string;
  readonly shape: readonly number[];
  readonly dtype: DType;
  readonly purpose: Purpose;
  /** Where it takes turns with others; a place of its own without it. */
  readonly room: string | undefined;
  readonly length: number;
  ptr = 0;
  #data: A | undefined;

  constructor(name: string, shape: readonly number[], dtype: DType, purpose: Purpose, room?: string) {
    this.name = name;
    this.shape = shape;
    this.dtype = dtype;
    this.purpose = purpose;
    this.room = room;
    this.length = shape.reduce((product, size) => product * size, 1);
  }

  get data(): A {
    if (this.#data === undefined) throw new Error(`tensor ${this.name} read before its arena was allocated`);
    return this.#data;
  }

  /** Length of a row: the product of all dimensions but the first. */
  get rowLength(): number {
    return this.length / (this.shape[0] as number);
  }

  /** Called by the arena, once. */
  place(memory: ArrayBufferLike, ptr: number): void {
    this.ptr = ptr;
    const Type = { f32: Float32Array, f64: Float64Array, i32: Int32Array, u32: Uint32Array }[this.dtype];
    this.#data = new Type(memory as ArrayBuffer, ptr, this.length) as unknown as A;
  }
}

export type IntTensor = Tensor<Int32Array>;
export type BitTensor = Tensor<Uint32Array>;
export type DoubleTensor = Tensor<Float64Array>;

export class Arena {
  /** The precision of real tensors: f64 only for gradient checks and golden numbers, on the js engine. */
  readonly real: "f32" | "f64";
  readonly tensors: Tensor<never>[] = [];
  #memory: WebAssembly.Memory | undefined;
  #listeners: ((memory: WebAssembly.Memory) => void)[] = [];
  #ranges = new Map<Purpose, { start: number; end: number }>();

  constructor(real: "f32" | "f64" = "f32") {
    this.real = real;
  }

  /** Declares a real tensor (row-major). */
  tensor(name: string, shape: readonly number[], purpose: Purpose, room?: string): Tensor {
    return this.#declare(new Tensor(name, shape, this.real, purpose, room));
  }

  ints(name: string, shape: readonly number[], purpose: Purpose, room?: string): IntTensor {
    return this.#declare(new Tensor<Int32Array>(name, shape, "i32", purpose, room));
  }

  bits(name: string, shape: readonly number[], purpose: Purpose): BitTensor {
    return this.#declare(new Tensor<Uint32Array>(name, shape, "u32", purpose));
  }

  doubles(name: string, shape: readonly number[], purpose: Purpose): DoubleTensor {
    return this.#declare(new Tensor<Float64Array>(name, shape, "f64", purpose));
  }

  #declare<T>(tensor: T): T {
    if (this.#memory) throw new Error("arena: a tensor was declared after allocation");
    this.tensors.push(tensor as never);
    return tensor;
  }

  /** Bytes declared so far, of one purpose or of all. */
  bytes(purpose?: Purpose): number {
    if (purpose === undefined) return PURPOSES.reduce((sum, one) => sum + this.bytes(one), 0);
    return [...this.#lots(purpose)].reduce((sum, lot) => sum + bytesOf(lot), 0);
  }

  /** What has a place of its own among tensors of a purpose: one of them, or those of a room. */
  #lots(purpose: Purpose): Iterable<readonly Tensor[]> {
    const lots = new Map<unknown, Tensor[]>();
    for (const tensor of this.tensors as unknown as Tensor[]) {
      if (tensor.purpose !== purpose) continue;
      const key = tensor.room ?? tensor;
      const lot = lots.get(key);
      if (lot) lot.push(tensor);
      else lots.set(key, [tensor]);
    }
    return lots.values();
  }

  /** Bytes declared so far, by purpose. */
  bytesByPurpose(): BytesByPurpose {
    return Object.fromEntries(PURPOSES.map((purpose) => [purpose, this.bytes(purpose)])) as BytesByPurpose;
  }

  /** Engines bind to the memory here. */
  whenAllocated(listener: (memory: WebAssembly.Memory) => void): void {
    this.#listeners.push(listener);
  }

  /** Lays out everything declared, in order of purpose. Memory is zero. */
  allocate(): void {
    const total = ALIGN_BYTES + this.bytes();
    if (total > MAX_BYTES - PAGE_BYTES) {
      const largest = PURPOSES.map((purpose) => ({ purpose, bytes: this.bytes(purpose) }))
        .sort((a, b) => b.bytes - a.bytes)
        .slice(0, 3)
        .map(({ purpose, bytes }) => `${purpose} ${formatBytes(bytes)}`);
      throw new UsageError(
        `the model needs ${formatBytes(total)} (${largest.join(", ")}), more than the 4.0 GiB one model may have. ` +
          "Make model.hiddenSize, model.numLayers, train.batchSize or train.sequenceLength smaller.",
      );
    }
    const pages = Math.ceil(total / PAGE_BYTES);
    let memory: WebAssembly.Memory;
    try {
      // The maximum must not exceed the one the wasm module declares; initial = maximum: it never grows.
      memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
    } catch (cause) {
      throw new GatesieveError(`this machine refused ${formatBytes(total)} of memory for the model (${cause}).`);
    }
    let ptr = ALIGN_BYTES; // address 0 stays unused, so that a null pointer is no tensor
    for (const purpose of PURPOSES) {
      const start = ptr;
      for (const lot of this.#lots(purpose)) {
        for (const tensor of lot) tensor.place(memory.buffer, ptr);
        ptr += bytesOf(lot);
      }
      this.#ranges.set(purpose, { start, end: ptr });
    }
    this.#memory = memory;
    for (const listener of this.#listeners) listener(memory);
  }

  get memory(): WebAssembly.Memory {
    if (!this.#memory) throw new Error("arena: not allocated yet");
    return this.#memory;
  }

  /** All real tensors of one purpose as one flat tensor (padding included, and zero). */
  range(purpose: Purpose): Tensor {
    const { start, end } = this.#ranges.get(purpose) ?? { start: 0, end: 0 };
    const flat = new Tensor(purpose, [(end - start) / BYTES_PER[this.real]], this.real, purpose);
    flat.place(this.memory.buffer, start);
    return flat;
  }
}

/** Of tensors that begin at one address. */
function bytesOf(lot: readonly Tensor[]): number {
  return Math.max(...lot.map(({ length, dtype }) => align(length * BYTES_PER[dtype])));
}

function align(bytes: number): number {
  return Math.ceil(bytes / ALIGN_BYTES) * ALIGN_BYTES;
}
