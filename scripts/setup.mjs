// Sets up a clone: installs what is missing, builds what is missing or stale, and says so on stderr.
// `npm start` and `npm test` call it first. No dependencies: it runs before there are any.
//
//   node scripts/setup.mjs [--force]     --force builds everything again
//
// Stale means that the content of an input differs from the one the last finished build saw. Those
// hashes are kept in node_modules/.gatesieve-setup.json. An action's entry is removed before the
// action begins and written after it has succeeded, so that half a build never counts as one.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { fileURLToPath } from "node:url";
import { findCompiler } from "./compiler.mjs";

const OLDEST_NODE = 20;
const LOCK_PATIENCE_MS = 5 * 60_000;

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "..");
const at = (...parts) => path.join(root, ...parts);
const stampFile = at("node_modules", ".gatesieve-setup.json");
const lockFile = at(".cache", "setup.lock");
const force = process.argv.includes("--force");

if (Number(process.versions.node.split(".")[0]) < OLDEST_NODE)
  fail(
    `this is Node ${process.versions.node}, Gatesieve needs Node ${OLDEST_NODE} or later. Install one from https://nodejs.org.`,
  );

const ACTIONS = [
  {
    name: "install",
    doing: "installing dependencies (npm ci)",
    inputs: () => hashText(read(at("package-lock.json")) + dependenciesOf(read(at("package.json")))),
    done: () => fs.existsSync(at("node_modules")),
    adopt: installedByHand,
    run: npmCi,
  },
  {
    name: "wasm",
    doing: "building the WebAssembly kernels",
    inputs: () => hashFiles([...walk("assembly"), "scripts/build-wasm.mjs", "package-lock.json"]),
    done: () => fs.existsSync(at("src/kernels/wasm-module.generated.ts")),
    run: () =>
      command([
        process.execPath,
        "--input-type=module",
        "-e",
        'await (await import("./scripts/build-wasm.mjs")).buildWasm()',
      ]),
  },
  {
    name: "native",
    doing: "compiling the native engine",
    wanted: () => fs.existsSync(at("native")) && hasCompiler(),
    optional: "the WebAssembly engine does the work",
    inputs: () => hashFiles([...walk("native"), "scripts/build-native.mjs", "package-lock.json"]),
    done: () => nativeOutputs().every((name) => fs.existsSync(at("build", "native", name))),
    run: () =>
      command([
        process.execPath,
        "--input-type=module",
        "-e",
        'if (!(await (await import("./scripts/build-native.mjs")).buildNative())) process.exit(1)',
      ]),
  },
  {
    name: "dist",
    doing: "compiling TypeScript to dist/",
    inputs: () => hashFiles([...sources(), "tsconfig.json", "tsconfig.build.json", "package-lock.json"]),
    done: () => sources().every((file) => fs.existsSync(at(outputOf(file)))),
    run: compile,
  },
  {
    name: "web",
    doing: "building the web page to dist/web/",
    wanted: () => fs.existsSync(at("web", "index.html")),
    inputs: () => hashFiles([...walk("web"), ...sources(), "tsconfig.json", "package-lock.json"]),
    done: () => fs.existsSync(at("dist", "web", "index.html")),
    run: () =>
      command([process.execPath, at("node_modules/vite/bin/vite.js"), "build", "--config", "web/vite.config.ts"]),
  },
];

if (ACTIONS.some(isStale)) {
  lock();
  // Looked at again, one by one: another setup may have done them meanwhile, and an install is an input of what follows.
  for (const action of ACTIONS) if (isStale(action)) perform(action);
}

function isStale(action) {
  if (action.wanted && !action.wanted()) return false;
  if (force && action.name !== "install") return true;
  if (!action.done()) return true;
  const inputs = action.inputs();
  if (readStamp()[action.name] === inputs) return false;
  if (!action.adopt?.()) return true;
  writeStamp({ ...readStamp(), [action.name]: inputs });
  return false;
}

function perform(action) {
  const { [action.name]: _, ...others } = readStamp();
  if (fs.existsSync(stampFile)) writeStamp(others);
  const inputs = action.inputs(); // before the work: a file edited during it stays stale
  const start = Date.now();
  process.stderr.write(`gatesieve: ${action.doing} ... `);
  const { what, status, signal, output } = action.run();
  if (status !== 0 && action.optional) {
    process.stderr.write(`failed (${output.trim().split("\n").at(-1)}); ${action.optional}\n`);
    return;
  }
  if (status !== 0) {
    process.stderr.write(`failed\n${output.trimEnd()}\n`);
    fail(
      `${action.doing} failed: ${what} ${signal ? `was ended by ${signal}` : `gave exit code ${status}`}; its output is above.`,
    );
  }
  if (!action.done()) fail(`${what} reported success, and yet some of its output is missing.`);
  process.stderr.write(`${((Date.now() - start) / 1000).toFixed(1)} s\n`);
  writeStamp({ ...readStamp(), [action.name]: inputs });
}

// ---- the actions

/** The addon, and the library for other languages: what scripts/build-native.mjs makes. */
function nativeOutputs() {
  const system = `${process.platform}-${process.arch}`;
  return [`${system}.node`, `libgatesieve-${system}.${process.platform === "darwin" ? "dylib" : "so"}`];
}

/** Without a C++ compiler the native engine is left out, in one line. */
function hasCompiler() {
  hasCompiler.found ??= findCompiler() !== undefined;
  if (!hasCompiler.found && !hasCompiler.told)
    process.stderr.write(
      "gatesieve: no C++ compiler here, so no native engine; the WebAssembly engine does the work\n",
    );
  hasCompiler.told = true;
  return hasCompiler.found;
}

function npmCi() {
  // dev is included whatever NODE_ENV says: the build needs it.
  const args = ["ci", "--include=dev", "--no-audit", "--no-fund"];
  const cli = process.env.npm_execpath;
  const result = cli?.endsWith("npm-cli.js") ? command([process.execPath, cli, ...args]) : command(["npm", ...args]);
  if (result.status === 0) fs.mkdirSync(at("node_modules"), { recursive: true });
  return { ...result, what: "npm ci" };
}

/** True if `npm install` or `npm ci`, run by hand, has left exactly what the lock file asks for. */
function installedByHand() {
  try {
    const packages = (...file) => JSON.parse(read(at(...file))).packages;
    const locked = packages("package-lock.json");
    const installed = packages("node_modules", ".package-lock.json");
    const same = (a, b) => a !== undefined && b !== undefined && a.version === b.version && a.integrity === b.integrity;
    const names = Object.keys(locked).filter((name) => name.startsWith("node_modules/") && !locked[name].optional);
    return [...names, ...Object.keys(installed)].every((name) => same(installed[name], locked[name]));
  } catch {
    return false;
  }
}

function compile() {
  const result = command([process.execPath, at("node_modules/typescript/bin/tsc"), "-p", "tsconfig.build.json"]);
  if (result.status === 0) {
    removeLeftovers();
    fs.chmodSync(at("dist/cli/main.js"), 0o755); // tsc writes it without; npx runs it
  }
  return { ...result, what: "tsc" };
}

/** Removes outputs in dist/ whose source is gone: a package must not carry them. */
function removeLeftovers() {
  const expected = new Set(sources().map((file) => outputOf(file).replace(/\.js$/, "")));
  for (const file of walk("dist"))
    if (!file.startsWith("dist/web/") && !expected.has(file.replace(/(\.d\.ts|\.js)(\.map)?$/, "")))
      fs.rmSync(at(file));
}

function command([program, ...args]) {
  const result = spawnSync(program, args, {
    cwd: root,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
    maxBuffer: 256 * 2 ** 20,
    shell: process.platform === "win32" && program === "npm",
  });
  const what = path.basename(args[0] === "--input-type=module" ? "build-wasm.mjs" : (args[0] ?? program));
  const output = `${result.stdout ?? ""}${result.stderr ?? ""}${result.error ? `${result.error.message}\n` : ""}`;
  return { what, status: result.status, signal: result.signal, output };
}

// ---- one setup at a time

/** Two setups at once (say, tests in one terminal, a start in another) would write over each other. */
function lock() {
  fs.mkdirSync(path.dirname(lockFile), { recursive: true });
  const patience = Date.now() + LOCK_PATIENCE_MS;
  for (let waited = false; !takeLock(); waited = true) {
    const holder = Number(read(lockFile));
    if (holder && !isAlive(holder)) {
      fs.rmSync(lockFile, { force: true });
      continue;
    }
    if (!waited) process.stderr.write(`gatesieve: waiting for another setup${holder ? ` (process ${holder})` : ""}\n`);
    if (Date.now() > patience)
      fail(`another setup seems stuck. If none is running, delete ${path.relative(root, lockFile)}.`);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100);
  }
  process.on("exit", () => fs.rmSync(lockFile, { force: true }));
}

function takeLock() {
  try {
    fs.writeFileSync(lockFile, String(process.pid), { flag: "wx" });
    return true;
  } catch (error) {
    if (error.code === "EEXIST") return false;
    throw error;
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === "EPERM";
  }
}

// ---- files

/** Files below `directory`, relative to the root, with forward slashes, sorted. */
function walk(directory) {
  if (!fs.existsSync(at(directory))) return [];
  const entries = fs.readdirSync(at(directory), { withFileTypes: true });
  return entries
    .filter((entry) => entry.name !== "node_modules" && !entry.name.startsWith("."))
    .flatMap((entry) => (entry.isDirectory() ? walk(`${directory}/${entry.name}`) : [`${directory}/${entry.name}`]))
    .sort();
}

/** What tsconfig.build.json compiles: src/ without what it excludes. */
function sources() {
  const { exclude } = JSON.parse(read(at("tsconfig.build.json")));
  const glob = (pattern) =>
    pattern.replace(/[.]/g, "\\.").replace(/(\*\*\/)|\*/g, (_, deep) => (deep ? "(.*/)?" : "[^/]*"));
  const excluded = new RegExp(`^(${exclude.map(glob).join("|")})$`);
  return walk("src").filter((file) => file.endsWith(".ts") && !file.endsWith(".d.ts") && !excluded.test(file));
}

function outputOf(source) {
  return source.replace(/^src\//, "dist/").replace(/\.ts$/, ".js");
}

function hashFiles(files) {
  const hash = createHash("sha256");
  for (const file of files)
    hash
      .update(`${file}\0`)
      .update(fs.existsSync(at(file)) ? fs.readFileSync(at(file)) : "missing")
      .update("\0");
  return hash.digest("hex");
}

function hashText(text) {
  return createHash("sha256").update(text).digest("hex");
}

function dependenciesOf(packageText) {
  const { dependencies, devDependencies, optionalDependencies } = JSON.parse(packageText);
  return JSON.stringify([dependencies, devDependencies, optionalDependencies]);
}

function read(file) {
  try {
    return fs.readFileSync(file, "utf8");
  } catch {
    return "";
  }
}

function readStamp() {
  try {
    return JSON.parse(read(stampFile));
  } catch {
    return {};
  }
}

function writeStamp(stamp) {
  fs.writeFileSync(`${stampFile}.${process.pid}`, `${JSON.stringify(stamp, null, 2)}\n`);
  fs.renameSync(`${stampFile}.${process.pid}`, stampFile);
}

function fail(message) {
  process.stderr.write(`gatesieve: ${message}\n`);
  process.exit(1);
}
