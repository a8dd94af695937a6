/** What a training would keep in memory, by purpose, without allocating any of it. */
import { PURPOSES, type Purpose } from "../core/arena.ts";
import { chooseEngine } from "../kernels/engines.ts";
import { tasks } from "../tasks/tasks.ts";
import { Optimizer } from "../train/optimizers.ts";
import type { RunConfig } from "./config.ts";
import { makeModel, makeTask } from "./parts.ts";
import { loadTexts } from "./text.ts";

export interface MemoryPlan {
  readonly engine: string;
  /** Trained numbers. */
  readonly parameters: number;
  readonly bytes: Readonly<Record<Purpose, number>>;
  readonly totalBytes: number;
}

export async function planMemory(config: RunConfig): Promise<MemoryPlan> {
  const text = tasks[config.task.name].onText ? loadTexts(config.task) : undefined;
  const { engine } = await chooseEngine(config.engine, config.threads);
  const { batchSize, sequenceLength } = config.train;
  const model = makeModel(config, makeTask(config, text), engine, sequenceLength, batchSize);
  const { optimizer, momentum } = config.train;
  new Optimizer(model.arena, model.kernels, { optimizer, momentum }, model.parameters);
  const entries = PURPOSES.map((purpose) => [purpose, model.arena.bytes(purpose)] as const);
  return {
    engine: engine.name,
    parameters: model.size,
    bytes: Object.fromEntries(entries) as Record<Purpose, number>,
    totalBytes: model.arena.bytes(),
  };
}
