/** What lies in a folder of runs, read again only where files changed: the dashboard asks every second. */
import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import type { RunConfig } from "../runs/config.ts";
import { LOCK } from "../runs/lock.ts";
import {
  checkRunsDir,
  EVENTS,
  INFO,
  type RecordedEvent,
  type RunSummary,
  readConfig,
  readEvents,
  readRun,
  readTelemetry,
  SUMMARY,
  TELEMETRY,
} from "../runs/store.ts";
import type { TelemetryEvent } from "../train/events.ts";

export interface IndexedRun {
  readonly summary: RunSummary;
  readonly config: RunConfig;
  /** Changes whenever a file of the run does. */
  readonly stamp: string;
}

export class RunIndex {
  readonly runsDir: string;
  /** By id of the run. */
  #runs = new Map<string, IndexedRun>();
  /** By folder: the stamp that was read last, also of what could not be understood. */
  readonly #stamps = new Map<string, { stamp: string; run: IndexedRun | undefined }>();
  readonly #events = new Map<string, { stamp: string; events: readonly RecordedEvent[] }>();

  /** Throws a UsageError if `runsDir` is a file. It need not exist yet. */
  constructor(runsDir: string) {
    checkRunsDir(runsDir);
    this.runsDir = runsDir;
  }

  /** Looks at the folder again; returns the runs that are new or changed and the ids of those that are gone. */
  refresh(): { changed: IndexedRun[]; gone: string[] } {
    const before = this.#runs;
    this.#runs = new Map();
    const folders = existsSync(this.runsDir) ? readdirSync(this.runsDir, { withFileTypes: true }) : [];
    for (const { name } of folders) {
      const dir = join(this.runsDir, name);
      if (!name.startsWith(".") && existsSync(join(dir, INFO))) this.#read(dir);
    }
    for (const dir of this.#stamps.keys()) if (!existsSync(dir)) this.#stamps.delete(dir);
    const gone = [...before.keys()].filter((id) => !this.#runs.has(id));
    for (const id of gone) this.#events.delete(id);
    return { changed: [...this.#runs.values()].filter((run) => before.get(run.summary.id) !== run), gone };
  }

  #read(dir: string): void {
    const stamp = stampOf(dir);
    let entry = this.#stamps.get(dir);
    if (entry?.stamp !== stamp) {
      let run: IndexedRun | undefined;
      try {
        run = { summary: readRun(dir), config: readConfig(dir), stamp };
      } catch {
        // no run, or one whose files are damaged: `gatesieve runs` says which and why
      }
      entry = { stamp, run };
      this.#stamps.set(dir, entry);
    }
    if (entry.run) this.#runs.set(entry.run.summary.id, entry.run);
  }

  /** Newest first. */
  all(): IndexedRun[] {
    return [...this.#runs.values()].sort((a, b) => (a.summary.created < b.summary.created ? 1 : -1));
  }

  get(id: string): IndexedRun | undefined {
    return this.#runs.get(id);
  }

  events({ summary, stamp }: IndexedRun): readonly RecordedEvent[] {
    const known = this.#events.get(summary.id);
    if (known?.stamp === stamp) return known.events;
    const events = readEvents(summary.dir);
    this.#events.set(summary.id, { stamp, events });
    return events;
  }

  telemetry({ summary }: IndexedRun): TelemetryEvent[] {
    return readTelemetry(summary.dir);
  }
}

/** Sizes and times of the files that a run's figures come from; a lock that comes or goes changes its status. */
function stampOf(dir: string): string {
  return [EVENTS, SUMMARY, TELEMETRY, LOCK]
    .map((name) => {
      const stat = statSync(join(dir, name), { throwIfNoEntry: false });
      return stat ? `${stat.size}:${stat.mtimeMs}` : "-";
    })
    .join("|");
}
