/**
 * The folder of a sweep:
 *
 *   grid.json      the grid file with its base in full: what the sweep is
 *   sweep.json     a record of its members, the finalists if it was confirmed, and the results
 *   report.html    the results as a page
 *   runs/          a run folder for each member, called ARM-sSEED; a run store like any other
 *   run.lock       while a process works on the sweep
 *
 * The runs are the truth about runs; the record adds what no run folder can tell.
 */
import * as fs from "node:fs";
import { join, resolve } from "node:path";
import { nearest, UsageError } from "../core/check.ts";
import type { Tree } from "./config.ts";
import { writeFileAtomic } from "./files.ts";
import { isLocked } from "./lock.ts";
import { INFO, type RunSummary, readEvents, readJson, readRun } from "./store.ts";
import { type Arm, flatten, type Member, membersOf } from "./sweep-arms.ts";
import { parseSweep, type Sweep } from "./sweep-grid.ts";
import type { Results } from "./sweep-results.ts";
import { version } from "./version.ts";

export const GRID = "grid.json";
export const RECORD = "sweep.json";
export const PAGE = "report.html";
export const RUNS = "runs";
const FORMAT = 1;

export type MemberStatus =
  /** Not begun. */
  | "pending"
  | "running"
  /** At a budget of halving, or stopped: goes on from its checkpoint. */
  | "paused"
  | "finished"
  | "failed";

export interface MemberRecord {
  readonly id: string;
  /** Name of the arm. */
  readonly arm: string;
  readonly seed: number;
  readonly phase: "choose" | "confirm";
  readonly status: MemberStatus;
  readonly steps: number;
  readonly maxSteps: number | null;
  /** From start to end of its processes: with validation and all else. */
  readonly wallSeconds: number;
  readonly error: string | null;
}

export interface Confirmation {
  /** ISO 8601: when finalists were chosen, before any of them was trained on the fresh seeds. */
  readonly chosen: string;
  /** Names of arms. */
  readonly reference: string;
  readonly finalists: readonly string[];
  readonly seeds: readonly number[];
}

export interface SweepRecord {
  readonly format: typeof FORMAT;
  readonly name: string;
  readonly created: string;
  /** Of Gatesieve. */
  readonly version: string;
  members: readonly MemberRecord[];
  confirmation: Confirmation | null;
  /** Of the choosing phase (or all there is, where the split is test), and of the fresh seeds. */
  results: { readonly choose: Results; readonly confirm: Results | null } | null;
}

/** Throws if the folder is of something else or of another sweep; returns remarks. */
export function checkSweepDir(dir: string, sweep: Sweep): string[] {
  if (fs.existsSync(join(dir, GRID))) return compareWithStored(dir, sweep);
  if (fs.existsSync(dir) && (!fs.statSync(dir).isDirectory() || fs.readdirSync(dir).length > 0))
    throw new UsageError(`${dir} is there already and is no sweep; choose another name with --name.`);
  return [];
}

/** What members' processes read. */
export function writeGrid(dir: string, sweep: Sweep): void {
  writeFileAtomic(join(dir, GRID), toJson(sweep.definition), "the sweep's definition");
}

/** As it was last run. */
export function readSweep(dir: string): Sweep {
  const definition = readJson(join(dir, GRID));
  if (definition === undefined) throw new UsageError(`${dir} is no sweep: it has no ${GRID}.`);
  try {
    return parseSweep(definition as Tree);
  } catch (error) {
    if (error instanceof UsageError) throw new UsageError(`${join(dir, GRID)}: ${error.message}`);
    throw error;
  }
}

export function readRecord(dir: string, sweep: Sweep): SweepRecord {
  const stored = readJson(join(dir, RECORD)) as SweepRecord | undefined;
  if (stored === undefined)
    return {
      format: FORMAT,
      name: sweep.name,
      created: new Date().toISOString(),
      version,
      members: [],
      confirmation: null,
      results: null,
    };
  if (stored.format !== FORMAT || !Array.isArray(stored.members))
    throw new UsageError(`${join(dir, RECORD)} is damaged or of another version; delete it, the runs are kept apart.`);
  return stored;
}

export function writeRecord(dir: string, record: SweepRecord): void {
  writeFileAtomic(join(dir, RECORD), toJson(record), "the sweep's record");
}

export function runDir(dir: string, { id }: Member): string {
  return join(dir, RUNS, id);
}

/** A member by its id, of either phase. */
export function memberById(sweep: Sweep, id: string): Member {
  const seed = Number(/-s(\d+)$/.exec(id)?.[1]);
  const member = membersOf(sweep.arms, [seed]).find((each) => each.id === id);
  if (member) return member;
  throw new UsageError(`sweep ${sweep.name} has no member "${id}"; list them with --dry-run.`);
}

/** What the run folder tells of a member; undefined if there is none. */
export function memberSummary(dir: string, member: Member): RunSummary | undefined {
  const folder = runDir(dir, member);
  return fs.existsSync(join(folder, INFO)) ? readRun(folder) : undefined;
}

/** The lowest validation loss up to this step; null without one. */
export function bestLossUpTo(dir: string, member: Member, step: number): number | null {
  const losses = readEvents(runDir(dir, member)).flatMap((event) =>
    event.type === "validation" && event.step <= step ? [event.loss] : [],
  );
  return losses.length > 0 ? Math.min(...losses) : null;
}

export interface ListedSweep {
  readonly name: string;
  readonly dir: string;
  readonly created: string;
  readonly arms: number;
  readonly members: number;
  readonly finished: number;
  readonly failed: number;
  readonly status: "running" | "stopped" | "finished" | "confirmed";
}

/** All sweeps, newest first. A folder that cannot be understood is skipped, and `note` is told. */
export function listSweeps(sweepsDir: string, note: (line: string) => void = () => {}): ListedSweep[] {
  if (!fs.existsSync(sweepsDir)) return [];
  const found: ListedSweep[] = [];
  for (const { name } of fs.readdirSync(sweepsDir, { withFileTypes: true })) {
    const dir = join(sweepsDir, name);
    if (!fs.existsSync(join(dir, GRID))) continue;
    try {
      found.push(listed(dir));
    } catch (error) {
      note(`skipped ${dir}: ${(error as Error).message.split("\n")[0]}`);
    }
  }
  return found.sort((a, b) => (a.created < b.created ? 1 : -1));
}

/** The folder of a sweep: its path, or its name. */
export function findSweep(sweepsDir: string, nameOrDir: string): string {
  for (const dir of [join(sweepsDir, nameOrDir), nameOrDir])
    if (nameOrDir && fs.existsSync(join(dir, GRID))) return resolve(dir);
  const names = listSweeps(sweepsDir).map(({ name }) => name);
  const near = nearest(nameOrDir, names);
  throw new UsageError(
    names.length === 0
      ? `no sweep "${nameOrDir}": there are no sweeps in ${sweepsDir}. Start one with: gatesieve sweep GRID.yaml`
      : `no sweep "${nameOrDir}" in ${sweepsDir}${near ? `, did you mean "${near}"?` : "."} There are: ${names.slice(0, 5).join(", ")}.`,
  );
}

function listed(dir: string): ListedSweep {
  const sweep = readSweep(dir);
  const { created, members, confirmation, results } = readRecord(dir, sweep);
  const count = (status: MemberStatus) => members.filter((member) => member.status === status).length;
  const leftOut = results?.choose.rows.filter(({ leftOutAt }) => leftOutAt !== null).map(({ arm }) => arm) ?? [];
  const left = members.filter(
    ({ status, arm }) => status !== "finished" && status !== "failed" && !leftOut.includes(arm),
  ).length;
  const ended = confirmation ? "confirmed" : "finished";
  return {
    name: sweep.name,
    dir,
    created,
    arms: sweep.arms.length,
    members: members.length,
    finished: count("finished"),
    failed: count("failed"),
    status: isLocked(dir) ? "running" : left > 0 || members.length === 0 ? "stopped" : ended,
  };
}

/** The finalists and, where it is none of them, the reference. */
export function finalArms({ reference, finalists }: Confirmation): string[] {
  return finalists.includes(reference) ? [...finalists] : [reference, ...finalists];
}

/**
 * Arms, seeds and all else may change between calls, but nothing that was trained may come to stand for
 * another training, and what was confirmed stays as it was.
 */
function compareWithStored(dir: string, sweep: Sweep): string[] {
  const stored = readSweep(dir);
  const { confirmation } = readRecord(dir, stored);
  const essence = ({ definition: { processes: _, ...rest } }: Sweep) => JSON.stringify(sortKeys(rest));
  if (confirmation && essence(stored) !== essence(sweep))
    throw new UsageError(
      `sweep ${sweep.name} was confirmed on the test split (finalists chosen ${confirmation.chosen.slice(0, 10)}), and its grid has changed since; give the changed one another name with --name.`,
    );
  const notes: string[] = [];
  for (const arm of stored.arms) {
    if (!hasRuns(dir, arm)) continue;
    const now = sweep.arms.find(({ slug }) => slug === arm.slug);
    if (!now) notes.push(`arm "${arm.name}" is no longer in the grid; its runs stay in ${join(dir, RUNS)}.`);
    else {
      const key = difference(arm, now);
      if (key)
        throw new UsageError(
          `sweep ${sweep.name} has runs of arm "${arm.name}" from another grid (${key}). Give the changed grid another name with --name, or delete ${dir}.`,
        );
    }
  }
  return notes;
}

function hasRuns(dir: string, { slug }: Arm): boolean {
  const runs = join(dir, RUNS);
  const names = fs.existsSync(runs) ? fs.readdirSync(runs) : [];
  return names.some((name) => name.replace(/-s\d+$/, "") === slug && /-s\d+$/.test(name));
}

/** "train.maxSteps 200, now 600": the first setting in which two arms differ; seeds are the members' own. */
function difference(before: Arm, now: Arm): string | undefined {
  const [a, b] = [before, now].map(({ config }) => flatten({ ...config, seed: 0 } as unknown as Tree)) as [Tree, Tree];
  const key = Object.keys({ ...a, ...b }).find((each) => JSON.stringify(a[each]) !== JSON.stringify(b[each]));
  return key && `${key} ${JSON.stringify(a[key])}, now ${JSON.stringify(b[key])}`;
}

function sortKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sortKeys);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, each]) => [key, sortKeys(each)]),
  );
}

function toJson(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
