/** A sweep's results as tables: what was lost, and what was saved. */
import type { ArmResult, Results } from "../runs/sweep-results.ts";
import { fixed, milliseconds, percent } from "./format.ts";

/** "+0.23 % [-0.41, +0.88]" */
export function relativeLoss({ lossRelative, verdict }: ArmResult): string {
  if (!lossRelative || verdict === "reference") return "";
  const { mean, low, high } = lossRelative;
  return low === null || high === null ? signed(mean, " %") : `${signed(mean, " %")} [${signed(low)}, ${signed(high)}]`;
}

/** "0.5 %" */
export function percentOf(share: number): string {
  return `${Number((100 * share).toPrecision(6))} %`;
}

function signed(share: number, unit = ""): string {
  return `${share >= 0 ? "+" : ""}${(100 * share).toFixed(2)}${unit}`;
}

export function splitWord({ split }: Results): string {
  return split === "test" ? "test" : "validation";
}

/** Head and rows of cells. Pairs have a column where their number is not the same for all. */
export function qualityRows(results: Results): string[][] {
  const { rows } = results;
  const several = rows.some(({ bestOfPolicy, verdict }) => !bestOfPolicy && verdict !== "reference");
  const uneven = new Set(rows.map(({ pairs }) => pairs)).size > 1;
  return [
    ["arm", ...(uneven ? ["pairs"] : []), `${results.split} loss`, "to reference [95 %]", "train loss", "verdict"],
    ...rows.map((row) => [
      row.arm + (several && row.bestOfPolicy ? " *" : ""),
      ...(uneven ? [String(row.pairs)] : []),
      fixed(results.split === "test" ? row.testLoss : row.validLoss, 4),
      relativeLoss(row),
      fixed(row.trainLoss, 4),
      verdict(row),
    ]),
  ];
}

export function savingRows({ rows }: Results): string[][] {
  return [
    ["arm", "zeros", "= added", "+ natural", "MACs rec.", "MACs all", "per step", "time"],
    ...rows
      .filter(({ pairs }) => pairs > 0)
      .map((row) => [
        row.arm,
        percent(row.sparsity),
        percent(row.dropped),
        percent(row.naturalZeros),
        percent(row.macsSkippedRecurrent || null),
        percent(row.macsSkippedAll),
        milliseconds(row.stepMs),
        percent(row.secondsRelative),
      ]),
  ];
}

function verdict({ verdict: word, failed, leftOutAt }: ArmResult): string {
  if (failed > 0) return `${word}, ${failed} failed`;
  return leftOutAt === null ? word : `left out at ${leftOutAt}`;
}

/** Sentences that say how to read them. */
export function readingNotes(results: Results, processes: number): string[] {
  const { split, margin, reference, rows, seeds } = results;
  const limit = percentOf(margin);
  const wide = rows.some(
    ({ verdict: word, lossRelative }) => word === "not shown" && (lossRelative?.mean ?? 1) < margin,
  );
  return [
    `Losses are in ${results.lossUnit ?? "the task's unit"}. Every arm is paired with "${reference}" seed by seed (${seeds.length === 1 ? "one seed" : `${seeds.length} seeds`}): the same seed is the same batches and, for the same net, the same first weights.`,
    "MACs: the share that zeros make redundant, of the recurrent layers' and of all training's. Time: of the reference's per step, median over pairs.",
    split === "test"
      ? `"lossless": the upper end of the 95 % interval of the paired relative difference in test loss is below +${limit}; "worse": its lower end is above. "not shown" says neither that it is worse nor that it is not.`
      : `"within margin": the upper end of the interval is below +${limit} on validation, where arms are chosen; the best of several may owe it to luck; "worse": its lower end is above. Test losses are shown once, of finalists on fresh seeds.`,
    rows.some(({ bestOfPolicy, verdict: word }) => !bestOfPolicy && word !== "reference")
      ? "* the best arm of its policy on validation."
      : "",
    wide
      ? `With ${seeds.length} seed${seeds.length === 1 ? "" : "s"} an interval may be too wide to show anything: more seeds narrow it.`
      : "",
    rows.some(({ failed }) => failed > 0)
      ? "An arm of which a member failed is never lossless; its figures are those of the other seeds."
      : "",
    processes > 1
      ? `${processes} trainings ran at a time and slowed one another down: time ratios are those of such company.`
      : "",
    results.engines.length > 1
      ? `Engines differ (${results.engines.join("; ")}): times compare them, not the arms alone.`
      : "",
  ].filter(Boolean);
}
