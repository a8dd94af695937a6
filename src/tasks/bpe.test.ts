import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readTokenizer } from "../formats/tokenizer.ts";
import { Bpe, trainBpe } from "./bpe.ts";

const UNK = "<unk>";

test("the most frequent pairs merge first, of equal ones the lesser", () => {
  // The example of Sennrich et al.: low 5, lower 2, newest 6, widest 3; here with the space before a word.
  const words = [
    ...Array(5).fill("low"),
    ...Array(2).fill("lower"),
    ...Array(6).fill("newest"),
    ...Array(3).fill("widest"),
  ];
  const { merges, vocabulary } = trainBpe(words, 100, [UNK]);
  expect(merges.slice(0, 4)).toEqual(["e s", "es t", "l o", "lo w"]);
  expect(vocabulary[0]).toBe(UNK);
  const bpe = new Bpe(trainBpe(words, 1 + 11 + 4, [UNK]));
  const pieces = bpe.encode("lowest new").tokens.map((token) => bpe.data.vocabulary[token]);
  expect(pieces).toEqual(["▁", "low", "est", "▁", "n", "e", "w"]);
});

test("counts kept while merging are those of counting anew", () => {
  fc.assert(
    fc.property(fc.array(fc.stringMatching(/^[abc]{1,7}$/), { minLength: 1, maxLength: 30 }), (words) => {
      const { merges } = trainBpe(words, 40, [UNK]);
      let parts = words.map((word) => ["▁", ...word]);
      for (const merge of merges) {
        const counts = new Map<string, number>();
        for (const word of parts)
          for (let i = 0; i + 1 < word.length; i++) {
            const pair = `${word[i]} ${word[i + 1]}`;
            counts.set(pair, (counts.get(pair) ?? 0) + 1);
          }
        const [best] = [...counts].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1));
        expect(merge).toBe(best![0]);
        const [left, right] = merge.split(" ");
        parts = parts.map((word) => {
          const merged: string[] = [];
          for (let i = 0; i < word.length; i++)
            if (word[i] === left && word[i + 1] === right) merged.push(`${left}${word[++i]}`);
            else merged.push(word[i]!);
          return merged;
        });
      }
    }),
    { numRuns: 40 },
  );
});

test("text comes back but for white space; what training did not have is counted", () => {
  const bpe = new Bpe(trainBpe(["Y dijo Dios: Sea la luz; y fué la luz.", "¿No respondes nada?"], 80, [UNK]));
  expect(bpe.decode(bpe.encode("  Y dijo:\tSea la luz? ").tokens)).toBe("Y dijo: Sea la luz?");
  expect(bpe.encode("Yukón dijo").unknown).toBe(2); // k, ó
  expect(() => trainBpe(["abc"], 3, [UNK])).toThrow(
    /task\.vocabulary is 3; .* 4 different characters: give at least 5/,
  );
});

describe("tokenizer.json", () => {
  const file = (model: object, rest: object = {}) =>
    JSON.stringify({
      pre_tokenizer: { type: "ByteLevel", add_prefix_space: false },
      model: { type: "BPE", ...model },
      ...rest,
    });
  const letters = { h: 0, e: 1, l: 2, o: 3, Ġ: 4, Ã: 5, "©": 6, he: 7, ll: 8, Ġhe: 9 };

  test("bytes as characters: GPT-2's", () => {
    const data = readTokenizer(file({ vocab: letters, merges: ["h e", ["l", "l"], "Ġ he"] }), "t.json");
    const bpe = new Bpe(data);
    const { tokens, unknown } = bpe.encode("hello héllo he");
    expect({ tokens, unknown }).toEqual({ tokens: [7, 8, 3, 4, 0, 5, 6, 8, 3, 9], unknown: 0 });
    expect(bpe.decode(tokens)).toBe("hello héllo he");
  });

  test("any text comes back from 256 bytes", () => {
    const alphabet = Object.fromEntries(
      Array.from({ length: 256 }, (_, byte) => {
        const printable = (byte > 32 && byte < 127) || (byte > 160 && byte !== 173);
        const hidden = Array.from({ length: byte }, (_, b) => b).filter(
          (b) => !((b > 32 && b < 127) || (b > 160 && b !== 173)),
        );
        return [String.fromCodePoint(printable ? byte : 256 + hidden.length), byte];
      }),
    );
    const bpe = new Bpe(readTokenizer(file({ vocab: alphabet, merges: [] }), "t.json"));
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), (text) => {
        expect(bpe.decode(bpe.encode(text).tokens)).toBe(
          new TextDecoder().decode(new TextEncoder().encode(text)).trim(),
        );
      }),
    );
  });

  test.each([
    ["{", /t\.json is no JSON/],
    ["[]", /file without a model, expected a tokenizer\.json whose model\.type is "BPE"/],
    [JSON.stringify({ model: { type: "WordPiece" } }), /model of type "WordPiece"/],
    [
      file({ vocab: {}, merges: [], end_of_word_suffix: "</w>" }),
      /model\.end_of_word_suffix is "<\/w>", which is not read/,
    ],
    [file({ vocab: {}, merges: [] }, { pre_tokenizer: { type: "Digits" } }), /pre_tokenizer is "Digits"/],
    [file({ vocab: {}, merges: [] }, { normalizer: { type: "Replace" } }), /normalizer is "Replace"/],
    [file({ vocab: { a: 0, b: 2 }, merges: [] }), /token 1 of 2 is missing/],
    [file({ vocab: { a: "x" }, merges: [] }), /"a" has the number "x", expected a whole one/],
    [file({ vocab: { a: 0 }, merges: ["a"] }), /merge 1 is "a", expected two pieces/],
    [file({ merges: [] }), /model\.vocab is missing/],
  ])("what cannot be read is named: %s", (text, message) => {
    expect(() => readTokenizer(text, "t.json")).toThrow(message);
  });

  test("anything else is a UsageError or a tokeniser, never a crash", () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), (vocab, merges) => {
        try {
          new Bpe(readTokenizer(file({ vocab, merges }), "t.json")).encode("some text");
        } catch (error) {
          expect((error as Error).constructor.name).toBe("UsageError");
        }
      }),
    );
  });
});
