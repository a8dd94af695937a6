/** gatesieve sample: text written by a run's best weights. */
import { Command } from "commander";
import type { RunConfig } from "../../runs/config.ts";
import { openModel } from "../../runs/run.ts";
import { sampleText } from "../../train/sample.ts";
import { jsonOption, numberFrom0, RUN_ARGUMENT, type RunsOption, runsOption, wholeNumber } from "../options.ts";
import { print, printJson, remark } from "../print.ts";

interface SampleOptions extends RunsOption {
  readonly length: number;
  readonly temperature: number;
  readonly prime: string;
  readonly seed: number;
  readonly json?: boolean;
}

export function sampleCommand(): Command {
  return new Command("sample")
    .summary("let a run write text")
    .description("Let the best weights of a run write text. The same seed writes the same text.")
    .argument("<run>", RUN_ARGUMENT)
    .option("--length <n>", "characters, or words of task word", wholeNumber(1), 400)
    .option("--temperature <x>", "below 1 more sure, above 1 more daring, 0 no chance at all", numberFrom0, 0.8)
    .option("--prime <text>", "text to go on from", "")
    .option("--seed <n>", "of the draws", wholeNumber(0), 1)
    .addOption(jsonOption("one JSON object"))
    .addOption(runsOption())
    .addHelpText("after", '\nExample:\n  gatesieve sample last --prime "Call me " --temperature 0.6')
    .action(async (id: string, { runs, json, ...options }: SampleOptions) => {
      const opened = await openModel(runs, id, { T: contextOf, B: 1 });
      for (const note of opened.notes) remark(`gatesieve: ${note}`);
      const text = sampleText(opened.model, opened.task, options);
      if (json) printJson({ id: opened.id, ...options, text });
      else print(options.prime + (needsSpace(opened.task.text?.unit, options.prime, text) ? " " : "") + text);
    });
}

/** Positions that a model must read at once. */
function contextOf(_: unknown, { model, train }: RunConfig): number {
  return model.net === "transformer" ? (model.positions ?? train.sequenceLength) : 1;
}

/** A word after a prime stands apart from it; a comma does not. */
function needsSpace(unit: string | undefined, prime: string, text: string): boolean {
  return unit === "words" && prime !== "" && !/^[\s.,;:!?%)\]}]/.test(text);
}
