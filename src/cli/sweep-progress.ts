/** What a sweep says while it runs: a line for each member at work and one for the whole; elsewhere, one as each ends. */
import type { SweepEvent, SweepState } from "../runs/sweep.ts";
import type { Member } from "../runs/sweep-arms.ts";
import type { MemberRecord } from "../runs/sweep-store.ts";
import { duration, fixed, percent } from "./format.ts";
import { LiveLines, remark } from "./print.ts";
import { Progress } from "./progress.ts";

/** Seconds between plain lines of a member at work, where no line can be updated in place. */
const PLAIN_EVERY_S = 30;

interface Lane {
  readonly name: string;
  progress: Progress | undefined;
  step: number;
}

export class SweepProgress {
  readonly #state: SweepState;
  readonly #processes: number;
  readonly #lines: LiveLines;
  readonly #quiet: boolean;
  readonly #lanes = new Map<string, Lane>();
  #lastPlain = performance.now();

  constructor(state: SweepState, processes: number, quiet: boolean) {
    this.#state = state;
    this.#processes = processes;
    this.#quiet = quiet;
    this.#lines = new LiveLines(process.stderr, !quiet);
  }

  add(event: SweepEvent): void {
    if (event.type === "note") this.note(`gatesieve: ${event.text}`);
    else if (event.type === "begin") this.#begin(event.member, event.from);
    else if (event.type === "message") this.#message(event);
    else if (event.type === "end") this.#end(event);
    else if (event.type === "halved") {
      const { steps, kept, leftOut } = event;
      this.#say(
        `after ${steps} steps ${kept.length} of ${kept.length + leftOut.length} arms go on: ${kept.join("; ")}`,
      );
    } else {
      const { reference, finalists, seeds } = event;
      this.#say(`finalists: ${finalists.join("; ")}; paired with ${reference} on fresh seeds ${seeds.join(", ")}`);
    }
  }

  /** A line that stays. */
  note(text: string): void {
    this.#lines.note(text);
  }

  clear(): void {
    this.#lines.clear();
  }

  #say(text: string): void {
    if (!this.#quiet) this.#lines.note(text);
  }

  #begin(member: Member, from: number): void {
    const name = nameOf(member.arm.name, member.seed);
    this.#lanes.set(member.id, { name, progress: undefined, step: from });
    if (from > 0) this.#say(`${name}: goes on from step ${from}`);
    this.#update();
  }

  #message({ member, message }: SweepEvent & { type: "message" }): void {
    const lane = this.#lanes.get(member.id);
    if (!lane) return;
    if (message.type === "run") lane.progress = new Progress(message.lossUnit, message.valCheckInterval);
    else {
      lane.step = message.step;
      lane.progress?.add(message);
    }
    this.#update();
    if (this.#lines.live || this.#quiet || performance.now() - this.#lastPlain < 1000 * PLAIN_EVERY_S) return;
    remark(`${lane.name}  ${lane.progress?.line ?? ""}`);
    this.#lastPlain = performance.now();
  }

  #end({ record, summary }: SweepEvent & { type: "end" }): void {
    this.#lanes.delete(record.id);
    const name = nameOf(record.arm, record.seed);
    this.#lastPlain = performance.now();
    if (record.status === "finished" && summary)
      this.#say(
        `${this.#counts}  ${name}  valid ${fixed(summary.validLoss, 4)}  zeros ${percent(summary.sparsity)}  ` +
          `${duration(record.wallSeconds)}${this.#timeLeft}`,
      );
    else if (record.status === "failed") this.note(`gatesieve: ${name} failed: ${record.error}`);
    else if (record.error)
      this.note(`gatesieve: ${name} ${record.error} Its checkpoint of step ${record.steps} or before is kept.`);
    else this.#say(`${this.#counts}  ${name}  paused after step ${record.steps}`);
    this.#update();
  }

  #update(): void {
    if (!this.#lines.live) return;
    const width = Math.max(0, ...[...this.#lanes.values()].map(({ name }) => name.length));
    this.#lines.update([
      ...[...this.#lanes.values()].map(
        ({ name, progress }) => `${name.padEnd(width)}  ${progress?.line ?? "starting"}`,
      ),
      `${this.#counts}${this.#timeLeft}`,
    ]);
  }

  /** " 3/15 done" */
  get #counts(): string {
    const states = this.#states;
    const done = states.filter(({ status }) => status === "finished" || status === "failed").length;
    return `${String(done).padStart(String(states.length).length)}/${states.length} done`;
  }

  get #states(): readonly MemberRecord[] {
    const leftOut = new Set([...this.#state.leftOut.keys()].map(({ name }) => name));
    return this.#state.record.members.filter(({ arm }) => !leftOut.has(arm));
  }

  get #timeLeft(): string {
    const steps = new Map([...this.#lanes].map(([id, { step }]) => [id, step]));
    const seconds = this.#state.secondsLeft(this.#processes, steps);
    return seconds === null || seconds === 0 ? "" : `  ${duration(seconds)} left`;
  }
}

export function nameOf(arm: string, seed: number): string {
  return `${arm}, seed ${seed}`;
}
