/** Golden numbers from PyTorch; README.md beside this file says how they were made. */
import { readFileSync } from "node:fs";

export const GOLDEN_NAMES = [
  "lm1",
  "lm3",
  "adding",
  "gru",
  "rnn",
  "lstm-lengths",
  "gru-lengths",
  "rnn-lengths",
  "lstm-bidirectional",
  "gru-bidirectional",
  "mlp",
  "transformer",
  "transformer-lengths",
  "lstm-residual-norm",
  "gru-norm",
  "encoder-decoder",
  "encoder-decoder-dot",
] as const;
export type GoldenName = (typeof GOLDEN_NAMES)[number];

/** Row-major. */
export interface GoldenArray {
  readonly shape: readonly number[];
  readonly data: readonly number[];
}

/** By name: parameters as a model names them, states as "h_0", "c_0", "h_1", ... per layer, per direction if there are two. */
export type GoldenArrays = Readonly<Record<string, GoldenArray>>;

export interface GoldenCase {
  readonly name: GoldenName;
  /** A recurrent one if left out. */
  readonly net?: "mlp" | "transformer";
  readonly heads?: number;
  readonly feedforward?: number;
  readonly activation?: "relu" | "gelu";
  /** lstm if left out. */
  readonly cell?: "lstm" | "gru" | "rnn";
  readonly bidirectional?: boolean;
  readonly residual?: boolean;
  readonly layerNorm?: boolean;
  /** Of each lane, where they differ: PyTorch's packed sequences. */
  readonly lengths?: readonly number[];
  readonly attention?: "dot" | "general";
  /** What an encoder reads, (S, B) tokens up to each lane's length. */
  readonly source?: {
    readonly vocabulary: number;
    readonly embedding: number;
    readonly length: number;
    readonly lengths: readonly number[];
  };
  readonly input: "onehot" | "embedding" | "features";
  readonly vocabulary?: number;
  readonly embedding?: number;
  readonly features?: number;
  readonly hidden: number;
  readonly layers: number;
  readonly batch: number;
}

export interface GoldenBatch {
  /** (T, B) tokens or (T, B, I) features. */
  readonly inputs: GoldenArray;
  /** (S, B) tokens. */
  readonly sources?: GoldenArray;
  /** (T, B) tokens, -1 past a lane's end, or (B, 1) values for its last position. */
  readonly targets: GoldenArray;
}

/** Forward and backward of one batch with the initial parameters. */
export interface GoldenPass {
  readonly initialStates: GoldenArrays;
  /** (T, B, V) logits, or (B, 1) values; of positions past a lane's end nothing is said. */
  readonly outputs: GoldenArray;
  readonly finalStates: GoldenArrays;
  /** Mean cross-entropy in nats over T*B positions, or mean squared error over B. */
  readonly loss: number;
  readonly gradients: GoldenArrays;
}

/** Ten steps from the initial parameters and states of zero, one batch a step. */
export interface GoldenRun {
  readonly name: string;
  readonly optimizer: "sgd" | "adam" | "adamw" | "rmsprop";
  readonly learningRate: number;
  /** Largest global gradient norm. */
  readonly clip: number;
  readonly momentum?: number;
  readonly weightDecay?: number;
  readonly beta1?: number;
  readonly beta2?: number;
  readonly epsilon?: number;
  readonly alpha?: number;
  /** Of each step's batch, before its update. */
  readonly losses: readonly number[];
  /** Before clipping. */
  readonly gradientNorms: readonly number[];
  /** After the last step. */
  readonly parameters: GoldenArrays;
}

export interface Golden {
  readonly case: GoldenCase;
  /** Version of the PyTorch that made it. */
  readonly torch: string;
  /** Initial parameters. */
  readonly parameters: GoldenArrays;
  readonly batches: readonly GoldenBatch[];
  /** The first two batches; language models carry the states from one to the next. */
  readonly passes: readonly GoldenPass[];
  readonly runs: readonly GoldenRun[];
}

export function loadGolden(name: GoldenName): Golden {
  return JSON.parse(readFileSync(new URL(`./${name}.json`, import.meta.url), "utf8")) as Golden;
}
