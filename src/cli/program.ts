/** The tree of commands with their help; src/cli/main.ts runs it, tests parse with it. */
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Command } from "commander";
import { nearest, UsageError } from "../core/check.ts";
import { version } from "../runs/version.ts";
import { adviseCommand } from "./commands/advise.ts";
import { anomaliesCommand } from "./commands/anomalies.ts";
import { compareCommand } from "./commands/compare.ts";
import { dataCommand } from "./commands/data.ts";
import { demoCommand } from "./commands/demo.ts";
import { doctorCommand } from "./commands/doctor.ts";
import { evalCommand } from "./commands/eval.ts";
import { exportCommand } from "./commands/export.ts";
import { importCommand } from "./commands/import.ts";
import { inspectCommand } from "./commands/inspect.ts";
import { predictCommand } from "./commands/predict.ts";
import { reproduceCommand } from "./commands/reproduce.ts";
import { runsCommand } from "./commands/runs.ts";
import { sampleCommand } from "./commands/sample.ts";
import { simulateCommand } from "./commands/simulate.ts";
import { sweepCommand } from "./commands/sweep.ts";
import { policiesCommand, tasksCommand } from "./commands/tables.ts";
import { traceCommand } from "./commands/trace.ts";
import { trainCommand } from "./commands/train.ts";
import { uiCommand } from "./commands/ui.ts";
import { paint } from "./print.ts";

const COMMANDS = [
  demoCommand,
  trainCommand,
  evalCommand,
  predictCommand,
  anomaliesCommand,
  sampleCommand,
  runsCommand,
  compareCommand,
  inspectCommand,
  uiCommand,
  adviseCommand,
  exportCommand,
  importCommand,
  reproduceCommand,
  dataCommand,
  sweepCommand,
  traceCommand,
  simulateCommand,
  doctorCommand,
  tasksCommand,
  policiesCommand,
];

const INTRODUCTION = `
Gatesieve trains recurrent nets and skips the gate-gradient work that does not matter.

  gatesieve demo                      dense and sparse training side by side, about two minutes
  gatesieve train my.txt              learn a text of your own; Ctrl-C keeps a checkpoint
  gatesieve sample last               let the newest run write
  gatesieve runs                      what has been trained
  gatesieve compare ID ID             two runs side by side, with charts
  gatesieve advise my.txt             what dropping would cost and save there
`.trimStart();

/** What "docs/cli.md" and its like in help and errors are: the package brings them. */
const REFERENCE = fileURLToPath(new URL("../../docs/cli.md", import.meta.url));

export function program(): Command {
  const root = new Command("gatesieve")
    .version(version, "-V, --version", "show the version")
    .helpCommand("help [command]", "show help for a command")
    .addHelpText("before", INTRODUCTION)
    .addHelpText(
      "after",
      `\ngatesieve COMMAND --help says more, with examples. Full reference, other documents beside it:\n${REFERENCE}`,
    )
    .usage("<command> [options]")
    .enablePositionalOptions() // what follows a subcommand of a command is the subcommand's
    .on("command:*", ([word]: [string]) => unknownCommand(word, root.commands));
  for (const command of COMMANDS) root.addCommand(command());
  for (const command of withSubcommands(root))
    command
      .exitOverride()
      .helpOption("-h, --help", "show help")
      .configureHelp({ styleTitle: (text) => paint.bold(text), helpWidth: 100 })
      .configureOutput({ outputError: (text, write) => write(oneLine(text, command)) });
  return root;
}

function withSubcommands(command: Command): Command[] {
  return [command, ...command.commands.flatMap(withSubcommands)];
}

/** "gatesieve sweep show" */
function fullName(command: Command): string {
  return command.parent ? `${fullName(command.parent)} ${command.name()}` : command.name();
}

function unknownCommand(word: string, commands: readonly Command[]): never {
  const names = commands.map((command) => command.name());
  const near = nearest(word, names);
  const hint = near
    ? `did you mean "gatesieve ${near}"?`
    : existsSync(word)
      ? `to learn a text: gatesieve train ${word}`
      : `the commands are: ${names.join(", ")}.`;
  throw new UsageError(`unknown command "${word}"; ${hint}`);
}

/** "error: unknown option '--polcy'\n(Did you mean --policy?)" in one line of ours. */
function oneLine(text: string, command: Command): string {
  const message = text
    .replace(/^error: /, "")
    .trim()
    .replace(/\s*\n\s*/g, " ");
  const name = fullName(command);
  return `gatesieve: ${message}${/[.?)]$/.test(message) ? "" : "."} See: ${name} --help\n`;
}
