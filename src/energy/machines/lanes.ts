import type { Machine } from "../machine.ts";
import { COMMON } from "./common.ts";

export const lanes: Machine = {
  ...COMMON,
  name: "lanes",
  summary: "16 zero-skipping lanes of 64 over gradients compacted in memory, by rows and again by columns",
  design: {
    kind: "lanes",
    groups: 4,
    lanes: 4,
    macsPerLane: 64,
    unitWidth: 16,
    fifo: 32,
    ports: 4,
    queue: 8,
    steal: false,
    threshold: false,
    flow: "row",
    bufferRows: 0,
  },
  overhead: {
    value: 0.0449,
    low: 0.02,
    high: 0.1,
    source: "J. Albericio et al., Cnvlutin, ISCA 2016: 4.49 % of area",
    standing: "cited",
  },
  sources: [
    "J. Albericio et al., Cnvlutin, ISCA 2016, and S. Han et al., EIE, ISCA 2016: lanes that take nonzeros from compacted storage, queues of 8; sizes are ours, to equal 1024 multipliers",
  ],
};
