/** What a training says while it runs: one line of at most 99 characters. */
import type { StepEvent, TrainEvent, ValidationEvent } from "../train/events.ts";
import { countedUnit, fixed, metric } from "./format.ts";

/** Seconds between plain lines, where no line can be updated in place. */
const PLAIN_EVERY_S = 10;

export const LEGEND =
  "sparsity: zeros among gate gradients, added by the policy + there by themselves\n" +
  "MACs: multiply-accumulates of all training that those zeros make redundant (not seconds)";

export class Progress {
  readonly #unit: string;
  readonly #began = performance.now();
  #firstStep: number | undefined;
  #lastPlain = performance.now();
  #step: StepEvent | undefined;
  #validation: ValidationEvent | undefined;

  constructor(lossUnit: string) {
    this.#unit = countedUnit(lossUnit);
  }

  /** Takes an event in; true if a plain line is due. */
  add(event: TrainEvent): boolean {
    if (event.type === "end") return false;
    if (event.type === "validation") this.#validation = event;
    else {
      this.#step = event;
      this.#firstStep ??= event.step;
    }
    const now = performance.now();
    // The last step is followed by its validation, which has a line of its own.
    const due =
      event.type === "validation" || (now - this.#lastPlain > 1000 * PLAIN_EVERY_S && event.step < event.maxSteps);
    if (due) this.#lastPlain = now;
    return due;
  }

  /** " 420/1200  loss 1.983  valid 2.014  27.1k char/s  sparsity 55.2+29.1 %  MACs -51.9 %  48 s left" */
  get line(): string {
    const [step, validation] = [this.#step, this.#validation];
    if (!step) return "  starting";
    const { sparsity, macs, maxSteps } = step;
    const share = (value: number) => fixed(100 * value, 1);
    return [
      `${String(step.step).padStart(String(maxSteps).length)}/${maxSteps}`,
      `loss ${fixed(step.loss, 3)}`,
      `valid ${fixed(validation?.loss, 3).padEnd(5)}`,
      `${metric(step.tokensPerSecond)} ${this.#unit}/s`,
      `sparsity ${share(sparsity.dropped)}+${share(sparsity.naturalZeros)} %`,
      `MACs -${share(macs.macsSkippedAll)} %`,
      this.#timeLeft(step),
    ].join("  ");
  }

  /** By the wall clock of this process, validations included. */
  #timeLeft({ step, maxSteps }: StepEvent): string {
    const done = step - (this.#firstStep ?? step);
    if (step >= maxSteps) return "";
    if (done === 0) return "… left";
    const seconds = ((performance.now() - this.#began) / 1000 / done) * (maxSteps - step);
    if (seconds < 59.5) return `${Math.ceil(seconds)} s left`;
    return seconds < 3570 ? `${Math.round(seconds / 60)} min left` : `${(seconds / 3600).toFixed(1)} h left`;
  }
}
