import type { Machine } from "../machine.ts";

export const cpu: Machine = {
  name: "cpu",
  summary: "one core of AMD EPYC, Zen 5, engine native: measured rates, no model of parts",
  design: {
    kind: "roofline",
    macsPerCycle: 33.1,
    speedups: [
      [1, 0.97],
      [0.7, 0.97],
      [0.5, 1.03],
      [0.35, 1.36],
      [0.2, 2.1],
      [0.1, 3.3],
      [0.05, 4.81],
      [0.01, 7.6],
    ],
    watts: {
      value: 6.25,
      low: 3,
      high: 12,
      source: "AMD EPYC 9575F: 400 W for 64 cores by its data sheet, divided evenly; not measured here",
      standing: "cited",
    },
  },
  clockGHz: 3.5,
  sramBytes: 2 ** 20,
  bankBytes: 2 ** 20,
  dramGBs: 37,
  vectorLanes: 16,
  overhead: null,
  sources: [
    "docs/results/bench-kernels-native.md, 2026-11-25: H 512, B 50, T 50, avx512, one thread, dh + dx + dW with compression; 232 GFLOP/s dense",
    "bandwidth of one core to memory 37 to 49 GB/s, measured on the same machine",
  ],
};
