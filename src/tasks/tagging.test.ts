import { expect, test } from "vitest";
import { type TaggingEncoding, taggingTask } from "./tagging.ts";

const sentence = (...tokens: string[]) => ({ tokens, tags: tokens.map((token) => (/^\d/.test(token) ? "NUM" : "X")) });
const vocabularyOf = (train: ReturnType<typeof sentence>[]) =>
  (taggingTask({ name: "t", parts: { train, valid: [], test: [] } }).encoding as TaggingEncoding).vocabulary;

test("a small text keeps words seen once, a large one leaves them to the forms of unknown words", () => {
  expect(vocabularyOf([sentence("Once", "1")])).toEqual(expect.arrayContaining(["<unk>", "<unk-number>", "once", "1"]));
  const twice = Array.from({ length: 1000 }, (_, i) => sentence(`w${i}`, `w${i}`));
  const large = vocabularyOf([...twice, sentence("once", "1")]);
  expect(large).toContain("w999");
  expect(large).not.toContain("once");
});
