import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Split } from "./task.ts";
import { wordTask } from "./word.ts";
import { joinWords, wordsOf, wordTokens, wordVocabulary } from "./words.ts";

describe("tokenizer words", () => {
  test.each([
    ["Don't stop, well-known Éva!", "don't stop , well-known éva !"],
    ["1,200.5 men -- U.S. (3.) 2-3, o'clock.", "1,200.5 men - - u . s . ( 3 . ) 2-3 , o'clock ."],
    ["'tis the dogs' “end”.", "' tis the dogs ' “ end ” ."],
    ["a <unk> b 𝄞c", "a <unk> b 𝄞 c"],
    ["trailing- -leading a-'b", "trailing - - leading a - ' b"],
  ])("%j", (text, words) => expect(wordsOf(text, "words").join(" ")).toBe(`${words} <eos>`));

  test("<eos> ends paragraphs, once, and the text", () => {
    expect(wordsOf("\n\na\nb\n\n\n \n\nc", "words")).toEqual(["a", "b", "<eos>", "c", "<eos>"]);
    expect(wordsOf(" \n\n", "words")).toEqual([]);
  });

  test("loses no character but spaces, and reads its own words again", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), (text) => {
        const words = wordsOf(text, "words").filter((word) => word !== "<eos>");
        const bare = (value: string) => value.toLowerCase().replace(/\s+/g, "");
        expect(words.join("")).toBe(bare(text));
      }),
    );
  });
});

test("tokenizer spaces: words as they stand, <eos> at line ends", () => {
  expect(wordsOf(" no it was n't Black <unk> N\n\n the end", "spaces").join(" ")).toBe(
    "no it was n't Black <unk> N <eos> the end <eos>",
  );
});

describe("the vocabulary", () => {
  const words = "b b a a c <unk> <unk> <unk> <eos> d".split(" ");

  test("is the most frequent words, equally frequent ones in order, <unk> first and once", () => {
    expect(wordVocabulary(words, 99)).toEqual(["<unk>", "a", "b", "<eos>", "c", "d"]);
    expect(wordVocabulary(words, 3)).toEqual(["<unk>", "a", "b"]);
    expect([...wordTokens(["<unk>", "a", "b"], words)]).toEqual([2, 2, 1, 1, 0, 0, 0, 0, 0, 0]);
  });

  test("comes from the training part alone", () => {
    const text = `${"a b ".repeat(90)}${"x ".repeat(20)}`; // 180 of 201 words, with <eos>: 90 % are a and b
    expect(wordTask({ text, name: "t" }).vocabulary).toEqual(["<unk>", "a", "b"]);
    const parts = { valid: "x x x x", test: "y y y y" };
    expect(wordTask({ text: "a b", parts, name: "t" }).vocabulary).toEqual(["<unk>", "<eos>", "a", "b"]);
    expect(wordTask({ text, name: "t", vocabularySize: 2 }).vocabulary).toEqual(["<unk>", "a"]);
  });
});

describe("batches", () => {
  const firstTokens = (task: ReturnType<typeof wordTask>, split: Split) => {
    const cursor = task.batches(split, { T: 3, B: 1, seed: 1 });
    const [tokens, targets] = [new Int32Array(3), new Int32Array(3)];
    cursor.next({ tokens, features: undefined, targets, lengths: new Int32Array(1) });
    const words = (values: Int32Array) => [...values].map((token) => task.vocabulary?.[token]).join(" ");
    return [words(tokens), words(targets)];
  };

  test("of three parts are those of each part; the text's own tokenizer reads them", () => {
    const parts = { valid: "b a B a\n", test: "c\na b\n" };
    const task = wordTask({ text: "a b c a b c\n", parts, name: "t", textTokenizer: "spaces" });
    expect(firstTokens(task, "train")).toEqual(["a b c", "b c a"]);
    expect(firstTokens(task, "valid")).toEqual(["b a <unk>", "a <unk> a"]);
    expect(firstTokens(task, "test")).toEqual(["c <eos> a", "<eos> a b"]);
    expect([...(task.text?.encode("A") ?? [])]).toEqual([task.vocabulary?.indexOf("a")]);
  });

  test("of too short a part name it, and how many words are needed", () => {
    const task = wordTask({ text: "a ".repeat(100), parts: { valid: "a a a", test: "a" }, name: "p" });
    expect(() => task.batches("valid", { T: 9, B: 2, seed: 1 })).toThrow(
      /^the valid part of text "p" has 4 words; train\.batchSize 2 and train\.sequenceLength 9 need at least 10\./,
    );
    expect(task.batches("valid", { T: 3, B: 2, seed: 1 }).batchesPerEpoch).toBe(1);
    expect(() => wordTask({ text: "a b", name: "t" }).batches("train", { T: 2, B: 2, seed: 1 })).toThrow(
      /^text "t" has 3 words; .* at least \d+/,
    );
  });
});

describe("text", () => {
  test("words are put together as people write them", () => {
    const words = "`` he did n't , '' she said ( twice ) . <eos> \" no \" : it 's 5 % of $ 9 ; well <eos> end";
    expect(joinWords(words.split(" "))).toBe("``he didn't,'' she said (twice).\n\"no\": it's 5% of $9; well\nend");
  });

  const task = wordTask({ text: "the cat sat. ".repeat(50), name: "t" });

  test("a prime does not end its sentence, unless it ends in an empty line", () => {
    const encoded = (prime: string) => [...(task.text?.encode(prime) ?? [])].map((token) => task.vocabulary?.[token]);
    expect(encoded("The cat")).toEqual(["the", "cat"]);
    expect(encoded("The cat\n\nsat\n")).toEqual(["the", "cat", "<unk>", "sat", "<unk>"]); // "<eos>" is only at its very end
    expect(encoded("")).toEqual([]);
  });

  test("what it does not know of a prime", () => {
    expect(task.text?.unknown("The dog sat? dog")).toEqual(["dog", "?", "dog"]);
  });
});

test("refuses a vocabulary without room for a word", () => {
  expect(() => wordTask({ text: "a", name: "t", vocabularySize: 1 })).toThrow(/task\.vocabulary is 1; .* at least 2/);
});
