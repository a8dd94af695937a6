/** A run's events as TensorBoard's: a listener with a file of its own. docs/formats.md lists the tags. */
import { join } from "node:path";
import { stringify } from "yaml";
import { type Bins, restartRecord, type Summary, summaryRecord, versionRecord } from "../formats/tensorboard.ts";
import type { TelemetryEvent, TrainEvent } from "../train/events.ts";
import type { RunConfig } from "./config.ts";
import { appendBytes, writeFileAtomic } from "./files.ts";

const WHAT = "a TensorBoard event";

export class TensorBoardLog {
  readonly file: string;

  /**
   * Begins a file in `folder`, which is made if missing: TensorBoard shows each folder as a run. `step`: where the run goes on,
   * if it does; what earlier files say of later steps is then void.
   */
  constructor(folder: string, config: RunConfig, step: number) {
    const now = Date.now() / 1000;
    // TensorBoard reads the files of a folder in the order of their names.
    this.file = join(folder, `events.out.tfevents.${now.toFixed(3)}.gatesieve`);
    writeFileAtomic(this.file, versionRecord(now), WHAT);
    if (step > 0) this.#append(restartRecord(now, step + 1));
    else {
      const text = `\`\`\`yaml\n${stringify(config)}\`\`\``;
      this.#append(summaryRecord(now, 0, [{ kind: "text", tag: "config", text }]));
    }
  }

  add(event: TrainEvent): void {
    this.#append(summaryRecord(Date.now() / 1000, event.step, summariesOf(event)));
  }

  #append(record: Uint8Array): void {
    appendBytes(this.file, record, WHAT);
  }
}

export function summariesOf(event: TrainEvent): Summary[] {
  const scalars = (group: string, values: Readonly<Record<string, number | null | undefined>>): Summary[] =>
    Object.entries(values).flatMap(([name, value]) =>
      typeof value === "number" ? [{ kind: "scalar" as const, tag: `${group}/${name}`, value }] : [],
    );
  switch (event.type) {
    case "step": {
      const { loss, learningRate, gradientNorm, tokensPerSecond, epoch, sparsity, macs } = event;
      const { macsSkippedRecurrent, macsSkippedAll } = macs;
      return [
        ...scalars("train", { loss, learningRate, gradientNorm, tokensPerSecond, epoch }),
        ...scalars("gate gradients", { ...sparsity }),
        ...scalars("macs skipped", { recurrent: macsSkippedRecurrent, all: macsSkippedAll }),
      ];
    }
    case "validation":
      return scalars("valid", { loss: event.loss, ...event.scores });
    case "telemetry":
      return telemetryOf(event, scalars);
    case "end": {
      const { validLoss, testLoss, validScores, testScores, fidelity, seconds, reason } = event;
      return [
        ...scalars("end valid", { loss: validLoss, ...validScores }),
        ...scalars("end test", { loss: testLoss, ...testScores }),
        ...scalars("end", { fidelity, seconds }),
        { kind: "text", tag: "end/reason", text: reason },
      ];
    }
  }
}

type Scalars = (group: string, values: Readonly<Record<string, number | null>>) => Summary[];

function telemetryOf({ sites, layers, fidelity }: TelemetryEvent, scalars: Scalars): Summary[] {
  const found: Summary[] = fidelity ? scalars("fidelity", { cosine: fidelity.cosine }) : [];
  for (const { site, groups } of sites)
    for (const { group, tau, sparsity, naturalZeros, dropped, energy, magnitudes } of groups) {
      found.push(...scalars(`${site} ${group}`, { tau, sparsity, naturalZeros, dropped, energy }));
      const { exponent, counts } = magnitudes;
      const edges = Array.from({ length: counts.length + 1 }, (_, bin) => exponent + bin);
      if (counts.length > 0)
        found.push({ kind: "histogram", tag: `log2 of gate gradients/${site} ${group}`, bins: { edges, counts } });
    }
  for (const { layer, dead, saturated, gates } of layers) {
    found.push(...scalars(`${layer} units`, { dead, saturated }));
    for (const { gate, counts } of gates)
      found.push({ kind: "histogram", tag: `activations/${layer} ${gate}`, bins: equalBins(counts) });
  }
  return found;
}

/** From -1 to 1. */
function equalBins(counts: readonly number[]): Bins {
  return { edges: Array.from({ length: counts.length + 1 }, (_, bin) => (2 * bin) / counts.length - 1), counts };
}
