/** The benchmarks' FLOPs, counted three ways: the published table, the formula, the model's own count. */
import { describe, expect, test } from "vitest";
import { gflop, modelSpec, parameterCount, WORKLOADS, type Workload } from "../bench/workloads.mjs";
import { jsEngine } from "../src/kernels/js.ts";
import { Model } from "../src/nn/model.ts";

/** As published, to three digits. They count dh at t = 0, which nothing wants; `gflop` does not. */
const PUBLISHED = { W1: 3.07, W2: 47.7, W3: 6.34, W4: 55.7, W5: 214, W6: 1.62 } as const;

const dhAtFirstStep = ({ layers, B, H }: Workload) => (2 * layers * B * 4 * H * H) / 1e9;

describe("workloads", () => {
  for (const [name, published] of Object.entries(PUBLISHED))
    test(`${name} has the published GFLOP`, () => {
      const workload = WORKLOADS[name as keyof typeof PUBLISHED];
      expect(Number((gflop(workload) + dhAtFirstStep(workload)).toPrecision(3))).toBe(published);
    });

  for (const [name, workload] of Object.entries(WORKLOADS))
    test(`${name}: a smaller model of its kind counts what the formula says`, () => {
      const { input, layers } = workload;
      const small: Workload = {
        ...workload,
        input: input.features
          ? { features: 5 }
          : input.embedding
            ? { tokens: 11, embedding: 6 }
            : { oneHot: input.oneHot as number },
        H: 4 + layers,
        ...(workload.source && { source: { tokens: 9, embedding: 5, length: 4 } }),
        V: 7,
        B: 3,
        T: 5,
      };
      const model = new Model(jsEngine, modelSpec(small), { T: small.T, B: small.B });
      model.initialize(1);
      model.lossAndGradient(model.pass);
      const counted = model.macs.reduce((sum, { dense }) => sum + dense, 0);
      expect((2 * counted) / 1e9).toBeCloseTo(gflop(small), 15);
      expect(model.size).toBe(parameterCount(small));
    });
});
