/** The table of peak memory beside PyTorch's: what is over its mark says so, what was not measured is left out. */
import { expect, test } from "vitest";
import { peakTable } from "../bench/peak.mjs";

const ours = (workload: string, policy: string, rssMiB: number) => ({
  workload,
  tool: "gatesieve",
  policy,
  rssMiB,
  arenaMiB: 50,
});
const theirs = (workload: string, rssMiB: number) => ({
  workload,
  tool: "pytorch",
  policy: null,
  rssMiB,
  arenaMiB: null,
});

test("a share of PyTorch's at a tenth kept, held against what is asked for", () => {
  const table = peakTable([
    ours("W2", "dense", 100),
    ours("W2", "density:0.1", 134.2),
    theirs("W2", 400),
    ours("W5", "dense", 600),
    ours("W5", "density:0.1", 700),
    theirs("W5", 1000),
    ours("W6", "dense", 70),
    ours("W6", "density:0.1", 71),
  ]);
  expect(table.split("\n").slice(2)).toEqual([
    "| W2 | 100 | 134 | 50 | 400 | 34 % **missed** | 33 % |",
    "| W5 | 600 | 700 | 50 | 1000 | 70 % | 70 % |",
    "| W6 | 70 | 71 | 50 |  |  | 33 % |",
  ]);
});
