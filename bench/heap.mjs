/**
 * Many training steps in one process: the arena must not grow, the heap must stay flat, and a step
 * must leave next to no garbage.
 *
 *   retained   heap + external memory after full collections, every tenth of the run: what one
 *              step keeps, as the median of the differences (the compiler's own memory comes in
 *              lumps, a leak comes every time); over the whole run as well
 *   garbage    what a step allocates and drops: growth of heap + external memory over a tenth of
 *              the run, without a collection; the median again (a collection makes a sample negative)
 */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { median, peakRssMiB } from "./numbers.mjs";
import { loadEngine, makeOurs } from "./ours.mjs";

/**
 * Bounds, in bytes. An array of eight numbers has 112, so keeping one per step is over the first.
 * Garbage is per step, site and t: a few boxed numbers and short lists around the kernels stay.
 */
export const BOUNDS = { retainedPerStep: 64, retained: 512 * 1024, garbagePerT: 1024 };

const PARTS = 10;
const WARM_MS = 4000;
const WARM_STEPS = 500;

/** Ways to spoil a step, to see the bounds hold something: an array kept, or made and dropped, at each step. */
const kept = [];
const replaced = [];
export const SPOILS = {
  none: () => {},
  retain: () => kept.push(new Array(8).fill(0.5)),
  garbage: () => {
    replaced[0] = new Float64Array(4096);
  },
};

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc");

export async function heap({ workloadName, workload, engineName, policy, steps, spoil = "none" }) {
  const engine = await loadEngine(engineName);
  const { model, step } = makeOurs(engine, workload, policy);
  const spoiled = SPOILS[spoil];
  const perPart = Math.max(1, Math.ceil(steps / PARTS));
  const run = () => {
    for (let i = 0; i < perPart; i++) {
      step();
      spoiled();
    }
  };
  // Warm: unoptimized code boxes every number it passes, and feedback and compiled code are memory as well.
  const until = performance.now() + WARM_MS;
  for (let done = 0; done < WARM_STEPS || performance.now() < until; done += perPart) run();

  const arenaBefore = model.arena.memory.buffer.byteLength;
  const retained = new Float64Array(PARTS);
  const allocated = new Float64Array(PARTS);
  const before = collected();
  let last = before;
  for (let part = 0; part < PARTS; part++) {
    const start = used();
    run();
    allocated[part] = used() - start;
    const now = collected();
    retained[part] = now - last;
    last = now;
  }
  const arenaBytes = model.arena.memory.buffer.byteLength;
  const retainedBytes = last - before;
  const retainedBytesPerStep = median([...retained]) / perPart;
  const garbageBytesPerStep = Math.max(0, median([...allocated]) / perPart - Math.max(0, retainedBytesPerStep));
  const garbageBound = BOUNDS.garbagePerT * workload.T * model.sites.length;
  const failures = [
    ...(arenaBytes === arenaBefore ? [] : [`the arena grew from ${arenaBefore} to ${arenaBytes} bytes`]),
    ...over("retained per step", retainedBytesPerStep, BOUNDS.retainedPerStep),
    ...over("retained over all steps", retainedBytes, BOUNDS.retained),
    ...over("garbage per step", garbageBytesPerStep, garbageBound),
  ];
  return {
    workload: workloadName,
    engine: engine.name,
    policy,
    steps: perPart * PARTS,
    arenaBytes,
    arenaGrownBytes: arenaBytes - arenaBefore,
    heapBytes: before,
    retainedBytes,
    retainedBytesPerStep,
    garbageBytesPerStep,
    garbageBound,
    rssMiB: peakRssMiB(),
    failures,
  };
}

function over(what, bytes, bound) {
  return bytes <= bound ? [] : [`${what}: ${bytes} bytes, at most ${bound}`];
}

function used() {
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

function collected() {
  for (let i = 0; i < 4; i++) collect();
  return used();
}
