/** gatesieve import: a model from elsewhere as a run. */
import { Command } from "commander";
import { UsageError } from "../../core/check.ts";
import { parseRename, type Rename } from "../../formats/state-dict.ts";
import { netName } from "../../nn/nets.ts";
import { importModel } from "../../runs/import.ts";
import { metric } from "../format.ts";
import { sortInputs } from "../inputs.ts";
import { jsonOption, nextCommand, type RunsOption, runsOption } from "../options.ts";
import { paint, print, printJson, remark } from "../print.ts";

interface ImportOptions extends RunsOption {
  readonly out?: string;
  readonly rename: readonly Rename[];
  readonly vocabulary?: string;
  readonly json?: boolean;
}

const EXAMPLES = `
Examples:
  gatesieve import my-model                              a folder that gatesieve export wrote
  gatesieve import lstm.safetensors task.text=my.txt     saved by PyTorch, the vocabulary from a text
  gatesieve import model.onnx                            and its vocabulary, if Gatesieve wrote it
  gatesieve import FOLDER --rename decoder.=head. --vocabulary tokens.json task.name=word`;

export function importCommand(): Command {
  return new Command("import")
    .summary("a model from PyTorch or another machine, as a run")
    .description(
      "Make a run of a model from elsewhere: a .safetensors file with PyTorch's parameters, a folder of one with config.json and vocab.json, an .onnx file, or a folder of encoder.onnx and decoder.onnx. Then evaluate it, let it write, or train on from it. More: docs/formats.md.",
    )
    .argument("<model>", "a folder, a .safetensors or an .onnx file")
    .argument("[settings...]", "of the run, as key=value")
    .option("--out <folder>", "the run's folder, not there yet (one in the folder of the runs)")
    .option("--rename <theirs=ours>", "beginnings of parameter names; may be given again", addRename, [])
    .option("--vocabulary <file>", "tokens in order, or { token: number } (vocab.json in the folder)")
    .addOption(jsonOption("one JSON object"))
    .addOption(runsOption())
    .addHelpText("after", EXAMPLES)
    .action(importRun);
}

function addRename(text: string, before: readonly Rename[]): Rename[] {
  return [...before, parseRename(text)];
}

async function importRun(source: string, inputs: readonly string[], options: ImportOptions): Promise<void> {
  const { runs: runsDir, out, rename: renames, vocabulary, json } = options;
  const { file, settings } = sortInputs(inputs);
  if (file !== undefined)
    throw new UsageError(`got two models, "${source}" and "${file}"; give one, and settings as key=value.`);
  const imported = await importModel({ source, runsDir, out, settings, renames, vocabulary });
  const { id, dir, info, config, notes } = imported;
  for (const note of notes) remark(`gatesieve: ${note}`);
  if (json) return printJson({ ...info, dir, notes, config });
  const { numLayers, hiddenSize } = config.model;
  print(
    `${paint.bold(`run ${id}`)}: ${netName(config.model)} ${numLayers} x ${hiddenSize}, ${metric(info.parameters)} parameters`,
  );
  print(`${paint.dim("kept in")} ${dir}`);
  const name = out === undefined ? id : dir;
  print(paint.dim("type next"));
  print(`  ${nextCommand(`eval ${name}${info.text?.sha256 === "" ? " --text TEXT" : ""}`, options)}`);
  print(`  ${nextCommand(`train --from ${name}`, options)}`);
}
