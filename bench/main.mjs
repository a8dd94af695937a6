/**
 * Benchmarks of Gatesieve and its peers: `npm run bench -- COMMAND`, --help lists them.
 * docs/benchmarks.md explains the options and the fields.
 */
import { getPriority } from "node:os";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { describe, gflop, parameterCount, WORKLOADS } from "./workloads.mjs";

const HELP = `npm run bench -- COMMAND [options]

  step      times full training steps, ours and peers', side by side
  kernels   the products of one layer, dense and sparse over densities, with the crossover
  profile   where one of our steps spends its time, kernel by kernel
  telemetry what looking into a step costs, and what that comes to at the default intervals
  heap      many steps: the arena must not grow, the heap must stay flat
  report    step and heap of one workload, written to docs/results/ with the bars reached and missed
  native    the page of all workloads on engine native: PyTorch, threads, instruction sets, memory, crossover
  memory    the page of memory by purpose, of all workloads on engine native: what recompute saves and costs
  peak      the page of peak resident memory beside PyTorch's, of the workloads with a mark, on engine native
  dropout   the page of steps with structured dropout, of one engine (default native, or wasm) anew
  columns   the page of steps under rules that choose, in kernels and by their definition
  small     the page of nets of few units, where a step without any rule may be the fastest, on native and wasm
  late      the page of steps on the patterns of real training (trains the nets first)
  race      the page of time to the same loss, several policies and PyTorch on one model and its data
  engines   the page of the same training on every engine
  pytorch-layer  the page of gatesieve.LSTM and GRU in a training loop of PyTorch, beside torch.nn's
  tfjs-layer  the page of recurrent layers in fit() of TensorFlow.js, theirs and ours
  onnx-step the page of single steps, beside onnxruntime on the exported file of the same net
  tables    makes all pages of docs/results/ that hold times anew; --only NAME[,NAME...]
  list      the workloads

  --workload W1[,W2...]|all   default W1
  --engine js|wasm|native    default wasm
  --epochs N                  race: default 5
  --policy NAME[;NAME...]     step: default dense;density:0.2;density:0.1;density:0.05;stochastic:0.98;none
                              ("none" is dense with the sites' counting off); profile, heap: default dense
  --peers none|js|pytorch|all step: default none
  --head-policy P             of the logits' gradient, beside every policy but dense; default dense
  --forward f32|bf16[,...]    step (profile: one of them): operands of the forward products, default f32
  --threads N[,N...]          default 1; more with engine native or wasm; several: step only
  --steps N                   timed steps, default 21 (heap: 1000; kernels: rounds, default 21)
  --run ID|FOLDER             step, profile: the weights, text and shapes of a run instead of a workload's
  --runs FOLDER               where runs are kept, default runs
  --only NAME[,NAME...]       tables, late, memory, peak, dropout, columns: these alone
  --cell lstm|gru             pytorch-layer: that one alone, in place of both
  --train N[,N...]            pytorch-layer: steps of training before the timed ones, default 300,1000
  --prepare                   pytorch-layer: trains the nets, which takes minutes, and times nothing
  --variant NAME[,NAME...]    tfjs-layer: "lstm sigmoid", "lstm hardSigmoid", "gru sigmoid", "gru hardSigmoid"; default all
  --runtime DIR               onnx-step: a folder with onnxruntime-node in its node_modules, default this one
  --H N[,N...]                kernels: widths, default 128,512,650
  --densities P[,P...]        kernels: default 1,0.7,0.5,0.35,0.2,0.1,0.05,0.01
  --isa NAME[,NAME...]        kernels, step: instruction sets of engine native, default the best
  --svg FILE                  kernels: speed-ups as a chart
  --name NAME                 kernels: writes docs/results/NAME.md, .json and .svg
  --dropout KIND              profile: element, structured, or hidden (structured, and of h), as on the page dropout
  --late                      dropout: also from nets trained with it (trains the nets first)
  --apart                     profile: time loops step by step, with a clock for each of their kernels
  --net mlp|transformer       heap: that net in the workload's shape, in place of recurrent layers
  --spoil retain|garbage      heap: spoils each step by an allocation, to see the check fail
  --json                      one JSON object a line (heap: always)
`;

const PEERS = ["none", "js", "pytorch", "all"];

/** POLICY@RATE; the rates are the best of those tried on validation, seed 1 (docs/results/tradeoff-character.md). */
const RACE = "dense;stochastic:0.98;warmup(300)+threshold:1e-6;energy:0.99;density:0.2@0.006;auto;threshold:1e-6";

const COMMANDS = {
  list() {
    for (const [workload, shape] of Object.entries(WORKLOADS)) {
      const row = { workload, gflop: gflop(shape), parameters: parameterCount(shape), shape: describe(shape) };
      if (options.json) print(row);
      else console.log(`${workload}  ${row.gflop.toFixed(3).padStart(8)} GFLOP a step  ${row.shape}`);
    }
  },
  async step() {
    const { workloadOfRun } = await import("./ours.mjs");
    const table = options.run ? await workloadOfRun(options.runs, options.run) : WORKLOADS;
    for (const workloadName of options.run ? Object.keys(table) : workloads()) {
      const workload = table[workloadName];
      const rows = await stepRowsOf(workloadName, note, workload);
      if (options.json) for (const row of rows) print(row);
      else {
        const { formatStepTable } = await import("./step.mjs");
        console.log(`${workloadName}: ${describe(workload)}; ${gflop(workload).toFixed(2)} GFLOP a dense step`);
        console.log(`medians of ${rows[0].steps} steps, threads ${options.threads}, Node ${process.versions.node}\n`);
        console.log(`${formatStepTable(rows)}\n`);
      }
    }
  },
  async kernels() {
    const { DENSITIES, kernelRows, printKernels } = await import("./kernels.mjs");
    const notes = notesOfRun();
    const rows = await kernelRows({
      engineName: options.engine,
      isas: options.isa?.split(",") ?? [undefined],
      threads: whole("threads", 1),
      widths: numbers("H", [128, 512, 650], (value) => Number.isInteger(value) && value >= 1, "whole numbers from 1"),
      densities: numbers("densities", DENSITIES, (value) => value > 0 && value <= 1, "numbers above 0, up to 1"),
      rounds: whole("steps", 21),
      note: keepNote(notes),
    });
    if (options.json) for (const row of rows) print(row);
    else printKernels(rows);
    if (!options.svg && !options.name) return;
    const { kernelChart, kernelPage, machineName } = await import("./report.mjs");
    const chart = kernelChart(rows);
    if (options.svg) {
      const { writeFileSync } = await import("node:fs");
      writeFileSync(options.svg, `${chart}\n`);
    }
    if (!options.name) return;
    const parts = { name: options.name, command: commandLine(), rows, notes, machine: machineName() };
    await writePage(options.name, { notes, rows }, kernelPage(parts), chart);
  },
  async heap() {
    const { GatesieveError } = await import("../dist/core/check.js");
    const failures = [];
    for (const workloadName of workloads())
      for (const policy of policies(["dense", "density:0.1"])) {
        const row = await heapRowOf(workloadName, policy, whole("steps", 1000));
        print(row);
        failures.push(...row.failures.map((failure) => `${workloadName} ${policy}: ${failure}`));
      }
    if (failures.length > 0) throw new GatesieveError(failures.join("; "));
  },
  async report() {
    const { machineName, page } = await import("./report.mjs");
    const notes = notesOfRun();
    const [workloadName] = workloads();
    const rows = await stepRowsOf(workloadName, keepNote(notes));
    const heapRows = [];
    for (const policy of ["dense", "density:0.1"]) heapRows.push(await heapRowOf(workloadName, policy, 1000));
    const parts = { command: commandLine(), rows, heapRows, notes, machine: machineName() };
    await writePage(`bench-${workloadName.toLowerCase()}`, { notes, rows, heap: heapRows }, page(parts));
  },
  async native() {
    const { nativeChart, nativePage, nativeRows } = await import("./native-page.mjs");
    const notes = notesOfRun();
    const rowsOf = (name, wanted) => rowsUnder(name, { note: keepNote(notes), ...wanted });
    const parts = await nativeRows(rowsOf, { steps: whole("steps", 9) });
    await writePage(
      "bench-native",
      { ...parts, notes },
      nativePage({ command: commandLine(), parts, notes }),
      nativeChart(parts),
    );
  },
  async memory() {
    const { memoryPage, memoryRows } = await import("./memory.mjs");
    const notes = notesOfRun();
    const rowsOf = (name, wanted) => rowsUnder(name, { note: keepNote(notes), ...wanted });
    const names = options.only?.split(",") ?? Object.keys(WORKLOADS);
    const rows = await memoryRows(rowsOf, known(names), { engine: "native", steps: whole("steps", 9) });
    await writePage("memory", { rows, notes }, memoryPage({ command: commandLine(), rows, notes }));
  },
  async peak() {
    const { MEMORY_MARKS, peakPage, peakRows } = await import("./peak.mjs");
    const notes = notesOfRun();
    const rowsOf = (name, wanted) => rowsUnder(name, { note: keepNote(notes), ...wanted });
    const names = known(options.only?.split(",") ?? Object.keys(MEMORY_MARKS));
    const rows = await peakRows(rowsOf, names, { steps: whole("steps", 5) });
    await writePage("peak-memory", { rows, notes }, peakPage({ command: commandLine(), rows, notes }));
  },
  async dropout() {
    const { DROPOUT_WORKLOADS, dropoutPage, dropoutRows, lateDropoutRows, otherParts } = await import("./dropout.mjs");
    const { machineName } = await import("./report.mjs");
    const notes = notesOfRun();
    const rowsOf = (name, wanted) => rowsUnder(name, { note: keepNote(notes), ...wanted });
    const engine = process.argv.includes("--engine") ? options.engine : "native";
    if (!Object.hasOwn(DROPOUT_WORKLOADS, engine))
      fail(`dropout times no engine "${engine}". The choices are: ${Object.keys(DROPOUT_WORKLOADS).join(", ")}.`);
    if (options.late && engine !== "native") fail("--late is timed on engine native alone. Leave it out.");
    const names = known(options.only?.split(",") ?? DROPOUT_WORKLOADS[engine]);
    const settings = { engine, steps: whole("steps", 9) };
    const late = options.late ? await lateDropoutRows(rowsOf, { ...settings, runs: options.runs, note }) : [];
    const rows = await dropoutRows(rowsOf, names, settings);
    const part = { command: commandLine(), machine: machineName(), rows, late, notes };
    const parts = { ...otherParts(engine), [engine]: part };
    await writePage("structured-dropout", { parts }, dropoutPage(parts));
  },
  async columns() {
    const { COLUMN_ENGINES, COLUMN_WORKLOADS, columnRows, columnsPage, withOthers } = await import("./columns.mjs");
    const notes = notesOfRun();
    const rowsOf = (name, wanted) => rowsUnder(name, { note: keepNote(notes), ...wanted });
    const names = known(options.only?.split(",") ?? COLUMN_WORKLOADS);
    const engines = process.argv.includes("--engine") ? options.engine.split(",") : COLUMN_ENGINES;
    const rows = withOthers(await columnRows(rowsOf, names, engines, { steps: whole("steps", 15) }));
    await writePage(
      "bench-columns",
      { rows, notes },
      columnsPage({ command: "npm run bench -- columns", rows, notes }),
    );
  },
  async small() {
    const { smallPage, smallRows } = await import("./small.mjs");
    const notes = notesOfRun();
    const rows = [];
    for (const engineName of ["native", "wasm"])
      rows.push(...(await smallRows({ engineName, rounds: whole("steps", 21), note })));
    const date = new Date().toISOString().slice(0, 10);
    await writePage("small-nets", { date, rows, notes }, smallPage({ command: commandLine(), rows, notes, date }));
  },
  async late() {
    const { LATE, latePage, latePolicies, trainedRun } = await import("./late.mjs");
    const { workloadOfRun } = await import("./ours.mjs");
    const notes = notesOfRun();
    const sections = [];
    for (const name of options.only?.split(",") ?? Object.keys(LATE)) {
      const { policy, headPolicy } = latePolicies(name);
      const { runs, run } = trainedRun(name, { ...LATE[name], policy, headPolicy }, { runs: options.runs, note });
      const [workload] = Object.values(await workloadOfRun(runs, run));
      const wanted = { engine: "native", policies: ["dense", policy], headPolicy, steps: whole("steps", 15) };
      const rows = await rowsUnder(name, { ...wanted, workload, peers: ["pytorch"], note: keepNote(notes) });
      sections.push({ name, policy, workload, rows });
    }
    const page = latePage({ command: commandLine(), sections, notes });
    await writePage("bench-late", { sections, notes }, page);
  },
  async race() {
    const { raceChart, racePage, raceRows } = await import("./race.mjs");
    const { preparePeers } = await import("./step.mjs");
    const { parsePolicy } = await import("./ours.mjs");
    const { loadConfig } = await import("../dist/runs/config.js");
    const notes = notesOfRun();
    const [seed, epochs] = [loadConfig().seed, whole("epochs", 5)];
    const entries = (options.policy ?? RACE).split(";").map((entry) => {
      const [policy, learningRate = "0.008"] = entry.split("@");
      return { policy, learningRate: Number(learningRate) };
    });
    for (const { policy } of entries) parsePolicy(policy);
    const pytorch = preparePeers("pytorch", keepNote(notes)).length > 0;
    const rows = raceRows({
      runs: options.runs,
      entries,
      seed,
      settings: { "train.maxEpochs": epochs },
      pytorch,
      note,
    });
    const page = racePage({ command: commandLine(), rows, seed, epochs, notes });
    await writePage("race", { seed, epochs, rows, notes }, page, raceChart(rows));
  },
  async engines() {
    const { engineRows, enginesPage } = await import("./engines.mjs");
    const { DEFAULT_POLICY } = await import("./ours.mjs");
    const seeds = [1, 2, 3];
    const rows = engineRows({ runs: options.runs, policies: policies(["dense", DEFAULT_POLICY]), seeds, note });
    await writePage("bench-engines", { seeds, rows }, enginesPage({ command: commandLine(), rows, seeds }));
  },
  async "pytorch-layer"() {
    const { CELLS, layerRows, layerPage, mergeRows } = await import("./pytorch-layer.mjs");
    const { DEFAULT_POLICY } = await import("./ours.mjs");
    const [policy] = policies([DEFAULT_POLICY]);
    const cells = options.cell?.split(",") ?? Object.keys(CELLS);
    for (const cell of cells)
      if (!Object.hasOwn(CELLS, cell))
        fail(`unknown cell "${cell}". The choices are: ${Object.keys(CELLS).join(", ")}.`);
    const lengths = numbers(
      "train",
      [300, 1000],
      (value) => Number.isInteger(value) && value >= 1,
      "whole numbers from 1",
    );
    const steps = options.prepare ? 0 : whole("steps", 21);
    const date = new Date().toISOString().slice(0, 10);
    const now = cells.flatMap((cell) => layerRows({ cell, policy, steps, lengths: lengths.toSorted((a, b) => a - b) }));
    if (options.prepare) return;
    const rows = mergeRows(
      await rowsOfPage("pytorch-layer"),
      now.map((row) => ({ ...row, date, notes: notesOfRun() })),
    );
    await writePage("pytorch-layer", { rows }, layerPage({ rows }));
  },
  async "tfjs-layer"() {
    const { mergeVariants, TFJS_VARIANTS, tfjsLayerPage, tfjsLayerRow } = await import("./tfjs-layer.mjs");
    const variants = options.variant?.split(",") ?? TFJS_VARIANTS;
    for (const variant of variants)
      if (!TFJS_VARIANTS.includes(variant))
        fail(`unknown variant "${variant}". The choices are: ${TFJS_VARIANTS.join(", ")}.`);
    let rows = await rowsOfPage("tfjs-layer");
    const date = new Date().toISOString().slice(0, 10);
    for (const variant of variants) {
      const row = await tfjsLayerRow({ variant, steps: whole("steps", 12), note });
      rows = mergeVariants(rows, { ...row, date, notes: notesOfRun() });
      await writePage("tfjs-layer", { rows }, tfjsLayerPage({ rows }));
    }
  },
  async "onnx-step"() {
    const { onnxStepPage, onnxStepRows } = await import("./onnx-step.mjs");
    const notes = notesOfRun();
    const steps = whole("steps", 200);
    if (steps < 2) fail(`--steps is ${steps}; a block has 2 steps at least.`);
    const found = await onnxStepRows({ folder: options.runtime, steps, note: keepNote([]) });
    const date = new Date().toISOString().slice(0, 10);
    // The command without the folder, which is of this machine.
    const command = `npm run bench -- onnx-step --runtime DIR${options.steps ? ` --steps ${steps}` : ""}`;
    await writePage(
      "onnx-step",
      { ...found, date, notes },
      onnxStepPage({ command, found, notes, date }),
      undefined,
      command,
    );
  },
  async tables() {
    const { makeTables, TABLES } = await import("./tables.mjs");
    const names = options.only?.split(",") ?? Object.keys(TABLES);
    for (const name of names)
      if (!Object.hasOwn(TABLES, name))
        fail(`unknown table "${name}". The choices are: ${Object.keys(TABLES).join(", ")}.`);
    if (!makeTables(names, note)) fail("a table failed; its error is above.", 1);
  },
  async profile() {
    const { profile, printProfile } = await import("./profile.mjs");
    const { parsePolicy, workloadOfRun } = await import("./ours.mjs");
    const table = options.run ? await workloadOfRun(options.runs, options.run) : WORKLOADS;
    const nets = options.dropout && (await import("./dropout.mjs")).netsOf;
    if (nets && !Object.hasOwn(nets(WORKLOADS.W1), options.dropout))
      fail(`unknown dropout "${options.dropout}". The choices are: ${Object.keys(nets(WORKLOADS.W1)).join(", ")}.`);
    for (const workloadName of options.run ? Object.keys(table) : workloads())
      for (const policy of policies(["dense"])) {
        const result = await profile({
          workloadName,
          workload: nets
            ? { ...table[workloadName], net: nets(table[workloadName])[options.dropout] }
            : table[workloadName],
          engineName: options.engine,
          policy,
          headPolicy: policy === "dense" ? "dense" : parsePolicy(options["head-policy"]).name,
          forward: options.forward,
          threads: whole("threads", 1),
          steps: whole("steps", 21),
          apart: options.apart,
        });
        if (!options.json) printProfile(result);
        else for (const row of [result.summary, ...result.parts]) print(row);
      }
  },
  async telemetry() {
    const { printTelemetryCost, telemetryCost } = await import("./telemetry.mjs");
    const rows = [];
    for (const workloadName of workloads())
      for (const policy of policies(["dense", "density:0.1"]))
        rows.push(
          await telemetryCost({
            workloadName,
            workload: WORKLOADS[workloadName],
            engineName: options.engine,
            policy,
            steps: whole("steps", 21),
          }),
        );
    if (options.json) for (const row of rows) print(row);
    else printTelemetryCost(rows);
  },
};

/** Rows of one workload under options given here rather than on the command line. */
async function rowsUnder(workloadName, { peers, ...wanted }) {
  const { preparePeers, stepRows } = await import("./step.mjs");
  const found = peers.length > 0 ? preparePeers("pytorch", wanted.note) : [];
  return stepRows({ workloadName, workload: WORKLOADS[workloadName], ...wanted, peers: found });
}

function commandLine() {
  return `npm run bench -- ${process.argv.slice(2).join(" ")}`;
}

function notesOfRun() {
  return getPriority() === 0 ? [] : [`run at priority ${getPriority()} (nice), beside other work`];
}

function keepNote(notes) {
  return (message) => {
    if (!notes.includes(message)) notes.push(message);
    note(message);
  };
}

/** Rows that an earlier run wrote to docs/results/NAME.json; none where there is no such file. */
async function rowsOfPage(name) {
  const { dataOfPage } = await import("./report.mjs");
  return dataOfPage(name).rows ?? [];
}

/** docs/results/NAME.json, .md and, with a chart, .svg. */
async function writePage(name, data, page, chart, command = commandLine()) {
  const { writeFileSync } = await import("node:fs");
  const { machineName } = await import("./report.mjs");
  const to = fileURLToPath(new URL(`../docs/results/${name}`, import.meta.url));
  const json = { command, machine: machineName(), ...data };
  writeFileSync(`${to}.json`, `${JSON.stringify(json, null, 1)}\n`);
  writeFileSync(`${to}.md`, page);
  if (chart) writeFileSync(`${to}.svg`, `${chart}\n`);
  note(`wrote docs/results/${name}.md`);
}

async function stepRowsOf(workloadName, note, workload = WORKLOADS[workloadName]) {
  if (!PEERS.includes(options.peers)) fail(`unknown peers "${options.peers}". The choices are: ${PEERS.join(", ")}.`);
  const { preparePeers, stepRows } = await import("./step.mjs");
  const { DEFAULT_POLICY, NO_POLICY, parsePolicy } = await import("./ours.mjs");
  const chosen = policies(["dense", "density:0.2", "density:0.1", "density:0.05", DEFAULT_POLICY, NO_POLICY]);
  for (const policy of chosen) if (policy !== NO_POLICY) parsePolicy(policy);
  return stepRows({
    workloadName,
    workload,
    engine: options.engine,
    policies: chosen,
    headPolicy: parsePolicy(options["head-policy"]).name,
    peers: preparePeers(options.peers, note),
    threadCounts: numbers("threads", [1], (value) => Number.isInteger(value) && value >= 1, "whole numbers from 1"),
    isas: options.isa?.split(","),
    forwards: options.forward.split(","),
    steps: whole("steps", 21),
    note,
  });
}

async function heapRowOf(workloadName, policy, steps) {
  const { heap, SPOILS } = await import("./heap.mjs");
  if (!Object.hasOwn(SPOILS, options.spoil))
    fail(`unknown spoil "${options.spoil}". The choices are: ${Object.keys(SPOILS).join(", ")}.`);
  const workload = { ...WORKLOADS[workloadName], ...(options.net ? { net: { net: options.net } } : {}) };
  return heap({ workloadName, workload, engineName: options.engine, policy, steps, spoil: options.spoil });
}

const { values: options, positionals } = parse();
if (options.help || positionals.length === 0) console.log(HELP);
else {
  const command = COMMANDS[positionals[0]];
  if (!command || positionals.length > 1)
    fail(`unknown command "${positionals.join(" ")}". The choices are: ${Object.keys(COMMANDS).join(", ")}.`);
  try {
    await command();
  } catch (error) {
    // Our own errors are one line for a person; anything else is a defect and shows where.
    if (error.exitCode === undefined) throw error;
    fail(error.message, error.exitCode);
  }
}

function parse() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        workload: { type: "string", default: "W1" },
        engine: { type: "string", default: "wasm" },
        policy: { type: "string" },
        "head-policy": { type: "string", default: "dense" },
        peers: { type: "string", default: "none" },
        forward: { type: "string", default: "f32" },
        threads: { type: "string", default: "1" },
        steps: { type: "string" },
        epochs: { type: "string" },
        apart: { type: "boolean", default: false },
        dropout: { type: "string" },
        late: { type: "boolean", default: false },
        net: { type: "string" },
        spoil: { type: "string", default: "none" },
        run: { type: "string" },
        runs: { type: "string", default: "runs" },
        only: { type: "string" },
        cell: { type: "string" },
        train: { type: "string" },
        prepare: { type: "boolean", default: false },
        variant: { type: "string" },
        runtime: { type: "string", default: "." },
        H: { type: "string" },
        densities: { type: "string" },
        isa: { type: "string" },
        svg: { type: "string" },
        name: { type: "string" },
        json: { type: "boolean", default: false },
        help: { type: "boolean", short: "h", default: false },
      },
    });
  } catch (error) {
    return fail(`${error.message} See npm run bench -- --help.`);
  }
}

function workloads() {
  return known(options.workload === "all" ? Object.keys(WORKLOADS) : options.workload.split(","));
}

function known(names) {
  for (const name of names)
    if (!Object.hasOwn(WORKLOADS, name))
      fail(`unknown workload "${name}". The choices are: ${Object.keys(WORKLOADS).join(", ")}, all.`);
  return names;
}

function policies(otherwise) {
  return options.policy?.split(";") ?? otherwise;
}

function whole(name, otherwise) {
  const text = options[name] ?? String(otherwise);
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) fail(`--${name} is "${text}"; give a whole number of at least 1.`);
  return value;
}

/** Numbers with commas between them. */
function numbers(name, otherwise, fits, expected) {
  const values = options[name]?.split(",").map(Number) ?? otherwise;
  if (!values.every(fits)) fail(`--${name} is "${options[name]}"; give ${expected}, such as ${otherwise.join(",")}.`);
  return values;
}

function print(row) {
  console.log(JSON.stringify(row));
}

function note(message) {
  console.error(`bench: ${message}`);
}

function fail(message, exitCode = 2) {
  console.error(`bench: ${message}`);
  process.exit(exitCode);
}
