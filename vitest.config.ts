/**
 * Three tiers, cheapest first: `npm test` runs all, `npm test -- --project unit` one, `npm test -- path` a file.
 *
 *   unit         src/**: units and contract suites, in process
 *   end-to-end   test/**: the built command line, the package, the house rules
 *   browser      test/browser/**: a real Chromium
 */
import { existsSync } from "node:fs";
import { defineConfig } from "vitest/config";

const chromium = process.env.CHROMIUM_PATH ?? "/usr/bin/chromium";
const hasChromium = existsSync(chromium);
if (!hasChromium && !process.env.GATESIEVE_SAID_NO_CHROMIUM) {
  console.warn(`gatesieve: no Chromium at ${chromium}: browser tests are left out. Install it, or set CHROMIUM_PATH.`);
  process.env.GATESIEVE_SAID_NO_CHROMIUM = "1"; // this file is loaded once for each project
}

const tier = (order: number, name: string, include: string[], seconds: number, exclude: string[] = []) => ({
  extends: true as const,
  test: {
    name,
    include,
    exclude: ["**/node_modules/**", ...exclude],
    testTimeout: seconds * 1000,
    hookTimeout: seconds * 1000,
    sequence: { groupOrder: order }, // one tier after the other: end-to-end runs must not be timed beside unit tests
    maxWorkers: name === "browser" ? 1 : 2,
  },
});

export default defineConfig({
  test: {
    pool: "forks",
    projects: [
      tier(0, "unit", ["src/**/*.test.ts"], 30),
      tier(1, "end-to-end", ["test/**/*.test.ts"], 180, ["test/browser/**"]),
      ...(hasChromium ? [tier(2, "browser", ["test/browser/**/*.test.ts"], 120)] : []),
    ],
  },
});
