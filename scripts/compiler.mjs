/** The system's C++ compiler. No dependencies: setup.mjs asks before there are any. */
import { spawnSync } from "node:child_process";

/** $CXX, or the first name that answers; undefined where none does. */
export function findCompiler() {
  const candidates = process.env.CXX ? [process.env.CXX] : ["c++", "g++", "clang++"];
  return candidates.find((name) => spawnSync(name, ["--version"], { stdio: "ignore" }).status === 0);
}
