/** THE CONTRACT of a net: builds the layers between a model's input and its head. */
import type { OutputSpec } from "../tasks/task.ts";
import type { ActivationName } from "./activation.ts";
import type { cells } from "./cells.ts";
import type { DropoutKind } from "./dropout.ts";
import type { Input, Module, Planner, Rows } from "./module.ts";
import type { RecurrentLayer } from "./recurrent.ts";

/** What nets are built from; each says which of these it has. */
export interface NetOptions {
  /** recurrent: what its layers are made of; lstm if left out; one's own: `registerCell`. */
  readonly cell?: (keyof typeof cells & string) | undefined;
  /** Columns of a layer's output (recurrent: of each direction). */
  readonly hiddenSize: number;
  readonly numLayers: number;
  /** recurrent: each layer reads every sequence from both ends, by its length; its output is 2 hiddenSize wide.
   * With a source: the encoder's layers do, and have half of hiddenSize in each direction. */
  readonly bidirectional?: boolean;
  /** recurrent, mlp: after each layer; transformer: on what a block adds, and inside its feed-forward part. */
  readonly dropout?: number;
  /** recurrent: on what the first layer reads: rows of an embedding or features. */
  readonly inputDropout?: number;
  /** recurrent, of both: each element by itself, or columns of a time step as a whole, which products then need not meet. */
  readonly dropoutKind?: DropoutKind | undefined;
  /** recurrent: share of the columns of h[t-1] that U does not see in training, drawn anew for each t. */
  readonly recurrentDropout?: number;
  /** recurrent: each layer but the first adds to what it reads: s + layer(dropout(norm(s))). */
  readonly residual?: boolean;
  /** recurrent: what layers give is normalized, row by row, before the next layer or the head reads it. */
  readonly layerNorm?: boolean;
  /** recurrent: initial input bias of the forget gate. */
  readonly forgetBias?: number;
  /** recurrent: the most time steps that units are to remember, 3 or more, for gates that begin accordingly (chrono
   * initialization, arXiv 1804.11188); 0: as forgetBias says. */
  readonly chronoInit?: number;
  /** mlp, transformer: relu if left out. */
  readonly activation?: ActivationName | undefined;
  /** transformer: of the attention; 4 if left out. Must divide hiddenSize. */
  readonly numHeads?: number | undefined;
  /** transformer: columns between the two linear layers of a block; 0 or none: 4 hiddenSize. */
  readonly dimFeedforward?: number | undefined;
  /** transformer: learned positions, the longest sequence it can ever read; T if left out. */
  readonly positions?: number | undefined;
}

/** Options that only recurrent layers have. */
export const RECURRENT_ALONE = [
  "inputDropout",
  "dropoutKind",
  "recurrentDropout",
  "residual",
  "layerNorm",
  "chronoInit",
] as const satisfies readonly (keyof NetOptions)[];

export interface NetSite {
  readonly input: Input;
  /** Layers below the net: an embedding. With any, the first layer of the net has to return dLoss/dx. */
  readonly below: number;
  readonly output: OutputSpec;
  readonly options: NetOptions;
  /** recurrent: see ModelShape. */
  readonly recompute: number;
}

export interface BuiltNet {
  readonly layers: readonly Module[];
  /** What the head reads. */
  readonly output: Rows;
  /** Layers with a time loop; of bidirectional ones both directions, forward first. */
  readonly recurrent: readonly RecurrentLayer[];
  /** The room (core/arena.ts) where the gradient of rows lies on its way down, if it is one; the head's dx is the first. */
  readonly dyRoom?: string | undefined;
  /** Positions that a pass must hold for the last of them to see what it may: 1 where states are carried, or nothing is. */
  readonly context: number;
}

export interface Net {
  readonly summary: string;
  /** Of NetOptions, those that mean nothing to it and are refused. */
  readonly refuses: readonly (keyof NetOptions | "recompute")[];
  build(planner: Planner, site: NetSite): BuiltNet;
}
