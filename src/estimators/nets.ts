/**
 * What a net is to be, before any data is seen: `lstm({ hiddenSize: 64 })`. An estimator adds input and output; for a
 * model by hand, `new Model(engine, { ...lstm({ hiddenSize: 64 }), input, output }, { T, B })`.
 */
import { check, nearest, UsageError } from "../core/check.ts";
import { cells } from "../nn/cells.ts";
import type { ModelShape, ModelSpec } from "../nn/model.ts";

/** PyTorch's names. What `ModelSpec` says of a net may all be given. */
export interface NetOptions
  extends Partial<Omit<ModelSpec, "input" | "output" | "cell">>,
    Pick<ModelShape, "recompute"> {
  /**
   * Width of what the first layer reads. Of numbers it is learnt from the data, and checked if it is given. Of characters
   * and words: columns of a trained embedding; 0 for one-hot input. Without it characters are one-hot, and words have an
   * embedding of hiddenSize columns.
   */
  readonly inputSize?: number;
  /** Units of a layer, of each direction (64). */
  readonly hiddenSize?: number;
  /** Layers, each reading the one below (1). */
  readonly numLayers?: number;
  /** Layers read every sequence from both ends, by its length (false). */
  readonly bidirectional?: boolean;
  /** Share of elements zeroed in training, between layers and, other than in PyTorch, before the output layer (0). */
  readonly dropout?: number;
}

export interface NetSpec extends NetOptions {
  readonly cell: ModelSpec["cell"];
  readonly hiddenSize: number;
  readonly numLayers: number;
}

/** Long short-term memory. */
export function lstm(options: NetOptions = {}): NetSpec {
  return recurrent("lstm", options);
}

/** Gated recurrent unit, reset after the product, as in PyTorch. */
export function gru(options: NetOptions = {}): NetSpec {
  return recurrent("gru", options);
}

/** The plain recurrent net, tanh. */
export function rnn(options: NetOptions = {}): NetSpec {
  return recurrent("rnn", options);
}

/** minGRU: gates that see the input alone, so that there is no hidden product. */
export function minGru(options: NetOptions = {}): NetSpec {
  return recurrent("mingru", options);
}

const KNOWN = [
  "inputSize",
  "hiddenSize",
  "numLayers",
  "bidirectional",
  "dropout",
  "forgetBias",
  "chronoInit",
  "initScale",
  "forward",
  "recompute",
];

/** A net of any cell in the table, one's own among them: `registerCell`. */
export function recurrent(cell: string, options: NetOptions = {}): NetSpec {
  if (!Object.hasOwn(cells, cell)) {
    const choices = Object.keys(cells).join(", ");
    throw new UsageError(`unknown cell "${cell}". The choices are: ${choices}; registerCell takes one of your own.`);
  }
  checkKeys(cell, options, KNOWN, false);
  const { hiddenSize = 64, numLayers = 1, dropout = 0, inputSize } = options;
  for (const [name, value] of Object.entries({ hiddenSize, numLayers }))
    check(Number.isInteger(value) && value > 0, () => `${name} is ${value}; give a whole number of at least 1.`);
  check(
    inputSize === undefined || (Number.isInteger(inputSize) && inputSize >= 0),
    () => `inputSize is ${inputSize}; give a whole number of at least 0, or leave it out.`,
  );
  check(
    typeof dropout === "number" && dropout >= 0 && dropout < 1,
    () => `dropout is ${dropout}; give a share from 0 up to, not including, 1.`,
  );
  return { ...options, cell: cell as NetSpec["cell"], hiddenSize, numLayers };
}

/** A misspelt option is told, not passed over; `all`: and so is any other that is not known. */
export function checkKeys(what: string, given: object, known: readonly string[], all = true): void {
  for (const key of Object.keys(given)) {
    if (known.includes(key)) continue;
    const near = nearest(key, known);
    if (all || near !== undefined)
      throw new UsageError(
        `${what}: unknown option "${key}"${near ? `, did you mean "${near}"?` : "."} The options are: ${known.join(", ")}.`,
      );
  }
}
