/**
 * The run store: a folder of run folders, read without loading any model.
 *
 *   config.json     the configuration; `gatesieve train DIR/config.json` repeats the run
 *   run.json        what was found at the start: text, vocabulary, engine, number of parameters
 *   vocab.json      text tasks: the vocabulary in token order
 *   encoding.json   tasks on data: what was learnt of it besides weights (classes, vocabulary, normalisation)
 *   events.jsonl    one event of training a line
 *   telemetry.jsonl one look at a step from inside a line: apart, since they are long and few ask for them
 *   checkpoints/    the last two checkpoints
 *   model/          at the end: the best weights, with config.json and vocab.json or encoding.json beside them
 *   summary.json    at the end: one RunSummary
 *   run.lock        while a process works on the run
 */
import * as fs from "node:fs";
import { join, resolve, sep } from "node:path";
import { z } from "zod";
import { type BytesByPurpose, PURPOSES } from "../core/arena.ts";
import { UsageError } from "../core/check.ts";
import type { Sparsity } from "../sparse/observation.ts";
import type { EndEvent, StepEvent, TelemetryEvent, TrainEvent, ValidationEvent } from "../train/events.ts";
import { parseConfig, policyText, type RunConfig } from "./config.ts";
import { isLocked } from "./lock.ts";

export const CONFIG = "config.json";
export const INFO = "run.json";
export const VOCABULARY = "vocab.json";
export const ENCODING = "encoding.json";
export const EVENTS = "events.jsonl";
export const TELEMETRY = "telemetry.jsonl";
export const SUMMARY = "summary.json";
export const INFO_FORMAT = 1;

const infoSchema = z.object({
  format: z.literal(INFO_FORMAT),
  id: z.string(),
  /** ISO 8601, UTC. */
  created: z.string(),
  /** Of Gatesieve. */
  version: z.string(),
  engine: z.string(),
  isa: z.string(),
  lossUnit: z.string(),
  /** "off, too small" where the engine runs all products dense on what rules left; earlier versions do not tell. */
  sparseExecution: z.enum(["on", "off, too small"]).nullable().catch(null),
  /** Number of trained numbers. */
  parameters: z.number(),
  maxSteps: z.number(),
  /** T*B. */
  tokensPerStep: z.number(),
  text: z.object({ name: z.string(), path: z.string(), sha256: z.string(), characters: z.number() }).nullable(),
  /** Of tasks on data; runs of earlier versions have none. */
  data: z
    .object({ name: z.string(), path: z.string(), sha256: z.string(), examples: z.number() })
    .nullable()
    .default(null),
  /** Bytes of the arena by purpose; runs of earlier versions do not tell. */
  memory: z.record(z.enum(PURPOSES), z.number()).nullable().catch(null),
  /** The model whose weights it began with, or that was imported. */
  from: z.string().nullable().catch(null),
  vocabularySize: z.number().nullable(),
  vocabularyHash: z.string().nullable(),
});

/** run.json */
export type RunInfo = Readonly<z.output<typeof infoSchema>>;

export type RunStatus = "running" | "finished" | "stopped" | "diverged" | "failed";

/** Unknown figures are null, none is NaN. Shares are 0 to 1. */
export interface RunSummary {
  readonly id: string;
  readonly dir: string;
  /**
   * stopped: may be resumed, also after a crash. finished: at its last step or by early stop. diverged: a loss or a gradient
   * that is not finite. failed: anything else.
   */
  readonly status: RunStatus;
  readonly created: string;
  readonly task: string;
  /** Name of the text or data, for tasks that read any. */
  readonly text: string | null;
  /** With those of single sites: "energy:0.99 (lstm.l0 dense)". */
  readonly policy: string;
  readonly headPolicy: string;
  readonly engine: string;
  readonly isa: string;
  readonly threads: number;
  readonly seed: number;
  readonly steps: number;
  readonly maxSteps: number;
  readonly lossUnit: string;
  /** The best so far; at the end that of the model kept. */
  readonly validLoss: number | null;
  readonly testLoss: number | null;
  readonly validScores: Readonly<Record<string, number>>;
  readonly testScores: Readonly<Record<string, number>>;
  /** Averages over training steps. */
  readonly sparsity: number | null;
  readonly naturalZeros: number | null;
  readonly dropped: number | null;
  /** Realised local energy. */
  readonly energy: number | null;
  /** Cosine of the gradient against a dense backward, at the end. */
  readonly fidelity: number | null;
  readonly macsSkippedRecurrent: number | null;
  readonly macsSkippedAll: number | null;
  /** Of training alone. */
  readonly seconds: number | null;
  readonly tokensPerSecond: number | null;
  /** Per step. */
  readonly forwardMs: number | null;
  readonly backwardMs: number | null;
  readonly updateMs: number | null;
  readonly parameters: number;
  /** Bytes of the arena by purpose. */
  readonly memory: BytesByPurpose | null;
  readonly vocabularySize: number | null;
  readonly endReason: EndEvent["reason"] | null;
  /** What a failed run said. */
  readonly error: string | null;
}

/** What events.jsonl holds. */
export type RecordedEvent = StepEvent | ValidationEvent | EndEvent;

/** All runs of a store, newest first. A folder that cannot be understood is skipped, and `note` is told. */
export function listRuns(runsDir: string, note: (line: string) => void = () => {}): RunSummary[] {
  if (!fs.existsSync(runsDir)) return [];
  checkRunsDir(runsDir);
  const runs: RunSummary[] = [];
  for (const { name } of fs.readdirSync(runsDir, { withFileTypes: true })) {
    const dir = join(runsDir, name);
    if (name.startsWith(".") || !fs.existsSync(join(dir, INFO))) continue;
    try {
      runs.push(readRun(dir));
    } catch (error) {
      note(`skipped ${dir}: ${(error as Error).message.split("\n")[0]}`);
    }
  }
  return runs.sort((a, b) => compare(b.created, a.created) || compare(b.id, a.id));
}

/** One run, whatever its state. Throws if its files cannot be understood. */
export function readRun(dir: string): RunSummary {
  const info = readInfo(dir);
  const config = readConfig(dir);
  const stored = readJson(join(dir, SUMMARY)) as Partial<RunSummary> | undefined;
  const status = stored?.status ?? (isLocked(dir) ? "running" : "stopped");
  return summarize(dir, config, info, readEvents(dir), status, stored?.error ?? null);
}

/** The events of a run. Lines that a killed process cut short are left out. */
export function readEvents(dir: string): RecordedEvent[] {
  return readLines(join(dir, EVENTS), ["step", "validation", "end"]) as RecordedEvent[];
}

/** A run's telemetry, read like its events. */
export function readTelemetry(dir: string): TelemetryEvent[] {
  return readLines(join(dir, TELEMETRY), ["telemetry"]) as TelemetryEvent[];
}

function readLines(path: string, types: readonly TrainEvent["type"][]): TrainEvent[] {
  if (!fs.existsSync(path)) return [];
  const events: TrainEvent[] = [];
  for (const line of fs.readFileSync(path, "utf8").split("\n")) {
    try {
      const event = JSON.parse(line) as TrainEvent | null;
      if (event && types.includes(event.type)) events.push(event);
    } catch {
      // cut short
    }
  }
  return events;
}

/** run.json; throws a UsageError if `dir` is no run. */
export function readInfo(dir: string): RunInfo {
  const path = join(dir, INFO);
  if (!fs.existsSync(path)) throw new UsageError(`${dir} is no run of Gatesieve: it has no ${INFO}.`);
  const result = infoSchema.safeParse(readJson(path));
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  throw new UsageError(
    `${path} is damaged or of another version: ${issue?.path.join(".") || "file"}: ${issue?.message}.`,
  );
}

export function readConfig(dir: string): RunConfig {
  try {
    return parseConfig(readJson(join(dir, CONFIG)));
  } catch (error) {
    throw new UsageError(`${join(dir, CONFIG)}: ${(error as Error).message}`);
  }
}

/** Undefined if the file is missing; throws a UsageError if it is no JSON. */
export function readJson(path: string): unknown {
  let text: string;
  try {
    text = fs.readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
  try {
    return JSON.parse(text);
  } catch {
    throw new UsageError(`${path} is damaged: it is no JSON.`);
  }
}

/** The folder of a run: a path, an id, "last" for the newest, or any part of an id that only one run has. */
export function findRun(runsDir: string, idOrDir: string): string {
  for (const dir of [join(runsDir, idOrDir), idOrDir])
    if (idOrDir && fs.existsSync(join(dir, INFO))) return resolve(dir);
  const isPath = idOrDir.includes("/") || idOrDir.includes(sep);
  if (isPath && fs.existsSync(idOrDir)) readInfo(idOrDir); // says why it is no run
  const ids = listRuns(runsDir).map(({ id }) => id);
  if (!ids.length)
    throw new UsageError(`no run "${idOrDir}": there are no runs in ${runsDir}. Start one with: gatesieve train`);
  const matches = idOrDir === "last" ? ids.slice(0, 1) : ids.filter((id) => id.includes(idOrDir));
  if (matches.length === 1) return resolve(runsDir, matches[0] as string);
  const several = matches.length > 1;
  const shown = (several ? matches : ids).slice(0, 5).join(", ");
  throw new UsageError(
    several
      ? `"${idOrDir}" fits ${matches.length} runs: ${shown}. Give more of the id.`
      : `no run "${idOrDir}" in ${runsDir}. The newest are: ${shown}.`,
  );
}

/** A folder for runs may not exist yet, and must not be a file. */
export function checkRunsDir(runsDir: string): void {
  if (fs.existsSync(runsDir) && !fs.statSync(runsDir).isDirectory())
    throw new UsageError(`${runsDir} is a file, expected a folder for runs. Name another with --runs.`);
}

/** Figures of a run from its events; those of the end event where there is one. */
export function summarize(
  dir: string,
  config: RunConfig,
  info: RunInfo,
  events: readonly RecordedEvent[],
  status: RunStatus,
  error: string | null,
): RunSummary {
  const steps = events.filter((event): event is StepEvent => event.type === "step");
  const best = events.filter((event): event is ValidationEvent => event.type === "validation" && event.best).at(-1);
  const last = events.at(-1);
  const end = last?.type === "end" ? last : undefined;
  const done = last?.step ?? 0;
  const seconds = end?.seconds ?? steps.at(-1)?.seconds ?? null;
  const timedSteps = end?.step ?? steps.at(-1)?.step ?? 0;
  const average = (of: (event: StepEvent | EndEvent) => number) => finite(end ? of(end) : meanOverSteps(steps, of));
  const sparsity = (key: keyof Sparsity) => average((event) => event.sparsity[key]);
  const perStep = (key: keyof EndEvent["timing"]) =>
    finite(end && end.step > 0 ? end.timing[key] / end.step : undefined);
  return {
    id: info.id,
    dir,
    status,
    created: info.created,
    task: config.task.name,
    text: info.text?.name ?? info.data?.name ?? null,
    policy: policyText(config),
    headPolicy: config.headPolicy,
    engine: info.engine,
    isa: info.isa,
    threads: config.threads,
    seed: config.seed,
    steps: done,
    maxSteps: info.maxSteps,
    lossUnit: info.lossUnit,
    validLoss: finite(end ? end.validLoss : best?.loss),
    testLoss: finite(end?.testLoss),
    validScores: (end ? end.validScores : best?.scores) ?? {},
    testScores: end?.testScores ?? {},
    sparsity: sparsity("sparsity"),
    naturalZeros: sparsity("naturalZeros"),
    dropped: sparsity("dropped"),
    energy: sparsity("energy"),
    fidelity: finite(end?.fidelity),
    macsSkippedRecurrent: average((event) => event.macs.macsSkippedRecurrent),
    macsSkippedAll: average((event) => event.macs.macsSkippedAll),
    seconds: finite(seconds),
    tokensPerSecond: seconds ? finite((timedSteps * info.tokensPerStep) / seconds) : null,
    forwardMs: perStep("forwardMs"),
    backwardMs: perStep("backwardMs"),
    updateMs: perStep("updateMs"),
    parameters: info.parameters,
    memory: info.memory,
    vocabularySize: info.vocabularySize,
    endReason: end?.reason ?? null,
    error,
  };
}

/** Step events are means over the steps since the one before. */
function meanOverSteps(events: readonly StepEvent[], of: (event: StepEvent) => number): number | undefined {
  let sum = 0;
  let reached = 0;
  for (const event of events) {
    sum += of(event) * (event.step - reached);
    reached = event.step;
  }
  return reached > 0 ? sum / reached : undefined;
}

function finite(value: number | null | undefined): number | null {
  return value !== null && value !== undefined && Number.isFinite(value) ? value : null;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
