/** The page of memory: its arms, and that it adds up what they planned. */
import { expect, test } from "vitest";
import { memoryPage, memoryRows } from "../bench/memory.mjs";

const MIB = 2 ** 20;
const SMALL = { states: 0, optimizer: 0, batch: 0, statistics: 0.5 * MIB };

/** A row as `step` makes it. */
function row(workload: string, policy: string, recompute: number) {
  const gates = recompute === 0 ? 100 : recompute;
  const memory = {
    weights: 1,
    gradients: 1,
    activations: 50,
    gateGradients: gates,
    pattern: 10,
    packed: 2,
    workspace: 3,
  };
  const bytes = Object.fromEntries(Object.entries(memory).map(([purpose, mib]) => [purpose, mib * MIB]));
  const time = { msMedian: 100, cpuMs: recompute === 0 ? 80 : 100, steps: 9, rssMiB: 200 };
  const engine = { engine: "native", isa: "avx512", date: "2026-01-01" };
  return { workload, policy, recompute, memory: { ...bytes, ...SMALL }, ...time, ...engine };
}

async function rows(names: string[]) {
  const asked: unknown[] = [];
  const made = await memoryRows(
    async (name, wanted) => {
      asked.push([name, wanted.recomputes]);
      return wanted.policies.flatMap((policy) => wanted.recomputes.map((recompute) => row(name, policy, recompute)));
    },
    names,
    { engine: "native", steps: 9 },
  );
  return { made, asked };
}

test("segments as long as a workload's sequence are left out", async () => {
  expect((await rows(["W3", "W7"])).asked).toEqual([
    ["W3", [0, 10]],
    ["W7", [0, 10, 25]],
  ]);
});

test("the page adds up purposes, and says whether eta-LSTM's saving is reached", async () => {
  const { made } = await rows(["W3", "W7"]);
  const page = memoryPage({ command: "the command", rows: made, notes: ["a note"] });
  const cells = (line: RegExp) =>
    page
      .match(line)?.[0]
      .split("|")
      .map((cell) => cell.trim());
  expect(cells(/^\| W7 \| 0 \| 1\.0 .*$/m)).toEqual([
    "",
    "W7",
    "0",
    "1.0",
    "1.0",
    "50",
    "100",
    "10",
    "2.0",
    "3.0",
    "0.5",
    "168",
    "160",
    "",
    "",
  ]);
  expect(page).toContain("| 78 | 70 | -56.3 % |");
  expect(page).toContain("S = 10: 160 to 70 MiB, -56.3 % (less than eta-LSTM)");
  expect(page).toMatch(/^\| W3 \| 10 \| 200 \| 100\.0 \| 100\.0 \| 1\.25x \| 200 /m);
  expect(page).toContain("* a note");
  expect(page).not.toMatch(/NaN|undefined/);
});
