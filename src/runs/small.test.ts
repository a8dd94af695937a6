/** Nets too small for sparse work: the rule stays, the execution goes dense, and the run says so. */
import { expect, test } from "vitest";
import type { Engine } from "../kernels/kernels.ts";
import { Model } from "../nn/model.ts";
import { parsePolicy } from "../sparse/policies.ts";
import { Trainer } from "../train/trainer.ts";
import { hasNativeAddon, loadNativeAddon, loadNativeEngine } from "./native-addon.ts";
import { smallNotes, sparseExecution } from "./small.ts";

const isas = hasNativeAddon() ? loadNativeAddon().isas() : [];
const engines = await Promise.all(isas.map((isa) => loadNativeEngine(1, isa)));

function trained(engine: Engine, cell: "lstm" | "gru", hiddenSize: number): Model {
  const output = { kind: "classes", size: 9, positions: "all" } as const;
  const model = new Model(
    engine,
    { input: { kind: "tokens", vocabulary: 9 }, cell, hiddenSize, numLayers: 2, output },
    { T: 6, B: 4 },
  );
  const trainer = new Trainer(model, {
    policy: parsePolicy("density:0.1"),
    seed: 1,
    maxSteps: 3,
    optimizer: "sgd",
    learningRate: 0.1,
  });
  for (let step = 0; step < 3; step++) trainer.step();
  return model;
}

test.each(engines.map((engine) => [engine.isa, engine] as const))(
  "%s: narrow gates run dense on what is left",
  (isa, engine) => {
    const most = { avx512: 16, avx2: 8 }[isa] ?? 0;
    for (const cell of ["lstm", "gru"] as const)
      for (const hiddenSize of [8, 16, 17, 64]) {
        const { sites, macs } = trained(engine, cell, hiddenSize);
        const small = hiddenSize <= most;
        expect(sparseExecution(sites)).toBe(small ? "off, too small" : "on");
        for (const { layer, product, dense, skipped, executed } of macs) {
          if (layer === "head" || !["dh", "dx", "dU"].includes(product) || dense === 0) continue;
          expect(skipped).toBeGreaterThan(0.6 * dense); // what the rule left does not depend on it
          if (small) expect(executed).toBe(dense);
          else expect(executed).toBeLessThan(dense);
        }
        const notes = smallNotes(sites, "native", true);
        expect(notes.length).toBe(hiddenSize < 48 ? 1 : 0);
        expect(notes.join().includes("products run dense")).toBe(small);
        expect(smallNotes(sites, "native", false)).toEqual([]);
      }
  },
);
