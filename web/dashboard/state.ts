/** What the page knows and what its reader has chosen. The choices stand in the address, so that it can be passed on. */
import { computed, effect, signal } from "@preact/signals";
import type { RecordedEvent, RunSummary } from "../../src/runs/store.ts";
import type { About, RunMessage, SweepsMessage } from "../../src/server/messages.ts";

export type Axis = "step" | "epoch" | "seconds";
export type View = "curves" | "inside" | "settings" | "sweeps";

export const about = signal<About | undefined>(undefined);
/** By id. */
export const runs = signal<ReadonlyMap<string, RunMessage>>(new Map());
export const events = signal<ReadonlyMap<string, readonly RecordedEvent[]>>(new Map());
export const sweeps = signal<SweepsMessage>([]);
/** Undefined: not yet; false: the server is gone. */
export const connected = signal<boolean | undefined>(undefined);

const address = new URLSearchParams(location.hash.slice(1));
/** Ids, in the order they were chosen: a run keeps its colour. */
export const chosen = signal<readonly string[]>(address.get("runs")?.split(",").filter(Boolean) ?? []);
export const view = signal<View>(oneOf(["curves", "inside", "settings", "sweeps"], address.get("view")));
export const axis = signal<Axis>(oneOf(["step", "epoch", "seconds"], address.get("x")));
/** 0: none, up to below 1. */
export const smoothing = signal(Math.min(0.99, Math.max(0, Number(address.get("smooth") ?? 0) || 0)));
export const logLoss = signal(address.get("log") === "1");
export const filter = signal(address.get("filter") ?? "");
export const sort = signal<{ readonly key: string; readonly down: boolean }>({ key: "created", down: true });

effect(() => {
  const now = new URLSearchParams();
  if (chosen.value.length > 0) now.set("runs", chosen.value.join(","));
  if (view.value !== "curves") now.set("view", view.value);
  if (axis.value !== "step") now.set("x", axis.value);
  if (smoothing.value > 0) now.set("smooth", String(smoothing.value));
  if (logLoss.value) now.set("log", "1");
  if (filter.value) now.set("filter", filter.value);
  history.replaceState(null, "", `#${now}`);
});

export const chosenRuns = computed(() =>
  chosen.value.map((id) => runs.value.get(id)?.summary).filter((run): run is RunSummary => run !== undefined),
);

export function toggle(id: string): void {
  chosen.value = chosen.value.includes(id) ? chosen.value.filter((other) => other !== id) : [...chosen.value, id];
}

function oneOf<T extends string>(choices: readonly [T, ...T[]], text: string | null): T {
  return choices.find((choice) => choice === text) ?? choices[0];
}
