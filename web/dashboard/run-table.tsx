/** All runs: filter, sort, choose; the table as CSV. */
import { computed } from "@preact/signals";
import { duration, fixed, percent } from "../../src/cli/format.ts";
import { toCsv } from "../../src/formats/csv-write.ts";
import type { RunMessage } from "../../src/server/messages.ts";
import { colourOf } from "./colours.ts";
import { flat, save } from "./format.ts";
import { chosen, filter, runs, sort, toggle } from "./state.ts";

interface Column {
  readonly key: string;
  /** Numbers stand at the right, also where none is known. */
  readonly isNumber?: true;
  readonly title: string;
  readonly hint: string;
  readonly value: (run: RunMessage) => string | number | null;
  readonly text?: (run: RunMessage) => string;
}

const COLUMNS: readonly Column[] = [
  { key: "id", title: "run", hint: "its folder", value: ({ summary }) => summary.id },
  {
    key: "status",
    title: "status",
    hint: "stopped: may be resumed",
    value: ({ summary }) => summary.status,
    text: ({ summary: { status, steps, maxSteps } }) =>
      status === "finished" ? "finished" : `${status} ${percent(maxSteps ? steps / maxSteps : null, 0)}`,
  },
  { key: "task", title: "task", hint: "", value: ({ summary }) => summary.task },
  { key: "text", title: "data", hint: "", value: ({ summary }) => summary.text },
  {
    key: "net",
    title: "net",
    hint: "cell or net, layers x units",
    value: ({ config: { model } }) =>
      `${model.bidirectional ? "bi-" : ""}${(model.net ?? "recurrent") === "recurrent" ? model.cell : model.net} ${model.numLayers} x ${model.hiddenSize}`,
  },
  { key: "policy", title: "policy", hint: "what is dropped", value: ({ summary }) => summary.policy },
  { key: "seed", isNumber: true, title: "seed", hint: "", value: ({ summary }) => summary.seed },
  {
    key: "valid",
    isNumber: true,
    title: "valid",
    hint: "the best validation loss",
    value: ({ summary }) => summary.validLoss,
    text: ({ summary }) => fixed(summary.validLoss, 4),
  },
  {
    key: "test",
    isNumber: true,
    title: "test",
    hint: "test loss of the best weights, after the end",
    value: ({ summary }) => summary.testLoss,
    text: ({ summary }) => fixed(summary.testLoss, 4),
  },
  {
    key: "zeros",
    isNumber: true,
    title: "zeros",
    hint: "of gate gradients, mean over steps",
    value: ({ summary }) => summary.sparsity,
    text: ({ summary }) => percent(summary.sparsity),
  },
  {
    key: "dropped",
    isNumber: true,
    title: "added",
    hint: "of these, by the rule",
    value: ({ summary }) => summary.dropped,
    text: ({ summary }) => percent(summary.dropped),
  },
  {
    key: "macs",
    isNumber: true,
    title: "MACs −",
    hint: "multiply-accumulates of all training that zeros made redundant",
    value: ({ summary }) => summary.macsSkippedAll,
    text: ({ summary }) => percent(summary.macsSkippedAll),
  },
  {
    key: "seconds",
    isNumber: true,
    title: "time",
    hint: "of training steps alone",
    value: ({ summary }) => summary.seconds,
    text: ({ summary }) => duration(summary.seconds),
  },
  {
    key: "created",
    title: "begun",
    hint: "",
    value: ({ summary }) => summary.created,
    text: ({ summary }) => new Date(summary.created).toLocaleString(),
  },
];

/** Every word of the filter must be somewhere in the run; "key=value" compares a setting. */
const shown = computed(() => {
  const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
  const column = COLUMNS.find(({ key }) => key === sort.value.key) as Column;
  const way = sort.value.down ? -1 : 1;
  return [...runs.value.values()]
    .filter((run) => {
      const text =
        `${COLUMNS.map(({ value }) => value(run)).join(" ")} ${[...flat(run.config)].map((pair) => pair.join("=")).join(" ")}`.toLowerCase();
      return words.every((word) => text.includes(word));
    })
    .sort((a, b) => way * compare(column.value(a), column.value(b)));
});

export function RunTable() {
  const all = runs.value.size;
  return (
    <section class="runs">
      <div class="bar">
        <input
          type="search"
          placeholder="filter: words, or key=value of a setting"
          aria-label="filter runs"
          value={filter.value}
          onInput={({ currentTarget }) => {
            filter.value = currentTarget.value;
          }}
        />
        <span class="faint">{shown.value.length === all ? `${all} runs` : `${shown.value.length} of ${all}`}</span>
        <button type="button" disabled={chosen.value.length === 0} onClick={() => (chosen.value = [])}>
          choose none
        </button>
        <button type="button" disabled={all === 0} onClick={() => save("runs.csv", new Blob([tableCsv()]))}>
          CSV
        </button>
      </div>
      <div class="scroll">
        <table>
          <thead>
            <tr>
              <th />
              {COLUMNS.map(({ key, isNumber, title, hint }) => (
                <th key={key} class={isNumber ? "number" : ""} title={hint} aria-sort={ariaSort(key)}>
                  <button type="button" onClick={() => sortBy(key)}>
                    {title}
                    {sort.value.key === key ? (sort.value.down ? " ↓" : " ↑") : ""}
                  </button>
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {shown.value.map((run) => (
              <Row key={run.summary.id} run={run} />
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

function Row({ run }: { readonly run: RunMessage }) {
  const { id, status, error } = run.summary;
  const index = chosen.value.indexOf(id);
  return (
    <tr class={`${status}${index >= 0 ? " chosen" : ""}`} onClick={() => toggle(id)} title={error ?? ""}>
      <td>
        <input
          type="checkbox"
          aria-label={`choose ${id}`}
          checked={index >= 0}
          style={index >= 0 ? { accentColor: colourOf(index) } : {}}
          onClick={(event) => event.stopPropagation()}
          onChange={() => toggle(id)}
        />
      </td>
      {COLUMNS.map(({ key, isNumber, value, text }) => (
        <td key={key} class={isNumber ? "number" : key} title={key === "id" ? (error ?? id) : undefined}>
          {text ? text(run) : (value(run) ?? "–")}
        </td>
      ))}
    </tr>
  );
}

function sortBy(key: string): void {
  sort.value = { key, down: sort.value.key === key ? !sort.value.down : false };
}

function ariaSort(key: string): "ascending" | "descending" | "none" {
  return sort.value.key === key ? (sort.value.down ? "descending" : "ascending") : "none";
}

function tableCsv(): string {
  return toCsv(shown.value.map((run) => new Map(COLUMNS.map(({ key, value }) => [key, value(run)]))));
}

/** What is not known comes last, whichever way. */
function compare(a: string | number | null, b: string | number | null): number {
  if (a === b) return 0;
  if (a === null || b === null) return (a === null ? 1 : -1) * (sort.value.down ? -1 : 1);
  return a < b ? -1 : 1;
}
