/** gatesieve anomalies: rows of a series that a forecaster did not expect. */
import { Command } from "commander";
import { toCsv } from "../../formats/csv-write.ts";
import { type FoundAnomalies, findAnomalies, type ScoredRow } from "../../runs/anomalies.ts";
import { writeFileAtomic } from "../../runs/files.ts";
import { DEFAULT_RATE, DEFAULT_REPAIR } from "../../tasks/anomalies.ts";
import { fixed, metric, percent, words } from "../format.ts";
import {
  jsonOption,
  type Missing,
  missingOption,
  numberFrom0,
  RUN_ARGUMENT,
  type RunsOption,
  runsOption,
  wholeNumber,
} from "../options.ts";
import { print, printJson, remark, table } from "../print.ts";
import { heads, score } from "../summary.ts";

interface AnomaliesOptions extends RunsOption {
  readonly label?: string;
  readonly rate?: number;
  readonly limit?: number;
  readonly repair?: number;
  readonly missing?: Missing;
  readonly top: number;
  readonly csv?: string;
  readonly engine?: string;
  readonly json?: boolean;
}

const EXAMPLES = `
Examples:
  gatesieve train configs/anomalies.yaml          a forecaster, one row ahead
  gatesieve anomalies last                        of the rows of its own test split
  gatesieve anomalies last new.csv --rate 0.001   of a file with the same columns
  gatesieve anomalies last new.csv --label fault  and how many of those marked there it finds

A row's score is its distance from what was forecast one row before, in spreads (1.4826 times the
median absolute deviation) of the errors on the run's validation split, which is taken as normal.
Later forecasts do not read what an anomaly was, but what was expected of it (--repair).`;

export function anomaliesCommand(): Command {
  return new Command("anomalies")
    .summary("find the rows of a series that a run did not expect")
    .description("Score each row of a series by how far it is from what a run of task forecasting expected.")
    .argument("<run>", RUN_ARGUMENT)
    .argument("[file]", "a CSV file with the columns of the run's; without it, the run's test split")
    .option("--rate <share>", `share of normal rows that may be flagged (${DEFAULT_RATE})`, numberFrom0)
    .option("--limit <score>", "flag scores above it, instead of a rate", numberFrom0)
    .option(
      "--repair <rows>",
      `anomalies in succession that later forecasts read as expected (${DEFAULT_REPAIR}; 0: none)`,
      wholeNumber(0),
    )
    .option("--label <column>", "of the file: 1 or true where a row is an anomaly; adds precision and recall")
    .addOption(missingOption())
    .option("--top <n>", "rows to show", wholeNumber(1), 20)
    .option("--csv <file>", "write the score of every row there")
    .option("--engine <engine>", "js, wasm, native or auto (auto)")
    .addOption(jsonOption("one JSON object"))
    .addOption(runsOption())
    .addHelpText("after", EXAMPLES)
    .action(async (id: string, file: string | undefined, { runs, top, csv, json, ...options }: AnomaliesOptions) => {
      const found = await findAnomalies(runs, id, { file, ...options });
      for (const note of found.notes) remark(`gatesieve: ${note}`);
      if (csv !== undefined) {
        writeFileAtomic(csv, toCsv(found.rows.map((row) => new Map(Object.entries(row)))), "the scores");
        remark(`gatesieve: ${found.rows.length} rows written to ${csv}`);
      }
      if (!json) return print(page(found, file, top));
      const { rows, notes: _, placeColumn: __, ...rest } = found;
      printJson({ ...rest, scored: rows.length, anomalies: rows.filter(({ anomaly }) => anomaly) });
    });
}

function page(found: FoundAnomalies, file: string | undefined, top: number): string {
  const { id, rows, limit, normalRows, normalFlagged, readRows, lastRows, placeColumn, scores } = found;
  const flagged = rows.filter(({ anomaly }) => anomaly);
  const shown = [...flagged].sort((a, b) => b.score - a.score).slice(0, top);
  const first = readRows > 0 ? `; the first ${readRows} are only read` : "";
  const last = lastRows > 0 ? `; the last ${lastRows} have no score: forecasts of task.horizon rows reach beyond` : "";
  const lines = [
    `run ${id}, ${file ?? "its test split"}: ${rows.length} rows scored${first}${last}`,
    `limit ${fixed(limit, 2)} spreads, which ${normalFlagged} of ${normalRows} normal rows are above`,
    `${flagged.length} anomalies, ${percent(flagged.length / rows.length)} of the rows${flagged.length > shown.length ? `; the ${top} of highest score` : ""}`,
  ];
  const sections = [lines.join("\n")];
  if (shown.length > 0) sections.push(rowTable(shown, placeColumn));
  if (scores) {
    const names = Object.keys(scores);
    sections.push(table([heads(names.map(words)), names.map((name) => score(name, scores[name]))], []));
  }
  return sections.join("\n\n");
}

function rowTable(rows: readonly ScoredRow[], placeColumn: string | undefined): string {
  const where = placeColumn === undefined ? [] : [placeColumn];
  return table(
    [
      heads(["row", ...where, "column", "actual", "expected", "score"]),
      ...rows.map(({ row, place, column, actual, expected, score }) => [
        String(row),
        ...(place === undefined ? [] : [place]),
        column,
        metric(actual),
        metric(expected),
        fixed(score, 2),
      ]),
    ],
    placeColumn === undefined ? [1] : [1, 2],
  );
}
