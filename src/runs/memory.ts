/** What a training would keep in memory, by purpose, without allocating any of it. */
import type { BytesByPurpose } from "../core/arena.ts";
import { chooseEngine } from "../kernels/engines.ts";
import type { Engine } from "../kernels/kernels.ts";
import type { Model } from "../nn/model.ts";
import { OneHot } from "../nn/module.ts";
import type { Task } from "../tasks/task.ts";
import { Optimizer } from "../train/optimizers.ts";
import type { RunConfig } from "./config.ts";
import { loadInputs, makeModel, makeTask, resolveConfig } from "./parts.ts";

export interface MemoryPlan {
  readonly engine: string;
  /** Trained numbers. */
  readonly parameters: number;
  readonly bytes: BytesByPurpose;
  readonly totalBytes: number;
  /** What of it lies between forward and backward: see `intermediateBytes`. */
  readonly intermediateBytes: number;
  /** The same training with other settings of model.recompute. */
  readonly recompute: readonly RecomputePlan[];
}

export interface RecomputePlan {
  /** model.recompute; 0 keeps the gates of all time steps. */
  readonly steps: number;
  readonly totalBytes: number;
  readonly intermediateBytes: number;
  /** Products computed again / products of a dense training step, in multiply-accumulates. */
  readonly moreMacs: number;
}

/** Segment lengths that a plan shows beside the one asked for. */
const SEGMENTS = [0, 10, 25];

/**
 * What forward leaves for backward, the gate gradients (which take its place) and their patterns and lists:
 * the memory that grows with T, and that eta-LSTM (ISCA 2021) calls intermediate.
 */
export function intermediateBytes(bytes: BytesByPurpose): number {
  return bytes.activations + bytes.gateGradients + bytes.pattern;
}

export async function planMemory(given: RunConfig): Promise<MemoryPlan> {
  const inputs = await loadInputs(given);
  const task = makeTask(given, inputs);
  const config = resolveConfig(given, inputs, task);
  const { engine } = await chooseEngine(config.engine, config.threads);
  const model = planned(config, task, engine, config.model.recompute);
  const { sequenceLength } = config.train;
  const segments = model.recurrent.length > 0 ? SEGMENTS : [0]; // nothing is computed again elsewhere
  const lengths = [...new Set([...segments, config.model.recompute])].filter((steps) => steps < sequenceLength);
  return {
    engine: engine.name,
    parameters: model.size,
    ...sizes(model),
    bytes: model.arena.bytesByPurpose(),
    recompute: lengths
      .sort((a, b) => a - b)
      .map((steps) => {
        const { dense, again } = plannedMacs(model, steps);
        return { steps, ...sizes(planned(config, task, engine, steps)), moreMacs: again / dense };
      }),
  };
}

function planned(config: RunConfig, task: Task, engine: Engine, recompute: number): Model {
  const { batchSize, sequenceLength, optimizer, momentum } = config.train;
  const model = makeModel(
    { ...config, model: { ...config.model, recompute } },
    task,
    engine,
    sequenceLength,
    batchSize,
  );
  new Optimizer(model.arena, model.kernels, { optimizer, momentum }, model.parameters);
  return model;
}

function sizes({ arena }: Model): { totalBytes: number; intermediateBytes: number } {
  return { totalBytes: arena.bytes(), intermediateBytes: intermediateBytes(arena.bytesByPurpose()) };
}

/**
 * Multiply-accumulates of a dense training step, as a step counts them, and those done again where the gates of
 * `recompute` time steps are kept.
 */
export function plannedMacs(model: Model, recompute: number): { dense: number; again: number } {
  const { T, B } = model.pass;
  let dense = 0;
  let again = 0;
  for (const layer of model.recurrent) {
    const { input, hiddenSize, needsInputGradient, stateGradients } = layer.options;
    const { cols: columns, rows } = layer.sites[0]!.site; // an encoder has positions of its own
    const S = recompute > 0 ? Math.min(recompute, rows / B) : rows / B;
    const rowsAgain = Math.floor((rows / B - 1) / S) * S * B; // all but those of the last segment
    const H = layer.cell.hiddenProduct === "none" ? 0 : hiddenSize;
    const inputColumns = input instanceof OneHot ? 0 : input.tensor.rowLength;
    const products = needsInputGradient ? 3 : 2; // xW, dW and, where something below is trained, dx
    const dh = stateGradients ? rows : rows - B; // none at t = 0, unless something before wants it
    dense += columns * (rows * inputColumns * products + (2 * rows + dh) * H);
    again += columns * rowsAgain * (inputColumns + H);
  }
  for (const layer of model.layers) dense += layer.denseMacs?.(T * B) ?? 0;
  const { targets, parameters } = model.head;
  dense += 3 * targets.shape[0]! * parameters[0]!.value.length;
  return { dense, again };
}
