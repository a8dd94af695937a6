/** What is left when the disk is full: nothing half-written, and the last checkpoint as good as before. */
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeEach, describe, expect, test, vi } from "vitest";
import { GatesieveError } from "../core/check.ts";

/** Bytes that still fit the disk; writes beyond it fail as a full disk's do, half written. */
const disk = vi.hoisted(() => ({ free: Number.POSITIVE_INFINITY }));

vi.mock("node:fs", async (original) => {
  const fs = await original<typeof import("node:fs")>();
  const limited =
    (write: (to: number | string, content: string | Uint8Array) => void) =>
    (to: number | string, content: string | Uint8Array, ...rest: []) => {
      const bytes = Buffer.from(content as string);
      if (bytes.length > disk.free) {
        write(to, bytes.subarray(0, disk.free));
        disk.free = 0;
        throw Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" });
      }
      disk.free -= bytes.length;
      write.call(fs, to, content, ...rest);
    };
  return {
    ...fs,
    writeFileSync: limited(fs.writeFileSync),
    appendFileSync: limited(fs.appendFileSync),
    fsyncSync() {},
  };
});

const fs = await import("node:fs");
const { loadConfig } = await import("./config.ts");
const { createRun, resumeRun } = await import("./run.ts");
const { checkpointSteps } = await import("./checkpoint.ts");
const { readEvents } = await import("./store.ts");
const { appendLine, createFolderAtomic, writeFileAtomic, writeFolderAtomic } = await import("./files.ts");

const folder = fs.mkdtempSync(join(tmpdir(), "gatesieve-files-"));
afterAll(() => fs.rmSync(folder, { recursive: true }));
let dir = "";
beforeEach(() => {
  disk.free = Number.POSITIVE_INFINITY;
  dir = fs.mkdtempSync(join(folder, "d-"));
});

/** All files below a folder, with their contents. */
function tree(path: string): Record<string, string> {
  const names = fs
    .readdirSync(path, { recursive: true, encoding: "utf8" })
    .filter((name) => fs.statSync(join(path, name)).isFile());
  return Object.fromEntries(names.sort().map((name) => [name, fs.readFileSync(join(path, name), "latin1")]));
}

describe("a full disk", () => {
  test("leaves files, folders and logs as they were, and says what is needed", () => {
    writeFileAtomic(join(dir, "file"), "old", "a file");
    writeFolderAtomic(join(dir, "folder"), { a: "old", "sub/b": "old" }, "a folder");
    appendLine(join(dir, "log"), "old", "a line");
    const before = tree(dir);
    const work = [
      () => writeFileAtomic(join(dir, "file"), "n".repeat(2048), "a file"),
      () => writeFolderAtomic(join(dir, "folder"), { a: "n".repeat(1024), "sub/b": "n".repeat(1024) }, "a folder"),
      () => createFolderAtomic(join(dir, "new"), { a: "n".repeat(1024), b: "n".repeat(1024) }, "a run"),
    ];
    for (const free of [0, 1, 1024, 1500, 2047])
      for (const each of work) {
        disk.free = free;
        expect(each).toThrow(GatesieveError);
        disk.free = free;
        expect(each).toThrow(
          /^no space left for a \w+ at \S+: it needs 2\.0 KiB, [\d.]+ \w+ are free\. Nothing was left half-written\. Free some space[^\n]*$/,
        );
        expect(tree(dir)).toEqual(before);
      }
    disk.free = 2;
    expect(() => appendLine(join(dir, "log"), "new", "a line")).toThrow(/no space left for a line/);
    expect(tree(dir)).toEqual(before);
    disk.free = Number.POSITIVE_INFINITY;
    for (const each of work) each();
    expect(Object.keys(tree(dir))).toEqual(["file", "folder/a", "folder/sub/b", "log", "new/a", "new/b"]);
  });

  const settings = [
    "task.name=delay",
    "model.hiddenSize=8",
    "model.embedding=0",
    "model.numLayers=1",
    "train.batchSize=2",
    "train.sequenceLength=8",
  ];
  const config = loadConfig({ overrides: [...settings, "train.maxSteps=40", "train.checkpointEverySteps=5"] });

  test("no run begins", async () => {
    disk.free = 5000;
    await expect(createRun({ config, runsDir: dir })).rejects.toThrow(/no space left for a run at /);
    expect(tree(dir)).toEqual({});
    expect(fs.readdirSync(dir)).toEqual([]);
  });

  test("a run that meets it can be resumed, wherever it met it, and ends as if it never had", async () => {
    const whole = await createRun({ config, runsDir: join(dir, "whole") });
    for (const _ of whole.events());
    const expected = fs.readFileSync(join(whole.dir, "model", "model.safetensors"));
    const needed = Object.values(tree(whole.dir)).reduce((sum, content) => sum + content.length, 0);
    for (let attempt = 1; attempt <= 12; attempt++) {
      const run = await createRun({ config, runsDir: dir });
      disk.free = Math.floor((attempt / 12) * 1.5 * needed);
      let message = "";
      try {
        for (const _ of run.events());
      } catch (error) {
        message = (error as Error).message;
      }
      expect(message).toMatch(/^no space left for /);
      expect(Object.keys(tree(run.dir)).filter((name) => name.includes(".tmp-"))).toEqual([]);
      expect(checkpointSteps(run.dir).length).toBeGreaterThan(0);
      disk.free = Number.POSITIVE_INFINITY;
      const resumed = await resumeRun(dir, run.id);
      expect(resumed.notes).toEqual([]);
      for (const _ of resumed.events());
      expect(fs.readFileSync(join(run.dir, "model", "model.safetensors")).equals(expected)).toBe(true);
      expect(readEvents(run.dir).length).toBe(readEvents(whole.dir).length);
    }
  });
});

test("a folder that exists is not created again", () => {
  expect(createFolderAtomic(join(dir, "x"), { a: "1" }, "a run")).toBe(true);
  expect(createFolderAtomic(join(dir, "x"), { a: "2" }, "a run")).toBe(false);
  expect(tree(dir)).toEqual({ "x/a": "1" });
});

test("a place that cannot be written is said in one line", () => {
  writeFileAtomic(join(dir, "file"), "x", "a file");
  expect(() => createFolderAtomic(join(dir, "file", "x"), { a: "1" }, "a run")).toThrow(
    /^a run cannot be written to [^\n]*Choose another folder for runs\.$/,
  );
});

test.runIf(process.platform === "linux")("a parent that refuses children ends in the same line, not in a loop", () => {
  expect(() => createFolderAtomic("/proc/gatesieve/x", { a: "1" }, "a run")).toThrow(
    /^a run cannot be written to [^\n]*ENOENT/,
  );
});
