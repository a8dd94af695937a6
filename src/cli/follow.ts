/** Runs from the command line's side: what they are, and their events with room for signals between. */

import { netName } from "../nn/nets.ts";
import type { Run } from "../runs/run.ts";
import type { EndEvent, TrainEvent } from "../train/events.ts";
import { metric } from "./format.ts";
import { Interrupt } from "./interrupt.ts";
import { LiveLines, paintRemark, remark } from "./print.ts";
import { Progress } from "./progress.ts";

/** A run's events; between them the event loop runs, and a signal ends the run after its current step. */
export async function* follow(run: Run, interrupt: Interrupt): AsyncGenerator<TrainEvent, void> {
  for (const event of run.ticks()) {
    if (event) yield event;
    await interrupt.breathe();
    if (interrupt.received) run.stop();
  }
}

/** Follows one run to its end, with progress on stderr unless quiet. `exitCode` is other than 0 if a signal ended it. */
export async function followShown(
  run: Run,
  { quiet = false, listen }: { readonly quiet?: boolean; readonly listen?: (event: TrainEvent) => void } = {},
): Promise<{ readonly end: EndEvent | undefined; readonly exitCode: number }> {
  const lines = new LiveLines(process.stderr, !quiet);
  const progress = new Progress(run.info.lossUnit, run.config.train.valCheckInterval);
  const interrupt = new Interrupt((signal) =>
    lines.note(`gatesieve: ${signal}, ending after this step, keeping a checkpoint (again: quit at once)`),
  );
  let end: EndEvent | undefined;
  try {
    for await (const event of follow(run, interrupt)) {
      listen?.(event);
      if (event.type === "end") end = event;
      const due = progress.add(event);
      if (lines.live) lines.update([progress.line]);
      else if (due && !quiet) remark(progress.line);
      if (event.type === "validation" && !quiet)
        for (const choice of event.chosen) lines.note(paintRemark.dim(`  ${choice}`));
    }
  } finally {
    lines.clear();
    interrupt.release();
  }
  return { end, exitCode: end?.reason === "stopped" ? interrupt.exitCode : 0 };
}

/** The task, net and length of a run: a line of at most 100 characters, unless names are long. */
export function describeTraining({ config, info, maxSteps }: Run): string {
  const { numLayers, hiddenSize } = config.model;
  const { text, data } = info;
  const read = text
    ? ` on ${text.name} (${metric(text.characters)} characters)`
    : data
      ? ` on ${data.name} (${metric(data.examples)} ${exampleWord(config.task.name)})`
      : "";
  return (
    `task ${config.task.name}${read}, ${netName(config.model)} ${numLayers} x ${hiddenSize} (${metric(info.parameters)} parameters), ` +
    `${maxSteps} steps, seed ${config.seed}`
  );
}

/** What `RunInfo.data.examples` counts. */
function exampleWord(task: string): string {
  return task === "forecasting" ? "rows" : "examples";
}

export function describeEngine({ config, engine, engineReason }: Run): string {
  const threads = config.threads > 1 ? `, ${config.threads} threads` : "";
  return `engine ${engine.name} ${engine.isa}${threads} (${engineReason})`;
}
