/** The sweeps of a folder, for the dashboard: how far they are and where their pages lie. */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { isLocked } from "../runs/lock.ts";
import { readJson } from "../runs/store.ts";
import { GRID, PAGE, RECORD, type SweepRecord } from "../runs/sweep-store.ts";

export interface SweepSummary {
  readonly name: string;
  readonly created: string;
  readonly running: boolean;
  readonly members: number;
  readonly finished: number;
  readonly failed: number;
  /** Its report.html is there. */
  readonly page: boolean;
}

/** Newest first; folders that are no sweeps are left out. */
export function listSweepSummaries(sweepsDir: string): SweepSummary[] {
  if (!existsSync(sweepsDir)) return [];
  return readdirSync(sweepsDir, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && existsSync(join(sweepsDir, entry.name, GRID)))
    .map(({ name }) => summaryOf(join(sweepsDir, name), name))
    .sort((a, b) => (a.created < b.created ? 1 : -1));
}

function summaryOf(dir: string, name: string): SweepSummary {
  let record: Partial<SweepRecord> | undefined;
  try {
    record = readJson(join(dir, RECORD)) as Partial<SweepRecord> | undefined;
  } catch {
    // its process was killed while it wrote: as if it had not begun
  }
  const members = record?.members ?? [];
  return {
    name,
    created: record?.created ?? "",
    running: isLocked(dir),
    members: members.length,
    finished: members.filter(({ status }) => status === "finished").length,
    failed: members.filter(({ status }) => status === "failed").length,
    page: existsSync(join(dir, PAGE)),
  };
}
