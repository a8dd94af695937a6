import { describe, expect, test } from "vitest";
import { duration, fixed, metric, percent, ratio, words } from "./format.ts";
import { commandName } from "./options.ts";
import { cut, fold, table, visible, wrap } from "./print.ts";
import { Progress } from "./progress.ts";

describe("numbers", () => {
  test("unknown is not zero", () => {
    for (const format of [percent, duration, metric, (x: null) => fixed(x, 2), (x: null) => ratio(1, x)])
      expect(format(null)).toBe("–");
    expect(fixed(Number.NaN, 2)).toBe("–");
  });

  test.each([
    [0.4, "0.4 s"],
    [59.4, "59 s"],
    [59.6, "1 min 00 s"],
    [185, "3 min 05 s"],
    [3599.7, "1 h 00 min"],
    [7800, "2 h 10 min"],
  ])("%f seconds are %s", (seconds, text) => expect(duration(seconds)).toBe(text));

  test.each([
    [0, "0"],
    [999, "999"],
    [999.9, "1.00k"],
    [27_149, "27.1k"],
    [3.066e9, "3.07G"],
    [1.5, "1.50"],
  ])("%f is %s", (value, text) => expect(metric(value)).toBe(text));

  test("names of scores become words", () => expect(words("bitsPerCharacter")).toBe("bits per character"));
});

test("what is told to be typed next is what was typed", () => {
  expect(commandName("/srv/project/node_modules/.bin/gatesieve")).toBe("npx gatesieve");
  expect(commandName("/srv/project/node_modules/gatesieve/dist/cli/main.js")).toBe("npx gatesieve");
  expect(commandName("/usr/local/bin/gatesieve")).toBe("gatesieve");
});

describe("text", () => {
  test("columns align whatever their colours", () => {
    expect(table([["a", "\x1b[2mbb\x1b[22m"], ["ccc", "1"], ["d"]])).toBe("a    \x1b[2mbb\x1b[22m\nccc   1\nd");
  });

  test("cut counts what is visible, and keeps what fits", () => {
    const coloured = "\x1b[1mab\x1b[22mc";
    expect(cut(coloured, 3)).toBe(coloured);
    expect(cut(coloured, 2)).toBe("ab");
  });

  test("wrap and fold stay within the width", () => {
    expect(wrap("one two three", 7)).toBe("one two\nthree");
    expect(fold("abcdef\ngh😀ij", 3)).toBe("abc\ndef\ngh😀\nij");
  });
});

describe("progress", () => {
  const step = (at: number, maxSteps: number) =>
    ({
      type: "step",
      step: at,
      maxSteps,
      epoch: 1,
      loss: 3.45678,
      learningRate: 1,
      gradientNorm: 1,
      tokensPerSecond: 27_123,
      seconds: 1,
      sparsity: { sparsity: 1, naturalZeros: 0.5, dropped: 0.5, energy: 1 },
      macs: { dense: 1, skipped: 1, executed: 1, macsSkippedRecurrent: 1, macsSkippedAll: 0.999 },
    }) as const;

  test("its line leaves room for a name in 100 columns", () => {
    const progress = new Progress("nats/char", 100);
    progress.add(step(10, 1200));
    progress.add(step(20, 1200));
    expect(progress.line).toMatch(/^ {2}20\/1200 {2}loss 3.457 {2}valid – .* left$/);
    expect(visible(progress.line)).toBeLessThanOrEqual(91);
  });

  test("a plain line comes with each validation, and not twice for one step", () => {
    const progress = new Progress("nats/char", 100);
    expect(progress.add(step(10, 200))).toBe(false);
    expect(progress.add(step(100, 200))).toBe(false);
    expect(progress.add({ type: "validation", step: 100, loss: 2, scores: {}, best: true, chosen: [] })).toBe(true);
    expect(progress.line).toContain("valid 2.000");
  });
});
