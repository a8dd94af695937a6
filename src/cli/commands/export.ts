/** gatesieve export: a run's best weights for other programs. */
import { Command, Option } from "commander";
import { check, formatBytes, formatNumber } from "../../core/check.ts";
import { exportFolder, weightsOfRun } from "../../runs/export.ts";
import { checkOnnx, exportOnnx, loadOnnxRuntime } from "../../runs/onnx.ts";
import { checkOnnxParts, exportOnnxParts } from "../../runs/onnx-parts.ts";
import { jsonOption, RUN_ARGUMENT, type RunsOption, runsOption } from "../options.ts";
import { paint, print, printJson } from "../print.ts";

const FORMATS = ["safetensors", "onnx"] as const;

interface ExportOptions extends RunsOption {
  readonly format: (typeof FORMATS)[number];
  readonly out: string;
  readonly check?: boolean;
  readonly json?: boolean;
}

const EXAMPLES = `
Examples:
  gatesieve export last --out my-model
  gatesieve export last --format onnx --out my-model.onnx --check`;

export function exportCommand(): Command {
  return new Command("export")
    .summary("a run's best weights for other programs")
    .description(
      "Write the best weights of a run for other programs. safetensors: a folder as Hugging Face lays it out, with PyTorch's names; its README.md shows how torch.nn loads it. onnx: one file for onnxruntime and others, with free batch size and length, states in and out; of translation and captioning a folder of two, encoder.onnx and decoder.onnx. More: docs/formats.md.",
    )
    .argument("<run>", RUN_ARGUMENT)
    .addOption(new Option("--format <format>", "what to write").choices(FORMATS).default("safetensors"))
    .requiredOption("--out <path>", "the folder, or the ONNX file, not there yet")
    .option("--check", "onnx: run it in onnxruntime, beside the run's own net, and compare")
    .addOption(jsonOption("one JSON object"))
    .addOption(runsOption())
    .addHelpText("after", EXAMPLES)
    .action(exportRun);
}

async function exportRun(id: string, { format, out, check: checked, json, runs }: ExportOptions): Promise<void> {
  check(!checked || format === "onnx", `--check runs an ONNX file, got --format ${format}; add --format onnx.`);
  if (checked) await loadOnnxRuntime(); // before anything is written
  const weights = await weightsOfRun(runs, id);
  const parameters = weights.model.size;
  const bytes = 4 * parameters;
  const parts = weights.model.encoderDecoder !== undefined;
  if (format === "safetensors") exportFolder(weights, out);
  else if (parts) exportOnnxParts(weights, out);
  else exportOnnx(weights, out);
  const compare = parts ? checkOnnxParts : checkOnnx;
  const comparison = checked ? await compare(runs, id, out) : undefined;
  if (json) return printJson({ id: weights.info.id, format, out, parameters, bytes, check: comparison });
  print(`${paint.bold(`run ${weights.info.id}`)} exported to ${out}, ${formatBytes(bytes)} of weights`);
  if (!comparison) return;
  const { runtime, differences, worst, bound } = comparison;
  const each = Object.entries(differences).map(([name, difference]) => `${name} ${formatNumber(digits(difference))}`);
  print(`${runtime}: worst difference ${formatNumber(digits(worst))}, at most ${bound} (${each.join(", ")})`);
}

/** Two of them are enough. */
function digits(value: number): number {
  return Number(value.toPrecision(2));
}
