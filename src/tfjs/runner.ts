/**
 * What a layer of TensorFlow.js has of ours: its net, made when the first batch tells the sizes, and what it has seen.
 */
import type { Engine } from "../kernels/kernels.ts";
import type { GateActivation } from "../nn/cells/gates.ts";
import { type MacShares, macShares, type ProductMacs, productMacs } from "../sparse/macs.ts";
import { type SiteObservation, type Sparsity, SparsityTally } from "../sparse/observation.ts";
import type { Policy } from "../sparse/policy.ts";
import { type KerasWeights, type NetGradients, RecurrentNet } from "./net.ts";
import type { Positions } from "./positions.ts";

export interface RunnerOptions {
  readonly kind: "lstm" | "gru";
  readonly name: string;
  readonly gate: GateActivation;
  readonly units: number;
  readonly policy: Policy;
  readonly seed: number;
  readonly maxSteps: number;
}

/** One call of a layer. */
export interface LayerCall {
  /** I */
  readonly inputSize: number;
  readonly where: Positions;
  /** All outputs, or the last alone. */
  readonly sequences: boolean;
  /** Outputs end with c. */
  readonly state: boolean;
  /** Whether gradients flow through the states. */
  readonly stateGradients: boolean;
  /** What the weights are kept in: the same objects hold the same numbers. */
  readonly weightIds: readonly object[];
}

/** Reads a call's tensors, when they are wanted. */
export interface CallData {
  x(): Float32Array;
  weights(): KerasWeights;
  states(): readonly Float32Array[] | undefined;
}

/** What a layer saw in its backward passes since it was made, or since `clear`. */
export interface LayerTelemetry {
  readonly layer: string;
  readonly policy: string;
  readonly engine: string;
  /** Backward passes. */
  readonly steps: number;
  /** Over all sites and steps. */
  readonly sparsity: Sparsity;
  readonly sites: readonly SiteObservation[];
  /** Multiply-accumulates of these steps, forward and backward. */
  readonly macs: MacShares;
}

export class LayerRunner {
  readonly options: RunnerOptions;
  readonly engine: Engine;
  #net: RecurrentNet | undefined;
  #loaded: readonly object[] = [];
  #tally: SparsityTally | undefined;
  #macs: ProductMacs[] = [];
  #steps = 0;

  constructor(engine: Engine, options: RunnerOptions) {
    this.engine = engine;
    this.options = options;
  }

  /** Outputs (B, S, H) of RecurrentNet.forward, and the stamp by which `backward` knows them. */
  forward(call: LayerCall, data: CallData): { out: Float32Array; stamp: number } {
    const net = this.#netFor(call);
    if (call.weightIds.some((id, i) => id !== this.#loaded[i]) || this.#loaded.length !== call.weightIds.length) {
      net.load(data.weights());
      this.#loaded = call.weightIds;
    }
    const out = net.forward(data.x(), data.states(), call.where, call.sequences, call.state);
    return { out, stamp: net.stamp };
  }

  backward(call: LayerCall, data: CallData, dy: Float32Array, stamp: number): NetGradients {
    if (this.#net?.stamp !== stamp || this.#netFor(call) !== this.#net) this.forward(call, data);
    const net = this.#net as RecurrentNet;
    const gradients = net.backward(dy, call.where, call.sequences, call.state);
    this.#observe(net);
    return gradients;
  }

  /** Releases the memory; the next call makes it anew, and policies begin again. */
  dispose(): void {
    this.#net = undefined;
    this.#loaded = [];
  }

  telemetry(): LayerTelemetry {
    const { name, policy } = this.options;
    return {
      layer: name,
      policy: policy.name,
      engine: `${this.engine.name}, ${this.engine.isa}`,
      steps: this.#steps,
      sparsity: (this.#tally ?? new SparsityTally([])).overall(),
      sites: this.#tally?.sites() ?? [],
      macs: macShares(this.#macs),
    };
  }

  clear(): void {
    this.#tally?.clear();
    this.#macs = [];
    this.#steps = 0;
  }

  #netFor({ inputSize, where: { T, B }, stateGradients }: LayerCall): RecurrentNet {
    const net = this.#net;
    if (!net) {
      this.#net = new RecurrentNet(this.engine, { ...this.options, inputSize, T, B, stateGradients });
      this.#tally ??= new SparsityTally(this.#net.sites.map(({ site }) => site));
      return this.#net;
    }
    const { T: mostT, B: mostB, stateGradients: flows } = net.options;
    if (T <= mostT && B <= mostB && (flows || !stateGradients)) return net;
    this.#loaded = [];
    const stamp = net.stamp;
    this.#net = net.regrown(this.engine, Math.max(T, mostT), Math.max(B, mostB), flows || stateGradients);
    this.#net.stamp = stamp + 1; // no stamp given out so far is its
    return this.#net;
  }

  #observe(net: RecurrentNet): void {
    this.#steps++;
    for (const [index, { statistics }] of net.sites.entries()) this.#tally?.add(index, statistics);
    if (this.#macs.length === 0)
      this.#macs = net.layer.macs.map((one) => productMacs(one.layer, one.product, one.direction, one.recurrent));
    for (const [index, seen] of net.layer.macs.entries()) {
      const sum = this.#macs[index] as ProductMacs;
      sum.dense += seen.dense;
      sum.skipped += seen.skipped;
      sum.executed += seen.executed;
    }
  }
}
