/** gatesieve eval: a run's best weights on a split, or on another text. */
import { Command, Option } from "commander";
import { evaluateRun, openModel } from "../../runs/run.ts";
import type { Split } from "../../tasks/task.ts";
import { fixed, metric, words } from "../format.ts";
import { jsonOption, RUN_ARGUMENT, type RunsOption, runsOption } from "../options.ts";
import { print, printJson, remark, table } from "../print.ts";
import { heads, score } from "../summary.ts";

interface EvalOptions extends RunsOption {
  readonly split: Split;
  readonly text?: string;
  readonly engine?: string;
  readonly json?: boolean;
}

export function evalCommand(): Command {
  return new Command("eval")
    .summary("score a run's best weights")
    .description("Score the best weights of a run on one of its splits, or on another text.")
    .argument("<run>", RUN_ARGUMENT)
    .addOption(new Option("--split <split>", "part of the data").choices(["train", "valid", "test"]).default("test"))
    .option("--text <file>", "another UTF-8 text, or a built-in one, with the run's vocabulary")
    .option("--engine <engine>", "js, wasm or auto (the run's own)")
    .addOption(jsonOption("one JSON object"))
    .addOption(runsOption())
    .addHelpText("after", "\nExamples:\n  gatesieve eval last\n  gatesieve eval last --split valid --json")
    .action(async (id: string, { runs, split, text, engine, json }: EvalOptions) => {
      const opened = await openModel(runs, id, {
        ...(engine !== undefined && { engine }),
        ...(text !== undefined && { text }),
      });
      for (const note of opened.notes) remark(`gatesieve: ${note}`);
      const { loss, scores, positions } = evaluateRun(opened, split);
      const { lossUnit } = opened.info;
      if (json)
        return printJson({
          id: opened.id,
          split,
          text: text ?? null,
          lossUnit,
          loss,
          ...scores,
          positions,
        });
      const names = Object.keys(scores);
      print(
        table([
          heads([`run ${opened.id}`, `loss (${lossUnit})`, ...names.map(words), "positions"]),
          [split, fixed(loss, 4), ...names.map((name) => score(name, scores[name])), metric(positions)],
        ]),
      );
    });
}
