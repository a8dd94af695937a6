/** gatesieve inspect: a run from inside, by its telemetry. */
import { join } from "node:path";
import { Command } from "commander";
import { UsageError } from "../../core/check.ts";
import { findRun, readConfig, readRun, readTelemetry } from "../../runs/store.ts";
import { EXPLANATION, type Inspected, inspectionPage, inspectionTables } from "../inspection.ts";
import { jsonOption, RUN_ARGUMENT, type RunsOption, runsOption } from "../options.ts";
import { paint, print, printJson, remark, widthOf, wrap } from "../print.ts";
import { writePage } from "./compare.ts";

interface InspectOptions extends RunsOption {
  readonly out?: string;
  readonly json?: boolean;
}

export function inspectCommand(): Command {
  return new Command("inspect")
    .summary("a run from inside: gates, thresholds, dead units, fidelity")
    .description(
      "Show a run from inside: zeros by layer, gate and time, sizes of gradients and thresholds, activations, dead units, fidelity. " +
        "Tables here, and one HTML page with charts that needs nothing else. More: docs/telemetry.md.",
    )
    .argument("<run>", RUN_ARGUMENT)
    .option("--out <file>", "the page (inspect.html in the run's folder)")
    .addOption(jsonOption("the samples, one JSON object a line; no page unless --out is given"))
    .addOption(runsOption())
    .addHelpText("after", "\nExample:\n  gatesieve inspect last --out inside.html")
    .action((id: string, options: InspectOptions) => inspect(id, options));
}

function inspect(id: string, { runs, out, json }: InspectOptions): void {
  const dir = findRun(runs, id);
  const inspected: Inspected = { summary: readRun(dir), config: readConfig(dir), samples: readTelemetry(dir) };
  const { summary, config, samples } = inspected;
  if (samples.length === 0)
    throw new UsageError(
      `run ${summary.id} has no telemetry: ${
        config.train.telemetryEverySteps === 0
          ? "it was trained with train.telemetryEverySteps=0. Train again with train.telemetryEverySteps=50."
          : `it ended at step ${summary.steps}, before the first sample, or was trained by an earlier version. Train further, or again.`
      }`,
    );
  if (json) for (const sample of samples) printJson(sample);
  else {
    print(`${paint.bold(`run ${summary.id}`)}, policy ${summary.policy}, ${samples.length} samples\n`);
    print(inspectionTables(inspected));
    print(`\n${paint.dim(wrap(EXPLANATION, widthOf(process.stdout) - 1))}`);
  }
  if (json && out === undefined) return;
  const page = out ?? join(dir, "inspect.html");
  writePage(page, inspectionPage(inspected));
  if (json) remark(`gatesieve: charts are in ${page}`);
  else print(`\n${paint.dim("charts")}  ${page}`);
}
