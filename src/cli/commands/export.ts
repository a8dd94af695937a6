/** gatesieve export: a run's best weights for other programs. */
import { Command, Option } from "commander";
import { formatBytes } from "../../core/check.ts";
import { exportFolder, weightsOfRun } from "../../runs/export.ts";
import { jsonOption, RUN_ARGUMENT, type RunsOption, runsOption } from "../options.ts";
import { paint, print, printJson } from "../print.ts";

const FORMATS = ["safetensors"] as const;

interface ExportOptions extends RunsOption {
  readonly format: (typeof FORMATS)[number];
  readonly out: string;
  readonly json?: boolean;
}

export function exportCommand(): Command {
  return new Command("export")
    .summary("a run's best weights for other programs")
    .description(
      "Write the best weights of a run for other programs. safetensors: a folder as Hugging Face lays it out, with PyTorch's names; its README.md shows how torch.nn loads it.",
    )
    .argument("<run>", RUN_ARGUMENT)
    .addOption(new Option("--format <format>", "what to write").choices(FORMATS).default("safetensors"))
    .requiredOption("--out <path>", "the folder, not there yet")
    .addOption(jsonOption("one JSON object"))
    .addOption(runsOption())
    .addHelpText("after", "\nExample:\n  gatesieve export last --out my-model")
    .action(exportRun);
}

async function exportRun(id: string, { format, out, json, runs }: ExportOptions): Promise<void> {
  const weights = await weightsOfRun(runs, id);
  exportFolder(weights, out);
  const bytes = 4 * weights.model.size;
  if (json) return printJson({ id: weights.info.id, format, out, parameters: weights.model.size, bytes });
  print(`${paint.bold(`run ${weights.info.id}`)} exported to ${out}, ${formatBytes(bytes)} of weights`);
}
