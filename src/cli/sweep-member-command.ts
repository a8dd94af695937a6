/** gatesieve sweep train-member: one member of a sweep, as the sweep's own process starts it. Not meant to be typed. */
import { Command } from "commander";
import { openMember, STOP, trainMember } from "../runs/sweep-member.ts";
import { Interrupt } from "./interrupt.ts";
import { wholeNumber } from "./options.ts";
import { remark } from "./print.ts";

export function memberCommand(): Command {
  return new Command("train-member")
    .description("Train one member of a sweep, for the process that runs the sweep.")
    .argument("<folder>", "of the sweep")
    .argument("<id>", "of the member")
    .option("--until <n>", "pause after this step", wholeNumber(1))
    .action(train);
}

/** Ends after its step, with a checkpoint, on a signal, on the parent's word, and when the parent is gone. */
async function train(folder: string, id: string, { until }: { until?: number }): Promise<void> {
  let told = false;
  const stop = () => {
    told = true;
  };
  const hear = (message: unknown) => {
    if (message === STOP) stop();
  };
  process.on("disconnect", stop).on("message", hear);
  const interrupt = new Interrupt(stop);
  try {
    const run = await openMember(folder, id);
    for (const note of run.notes) remark(`note: ${note}`);
    const stopped = async () => {
      await interrupt.breathe();
      return told;
    };
    await trainMember(run, until, stopped, (message) => {
      // A parent that is gone hears nothing: "disconnect" follows, and ends the run.
      if (process.connected) process.send?.(message, undefined, undefined, () => {});
    });
  } finally {
    interrupt.release();
    if (process.connected) process.disconnect();
    process.off("message", hear).off("disconnect", stop);
  }
}
