/**
 * Checks the NEON kernels on a machine without NEON: cross-compiles native/harness.cpp and the kernels for
 * aarch64, with the flags they are shipped with, and runs them under qemu's user-mode emulation.
 *
 *   node scripts/neon-native.mjs
 *
 * $CROSS_CXX names another cross compiler than aarch64-linux-gnu-g++, $QEMU_LD_PREFIX another root for its
 * libraries than /usr/aarch64-linux-gnu. Debian: apt-get install g++-aarch64-linux-gnu qemu-user
 */
import { spawnSync } from "node:child_process";
import { INSTRUCTION_SETS } from "./build-native.mjs";
import { harness } from "./sanitize-native.mjs";

const compiler = process.env.CROSS_CXX ?? "aarch64-linux-gnu-g++";
const libraries = process.env.QEMU_LD_PREFIX ?? "/usr/aarch64-linux-gnu";
const answers = (command) => spawnSync(command, ["--version"], { stdio: "ignore" }).status === 0;
const qemu = ["qemu-aarch64", "qemu-aarch64-static"].find(answers);

if (!answers(compiler)) skip(`no cross compiler ${compiler}`);
else if (!qemu) skip("no qemu-aarch64");
else {
  const [neon] = INSTRUCTION_SETS.arm64;
  const good = harness(compiler, neon, { runner: [qemu, "-L", libraries], places: ["end", "start"] });
  process.exitCode = good ? 0 : 1;
}

function skip(reason) {
  console.log(`NEON kernels: not checked, ${reason}. Debian: apt-get install g++-aarch64-linux-gnu qemu-user`);
}
