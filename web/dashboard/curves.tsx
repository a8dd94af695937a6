/** The chosen runs' curves over one another. */
import { Chart } from "./chart.tsx";
import { colourOf } from "./colours.ts";
import { METRICS, pointsOf } from "./series.ts";
import { type Axis, axis, chosen, chosenRuns, events, logLoss, smoothing } from "./state.ts";

const AXES: readonly (readonly [Axis, string])[] = [
  ["step", "steps"],
  ["epoch", "epochs"],
  ["seconds", "seconds of training"],
];

export function Curves() {
  const title = AXES.find(([key]) => key === axis.value)?.[1] ?? "";
  return (
    <>
      <div class="bar">
        <label>
          x{" "}
          <select
            value={axis.value}
            onChange={({ currentTarget }) => {
              axis.value = currentTarget.value as Axis;
            }}
          >
            {AXES.map(([key, name]) => (
              <option key={key} value={key}>
                {name}
              </option>
            ))}
          </select>
        </label>
        <label>
          smoothing{" "}
          <input
            type="range"
            min="0"
            max="0.99"
            step="0.01"
            value={smoothing.value}
            onInput={({ currentTarget }) => {
              smoothing.value = Number(currentTarget.value);
            }}
          />{" "}
          {smoothing.value.toFixed(2)}
        </label>
        <label>
          <input
            type="checkbox"
            checked={logLoss.value}
            onChange={() => {
              logLoss.value = !logLoss.value;
            }}
          />{" "}
          logarithmic losses
        </label>
        <span class="faint">drag to zoom, double click for all</span>
      </div>
      <div class="charts">
        {METRICS.map((metric) => (
          <Chart
            key={metric.key}
            name={metric.key}
            title={lossTitle(metric.title, metric.log ?? false)}
            x={title}
            log={(metric.log ?? false) && logLoss.value}
            share={metric.share ?? false}
            smoothing={metric.of === "step" ? smoothing.value : 0}
            curves={chosenRuns.value.map(({ id }) => ({
              name: id,
              colour: colourOf(chosen.value.indexOf(id)),
              points: pointsOf(events.value.get(id) ?? [], metric, axis.value),
            }))}
          />
        ))}
      </div>
    </>
  );
}

/** Losses have a unit if all chosen runs agree on it. */
function lossTitle(title: string, isLoss: boolean): string {
  const units = new Set(chosenRuns.value.map(({ lossUnit }) => lossUnit));
  return isLoss && title.endsWith("loss") && units.size === 1 ? `${title}, ${[...units][0]}` : title;
}
