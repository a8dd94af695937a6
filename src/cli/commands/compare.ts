/** gatesieve compare: runs side by side. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Command } from "commander";
import { GatesieveError, UsageError } from "../../core/check.ts";
import { findRun, readEvents, readRun } from "../../runs/store.ts";
import { type ComparedRun, caveats, comparisonPage, comparisonRows, labels, pageFooter } from "../comparison.ts";
import { jsonOption, RUN_ARGUMENT, type RunsOption, runsOption } from "../options.ts";
import { paint, print, printJson, remark, table, widthOf, wrap } from "../print.ts";
import { heads } from "../summary.ts";

interface CompareOptions extends RunsOption {
  readonly out?: string;
  readonly json?: boolean;
}

export function compareCommand(): Command {
  return new Command("compare")
    .summary("runs side by side, as a table and a page with charts")
    .description("Put runs side by side: a table here, and one HTML page with charts that needs nothing else.")
    .argument("<run...>", RUN_ARGUMENT)
    .option("--out <file>", "the page (compare-DATE-TIME.html in the folder of the runs)")
    .addOption(jsonOption("the runs' figures, one JSON object a line; no page unless --out is given"))
    .addOption(runsOption())
    .addHelpText("after", "\nExample:\n  gatesieve compare 7f3a b210 --out dense-and-sparse.html")
    .action((ids: string[], options: CompareOptions) => compare(ids, options));
}

function compare(ids: readonly string[], { runs: dir, out, json }: CompareOptions): void {
  const folders = [...new Set(ids.map((id) => findRun(dir, id)))];
  if (folders.length < 2)
    throw new UsageError(
      `got ${folders.length} run to compare; give at least two different ones. List them with: gatesieve runs`,
    );
  const runs = folders.map((folder): ComparedRun => ({ summary: readRun(folder), events: readEvents(folder) }));
  if (json) for (const { summary } of runs) printJson(summary);
  else printComparison(runs);
  if (json && out === undefined) return;
  const page = out ?? join(dir, `compare-${timestamp()}.html`);
  writePage(page, comparisonPage(`${labels(runs).join(" and ")}, side by side`, runs, [], pageFooter()));
  if (json) remark(`gatesieve: charts are in ${page}`);
  else print(`\n${paint.dim("charts")}  ${page}`);
}

export function printComparison(runs: readonly ComparedRun[]): void {
  const names = labels(runs);
  print(table([heads(["", ...names]), ...comparisonRows(runs)]));
  print();
  print(
    table(
      runs.map(({ summary }, index) => [paint.dim(names[index] as string), summary.id]),
      [0, 1],
    ),
  );
  print();
  for (const text of caveats(runs)) print(paint.dim(wrap(text, widthOf(process.stdout) - 1)));
}

/** "20260131-184500", UTC, for names of files. */
export function timestamp(): string {
  return new Date().toISOString().slice(0, 19).replaceAll(/[-:]/g, "").replace("T", "-");
}

export function writePage(file: string, html: string): void {
  try {
    writeFileSync(file, html);
  } catch (error) {
    throw new GatesieveError(`${file} cannot be written: ${(error as Error).message}.`);
  }
}
