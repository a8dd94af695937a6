/**
 * A sweep: members trained in processes of their own, several at a time; what is done stays done after
 * any stop. Everything is decided from what lies on the disk, so that a second call goes on where the
 * first one ended, however it ended.
 *
 *   choose    all arms on the given seeds; judged on validation; halving may leave arms out on the way
 *   confirm   finalists and reference on fresh seeds; only now test losses are shown
 */
import { join } from "node:path";
import { check } from "../core/check.ts";
import { releaseLock, takeLock } from "./lock.ts";
import { mean } from "./paired.ts";
import { type RunSummary, readEvents, readJson, SUMMARY } from "./store.ts";
import { type Arm, type Member, membersOf } from "./sweep-arms.ts";
import type { Sweep } from "./sweep-grid.ts";
import { survivors } from "./sweep-halving.ts";
import { type MemberMessage, type MemberProcess, startMember } from "./sweep-member.ts";
import { finalistsOf, finalTrainLoss, type MemberFigures, type Results, resultsOf } from "./sweep-results.ts";
import {
  bestLossUpTo,
  finalArms,
  type MemberRecord,
  memberSummary,
  readRecord,
  runDir,
  type SweepRecord,
  writeRecord,
} from "./sweep-store.ts";
import { type DoneWork, estimateSeconds, type Work } from "./sweep-time.ts";

export type SweepEvent =
  | { readonly type: "note"; readonly text: string }
  | { readonly type: "begin"; readonly member: Member; readonly from: number; readonly until: number | undefined }
  | { readonly type: "message"; readonly member: Member; readonly message: MemberMessage }
  | { readonly type: "end"; readonly record: MemberRecord; readonly summary: RunSummary | undefined }
  /** Halving, after all reached a budget. */
  | {
      readonly type: "halved";
      readonly steps: number;
      readonly kept: readonly string[];
      readonly leftOut: readonly string[];
    }
  | {
      readonly type: "finalists";
      readonly reference: string;
      readonly finalists: readonly string[];
      readonly seeds: readonly number[];
    };

export interface SweepOptions {
  /** This program: members are its processes. */
  readonly command: readonly string[];
  readonly processes: number;
  /** Goes on to the fresh seeds. */
  readonly confirm: boolean;
  /** Tries failed members again, from their last checkpoints. */
  readonly retry: boolean;
  readonly signal?: AbortSignal;
  readonly listen?: (event: SweepEvent) => void;
}

type Phase = MemberRecord["phase"];

/** What is known of a sweep on the disk, and what can be derived from it. */
export class SweepState {
  readonly dir: string;
  readonly sweep: Sweep;
  readonly record: SweepRecord;
  readonly #errors = new Map<string, string>();
  readonly #wallSeconds = new Map<string, number>();
  readonly #running = new Set<string>();
  readonly #finished = new Map<string, MemberFigures>(); // never changes again
  /** Left out by halving, after so many steps. */
  readonly leftOut = new Map<Arm, number>();

  constructor(dir: string, sweep: Sweep) {
    this.dir = dir;
    this.sweep = sweep;
    this.record = readRecord(dir, sweep);
    for (const { id, error, wallSeconds } of this.record.members) {
      if (error !== null) this.#errors.set(id, error);
      this.#wallSeconds.set(id, wallSeconds);
    }
    this.replayHalving();
  }

  /** Members of the choosing phase, then the finalists' on fresh seeds once they are chosen. */
  get members(): readonly { readonly member: Member; readonly phase: Phase }[] {
    const { arms, seeds } = this.sweep;
    const choose = membersOf(arms, seeds).map((member) => ({ member, phase: "choose" as const }));
    const confirm = this.confirmMembers().map((member) => ({ member, phase: "confirm" as const }));
    return [...choose, ...confirm];
  }

  confirmMembers(): Member[] {
    const { confirmation } = this.record;
    if (!confirmation) return [];
    const names = finalArms(confirmation);
    return membersOf(
      this.sweep.arms.filter(({ name }) => names.includes(name)),
      confirmation.seeds,
    );
  }

  state(member: Member, phase: Phase): MemberRecord {
    const { id, arm, seed } = member;
    const known = { id, arm: arm.name, seed, phase, wallSeconds: this.#wallSeconds.get(id) ?? 0 };
    const finished = this.#finished.get(id)?.summary;
    const summary = finished ?? memberSummary(this.dir, member);
    const error = this.#errors.get(id) ?? null;
    const maxSteps = summary?.maxSteps ?? member.config.train.maxSteps ?? null;
    const steps = summary?.steps ?? 0;
    const rest = { ...known, steps, maxSteps };
    if (this.#running.has(id)) return { ...rest, status: "running", error: null };
    if (summary?.status === "finished") return { ...rest, status: "finished", error: null };
    if (summary?.status === "failed" || summary?.status === "diverged")
      return { ...rest, status: "failed", error: error ?? summary.error };
    if (!summary) return { ...rest, status: error === null ? "pending" : "failed", error };
    return { ...rest, status: "paused", error };
  }

  /** Of a finished member. */
  figures(member: Member): MemberFigures | undefined {
    const known = this.#finished.get(member.id);
    if (known) return known;
    // The summary alone says whether it is worth reading the events.
    const stored = readJson(join(runDir(this.dir, member), SUMMARY)) as Partial<RunSummary> | undefined;
    if (stored?.status !== "finished") return undefined;
    const summary = memberSummary(this.dir, member) as RunSummary;
    const figures = { summary, trainLoss: finalTrainLoss(readEvents(runDir(this.dir, member))) };
    this.#finished.set(member.id, figures);
    return figures;
  }

  begin({ id }: Member): void {
    this.#running.add(id);
    this.#errors.delete(id);
    this.save();
  }

  end({ id }: Member, error: string | null, wallSeconds: number): void {
    this.#running.delete(id);
    if (error !== null) this.#errors.set(id, error);
    this.#wallSeconds.set(id, (this.#wallSeconds.get(id) ?? 0) + wallSeconds);
    this.save();
  }

  /** Which arms halving has left out so far, and those that go on to `rung`. */
  replayHalving(): { readonly rung: number; readonly arms: readonly Arm[] } {
    const { arms, seeds, halving, referenceArms } = this.sweep;
    this.leftOut.clear();
    let going = arms;
    const budgets = halving?.budgets ?? [];
    for (const [rung, budget] of budgets.slice(0, -1).entries()) {
      const members = membersOf(going, seeds);
      if (!halving || !members.every((member) => this.isThrough(member, budget))) return { rung, arms: going };
      const lossOf = (arm: Arm) => {
        const losses = membersOf([arm], seeds).map((member) =>
          this.state(member, "choose").status === "failed" ? null : bestLossUpTo(this.dir, member, budget),
        );
        return losses.includes(null) ? null : mean(losses as number[]);
      };
      const kept = survivors(going, lossOf, halving, referenceArms);
      for (const arm of going) if (!kept.includes(arm)) this.leftOut.set(arm, budget);
      going = kept;
    }
    return { rung: Math.max(0, budgets.length - 1), arms: going };
  }

  /** Whether nothing is left to do for a member up to a step, or up to its end. */
  isThrough(member: Member, until: number | undefined): boolean {
    const { status, steps } = this.state(member, "choose");
    return (
      status === "finished" || status === "failed" || (until !== undefined && status === "paused" && steps >= until)
    );
  }

  results(): NonNullable<SweepRecord["results"]> {
    const { sweep, record } = this;
    const shared = {
      margin: sweep.margin,
      figures: (arm: Arm, seed: number) => this.figures(memberOf(arm, seed)),
      failed: (arm: Arm, seed: number) => this.state(memberOf(arm, seed), "choose").status === "failed",
      diverged: (arm: Arm, seed: number) => memberSummary(this.dir, memberOf(arm, seed))?.status === "diverged",
    };
    const choose = resultsOf({
      ...shared,
      arms: sweep.arms,
      seeds: sweep.seeds,
      split: sweep.split,
      referenceArms: sweep.referenceArms,
      leftOutAt: (arm) => this.leftOut.get(arm) ?? null,
    });
    const { confirmation } = record;
    if (!confirmation) return { choose, confirm: null };
    const names = finalArms(confirmation);
    const arms = sweep.arms.filter(({ name }) => names.includes(name));
    const confirm: Results = resultsOf({
      ...shared,
      arms,
      seeds: confirmation.seeds,
      split: "test",
      referenceArms: arms.filter(({ name }) => name === confirmation.reference),
      leftOutAt: () => null,
    });
    return { choose, confirm };
  }

  /** Whether all members of the choosing phase came to their end. */
  get chosen(): boolean {
    const { arms, seeds } = this.sweep;
    return membersOf(
      arms.filter((arm) => !this.leftOut.has(arm)),
      seeds,
    ).every((member) => this.isThrough(member, undefined));
  }

  /** Writes the finalists down before any of them is trained on a fresh seed: there is no choosing again. */
  chooseFinalists(): void {
    if (this.record.confirmation) return;
    const { confirm } = this.sweep;
    const { choose } = this.results();
    const { reference } = choose;
    const finalists = confirm.arms?.map(({ name }) => name) ?? finalistsOf(choose, confirm.choose);
    check(
      finalists.some((name) => name !== reference),
      `sweep ${this.sweep.name}: no arm but the reference "${reference}" finished on all seeds; there is nothing to confirm.`,
    );
    this.record.confirmation = { chosen: new Date().toISOString(), reference, finalists, seeds: confirm.seeds };
    this.save();
  }

  /** Seconds of what is left to do; null while nothing is known. */
  secondsLeft(processes: number, steps: ReadonlyMap<string, number> = new Map()): number | null {
    const states = this.members
      .filter(({ member }) => !this.leftOut.has(member.arm))
      .map(({ member, phase }) => this.state(member, phase));
    // With maxEpochs a run's length is known once it has begun; another's stands for it until then.
    const length = ({ arm, maxSteps }: MemberRecord) =>
      maxSteps ??
      (states.find((other) => other.arm === arm && other.maxSteps) ?? states.find((other) => other.maxSteps))
        ?.maxSteps ??
      0;
    const now = ({ id, steps: known }: MemberRecord) => steps.get(id) ?? known;
    const done = states
      .filter(({ wallSeconds }) => wallSeconds > 0)
      .map((state): DoneWork => ({ arm: state.arm, steps: state.steps, wallSeconds: state.wallSeconds }));
    const left = states
      .filter(({ status }) => status !== "finished" && status !== "failed")
      .map((state): Work => ({ arm: state.arm, steps: Math.max(0, length(state) - now(state)) }));
    return estimateSeconds(left, done, processes);
  }

  save(): void {
    this.record.members = this.members.map(({ member, phase }) => this.state(member, phase));
    this.record.results = this.results();
    writeRecord(this.dir, this.record);
  }
}

/** Trains what is left of a sweep. Failed members are recorded and the rest goes on; only a lock throws. */
export async function runSweep(state: SweepState, options: SweepOptions): Promise<void> {
  const { sweep, dir } = state;
  const note = takeLock(dir, "sweep");
  if (note) options.listen?.({ type: "note", text: note });
  try {
    const retry = new Set<string>();
    if (options.retry)
      for (const { member, phase } of state.members)
        if (state.state(member, phase).status === "failed") retry.add(member.id);
    const budgets = sweep.halving?.budgets ?? [];
    for (let { rung, arms } = state.replayHalving(); ; ) {
      const until = rung < budgets.length - 1 ? budgets[rung] : undefined;
      await train(state, membersOf(arms, sweep.seeds), until, retry, options);
      if (until === undefined || options.signal?.aborted) break;
      const next = state.replayHalving();
      if (next.rung === rung) break; // some were killed: they go on when called again
      const kept = next.arms.map(({ name }) => name);
      const leftOut = arms.filter((arm) => !next.arms.includes(arm)).map(({ name }) => name);
      options.listen?.({ type: "halved", steps: until, kept, leftOut });
      ({ rung, arms } = next);
    }
    if (options.confirm && state.chosen && !options.signal?.aborted) {
      state.chooseFinalists();
      const { confirmation } = state.record;
      if (confirmation) options.listen?.({ type: "finalists", ...confirmation });
      await train(state, state.confirmMembers(), undefined, retry, options);
    }
    state.save();
  } finally {
    releaseLock(dir);
  }
}

/** Members that are not yet there, `processes` at a time, in their order. */
async function train(
  state: SweepState,
  members: readonly Member[],
  until: number | undefined,
  retry: Set<string>,
  { command, processes, signal, listen }: SweepOptions,
): Promise<void> {
  const queue = members.filter((member) => retry.has(member.id) || !state.isThrough(member, until));
  const running = new Set<MemberProcess>();
  const stopAll = () => {
    for (const child of running) child.stop();
  };
  signal?.addEventListener("abort", stopAll);
  const worker = async () => {
    for (let member = queue.shift(); member && !signal?.aborted; member = queue.shift()) {
      const one = member;
      retry.delete(one.id);
      const phase = state.sweep.seeds.includes(one.seed) ? "choose" : "confirm";
      const from = state.state(one, phase).steps;
      state.begin(one);
      listen?.({ type: "begin", member: one, from, until });
      const began = performance.now();
      const child = startMember(command, state.dir, one.id, until, (message) =>
        listen?.({ type: "message", member: one, message }),
      );
      running.add(child);
      const { error } = await child.ended;
      running.delete(child);
      state.end(one, error, (performance.now() - began) / 1000);
      listen?.({ type: "end", record: state.state(one, phase), summary: memberSummary(state.dir, one) });
    }
  };
  try {
    await Promise.all(Array.from({ length: Math.min(processes, queue.length) }, worker));
  } finally {
    signal?.removeEventListener("abort", stopAll);
  }
}

function memberOf(arm: Arm, seed: number): Member {
  return membersOf([arm], [seed])[0] as Member;
}
