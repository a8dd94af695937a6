import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Arm } from "./sweep-arms.ts";
import { parseSweep } from "./sweep-grid.ts";
import { survivors } from "./sweep-halving.ts";

const grid = { policy: ["dense", "energy:0.99"], "train.learningRate": [1, 2, 3, 4] };
const { arms } = parseSweep({ grid });
const dense = arms.slice(0, 4);
const energy = arms.slice(4);
/** Losses in the order of the arms. */
const by = (losses: readonly (number | null)[]) => (arm: Arm) => losses[arms.indexOf(arm)] ?? null;
const kept = (losses: readonly (number | null)[], keep: number, within?: string[], reference: readonly Arm[] = []) =>
  survivors(arms, by(losses), { keep, within }, reference).map((arm) => arms.indexOf(arm));

describe("survivors", () => {
  test("are the better part, rounded up, in their own order", () => {
    expect(kept([8, 1, 7, 2, 6, 3, 5, 4], 0.5)).toEqual([1, 3, 5, 7]);
    expect(kept([8, 1, 7, 2, 6, 3, 5, 4], 0.3)).toEqual([1, 3, 5]);
    expect(kept([8, 1, 7, 2, 6, 3, 5, 4], 0.01)).toEqual([1]);
  });

  test("are ranked within a policy where that is asked for", () => {
    expect(kept([1, 2, 3, 4, 9, 8, 7, 6], 0.5)).toEqual([0, 1, 2, 3]);
    expect(kept([1, 2, 3, 4, 9, 8, 7, 6], 0.5, ["policy"])).toEqual([0, 1, 6, 7]);
  });

  test("have the best reference among them, however bad", () => {
    expect(kept([9, 8, 7, 6, 1, 2, 3, 4], 0.25, undefined, dense)).toEqual([3, 4, 5]);
    expect(kept([1, 2, 3, 4, 9, 8, 7, 6], 0.25, undefined, dense)).toEqual([0, 1]);
  });

  test("are never those that failed, nor a reference that did", () => {
    expect(kept([null, null, null, null, 9, 8, null, null], 0.5, undefined, dense)).toEqual([4, 5]);
    expect(kept([null, Number.NaN, null, null, null, null, null, null], 0.5, undefined, energy)).toEqual([]);
  });

  test("are at least one and never more than the share, and none that went is better than one that stayed", () => {
    const losses = fc.array(fc.integer({ min: 0, max: 20 }), { minLength: 8, maxLength: 8 });
    fc.assert(
      fc.property(losses, fc.double({ min: 0.01, max: 0.99, noNaN: true }), (all, keep) => {
        const stay = kept(all, keep);
        expect(stay.length).toBe(Math.ceil(keep * 8));
        const gone = all.filter((_, index) => !stay.includes(index));
        for (const index of stay) for (const loss of gone) expect(all[index]).toBeLessThanOrEqual(loss);
      }),
    );
  });
});
