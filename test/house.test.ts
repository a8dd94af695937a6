/**
 * The house keeps its shape: imports only go down the floors, in no circle; what a browser loads
 * names nothing of Node; files stay readable; the project speaks of itself alone.
 *
 * The rules are functions over (file -> text), so that each is first shown to fail on a small
 * made-up house, then applied to the real one.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, posix } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";

type Files = ReadonlyMap<string, string>;

/** Room -> the rooms it may import from, besides itself. docs/architecture.md draws the same. */
const ROOMS: Readonly<Record<string, readonly string[]>> = {
  core: [],
  seam: ["core"], // all that kernels know of sparsity: see SEAM
  sparse: ["core", "seam"],
  kernels: ["core", "seam"],
  tasks: ["core"],
  nn: ["core", "seam", "sparse", "kernels", "tasks"],
  energy: ["core", "seam", "sparse"],
  train: ["core", "seam", "sparse", "kernels", "tasks", "nn"],
  formats: ["core", "seam", "sparse", "kernels", "tasks", "nn"],
  tfjs: ["core", "seam", "sparse", "kernels", "nn"],
  estimators: ["core", "seam", "sparse", "kernels", "tasks", "nn", "train", "formats"],
  runs: ["core", "seam", "sparse", "kernels", "tasks", "nn", "energy", "train", "formats"],
  advise: ["core", "seam", "sparse", "kernels", "tasks", "nn", "train", "runs"],
  plots: ["core", "seam", "sparse", "kernels", "tasks", "nn", "energy", "train", "formats", "runs"],
  server: ["core", "seam", "sparse", "kernels", "tasks", "nn", "energy", "train", "formats", "runs"],
  cli: [
    "core",
    "seam",
    "sparse",
    "kernels",
    "tasks",
    "nn",
    "energy",
    "train",
    "formats",
    "runs",
    "advise",
    "plots",
    "server",
  ],
  "index.ts": ["core", "seam", "sparse", "kernels", "tasks", "nn", "energy", "train", "formats", "estimators"],
  "onnx.ts": ["core", "seam", "sparse", "kernels", "tasks", "nn", "formats"],
  "node.ts": ["core", "seam", "sparse", "kernels", "tasks", "nn", "energy", "train", "formats", "runs", "index.ts"],
};
const SEAM = /^src\/sparse\/(site|rule|apply|choose|pattern|statistics)\.ts$/;
/** From runs/ upwards Node may be used; all else also runs in a page. */
const NODE_ROOMS = ["runs", "advise", "plots", "server", "cli", "node.ts"];
const LONGEST_FILE = 450; // lines

// ---- the real house

const root = fileURLToPath(new URL("..", import.meta.url));
const all = readFiles(
  ["src", "assembly", "bench", "docs", "examples", "lab", "rtl", "scripts", "test", "web", ".ci"],
  /\.(ts|tsx|mjs|js|md|json|html|css|py|sh)$|\.ci\/run$/,
);
for (const name of readdirSync(root)) if (/\.(md|json|ts)$/.test(name)) all.set(name, read(name));
const source = new Map([...all].filter(([name]) => isSource(name)));

describe("the house", () => {
  test("has rooms to look at", () => {
    expect([...source.keys()].filter((name) => name.startsWith("src/core/")).length).toBeGreaterThan(2);
    expect(importsOf("src/kernels/kernels.ts", source.get("src/kernels/kernels.ts") as string)).toContain(
      "src/sparse/pattern.ts",
    );
  });
  test("every relative import leads to a file", () => expect(missingImports(source)).toEqual([]));
  test("no import goes up a floor", () => expect(upwardImports(source)).toEqual([]));
  test("no import goes in a circle", () => expect(circles(source)).toEqual([]));
  test("no source imports a test", () => expect(testImports(source)).toEqual([]));
  test("nothing below runs/ knows Node", () => expect(nodeUses(source)).toEqual([]));
  test(`no file of src/ has over ${LONGEST_FILE} lines`, () => expect(longFiles(source)).toEqual([]));
  test("no file names a path of somebody's machine", () => expect(foreignPaths(all)).toEqual([]));
  test("git ignores no source but what is generated", () => {
    // Without git, or outside a clone, it lists nothing.
    const { stdout } = spawnSync("git", ["check-ignore", "--no-index", ...all.keys()], { cwd: root, encoding: "utf8" });
    const ignored = (stdout ?? "").split("\n").filter((name) => name !== "" && !name.endsWith(".generated.ts"));
    expect(ignored).toEqual([]);
  });
  test("every document that is named exists", () => expect(missingDocuments(all)).toEqual([]));
});

describe("the rules can fail", () => {
  test("the scanner sees every form of import, and none in comments and strings", () => {
    const text = `
      import { a } from "./a.ts";
      import type {
        B, // with a comment: from "./no1.ts"
        C,
      } from "./b.ts";
      import "./c.ts";
      export { d } from './d.ts'; export * from "./e.ts"; export type { F } from "./f.ts";
      const g = await import("./g.ts"); type H = import("./h.ts").H;
      new Worker(new URL("./i.ts", import.meta.url));
      import j, { k as from } from "./j.ts"
      // import "./no2.ts"
      /* export * from "./no3.ts" */
      const s = 'import "./no4.ts"', t = \`import("./no5.ts") \${s} // \`, u = "\\" from './no6.ts'", v = /["']import "x"/;
      import { w } from "elsewhere"; import * as y from "../x/y.ts";`;
    const names = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"].map((name) => `src/m/${name}.ts`);
    expect(importsOf("src/m/main.ts", text).sort()).toEqual(["elsewhere", ...names, "src/x/y.ts"]);
  });

  test("an arrow up, sideways or into an unknown room is found, one down is not", () => {
    const house = new Map([
      ["src/core/a.ts", 'import type { M } from "../nn/m.ts"'],
      ["src/kernels/k.ts", 'import "../sparse/rule.ts"; import { p } from "../sparse/policies.ts"'],
      ["src/sparse/rule.ts", 'export * from "./policies.ts"'],
      ["src/sparse/policies.ts", 'import "./rule.ts"; import "../core/a.ts"'],
      ["src/nn/m.ts", 'import "../kernels/k.ts"; const later = () => import("../train/t.ts")'],
      ["src/train/t.ts", 'import "../formats/f.ts"; import "../nn/m.ts"'],
      ["src/formats/f.ts", ""],
      ["src/attic/x.ts", 'import "../core/a.ts"'],
    ]);
    expect(upwardImports(house)).toEqual([
      "src/core/a.ts imports src/nn/m.ts: core may not import nn",
      "src/kernels/k.ts imports src/sparse/policies.ts: kernels may not import sparse",
      "src/sparse/rule.ts imports src/sparse/policies.ts: seam may not import sparse",
      "src/nn/m.ts imports src/train/t.ts: nn may not import train",
      "src/train/t.ts imports src/formats/f.ts: train may not import formats",
      "src/attic/x.ts is in no room of the house",
    ]);
  });

  test("a circle is found, a diamond is not", () => {
    const arrows = (graph: Record<string, string[]>) =>
      new Map(
        Object.entries(graph).map(([from, to]) => [
          `src/nn/${from}.ts`,
          to.map((name) => `import "./${name}.ts";`).join("\n"),
        ]),
      );
    expect(circles(arrows({ a: ["b", "c"], b: ["d"], c: ["d"], d: [] }))).toEqual([]);
    expect(circles(arrows({ a: ["b"], b: ["c"], c: ["b"] }))).toEqual(["src/nn/b.ts -> src/nn/c.ts -> src/nn/b.ts"]);
    expect(circles(arrows({ a: ["a"] }))).toEqual(["src/nn/a.ts -> src/nn/a.ts"]);
  });

  test("Node below runs/ is found, also through an import; words that look like it are not", () => {
    const house = new Map([
      ["src/nn/a.ts", 'import { join } from "node:path"'],
      ["src/nn/b.ts", "const home = process.env.HOME;"],
      ["src/nn/c.ts", "export const c = Buffer.from([1]);"],
      ["src/nn/d.ts", 'if (typeof process !== "undefined") d();'],
      ["src/nn/e.ts", '// process.env\nconst buffer = new SharedArrayBuffer(8); const s = "Buffer"; worker.process();'],
      ["src/nn/f.ts", 'import fs from "fs";'],
      ["src/runs/ok.ts", 'import { join } from "node:path"; process.exit();'],
    ]);
    expect(nodeUses(house)).toEqual([
      "src/nn/a.ts imports node:path",
      "src/nn/b.ts names process",
      "src/nn/c.ts names Buffer",
      "src/nn/d.ts names process",
      "src/nn/f.ts imports fs",
    ]);
  });

  test("long files, tests as sources, lost imports, foreign paths and dead documents are found", () => {
    const long = new Map([
      ["src/nn/long.ts", "\n".repeat(LONGEST_FILE + 1)],
      ["src/nn/long.generated.ts", "\n".repeat(LONGEST_FILE + 1)],
    ]);
    expect(longFiles(long)).toEqual([`src/nn/long.ts has ${LONGEST_FILE + 1} lines`]);
    expect(testImports(new Map([["src/nn/a.ts", 'import "./b.test.ts"; import "./testing.ts"']]))).toEqual([
      "src/nn/a.ts imports src/nn/b.test.ts",
      "src/nn/a.ts imports src/nn/testing.ts",
    ]);
    expect(missingImports(new Map([["src/nn/a.ts", 'import "./b.ts"']]))).toEqual(["src/nn/a.ts imports src/nn/b.ts"]);
    const home = ["", "home", "me", "data"].join("/");
    expect(foreignPaths(new Map([["docs/architecture.md", `run it in ${home}, or src/home/x`]]))).toEqual([
      `docs/architecture.md names ${home}`,
    ]);
    const dead = ["no", "such"].join("-");
    expect(
      missingDocuments(
        new Map([["docs/architecture.md", `see ${dead}.md, ../CONTRIBUTING.md and [this](architecture.md)`]]),
      ),
    ).toEqual([`docs/architecture.md names ${dead}.md`]);
  });
});

// ---- the rules

function upwardImports(files: Files): string[] {
  return [...files].flatMap(([file, text]) => {
    const from = roomOf(file);
    const allowed = ROOMS[from];
    if (allowed === undefined) return [`${file} is in no room of the house`];
    return importsOf(file, text)
      .filter((target) => target.startsWith("src/"))
      .map((target) => ({ target, to: roomOf(target) }))
      .filter(({ to }) => to !== from && !allowed.includes(to))
      .map(({ target, to }) => `${file} imports ${target}: ${from} may not import ${to}`);
  });
}

/** One circle for each file on whose account a walk comes back to where it has been. */
function circles(files: Files): string[] {
  const found: string[] = [];
  const finished = new Set<string>();
  const visit = (file: string, trail: readonly string[]) => {
    const seen = trail.indexOf(file);
    if (seen >= 0) found.push([...trail.slice(seen), file].join(" -> "));
    if (seen >= 0 || finished.has(file)) return;
    for (const next of importsOf(file, files.get(file) ?? "")) if (files.has(next)) visit(next, [...trail, file]);
    finished.add(file);
  };
  for (const file of files.keys()) visit(file, []);
  return found;
}

function nodeUses(files: Files): string[] {
  const builtin = /^(node:.*|fs|path|os|url|util|crypto|worker_threads|child_process|events|stream|module|buffer)$/;
  return [...files]
    .filter(([file]) => !NODE_ROOMS.includes(roomOf(file)))
    .flatMap(([file, text]) => {
      const names =
        tokens(text).code.match(/(?<![\w$.])process(?=\s*[.?[]|\s*!==?|\s*===?)|(?<![\w$.])Buffer\b/g) ?? [];
      const hidden = tokens(text).code.match(/(?<=\bglobalThis\s*\??\.\s*)(process|Buffer)\b/g) ?? [];
      return [
        ...importsOf(file, text)
          .filter((target) => builtin.test(target))
          .map((target) => `${file} imports ${target}`),
        ...new Set([...names, ...hidden].map((name) => `${file} names ${name}`)),
      ];
    });
}

function testImports(files: Files): string[] {
  return [...files].flatMap(([file, text]) =>
    importsOf(file, text)
      .filter((target) => /(\.test|\/testing)\.ts$/.test(target) || target.startsWith("test/") || target === "vitest")
      .map((target) => `${file} imports ${target}`),
  );
}

function missingImports(files: Files): string[] {
  return [...files].flatMap(([file, text]) =>
    importsOf(file, text)
      .filter((target) => target.startsWith("src/") && !files.has(target) && !existsSync(join(root, target)))
      .map((target) => `${file} imports ${target}`),
  );
}

function longFiles(files: Files): string[] {
  return [...files]
    .filter(([file]) => !file.endsWith(".generated.ts"))
    .map(([file, text]) => ({ file, lines: text.replace(/\n$/, "").split("\n").length }))
    .filter(({ lines }) => lines > LONGEST_FILE)
    .map(({ file, lines }) => `${file} has ${lines} lines`);
}

function foreignPaths(files: Files): string[] {
  const absolute = /(?<![\w.)\]}*-])\/(?:work|root|home|Users)\/[\w./-]+/g;
  return [...files].flatMap(([file, text]) => [...text.matchAll(absolute)].map(([path]) => `${file} names ${path}`));
}

/** A document may be named from the root, from the file that names it, or from docs/. */
function missingDocuments(files: Files): string[] {
  const documents = [...files].filter(([file]) => /\.(md|ts|tsx|mjs)$/.test(file));
  return documents.flatMap(([file, text]) =>
    [...text.matchAll(/(?<![\w/.:$}-])[\w./-]*\w\.md\b/g)]
      .map(([name]) => name)
      .filter((name) => !name.endsWith("NAME.md")) // a placeholder in a usage line
      .filter(
        (name) =>
          ![".", posix.dirname(file), "docs", "docs/results"].some((from) => existsSync(join(root, from, name))),
      )
      .map((name) => `${file} names ${name}`),
  );
}

// ---- reading

function roomOf(file: string): string {
  return SEAM.test(file) ? "seam" : (file.split("/")[1] as string);
}

/** What a file imports: files of ours from the root ("src/core/check.ts"), packages by name. */
function importsOf(file: string, text: string): string[] {
  const { code, strings } = tokens(text);
  const forms = [
    /\b(?:import|export)\b(?!\s*\()[^"';()=]*?\bfrom\s*"(\d+)"/g,
    /\bimport\s*"(\d+)"/g,
    /\bimport\s*\(\s*"(\d+)"/g,
    /\bnew\s+URL\s*\(\s*"(\d+)"\s*,\s*import\.meta\.url/g,
  ];
  const names = forms.flatMap((form) => [...code.matchAll(form)].map((match) => strings[Number(match[1])] as string));
  return [...new Set(names)].map((name) =>
    name.startsWith(".") ? posix.normalize(posix.join(posix.dirname(file), name)) : name,
  );
}

/** The code without comments and regular expressions, each string replaced by its number in quotes. */
function tokens(text: string): { code: string; strings: string[] } {
  const strings: string[] = [];
  const token =
    /\/\/[^\n]*|\/\*[\s\S]*?\*\/|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\[\s\S]|[^`\\])*`|(?<=(?:[(,=:[!&|?{};+\-*%<>~^]|\breturn)\s*)\/(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n*])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n])*\/[a-z]*/g;
  const code = text.replace(token, (found) => {
    if (!/^["'`]/.test(found)) return " ";
    strings.push(found.slice(1, -1));
    return `"${strings.length - 1}"`;
  });
  return { code, strings };
}

function isSource(file: string): boolean {
  return /^src\/.*\.tsx?$/.test(file) && !/(\.test|\/testing|\.d)\.ts$/.test(file);
}

function readFiles(directories: readonly string[], pattern: RegExp): Map<string, string> {
  const files = new Map<string, string>();
  const visit = (directory: string) => {
    for (const entry of readdirSync(join(root, directory), { withFileTypes: true })) {
      const name = `${directory}/${entry.name}`;
      if (entry.isDirectory() && entry.name !== "node_modules" && entry.name !== "golden") visit(name);
      else if (entry.isFile() && pattern.test(name)) files.set(name, read(name));
    }
  };
  for (const directory of directories) if (existsSync(join(root, directory))) visit(directory);
  return files;
}

function read(name: string): string {
  return readFileSync(join(root, dirname(name), name.split("/").at(-1) as string), "utf8");
}
