/**
 * What a sweep comes to: for each arm its losses, paired with those of the reference, and what it saved.
 *
 * Only complete pairs count: members of the same seed that both finished. An arm of which any member
 * failed is never lossless, however good the rest: leaving failures out would flatter it.
 */
import { policyText } from "./config.ts";
import {
  type Interval,
  interval95,
  isInferior,
  isNonInferior,
  mean,
  median,
  relativeDifferences,
  type Spread,
  spread,
} from "./paired.ts";
import { paretoFront } from "./pareto.ts";
import type { RunSummary } from "./store.ts";
import type { Arm } from "./sweep-arms.ts";

export type Verdict =
  | "reference"
  /** On test: the upper end of the interval is below the margin. */
  | "lossless"
  /** The same on validation, where it may still be luck of the choice. */
  | "within margin"
  /** On either split: the lower end of the interval is above the margin. */
  | "worse"
  /** Neither. */
  | "not shown"
  /** By halving, before its end. */
  | "left out";

/** Means over the seeds of its pairs unless it says otherwise; null where there is nothing to know. Shares are 0 to 1. */
export interface ArmResult {
  readonly arm: string;
  readonly slug: string;
  readonly task: string;
  readonly text: string | null;
  readonly policy: string;
  readonly headPolicy: string;
  /** What sets the arm apart from the base: dotted keys. */
  readonly settings: Readonly<Record<string, unknown>>;
  readonly seeds: readonly number[];
  readonly pairs: number;
  readonly failed: number;
  /** Steps after which halving left it out; null if it did not. */
  readonly leftOutAt: number | null;
  readonly validLoss: number | null;
  /** Null until the test split is looked at. */
  readonly testLoss: number | null;
  /** Per pair, of the results' split. */
  readonly losses: readonly number[];
  /** Paired relative differences of the results' split to the reference: 0.01 is one per cent worse. */
  readonly lossRelative: Interval | null;
  readonly lossRelativeUpper95: number | null;
  /** Mean over the last tenth of the steps. */
  readonly trainLoss: number | null;
  readonly trainLossRelative: Interval | null;
  readonly sparsity: number | null;
  readonly naturalZeros: number | null;
  readonly dropped: number | null;
  readonly fidelity: number | null;
  readonly macsSkippedRecurrent: number | null;
  readonly macsSkippedAll: number | null;
  /** Median, of training alone. */
  readonly stepMs: number | null;
  /** Median over pairs of the ratio of their times per step. */
  readonly secondsRelative: number | null;
  readonly spreads: {
    readonly sparsity: Spread;
    readonly macsSkippedAll: Spread;
    readonly secondsRelative: Spread;
  } | null;
  readonly verdict: Verdict;
  /** On validation the best arm of its policies. */
  readonly bestOfPolicy: boolean;
  /** On the front of loss against what. */
  readonly front: readonly Saving[];
}

export type Saving = keyof NonNullable<ArmResult["spreads"]>;

export interface Results {
  readonly split: "valid" | "test";
  readonly lossUnit: string | null;
  /** Name of the arm all others are paired with. */
  readonly reference: string;
  readonly margin: number;
  readonly seeds: readonly number[];
  readonly engines: readonly string[];
  readonly rows: readonly ArmResult[];
}

export interface MemberFigures {
  readonly summary: RunSummary;
  readonly trainLoss: number | null;
}

export interface ResultsInput {
  readonly arms: readonly Arm[];
  readonly seeds: readonly number[];
  readonly split: "valid" | "test";
  readonly margin: number;
  /** The best of these on validation is the reference. */
  readonly referenceArms: readonly Arm[];
  /** Of a finished member. */
  figures(arm: Arm, seed: number): MemberFigures | undefined;
  failed(arm: Arm, seed: number): boolean;
  leftOutAt(arm: Arm): number | null;
}

export function resultsOf(input: ResultsInput): Results {
  const { arms, seeds, split, margin } = input;
  const reference = chooseReference(input);
  const rows = arms.map((arm) => rowOf(arm, reference, input));
  const summaries = arms.flatMap((arm) => seeds.flatMap((seed) => input.figures(arm, seed)?.summary ?? []));
  const best = bestOfPolicies(rows);
  const front = (saving: Saving) =>
    new Set(
      paretoFront(
        rows.map(({ spreads, lossRelative }) => ({
          x: spreads?.[saving].middle ?? Number.NaN,
          y: lossRelative?.mean ?? Number.NaN,
        })),
        saving === "secondsRelative" ? "lower" : "higher",
      ),
    );
  const fronts = (["sparsity", "macsSkippedAll", "secondsRelative"] as const).map(
    (saving) => [saving, front(saving)] as const,
  );
  return {
    split,
    lossUnit: summaries[0]?.lossUnit ?? null,
    reference: reference.name,
    margin,
    seeds: [...seeds],
    engines: [
      ...new Set(
        summaries.map(({ engine, isa, threads }) => `${engine} ${isa}, ${threads} thread${threads > 1 ? "s" : ""}`),
      ),
    ],
    rows: rows.map((row, index) => ({
      ...row,
      bestOfPolicy: best.has(row),
      front: fronts.flatMap(([saving, members]) => (members.has(index) ? [saving] : [])),
    })),
  };
}

/** Mean of the last tenth of the steps: of step events, each a mean since the one before. */
export function finalTrainLoss(events: readonly { type: string; step: number; loss?: number }[]): number | null {
  const steps = events.filter((event) => event.type === "step");
  const last = steps.at(-1)?.step ?? 0;
  let [sum, count] = [0, 0];
  for (const [index, { step, loss }] of steps.entries()) {
    const since = steps[index - 1]?.step ?? 0;
    if (step <= 0.9 * last) continue;
    sum += (loss as number) * (step - since);
    count += step - since;
  }
  return count > 0 && Number.isFinite(sum) ? sum / count : null;
}

/** "best": of each policies' arms the best on validation. "front": all that no other beats in loss and in one of the savings. */
export const CHOICES = ["best", "front"] as const;

/** Names of the arms that a rule chooses; none of which a member failed. */
export function finalistsOf({ rows }: Results, choice: (typeof CHOICES)[number]): string[] {
  const chosen = ({ front, bestOfPolicy }: ArmResult) => (choice === "front" ? front.length > 0 : bestOfPolicy);
  return rows.filter((row) => row.failed === 0 && chosen(row)).map(({ arm }) => arm);
}

/** By mean validation loss over finished members; arms that failed or were left out come last. */
function chooseReference({ referenceArms, seeds, figures, failed, leftOutAt }: ResultsInput): Arm {
  const rank = (arm: Arm) => {
    const losses = seeds.flatMap((seed) => figures(arm, seed)?.summary.validLoss ?? []);
    const whole = losses.length > 0 && leftOutAt(arm) === null && !seeds.some((seed) => failed(arm, seed));
    return whole ? mean(losses) : Number.POSITIVE_INFINITY;
  };
  return referenceArms.reduce((best, arm) => (rank(arm) < rank(best) ? arm : best));
}

function rowOf(arm: Arm, reference: Arm, input: ResultsInput): ArmResult {
  const { split, margin, figures } = input;
  const field = split === "valid" ? "validLoss" : "testLoss";
  const pairs = input.seeds.flatMap((seed) => {
    const [own, other] = [figures(arm, seed), figures(reference, seed)];
    return own && other && own.summary[field] !== null && other.summary[field] !== null ? [{ seed, own, other }] : [];
  });
  const failed = input.seeds.filter((seed) => input.failed(arm, seed)).length;
  const leftOutAt = input.leftOutAt(arm);
  const average = (of: (figures: MemberFigures) => number | null): number | null => {
    const values = pairs.flatMap(({ own }) => of(own) ?? []);
    return values.length > 0 ? mean(values) : null;
  };
  const relative = (of: (figures: MemberFigures) => number | null): number[] => {
    const known = pairs.filter(({ own, other }) => of(own) !== null && of(other) !== null);
    return relativeDifferences(
      known.map(({ own }) => of(own) as number),
      known.map(({ other }) => of(other) as number),
    );
  };
  const losses = relative(({ summary }) => summary[field]);
  const lossRelative = losses.length > 0 ? interval95(losses) : null;
  const train = relative(({ trainLoss }) => trainLoss);
  const times = relative(({ summary }) => stepMs(summary)).map((difference) => 1 + difference);
  const shares = (key: "sparsity" | "macsSkippedAll") => pairs.flatMap(({ own }) => own.summary[key] ?? []);
  const spreads =
    times.length > 0
      ? {
          sparsity: spread(shares("sparsity")),
          macsSkippedAll: spread(shares("macsSkippedAll")),
          secondsRelative: spread(times),
        }
      : null;
  const { config } = arm;
  return {
    arm: arm.name,
    slug: arm.slug,
    task: config.task.name,
    text: pairs[0]?.own.summary.text ?? null,
    policy: policyText(config),
    headPolicy: config.headPolicy,
    settings: { ...arm.overrides },
    seeds: pairs.map(({ seed }) => seed),
    pairs: pairs.length,
    failed,
    leftOutAt,
    validLoss: average(({ summary }) => summary.validLoss),
    testLoss: split === "test" ? average(({ summary }) => summary.testLoss) : null,
    losses: pairs.map(({ own }) => own.summary[field] as number),
    lossRelative,
    lossRelativeUpper95: lossRelative?.high ?? null,
    trainLoss: average(({ trainLoss }) => trainLoss),
    trainLossRelative: train.length > 0 ? interval95(train) : null,
    sparsity: average(({ summary }) => summary.sparsity),
    naturalZeros: average(({ summary }) => summary.naturalZeros),
    dropped: average(({ summary }) => summary.dropped),
    fidelity: average(({ summary }) => summary.fidelity),
    macsSkippedRecurrent: average(({ summary }) => summary.macsSkippedRecurrent),
    macsSkippedAll: average(({ summary }) => summary.macsSkippedAll),
    stepMs: times.length > 0 ? median(pairs.flatMap(({ own }) => stepMs(own.summary) ?? [])) : null,
    secondsRelative: spreads?.secondsRelative.middle ?? null,
    spreads,
    verdict: verdictOf(),
    bestOfPolicy: false,
    front: [],
  };

  function verdictOf(): Verdict {
    if (arm === reference) return "reference";
    if (leftOutAt !== null) return "left out";
    if (lossRelative && isInferior(lossRelative, margin)) return "worse"; // failures only flatter an arm
    if (!lossRelative || failed > 0 || !isNonInferior(lossRelative, margin)) return "not shown";
    return split === "test" ? "lossless" : "within margin";
  }
}

/** Arms of the same policies are ways to train them: of these the best on validation speaks for the policies. */
function bestOfPolicies(rows: readonly ArmResult[]): Set<ArmResult> {
  const best = new Map<string, ArmResult>();
  for (const row of rows) {
    if (row.validLoss === null || row.failed > 0 || row.leftOutAt !== null) continue;
    const key = JSON.stringify([row.policy, row.headPolicy]);
    const other = best.get(key);
    if (!other || row.validLoss < (other.validLoss as number)) best.set(key, row);
  }
  return new Set(best.values());
}

function stepMs({ seconds, steps }: RunSummary): number | null {
  return seconds === null || steps === 0 ? null : (1000 * seconds) / steps;
}
