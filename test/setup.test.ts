/**
 * scripts/setup.mjs in a small repository of its own: the real npm, the real tsc, three source files.
 */
import { spawn, spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, unlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));
const clone = mkdtempSync(join(tmpdir(), "gatesieve-setup-"));
const env = { ...process.env, npm_config_offline: "true", npm_execpath: "" };

function put(file: string, text: string): void {
  mkdirSync(dirname(join(clone, file)), { recursive: true });
  writeFileSync(join(clone, file), text);
}

function putJson(file: string, value: unknown): void {
  put(file, JSON.stringify(value));
}

/** Runs setup; `actions` are the lines it wrote, without their times. */
function setup(...args: string[]): { status: number | null; stdout: string; stderr: string; actions: string[] } {
  const { status, stdout, stderr } = spawnSync(process.execPath, ["scripts/setup.mjs", ...args], {
    cwd: clone,
    env,
    encoding: "utf8",
  });
  const actions = stderr.split("\n").filter((line) => line !== "");
  return { status, stdout, stderr, actions: actions.map((line) => line.replace(/ \d+\.\d s$/, "")) };
}

const INSTALL = "gatesieve: installing dependencies (npm ci) ...";
const WASM = "gatesieve: building the WebAssembly kernels ...";
const DIST = "gatesieve: compiling TypeScript to dist/ ...";

beforeAll(() => {
  for (const file of ["scripts/setup.mjs", "scripts/compiler.mjs", "tsconfig.json", "tsconfig.build.json"])
    cpSync(join(root, file), join(clone, file));
  // Packages that lie in the clone, so that `npm ci` has something to do and needs no network: the compiler is the real one.
  const tsc = pathToFileURL(join(root, "node_modules/typescript/bin/tsc")).href;
  const vendored = ["typescript", "@types/node"];
  for (const name of vendored) putJson(`vendor/${name}/package.json`, { name, version: "1.0.0", type: "module" });
  put("vendor/typescript/bin/tsc", `await import(${JSON.stringify(tsc)});`);
  put("vendor/@types/node/index.d.ts", "export {};");
  const devDependencies = Object.fromEntries(vendored.map((name) => [name, `file:vendor/${name}`]));
  putJson("package.json", { name: "clone", version: "1.0.0", type: "module", devDependencies });
  const packages: Record<string, object> = { "": { name: "clone", version: "1.0.0", devDependencies } };
  for (const name of vendored) {
    packages[`node_modules/${name}`] = { resolved: `vendor/${name}`, link: true };
    packages[`vendor/${name}`] = { version: "1.0.0", dev: true };
  }
  putJson("package-lock.json", { name: "clone", version: "1.0.0", lockfileVersion: 3, requires: true, packages });
  put("assembly/kernels.ts", "1");
  put(
    "scripts/build-wasm.mjs",
    `import { readFileSync, writeFileSync } from "node:fs";
     export function buildWasm() {
       const kernels = Number(readFileSync("assembly/kernels.ts", "utf8"));
       if (Number.isNaN(kernels)) throw new Error("the kernels are no number");
       writeFileSync("src/kernels/wasm-module.generated.ts", "export const kernels = " + kernels + ";\\n");
       console.log("this goes nowhere");
     }`,
  );
  put("src/kernels/wasm.ts", 'export { kernels } from "./wasm-module.generated.ts";\n');
  put("src/old.ts", "export const old = 1;\n");
  put("src/cli/main.ts", 'import { kernels } from "../kernels/wasm.ts";\nconsole.log("kernels " + kernels);\n');
  put("src/cli/main.test.ts", "this is no TypeScript, and it is not compiled");
});

afterAll(() => rmSync(clone, { recursive: true, force: true }));

const main = () => spawnSync(process.execPath, ["dist/cli/main.js"], { cwd: clone, encoding: "utf8" }).stdout;

test("a fresh clone is installed and built, one line an action, nothing on stdout", () => {
  const { status, stdout, actions, stderr } = setup();
  expect(stderr).not.toMatch(/failed/);
  expect({ status, stdout, actions }).toEqual({ status: 0, stdout: "", actions: [INSTALL, WASM, DIST] });
  expect(main()).toBe("kernels 1\n");
});

test("then there is nothing to do, and it says nothing, soon", () => {
  const times = [1, 2, 3, 4, 5].map(() => {
    const start = performance.now();
    expect(setup()).toMatchObject({ status: 0, stdout: "", stderr: "" });
    return performance.now() - start;
  });
  expect(Math.min(...times)).toBeLessThan(500); // about 60 ms on a quiet machine
});

test("a touched file is not stale, a changed one is, with what is built from it", () => {
  put("assembly/kernels.ts", "1");
  put("src/cli/main.test.ts", "still no TypeScript");
  expect(setup().actions).toEqual([]);
  put("src/old.ts", "export const old = 2;\n");
  expect(setup().actions).toEqual([DIST]);
  put("assembly/kernels.ts", "2");
  expect(setup().actions).toEqual([WASM, DIST]);
  expect(main()).toBe("kernels 2\n");
});

test("a lost output is built again, and one whose source is gone is removed", () => {
  unlinkSync(join(clone, "dist/cli/main.js"));
  expect(setup().actions).toEqual([DIST]);
  unlinkSync(join(clone, "src/kernels/wasm-module.generated.ts"));
  expect(setup().actions).toEqual([WASM]);
  expect(existsSync(join(clone, "dist/old.d.ts"))).toBe(true);
  unlinkSync(join(clone, "src/old.ts"));
  expect(setup().actions).toEqual([DIST]);
  expect(["js", "d.ts", "js.map"].filter((end) => existsSync(join(clone, `dist/old.${end}`)))).toEqual([]);
});

test("a failed build shows its output and one clear line, and stays failed until it is mended", () => {
  put("src/wrong.ts", 'export const wrong: number = "text";\n');
  for (const _ of ["first", "again"]) {
    const { status, stdout, actions } = setup();
    expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
    expect(actions[0]).toBe(`${DIST} failed`);
    expect(actions[1]).toMatch(/^src\/wrong\.ts\(1,14\): error TS2322/);
    expect(actions.at(-1)).toBe(
      "gatesieve: compiling TypeScript to dist/ failed: tsc gave exit code 2; its output is above.",
    );
  }
  unlinkSync(join(clone, "src/wrong.ts"));
  put("assembly/kernels.ts", "two");
  const broken = setup();
  expect(broken.status).toBe(1);
  expect(broken.stderr).toContain("the kernels are no number");
  put("assembly/kernels.ts", "2");
  expect(setup()).toMatchObject({ status: 0, actions: [WASM, DIST] });
});

test("--force builds everything again and installs nothing", () => {
  expect(setup("--force").actions).toEqual([WASM, DIST]);
});

test("another lock file means another install; one done by hand is recognised", () => {
  const lock = readFileSync(join(clone, "package-lock.json"), "utf8");
  put("package-lock.json", `${lock}\n`);
  expect(setup().actions).toEqual([WASM, DIST]); // the same packages are there already
  rmSync(join(clone, "node_modules"), { recursive: true });
  expect(setup().actions).toEqual([INSTALL, WASM, DIST]);
});

test("a killed build does not count, and its lock is taken over", async () => {
  put("assembly/kernels.ts", "3");
  const whole = readFileSync(join(clone, "scripts/build-wasm.mjs"), "utf8");
  put("scripts/build-wasm.mjs", `${whole}\nawait new Promise((resolve) => setTimeout(resolve, 3000));`);
  const first = spawn(process.execPath, ["scripts/setup.mjs"], {
    cwd: clone,
    env,
    stdio: ["ignore", "ignore", "pipe"],
  });
  await new Promise((resolve) => first.stderr.once("data", resolve));
  first.kill("SIGKILL");
  await new Promise((resolve) => first.once("close", resolve));
  put("scripts/build-wasm.mjs", whole);
  expect(setup()).toMatchObject({ status: 0, actions: [WASM, DIST] });
  expect(main()).toBe("kernels 3\n");
});

test("two at once do the work once", async () => {
  put("assembly/kernels.ts", "4");
  const run = () =>
    new Promise<string>((resolve) => {
      const child = spawn(process.execPath, ["scripts/setup.mjs"], {
        cwd: clone,
        env,
        stdio: ["ignore", "ignore", "pipe"],
      });
      let text = "";
      child.stderr.on("data", (data) => {
        text += data;
      });
      child.once("close", () => resolve(text));
    });
  const both = (await Promise.all([run(), run()])).join("");
  expect(both.match(/building the WebAssembly/g)).toHaveLength(1);
  expect(both.match(/compiling/g)).toHaveLength(1);
  expect(main()).toBe("kernels 4\n");
});
