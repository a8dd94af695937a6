#!/usr/bin/env node
/** The command `gatesieve`: the table of commands, help, and the one place where errors end. */
import { CommanderError } from "commander";
import { GatesieveError } from "../core/check.ts";
import { version } from "../runs/version.ts";
import { program } from "./program.ts";

const USAGE_ERROR = 2;
const DEFECT = 70; // EX_SOFTWARE

async function main(): Promise<void> {
  for (const stream of [process.stdout, process.stderr])
    stream.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "EPIPE") process.exit(0);
      throw error;
    });
  try {
    const root = program();
    if (process.argv.length > 2) await root.parseAsync();
    else root.outputHelp();
  } catch (error) {
    process.exitCode = report(error);
  }
}

/** Tells the user, and returns the exit code. */
function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : USAGE_ERROR; // commander has told
  if (error instanceof GatesieveError) {
    process.stderr.write(`gatesieve: ${error.message.replace(/\s*\n\s*/g, " ")}\n`);
    return error.exitCode;
  }
  process.stderr.write(
    `gatesieve: this is a defect of Gatesieve ${version}, please report it with what you typed and these lines:\n` +
      `${error instanceof Error ? error.stack : String(error)}\n`,
  );
  return DEFECT;
}

await main();
