/**
 * What engines over the arena's bytes share: kernels that only pass addresses on, and how an address is made.
 * `wasm` and `native` have these functions under the same names, with the same arguments.
 */
import type { Arena, IntTensor, Tensor } from "../core/arena.ts";
import { check } from "../core/check.ts";
import type { RowSet } from "../core/row-set.ts";
import type { UpdateSettings, Weight, WeightUses } from "./kernels.ts";
import type { WasmExports } from "./wasm-exports.ts";

export type AddressCalls = Pick<
  WasmExports,
  | "adam"
  | "addColumnSums"
  | "addInto"
  | "clear"
  | "dropout"
  | "packRows"
  | "rmsprop"
  | "setRows"
  | "sgd"
  | "softmaxCrossEntropy"
  | "squaredError"
  | "sumSquares"
  | "sumSquaresOfRows"
>;

/** Threads that an engine's control blocks have room for: assembly/team.ts, native/addon.cpp. */
const MOST_THREADS = 64;

/** Throws a UsageError where engine `name` cannot have so many threads. */
export function checkThreads(name: string, threads: number): void {
  check(
    threads <= MOST_THREADS,
    `engine ${name} runs on up to ${MOST_THREADS} threads, got threads=${threads}. Use no more than the processor has cores.`,
  );
}

/**
 * Up to this share of a weight's rows, packing them one by one is as fast as packing all or faster: (10000, 200),
 * (10000, 650) and (10000, 1500) of rows anywhere, medians, native and wasm.
 */
const FEW_ROWS = 0.2;

export type PanelUse = "nt" | "nn";

/** A weight with panels for its products; how they lie is the engine's. */
export interface PackedWeight extends Weight {
  readonly nt: Tensor | undefined;
  readonly nn: Tensor | undefined;
  /** Where nt and nn are one tensor. */
  readonly room: PanelRoom | undefined;
}

/** Panels that take turns in one room. */
export interface PanelRoom {
  /** What it holds, and whose; undefined where that weight has changed since. */
  use: PanelUse | undefined;
  of: Weight | undefined;
}

export abstract class AddressKernels {
  /** Set once the arena is allocated. */
  protected calls!: AddressCalls;
  readonly #rooms = new Map<string, PanelRoom>();

  /**
   * Panels of floats for the uses of a weight: one room where nt and nn need none at the same time, and one for the weights
   * of a group.
   */
  protected planPanels(
    arena: Arena,
    { name }: Tensor,
    uses: WeightUses,
    shapes: Readonly<Record<PanelUse, readonly number[]>>,
  ): Pick<PackedWeight, "nt" | "nn" | "room"> {
    const plan = (kind: string, shape: readonly number[]) => arena.tensor(`${name}.${kind}`, shape, "packed");
    if (!uses.nt || !uses.nn || uses.inTurns)
      return {
        nt: uses.nt ? plan("nt", shapes.nt) : undefined,
        nn: uses.nn ? plan("nn", shapes.nn) : undefined,
        room: undefined,
      };
    const [nt, nn] = [shapes.nt, shapes.nn].map((shape) => shape.reduce((product, size) => product * size, 1));
    const group = uses.group && `panels of ${uses.group}`;
    const shared = arena.tensor(`${name}.panels`, [Math.max(nt!, nn!)], "packed", group);
    const room = (group && this.#rooms.get(group)) || { use: undefined, of: undefined };
    if (group) this.#rooms.set(group, room);
    return { nt: shared, nn: shared, room };
  }

  /** Of a weight that has changed. */
  protected clearRoom(room: PanelRoom, weight: Weight): void {
    if (room.of === weight) room.use = undefined;
  }

  /** Address of a weight's panels, which are up to date. */
  protected panels(w: Weight, use: PanelUse): number {
    const weight = w as PackedWeight;
    const { ptr } = planned(weight[use], w, use);
    const { room } = weight;
    if (room && (room.use !== use || room.of !== w)) {
      this.packPanels(weight, use);
      room.use = use;
      room.of = w;
    }
    return ptr;
  }

  protected abstract packPanels(weight: PackedWeight, use: PanelUse): void;

  /** Packs a weight's changed rows alone, where these are few; false where all are better packed. */
  protected packFew(tensor: Tensor, nt: Tensor | undefined, nn: Tensor | undefined, rows: RowSet | undefined): boolean {
    const [N, K] = tensor.shape as [number, number];
    if (!rows || !isFew(rows, N)) return false;
    this.calls.packRows(N, K, tensor.ptr, nt?.ptr ?? 0, nn?.ptr ?? 0, rows.list.ptr, rows.count);
    return true;
  }

  setBias(out: Tensor, outRow: number, rows: number, bias: Tensor, bias2?: Tensor): void {
    const N = bias.length;
    this.calls.setRows(at(out, outRow, N), rows, N, bias.ptr, bias2 ? bias2.ptr : 0);
  }

  sumRows(out: Tensor, g: Tensor, gRow: number, rows: number): void {
    const N = out.length;
    this.calls.addColumnSums(out.ptr, at(g, gRow, N), rows, N);
  }

  addRows(out: Tensor, outRow: number, a: Tensor, aRow: number, rows: number): void {
    const N = out.rowLength;
    this.calls.addInto(at(out, outRow, N), at(a, aRow, N), rows * N);
  }

  dropout(out: Tensor, outRow: number, a: Tensor, aRow: number, rows: number, p: number, key: number): void {
    const N = out.rowLength;
    // hash >= p 2^32 for integers: hash >= ceil(p 2^32).
    const limit = Math.min(Math.ceil(p * 2 ** 32), 2 ** 32 - 1);
    this.calls.dropout(at(out, outRow, N), at(a, aRow, N), rows * N, limit, 1 / (1 - p), key);
  }

  softmaxCrossEntropy(logits: Tensor, targets: IntTensor, targetRow: number, rows: number, scale: number): number {
    return this.calls.softmaxCrossEntropy(logits.ptr, at(targets, targetRow, 1), rows, logits.rowLength, scale);
  }

  squaredError(y: Tensor, targets: Tensor, targetRow: number, rows: number, scale: number): number {
    const N = y.rowLength;
    return this.calls.squaredError(y.ptr, at(targets, targetRow, N), rows * N, scale);
  }

  clear(x: Tensor, rows?: RowSet): void {
    this.calls.clear(x.ptr, lengthOf(x, rows), listOf(rows), countOf(rows));
  }

  sumSquares(x: Tensor, rows?: RowSet): number {
    if (!rows) return this.calls.sumSquares(x.ptr, x.length);
    return this.calls.sumSquaresOfRows(x.ptr, x.rowLength, listOf(rows), rows.count, rows.sums.ptr);
  }

  sgd(value: Tensor, gradient: Tensor, momentum: Tensor | undefined, s: UpdateSettings, rows?: RowSet): void {
    this.calls.sgd(
      value.ptr,
      gradient.ptr,
      momentum ? momentum.ptr : 0,
      lengthOf(value, rows),
      listOf(rows),
      countOf(rows),
      s.gradientScale,
      s.weightDecay,
      s.momentum,
      s.learningRate,
    );
  }

  rmsprop(value: Tensor, gradient: Tensor, square: Tensor, s: UpdateSettings, rows?: RowSet): void {
    this.calls.rmsprop(
      value.ptr,
      gradient.ptr,
      square.ptr,
      lengthOf(value, rows),
      listOf(rows),
      countOf(rows),
      s.gradientScale,
      s.weightDecay,
      s.alpha,
      1 - s.alpha,
      s.learningRate,
      s.epsilon,
    );
  }

  adam(
    value: Tensor,
    gradient: Tensor,
    m: Tensor,
    v: Tensor,
    s: UpdateSettings,
    decoupled: boolean,
    rows?: RowSet,
  ): void {
    this.calls.adam(
      value.ptr,
      gradient.ptr,
      m.ptr,
      v.ptr,
      lengthOf(value, rows),
      listOf(rows),
      countOf(rows),
      s.gradientScale,
      decoupled ? 0 : s.weightDecay,
      decoupled ? 1 - s.learningRate * s.weightDecay : 1,
      s.beta1,
      1 - s.beta1,
      s.beta2,
      1 - s.beta2,
      s.learningRate / (1 - s.beta1 ** s.step),
      Math.sqrt(1 - s.beta2 ** s.step),
      s.epsilon,
    );
  }
}

/** An update visits pieces of this length: the rows in a list, `count` of them, or without one all of x, once. */
function lengthOf(x: Tensor, rows: RowSet | undefined): number {
  return rows && !rows.all ? x.rowLength : x.length;
}

function listOf(rows: RowSet | undefined): number {
  return rows && !rows.all ? rows.list.ptr : 0;
}

function countOf(rows: RowSet | undefined): number {
  return rows && !rows.all ? rows.count : 1;
}

/** Byte address of a row of `rowLength` elements of 4 bytes. */
export function at(tensor: { readonly ptr: number }, row: number, rowLength: number): number {
  return tensor.ptr + row * rowLength * 4;
}

export function planned<T>(packed: T | undefined, weight: Weight, use: keyof WeightUses): T {
  if (packed === undefined) throw new Error(`${weight.tensor.name}: planned without use "${use}"`);
  return packed;
}

/** Whether packing the rows of a set one by one pays, of a weight with N rows. */
export function isFew(rows: RowSet, N: number): boolean {
  return rows.count <= FEW_ROWS * N;
}
