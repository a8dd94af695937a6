/** A trained model over one sequence that is still coming: a position in, what the model now says out. */
import type { Model } from "../nn/model.ts";
import type { BatchBuffers, Task } from "../tasks/task.ts";
import { Stepper, type StepperStates } from "../train/stepper.ts";

export class ModelStream<Position, Result> {
  readonly #stepper: Stepper;
  readonly #task: Task;
  readonly #read: (position: Position) => unknown;
  readonly #say: (result: Record<string, unknown>) => Result;
  readonly #forget: () => unknown;
  readonly #into: BatchBuffers;

  /**
   * Made by `stream()`. `read`: a position as a sequence of the task; `say`: what its results are to people; `forget`:
   * what these two remember, on a reset.
   */
  constructor(
    model: Model,
    task: Task,
    read: (position: Position) => unknown,
    say: (result: Record<string, unknown>) => Result,
    forget: () => unknown = () => {},
  ) {
    this.#stepper = new Stepper(model);
    this.#task = task;
    this.#read = read;
    this.#say = say;
    this.#forget = forget;
    const { input } = this.#stepper;
    this.#into = {
      tokens: input instanceof Int32Array ? input : undefined,
      features: input instanceof Int32Array ? undefined : input,
      targets: new Int32Array(0),
      lengths: new Int32Array(1),
    };
  }

  /** Reads the next position. A UsageError says what is wrong with it; the stream is then as it was. */
  push(position: Position): Result {
    const form = this.#task.prediction as NonNullable<Task["prediction"]>;
    const encoded = form.encode(this.#read(position), "the next position");
    form.fill(encoded, this.#into, 1, 1, 0);
    return this.#say(form.decode(this.#stepper.step(), 0, 1, encoded));
  }

  /** Another sequence begins. */
  reset(): void {
    this.#stepper.reset();
    this.#forget();
  }

  /** The net's states after what was read; set them to go on from there, in this stream or in another of this model. */
  get states(): StepperStates {
    return this.#stepper.states;
  }

  set states(states: StepperStates) {
    this.#stepper.states = states;
  }
}
