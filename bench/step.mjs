/**
 * Full training steps, ours and peers', in one run: every policy and every peer is a process of its
 * own (clean peak RSS, clean JIT), warm before the first round, and the rounds go A B C A B C, one
 * process at work at a time, so that a drift of the machine hits all alike.
 */
import { spawn, spawnSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { formatTable, median } from "./numbers.mjs";
import { gflop } from "./workloads.mjs";

const ROUNDS = 7;
/** A tool that needs longer for all its steps does fewer, at least MIN_STEPS; `steps` in the row tells. */
const PATIENCE_MS = 90_000;
const MIN_STEPS = 3;
const WARM = { warmSteps: 10, warmMs: 1500 };
const WARM_SLOW = { warmSteps: 3, warmMs: 2000 };

export const PYTHON = "/usr/bin/python3";
/** Without these PyTorch is 2 to 7 times slower: it gives its memory back and faults it in at every step. */
const PYTORCH_ENVIRONMENT = {
  MALLOC_MMAP_MAX_: "0",
  MALLOC_TRIM_THRESHOLD_: "17179869184",
  MALLOC_TOP_PAD_: "268435456",
};

export function pytorchEnvironment(threads) {
  const { OPENBLAS_CORETYPE: _, OPENBLAS_L2_SIZE: __, ...environment } = process.env;
  return { ...environment, ...PYTORCH_ENVIRONMENT, OMP_NUM_THREADS: String(threads) };
}

/**
 * More than any machine can do, per thread: multiply-adds a cycle x 2 x a clock nobody has. wasm has
 * two 128-bit multiply pipes at most beside the adds; native two 512-bit FMA pipes.
 */
const PEAK_GFLOPS = { simd: 16 * 6, native: 64 * 6 };

export class BenchError extends Error {
  exitCode = 1;
}

/**
 * Rows of one workload, in the order ours, peers. Ours: every policy with every instruction set of
 * `isas` (engine native; undefined is the best), every number of threads, settings of recompute and forward, and every
 * variant: fields of the workload to take in place of its own, `net` (settings of the model) or `run` (a trained one).
 */
export async function stepRows(options) {
  const { workloadName, workload, engine, policies, headPolicy, peers, steps, note } = options;
  const { threadCounts = [1], isas = [undefined], recomputes = [0], forwards = ["f32"], variants = [{}] } = options;
  const each = (list, make) => list.flatMap(make);
  const ours = each(policies, (policy) =>
    each(isas, (isa) =>
      each(threadCounts, (threads) =>
        each(recomputes, (recompute) =>
          each(forwards, (forward) =>
            each(variants, (variant) => ({
              tool: "gatesieve",
              policy,
              headPolicy: policy === "dense" ? "dense" : headPolicy,
              isa,
              threads,
              recompute,
              forward,
              variant,
            })),
          ),
        ),
      ),
    ),
  );
  const theirs = [
    ...(peers.includes("js") && !workload.cell && !workload.bidirectional && !workload.source && !workload.net
      ? [
          { tool: "tfjs", threads: 1 },
          { tool: "jax-js", threads: 1 },
        ]
      : []),
    ...(peers.includes("pytorch") && !workload.source && workload.cell !== "mingru"
      ? each(threadCounts, (threads) => [
          { tool: "pytorch", mkldnn: true, threads },
          { tool: "pytorch", mkldnn: false, threads },
        ])
      : []),
  ];
  const tools = [...ours, ...theirs];
  const runners = [];
  try {
    for (const tool of tools) {
      const own = { ...workload, ...tool.variant };
      const runner = await Runner.start(tool, own, { engine, steps, seed: 1 });
      if (runner.identity.skipped) note(`${tool.tool}: left out of ${workloadName}: ${runner.identity.skipped}`);
      else runners.push(runner);
    }
    for (let round = 0; round < ROUNDS; round++) for (const runner of runners) await runner.round(round);
    const rows = runners.map((runner) => rowOf(runner, { workloadName, workload }));
    for (const row of rows) refuseImpossible(row);
    remark(rows, note);
    return bestOfPyTorch(rows, note);
  } finally {
    for (const runner of runners) runner.end();
  }
}

class Runner {
  samples = [];
  rssMiB = 0;

  static async start(tool, workload, options) {
    const runner = new Runner();
    runner.tool = tool;
    runner.spawn(workload, { ...options, ...tool, ...(tool.tool === "gatesieve" ? WARM : WARM_SLOW) });
    runner.identity = await runner.answer();
    const affordable = Math.floor(PATIENCE_MS / runner.identity.warmMs);
    runner.steps = Math.min(options.steps, Math.max(MIN_STEPS, affordable));
    return runner;
  }

  spawn(workload, options) {
    const args = [JSON.stringify(workload), JSON.stringify(options)];
    const file = (name) => fileURLToPath(new URL(name, import.meta.url));
    const python = options.tool === "pytorch";
    this.process = python
      ? spawn(PYTHON, [file("peers/step.py"), ...args], {
          stdio: ["pipe", "pipe", "inherit"],
          env: pytorchEnvironment(options.threads),
        })
      : spawn(process.execPath, [file("worker.mjs"), options.tool, ...args], {
          stdio: ["pipe", "pipe", "pipe"],
          env: options.isa ? { ...process.env, GATESIEVE_ISA: options.isa } : process.env,
        });
    this.complaints = "";
    this.process.stderr?.on("data", (text) => {
      this.complaints += text;
    });
    this.process.stdin.on("error", () => {}); // a dead child is reported by answer()
    this.lines = createInterface({ input: this.process.stdout })[Symbol.asyncIterator]();
  }

  async answer() {
    const { value, done } = await this.lines.next();
    if (!done) return JSON.parse(value);
    const last = this.complaints.trimEnd().split("\n").slice(-8).join("\n");
    throw new BenchError(`${this.tool.tool} ${this.tool.policy ?? ""} ended early.\n${last}`);
  }

  /** The share of this round: all rounds together make `steps`. */
  async round(round) {
    const share = Math.floor(((round + 1) * this.steps) / ROUNDS) - Math.floor((round * this.steps) / ROUNDS);
    if (share === 0) return;
    this.process.stdin.write(`${JSON.stringify({ steps: share })}\n`);
    const { samples, loss, rssMiB } = await this.answer();
    if (!Number.isFinite(loss)) throw new BenchError(`${this.tool.tool}: the loss is ${loss}; its time means nothing.`);
    this.samples.push(...samples);
    this.rssMiB = rssMiB;
  }

  end() {
    this.process.kill();
  }
}

function rowOf({ tool, identity, samples, rssMiB }, { workloadName, workload }) {
  const of = (key) => (samples[0][key] == null ? null : median(samples.map((sample) => sample[key])));
  const msMedian = of("ms");
  return {
    workload: workloadName,
    tool: identity.tool,
    version: identity.version,
    engine: identity.engine,
    isa: identity.isa,
    policy: tool.policy ?? null,
    headPolicy: tool.headPolicy ?? null,
    density: tool.policy ? of("density") : null,
    recompute: tool.recompute ?? null,
    forward: tool.forward ?? null,
    net: tool.variant?.net ?? null,
    threads: identity.threads,
    msMedian,
    msMin: Math.min(...samples.map(({ ms }) => ms)),
    rssMiB,
    date: new Date().toISOString().slice(0, 10),
    steps: samples.length,
    cpuMs: of("cpuMs"),
    forwardMs: of("forwardMs"),
    backwardMs: of("backwardMs"),
    updateMs: of("updateMs"),
    arenaMiB: identity.arenaMiB ?? null,
    memory: identity.memory ?? null,
    gflopDense: gflop(workload),
    gflops: gflop(workload) / (msMedian / 1000),
    gflopsExecuted: of("gflopExecuted") === null ? null : of("gflopExecuted") / (msMedian / 1000),
    node: identity.tool === "pytorch" ? null : process.version,
  };
}

/** A figure above the machine's peak is a mistake of the benchmark, not a success. */
export function refuseImpossible(row) {
  const peak = PEAK_GFLOPS[row.tool === "pytorch" || row.engine === "native" ? "native" : "simd"] * row.threads;
  const done = row.gflopsExecuted ?? row.gflops;
  if (!(done <= peak))
    throw new BenchError(
      `${row.workload} ${row.tool} ${row.policy ?? ""}: ${done.toFixed(0)} GFLOP/s executed is above the peak of any machine ` +
        `(${peak} for ${row.threads} thread): the benchmark does not do the work it counts.`,
    );
}

/** What a reader of the figures must know. */
function remark(rows, note) {
  const disturbed = rows.filter(({ threads, msMedian, cpuMs }) => threads === 1 && msMedian > 1.1 * cpuMs);
  if (disturbed.length > 0)
    note(
      `the machine was busy: ${disturbed.length} of ${rows.length} medians are over 1.1 times their CPU time (cpuMs). Repeat on an idle one.`,
    );
  if (rows.some(({ engine }) => engine.startsWith("reference-blas")))
    note(
      "pytorch multiplies with the reference BLAS here, ten times slower than it can: apt install libopenblas0-openmp.",
    );
}

/** With oneDNN or without, whichever was faster, for each number of threads. */
function bestOfPyTorch(rows, note) {
  const theirs = rows.filter(({ tool }) => tool === "pytorch").sort((a, b) => a.msMedian - b.msMedian);
  const best = [...new Set(theirs.map(({ threads }) => threads))]
    .sort((a, b) => a - b)
    .map((count) => {
      const [fast, slow] = theirs.filter(({ threads }) => threads === count);
      const figures = `${fast.engine} ${fast.msMedian.toFixed(1)} ms, ${slow.engine} ${slow.msMedian.toFixed(1)} ms`;
      note(`${fast.workload}, pytorch, ${threadsText(count)}: ${figures}; the faster one is reported.`);
      return fast;
    });
  return [...rows.filter(({ tool }) => tool !== "pytorch"), ...best];
}

export function threadsText(count) {
  return `${count} thread${count === 1 ? "" : "s"}`;
}

/** Which of the wanted peers can run here; installs those of JavaScript once. */
export function preparePeers(wanted, note) {
  const { js, pytorch } = { none: {}, js: { js: true }, pytorch: { pytorch: true }, all: { js: true, pytorch: true } }[
    wanted
  ];
  const peers = [];
  if (js) {
    installPeers(note);
    peers.push("js");
  }
  if (pytorch) {
    const found = spawnSync(PYTHON, ["-c", "import torch"], { stdio: "ignore" });
    if (found.status === 0) peers.push("pytorch");
    else note(`pytorch: skipped, ${PYTHON} cannot import torch (Debian and Ubuntu: apt install python3-torch).`);
  }
  return peers;
}

function installPeers(note) {
  const directory = fileURLToPath(new URL("peers/", import.meta.url));
  const stamp = `${directory}node_modules/.gatesieve-lock`;
  const lock = readFileSync(`${directory}package-lock.json`, "utf8");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === lock) return;
  note("installing the JavaScript peers into bench/peers (npm ci, about 300 MB)");
  const { status, stderr, error } = spawnSync("npm", ["ci", "--no-audit", "--no-fund", "--ignore-scripts"], {
    cwd: directory,
    encoding: "utf8",
    shell: process.platform === "win32",
  });
  if (status !== 0)
    throw new BenchError(`npm ci in bench/peers failed: ${(stderr || error?.message || "").trim().split("\n").at(-1)}`);
  writeFileSync(stamp, lock);
}

export function formatStepTable(rows) {
  const dense = rows.find(({ tool, policy }) => tool === "gatesieve" && policy === "dense"); // f32 where there is both
  const peers = rows.filter(({ tool }) => tool !== "gatesieve");
  const several = (key) => new Set(rows.map((row) => row[key])).size > 1;
  const times = (a, b) => (b ? `${(a.msMedian / b.msMedian).toFixed(2)}x` : "");
  const figure = (value, digits = 1) => (value === null ? "" : value.toFixed(digits));
  return formatTable(
    [
      "tool",
      "policy",
      ...(several("threads") ? ["threads"] : []),
      ...(several("forward") ? ["products"] : []),
      "kept",
      "ms",
      "min",
      "forward",
      "backward",
      "update",
      "GFLOP/s",
      "CPU ms",
      "MiB",
      "vs dense",
      ...peers.map(({ tool }) => `vs ${tool}`),
    ],
    rows.map((row) => [
      `${row.tool} ${row.version}, ${row.engine}${row.engine === "native" ? ` ${row.isa}` : ""}`,
      row.policy ?? "",
      ...(several("threads") ? [row.threads] : []),
      ...(several("forward") ? [row.forward ?? ""] : []),
      row.density === null ? "" : `${(100 * row.density).toFixed(1)} %`,
      figure(row.msMedian, 2),
      figure(row.msMin, 2),
      figure(row.forwardMs),
      figure(row.backwardMs),
      figure(row.updateMs),
      figure(row.gflops),
      figure(row.cpuMs),
      row.rssMiB.toFixed(0),
      dense ? times(dense, row) : "",
      ...peers.map((peer) => times(peer, row)),
    ]),
  );
}
