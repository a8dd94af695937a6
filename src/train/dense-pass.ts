/**
 * The same batch once more with nothing dropped, from where its pass began: for measurements beside a step. Rules
 * come back as they were; carried states when asked to.
 */
import type { RealArray } from "../core/arena.ts";
import type { Model } from "../nn/model.ts";

export class DensePass {
  readonly #model: Model;
  readonly #carried: readonly RealArray[];
  readonly #sites;
  readonly #kinds;

  /** Makes its copies once; nothing below allocates. After the model's arena was allocated. */
  constructor(model: Model) {
    this.#model = model;
    this.#carried = model.carried.map(({ data }) => data.slice());
    this.#sites = [...model.sites, model.head.site];
    this.#kinds = this.#sites.map(({ rule }) => rule.kind);
  }

  /** Remembers the carried states: where a pass begins. */
  remember(): void {
    for (let s = 0; s < this.#carried.length; s++) this.#carried[s]!.set(this.#model.carried[s]!.data);
  }

  /** Carried states as they were remembered. */
  goBack(): void {
    for (let s = 0; s < this.#carried.length; s++) this.#model.carried[s]!.data.set(this.#carried[s]!);
  }

  /** Loss and gradient, the gradient clear before, from the remembered states on. */
  lossAndGradient(): number {
    const model = this.#model;
    this.goBack();
    for (let s = 0; s < this.#sites.length; s++) {
      this.#kinds[s] = this.#sites[s]!.rule.kind;
      this.#sites[s]!.rule.kind = "keep";
    }
    model.clearGradients();
    const loss = model.lossAndGradient(model.pass);
    for (let s = 0; s < this.#sites.length; s++) this.#sites[s]!.rule.kind = this.#kinds[s]!;
    return loss;
  }
}
