/**
 * The plateau that training begins on: a net that has learned no more than how often each target occurs. It is left
 * when the training loss is a tenth below what the best prediction without looking at the input would have.
 */
import type { OutputSpec } from "../tasks/task.ts";

const BEATEN = 0.9;
/** Training losses that are averaged. */
const WINDOW = 10;

export class ConstantPrediction {
  readonly #output: OutputSpec;
  readonly #counts: Float64Array; // of classes
  #seen = 0;
  #sum = 0; // of values
  #squares = 0;
  readonly #losses: number[] = [];

  constructor(output: OutputSpec) {
    this.#output = output;
    this.#counts = new Float64Array(output.kind === "classes" ? output.size : 0);
  }

  /** Targets of a batch, and the training loss on it. */
  add(targets: ArrayLike<number>, loss: number): void {
    for (let i = 0; i < targets.length; i++) {
      const target = targets[i] as number;
      if (this.#output.kind === "classes") this.#counts[target]!++;
      this.#sum += target;
      this.#squares += target * target;
    }
    this.#seen += targets.length;
    this.#losses.push(loss);
    if (this.#losses.length > WINDOW) this.#losses.shift();
  }

  /** Entropy of the classes' frequencies in nats, or the variance of the values, of all targets seen. */
  get loss(): number {
    if (this.#output.kind === "values") return this.#squares / this.#seen - (this.#sum / this.#seen) ** 2;
    let entropy = 0;
    for (const count of this.#counts) if (count > 0) entropy -= (count / this.#seen) * Math.log(count / this.#seen);
    return entropy;
  }

  get isBeaten(): boolean {
    const mean = this.#losses.reduce((sum, loss) => sum + loss, 0) / this.#losses.length;
    return this.#losses.length === WINDOW && mean < BEATEN * this.loss;
  }
}
