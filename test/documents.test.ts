/**
 * What documents and help tell to type can be typed: commands, options, settings, policies, configurations. And links
 * between documents lead somewhere.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import type { Command, CommanderError } from "commander";
import { expect, test } from "vitest";
import { program } from "../src/cli/program.ts";
import { configPath, isConfigFile, loadConfig } from "../src/runs/config.ts";
import { loadSweep } from "../src/runs/sweep-grid.ts";
import { parsePolicy } from "../src/sparse/policies.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const read = (name: string) => readFileSync(join(root, name), "utf8");
const documents = [
  ...["README.md", "CONTRIBUTING.md", "rtl/README.md"],
  ...readdirSync(join(root, "docs"), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".md"))
    .map((name) => `docs/${name}`),
  ...readdirSync(join(root, "configs"), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".yaml"))
    .map((name) => `configs/${name}`),
];

test("every command line in documents and configurations can be typed", () => {
  const lines = documents.flatMap((name) => commandLines(read(name)).map((line) => ({ name, line })));
  expect(lines.length).toBeGreaterThan(100);
  expect(lines.flatMap(({ name, line }) => faults(line).map((fault) => `${name}: ${line}: ${fault}`))).toEqual([]);
});

test("every example in help can be typed", () => {
  const commands = every(program());
  const help = commands.map((command) => {
    const pieces: string[] = [];
    command.configureOutput({ writeOut: (piece) => pieces.push(piece) }).outputHelp();
    return pieces.join("");
  });
  const lines = help.flatMap((text) => text.split("\n").filter((line) => /^ {2}gatesieve /.test(line)));
  expect(lines.length).toBeGreaterThan(50);
  // Behind two spaces stands what the line does.
  expect(lines.flatMap((line) => faults(line.trim().replace(/ {2}.*/, "")))).toEqual([]);
});

test("a line that cannot be typed is found", () => {
  const wrong = [
    "gatesieve trian my.txt",
    "gatesieve train my.txt --polcy dense",
    "gatesieve train my.txt train.maxstep=3",
    "gatesieve train my.txt --policy densty:0.1",
    "gatesieve train configs/none.yaml",
    "gatesieve runs show",
    "gatesieve export last --format pickle --out x",
    "gatesieve sweep configs/sweeps/rates.yaml train.maxstep=3",
    "cat x | npx gatesieve predict last",
  ];
  for (const line of wrong) expect(faults(line), line).toHaveLength(1);
  expect(
    commandLines("run `gatesieve tasks --json` or `gatesieve export`\n\n    npx gatesieve runs   # all\n"),
  ).toEqual(["npx gatesieve runs", "gatesieve tasks --json"]);
});

test("links between documents lead to a file, and to a heading in it", () => {
  const pages = documents.filter((name) => name.endsWith(".md"));
  expect(pages.flatMap((name) => brokenLinks(name, read(name)))).toEqual([]);
  const wrong = "[a](NO-NAME.md) [b](cli.md#none) [c](/docs/cli.md) [d](cli.md#train) [e](https://example.com)";
  expect(brokenLinks("docs/data.md", wrong)).toEqual(
    ["NO-NAME.md", "cli.md#none", "/docs/cli.md"].map((to) => `docs/data.md: ${to}`),
  );
});

function brokenLinks(name: string, text: string): string[] {
  return [...withoutCode(text).matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, link]) => link as string)
    .filter((link) => !/^\w+:/.test(link))
    .filter((link) => {
      const [path, heading] = link.split("#") as [string, string?];
      const file = path === "" ? name : normalize(join(dirname(name), path));
      // A path from "/" leads elsewhere in every reader of Markdown.
      if (path.startsWith("/") || !existsSync(join(root, file))) return true;
      return heading !== undefined && file.endsWith(".md") && !headings(read(file)).includes(heading);
    })
    .map((link) => `${name}: ${link}`);
}

/** As GitHub makes anchors of them. */
function headings(text: string): string[] {
  return [...withoutCode(text).matchAll(/^#+ (.*)$/gm)].map(([, title]) =>
    (title as string)
      .replace(/\[([^\]]*)\]\([^)]*\)/g, "$1")
      .toLowerCase()
      .replace(/[^\p{L}\p{N}_ -]/gu, "")
      .replaceAll(" ", "-"),
  );
}

const withoutCode = (text: string) => text.replace(/```.*?```/gs, "");

/** In blocks and between backticks; of what is written for several (FILE..., [FILE], A | B), nothing. */
function commandLines(text: string): string[] {
  const blocks = [...text.matchAll(/^(?: {4}|\$ |# +)?((?:echo|cat) .*\| *)?(?:npx )?gatesieve [^\n`]*$/gm)].map(
    ([line]) => line,
  );
  // A command's name alone is its name.
  const inline = [...text.matchAll(/`((?:npx )?gatesieve [a-z]+ [^`]*[^a-z`][^`]*)`/g)].map(
    ([, line]) => line as string,
  );
  return [...blocks, ...inline]
    .map((line) =>
      line
        .replace(/^(?: {4}|\$ |# +)/, "")
        .replace(/ +# .*| {2,}#.*/, "")
        .trim(),
    )
    .filter((line) => !/\.\.\.|…|\[|COMMAND|^gatesieve [^a-z-]/.test(line));
}

/** What is wrong with each gatesieve command of a shell line. */
function faults(line: string): string[] {
  return line
    .split(/ *(?:&&|\||;(?=\s)) */)
    .filter((part) => /^(npx )?gatesieve /.test(part))
    .flatMap((part) => {
      try {
        typed(words(part.replace(/^npx /, "").replace(/ *2?>.*/, "")).slice(1));
        return [];
      } catch (error) {
        const { code, message } = error as CommanderError;
        return code === "commander.helpDisplayed" ? [] : [message];
      }
    });
}

/** As a shell takes them apart. */
function words(line: string): string[] {
  return [...line.matchAll(/(?:"[^"]*"|'[^']*'|[^\s"'])+/g)].map(([word]) => word.replace(/["']/g, ""));
}

const every = (command: Command): Command[] => [command, ...command.commands.flatMap(every)];

/** Parses as the command line would; in place of the work settings, policies and configurations are looked at. */
function typed(given: readonly string[]): void {
  const tree = program();
  for (const command of every(tree)) {
    command.exitOverride().configureOutput({ writeErr() {}, writeOut() {}, outputError() {} });
    if ((command as { _actionHandler?: unknown })._actionHandler)
      // commander's own way to tell groups apart
      command.action(function (this: Command) {
        lookAt(this);
      });
  }
  tree.parse(given, { from: "user" });
}

function lookAt(command: Command): void {
  const { policy, policies } = command.opts() as { policy?: string; policies?: string };
  for (const each of [policy, ...(policies?.split(";") ?? [])])
    if (each !== undefined && each !== "P") parsePolicy(each.trim());
  const inputs = command.args.flat().filter((word) => word !== "key=value");
  const settings = inputs.filter((word) => /^[A-Za-z][\w.]*=/.test(word));
  const file = inputs.find((word) => isConfigFile(word) && word.startsWith("configs/"));
  if (file !== undefined && !existsSync(configPath(join(root, file)))) throw new Error(`there is no ${file}`);
  const name = command.name();
  if (name === "sweep" && file) loadSweep(join(root, file), settings);
  else if (["train", "advise", "doctor"].includes(name)) {
    // Settings of a configuration of one's own, or of a run, may be of any task.
    const others = inputs.some((word) => isConfigFile(word) && word !== file) || command.opts().from !== undefined;
    const overrides = others ? settings.filter((setting) => !setting.startsWith("task.")) : settings;
    const task = command.opts().task as string | undefined;
    loadConfig({ file: file && join(root, file), overrides: task ? [...overrides, `task.name=${task}`] : overrides });
  }
}
