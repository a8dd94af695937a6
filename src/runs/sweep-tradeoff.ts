/** Sweeps whose test losses are known, as one list: quality against what was saved, by task and policy. */
import { check, UsageError } from "../core/check.ts";
import { writeFileAtomic } from "./files.ts";
import { readJson } from "./store.ts";
import type { Arm } from "./sweep-arms.ts";
import type { Sweep } from "./sweep-grid.ts";
import type { SweepRecord } from "./sweep-store.ts";

/** Shares are 0 to 1; a relative loss of 0.005 is half a per cent worse than the reference. */
export interface TradeoffEntry {
  readonly task: string;
  readonly policy: string;
  readonly pairs: number;
  readonly sparsity: number;
  readonly naturalZeros: number;
  readonly testLoss: number;
  readonly testLossRelative: number;
  /** Null for fewer than two pairs. */
  readonly testLossRelativeUpper95: number | null;
  readonly macsSkippedRecurrent: number;
  readonly macsSkippedAll: number;
  readonly secondsRelative: number;
  readonly headPolicy: string;
  /** What was trained: "lstm 2 x 128". Of other nets than recurrent ones their name in place of the cell's. */
  readonly net: string;
  readonly text: string | null;
  /** Members that failed: an arm with any is not lossless. */
  readonly failed: number;
  readonly verdict: string;
  readonly sweep: string;
  readonly arm: string;
  readonly reference: string;
}

/** The confirmed arms; of a sweep of split test, all. */
export function tradeoffOf({ name, split, arms }: Sweep, { results }: SweepRecord): TradeoffEntry[] {
  const tested = split === "test" ? results?.choose : results?.confirm;
  check(tested, `sweep ${name} has not looked at its test split; confirm it first: gatesieve sweep ${name} --confirm`);
  const { reference, rows } = tested;
  return rows.flatMap((row): TradeoffEntry[] => {
    const { testLoss, lossRelative, sparsity, naturalZeros, secondsRelative } = row;
    const { macsSkippedRecurrent, macsSkippedAll } = row;
    if (testLoss === null || lossRelative === null || sparsity === null || naturalZeros === null) return [];
    if (macsSkippedRecurrent === null || macsSkippedAll === null || secondsRelative === null) return [];
    return [
      {
        task: row.task,
        policy: row.policy,
        pairs: row.pairs,
        sparsity,
        naturalZeros,
        testLoss,
        testLossRelative: lossRelative.mean,
        testLossRelativeUpper95: lossRelative.high,
        macsSkippedRecurrent,
        macsSkippedAll,
        secondsRelative,
        headPolicy: row.headPolicy,
        net: netOf(arms.find((arm) => arm.name === row.arm)!),
        text: row.text,
        failed: row.failed,
        verdict: row.verdict,
        sweep: name,
        arm: row.arm,
        reference,
      },
    ];
  });
}

function netOf({ config: { model } }: Arm): string {
  return `${model.net === "recurrent" ? model.cell : model.net} ${model.numLayers} x ${model.hiddenSize}`;
}

/** Entries of the same sweeps are replaced, all others stay. Returns the number of entries in the file. */
export function writeTradeoff(file: string, entries: readonly TradeoffEntry[]): number {
  const stored = readJson(file) ?? [];
  if (!Array.isArray(stored)) throw new UsageError(`${file} holds no list of results; choose another file with --out.`);
  const sweeps = new Set(entries.map(({ sweep }) => sweep));
  const kept = (stored as TradeoffEntry[]).filter(({ sweep }) => !sweeps.has(sweep));
  const all = [...kept, ...entries].sort(
    (a, b) => a.task.localeCompare(b.task) || a.sweep.localeCompare(b.sweep) || a.sparsity - b.sparsity,
  );
  writeFileAtomic(file, `${JSON.stringify(all, null, 2)}\n`, "the trade-offs");
  return all.length;
}
