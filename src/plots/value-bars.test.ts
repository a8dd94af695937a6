import { expect, test } from "vitest";
import { valueBars } from "./value-bars.ts";

test("bars are as high as their values, with ranges, ideals and names that are escaped", () => {
  const chart = valueBars({
    title: "speed",
    yLabel: "times",
    level: 1,
    series: ["backward", "step"],
    categories: [
      {
        name: "a<b",
        bars: [
          { value: 4, ideal: 8 },
          { value: 2, range: [1, 3] },
        ],
      },
      { name: "none", bars: [{ value: Number.NaN }, { value: 0 }] },
    ],
  });
  const bars = [...chart.matchAll(/<rect class="mark" x="[\d.]+" width="[\d.]+" y="[\d.]+" height="([\d.]+)"/g)].map(
    ([, h]) => Number(h),
  );
  expect(bars).toHaveLength(3); // what is not finite has no bar
  expect(bars[0]).toBeCloseTo(2 * (bars[1] as number), 0);
  expect(bars[2]).toBe(0);
  expect(chart.match(/class="ideal"/g)).toHaveLength(1);
  expect(chart.match(/class="whisker"/g)).toHaveLength(1);
  expect(chart).toContain("a&#60;b, backward: 4, ideal 8");
  expect(chart).not.toContain("a<b");
});
