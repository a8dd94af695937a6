/** Options and words that several commands share. */
import { basename, relative } from "node:path";
import { InvalidArgumentError, Option } from "commander";
import { MISSING_CHOICES } from "../runs/data-settings.ts";

export const RUNS_DIR = "runs";

export interface RunsOption {
  readonly runs: string;
}

export function runsOption(): Option {
  return new Option("--runs <dir>", "folder of the runs").default(RUNS_DIR, RUNS_DIR);
}

export const SWEEPS_DIR = "sweeps";

export interface SweepsOption {
  readonly sweeps: string;
}

export function sweepsOption(): Option {
  return new Option("--sweeps <dir>", "folder of the sweeps").default(SWEEPS_DIR, SWEEPS_DIR);
}

export function jsonOption(what: string): Option {
  return new Option("--json", what);
}

export type Missing = (typeof MISSING_CHOICES)[number];

/** Of commands that read a file with a model that was trained before. */
export function missingOption(): Option {
  return new Option("--missing <how>", "what a missing number is (task.missing of the run)").choices(MISSING_CHOICES);
}

export const RUN_ARGUMENT = 'a run: its id, a part of it, its folder, or "last"';

export function wholeNumber(least: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() === "" || !Number.isSafeInteger(value) || value < least)
      throw new InvalidArgumentError(`Give a whole number of at least ${least}.`);
    return value;
  };
}

export function numberFrom0(text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !Number.isFinite(value) || value < 0)
    throw new InvalidArgumentError("Give a number of at least 0.");
  return value;
}

/** How this program was started, so that what we tell people to type next works as it stands. */
export function commandName(script = process.argv[1] ?? ""): string {
  // What npx starts is node_modules/.bin/gatesieve of a project, which no shell finds by its name alone.
  if (script.includes("node_modules")) return "npx gatesieve";
  if (/^gatesieve(\.[a-z]+)?$/.test(basename(script))) return "gatesieve";
  return `node ${relative(process.cwd(), script)}`;
}

/** A command line to type: `nextCommand("sample last", options)`. */
export function nextCommand(rest: string, { runs }: RunsOption): string {
  return `${commandName()} ${rest}${runs === RUNS_DIR ? "" : ` --runs ${shellWord(runs)}`}`;
}

export function nextSweepCommand(rest: string, { sweeps }: SweepsOption): string {
  return `${commandName()} ${rest}${sweeps === SWEEPS_DIR ? "" : ` --sweeps ${shellWord(sweeps)}`}`;
}

function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
