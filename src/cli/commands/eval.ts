/** gatesieve eval: a run's best weights on a split, or on another text. */
import { Command, Option } from "commander";
import { check } from "../../core/check.ts";
import { evaluateRun, openModel } from "../../runs/run.ts";
import { type ScoreRow, SPLITS, type Split } from "../../tasks/task.ts";
import { fixed, metric, words } from "../format.ts";
import { jsonOption, RUN_ARGUMENT, type RunsOption, runsOption, wholeNumber } from "../options.ts";
import { print, printJson, remark, table } from "../print.ts";
import { heads, score } from "../summary.ts";

interface EvalOptions extends RunsOption {
  readonly split: Split;
  readonly text?: string;
  readonly data?: string;
  readonly engine?: string;
  readonly beam: number;
  readonly json?: boolean;
}

export function evalCommand(): Command {
  return new Command("eval")
    .summary("score a run's best weights")
    .description("Score the best weights of a run on one of its splits, or on another text or file of data.")
    .argument("<run>", RUN_ARGUMENT)
    .addOption(new Option("--split <split>", "part of the data").choices(SPLITS).default("test"))
    .option("--text <file>", "another UTF-8 text, or a built-in one, with the run's vocabulary")
    .option("--data <file>", "tasks on data: another file, read as the run's own was; all of it is scored")
    .option("--beam <n>", "tasks that write: hypotheses kept for each source", wholeNumber(1), 4)
    .option("--engine <engine>", "js, wasm, native or auto (the run's own)")
    .addOption(jsonOption("one JSON object"))
    .addOption(runsOption())
    .addHelpText("after", "\nExamples:\n  gatesieve eval last\n  gatesieve eval last --split valid --json")
    .action(async (id: string, { runs, split, engine, beam, json, ...other }: EvalOptions) => {
      check(
        other.text === undefined || other.data === undefined,
        "--text and --data are for different tasks; give one.",
      );
      const text = other.text ?? other.data;
      const opened = await openModel(runs, id, {
        ...(engine !== undefined && { engine }),
        ...(text !== undefined && { text }),
      });
      for (const note of opened.notes) remark(`gatesieve: ${note}`);
      const { loss, scores, positions, signature, table: rows } = evaluateRun(opened, split, { beam });
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
          ...(signature !== undefined && { signature }),
          ...(rows && { table: rows }),
        });
      const names = Object.keys(scores);
      print(
        table([
          heads([`run ${opened.id}`, `loss (${lossUnit})`, ...names.map(words), "positions"]),
          [split, fixed(loss, 4), ...names.map((name) => score(name, scores[name])), metric(positions)],
        ]),
      );
      if (signature !== undefined) print(signature);
      if (rows?.length) print(`\n${detailTable(rows)}`);
    });
}

/** A row for each class, tag or column. */
function detailTable(rows: readonly ScoreRow[]): string {
  const names = Object.keys(rows[0] as ScoreRow);
  const cell = (name: string, value: string | number | undefined) =>
    typeof value !== "number" ? String(value) : name === "count" ? metric(value) : score(name, value);
  return table([heads(names.map(words)), ...rows.map((row) => names.map((name) => cell(name, row[name])))]);
}
