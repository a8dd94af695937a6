/**
 * The part of TensorFlow.js that is used here, as types alone: the module itself is given by the user, so that it is the
 * same one that the user's models are made of, wherever it was loaded from.
 */
import type * as Whole from "@tensorflow/tfjs";

export type Tf = typeof Whole;
export type Tensor = Whole.Tensor;
export type Layer = Whole.layers.Layer;
export type LayersModel = Whole.LayersModel;

/** A cell of TensorFlow.js: it owns the weights, in Keras' layout. */
export interface KerasCell {
  readonly units: number;
  readonly dropout: number;
  readonly recurrentDropout: number;
  readonly dropoutFunc: unknown;
  readonly activation: { getClassName(): string };
  readonly recurrentActivation: { getClassName(): string };
  readonly kernel: Weight;
  readonly recurrentKernel: Weight;
  /** null with useBias: false. */
  readonly bias: Weight | null;
}

export interface Weight {
  read(): Tensor;
}

/** tf.layers.lstm and tf.layers.gru make these. */
export interface KerasRnn extends Layer {
  readonly cell: KerasCell;
  readonly returnSequences: boolean;
  readonly returnState: boolean;
  readonly goBackwards: boolean;
  readonly states: (Tensor | null)[];
  resetStates(states?: Tensor[], training?: boolean): void;
}

export interface CallArguments {
  readonly mask?: Tensor | null | undefined;
  readonly training?: boolean | undefined;
  readonly initialState?: Tensor[] | null | undefined;
}

export type RnnClass = new (args: Record<string, unknown>) => KerasRnn;
