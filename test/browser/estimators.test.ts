/**
 * The library's example for pages, bundled as a user would: `fit` in a worker, the page free while it trains, a stop that
 * leaves a model, and a model saved there that is the one Node trains.
 */
import { mkdtempSync, rmSync } from "node:fs";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Browser, Page } from "playwright-core";
import { build } from "vite";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Classifier, classifier, gru, loadModel } from "../../src/index.ts";
import { launch, serve } from "./serve.ts";

const path = (name: string) => fileURLToPath(new URL(`../../${name}`, import.meta.url));
const site = mkdtempSync(join(tmpdir(), "gatesieve-example-"));
const complaints: string[] = [];
let browser: Browser;
let server: Server;
let page: Page;

beforeAll(async () => {
  await build({
    root: path("examples/browser"),
    configFile: false,
    logLevel: "error",
    resolve: { alias: { gatesieve: path("src/index.ts") } },
    worker: { format: "es" },
    build: { outDir: site, emptyOutDir: true, target: "es2022" },
  });
  [browser, server] = [await launch(), await serve(site, {})];
  page = await browser.newPage();
  page.on("console", ({ text, type }) => ["error", "warning"].includes(type()) && complaints.push(text()));
  page.on("pageerror", (error) => complaints.push(String(error)));
  await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
});

afterAll(async () => {
  await browser?.close();
  await new Promise((resolve) => (server ? server.close(resolve) : resolve(undefined)));
  rmSync(site, { recursive: true, force: true });
});

const examples = async () => (await page.inputValue("#examples")).split("\n");

test("it trains in the worker, answers, and its saved model is the one that Node trains", async () => {
  await page.click("#train");
  await page.getByText(/^trained at step/).waitFor();
  await page.fill("#text", "twenty-seven");
  await page.getByText(/^number, \d+ %$/).waitFor();
  await page.fill("#text", "dark orange");
  await page.getByText(/^colour, \d+ %$/).waitFor();

  const bytes = await page.evaluate(async () => {
    const { href } = document.getElementById("download") as HTMLAnchorElement;
    return [...new Uint8Array(await (await fetch(href)).arrayBuffer())];
  });
  const theirs = await loadModel<Classifier<string, string>>(Uint8Array.from(bytes), { engine: "wasm" });
  const data = (await examples()).map((line) => {
    const space = line.lastIndexOf(" ");
    return { sequence: line.slice(0, space), label: line.slice(space + 1) };
  });
  const options = { epochs: 60, batchSize: 8, learningRate: 0.01, engine: "wasm" } as const;
  const ours = await classifier(gru({ hiddenSize: 32 })).fit(data, options);
  const words = ["twenty-seven", "dark orange", "elephant", "𝄞"];
  expect(theirs.predictAll(words)).toEqual(ours.predictAll(words));
  expect(theirs.report.losses).toEqual(ours.report.losses);
});

test("a stop ends a long training at once, and leaves a model that answers", async () => {
  // By script: typing so many lines takes a browser longer than learning them.
  await page.evaluate(() => {
    const area = document.getElementById("examples") as HTMLTextAreaElement;
    area.value = Array(20).fill(area.value).join("\n");
  });
  await page.click("#train");
  await page.getByText(/^step \d+ of \d{4,}/).waitFor();
  // The page's own loop turns while the worker trains.
  const frames = await page.evaluate(
    () =>
      new Promise<number>((resolve) => {
        let count = 0;
        const end = performance.now() + 500;
        const turn = () => {
          count++;
          if (performance.now() < end) setTimeout(turn);
          else resolve(count);
        };
        turn();
      }),
  );
  expect(frames).toBeGreaterThan(20);
  await page.click("#stop");
  await page.getByText(/^stopped at step \d+/).waitFor({ timeout: 5000 });
  await page.fill("#text", "dark green");
  await page.getByText(/^colour, \d+ %$/).waitFor();
});

test("a mistake in the data is one line for people, and nothing complained", async () => {
  await page.fill("#examples", "one number\ntwo number");
  await page.click("#train");
  await page.getByText(/one class alone, "number"/).waitFor();
  await page.fill("#examples", "one number\nword");
  await page.click("#train");
  await page.getByText(/^sequences\[1\]: its label is ""/).waitFor();
  expect(complaints).toEqual([]);
});
