/**
 * The package as a stranger gets it: packed, unpacked beside its dependencies, imported, typed, run, bundled.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { builtinModules } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { publint } from "publint";
import { formatMessage } from "publint/utils";
import { build } from "vite";
import { afterAll, beforeAll, expect, test } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));
const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
const consumer = mkdtempSync(join(tmpdir(), "gatesieve-package-"));
const installed = join(consumer, "node_modules", "gatesieve");
let packed: string[] = [];

beforeAll(() => {
  const [tarball] = JSON.parse(
    execFileSync("npm", ["pack", "--json", "--ignore-scripts", "--pack-destination", consumer], {
      cwd: root,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    }),
  );
  packed = tarball.files.map((file: { path: string }) => file.path);
  mkdirSync(installed, { recursive: true });
  execFileSync("tar", ["xzf", join(consumer, tarball.filename), "-C", installed, "--strip-components=1"]);
  for (const name of Object.keys(manifest.dependencies)) {
    const place = join(consumer, "node_modules", name);
    mkdirSync(dirname(place), { recursive: true });
    symlinkSync(join(root, "node_modules", name), place);
  }
  writeFileSync(join(consumer, "package.json"), JSON.stringify({ name: "consumer", type: "module" }));
});

afterAll(() => rmSync(consumer, { recursive: true, force: true }));

const node = (...args: string[]) => spawnSync(process.execPath, args, { cwd: consumer, encoding: "utf8" });

test("it carries what it needs and nothing else", () => {
  expect(packed).toEqual(expect.arrayContaining(["LICENSE", "README.md", "CHANGELOG.md", "package.json"]));
  expect(packed).toEqual(expect.arrayContaining(["dist/index.js", "dist/index.d.ts", "dist/cli/main.js"]));
  const strange = packed.filter(
    (file) =>
      !/^dist\/.*\.(js|d\.ts|html|css|svg|wasm)$|^build\/native\/[a-z0-9-]+\.(node|so|dylib)$|^docs\/[a-z-]+\.md$|^configs\/[\w/.-]+\.(yaml|json)$|^python\/gatesieve\.py$|^native\/capi\.h$|^[A-Z]+(\.md)?$|^package\.json$/.test(
        file,
      ) || /\.test\./.test(file),
  );
  expect(strange).toEqual([]);
});

test("every entry of exports can be imported, and has types", () => {
  for (const [name, entry] of Object.entries<string | { types: string; default: string }>(manifest.exports)) {
    if (typeof entry === "string") continue;
    expect(packed).toEqual(expect.arrayContaining([entry.default.slice(2), entry.types.slice(2)]));
    const id = `gatesieve${name.slice(1)}`;
    const { stdout, stderr } = node(
      "--input-type=module",
      "-e",
      `console.log(Object.keys(await import("${id}")).length)`,
    );
    expect(stderr).toBe("");
    expect(Number(stdout), id).toBeGreaterThan(0);
  }
});

test("publint finds nothing", async () => {
  const check = async (pkgDir: string) => {
    const { messages, pkg } = await publint({ pkgDir, pack: false, strict: true });
    return messages.map((message) => formatMessage(message, pkg, { color: false }));
  };
  expect(await check(installed)).toEqual([]);
  // It can fail.
  const broken = join(consumer, "broken");
  mkdirSync(broken);
  writeFileSync(join(broken, "package.json"), JSON.stringify({ name: "broken", exports: "./lost.js" }));
  expect((await check(broken)).join()).toContain("lost.js");
});

test("the command runs, and knows its version", () => {
  const bin = join(installed, manifest.bin.gatesieve);
  expect(readFileSync(bin, "utf8").split("\n")[0]).toBe("#!/usr/bin/env node");
  expect(node(bin, "--version")).toMatchObject({ status: 0, stdout: `${manifest.version}\n`, stderr: "" });
});

test("its types satisfy a strict program", () => {
  const entries = Object.keys(manifest.exports).filter((name) => name !== "./package.json");
  const lines = entries.map((name, i) => `export * as entry${i} from "gatesieve${name.slice(1)}";`);
  writeFileSync(join(consumer, "program.ts"), lines.join("\n"));
  mkdirSync(join(consumer, "node_modules", "@types"), { recursive: true });
  symlinkSync(join(root, "node_modules/@types/node"), join(consumer, "node_modules/@types/node"));
  const options = ["--strict", "--noEmit", "--module", "nodenext", "--target", "es2022", "--types", "node"];
  const tsc = join(root, "node_modules/typescript/bin/tsc");
  expect(node(tsc, ...options, "program.ts")).toMatchObject({ stdout: "", status: 0 });
});

test("it asks for the packages it uses, all of them and no others", () => {
  const used = new Set<string>();
  let text = "";
  for (const file of packed.filter((name) => /^dist\/(?!web\/).*\.js$/.test(name))) {
    const code = readFileSync(join(installed, file), "utf8");
    text += code;
    const imports =
      /^(?:import\s+(?:[^"=()]*\sfrom\s+)?|export\s[^"=()]*\sfrom\s+)"([^".][^"]*)"|\bimport\("([^".][^"]*)"\)/gm;
    for (const [, id = "", later] of code.matchAll(imports)) {
      const [scope, name] = (later ?? id).split("/") as [string, string];
      used.add(scope.startsWith("@") ? `${scope}/${name}` : scope);
    }
  }
  const packages = [...used].filter((id) => !id.startsWith("node:") && !builtinModules.includes(id));
  expect(packages.filter((id) => !(id in manifest.dependencies))).toEqual([]);
  // A package of data is not imported, it is resolved by name.
  expect(Object.keys(manifest.dependencies).filter((name) => !text.includes(`"${name}`))).toEqual([]);
});

test.each([
  // Measured: 84 KB and 104 KB.
  ["one estimator and a net", 'export { classifier, lstm } from "gatesieve";', 85_000],
  ["everything that the library exports", 'export * from "gatesieve";', 105_000],
])("what a page loads, gzipped, kernels included: %s", async (_what, entry, most) => {
  writeFileSync(join(consumer, "page.js"), `${entry}\n`);
  await build({
    root: consumer,
    logLevel: "error",
    configFile: false,
    build: { outDir: "page", lib: { entry: "page.js", formats: ["es"], fileName: "page" }, minify: true },
  });
  const code = Buffer.concat(
    readdirSync(join(consumer, "page")).map((file) => readFileSync(join(consumer, "page", file))),
  );
  expect(code.toString()).not.toMatch(/["']node:|__vite-browser-external/);
  expect(gzipSync(code).length).toBeLessThan(most);
});
