/** Trains in a worker, so that the page never waits. Stop is an AbortSignal, aborted by a message. */
import {
  characterTask,
  chooseEngine,
  type Engine,
  GatesieveError,
  Model,
  parsePolicy,
  registerTeamWorkers,
  type TeamWorker,
  Trainer,
  Training,
  train,
} from "../src/index.ts";
import { sampleText } from "../src/train/sample.ts";
import { fingerprints } from "./fingerprint.ts";
import type { FromWorker, StartMessage, ToWorker } from "./messages.ts";

const SHAPE = { T: 32, B: 16 };
const SEED = 1;
const LEARNING_RATE = 1e-2; // for a thousand steps, not for the many thousands of a real run
const LOG_EVERY_STEPS = 5; // Stop is heard between events
const VALIDATIONS = 10;
const SAMPLE_CHARACTERS = 300;

const say = (message: FromWorker) => postMessage(message);
const MOST_THREADS = 4; // nets of this page have no work for more

// Memory is shared with workers in isolated pages alone.
const threads = crossOriginIsolated ? Math.min(navigator.hardwareConcurrency, MOST_THREADS) : 1;
registerTeamWorkers(
  () =>
    new Promise<TeamWorker>((resolve, reject) => {
      const worker = new Worker(new URL("./team-worker.ts", import.meta.url), { type: "module", name: "gatesieve" });
      worker.addEventListener("message", () => resolve(worker), { once: true });
      worker.addEventListener("error", ({ message }) => reject(new Error(message)), { once: true });
    }),
);
const loading = load();
let stop: AbortController | undefined;

addEventListener("message", ({ data }: MessageEvent<ToWorker>) => {
  if (data.type === "stop") stop?.abort();
  else answer(data).catch(complain);
});

loading
  .then(({ engine, reason, threads }) => say({ type: "engine", engine: engine.name, isa: engine.isa, reason, threads }))
  .catch(complain);

async function load() {
  if (threads > 1) {
    const several = await chooseEngine("auto", threads).catch(() => undefined);
    if (several) return { ...several, threads };
  }
  return { ...(await chooseEngine("auto")), threads: 1 };
}

async function answer(message: Exclude<ToWorker, { type: "stop" }>): Promise<void> {
  const { engine } = await loading;
  if (message.type === "start") await run(engine, message);
  else say({ type: "fingerprint", runs: await fingerprints(engine) });
}

async function run(engine: Engine, { text, policy, hiddenSize, numLayers, maxSteps }: StartMessage): Promise<void> {
  stop?.abort();
  const control = new AbortController();
  stop = control;
  const task = characterTask({ text, name: "your text" });
  const spec = { input: task.input, output: task.output, cell: "lstm", hiddenSize, numLayers } as const;
  const model = new Model(engine, spec, SHAPE);
  const trainer = new Trainer(model, {
    policy: parsePolicy(policy),
    seed: SEED,
    maxSteps,
    learningRate: LEARNING_RATE,
  });
  const valCheckInterval = Math.max(1, Math.round(maxSteps / VALIDATIONS));
  const training = new Training(trainer, task, { valCheckInterval, patience: 0, logEverySteps: LOG_EVERY_STEPS });
  say({
    type: "started",
    parameters: model.size,
    vocabulary: task.input.kind === "tokens" ? task.input.vocabulary : 0,
  });

  const prime = text.slice(0, 20);
  for await (const event of train(training, control.signal)) {
    say({ type: "event", event });
    if (event.type === "step") continue;
    const options = { prime, length: SAMPLE_CHARACTERS, temperature: 0.7, seed: event.step };
    say({ type: "sample", text: sampleText(model, task, options) });
  }
}

function complain(error: unknown): void {
  // A message of ours is meant for people; anything else is a defect, and is shown as one.
  const message =
    error instanceof GatesieveError ? error.message : `unexpected: ${error instanceof Error ? error.stack : error}`;
  say({ type: "error", message });
}
