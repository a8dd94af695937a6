/** One run from inside, by its telemetry: zeros by gate over the steps, sizes of gradients with the threshold on them. */
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { TelemetryEvent } from "../../src/train/events.ts";
import { Chart } from "./chart.tsx";
import { colourOf } from "./colours.ts";
import { Heat } from "./heat.tsx";
import { telemetryOf } from "./server.ts";
import { chosenRuns } from "./state.ts";

const which = signal("");
const samples = signal<{ readonly id: string; readonly all: readonly TelemetryEvent[] } | undefined>(undefined);

export function Inside() {
  const ids = chosenRuns.value.map(({ id }) => id);
  const id = ids.includes(which.value) ? which.value : (ids[0] as string);
  const steps = chosenRuns.value.find((run) => run.id === id)?.steps;
  // `steps`: again as a run goes on.
  useEffect(() => {
    void telemetryOf(id).then((all) => {
      samples.value = { id, all };
    });
  }, [id, steps]);
  const all = samples.value?.id === id ? samples.value.all : undefined;
  return (
    <>
      <div class="bar">
        <label>
          run{" "}
          <select
            value={id}
            onChange={({ currentTarget }) => {
              which.value = currentTarget.value;
            }}
          >
            {ids.map((each) => (
              <option key={each} value={each}>
                {each}
              </option>
            ))}
          </select>
        </label>
        <span class="faint">
          {all ? `${all.length} looks at a step. ` : ""}
          Sizes are abs(g) before the rule, the stronger the colour, the more gradients lie there; a line is the rule's
          threshold.
        </span>
      </div>
      {all === undefined ? (
        <p class="empty">…</p>
      ) : all.length === 0 ? (
        <p class="empty">
          This run has no telemetry. Train with <code>train.telemetryEverySteps=50</code>.
        </p>
      ) : (
        <Looks all={all} />
      )}
    </>
  );
}

function Looks({ all }: { readonly all: readonly TelemetryEvent[] }) {
  const last = all.at(-1) as TelemetryEvent;
  const fidelity = all.filter(({ fidelity: probed }) => probed !== null);
  return (
    <div class="charts">
      {last.sites.map(({ site, groups }, at) => (
        <Chart
          key={`zeros ${site}`}
          name={`zeros-${site}`}
          title={`${site}: zeros by gate`}
          x="steps"
          log={false}
          share
          smoothing={0}
          curves={groups.map(({ group }, index) => ({
            name: group,
            colour: colourOf(index),
            points: {
              x: all.map(({ step }) => step),
              y: all.map(({ sites }) => sites[at]?.groups[index]?.sparsity ?? Number.NaN),
            },
          }))}
        />
      ))}
      {last.sites.flatMap(({ site, groups }, at) =>
        groups.map(({ group }, index) => (
          <Heat
            key={`sizes ${site} ${group}`}
            title={`${site}, ${group}: sizes of gradients over the steps`}
            columns={all.flatMap(({ step, sites }) => {
              const look = sites[at]?.groups[index];
              return look ? [{ step, magnitudes: look.magnitudes, tau: look.tau }] : [];
            })}
          />
        )),
      )}
      {fidelity.length > 0 && (
        <Chart
          name="fidelity"
          title="Cosine of the gradient to a dense backward of the same batch"
          x="steps"
          log={false}
          share={false}
          smoothing={0}
          curves={[
            {
              name: "all",
              colour: colourOf(0),
              points: {
                x: fidelity.map(({ step }) => step),
                y: fidelity.map(({ fidelity: probed }) => probed?.cosine ?? Number.NaN),
              },
            },
          ]}
        />
      )}
    </div>
  );
}
