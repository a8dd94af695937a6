/** gatesieve ui: the dashboard in a browser. */
import { Command } from "commander";
import { UsageError } from "../../core/check.ts";
import { serveDashboard } from "../../server/serve.ts";
import { type RunsOption, runsOption } from "../options.ts";
import { paint, print } from "../print.ts";

interface UiOptions extends RunsOption {
  readonly sweeps: string;
  readonly host: string;
  readonly port: number;
}

export function uiCommand(): Command {
  return new Command("ui")
    .summary("the dashboard: runs and sweeps in a browser, as they train")
    .description(
      "Serve the dashboard on this machine: all runs in one table, their curves over one another as they train, what was " +
        "dropped from inside, and sweeps. It reads the folders of runs and sweeps and changes nothing. Ctrl-C ends it.",
    )
    .option("--port <n>", "0: any free one", port, 7860)
    .option("--host <name>", "other than 127.0.0.1: other machines can read all runs", "127.0.0.1")
    .option("--sweeps <dir>", "folder of the sweeps", "sweeps")
    .addOption(runsOption())
    .addHelpText("after", "\nExamples:\n  gatesieve ui\n  gatesieve ui --runs experiments --port 8080")
    .action(async ({ runs: runsDir, sweeps: sweepsDir, host, port }: UiOptions) => {
      const served = await serveDashboard({ runsDir, sweepsDir, host, port });
      print(`${paint.bold(served.url)}  runs of ${runsDir}, sweeps of ${sweepsDir}. Ctrl-C ends it.`);
      for (const signal of ["SIGINT", "SIGTERM"] as const)
        process.once(signal, () => void served.close().then(() => process.exit(0)));
    });
}

function port(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 0 || value > 65_535)
    throw new UsageError(`--port: got "${text}", expected a whole number from 0 to 65535.`);
  return value;
}
