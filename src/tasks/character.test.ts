import fc from "fast-check";
import { expect, test } from "vitest";
import { decode, encode, UNK, vocabularyHash } from "./character.ts";

const vocabulary = [UNK, "\n", " ", "a", "b", "é", "𝄞"];

test("encode and decode are inverse on known characters", () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...vocabulary.slice(1))), (characters) => {
      const text = characters.join("");
      expect(decode(vocabulary, encode(vocabulary, text))).toBe(text);
      expect(encode(vocabulary, text).length).toBe(characters.length);
    }),
  );
});

test("an unknown character is token 0 and comes back as U+FFFD", () => {
  expect([...encode(vocabulary, "aZ𝄢")]).toEqual([3, 0, 0]);
  expect(decode(vocabulary, [3, 0])).toBe("a\uFFFD");
});

test("the hash tells vocabularies apart: order, length, and where entries end", () => {
  const hashes = [
    vocabulary,
    vocabulary.slice(0, -1),
    [...vocabulary].reverse(),
    [UNK, "ab"],
    [UNK, "a", "b"],
    [UNK],
    [],
  ].map(vocabularyHash);
  expect(new Set(hashes).size).toBe(hashes.length);
  for (const hash of hashes) expect(hash).toMatch(/^[0-9a-f]{16}$/);
  expect(vocabularyHash([])).toBe("cbf29ce484222325"); // FNV-1a's offset basis
});
