/** gatesieve runs: what has been trained. */
import { Command } from "commander";
import { listRuns, type RunSummary } from "../../runs/store.ts";
import { duration, fixed, percent } from "../format.ts";
import { jsonOption, nextCommand, type RunsOption, runsOption } from "../options.ts";
import { cut, print, printJson, remark, table } from "../print.ts";
import { heads } from "../summary.ts";

export function runsCommand(): Command {
  return new Command("runs")
    .summary("list runs, newest first")
    .description("List runs, newest first. Shares in JSON are from 0 to 1, seconds those of training alone.")
    .addOption(jsonOption("one JSON object a line"))
    .addOption(runsOption())
    .addHelpText("after", "\nExample:\n  gatesieve runs --json | head -1")
    .action(({ runs: dir, json }: RunsOption & { json?: boolean }) => {
      const runs = listRuns(dir, (note) => remark(`gatesieve: ${note}`));
      if (json) for (const run of runs) printJson(run);
      else if (runs.length === 0)
        remark(`gatesieve: no runs in ${dir}. Begin with: ${nextCommand("train", { runs: dir })}`);
      else print(runsTable(runs));
    });
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
