/** This program and the machine it runs on, as far as Node can tell. */
import { readFileSync } from "node:fs";
import { cpus } from "node:os";

export function cpuModel(): string {
  return cpus()[0]?.model.trim() ?? "unknown CPU";
}

/** Extensions of the CPU that matter here; only Linux tells Node. Undefined elsewhere. */
export function cpuFeatures(): string[] | undefined {
  const interesting = ["sse4_2", "avx", "avx2", "fma", "avx512f", "avx512_bf16", "asimd", "sve"];
  try {
    const [, flags = ""] = /^(?:flags|Features)\s*:(.*)$/m.exec(readFileSync("/proc/cpuinfo", "utf8")) ?? [];
    const found = new Set(flags.trim().split(/\s+/));
    return interesting.filter((name) => found.has(name));
  } catch {
    return undefined;
  }
}

/** What this Node's WebAssembly can do, tried by validating a module of a few bytes for each. */
export function wasmFeatures(): Record<string, boolean> {
  // One function of type () -> v128, and what stands in its body.
  const simd = (...body: number[]) => {
    const code = [0, ...body, 0x0b]; // no locals
    return [1, 5, 1, 0x60, 0, 1, 0x7b, 3, 2, 1, 0, 10, code.length + 2, 1, code.length, ...code];
  };
  const modules = {
    simd128: simd(0x41, 0, 0xfd, 15), // i32.const 0, i8x16.splat
    relaxedSimd: simd(0x41, 0, 0xfd, 15, 0x41, 0, 0xfd, 15, 0xfd, 0x80, 2), // i8x16.relaxed_swizzle
    sharedMemory: [5, 4, 1, 3, 1, 1], // a shared memory of one page
  };
  const validates = (sections: readonly number[]) =>
    WebAssembly.validate(new Uint8Array([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, ...sections]));
  return Object.fromEntries(Object.entries(modules).map(([name, sections]) => [name, validates(sections)]));
}
