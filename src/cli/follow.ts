/** Runs from the command line's side: what they are, and their events with room for signals between. */
import type { Run } from "../runs/run.ts";
import type { TrainEvent } from "../train/events.ts";
import { metric } from "./format.ts";
import type { Interrupt } from "./interrupt.ts";

/** A run's events; between them the event loop runs, and a signal ends the run after its current step. */
export async function* follow(run: Run, interrupt: Interrupt): AsyncGenerator<TrainEvent, void> {
  for (const event of run.ticks()) {
    if (event) yield event;
    await interrupt.breathe();
    if (interrupt.received) run.stop();
  }
}

/** The task, net and length of a run: a line of at most 100 characters, unless names are long. */
export function describeTraining({ config, info, maxSteps }: Run): string {
  const { numLayers, hiddenSize, cell } = config.model;
  const data = info.text ? ` on ${info.text.name} (${metric(info.text.characters)} characters)` : "";
  return (
    `task ${config.task.name}${data}, ${cell} ${numLayers} x ${hiddenSize} (${metric(info.parameters)} parameters), ` +
    `${maxSteps} steps, seed ${config.seed}`
  );
}

export function describeEngine({ config, engine, engineReason }: Run): string {
  const threads = config.threads > 1 ? `, ${config.threads} threads` : "";
  return `engine ${engine.name} ${engine.isa}${threads} (${engineReason})`;
}
