/**
 * A short training whose every bit is determined: the same engine gives the same weights in every
 * browser and in Node. The hash says so.
 */
import { characterTask, type Engine, Model, parsePolicy, Trainer, Training } from "../src/index.ts";

export interface Fingerprint {
  readonly policy: string;
  readonly engine: string;
  readonly steps: number;
  /** Mean loss of the last step, nats per character. */
  readonly loss: number;
  /** SHA-256 of all weights, hexadecimal. */
  readonly weights: string;
}

const POLICIES = ["dense", "threshold:1e-4", "energy:0.99", "stochastic:0.9"];
const STEPS = 20;

export async function fingerprints(engine: Engine): Promise<Fingerprint[]> {
  const text = Array.from({ length: 1500 }, (_, i) => `${(i * i) % 97} bottles, ${"abcdefghij"[(i * 7) % 10]}; `).join(
    "",
  );
  const task = characterTask({ text, name: "bottles" });
  const runs: Fingerprint[] = [];
  for (const policy of POLICIES) {
    const spec = {
      input: task.input,
      output: task.output,
      cell: "lstm",
      hiddenSize: 48,
      numLayers: 2,
      dropout: 0.1,
    } as const;
    const model = new Model(engine, spec, { T: 25, B: 10 });
    const trainer = new Trainer(model, { policy: parsePolicy(policy), seed: 7, maxSteps: STEPS });
    const training = new Training(trainer, task, { valCheckInterval: STEPS, patience: 0, logEverySteps: STEPS });
    for (let step = 0; step < STEPS; step++) training.step();
    const bytes = trainer.optimizer.value.data.slice(); // a copy: digest refuses shared memory
    const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes as Float32Array<ArrayBuffer>));
    const weights = Array.from(hash, (byte) => byte.toString(16).padStart(2, "0")).join("");
    runs.push({ policy, engine: engine.name, steps: trainer.steps, loss: trainer.report.loss, weights });
  }
  return runs;
}
