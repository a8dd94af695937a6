/**
 * The page in a real Chromium, served with and without cross-origin isolation: the engine is wasm,
 * the loss falls, Stop stops, nothing complains, and the weights have the same bits as in Node.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import type { Browser, Page } from "playwright-core";
import { build } from "vite";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { loadEngine } from "../../src/index.ts";
import { fingerprints } from "../../web/fingerprint.ts";
import { launch, serve } from "./serve.ts";

const STRICT = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; img-src data:";
const HEADERS: Record<string, Record<string, string>> = {
  "without cross-origin isolation": {},
  "with cross-origin isolation, and a strict content security policy": {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Content-Security-Policy": STRICT,
  },
};

const site = mkdtempSync(join(tmpdir(), "gatesieve-web-"));
let browser: Browser;

beforeAll(async () => {
  const configFile = fileURLToPath(new URL("../../web/vite.config.ts", import.meta.url));
  await build({ configFile, build: { outDir: site } });
  browser = await launch();
});

afterAll(async () => {
  await browser?.close();
  rmSync(site, { recursive: true, force: true });
});

test("library and kernels take less than 100 KB of the page, gzipped", () => {
  const assets = join(site, "assets");
  const worker = readdirSync(assets).filter((name) => name.startsWith("worker"));
  expect(worker).toHaveLength(1);
  const bytes = gzipSync(readFileSync(join(assets, worker[0] as string))).length;
  expect(bytes).toBeGreaterThan(5_000);
  expect(bytes).toBeLessThan(100_000);
});

for (const [name, headers] of Object.entries(HEADERS))
  describe(name, () => {
    let server: Server;
    let page: Page;
    const complaints: string[] = [];

    beforeAll(async () => {
      server = await serve(site, headers);
      page = await browser.newPage();
      page.on("console", (message) => {
        if (["error", "warning"].includes(message.type())) complaints.push(message.text());
      });
      page.on("pageerror", (error) => complaints.push(String(error)));
      page.on("requestfailed", (request) => complaints.push(`no answer: ${request.url()}`));
      await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
      await page.locator("#start:enabled").waitFor();
    });

    afterAll(async () => {
      await page?.close();
      await new Promise((resolve) => server?.close(resolve));
    });

    const figure = async (id: string) => Number.parseFloat((await page.locator(`#${id}`).textContent()) ?? "");
    const begin = async (policy: string, steps: number) => {
      await page.selectOption("#policy", policy);
      await page.fill("#steps", String(steps));
      await page.click("#start");
    };

    test("isolation is what the headers ask for, and the engine is wasm", async () => {
      const isolated = "Cross-Origin-Opener-Policy" in headers;
      expect(await page.evaluate("crossOriginIsolated")).toBe(isolated);
      const cores = Number(await page.evaluate("navigator.hardwareConcurrency"));
      const threads = isolated && cores > 1 ? `, ${Math.min(cores, 4)} threads` : "";
      expect(await page.textContent("#status")).toBe(`Ready: engine wasm (simd128${threads})`);
    });

    test("the loss of the bundled text falls, most gate gradients are dropped, a sample is written", async () => {
      await page.selectOption("#model", "1x64");
      await begin("energy:0.99", 150);
      await page.getByText("Finished at step 150").waitFor();
      await page.evaluate("new Promise(requestAnimationFrame)"); // the chart is drawn in one
      const label = (await page.getAttribute("#chart", "aria-label")) ?? "";
      const [, first, last] = (/energy:0.99 from (\S+) to (\S+)$/.exec(label) ?? []).map(Number) as [0, number, number];
      expect(first).toBeGreaterThan(3.5); // log of the vocabulary's size is 4.3
      expect(last).toBeLessThan(first - 1);
      expect(await figure("loss")).toBeCloseTo(last, 1);
      expect(await figure("dropped")).toBeGreaterThan(20);
      expect(await figure("macs-recurrent")).toBeGreaterThan(await figure("macs-all"));
      expect((await page.textContent("#sample"))?.length).toBe(300);
      expect(await page.locator("#chart circle").count()).toBe(10);
      const row = await page.locator("#runs tr").first().locator("td").allTextContents();
      expect(row[0]).toBe("energy:0.99");
      expect(Number(row[1])).toBeLessThan(first - 1);
    });

    test("Stop stops, and another run begins", async () => {
      await begin("dense", 100_000);
      await page.locator("#step", { hasText: /^[1-9]\d* of 100000$/ }).waitFor();
      await page.click("#stop");
      await page.getByText(/^Stopped at step \d+$/).waitFor();
      await begin("threshold:1e-6", 20);
      await page.getByText("Finished at step 20").waitFor();
      expect(await page.locator("#runs tr").count()).toBe(3);
    });

    test("a text that is too short gets one clear line", async () => {
      await page.fill("#text", "too short");
      await begin("dense", 20);
      await page.locator("#error:visible").waitFor();
      const words = await page.textContent("#error");
      expect(words).not.toContain("unexpected");
      expect(words).toMatch(/characters/);
    });

    test("the weights have the same bits as in Node", async () => {
      const ours = await fingerprints(await loadEngine("wasm"));
      expect(new Set(ours.map(({ weights }) => weights)).size).toBe(ours.length);
      await page.locator("summary").click();
      await page.click("#fingerprint");
      await page.getByText("Checked").waitFor();
      const theirs = await page.textContent("#fingerprints");
      const lines = ours.map(({ policy, loss, weights }) => `${policy}, wasm, loss ${loss}\n${weights}`);
      expect(theirs).toBe(lines.join("\n"));
    });

    test("it fits 400 px, and nothing complained", async () => {
      await page.setViewportSize({ width: 400, height: 800 });
      expect(await page.evaluate("document.documentElement.scrollWidth")).toBeLessThanOrEqual(400);
      expect(complaints).toEqual([]);
    });
  });
