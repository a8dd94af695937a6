/**
 * What policies that steer by the weights' gradient need of the trainer: some entries of it after
 * every step, and now and then a dense backward of the same batch beside the one under the rules.
 */
import type { Tensor } from "../core/arena.ts";
import { counterHash, streamKey } from "../core/random.ts";
import type { Model } from "../nn/model.ts";
import type { DropSite } from "../nn/module.ts";
import type { GradientWatch, SitePolicy } from "../sparse/policy.ts";
import { DensePass } from "./dense-pass.ts";

interface Watched {
  readonly watch: GradientWatch;
  /** Entry i of a sample is entry `places[i]` of tensor `tensors[i % tensors.length]`. */
  readonly tensors: readonly Tensor[];
  readonly places: Int32Array;
  readonly dense: Float64Array;
}

export class WatchedGradients {
  readonly #model: Model;
  readonly #watched: readonly Watched[];
  readonly #densePass: DensePass | undefined;
  /** MACs that the pass under the rules executed, when a probe made a second one. */
  readonly #executed: Float64Array;

  /** After the model's arena was allocated. */
  constructor(model: Model, sites: readonly DropSite[], policies: readonly SitePolicy[]) {
    this.#model = model;
    this.#watched = policies.flatMap(({ watch }, index) => (watch ? [watched(watch, sites[index] as DropSite)] : []));
    this.#densePass = this.#watched.length > 0 ? new DensePass(model) : undefined;
    this.#executed = new Float64Array(model.macs.length);
  }

  /** Loss and gradient of the model's batch; where a policy asks for it, of a dense backward, compared with that under the rules. */
  lossAndGradient(step: number): number {
    const model = this.#model;
    if (this.#densePass && this.#watched.some(({ watch }) => watch.probes(step)))
      return this.#probe(step, this.#densePass);
    const loss = model.lossAndGradient(model.pass);
    for (const { watch, tensors, places } of this.#watched) {
      read(tensors, places, watch.sample);
      watch.learn();
    }
    return loss;
  }

  #probe(step: number, densePass: DensePass): number {
    const model = this.#model;
    const { watcher } = model.pass;
    densePass.remember();
    model.pass.watcher = undefined; // the step is the dense pass
    model.lossAndGradient(model.pass);
    model.pass.watcher = watcher;
    for (const [index, { executed }] of model.macs.entries()) this.#executed[index] = executed;
    const { forwardMs, backwardMs } = model.timing;
    for (const { watch, tensors, places } of this.#watched) read(tensors, places, watch.sample);

    const loss = densePass.lossAndGradient();
    for (const [index, product] of model.macs.entries()) product.executed += this.#executed[index] as number;
    model.timing.forwardMs += forwardMs;
    model.timing.backwardMs += backwardMs;

    for (const { watch, tensors, places, dense } of this.#watched) {
      read(tensors, places, dense);
      watch.compare(step, dense);
      watch.sample.set(dense);
      watch.learn();
    }
    return loss;
  }
}

function watched(watch: GradientWatch, { site, weights }: DropSite): Watched {
  const tensors = weights.map(({ gradient }) => gradient);
  const key = streamKey(0, `watch.${site.name}`, 0);
  const places = Int32Array.from(
    { length: watch.sample.length },
    (_, i) => counterHash(key, i) % (tensors[i % tensors.length] as Tensor).length,
  );
  return { watch, tensors, places, dense: new Float64Array(watch.sample.length) };
}

function read(tensors: readonly Tensor[], places: Int32Array, out: Float64Array): void {
  for (let i = 0; i < out.length; i++)
    out[i] = (tensors[i % tensors.length] as Tensor).data[places[i] as number] as number;
}
