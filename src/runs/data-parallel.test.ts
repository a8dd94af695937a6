import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { deflateSync } from "node:zlib";
import { afterAll, expect, test } from "vitest";
import { loadPairs, readSources } from "./data-parallel.ts";
import { plainText, zText } from "./data-verses.ts";

const folder = mkdtempSync(join(tmpdir(), "gatesieve-parallel-"));
afterAll(() => rmSync(folder, { recursive: true }));
const put = (name: string, text: string) => {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
};

test("two files, line by line; pairs with an empty side are left out and counted", () => {
  const pairs = loadPairs(put("a.en", "one\r\n\r\nthree\nfour\n"), put("a.es", "uno\ndos\n \ncuatro"));
  expect(pairs.examples.map(({ example }) => [example.source, example.target])).toEqual([
    ["one", "uno"],
    ["four", "cuatro"],
  ]);
  expect(pairs.examples[1]?.where).toMatch(/a\.en:4$/);
  expect(pairs.notes).toEqual([
    expect.stringMatching(/^2 of 4 pairs of .*a\.en have an empty side and are left out\.$/),
  ]);
  expect(pairs.files).toHaveLength(2);
});

test("a file with both sides", () => {
  const tsv = loadPairs(put("b.tsv", "one\tuno\ntwo\tdos\n"), undefined);
  expect(tsv.examples.map(({ example }) => example.target)).toEqual(["uno", "dos"]);
  const jsonl = loadPairs(put("b.jsonl", '{"source":"one","target":"uno","split":"test"}\n'), undefined);
  expect(jsonl.examples[0]).toMatchObject({ split: "test", example: { source: "one", target: "uno" } });
});

test.each([
  ["c.en", "one\ntwo\n", "uno\n", /c\.en has 2 lines and .*targets 1; each line needs its translation/],
  ["d.en", "one\n", undefined, /d\.en has one side; name the file with the other: task\.targetData=FILE/],
  ["e.tsv", "one\tuno\ntwo\n", undefined, /e\.tsv:2: 1 columns, expected two/],
  ["f.tsv", "one\tuno\n", "uno\n", /f\.tsv has both sides in it; leave .*targets out/],
  ["g.jsonl", '{"source":"one"}\n', undefined, /g\.jsonl:1: "target" is missing, expected a text/],
])("%s: one error", (name, text, targets, message) => {
  const file = put(name, text);
  expect(() => loadPairs(file, targets === undefined ? undefined : put("targets", targets))).toThrow(message);
});

test("what is to be translated", () => {
  expect(readSources("one\n\ntwo\n", "x.txt").map(({ where }) => where)).toEqual(["x.txt:1", "x.txt:2", "x.txt:3"]);
  expect(readSources('{"source":"one"}\n', "x.jsonl")).toEqual([{ input: "one", where: "x.jsonl:1" }]);
});

test("verses of a zText module", () => {
  const verses = [
    "<chapter n='1'/> ",
    "In the <w lemma='strong:H7225'>beginning</w> &amp; more<note>a <b>x</b></note>. ",
    "Sea",
  ];
  const blocks = [deflateSync(verses.slice(0, 2).join("")), deflateSync(verses[2]!)];
  const index = Buffer.alloc(24);
  index.writeUInt32LE(blocks[0]!.length, 4);
  index.writeUInt32LE(blocks[0]!.length, 12);
  index.writeUInt32LE(blocks[1]!.length, 16);
  const places = Buffer.alloc(40);
  const place = (at: number, block: number, start: number, bytes: number) => {
    places.writeUInt32LE(block, at * 10);
    places.writeUInt32LE(start, at * 10 + 4);
    places.writeUInt16LE(bytes, at * 10 + 8);
  };
  place(1, 0, 0, verses[0]!.length);
  place(2, 0, verses[0]!.length, verses[1]!.length);
  place(3, 1, 0, 3);
  expect(zText(index, places, Buffer.concat(blocks))).toEqual(["", "", "In the beginning & more .", "Sea"]);
  place(3, 1, 1, 3);
  expect(() => zText(index, places, Buffer.concat(blocks))).toThrow("place 3 is beyond its block");
  expect(plainText('<title level="1"/>And <title>The First</title> ¶ <transChange>was</transChange>\n so')).toBe(
    "And was so",
  );
});
