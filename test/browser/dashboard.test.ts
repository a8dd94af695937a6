/**
 * The dashboard as its reader meets it: the built command serves a folder in which runs train, a real Chromium
 * shows them, sees them go on, and nothing complains.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { type Browser, chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { commandLineIn, main } from "../gatesieve.ts";

const { folder, env, gatesieve } = commandLineIn("ui");
const runs = join(folder, "runs");
const complaints: string[] = [];
let server: ChildProcess;
let url: string;
let browser: Browser;
let page: Page;

const train = (policy: string, ...more: string[]) =>
  gatesieve(
    ...["train", "--policy", policy, "--runs", runs, "--quiet", "--engine", "wasm", "model.hiddenSize=16"],
    ...["train.maxSteps=40", "train.batchSize=8", "train.sequenceLength=16", "train.telemetryEverySteps=10"],
    ...["train.valCheckInterval=20", "train.logEverySteps=2", ...more],
  );

beforeAll(async () => {
  expect(train("dense").status).toBe(0);
  expect(train("density:0.3").status).toBe(0);
  const broken = join(runs, "broken");
  mkdirSync(broken);
  writeFileSync(join(broken, "run.json"), "{");
  server = spawn(process.execPath, [main, "ui", "--port", "0", "--runs", runs], { cwd: folder, env });
  url = await new Promise<string>((resolve, reject) => {
    server.stdout?.on("data", (data) => resolve(/http\S+/.exec(String(data))?.[0] ?? ""));
    server.stderr?.on("data", (data) => reject(new Error(String(data))));
  });
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM_PATH ?? "/usr/bin/chromium",
    args: ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"],
  });
  page = await browser.newPage({ viewport: { width: 1280, height: 1000 } });
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(String(error)));
  await page.goto(url);
});

afterAll(async () => {
  await browser?.close();
  server?.kill("SIGINT");
});

const rows = () => page.locator(".runs tbody tr");

test("lists runs, filters and sorts them", async () => {
  await rows().nth(1).waitFor();
  expect(await rows().count()).toBe(2); // the broken one is left out
  expect(await page.locator(".runs tr.chosen").textContent()).toContain("density:0.3"); // the newest, where none was asked for
  await page.fill('input[type="search"]', "policy=density:0.3 seed=1");
  expect(await rows().count()).toBe(1);
  expect(await rows().textContent()).toContain("density:0.3");
  await page.fill('input[type="search"]', "no such run");
  expect(await rows().count()).toBe(0);
  await page.fill('input[type="search"]', "");
  await page.locator("thead button", { hasText: "policy" }).click();
  expect(await rows().first().textContent()).toContain("dense");
  await page.locator("thead button", { hasText: "policy" }).click();
  expect(await rows().first().textContent()).toContain("density:0.3");
});

test("draws the curves of chosen runs, with the last values of the store", async () => {
  await page.locator("button", { hasText: "choose none" }).click();
  await rows().nth(0).click();
  await rows().nth(1).click();
  const chart = page.locator(".chart", { hasText: "Gate gradients that are zero" });
  await chart.locator("canvas").waitFor();
  expect(await chart.locator(".u-legend .u-series").count()).toBe(3); // x and two runs
  const saved = page.waitForEvent("download");
  await chart.locator("button", { hasText: "CSV" }).click();
  const text = readFileSync(await (await saved).path(), "utf8");
  const lines = text.trim().split("\n");
  expect(lines[0]).toBe("run,steps,zeros");
  expect(lines.filter((line) => line.includes("dense"))).toHaveLength(20);
  expect(page.url()).toContain("runs=");
});

test("shows a run from inside, and what differs between two", async () => {
  await page.locator("nav button", { hasText: "Inside" }).click();
  await page.locator(".heat canvas").first().waitFor();
  expect(await page.locator(".heat").count()).toBe(8); // two layers, four gates
  await page.locator("nav button", { hasText: "Settings" }).click();
  expect(await page.locator(".settings tbody th").allTextContents()).toEqual(["policy"]);
  await page.locator("nav button", { hasText: "Curves" }).click();
});

test("a run that goes on is seen to go on", async () => {
  const live = join(runs, "live");
  const stored = gatesieve("runs", "show", "last", "--runs", runs, "--json");
  cpSync((JSON.parse(stored.stdout) as { dir: string }).dir, live, { recursive: true });
  rmSync(join(live, "summary.json"));
  const events = readFileSync(join(live, "events.jsonl"), "utf8").split("\n");
  const steps = events.filter((line) => line.includes('"type":"step"'));
  writeFileSync(join(live, "events.jsonl"), `${steps.slice(0, 3).join("\n")}\n`);
  const info = JSON.parse(readFileSync(join(live, "run.json"), "utf8")) as object;
  writeFileSync(join(live, "run.json"), JSON.stringify({ ...info, id: "live" }));
  const row = page.locator(".runs tbody tr", { hasText: "live" });
  await row.waitFor();
  await row.click();
  const status = row.locator("td").nth(2);
  expect(await status.textContent()).toBe("stopped 15 %");
  writeFileSync(join(live, "events.jsonl"), `${steps.slice(0, 10).join("\n")}\n`);
  await row.locator("td", { hasText: "stopped 50 %" }).waitFor();
  rmSync(live, { recursive: true });
  await row.waitFor({ state: "detached" });
});

test("answers to its own name alone, and to no path outside", async () => {
  expect(await status("/api/runs", "evil.example")).toBe(403);
  expect(await status("/api/runs", new URL(url).host)).toBe(200);
  expect(await status("/..%2f..%2fpackage.json", new URL(url).host)).toBe(404);
  expect(await status("/api/runs/..%2f..%2fetc/events", new URL(url).host)).toBe(404);
});

test("nothing complained", () => expect(complaints).toEqual([]));

function status(path: string, host: string): Promise<number | undefined> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    request({ hostname, port, path, headers: { host } }, (answer) => {
      answer.resume();
      resolve(answer.statusCode);
    })
      .on("error", reject)
      .end();
  });
}
