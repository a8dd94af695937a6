import fc from "fast-check";
import { expect, test } from "vitest";
import { Arena } from "./arena.ts";
import { RowSet } from "./row-set.ts";

function rowSet(size: number) {
  const arena = new Arena();
  const set = new RowSet(arena, "set", size);
  const index = arena.ints("index", [200], "batch");
  const bits = arena.bits("bits", [3, Math.ceil(size / 32)], "pattern");
  arena.allocate();
  return { set, index, bits };
}

const listed = (set: RowSet) => [...set.list.data.subarray(0, set.count)];

test("lists what was added, ascending, each row once", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 130 }), fc.array(fc.nat(), { maxLength: 150 }), (size, numbers) => {
      const rows = numbers.map((number) => number % size);
      const wanted = [...new Set(rows)].sort((a, b) => a - b);
      const one = rowSet(size);
      for (const row of rows) one.set.add(row);
      expect(listed(one.set)).toEqual(wanted);
      const each = rowSet(size);
      each.index.data.set(rows);
      each.set.addEach(each.index, rows.length);
      expect(listed(each.set)).toEqual(wanted);
      const columns = rowSet(size);
      const words = Math.ceil(size / 32);
      for (const [i, row] of rows.entries()) columns.bits.data[(i % 2) * words + (row >> 5)]! |= 1 << (row & 31);
      columns.bits.data.fill(-1, 2 * words); // a third row that is not asked for
      columns.set.addColumns(columns.bits, 2);
      expect(listed(columns.set)).toEqual(wanted);
    }),
  );
});

test("adds to what is there; clear empties it", () => {
  const { set } = rowSet(70);
  set.add(64);
  expect(listed(set)).toEqual([64]);
  set.add(3);
  expect(listed(set)).toEqual([3, 64]);
  set.addAll();
  expect([set.all, set.count]).toEqual([true, 70]);
  set.clear();
  expect([set.all, set.count]).toEqual([false, 0]);
  set.add(5);
  expect(listed(set)).toEqual([5]);
});
