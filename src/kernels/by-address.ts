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
  /** Where its panels lie: one room for both uses, or one each; other weights may take turns there. */
  readonly rooms: Readonly<Record<PanelUse, PanelRoom>>;
}

/** Room for panels. What it holds is made when a product wants it, so that nothing is packed that nobody reads. */
export interface PanelRoom {
  /** What it holds, as its weight is now, and whose; undefined where that weight has changed since. */
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
  ): Pick<PackedWeight, "nt" | "nn" | "rooms"> {
    const plan = (kind: string, shape: readonly number[]) => arena.tensor(`${name}.${kind}`, shape, "packed");
    if (!uses.nt || !uses.nn || uses.inTurns)
      return {
        nt: uses.nt ? plan("nt", shapes.nt) : undefined,
        nn: uses.nn ? plan("nn", shapes.nn) : undefined,
        rooms: { nt: emptyRoom(), nn: emptyRoom() },
      };
    const [nt, nn] = [shapes.nt, shapes.nn].map((shape) => shape.reduce((product, size) => product * size, 1));
    const group = uses.group && `panels of ${uses.group}`;
    const shared = arena.tensor(`${name}.panels`, [Math.max(nt!, nn!)], "packed", group);
    const room = (group && this.#rooms.get(group)) || emptyRoom();
    if (group) this.#rooms.set(group, room);
    return { nt: shared, nn: shared, rooms: { nt: room, nn: room } };
  }

  /** After the weight has changed, in all rows or in these alone: where they are few, its panels follow at once. */
  protected changed(weight: PackedWeight, rows: RowSet | undefined): void {
    const few = rows && isFew(rows, weight.tensor.shape[0] as number);
    this.#changed(weight, "nt", few ? rows : undefined);
    this.#changed(weight, "nn", few ? rows : undefined);
  }

  #changed(weight: PackedWeight, use: PanelUse, few: RowSet | undefined): void {
    const room = weight.rooms[use];
    if (room.of !== weight || room.use !== use) return;
    if (few) this.packRows(weight, use, few);
    else room.use = undefined;
  }

  /** Address of a weight's panels, which are up to date. */
  protected panels(w: Weight, use: PanelUse): number {
    const weight = w as PackedWeight;
    const { ptr } = planned(weight[use], w, use);
    const room = weight.rooms[use];
    if (room.use !== use || room.of !== w) {
      this.packPanels(weight, use);
      room.use = use;
      room.of = w;
    }
    return ptr;
  }

  protected abstract packPanels(weight: PackedWeight, use: PanelUse): void;

  /** Packs rows of a weight alone. */
  protected packRows({ tensor, nt, nn }: PackedWeight, use: PanelUse, { list, count }: RowSet): void {
    const [N, K] = tensor.shape as [number, number];
    const ptr = (use === "nt" ? nt : nn)!.ptr;
    this.calls.packRows(N, K, tensor.ptr, use === "nt" ? ptr : 0, use === "nn" ? ptr : 0, list.ptr, count);
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

function emptyRoom(): PanelRoom {
  return { use: undefined, of: undefined };
}

/** Whether packing the rows of a set one by one pays, of a weight with N rows. */
function isFew(rows: RowSet, N: number): boolean {
  return rows.count <= FEW_ROWS * N;
}
