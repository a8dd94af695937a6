/** gatesieve predict: what a run's best weights say of sequences without targets. */
import { Command, Option } from "commander";
import { FORMATS, type InputFormat, type ReadInputs, readPredictionInputs } from "../../runs/data-predict.ts";
import { openModel } from "../../runs/run.ts";
import { longestInput, predict } from "../../train/predict.ts";
import { type Missing, missingOption, RUN_ARGUMENT, type RunsOption, runsOption, wholeNumber } from "../options.ts";
import { printJson, remark } from "../print.ts";

interface PredictOptions extends RunsOption {
  readonly input: string;
  readonly format?: InputFormat;
  readonly batchSize: number;
  readonly beam: number;
  readonly engine?: string;
  readonly missing?: Missing;
}

const EXAMPLES = `
Examples:
  gatesieve predict last --input names.csv
  echo '{"text": "Schmidt"}' | gatesieve predict last --input -
  gatesieve predict last --input history.csv      task forecasting: what follows the last row
  gatesieve predict last --input sentences.txt    task translation: a translation for each line
  gatesieve predict last --input cat.png          task captioning

One JSON object a line: where the sequence stands, then label and probabilities, tags, forecast,
translation or caption.`;

export function predictCommand(): Command {
  return new Command("predict")
    .summary("let a run classify, tag, forecast, translate or caption")
    .description("Let the best weights of a run say what it has learnt to say of sequences of a file or of stdin.")
    .argument("<run>", RUN_ARGUMENT)
    .requiredOption("--input <file>", "CSV, JSONL, CoNLL, IDX, PNG or text, without targets; - is stdin")
    .addOption(new Option("--format <format>", "of the input, where its name does not say").choices(FORMATS))
    .option("--batch-size <n>", "sequences at a time; the result is the same", wholeNumber(1), 64)
    .option("--beam <n>", "translation, captioning: hypotheses kept for each source", wholeNumber(1), 4)
    .addOption(missingOption())
    .option("--engine <engine>", "js, wasm, native or auto (auto)")
    .addOption(runsOption())
    .addHelpText("after", EXAMPLES)
    .action(async (id: string, { runs, input, format, batchSize, beam, engine, missing }: PredictOptions) => {
      let read: ReadInputs = { inputs: [], notes: [] };
      const { model, task, notes } = await openModel(runs, id, {
        ...(engine !== undefined && { engine }),
        B: Math.max(batchSize, beam),
        T: (task, { task: settings, train }) => {
          read = readPredictionInputs(task, { ...settings, ...(missing && { missing }) }, input, format);
          if (task.writing) return train.sequenceLength;
          const longest = longestInput(task, read.inputs);
          // A forecast reads as many rows as it was trained with.
          return task.name === "forecasting" ? Math.min(longest, train.sequenceLength) : longest;
        },
      });
      for (const note of [...notes, ...read.notes]) remark(`gatesieve: ${note}`);
      for (const result of predict(model, task, read.inputs, beam)) printJson(result);
    });
}
