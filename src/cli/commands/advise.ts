/** gatesieve advise: what dropping would cost and save on a user's own data and model, found in a minute or two. */
import { join } from "node:path";
import { Command, InvalidArgumentError } from "commander";
import { type Advice, type AdviseProgress, advise, CANDIDATES } from "../../advise/advise.ts";
import { UsageError } from "../../core/check.ts";
import { chooseEngine } from "../../kernels/engines.ts";
import { isConfigFile, loadConfig, type RunConfig } from "../../runs/config.ts";
import { writeFileAtomic } from "../../runs/files.ts";
import { loadInputs, makeTask, resolveConfig, stepsOf } from "../../runs/parts.ts";
import "../../runs/run.ts"; // registers the native engine and wasm threads
import { netName } from "../../nn/nets.ts";
import { version } from "../../runs/version.ts";
import { adviceChart, advicePage, adviceRows, advisedConfig, howItWasFound, LEGEND, verdictText } from "../advice.ts";
import { INPUT_ARGUMENT, sortInputs } from "../inputs.ts";
import { Interrupt } from "../interrupt.ts";
import { cpuModel } from "../machine.ts";
import { commandName, jsonOption, numberFrom0 } from "../options.ts";
import { LiveLines, paint, print, printJson, remark, table, widthOf, wrap } from "../print.ts";
import { heads } from "../summary.ts";

interface AdviseOptions {
  readonly data?: string;
  readonly task?: string;
  readonly config?: string;
  readonly maxLoss: number;
  readonly seconds: number;
  readonly policies?: string;
  readonly engine?: string;
  readonly seed?: string;
  readonly threads?: string;
  readonly out: string;
  readonly json?: boolean;
}

const EXAMPLES = `
Examples:
  gatesieve advise --data my.txt --max-loss 0.5%
  gatesieve advise settings.yaml --max-loss 1% --seconds 180
  gatesieve advise my.txt model.hiddenSize=256 train.maxEpochs=3
  gatesieve advise --task word --data my.txt --policies "energy:0.99;density:0.3"

The folder named by --out then has train.yaml, which gatesieve train takes. How it decides and
how far to trust it: docs/choosing-a-threshold.md.`;

export function adviseCommand(): Command {
  return new Command("advise")
    .summary("what dropping would cost and save on your data; names a setting")
    .description(
      "Predict the trade-off of policies on your own data and model from trainings in small, and name a setting: " +
        "the fastest whose loss is shown to stay within the limit. Where none is, say so.",
    )
    .argument("[input...]", INPUT_ARGUMENT)
    .option("--data <file>", "a text, or a file of data: the same as giving it as input")
    .option("--task <name>", "the same as task.name=NAME; see gatesieve tasks")
    .option("--config <file>", "a configuration file: the same as giving it as input")
    .option("--max-loss <share>", "largest loss accepted against dense, for example 0.5%", maxLoss, 0.005)
    .option("--seconds <n>", "time for the trials", numberFrom0, 90)
    .option("--policies <list>", `to be tried, with ; between (${CANDIDATES.join("; ")})`)
    .option("--engine <engine>", "js, wasm, native or auto (auto)")
    .option("--seed <n>", "the first of the seeds (1)")
    .option("--threads <n>", "of engine native or wasm (1)")
    .option("--out <dir>", "folder of the results", "advice")
    .addOption(jsonOption("one JSON object on stdout, and nothing else there"))
    .addHelpText("after", EXAMPLES)
    .action(run);
}

/** "0.5%" or a share, "0.005". */
export function maxLoss(text: string): number {
  const [, digits, sign] = /^\s*(\d+(?:\.\d+)?)\s*(%?)\s*$/.exec(text) ?? [];
  const value = Number(digits) / (sign ? 100 : 1);
  if (digits === undefined || !(value > 0))
    throw new InvalidArgumentError("Give a share above 0, for example 0.5% or 0.005.");
  if (value > 0.2) throw new InvalidArgumentError(`That is ${100 * value} %; give 20 % at most, for example 0.5%.`);
  return value;
}

async function run(inputs: readonly string[], options: AdviseOptions): Promise<void> {
  const asked = configOf(inputs, options);
  const data = await loadInputs(asked);
  const task = makeTask(asked, data);
  const config = resolveConfig(asked, data, task);
  const maxSteps = stepsOf(config, task);
  const { engine, reason } = await chooseEngine(config.engine, config.threads);
  const policies = options.policies?.split(";").map((policy) => policy.trim()) ?? CANDIDATES;
  const { numLayers, hiddenSize } = config.model;
  const name = data.text?.name ?? data.data?.name;
  const what = `task ${task.name}${name ? ` on ${name}` : ""}, ${netName(config.model)} ${numLayers} x ${hiddenSize}`;
  remark(`${what}, ${maxSteps} steps; engine ${engine.name} ${engine.isa} (${reason})`);
  const trial = { config, task, engine, maxSteps, policies, maxLoss: options.maxLoss, seconds: options.seconds };
  const advice = await followed(advise(trial));
  if (advice) await report(advice, config, what, { ...options, engineName: `${engine.name} (${engine.isa})` });
}

function configOf(inputs: readonly string[], options: AdviseOptions): RunConfig {
  const { file, settings } = sortInputs(inputs);
  if (file !== undefined && options.config !== undefined)
    throw new UsageError(`got two inputs, "${file}" and --config ${options.config}; give one of them.`);
  const names = { task: "task.name", engine: "engine", seed: "seed", threads: "threads" } as const;
  const flags = (Object.keys(names) as (keyof typeof names)[]).filter((name) => options[name] !== undefined);
  const overrides = [...settings, ...flags.map((name) => `${names[name]}=${options[name]}`)];
  const { data } = options;
  if (data !== undefined && file !== undefined && !isConfigFile(file))
    throw new UsageError(`got two inputs, "${file}" and --data ${data}; give one of them.`);
  // What is asked is not what the configuration drops now; the head keeps what it has, or its task's.
  return loadConfig({ file: file ?? options.config, data, overrides: [...overrides, "policy=energy:0.99"] });
}

/** Undefined if a signal ended it. */
async function followed(steps: Generator<AdviseProgress, Advice>): Promise<Advice | undefined> {
  const lines = new LiveLines(process.stderr);
  const interrupt = new Interrupt((signal) => lines.note(`gatesieve: ${signal}, ending`));
  let told = "";
  try {
    for (;;) {
      const { done, value } = steps.next();
      if (done) return value;
      const line = `seed ${value.seed}: ${value.what}`;
      if (lines.live) lines.update([`${String(Math.round(100 * value.share)).padStart(3)} %  ${line}`]);
      else if (line !== told) remark(line);
      told = line;
      await interrupt.breathe();
      if (!interrupt.received) continue;
      process.exitCode = interrupt.exitCode;
      remark("gatesieve: stopped before anything could be said.");
      return undefined;
    }
  } finally {
    lines.clear();
    interrupt.release();
  }
}

async function report(
  advice: Advice,
  config: RunConfig,
  what: string,
  { out, json, engineName }: AdviseOptions & { readonly engineName: string },
): Promise<void> {
  const files = { json: "advice.json", svg: "advice.svg", page: "advice.html", config: "train.yaml" } as const;
  const path = (name: keyof typeof files) => join(out, files[name]);
  const machine = { engine: engineName, cpu: cpuModel(), node: process.versions.node, version };
  const result = { ...advice, what, date: new Date().toISOString().slice(0, 10), machine, config };
  const chart = adviceChart(advice, "What dropping costs and saves: predicted");
  writeFileAtomic(path("json"), `${JSON.stringify(result, null, 1)}\n`, "the advice");
  writeFileAtomic(path("svg"), `${chart}\n`, "the chart");
  writeFileAtomic(path("page"), advicePage(advice, `Advice for ${what}`, chart), "the page");
  writeFileAtomic(path("config"), advisedConfig(config, advice), "the configuration");
  if (json) return printJson(result);
  const width = widthOf(process.stdout) - 1;
  if (advice.rows.length > 0) {
    const [head, ...rows] = adviceRows(advice);
    print(`${table([heads(head), ...rows])}\n`);
    print(paint.dim(wrap(LEGEND, width)));
    print(`${paint.dim(wrap(howItWasFound(advice), width))}\n`);
  }
  print(paint.bold(wrap(verdictText(advice), width)));
  print(`\n${paint.dim("kept in")} ${out}: ${Object.values(files).join(", ")}`);
  print(`${paint.dim("type next")}  ${commandName()} train ${path("config")}`);
}
