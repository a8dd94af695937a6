/**
 * Finds and loads the native addon, and registers engine `native`.
 *
 * GATESIEVE_ISA forces an instruction set: avx512, avx2 or plain on x86-64, neon on arm64.
 */
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { choose, GatesieveError } from "../core/check.ts";
import { registerEngine } from "../kernels/engines.ts";
import type { Engine } from "../kernels/kernels.ts";
import { nativeEngine } from "../kernels/native.ts";
import type { NativeAddon } from "../kernels/native-calls.ts";

/** Where the build puts the addon for this platform; the same from src/ and from dist/. */
export function nativeAddonPath(): string {
  return fileURLToPath(new URL(`../../build/native/${process.platform}-${process.arch}.node`, import.meta.url));
}

/** Whether an addon for this platform has been built. */
export function hasNativeAddon(): boolean {
  return existsSync(nativeAddonPath());
}

/** Loads the addon. Throws where none was built for this platform, or where it does not load. */
export function loadNativeAddon(): NativeAddon {
  if (!hasNativeAddon())
    throw new GatesieveError(
      `there is no native engine for ${process.platform}-${process.arch} here. Build it with: node scripts/build-native.mjs`,
    );
  return createRequire(import.meta.url)(nativeAddonPath()) as NativeAddon;
}

/** Engine `native` on `threads` threads, with the best instruction set of the processor or the one asked for. */
export async function loadNativeEngine(threads = 1, isa = process.env.GATESIEVE_ISA): Promise<Engine> {
  const addon = loadNativeAddon();
  if (!isa) return nativeEngine(addon, threads);
  const table = Object.fromEntries(addon.isas().map((name) => [name, name]));
  return nativeEngine(addon, threads, choose("instruction set", isa, table));
}

registerEngine("native", loadNativeEngine);
