/** Logs that travel: TensorBoard's event files, CSV and JSON lines of a run, and the schema of configurations for editors. */
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { cellNumber, readCsv } from "../src/formats/csv.ts";
import { toCsv } from "../src/formats/csv-write.ts";
import { type Bins, crc32c, type Summary, summaryRecord } from "../src/formats/tensorboard.ts";
import { parseConfig } from "../src/runs/config.ts";
import { configJsonSchema } from "../src/runs/config-schema.ts";
import { TensorBoardLog } from "../src/runs/tensorboard.ts";
import type { TelemetryEvent } from "../src/train/events.ts";
import { commandLineIn } from "./gatesieve.ts";
import { type Message, readEventFile } from "./tfevents.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const { folder, gatesieve } = commandLineIn("logs");
const [runs, logs] = [join(folder, "runs"), join(folder, "logs")];
const run = (...args: string[]) => gatesieve(...args, "--runs", runs);
/** TensorBoard itself, where some Python has it (its place in TENSORBOARD_PYTHON), and its declarations for protocol buffers. */
const readers = (
  [
    ["tensorboard", process.env.TENSORBOARD_PYTHON ?? "/usr/bin/python3", "tensorboard"],
    ["protobuf", "/usr/bin/python3", "google.protobuf"],
  ] as const
).filter(([, python, module]) => spawnSync(python, ["-c", `import ${module}`], { stdio: "ignore" }).status === 0);
if (readers.length === 0)
  console.warn("gatesieve: no Python here reads event files: python3-protobuf is not installed.");

/** Without empty bins at both ends. */
function trimmed({ edges, counts }: Bins): Bins {
  const used = counts.flatMap((count, bin) => (count > 0 ? [bin] : []));
  const [first = 0, end = 0] = [used[0], used.length ? used.at(-1)! + 1 : undefined];
  return { edges: edges.slice(first, end + 1), counts: counts.slice(first, end) };
}

let events: Record<string, unknown>[] = [];
let telemetry: Record<string, unknown>[] = [];

beforeAll(() => {
  const text = join(folder, "tiny.txt");
  writeFileSync(text, Array.from({ length: 300 }, (_, i) => `${i * i} sheep on the ${i % 7}th hill.\n`).join(""));
  const small = ["model.hiddenSize=8", "model.numLayers=1", "train.batchSize=4", "train.sequenceLength=8"];
  const often = [
    "train.maxSteps=20",
    "train.logEverySteps=5",
    "train.valCheckInterval=10",
    "train.telemetryEverySteps=10",
  ];
  const { status, stderr } = run("train", text, ...small, ...often, "--tensorboard", logs, "--quiet");
  expect(stderr).toBe("");
  expect(status).toBe(0);
  const lines = (...more: string[]) =>
    run("runs", "export", "last", ...more)
      .stdout.trimEnd()
      .split("\n");
  events = lines().map((line) => JSON.parse(line));
  telemetry = lines("--telemetry").map((line) => JSON.parse(line));
});

describe("TensorBoard", () => {
  test("a record's checksum is CRC-32C", () => {
    // RFC 3720, B.4: 32 bytes of zeros, of ones, and counting up; and the usual check value.
    const of = (bytes: Iterable<number>) => crc32c(Uint8Array.from(bytes)).toString(16);
    expect(of(new Uint8Array(32))).toBe("8a9136aa");
    expect(of(new Uint8Array(32).fill(255))).toBe("62a8ab43");
    expect(of(Array.from({ length: 32 }, (_, i) => i))).toBe("46dd794e");
    expect(of(new TextEncoder().encode("123456789"))).toBe("e3069283");
  });

  test("whatever is written is read back, and a changed byte is noticed", () => {
    const name = fc.string({ unit: "grapheme" });
    const real = fc.double({ noDefaultInfinity: true, noNaN: true });
    const bins = fc
      .array(fc.tuple(real, fc.nat(1e6)), { minLength: 1 })
      .map((all) => ({ edges: [...all.map(([edge]) => edge), 1], counts: all.map(([, count]) => count) }));
    const summary: fc.Arbitrary<Summary> = fc.oneof(
      fc.record({ kind: fc.constant("scalar" as const), tag: name, value: real }),
      fc.record({ kind: fc.constant("histogram" as const), tag: name, bins }),
      fc.record({ kind: fc.constant("text" as const), tag: name, text: name }),
    );
    fc.assert(
      fc.property(real, fc.nat(2 ** 40), fc.array(summary), fc.nat(), (seconds, step, summaries, spot) => {
        const bytes = summaryRecord(seconds, step, summaries);
        const [event] = readEventFile(bytes) as [Message];
        expect(event).toMatchObject({ wall_time: seconds, step });
        const values = ((event.summary as Message).value ?? []) as Message[];
        const back = values.map(({ tag, simple_value, histo, tensor, metadata }) => {
          if (histo) {
            const { bucket_limit, bucket, num, min, max } = histo as Record<string, number[]>;
            expect(num).toBe(bucket!.reduce((sum, count) => sum + count, 0));
            expect([min, max]).toEqual([bucket_limit![0], bucket_limit!.at(-1)]);
            return { kind: "histogram", tag, bins: { edges: bucket_limit, counts: bucket!.slice(1) } };
          }
          if (simple_value !== undefined) return { kind: "scalar", tag, value: simple_value };
          expect(metadata).toEqual({ plugin_data: { plugin_name: "text" } });
          expect(tensor).toMatchObject({ dtype: 7, tensor_shape: { dim: [{ size: 1 }] } });
          return { kind: "text", tag, text: ((tensor as Message).string_val as string[])[0] };
        });
        const floats = summaries.map((one) => {
          if (one.kind === "scalar") return { ...one, value: Math.fround(one.value) };
          return one.kind === "histogram" ? { ...one, bins: trimmed(one.bins) } : one;
        });
        expect(back).toEqual(floats);
        bytes[spot % bytes.length]! ^= 1;
        expect(() => readEventFile(bytes)).toThrow();
      }),
      { numRuns: 60 },
    );
  });

  test("a run's file has its version, configuration, scalars and histograms, by step", () => {
    const [id] = readdirSync(logs) as [string];
    const [file, ...others] = readdirSync(join(logs, id)) as [string];
    expect(others).toEqual([]);
    expect(file).toMatch(/^events\.out\.tfevents\.\d+\.\d{3}\.gatesieve$/);
    const [version, config, ...rest] = readEventFile(readFileSync(join(logs, id, file))) as [
      Message,
      Message,
      ...Message[],
    ];
    expect(version.file_version).toBe("brain.Event:2");
    expect(JSON.stringify(config)).toContain("maxSteps: 20");
    const values = rest.flatMap(({ step, summary }) =>
      ((summary as Message).value as Message[]).map((value): Message => ({ step, ...value })),
    );
    const scalars = (tag: string) =>
      values.filter((one) => one.tag === tag).map(({ step, simple_value }) => [step, simple_value]);
    const expected = (type: string) => events.filter((one) => one.type === type);
    const round = (event: Message) => [event.step, Math.fround(event.loss as number)];
    expect(scalars("train/loss")).toEqual(expected("step").map(round));
    expect(scalars("valid/loss")).toEqual(expected("validation").map(round));
    expect(scalars("train/loss")).toHaveLength(4);
    const [seen] = telemetry as unknown as TelemetryEvent[];
    const { magnitudes } = (seen as TelemetryEvent).sites[0]!.groups[0]!;
    const histogram = values.find(({ tag, step }) => tag === "log2 of gate gradients/lstm.l0 i" && step === seen!.step);
    expect(histogram?.histo).toMatchObject({ min: magnitudes.exponent, bucket: [0, ...magnitudes.counts] });
  });

  test.each(readers)("what it says to %s is what happened", (reader, python) => {
    const [id] = readdirSync(logs) as [string];
    const args = [fileURLToPath(new URL("tensorboard_read.py", import.meta.url)), reader, join(logs, id)];
    const { stdout, stderr } = spawnSync(python, args, { encoding: "utf8" });
    expect(stdout, stderr).not.toBe("");
    const { scalars, histograms, texts } = JSON.parse(stdout);
    const steps = events.filter((one) => one.type === "step");
    const rows = (key: string) => steps.map((one) => [one.step, Math.fround(one[key] as number)]);
    expect(scalars["train/loss"]).toEqual(rows("loss"));
    expect(scalars["train/gradientNorm"]).toEqual(rows("gradientNorm"));
    expect(texts.config[0][1]).toContain("maxSteps: 20");
    const looks = telemetry as unknown as TelemetryEvent[];
    const shown = histograms["log2 of gate gradients/lstm.l0 i"];
    expect(shown.map(([step]: number[]) => step)).toEqual(looks.map(({ step }) => step));
    const { counts, exponent } = looks[0]!.sites[0]!.groups[0]!.magnitudes;
    const [, min, max, num, , , limits, buckets] = shown[0];
    expect(buckets).toEqual([0, ...counts]);
    expect([min, max]).toEqual([exponent, exponent + counts.length]);
    expect([limits[0], limits.at(-1)]).toEqual([min, max]);
    expect(num).toBe(counts.reduce((sum, count) => sum + count, 0));
    for (const [tag, table] of Object.entries<unknown[][]>(histograms))
      for (const [, low, high, , , , edges] of table)
        expect([low, high], tag).toEqual([(edges as number[])[0], (edges as number[]).at(-1)]);
  });

  test("a resumed run voids what earlier files say of later steps; a file is no folder", () => {
    const log = new TensorBoardLog(join(folder, "again"), parseConfig({}), 300);
    const [version, restart, ...rest] = readEventFile(readFileSync(log.file)) as Message[];
    expect(version).toMatchObject({ file_version: "brain.Event:2" });
    expect(restart).toMatchObject({ step: 301, session_log: { status: 1 } });
    expect(rest).toEqual([]);
    const { status, stderr } = run("train", "--tensorboard", join(folder, "tiny.txt"));
    expect(status).toBe(2);
    expect(stderr).toMatch(/is a file, expected a folder for event files/);
  });
});

describe("events of a run", () => {
  test("as CSV: a row for each event, with the numbers of the JSON lines", () => {
    const { columns, rows } = readCsv(run("runs", "export", "last", "--csv").stdout, "run.csv");
    expect(rows).toHaveLength(events.length);
    for (const [row, event] of events.entries())
      for (const [at, column] of columns.entries()) {
        const value = column.split(".").reduce<unknown>((from, key) => (from as Message | undefined)?.[key], event);
        const cell = rows[row]!.cells[at]!;
        if (typeof value === "number") expect(cellNumber(cell), column).toBe(value);
        else expect(cell, column).toBe(String(value ?? ""));
      }
    expect(columns).toEqual(
      expect.arrayContaining(["type", "step", "loss", "sparsity.dropped", "macs.macsSkippedAll"]),
    );
    const { status, stderr } = run("runs", "export", "last", "--csv", "--telemetry");
    expect(status).toBe(2);
    expect(stderr).toMatch(/leave one out/);
  });

  test("any table is read back from its CSV", () => {
    const cell = fc.string({ unit: "grapheme" }).filter((text) => text.trim() !== "" && !/[;\t|]/.test(text));
    fc.assert(
      fc.property(fc.array(fc.tuple(cell, cell), { minLength: 1 }), (pairs) => {
        const rows = pairs.map(
          ([a, b]) =>
            new Map([
              ["first", a],
              ["second", b],
            ]),
        );
        expect(readCsv(toCsv(rows), "t").rows.map(({ cells }) => cells)).toEqual(pairs);
      }),
      { numRuns: 100 },
    );
  });

  test("every field is in docs/formats.md", () => {
    const page = readFileSync(join(root, "docs/formats.md"), "utf8");
    const section = page.slice(page.indexOf("## Logs"));
    const documented = new Set([...section.matchAll(/`([^`\s]+)`/g)].map(([, name]) => name));
    const names = (value: unknown): string[] =>
      Array.isArray(value)
        ? value.slice(0, 1).flatMap(names)
        : typeof value === "object" && value !== null
          ? Object.entries(value).flatMap(([name, item]) => (/scores$/i.test(name) ? [name] : [name, ...names(item)]))
          : [];
    const all = new Set([...events, ...telemetry].flatMap(names));
    expect(all.size).toBeGreaterThan(40);
    expect([...all].filter((name) => !documented.has(name))).toEqual([]);
  });
});

describe("the schema of configurations", () => {
  test("is what the code checks by; if not, run node scripts/config-schema.mjs", () => {
    const kept = JSON.parse(readFileSync(join(root, "configs/config.schema.json"), "utf8"));
    expect(kept).toEqual(JSON.parse(JSON.stringify(configJsonSchema())));
    expect(kept.properties.train.properties.maxSteps).toMatchObject({ type: "integer", minimum: 1 });
  });

  test("is named by every configuration", () => {
    const files = readdirSync(join(root, "configs")).filter((name) => name.endsWith(".yaml"));
    expect(files.length).toBeGreaterThan(5);
    for (const file of files)
      expect(readFileSync(join(root, "configs", file), "utf8").split("\n")[0], file).toBe(
        "# yaml-language-server: $schema=config.schema.json",
      );
  });
});
