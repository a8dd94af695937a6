/**
 * A model: input, the layers of a net (nets.ts), head. One object, one memory, one largest shape (T, B).
 *
 *   const model = new Model(await loadEngine(), spec, { T: 50, B: 50 });
 *   model.initialize(1);            // allocates the arena and draws the weights
 *   model.tokens.data.set(...); model.head.targets.data.set(...);
 *   const loss = model.lossAndGradient(model.pass);
 */
import { Arena, type IntTensor, type Tensor } from "../core/arena.ts";
import { check, choose } from "../core/check.ts";
import { RandomStream } from "../core/random.ts";
import type { RowSet } from "../core/row-set.ts";
import type { Engine, Kernels, Weight } from "../kernels/kernels.ts";
import type { ProductMacs } from "../sparse/macs.ts";
import type { BatchBuffers, InputSpec, OutputSpec, SourceSpec } from "../tasks/task.ts";
import type { AttentionKind } from "./attention.ts";
import { cells } from "./cells.ts";
import { Embedding } from "./embedding.ts";
import { EncoderDecoder } from "./encoder-decoder.ts";
import { Head } from "./head.ts";
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
import { type NetOptions, RECURRENT_ALONE } from "./net.ts";
import { type NetName, nets } from "./nets.ts";
import { checkLengths } from "./padding.ts";
import type { RecurrentLayer } from "./recurrent.ts";

export interface ModelSpec extends NetOptions {
  readonly input: InputSpec;
  /** recurrent if left out. */
  readonly net?: NetName | undefined;
  /** With it the model is an encoder, which reads this, and a decoder (encoder-decoder.ts), of recurrent layers. */
  readonly source?: SourceSpec | undefined;
  /** Of a decoder over what its encoder put out; general if left out. */
  readonly attention?: AttentionKind | undefined;
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
  /** None in other nets; of bidirectional layers both directions, forward first. */
  readonly recurrent: readonly RecurrentLayer[];
  /** Positions a pass must hold so that its last one sees all it may; 1 where states are carried, or nothing is. */
  readonly context: number;
  readonly head: Head;
  /** Of a model with a source. */
  readonly encoderDecoder: EncoderDecoder | undefined;
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
  readonly #trimmed: Pass;
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
    const { net: name = "recurrent" } = spec;
    refuse(name, spec, recompute);
    this.spec = spec;
    this.arena = new Arena(real);
    this.kernels = engine.attach(this.arena);
    const nt = spec.forward === "bf16" ? "bf16" : (true as const);
    const planner: Planner = { arena: this.arena, kernels: this.kernels, T, B, nt };

    this.input =
      spec.input.kind === "tokens"
        ? new OneHot(this.arena.ints("tokens", [T * B], "batch"), spec.input.vocabulary)
        : new Rows(this.arena.tensor("features", [T * B, spec.input.size], "batch"));
    this.lengths = this.arena.ints("lengths", [B], "batch");
    const layers: Module[] = [];
    let x: Input = this.input;
    if (spec.source) {
      const { source, attention = "general", hiddenSize, numLayers, bidirectional = false } = spec;
      const { dropout = 0, forgetBias = 1 } = spec;
      for (const key of RECURRENT_ALONE)
        check(!spec[key], `a model with a source has no ${key}: got ${spec[key]}. Leave it out.`);
      check(name === "recurrent", `a model with a source is recurrent; got net ${name}. Leave net out.`);
      const cell = choose("cell", spec.cell ?? "lstm", cells);
      const shape = { cell, hiddenSize, numLayers, bidirectional, dropout, forgetBias, recompute };
      const embedding = spec.input.kind === "tokens" ? (spec.input.embedding ?? 0) : 0;
      this.encoderDecoder = new EncoderDecoder(planner, { source, input: x, embedding, attention, ...shape });
      layers.push(this.encoderDecoder);
    } else if (x instanceof OneHot && spec.input.kind === "tokens" && spec.input.embedding) {
      const embedding = new Embedding(planner, x, spec.input.embedding);
      layers.push(embedding);
      x = embedding.output;
    }
    const net = this.encoderDecoder
      ? { layers: [], output: this.encoderDecoder.output, recurrent: this.encoderDecoder.recurrent, context: 1 }
      : nets[name].build(planner, { input: x, below: layers.length, output: spec.output, options: spec, recompute });
    this.layers = [...layers, ...net.layers];
    this.recurrent = net.recurrent;
    this.context = net.context;
    this.head = new Head(planner, net.output, spec.output, net.dyRoom);
    this.parameters = [...this.layers.flatMap((layer) => layer.parameters), ...this.head.parameters];
    this.sites = this.layers.flatMap((layer) => layer.sites);
    this.macs = [...this.layers.flatMap((layer) => layer.macs), ...this.head.macs];
    // An encoder begins each pass anew, and a decoder where it ended: nothing is carried on.
    this.carried = this.encoderDecoder ? [] : this.recurrent.flatMap((layer) => layer.carried);
    this.#weights = [...this.layers.flatMap((layer) => layer.weights), ...this.head.weights];
    this.#rowsOfWeights = this.#weights.map(
      ({ tensor }) => this.parameters.find(({ value }) => value === tensor)?.rows,
    );
    this.pass = { T, B, training: true, step: 0, seed: 0 };
    this.#trimmed = { ...this.pass };
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
      source: this.encoderDecoder?.buffers(),
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

  /**
   * The pass, or, where sequences are read and written, one no longer than the longest lane: the positions after it are
   * padding in all of them, and count nowhere. One object, overwritten.
   */
  trim(pass: Pass): Pass {
    const { lengths, T, B } = pass;
    if (!this.encoderDecoder || !lengths) return pass;
    let longest = 1;
    for (let b = 0; b < B; b++) longest = Math.max(longest, lengths[b]!);
    const trimmed = this.#trimmed;
    trimmed.T = Math.min(T, longest);
    trimmed.B = B;
    trimmed.lengths = lengths;
    trimmed.training = pass.training;
    trimmed.step = pass.step;
    trimmed.seed = pass.seed;
    trimmed.watcher = pass.watcher;
    return trimmed;
  }

  /** Mean loss of the batch in `input` and `head.targets`; adds every parameter's gradient. */
  lossAndGradient(whole: Pass): number {
    const began = performance.now();
    const pass = this.trim(whole);
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

/** Options that a net does not have would be lost without a word. */
function refuse(name: NetName, spec: ModelSpec, recompute: number): void {
  const given = { ...spec, recompute };
  for (const key of choose("net", name, nets).refuses)
    check(!given[key], `net ${name} has no ${key}: got ${given[key]}. Leave it out, or use another net.`);
}
