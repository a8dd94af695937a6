/**
 * A trained net one position at a time: for streams, whose next position is not there yet.
 *
 *   const stepper = new Stepper(model, { batchSize: 3 });
 *   stepper.input.set([4, 1, 7]);       // tokens of three streams; of features: (3, size) numbers
 *   const logits = stepper.step();      // (3, classes), overwritten by the next step
 *
 * It runs in the model's own memory, as a pass with T = 1, and keeps the states of its streams beside it: no second
 * model is planned, any number of streams will do (more than the model's lanes go by turns), several steppers share a
 * model, and a training under way is not disturbed. Outputs have the bits of a forward pass over the whole sequences.
 * A step allocates nothing.
 */
import type { RealArray } from "../core/arena.ts";
import { check, UsageError } from "../core/check.ts";
import type { Model } from "../nn/model.ts";
import type { Pass } from "../nn/module.ts";

export interface StepperOptions {
  /** Streams that go on side by side; 1 if not given. */
  readonly batchSize?: number;
}

/** States by layer and name: "lstm.l0.h", "lstm.l0.c", each (batchSize, hiddenSize). */
export type StepperStates = Readonly<Record<string, RealArray>>;

export class Stepper {
  readonly model: Model;
  readonly batchSize: number;
  /** What the next step reads: (batchSize) token numbers, or (batchSize, size) features as the net takes them. */
  readonly input: Int32Array | RealArray;
  /** Of the last step: (batchSize, size) logits or values. */
  readonly output: RealArray;
  readonly #states: readonly RealArray[]; // like model.carried, (batchSize, H)
  readonly #names: readonly string[];
  readonly #kept: readonly RealArray[]; // the model's own states, while a step uses their place
  readonly #part: RealArray; // outputs of the lanes of one pass
  readonly #pass: Pass;
  readonly #tokens: number; // of the vocabulary; 0: features
  readonly #inputSize: number;

  /** Of a model whose memory is there: after `initialize`, or of a trainer. */
  constructor(model: Model, { batchSize = 1 }: StepperOptions = {}) {
    check(
      Number.isInteger(batchSize) && batchSize > 0,
      () => `batchSize is ${batchSize}; give a whole number of at least 1.`,
    );
    const { spec, pass, carried } = model;
    check(
      !spec.bidirectional,
      "a bidirectional net reads a sequence from its end too, so it cannot go on position by position. Give it whole sequences, or train one direction.",
    );
    check(
      model.context === 1,
      "a net that attends to earlier positions reads them anew for each further one, so it has no steps. Give it whole sequences.",
    );
    const reals = (length: number): RealArray =>
      model.arena.real === "f64" ? new Float64Array(length) : new Float32Array(length);
    this.model = model;
    this.batchSize = batchSize;
    this.#tokens = spec.input.kind === "tokens" ? spec.input.vocabulary : 0;
    this.#inputSize = spec.input.kind === "tokens" ? 1 : spec.input.size;
    this.input = this.#tokens ? new Int32Array(batchSize) : reals(batchSize * this.#inputSize);
    this.output = reals(batchSize * spec.output.size);
    this.#states = carried.map((state) => reals(batchSize * state.rowLength));
    this.#names = carried.map(({ name }) => name.replace(/0$/, ""));
    this.#kept = carried.map(({ length }) => reals(length));
    this.#part = reals(Math.min(batchSize, pass.B) * spec.output.size);
    this.#pass = { ...pass, T: 1, lengths: undefined, training: false };
  }

  /** Reads `input`, moves every stream on by one position, returns `output`. */
  step(): RealArray {
    const { model, batchSize, output } = this;
    const pass = this.#pass;
    this.#checkInput();
    const { carried } = model;
    for (let s = 0; s < carried.length; s++) copy(this.#kept[s]!, 0, carried[s]!.data, 0, carried[s]!.length);
    const lanes = model.pass.B;
    const into = this.#tokens ? model.tokens.data : model.features.data;
    const size = model.spec.output.size;
    for (let from = 0; from < batchSize; from += lanes) {
      pass.B = Math.min(lanes, batchSize - from);
      for (let s = 0; s < carried.length; s++) {
        const width = carried[s]!.rowLength;
        copy(carried[s]!.data, 0, this.#states[s]!, from * width, pass.B * width);
      }
      copy(into, 0, this.input, from * this.#inputSize, pass.B * this.#inputSize);
      model.head.outputs(model.forward(pass), pass, this.#part);
      copy(output, from * size, this.#part, 0, pass.B * size);
      for (let s = 0; s < carried.length; s++) {
        const width = carried[s]!.rowLength;
        copy(this.#states[s]!, from * width, carried[s]!.data, 0, pass.B * width);
      }
    }
    for (let s = 0; s < carried.length; s++) copy(carried[s]!.data, 0, this.#kept[s]!, 0, carried[s]!.length);
    return output;
  }

  /** A copy of all states, to go on from later. */
  get states(): StepperStates {
    return Object.fromEntries(this.#states.map((state, s) => [this.#names[s] as string, state.slice()]));
  }

  /** Sets all states: those of another stepper of this net, or PyTorch's h_n and c_n of a layer. */
  set states(states: StepperStates) {
    const foreign = Object.keys(states).find((name) => !this.#names.includes(name));
    check(foreign === undefined, () => `states: this net has no "${foreign}"; it has ${this.#names.join(", ")}.`);
    for (const [s, state] of this.#states.entries()) {
      const given = states[this.#names[s] as string];
      check(
        given?.length === state.length,
        () =>
          `states: "${this.#names[s]}" has ${given?.length ?? "no"} values, expected ${state.length} (${this.batchSize} streams x ${state.length / this.batchSize}).`,
      );
      state.set(given as RealArray);
    }
  }

  /** Zeroes the states: of all streams, or of one, where another sequence begins. */
  reset(stream?: number): void {
    if (stream !== undefined) this.#checkStream(stream);
    for (const state of this.#states) {
      const width = state.length / this.batchSize;
      state.fill(0, (stream ?? 0) * width, stream === undefined ? undefined : (stream + 1) * width);
    }
  }

  #checkStream(stream: number): void {
    check(
      Number.isInteger(stream) && stream >= 0 && stream < this.batchSize,
      () => `stream ${stream} is none of this stepper's, 0 to ${this.batchSize - 1}.`,
    );
  }

  #checkInput(): void {
    const { input } = this;
    const vocabulary = this.#tokens;
    for (let i = 0; i < input.length; i++) {
      const value = input[i] as number;
      const right = vocabulary ? value >= 0 && value < vocabulary : Number.isFinite(value);
      if (!right)
        throw new UsageError(
          `input[${i}] is ${value}, expected ${vocabulary ? `a token from 0 to ${vocabulary - 1}` : "a finite number"}.`,
        );
    }
  }
}

function copy(
  to: Int32Array | RealArray,
  toStart: number,
  from: Int32Array | RealArray,
  start: number,
  length: number,
) {
  for (let i = 0; i < length; i++) to[toStart + i] = from[start + i] as number;
}
