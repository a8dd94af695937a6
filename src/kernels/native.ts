/**
 * Engine `native`: C++ kernels (native/) over the arena's memory, compiled once per instruction set.
 * This file plans their buffers and passes addresses; the addon is handed in by whoever can load it
 * (runs/native-addon.ts). Float32 only. What each kernel does and what was measured: docs/kernels.md.
 */
import type { Arena, DoubleTensor, IntTensor, Tensor } from "../core/arena.ts";
import { check } from "../core/check.ts";
import type { RowSet } from "../core/row-set.ts";
import { applyRule, recallDropped, rememberDropped } from "../sparse/apply.ts";
import { countRows, type Pattern, planPattern } from "../sparse/pattern.ts";
import type { DropRule } from "../sparse/rule.ts";
import type { Site } from "../sparse/site.ts";
import type { SiteStatistics } from "../sparse/statistics.ts";
import { checkBf16 } from "./bf16.ts";
import { AddressKernels, at, checkThreads, type PanelUse, planned } from "./by-address.ts";
import { AddressLayers } from "./by-address-layers.ts";
import { addressLive } from "./by-address-live.ts";
import { chosenColumns, planChoice, THRESHOLD } from "./choice.ts";
import type {
  CellKernel,
  Engine,
  Kernels,
  LayerKernels,
  LiveKernels,
  RecurrentKernel,
  Weight,
  WeightUses,
} from "./kernels.ts";
import { Listing } from "./listing.ts";
import { AFTER, BEFORE, CHOSEN, INDEX, LISTS, type NativePattern, type NativeWeight, tell } from "./native-buffers.ts";
import type { NativeAddon, NativeCalls } from "./native-calls.ts";
import { nativeCells } from "./native-cells.ts";

interface Full {
  readonly nn: number;
  readonly tn: number;
  readonly narrow: number;
}

/**
 * Time of a product over live columns beside the dense one's, where all columns live: AVX-512, W2's and W4's shapes with
 * half of them live (`node lab/native/run.mjs avx512 --program live`), twice what was found.
 */
const LIVE_COST = { nn: 1.42, tn: 1.1 };

/**
 * Blocks of rows with a larger share of nonzeros than this run dense: `nn` for dh and dx, `tn` for dW and dU. From
 * there on the sparse products take as long as the dense ones, as `node lab/native/run.mjs` finds for H = 128 and more,
 * or longer; up to 32 columns in the result (`narrow`) AVX-512 loses sooner. With `plain` sparse is 1.3 times as fast
 * at 0.8 still. For `neon` they are guesses.
 */
const FULL: Readonly<Record<string, Full>> = {
  avx512: { nn: 0.48, tn: 0.58, narrow: 0.38 },
  avx2: { nn: 0.68, tn: 0.72, narrow: 0.55 },
  plain: { nn: 0.9, tn: 0.9, narrow: 0.75 },
  neon: { nn: 0.5, tn: 0.5, narrow: 0.4 },
};
const NARROW = 32; // columns
/**
 * Up to this share of nonzeros a product adds whole rows of the other factor from where they lie: tiles of panels would be
 * fetched, and packed, for hardly anything. docs/kernels.md, "Where hardly anything is left".
 */
const FEW = 0.01;

/**
 * Gates of up to so many units are not listed: the dense products over what the rule left take as long or less, as
 * docs/kernels.md ("Small nets") has it. With `plain` sparse wins throughout; `neon` was not measured.
 */
const SMALL: Readonly<Record<string, number>> = { avx512: 16, avx2: 8, plain: 0, neon: 0 };

/** Sizes the kernels count on; see native/kernels.h. */
const PANEL = 64; // columns of a panel
const TILE = 128; // columns of a list tile
const LIST_SLACK = 16; // elements behind a row's list
const SWEEP_TASKS = 64; // tasks of compress between two sums
const PART_COLUMNS = 4; // sums of a task and group
/** The engine on `threads` threads; `isa`: one of `addon.isas()`, without it the best. */
export function nativeEngine(addon: NativeAddon, threads = 1, isa = addon.isas()[0] as string): Engine {
  checkThreads("native", threads);
  const engine: Engine = {
    name: "native",
    isa,
    attach: (arena) => new NativeKernels(engine, addon, threads, arena),
  };
  return engine;
}

class NativeKernels extends AddressKernels implements Kernels {
  readonly engine: Engine;
  readonly cells: Readonly<Record<string, CellKernel>>;
  readonly recurrent: Readonly<Record<string, RecurrentKernel>>;
  readonly live: LiveKernels;
  readonly layers: LayerKernels;
  readonly #arena: Arena;
  readonly #full: Full;
  readonly #small: number;
  readonly #bf16: boolean;
  #call!: NativeCalls;
  #bytes: Uint8Array | undefined; // keeps the memory alive for #call

  constructor(engine: Engine, addon: NativeAddon, threads: number, arena: Arena) {
    super();
    check(
      arena.real === "f32",
      "engine native computes in float32, and this arena is float64. Use engine js for float64.",
    );
    this.engine = engine;
    this.#arena = arena;
    this.#full = FULL[engine.isa] as Full;
    this.#small = SMALL[engine.isa] as number;
    this.#bf16 = addon.bf16().includes(engine.isa);
    const scratch = arena.tensor(
      "native.scratch",
      [(threads * addon.threadBytes + addon.sharedBytes) / 4],
      "workspace",
    );
    arena.whenAllocated((memory) => {
      this.#bytes = new Uint8Array(memory.buffer);
      // Patterns lie behind the weights and their panels, and much of their room is never touched.
      this.#call = addon.bind(this.#bytes, engine.isa, threads, scratch.ptr, arena.range("pattern").ptr);
      this.calls = this.#call;
    });
    const own = nativeCells(
      () => this.#call,
      (w, use) => this.panels(w, use),
      (columns) => this.#fullOf("nn", columns),
    );
    this.cells = own.cells;
    this.recurrent = own.recurrent;
    this.live = addressLive(
      () => this.#call,
      (w) => this.panels(w, "nt"),
      { leastRows: 1, cost: LIVE_COST, full: (product, columns) => this.#fullOf(product, columns) },
    );
    this.layers = new AddressLayers(() => this.#call, arena, threads, PANEL);
  }

  planWeight(tensor: Tensor, uses: WeightUses): NativeWeight {
    const arena = this.#arena;
    const [N, K] = tensor.shape as [number, number];
    const packed = (kind: string, shape: number[]) => arena.tensor(`${tensor.name}.${kind}`, shape, "packed");
    checkBf16(this.engine, uses, this.#bf16, "a processor with AVX512-BF16 (Zen 4, Cooper Lake and later)");
    const depth = uses.nt === "bf16" ? Math.ceil(K / 2) : K;
    return {
      tensor,
      uses,
      ...this.planPanels(arena, tensor, uses, { nt: [panels(N), depth, PANEL], nn: [panels(K), N, PANEL] }),
      lookup: uses.lookup
        ? {
            columns: packed("columns", [K, N]),
            sums: arena.tensor(`${tensor.name}.sums`, [K, N], "workspace"),
            touched: arena.ints(`${tensor.name}.touched`, [K], "workspace"),
          }
        : undefined,
    };
  }

  planPattern(site: Site, dense: Tensor, rows = dense.shape[0] as number, group?: string): NativePattern {
    const arena = this.#arena;
    const { name, cols, groups } = site;
    const room = cols + LIST_SLACK;
    return {
      ...planPattern(arena, site, dense, groups.length > 1 && cols / groups.length <= this.#small),
      values: arena.tensor(`${name}.values`, [rows, room], "pattern", group && `values of ${group}`),
      offsets: arena.ints(`${name}.offsets`, [Math.ceil((rows * room) / 2)], "pattern", group && `offsets of ${group}`),
      starts: arena.ints(`${name}.starts`, [rows, Math.ceil(cols / TILE) + 1], "pattern"),
      tau: arena.tensor(`${name}.tau`, [groups.length], "pattern"),
      partials: arena.doubles(`${name}.partials`, [SWEEP_TASKS, groups.length, PART_COLUMNS], "pattern"),
      choice: planChoice(arena, site, dense.shape[0] as number),
      listing: new Listing(rows),
    };
  }

  planTN(): void {} // the threads' scratch memory serves any size

  pack(weight: Weight, rows?: RowSet): void {
    const { tensor, lookup } = weight as NativeWeight;
    const [N, K] = tensor.shape as [number, number];
    if (lookup) this.#call.transpose(N, K, tensor.ptr, lookup.columns.ptr);
    this.changed(weight as NativeWeight, rows);
  }

  protected override packRows(weight: NativeWeight, use: PanelUse, rows: RowSet): void {
    const { tensor, uses, nt } = weight;
    if (use !== "nt" || uses.nt !== "bf16") super.packRows(weight, use, rows);
    else this.#call.packPairRows(tensor.rowLength, tensor.ptr, (nt as Tensor).ptr, rows.list.ptr, rows.count);
  }

  protected packPanels({ tensor, uses, nt, nn }: NativeWeight, use: PanelUse): void {
    const [N, K] = tensor.shape as [number, number];
    if (use === "nn") this.#call.packPanels(N, K, tensor.ptr, (nn as Tensor).ptr);
    else if (uses.nt === "bf16") this.#call.packTransposedPairs(N, K, tensor.ptr, (nt as Tensor).ptr);
    else this.#call.packTransposedPanels(N, K, tensor.ptr, (nt as Tensor).ptr);
  }

  gemmNT(out: Tensor, outRow: number, a: Tensor, aRow: number, w: Weight, rows: number): void {
    const [N, K] = w.tensor.shape as [number, number];
    const ptr = this.panels(w, "nt");
    if (w.uses.nt === "bf16") this.#call.productPairs(rows, N, K, at(a, aRow, K), ptr, at(out, outRow, N));
    else this.#call.product(rows, N, K, at(a, aRow, K), ptr, at(out, outRow, N));
  }

  gemmNN(out: Tensor, outRow: number, g: Tensor, gRow: number, w: Weight, rows: number): void {
    const [N, K] = w.tensor.shape as [number, number];
    const ptr = this.panels(w, "nn");
    this.#call.product(rows, K, N, at(g, gRow, N), ptr, at(out, outRow, K));
  }

  gemmTN(out: Tensor, g: Tensor, gRow: number, x: Tensor, xRow: number, rows: number): void {
    const [N, K] = out.shape as [number, number];
    this.#call.productTN(rows, N, K, at(g, gRow, N), at(x, xRow, K), out.ptr);
  }

  lookup(out: Tensor, outRow: number, index: IntTensor, indexRow: number, w: Weight, rows: number): void {
    const [N, K] = w.tensor.shape as [number, number];
    const { columns } = planned((w as NativeWeight).lookup, w, "lookup");
    this.#call.gatherRows(at(out, outRow, N), columns.ptr, at(index, indexRow, 1), rows, N, K);
  }

  lookupGradient(
    out: Tensor,
    index: IntTensor,
    indexRow: number,
    g: Tensor,
    gRow: number,
    w: Weight,
    rows: number,
  ): void {
    const [N, K] = out.shape as [number, number];
    const { sums, touched } = planned((w as NativeWeight).lookup, w, "lookup");
    this.#call.lookupGradient(out.ptr, at(index, indexRow, 1), at(g, gRow, N), rows, N, K, sums.ptr, touched.ptr);
  }

  gather(out: Tensor, outRow: number, table: Tensor, index: IntTensor, indexRow: number, rows: number): void {
    const [V, E] = [table.shape[0] as number, table.rowLength];
    this.#call.gatherRows(at(out, outRow, E), table.ptr, at(index, indexRow, 1), rows, E, V);
  }

  scatterAdd(table: Tensor, index: IntTensor, indexRow: number, g: Tensor, gRow: number, rows: number): void {
    const [V, E] = [table.shape[0] as number, table.rowLength];
    this.#call.scatterRows(table.ptr, at(index, indexRow, 1), at(g, gRow, E), rows, E, V);
  }

  compress(pattern: Pattern, row: number, rows: number, rule: DropRule, statistics: SiteStatistics): void {
    const { listing } = pattern as NativePattern;
    const fits = listing.fits(pattern, row, rows);
    const wanted = fits && rule.kind !== "keep" ? LISTS : 0;
    const chosen = wanted ? chosenColumns(pattern, row, rows, rule) : undefined;
    const told = chosen ? CHOSEN : tell(pattern as NativePattern, rule, rows);
    const lists = pattern.small && !told?.form ? 0 : wanted;
    const form = lists ? (told?.form ?? 0) : 0;
    const choice = chosen ?? (pattern as NativePattern).choice;
    recallDropped(rule, pattern, row, rows);
    if (told) {
      this.#sweep(
        pattern as NativePattern,
        row,
        rows,
        rule,
        told.kind,
        statistics,
        BEFORE | AFTER | INDEX | lists | form,
        choice,
      );
    } else {
      this.#sweep(pattern as NativePattern, row, rows, rule, THRESHOLD, statistics, BEFORE, choice);
      applyRule(rule, pattern, row, rows);
      this.#sweep(pattern as NativePattern, row, rows, rule, THRESHOLD, statistics, AFTER | INDEX | lists, choice);
    }
    rememberDropped(rule, pattern, row, rows);
    if (fits) listing.mark(pattern, row, rows, form ? "columns" : lists ? "lists" : "none");
  }

  #sweep(
    pattern: NativePattern,
    row: number,
    rows: number,
    rule: DropRule,
    kind: number,
    sums: SiteStatistics,
    flags: number,
    choice: DoubleTensor,
  ): void {
    const { site, dense, firstRow, listFirst, bitmap, rowCounts, wordsPerRow, tau, partials } = pattern;
    const { values, offsets, starts } = pattern;
    this.#call.compress(
      at(dense, row, site.cols),
      rows,
      site.cols,
      site.groups.length,
      row - listFirst,
      firstRow + row,
      kind,
      tau.ptr,
      rule.key,
      sums.sums.ptr,
      sums.histogram.ptr,
      flags,
      at(bitmap, row, wordsPerRow),
      at(rowCounts, row, 1),
      values.ptr,
      offsets.ptr,
      at(starts, row - listFirst, starts.rowLength),
      partials.ptr,
      choice.ptr,
      rule.blocks?.ptr ?? 0,
    );
  }

  spmmNN(out: Tensor, outRow: number, pattern: Pattern, row: number, w: Weight, rows: number): number {
    const { dense, listFirst, rowCounts, starts, values, offsets, listing } = pattern as NativePattern;
    const [N, K] = w.tensor.shape as [number, number];
    const block = listing.columnBlocks(pattern, row, rows);
    if (block === 0 && this.#isFew(pattern, row, rows))
      return this.#call.fewProduct(
        rows,
        N,
        K,
        at(rowCounts, row, 1),
        at(starts, row - listFirst, starts.rowLength),
        values.ptr,
        offsets.ptr,
        w.tensor.ptr,
        at(out, outRow, K),
      );
    const ptr = this.panels(w, "nn");
    if (block > 0) {
      const first = at(starts, row - listFirst, starts.rowLength);
      const to = at(out, outRow, K);
      return this.#call.columnProduct(rows / block, block, N, K, first, values.ptr, offsets.ptr, ptr, to);
    }
    return this.#call.sparseProduct(
      rows,
      N,
      K,
      at(dense, row, N),
      at(rowCounts, row, 1),
      at(starts, row - listFirst, starts.rowLength),
      values.ptr,
      offsets.ptr,
      ptr,
      at(out, outRow, K),
      listing.fullShare(pattern, row, rows, this.#fullOf("nn", K)),
    );
  }

  spmmTN(out: Tensor, pattern: Pattern, row: number, x: Tensor, xRow: number, rows: number): number {
    const { dense, listFirst, rowCounts, starts, values, offsets, listing } = pattern as NativePattern;
    const [N, K] = out.shape as [number, number];
    const block = listing.columnBlocks(pattern, row, rows);
    if (block > 0) {
      const first = at(starts, row - listFirst, starts.rowLength);
      const from = at(x, xRow, K);
      return this.#call.columnProductTN(rows / block, block, N, K, first, values.ptr, offsets.ptr, from, out.ptr);
    }
    if (this.#isFew(pattern, row, rows))
      return this.#call.fewProductTN(
        rows,
        N,
        K,
        at(rowCounts, row, 1),
        at(starts, row - listFirst, starts.rowLength),
        values.ptr,
        offsets.ptr,
        at(x, xRow, K),
        out.ptr,
      );
    return this.#call.sparseProductTN(
      rows,
      N,
      K,
      at(dense, row, N),
      at(rowCounts, row, 1),
      at(starts, row - listFirst, starts.rowLength),
      values.ptr,
      offsets.ptr,
      at(x, xRow, K),
      out.ptr,
      listing.fullShare(pattern, row, rows, this.#fullOf("tn", K)),
    );
  }

  /** Whether hardly anything is left of rows that are listed. */
  #isFew(pattern: Pattern, row: number, rows: number): boolean {
    if (countRows(pattern, row, rows) > FEW * rows * pattern.site.cols) return false;
    return (pattern as NativePattern).listing.fullShare(pattern, row, rows, 0) === 0;
  }

  /** The share of FULL for a product with so many columns in its result. */
  #fullOf(product: "nn" | "tn", columns: number): number {
    return columns > NARROW ? this.#full[product] : this.#full.narrow;
  }
}

function panels(columns: number): number {
  return Math.ceil(columns / PANEL);
}
