/**
 * Checks the native kernels outside of Node: native/harness.cpp compares each of them with plain loops on odd
 * shapes, in buffers of exact size, and native/capi-harness.cpp what the C interface makes of them. Twice for every
 * instruction set: under AddressSanitizer and UndefinedBehaviorSanitizer, and as shipped, with buffers of the kernels
 * between pages that may not be touched.
 *
 *   node scripts/sanitize-native.mjs [avx512|avx2|plain|neon ...]
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { FLAGS, INSTRUCTION_SETS } from "./build-native.mjs";
import { findCompiler } from "./compiler.mjs";

const SANITIZE = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g", "-O1"];

/**
 * Compiles the harnesses for one instruction set, an entry of INSTRUCTION_SETS, and runs them, through `runner` (a
 * command and its arguments) where this processor cannot. Whether all is well; if not, what is wrong was printed.
 */
export function harness(compiler, [isa, table, march], { flags = [], runner = [], places = [] } = {}) {
  const native = fileURLToPath(new URL("../native", import.meta.url));
  const folder = mkdtempSync(join(tmpdir(), "gatesieve-harness-"));
  try {
    const defines = [`-DISA_NAME=${isa}`, `-DISA_TABLE=${table}`];
    const check = (name, sources, args) => {
      const program = join(folder, name);
      const files = ["kernels.cpp", "team.cpp", ...sources].map((source) => join(native, source));
      return (
        run([compiler, ...FLAGS, ...flags, ...march, ...defines, ...files, "-o", program, "-pthread"]) &&
        run([...runner, program, ...args])
      );
    };
    return check("kernels", ["harness.cpp"], places) && check("capi", ["capi.cpp", "capi-harness.cpp"], []);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function run([command, ...args]) {
  const { status, signal, error } = spawnSync(command, args, { stdio: "inherit" });
  if (status === 0) return true;
  const reason = signal ? `was ended by ${signal}` : status === null ? error.message : `gave exit code ${status}`;
  console.error(`${command} ${reason}`);
  return false;
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const asked = process.argv.slice(2);
  const compiler = findCompiler();
  const sets = INSTRUCTION_SETS[process.arch] ?? [["plain", "kernelsPlain", []]];
  const unknown = asked.filter((name) => !sets.some(([isa]) => isa === name));
  if (unknown.length > 0) {
    const names = sets.map(([isa]) => isa).join(", ");
    console.error(`unknown instruction set ${unknown.join(", ")} on ${process.arch}. Use one of: ${names}.`);
    process.exitCode = 2;
  } else if (!compiler) {
    console.error("no C++ compiler found (c++, g++, clang++, or $CXX)");
    process.exitCode = 1;
  } else {
    for (const set of sets) {
      if (asked.length > 0 && !asked.includes(set[0])) continue;
      console.log(`${set[0]}, with sanitizers`);
      if (!harness(compiler, set, { flags: SANITIZE })) process.exitCode = 1;
      console.log(`${set[0]}, as shipped`);
      if (!harness(compiler, set, { places: ["end", "start"] })) process.exitCode = 1;
    }
  }
}
