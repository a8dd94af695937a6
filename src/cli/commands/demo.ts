/** gatesieve demo: the same net trained twice, dense and sparse, step by step beside each other. */
import { join } from "node:path";
import { Command } from "commander";
import { loadConfig } from "../../runs/config.ts";
import { createRun, type Run } from "../../runs/run.ts";
import { readEvents, readRun } from "../../runs/store.ts";
import { DEFAULT_POLICY } from "../../sparse/policies.ts";
import type { EndEvent } from "../../train/events.ts";
import { sampleText } from "../../train/sample.ts";
import { type ComparedRun, comparisonPage, pageFooter, type Sample } from "../comparison.ts";
import { describeEngine, describeTraining, follow } from "../follow.ts";
import { Interrupt } from "../interrupt.ts";
import { nextCommand, type RunsOption, runsOption, wholeNumber } from "../options.ts";
import { fold, indent, LiveLines, paint, paintRemark, print, remark, widthOf } from "../print.ts";
import { LEGEND, Progress } from "../progress.ts";
import { printComparison, timestamp, writePage } from "./compare.ts";

const DEFAULT_STEPS = 600;
/** Twice the default of a longer training: in 600 steps it comes further (validation loss 1.87 against 2.0). */
const LEARNING_RATE = 0.004;
const SAMPLE = { length: 240, temperature: 0.7, seed: 1 } as const;

interface DemoOptions extends RunsOption {
  readonly steps: number;
  readonly seed: number;
  readonly engine?: string;
}

export function demoCommand(): Command {
  return new Command("demo")
    .summary("dense and sparse training side by side, in about two minutes")
    .description(
      `Train the same net twice on the default text, from the same weights and batches: dense, and with ${DEFAULT_POLICY}. ` +
        "Ends with both in one table, a page with charts, and a sample of text from each.",
    )
    .option("--steps <n>", "steps of each training", wholeNumber(1), DEFAULT_STEPS)
    .option("--seed <n>", "of weights and data", wholeNumber(0), 1)
    .option("--engine <engine>", "js, wasm, native or auto (auto)")
    .addOption(runsOption())
    .addHelpText("after", "\nExample:\n  gatesieve demo --steps 200")
    .action(demo);
}

/** One of the two trainings, and how far it is. */
interface Lane {
  readonly name: string;
  readonly run: Run;
  readonly progress: Progress;
  end: EndEvent | undefined;
}

async function demo(options: DemoOptions): Promise<void> {
  const lanes: Lane[] = [];
  const lines = new LiveLines(process.stderr);
  const interrupt = new Interrupt((signal) =>
    lines.note(`gatesieve: ${signal}, ending after this step, keeping checkpoints (again: quit at once)`),
  );
  try {
    for (const [name, policy] of [
      ["dense", "dense"],
      ["sparse", DEFAULT_POLICY],
    ] as const) {
      const run = await openRun(policy, options);
      lanes.push({
        name: name.padEnd("sparse".length),
        run,
        progress: new Progress(run.info.lossUnit, run.config.train.valCheckInterval),
        end: undefined,
      });
    }
    introduce(lanes);
    await race(lanes, lines, interrupt);
    lines.clear();
    if (lanes.some(({ end }) => end?.reason === "stopped")) {
      remark("gatesieve: both stopped, their checkpoints are kept. Go on with:");
      for (const { run } of lanes) remark(`  ${nextCommand(`train --resume ${run.id}`, options)}`);
      process.exitCode = interrupt.exitCode;
    } else report(lanes, options);
  } finally {
    lines.clear();
    interrupt.release();
    for (const { run } of lanes) run.close();
  }
}

function openRun(policy: string, { steps, seed, engine, runs }: DemoOptions): Promise<Run> {
  const overrides = [
    `policy=${policy}`,
    `seed=${seed}`,
    `train.maxSteps=${steps}`,
    `train.learningRate=${LEARNING_RATE}`,
  ];
  if (engine !== undefined) overrides.push(`engine=${engine}`);
  return createRun({ config: loadConfig({ overrides }), runsDir: runs });
}

function introduce(lanes: readonly Lane[]): void {
  const [dense, sparse] = lanes;
  if (!dense || !sparse) return;
  remark("Two trainings in turns, from the same weights and with the same batches:");
  remark(indent(describeTraining(dense.run)));
  remark(indent(`learning rate ${LEARNING_RATE} falling to 0, ${describeEngine(dense.run)}`));
  remark(
    indent(
      `dense: policy ${dense.run.config.policy}; sparse: policy ${sparse.run.config.policy}; all else is the same`,
    ),
  );
  remark(paintRemark.dim(LEGEND));
}

/** In turns: each up to its next event, so that whatever else the machine does hits both alike. */
async function race(lanes: readonly Lane[], lines: LiveLines, interrupt: Interrupt): Promise<void> {
  const running = lanes.map((lane) => ({ lane, events: follow(lane.run, interrupt) }));
  while (running.length > 0)
    for (const racer of [...running]) {
      const { lane, events } = racer;
      const { value: event } = await events.next();
      if (!event) {
        running.splice(running.indexOf(racer), 1);
        continue;
      }
      if (event.type === "end") lane.end = event;
      const due = lane.progress.add(event);
      if (lines.live) lines.update(lanes.map(({ name, progress }) => `${paintRemark.bold(name)}  ${progress.line}`));
      else if (due) remark(`${lane.name}  ${lane.progress.line}`);
    }
}

function report(lanes: readonly Lane[], options: DemoOptions): void {
  const compared = lanes.map(({ run }): ComparedRun => ({ summary: readRun(run.dir), events: readEvents(run.dir) }));
  const samples = lanes.map(
    ({ run }): Sample => ({
      title: `A sample after ${run.config.policy}`,
      text: sampleText(run.model, run.task, SAMPLE),
    }),
  );
  printComparison(compared);
  for (const { title, text } of samples) {
    print(`\n${paint.dim(`${title}, temperature ${SAMPLE.temperature}`)}`);
    print(indent(fold(text, widthOf(process.stdout) - 4)));
  }
  const ids = lanes.map(({ run }) => run.id);
  const page = join(options.runs, `demo-${timestamp()}.html`);
  const title = `${lanes.map(({ run }) => run.config.policy).join(" and ")}, side by side`;
  writePage(page, comparisonPage(title, compared, samples, pageFooter()));
  print(`\n${paint.dim("charts, open it in a browser")}  ${page}`);
  print(paint.dim("type next"));
  print(`  ${nextCommand("train my.txt", options)}`);
  print(`  ${nextCommand(`sample ${ids.at(-1)} --prime "Call me "`, options)}`);
  print(`  ${nextCommand(`demo --seed ${options.seed + 1}`, options)}`);
}
