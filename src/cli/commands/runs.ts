/** gatesieve runs: what has been trained; and one run in full. */
import { Command } from "commander";
import { UsageError } from "../../core/check.ts";
import { flatten, toCsv } from "../../formats/csv-write.ts";
import { findRun, listRuns, type RunSummary, readEvents, readRun, readTelemetry } from "../../runs/store.ts";
import { duration, fixed, percent } from "../format.ts";
import { jsonOption, nextCommand, RUN_ARGUMENT, type RunsOption, runsOption } from "../options.ts";
import { cut, paint, print, printJson, remark, table } from "../print.ts";
import { heads, memoryTable, summaryTables } from "../summary.ts";

export function runsCommand(): Command {
  return new Command("runs")
    .addCommand(showCommand())
    .addCommand(exportCommand())
    .summary("list runs, newest first; show one in full; export its events")
    .description("List runs, newest first. Shares in JSON are from 0 to 1, seconds those of training alone.")
    .addOption(jsonOption("one JSON object a line"))
    .addOption(runsOption())
    .addHelpText(
      "after",
      "\nExamples:\n  gatesieve runs --json | head -1\n  gatesieve runs show last\n  gatesieve runs export last --csv > run.csv",
    )
    .action(({ runs: dir, json }: RunsOption & { json?: boolean }) => {
      const runs = listRuns(dir, (note) => remark(`gatesieve: ${note}`));
      if (json) for (const run of runs) printJson(run);
      else if (runs.length === 0)
        remark(`gatesieve: no runs in ${dir}. Begin with: ${nextCommand("train", { runs: dir })}`);
      else print(runsTable(runs));
    });
}

function showCommand(): Command {
  return new Command("show")
    .summary("the figures of one run, as at the end of its training")
    .description("Show one run: scores, sparsity, multiply-accumulates, time, memory.")
    .argument("<run>", RUN_ARGUMENT)
    .addOption(jsonOption("one JSON object"))
    .addOption(runsOption())
    .action((run: string, _: unknown, command: Command) => {
      // The options belong to `runs` as well, which takes them wherever they stand.
      const { runs: dir, json } = command.optsWithGlobals<RunsOption & { json?: boolean }>();
      const folder = findRun(dir, run);
      if (json) printJson(readRun(folder));
      else showRun(readRun(folder), folder);
    });
}

function exportCommand(): Command {
  return new Command("export")
    .summary("the events of one run, as CSV or JSON lines")
    .description(
      "Write a run's events to stdout: steps, validations and the end, one a line. Their fields: docs/formats.md. Lists (sites, products) are in JSON lines alone.",
    )
    .argument("<run>", RUN_ARGUMENT)
    .option("--csv", "a table, one column for each number (JSON lines)")
    .option("--telemetry", "the looks at a step from inside, as JSON lines")
    .addOption(runsOption())
    .addHelpText(
      "after",
      "\nExamples:\n  gatesieve runs export last --csv > run.csv\n  gatesieve runs export last --telemetry",
    )
    .action((run: string, options: { csv?: boolean; telemetry?: boolean }, command: Command) => {
      const { runs: dir } = command.optsWithGlobals<RunsOption>();
      const folder = findRun(dir, run);
      if (options.csv && options.telemetry)
        throw new UsageError(
          "--csv and --telemetry: telemetry is lists of lists, which no table holds; leave one out.",
        );
      if (options.csv) process.stdout.write(toCsv(readEvents(folder).map((event) => flatten({ ...event }))));
      else for (const event of options.telemetry ? readTelemetry(folder) : readEvents(folder)) printJson(event);
    });
}

function showRun(run: RunSummary, folder: string): void {
  const about = [run.task, run.text, run.policy, `engine ${run.engine} (${run.isa})`].filter(Boolean).join(", ");
  print(`${paint.bold(`run ${run.id}`)}, ${run.status}, ${run.steps} of ${run.maxSteps} steps\n${about}\n`);
  const end = readEvents(folder).at(-1);
  if (end?.type === "end") print(summaryTables(end, run));
  else if (run.memory) print(memoryTable(run.memory, run.engine));
  if (run.error) print(`\n${run.error}`);
  print(`\n${paint.dim("kept in")} ${run.dir}`);
}

function runsTable(runs: readonly RunSummary[]): string {
  const rows = runs.map((run) => [
    run.id,
    run.status === "finished" ? String(run.steps) : `${run.steps}/${run.maxSteps}`,
    fixed(run.validLoss, 3),
    fixed(run.testLoss, 3),
    percent(run.sparsity),
    percent(run.macsSkippedAll),
    duration(run.seconds),
    [run.status === "finished" ? "" : run.status, run.text ?? ""].filter(Boolean).join(", "),
  ]);
  const text = table([heads(["run", "steps", "valid", "test", "zeros", "MACs -", "time", ""]), ...rows], [0, 7]);
  const { isTTY, columns } = process.stdout;
  return isTTY ? text.replace(/^.*$/gm, (line) => cut(line, columns)) : text;
}
