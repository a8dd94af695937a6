/** What every experiment shares: compiling AssemblyScript text, one shared memory, medians. */
import { fileURLToPath } from "node:url";
import asc from "assemblyscript/asc";
import { createLogger, runnerImport } from "vite";
import { ASC_FLAGS } from "../scripts/build-wasm.mjs";

/** Compiles source text; returns the instance's exports and the memory. */
export async function compile(source, pages = 1024) {
  const { error, stderr, binary } = await build(source);
  if (error) throw new Error(`${error.message}\n${stderr}`);
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  const module = await WebAssembly.compile(binary);
  const instance = new WebAssembly.Instance(module, { env: { memory } });
  return { ...instance.exports, memory, bytes: binary.length };
}

async function build(source) {
  let binary;
  const result = await asc.main(["input.ts", "--outFile", "output.wasm", ...ASC_FLAGS], {
    readFile: (name) => (name === "input.ts" ? source : null),
    writeFile: (name, contents) => {
      if (name === "output.wasm") binary = contents;
    },
    listFiles: () => [],
  });
  return { error: result.error, stderr: result.stderr.toString(), binary };
}

/** A TypeScript module of the project, transformed on the fly; Node 20 cannot read types. */
export async function source(path) {
  const root = fileURLToPath(new URL("..", import.meta.url));
  const { module } = await runnerImport(`${root}${path}`, {
    root,
    configFile: false,
    customLogger: createLogger("silent"),
  });
  return module;
}

/** The built module over a memory of its own: its functions, and the memory as floats and integers. */
export async function kernels(pages = 2048) {
  const { wasmModuleHex } = await source("src/kernels/wasm-module.generated.ts");
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  const { instance } = await WebAssembly.instantiate(Buffer.from(wasmModuleHex, "hex"), { env: { memory } });
  return { call: instance.exports, floats: new Float32Array(memory.buffer), ints: new Uint32Array(memory.buffer) };
}

/** Lays out arrays one after the other: `take(length)` gives the index of the next one. */
export function layout() {
  let next = 1024;
  return (length) => {
    const start = next;
    next = (start + length + 31) & ~15;
    return start;
  };
}

/**
 * Milliseconds of processor time this process has used: on a shared machine a long call loses its
 * core now and then, which is no property of a kernel.
 */
export function cpuMs() {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/** Median milliseconds of processor time of `run`, over at least `repeats` runs after a warm-up. */
export function median(run, repeats = 31, warmUp = 30) {
  for (let i = 0; i < warmUp; i++) run();
  const times = [];
  for (let i = 0; i < repeats; i++) {
    const start = cpuMs();
    run();
    times.push(cpuMs() - start);
  }
  times.sort((a, b) => a - b);
  return times[times.length >> 1];
}

/** Deterministic numbers in (-1, 1). */
export function fillRandom(array, seed = 1) {
  let x = seed >>> 0;
  for (let i = 0; i < array.length; i++) {
    x = (Math.imul(x, 1664525) + 1013904223) >>> 0;
    array[i] = x / 2 ** 31 - 1;
  }
  return array;
}
