/** Settings of the chosen runs beside one another: first those that differ. */
import { signal } from "@preact/signals";
import { colourOf } from "./colours.ts";
import { flat } from "./format.ts";
import { chosen, chosenRuns, runs } from "./state.ts";

const all = signal(false);

export function Settings() {
  const columns = chosenRuns.value.map(({ id }) => flat(runs.value.get(id)?.config ?? {}));
  const keys = [...new Set(columns.flatMap((column) => [...column.keys()]))];
  const differ = keys.filter((key) => new Set(columns.map((column) => column.get(key))).size > 1);
  const rows = all.value || columns.length < 2 ? keys : differ;
  return (
    <>
      <div class="bar">
        {columns.length > 1 && (
          <label>
            <input
              type="checkbox"
              checked={all.value}
              onChange={() => {
                all.value = !all.value;
              }}
            />
            also those that are the same
          </label>
        )}
        <span class="faint">
          {columns.length > 1 ? `${differ.length} of ${keys.length} settings differ` : `${keys.length} settings`}
        </span>
      </div>
      <div class="scroll">
        <table class="settings">
          <thead>
            <tr>
              <th />
              {chosenRuns.value.map(({ id }) => (
                <th key={id}>
                  <span class="dot" style={{ background: colourOf(chosen.value.indexOf(id)) }} /> {id}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.map((key) => (
              <tr key={key} class={differ.includes(key) ? "differs" : ""}>
                <th scope="row">{key}</th>
                {columns.map((column, index) => (
                  <td key={chosenRuns.value[index]?.id}>{column.get(key) ?? "–"}</td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </>
  );
}
