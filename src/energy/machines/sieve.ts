import type { Machine } from "../machine.ts";
import { COMMON } from "./common.ts";

export const sieve: Machine = {
  ...COMMON,
  name: "sieve",
  summary: "ours: four threshold-and-compact units, each before one lane of 256, columns of a time step",
  design: {
    kind: "lanes",
    groups: 4,
    lanes: 1,
    macsPerLane: 256,
    unitWidth: 16,
    fifo: 64,
    ports: 1,
    queue: 4,
    steal: false,
    threshold: true,
    flow: "column",
    bufferRows: 64,
  },
  overhead: {
    value: 0.031,
    low: 0.01,
    high: 0.128,
    source:
      "rtl/, gate equivalents by yosys 0.23 (rtl/area.mjs): unit, FIFO and queue 68,403 before 256 multipliers and adders of 8,561 each; high: the unit with the rule stochastic; low: from component areas",
    standing: "read",
  },
  sources: ["our own: argued for in docs/accelerator.md; in SystemVerilog in rtl/"],
};
