/**
 * The fidelity probe: the gradient under the policy's present rules against a fully dense backward
 * of the same batch. It learns nothing and moves nothing.
 *
 * `fidelityProbe` makes both passes. In a training the sparse one is made anyway: `DenseProbe` adds
 * the dense one before the step, and compares after it.
 */
import type { RealArray } from "../core/arena.ts";
import type { Model } from "../nn/model.ts";
import { DensePass } from "./dense-pass.ts";

export interface Fidelity {
  /** Cosine over the whole gradient, and the ratio of its norms (sparse / dense). */
  readonly cosine: number;
  readonly normRatio: number;
  /** Over the weights of all sites, of recurrent layers weight_ih and weight_hh: the paper's "correlation" of dW. */
  readonly recurrent: { readonly cosine: number; readonly normRatio: number };
  /** The same per site. */
  readonly layers: readonly { readonly layer: string; readonly cosine: number; readonly normRatio: number }[];
  readonly parameters: readonly { readonly name: string; readonly cosine: number }[];
}

/** On the batch now in the model's buffers, from the carried states it holds. Costs two steps. */
export function fidelityProbe(model: Model): Fidelity {
  const rules = [...model.sites, model.head.site].map(({ rule }) => rule);
  const residues = rules.map(({ residue }) => residue?.data.slice());
  const probe = new DenseProbe(model);
  probe.rememberDense();
  model.lossAndGradient(model.pass);
  const fidelity = probe.compare();
  probe.goBack();
  for (const [index, { residue }] of rules.entries()) residue?.data.set(residues[index] as Float32Array);
  model.clearGradients();
  return fidelity;
}

/** A dense gradient to compare later ones with. Makes its copies once; the passes allocate nothing. */
export class DenseProbe {
  readonly #model: Model;
  readonly #pass: DensePass;
  readonly #dense: readonly RealArray[]; // like the gradients of model.parameters
  readonly #sites;
  readonly #watched;

  constructor(model: Model) {
    this.#model = model;
    this.#pass = new DensePass(model);
    this.#dense = model.parameters.map(({ gradient }) => gradient.data.slice());
    this.#sites = [...model.sites, model.head.site];
    this.#watched = this.#sites.map(({ watched }) => watched);
  }

  /** The dense gradient of the batch in the model's buffers. Gradients are clear then, states and rules as before. */
  rememberDense(): void {
    const model = this.#model;
    for (let s = 0; s < this.#sites.length; s++) {
      this.#watched[s] = this.#sites[s]!.watched;
      this.#sites[s]!.watched = false; // what it sees is not what the step will see
    }
    this.#pass.remember();
    this.#pass.lossAndGradient();
    for (let p = 0; p < this.#dense.length; p++) this.#dense[p]!.set(model.parameters[p]!.gradient.data);
    for (let s = 0; s < this.#sites.length; s++) this.#sites[s]!.watched = this.#watched[s]!;
    this.#pass.goBack();
    model.clearGradients();
  }

  /** Carried states as they were before the dense pass. */
  goBack(): void {
    this.#pass.goBack();
  }

  /** The gradient the model now holds, against the dense one. */
  compare(): Fidelity {
    const model = this.#model;
    const parts = model.parameters.map(({ name, gradient }, index) => ({
      name,
      ...products(gradient.data, this.#dense[index]!),
    }));
    const whole = add(parts);
    const layers = model.sites.map(({ site, weights }) => {
      const own = weights.map(({ name }) => name);
      return { layer: site.name, sum: add(parts.filter(({ name }) => own.includes(name))) };
    });
    const recurrent = add(layers.map(({ sum }) => sum));
    return {
      cosine: cosine(whole),
      normRatio: normRatio(whole),
      recurrent: { cosine: cosine(recurrent), normRatio: normRatio(recurrent) },
      layers: layers.map(({ layer, sum }) => ({ layer, cosine: cosine(sum), normRatio: normRatio(sum) })),
      parameters: parts.map((part) => ({ name: part.name, cosine: cosine(part) })),
    };
  }
}

interface Products {
  readonly dot: number;
  readonly sparse: number;
  readonly dense: number;
}

function products(a: RealArray, b: RealArray): Products {
  let [dot, sparse, dense] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    const [x, y] = [a[i] as number, b[i] as number];
    dot += x * y;
    sparse += x * x;
    dense += y * y;
  }
  return { dot, sparse, dense };
}

function add(parts: readonly Products[]): Products {
  const sum = (key: keyof Products) => parts.reduce((total, part) => total + part[key], 0);
  return { dot: sum("dot"), sparse: sum("sparse"), dense: sum("dense") };
}

/** Two zero vectors agree. */
function cosine({ dot, sparse, dense }: Products): number {
  if (sparse === 0 && dense === 0) return 1;
  return sparse === 0 || dense === 0 ? 0 : dot / (Math.sqrt(sparse) * Math.sqrt(dense));
}

function normRatio({ sparse, dense }: Products): number {
  return dense > 0 ? Math.sqrt(sparse / dense) : 1;
}
