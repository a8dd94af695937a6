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
  sources: ["our own: argued for in docs/accelerator.md"],
};
