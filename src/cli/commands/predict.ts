/** gatesieve predict: what a run's best weights say of sequences without targets. */
import { Command, Option } from "commander";
import { FORMATS, type InputFormat, readPredictionInputs } from "../../runs/data-predict.ts";
import { openModel } from "../../runs/run.ts";
import { longestInput, type PredictionInput, predict } from "../../train/predict.ts";
import { RUN_ARGUMENT, type RunsOption, runsOption, wholeNumber } from "../options.ts";
import { printJson, remark } from "../print.ts";

interface PredictOptions extends RunsOption {
  readonly input: string;
  readonly format?: InputFormat;
  readonly batchSize: number;
  readonly engine?: string;
}

const EXAMPLES = `
Examples:
  gatesieve predict last --input names.csv
  echo '{"text": "Schmidt"}' | gatesieve predict last --input -
  gatesieve predict last --input history.csv      task forecasting: what follows the last row

One JSON object a line: where the sequence stands, then label and probabilities, tags, or forecast.`;

export function predictCommand(): Command {
  return new Command("predict")
    .summary("let a run classify, tag or forecast")
    .description("Let the best weights of a run classify, tag or forecast sequences of a file or of stdin.")
    .argument("<run>", RUN_ARGUMENT)
    .requiredOption("--input <file>", "CSV, JSONL, CoNLL or IDX, as for training but without targets; - is stdin")
    .addOption(new Option("--format <format>", "of the input, where its name does not say").choices(FORMATS))
    .option("--batch-size <n>", "sequences at a time; the result is the same", wholeNumber(1), 64)
    .option("--engine <engine>", "js, wasm, native or auto (auto)")
    .addOption(runsOption())
    .addHelpText("after", EXAMPLES)
    .action(async (id: string, { runs, input, format, batchSize, engine }: PredictOptions) => {
      let inputs: readonly PredictionInput[] = [];
      const { model, task, notes } = await openModel(runs, id, {
        ...(engine !== undefined && { engine }),
        B: batchSize,
        T: (task, { task: settings, train }) => {
          inputs = readPredictionInputs(task, settings, input, format);
          const longest = longestInput(task, inputs);
          // A forecast reads as many rows as it was trained with.
          return task.name === "forecasting" ? Math.min(longest, train.sequenceLength) : longest;
        },
      });
      for (const note of notes) remark(`gatesieve: ${note}`);
      for (const result of predict(model, task, inputs)) printJson(result);
    });
}
