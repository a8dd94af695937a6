/** One process per run: a file `run.lock` that names its holder. A dead holder's lock is taken over. */
import * as fs from "node:fs";
import { hostname } from "node:os";
import { basename, join } from "node:path";
import { GatesieveError } from "../core/check.ts";

export const LOCK = "run.lock";
/** A lock file is written in one go: one that is still unreadable after this long was cut short. */
const UNREADABLE_MS = 5000;

interface Holder {
  readonly pid: number;
  readonly host: string;
  /** When the process started, in the system's own unit: a number may be given to a new process. */
  readonly started: string | null;
}

/** Folders this process holds: its own number in a lock it does not hold is a predecessor's. */
const held = new Set<string>();

/** The content of a lock file of this process, for a folder made with its lock inside. */
export function lockContents(): Record<string, string> {
  return { [LOCK]: JSON.stringify(holderHere()) };
}

/** Counts `dir` as held: its lock file came from `lockContents`. */
export function adoptLock(dir: string): void {
  held.add(dir);
}

/** Takes the lock or throws. Returns a line to print if a dead process's lock was taken over. `what` is in the folder. */
export function takeLock(dir: string, what = "run"): string | undefined {
  const path = join(dir, LOCK);
  let note: string | undefined;
  for (let attempt = 0; attempt < 10; attempt++) {
    try {
      fs.writeFileSync(path, JSON.stringify(holderHere()), { flag: "wx" });
      held.add(dir);
      return note;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    }
    const seen = read(path);
    if (seen === undefined) continue; // released meanwhile
    if (isHeld(dir, path, seen)) throw inUse(dir, seen, what);
    if (removeIfUnchanged(path, seen))
      note = `${what} ${basename(dir)}: took over the lock of process ${parse(seen)?.pid ?? "?"}, which is gone.`;
  }
  throw inUse(dir, read(path) ?? "", what);
}

export function releaseLock(dir: string): void {
  if (held.delete(dir)) fs.rmSync(join(dir, LOCK), { force: true });
}

/** Whether a living process holds the run. */
export function isLocked(dir: string): boolean {
  const path = join(dir, LOCK);
  const seen = read(path);
  return seen !== undefined && isHeld(dir, path, seen);
}

export function isAlive(pid: number): boolean {
  if (!(pid > 0)) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

function isHeld(dir: string, path: string, seen: string): boolean {
  const holder = parse(seen);
  if (!holder) return Date.now() - (fs.statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0) < UNREADABLE_MS;
  if (holder.host !== hostname()) return true; // another machine's processes cannot be seen from here
  if (holder.pid === process.pid) return held.has(dir);
  if (!isAlive(holder.pid)) return false;
  const started = startOf(holder.pid);
  return holder.started === null || started === null || started === holder.started;
}

/**
 * Between reading a dead lock and removing it another process may have taken it over: it is moved
 * away first and looked at again; a living one is put back.
 */
function removeIfUnchanged(path: string, seen: string): boolean {
  const aside = `${path}.${process.pid}`;
  try {
    fs.renameSync(path, aside);
  } catch {
    return false;
  }
  const same = read(aside) === seen;
  if (!same && !fs.existsSync(path)) fs.linkSync(aside, path);
  fs.rmSync(aside, { force: true });
  return same;
}

function holderHere(): Holder {
  return { pid: process.pid, host: hostname(), started: startOf(process.pid) };
}

/** Field 22 of Linux' /proc/PID/stat, clock ticks since the machine started; null elsewhere. */
function startOf(pid: number): string | null {
  try {
    const stat = fs.readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? null;
  } catch {
    return null;
  }
}

function read(path: string): string | undefined {
  try {
    return fs.readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

function parse(text: string): Holder | undefined {
  try {
    const holder = JSON.parse(text) as Holder;
    return Number.isInteger(holder.pid) && typeof holder.host === "string" ? holder : undefined;
  } catch {
    return undefined;
  }
}

function inUse(dir: string, seen: string, what: string): GatesieveError {
  const holder = parse(seen);
  const elsewhere = holder && holder.host !== hostname() ? ` on ${holder.host}` : "";
  return new GatesieveError(
    `${what} ${basename(dir)} is in use by process ${holder?.pid ?? "?"}${elsewhere}. ` +
      `Wait for it or stop it${elsewhere ? `; if it is gone, delete ${join(dir, LOCK)}` : ""}.`,
  );
}
