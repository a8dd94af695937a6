/** gatesieve train: one run from its start, or from its last checkpoint, to its end. */
import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { Command } from "commander";
import { formatBytes, UsageError } from "../../core/check.ts";
import { policyText } from "../../runs/config.ts";
import { loadConfigFrom, modelPath } from "../../runs/from.ts";
import { createRun, type Run, resumeRun } from "../../runs/run.ts";
import { smallNotes } from "../../runs/small.ts";
import { TensorBoardLog } from "../../runs/tensorboard.ts";
import { traceOf, writeTrace } from "../../runs/trace-file.ts";
import { DEFAULT_POLICY } from "../../sparse/policies.ts";
import type { EndEvent } from "../../train/events.ts";
import { sampleText } from "../../train/sample.ts";
import { defaultTraceSteps, TraceRecorder } from "../../train/trace-recorder.ts";
import { describeEngine, describeTraining, followShown } from "../follow.ts";
import { INPUT_ARGUMENT, sortInputs } from "../inputs.ts";
import { commandName, jsonOption, nextCommand, type RunsOption, runsOption, wholeNumber } from "../options.ts";
import { fold, indent, paint, paintRemark, print, printJson, remark, widthOf } from "../print.ts";
import { LEGEND } from "../progress.ts";
import { summaryTables } from "../summary.ts";

interface TrainOptions extends RunsOption {
  readonly policy?: string;
  readonly engine?: string;
  readonly seed?: string;
  readonly threads?: string;
  readonly resume?: string;
  readonly from?: string;
  readonly json?: boolean;
  readonly quiet?: boolean;
  readonly trace?: string;
  readonly traceSteps?: readonly number[];
  readonly tensorboard?: string;
}

const EXAMPLES = `
Examples:
  gatesieve train                                 a built-in text, default settings
  gatesieve train my.txt                          any UTF-8 text
  gatesieve train names.csv task.name=classification    CSV or JSONL; see gatesieve tasks
  gatesieve train my.txt --policy dense           nothing dropped
  gatesieve train my.txt model.hiddenSize=256 train.maxSteps=3000
  gatesieve train settings.yaml --seed 2          settings from a file
  gatesieve train task.name=adding                another task; see gatesieve tasks
  gatesieve train my.txt model.net=transformer    another net: recurrent, mlp or transformer
  gatesieve train --tensorboard logs              then: tensorboard --logdir logs
  gatesieve train --resume last                   go on where a run was stopped
  gatesieve train --from last other.txt           a new run that begins with a run's weights

Ctrl-C ends training after the current step and keeps a checkpoint.
Keys and their defaults: docs/cli.md.`;

export function trainCommand(): Command {
  return new Command("train")
    .summary("train a model on a text or another task")
    .description("Train a model. Results go to stdout, progress to stderr; the run is kept in a folder.")
    .argument("[input...]", INPUT_ARGUMENT)
    .option(
      "--policy <policy>",
      `what is dropped from gate gradients; see gatesieve policies (the task's, ${DEFAULT_POLICY} for most)`,
    )
    .option("--engine <engine>", "js, wasm, native or auto (auto)")
    .option("--seed <n>", "of weights, data and policy (1)")
    .option("--threads <n>", "of engine native or wasm; the result is the same for any number (1)")
    .option("--resume <run>", 'go on with a run: its id, a part of it, or "last"')
    .option("--from <model>", "begin with the weights and vocabulary of a run, a folder or a .safetensors file")
    .addOption(jsonOption("events as JSON lines on stdout, and nothing else there"))
    .option("--quiet", "no progress, the result alone")
    .option("--trace <file>", "record where gate gradients are zero on a few steps, for gatesieve simulate")
    .option("--trace-steps <steps>", "which: numbers from 1, with commas (at 5 %, 50 % and 100 % of the run)", stepList)
    .option("--tensorboard <dir>", "write TensorBoard's event files too, into a folder of the run's name there")
    .addOption(runsOption())
    .addHelpText("after", EXAMPLES)
    .action(train);
}

async function train(inputs: readonly string[], options: TrainOptions): Promise<void> {
  if (options.traceSteps && options.trace === undefined)
    throw new UsageError("--trace-steps says which steps are recorded; say where to with --trace FILE.");
  const { tensorboard } = options;
  if (tensorboard !== undefined && existsSync(tensorboard) && !statSync(tensorboard).isDirectory())
    throw new UsageError(`--tensorboard: ${tensorboard} is a file, expected a folder for event files. Name another.`);
  const run = await openRun(inputs, options);
  const { exitCode } = await trainToEnd(run, options);
  process.exitCode = exitCode;
}

async function openRun(inputs: readonly string[], options: TrainOptions): Promise<Run> {
  const { runs: runsDir, resume, from } = options;
  const flags = (["policy", "engine", "seed", "threads"] as const).filter((name) => options[name] !== undefined);
  if (resume !== undefined) {
    const extra = inputs[0] ?? (flags[0] && `--${flags[0]}`) ?? (from === undefined ? undefined : "--from");
    if (extra !== undefined)
      throw new UsageError(
        `--resume goes on with a run as it was set up; leave out "${extra}", or start a new run without --resume.`,
      );
    return resumeRun(runsDir, resume);
  }
  const { file, settings } = sortInputs(inputs);
  const overrides = [...settings, ...flags.map((name) => `${name}=${options[name]}`)];
  if (from !== undefined) overrides.push(`from=${modelPath(runsDir, from)}`);
  const config = loadConfigFrom({ file, overrides });
  if (config.task.text === file && /\.(csv|tsv|jsonl|conllu?)$/i.test(file ?? ""))
    remark(
      `gatesieve: ${file} is learnt as a text here; what its rows hold is learnt with task.name=classification, forecasting or another of: ${commandName()} tasks`,
    );
  return createRun({ config, runsDir });
}

async function trainToEnd(run: Run, options: TrainOptions): Promise<{ exitCode: number }> {
  const { json = false, quiet = false } = options;
  const say = quiet ? () => {} : remark;
  try {
    if (options.trace !== undefined) {
      const steps = options.traceSteps ?? defaultTraceSteps(run.maxSteps);
      run.training.recorder = new TraceRecorder(run.training.trainer, steps);
    }
    for (const note of run.notes) remark(`gatesieve: ${note}`);
    say(`run ${run.id}`);
    say(describeTraining(run));
    say(`policy ${policyText(run.config)}, ${describeEngine(run)}`);
    for (const note of smallNotes(
      run.training.trainer.model.sites,
      run.engine.name,
      policyText(run.config) !== "dense",
    ))
      say(note);
    say(paintRemark.dim(LEGEND));
    if (json) printJson({ type: "start", ...run.info, dir: run.dir, config: run.config });
    const log = tensorBoardOf(run, options);
    const { end, exitCode } = await followShown(run, {
      quiet,
      listen: (event) => {
        if (json) printJson(event);
        log?.add(event);
      },
    });
    if (options.trace !== undefined) writeRecorded(run, options.trace);
    if (end && end.reason !== "stopped" && !json) report(run, end, options);
    if (end?.reason === "stopped")
      remark(
        `gatesieve: stopped after step ${end.step} of ${run.maxSteps}; the checkpoint is in ${run.dir}. ` +
          `Go on with: ${nextCommand(`train --resume ${run.id}`, options)}`,
      );
    return { exitCode };
  } finally {
    run.close();
  }
}

function tensorBoardOf(run: Run, { tensorboard }: TrainOptions): TensorBoardLog | undefined {
  if (tensorboard === undefined) return undefined;
  return new TensorBoardLog(join(tensorboard, run.id), run.config, run.training.trainer.steps);
}

/** What was recorded, also of a run that was stopped. */
function writeRecorded(run: Run, file: string): void {
  const trace = traceOf(run.training, run.config, run.engine.name);
  const steps = trace.steps.map(({ step }) => step);
  if (steps.length === 0) {
    remark("gatesieve: no step of the trace was reached; nothing is written.");
    return;
  }
  const bytes = writeTrace(file, trace);
  remark(
    `gatesieve: trace of step${steps.length > 1 ? "s" : ""} ${steps.join(", ")} is in ${file}, ${formatBytes(bytes)}`,
  );
}

function stepList(text: string): number[] {
  return text.split(",").map(wholeNumber(1));
}

function report(run: Run, end: EndEvent, options: TrainOptions): void {
  const early = end.reason === "earlyStop" ? " (early stop)" : "";
  print(`${paint.bold(`run ${run.id}`)}, ${end.step} steps${early}\n`);
  print(summaryTables(end, run.info));
  if (run.task.vocabulary) {
    const length = run.task.text?.unit === "words" ? 60 : 300;
    print(`\n${paint.dim("a sample, temperature 0.8")}`);
    print(
      indent(fold(sampleText(run.model, run.task, { length, temperature: 0.8, seed: 1 }), widthOf(process.stdout) - 4)),
    );
  }
  print(`\n${paint.dim("kept in")} ${run.dir}`);
  print(paint.dim("type next"));
  if (run.task.vocabulary) print(`  ${nextCommand(`sample ${run.id} --length 1000`, options)}`);
  if (run.info.data) print(`  ${nextCommand(`predict ${run.id} --input FILE`, options)}`);
  print(`  ${nextCommand(`eval ${run.id} --split test`, options)}`);
  print(`  ${nextCommand(`compare ${run.id} ANOTHER_RUN`, options)}`);
}
