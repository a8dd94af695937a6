import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type FrontPoint, frontChart } from "./front-chart.ts";
import { overlap, placeLabels } from "./labels.ts";

const point = (name: string, x: number, y: number, more: Partial<FrontPoint> = {}): FrontPoint => ({
  name,
  x,
  xRange: [x - 1, x + 1],
  y,
  yRange: [y - 0.1, y + 0.1],
  onFront: false,
  isReference: false,
  ...more,
});

const chart = (points: readonly FrontPoint[], limit?: { y: number; name: string }) =>
  frontChart({ title: "t", xLabel: "zeros (%)", yLabel: "loss (%)", points, ...(limit ? { limit } : {}) });

describe("frontChart", () => {
  const text = chart(
    [
      point("dense", 30, 0, { isReference: true, onFront: true, yRange: null }),
      point("energy:0.99", 84, 0.2, { onFront: true }),
      point("worse <b>", 60, 1.5),
    ],
    { y: 0.5, name: "margin 0.5 %" },
  );

  test("marks every point, the reference as a square, the front full and joined by a line", () => {
    expect(text.match(/<circle class="mark"/g)).toHaveLength(1);
    expect(text.match(/<circle class="open"/g)).toHaveLength(1);
    expect(text.match(/<rect class="mark"/g)).toHaveLength(1);
    expect(text).toMatch(/class="line s1"[^>]* d="M[\d.]+,[\d.]+L[\d.]+,[\d.]+"/);
    expect(text.match(/class="bar"/g)).toHaveLength(5);
    expect(text).toContain("energy:0.99: 84 [83, 85]; 0.2 [0.1, 0.3]");
  });

  test("bars have the length of what they stand for", () => {
    const [, left, width] = /class="bar" d="M([\d.]+),[\d.]+l([\d.]+),0"/.exec(text) ?? [];
    const x = Number(/<rect class="mark" x="([\d.]+)"/.exec(text)?.[1]) + 4;
    expect(Number(left) + Number(width) / 2).toBeCloseTo(x, 0);
  });

  test("shows the limit and names points, with markup made harmless", () => {
    for (const name of ["margin 0.5 %", ">dense<", ">energy:0.99<", ">worse &#60;b&#62;<"])
      expect(text).toContain(name);
    expect(text).not.toMatch(/NaN|undefined|<b>/);
  });

  test("says so if nothing is known yet, and leaves out points that are not", () => {
    expect(chart([point("a", Number.NaN, 1)])).toContain("no values yet");
    expect(chart([point("a", Number.NaN, 1), point("b", 1, 1)])).not.toContain("NaN");
    expect(chart([point("b", 1, 1, { xRange: null, yRange: null })])).not.toMatch(/NaN|Infinity/);
  });

  test("of many points names the front alone", () => {
    const many = Array.from({ length: 20 }, (_, k) => point(`arm ${k}`, k, k % 7, { onFront: k === 3 }));
    const names = [...chart(many).matchAll(/<text class="name"[^>]*>([^<]*)</g)].map(([, name]) => name);
    expect(names).toEqual(["arm 3"]);
  });
});

test("names lie on no other name and on no point, whatever the points", () => {
  const inside = { x: 50, y: 50, width: 570, height: 300 };
  const anchor = fc.record({
    x: fc.integer({ min: 60, max: 600 }),
    y: fc.integer({ min: 60, max: 340 }),
    width: fc.integer({ min: 20, max: 250 }),
  });
  fc.assert(
    fc.property(fc.array(anchor, { maxLength: 14 }), (anchors) => {
      const boxes = placeLabels(anchors, inside).filter((box) => box !== undefined);
      for (const [index, box] of boxes.entries()) {
        expect(box.x >= inside.x && box.x + box.width <= inside.x + inside.width).toBe(true);
        for (const other of boxes.slice(index + 1)) expect(overlap(box, other)).toBe(false);
        for (const { x, y } of anchors) expect(overlap(box, { x: x - 4, y: y - 4, width: 8, height: 8 })).toBe(false);
      }
    }),
  );
});

test("a name finds a place beside a crowd of points, and keeps off lines where it can", () => {
  const inside = { x: 0, y: 0, width: 600, height: 300 };
  const crowd = Array.from({ length: 8 }, (_, k) => ({ x: 300 + k, y: 150 + k, width: 90 }));
  expect(placeLabels(crowd, inside)).not.toContain(undefined);
  const [box] = placeLabels([{ x: 300, y: 150, width: 90 }], inside, [{ x: 300, y: 149, width: 300, height: 2 }]);
  expect((box?.x ?? 0) + 90).toBeLessThan(300);
});
