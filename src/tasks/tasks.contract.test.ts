/** What every task promises. A new task gets its tests from its line in the table and one here. */
import { describe, expect, test } from "vitest";
import { UsageError } from "../core/check.ts";
import { RandomStream } from "../core/random.ts";
import { characterTask } from "./character.ts";
import type { BatchBuffers, BatchCursor, BatchShape, Split, Task } from "./task.ts";
import { createTask, TASKS, type TaskName, type TaskOptions, tasks } from "./tasks.ts";

/** 3,000 random characters, some beyond the basic plane; the last ones are missing in train. */
const random = new RandomStream(1, "text");
const characters = Array.from({ length: 3000 }, (_, i) =>
  i % 97 === 0 ? "𝄞" : String.fromCodePoint(97 + random.below(25) + (i > 2800 ? 3 : 0)),
);
const text = characters.join("");

/** 2,000 random words of 60, with sentences and paragraphs. */
const prose = Array.from({ length: 2000 }, (_, i) => `w${random.below(60)}${i % 50 === 49 ? ".\n\n" : ""}`).join(" ");

/** Unrelated sequences of 1 to 15 positions: each has a number of its own, so that no two are alike. */
const words = (first: number, count: number) =>
  Array.from({ length: count }, (_, i) => ({
    input: `${first + i}${"xyz".repeat(5).slice(0, random.below(8))}`,
    label: ["a", "b", "c"][i % 3] as string,
  }));
const sequences = { train: words(0, 100), valid: words(100, 20), test: words(200, 7) };
const numbers = (count: number, width: number) =>
  Array.from({ length: count }, (_, i) => ({
    input: Array.from({ length: 1 + random.below(15) }, () => Array.from({ length: width }, () => random.normal())),
    label: String(i % 4),
  }));
const pictures = (count: number) =>
  Array.from({ length: count }, (_, i) => ({
    input: Uint8Array.from({ length: 11 * 4 }, () => random.below(256)),
    label: String(i % 10),
  }));
const image = { kind: "image", rows: 11, columns: 4, mean: 127, deviation: 70 } as const;
const tagged = (name: string, count: number) =>
  Array.from({ length: count }, (_, i) => {
    const tokens = Array.from({ length: 1 + random.below(25) }, (_, t) => `${name}${t ? random.below(30) : i}`);
    return { tokens, tags: tokens.map((token) => `tag${token.length}`) };
  });
const wave = (columns: number) => ({
  columns: Array.from({ length: columns }, (_, c) => `c${c}`),
  values: Float64Array.from({ length: 300 * columns }, (_, i) => Math.sin(i / 5) + random.normal()),
});

const cases: Record<TaskName, TaskOptions[]> = {
  classification: [
    { sequences },
    { sequences, embedding: 5 },
    { sequences: { train: numbers(20, 3), valid: numbers(9, 3), test: numbers(2, 3) } },
    ...(["rows", "permuted"] as const).map((order) => ({
      sequences: { train: pictures(20), valid: pictures(5), test: pictures(6) },
      image: { ...image, order },
    })),
  ],
  forecasting: [
    { series: wave(1), period: 7 },
    { series: wave(3), targets: ["c2", "c0"], horizon: 4, period: 2 },
  ],
  tagging: [{ sentences: { train: tagged("a", 60), valid: tagged("a", 9), test: tagged("a", 11) }, embedding: 4 }],
  character: [{ text }, { text, embedding: 7 }],
  word: [
    { text: prose },
    { text: prose, vocabularySize: 20, embedding: 7 },
    { text: prose.slice(0, 4000), textParts: { valid: prose.slice(4000, 5500), test: prose.slice(5500) } },
  ],
  translation: [
    { pairs: { train: pairs(0, 50), valid: pairs(50, 8), test: pairs(80, 7) }, embedding: 4, vocabularySize: 60 },
    { pairs: { train: pairs(0, 50), valid: pairs(50, 8), test: pairs(80, 7) }, vocabularySize: 60, sourceLength: 9 },
  ],
  captioning: [
    {
      pictures: { train: captioned(0, 30), valid: captioned(30, 7), test: captioned(40, 5) },
      patch: 2,
      embedding: 3,
      vocabularySize: 60,
    },
  ],
  adding: [{}],
  delay: [{}, { delay: 1 }, { delay: 9, embedding: 3 }],
  copy: [{}, { embedding: 3 }],
};
/** Pairs and captions with a number of their own: the shortest of one piece for each digit and two words. */
function pairs(first: number, count: number) {
  return Array.from({ length: count }, (_, i) => ({
    source: `${first + i} ${"abcdef".slice(0, 1 + (i % 6))}`,
    target: `${first + i} ${"uvwxyz".slice(0, 1 + (i % 4))}.`,
  }));
}
function captioned(first: number, count: number) {
  return Array.from({ length: count }, (_, i) => ({
    picture: { width: 6, height: 4, colours: Uint8Array.from({ length: 6 * 4 * 3 }, () => random.below(256)) },
    caption: `${"ab".repeat(1 + (i % 3))} ${first + i}`,
  }));
}
/** Of tasks that write: one position more than the shortest target to train on has pieces. */
const shortestWritten = (name: TaskName) => (options: TaskOptions) => {
  const task = createTask(name, options);
  const lengths = Array.from(
    { length: task.writing!.count("train") },
    (_, i) => (task.writing!.example("train", i) as unknown as { target: Int32Array }).target.length,
  );
  return 1 + Math.min(...lengths);
};
/** The shortest sequence the task can do with these options, and one less. */
const least: Record<TaskName, (options: TaskOptions) => number> = {
  character: () => 1,
  word: () => 1,
  classification: () => 1,
  forecasting: () => 1,
  tagging: () => 1,
  translation: shortestWritten("translation"),
  captioning: shortestWritten("captioning"),
  adding: () => 2,
  delay: ({ delay = 5 }) => delay + 1,
  copy: () => 21,
};

const SPLITS: Split[] = ["train", "valid", "test"];
const SHAPE: BatchShape = { T: 11, B: 3, seed: 5 };

interface Batch {
  readonly fresh: boolean;
  readonly tokens: number[] | undefined;
  readonly features: number[] | undefined;
  readonly targets: number[];
  readonly lengths: number[];
  /** What an encoder reads, and its lengths. */
  readonly read: { readonly values: number[]; readonly lengths: number[] } | undefined;
  readonly lanes: number;
  /** Numbers at a position of the input. */
  readonly size: number;
}

/** Buffers filled with what no task writes, so that a gap shows. */
function buffers({ input, output, source }: Task, { T, B }: { T: number; B: number }): BatchBuffers {
  const positions = output.positions === "all" ? T * B : B;
  return {
    tokens: input.kind === "tokens" ? new Int32Array(T * B).fill(-1) : undefined,
    features: input.kind === "features" ? new Float32Array(T * B * input.size).fill(Number.NaN) : undefined,
    targets:
      output.kind === "classes"
        ? new Int32Array(positions).fill(-1)
        : new Float32Array(positions * output.size).fill(Number.NaN),
    lengths: new Int32Array(B).fill(-1),
    source: source && {
      tokens: source.kind === "tokens" ? new Int32Array(source.length * B).fill(-1) : undefined,
      features:
        source.kind === "features" ? new Float32Array(source.length * B * source.size).fill(Number.NaN) : undefined,
      lengths: new Int32Array(B).fill(-1),
    },
  };
}

function take(task: Task, cursor: BatchCursor, count: number): Batch[] {
  return Array.from({ length: count }, () => {
    const into = buffers(task, cursor);
    const fresh = cursor.next(into);
    // What the batch has; nothing may be written beyond it.
    const { T, B, lanes = B } = cursor;
    const { input, output } = task;
    const head = (data: ArrayLike<number>, rows: number) => {
      const used = (data.length / rows) * (rows - (rows / B) * (B - lanes));
      const values = Array.from(data);
      expect(new Set(values.slice(used).map((value) => (value === -1 ? Number.NaN : value)))).toEqual(
        new Set(used < values.length ? [Number.NaN] : []),
      );
      return values.slice(0, used);
    };
    const positions = output.positions === "all" ? T * B : B;
    return {
      fresh,
      lanes,
      tokens: into.tokens && head(into.tokens, T * B),
      features: into.features && head(into.features, T * B),
      targets: head(into.targets, positions),
      lengths: head(into.lengths, B),
      read: into.source && {
        values: head((into.source.tokens ?? into.source.features) as ArrayLike<number>, task.source!.length * B),
        lengths: head(into.source.lengths, B),
      },
      size: input.kind === "features" ? input.size : 1,
    };
  });
}

describe.each(TASKS.flatMap((name) => cases[name].map((options) => [name, options] as const)))(
  "%s %#",
  (name, options) => {
    const task = createTask(name, options);
    const shape: BatchShape = { ...SHAPE, T: Math.max(SHAPE.T, least[name](options)) };

    test("says what it is", () => {
      expect(task.name).toBe(name);
      expect(task.summary).toMatch(/\w+ \w+/);
      expect(task.lossUnit).toBe(tasks[name].lossUnit);
      const scores = {
        ...task.scores({ lossSum: 1, positions: 1, correct: 1 }),
        ...task.scorer?.("test", shape).scores(),
        ...task.writing?.scores(["a"], ["a"]),
      };
      expect(Object.keys(scores)).toEqual(tasks[name].metrics);
      if (task.input.kind === "tokens") expect(task.input.embedding ?? 0).toBe(options.embedding ?? 0);
      if (task.vocabulary && task.input.kind === "tokens") expect(task.vocabulary.length).toBe(task.input.vocabulary);
    });

    describe.each(SPLITS)("%s", (split) => {
      test("same seed, same batches", () => {
        const count = 2 * task.batches(split, shape).batchesPerEpoch + 1;
        const [a, b] = [0, 1].map(() => take(task, task.batches(split, shape), count));
        expect(a).toEqual(b);
      });

      test("a cursor continues with the very next batch, from any position", () => {
        const { batchesPerEpoch } = task.batches(split, shape);
        for (const position of new Set([0, 1, 2, batchesPerEpoch - 1, batchesPerEpoch, batchesPerEpoch + 1])) {
          const cursor = task.batches(split, shape);
          take(task, cursor, position);
          expect(cursor.position).toBe(position);
          const state = JSON.parse(JSON.stringify(cursor.save()));
          const expected = take(task, cursor, batchesPerEpoch + 1);
          const other = task.batches(split, shape);
          take(task, other, 3); // wherever it was before
          other.load(state);
          expect(other.position).toBe(position);
          expect(take(task, other, batchesPerEpoch + 1)).toEqual(expected);
        }
      });

      test("fills every element, with values the specification allows", () => {
        const cursor = task.batches(split, shape);
        expect(cursor.T).toBe(shape.T);
        expect(cursor.B).toBeGreaterThan(0);
        expect(cursor.B).toBeLessThanOrEqual(shape.B);
        if (split === "train") expect(cursor.B).toBe(shape.B);
        const { input, output } = task;
        const tokenFits = (token: number) => input.kind === "tokens" && token >= 0 && token < input.vocabulary;
        const targetFits = (target: number) =>
          output.kind === "classes" ? target >= 0 && target < output.size : Number.isFinite(target);
        const readFits = (value: number) =>
          task.source?.kind === "tokens" ? value >= 0 && value < task.source.vocabulary : Number.isFinite(value);
        const batches = take(task, cursor, cursor.batchesPerEpoch + 1);
        for (const { tokens, features, targets, lanes, lengths, read } of batches) {
          expect(read?.values.every(readFits) ?? true).toBe(true);
          expect(read?.lengths.every((length) => length >= 1 && length <= task.source!.length) ?? true).toBe(true);
          expect(tokens ? tokens.every(tokenFits) : features!.every(Number.isFinite)).toBe(true);
          expect(lengths.every((length) => Number.isInteger(length) && length >= 1 && length <= cursor.T)).toBe(true);
          const isPadding = (index: number) => Math.floor(index / lanes) >= (lengths[index % lanes] as number);
          const padded = output.kind === "classes" && output.positions === "all";
          expect(targets.every((target, i) => (padded && isPadding(i) ? target === -1 : targetFits(target)))).toBe(
            true,
          );
        }
      });

      test("states start from zero at each epoch", () => {
        const cursor = task.batches(split, shape);
        const fresh = take(task, cursor, 2 * cursor.batchesPerEpoch).map((batch) => batch.fresh);
        expect(fresh[0]).toBe(true);
        expect(fresh[cursor.batchesPerEpoch]).toBe(true);
      });

      test("too little data, or too short a sequence, is said in one line that names the setting", () => {
        const minimum = least[name](options);
        expect(() => task.batches(split, { ...shape, T: minimum })).not.toThrow();
        const bad = task.text ? { ...shape, T: 5000 } : { ...shape, T: minimum - 1 };
        expect(() => task.batches(split, bad)).toThrow(UsageError);
        expect(() => task.batches(split, bad)).toThrow(/^[^\n]*train\.sequenceLength[^\n]*$/);
      });
    });

    test("evaluation sees the same set at every epoch", () => {
      for (const split of ["valid", "test"] as const) {
        const cursor = task.batches(split, shape);
        const first = take(task, cursor, cursor.batchesPerEpoch);
        expect(take(task, cursor, cursor.batchesPerEpoch)).toEqual(first);
      }
    });

    test("splits have no sequence in common", () => {
      const { T } = shape;
      const lanes = (split: Split) => {
        const cursor = task.batches(split, shape);
        return take(task, cursor, cursor.batchesPerEpoch).flatMap(
          ({ tokens, features, lanes, lengths, size }) =>
            Array.from({ length: lanes }, (_, b) =>
              Array.from({ length: T }, (_, t) =>
                (tokens ?? features)!.slice((t * lanes + b) * size, (t * lanes + b + 1) * size),
              ).join(),
            ).filter((_, b) => (lengths[b] as number) > 2), // the last word or two of a cut sentence may be anyone's
        );
      };
      const [train, valid, held] = SPLITS.map((split) => new Set(lanes(split))) as [
        Set<string>,
        Set<string>,
        Set<string>,
      ];
      expect([...train].filter((lane) => valid.has(lane) || held.has(lane))).toEqual([]);
      expect([...valid].filter((lane) => held.has(lane))).toEqual([]);
    });

    test("scores are finite, and right for a uniform guess", () => {
      const classes = task.output.size;
      const scores = task.scores({ lossSum: 10 * Math.log(classes + 1), positions: 10, correct: 4 });
      for (const value of Object.values(scores)) expect(Number.isFinite(value)).toBe(true);
      if (task.output.kind === "classes") {
        expect(scores.perplexity).toBeCloseTo(classes + 1, 9);
        expect(scores.accuracy).toBe(0.4);
      }
    });
  },
);

describe("character", () => {
  test("time-major windows: lanes go on where they were, targets are one ahead, splits are 90/5/5", () => {
    const sequence = Array.from({ length: 1000 }, (_, i) => String.fromCodePoint(0x10000 + i));
    const vocabulary = ["<unk>", ...sequence]; // token = place in the text + 1
    const task = characterTask({ text: sequence.join(""), name: "numbers", vocabulary });
    const [T, B] = [10, 4];
    const bounds = { train: [0, 900], valid: [900, 950], test: [950, 1000] } as const;
    for (const split of SPLITS) {
      const [start, end] = bounds[split];
      const cursor = task.batches(split, { T, B, seed: 1 });
      const lane = Math.floor((end - start - 1) / cursor.B);
      expect(cursor.B).toBe(split === "train" ? 4 : 4);
      expect(cursor.batchesPerEpoch).toBe(Math.floor(lane / T));
      for (const [w, { tokens, targets }] of take(task, cursor, cursor.batchesPerEpoch).entries())
        for (let b = 0; b < cursor.B; b++)
          for (let t = 0; t < T; t++) {
            const place = start + b * lane + w * T + t;
            expect(tokens![t * cursor.B + b]).toBe(place + 1);
            expect(targets[t * cursor.B + b]).toBe(place + 2);
            expect(place + 1).toBeLessThan(end);
          }
    }
  });

  test("a short evaluation split gets fewer lanes", () => {
    const task = createTask("character", { text: "ab".repeat(500) });
    expect(task.batches("valid", { T: 12, B: 50, seed: 1 }).B).toBe(4);
    expect(task.batches("test", { T: 49, B: 50, seed: 1 }).B).toBe(1);
  });

  test("the vocabulary is train's, sorted, with <unk> first; others become <unk>", () => {
    const task = createTask("character", { text: `${"cab".repeat(30)}${"x".repeat(10)}` });
    expect(task.vocabulary).toEqual(["<unk>", "a", "b", "c"]);
    const [batch] = take(task, task.batches("test", { T: 2, B: 1, seed: 1 }), 1);
    expect(batch).toMatchObject({ tokens: [0, 0], targets: [0, 0] });
  });

  test("the length an error asks for is enough, and one less is not", () => {
    for (const [T, B] of [
      [50, 50],
      [7, 3],
      [100, 1],
      [1, 1],
    ] as const) {
      const short = createTask("character", { text: "ab", textName: "my.txt" });
      let message = "";
      try {
        short.batches("train", { T, B, seed: 1 });
      } catch (error) {
        message = (error as Error).message;
      }
      expect(message).toContain('text "my.txt" has 2 characters');
      expect(message).toContain(`train.batchSize ${B}`);
      const needed = Number(/at least (\d+)/.exec(message)?.[1]);
      const fits = (length: number) =>
        SPLITS.every((split) => {
          try {
            return (
              createTask("character", { text: "a".repeat(length) }).batches(split, { T, B, seed: 1 }).batchesPerEpoch >
              0
            );
          } catch {
            return false;
          }
        });
      expect(fits(needed)).toBe(true);
      expect(fits(needed - 1)).toBe(false);
    }
  });
});

describe("adding", () => {
  test("two marks, one in each half; the target is the sum of the marked", () => {
    const task = createTask("adding");
    const { T, B } = SHAPE;
    for (const { features, targets } of take(task, task.batches("train", SHAPE), 50))
      for (let b = 0; b < B; b++) {
        const at = (t: number, column: number) => features![(t * B + b) * 2 + column] as number;
        const marked = Array.from({ length: T }, (_, t) => t).filter((t) => at(t, 1) === 1);
        expect(marked.length).toBe(2);
        expect(marked[0]).toBeLessThan(T >> 1);
        expect(marked[1]).toBeGreaterThanOrEqual(T >> 1);
        expect(targets[b]).toBe(Math.fround(at(marked[0]!, 0) + at(marked[1]!, 0)));
      }
  });

  test("always answering 1 has a mean squared error of 1/6", () => {
    const task = createTask("adding");
    const cursor = task.batches("train", { T: 4, B: 500, seed: 1 });
    const errors = take(task, cursor, 40).flatMap(({ targets }) => targets.map((target) => (target - 1) ** 2));
    const mean = errors.reduce((sum, error) => sum + error, 0) / errors.length;
    expect(Math.abs(mean - 1 / 6)).toBeLessThan(5 * (0.18 / Math.sqrt(errors.length))); // 5 standard errors
  });
});

describe("delay", () => {
  test.each([1, 5, 9])("a target is the token of %i positions ago, else 0", (delay) => {
    const task = createTask("delay", { delay });
    const { T, B } = SHAPE;
    const seen = new Set<number>();
    for (const { tokens, targets } of take(task, task.batches("train", SHAPE), 20))
      for (let t = 0; t < T; t++)
        for (let b = 0; b < B; b++) {
          seen.add(tokens![t * B + b] as number);
          expect(targets[t * B + b]).toBe(t < delay ? 0 : tokens![(t - delay) * B + b]);
        }
    expect(seen.size).toBe(8);
  });

  test("refuses a delay that is no whole number", () => {
    expect(() => createTask("delay", { delay: 0.5 })).toThrow(/task\.delay is 0\.5/);
  });
});

describe("copy", () => {
  const shape = { T: 37, B: 4, seed: 5 };
  const task = createTask("copy");

  test("ten symbols, blanks, a cue and the ten symbols again", () => {
    const { T, B } = shape;
    for (const { tokens, targets } of take(task, task.batches("train", shape), 20))
      for (let b = 0; b < B; b++) {
        const of = (data: number[]) => Array.from({ length: T }, (_, t) => data[t * B + b] as number);
        const symbols = of(tokens!).slice(0, 10);
        expect(symbols.every((symbol) => symbol >= 1 && symbol <= 8)).toBe(true);
        expect(of(tokens!).slice(10)).toEqual([...new Array(16).fill(0), 9, ...new Array(10).fill(0)]);
        expect(of(targets)).toEqual([...new Array(27).fill(0), ...symbols]);
      }
  });

  test("without a memory the best loss is 10 ln 8 / (T + 20)", () => {
    // Sure of the blanks, and of each answer only that it is one of eight.
    const answers = take(task, task.batches("valid", shape), 1)[0]!.targets.filter((target) => target > 0).length;
    expect((answers * Math.log(8)) / (shape.T * shape.B)).toBeCloseTo((10 * Math.log(8)) / (17 + 20), 12);
  });
});

test("generated tasks differ from seed to seed", () => {
  const shape = { ...SHAPE, T: 25 };
  for (const name of ["adding", "delay", "copy"] as const)
    for (const split of SPLITS) {
      const task = createTask(name);
      const [a, b] = [1, 2].map((seed) => take(task, task.batches(split, { ...shape, seed }), 1));
      expect(a).not.toEqual(b);
    }
});

test("an unknown task lists the choices", () => {
  expect(() => createTask("charcter")).toThrow(
    /unknown task "charcter", did you mean "character"\? The choices are: character, word, classification, forecasting, tagging, translation, captioning, adding, delay, copy/,
  );
});
