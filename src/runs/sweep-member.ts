/** One member of a sweep in a process of its own: the parent starts it, hears its events and may stop it. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import type { TrainEvent } from "../train/events.ts";
import { isLocked } from "./lock.ts";
import { createRun, type Run, resumeRun } from "./run.ts";
import { INFO } from "./store.ts";
import { memberById, RUNS, readSweep, runDir } from "./sweep-store.ts";

/** A killed sweep's children notice within a step and write their checkpoints; longer than this is no such child. */
const PATIENCE_MS = 60_000;

/** What the parent is told. */
export type MemberMessage =
  | { readonly type: "run"; readonly maxSteps: number; readonly valCheckInterval: number; readonly lossUnit: string }
  | TrainEvent;

/** What the parent says. */
export const STOP = "stop";

/** In the child: the member's run, from its start or from its last checkpoint. */
export async function openMember(dir: string, id: string): Promise<Run> {
  const member = memberById(readSweep(dir), id);
  const folder = runDir(dir, member);
  if (!existsSync(join(folder, INFO)))
    return createRun({ config: member.config, runsDir: join(dir, RUNS), id: member.id });
  for (const began = Date.now(); isLocked(folder) && Date.now() - began < PATIENCE_MS; ) await setTimeout(100);
  return resumeRun(join(dir, RUNS), member.id);
}

/** In the child: trains to the end, or up to a step, and pauses there. `stopped` is asked after each step. */
export async function trainMember(
  run: Run,
  until: number | undefined,
  stopped: () => Promise<boolean>,
  tell: (message: MemberMessage) => void,
): Promise<void> {
  const { valCheckInterval } = run.config.train;
  tell({ type: "run", maxSteps: run.maxSteps, valCheckInterval, lossUnit: run.info.lossUnit });
  for (const event of run.ticks()) {
    if (event) tell(event);
    if ((await stopped()) || (until !== undefined && run.training.trainer.steps >= until)) run.stop();
  }
}

export interface MemberProcess {
  /** Ends it after its step, with a checkpoint. */
  stop(): void;
  /** Its one-line error; null if it did what it was asked to. Never rejects. */
  readonly ended: Promise<{ readonly error: string | null; readonly killed: boolean }>;
}

/** In the parent: `command` is this program ("node", "main.js"), which has the subcommand `sweep train-member`. */
export function startMember(
  command: readonly string[],
  dir: string,
  id: string,
  until: number | undefined,
  listen: (message: MemberMessage) => void,
): MemberProcess {
  const [program, ...rest] = command as [string, ...string[]];
  const limit = until === undefined ? [] : ["--until", String(until)];
  const child: ChildProcess = spawn(program, [...rest, "sweep", "train-member", dir, id, ...limit], {
    stdio: ["ignore", "ignore", "pipe", "ipc"],
  });
  let stderr = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    stderr = (stderr + text).slice(-10_000);
  });
  child.on("message", (message) => listen(message as MemberMessage));
  const ended = new Promise<{ error: string | null; killed: boolean }>((resolve) => {
    child.on("error", (error) => resolve({ error: `cannot be started: ${error.message}.`, killed: false }));
    child.on("close", (code, signal) => {
      if (signal) resolve({ error: `ended by ${signal}.`, killed: true });
      else resolve({ error: code === 0 ? null : lastWord(stderr, code), killed: false });
    });
  });
  return {
    stop: () => {
      if (child.connected) child.send(STOP, () => {}); // it may be gone meanwhile: `ended` tells
    },
    ended,
  };
}

/** "gatesieve: step 3: the loss is NaN." to its text; of a defect, the error itself and not the request to report it. */
function lastWord(stderr: string, code: number | null): string {
  const lines = stderr.split("\n").map((line) => line.trim());
  const said = lines.findLast((line) => line.startsWith("gatesieve: "))?.slice("gatesieve: ".length);
  const thrown = lines.find((line) => /^\w*Error\b.*:/.test(line));
  const text = code === 70 ? (thrown ?? said) : (said ?? thrown);
  return text ?? lines.findLast((line) => line !== "") ?? `ended with exit code ${code}.`;
}
