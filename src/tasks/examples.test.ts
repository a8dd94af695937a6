/** Batches that gather examples of like size: the same examples as without, in fewer padded positions. */
import { expect, test } from "vitest";
import { RandomStream } from "../core/random.ts";
import { ExampleCursor, type ExampleSet } from "./examples.ts";

test("each example once an epoch, of like size together, in an order that changes", () => {
  const random = new RandomStream(1, "sizes");
  const sizes = Array.from({ length: 8 * 100 }, () => random.below(50));
  const epochs = (sizeOf?: (index: number) => number) => {
    let lane: number[] = [];
    const set: ExampleSet = {
      count: sizes.length,
      fill: (index) => void lane.push(index),
      ...(sizeOf && { sizeOf }),
    };
    const cursor = new ExampleCursor("x", "train", { T: 1, B: 8, seed: 1 }, set);
    const into = { tokens: undefined, features: undefined, targets: new Int32Array(8), lengths: new Int32Array(8) };
    return [0, 1].map(() =>
      Array.from({ length: 100 }, () => {
        lane = [];
        cursor.next(into);
        return lane;
      }),
    );
  };
  const spread = (batches: readonly (readonly number[])[]) =>
    batches.reduce(
      (sum, batch) => sum + Math.max(...batch.map((i) => sizes[i]!)) - Math.min(...batch.map((i) => sizes[i]!)),
      0,
    );
  const [first, second] = epochs((index) => sizes[index]!);
  for (const epoch of [first!, second!]) {
    expect(new Set(epoch.flat()).size).toBe(sizes.length);
    expect(spread(epoch)).toBeLessThan(0.1 * spread(epochs()[0]!));
    // Not from the short to the long.
    const means = epoch.map((batch) => batch.reduce((sum, i) => sum + sizes[i]!, 0));
    expect(means.filter((mean, i) => i > 0 && mean < means[i - 1]!).length).toBeGreaterThan(30);
  }
  expect(second).not.toEqual(first);
});
