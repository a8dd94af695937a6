/** What a training says while it runs: one line of at most 99 characters. */
import type { StepEvent, TrainEvent, ValidationEvent } from "../train/events.ts";
import { countedUnit, fixed, metric } from "./format.ts";

/** Seconds between plain lines, where no line can be updated in place. */
const PLAIN_EVERY_S = 10;

export const LEGEND =
  "zeros: share of gate gradients that the policy made zero + that were zero by themselves\n" +
  "MACs: share of all training's multiply-accumulates that these zeros make redundant; not time";

export class Progress {
  readonly #unit: string;
  readonly #valCheckInterval: number;
  #first: { step: number; at: number } | undefined;
  #lastPlain = performance.now();
  #step: StepEvent | undefined;
  #validation: ValidationEvent | undefined;

  constructor(lossUnit: string, valCheckInterval: number) {
    this.#unit = countedUnit(lossUnit);
    this.#valCheckInterval = valCheckInterval;
  }

  /** Takes an event in; true if a plain line is due. */
  add(event: TrainEvent): boolean {
    if (event.type === "end" || event.type === "telemetry") return false;
    const now = performance.now();
    let due = true;
    if (event.type === "validation") this.#validation = event;
    else {
      this.#step = event;
      this.#first ??= { step: event.step, at: now };
      const validationFollows = event.step === event.maxSteps || event.step % this.#valCheckInterval === 0;
      due = now - this.#lastPlain > 1000 * PLAIN_EVERY_S && !validationFollows;
    }
    if (due) this.#lastPlain = now;
    return due;
  }

  /** " 420/1200  loss 1.983  valid 2.014  27.1k char/s  zeros 55.2+29.1 %  MACs -51.9 %  48 s left" */
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
      `zeros ${share(sparsity.dropped)}+${share(sparsity.naturalZeros)} %`,
      `MACs -${share(macs.macsSkippedAll)} %`,
      this.#timeLeft(step),
    ]
      .filter(Boolean)
      .join("  ");
  }

  /** By the wall clock of this process, validations included. */
  #timeLeft({ step, maxSteps }: StepEvent): string {
    if (step >= maxSteps) return "";
    const { step: from, at } = this.#first ?? { step, at: 0 };
    if (step === from) return "… left";
    const seconds = ((performance.now() - at) / 1000 / (step - from)) * (maxSteps - step);
    if (seconds < 59.5) return `${Math.ceil(seconds)} s left`;
    return seconds < 3570 ? `${Math.round(seconds / 60)} min left` : `${(seconds / 3600).toFixed(1)} h left`;
  }
}
