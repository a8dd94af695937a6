/**
 * A model: input, recurrent layers, head. One object, one memory, one largest shape (T, B).
 *
 *   const model = new Model(await loadEngine(), spec, { T: 50, B: 50 });
 *   model.initialize(1);            // allocates the arena and draws the weights
 *   model.tokens.data.set(...); model.head.targets.data.set(...);
 *   const loss = model.lossAndGradient(model.pass);
 */
import { Arena, type IntTensor, type Tensor } from "../core/arena.ts";
import { check } from "../core/check.ts";
import { RandomStream } from "../core/random.ts";
import type { RowSet } from "../core/row-set.ts";
import type { Engine, Kernels, Weight } from "../kernels/kernels.ts";
import type { ProductMacs } from "../sparse/macs.ts";
import type { BatchBuffers, InputSpec, OutputSpec } from "../tasks/task.ts";
import { BidirectionalLayer } from "./bidirectional.ts";
import { cells } from "./cells.ts";
import { DROPOUT_KINDS, Dropout, type DropoutKind } from "./dropout.ts";
import { Embedding } from "./embedding.ts";
import { Head } from "./head.ts";
import { LayerNorm } from "./layer-norm.ts";
import {
  type DropSite,
  type Input,
  type Module,
  OneHot,
  type Parameter,
  type Pass,
  type Planner,
  Rows,
} from "./module.ts";
import { checkLengths } from "./padding.ts";
import { RecurrentLayer, type RecurrentOptions } from "./recurrent.ts";
import { Residual } from "./residual.ts";

export interface ModelSpec {
  readonly input: InputSpec;
  readonly cell: keyof typeof cells & string;
  readonly hiddenSize: number;
  readonly numLayers: number;
  /** Each layer reads every sequence from both ends, by its length; its output is 2 hiddenSize wide. */
  readonly bidirectional?: boolean;
  /** Between recurrent layers and before the head. */
  readonly dropout?: number;
  /** On what the first layer reads: rows of an embedding or features. */
  readonly inputDropout?: number;
  /** Of these: each element by itself, or columns of a time step as a whole, which products then need not meet. */
  readonly dropoutKind?: DropoutKind;
  /** Share of the columns of h[t-1] that U does not see in training, drawn anew for each t. */
  readonly recurrentDropout?: number;
  /** Each layer but the first adds to what it reads: s + layer(dropout(norm(s))). */
  readonly residual?: boolean;
  /** What recurrent layers give is normalized, row by row, before the next layer or the head reads it. */
  readonly layerNorm?: boolean;
  /** Initial input bias of the forget gate. */
  readonly forgetBias?: number;
  /** Draw every parameter uniformly in +-initScale; without it, each as PyTorch does. */
  readonly initScale?: number | undefined;
  /**
   * Operands of the forward products x W^T, h U^T and of the head, in training and after: float32, or rounded to bf16
   * with sums in float32, on engines that can. Everything else is float32 either way.
   */
  readonly forward?: Forward | undefined;
  readonly output: OutputSpec;
}

export const FORWARDS = ["f32", "bf16"] as const;
export type Forward = (typeof FORWARDS)[number];

export interface ModelShape {
  /** Largest number of time steps of a pass. */
  readonly T: number;
  /** Largest number of lanes of a pass. */
  readonly B: number;
  /** f64 only on engine js. */
  readonly real?: "f32" | "f64";
  /**
   * Time steps a recurrent layer keeps its gates for; backward computes those of earlier steps again, a segment of
   * so many at a time. Less memory for a third more products or less; the same function. 0: all are kept.
   */
  readonly recompute?: number;
}

export class Model {
  readonly spec: ModelSpec;
  readonly arena: Arena;
  readonly kernels: Kernels;
  readonly layers: readonly Module[];
  /** Of bidirectional layers both directions, forward first. */
  readonly recurrent: readonly RecurrentLayer[];
  readonly head: Head;
  /** What the next forward pass reads: (T*B) token numbers, or (T*B, size) features. */
  readonly input: Input;
  /** (B): positions of each lane that are there. A new model's are T. */
  readonly lengths: IntTensor;
  readonly parameters: readonly Parameter[];
  readonly sites: readonly DropSite[];
  /** Carried states of all layers. */
  readonly carried: readonly Tensor[];
  readonly macs: readonly ProductMacs[];
  /** The pass at the model's largest shape, in training. */
  readonly pass: Pass;
  /** Milliseconds of the last `lossAndGradient`. */
  readonly timing = { forwardMs: 0, backwardMs: 0 };
  readonly #weights: readonly Weight[];
  readonly #rowsOfWeights: readonly (RowSet | undefined)[];
  #buffers: BatchBuffers | undefined;

  constructor(engine: Engine, spec: ModelSpec, { T, B, real = "f32", recompute = 0 }: ModelShape) {
    for (const [name, value] of Object.entries({
      numLayers: spec.numLayers,
      hiddenSize: spec.hiddenSize,
      "sequence length T": T,
      "batch size B": B,
    }))
      check(Number.isInteger(value) && value > 0, `${name} is ${value}; give a whole number of at least 1.`);
    check(
      Number.isInteger(recompute) && recompute >= 0,
      `recompute is ${recompute}; give a whole number of time steps, or 0 to keep all.`,
    );
    check(
      spec.forward === undefined || FORWARDS.includes(spec.forward),
      `forward is ${spec.forward}; use one of: ${FORWARDS.join(", ")}.`,
    );
    checkDropout(spec);
    this.spec = spec;
    this.arena = new Arena(real);
    this.kernels = engine.attach(this.arena);
    const nt = spec.forward === "bf16" ? "bf16" : (true as const);
    const planner: Planner = { arena: this.arena, kernels: this.kernels, T, B, nt };
    const cell = cells[spec.cell];
    const { dropout = 0, inputDropout = 0, dropoutKind = "element" } = spec;

    this.input =
      spec.input.kind === "tokens"
        ? new OneHot(this.arena.ints("tokens", [T * B], "batch"), spec.input.vocabulary)
        : new Rows(this.arena.tensor("features", [T * B, spec.input.size], "batch"));
    this.lengths = this.arena.ints("lengths", [B], "batch");
    const layers: Module[] = [];
    let x: Input = this.input;
    if (x instanceof OneHot && spec.input.kind === "tokens" && spec.input.embedding) {
      const embedding = new Embedding(planner, x, spec.input.embedding);
      layers.push(embedding);
      x = embedding.output;
    }
    const inputTrained = layers.length > 0;
    if (inputDropout > 0 && x instanceof Rows) {
      const mask = new Dropout(planner, "dropout.input", x.tensor.rowLength, inputDropout, dropoutKind);
      layers.push(mask);
      x = mask.output;
    }
    const recurrent: RecurrentLayer[] = [];
    let between: Module[] = []; // norm and dropout of the stream, which the next layer reads
    const width = spec.hiddenSize * (spec.bidirectional ? 2 : 1);
    for (let index = 0; index < spec.numLayers; index++) {
      const options: RecurrentOptions = {
        name: cell.name,
        index,
        input: x,
        hiddenSize: spec.hiddenSize,
        forgetBias: spec.forgetBias ?? 1,
        needsInputGradient: index > 0 || inputTrained,
        recurrentDropout: spec.recurrentDropout ?? 0,
        segment: recompute,
      };
      const final = index === spec.numLayers - 1 && spec.output.positions === "last";
      const layer: RecurrentLayer | BidirectionalLayer = spec.bidirectional
        ? new BidirectionalLayer(planner, cell, options, final)
        : new RecurrentLayer(planner, cell, options);
      recurrent.push(...(layer instanceof BidirectionalLayer ? layer.directions : [layer]));
      let stream = layer.output; // before norm and dropout
      if (spec.residual && index > 0) {
        const residual = new Residual(planner, `residual.l${index}`, width, [...between, layer]);
        layers.push(residual);
        stream = residual.output;
      } else layers.push(...between, layer);
      between = [];
      x = stream;
      if (spec.layerNorm) {
        const norm = new LayerNorm(planner, `norm.l${index}`, width);
        between.push(norm);
        x = norm.output;
      }
      if (dropout > 0) {
        const mask = new Dropout(planner, `dropout.l${index}`, width, dropout, dropoutKind);
        between.push(mask);
        x = mask.output;
      }
    }
    layers.push(...between);
    this.layers = layers;
    this.recurrent = recurrent;
    this.head = new Head(planner, x as Rows, spec.output);
    this.parameters = [...layers.flatMap((layer) => layer.parameters), ...this.head.parameters];
    this.sites = layers.flatMap((layer) => layer.sites);
    this.macs = [...layers.flatMap((layer) => layer.macs), ...this.head.macs];
    this.carried = recurrent.flatMap((layer) => layer.carried);
    this.#weights = [...layers.flatMap((layer) => layer.weights), ...this.head.weights];
    this.#rowsOfWeights = this.#weights.map(
      ({ tensor }) => this.parameters.find(({ value }) => value === tensor)?.rows,
    );
    this.pass = { T, B, training: true, step: 0, seed: 0 };
  }

  /** Allocates the arena and draws every parameter. */
  initialize(seed: number): void {
    this.arena.allocate();
    this.draw(seed);
  }

  /** Every parameter anew, from the stream "init" of `seed`. */
  draw(seed: number): void {
    const random = new RandomStream(seed, "init");
    const { initScale } = this.spec;
    for (const layer of this.layers) layer.initialize(random, initScale);
    this.head.initialize(random, initScale);
    this.pass.seed = seed;
    this.lengths.data.fill(this.pass.T);
    this.pass.lengths = this.lengths.data;
    this.pack();
  }

  /** The buffers a batch cursor fills. */
  buffers(): BatchBuffers {
    this.#buffers ??= {
      tokens: this.input instanceof OneHot ? this.tokens.data : undefined,
      features: this.input instanceof OneHot ? undefined : this.features.data,
      targets: this.head.targets.data,
      lengths: this.lengths.data,
    };
    return this.#buffers;
  }

  get tokens(): IntTensor {
    if (!(this.input instanceof OneHot)) throw new Error("this model reads features, not tokens");
    return this.input.index;
  }

  get features(): Tensor {
    if (this.input instanceof OneHot) throw new Error("this model reads tokens, not features");
    return this.input.tensor;
  }

  /** Number of trained numbers. */
  get size(): number {
    return this.parameters.reduce((sum, { value }) => sum + value.length, 0);
  }

  /**
   * Refreshes engines' packed weights: after any change of parameter values. `byRows`: a parameter with an account of
   * its gradient's rows has changed in no others.
   */
  pack(byRows = false): void {
    for (let w = 0; w < this.#weights.length; w++)
      this.kernels.pack(this.#weights[w]!, byRows ? this.#rowsOfWeights[w] : undefined);
  }

  /** Carried states to zero: the start of a text. */
  resetCarried(): void {
    for (const state of this.carried) state.data.fill(0);
  }

  clearGradients(): void {
    for (const { gradient, rows } of this.parameters) {
      this.kernels.clear(gradient, rows);
      rows?.clear();
    }
  }

  forward(pass: Pass): Rows {
    checkLengths(pass);
    let x: Input = this.input;
    for (const layer of this.layers) x = layer.forward(x, pass);
    return x as Rows;
  }

  /** Mean loss of the batch in `input` and `head.targets`; adds every parameter's gradient. */
  lossAndGradient(pass: Pass): number {
    const began = performance.now();
    const y = this.forward(pass);
    const loss = this.head.lossAndGradient(y, pass);
    const middle = performance.now();
    let dy: Rows | undefined = this.head.dx;
    for (let i = this.layers.length - 1; i >= 0 && dy; i--) dy = (this.layers[i] as Module).backward(dy, pass);
    this.timing.forwardMs = middle - began - this.head.backwardMs;
    this.timing.backwardMs = performance.now() - middle + this.head.backwardMs;
    return loss;
  }
}

function checkDropout(spec: ModelSpec): void {
  const { inputDropout = 0, dropoutKind = "element", input, cell } = spec;
  check(DROPOUT_KINDS.includes(dropoutKind), `dropoutKind is ${dropoutKind}; use one of: ${DROPOUT_KINDS.join(", ")}.`);
  for (const name of ["dropout", "inputDropout", "recurrentDropout"] as const) {
    const { [name]: share = 0 } = spec;
    check(share >= 0 && share < 1, `${name} is ${share}; give a number from 0 up to, not including, 1.`);
  }
  check(
    inputDropout === 0 || input.kind === "features" || input.embedding,
    "inputDropout drops from the rows of an embedding or from features, and this model reads one-hot tokens. Give it an embedding, or inputDropout 0.",
  );
  check(
    !spec.recurrentDropout || cells[cell].hiddenProduct !== "none",
    `recurrentDropout drops from what U sees, and a ${cell} has no hidden product. Use recurrentDropout 0.`,
  );
}
