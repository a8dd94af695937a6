/** For tests: small models filled with random data. */
import { Arena } from "../core/arena.ts";
import { RandomStream } from "../core/random.ts";
import { jsEngine } from "../kernels/js.ts";
import type { Engine } from "../kernels/kernels.ts";
import { Model, type ModelShape, type ModelSpec } from "./model.ts";
import { type Module, type Pass, type Planner, Rows } from "./module.ts";

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

interface FilledModule {
  readonly module: Module;
  readonly x: Rows;
  /** dLoss/dy of the loss "sum of dy * y". */
  readonly dy: Rows;
  readonly pass: Pass;
}

/** A module in float64 with input x (T*B, width); weights, x and dy are drawn. */
export function filledModule(
  make: (planner: Planner, x: Rows) => Module,
  { T, B, width }: { readonly T: number; readonly B: number; readonly width: number },
): FilledModule {
  const arena = new Arena("f64");
  const kernels = jsEngine.attach(arena);
  const x = new Rows(arena.tensor("x", [T * B, width], "batch"));
  const module = make({ arena, kernels, T, B, nt: true }, x);
  const dy = new Rows(arena.tensor("dy", [T * B, module.output.tensor.rowLength], "workspace"));
  arena.allocate();
  const random = new RandomStream(3, "module");
  module.initialize(random);
  for (const { data } of [x.tensor, dy.tensor, ...module.parameters.map(({ value }) => value)])
    for (let i = 0; i < data.length; i++) data[i] = data[i]! + 0.5 * random.normal();
  return { module, x, dy, pass: { T, B, training: true, step: 0, seed: 3 } };
}

/**
 * Of dx ("x") and every parameter's gradient: its largest error against slopes (five-point central differences), relative
 * to the largest slope.
 */
export function slopeErrors({ module, x, dy, pass }: FilledModule): Record<string, number> {
  const loss = () => {
    const { tensor, row } = module.forward(x, pass);
    let sum = 0;
    for (let i = 0; i < dy.tensor.length; i++) sum += dy.tensor.data[i]! * tensor.data[row * tensor.rowLength + i]!;
    return sum;
  };
  loss();
  const dx = module.backward(dy, pass)!;
  const start = dx.row * x.tensor.rowLength;
  const tensors = [
    { name: "x", value: x.tensor, gradient: dx.tensor.data.slice(start, start + x.tensor.length) },
    ...module.parameters.map(({ name, value, gradient }) => ({ name, value, gradient: gradient.data })),
  ];
  const errors = tensors.map(({ name, value: { data }, gradient }): [string, number] => {
    let [difference, largest] = [0, 0];
    for (let i = 0; i < data.length; i++) {
      const kept = data[i]!;
      const lossAt = (offset: number) => {
        data[i] = kept + offset;
        return loss();
      };
      const slope = (8 * (lossAt(1e-3) - lossAt(-1e-3)) - (lossAt(2e-3) - lossAt(-2e-3))) / 12e-3;
      data[i] = kept;
      difference = Math.max(difference, Math.abs(slope - gradient[i]!));
      largest = Math.max(largest, Math.abs(slope));
    }
    return [name, difference / largest];
  });
  return Object.fromEntries(errors);
}
