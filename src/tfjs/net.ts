/**
 * One recurrent layer of TensorFlow.js on an engine: arrays in, arrays out. It knows Keras' layout of weights and a batch's
 * positions, and nothing of tensors of TensorFlow.js.
 *
 * All memory is laid out for the largest batch seen so far, and anew for a larger one. What forward leaves is overwritten by
 * the next forward and by backward: who wants a backward pass of an earlier forward makes that once more (`stamp`).
 */
import { Arena, type Tensor } from "../core/arena.ts";
import { check } from "../core/check.ts";
import type { Engine, Kernels } from "../kernels/kernels.ts";
import type { GateActivation } from "../nn/cells/gates.ts";
import { hardLstm } from "../nn/cells/hard-lstm.ts";
import { lstm } from "../nn/cells/lstm.ts";
import { type DropSite, type Parameter, type Pass, type Planner, Rows } from "../nn/module.ts";
import { RecurrentLayer } from "../nn/recurrent.ts";
import { ResetBeforeLayer } from "../nn/reset-before.ts";
import type { Policy, SitePolicy } from "../sparse/policy.ts";
import type { Positions } from "./positions.ts";

export interface NetOptions {
  readonly kind: "lstm" | "gru";
  /** Names the stream of a policy's draws. */
  readonly name: string;
  readonly gate: GateActivation;
  /** I and H. */
  readonly inputSize: number;
  readonly units: number;
  readonly policy: Policy;
  readonly seed: number;
  /** Length of the run, for policies with a schedule. */
  readonly maxSteps: number;
  /** Largest batch. */
  readonly T: number;
  readonly B: number;
  /** Whether gradients flow through the states, in from the last and out to the first ones. */
  readonly stateGradients: boolean;
}

/** In Keras' layout: kernel (I, G*H), recurrent (H, G*H), bias (G*H) or none; gates i, f, c, o or z, r, h. */
export interface KerasWeights<A = Float32Array> {
  readonly kernel: A;
  readonly recurrent: A;
  readonly bias: A | undefined;
}

export interface NetGradients extends KerasWeights {
  /** (B, T, I) */
  readonly x: Float32Array;
  /** Of the initial states, (B, H) each; with `stateGradients`. */
  readonly states: readonly Float32Array[];
}

/** Columns of Keras' matrices that are one of ours, turned. */
interface Part {
  readonly from: number;
  readonly weightIH: Parameter;
  readonly weightHH: Parameter;
  readonly bias: Parameter;
}

export class RecurrentNet {
  readonly options: NetOptions;
  readonly sites: readonly DropSite[];
  readonly policies: readonly SitePolicy[];
  readonly layer: RecurrentLayer | ResetBeforeLayer;
  /** Changes with every forward and backward: what forward left is there as long as it is the same. */
  stamp = 0;
  readonly #kernels: Kernels;
  readonly #x: Rows; // (T*B, I)
  readonly #dy: Rows; // (T*B, H)
  readonly #parts: readonly Part[];
  readonly #pass: Pass;

  constructor(engine: Engine, options: NetOptions) {
    const { kind, name, gate, inputSize, units, policy, seed, maxSteps, T, B, stateGradients } = options;
    const arena = new Arena();
    const kernels = engine.attach(arena);
    const planner: Planner = { arena, kernels, T, B, nt: true };
    const input = new Rows(arena.tensor("features", [T * B, inputSize], "batch"));
    const common = { name, input, hiddenSize: units, needsInputGradient: true, stateGradients };
    const cell = gate.name === "sigmoid" ? lstm : hardLstm;
    this.options = options;
    this.layer =
      kind === "lstm"
        ? new RecurrentLayer(planner, cell, { ...common, index: 0, forgetBias: 1 })
        : new ResetBeforeLayer(planner, { ...common, gate });
    this.#dy = new Rows(arena.tensor("dy", [T * B, units], "workspace"));
    this.sites = this.layer.sites;
    this.policies = this.sites.map((drop) => {
      drop.planPaths(policy.paths ?? "both");
      return policy.start({ site: drop.site, seed, maxSteps, arena });
    });
    check(
      !this.policies.some(({ watch }) => watch),
      `policy ${policy.name} steers by a trainer's gradients; use another, as stochastic:0.98.`,
    );
    arena.allocate();
    this.#kernels = kernels;
    this.#x = input;
    this.#parts = partsOf(this.layer, kind);
    this.#pass = { T, B, training: true, step: 0, seed };
  }

  /** Takes weights over. */
  load({ kernel, recurrent, bias }: KerasWeights): void {
    const columns = this.#columns;
    for (const part of this.#parts) {
      turnIn(part.weightIH.value, kernel, columns, part.from);
      turnIn(part.weightHH.value, recurrent, columns, part.from);
      const { data } = part.bias.value;
      if (bias) data.set(bias.subarray(part.from, part.from + data.length));
      else data.fill(0);
    }
    for (const weight of this.layer.weights) this.#kernels.pack(weight);
  }

  get #columns(): number {
    return this.#parts.reduce((sum, { bias }) => sum + bias.value.length, 0);
  }

  /**
   * x (B, T, I), states (B, H) each or none for zeros, to outputs (B, S, H): h of all t, or with `sequences` off of the
   * last alone; then with `state` c of the last, of cells that have one.
   */
  forward(
    x: Float32Array,
    states: readonly Float32Array[] | undefined,
    where: Positions,
    sequences: boolean,
    state: boolean,
  ): Float32Array {
    const { layer } = this;
    const { T, B } = where;
    const H = this.options.units;
    this.#begin(where);
    copyRows(this.#x.tensor, where.source, x);
    for (const [s, carried] of layer.carried.entries()) {
      if (states) carried.data.set(states[s] as Float32Array);
      else carried.data.fill(0, 0, B * H);
    }
    layer.forward(this.#x, this.#pass);
    this.stamp++;

    const h = layer.output.tensor.data;
    const c = state ? layer.carried[1]?.data : undefined;
    const steps = sequences ? T : 1;
    const S = steps + (c ? 1 : 0);
    const out = new Float32Array(B * S * H);
    for (let b = 0; b < B; b++) {
      for (let s = 0; s < steps; s++) {
        const row = where.target[b * T + (sequences ? s : T - 1)] as number;
        copy(out, (b * S + s) * H, h, row * H, H);
      }
      if (c) copy(out, (b * S + steps) * H, c, b * H, H);
    }
    return out;
  }

  /** Gradients of the forward pass just made; `dy` like its outputs. */
  backward(dy: Float32Array, where: Positions, sequences: boolean, state: boolean): NetGradients {
    const { layer, policies, sites } = this;
    const { stateGradients, units: H, inputSize: I } = this.options;
    const { T, B } = where;
    this.#begin(where);
    const initial = new Float32Array(B * H); // what outputs before a lane's first position give h0
    this.#loadGradients(dy, where, sequences, state, initial);
    for (let s = 0; s < policies.length; s++) policies[s]!.plan(this.#pass.step, sites[s]!.rule);
    for (const { gradient } of layer.parameters) this.#kernels.clear(gradient);
    const dx = layer.backward(this.#dy, this.#pass) as Rows;
    for (let s = 0; s < policies.length; s++) policies[s]!.learn(sites[s]!.statistics);
    this.#pass.step++;
    this.stamp++;

    const x = new Float32Array(B * T * I);
    for (let row = 0; row < T * B; row++) {
      const to = where.source[row] as number;
      if (to >= 0) copy(x, to * I, dx.tensor.data, row * I, I);
    }
    const states = stateGradients
      ? layer.stateGradients.map(({ data }) => Float32Array.from(data.subarray(0, B * H)))
      : [];
    if (states[0]) for (let i = 0; i < initial.length; i++) states[0][i]! += initial[i]!;
    return { x, states, ...this.#weightGradients() };
  }

  #begin({ T, B, lengths }: Positions): void {
    this.#pass.T = T;
    this.#pass.B = B;
    this.#pass.lengths = lengths;
  }

  #loadGradients(dy: Float32Array, where: Positions, sequences: boolean, state: boolean, initial: Float32Array): void {
    const { layer } = this;
    const { T, B, target } = where;
    const H = this.options.units;
    const rows = this.#dy.tensor.data;
    const dStates = layer.stateGradients;
    const dc = state ? dStates[1]?.data : undefined;
    const steps = sequences ? T : 1;
    const S = steps + (dc ? 1 : 0);
    rows.fill(0, 0, T * B * H);
    for (const { data } of dStates) data.fill(0, 0, B * H);
    for (let b = 0; b < B; b++) {
      for (let s = 0; s < steps; s++) {
        const row = (target[b * T + (sequences ? s : T - 1)] as number) - B;
        if (row >= 0) add(rows, row * H, dy, (b * S + s) * H, H);
        else add(initial, b * H, dy, (b * S + s) * H, H);
      }
      if (dc) copy(dc, b * H, dy, (b * S + steps) * H, H);
    }
  }

  #weightGradients(): KerasWeights {
    const { inputSize: I, units: H } = this.options;
    const columns = this.#columns;
    const kernel = new Float32Array(I * columns);
    const recurrent = new Float32Array(H * columns);
    const bias = new Float32Array(columns);
    for (const part of this.#parts) {
      turnOut(kernel, columns, part.from, part.weightIH.gradient);
      turnOut(recurrent, columns, part.from, part.weightHH.gradient);
      bias.set(part.bias.gradient.data, part.from);
    }
    return { kernel, recurrent, bias };
  }

  /** A new net for larger batches: policies go on where they are, but for what they keep for each row. */
  regrown(engine: Engine, T: number, B: number, stateGradients: boolean): RecurrentNet {
    const net = new RecurrentNet(engine, { ...this.options, T, B, stateGradients });
    for (const [s, policy] of net.policies.entries()) policy.load(this.policies[s]!.save());
    net.#pass.step = this.#pass.step;
    return net;
  }
}

/** LSTM has the pair of biases that PyTorch has; the second stays zero. */
function partsOf({ parameters }: RecurrentLayer | ResetBeforeLayer, kind: "lstm" | "gru"): Part[] {
  const stride = kind === "lstm" ? 4 : 3;
  const parts: Part[] = [];
  for (let p = 0, from = 0; p < parameters.length; p += stride) {
    const [weightIH, weightHH, bias] = parameters.slice(p, p + 3) as [Parameter, Parameter, Parameter];
    parts.push({ from, weightIH, weightHH, bias });
    from += bias.value.length;
  }
  return parts;
}

const TILE = 32; // of a matrix that is turned: both sides then stay in the first-level cache

/** to (N, K) = columns [from, from + N) of matrix (K, columns), turned. */
function turnIn(to: Tensor, matrix: Float32Array, columns: number, from: number): void {
  const [N, K] = to.shape as [number, number];
  const { data } = to;
  for (let n0 = 0; n0 < N; n0 += TILE)
    for (let k0 = 0; k0 < K; k0 += TILE)
      for (let n = n0; n < Math.min(N, n0 + TILE); n++)
        for (let k = k0; k < Math.min(K, k0 + TILE); k++) data[n * K + k] = matrix[k * columns + from + n] as number;
}

/** The way back. */
function turnOut(matrix: Float32Array, columns: number, from: number, { shape, data }: Tensor): void {
  const [N, K] = shape as [number, number];
  for (let n0 = 0; n0 < N; n0 += TILE)
    for (let k0 = 0; k0 < K; k0 += TILE)
      for (let k = k0; k < Math.min(K, k0 + TILE); k++)
        for (let n = n0; n < Math.min(N, n0 + TILE); n++) matrix[k * columns + from + n] = data[n * K + k] as number;
}

/** Row r of `to` = row source[r] of `from`, or zeros. */
function copyRows(to: Tensor, source: Int32Array, from: Float32Array): void {
  const width = to.rowLength;
  for (let row = 0; row < source.length; row++) {
    const at = source[row] as number;
    if (at >= 0) copy(to.data, row * width, from, at * width, width);
    else to.data.fill(0, row * width, (row + 1) * width);
  }
}

type Floats = Float32Array | Float64Array;

/** Rows are short: a loop is faster than `set` of a view. */
function copy(to: Floats, at: number, from: Floats, start: number, width: number): void {
  for (let i = 0; i < width; i++) to[at + i] = from[start + i] as number;
}

function add(to: Floats, at: number, from: Floats, start: number, width: number): void {
  for (let i = 0; i < width; i++) to[at + i]! += from[start + i]!;
}
