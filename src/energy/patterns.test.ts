import fc from "fast-check";
import { expect, test } from "vitest";
import { RandomStream } from "../core/random.ts";
import { popcount } from "../sparse/trace.ts";
import { type Bits, columnLines, liveColumns, liveRows, rowLines, transpose } from "./patterns.ts";
import { madeSite } from "./testing.ts";

const bit = ({ cols, bitmap }: Bits, r: number, c: number) =>
  ((bitmap[r * Math.ceil(cols / 32) + (c >> 5)] as number) >>> (c & 31)) & 1;
const rowsAsText = (bits: Bits) =>
  Array.from({ length: bits.rows }, (_, r) => Array.from({ length: bits.cols }, (_, c) => bit(bits, r, c)).join(""));

test("turned and cut bits are those that a loop finds", () => {
  const size = fc.integer({ min: 1, max: 80 });
  fc.assert(
    fc.property(
      size,
      size,
      fc.integer({ min: 1, max: 50 }),
      fc.integer({ min: 1, max: 5 }),
      fc.integer(),
      (rows, cols, block, groups, seed) => {
        const site = madeSite("x", rows, cols, 0.3, new RandomStream(seed, "patterns"));
        const turned = transpose(site);
        expect([turned.rows, turned.cols]).toEqual([cols, rows]);
        const byColumn = Array.from({ length: cols }, (_, c) =>
          Array.from({ length: rows }, (_, r) => bit(site, r, c)).join(""),
        );
        expect(rowsAsText(turned)).toEqual(byColumn);
        const blocks = Math.ceil(rows / block);
        for (let group = 0; group < groups; group++) {
          const columns: string[] = [];
          const lines: string[] = [];
          for (let t = 0; t < blocks; t++) {
            const mine = Array.from({ length: block }, (_, b) => t * block + b);
            for (let j = group; j < cols; j += groups)
              columns.push(mine.map((r) => (r < rows ? bit(site, r, j) : 0)).join(""));
            for (let i = 0; i < Math.ceil(block / groups); i++) {
              const r = t * block + group + i * groups;
              const there = r < Math.min(rows, (t + 1) * block);
              lines.push(Array.from({ length: cols }, (_, c) => (there ? bit(site, r, c) : 0)).join(""));
            }
          }
          expect(rowsAsText(columnLines(turned, block, group, groups))).toEqual(columns);
          expect(rowsAsText(rowLines(site, block, group, groups))).toEqual(lines);
          expect(liveRows(columnLines(turned, block, group, groups))).toBe(
            columns.filter((line) => line.includes("1")).length,
          );
        }
        const live = Array.from({ length: blocks }, (_, t) => {
          let count = 0;
          for (let c = 0; c < cols; c++) {
            let any = 0;
            for (let r = t * block; r < Math.min(rows, (t + 1) * block); r++) any |= bit(site, r, c);
            count += any;
          }
          return count;
        });
        expect([...liveColumns(site, block, popcount)]).toEqual(live);
      },
    ),
    { numRuns: 25 },
  );
});
