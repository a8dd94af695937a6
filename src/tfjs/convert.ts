/** The same model with other layers: its topology with class names changed, and its weights, which are laid out alike. */
import { CLASS_NAMES, PLAIN_NAMES } from "./layer.ts";
import type { LayersModel, Tf } from "./tensorflow.ts";

export async function convert(tf: Tf, model: LayersModel, to: "gatesieve" | "tensorflow"): Promise<LayersModel> {
  const [from, into] = to === "gatesieve" ? [PLAIN_NAMES, CLASS_NAMES] : [CLASS_NAMES, PLAIN_NAMES];
  const names = { [from.lstm]: into.lstm, [from.gru]: into.gru };
  const topology = renamed(model.toJSON(null, false), names);
  const other = await tf.models.modelFromJSON(topology as never);
  other.setWeights(model.getWeights());
  return other;
}

/** A copy, with class names replaced; plain layers have no policy. */
function renamed(value: unknown, names: Readonly<Record<string, string>>): unknown {
  if (Array.isArray(value)) return value.map((item) => renamed(item, names));
  if (typeof value !== "object" || value === null) return value;
  const copy = Object.fromEntries(Object.entries(value).map(([key, item]) => [key, renamed(item, names)]));
  const name = copy.class_name;
  if (typeof name !== "string" || !Object.hasOwn(names, name)) return copy;
  const { policy, max_steps, ...config } = copy.config as Record<string, unknown>;
  return { ...copy, class_name: names[name], config };
}
