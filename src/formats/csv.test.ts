import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { UsageError } from "../core/check.ts";
import { cellNumber, readCsv, SEPARATORS } from "./csv.ts";
import { readJsonl } from "./jsonl.ts";

describe("readCsv", () => {
  test.each(['[\n {"text": "a"}]', '{"text": "a", "label": "b"}'])("JSON is no CSV: %s", (text) =>
    expect(() => readCsv(text, "t.json")).toThrow(/t.json begins like JSON, expected a CSV file/),
  );

  const quoted = (cell: string) => `"${cell.replaceAll('"', '""')}"`;
  const cell = fc.oneof(fc.string(), fc.stringMatching(/^[a",;|\t\r\n ]*$/));

  test("gives back every cell of a table written with quotes, whatever is in it", () => {
    const table = fc
      .integer({ min: 1, max: 4 })
      .chain((columns) => fc.array(fc.array(cell, { minLength: columns, maxLength: columns }), { maxLength: 5 }));
    fc.assert(
      fc.property(
        table,
        fc.constantFrom(...SEPARATORS),
        fc.constantFrom("\n", "\r\n", "\r"),
        fc.boolean(),
        fc.boolean(),
        (rows, separator, end, mark, last) => {
          const columns = (rows[0] ?? ["x"]).map((_, index) => `c${index}`);
          const lines = [columns.join(separator), ...rows.map((row) => row.map(quoted).join(separator))];
          const text = (mark ? "\uFEFF" : "") + lines.join(end) + (last ? end : "");
          const read = readCsv(text, "t.csv");
          expect(read.columns).toEqual(columns);
          expect(read.rows.map(({ cells }) => cells)).toEqual(rows);
        },
      ),
    );
  });

  test("reads any text, or says in one line what is wrong, and where", () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[ab",;\r\n ]*$/), (text) => {
        try {
          const { columns, rows } = readCsv(text, "t.csv");
          for (const { cells } of rows) expect(cells.length).toBe(columns.length);
        } catch (error) {
          expect(error).toBeInstanceOf(UsageError);
          expect((error as Error).message).toMatch(/^t\.csv(?::\d+: [^\n]+| is empty; [^\n]+)$/);
        }
      }),
      { numRuns: 500 },
    );
  });

  test("lines are counted through quoted line ends and empty lines", () => {
    const { rows } = readCsv('a,b\n\n1,"x\ny"\r\n \n2,z', "t.csv");
    expect(rows).toEqual([
      { line: 3, cells: ["1", "x\ny"] },
      { line: 6, cells: ["2", "z"] },
    ]);
  });

  test("an index without a name gets one", () => {
    expect(readCsv(",a\n0,1\n", "t.csv").columns).toEqual(["column 1", "a"]);
  });

  test.each([
    ["", /^t\.csv is empty; expected a first line with the names/],
    ["a,b\n1,2\n1,2,3\n", /^t\.csv:3: got 3 cells, expected 2 as in the first line \(separator ","\)/],
    ["a;b\n1\n", /^t\.csv:2: got 1 cells, expected 2 .*separator ";"/],
    ['a,b\n1,"2\n3,4\n', /^t\.csv:2: a quoted cell is never closed/],
    ['a,b\n"1"x,2\n', /^t\.csv:2: "x" follows a closing quote/],
    ["a,a\n", /^t\.csv:1: two columns are named "a"/],
  ])("%j", (text, message) => expect(() => readCsv(text, "t.csv")).toThrow(message));
});

test("numbers of cells: missing is not zero, and what is no number is told apart", () => {
  expect(["", " ", "NA", "NaN", "null", "?"].map(cellNumber)).toEqual(Array(6).fill(undefined));
  expect([" 1.5 ", "-2e3", "+.5", "7."].map(cellNumber)).toEqual([1.5, -2000, 0.5, 7]);
  expect(["1,5", "inf", "0x10", "1e999", "12 %", "--1", "."].map(cellNumber)).toEqual(Array(7).fill(Number.NaN));
});

describe("readJsonl", () => {
  test("gives back what was written", () => {
    fc.assert(
      fc.property(
        fc.array(fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 2 }))),
        fc.constantFrom("\n", "\r\n", "\n\n"),
        (rows, end) => {
          const wanted = rows.map((row) => JSON.parse(JSON.stringify(row)));
          const read = readJsonl(`\uFEFF${rows.map((row) => JSON.stringify(row)).join(end)}`, "t.jsonl");
          expect(read.map(({ value }) => value)).toEqual(wanted);
        },
      ),
    );
  });

  test.each([
    ['{"a":1}\n{"a":', /^t\.jsonl:2: no JSON: /],
    ["\n[1,2]", /^t\.jsonl:2: got \[1,2\], expected a JSON object/],
    ["null", /^t\.jsonl:1: got null/],
  ])("%j", (text, message) => expect(() => readJsonl(text, "t.jsonl")).toThrow(message));
});
