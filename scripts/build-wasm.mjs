/**
 * Compiles assembly/ with AssemblyScript and writes the module as text to src/kernels/wasm-module.generated.ts: no file to
 * find at run time, on Node or in a page. In hexadecimal: gzip finds the repeated instructions, which base64 hides from it.
 *
 *   node scripts/build-wasm.mjs
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { gzipSync } from "node:zlib";

const root = fileURLToPath(new URL("..", import.meta.url));
const target = join(root, "src/kernels/wasm-module.generated.ts");

/** Flags of the compiler; lab/ uses the same. The memory is the arena's: shared, never grown. */
export const ASC_FLAGS = [
  "-O3",
  "--converge",
  "--noAssert",
  "--runtime",
  "stub",
  "--importMemory",
  "--sharedMemory",
  "--initialMemory",
  "1",
  "--maximumMemory",
  "65536",
  "--enable",
  "threads,simd",
  "--disable",
  "bulk-memory",
];

/** Builds and writes the module; returns its size in bytes. Throws with the compiler's words. */
export function buildWasm() {
  const folder = mkdtempSync(join(tmpdir(), "gatesieve-"));
  try {
    const out = join(folder, "kernels.wasm");
    const asc = join(root, "node_modules/assemblyscript/bin/asc.js");
    const run = spawnSync(process.execPath, [asc, join(root, "assembly/index.ts"), "-o", out, ...ASC_FLAGS], {
      cwd: root,
      encoding: "utf8",
    });
    if (run.status !== 0) throw new Error(`assembly/ does not compile:\n${run.stderr || run.stdout || run.error}`);
    const bytes = readFileSync(out);
    if (hasData(bytes)) throw new Error("assembly/: the module has static data, which would overwrite the arena");
    const text = `/** Built from assembly/ by scripts/build-wasm.mjs. */\nexport const wasmModuleHex =\n  "${bytes.toString("hex")}";\n`;
    writeFileSync(target, text);
    console.log(`wasm kernels: ${bytes.length} bytes, ${gzipSync(bytes).length} gzipped`);
    return bytes.length;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Whether a module has a data section (id 11). */
function hasData(bytes) {
  let at = 8;
  while (at < bytes.length) {
    const id = bytes[at++];
    let size = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++];
      size |= (byte & 127) << shift;
      if (byte < 128) break;
    }
    if (id === 11) return true;
    at += size;
  }
  return false;
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) buildWasm();
