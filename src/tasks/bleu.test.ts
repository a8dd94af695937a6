/**
 * sacrebleu's own published examples: test/test_bleu.py, test/test_chrf.py of github.com/mjpost/sacrebleu (2.x).
 */
import { expect, test } from "vitest";
import { bleu, chrF, tokens13a } from "./bleu.ts";

const SAID = ["The dog bit the man.", "It wasn't surprising.", "The man had just bitten him."];
const REFERENCES = [
  ["The dog bit the man.", "It was not unexpected.", "The man bit him first."],
  ["The dog had bit the man.", "No one was surprised.", "The man had bitten the dog."],
];

test("BLEU of two streams of references is sacrebleu's", () => {
  expect(bleu(SAID, ...REFERENCES).score).toBeCloseTo(48.530827, 6);
  expect(bleu(["", "", ""], ...REFERENCES).score).toBe(0);
  expect(bleu(["this is a test"], ["this is a test"]).score).toBeCloseTo(100, 8);
});

test("orders without a match are smoothed by halves, one nobody reaches makes 0", () => {
  // 3 of 4, 2 of 3, 1 of 2, 0 of 1: the last is 1/2 of 1.
  expect(bleu(["this is a fest"], ["this is a test"]).precisions.map((each) => each.toFixed(4))).toEqual([
    "75.0000",
    "66.6667",
    "50.0000",
    "50.0000",
  ]);
  expect(bleu(["a test"], ["a test"]).score).toBe(0);
  // 4, 2, 1, 0 of 6, 5, 4, 3 (sacrebleu's test_statistics); brevity exp(1 - 8/6).
  const some = bleu(["am I am a character sequence"], ["I am a symbol string sequence a a"]);
  expect(some.score).toBeCloseTo(100 * Math.exp(1 - 8 / 6) * ((4 / 6) * (2 / 5) * (1 / 4) * (1 / 6)) ** 0.25, 10);
});

test.each([
  ["a", "a", 100],
  ["", "reference", 0],
  ["a b c", "a b c", 100],
  ["a b c", "abc", 100],
  ["", "c", 0],
  ["aa", "ab", 25],
])("chrF3 of %j against %j is sacrebleu's", (said, reference, score) => {
  expect(chrF([said], [reference], 3)).toBeCloseTo(score, 8);
});

test("chrF of long texts is sacrebleu's", () => {
  expect(chrF(["a", "b"], ["a", "c"], 3)).toBeCloseTo(50, 8);
  const said = " Die    Beziehung zwischen  Obama und Netanjahu ist nicht gerade  freundlich. ";
  const reference = "Das Verhältnis zwischen Obama und Netanyahu ist nicht gerade freundschaftlich.";
  expect(chrF([said], [reference], 3)).toBeCloseTo(64.1302698, 4);
});

test("tokens of mteval-v13a", () => {
  expect(tokens13a('He said: "1,200.5 - or $3.", &amp; (U.S.) left-over 5-6\n')).toEqual(
    'He said : " 1,200.5 - or $ 3 . " , & ( U . S . ) left-over 5 - 6'.split(" "),
  );
});
