/** Asks the server and keeps the page's state as it is there. */
import { effect } from "@preact/signals";
import type { EventsMessage, GoneMessage, RunMessage } from "../../src/server/messages.ts";
import type { TelemetryEvent } from "../../src/train/events.ts";
import { about, chosen, connected, events, runs, sweeps } from "./state.ts";

const SWEEPS_EVERY_MS = 5000;
/** Runs whose newest events are being fetched, and those that changed meanwhile. */
const busy = new Set<string>();
const again = new Set<string>();

export function listen(): void {
  void get<typeof about.value>("api/about").then((answer) => {
    about.value = answer;
  });
  const live = new EventSource("api/live");
  // Also after the server was away: whatever changed in between is in the list.
  live.addEventListener("hello", () => void refresh());
  live.addEventListener("run", ({ data }) => put([JSON.parse(data) as RunMessage]));
  live.addEventListener("gone", ({ data }) => {
    const { id } = JSON.parse(data) as GoneMessage;
    runs.value = new Map([...runs.value].filter(([other]) => other !== id));
    chosen.value = chosen.value.filter((other) => other !== id);
  });
  live.onerror = () => {
    connected.value = false;
  };
  effect(() => {
    for (const id of chosen.value) if (runs.value.has(id) && !events.peek().has(id)) void follow(id);
  });
  const askForSweeps = () =>
    void get<typeof sweeps.value>("api/sweeps")
      .then((answer) => {
        sweeps.value = answer;
      })
      .catch(() => {});
  askForSweeps();
  setInterval(askForSweeps, SWEEPS_EVERY_MS);
}

export function telemetryOf(id: string): Promise<readonly TelemetryEvent[]> {
  return get(`api/runs/${encodeURIComponent(id)}/telemetry`);
}

async function refresh(): Promise<void> {
  const all = await get<RunMessage[]>("api/runs");
  runs.value = new Map();
  put(all);
  chosen.value = chosen.value.filter((id) => runs.value.has(id));
  // A page that is opened without a choice shows the newest run: the server has it first.
  const newest = all[0]?.summary.id;
  if (connected.value === undefined && !location.hash.includes("=") && newest) chosen.value = [newest];
  connected.value = true;
}

function put(messages: readonly RunMessage[]): void {
  runs.value = new Map([...runs.value, ...messages.map((run) => [run.summary.id, run] as const)]);
  for (const { summary } of messages) if (events.peek().has(summary.id)) void follow(summary.id);
}

/** Fetches the events of a run that are not here yet. */
async function follow(id: string): Promise<void> {
  if (busy.has(id)) {
    again.add(id);
    return;
  }
  busy.add(id);
  try {
    const known = events.value.get(id) ?? [];
    const answer = await get<EventsMessage>(`api/runs/${encodeURIComponent(id)}/events?from=${known.length}`);
    // A run that was begun anew under its name has fewer events than we know.
    const all = answer.next < known.length ? [] : [...known, ...answer.events];
    events.value = new Map(events.value).set(id, all);
    if (answer.next < known.length) again.add(id);
  } finally {
    busy.delete(id);
  }
  if (again.delete(id)) await follow(id);
}

async function get<T>(path: string): Promise<T> {
  const answer = await fetch(path);
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return (await answer.json()) as T;
}
