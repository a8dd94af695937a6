/**
 * A quick look at where dropping pays on this machine: steps of a small LSTM, dense and at several
 * densities in turns, so that whatever else the machine does hits all of them alike. Medians.
 */
import type { Engine } from "../kernels/kernels.ts";
import { Model } from "../nn/model.ts";
import { SparsityTally } from "../sparse/observation.ts";
import { parsePolicy } from "../sparse/policies.ts";
import { delayTask } from "../tasks/delay.ts";
import { Trainer } from "../train/trainer.ts";

const SHAPE = { T: 20, B: 32, hiddenSize: 128 };
const POLICIES = [
  "dense",
  "density:0.9",
  "density:0.7",
  "density:0.5",
  "density:0.3",
  "density:0.2",
  "density:0.1",
  "density:0.05",
];
/** Untimed rounds: a density policy steers by what it saw. */
const WARM_UP = 4;

export interface BreakEven {
  /** What was timed. */
  readonly workload: string;
  /** Median milliseconds of a backward pass, and the share of gate gradients it kept. */
  readonly backward: readonly { readonly policy: string; readonly density: number; readonly ms: number }[];
  /** Below this density the backward pass was always faster than the dense one; null if at none. */
  readonly density: number | null;
}

export function measureBreakEven(engine: Engine, budgetMs = 1000): BreakEven {
  const { T, B, hiddenSize } = SHAPE;
  const task = delayTask();
  const racers = POLICIES.map((policy) => {
    const spec = { input: task.input, output: task.output, cell: "lstm", hiddenSize, numLayers: 1 } as const;
    const model = new Model(engine, spec, { T, B });
    const trainer = new Trainer(model, { policy: parsePolicy(policy), seed: 1, maxSteps: 1e6, learningRate: 1e-3 });
    return {
      policy,
      model,
      trainer,
      batches: task.batches("train", { T, B, seed: 1 }),
      tally: new SparsityTally(model.sites.map(({ site }) => site)),
      times: [] as number[],
    };
  });
  const began = performance.now();
  for (let round = 0; round < WARM_UP + 3 || performance.now() - began < budgetMs; round++)
    for (const { model, trainer, batches, tally, times } of racers) {
      batches.next(model.buffers());
      model.resetCarried();
      const { backwardMs } = trainer.step();
      if (round < WARM_UP) continue;
      times.push(backwardMs);
      for (const [index, { statistics }] of model.sites.entries()) tally.add(index, statistics);
    }
  const backward = racers.map(({ policy, times, tally }) => ({
    policy,
    density: 1 - tally.overall().sparsity,
    ms: median(times),
  }));
  return { workload: `lstm 1 x ${hiddenSize}, T ${T}, B ${B}`, backward, density: crossing(backward) };
}

/** From the sparsest up to the first density that is not faster than dense; between these two by proportion. */
function crossing([dense, ...sparse]: BreakEven["backward"]): number | null {
  if (!dense) return null;
  const slower = sparse.findLast(({ ms }) => ms >= dense.ms);
  const faster = sparse[slower ? sparse.indexOf(slower) + 1 : 0];
  if (!faster) return null;
  if (!slower) return faster.density;
  return faster.density + ((slower.density - faster.density) * (dense.ms - faster.ms)) / (slower.ms - faster.ms);
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1] as number;
}
