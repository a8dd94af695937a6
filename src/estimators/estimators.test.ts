/** Each estimator on real or made data: what it learns in seconds, what it says, and what it says of bad data. */
import { beforeAll, describe, expect, test } from "vitest";
import { UsageError } from "../core/check.ts";
import { RandomStream } from "../core/random.ts";
import { loadText } from "../runs/text.ts";
import { normalErrors } from "../tasks/anomalies.ts";
import { wordsOf } from "../tasks/words.ts";
import { type Classifier, classifier } from "./classifier.ts";
import { forecaster } from "./forecaster.ts";
import { languageModel } from "./language-model.ts";
import { gru, lstm, type NetOptions, recurrent } from "./nets.ts";
import { tagger } from "./tagger.ts";

const random = new RandomStream(1, "data");
const wasm = { engine: "wasm" } as const;

/** What a promise is rejected with; it must be a mistake of the user's, in one line. */
async function complaint(wrong: () => Promise<unknown>): Promise<string> {
  try {
    await wrong();
  } catch (error) {
    expect(error).toBeInstanceOf(UsageError);
    expect((error as Error).message).not.toContain("\n");
    return (error as Error).message;
  }
  return "nothing";
}

describe("classifier: whose sentence is it, word by word", () => {
  const books = ["austen-emma", "bible-kjv", "melville-moby_dick"];
  /** Runs of 20 words from the middle of a book. */
  const pieces = (book: string, count: number) => {
    const words = wordsOf(loadText(book).text.slice(100_000, 100_000 + 150 * count), "words");
    return Array.from({ length: count }, (_, i) => words.slice(20 * i, 20 * i + 8 + (i % 13)));
  };
  const examples = books.flatMap((label) => pieces(label, 440).map((sequence) => ({ sequence, label })));
  const test_ = examples.filter((_, i) => i % 11 === 0);
  const train = examples.filter((_, i) => i % 11 !== 0);
  let model: Classifier<string[], string>;

  beforeAll(async () => {
    const net = lstm({ hiddenSize: 32, inputSize: 32, dropout: 0.3 });
    model = await classifier(net).fit(train, { ...wasm, epochs: 4, learningRate: 0.01 });
  });

  test("of three authors it knows three sentences in four that it never saw", async () => {
    const { scores, table } = await model.evaluate(test_);
    expect(test_).toHaveLength(120);
    expect(scores.accuracy).toBeGreaterThan(0.75); // 0.81 when written; by chance 0.33
    expect(table?.map((row) => row.class)).toEqual(books);
    const said = model.predictAll(test_.map(({ sequence }) => sequence));
    expect(said.filter(({ label }, i) => label === test_[i]?.label).length / 120).toBe(scores.accuracy);
  });

  test("one by one, in streams and in any number it says the same", async () => {
    const some = test_.slice(0, 70).map(({ sequence }) => sequence);
    const all = model.predictAll(some);
    expect(all.slice(0, 3)).toEqual(some.slice(0, 3).map((sequence) => model.predict(sequence)));
    async function* later() {
      for (const each of some) yield each;
    }
    const streamed = [];
    for await (const each of model.predictStream(later())) streamed.push(each);
    expect(streamed).toEqual(all);
    expect(model.predictAll([])).toEqual([]);
  });

  test("a sequence longer than any in training is read whole", () => {
    const long = test_.slice(0, 9).flatMap(({ sequence }) => sequence);
    expect(long.length).toBeGreaterThan(4 * model.model.pass.T);
    const stream = model.stream();
    const [last] = long.map((word) => stream.push(word)).slice(-1);
    expect(model.predict(long)).toEqual(last); // a stream has no longest
  });

  test("examples that come as a stream make the same model", async () => {
    const some = train.filter((_, i) => i % 7 === 0);
    async function* stream() {
      yield* some;
    }
    const net = lstm({ hiddenSize: 8 });
    const options = { ...wasm, maxSteps: 5 };
    const [a, b] = [await classifier(net).fit(stream(), options), await classifier(net).fit(some, options)];
    expect(a.predict(["the"])).toEqual(b.predict(["the"]));
  });
});

describe("classifier: labels and sequences of other kinds", () => {
  const fit = (sequences: unknown, labels: unknown, net: NetOptions = {}, options = {}) =>
    classifier(lstm({ hiddenSize: 4, ...net })).fit({ sequences, labels } as never, {
      ...wasm,
      maxSteps: 2,
      ...options,
    });
  const rows = [
    [[1, 2]],
    [
      [3, 4],
      [5, 6],
    ],
    [[0, 0]],
    [[7, 8]],
  ];

  test("numbers as labels stay numbers, and are typed so", async () => {
    const model = await classifier(gru({ hiddenSize: 4 })).fit(
      {
        sequences: [
          [1, 2, 3],
          [9, 8],
          [1, 3],
          [9, 9, 9],
        ],
        labels: [0, 10, 0, 10],
      },
      { ...wasm, maxSteps: 60, validationSplit: 0, learningRate: 0.05 },
    );
    const { label, probabilities }: { label: 0 | 10; probabilities: Readonly<Record<"0" | "10", number>> } =
      model.predict([9, 7]);
    expect(label).toBe(10);
    expect(probabilities[10] + probabilities[0]).toBeCloseTo(1, 6);
    expect(model.labels).toEqual([0, 10]);
  });

  test("typed arrays are read as arrays are", async () => {
    const typed = rows.map((sequence) => sequence.map((row) => Float32Array.from(row)));
    const [a, b] = [await fit(rows, [0, 1, 0, 1]), await fit(typed, [0, 1, 0, 1])];
    expect(b.predict(typed[1] as never)).toEqual(a.predict(rows[1] as never));
    const flat = await fit([Float64Array.of(1, 2), Float64Array.of(3)], ["a", "b"]);
    expect((flat.task.encoding as { input: { mean: number[] } }).input.mean).toEqual([2]);
  });

  test("an example or two too few to hold back are told", async () => {
    expect((await fit(["a", "b"], ["x", "y"])).report.notes.join()).toMatch(/^2 examples are too few/);
    const cut = await fit(["abcdef", "b"], ["x", "y"], {}, { sequenceLength: 3 });
    expect(cut.report.notes.at(-1)).toMatch(/^1 of 2 sequences have more than sequenceLength 3 positions/);
  });

  test.each<[string, () => Promise<unknown>, RegExp]>([
    ["no data", () => fit(undefined, []), /sequences is undefined, expected a list/],
    ["lists of two lengths", () => fit(["a", "b"], ["x"]), /^fit: 2 sequences and 1 labels/],
    ["an empty sequence", () => fit(["a", ""], ["x", "y"]), /^sequences\[1\]: the sequence is empty/],
    ["an empty one of numbers", () => fit([[1], []], ["x", "y"]), /^sequences\[1\]: the sequence is empty/],
    ["all empty", () => fit([[], []], ["x", "y"]), /no sequence to learn from/],
    [
      "ragged rows",
      () => fit([[[1, 2]], [[1, 2], [3]]], ["x", "y"]),
      /^sequences\[1\]: position 2 has 1 values, expected 2/,
    ],
    [
      "NaN",
      () =>
        fit(
          [
            [1, 2],
            [3, Number.NaN],
          ],
          ["x", "y"],
        ),
      /^sequences\[1\]: position 2 has NaN, expected a finite number/,
    ],
    ["numbers and texts", () => fit([[1], "a"], ["x", "y"]), /^sequences\[1\]: got "a", expected numbers/],
    ["no sequence", () => fit([[1], null], ["x", "y"]), /^sequences\[1\]: got null, expected a text, words/],
    ["no label", () => fit(["a", "b"], ["x", undefined]), /^sequences\[1\]: its label is undefined/],
    ["one class", () => fit(["a", "b"], ["x", "x"]), /one class alone, "x"/],
    ["1 and '1'", () => fit(["a", "b"], [1, "1"]), /its label is "1", and others have 1/],
    [
      "an unknown label",
      () => fit(["a", "b"], ["x", "y"], {}, { validation: [{ sequence: "a", label: "z" }] }),
      /^validation: sequences\[0\]: the label "z" is none of the 2 classes/,
    ],
    [
      "another inputSize",
      () => fit(rows, [0, 1, 0, 1], { inputSize: 3 }),
      /^inputSize is 3, and the data has 2 numbers/,
    ],
    ["numbers as data", () => classifier(lstm()).fit(7 as never), /^fit: got 7, expected { sequences, labels }/],
  ])("%s: one line that names it", async (_name, wrong, message) => {
    expect(await complaint(wrong)).toMatch(message);
  });

  test("at prediction too, and what a stream cannot read leaves it as it was", async () => {
    const model = await fit(rows, [0, 1, 0, 1]);
    expect(await complaint(async () => model.predict([[1, 2], [3]] as never))).toMatch(
      /^the sequence: position 2 has 1/,
    );
    expect(await complaint(async () => model.predictAll([rows[0], []] as never))).toMatch(
      /^sequences\[1\]: the sequence/,
    );
    const [a, b] = [model.stream(), model.stream()];
    a.push([1, 2] as never);
    b.push([1, 2] as never);
    expect(await complaint(async () => a.push([1] as never))).toMatch(/^the next position: position 1 has 1 values/);
    expect(a.push([3, 4] as never)).toEqual(b.push([3, 4] as never));
    a.reset();
    expect(a.push([1, 2] as never)).toEqual(model.predict([[1, 2]] as never));
    const both = await fit(rows, [0, 1, 0, 1], { bidirectional: true });
    expect(await complaint(async () => both.stream())).toMatch(/^a bidirectional net/);
  });
});

describe("nets", () => {
  test.each([
    [() => lstm({ hidenSize: 3 } as never), /lstm: unknown option "hidenSize", did you mean "hiddenSize"\?/],
    [() => gru({ hiddenSize: 0 }), /^hiddenSize is 0/],
    [() => lstm({ dropout: 1 }), /^dropout is 1/],
    [() => recurrent("lstn"), /^unknown cell "lstn"\. The choices are: lstm, gru/],
  ])("%#: a mistake is told where it is made", async (wrong, message) => {
    expect(await complaint(async () => wrong())).toMatch(message);
  });
});

describe("forecaster", () => {
  const wave = (i: number) => 10 + 4 * Math.sin((2 * Math.PI * i) / 12) + random.normal() / 3;
  const numbers = Array.from({ length: 500 }, (_, i) => wave(i));
  const options = { ...wasm, horizon: 3, epochs: 8, learningRate: 0.01 };

  test("of a noisy wave it says the next values, far better than the naive forecast", async () => {
    const model = await forecaster(gru({ hiddenSize: 16 })).fit(numbers.slice(0, 400), options);
    const { scores } = await model.evaluate(numbers.slice(360));
    expect(scores.mae).toBeLessThan(0.4 * (scores.naiveMae as number));
    const next: number[] = model.predict();
    expect(next).toHaveLength(3);
    expect(next).toEqual(model.predict(numbers.slice(0, 400)));
    for (const [h, value] of next.entries()) expect(Math.abs(value - (numbers[400 + h] as number))).toBeLessThan(2);
  });

  test("numbers, rows and names: a forecast has the form of its series", async () => {
    const short = { ...wasm, horizon: 2, maxSteps: 3 };
    const net = gru({ hiddenSize: 4 });
    const rows = await forecaster(net).fit(
      numbers.map((x, i): number[] => [x, i]),
      { ...short, target: [0] },
    );
    expect(rows.predict()).toEqual([[expect.any(Number)], [expect.any(Number)]]);
    const named = await forecaster(net).fit(
      numbers.map((level, day) => ({ level, day })),
      short,
    );
    expect(named.predict()).toEqual(Array(2).fill({ level: expect.any(Number), day: expect.any(Number) }));
    const typed = await forecaster(net).fit(Float64Array.from(numbers), short);
    expect(typed.predict()).toEqual((await forecaster(net).fit(numbers, short)).predict());
  });

  test("a row that does not fit the wave has the largest score", async () => {
    const model = await forecaster(gru({ hiddenSize: 16 })).fit(numbers.slice(0, 400), options);
    const broken = numbers.slice(400);
    broken[70]! += 12;
    const rows = await model.anomalies(broken, { normal: numbers.slice(0, 400) });
    const T = model.model.pass.T;
    expect(rows.map(({ index }) => index)).toEqual(Array.from({ length: 100 - T - 2 }, (_, row) => T + row));
    const worst = rows.reduce((most, row) => (row.score > most.score ? row : most));
    expect(worst).toMatchObject({ index: 70, anomaly: true, column: "0", actual: broken[70] });
    expect(Math.abs(worst.expected - numbers[70 + 400]!)).toBeLessThan(3);
    const all = await model.anomalies(broken, { limit: 0 });
    expect(all.filter(({ anomaly }) => anomaly).length).toBeGreaterThanOrEqual(all.length - 1);
    expect(await complaint(() => model.anomalies(broken, { rate: 1e-4 }))).toMatch(/^a rate of 0.0001 cannot be told/);
  });

  test("forecasts read anomalies as they were expected, row after row, until the series is believed", async () => {
    const model = await forecaster(gru({ hiddenSize: 16 })).fit(numbers.slice(0, 400), options);
    const broken = numbers.slice(300);
    for (const row of [60, 66, 67, 90]) broken[row]! += 12;
    for (let row = 130; row < 150; row++) broken[row]! += 12; // it has moved
    const T = model.model.pass.T;
    const plain = await model.anomalies(broken, { limit: 6, repair: 0 });
    const normal = normalErrors(
      { firstRow: T, actual: plain.map(({ actual }) => actual), expected: plain.map(({ expected }) => expected) },
      1,
    );
    const read = [...broken];
    let streak = 0;
    const wanted = plain.map(({ index }) => {
      const [expected] = model.predict(read.slice(0, index)) as [number];
      const score = Math.abs(broken[index]! - expected - normal.median[0]!) / normal.spread[0]!;
      streak = score > 6 ? streak + 1 : 0;
      if (streak > 0 && streak <= 3) read[index] = expected;
      if (streak === 4) for (const back of [1, 2, 3]) read[index - back] = broken[index - back]!;
      return score;
    });
    const rows = await model.anomalies(broken, { limit: 6, repair: 3 });
    for (const [i, { index, score, anomaly, repaired }] of rows.entries()) {
      expect(Math.abs(score / wanted[i]! - 1), `row ${index}`).toBeLessThan(1e-3); // predict reads float32
      expect([index, anomaly, repaired]).toEqual([index, wanted[i]! > 6, read[index] !== broken[index]]);
    }
    const flagged = (all: readonly { index: number; anomaly: boolean }[]) =>
      all.filter(({ index, anomaly }) => anomaly && index < 130).map(({ index }) => index);
    expect(flagged(rows)).toEqual([60, 66, 67, 90]);
    expect(flagged(plain).length).toBeGreaterThan(4); // the rows after them too
    expect(rows.filter(({ index, anomaly }) => anomaly && index >= 135 && index < 150).length).toBeLessThan(15);
    expect(await complaint(() => model.anomalies(broken, { repair: -1 }))).toMatch(
      /^repair is -1; give a whole number/,
    );
  });

  test("a stream forecasts after each row, once a season is over where it needs one", async () => {
    const model = await forecaster(gru({ hiddenSize: 8 })).fit(numbers, {
      ...options,
      maxSteps: 4,
      epochs: undefined as never,
      period: 12,
    });
    expect(model.task.encoding).toMatchObject({ reference: "season" });
    const T = model.model.pass.T;
    const stream = model.stream();
    const said = numbers.slice(0, T).map((x) => stream.push(x));
    expect(said.map((each) => each?.length)).toEqual(Array.from({ length: T }, (_, t) => (t < 11 ? undefined : 3)));
    expect(said.at(-1)).toEqual(model.predict(numbers.slice(0, T)));
    stream.reset();
    expect(stream.push(5)).toBe(undefined);
  });

  test.each<[string, unknown, object, RegExp]>([
    ["nothing", [], {}, /^the series is empty/],
    ["no numbers", "abc", {}, /^the series is "abc"|series\[0\]/],
    ["NaN", [1, 2, Number.NaN, 4], {}, /^series\[2\] is NaN, expected a finite number\. Fill gaps/],
    ["a gap by name", [{ a: 1 }, { a: null }], {}, /^series\[1\], a, is null, expected a finite number/],
    ["ragged rows", [[1, 2], [3]], {}, /^series\[1\] is \[3\], expected 2 numbers, as the first row has/],
    ["another name", [{ a: 1 }, { b: 1 }], {}, /^series\[1\], a, is undefined/],
    ["a target it lacks", [{ a: 1 }, { a: 2 }], { target: ["b"] }, /^target: .* no column "b"; it has: a/],
    ["too short", [1, 2, 3], { horizon: 4 }, /leave no window/],
    ["half a horizon", numbers, { horizon: 0.5 }, /^horizon is 0.5/],
  ])("%s: one line that names it", async (_name, data, more, message) => {
    expect(await complaint(() => forecaster(gru()).fit(data as never, { ...wasm, maxSteps: 1, ...more }))).toMatch(
      message,
    );
  });
});

describe("languageModel", () => {
  const book = loadText("carroll-alice").text.slice(0, 60_000);

  test("of a page of Alice it learns words, and writes a stream of what it writes at once", async () => {
    const options = { ...wasm, epochs: 2, batchSize: 8, sequenceLength: 32, learningRate: 0.01 };
    const model = await languageModel(lstm({ hiddenSize: 64 })).fit(book, options);
    const uniform = Math.log(model.vocabulary.length);
    expect(model.report.validLoss).toBeLessThan(0.65 * uniform);
    const written = model.generate({ prime: "Alice ", length: 120, temperature: 0.5, seed: 3 });
    expect(written).toMatch(/\bthe\b|\band\b|\bto\b/);
    let streamed = "";
    for await (const piece of model.generateStream({ prime: "Alice ", length: 120, temperature: 0.5, seed: 3 }))
      streamed += piece;
    expect(streamed).toBe(written);
    const stream = model.stream();
    const next = stream.push("Alice tho", 3);
    expect(next).toHaveLength(3);
    const { states } = stream;
    const again = model.stream();
    again.states = states;
    expect(again.push("u")).toEqual(stream.push("u"));
    expect((await model.evaluate(book.slice(30_000))).scores.perplexity).toBeLessThan(20);
  });

  test("chunks of a text are the text, wherever they are cut", async () => {
    const options = { ...wasm, maxSteps: 3 };
    async function* chunks() {
      for (let at = 0; at < 20_000; at += 777) yield book.slice(at, Math.min(20_000, at + 777));
    }
    const net = gru({ hiddenSize: 8 });
    const [a, b] = [
      await languageModel(net).fit(chunks(), options),
      await languageModel(net).fit(book.slice(0, 20_000), options),
    ];
    expect(a.generate({ length: 50 })).toBe(b.generate({ length: 50 }));
  });

  test("of words it writes words", async () => {
    const words = languageModel(lstm({ hiddenSize: 16 }), { tokenizer: "words", vocabulary: 300 });
    const model = await words.fit(book, { ...wasm, maxSteps: 10 });
    expect(model.vocabulary).toHaveLength(300);
    expect(model.generate({ length: 12 }).trim().split(/\s+/).length).toBeGreaterThan(5);
    expect(model.report.lossUnit).toBe("nats/word");
  });

  test("a text of a sentence is learnt too, without a part to validate on", async () => {
    const model = await languageModel(gru({ hiddenSize: 8 })).fit("to be, or not to be, that is the question", {
      ...wasm,
      epochs: 3,
    });
    expect(model.report.notes.join()).toMatch(/too few/);
    expect(model.generate({ length: 9 })).toHaveLength(9);
  });

  test.each<[string, () => Promise<unknown>, RegExp]>([
    ["no text", () => languageModel(lstm()).fit("", wasm), /^the text|text "the text"|need at least/],
    ["numbers", () => languageModel(lstm()).fit([1, 2] as never, wasm), /^piece 1 of the text is 1, expected a text/],
    [
      "too long a step",
      () => languageModel(lstm()).fit("abc def", { ...wasm, batchSize: 4, sequenceLength: 8 }),
      /batchSize 4 and sequenceLength 8 need at least/,
    ],
    ["both ends", async () => languageModel(lstm({ bidirectional: true })), /^a language model names the next/],
    [
      "a tokenizer",
      async () => languageModel(lstm(), { tokenizer: "bytes" as never }),
      /^tokenizer is "bytes"; use one of/,
    ],
  ])("%s: one line that names it", async (_name, wrong, message) => {
    expect(await complaint(wrong)).toMatch(message);
  });
});

describe("tagger", () => {
  const verbs = ["runs", "sleeps", "eats"];
  const nouns = ["cat", "dog", "owl", "run"];
  // "run" and "runs" need their neighbours.
  const made = Array.from({ length: 240 }, (_, i) => {
    const noun = nouns[(i >> 1) % 4] as string;
    return i % 2
      ? { words: ["the", noun, verbs[(i >> 3) % 3] as string], tags: ["DET", "NOUN", "VERB"] as const }
      : { words: [noun, "the", "runs"], tags: ["VERB", "DET", "NOUN"] as const };
  });

  test("tags words by their neighbours, and knows other sentences of the language", async () => {
    const model = await tagger(lstm({ hiddenSize: 16, bidirectional: true })).fit(made, {
      ...wasm,
      epochs: 12,
      learningRate: 0.02,
    });
    expect(model.predict(["the", "run", "sleeps"]).tags).toEqual(["DET", "NOUN", "VERB"]);
    expect(model.predict(["run", "the", "runs"]).tags).toEqual(["VERB", "DET", "NOUN"]);
    expect((await model.evaluate(made)).scores.accuracy).toBe(1);
    const one = await tagger(gru({ hiddenSize: 8 })).fit(made, { ...wasm, maxSteps: 30 });
    const stream = one.stream();
    const said = ["the", "cat"].map((word) => stream.push(word));
    expect(said.map(({ tag }) => tag)).toEqual(one.predict(["the", "cat"]).tags);
  });

  test.each<[string, unknown, RegExp]>([
    [
      "a word without a tag",
      {
        sentences: [
          ["a", "b"],
          ["c", "d"],
        ],
        tags: [["X"], ["Y", "X"]],
      },
      /^sentences\[0\]: 2 words and 1 tags/,
    ],
    [
      "an empty sentence",
      { sentences: [["a", "b"], []], tags: [["X", "Y"], []] },
      /^sentences\[1\]: the sentence is empty/,
    ],
    ["a text", { sentences: ["a b"], tags: [["X", "Y"]] }, /^sentences\[0\]: got .*, expected words and tags/],
    ["one tag", { sentences: [["a"]], tags: [["X"]] }, /1 different tags; expected at least two/],
  ])("%s: one line that names it", async (_name, data, message) => {
    expect(await complaint(() => tagger(lstm()).fit(data as never, { ...wasm, validationSplit: 0 }))).toMatch(message);
  });
});
