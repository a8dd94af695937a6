/**
 * Where a step's time goes: every kernel of the engine is wrapped in a clock, and calls are summed
 * by what they work on. What no kernel accounts for (clearing buffers, copies, JavaScript around
 * the kernels) is the line "outside kernels".
 */
import { cells } from "../dist/nn/cells.js";
import { median, printTable } from "./numbers.mjs";
import { keptShare, loadEngine, makeFromRun, makeOurs } from "./ours.mjs";
import { gflop } from "./workloads.mjs";

/** Kernels that are planned or asked, not run. */
const NOT_TIMED = new Set(["constructor", "planWeight", "planPattern", "planTN", "planAttention"]);

export async function profile({
  workloadName,
  workload,
  engineName,
  policy,
  headPolicy,
  forward,
  threads,
  steps,
  apart,
}) {
  const clock = new Clock(threads);
  const engine = await loadEngine(engineName, threads);
  const timedEngine = {
    name: engine.name,
    isa: engine.isa,
    attach: (arena) => timed(engine.attach(arena), clock, apart),
  };
  const ours = workload.run
    ? await makeFromRun(timedEngine, workload.run, policy, { headPolicy })
    : makeOurs(timedEngine, workload, policy, { headPolicy, forward });

  const until = performance.now() + 1500;
  for (let i = 0; i < 10 || (performance.now() < until && i < 200); i++) ours.step();

  const samples = { step: [], forward: [], backward: [], update: [], kept: [] };
  const perStep = new Map();
  for (let i = 0; i < steps; i++) {
    clock.clear();
    const began = clock.now();
    const report = ours.step();
    samples.step.push(clock.now() - began);
    samples.forward.push(report.forwardMs);
    samples.backward.push(report.backwardMs);
    samples.update.push(report.updateMs);
    const kept = keptShare(ours.model);
    if (kept !== undefined) samples.kept.push(kept);
    for (const [key, { ms, calls }] of clock.entries) {
      if (calls === 0) continue; // a kernel of the first steps alone, before the policy had seen anything
      const entry = perStep.get(key) ?? { ms: [], calls };
      entry.ms.push(ms);
      entry.calls = calls;
      perStep.set(key, entry);
    }
  }

  const stepMs = median(samples.step);
  const rows = [...perStep]
    .map(([key, { ms, calls }]) => ({ key, calls, ms: median(ms), ...macsOf(ours.model, key) }))
    .sort((a, b) => b.ms - a.ms);
  const outside = stepMs - rows.reduce((sum, { ms }) => sum + ms, 0);
  rows.push({ key: "outside kernels", calls: 0, ms: outside });
  const common = { workload: workloadName, engine: engine.name, isa: engine.isa, threads, policy, headPolicy, forward };
  return {
    summary: {
      ...common,
      part: "step",
      ms: stepMs,
      forwardMs: median(samples.forward),
      backwardMs: median(samples.backward),
      updateMs: median(samples.update),
      density: samples.kept.length ? median(samples.kept) : null,
      gflops: gflop(workload) / (stepMs / 1000),
      steps,
    },
    parts: rows.map(({ key, calls, ms, dense, executed }) => ({
      ...common,
      part: key,
      calls,
      ms,
      share: ms / stepMs,
      gflopsDense: dense === undefined ? null : (2 * dense) / ms / 1e6,
      gflopsExecuted: executed === undefined ? null : (2 * executed) / ms / 1e6,
    })),
  };
}

export function printProfile({ summary, parts }) {
  const { workload, engine, isa, threads, policy, headPolicy, forward, density } = summary;
  const kept = density === null ? "" : `, kept ${(100 * density).toFixed(1)} %`;
  console.log(
    `${workload}, ${engine} (${isa}), ${threads} thread${threads === 1 ? "" : "s"}, ${policy}${kept}, head ${headPolicy}, forward ${forward}: medians of ${summary.steps} steps${threads > 1 ? "" : ", CPU time"}, clocks included\n`,
  );
  const figure = (value) => (value === null ? "" : value.toFixed(1));
  printTable(
    ["part", "calls", "ms", "share", "GFLOP/s dense-equivalent", "GFLOP/s executed"],
    parts.map((p) => [
      p.part,
      p.calls || "",
      p.ms.toFixed(3),
      `${(100 * p.share).toFixed(1)} %`,
      figure(p.gflopsDense),
      figure(p.gflopsExecuted),
    ]),
  );
  const { ms, forwardMs, backwardMs, updateMs, gflops } = summary;
  console.log(
    `\nstep ${ms.toFixed(2)} ms = forward ${forwardMs.toFixed(2)} + backward ${backwardMs.toFixed(2)} + update ${updateMs.toFixed(2)}; ${gflops.toFixed(1)} GFLOP/s dense-equivalent`,
  );
}

class Clock {
  entries = new Map();
  /** Milliseconds: on one thread of the processor's time, which leaves out what other processes took. */
  now;

  constructor(threads) {
    this.now = threads > 1 ? () => performance.now() : cpuMs;
  }

  /** Adds to the entry; entries stay between steps, so that a step allocates nothing here. */
  add(key, ms) {
    let entry = this.entries.get(key);
    if (!entry) {
      entry = { ms: 0, calls: 0 };
      this.entries.set(key, entry);
    }
    entry.ms += ms;
    entry.calls++;
  }

  clear() {
    for (const entry of this.entries.values()) entry.ms = entry.calls = 0;
  }
}

function cpuMs() {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/** The same kernels, each behind a clock. Properties that are no functions pass through. `apart`: no whole loops. */
function timed(kernels, clock, apart) {
  const wrapped = timedMethods(kernels, clock, "");
  wrapped.layers = timedMethods(kernels.layers, clock, "");
  if (kernels.live) wrapped.live = timedMethods(kernels.live, clock, "live ");
  for (const name of Object.keys(kernels)) if (!(name in wrapped)) wrapped[name] = kernels[name];
  wrapped.engine = kernels.engine;
  wrapped.cells = Object.fromEntries(
    Object.entries(cells).map(([cell, reference]) => [
      cell,
      timedDirections(kernels.cells[cell] ?? reference, "cell", (step) => step, clock),
    ]),
  );
  const loops = apart ? {} : (kernels.recurrent ?? {});
  wrapped.recurrent = Object.fromEntries(
    Object.entries(loops).map(([cell, kernel]) => [cell, timedDirections(kernel, "loop", ({ step }) => step, clock)]),
  );
  return wrapped;
}

function timedMethods(kernels, clock, kind) {
  const wrapped = {};
  for (const name of methodNames(kernels)) {
    const kernel = kernels[name];
    wrapped[name] = NOT_TIMED.has(name)
      ? kernel.bind(kernels)
      : (...args) => {
          const began = clock.now();
          const result = kernel.apply(kernels, args);
          clock.add(partOf(name, args, kind), clock.now() - began);
          return result;
        };
  }
  return wrapped;
}

/**
 * Of a cell (an engine without a kernel for it runs the cell's own reference) or of a whole time loop: hU and the
 * cell forward, the cell, compress and dh backward.
 */
function timedDirections(kernel, name, stepOf, clock) {
  const around = (direction) => (argument) => {
    const began = clock.now();
    const result = kernel[direction](argument);
    clock.add(`${layerOf(stepOf(argument).gates.name)} ${name} ${direction}`, clock.now() - began);
    return result;
  };
  return { forward: around("forward"), backward: around("backward") };
}

function methodNames(object) {
  const names = new Set();
  for (let at = object; at && at !== Object.prototype; at = Object.getPrototypeOf(at))
    for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(at)))
      if (typeof value === "function") names.add(name);
  return [...names];
}

/** A line of the profile: "layer product (kernel)" for products, "layer kernel" for the rest. */
function partOf(kernel, args, kind) {
  const names = args.map((arg) => arg?.tensor?.name ?? arg?.site?.name ?? arg?.name);
  const products = {
    gemmNT: ["xW", "hU"],
    gemmNN: ["dx", "dh"],
    spmmNN: ["dx", "dh"],
    gemmTN: ["dW", "dU"],
    spmmTN: ["dW", "dU"],
  };
  if (products[kernel]) {
    const weight = names.find((name) => /weight/.test(name ?? "")) ?? "?";
    const product = products[kernel][/weight_hh/.test(weight) ? 1 : 0];
    return `${layerOf(weight)} ${product} (${kind}${kernel})`;
  }
  const weight = names.find((name) => /weight|bias/.test(name ?? ""));
  const place = weight ?? names.find((name) => name !== undefined) ?? "";
  return `${layerOf(place)} ${kind}${kernel}`.trim();
}

/** "lstm.weight_hh_l1.gradient" and "lstm.l1.gates" to "lstm.l1"; "head.weight" to "head". */
function layerOf(name) {
  const parameter = /^(\w+)\.(?:weight|bias)_\w\w_(l\d+)/.exec(name);
  if (parameter) return `${parameter[1]}.${parameter[2]}`;
  return /^(\w+\.l\d+|\w+)/.exec(name)?.[1] ?? name;
}

function macsOf({ macs }, key) {
  const [, layer, product] = /^(\S+) (\w+) \(/.exec(key) ?? [];
  const found = macs.find((count) => count.layer === layer && count.product === product);
  return found ? { dense: found.dense, executed: found.executed } : {};
}
