/**
 * Runs the native kernels under AddressSanitizer and UndefinedBehaviorSanitizer: native/harness.cpp
 * calls each of them on odd shapes in heap buffers of exact size, for every instruction set.
 *
 *   node scripts/sanitize-native.mjs [avx512|avx2|plain|neon ...]
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { FLAGS, findCompiler, INSTRUCTION_SETS } from "./build-native.mjs";

const SANITIZE = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g", "-O1"];

const asked = process.argv.slice(2);
const native = fileURLToPath(new URL("../native", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "gatesieve-sanitize-"));
let failed = false;
try {
  for (const [isa, table, march] of INSTRUCTION_SETS[process.arch]) {
    if (asked.length > 0 && !asked.includes(isa)) continue;
    const program = join(folder, isa);
    const sources = ["kernels.cpp", "team.cpp", "harness.cpp"].map((name) => join(native, name));
    const defines = [`-DISA_NAME=${isa}`, `-DISA_TABLE=${table}`];
    run(findCompiler(), [...FLAGS, ...SANITIZE, ...march, ...defines, ...sources, "-o", program, "-pthread"]);
    run(program, []);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
process.exitCode = failed ? 1 : 0;

function run(program, args) {
  const { status, signal } = spawnSync(program, args, { stdio: "inherit" });
  if (status === 0) return;
  console.error(`${program} ${signal ? `was ended by ${signal}` : `gave exit code ${status}`}`);
  failed = true;
}
