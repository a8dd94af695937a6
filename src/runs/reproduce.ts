/**
 * The paper's experiments as normal runs: which figure needs which runs, and which of them exist.
 *
 * Zhu, Rhu, Clemons, Keckler, Xie, "Training Long Short-Term Memory With Sparsified Stochastic Gradient
 * Descent" (2017): a character language model, embedding, 3 LSTM layers of 256, sequences of 100. What
 * it does not give is char-rnn's here, two of whose texts it uses: batch 50, weights uniform in +-0.08,
 * forget bias 1, RMSprop at 2e-3 with decay 0.95 (char-rnn lowers the rate only after ten epochs),
 * clipping at 5 (here of the norm), the loss averaged over batch and time. The embedding is as wide as
 * the layers. With this recipe about as many gradients are zero by themselves as in the paper.
 */

import { loadConfig, parseConfig, type RunConfig } from "./config.ts";
import { listRuns, type RunStatus, readConfig } from "./store.ts";
import { loadText } from "./text.ts";

/** In the order in which `all` makes them. */
export const FIGURES = ["fig3", "fig2", "fig4", "fig5", "sensitivity"] as const;
export type FigureName = (typeof FIGURES)[number];

export const DEFAULT_STEPS = 1500;
/** Sensitivity has many runs: each is shorter. */
export const SENSITIVITY_SHARE = 0.4;
/** Of the steps, in arms that are not the paper's: longer where runs are shorter. */
const WARMUP_SHARE = 0.1;
const SENSITIVITY_WARMUP_SHARE = 0.25;
const VALIDATIONS = 14;
const SAMPLES = 20;
const PROBES = 5;

const MAIN = [
  "task.text=melville-moby_dick",
  "model.numLayers=3",
  "model.hiddenSize=256",
  "model.embedding=256",
  "train.batchSize=50",
  "train.sequenceLength=100",
  "model.initScale=0.08",
  "train.optimizer=rmsprop",
  "train.alpha=0.95",
  "train.schedule=constant",
];
const SECOND_TEXT = "austen-emma";
export const PAPER_THRESHOLDS = [1e-8, 1e-7, 1e-6, 1e-5] as const;

export interface ReproductionOptions {
  readonly steps: number;
  /** "model.hiddenSize=8": changes of the main model, which the variants follow. */
  readonly settings: readonly string[];
}

export interface PlannedRun {
  /** "dense", or "6 layers, austen-emma, threshold:1e-6". */
  readonly name: string;
  readonly config: RunConfig;
  /** Of sensitivity: what differs from the main model, and the text. */
  readonly variant?: string;
  readonly text?: string;
}

export function plannedRuns(figure: FigureName, options: ReproductionOptions): PlannedRun[] {
  const main = mainConfig(options, options.steps);
  const arm = (policy: string): PlannedRun => ({ name: policy, config: patched(main, { policy }) });
  switch (figure) {
    case "fig2":
    case "fig3":
      return [arm("dense")];
    case "fig4":
      return ["dense", "threshold:1e-7", "threshold:1e-6"].map(arm);
    case "fig5":
      return [...["dense", "threshold:1e-7", "threshold:1e-6", "threshold:1e-5"], ...controls(options.steps)].map(arm);
    case "sensitivity":
      return sensitivityRuns(options);
  }
}

/**
 * Arms that are not the paper's. Dense at first and then 1e-6: tells what the threshold does at the start
 * from what it does later. 1e-8: what the paper's 1e-6 would be if its loss were summed over time.
 */
function controls(steps: number): string[] {
  return [warmUp(WARMUP_SHARE * steps), "threshold:1e-8"];
}

function warmUp(steps: number): string {
  return `warmup(${Math.max(1, Math.round(steps))})+threshold:1e-6`;
}

/** One thing at a time is changed around the main model, on two texts, dense, at 1e-6, and at 1e-6 after a dense start. */
function sensitivityRuns(options: ReproductionOptions): PlannedRun[] {
  const steps = Math.max(1, Math.round(SENSITIVITY_SHARE * options.steps));
  const policies = ["dense", "threshold:1e-6", warmUp(SENSITIVITY_WARMUP_SHARE * steps)];
  const main = mainConfig(options, steps);
  const { hiddenSize } = main.model;
  const { sequenceLength } = main.train;
  const share = (whole: number, part: number) => Math.max(1, Math.round(whole * part));
  const layers = (numLayers: number) => ({ name: `${numLayers} layers`, model: { numLayers }, train: {} });
  const cells = (part: number) => {
    const size = share(hiddenSize, part);
    const embedding = main.model.embedding && share(main.model.embedding, part);
    return { name: `${size} cells`, model: { hiddenSize: size, embedding }, train: {} };
  };
  const length = (part: number) => {
    const size = share(sequenceLength, part);
    return { name: `sequences of ${size}`, model: {}, train: { sequenceLength: size } };
  };
  const variants = [
    { name: "main model", model: {}, train: {} },
    ...[layers(2), layers(6), layers(9)],
    ...[cells(1 / 2), cells(2)],
    ...[length(1 / 4), length(1 / 2)],
  ];
  const overridden = options.settings.some((setting) => setting.startsWith("task.text="));
  const texts = overridden ? [main.task.text as string] : [main.task.text as string, SECOND_TEXT];
  return texts.flatMap((text) =>
    variants.flatMap(({ name, model, train }) =>
      policies.map((policy) => ({
        name: `${name}, ${text}, ${policy}`,
        variant: name,
        text,
        config: patched(main, { policy, model, train, task: { text } }),
      })),
    ),
  );
}

function mainConfig({ settings }: ReproductionOptions, steps: number): RunConfig {
  const every = (times: number) => Math.max(1, Math.round(steps / times));
  const cadence = [
    `train.maxSteps=${steps}`,
    `train.valCheckInterval=${every(VALIDATIONS)}`,
    `train.logEverySteps=${Math.min(10, every(VALIDATIONS))}`,
    `train.telemetryEverySteps=${every(SAMPLES)}`,
    `train.probeEverySteps=${every(PROBES)}`,
    `train.checkpointEverySteps=${every(PROBES)}`,
  ];
  const config = loadConfig({ overrides: [...MAIN, ...cadence, ...settings] });
  return patched(config, { task: { text: loadText(config.task.text as string).path } });
}

interface Patch {
  readonly policy?: string;
  readonly task?: Partial<RunConfig["task"]>;
  readonly model?: Partial<RunConfig["model"]>;
  readonly train?: Partial<RunConfig["train"]>;
}

function patched(config: RunConfig, { policy, task, model, train }: Patch): RunConfig {
  return parseConfig({
    ...config,
    ...(policy === undefined ? {} : { policy }),
    task: { ...config.task, ...task },
    model: { ...config.model, ...model },
    train: { ...config.train, ...train },
  });
}

export interface FoundRun {
  readonly status: RunStatus | "missing";
  readonly id: string;
  readonly dir: string;
}

/** The run of this very configuration; a finished one if there are several. */
export function findPlanned(runsDir: string, config: RunConfig): FoundRun {
  const wanted = JSON.stringify(sorted(config));
  const same = listRuns(runsDir).filter(({ dir }) => JSON.stringify(sorted(readConfig(dir))) === wanted);
  const run =
    same.find(({ status }) => status === "finished") ??
    same.find(({ status }) => status === "stopped" || status === "running");
  const { status, id, dir } = run ?? same[0] ?? { status: "missing" as const, id: "", dir: "" };
  return { status, id, dir };
}

/** With keys in order, so that equal configurations are equal texts. */
function sorted(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, part]) => [key, sorted(part)]),
  );
}
