/**
 * The fidelity probe: the gradient under the policy's present rules against a fully dense backward
 * of the same batch. Costs two steps; learns nothing and moves nothing.
 */
import type { Model } from "../nn/model.ts";

export interface Fidelity {
  /** Cosine over the whole gradient, and the ratio of its norms (sparse / dense). */
  readonly cosine: number;
  readonly normRatio: number;
  /** Per parameter: the paper's "correlation" is that of weight_ih and weight_hh. */
  readonly parameters: readonly { readonly name: string; readonly cosine: number }[];
}

/** On the batch now in the model's buffers, from the carried states it holds. */
export function fidelityProbe(model: Model): Fidelity {
  const carried = model.carried.map((state) => state.data.slice());
  const rules = [...model.sites, model.head.site].map(({ rule }) => rule);
  const kinds = rules.map(({ kind }) => kind);
  const residues = rules.map(({ residue }) => residue?.data.slice());
  const gradients = () => {
    for (const [index, state] of model.carried.entries()) state.data.set(carried[index] as Float32Array);
    model.clearGradients();
    model.lossAndGradient(model.pass);
    return model.parameters.map(({ gradient }) => Float64Array.from(gradient.data));
  };
  const sparse = gradients();
  for (const rule of rules) rule.kind = "keep";
  const dense = gradients();
  for (const [index, rule] of rules.entries()) rule.kind = kinds[index] as (typeof kinds)[number];
  for (const [index, state] of model.carried.entries()) state.data.set(carried[index] as Float32Array);
  for (const [index, { residue }] of rules.entries()) residue?.data.set(residues[index] as Float32Array);
  model.clearGradients();

  const total = { dot: 0, sparse: 0, dense: 0 };
  const parameters = model.parameters.map(({ name }, index) => {
    const part = { dot: 0, sparse: 0, dense: 0 };
    const [a, b] = [sparse[index] as Float64Array, dense[index] as Float64Array];
    for (let i = 0; i < a.length; i++) {
      part.dot += a[i]! * b[i]!;
      part.sparse += a[i]! * a[i]!;
      part.dense += b[i]! * b[i]!;
    }
    total.dot += part.dot;
    total.sparse += part.sparse;
    total.dense += part.dense;
    return { name, cosine: cosine(part) };
  });
  return { cosine: cosine(total), normRatio: total.dense > 0 ? Math.sqrt(total.sparse / total.dense) : 1, parameters };
}

/** Two zero vectors agree. */
function cosine({ dot, sparse, dense }: { dot: number; sparse: number; dense: number }): number {
  if (sparse === 0 && dense === 0) return 1;
  return sparse === 0 || dense === 0 ? 0 : dot / Math.sqrt(sparse * dense);
}
