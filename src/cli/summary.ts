/** What a finished training comes to: short tables for a terminal. */
import type { BytesByPurpose } from "../core/arena.ts";
import { formatBytes } from "../core/check.ts";
import { intermediateBytes } from "../runs/memory.ts";
import type { ProductMacs } from "../sparse/macs.ts";
import type { Sparsity } from "../sparse/observation.ts";
import type { EndEvent } from "../train/events.ts";
import { duration, fixed, metric, milliseconds, percent, words } from "./format.ts";
import { paint, table } from "./print.ts";

export function summaryTables(end: EndEvent, { lossUnit, engine, memory }: RunFacts): string {
  const parts = [
    scoreTable(end, lossUnit),
    sparsityTable(end),
    macTable(end.products, engine),
    timeTable(end),
    memory ? memoryTable(memory, engine) : "",
  ];
  return parts.filter(Boolean).join("\n\n");
}

export interface RunFacts {
  readonly lossUnit: string;
  readonly engine: string;
  readonly memory: BytesByPurpose | null;
}

/** By purpose; what is less than `least` of all goes together. */
export function memoryTable(bytes: BytesByPurpose, engine: string, least = 0.01): string {
  const entries = Object.entries(bytes);
  const total = entries.reduce((sum, [, part]) => sum + part, 0);
  const row = (name: string, part: number) => [name, formatBytes(part), percent(part / total)];
  const other = entries.filter(([, part]) => part < least * total).reduce((sum, [, part]) => sum + part, 0);
  return table([
    heads([`memory, engine ${engine}`, "planned", "share"]),
    ...entries.filter(([, part]) => part >= least * total).map(([purpose, part]) => row(words(purpose), part)),
    ...(other > 0 ? [row("other", other)] : []),
    row("in all", total),
    row("of it kept from forward to backward", intermediateBytes(bytes)),
  ]);
}

/** Loss and scores by split. */
export function scoreTable({ validLoss, testLoss, validScores, testScores }: EndEvent, lossUnit: string): string {
  if (validLoss === null) return "";
  const names = Object.keys(validScores);
  const row = (split: string, loss: number | null, scores: Readonly<Record<string, number>>) => [
    split,
    fixed(loss, 4),
    ...names.map((name) => score(name, scores[name])),
  ];
  return table([
    heads(["scores", `loss (${lossUnit})`, ...names.map(words)]),
    row("validation", validLoss, validScores),
    ...(testLoss === null ? [] : [row("test", testLoss, testScores)]),
  ]);
}

export function score(name: string, value: number | undefined): string {
  return name === "accuracy" || name === "exactMatch" ? percent(value) : fixed(value, 3);
}

/** Per layer and gate, averaged over all steps. */
function sparsityTable({ sites, sparsity, fidelity }: EndEvent): string {
  const row = (layer: string, gate: string, shares: Sparsity) => [
    layer,
    gate,
    percent(shares.sparsity),
    percent(shares.dropped),
    percent(shares.naturalZeros),
    percent(shares.energy, 2),
  ];
  const rows = sites.flatMap(({ site, groups }) =>
    groups.map((group, index) => row(index === 0 ? site : "", group.group, group)),
  );
  const head = heads(["sparsity of gate gradients", "gate", "zeros", "= added", "+ natural", "energy kept"]);
  const shares = table([head, ...rows, row("all gates", "", sparsity)], [0, 1]);
  if (fidelity === null) return shares;
  return `${shares}\n${paint.dim(`at the end, cosine of the gradient to a fully dense one of the same batch: ${fixed(fidelity, 4)}`)}`;
}

function macTable(products: readonly ProductMacs[], engine: string): string {
  const row = (label: string, some: readonly ProductMacs[]) => {
    const sum = (what: "dense" | "skipped" | "executed") => some.reduce((total, macs) => total + macs[what], 0);
    return [label, metric(sum("dense")), percent(sum("skipped") / sum("dense")), metric(sum("executed"))];
  };
  return table([
    heads(["multiply-accumulates (MACs)", "dense", "skipped", `executed by ${engine}`]),
    ...(products.some(({ recurrent }) => recurrent)
      ? [
          row(
            "recurrent products, as the paper counts",
            products.filter(({ recurrent }) => recurrent),
          ),
        ]
      : []),
    row("all training", products),
  ]);
}

function timeTable({ seconds, timing, step }: EndEvent): string {
  const row = (label: string, ms: number) => [
    label,
    duration(ms / 1000),
    milliseconds(ms / step),
    percent(ms / 1000 / seconds, 0),
  ];
  return table([
    heads([`time of ${step} steps`, "total", "per step", "share"]),
    row("forward", timing.forwardMs),
    row("backward", timing.backwardMs),
    row("update", timing.updateMs),
    row("training, without validation", seconds * 1000),
  ]);
}

export function heads(cells: readonly string[]): string[] {
  return cells.map((cell) => paint.dim(cell));
}
