/**
 * What is published, as a stranger installs it: the tarball in an empty project, no install script run,
 * then a training by `npx gatesieve`, on engine native where the tarball brings its addon.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));
const project = mkdtempSync(join(tmpdir(), "gatesieve-tarball-"));
const addon = `build/native/${process.platform}-${process.arch}.node`;
const built = existsSync(join(root, addon));
/** Oldest C library the addon must load with: Debian 10, RHEL 8, and what Node 20 itself asks for. */
const GLIBC = "2.28";
let packed: string[] = [];

// What npm tells the scripts it runs would send the npm below to this repository.
const env = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !/^npm_(?!config_(registry|cache)$)/.test(name)),
);

/** Its standard output. Fails with all of its output where it does not end well. */
function run(cwd: string, command: string, ...args: string[]): string {
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd, env, encoding: "utf8" });
  expect(status, `${command} ${args.join(" ")}: ${error?.message ?? stderr + stdout}`).toBe(0);
  return stdout;
}

beforeAll(() => {
  const [tarball] = JSON.parse(run(root, "npm", "pack", "--json", "--ignore-scripts", "--pack-destination", project));
  packed = tarball.files.map((file: { path: string }) => file.path);
  writeFileSync(join(project, "package.json"), JSON.stringify({ name: "empty", private: true }));
  // The versions this clone has: they are in npm's cache, and a new release elsewhere breaks no test here.
  const { packages } = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8"));
  const kept = Object.entries<{ dev?: boolean }>(packages).filter(([place, { dev }]) => place !== "" && !dev);
  writeFileSync(
    join(project, "package-lock.json"),
    JSON.stringify({
      name: "empty",
      lockfileVersion: 3,
      packages: { "": { name: "empty" }, ...Object.fromEntries(kept) },
    }),
  );
  const quiet = ["--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund"];
  run(project, "npm", "install", ...quiet, join(project, tarball.filename));
});

afterAll(() => rmSync(project, { recursive: true, force: true }));

test("npx gatesieve train takes engine native where the tarball has its addon, else wasm", () => {
  expect(packed.includes(addon)).toBe(built);
  const lines = Array.from({ length: 300 }, (_, i) => `${i * i} sheep on the ${i % 7}th hill, ${i} days old.\n`);
  writeFileSync(join(project, "tiny.txt"), lines.join(""));
  const tiny = ["model.hiddenSize=8", "train.batchSize=4", "train.sequenceLength=8", "train.maxSteps=20"];
  const output = run(project, "npx", "--no-install", "gatesieve", "train", "tiny.txt", ...tiny, "--json");
  const events = output
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
  expect(events.at(-1)).toMatchObject({ type: "end" });
  const [record] = run(project, "npx", "--no-install", "gatesieve", "runs", "--json").trimEnd().split("\n");
  const summary = JSON.parse(record as string);
  expect(summary).toMatchObject({ engine: built ? "native" : "wasm", steps: 20, threads: 1 });
  expect(summary.testLoss).toBeGreaterThan(0);
  expect(summary.testLoss).toBeLessThan(4.5);
});

test(`the addon loads with any C library from glibc ${GLIBC} on, and asks for no C++ library`, () => {
  const versions = (file: string) =>
    // Names of symbol versions stand in the string table, as text.
    new Set(readFileSync(file, "latin1").match(/\b(?:GLIBC|GLIBCXX|CXXABI)_[0-9]+(?:\.[0-9]+)*/g));
  const newer = (version: string) => Number(version.split(".")[0]) > 2 || Number(version.split(".")[1]) > 28;
  const unwanted = (names: Set<string>) =>
    [...names].filter((name) => !name.startsWith("GLIBC_") || newer(name.slice("GLIBC_".length)));
  // The check can fail: Node itself asks for a C++ library.
  if (process.platform === "linux") expect(unwanted(versions(process.execPath))).not.toEqual([]);
  if (!built) return;
  const asked = versions(join(project, "node_modules/gatesieve", addon));
  if (process.platform === "linux") expect(asked.size).toBeGreaterThan(0);
  expect(unwanted(asked)).toEqual([]);
});
