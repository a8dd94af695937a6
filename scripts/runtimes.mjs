/**
 * The packed tarball in every runtime that npm can install: node scripts/runtimes.mjs [name...]
 *
 * Packs this clone, installs the tarball in an empty project, and in each runtime trains the model of runtimes/smoke.mjs: all must
 * print the same line, since engine wasm gives the same bits everywhere. Then the native engine where it loads, and what publint and
 * are-the-types-wrong say. Runtimes come from npm on first use, so this needs a registry; the pages, which do not, are in
 * test/browser/package.test.ts. docs/runtimes.md has the table.
 */
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const npx = (...packages) => ["npx", "--yes", ...packages.flatMap((name) => ["--package", name]), "--"];
const RUNTIMES = {
  node: [process.execPath],
  "node@20": [...npx("node@20"), "node"],
  "node@22": [...npx("node@22"), "node"],
  "node@24": [...npx("node@24"), "node"],
  bun: [...npx("bun@1.4.5"), "bun"],
  deno: [...npx("deno@2.9.6"), "deno", "run", "--allow-all"],
};
const CHECKS = {
  publint: [...npx("publint@0.3.25"), "publint", "--strict"],
  // The package is of ES modules alone: "require" needs Node 20.19 or 22.12, or import().
  attw: [...npx("@arethetypeswrong/cli@0.18.5"), "attw", "--no-emoji", "--profile", "esm-only"],
};

const root = fileURLToPath(new URL("..", import.meta.url));
const wanted = process.argv.slice(2);
const unknown = wanted.find((name) => !(name in RUNTIMES) && !(name in CHECKS));
if (unknown) {
  console.error(
    `runtimes: unknown "${unknown}"; the names are: ${Object.keys({ ...RUNTIMES, ...CHECKS }).join(", ")}.`,
  );
  process.exit(2);
}
const asked = (name) => wanted.length === 0 || wanted.includes(name);

const project = mkdtempSync(join(tmpdir(), "gatesieve-runtimes-"));
let failures = 0;
try {
  const packed = run(root, ["npm", "pack", "--json", "--ignore-scripts", "--pack-destination", project]);
  if (packed.status !== 0) throw new Error(`npm pack failed:\n${packed.stderr}`);
  const tarball = join(project, JSON.parse(packed.stdout)[0].filename);
  writeFileSync(join(project, "package.json"), JSON.stringify({ name: "empty", private: true, type: "module" }));
  const quiet = ["--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund"];
  const installed = run(project, ["npm", "install", ...quiet, tarball]);
  if (installed.status !== 0) throw new Error(`npm install of the tarball failed:\n${installed.stderr}`);
  cpSync(join(root, "scripts/runtimes/smoke.mjs"), join(project, "smoke.mjs"));
  writeFileSync(join(project, "portable.js"), 'import { smoke } from "./smoke.mjs";\nconsole.log(await smoke());\n');
  writeFileSync(
    join(project, "native.js"),
    'import "gatesieve/node";\nimport { chooseEngine } from "gatesieve";\nconst { engine } = await chooseEngine();\nconsole.log(engine.name, engine.isa);\n',
  );

  let first;
  for (const [name, command] of Object.entries(RUNTIMES)) {
    if (!asked(name)) continue;
    const version = last(
      run(project, [...command.filter((part) => !/^(run|--allow-all)$/.test(part)), "--version"]).stdout,
      0,
    );
    const portable = run(project, [...command, "portable.js"]);
    const line = last(portable.stdout);
    first ??= line;
    const native = last(run(project, [...command, "native.js"]).stdout);
    const good = portable.status === 0 && line === first && line !== "";
    tell(
      good,
      name,
      `${version}: ${line || portable.stderr.trim().split("\n").at(-1)}; gatesieve/node: ${native || "does not load"}`,
    );
  }
  for (const [name, command] of Object.entries(CHECKS)) {
    if (!asked(name)) continue;
    const { status, stdout, stderr } = run(project, [...command, tarball]);
    tell(status === 0, name, status === 0 ? "nothing to say" : `\n${stdout}${stderr}`);
  }
} finally {
  rmSync(project, { recursive: true, force: true });
}
process.exitCode = failures > 0 ? 1 : 0;

function run(cwd, [command, ...args]) {
  // What npm tells scripts it runs would send the npm below to this repository.
  const env = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^npm_(?!config_(registry|cache)$)/.test(name)),
  );
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd, env, encoding: "utf8", timeout: 300_000 });
  return { status, stdout: stdout ?? "", stderr: stderr || error?.message || "" };
}

function last(text, at = -1) {
  return text.trim().split("\n").at(at) ?? "";
}

function tell(good, name, line) {
  if (!good) failures++;
  console.log(`${good ? "ok  " : "FAIL"} ${name}: ${line}`);
}
