/** The page: runs at the left, what is to be seen of the chosen ones at the right. */
import { Curves } from "./curves.tsx";
import { Inside } from "./inside.tsx";
import { RunTable } from "./run-table.tsx";
import { Settings } from "./settings.tsx";
import { about, chosen, connected, runs, sweeps, type View, view } from "./state.ts";
import { Sweeps } from "./sweeps.tsx";

const VIEWS: readonly (readonly [View, string])[] = [
  ["curves", "Curves"],
  ["inside", "Inside"],
  ["settings", "Settings"],
  ["sweeps", "Sweeps"],
];

export function App() {
  return (
    <>
      <header>
        <h1>Gatesieve</h1>
        <span class="faint">
          {about.value ? `${about.value.version} · runs in ${about.value.runsDir}` : ""}
          {connected.value === false ? " · the server does not answer; what is shown may be old" : ""}
        </span>
      </header>
      <main>
        <RunTable />
        <section class="looks">
          <nav>
            {VIEWS.map(([key, title]) => (
              <button
                type="button"
                key={key}
                class={view.value === key ? "on" : ""}
                onClick={() => {
                  view.value = key;
                }}
              >
                {title}
                {key === "sweeps" && sweeps.value.length > 0 ? ` (${sweeps.value.length})` : ""}
              </button>
            ))}
          </nav>
          <Look />
        </section>
      </main>
    </>
  );
}

function Look() {
  if (view.value === "sweeps") return <Sweeps />;
  if (connected.value === undefined) return <p class="empty">…</p>;
  if (runs.value.size === 0)
    return (
      <p class="empty">
        No runs in {about.value?.runsDir ?? "this folder"} yet. Begin one, and it appears here:{" "}
        <code>gatesieve train</code>
      </p>
    );
  if (chosen.value.length === 0) return <p class="empty">Choose runs in the table to see them here.</p>;
  if (view.value === "inside") return <Inside />;
  if (view.value === "settings") return <Settings />;
  return <Curves />;
}
