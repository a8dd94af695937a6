/**
 * The package in pages that are not ours, in a real Chromium: a plain <script type="module">, a module worker, a Vite app that
 * starts one, and a page that has TensorFlow.js from a script tag. Each trains the same small model, to the bits of Node.
 */
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { type Browser, chromium } from "playwright-core";
import { build } from "vite";
import { afterAll, beforeAll, expect, test } from "vitest";

const TYPES: Record<string, string> = { ".html": "text/html", ".js": "text/javascript" };
const root = fileURLToPath(new URL("../..", import.meta.url));
const site = mkdtempSync(join(tmpdir(), "gatesieve-pages-"));
const SMOKE = readFileSync(join(root, "scripts/runtimes/smoke.mjs"), "utf8");
let browser: Browser;
let server: Server;

const page = (script: string) => `<!doctype html><meta charset="utf-8"><title>t</title>${script}`;
const TELL = "globalThis.answer = await smoke();";
const WORKER = `${SMOKE}\npostMessage(await smoke());`;
const START = `worker.onmessage = ({ data }) => { globalThis.answer = data; };\nworker.onerror = (event) => { globalThis.answer = event.message; };`;
const TENSORFLOW = `
import { gatesieveLayers } from "./gatesieve/tfjs/index.js";
await tf.setBackend("cpu");
const train = async (layers) => {
  const model = tf.sequential();
  model.add(layers.lstm({ units: 4, inputShape: [3, 2], kernelInitializer: "ones", recurrentInitializer: "ones" }));
  model.compile({ optimizer: "sgd", loss: "meanSquaredError" });
  const { history } = await model.fit(tf.ones([4, 3, 2]), tf.zeros([4, 4]), { epochs: 2, verbose: 0 });
  return history.loss[1];
};
globalThis.answer = { theirs: await train(tf.layers), ours: await train(await gatesieveLayers(tf)) };`;

beforeAll(async () => {
  cpSync(join(root, "dist"), join(site, "gatesieve"), {
    recursive: true,
    filter: (from) => !from.includes("dist/web"),
  });
  cpSync(join(root, "node_modules/@tensorflow/tfjs/dist/tf.min.js"), join(site, "tf.min.js"));
  const plain = SMOKE.replace('"gatesieve"', '"./gatesieve/index.js"');
  const files = {
    "plain.html": page(`<script type="module">${plain}\n${TELL}</script>`),
    "worker.js": WORKER.replace('"gatesieve"', '"./gatesieve/index.js"'),
    "worker.html": page(
      `<script type="module">const worker = new Worker("./worker.js", { type: "module" });\n${START}</script>`,
    ),
    "tfjs.html": page(`<script src="tf.min.js"></script><script type="module">${TENSORFLOW}</script>`),
  };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(site, name), text);

  const app = join(site, "app");
  mkdirSync(join(app, "node_modules"), { recursive: true });
  symlinkSync(root, join(app, "node_modules/gatesieve"));
  writeFileSync(join(app, "index.html"), page('<script type="module" src="/main.js"></script>'));
  writeFileSync(
    join(app, "main.js"),
    `const worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });\n${START}`,
  );
  writeFileSync(join(app, "worker.js"), WORKER);
  await build({
    root: app,
    base: "./",
    logLevel: "error",
    configFile: false,
    worker: { format: "es" },
    build: { outDir: join(site, "vite"), emptyOutDir: true, target: "es2022" },
  });

  server = createServer(({ url = "/" }, response) => {
    try {
      const path = normalize(new URL(url, "http://localhost").pathname);
      const body = readFileSync(join(site, path));
      response.writeHead(200, { "Content-Type": TYPES[extname(path)] ?? "text/plain" }).end(body);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM_PATH ?? "/usr/bin/chromium",
    args: ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"],
  });
});

afterAll(async () => {
  await browser?.close();
  await new Promise((resolve) => server?.close(resolve));
  rmSync(site, { recursive: true, force: true });
});

async function answerOf(path: string): Promise<unknown> {
  const tab = await browser.newPage();
  const complaints: string[] = [];
  tab.on("pageerror", (error) => complaints.push(String(error)));
  try {
    await tab.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/${path}`);
    await tab.waitForFunction("globalThis.answer !== undefined", undefined, { timeout: 60_000 }).catch(() => {});
    expect(complaints).toEqual([]);
    return await tab.evaluate("globalThis.answer");
  } finally {
    await tab.close();
  }
}

test.each(["plain.html", "worker.html", "vite/index.html"])("%s trains to the bits of Node", async (path) => {
  const { smoke } = await import("../../scripts/runtimes/smoke.mjs");
  const here = await smoke();
  expect(here).toMatch(/^wasm, simd128, loss \d\.\d{4,}, \d+ MACs skipped$/);
  expect(await answerOf(path)).toBe(here);
});

test("with TensorFlow.js from a script tag, layers of ours train as its own", async () => {
  const { ours, theirs } = (await answerOf("tfjs.html")) as Record<string, number>;
  expect(theirs).toBeGreaterThan(0);
  expect(ours).toBeCloseTo(theirs as number, 3);
});
