/** gatesieve tasks, gatesieve policies: the tables of what there is. */
import { Command } from "commander";
import { formatNumber } from "../../core/check.ts";
import { BROWN } from "../../runs/data-brown.ts";
import { builtinTexts, DEFAULT_TEXT } from "../../runs/text.ts";
import { DEFAULT_POLICY, policies } from "../../sparse/policies.ts";
import type { PolicyEntry } from "../../sparse/policy.ts";
import { tasks } from "../../tasks/tasks.ts";
import { jsonOption } from "../options.ts";
import { indent, paint, print, printJson, table, widthOf, wrap } from "../print.ts";
import { heads } from "../summary.ts";

export function tasksCommand(): Command {
  return new Command("tasks")
    .summary("list tasks and built-in texts")
    .description("List what can be learnt, and the texts that come with the program.")
    .addOption(jsonOption("one JSON object a line"))
    .addHelpText("after", "\nExample:\n  gatesieve train task.name=delay task.delay=8")
    .action(({ json }: { json?: boolean }) => {
      const entries = Object.entries(tasks);
      if (json) {
        for (const [name, { summary, onText }] of entries)
          printJson({ name, summary, texts: onText ? textsOf(name) : [], defaultText: onText ? DEFAULT_TEXT : null });
        return;
      }
      print(table([heads(["task", "what it is"]), ...entries.map(([name, { summary }]) => [name, summary])], [0, 1]));
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
    .addHelpText("after", "\nExample:\n  gatesieve train --policy threshold:1e-6")
    .action(({ json }: { json?: boolean }) => {
      for (const [name, { summary, argument }] of Object.entries(policies)) {
        const isDefault = name === DEFAULT_POLICY.split(":")[0];
        if (json) printJson({ name, summary, argument: argument ?? null, isDefault });
        else {
          print(
            `${paint.bold(argument ? `${name}:${argument.name}` : name)}${isDefault ? paint.dim("  the default") : ""}`,
          );
          print(indent(wrap(summary, widthOf(process.stdout) - 3)));
          if (argument) print(indent(paint.dim(range(argument))));
        }
      }
    });
}

function range({ name, atLeast, atMost, default: usual }: NonNullable<PolicyEntry["argument"]>): string {
  const end = atMost < Number.MAX_VALUE ? ` to ${formatNumber(atMost)}` : "";
  return `${name} from ${formatNumber(atLeast)}${end}${usual === undefined ? "" : `, ${formatNumber(usual)} if left out`}`;
}
