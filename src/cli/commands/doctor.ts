/** gatesieve doctor: what this machine has, which engine is taken and why, and where things lie. */
import { availableParallelism, freemem, totalmem } from "node:os";
import { resolve } from "node:path";
import { Command } from "commander";
import { formatBytes, UsageError } from "../../core/check.ts";
import { chooseEngine, engineNames } from "../../kernels/engines.ts";
import { loadConfig } from "../../runs/config.ts";
import { type MemoryPlan, planMemory, type RecomputePlan } from "../../runs/memory.ts";
import { listRuns } from "../../runs/store.ts";
import { builtinTexts, DEFAULT_TEXT } from "../../runs/text.ts";
import { version } from "../../runs/version.ts";
import { type BreakEven, measureBreakEven } from "../break-even.ts";
import { milliseconds, percent, ratio } from "../format.ts";
import { INPUT_ARGUMENT, sortInputs } from "../inputs.ts";
import { cpuFeatures, cpuModel, wasmFeatures } from "../machine.ts";
import { jsonOption, type RunsOption, runsOption } from "../options.ts";
import { indent, paint, print, printJson, table } from "../print.ts";
import { heads, memoryTable } from "../summary.ts";

interface EngineReport {
  readonly name: string;
  readonly isa: string | null;
  /** Whether it runs on several threads. */
  readonly threads: boolean;
  /** Why it does not load. */
  readonly error: string | null;
}

interface DoctorOptions extends RunsOption {
  readonly json?: boolean;
  readonly plan?: boolean;
}

const EXAMPLES = `
Examples:
  gatesieve doctor --json
  gatesieve doctor --plan model.hiddenSize=512 train.batchSize=20`;

export function doctorCommand(): Command {
  return new Command("doctor")
    .summary("what this machine has, and what Gatesieve makes of it")
    .description("Show the machine, the engines, and in about two seconds from what density on dropping pays here.")
    .argument("[input...]", `with --plan: ${INPUT_ARGUMENT}`)
    .option("--plan", "instead, what a training would keep in memory, by purpose")
    .addOption(jsonOption("one JSON object"))
    .addOption(runsOption())
    .addHelpText("after", EXAMPLES)
    .action(async (inputs: readonly string[], { runs, json, plan }: DoctorOptions) => {
      if (plan) return showPlan(inputs, json);
      if (inputs.length) throw new UsageError(`"${inputs[0]}" goes with --plan only; see gatesieve doctor --help.`);
      const report = await examine(runs);
      if (json) printJson(report);
      else printReport(report);
    });
}

async function examine(runsDir: string) {
  const engines = await Promise.all(engineNames().map(tryEngine));
  const { engine, reason } = await chooseEngine("auto");
  return {
    gatesieve: version,
    node: process.versions.node,
    v8: process.versions.v8,
    platform: `${process.platform} ${process.arch}`,
    cpu: cpuModel(),
    cpuFeatures: cpuFeatures() ?? null,
    cores: availableParallelism(),
    memoryBytes: totalmem(),
    freeMemoryBytes: freemem(),
    wasm: wasmFeatures(),
    engines,
    auto: { engine: engine.name, isa: engine.isa, reason },
    breakEven: measureBreakEven(engine),
    runsDir: resolve(runsDir),
    runs: listRuns(runsDir).length,
    texts: builtinTexts(),
    defaultText: DEFAULT_TEXT,
  };
}

/** What the arena of a training would hold. */
async function showPlan(inputs: readonly string[], json = false): Promise<void> {
  const { file, settings } = sortInputs(inputs);
  const plan = await planMemory(loadConfig({ file, overrides: settings }));
  if (json) return printJson(plan);
  print(memoryTable(plan.bytes, plan.engine, 0));
  print(`${plan.parameters.toLocaleString("en")} parameters. One memory, allocated once; it never grows.`);
  if (plan.recompute.length > 1) print(`\n${recomputeTable(plan)}`);
}

/** What segments that are computed again would save and cost. */
function recomputeTable({ recompute }: MemoryPlan): string {
  const [off] = recompute as [RecomputePlan];
  const rows = recompute.map(({ steps, totalBytes, intermediateBytes, moreMacs }) => [
    steps === 0 ? "0, all time steps kept" : String(steps),
    formatBytes(totalBytes),
    formatBytes(intermediateBytes),
    steps === 0 ? "" : percent(intermediateBytes / off.intermediateBytes - 1),
    steps === 0 ? "" : `+${percent(moreMacs)}`,
  ]);
  return table([heads(["model.recompute", "in all", "forward to backward", "", "dense products"]), ...rows]);
}

async function tryEngine(name: string): Promise<EngineReport> {
  try {
    const { isa } = (await chooseEngine(name)).engine;
    return { name, isa, threads: await runsOnTwo(name), error: null };
  } catch (error) {
    return { name, isa: null, threads: false, error: error instanceof Error ? error.message : String(error) };
  }
}

function runsOnTwo(name: string): Promise<boolean> {
  return chooseEngine(name, 2).then(
    () => true,
    () => false,
  );
}

function printReport(report: Awaited<ReturnType<typeof examine>>): void {
  const { wasm, auto } = report;
  const yesNo = (value: boolean | undefined) => (value ? "yes" : "no");
  const facts = [
    ["gatesieve", `${report.gatesieve} on Node ${report.node} (V8 ${report.v8}), ${report.platform}`],
    ["CPU", `${report.cpu}, ${report.cores} ${report.cores === 1 ? "core" : "cores"}`],
    [
      "CPU extensions",
      report.cpuFeatures ? report.cpuFeatures.join(" ") || "none of interest" : "this system does not tell",
    ],
    ["memory", `${formatBytes(report.memoryBytes)}, ${formatBytes(report.freeMemoryBytes)} of it free`],
    [
      "WebAssembly",
      `SIMD ${yesNo(wasm.simd128)}, relaxed SIMD ${yesNo(wasm.relaxedSimd)}, shared memory ${yesNo(wasm.sharedMemory)}`,
    ],
    ...report.engines.map(({ name, isa, threads, error }) => [
      `engine ${name}`,
      isa ? `loads, ${isa}, ${threads ? "any number of threads" : "one thread"}` : `does not load: ${error}`,
    ]),
    ["engine auto", `takes ${auto.engine}: ${auto.reason}`],
    ["runs", `${report.runs} in ${report.runsDir}`],
    ["texts", `${report.texts.length} built in, ${report.defaultText} by default; see gatesieve tasks`],
  ];
  print(
    table(
      facts.map(([name = "", fact = ""]) => [paint.dim(name), fact]),
      [0, 1],
    ),
  );
  print(`\n${breakEvenTable(report.breakEven, auto.engine)}`);
}

function breakEvenTable({ workload, backward, density }: BreakEven, engine: string): string {
  const dense = backward[0]?.ms;
  const rows = backward.map(({ policy, density: kept, ms }) => [
    policy,
    percent(kept, 0),
    milliseconds(ms),
    ratio(dense, ms),
  ]);
  const verdict =
    density === null
      ? "Here the sparse backward pass was never faster than the dense one."
      : `Break-even: here the sparse backward pass is faster below about ${percent(density, 0)} kept.`;
  return [
    table([heads([`backward pass, ${engine}, ${workload}`, "kept", "median", "against dense"]), ...rows]),
    verdict,
    paint.dim("One second of measuring: good for an idea, not for a claim."),
  ]
    .map((part) => indent(part, ""))
    .join("\n");
}
