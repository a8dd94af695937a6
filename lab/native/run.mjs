/**
 * Compiles and runs products.cpp, or live.cpp, for one instruction set.
 *
 *   node lab/native/run.mjs [avx512|avx2|plain|neon] [H,B,T ...]
 *   node lab/native/run.mjs [avx512|avx2|plain|neon] --program live [N,K,B,T ...]
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { FLAGS, INSTRUCTION_SETS } from "../../scripts/build-native.mjs";
import { findCompiler } from "../../scripts/compiler.mjs";

/** Shapes if none are given; whether the program brings the kernels itself. */
const PROGRAMS = {
  products: { shapes: ["128,50,50", "512,50,50", "650,20,35"], own: false },
  live: { shapes: ["2048,512,50,50", "2600,650,20,35", "10000,650,20,12"], own: true },
};
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { program: { type: "string", default: "products" } },
});
const chosen = PROGRAMS[values.program];
const [isa = "avx512", ...shapes] = positionals;
const [, table, march] = INSTRUCTION_SETS[process.arch].find(([name]) => name === isa);
const here = fileURLToPath(new URL(".", import.meta.url));
const native = join(here, "../../native");
const folder = mkdtempSync(join(tmpdir(), "gatesieve-lab-"));
try {
  const program = join(folder, "products");
  const defines = [`-DISA_NAME=${isa}`, `-DISA_TABLE=${table}`];
  run(findCompiler(), [
    ...FLAGS,
    ...march,
    ...defines,
    ...(chosen.own ? [] : [join(native, "kernels.cpp")]),
    join(native, "team.cpp"),
    join(here, `${values.program}.cpp`),
    "-o",
    program,
    "-pthread",
  ]);
  run(program, shapes.length > 0 ? shapes : chosen.shapes);
} finally {
  rmSync(folder, { recursive: true, force: true });
}

function run(program, args) {
  const { status } = spawnSync(program, args, { stdio: "inherit" });
  if (status !== 0) process.exit(1);
}
