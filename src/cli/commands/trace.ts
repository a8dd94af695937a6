/** gatesieve trace: what is in a trace, and the same for other programs. */
import { statSync } from "node:fs";
import { Command } from "commander";
import { formatBytes, UsageError } from "../../core/check.ts";
import { writeFileAtomic } from "../../runs/files.ts";
import { encodeNpz, traceArrays } from "../../runs/npz.ts";
import { readTrace } from "../../runs/trace-file.ts";
import type { Trace } from "../../sparse/trace.ts";
import { metric, percent } from "../format.ts";
import { jsonOption } from "../options.ts";
import { paint, print, printJson, table } from "../print.ts";
import { heads } from "../summary.ts";

export function traceCommand(): Command {
  return new Command("trace")
    .summary("what is in a trace of gate gradients; export it")
    .description("Look into a trace that train --trace made, or export it. The file: docs/traces.md.")
    .addCommand(
      new Command("info")
        .description("Show what a trace holds: steps, sites, densities, products.")
        .argument("<trace>", "a file that train --trace made")
        .addOption(jsonOption("one JSON object a line: the run, then each site"))
        .action((file: string, { json }: { json?: boolean }) => info(file, json ?? false)),
    )
    .addCommand(
      new Command("export")
        .description("Write a trace for other programs.")
        .argument("<trace>", "a file that train --trace made")
        .option("--format <format>", "npz: for numpy.load", "npz")
        .option("--out <file>", "what to write (the trace's name with .npz)")
        .action(exportTrace),
    )
    .addHelpText(
      "after",
      `
Examples:
  gatesieve train train.maxSteps=300 --trace a.trace
  gatesieve trace info a.trace
  gatesieve trace export a.trace --out a.npz`,
    );
}

function info(file: string, json: boolean): void {
  const trace = readTrace(file);
  const { run, steps, generator } = trace;
  if (json) {
    printJson({
      type: "trace",
      file,
      bytes: statSync(file).size,
      generator,
      run,
      steps: steps.map(({ step }) => step),
    });
    for (const row of siteRows(trace)) printJson({ type: "site", ...row });
    return;
  }
  print(`${paint.bold(file)}, ${formatBytes(statSync(file).size)}, by ${generator}`);
  print(
    `${run.cell} ${run.numLayers} x ${run.hiddenSize}, T ${run.sequenceLength}, B ${run.batchSize}, policy ${run.policy}, ` +
      `head ${run.headPolicy}, ${run.optimizer}, ${metric(run.parameters)} parameters, engine ${run.engine}, seed ${run.seed}\n`,
  );
  const rows = siteRows(trace).map((row) => [
    String(row.step),
    row.site,
    `${row.rows} x ${row.cols}${row.padded > 0 ? ` (${row.padded} padding)` : ""}`,
    row.rule,
    percent(row.density),
    percent(row.naturalZeros),
    percent(row.energy, 2),
  ]);
  print(table([heads(["step", "site", "shape", "rule", "kept", "zero by itself", "energy kept"]), ...rows], [1, 2, 3]));
  for (const { step, products, loss } of steps) {
    const dense = products.reduce((sum, { m, n, k }) => sum + m * n * k, 0);
    const skipped = products.reduce((sum, product) => sum + product.skipped, 0);
    print(
      `\nstep ${step}, loss ${loss.toFixed(4)}: ${products.length} products, ${metric(dense)} multiply-accumulates, ` +
        `${percent(dense > 0 ? skipped / dense : 0)} of them redundant`,
    );
  }
}

function siteRows({ steps }: Trace) {
  return steps.flatMap(({ step, sites }) =>
    sites.map((site) => {
      const sum = (key: "total" | "naturalZeros" | "kept" | "squares" | "keptSquares") =>
        site.groups.reduce((total, group) => total + group[key], 0);
      return {
        step,
        site: site.name,
        rows: site.rows,
        cols: site.cols,
        rule: site.rule,
        padded: site.padded,
        density: sum("total") > 0 ? sum("kept") / sum("total") : 0,
        naturalZeros: sum("total") > 0 ? sum("naturalZeros") / sum("total") : 0,
        energy: sum("squares") > 0 ? sum("keptSquares") / sum("squares") : 1,
        groups: site.groups,
      };
    }),
  );
}

function exportTrace(file: string, { format, out }: { readonly format: string; readonly out?: string }): void {
  if (format !== "npz") throw new UsageError(`unknown format "${format}"; the choice is: npz.`);
  const content = encodeNpz(traceArrays(readTrace(file)));
  const target = out ?? `${file.replace(/\.[^./]+$/, "")}.npz`;
  writeFileAtomic(target, content, "the arrays");
  print(`${paint.dim("arrays")}  ${target}, ${formatBytes(content.length)}`);
}
