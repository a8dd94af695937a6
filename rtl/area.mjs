/**
 * Area of the unit and its lanes: yosys synthesizes them to generic gates, and its own table of CMOS transistors a gate
 * (`stat -tech cmos`) adds them up. A gate equivalent is a NAND of two inputs, 4 transistors. Memories of operands
 * and results are outside. Writes docs/results/rtl-area.{json,md}.
 *
 *   node rtl/area.mjs
 *   node rtl/area.mjs --check pack,queue      only compares parts with what was written
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const rtl = fileURLToPath(new URL(".", import.meta.url));
const SIZES = { W: 16, DEPTH: 64, P: 4, L: 16, D: 8, M: 16, OPERAND: 13, RESULT: 10, COST: 8 };
const { W, DEPTH, P, L, D, M, OPERAND, RESULT, COST } = SIZES;
const SIZE = 32 + OPERAND + RESULT;
const ROOM = Math.ceil(Math.log2(DEPTH + 1));
const INDEX = Math.log2(W);

const version = spawnSync("yosys", ["-V"], { encoding: "utf8" });
if (version.status !== 0) {
  console.error("no yosys. Install it (Debian: apt-get install yosys).");
  process.exit(1);
}

/** Gates, flip-flops and gate equivalents of a module with these parameters; not `flat`: equal submodules are made once. */
function areaOf(top, parameters, flat = true) {
  const folder = mkdtempSync(join(tmpdir(), "gatesieve-area-"));
  try {
    const report = join(folder, "stat.txt");
    const sources = readdirSync(rtl)
      .filter((name) => name.endsWith(".sv"))
      .map((name) => join(rtl, name));
    const set = Object.entries(parameters).map(([name, value]) => `-chparam ${name} ${value}`);
    const script = [
      `read_verilog -sv ${sources.join(" ")}`,
      `hierarchy -top ${top} ${set.join(" ")}`,
      `synth ${flat ? "-flatten" : ""} -run begin:fine`,
      // Enables and resets become gates, so that all flip-flops are of one kind.
      "memory_map; opt -undriven -fine; techmap; opt; dfflegalize -cell $_DFF_P_ x; opt_expr; opt_merge; opt_clean",
      "abc -g AND,NAND,OR,NOR,XOR,XNOR,MUX,AOI3,OAI3; opt_clean -purge",
      `tee -o ${report} stat -tech cmos`,
    ].join("; ");
    const { status, stdout, stderr } = spawnSync("yosys", ["-q", "-p", script], { encoding: "utf8" });
    if (status !== 0) throw new Error(`yosys refuses ${top}:\n${stdout}${stderr}`);
    const text = readFileSync(report, "utf8").split("===").at(-1); // of several modules the last part is their sum
    const cells = {};
    for (const [, name, count] of text.matchAll(/^ +(\$_\w+_|\$\w+) +(\d+)$/gm)) cells[name] = Number(count);
    const transistors = /transistors: +(\d+)(\+?)/.exec(text);
    if (!transistors || transistors[2])
      throw new Error(`yosys does not know the transistors of all gates of ${top}:\n${text}`);
    const flipFlops = Object.entries(cells).reduce((sum, [name, count]) => sum + (/DFF/.test(name) ? count : 0), 0);
    const gates = Object.values(cells).reduce((sum, count) => sum + count, 0) - flipFlops;
    return { gates, flipFlops, gateEquivalents: Math.round(Number(transistors[1]) / 4), cells };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const item = { OPERAND, RESULT };
const parts = {
  compare: ["compare", { STOCHASTIC: 0 }],
  compareStochastic: ["compare", { STOCHASTIC: 1 }],
  pack: ["pack", { W, SIZE: 32 + INDEX }],
  compactUnit: ["compact_unit", { W, ...item, ROOM, STOCHASTIC: 0 }],
  compactUnitStochastic: ["compact_unit", { W, ...item, ROOM, STOCHASTIC: 1 }, false],
  fifo: ["fifo", { W, DEPTH, P, SIZE }],
  dispatch: ["dispatch", { P, L, ...item, COUNT: ROOM }],
  queue: ["queue", { DEPTH: D, SIZE }],
  // A group of the machine "sieve", src/energy/machines/sieve.ts: one lane of 256, one port, a queue of 4.
  fifoAlone: ["fifo", { W, DEPTH, P: 1, SIZE }],
  dispatchAlone: ["dispatch", { P: 1, L: 1, ...item, COUNT: ROOM }],
  queueAlone: ["queue", { DEPTH: 4, SIZE }],
  multiply: ["multiply", {}],
  multiplyAdd: ["multiply_add", {}],
  laneOfOne: ["lane", { M: 1, ...item, COST }],
};
const json = fileURLToPath(new URL("../docs/results/rtl-area.json", import.meta.url));
if (process.argv[2] === "--check") {
  const written = JSON.parse(readFileSync(json, "utf8"));
  if (written.tool !== version.stdout.trim()) console.log(`not compared: written by ${written.tool}`);
  else
    for (const name of process.argv[3].split(",")) {
      const [now, then] = [areaOf(...parts[name]), written.parts[name]].map((part) => JSON.stringify(part));
      if (now !== then) {
        console.error(`${name} is now ${now}, written is ${then}. Run: node rtl/area.mjs`);
        process.exit(1);
      }
    }
  process.exit(0);
}
const area = {};
for (const [name, [top, parameters, flat]] of Object.entries(parts)) {
  area[name] = areaOf(top, parameters, flat);
  console.error(`${name}: ${area[name].gateEquivalents} gate equivalents`);
}

const ge = (name) => area[name].gateEquivalents;
const laneControl = ge("laneOfOne") - ge("multiplyAdd");
const lane = laneControl + M * ge("multiplyAdd");
const unit = ge("compactUnit") + ge("fifo") + ge("dispatch");
const unitStochastic = ge("compactUnitStochastic") + ge("fifo") + ge("dispatch");
const group = (unit) => unit + L * (ge("queue") + lane);
/** The same multipliers without anything for zeros: no unit, no queues; a lane's control stays. */
const dense = L * lane;
const alone = ge("fifoAlone") + ge("dispatchAlone") + ge("queueAlone");
const denseAlone = laneControl + 256 * ge("multiplyAdd");
const sums = {
  laneControl,
  lane,
  unit,
  unitStochastic,
  queues: L * ge("queue"),
  group: group(unit),
  groupStochastic: group(unitStochastic),
  dense,
  unitPerLane: unit / lane,
  unitStochasticPerLane: unitStochastic / lane,
  queuePerLane: ge("queue") / lane,
  denseAlone,
  unitAlone: alone + ge("compactUnit"),
  unitAloneStochastic: alone + ge("compactUnitStochastic"),
  overheadAlone: (alone + ge("compactUnit")) / denseAlone,
  overheadAloneStochastic: (alone + ge("compactUnitStochastic")) / denseAlone,
  overhead: group(unit) / dense - 1,
  overheadStochastic: group(unitStochastic) / dense - 1,
};

const date = new Date().toISOString().slice(0, 10);
const tool = version.stdout.trim();
writeFileSync(
  json,
  `${JSON.stringify({ generator: "node rtl/area.mjs", tool, date, sizes: SIZES, parts: area, sums }, null, 2)}\n`,
);

const whole = (x) => Math.round(x).toLocaleString("en-US");
const percent = (x) => `${(100 * x).toFixed(1)} %`;
const row = (...cells) => `| ${cells.join(" | ")} |`;
const LABELS = {
  compare: `compare, one of ${W} slots`,
  compareStochastic: "the same with the rule `stochastic`",
  pack: `compaction network, ${W} items of ${32 + INDEX} bits`,
  compactUnit: `unit: ${W} slots, register, network`,
  compactUnitStochastic: "the same with the rule `stochastic`",
  fifo: `FIFO, ${DEPTH} elements of ${SIZE} bits`,
  dispatch: `dispatch, ${P} ports to ${L} lanes`,
  queue: `queue of a lane, ${D} elements`,
  fifoAlone: "FIFO with one port",
  queueAlone: "queue of 4 elements",
  multiply: "float32 multiplier",
  multiplyAdd: "float32 multiplier and adder",
  laneOfOne: "lane with one multiplier",
};
const text = `# Area of the unit and its lanes

Made by \`node rtl/area.mjs\` on ${date}, ${tool.replace(/ \(.*/, "")}. Sizes: unit of ${W}, FIFO of ${DEPTH}, ${P} ports, ${L} lanes of ${M} multipliers, queues of ${D}; see [rtl/README.md](../../rtl/README.md).

Gates are yosys' generic ones; a gate equivalent is 4 transistors by its table (\`stat -tech cmos\`). No technology, no wires, no clock, no memories: figures are for ratios between parts that were made the same way. Enables and resets are counted as gates.

${row("part", "gates", "flip-flops", "gate equivalents")}
|---|---:|---:|---:|
${Object.entries(LABELS)
  .map(([name, label]) => row(label, whole(area[name].gates), whole(area[name].flipFlops), whole(ge(name))))
  .join("\n")}

Added up:

${row("", "gate equivalents", "of the dense lanes")}
|---|---:|---:|
${row(`lane with ${M} multipliers`, whole(lane), percent(lane / dense))}
${row(`dense: ${L} lanes without queues`, whole(dense), percent(1))}
${row("unit with FIFO and dispatch", whole(unit), percent(unit / dense))}
${row("the same with the rule `stochastic`", whole(unitStochastic), percent(unitStochastic / dense))}
${row(`${L} queues`, whole(sums.queues), percent(sums.queues / dense))}
${row("the group", whole(sums.group), percent(sums.group / dense))}
${row("the group with the rule `stochastic`", whole(sums.groupStochastic), percent(sums.groupStochastic / dense))}

A group of the machine \`sieve\`, one lane of 256 multipliers behind one port and a queue of 4:

${row("", "gate equivalents", "of the dense lane")}
|---|---:|---:|
${row("dense: a lane of 256 multipliers", whole(denseAlone), percent(1))}
${row("unit, FIFO and queue", whole(sums.unitAlone), percent(sums.overheadAlone))}
${row("the same with the rule `stochastic`", whole(sums.unitAloneStochastic), percent(sums.overheadAloneStochastic))}
`;
writeFileSync(new URL("../docs/results/rtl-area.md", import.meta.url), text);
console.log(text);
