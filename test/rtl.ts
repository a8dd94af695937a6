/** The hardware in rtl/ under Verilator: built once per configuration and content, then run over words from a file. */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Scan } from "../src/energy/lane-rows.ts";
import { type LaneConfig, type LaneRows, scanBlock, scanOf } from "../src/energy/lane-rows.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const rtl = join(root, "rtl");

export const hasVerilator = spawnSync("verilator", ["--version"]).status === 0;
export const hasYosys = spawnSync("yosys", ["-V"]).status === 0;

/** What is built: the machine, multipliers of a lane, and whether it has the rule "stochastic". */
export interface Build {
  readonly config: LaneConfig;
  readonly multipliers: number;
  readonly stochastic: boolean;
}

/** Bits of the hardware's numbers: rows of the other operand, rows of results, cycles of an element. */
const [OPERAND, RESULT, COST] = [13, 10, 8];
export const EVENTS = ["accepted", "packed", "sent", "take", "busy", "bitmap", "begins"] as const;

/** The program for a build, made where it is not there: in build/rtl, by the hash of all that goes into it. */
export function buildSieve({ config, multipliers, stochastic }: Build): string {
  const { width, fifo, ports, lanes, queue } = config;
  const sizes = { W: width, DEPTH: fifo, P: ports, L: lanes, D: queue, M: multipliers };
  const bits = { OPERAND, RESULT, COST };
  const parameters = Object.entries({ ...sizes, ...bits, STOCHASTIC: stochastic ? 1 : 0 }).map(
    ([k, v]) => `-G${k}=${v}`,
  );
  const defines = Object.entries({ W: width, L: lanes, M: multipliers, ...bits }).map(([k, v]) => `-DBENCH_${k}=${v}`);
  return verilate("sieve", [...parameters, "-CFLAGS", defines.join(" ")]);
}

/** The exhaustive check of the compaction network. */
export const buildPack = (): string => verilate("pack", []);

function verilate(top: string, more: readonly string[]): string {
  const sources = readdirSync(rtl)
    .filter((name) => name.endsWith(".sv"))
    .map((name) => join(rtl, name));
  const bench = join(rtl, "test", `${top}_bench.cpp`);
  const flags = [
    ...[
      "--cc",
      "--exe",
      "--build",
      "--build-jobs",
      "2",
      "-Wall",
      "-Wno-DECLFILENAME",
      "-Wno-UNUSEDSIGNAL",
      "-Wno-CMPCONST",
    ],
    ...["--x-assign", "fast", "-MAKEFLAGS", "OPT_FAST=-O0 OPT_SLOW=-O0 OPT_GLOBAL=-O0", "--top-module", top, ...more],
  ];
  const hash = createHash("sha256").update(flags.join("\n"));
  for (const file of [...sources, bench]) hash.update(readFileSync(file));
  const folder = join(root, "build", "rtl", hash.digest("hex").slice(0, 16));
  const program = join(folder, `V${top}`);
  if (existsSync(program)) return program;
  const making = `${folder}.${process.pid}`;
  mkdirSync(making, { recursive: true });
  const { status, stdout, stderr } = spawnSync("verilator", [...flags, "-Mdir", making, ...sources, bench], {
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(`verilator refuses ${top}:\n${stderr}\n${stdout}`.slice(0, 4000));
  rmSync(folder, { recursive: true, force: true });
  renameSync(making, folder);
  return program;
}

/** What the unit is given: gradients, (rows, cols), and how they are pruned. */
export interface Work {
  readonly rows: LaneRows;
  readonly values: Float32Array;
  /** Per group. */
  readonly tau: Float32Array;
  /** Key of the rule "stochastic"; undefined: "threshold". */
  readonly key?: number;
  readonly cost: number;
  /** The other operand, (operand rows, cost * M), and what results begin with, (result rows, cost * M). */
  readonly operands: Float32Array;
  readonly initial: Float32Array;
}

/** What happened: EVENTS of every cycle; the results at the end of each block, one after the other. */
export interface Happened {
  readonly events: Uint32Array;
  readonly results: Uint32Array;
  readonly blocks: number;
}

export function runSieve(program: string, { config, multipliers }: Build, work: Work): Happened {
  const folder = mkdtempSync(join(tmpdir(), "gatesieve-rtl-"));
  try {
    writeFileSync(join(folder, "in"), words(config, multipliers, work));
    const { status, signal } = spawnSync(program, [join(folder, "in"), join(folder, "out")]);
    if (status !== 0) throw new Error(`the simulation ended with ${status ?? signal}`);
    const bytes = readFileSync(join(folder, "out"));
    const out = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
    const blocks = out[out.length - 1] as number;
    const size = blocks * work.initial.length;
    const end = out.length - 1 - size;
    return { events: out.slice(0, end - 1), results: out.slice(end, end + size), blocks };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** All words in the unit's order, block after block: `visit(scan, word, first row of its block, last of its block)`. */
export function eachWord(
  config: LaneConfig,
  rows: LaneRows,
  visit: (scan: Scan, k: number, first: number, last: boolean) => void,
): void {
  const scan = scanOf(config, rows);
  for (let block = Math.ceil(rows.rows / rows.block) - 1; block >= 0; block--) {
    const first = block * rows.block;
    scanBlock(scan, config, rows, first, Math.min(rows.block, rows.rows - first));
    for (let k = 0; k < scan.length; k++) visit(scan, k, first, k === scan.length - 1);
  }
}

const GOLDEN = 0x9e3779b9; // of counterHash, src/core/random.ts

function words(config: LaneConfig, multipliers: number, work: Work): Uint8Array {
  const { rows, values, tau, key, cost, operands, initial } = work;
  const { width, owner, lanes } = config;
  const N = cost * multipliers;
  const out: number[] = [];
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const tauBits = new Uint32Array(tau.buffer, tau.byteOffset, tau.length);
  const inGroup = rows.cols / rows.groups;
  const byRow = owner === "row";
  let count = 0;
  eachWord(config, rows, (scan, k, first, last) => {
    const row = scan.row[k] as number;
    const col = scan.col[k] as number;
    const group = Math.floor(col / inGroup);
    // What lies in the word: rows of one strip and block, or columns of one group.
    const strip = Math.max(lanes, width);
    const end = byRow
      ? Math.min(first + (Math.floor((row - first) / strip) + 1) * strip, first + rows.block, rows.rows) - row
      : (group + 1) * inGroup - col;
    for (let i = 0; i < width; i++)
      out.push(i >= end ? 0 : (bits[(row + (byRow ? i : 0)) * rows.cols + col + (byRow ? 0 : i)] as number));
    out.push(tauBits[group] as number, byRow ? col : row, byRow ? row - first : col, last ? 1 : 0);
    out.push((Math.imul(row * rows.cols + col, GOLDEN) + (key ?? 0)) >>> 0);
    out.push(Math.imul(byRow ? rows.cols : 1, GOLDEN) >>> 0);
    count++;
  });
  const head = [cost, operands.length / N, initial.length / N, count, key === undefined ? 0 : 1];
  const all = new Uint32Array(head.length + operands.length + initial.length + out.length);
  all.set(head);
  all.set(new Uint32Array(operands.buffer, operands.byteOffset, operands.length), head.length);
  all.set(new Uint32Array(initial.buffer, initial.byteOffset, initial.length), head.length + operands.length);
  all.set(out, head.length + operands.length + initial.length);
  return new Uint8Array(all.buffer);
}
