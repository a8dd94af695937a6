/** States made again, stretch by stretch, are those that were there: every bit of a pass is the same. */
import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import type { Engine } from "../kernels/kernels.ts";
import { nativeEngine } from "../kernels/native.ts";
import { hasNativeAddon, loadNativeAddon } from "../runs/native-addon.ts";
import { type DropRule, dropRule } from "../sparse/rule.ts";
import { ActivationTally } from "../train/activations.ts";
import type { Model } from "./model.ts";
import { filledModel, LANGUAGE_MODEL, setLengths } from "./testing.ts";

const [T, B, H] = [131, 66, 61]; // seven stretches of 17 time steps and one of 12, and pieces of 3

/** The engine without `restate`: states keep their room for all of time. */
function without(engine: Engine): Engine {
  return {
    ...engine,
    attach(arena) {
      const kernels = engine.attach(arena);
      delete kernels.cells.lstm!.restate;
      return kernels;
    },
  };
}

function make(engine: Engine): Model {
  return filledModel(engine, { ...LANGUAGE_MODEL, hiddenSize: H, numLayers: 2 }, { T, B });
}

function bits({ data }: { data: ArrayBufferView }): string {
  return createHash("sha256")
    .update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength).slice())
    .digest("hex");
}

function onePass(model: Model, rule: Partial<DropRule>, watched: boolean) {
  for (const site of model.sites)
    Object.assign(
      site.rule,
      { ...dropRule(4), tau: new Float64Array(4).fill(2e-6), share: new Float64Array(4).fill(0.4), key: 9 },
      rule,
    );
  const tally = new ActivationTally(model.recurrent[0]!, H, B);
  tally.clear();
  const beforeBackward = (...[name, ...rest]: Parameters<NonNullable<Model["pass"]["watcher"]>["beforeBackward"]>) => {
    if (name === model.recurrent[0]!.name) tally.add(...rest);
  };
  model.clearGradients();
  const loss = model.lossAndGradient({
    ...model.pass,
    ...(watched && { watcher: { beforeBackward, afterSweep() {} } }),
  });
  return {
    loss,
    seen: watched && tally.read(),
    carried: model.carried.map(bits),
    gradients: model.parameters.map(({ gradient }) => bits(gradient)),
    sums: model.sites.map(({ statistics }) => bits(statistics.sums)),
  };
}

const RULES = [
  ["keep", {}],
  ["threshold", { kind: "threshold" }],
  ["stochastic", { kind: "stochastic" }],
  ["columns, which the whole loop does not know", { kind: "columns" }],
  ["threshold on dW alone", { kind: "threshold", paths: "dW" }],
  ["threshold, biases dense", { kind: "threshold", bias: "dense" }],
] as const;

const addon = hasNativeAddon() ? loadNativeAddon() : undefined;
const [best] = addon?.isas() ?? [];

describe.each(addon?.isas() ?? [])("native %s", (isa) => {
  const engine = nativeEngine(addon!, 1, isa);
  const [stretches, whole] = [make(engine), make(without(engine))];

  test("takes less memory", () => {
    // Of c 18 time steps for both layers, and 8 of each where a stretch begins; of tanh c 17 for both.
    const spared = whole.arena.bytes("activations") - stretches.arena.bytes("activations");
    expect(Math.round(spared / (4 * B * H))).toBe(2 * (2 * T + 1) - (18 + 2 * 8 + 17));
  });

  test.each(isa === best ? RULES : RULES.slice(0, 3))("%s: all lanes whole, watched, and padded", (_, rule) => {
    for (const model of [stretches, whole]) model.lengths.data.fill(T);
    for (const watched of [false, true])
      expect(onePass(stretches, rule, watched)).toEqual(onePass(whole, rule, watched));
    const lengths = Array.from({ length: B }, (_, lane) => 1 + ((lane * 7) % T));
    for (const model of [stretches, whole]) setLengths(model, lengths);
    expect(onePass(stretches, rule, true)).toEqual(onePass(whole, rule, true));
  });
});
