/**
 * Engine `wasm`: one embedded WebAssembly module with 128-bit SIMD, bound to an arena's memory by an
 * instance of its own. The kernels stand in assembly/; this file plans their buffers and passes
 * addresses. Float32 only. What each kernel does and what was measured: docs/kernels.md.
 */
import type { Arena, DoubleTensor, IntTensor, Tensor } from "../core/arena.ts";
import { check } from "../core/check.ts";
import type { RowSet } from "../core/row-set.ts";
import { applyRule, recallDropped, rememberDropped } from "../sparse/apply.ts";
import { type Pattern, planPattern } from "../sparse/pattern.ts";
import type { DropRule } from "../sparse/rule.ts";
import type { Site } from "../sparse/site.ts";
import type { SiteStatistics } from "../sparse/statistics.ts";
import { checkBf16 } from "./bf16.ts";
import { AddressKernels, at, type PackedWeight, type PanelUse, planned } from "./by-address.ts";
import { AddressLayers } from "./by-address-layers.ts";
import { addressLive, type LiveCalls } from "./by-address-live.ts";
import { choosesLines, chosenColumns, KEEP, keepsColumns, kindOf, planChoice, setChoice } from "./choice.ts";
import type { CellKernel, Engine, Kernels, LayerKernels, LiveKernels, Weight, WeightUses } from "./kernels.ts";
import { Listing } from "./listing.ts";
import { wasmCells } from "./wasm-cells.ts";
import type { WasmExports } from "./wasm-exports.ts";
import { LIVE_COST, LIVE_ROWS, LiveRoom } from "./wasm-live.ts";
import { wasmModule } from "./wasm-module.generated.ts";
import { CONTROL_BYTES, loadTeam, type Team, type TeamPlace } from "./wasm-team.ts";

/**
 * Blocks of 256 rows with a larger share of nonzeros than this run dense. Measured with
 * `node lab/crossover.mjs`: the sparse products at this density take as long as the dense ones.
 */
const FULL = 0.65;

/** Sizes the module counts on; see assembly/gemm.ts and assembly/sparse.ts. */
const PANEL = 32; // columns of a panel
const TILE = 256; // rows and columns of a tile
const COLUMN_FLOATS = TILE * 2 + 16; // room for one column's list
const G_PANEL_FLOATS = TILE * PANEL;
const TILE_FLOATS = 32;

/**
 * Compiles the module once and returns the engine. Throws where there is no SIMD or shared memory, and
 * where more than one thread is asked for and none can be started.
 */
export async function loadWasmEngine(threads = 1): Promise<Engine> {
  compiling ??= WebAssembly.compile(decodeLetters(wasmModule));
  const module = await compiling;
  const team = threads > 1 ? await loadTeam(module, threads) : undefined;
  const engine: Engine = {
    name: "wasm",
    isa: "simd128",
    attach: (arena) => new WasmKernels(engine, module, team, arena),
  };
  return engine;
}

let compiling: Promise<WebAssembly.Module> | undefined;

/** The module's bytes from its letters: scripts/build-wasm.mjs. */
export function decodeLetters({ letters, order, text }: typeof wasmModule): Uint8Array<ArrayBuffer> {
  const n = letters.length - 2;
  const byRank = Uint8Array.from(order.match(/../g)!, (hex) => Number.parseInt(hex, 16));
  const places = new Uint8Array(128); // of a letter, by its code
  for (let at = 0; at < letters.length; at++) places[letters.charCodeAt(at)] = at;
  const bytes = new Uint8Array(text.length);
  let length = 0;
  for (let i = 0; i < text.length; i++) {
    const at = places[text.charCodeAt(i)]!;
    bytes[length++] = byRank[at < n ? at : (at - n + 1) * n + places[text.charCodeAt(++i)]!]!;
  }
  return bytes.slice(0, length);
}

interface WasmWeight extends PackedWeight {
  // nt: panels over N of w^T, [N / 32][K][32]
  // nn: panels over K of w, [K / 32][N][32]
  /** w^T (K, N), and what lookupGradient needs: sums (K, N) and touched (K), zero between calls. */
  readonly lookup: { columns: Tensor; sums: Tensor; touched: IntTensor } | undefined;
}

interface WasmPattern extends Pattern {
  /** Pairs (value, column * 128), row after row within one call of compress. (list rows, cols, 2) */
  readonly pairs: IntTensor;
  /** (list rows, tiles + 1) addresses: where each tile's piece of a row begins. */
  readonly starts: IntTensor;
  /** The rule's tau in float32, per group. */
  readonly tau: Tensor;
  /** What rules that draw or choose are told, and their room: choice.ts. */
  readonly choice: DoubleTensor;
  /** Rows whose pairs are of their last sweep: `keep` makes none. */
  readonly listing: Listing;
}

class WasmKernels extends AddressKernels implements Kernels {
  readonly engine: Engine;
  readonly cells: Readonly<Record<string, CellKernel>>;
  readonly layers: LayerKernels;
  readonly live: LiveKernels;
  readonly #liveRoom: LiveRoom;
  #liveCalls: LiveCalls | undefined;
  readonly #arena: Arena;
  readonly #tile: Tensor; // this and the next three: room for each thread
  readonly #team: Team | undefined;
  #place: TeamPlace | undefined;
  #call!: WasmExports;
  #gPanel: Tensor | undefined;
  #columns: Tensor | undefined;
  #cursors: IntTensor | undefined;
  /** TILE rows of the right factor of a TN product, in panels; grows while planning. */
  #xPanels: Tensor | undefined;

  constructor(engine: Engine, module: WebAssembly.Module, team: Team | undefined, arena: Arena) {
    super();
    check(
      arena.real === "f32",
      "engine wasm computes in float32, and this arena is float64. Use engine js for float64.",
    );
    this.engine = engine;
    this.#arena = arena;
    this.#team = team;
    this.#tile = arena.tensor("wasm.tile", [this.#threads, TILE_FLOATS], "workspace");
    const control = team ? arena.ints("wasm.control", [CONTROL_BYTES / 4], "workspace") : undefined;
    arena.whenAllocated((memory) => {
      const call = new WebAssembly.Instance(module, { env: { memory } }).exports as unknown as WasmExports;
      this.#call = call;
      this.calls = call;
      if (!team || !control) return;
      call.leadTeam(control.ptr, team.threads);
      this.#place = { memory, control: control.ptr, call };
      team.serve(this.#place);
    });
    this.layers = new AddressLayers(() => this.#call, arena, this.#threads, PANEL);
    this.#liveRoom = new LiveRoom(arena, this.#threads);
    this.live = addressLive(
      () => (this.#liveCalls ??= this.#liveRoom.calls(this.#call, (this.#gPanel as Tensor).ptr, this.#tile.ptr)),
      (w) => this.panels(w, "nt"),
      { leastRows: LIVE_ROWS, cost: LIVE_COST, full: () => FULL },
    );
    this.cells = wasmCells(
      () => this.#call,
      () => this.#tile.ptr,
    );
  }

  get #threads(): number {
    return this.#team?.threads ?? 1;
  }

  planWeight(tensor: Tensor, uses: WeightUses): WasmWeight {
    const arena = this.#arena;
    const [N, K] = tensor.shape as [number, number];
    const packed = (kind: string, shape: number[]) => arena.tensor(`${tensor.name}.${kind}`, shape, "packed");
    checkBf16(this.engine, uses, false, "engine native on a processor with AVX512-BF16");
    if (uses.live) this.#liveRoom.plan(uses.rows, K);
    return {
      tensor,
      uses,
      ...this.planPanels(arena, tensor, uses, { nt: [panels(N), K, PANEL], nn: [panels(K), N, PANEL] }),
      lookup: uses.lookup
        ? {
            columns: packed("columns", [K, N]),
            sums: arena.tensor(`${tensor.name}.sums`, [K, N], "workspace"),
            touched: arena.ints(`${tensor.name}.touched`, [K], "workspace"),
          }
        : undefined,
    };
  }

  planPattern(site: Site, dense: Tensor, rows = dense.shape[0] as number, group?: string): WasmPattern {
    const arena = this.#arena;
    this.#gPanel ??= arena.tensor("wasm.gPanel", [this.#threads, G_PANEL_FLOATS], "workspace");
    this.#columns ??= arena.tensor("wasm.columns", [this.#threads, TILE, COLUMN_FLOATS], "workspace");
    this.#cursors ??= arena.ints("wasm.cursors", [this.#threads, TILE], "workspace");
    return {
      ...planPattern(arena, site, dense),
      pairs: arena.ints(`${site.name}.pairs`, [rows, site.cols, 2], "pattern", group && `pairs of ${group}`),
      starts: arena.ints(`${site.name}.starts`, [rows, Math.ceil(site.cols / TILE) + 1], "pattern"),
      tau: arena.tensor(`${site.name}.tau`, [site.groups.length], "pattern"),
      choice: planChoice(arena, site, dense.shape[0] as number),
      listing: new Listing(rows),
    };
  }

  planTN(rows: number, _outRows: number, outCols: number): void {
    const arena = this.#arena;
    this.#liveRoom.planTN(rows, outCols);
    this.#gPanel ??= arena.tensor("wasm.gPanel", [this.#threads, G_PANEL_FLOATS], "workspace");
    const length = Math.min(rows, TILE) * panels(outCols) * PANEL;
    if (length > (this.#xPanels?.length ?? 0))
      this.#xPanels = arena.tensor(`wasm.xPanels.${length}`, [length], "workspace");
  }

  pack(weight: Weight, rows?: RowSet): void {
    const { tensor, lookup } = weight as WasmWeight;
    const [N, K] = tensor.shape as [number, number];
    if (this.#place) this.#team?.serve(this.#place);
    if (lookup) this.#call.transpose(N, K, tensor.ptr, K * 4, lookup.columns.ptr, N * 4);
    this.changed(weight as WasmWeight, rows);
  }

  protected packPanels({ tensor, nt, nn }: WasmWeight, use: PanelUse): void {
    const [N, K] = tensor.shape as [number, number];
    if (use === "nt") this.#call.packTransposedPanels(N, K, tensor.ptr, K * 4, (nt as Tensor).ptr);
    else this.#call.packPanels(N, K, tensor.ptr, K * 4, (nn as Tensor).ptr);
  }

  gemmNT(out: Tensor, outRow: number, a: Tensor, aRow: number, w: Weight, rows: number): void {
    const [N, K] = w.tensor.shape as [number, number];
    const ptr = this.panels(w, "nt");
    this.#product(rows, N, K, at(a, aRow, K), ptr, at(out, outRow, N));
  }

  gemmNN(out: Tensor, outRow: number, g: Tensor, gRow: number, w: Weight, rows: number): void {
    const [N, K] = w.tensor.shape as [number, number];
    const ptr = this.panels(w, "nn");
    this.#product(rows, K, N, at(g, gRow, N), ptr, at(out, outRow, K));
  }

  /** c (m, n) += a (m, k) b (k, n), b in panels. */
  #product(m: number, n: number, k: number, a: number, b: number, c: number): void {
    this.#call.product(m, n, k, a, k * 4, 4, b, k * PANEL * 4, c, n * 4, this.#tile.ptr);
  }

  gemmTN(out: Tensor, g: Tensor, gRow: number, x: Tensor, xRow: number, rows: number): void {
    const [N, K] = out.shape as [number, number];
    const xPanels = this.#panelsFor(rows, K);
    this.#call.productTN(
      rows,
      N,
      K,
      at(g, gRow, N),
      at(x, xRow, K),
      out.ptr,
      xPanels,
      (this.#gPanel as Tensor).ptr,
      this.#tile.ptr,
    );
  }

  lookup(out: Tensor, outRow: number, index: IntTensor, indexRow: number, w: Weight, rows: number): void {
    const [N] = w.tensor.shape as [number, number];
    const { columns } = planned((w as WasmWeight).lookup, w, "lookup");
    this.#call.gatherRows(at(out, outRow, N), columns.ptr, at(index, indexRow, 1), rows, N);
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
    const { sums, touched } = planned((w as WasmWeight).lookup, w, "lookup");
    this.#call.lookupGradient(out.ptr, at(index, indexRow, 1), at(g, gRow, N), rows, N, K, sums.ptr, touched.ptr);
  }

  gather(out: Tensor, outRow: number, table: Tensor, index: IntTensor, indexRow: number, rows: number): void {
    const E = table.rowLength;
    this.#call.gatherRows(at(out, outRow, E), table.ptr, at(index, indexRow, 1), rows, E);
  }

  scatterAdd(table: Tensor, index: IntTensor, indexRow: number, g: Tensor, gRow: number, rows: number): void {
    const E = table.rowLength;
    this.#call.scatterRows(table.ptr, at(index, indexRow, 1), at(g, gRow, E), rows, E);
  }

  compress(pattern: Pattern, row: number, rows: number, rule: DropRule, statistics: SiteStatistics): void {
    const { site, dense, firstRow, listFirst, bitmap, rowCounts, wordsPerRow } = pattern;
    const { pairs, starts, tau, choice, listing } = pattern as WasmPattern;
    const { cols, groups } = site;
    const { key } = rule;
    const g = at(dense, row, cols);
    const kind = kindOf(rule, site);
    for (let group = 0; group < groups.length; group++) tau.data[group] = rule.tau[group] as number;
    setChoice(choice, rule, site, rows);
    const sweep = (by: number, before: boolean, after: boolean) =>
      this.#call.compressSweep(
        g,
        rows,
        cols,
        groups.length,
        firstRow + row,
        by,
        tau.ptr,
        key,
        statistics.sums.ptr,
        statistics.histogram.ptr,
        before,
        after,
        choice.ptr,
        rule.blocks?.ptr ?? 0,
        (this.#columns as Tensor).ptr,
      );
    recallDropped(rule, pattern, row, rows);
    if (kind !== undefined) {
      if (choosesLines(kind)) this.#call.chooseLines(g, rows, cols, firstRow + row, kind, key, choice.ptr);
      sweep(kind, true, true);
    } else {
      sweep(KEEP, true, false);
      applyRule(rule, pattern, row, rows);
      sweep(KEEP, false, true);
    }
    rememberDropped(rule, pattern, row, rows);
    const fits = listing.fits(pattern, row, rows);
    const chosen = chosenColumns(pattern, row, rows, rule);
    const columns = keepsColumns(kind) || chosen !== undefined;
    const form = !fits || rule.kind === "keep" ? "none" : columns ? "columns" : "lists";
    if (fits) listing.mark(pattern, row, rows, form);
    const first = at(starts, row - listFirst, starts.rowLength);
    this.#call.compressIndex(
      g,
      rows,
      cols,
      at(bitmap, row, wordsPerRow),
      at(rowCounts, row, 1),
      form === "lists",
      at(pairs, row - listFirst, cols * 2),
      first,
    );
    if (form === "columns")
      this.#call.columnForm(g, rows, cols, (chosen ?? choice).ptr, at(pairs, row - listFirst, cols * 2), first);
  }

  spmmNN(out: Tensor, outRow: number, pattern: Pattern, row: number, w: Weight, rows: number): number {
    const { dense, listFirst, rowCounts, starts, listing } = pattern as WasmPattern;
    const [N, K] = w.tensor.shape as [number, number];
    const ptr = this.panels(w, "nn");
    const block = listing.columnBlocks(pattern, row, rows);
    if (block > 0)
      return this.#call.columnProduct(
        rows / block,
        block,
        N,
        K,
        at(starts, row - listFirst, starts.rowLength),
        ptr,
        at(out, outRow, K),
        (this.#gPanel as Tensor).ptr,
        this.#tile.ptr,
      );
    return this.#call.sparseProduct(
      rows,
      N,
      K,
      at(dense, row, N),
      at(rowCounts, row, 1),
      at(starts, row - listFirst, starts.rowLength),
      ptr,
      at(out, outRow, K),
      listing.fullShare(pattern, row, rows, FULL),
      this.#tile.ptr,
    );
  }

  spmmTN(out: Tensor, pattern: Pattern, row: number, x: Tensor, xRow: number, rows: number): number {
    const { dense, listFirst, rowCounts, starts, listing } = pattern as WasmPattern;
    const [N, K] = out.shape as [number, number];
    const block = listing.columnBlocks(pattern, row, rows);
    if (block > 0)
      return this.#call.columnProductTN(
        rows / block,
        block,
        N,
        K,
        at(starts, row - listFirst, starts.rowLength),
        at(x, xRow, K),
        out.ptr,
        this.#panelsFor(rows, K),
        (this.#gPanel as Tensor).ptr,
        this.#tile.ptr,
      );
    return this.#call.sparseProductTN(
      rows,
      N,
      K,
      at(dense, row, N),
      at(rowCounts, row, 1),
      at(starts, row - listFirst, starts.rowLength),
      at(x, xRow, K),
      out.ptr,
      listing.fullShare(pattern, row, rows, FULL),
      this.#panelsFor(rows, K),
      (this.#columns as Tensor).ptr,
      (this.#cursors as IntTensor).ptr,
      (this.#gPanel as Tensor).ptr,
      this.#tile.ptr,
    );
  }

  /** Address of the planned panels for a TN product over `rows` rows of width K. */
  #panelsFor(rows: number, K: number): number {
    const needed = Math.min(rows, TILE) * panels(K) * PANEL;
    if (!this.#xPanels || needed > this.#xPanels.length)
      throw new Error(`a TN product of ${rows} rows and ${K} columns was not planned: call planTN before allocation`);
    return this.#xPanels.ptr;
  }
}

function panels(columns: number): number {
  return Math.ceil(columns / PANEL);
}
