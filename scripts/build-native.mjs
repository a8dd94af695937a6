/**
 * Compiles native/ into build/native/<platform>-<arch>.node, the addon of engine native, and the same kernels behind
 * the C interface of native/capi.h into build/native/<libraryName()>, with the C++ compiler of the system, called
 * directly; the headers of Node-API come from npm.
 *
 *   node scripts/build-native.mjs
 *
 * Without a compiler, or where it fails, there is no native engine and `auto` takes wasm.
 */
import { spawn } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { availableParallelism, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { findCompiler } from "./compiler.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const native = join(root, "native");

/** One object of kernels.cpp per instruction set: [name, table, flags]. */
export const INSTRUCTION_SETS = {
  x64: [
    ["avx512", "kernelsAvx512", ["-march=x86-64-v4"]],
    ["avx2", "kernelsAvx2", ["-march=x86-64-v3"]],
    ["plain", "kernelsPlain", ["-march=x86-64"]],
  ],
  arm64: [["neon", "kernelsNeon", []]],
};
const ANY_PROCESSOR = [["plain", "kernelsPlain", []]];

/** Of every file. Contraction to fused multiply-adds is stated, since standards modes turn it off. */
export const FLAGS = [
  "-std=c++17",
  "-O3",
  "-ffp-contract=fast",
  "-fno-math-errno",
  "-fno-exceptions",
  "-fno-rtti",
  "-fno-threadsafe-statics",
  "-fvisibility=hidden",
  "-Wall",
  "-Wextra",
  "-Wno-uninitialized", // GCC's own AVX-512 headers
];

/** The arguments that compile each object of `arch` into `folder`; the objects. */
export function compilations(arch, folder, flags = FLAGS) {
  const kernels = (INSTRUCTION_SETS[arch] ?? ANY_PROCESSOR).map(([name, table, march]) => {
    const object = join(folder, `kernels-${name}.o`);
    const defines = [`-DISA_NAME=${name}`, `-DISA_TABLE=${table}`];
    return { object, args: [...flags, ...march, ...defines, "-c", join(native, "kernels.cpp"), "-o", object] };
  });
  return [...kernels, compilation("team", folder, flags)];
}

function compilation(name, folder, flags) {
  const object = join(folder, `${name}.o`);
  return { object, args: [...flags, "-c", join(native, `${name}.cpp`), "-o", object] };
}

/** The kernels as a library for other languages: see native/capi.h. */
export function libraryName(platform = process.platform, arch = process.arch) {
  return `libgatesieve-${platform}-${arch}.${platform === "darwin" ? "dylib" : "so"}`;
}

/** Builds the addon, two compilers at a time. False, with one line that says why, where that cannot be. */
export async function buildNative() {
  const compiler = findCompiler();
  if (!compiler) return refuse("no C++ compiler found (c++, g++, clang++, or $CXX)");
  if (process.platform === "win32") return refuse("Windows is not supported yet");
  const headers = nodeHeaders();
  if (!headers) return refuse("the package node-api-headers is not installed");
  const folder = mkdtempSync(join(tmpdir(), "gatesieve-native-"));
  const began = performance.now();
  try {
    const flags = [...FLAGS, "-fPIC"];
    const addon = compilation("addon", folder, [...flags, "-DNAPI_VERSION=8", "-I", headers]);
    const capi = compilation("capi", folder, flags);
    const shared = [...compilations(process.arch, folder, flags), compilation("isas", folder, flags)];
    const mac = process.platform === "darwin";
    const undefinedSymbols = mac ? ["-undefined", "dynamic_lookup"] : []; // Node brings those of the addon
    const results = [
      { door: addon, name: `${process.platform}-${process.arch}.node`, link: undefinedSymbols },
      { door: capi, name: libraryName(), link: mac ? [] : ["-Wl,--no-undefined"] },
    ];
    const linkings = results.map(({ door, name, link }) => [
      "-shared",
      ...[...shared, door].map(({ object }) => object),
      ...["-o", join(folder, name), ...link, ...(mac ? [] : ["-static-libstdc++", "-static-libgcc"]), "-pthread", "-s"],
    ]);
    const compiled = await runAll(
      compiler,
      [...shared, addon, capi].map(({ args }) => args),
      availableParallelism(),
    );
    const done = compiled && (await runAll(compiler, linkings, 1));
    for (const { name } of results) {
      const target = join(root, "build", "native", name);
      if (!done)
        rmSync(target, { force: true }); // one of older sources would be called with the arguments of the new ones
      else putInPlace(join(folder, name), target);
    }
    if (!done) return refuse(`${compiler} failed; its messages are above`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  const names = (INSTRUCTION_SETS[process.arch] ?? ANY_PROCESSOR).map(([name]) => name).join(", ");
  const seconds = ((performance.now() - began) / 1000).toFixed(1);
  console.log(`native kernels: ${names}, by ${compiler} in ${seconds} s`);
  return true;
}

/** A running process may have the old file mapped: the new one is put beside it, then in its place. */
function putInPlace(file, target) {
  mkdirSync(dirname(target), { recursive: true });
  const beside = `${target}.${process.pid}`;
  copyFileSync(file, beside);
  renameSync(beside, target);
}

/** Runs the compiler with each list of arguments, `atOnce` at a time; true if all succeed. */
export async function runAll(compiler, lists, atOnce) {
  const waiting = [...lists];
  let good = true;
  const one = (args) =>
    new Promise((resolve) => {
      const child = spawn(compiler, args, { stdio: ["ignore", "ignore", "inherit"] });
      child.on("error", () => resolve(false));
      child.on("close", (status) => resolve(status === 0));
    });
  const worker = async () => {
    while (waiting.length > 0 && good) good = (await one(waiting.shift())) && good;
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  return good;
}

function nodeHeaders() {
  try {
    const folder = join(dirname(createRequire(import.meta.url).resolve("node-api-headers/package.json")), "include");
    return existsSync(folder) ? folder : undefined;
  } catch {
    return undefined;
  }
}

function refuse(reason) {
  console.log(`native kernels: not built, ${reason}; the wasm engine does the work`);
  return false;
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) await buildNative();
