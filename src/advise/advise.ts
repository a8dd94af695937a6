/**
 * Tries policies on trainings in small and says which of them a whole training can use. One round is one seed: a dense
 * trunk and its branches. The first round tries everything, later ones what could still be chosen, until time is up.
 */
import { check } from "../core/check.ts";
import type { Engine } from "../kernels/kernels.ts";
import type { RunConfig } from "../runs/config.ts";
import { mean, median } from "../runs/paired.ts";
import { parsePolicy } from "../sparse/policies.ts";
import type { Task } from "../tasks/task.ts";
import type { Arm } from "./arms.ts";
import { DENSE } from "./arms.ts";
import { type Estimate, estimate, gapOf, spreadOf, type Verdict, verdictOf } from "./estimate.ts";
import type { ArmFidelity } from "./fidelity.ts";
import { type Branch, type Fall, Miniature, type Place } from "./miniature.ts";
import { ConstantPrediction } from "./plateau.ts";

/** Policies with sweeps of their own in every engine, so that what they save is time as well. */
export const CANDIDATES = [
  "energy:0.999",
  "energy:0.99",
  "stochastic:0.98",
  "stochastic:0.95",
  "density:0.3",
  "density:0.2",
  "density:0.1",
];

export interface AdviseOptions {
  /** Of the whole training; its policy is not looked at. */
  readonly config: RunConfig;
  readonly task: Task;
  readonly engine: Engine;
  /** Steps of the whole training. */
  readonly maxSteps: number;
  readonly policies: readonly string[];
  /** Largest relative loss that is accepted: 0.005. */
  readonly maxLoss: number;
  readonly seconds: number;
}

/** A candidate: a policy from the first step on, or after a dense start. */
export interface Row {
  /** As `train` takes it. */
  readonly policy: string;
  /** Dense steps it begins with. */
  readonly denseSteps: number;
  readonly seeds: number;
  /** What was found in small, per seed. */
  readonly gaps: readonly number[];
  /** Validation loss of the whole training, relative to dense. Infinite where training broke down. */
  readonly predicted: Estimate;
  readonly verdict: Verdict;
  /** The rest is of the whole training, dense start included. */
  readonly zeros: number;
  readonly naturalZeros: number;
  readonly macsSkippedRecurrent: number;
  readonly macsSkippedAll: number;
  /** Times as fast as dense. */
  readonly speed: number;
  /** Of the first round's last weights. */
  readonly fidelity: ArmFidelity;
}

export interface Advice {
  readonly rows: readonly Row[];
  /** The fastest that is within the margin and faster than dense. */
  readonly recommended: Row | null;
  /** Why there is none: the best that could not be shown, or what stood in the way. */
  readonly reason: "shown" | "not shown" | "none within" | "none faster" | "plateau";
  readonly maxLoss: number;
  readonly maxSteps: number;
  /** Steps until the learning rate begins to fall, also those of a dense start; and of a whole small training. */
  readonly trunkSteps: number;
  readonly smallSteps: number;
  readonly seeds: number;
  readonly denseStepMs: number;
  readonly denseMacsSkippedAll: number;
  readonly constantLoss: number;
  readonly seconds: number;
}

export interface AdviseProgress {
  readonly what: string;
  readonly seed: number;
  /** Of the time given. */
  readonly share: number;
}

/** Shares of the time: to leave the plateau at most, and for the first round. */
const PLATEAU_TIME = 0.25;
const FIRST_ROUND_TIME = 0.5;
const LEAST_TRUNK = 30;
const LEAST_FALL = 40;
/** Beyond the plateau by a quarter of its length. */
const BEYOND_PLATEAU = 1.25;
/** Candidates that get more seeds, and seeds at most. */
const FINALISTS = 3;
const MOST_SEEDS = 10;
/** Seeds with which a candidate that is within needs no more. */
const SETTLED_SEEDS = 3;

interface Candidate {
  readonly arm: number;
  readonly policy: string;
  readonly late: boolean;
  readonly gaps: number[];
  readonly errors: number[];
  readonly speeds: number[]; // step time against dense, of one round each
  readonly branches: Branch[];
}

/** Works in small steps: each `next()` trains one step. */
export function* advise(options: AdviseOptions): Generator<AdviseProgress, Advice> {
  return yield* new Adviser(options).run();
}

class Adviser {
  readonly #options: AdviseOptions;
  readonly #miniature: Miniature;
  readonly #began = performance.now();
  readonly #dense: Branch[] = [];
  readonly #candidates: Candidate[] = [];
  #seed: number;
  #rounds = 0; // ended
  #trunkSteps = 0;
  #fall: Fall = { from: 0, to: 0 };
  #constantLoss = 0;

  constructor(options: AdviseOptions) {
    const { config, task, engine, policies, maxLoss } = options;
    check(policies.length > 0, "no policies to try; give some, for example energy:0.99.");
    check(maxLoss > 0 && maxLoss < 1, `the largest loss accepted is ${maxLoss}; give a share such as 0.005.`);
    const { headPolicy } = config;
    const arms = policies.map((policy): Arm => ({ policy, policies: config.policies ?? {}, headPolicy }));
    this.#options = options;
    this.#seed = config.seed;
    this.#miniature = new Miniature(config, task, engine, arms);
  }

  *run(): Generator<AdviseProgress, Advice> {
    if (!(yield* this.#leavePlateau())) return this.#advice("plateau");
    const small = this.#smallSteps();
    this.#fall = { from: this.#trunkSteps, to: small };
    yield* this.#firstRound();
    let longest = 0; // seconds of a round
    while (this.#rounds < MOST_SEEDS) {
      const finalists = this.#finalists();
      const began = this.#elapsed();
      const expected = longest || this.#expected(finalists);
      if (finalists.length === 0 || began + expected > this.#options.seconds) break;
      yield* this.#laterRound(finalists);
      longest = Math.max(longest, this.#elapsed() - began);
    }
    return this.#advice();
  }

  /** Trains dense until the loss is a tenth below the best constant prediction; false if time is up before. */
  *#leavePlateau(): Generator<AdviseProgress, boolean> {
    const { maxSteps, task, seconds } = this.#options;
    const miniature = this.#miniature;
    const constant = new ConstantPrediction(task.output);
    miniature.begin(this.#seed);
    for (;;) {
      constant.add(miniature.trainer.model.buffers().targets, miniature.trunkStep());
      this.#constantLoss = constant.loss;
      yield this.#progress("a dense start");
      const { steps } = miniature;
      if (constant.isBeaten) {
        const wanted = Math.max(LEAST_TRUNK, Math.ceil((BEYOND_PLATEAU * steps) / 10) * 10);
        this.#trunkSteps = Math.min(wanted, Math.max(1, maxSteps - LEAST_FALL));
        return true;
      }
      if (steps >= maxSteps / 2 || this.#elapsed() > PLATEAU_TIME * seconds) {
        this.#trunkSteps = steps;
        return false;
      }
    }
  }

  /** As long as the first round's share of time allows, half of the trunk's length beyond it, no longer than the whole training. */
  #smallSteps(): number {
    const { maxSteps, seconds, policies } = this.#options;
    const left = FIRST_ROUND_TIME * (seconds - this.#elapsed());
    const stepsInTime = left / (this.#elapsed() / this.#miniature.steps);
    // Dense once, each policy once from the start and, if need be, once after the trunk; a sparse step for a dense one.
    const trunk = this.#trunkSteps;
    const steps = Math.floor((stepsInTime + (1 + policies.length) * trunk) / (1 + 2 * policies.length) / 10) * 10;
    return Math.min(maxSteps, Math.max(trunk + LEAST_FALL, Math.ceil(0.15 * trunk) * 10, steps));
  }

  *#firstRound(): Generator<AdviseProgress, void> {
    const { policies, maxLoss, seconds } = this.#options;
    const [zero, late] = yield* this.#trunk();
    const dense = yield* this.#branch("dense", DENSE, late);
    this.#dense.push(dense);
    for (const [arm, policy] of policies.entries()) {
      const early = this.#candidate(arm, policy, false);
      yield* this.#play(early, zero, dense);
      if ((early.gaps[0] as number) >= maxLoss) yield* this.#play(this.#candidate(arm, policy, true), late, dense);
      if (this.#elapsed() > seconds) break;
    }
    this.#rounds = 1;
  }

  *#laterRound(finalists: readonly Candidate[]): Generator<AdviseProgress, void> {
    this.#seed++;
    const [zero, late] = yield* this.#trunk();
    const dense = yield* this.#branch("dense", DENSE, late);
    this.#dense.push(dense);
    for (const candidate of finalists) yield* this.#play(candidate, candidate.late ? late : zero, dense);
    this.#rounds++;
  }

  /** From fresh weights to where the rate falls: both places branches begin at. */
  *#trunk(): Generator<AdviseProgress, [zero: Place, late: Place]> {
    const miniature = this.#miniature;
    miniature.begin(this.#seed);
    const zero = miniature.place();
    while (miniature.steps < this.#trunkSteps) {
      miniature.trunkStep();
      yield this.#progress("a dense start");
    }
    return [zero, miniature.place()];
  }

  *#branch(what: string, arm: number, place: Place): Generator<AdviseProgress, Branch> {
    const branch = this.#miniature.branch(arm, place, this.#fall);
    for (;;) {
      const { done, value } = branch.next();
      if (done) return value;
      yield this.#progress(what);
    }
  }

  *#play(candidate: Candidate, place: Place, dense: Branch): Generator<AdviseProgress, void> {
    const branch = yield* this.#branch(this.#nameOf(candidate), candidate.arm, place);
    const { gap, error } = gapOf(branch.losses, dense.losses);
    candidate.gaps.push(gap);
    candidate.errors.push(error);
    candidate.speeds.push(branch.stepMs / dense.stepMs);
    candidate.branches.push(branch);
  }

  #candidate(arm: number, policy: string, late: boolean): Candidate {
    const candidate: Candidate = { arm, policy, late, gaps: [], errors: [], speeds: [], branches: [] };
    this.#candidates.push(candidate);
    return candidate;
  }

  /** The fastest of those not yet beyond the margin; none that is slower than one shown to be within. */
  #finalists(): Candidate[] {
    const open = this.#candidates
      .map((candidate) => ({ candidate, ...this.#row(candidate) }))
      .filter(({ verdict, speed }) => verdict !== "beyond" && speed > 1)
      .sort((a, b) => b.speed - a.speed);
    const settled = open.findIndex(({ verdict, seeds }) => verdict === "within" && seeds >= SETTLED_SEEDS);
    const left = settled < 0 ? open : open.slice(0, settled);
    return left.slice(0, FINALISTS).map(({ candidate }) => candidate);
  }

  #expected(finalists: readonly Candidate[]): number {
    const dense = (this.#dense[0] as Branch).stepMs;
    const small = this.#fall.to;
    const steps = finalists.reduce((sum, { late }) => sum + small - (late ? this.#trunkSteps : 0), small);
    return (1.2 * steps * dense) / 1000; // validation, and that no machine is quiet
  }

  #advice(failed?: "plateau"): Advice {
    const { maxLoss, maxSteps } = this.#options;
    const rows = this.#candidates.map((candidate) => this.#row(candidate));
    const within = rows.filter(({ verdict }) => verdict === "within");
    const faster = within.filter(({ speed }) => speed > 1).sort((a, b) => b.speed - a.speed);
    const perhaps = rows.some(({ verdict, speed }) => verdict === "perhaps" && speed > 1);
    const recommended = faster[0] ?? null;
    return {
      rows,
      recommended,
      reason:
        failed ?? (recommended ? "shown" : perhaps ? "not shown" : within.length > 0 ? "none faster" : "none within"),
      maxLoss,
      maxSteps,
      trunkSteps: this.#trunkSteps,
      smallSteps: this.#fall.to,
      seeds: this.#rounds,
      denseStepMs: this.#dense.length > 0 ? median(this.#dense.map(({ stepMs }) => stepMs)) : Number.NaN,
      denseMacsSkippedAll: mean(this.#dense.map(({ macs }) => macs.macsSkippedAll)),
      constantLoss: this.#constantLoss,
      seconds: this.#elapsed(),
    };
  }

  #row(candidate: Candidate): Row {
    const { maxLoss, maxSteps } = this.#options;
    const { late, gaps, errors, speeds, branches } = candidate;
    const alike = this.#candidates.filter((other) => other.late === late && other.gaps.every(Number.isFinite));
    const spread = spreadOf(
      alike.map((other) => other.gaps),
      late ? "late" : "early",
    );
    const denseSteps = late ? this.#trunkSteps : 0;
    const lengths = { small: this.#fall.to - denseSteps, whole: maxSteps - denseSteps };
    const predicted = estimate(gaps, errors, spread, lengths);
    const sparse = 1 - denseSteps / maxSteps;
    // Dense steps have natural zeros alone; those of the dense branch stand for them.
    const whole = (of: (branch: Branch) => number) =>
      sparse * mean(branches.map(of)) + (1 - sparse) * mean(this.#dense.map(of));
    return {
      policy: late ? `warmup(${denseSteps})+${candidate.policy}` : parsePolicy(candidate.policy).name,
      denseSteps,
      seeds: gaps.length,
      gaps,
      predicted,
      verdict: verdictOf(predicted, maxLoss, gaps.length),
      zeros: whole(({ sparsity }) => sparsity.sparsity),
      naturalZeros: whole(({ sparsity }) => sparsity.naturalZeros),
      macsSkippedRecurrent: whole(({ macs }) => macs.macsSkippedRecurrent),
      macsSkippedAll: whole(({ macs }) => macs.macsSkippedAll),
      speed: 1 / (sparse * median(speeds) + (1 - sparse)),
      fidelity: (branches[0] as Branch).fidelity,
    };
  }

  #nameOf({ policy, late }: Candidate): string {
    return late ? `warmup(${this.#trunkSteps})+${policy}` : policy;
  }

  #elapsed(): number {
    return (performance.now() - this.#began) / 1000;
  }

  #progress(what: string): AdviseProgress {
    return { what, seed: this.#seed, share: Math.min(1, this.#elapsed() / this.#options.seconds) };
  }
}
