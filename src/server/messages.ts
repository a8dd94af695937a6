/** What the dashboard's server and its page tell one another. */
import type { RunConfig } from "../runs/config.ts";
import type { RecordedEvent, RunSummary } from "../runs/store.ts";
import type { SweepSummary } from "./sweep-list.ts";

/** GET api/about */
export interface About {
  readonly version: string;
  readonly runsDir: string;
  readonly sweepsDir: string;
}

/** GET api/runs: one of them; also what the stream `api/live` sends as event "run" when it changes. */
export interface RunMessage {
  readonly summary: RunSummary;
  readonly config: RunConfig;
}

/** Event "gone" of `api/live`. */
export interface GoneMessage {
  readonly id: string;
}

/** GET api/runs/ID/events?from=N: all but the first N. */
export interface EventsMessage {
  /** What to ask for next. */
  readonly next: number;
  readonly events: readonly RecordedEvent[];
}

/** GET api/sweeps */
export type SweepsMessage = readonly SweepSummary[];
