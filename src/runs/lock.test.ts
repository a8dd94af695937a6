import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { GatesieveError } from "../core/check.ts";
import { isLocked, releaseLock, takeLock } from "./lock.ts";

let dir = "";
let lock = "";
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "gatesieve-lock-"));
  lock = join(dir, "run.lock");
});
afterEach(() => {
  releaseLock(dir);
  rmSync(dir, { recursive: true });
});

function holder(pid: number, host = hostname(), started: string | null = null): void {
  writeFileSync(lock, JSON.stringify({ pid, host, started }));
}

/** The number of a process that has ended. */
const dead = spawnSync(process.execPath, ["-e", ""]).pid;

describe("a lock", () => {
  test("keeps out until released", () => {
    expect(takeLock(dir)).toBeUndefined();
    expect(isLocked(dir)).toBe(true);
    expect(() => takeLock(dir)).toThrow(GatesieveError);
    expect(() => takeLock(dir)).toThrow(`is in use by process ${process.pid}`);
    releaseLock(dir);
    expect(existsSync(lock)).toBe(false);
    expect(takeLock(dir)).toBeUndefined();
  });

  test("of a living process is respected", () => {
    holder(process.ppid);
    expect(() => takeLock(dir)).toThrow(`run ${dir.split("/").at(-1)} is in use by process ${process.ppid}.`);
    expect(readFileSync(lock, "utf8")).toContain(String(process.ppid));
  });

  test("of a dead process is taken over, with a note", () => {
    holder(dead);
    expect(isLocked(dir)).toBe(false);
    expect(takeLock(dir)).toMatch(new RegExp(`took over the lock of process ${dead}, which is gone`));
    expect(isLocked(dir)).toBe(true);
  });

  test("with our number that we do not hold is a predecessor's", () => {
    holder(process.pid);
    expect(takeLock(dir)).toMatch(/took over/);
  });

  test.runIf(process.platform === "linux")(
    "with the number of a process that started at another time is a predecessor's",
    () => {
      holder(process.ppid, hostname(), "1");
      expect(isLocked(dir)).toBe(false);
      expect(takeLock(dir)).toMatch(/took over/);
    },
  );

  test("of another machine is respected, with advice", () => {
    holder(dead, "elsewhere");
    expect(() => takeLock(dir)).toThrow(`on elsewhere. Wait for it or stop it; if it is gone, delete ${lock}.`);
  });

  test("cut short is respected for some seconds, then taken over", () => {
    writeFileSync(lock, "");
    expect(() => takeLock(dir)).toThrow(/in use by process \?/);
    utimesSync(lock, 0, 0);
    expect(takeLock(dir)).toMatch(/took over/);
  });

  test("is not released by those who do not hold it", () => {
    holder(process.ppid);
    releaseLock(dir);
    expect(existsSync(lock)).toBe(true);
  });
});

test("of many processes that find a dead lock, one gets it", () => {
  const root = fileURLToPath(new URL("../..", import.meta.url));
  expect(spawnSync(process.execPath, ["scripts/setup.mjs"], { cwd: root }).status).toBe(0); // the children use the built package
  holder(dead);
  // Each child waits for a common moment, tries once and keeps what it got until it ends.
  const child = `
    import { takeLock } from ${JSON.stringify(new URL("../../dist/runs/lock.js", import.meta.url).href)};
    while (Date.now() < Number(process.argv[2]));
    try { takeLock(process.argv[1]); console.log("got it"); } catch (error) { console.log(error.name); }
    setTimeout(() => {}, 1500);`;
  const at = String(Date.now() + 1500);
  const run = `for i in 1 2 3 4 5 6; do "$0" --input-type=module -e "$1" "$2" "$3" & done; wait`;
  const { stdout } = spawnSync("sh", ["-c", run, process.execPath, child, dir, at], { encoding: "utf8" });
  expect(stdout.trim().split("\n").sort()).toEqual([...Array(5).fill("GatesieveError"), "got it"]);
}, 180_000);
