/** gatesieve reproduce: the paper's experiments, as normal runs that can be made in slices. */
import { existsSync, mkdirSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { Command } from "commander";
import { choose, GatesieveError, UsageError } from "../../core/check.ts";
import { writeFileAtomic } from "../../runs/files.ts";
import {
  DEFAULT_STEPS,
  FIGURES,
  type FigureName,
  findPlanned,
  type PlannedRun,
  plannedRuns,
} from "../../runs/reproduce.ts";
import { type FinishedRun, figureData, usableRuns } from "../../runs/reproduce-data.ts";
import { createRun, type Run, resumeRun } from "../../runs/run.ts";
import { readJson } from "../../runs/store.ts";
import { version } from "../../runs/version.ts";
import { followShown } from "../follow.ts";
import { cpuModel } from "../machine.ts";
import { jsonOption, wholeNumber } from "../options.ts";
import { paint, print, printJson, remark, table, widthOf, wrap } from "../print.ts";
import { figureChart, type Result, reproductionPage } from "../reproduction.ts";
import { heads } from "../summary.ts";

interface ReproduceOptions {
  readonly runs: string;
  readonly out: string;
  readonly steps: number;
  readonly slice?: number;
  readonly seed: string;
  readonly engine: string;
  readonly threads: string;
  readonly json?: boolean;
}

const EXAMPLES = `
Examples:
  gatesieve reproduce fig3                 one step's gradients against thresholds
  gatesieve reproduce all --slice 1        one run further; say it again to go on
  gatesieve reproduce fig5 --steps 2000
  gatesieve reproduce fig4 model.hiddenSize=128 task.text=my.txt`;

export function reproduceCommand(): Command {
  return new Command("reproduce")
    .summary("repeat the paper's experiments, with a verdict on each")
    .description(
      `Repeat the paper's figures: ${FIGURES.join(", ")} or all. Each writes its data, a chart and verdicts. ` +
        "Runs are normal runs in a folder: finished ones are used again, stopped ones go on.",
    )
    .argument("<figure...>", "figures; and settings of the main model as key=value")
    .option("--runs <dir>", "folder of the runs", "runs/reproduction")
    .option("--out <dir>", "folder of the results", "reproduction")
    .option("--steps <n>", "steps of a run; those of sensitivity take 0.4 of it", wholeNumber(1), DEFAULT_STEPS)
    .option("--slice <n>", "train at most so many runs now", wholeNumber(1))
    .option("--seed <n>", "of weights, data and policy", "1")
    .option("--engine <engine>", "js, wasm, native or auto", "auto")
    .option("--threads <n>", "of engine native or wasm", "1")
    .addOption(jsonOption("one JSON object a figure"))
    .addHelpText("after", EXAMPLES)
    .action(reproduce);
}

async function reproduce(inputs: readonly string[], options: ReproduceOptions): Promise<void> {
  const figures = chosenFigures(inputs.filter((input) => !input.includes("=")));
  const settings = [
    ...inputs.filter((input) => input.includes("=")),
    ...(["seed", "engine", "threads"] as const).map((key) => `${key}=${options[key]}`),
  ];
  const plans = figures.map((figure) => ({
    figure,
    runs: plannedRuns(figure, { steps: options.steps, settings }),
  }));
  const complete = await trainMissing(
    plans.flatMap(({ runs }) => runs),
    options,
  );
  for (const { figure, runs } of plans) {
    const finished = runs.flatMap((planned): FinishedRun[] => {
      const { status, dir } = findPlanned(options.runs, planned.config);
      return status === "finished" ? [{ planned, dir }] : [];
    });
    if (finished.length < runs.length)
      remark(`gatesieve: ${figure} waits for ${runs.length - finished.length} of its ${runs.length} runs.`);
    const usable = usableRuns(runs, finished);
    if (usable.length > 0) await writeFigure(figure, usable, runs.length, inputs, options);
  }
  if (!complete && process.exitCode === undefined)
    remark(`gatesieve: not all runs are made yet. Go on with: ${commandLine(inputs, options)}`);
}

function chosenFigures(names: readonly string[]): FigureName[] {
  const table = Object.fromEntries(FIGURES.map((figure) => [figure, [figure]]));
  if (names.length === 0) throw new UsageError(`name a figure: ${FIGURES.join(", ")} or all.`);
  const wanted = new Set(names.flatMap((name) => choose("figure", name, { ...table, all: [...FIGURES] })));
  return FIGURES.filter((figure) => wanted.has(figure));
}

/** Trains what is not there, at most `slice` runs; whether all is there now. */
async function trainMissing(planned: readonly PlannedRun[], options: ReproduceOptions): Promise<boolean> {
  let left = options.slice ?? Number.POSITIVE_INFINITY;
  const wanted = [...new Map(planned.map((plan) => [JSON.stringify(plan.config), plan])).values()];
  const missing = wanted.filter(({ config }) => findPlanned(options.runs, config).status !== "finished");
  for (const [index, plan] of missing.entries()) {
    if (left-- <= 0) return false;
    remark(`${paint.bold(plan.name)}, run ${wanted.length - missing.length + index + 1} of ${wanted.length}`);
    const { status, id } = findPlanned(options.runs, plan.config);
    if (status === "running") throw new GatesieveError(`run ${id} is being trained by another process; wait for it.`);
    const run =
      status === "stopped"
        ? await resumeRun(options.runs, id)
        : await createRun({ config: plan.config, runsDir: options.runs });
    if (!(await trainToEnd(run))) return false;
  }
  return true;
}

/** False if a signal stopped it. */
async function trainToEnd(run: Run): Promise<boolean> {
  try {
    for (const note of run.notes) remark(`gatesieve: ${note}`);
    const { end, exitCode } = await followShown(run);
    if (end?.reason !== "stopped") return true;
    process.exitCode = exitCode;
    remark(`gatesieve: stopped after step ${end.step}, with a checkpoint. The same command goes on from there.`);
    return false;
  } finally {
    run.close();
  }
}

async function writeFigure(
  figure: FigureName,
  finished: readonly FinishedRun[],
  planned: number,
  inputs: readonly string[],
  options: ReproduceOptions,
): Promise<void> {
  const { out, runs, json } = options;
  const data = await figureData(figure, finished, planned, runs);
  const result: Result = {
    ...data,
    command: commandLine(inputs, options),
    date: new Date().toISOString().slice(0, 10),
    machine: `${cpuModel()}, ${availableParallelism()} cores`,
    version,
    node: process.versions.node,
  };
  mkdirSync(out, { recursive: true });
  writeFileAtomic(join(out, `${figure}.json`), `${JSON.stringify(result, null, 1)}\n`, "a figure");
  writeFileAtomic(join(out, `${figure}.svg`), `${figureChart(result)}\n`, "a figure");
  const page = join(out, "README.md");
  writeFileAtomic(page, reproductionPage(resultsIn(out), out), "the page");
  if (json) return printJson(result);
  const width = widthOf(process.stdout) - 1;
  print(paint.bold(figure));
  for (const { claim, paper, ours, agrees } of result.verdicts) {
    print(
      table(
        [
          [...heads(["  claim"]), claim],
          [...heads(["  paper"]), paper],
          [...heads(["  here"]), wrap(ours, width - 10).replaceAll("\n", "\n          ")],
          [...heads(["  verdict"]), agrees ? "agrees" : "differs"],
        ],
        [0, 1],
      ),
    );
    print();
  }
  for (const note of result.notes) print(paint.dim(wrap(note, width)));
  print(`${paint.dim("data, chart, page")}  ${join(out, `${figure}.json`)}  ${join(out, `${figure}.svg`)}  ${page}\n`);
}

function resultsIn(out: string): Result[] {
  return FIGURES.map((figure) => join(out, `${figure}.json`))
    .filter((file) => existsSync(file))
    .map((file) => readJson(file) as Result);
}

/** As typed, with what differs from the defaults. */
function commandLine(inputs: readonly string[], { runs, out, steps, seed, engine, threads }: ReproduceOptions): string {
  const options = [
    runs === "runs/reproduction" ? "" : `--runs ${runs}`,
    out === "reproduction" ? "" : `--out ${out}`,
    steps === DEFAULT_STEPS ? "" : `--steps ${steps}`,
    seed === "1" ? "" : `--seed ${seed}`,
    engine === "auto" ? "" : `--engine ${engine}`,
    threads === "1" ? "" : `--threads ${threads}`,
  ];
  return ["gatesieve reproduce", ...inputs, ...options].filter(Boolean).join(" ");
}
