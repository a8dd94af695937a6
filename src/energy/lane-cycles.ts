/**
 * The lane group cycle by cycle: the definition of its timing, which lanes.ts and the hardware (rtl/) must equal.
 *
 * Within a cycle all parts look at the state as it was at its beginning.
 *
 *   lane      works off `left` cycles. With one or none left it takes the head of its queue, and works on it from the
 *             next cycle on; with an empty queue, and `steal`, the head of its right neighbour's, if that one is busy.
 *   dispatch  hands the FIFO's first elements, in order, at most `ports`, to the queues of their lanes; stops at one
 *             whose queue is full or has been given an element in this cycle.
 *   pack      moves all survivors of the word in the compare register into the FIFO, if it has room for them.
 *   compare   takes the next word, if the register is empty or becomes so in this cycle.
 *
 * A block ends when register, FIFO and queues are empty and no lane works; the next begins with the cycle after.
 */
import { popcount } from "../sparse/trace.ts";
import type { LaneConfig, LaneCycles, LaneRows } from "./lane-rows.ts";
import { checkLanes, scanBlock, scanOf } from "./lane-rows.ts";

/** What happened in a cycle. The object is used again for the next one. */
export interface LaneEvents {
  /** Of the block, from 0. */
  cycle: number;
  /** A word went into the register. */
  accepted: boolean;
  /** The word in the register was packed. */
  goes: boolean;
  /** Elements that went into the FIFO. */
  packed: number;
  /** Elements that went to the queues. */
  dispatched: number;
  /** Per lane: 0 took nothing, 1 from its own queue, 2 from its neighbour's. */
  readonly taken: Uint8Array;
  /** Per lane: 1 worked. */
  readonly busy: Uint8Array;
}

/**
 * As `simulateLanes`, slowly: `seen` is told of every cycle. Blocks go from the last to the first, as backward
 * passes do.
 */
export function walkLanes(
  config: LaneConfig,
  rows: LaneRows,
  cost: number,
  seen: (events: LaneEvents) => void = () => {},
): LaneCycles {
  checkLanes(config, rows, cost);
  const { fifo, ports, lanes, queue, owner, steal } = config;
  const scan = scanOf(config, rows);
  const count = Math.ceil(rows.rows / rows.block);
  const unit = { scan: 0, backPressure: 0, drain: 0 };
  const sums = { busy: 0, supply: 0, imbalance: 0, drain: 0 };
  const laneBusy = new Float64Array(lanes);
  const blocks = new Float64Array(count);
  const left = new Float64Array(lanes);
  const queued = new Int32Array(lanes);
  const given = new Uint8Array(lanes);
  const events: LaneEvents = {
    cycle: 0,
    accepted: false,
    goes: false,
    packed: 0,
    dispatched: 0,
    taken: new Uint8Array(lanes),
    busy: new Uint8Array(lanes),
  };
  let cycles = 0;
  let words = 0;
  let elements = 0;
  let stolen = 0;

  for (let block = count - 1; block >= 0; block--) {
    const first = block * rows.block;
    scanBlock(scan, config, rows, first, Math.min(rows.block, rows.rows - first));
    const waiting: number[] = []; // the lanes of what is in the FIFO
    let next = 0;
    let held = -1; // the word in the compare register
    let cycle = 0;
    for (;;) {
      const idle = left.every((x) => x === 0) && queued.every((x) => x === 0);
      if (next === scan.length && held < 0 && waiting.length === 0 && idle) break;
      const room = fifo - waiting.length;
      const full = queued.map((x) => (x >= queue ? 1 : 0));

      // lanes
      const free = left.map((x) => (x <= 1 ? 1 : 0));
      const had = queued.map((x) => (x > 0 ? 1 : 0));
      for (let lane = 0; lane < lanes; lane++) {
        const working = (left[lane] as number) > 0;
        events.busy[lane] = working ? 1 : 0;
        if (working) (left[lane] as number)--;
        events.taken[lane] = 0;
        const right = (lane + 1) % lanes;
        if (free[lane] && had[lane]) events.taken[lane] = 1;
        else if (steal && free[lane] && right !== lane && had[right] && !free[right]) events.taken[lane] = 2;
        if (events.taken[lane]) {
          left[lane] = cost;
          (queued[events.taken[lane] === 1 ? lane : right] as number)--;
          if (events.taken[lane] === 2) stolen++;
        }
      }
      // dispatch
      given.fill(0);
      events.dispatched = 0;
      while (events.dispatched < Math.min(ports, waiting.length)) {
        const lane = waiting[events.dispatched] as number;
        if (full[lane] || given[lane]) break;
        given[lane] = 1;
        (queued[lane] as number)++;
        events.dispatched++;
      }
      waiting.splice(0, events.dispatched);
      // pack
      events.packed = 0;
      const survivors = held < 0 ? 0 : popcount(scan.bits[held] as number);
      const goes = held >= 0 && survivors <= room;
      if (goes) {
        const base = owner === "row" ? (scan.row[held] as number) - first : (scan.col[held] as number);
        for (let i = 0; i < 32; i++) if (((scan.bits[held] as number) >>> i) & 1) waiting.push((base + i) % lanes);
        events.packed = survivors;
        elements += survivors;
      }
      // compare
      const more = next < scan.length;
      events.accepted = more && (held < 0 || goes);
      events.goes = goes;
      if (goes) held = -1;
      if (events.accepted) held = next++;

      unit[!more ? "drain" : events.accepted ? "scan" : "backPressure"]++;
      const cause = !more ? "drain" : events.accepted ? "supply" : "imbalance";
      for (let lane = 0; lane < lanes; lane++) {
        sums[events.busy[lane] ? "busy" : cause]++;
        if (events.busy[lane]) (laneBusy[lane] as number)++;
      }
      events.cycle = cycle++;
      seen(events);
    }
    blocks[block] = cycle;
    cycles += cycle;
    words += scan.length;
  }
  return { cycles, words, elements, stolen, unit, lanes: sums, laneBusy, blocks };
}
