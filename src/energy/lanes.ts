/**
 * Cycles of a threshold-and-compact unit and its group of lanes, exactly, without walking them.
 *
 * Each word and element moves on as soon as the last of a few earlier events allows it, so one pass over the survivors
 * gives every cycle. With c the cost of an element, P ports, a FIFO of F, queues of D:
 *
 *   accept(k)   = pack(k-1)                                      of word k; 0 for the first of a block
 *   pack(k)     = max(accept(k) + 1, dispatch(F before its last survivor) + 1)
 *   dispatch(e) = max(pack(its word) + 1, dispatch(e-1), dispatch(e-P) + 1,
 *                     dispatch(the one before in its lane) + 1, take(the one D before in its lane) + 1)
 *   take(e)     = max(dispatch(e) + 1, take(the one before in its lane) + c)         and works in (take, take + c]
 *
 * The definition is lane-cycles.ts; a property test holds the two equal. Lanes that take from each other have no
 * such order: `steal` walks the cycles.
 */

import { popcount } from "../sparse/trace.ts";
import { walkLanes } from "./lane-cycles.ts";
import type { LaneConfig, LaneCycles, LaneRows, Scan } from "./lane-rows.ts";
import { checkLanes, scanBlock, scanOf } from "./lane-rows.ts";

export type { LaneConfig, LaneCycles, LaneRows } from "./lane-rows.ts";

/**
 * Cycles of all `rows`, each survivor at `cost` cycles of its lane: ceil(N / M) for rows of N numbers on lanes of M
 * multipliers. Throws a `UsageError` where sizes make no sense.
 */
export function simulateLanes(config: LaneConfig, rows: LaneRows, cost: number): LaneCycles {
  checkLanes(config, rows, cost);
  if (config.steal && config.lanes > 1) return walkLanes(config, rows, cost);
  const scan = scanOf(config, rows);
  const group = new LaneGroup(config, cost, scan.bits.length);
  const blocks = new Float64Array(Math.ceil(rows.rows / rows.block));
  for (let block = blocks.length - 1; block >= 0; block--) {
    const first = block * rows.block;
    scanBlock(scan, config, rows, first, Math.min(rows.block, rows.rows - first));
    blocks[block] = group.run(scan, first);
  }
  return group.result(blocks);
}

/** Idle stretches that are not yet told apart: more than can lie ahead of the unit, so that some always can be. */
const STRETCHES = 4096;

class LaneGroup {
  readonly #config: LaneConfig;
  readonly #cost: number;
  /** Per word of the block: the cycle in which it is taken in. */
  readonly #accept: Float64Array;
  /** The last dispatches, by element. */
  readonly #dispatched: Float64Array;
  /** Per lane: its last dispatch, its last `queue` takes, how many there were. */
  readonly #lastDispatch: Float64Array;
  readonly #takes: Float64Array;
  readonly #lastTake: Float64Array;
  readonly #laneAt: Int32Array;
  readonly #laneBusy: Float64Array;
  readonly #from: Float64Array;
  readonly #to: Float64Array;
  #stretches = 0;
  #words = 0;
  #elements = 0;
  #scanDrain = 0;
  #cycles = 0;
  #supply = 0;
  #imbalance = 0;
  #drain = 0;

  constructor(config: LaneConfig, cost: number, words: number) {
    const { lanes, fifo, ports, queue } = config;
    this.#config = config;
    this.#cost = cost;
    this.#accept = new Float64Array(words);
    this.#dispatched = new Float64Array(2 ** Math.ceil(Math.log2(Math.max(fifo, ports) + 64)));
    this.#lastDispatch = new Float64Array(lanes);
    this.#takes = new Float64Array(lanes * queue);
    this.#lastTake = new Float64Array(lanes);
    this.#laneAt = new Int32Array(lanes);
    this.#laneBusy = new Float64Array(lanes);
    this.#from = new Float64Array(STRETCHES + fifo + 64);
    this.#to = new Float64Array(STRETCHES + fifo + 64);
  }

  /** One block, from an empty machine to an empty machine: its cycles. */
  run(scan: Scan, first: number): number {
    const { fifo, ports, lanes, queue, owner } = this.#config;
    const cost = this.#cost;
    const accept = this.#accept;
    const dispatched = this.#dispatched;
    const ring = dispatched.length - 1;
    const lastDispatch = this.#lastDispatch;
    const takes = this.#takes;
    const lastTake = this.#lastTake;
    const laneAt = this.#laneAt;
    const laneBusy = this.#laneBusy;
    dispatched.fill(-1);
    lastDispatch.fill(-1);
    takes.fill(-1);
    lastTake.fill(-1 - cost); // free in cycle 0
    let elements = 0;
    let pack = 0;
    let last = 0; // dispatch of the element before
    for (let k = 0; k < scan.length; k++) {
      accept[k] = pack;
      if (this.#stretches >= STRETCHES) this.#tellApart(k + 1);
      pack++;
      let bits = scan.bits[k] as number;
      if (bits === 0) continue;
      const end = elements + popcount(bits);
      if (end > fifo) pack = Math.max(pack, (dispatched[(end - fifo - 1) & ring] as number) + 1);
      const base = owner === "row" ? (scan.row[k] as number) - first : (scan.col[k] as number);
      while (bits !== 0) {
        const i = 31 - Math.clz32(bits & -bits);
        bits &= bits - 1;
        const lane = (base + i) % lanes;
        const at = laneAt[lane] as number;
        const slot = lane * queue + at;
        let cycle = Math.max(pack + 1, last, (lastDispatch[lane] as number) + 1, (takes[slot] as number) + 1);
        if (elements >= ports) cycle = Math.max(cycle, (dispatched[(elements - ports) & ring] as number) + 1);
        dispatched[elements++ & ring] = cycle;
        lastDispatch[lane] = cycle;
        last = cycle;
        const free = (lastTake[lane] as number) + cost;
        const take = Math.max(cycle + 1, free);
        if (take > free) {
          this.#from[this.#stretches] = free + 1;
          this.#to[this.#stretches++] = take + 1;
        }
        takes[slot] = take;
        lastTake[lane] = take;
        laneAt[lane] = at + 1 === queue ? 0 : at + 1;
        (laneBusy[lane] as number)++;
      }
    }
    let cycles = pack + 1;
    for (let lane = 0; lane < lanes; lane++) cycles = Math.max(cycles, (lastTake[lane] as number) + cost + 1);
    for (let lane = 0; lane < lanes; lane++) {
      if (this.#stretches >= STRETCHES) this.#tellApart(scan.length);
      this.#from[this.#stretches] = (lastTake[lane] as number) + cost + 1;
      this.#to[this.#stretches++] = cycles;
    }
    this.#tellApart(scan.length, Number.POSITIVE_INFINITY);
    this.#words += scan.length;
    this.#elements += elements;
    this.#scanDrain += cycles - (accept[scan.length - 1] as number) - 1;
    this.#cycles += cycles;
    return cycles;
  }

  result(blocks: Float64Array): LaneCycles {
    const busy = this.#elements * this.#cost;
    return {
      cycles: this.#cycles,
      words: this.#words,
      elements: this.#elements,
      stolen: 0,
      unit: {
        scan: this.#words,
        backPressure: this.#cycles - this.#words - this.#scanDrain,
        drain: this.#scanDrain,
      },
      lanes: { busy, supply: this.#supply, imbalance: this.#imbalance, drain: this.#drain },
      laneBusy: this.#laneBusy.map((count) => count * this.#cost),
      blocks,
    };
  }

  /**
   * Splits the idle stretches [from, to) that end before the last of the `words` known so far is taken in, or all
   * of them: cycles in which a word is taken in, in which none is, and, after the last word, the drain.
   */
  #tellApart(words: number, until = this.#accept[words - 1] as number): void {
    const end = (this.#accept[words - 1] as number) + 1;
    let left = 0;
    for (let i = 0; i < this.#stretches; i++) {
      const from = this.#from[i] as number;
      const to = this.#to[i] as number;
      if (to > until) {
        this.#from[left] = from;
        this.#to[left++] = to;
        continue;
      }
      const stop = Math.min(to, end);
      if (from < stop) {
        const taken = this.#accepted(words, stop) - this.#accepted(words, from);
        this.#supply += taken;
        this.#imbalance += stop - from - taken;
      }
      this.#drain += to - Math.max(from, stop);
    }
    this.#stretches = left;
  }

  /** How many of the first `words` words are taken in before `cycle`. */
  #accepted(words: number, cycle: number): number {
    let low = 0;
    let high = words;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#accept[middle] as number) < cycle) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
