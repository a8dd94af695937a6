/**
 * What policies that steer by the weights' gradient need of the trainer: some entries of it after
 * every step, and now and then a dense backward of the same batch beside the one under the rules.
 */
import type { Tensor } from "../core/arena.ts";
import { counterHash, streamKey } from "../core/random.ts";
import type { Model } from "../nn/model.ts";
import type { DropSite } from "../nn/module.ts";
import type { SitePolicy } from "../sparse/policy.ts";
import type { RuleKind } from "../sparse/rule.ts";

interface Watched {
  readonly policy: SitePolicy;
  /** Entry i of a sample is entry `places[i]` of tensor `tensors[i % tensors.length]`. */
  readonly tensors: readonly Tensor[];
  readonly places: Int32Array;
  readonly dense: Float64Array;
}

export class GradientWatch {
  readonly #model: Model;
  readonly #sites: readonly DropSite[];
  readonly #watched: readonly Watched[];
  readonly #clearGradients: () => void;
  readonly #carried: readonly (Float32Array | Float64Array)[];
  readonly #kinds: RuleKind[];
  /** MACs that the pass under the rules executed, when a probe made a second one. */
  readonly #executed: Float64Array;

  /** After the model's arena was allocated. */
  constructor(model: Model, sites: readonly DropSite[], policies: readonly SitePolicy[], clearGradients: () => void) {
    this.#model = model;
    this.#clearGradients = clearGradients;
    this.#sites = sites;
    this.#watched = policies.flatMap((policy, index) =>
      policy.watch ? [watched(policy, sites[index] as DropSite, policy.watch.sample.length)] : [],
    );
    const probing = this.#watched.length > 0;
    this.#carried = probing ? model.carried.map(({ data }) => data.slice()) : [];
    this.#kinds = sites.map(() => "keep");
    this.#executed = new Float64Array(model.macs.length);
  }

  /** Loss and gradient of the model's batch; where a policy asks for it, of a dense backward, compared with that under the rules. */
  lossAndGradient(step: number): number {
    const model = this.#model;
    const asked = this.#watched.some(({ policy }) => policy.probes?.(step));
    if (!asked) {
      const loss = model.lossAndGradient(model.pass);
      for (const { policy, tensors, places } of this.#watched) {
        read(tensors, places, (policy.watch as { sample: Float64Array }).sample);
        policy.learnGradient?.();
      }
      return loss;
    }
    return this.#probe(step);
  }

  #probe(step: number): number {
    const model = this.#model;
    for (const [index, { data }] of model.carried.entries()) this.#carried[index]?.set(data as Float32Array);
    model.lossAndGradient(model.pass);
    for (const [index, { executed }] of model.macs.entries()) this.#executed[index] = executed;
    const { forwardMs, backwardMs } = model.timing;
    for (const { policy, tensors, places } of this.#watched)
      read(tensors, places, (policy.watch as { sample: Float64Array }).sample);

    for (const [index, { data }] of model.carried.entries()) data.set(this.#carried[index] as Float32Array);
    this.#clearGradients();
    for (const [index, { rule }] of this.#sites.entries()) {
      this.#kinds[index] = rule.kind;
      rule.kind = "keep";
    }
    const loss = model.lossAndGradient(model.pass);
    for (const [index, { rule }] of this.#sites.entries()) rule.kind = this.#kinds[index] as RuleKind;
    for (const [index, product] of model.macs.entries()) product.executed += this.#executed[index] as number;
    model.timing.forwardMs += forwardMs;
    model.timing.backwardMs += backwardMs;

    for (const { policy, tensors, places, dense } of this.#watched) {
      read(tensors, places, dense);
      policy.compare?.(step, dense);
      (policy.watch as { sample: Float64Array }).sample.set(dense);
      policy.learnGradient?.();
    }
    return loss;
  }
}

function watched(policy: SitePolicy, { site, weights }: DropSite, count: number): Watched {
  const tensors = weights.map(({ gradient }) => gradient);
  const key = streamKey(0, `watch.${site.name}`, 0);
  const places = Int32Array.from(
    { length: count },
    (_, i) => counterHash(key, i) % (tensors[i % tensors.length] as Tensor).length,
  );
  return { policy, tensors, places, dense: new Float64Array(count) };
}

function read(tensors: readonly Tensor[], places: Int32Array, out: Float64Array): void {
  for (let i = 0; i < out.length; i++)
    out[i] = (tensors[i % tensors.length] as Tensor).data[places[i] as number] as number;
}
