/**
 * `gatesieve/tfjs`: layers that replace tf.layers.lstm and tf.layers.gru in models of TensorFlow.js.
 *
 *   const { lstm } = await gatesieveLayers(tf);                       // instead of const { lstm } = tf.layers;
 *   model.add(lstm({ units: 128, inputShape: [28, 28] }));
 *
 * docs/tensorflow-js.md
 */
import { check } from "../core/check.ts";
import { loadEngine } from "../kernels/engines.ts";
import { DEFAULT_POLICY } from "../sparse/policies.ts";
import type { Policy } from "../sparse/policy.ts";
import { convert } from "./convert.ts";
import { defineLayer, type GatesieveClass, type GatesieveLayer, PLAIN_NAMES } from "./layer.ts";
import type { LayerTelemetry } from "./runner.ts";
import type { LayersModel, RnnClass, Tf } from "./tensorflow.ts";

export type { LayerTelemetry } from "./runner.ts";

export interface GatesieveLayersOptions {
  /** "auto" (the fastest that loads here), "js", "wasm", or with "gatesieve/node" imported "native". */
  readonly engine?: string;
  readonly threads?: number;
  /** Of layers that name none: docs/policies.md. */
  readonly policy?: string | Policy;
  /** For a policy's draws. */
  readonly seed?: number;
  /** Steps of the training, for policies with a schedule. */
  readonly maxSteps?: number;
}

/** Options of a layer beside those of tf.layers.lstm and tf.layers.gru. */
export interface LayerOptions {
  readonly policy?: string | Policy;
  readonly maxSteps?: number;
}

/** The module TensorFlow.js, as `import * as tf from "@tensorflow/tfjs"` gives it. */
export interface TensorFlow {
  // biome-ignore lint/suspicious/noExplicitAny: these are the user's types, taken over below
  readonly layers: { lstm(args: any): any; gru(args: any): any };
  readonly customGrad: unknown;
}

type Arguments<TF extends TensorFlow, K extends "lstm" | "gru"> = Parameters<TF["layers"][K]>[0];

export interface GatesieveLayers<TF extends TensorFlow> {
  /** The engine at work, with its instruction set: "native, avx512". */
  readonly engine: string;
  /**
   * As tf.layers.lstm, with its options, weights and outputs. UsageError for an activation other than tanh, a
   * recurrentActivation other than sigmoid and hardSigmoid, and recurrentDropout.
   */
  lstm(args: Arguments<TF, "lstm"> & LayerOptions): ReturnType<TF["layers"]["lstm"]>;
  /** As tf.layers.gru (reset before the product, as all of TensorFlow.js' are); errors as of lstm. */
  gru(args: Arguments<TF, "gru"> & LayerOptions): ReturnType<TF["layers"]["gru"]>;
  /** The same model with every LSTM and GRU one of ours, and the same weights. It is not compiled. */
  toGatesieve<M>(model: M): Promise<M>;
  /** The same model with every LSTM and GRU one of TensorFlow.js', and the same weights. It is not compiled. */
  toTensorFlow<M>(model: M): Promise<M>;
  /** Of every layer of ours in a model, in its order. */
  telemetry(model: unknown): LayerTelemetry[];
}

/**
 * Layers over an engine, for this TensorFlow.js, whose backend must read tensors synchronously (cpu, wasm, node, webgl; not
 * webgpu). Registers their classes, so that saved models with them load. UsageError for an unknown engine or policy.
 */
export async function gatesieveLayers<TF extends TensorFlow>(
  tf: TF,
  { engine = "auto", threads = 1, policy = DEFAULT_POLICY, seed = 0, maxSteps = 1 }: GatesieveLayersOptions = {},
): Promise<GatesieveLayers<TF>> {
  const module = tf as unknown as Tf;
  check(
    typeof module?.customGrad === "function" && module.layers && module.serialization,
    'gatesieveLayers: this is not TensorFlow.js with its layers; give what import * as tf from "@tensorflow/tfjs" gives.',
  );
  const loaded = await loadEngine(engine, threads);
  const classes = module.serialization.SerializationMap.getMap().classNameMap;
  const define = (kind: "lstm" | "gru"): GatesieveClass => {
    const Base = classes[PLAIN_NAMES[kind]]?.[0] as unknown as RnnClass;
    const Layer = defineLayer(module, kind, Base, { engine: loaded, policy, seed, maxSteps });
    module.serialization.registerClass(Layer as never);
    return Layer;
  };
  const [Lstm, Gru] = [define("lstm"), define("gru")];
  return {
    engine: `${loaded.name}, ${loaded.isa}`,
    lstm: (args) => new Lstm(args) as ReturnType<TF["layers"]["lstm"]>,
    gru: (args) => new Gru(args) as ReturnType<TF["layers"]["gru"]>,
    toGatesieve: async <M>(model: M) => (await convert(module, model as LayersModel, "gatesieve")) as M,
    toTensorFlow: async <M>(model: M) => (await convert(module, model as LayersModel, "tensorflow")) as M,
    telemetry: (model) => layersOf(model).map((layer) => layer.telemetry()),
  };
}

/** Layers of ours in a model, in models within it, and in wrappers. */
function layersOf(from: unknown): GatesieveLayer[] {
  const { telemetry, layers, layer, forwardLayer, backwardLayer } = (from ?? {}) as Partial<GatesieveLayer> & {
    layers?: unknown[];
    layer?: unknown;
    forwardLayer?: unknown;
    backwardLayer?: unknown;
  };
  if (telemetry) return [from as GatesieveLayer];
  const inside = [...(layers ?? []), ...(forwardLayer ? [forwardLayer, backwardLayer] : layer ? [layer] : [])];
  return inside.flatMap(layersOf);
}
