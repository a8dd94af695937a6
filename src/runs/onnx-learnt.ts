/** What of a task belongs into an ONNX graph, or into words beside it. */
import type { OnnxExportOptions } from "../formats/onnx-export.ts";
import { type ForecastingEncoding, rowsBack } from "../tasks/forecast-scores.ts";
import type { InputEncoding } from "../tasks/inputs.ts";
import type { Task } from "../tasks/task.ts";

/** Tasks on whole sequences: their batches are padded. A forecast reads windows of one length, text goes on and on. */
export function hasLengths({ prediction, output }: Task): boolean {
  return prediction !== undefined && output.kind === "classes";
}

export interface LearntForOnnx {
  readonly vocabulary?: readonly string[] | undefined;
  readonly labels?: readonly string[] | undefined;
  readonly normalisation?: OnnxExportOptions["normalisation"];
  readonly forecast?: OnnxExportOptions["forecast"];
}

/** What of a task's encoding belongs into the graph, or into words beside it. */
export function learntOf({ encoding, input }: Task): LearntForOnnx {
  const all = (encoding ?? {}) as {
    readonly input?: InputEncoding;
    readonly classes?: readonly string[];
    readonly tags?: readonly string[];
    readonly vocabulary?: readonly string[];
  } & Partial<ForecastingEncoding>;
  if (all.input) {
    const { kind } = all.input;
    if (kind === "features") return { labels: all.classes, normalisation: all.input };
    if (kind !== "image") return { labels: all.classes, vocabulary: all.input.vocabulary };
    const { mean, deviation } = all.input; // grey values come in the image's order, as rows or pixel by pixel
    const columns = Array.from({ length: input.kind === "features" ? input.size : 0 });
    return {
      labels: all.classes,
      normalisation: { mean: columns.map(() => mean), deviation: columns.map(() => deviation) },
    };
  }
  if (all.tags) return { labels: all.tags, vocabulary: all.vocabulary };
  if (!all.scale) return {};
  const forecasting = all as ForecastingEncoding;
  const { columns, targets, horizon, scale, mean, deviation } = forecasting;
  return {
    labels: targets.map((target) => columns[target] as string),
    normalisation: { mean, deviation },
    forecast: { targets, scale, rowsBack: Array.from({ length: horizon }, (_, h) => rowsBack(forecasting, h)) },
  };
}
