/** A model's weights as a safetensors file under PyTorch's names, and back. */
import { GatesieveError } from "../core/check.ts";
import type { Model } from "../nn/model.ts";
import { type NamedTensor, type Safetensors, toArray, writeSafetensors } from "./safetensors.ts";

/** The weights by name, for a file that PyTorch loads. */
export function namedWeights(model: Model): NamedTensor[] {
  return model.parameters.map(({ name, value }): NamedTensor => ({ name, shape: value.shape, data: value.data }));
}

/** The file itself. */
export function modelFile(model: Model): Uint8Array {
  return writeSafetensors(namedWeights(model), { format: "pt" });
}

/** Puts a file's weights into the model; names and shapes must be the model's. */
export function loadWeights(model: Model, { tensors }: Pick<Safetensors, "tensors">, source: string): void {
  const wanted = new Map(model.parameters.map(({ name, value }) => [name, value]));
  const foreign = [...tensors.keys()].find((name) => !wanted.has(name));
  if (foreign !== undefined)
    throw new GatesieveError(`${source} has a tensor "${foreign}" that this model lacks. It belongs to another model.`);
  for (const [name, value] of wanted) {
    const stored = tensors.get(name);
    const expected = `${model.arena.real.toUpperCase()} [${value.shape}]`;
    const got = stored ? `${stored.dtype} [${stored.shape}]` : "nothing";
    if (!stored || got !== expected)
      throw new GatesieveError(
        `${source}: got ${got} for "${name}", expected ${expected}. It belongs to another model.`,
      );
    value.data.set(toArray(stored));
  }
  model.pack();
}
