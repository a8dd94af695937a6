/** For tests: small models filled with random data. */
import { RandomStream } from "../core/random.ts";
import type { Engine } from "../kernels/kernels.ts";
import { Model, type ModelShape, type ModelSpec } from "./model.ts";

export const LANGUAGE_MODEL: ModelSpec = {
  input: { kind: "tokens", vocabulary: 7 },
  cell: "lstm",
  hiddenSize: 5,
  numLayers: 1,
  output: { kind: "classes", size: 7, positions: "all" },
};

/** An initialised model with a random batch in its buffers and random carried states. */
export function filledModel(engine: Engine, spec: ModelSpec, shape: ModelShape, seed = 3): Model {
  const model = new Model(engine, spec, shape);
  model.initialize(seed);
  fillBatch(model, new RandomStream(seed, "batch"));
  return model;
}

export function fillBatch(model: Model, random: RandomStream): void {
  const { input, output } = model.spec;
  const { tokens, features, targets, source } = model.buffers();
  const vocabulary = input.kind === "tokens" ? input.vocabulary : 0;
  if (tokens) for (let i = 0; i < tokens.length; i++) tokens[i] = random.below(vocabulary);
  if (features) for (let i = 0; i < features.length; i++) features[i] = random.normal();
  for (let i = 0; i < targets.length; i++)
    targets[i] = output.kind === "classes" ? random.below(output.size) : random.normal();
  const read = model.spec.source;
  const known = read?.kind === "tokens" ? read.vocabulary : 0;
  if (source?.tokens) for (let i = 0; i < source.tokens.length; i++) source.tokens[i] = random.below(known);
  if (source?.features) for (let i = 0; i < source.features.length; i++) source.features[i] = random.normal();
  for (const state of model.carried) for (let i = 0; i < state.length; i++) state.data[i] = 0.3 * random.normal();
}

/** Makes lanes as long as these; what follows is padding, and its classes do not count. */
export function setLengths(model: Model, lengths: readonly number[]): void {
  const { T, B } = model.pass;
  const { kind, positions } = model.spec.output;
  model.lengths.data.set(lengths);
  if (kind !== "classes" || positions !== "all") return;
  for (let t = 0; t < T; t++) for (let b = 0; b < B; b++) if (t >= lengths[b]!) model.head.targets.data[t * B + b] = -1;
}

/** Every parameter's gradient of the batch in the model's buffers; carried states stay. */
export function gradients(model: Model): number[][] {
  const carried = model.carried.map((state) => state.data.slice());
  model.clearGradients();
  model.lossAndGradient(model.pass);
  for (const [index, state] of model.carried.entries()) state.data.set(carried[index]!);
  return model.parameters.map(({ gradient }) => [...gradient.data]);
}
