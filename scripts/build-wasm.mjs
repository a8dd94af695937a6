/**
 * Compiles assembly/ with AssemblyScript and writes the module as text to src/kernels/wasm-module.generated.ts: no file to
 * find at run time, on Node or in a page. A letter for each of the most frequent bytes, two for the others: gzip finds the
 * repeated instructions, which base64 hides from it, and its window holds twice as many of them as in hexadecimal.
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
    const fields = Object.entries(asLetters(bytes)).map(([name, value]) => `  ${name}:\n    "${value}",\n`);
    const text = `/** Built from assembly/ by scripts/build-wasm.mjs. */\nexport const wasmModule = {\n${fields.join("")}};\n`;
    writeFileSync(target, text);
    console.log(`wasm kernels: ${bytes.length} bytes, ${gzipSync(bytes).length} gzipped`);
    return bytes.length;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Letters that stand in a string as they are, whatever quotes a minifier takes. */
const LETTERS = Array.from({ length: 94 }, (_, i) => String.fromCharCode(33 + i))
  .filter((letter) => !"\"'`\\$<".includes(letter))
  .join("");

/**
 * Bytes as text. `order`: all bytes in hexadecimal, the most frequent first. Byte r of them is letter r; from the last two
 * letters on, which count how often n is to be added, two letters. src/kernels/wasm.ts reads it.
 */
function asLetters(bytes) {
  const n = LETTERS.length - 2;
  const counts = new Array(256).fill(0);
  for (const byte of bytes) counts[byte]++;
  const order = [...counts.keys()].sort((a, b) => counts[b] - counts[a] || a - b);
  const rank = new Map(order.map((byte, r) => [byte, r]));
  const lettersOf = (r) => (r < n ? LETTERS[r] : LETTERS[n + Math.floor(r / n) - 1] + LETTERS[r % n]);
  const text = Array.from(bytes, (byte) => lettersOf(rank.get(byte))).join("");
  return { letters: LETTERS, order: Buffer.from(order).toString("hex"), text };
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
