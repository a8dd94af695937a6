/**
 * One sequence read, another written: an encoder, a decoder that begins with the states the encoder ended with, and
 * attention over all that the encoder put out. A composite that calls its children explicitly.
 *
 *   forward    memory = encoder(source);  decoder states = encoder's last;  h = decoder(x);  y = attention(h, memory)
 *   backward   attention: dh, dMemory;  decoder: dx, and dLoss/d(first states), which are the encoder's last;
 *              encoder: from dMemory and those
 *
 * Both stacks have the same cell, layers and width: a bidirectional encoder has half as many units in each direction, so
 * that both directions together are as wide as the decoder. Sources are read up to their lengths, right padded.
 *
 * Names are PyTorch's with "encoder." and "decoder." before them: "encoder.lstm.weight_ih_l0".
 */
import type { Arena, IntTensor } from "../core/arena.ts";
import { check } from "../core/check.ts";
import type { RandomStream } from "../core/random.ts";
import type { Weight } from "../kernels/kernels.ts";
import type { ProductMacs } from "../sparse/macs.ts";
import type { SourceBuffers, SourceSpec } from "../tasks/task.ts";
import { Attention, type AttentionKind } from "./attention.ts";
import { BidirectionalLayer } from "./bidirectional.ts";
import type { Cell } from "./cell.ts";
import { Dropout } from "./dropout.ts";
import { Embedding } from "./embedding.ts";
import {
  clearRows,
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
import { RecurrentLayer } from "./recurrent.ts";
import { RowCopies } from "./row-copies.ts";

export interface EncoderDecoderOptions {
  readonly source: SourceSpec;
  /** What the decoder reads: (T*B) tokens, each written one position later. */
  readonly input: Input;
  /** Columns of a trained embedding of the decoder's tokens; 0: one-hot. */
  readonly embedding: number;
  readonly cell: Cell;
  /** Of the decoder; of the encoder in both directions together. */
  readonly hiddenSize: number;
  readonly numLayers: number;
  /** The encoder reads from both ends. */
  readonly bidirectional: boolean;
  readonly attention: AttentionKind;
  /** Between layers, and before the head. */
  readonly dropout: number;
  readonly forgetBias: number;
  /** Time steps whose gates are kept; 0: all. */
  readonly recompute: number;
}

/** A stack of modules, each reading the one before. */
interface Stack {
  readonly modules: readonly Module[];
  readonly layers: readonly (RecurrentLayer | BidirectionalLayer)[];
  readonly output: Rows;
}

export class EncoderDecoder implements Module {
  readonly name = "encoderDecoder";
  readonly parameters: readonly Parameter[];
  readonly weights: readonly Weight[];
  readonly sites: readonly DropSite[];
  readonly macs: readonly ProductMacs[];
  /** Of the encoder, then of the decoder. */
  readonly recurrent: readonly RecurrentLayer[];
  readonly attention: Attention | undefined;
  /** What the head reads, (T*B, H). */
  readonly output: Rows;
  /** What the next pass of the encoder reads, and (B) the lengths of it. */
  readonly source: Input;
  readonly sourceLengths: IntTensor;
  readonly #encoder: Stack;
  readonly #decoder: Stack;
  readonly #mask: Dropout | undefined; // before the head
  readonly #directions: readonly (readonly RecurrentLayer[])[]; // of each layer of the encoder
  readonly #states: readonly RecurrentLayer[]; // of the decoder
  readonly #hiddenSize: number;
  readonly #copies: RowCopies;
  readonly #noMemory: Rows | undefined; // without attention nothing of dMemory comes
  readonly #pass: Pass; // of the encoder, filled before each pass

  constructor(planner: Planner, options: EncoderDecoderOptions) {
    const { arena, T, B } = planner;
    const { source, input, hiddenSize: H, bidirectional, attention, dropout } = options;
    check(
      Number.isInteger(source.length) && source.length >= 1,
      `the source's length is ${source.length}; give a whole number of at least 1.`,
    );
    check(
      !bidirectional || H % 2 === 0,
      `hiddenSize is ${H}; a bidirectional encoder has half of the decoder's units in each direction: give an even number.`,
    );
    this.#hiddenSize = H;
    this.#copies = new RowCopies(arena);
    this.source = planInput(arena, source, source.length * B);
    this.sourceLengths = arena.ints("source.lengths", [B], "batch");
    const encoderPlanner = { ...planner, T: source.length };
    this.#encoder = stack(encoderPlanner, "encoder", this.source, embeddingOf(source), options, bidirectional);
    this.#decoder = stack(planner, "decoder", input, options.embedding, options, false);
    const last = this.#decoder.layers.at(-1) as RecurrentLayer;
    this.attention =
      attention === "none"
        ? undefined
        : new Attention(planner, {
            kind: attention,
            input: this.#decoder.output,
            memorySize: H,
            sourceLength: source.length,
            below: last.sites[0]!.weights,
          });
    this.#noMemory = this.attention
      ? undefined
      : new Rows(arena.tensor("encoder.dOutput", [source.length * B, H], "workspace"));
    this.#mask = dropout > 0 ? new Dropout(planner, "dropout", H, dropout) : undefined;
    this.output = (this.#mask ?? this.attention ?? this.#decoder).output;
    this.#states = this.#decoder.layers as readonly RecurrentLayer[];
    this.#directions = this.#encoder.layers.map((layer) =>
      layer instanceof BidirectionalLayer ? layer.directions : [layer],
    );
    this.recurrent = [...this.#directions.flat(), ...this.#states];
    const all = [...this.#encoder.modules, ...this.#decoder.modules, ...(this.attention ? [this.attention] : [])];
    this.parameters = all.flatMap(({ parameters }) => parameters);
    this.weights = all.flatMap(({ weights }) => weights);
    this.sites = all.flatMap(({ sites }) => sites);
    this.macs = all.flatMap(({ macs }) => macs);
    this.#pass = { T, B, training: false, step: 0, seed: 0, lengths: undefined };
    arena.whenAllocated(() => this.sourceLengths.data.fill(source.length));
  }

  denseMacs(rows: number): number {
    return this.attention?.denseMacs(rows) ?? 0;
  }

  initialize(random: RandomStream, scale?: number): void {
    for (const module of this.#encoder.modules) module.initialize(random, scale);
    for (const module of this.#decoder.modules) module.initialize(random, scale);
    this.attention?.initialize(random, scale);
  }

  /** The buffers a batch cursor fills. */
  buffers(): SourceBuffers {
    const { source } = this;
    return {
      tokens: source instanceof OneHot ? source.index.data : undefined,
      features: source instanceof OneHot ? undefined : source.tensor.data,
      lengths: this.sourceLengths.data,
    };
  }

  /** Positions and lengths that the last `encode` read. */
  get sourcePass(): Readonly<Pass> {
    return this.#pass;
  }

  /** What the last `encode` put out, (S*B, H), block s = position s; past a source's end it means nothing. */
  get memory(): Rows {
    return this.#encoder.output;
  }

  forward(x: Input, pass: Pass): Rows {
    this.encode(pass);
    return this.decode(x, pass);
  }

  /** Reads the sources of a pass's lanes; the next `decode` begins with what was read. */
  encode({ B, training, step, seed, watcher }: Pass): void {
    const { data: lengths } = this.sourceLengths;
    const pass = this.#pass;
    let longest = 1;
    for (let b = 0; b < B; b++) longest = Math.max(longest, lengths[b]!);
    pass.T = longest;
    pass.B = B;
    pass.lengths = lengths;
    pass.training = training;
    pass.step = step;
    pass.seed = seed;
    pass.watcher = watcher;
    checkLengths(pass);
    for (const directions of this.#directions)
      for (const { carried } of directions) for (const state of carried) clearRows(state, B);
    let memory: Input = this.source;
    for (const module of this.#encoder.modules) memory = module.forward(memory, pass);
    this.attention?.remember(memory as Rows, pass);
    for (let l = 0; l < this.#states.length; l++) this.#begin(l, B);
  }

  /** From the states it holds on: those `encode` left, or where the decode before ended. Returns what the head reads. */
  decode(x: Input, pass: Pass): Rows {
    let h = x;
    for (const module of this.#decoder.modules) h = module.forward(h, pass);
    if (this.attention) h = this.attention.forward(h as Rows, pass);
    if (this.#mask) h = this.#mask.forward(h, pass);
    return h as Rows;
  }

  /** Lane b of B goes on as lane `from[b]` was: for a beam. Their sources must be the same. */
  reorder(from: ArrayLike<number>, B: number): void {
    for (const { carried } of this.#states)
      for (const { data, rowLength } of carried) {
        const old = data.slice(0, B * rowLength);
        for (let b = 0; b < B; b++)
          data.set(old.subarray(from[b]! * rowLength, (from[b]! + 1) * rowLength), b * rowLength);
      }
  }

  backward(dy: Rows, pass: Pass): undefined {
    const { B } = pass;
    const source = this.#pass;
    let dh = this.#mask ? this.#mask.backward(dy, pass) : dy;
    let dMemory = this.#noMemory;
    if (this.attention) {
      dh = this.attention.backward(dh, pass, source);
      dMemory = this.attention.dMemory;
    }
    for (const { stateGradients } of this.#states) for (const gradient of stateGradients) clearRows(gradient, B);
    backwardThrough(this.#decoder, dh, pass);
    for (let l = 0; l < this.#states.length; l++) this.#passGradients(l, B);
    backwardThrough(this.#encoder, dMemory as Rows, source);
  }

  /** Layer l of the decoder begins where the encoder's ended, its directions side by side. */
  #begin(l: number, B: number): void {
    const from = this.#directions[l]!;
    const to = this.#states[l]!.carried;
    const width = this.#hiddenSize / from.length;
    for (let s = 0; s < to.length; s++)
      for (let d = 0; d < from.length; d++)
        for (let b = 0; b < B; b++) this.#copies.copy(to[s]!, b, d * width, from[d]!.carried[s]!, b, 0, width);
  }

  /** The same way back. */
  #passGradients(l: number, B: number): void {
    const from = this.#states[l]!.stateGradients;
    const to = this.#directions[l]!;
    const width = this.#hiddenSize / to.length;
    for (let s = 0; s < from.length; s++)
      for (let d = 0; d < to.length; d++)
        for (let b = 0; b < B; b++) this.#copies.copy(to[d]!.stateGradients[s]!, b, 0, from[s]!, b, d * width, width);
  }
}

/** Buffers of what a net reads, of so many rows. */
function planInput(arena: Arena, spec: SourceSpec, rows: number): Input {
  return spec.kind === "tokens"
    ? new OneHot(arena.ints("source.tokens", [rows], "batch"), spec.vocabulary)
    : new Rows(arena.tensor("source.features", [rows, spec.size], "batch"));
}

function embeddingOf(source: SourceSpec): number {
  return source.kind === "tokens" ? (source.embedding ?? 0) : 0;
}

function stack(
  planner: Planner,
  name: "encoder" | "decoder",
  input: Input,
  embedding: number,
  { cell, hiddenSize, numLayers, dropout, forgetBias, recompute }: EncoderDecoderOptions,
  bidirectional: boolean,
): Stack {
  const modules: Module[] = [];
  const layers: (RecurrentLayer | BidirectionalLayer)[] = [];
  let x = input;
  if (x instanceof OneHot && embedding > 0) {
    const table = new Embedding(planner, x, embedding, `${name}.embedding`);
    modules.push(table);
    x = table.output;
  }
  for (let index = 0; index < numLayers; index++) {
    if (index > 0 && dropout > 0 && x instanceof Rows) {
      const mask = new Dropout(planner, `${name}.dropout.l${index - 1}`, hiddenSize, dropout);
      modules.push(mask);
      x = mask.output;
    }
    const options = {
      name: `${name}.${cell.name}`,
      index,
      input: x,
      hiddenSize: bidirectional ? hiddenSize / 2 : hiddenSize,
      forgetBias,
      needsInputGradient: modules.length > 0,
      segment: recompute,
      stateGradients: true,
    };
    const layer = bidirectional
      ? new BidirectionalLayer(planner, cell, options, false)
      : new RecurrentLayer(planner, cell, options);
    modules.push(layer);
    layers.push(layer);
    x = layer.output;
  }
  return { modules, layers, output: x as Rows };
}

function backwardThrough({ modules }: Stack, dy: Rows, pass: Pass): void {
  let d: Rows | undefined = dy;
  for (let i = modules.length - 1; i >= 0 && d; i--) d = modules[i]!.backward(d, pass);
}
