/** gatesieve tasks, gatesieve policies: the tables of what there is. */
import { Command } from "commander";
import { formatNumber } from "../../core/check.ts";
import { taskPolicies } from "../../runs/config.ts";
import { BROWN } from "../../runs/data-brown.ts";
import { builtinTexts, DEFAULT_TEXT } from "../../runs/text.ts";
import { combinators } from "../../sparse/combinators.ts";
import { OPTIONS, type OptionSpec } from "../../sparse/options.ts";
import { DEFAULT_POLICY, policies } from "../../sparse/policies.ts";
import type { PolicyEntry } from "../../sparse/policy.ts";
import { type TaskName, tasks } from "../../tasks/tasks.ts";
import { words } from "../format.ts";
import { jsonOption } from "../options.ts";
import { indent, paint, print, printJson, table, widthOf, wrap } from "../print.ts";
import { heads } from "../summary.ts";

export function tasksCommand(): Command {
  return new Command("tasks")
    .summary("list tasks and built-in texts")
    .description("List what can be learnt, and the texts that come with the program.")
    .addOption(jsonOption("one JSON object a line"))
    .addHelpText(
      "after",
      `
Examples:
  gatesieve train configs/classification.yaml          a ready configuration
  gatesieve train names.csv task.name=classification   data of your own: docs/tasks.md
  gatesieve train task.name=delay task.delay=8`,
    )
    .action(({ json }: { json?: boolean }) => {
      const entries = Object.entries(tasks);
      if (json) {
        for (const [name, { create: _, onText, ...about }] of entries)
          printJson({
            name,
            ...about,
            ...taskPolicies(name as TaskName),
            texts: onText ? textsOf(name) : [],
            defaultText: onText ? DEFAULT_TEXT : null,
          });
        return;
      }
      const rows = entries.flatMap(([name, { summary, metrics, config }]) => [
        [name, summary, config],
        ["", paint.dim(metrics.map(words).join(", "))],
      ]);
      print(table([heads(["task", "what it is, and its scores", "ready configuration"]), ...rows], [0, 1, 2]));
      print(
        `\n${paint.dim('texts: your own UTF-8 file, or one of these (default first); task word has "brown" too, see gatesieve data')}`,
      );
      const others = builtinTexts().filter((name) => name !== DEFAULT_TEXT);
      print(indent(wrap([DEFAULT_TEXT, ...others].join(", "), widthOf(process.stdout) - 3)));
    });
}

function textsOf(name: string): string[] {
  return name === "word" ? [BROWN, ...builtinTexts()] : builtinTexts();
}

export function policiesCommand(): Command {
  return new Command("policies")
    .summary("list policies: what is dropped")
    .description("List policies: rules for which gate gradients are dropped. More: docs/policies.md.")
    .addOption(jsonOption("one JSON object a line"))
    .addHelpText(
      "after",
      "\nExamples:\n  gatesieve train --policy threshold:1e-6\n  gatesieve train --policy 'warmup(200)+energy:0.99,o=0.999'",
    )
    .action(({ json }: { json?: boolean }) => {
      for (const [name, { summary, argument, options = [] }] of Object.entries(policies)) {
        const isDefault = name === DEFAULT_POLICY.split(":")[0];
        if (json) printJson({ name, summary, argument: argument ?? null, options, isDefault });
        else {
          print(
            `${paint.bold(argument ? `${name}:${argument.name}` : name)}${isDefault ? paint.dim("  the default") : ""}`,
          );
          print(indent(wrap(summary, widthOf(process.stdout) - 3)));
          if (argument) print(indent(paint.dim([range(argument), ...options].join(", "))));
        }
      }
      if (json) return;
      section("options, behind the argument with commas: density:0.1,pooled,paths=dW");
      print(
        table([...Object.entries(OPTIONS).map(([name, spec]) => [written(name, spec), spec.summary]), GATE], [0, 1]),
      );
      section("in front, each with a plus: warmup(0.1)+every(10)+energy:0.99; STEPS below 1 is a share of the run");
      print(
        table(
          Object.values(combinators).map(({ usage, summary }) => [usage, summary]),
          [0, 1],
        ),
      );
    });
}

/** A gate's own argument is written like an option. */
const GATE = ["o=VALUE", "the argument of one gate alone, by its letter"];

function section(title: string): void {
  print(`\n${paint.dim(title)}`);
}

function written(name: string, spec: OptionSpec): string {
  if (spec.kind === "flag") return name;
  return `${name}=${spec.kind === "choice" ? spec.choices.join("|") : spec.default}`;
}

function range({ name, atLeast, atMost, default: usual }: NonNullable<PolicyEntry["argument"]>): string {
  const end = atMost < Number.MAX_VALUE ? ` to ${formatNumber(atMost)}` : "";
  return `${name} from ${formatNumber(atLeast)}${end}${usual === undefined ? "" : `, ${formatNumber(usual)} if left out`}`;
}
